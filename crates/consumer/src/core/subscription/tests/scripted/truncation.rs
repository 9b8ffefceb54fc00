//! Logs that lost their end (KIP-320).

use super::*;

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
    world.subscription.handle_fetched(
        node_id,
        &plan,
        vec![answer],
        arrival(100, world.now),
        world.now,
        UNIT_RANDOM,
    );
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
