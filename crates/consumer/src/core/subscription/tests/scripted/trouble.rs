//! Panics, and what a broker sends that no log can be.

use super::*;

// Panics.

#[test]
fn a_decoder_that_panics_stops_the_partition_it_was_at_after_what_came_before() {
    for sought in [false, true] {
        let config = SubscriptionConfig { decode_ahead_bytes: 1 << 20, ..config() };
        let mut world = world_with(config, [log(1, 3), log(1, 3)]);
        for partition in 0..2 {
            seek(&mut world, partition, 0);
        }
        world.ask();
        world.send(1);
        world.answer(1, |_| None);
        // Both have their first part decoded; the decoder is at the second part of one of them.
        for _ in 0..2 {
            assert!(world.decode());
            world.finish_decoding();
        }
        assert!(world.decode());
        let (lost, _) = world.decoding.pop().unwrap();
        let (lost, other) = (lost.partition().clone(), 1 - lost.partition().partition);
        if sought {
            seek(&mut world, lost.partition, 20);
        }
        world.subscription.handle_decoder_panic("index out of bounds".to_owned());
        let mut given = BTreeMap::<_, Vec<i64>>::new();
        let mut errors = Vec::new();
        while let Some(delivery) = world.settle() {
            match delivery {
                Delivery::Error(error) => errors.push(error),
                Delivery::Batch { batch, .. } => given
                    .entry(batch.partition())
                    .or_default()
                    .extend(batch.iter().map(|record| record.offset)),
            }
        }
        assert_eq!(given[&other].last(), Some(&29), "the other one goes on");
        if sought {
            assert_eq!((&given[&lost.partition], errors.len()), (&(20..30).collect(), 0));
        } else {
            let message = "index out of bounds".to_owned();
            let told =
                RecvError::Panicked { partition: Some(lost.clone()), task: "decoding".to_owned(), message };
            assert_eq!(errors, [told]);
            assert_eq!(position(&world, lost.partition), Some(10));
            world.subscription.resume(&lost).unwrap();
            assert_eq!(world.settle_batch(), (lost.partition, (10..20).collect()), "it is fetched again");
        }
        world.lose(1);
        world.subscription.assign(BTreeSet::new());
        assert_eq!((world.subscription.budget.used(), world.subscription.ready_bytes), (0, 0));
    }
}

#[test]
fn questions_that_a_manager_asked_before_it_panicked_are_asked_again() {
    let mut world = world([log(1, 3)]);
    world.ask();
    assert_eq!(world.questions.len(), 1);
    world.questions.clear();
    world.subscription.handle_manager_restart();
    assert!(matches!(world.subscription.poll_action(world.now), Some(Action::Fetch(ids)) if ids.len() == 1));
    assert!(
        matches!(world.subscription.poll_action(world.now), Some(Action::Ask(questions)) if questions.len() == 1)
    );
}

#[test]
fn errors_that_nobody_hears_are_bounded_and_not_repeated() {
    let mut world = at_start(OffsetReset::None, 0);
    for number in 0..1_000 {
        world.subscription.handle_panic("fetching".to_owned(), (number / 2).to_string());
    }
    let told = std::iter::from_fn(|| world.take()).count();
    assert_eq!(told, ERRORS_MAX);
}

// What a broker sends that no log can be.

#[test]
fn batches_out_of_order_stop_their_partition_where_it_is_and_no_other() {
    let mut world = world([log(1, 3), log(1, 3)]);
    for partition in 0..2 {
        seek(&mut world, partition, 0);
    }
    world.ask();
    world.send(1);
    let overlapping = crate::testing::log(&[LogBatch::new(0, 10), LogBatch::new(5, 3)]);
    world.answer_with(1, &[(tp(0), overlapping), (tp(1), LogBatch::new(0, 10).encode())]);
    let mut errors = Vec::new();
    let mut given = Vec::new();
    while let Some(delivery) = world.settle() {
        match delivery {
            Delivery::Error(error) => errors.push(error),
            Delivery::Batch { batch, .. } => {
                assert_eq!(batch.partition(), 1);
                given.extend(batch.iter().map(|record| record.offset));
            }
        }
    }
    assert!(matches!(&errors[..], [RecvError::Corrupt { offset: 0, .. }]), "{errors:?}");
    assert_eq!(given, (0..30).collect::<Vec<_>>());
    assert_eq!(position(&world, 0), Some(0));
    world.subscription.resume(&tp(0)).unwrap();
    assert_eq!(world.settle_batch(), (0, (0..10).collect()), "asked again, the broker sends what it has");
}

proptest::proptest! {
    /// Batches anywhere, in any order, in one answer after another: an answer that makes no sense is an error, and what comes is
    /// never there twice.
    #[test]
    fn no_order_of_batches_panics_or_delivers_a_record_twice(
        answers in prop::collection::vec(prop::collection::vec((0..40i64, 1..8i32), 1..5), 1..5),
    ) {
        let mut world = at_start(OffsetReset::None, 0);
        let mut next_offset = 0;
        for batches in answers {
            if !world.send(1) {
                break;
            }
            let batches: Vec<_> = batches.into_iter().map(|(start, count)| LogBatch::new(start, count)).collect();
            world.answer_with(1, &[(tp(0), crate::testing::log(&batches))]);
            while world.decode() {
                world.finish_decoding();
            }
            while let Some(delivery) = world.take() {
                let Delivery::Batch { batch, .. } = delivery else { break };
                for record in &batch {
                    assert!(record.offset >= next_offset, "{} comes again", record.offset);
                    next_offset = record.offset + 1;
                }
            }
        }
        world.lose(1);
        world.subscription.assign(BTreeSet::new());
        assert_eq!(world.subscription.budget.used(), 0);
    }
}
