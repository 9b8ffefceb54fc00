//! Which broker is asked, when, and what becomes of its errors.

use super::*;

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
    world.subscription.handle_fetched(
        node_id,
        &plan,
        vec![answer],
        arrival(100, world.now),
        world.now,
        UNIT_RANDOM,
    );
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
                world.subscription.handle_fetched(
                    node_id,
                    &plan,
                    vec![answer],
                    arrival(100, world.now),
                    world.now,
                    UNIT_RANDOM,
                );
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

#[test]
fn records_that_came_while_a_leader_read_are_no_reason_for_a_pause() {
    for isolation_level in [IsolationLevel::ReadUncommitted, IsolationLevel::ReadCommitted] {
        let mut growing = log(1, 1);
        growing.told_watermark = Some(5);
        let mut world = world_with(SubscriptionConfig { isolation_level, ..config() }, [growing]);
        seek(&mut world, 0, 0);
        world.ask();
        assert!(world.send(1));
        world.answer(1, |_| None);
        for turn in 0..5 {
            world.ask();
            assert!(world.send(1), "not asked at once in turn {turn}");
            let Flight { node_id, plan } = world.flights.remove(0);
            assert_eq!(plan.targets[0].1.fetch_offset, 10);
            // In a session, nothing is told of partitions without news.
            let arrival = arrival(100, world.now);
            world.subscription.handle_fetched(node_id, &plan, Vec::new(), arrival, world.now, UNIT_RANDOM);
        }
    }
}

#[test]
fn what_cannot_be_read_yet_is_asked_for_with_pauses_and_keeps_nobody_waiting() {
    let mut held = log(1, 3);
    held.held_watermark = Some(10);
    let mut world = world([held, log(1, 1)]);
    seek(&mut world, 0, 20);
    seek(&mut world, 1, 10);
    let (mut asked, mut asked_for_other) = (0, 0);
    let began = world.now;
    while world.now < began + Duration::from_secs(1) {
        world.ask();
        if world.send(1) {
            let targets = &world.flights[0].plan.targets;
            asked += targets.iter().filter(|(name, _)| *name == tp(0)).count();
            asked_for_other += targets.iter().filter(|(name, _)| *name == tp(1)).count();
            // At once, although there is nothing to read.
            world.answer(1, |_| None);
        }
        world.now += Duration::from_millis(1);
    }
    assert!((2..=20).contains(&asked), "{asked} times in a second");
    assert!(asked_for_other > 900, "{asked_for_other} times in a second");

    world.logs.get_mut(&tp(0)).unwrap().held_watermark = None;
    world.now += Duration::from_secs(5);
    world.ask();
    assert_eq!(world.settle_batch(), (0, (20..30).collect()));
}
