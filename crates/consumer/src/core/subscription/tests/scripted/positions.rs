//! What moves a position, and what must not.

use super::*;

// Failure 24: a stale buffer undid a seek.

#[test]
fn a_seek_is_not_undone_by_a_fetch_in_flight() {
    let mut world = at_start(OffsetReset::None, 3);
    assert!(world.send(1));
    seek(&mut world, 0, 20);
    world.answer(1, |_| None);
    assert_eq!(position(&world, 0), Some(20));
    assert_eq!(world.settle_batch(), (0, (20..30).collect()));
}

#[test]
fn a_seek_is_not_undone_by_what_is_buffered_or_being_decoded_or_ready() {
    for decoded in 0..=2 {
        let mut world = at_start(OffsetReset::None, 3);
        world.send(1);
        world.answer(1, |_| None);
        if decoded >= 1 {
            assert!(world.decode());
        }
        if decoded >= 2 {
            assert!(world.finish_decoding());
        }
        seek(&mut world, 0, 20);
        world.finish_decoding();
        assert_eq!(world.settle_batch(), (0, (20..30).collect()), "after {decoded} steps of decoding");
    }
}

#[test]
fn a_seek_is_not_undone_by_what_recv_gives_back() {
    let mut world = at_start(OffsetReset::None, 3);
    let Some(Delivery::Batch { batch, .. }) = world.settle() else { panic!("no records") };
    seek(&mut world, 0, 20);
    world.subscription.unread(batch);
    assert_eq!(world.settle_batch(), (0, (20..30).collect()));
}

#[test]
fn what_was_handed_over_in_part_outlives_the_log_that_it_came_from() {
    let mut world = at_start(OffsetReset::Earliest, 1);
    let Some(Delivery::Batch { mut batch, .. }) = world.settle() else { panic!("no records") };
    let rest = batch.split_off(4).unwrap();
    // Retention removes what is up to 20.
    let mut later = log(1, 3);
    later.start_offset = 20;
    later.batches.drain(..2);
    world.logs.insert(tp(0), later);
    for _ in 0..10 {
        world.ask();
        world.answer_question();
        world.send(1);
        world.answer(1, |_| None);
    }
    assert_eq!(position(&world, 0), Some(20), "the policy moved it");
    world.subscription.unread(rest);
    assert_eq!(position(&world, 0), Some(4));
    assert_eq!(world.settle_batch(), (0, (4..10).collect()));
    assert_eq!(world.settle_batch(), (0, (20..30).collect()));
}

#[test]
fn a_seek_is_not_undone_by_a_lookup_that_was_asked_before() {
    let mut world = world([log(1, 3)]);
    world.ask();
    assert_eq!(world.questions.len(), 1, "the policy asks for the earliest offset");
    seek(&mut world, 0, 20);
    assert!(world.answer_question());
    assert_eq!(position(&world, 0), Some(20));
}

#[test]
fn nothing_of_a_partition_that_is_not_assigned_any_more_is_handed_over() {
    let mut world = world([log(1, 3), log(1, 3)]);
    for partition in 0..2 {
        seek(&mut world, partition, 0);
    }
    world.ask();
    world.send(1);
    world.answer(1, |_| None);
    world.subscription.assign(BTreeSet::from([tp(1)]));
    // And back again, before anything was decoded.
    world.subscription.assign(BTreeSet::from([tp(0), tp(1)]));
    seek(&mut world, 0, 25);
    let mut seen = BTreeMap::<_, Vec<i64>>::new();
    while let Some(Delivery::Batch { batch, .. }) = world.settle() {
        seen.entry(batch.partition()).or_default().extend(batch.iter().map(|record| record.offset));
    }
    assert_eq!(seen[&0], (25..30).collect::<Vec<_>>());
    assert_eq!(seen[&1], (0..30).collect::<Vec<_>>());
}

// Failure 14: a validation error reset offsets.

#[test]
fn no_error_but_out_of_range_moves_a_position() {
    for code in ErrorCode::ALL.iter().copied().chain([ErrorCode::from(9_999)]) {
        if matches!(code, ErrorCode::None | ErrorCode::OffsetOutOfRange) {
            continue;
        }
        let mut world = at_start(OffsetReset::Latest, 3);
        seek(&mut world, 0, 10);
        world.send(1);
        world.answer(1, |_| Some(code));
        assert_eq!(position(&world, 0), Some(10), "{code}");
        // It stands there still, with an error told, or goes on from there.
        match world.settle() {
            Some(Delivery::Error(error)) => {
                assert_eq!(error.partition(), Some(&tp(0)), "{code}");
                assert!(world.settle().is_none(), "{code}: it goes on by itself");
                world.subscription.resume(&tp(0)).unwrap();
                assert_eq!(world.settle_batch(), (0, (10..20).collect()), "{code}");
            }
            Some(Delivery::Batch { batch, .. }) => assert_eq!(batch.first_offset(), Some(10), "{code}"),
            None => panic!("{code}: nothing comes any more"),
        }
    }
}

#[test]
fn no_error_of_a_lookup_is_taken_for_an_offset() {
    for code in ErrorCode::ALL.iter().copied().filter(|code| !code.is_ok()) {
        let mut world = world([log(1, 3)]);
        world.ask();
        let (name, asked) = world.questions.remove(0);
        world.subscription.handle_answer(&name, asked, Answer::Error(code), world.now, UNIT_RANDOM);
        assert_eq!(position(&world, 0), None, "{code}");
        match world.settle() {
            Some(Delivery::Error(_)) => {}
            Some(Delivery::Batch { batch, .. }) => assert_eq!(batch.first_offset(), Some(0), "{code}"),
            None => panic!("{code}: it was not asked again"),
        }
    }
}

#[test]
fn out_of_range_resets_by_the_policy() {
    let mut world = at_start(OffsetReset::Earliest, 3);
    seek(&mut world, 0, 77);
    assert_eq!(world.settle_batch(), (0, (0..10).collect()));
}

#[test]
fn out_of_range_without_a_policy_is_told_once_and_a_seek_goes_on() {
    let mut world = at_start(OffsetReset::None, 3);
    seek(&mut world, 0, 77);
    let position = Position::new(77);
    assert_eq!(world.settle_error(), RecvError::OffsetOutOfRange { partition: tp(0), position });
    assert!(world.settle().is_none(), "it is told once");
    seek(&mut world, 0, 20);
    assert_eq!(world.settle_batch(), (0, (20..30).collect()));
}

#[test]
fn what_was_fetched_before_the_log_was_deleted_is_handed_over_before_the_reset() {
    let mut world = at_start(OffsetReset::Earliest, 9);
    world.subscription.config.partition_fetch_bytes_max = 1;
    world.send(1);
    world.answer(1, |_| None);
    // The next fetch begins at 10, and retention has come there.
    let log = world.logs.get_mut(&tp(0)).unwrap();
    log.start_offset = 50;
    log.batches.retain(|(start, ..)| *start >= 50);
    world.send(1);
    world.answer(1, |_| None);
    assert_eq!(world.settle_batch(), (0, (0..10).collect()));
    assert_eq!(world.settle_batch(), (0, (50..60).collect()));
}
