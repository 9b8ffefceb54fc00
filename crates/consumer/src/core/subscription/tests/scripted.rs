//! One thing at a time.
// long file: a rule of the subscription is a short script here, and there are many rules

use std::time::Duration;

use milena_client::RequestError;
use milena_protocol::{ErrorCode, Uuid};
use milena_records::Compression;
use proptest::prelude::*;

use super::super::*;
use super::world::*;
use crate::core::fetching::Lane;
use crate::core::partition::{EpochChecks, Question, Watermarks};
use crate::testing::LogBatch;

/// A log of `batches` batches of 10 records, led by `leader`.
fn log(leader: i32, batches: i64) -> Log {
    let mut log = Log::new(leader);
    for batch in 0..batches {
        let start = 10 * batch;
        log.append(start + 10, LogBatch::new(start, 10).encode(), start..start + 10);
    }
    log
}

fn world(logs: impl IntoIterator<Item = Log>) -> World {
    world_with(config(), logs)
}

fn world_with(config: SubscriptionConfig, logs: impl IntoIterator<Item = Log>) -> World {
    World::new(config, (0..).map(tp).zip(logs).collect())
}

fn seek(world: &mut World, partition: i32, offset: i64) {
    world.subscription.seek(&tp(partition), Seek::To(Position::new(offset))).unwrap();
}

fn position(world: &World, partition: i32) -> Option<i64> {
    world.subscription.position(&tp(partition)).unwrap().map(|position| position.offset)
}

/// Partition 0 at offset 0, its fetch not sent yet.
fn at_start(policy: OffsetReset, batches: i64) -> World {
    let mut world = world_with(SubscriptionConfig { policy, ..config() }, [log(1, batches)]);
    seek(&mut world, 0, 0);
    world.ask();
    world
}

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

// Truncation (KIP-320).

/// An answer that says where the log differs.
fn diverge(world: &mut World, end: Position) {
    let Flight { node_id, plan } = world.flights.remove(0);
    let answer = PartitionAnswer {
        partition: tp(0),
        error: ErrorCode::None,
        watermarks: Watermarks::default(),
        diverging: Some(end),
        preferred_read_replica: None,
        data: None,
    };
    world.subscription.handle_fetched(node_id, &plan, vec![answer], 100, world.now, UNIT_RANDOM);
}

#[test]
fn a_diverging_epoch_sends_the_consumer_back_to_where_the_log_differs() {
    let mut world = at_start(OffsetReset::Latest, 3);
    let from = Position::new(20).with_leader_epoch(3);
    world.subscription.seek(&tp(0), Seek::To(from)).unwrap();
    world.send(1);
    assert_eq!(world.flights[0].plan.targets[0].1.last_fetched_epoch, Some(3));
    diverge(&mut world, Position::new(15).with_leader_epoch(2));
    let position = world.subscription.position(&tp(0)).unwrap();
    assert_eq!(position, Some(Position::new(15).with_leader_epoch(2)));
}

#[test]
fn without_a_policy_a_truncated_log_is_told_with_its_offsets() {
    let mut world = at_start(OffsetReset::None, 3);
    let from = Position::new(20).with_leader_epoch(3);
    world.subscription.seek(&tp(0), Seek::To(from)).unwrap();
    world.send(1);
    let end = Position::new(15).with_leader_epoch(2);
    diverge(&mut world, end);
    let told = RecvError::LogTruncated { partition: tp(0), position: from, diverging: Some(end) };
    assert_eq!(world.settle_error(), told);
    assert_eq!(position(&world, 0), Some(20), "the application decides");
}

#[test]
fn what_is_buffered_of_a_truncated_log_is_fetched_again_from_the_position() {
    let mut world = at_start(OffsetReset::None, 3);
    world.subscription.config.partition_fetch_bytes_max = 1;
    world.send(1);
    world.answer(1, |_| None);
    world.send(1);
    assert_eq!(world.flights[0].plan.targets[0].1.fetch_offset, 10);
    diverge(&mut world, Position::new(5).with_leader_epoch(0));
    assert_eq!(position(&world, 0), Some(0), "nothing was handed over yet");
    world.send(1);
    assert_eq!(world.flights[0].plan.targets[0].1.fetch_offset, 0);
}

#[test]
fn a_divergence_above_the_position_does_not_loop() {
    let mut world = at_start(OffsetReset::None, 3);
    world.subscription.seek(&tp(0), Seek::To(Position::new(20).with_leader_epoch(5))).unwrap();
    world.send(1);
    diverge(&mut world, Position::new(25).with_leader_epoch(4));
    world.send(1);
    let target = world.flights[0].plan.targets[0].1;
    assert_eq!((target.fetch_offset, target.last_fetched_epoch), (20, Some(4)));
}

#[test]
fn old_brokers_are_asked_where_the_epoch_ends_when_the_leader_changes() {
    let mut world = at_start(OffsetReset::None, 3);
    world.checks = EpochChecks::BeforeFetch;
    assert_eq!(world.settle_batch(), (0, (0..10).collect()));
    let log = world.logs.get_mut(&tp(0)).unwrap();
    (log.leader, log.leader_epoch) = (2, 1);
    world.publish_metadata();
    world.ask();
    assert!(!world.send(2), "the position is validated first");
    world.ask();
    let questions: Vec<_> = world.questions.iter().map(|(_, asked)| asked.question).collect();
    assert_eq!(questions, [Question::EpochEnd(Position::new(10).with_leader_epoch(0))]);
    let (name, asked) = world.questions.remove(0);
    let end = Position::new(6).with_leader_epoch(0);
    world.subscription.handle_answer(&name, asked, Answer::EpochEnd(Some(end)), world.now, UNIT_RANDOM);
    let position = Position::new(10).with_leader_epoch(0);
    let told = RecvError::LogTruncated { partition: tp(0), position, diverging: Some(end) };
    assert_eq!(world.settle_error(), told);
}

#[test]
fn a_topic_created_anew_is_a_truncated_one() {
    let mut world = at_start(OffsetReset::None, 3);
    assert_eq!(world.settle_batch(), (0, (0..10).collect()));
    world.topic_id = Uuid([2; 16]);
    world.publish_metadata();
    let position = Position::new(10).with_leader_epoch(0);
    let told = RecvError::LogTruncated { partition: tp(0), position, diverging: None };
    assert_eq!(world.settle_error(), told);
}

// Brokers.

#[test]
fn a_broker_that_hangs_keeps_nobody_else_from_fetching() {
    let mut world =
        world_with(SubscriptionConfig { prefetch_bytes: 100_000, ..config() }, [log(1, 3), log(2, 3)]);
    for partition in 0..2 {
        seek(&mut world, partition, 0);
    }
    world.ask();
    assert!(world.send(1), "broker 1 will never answer");
    for _ in 0..10 {
        assert!(world.send(2));
        world.answer(2, |_| None);
        while world.decode() {
            world.finish_decoding();
        }
        while let Some(delivery) = world.take() {
            assert!(matches!(delivery, Delivery::Batch { batch, .. } if batch.partition() == 1));
        }
    }
    assert_eq!(position(&world, 1), Some(30));
}

#[test]
fn a_leader_that_moves_is_followed_without_waiting_for_the_old_one() {
    let mut world = at_start(OffsetReset::None, 3);
    assert!(world.send(1), "broker 1 will never answer");
    let log = world.logs.get_mut(&tp(0)).unwrap();
    (log.leader, log.leader_epoch) = (2, 1);
    world.publish_metadata();
    world.ask();
    assert!(world.send(2));
    let target = world.flights.last().unwrap().plan.targets[0].1;
    assert_eq!((target.fetch_offset, target.current_leader_epoch), (0, Some(1)));
}

#[test]
fn partitions_come_first_in_turn() {
    let mut world = world([log(1, 1), log(1, 1), log(1, 1)]);
    for partition in 0..3 {
        seek(&mut world, partition, 0);
    }
    world.ask();
    let mut firsts = BTreeSet::new();
    for _ in 0..3 {
        world.send(1);
        firsts.insert(world.flights[0].plan.targets[0].0.partition);
        world.lose(1);
    }
    assert_eq!(firsts, BTreeSet::from([0, 1, 2]));
}

#[test]
fn an_error_of_a_broker_is_told_once_until_it_works_again() {
    let mut world = at_start(OffsetReset::None, 3);
    let error = RequestError::ClientClosed;
    for _ in 0..3 {
        world.subscription.handle_broker_failure(1, &error, world.now, UNIT_RANDOM);
    }
    let told = RecvError::Broker { node_id: 1, error: error.clone() };
    assert_eq!(world.settle_error(), told);
    assert!(matches!(world.settle(), Some(Delivery::Batch { .. })));
    world.subscription.handle_broker_failure(1, &error, world.now, UNIT_RANDOM);
    assert!(
        matches!(world.subscription.poll_delivery(usize::MAX), Some(Delivery::Error(error)) if error == told)
    );
}

#[test]
fn a_preferred_replica_is_fetched_from_and_left_when_it_fails() {
    let mut world = at_start(OffsetReset::None, 3);
    world.send(1);
    let Flight { node_id, plan } = world.flights.remove(0);
    let answer = PartitionAnswer {
        partition: tp(0),
        error: ErrorCode::None,
        watermarks: Watermarks::default(),
        diverging: None,
        preferred_read_replica: Some(3),
        data: None,
    };
    world.subscription.handle_fetched(node_id, &plan, vec![answer], 100, world.now, UNIT_RANDOM);
    world.ask();
    assert!(!world.send(1) && world.send(3));
    world.answer(3, |_| Some(ErrorCode::OffsetOutOfRange));
    assert_eq!(position(&world, 0), Some(0), "a replica that is behind resets nothing");
    world.ask();
    world.now += Duration::from_secs(5);
    assert!(world.send(1) && !world.send(3));
}

#[test]
fn a_preferred_replica_that_fails_or_is_not_known_is_not_tried_without_a_pause() {
    for replica in [3, 99] {
        let mut world = at_start(OffsetReset::None, 3);
        let mut sent = 0;
        let began = world.now;
        while world.now < began + Duration::from_secs(1) {
            world.ask();
            if world.send(1) {
                sent += 1;
                let Flight { node_id, plan } = world.flights.remove(0);
                let answer = PartitionAnswer {
                    partition: tp(0),
                    error: ErrorCode::None,
                    watermarks: Watermarks::default(),
                    diverging: None,
                    preferred_read_replica: Some(replica),
                    data: None,
                };
                world.subscription.handle_fetched(node_id, &plan, vec![answer], 100, world.now, UNIT_RANDOM);
            }
            world.ask();
            world.subscription.handle_broker_failure(
                replica,
                &RequestError::NoBroker("it is down".to_owned()),
                world.now,
                UNIT_RANDOM,
            );
            world.now += Duration::from_millis(1);
        }
        assert!((5..=20).contains(&sent), "{sent} fetches in a second");
    }
}

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

// Detours.

/// Partitions 0 and 1 on one broker, at their ends, and a long poll for both in flight.
fn long_polling() -> World {
    let mut world =
        world_with(SubscriptionConfig { policy: OffsetReset::None, ..config() }, [log(1, 3), log(1, 3)]);
    for partition in 0..2 {
        seek(&mut world, partition, 30);
    }
    world.ask();
    assert!(world.send(1));
    assert_eq!(world.flights[0].plan.max_wait, Duration::from_millis(500));
    world
}

const DETOUR: LoopId = LoopId { node_id: 1, lane: Lane::Detour };

#[test]
fn a_seek_during_a_long_poll_takes_a_detour_that_the_broker_answers_at_once() {
    let mut world = long_polling();
    assert!(!world.send(1), "both partitions are in flight");
    seek(&mut world, 0, 10);
    world.ask();
    assert!(world.send_on(DETOUR));
    let plan = &world.flights[1].plan;
    assert_eq!((plan.targets.len(), plan.targets[0].1.fetch_offset), (1, 10));
    assert_eq!(plan.max_wait, Duration::ZERO);
}

#[test]
fn an_empty_detour_is_repeated_with_pauses_and_the_main_lane_takes_over_without_one() {
    let mut world = long_polling();
    seek(&mut world, 0, 30);
    world.ask();
    assert!(world.send_on(DETOUR));
    let long_poll = world.flights.remove(0);
    let mut sent = 0;
    let began = world.now;
    while world.now < began + Duration::from_millis(500) {
        if world.flights.is_empty() {
            sent += usize::from(world.send_on(DETOUR));
        } else {
            world.answer(1, |_| None);
        }
        world.now += Duration::from_millis(1);
    }
    assert!((3..=6).contains(&sent), "{sent} detours in half a second");
    world.lose(1);
    world.flights.push(long_poll);
    world.answer(1, |_| None);
    assert!(world.send(1));
    assert_eq!(world.flights[0].plan.targets.len(), 2, "the main lane has both again");
    assert!(!world.send_on(DETOUR));
}

#[test]
fn while_a_detour_is_under_way_the_main_lane_does_not_wait_long_to_take_over() {
    let mut world = long_polling();
    seek(&mut world, 0, 10);
    world.ask();
    assert!(world.send_on(DETOUR));
    world.answer(1, |_| None);
    assert!(world.send(1));
    let plan = &world.flights[1].plan;
    assert_eq!((plan.lane, plan.targets.len()), (Lane::Main, 1));
    assert!(plan.max_wait <= Duration::from_millis(50));
    // The detour brings records, and there is no other one: the main lane comes soon.
    world.answer(1, |_| None);
    assert!(!world.send_on(DETOUR));
    world.answer(1, |_| None);
    assert!(world.send(1));
    assert_eq!(world.flights[0].plan.targets.len(), 2);
}

#[test]
fn who_does_not_let_brokers_wait_needs_no_detour() {
    let config = SubscriptionConfig { fetch_max_wait: Duration::from_millis(5), ..config() };
    let mut world = world_with(config, [log(1, 3)]);
    seek(&mut world, 0, 30);
    world.ask();
    assert!(world.send(1));
    seek(&mut world, 0, 10);
    world.ask();
    assert!(!world.send_on(DETOUR));
}

// Memory.

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

// Assignment.

#[test]
fn partitions_that_a_followed_topic_grows_are_read_from_their_beginning() {
    let mut world = world_with(SubscriptionConfig { policy: OffsetReset::Latest, ..config() }, [log(1, 1)]);
    world.subscription.assign(BTreeSet::new());
    world.subscription.follow_topic("t".into(), 1);
    assert!(world.settle().is_none(), "the policy is: latest");
    world.logs.insert(tp(1), log(2, 1));
    world.publish_metadata();
    assert_eq!(world.settle_batch(), (1, (0..10).collect()));
}

#[test]
fn without_a_policy_an_assigned_partition_waits_for_a_seek() {
    let mut world = world_with(SubscriptionConfig { policy: OffsetReset::None, ..config() }, [log(1, 1)]);
    assert_eq!(world.settle_error(), RecvError::NoPosition { partition: tp(0) });
    assert!(world.settle().is_none());
    seek(&mut world, 0, 5);
    assert_eq!(world.settle_batch(), (0, (5..10).collect()));
}

#[test]
fn partitions_that_stay_assigned_keep_their_position() {
    let mut world = world([log(1, 3), log(2, 3)]);
    seek(&mut world, 0, 20);
    world.subscription.assign(BTreeSet::from([tp(0)]));
    assert_eq!(position(&world, 0), Some(20));
    assert!(world.subscription.position(&tp(1)).is_err());
}

#[test]
fn older_metadata_does_not_turn_leaders_back() {
    let mut world = at_start(OffsetReset::None, 1);
    let older = world.subscription.metadata.clone();
    let log = world.logs.get_mut(&tp(0)).unwrap();
    (log.leader, log.leader_epoch) = (2, 1);
    world.publish_metadata();
    world.subscription.handle_metadata(older);
    world.ask();
    assert!(!world.send(1) && world.send(2));
}

#[test]
fn what_is_wrong_with_a_topic_is_told_once_until_it_changes() {
    let mut world = world([log(1, 1), log(1, 1)]);
    let told = |code| RecvError::Topic { topic: "t".to_owned(), code };
    world.topic_error = ErrorCode::UnknownTopicOrPartition;
    world.publish_metadata();
    assert!(world.subscription.errors.is_empty(), "it may come yet");
    world.topic_error = ErrorCode::TopicAuthorizationFailed;
    world.publish_metadata();
    world.publish_metadata();
    assert_eq!(world.settle_error(), told(ErrorCode::TopicAuthorizationFailed));
    assert!(world.subscription.errors.is_empty());
    world.topic_error = ErrorCode::None;
    world.publish_metadata();
    world.topic_error = ErrorCode::TopicAuthorizationFailed;
    world.publish_metadata();
    assert_eq!(world.settle_error(), told(ErrorCode::TopicAuthorizationFailed));
    // Assigned anew, it is told anew: after metadata that are newer than the assignment.
    world.subscription.assign(BTreeSet::new());
    world.subscription.assign(BTreeSet::from([tp(0)]));
    assert!(world.subscription.errors.is_empty());
    assert!(world.subscription.take_effects().metadata);
    world.publish_metadata();
    assert_eq!(world.subscription.errors, [told(ErrorCode::TopicAuthorizationFailed)]);
}
