//! The budget.

use super::*;

#[test]
fn a_slow_application_bounds_what_is_fetched() {
    let prefetch_bytes = 60_000;
    let mut world = world_with(
        SubscriptionConfig { prefetch_bytes, partition_fetch_bytes_max: 20_000, ..config() },
        [log(1, 2_000)],
    );
    seek(&mut world, 0, 0);
    world.ask();
    let mut fetches = 0;
    while world.send(1) {
        world.answer(1, |_| None);
        fetches += 1;
        assert!(world.subscription.budget.used() <= prefetch_bytes, "after {fetches} fetches");
        assert!(fetches < 100, "it goes on without end");
    }
    assert!(fetches >= 2, "it is ahead");
    // Taking some makes room again.
    assert!(world.settle().is_some());
}

/// Has a broker answer as long as it is asked.
fn fill(world: &mut World, node_id: i32) {
    while world.send(node_id) {
        world.answer(node_id, |_| None);
    }
}

/// At the start of these logs, with answers of 20,000 bytes at first.
fn with_small_answers(logs: impl IntoIterator<Item = Log>) -> World {
    let config =
        SubscriptionConfig { answer_bytes_min: 20_000, partition_fetch_bytes_max: 1 << 20, ..config() };
    let mut world = world_with(config, logs);
    for name in world.logs.keys().cloned().collect::<Vec<_>>() {
        world.subscription.seek(&name, Seek::To(Position::new(0))).unwrap();
    }
    world.ask();
    world
}

#[test]
fn a_broker_is_asked_three_answers_ahead_and_on_when_one_is_used_up() {
    let mut world = with_small_answers([log(1, 2_000)]);
    fill(&mut world, 1);
    let ahead = world.subscription.budget.used();
    assert!((40_000..=60_000).contains(&ahead), "{ahead}");
    assert!(matches!(world.take_decoded(), Some(Delivery::Batch { .. })));
    assert!(!world.send(1), "that was not much");
    while world.subscription.budget.used() > 40_000 {
        assert!(matches!(world.take_decoded(), Some(Delivery::Batch { .. })));
    }
    assert!(world.send(1));
}

#[test]
fn who_waits_for_answers_is_given_longer_ones() {
    let mut world = with_small_answers([log(1, 2_000)]);
    for answers in 0..9 {
        while world.take_decoded().is_some() {}
        world.subscription.handle_dry(world.now);
        assert!(world.send(1));
        assert_eq!(world.flights[0].plan.bytes_max, 20_000 << (answers / 3));
        world.now += Duration::from_millis(100);
        world.answer(1, |_| None);
    }
}

#[test]
fn the_end_of_the_log_makes_no_answer_longer() {
    let mut world = with_small_answers([log(1, 1)]);
    for batch in 1..10 {
        while world.take_decoded().is_some() {}
        world.subscription.handle_dry(world.now);
        world.send(1);
        assert_eq!(world.flights[0].plan.bytes_max, 20_000);
        world.now += Duration::from_millis(100);
        world.answer(1, |_| None);
        let start = 10 * batch;
        let records = LogBatch::new(start, 10).encode();
        world.logs.get_mut(&tp(0)).unwrap().append(start + 10, records, start..start + 10);
    }
}

#[test]
fn what_paused_partitions_have_buffered_keeps_nobody_from_being_ahead_and_is_kept() {
    let mut world = with_small_answers([log(1, 2_000), log(1, 2_000)]);
    world.subscription.pause(&tp(1)).unwrap();
    fill(&mut world, 1);
    let ahead = world.subscription.budget.used();
    world.subscription.pause(&tp(0)).unwrap();
    world.subscription.resume(&tp(1)).unwrap();
    fill(&mut world, 1);
    assert_eq!(world.subscription.budget.used(), 2 * ahead, "of both partitions");
}

/// Two logs of one broker, whose batches are decompressed into a buffer of 1 MiB: many times what a broker is asked ahead.
fn with_large_buffer() -> World {
    let log = || {
        let mut log = Log::new(1);
        for start in [0, 1_000] {
            let batch = LogBatch::new(start, 1_000).compressed(Compression::Lz4).encode();
            log.append(start + 1_000, batch, start..start + 1_000);
        }
        log
    };
    let config = SubscriptionConfig { answer_bytes_min: 4_000, ..config() };
    let mut world = world_with(config, [log(), log()]);
    world.reuse_buffer(Vec::with_capacity(1 << 20));
    for partition in 0..2 {
        seek(&mut world, partition, 0);
    }
    world.subscription.pause(&tp(1)).unwrap();
    world.ask();
    assert!(world.send(1) && world.answer(1, |_| None));
    world
}

#[test]
fn what_is_decompressed_of_a_paused_partition_keeps_nobody_from_being_fetched() {
    let mut world = with_large_buffer();
    assert!(world.decode() && world.finish_decoding());
    world.subscription.pause(&tp(0)).unwrap();
    world.subscription.resume(&tp(1)).unwrap();
    assert!(world.send(1));
}

#[test]
fn nor_does_what_is_being_decoded_when_it_is_paused() {
    let mut world = with_large_buffer();
    assert!(world.decode());
    world.subscription.pause(&tp(0)).unwrap();
    world.subscription.resume(&tp(1)).unwrap();
    while world.send(1) {
        world.answer(1, |_| None);
    }
    let ahead = world.subscription.budget.used();
    assert!(world.finish_decoding());
    assert!(world.subscription.budget.used() >= ahead + (1 << 20));
    while world.take_decoded().is_some() {}
    assert!(world.send(1), "nothing of partition 1 is left");
}

#[test]
fn an_application_for_which_something_lies_ready_does_not_wait() {
    let mut world = with_small_answers([log(1, 2_000)]);
    // It has gone to do something else after this.
    world.subscription.handle_dry(world.now);
    for _ in 0..3 {
        assert!(world.send(1));
        assert_eq!(world.flights[0].plan.bytes_max, 20_000);
        world.now += Duration::from_millis(100);
        world.answer(1, |_| None);
    }
    while world.take_decoded().is_some() {}
    assert!(world.send(1));
    assert_eq!(world.flights[0].plan.bytes_max, 20_000);
}

#[test]
fn what_is_decompressed_counts_with_the_buffer_that_it_is_in() {
    let mut log = Log::new(1);
    log.append(1_000, LogBatch::new(0, 1_000).compressed(Compression::Lz4).encode(), 0..1_000);
    let mut world = world_with(SubscriptionConfig { policy: OffsetReset::None, ..config() }, [log]);
    world.reuse_buffer(Vec::with_capacity(1 << 20));
    seek(&mut world, 0, 0);
    world.ask();
    world.send(1);
    world.answer(1, |_| None);
    let frame = world.subscription.budget.used();
    world.decode();
    world.finish_decoding();
    assert!(world.subscription.budget.used() - frame >= 1 << 20);
    assert!(matches!(world.take(), Some(Delivery::Batch { .. })));
    assert_eq!(world.subscription.budget.used(), 0);
}

#[test]
fn what_paused_partitions_have_buffered_gives_way_to_others() {
    let mut world = world_with(
        SubscriptionConfig { prefetch_bytes: 20_000, partition_fetch_bytes_max: 10_000, ..config() },
        [log(1, 100), log(1, 100)],
    );
    seek(&mut world, 0, 0);
    world.subscription.pause(&tp(1)).unwrap();
    world.ask();
    while world.send(1) {
        world.answer(1, |_| None);
    }
    world.subscription.pause(&tp(0)).unwrap();
    world.subscription.resume(&tp(1)).unwrap();
    let (partition, _) = world.settle_batch();
    assert_eq!(partition, 1, "the budget was full of partition 0");
    world.subscription.pause(&tp(1)).unwrap();
    world.subscription.resume(&tp(0)).unwrap();
    assert_eq!(world.settle_batch(), (0, (0..10).collect()), "which loses nothing by it");
}

#[test]
fn a_pause_wakes_brokers_that_wait_for_the_room_it_may_make() {
    let mut world =
        world_with(SubscriptionConfig { prefetch_bytes: 1_000, ..config() }, [log(1, 9), log(2, 9)]);
    for partition in 0..2 {
        seek(&mut world, partition, 0);
    }
    world.ask();
    world.send(1);
    world.answer(1, |_| None);
    assert!(!world.send(2), "the budget is full of partition 0");
    world.subscription.pause(&tp(0)).unwrap();
    assert!(world.send(2));
}

#[test]
fn a_pause_keeps_what_is_buffered() {
    let mut world = at_start(OffsetReset::None, 3);
    world.send(1);
    world.answer(1, |_| None);
    world.subscription.pause(&tp(0)).unwrap();
    assert!(world.subscription.poll_delivery(usize::MAX).is_none());
    assert!(!world.decode(), "nothing of it is decoded meanwhile");
    world.subscription.resume(&tp(0)).unwrap();
    assert!(world.decode(), "without another fetch");
}

#[test]
fn a_batch_larger_than_every_limit_is_read() {
    let mut log = Log::new(1);
    log.append(5_000, LogBatch::new(0, 5_000).encode(), 0..5_000);
    log.append(5_001, LogBatch::new(5_000, 1).encode(), 5_000..5_001);
    let config = SubscriptionConfig { partition_fetch_bytes_max: 10, prefetch_bytes: 10, ..config() };
    let mut world = world_with(config, [log]);
    assert_eq!(world.settle_batch(), (0, (0..5_000).collect()));
    assert_eq!(world.settle_batch(), (0, vec![5_000]));
}

#[test]
fn a_partition_named_twice_or_not_asked_for_leaves_nothing_in_the_budget() {
    let mut world = world([log(1, 1), log(2, 1), log(1, 1)]);
    for partition in 0..3 {
        seek(&mut world, partition, 0);
    }
    world.ask();
    world.send(1);
    let records = LogBatch::new(0, 10).encode();
    let stranger = TopicPartition::new("other", 0);
    let parts = [tp(0), tp(1), tp(0), stranger, tp(2), tp(2)].map(|name| (name, records.clone()));
    world.answer_with(1, &parts);
    let mut given = BTreeMap::<_, Vec<i64>>::new();
    while let Some(Delivery::Batch { batch, .. }) = world.settle() {
        given.entry(batch.partition()).or_default().extend(batch.iter().map(|record| record.offset));
    }
    let all: Vec<i64> = (0..10).collect();
    assert_eq!(given, BTreeMap::from([(0, all.clone()), (1, all.clone()), (2, all)]));
    for node in 1..=3 {
        world.lose(node);
    }
    assert_eq!(world.subscription.budget.used(), 0);
}
