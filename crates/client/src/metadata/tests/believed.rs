//! What of an answer is taken over.

use super::super::merge::REWINDS_REFUSED;
use super::super::{Broker, LeaderHint};
use super::*;

/// Asks for an update and has it answered so.
fn update(world: &mut World, response: MetadataResponse) {
    update_in(world, NEWEST, response);
}

fn update_in(world: &mut World, version: i16, response: MetadataResponse) {
    world.request_update();
    let ask = world.next_ask();
    world.answer_in(&ask, version, response);
}

#[test]
fn a_topic_briefly_missing_keeps_its_partitions() {
    // librdkafka 1.9 reset its sequences here and lost acknowledged records.
    let mut world = world_that_knows(answer([topic("orders", &[(1, 4), (2, 5)])]));
    let before = world.topic("orders").clone();
    for error in [ErrorCode::UnknownTopicOrPartition, ErrorCode::LeaderNotAvailable] {
        update(&mut world, answer([refused("orders", error)]));
        let now = world.topic("orders").clone();
        assert_eq!(now, TopicMetadata { error, ..before.clone() });
        assert!(world.due_in().unwrap() <= 1_000, "and is asked for again");
    }
    update(&mut world, answer([]));
    assert_eq!(world.topic("orders").partitions, before.partitions, "left out of an answer");
    update(&mut world, answer([topic("orders", &[(1, 4), (2, 5)])]));
    assert_eq!(*world.topic("orders"), before);
}

#[test]
fn a_topic_that_may_not_be_used_any_more_is_not_kept() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 4)])]));
    update(&mut world, answer([refused("orders", ErrorCode::TopicAuthorizationFailed)]));
    assert_eq!(world.topic("orders").error, ErrorCode::TopicAuthorizationFailed);
    assert!(world.topic("orders").partitions.is_empty());
}

#[test]
fn a_partition_without_a_leader_is_asked_about_until_it_has_one() {
    // vector#25375: leader -1 stuck for ever.
    let mut world = world_that_knows(answer([topic("orders", &[(1, 4), (2, 7)])]));
    let mut waits = Vec::new();
    for _ in 0..10 {
        let ask = world.next_ask();
        world.answer(&ask, answer([topic("orders", &[(-1, 4), (2, 7)])]));
        assert_eq!(world.partition("orders", 0).leader, None);
        waits.push(world.due_in().unwrap());
    }
    assert_eq!(waits[..5], [100, 200, 400, 800, 1_000]);
    let ask = world.next_ask();
    world.answer(&ask, answer([topic("orders", &[(3, 5), (2, 7)])]));
    assert_eq!(world.metadata().leader("orders", 0).map(|broker| broker.node_id), Some(3));
    assert_eq!(world.due_in(), Some(MAX_AGE.as_millis()));
}

#[test]
fn a_leader_whose_address_is_not_told_is_asked_about_again() {
    let world = world_that_knows(answer([topic("orders", &[(9, 4)])]));
    assert!(world.metadata().leader("orders", 0).is_none());
    assert_eq!(world.due_in(), Some(100));
}

#[test]
fn no_leader_does_not_make_an_earlier_leader_believable_again() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 4)])]));
    update(&mut world, answer([topic("orders", &[(-1, -1)])]));
    assert_eq!(world.partition("orders", 0).leader, None);
    assert_eq!(world.partition("orders", 0).leader_epoch, Some(4));
    update(&mut world, answer([topic("orders", &[(2, 3)])]));
    assert_eq!(world.partition("orders", 0).leader, None, "node 2 led before");
}

#[test]
fn a_leader_epoch_that_goes_back_is_refused() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 4), (2, 7)])]));
    update(&mut world, answer([topic("orders", &[(3, 3), (3, 8)])]));
    let leaders: Vec<_> =
        world.topic("orders").partitions.iter().map(|p| (p.leader, p.leader_epoch)).collect();
    assert_eq!(leaders, [(Some(1), Some(4)), (Some(3), Some(8))], "each partition for itself");
    assert_eq!(world.due_in(), Some(100), "and asked about again");
}

#[test]
fn a_leader_epoch_that_stays_back_is_believed_in_the_end() {
    // franz-go#119: refused for ever, a topic created anew was unusable.
    let mut world = world_that_knows(answer([topic("orders", &[(1, 4)])]));
    for _ in 0..REWINDS_REFUSED {
        update(&mut world, answer([topic("orders", &[(3, 0)])]));
        assert_eq!(world.partition("orders", 0).leader_epoch, Some(4));
    }
    update(&mut world, answer([topic("orders", &[(3, 0)])]));
    assert_eq!(world.partition("orders", 0).leader_epoch, Some(0));
    assert_eq!(world.partition("orders", 0).leader, Some(3));
    assert_eq!(world.due_in(), Some(MAX_AGE.as_millis()));
}

#[test]
fn late_answers_between_good_ones_are_never_believed() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 4)])]));
    for _ in 0..=REWINDS_REFUSED {
        update(&mut world, answer([topic("orders", &[(3, 3)])]));
        assert_eq!(world.partition("orders", 0).leader, Some(1));
        update(&mut world, answer([topic("orders", &[(1, 4)])]));
    }
}

#[test]
fn a_topic_created_anew_is_taken_over_whole() {
    // franz-go#198: leader epochs begin at 0 again.
    let mut world = world_that_knows(answer([topic_with_id(1, "orders", &[(1, 9), (2, 9), (3, 9)])]));
    update(&mut world, answer([topic_with_id(2, "orders", &[(2, 0)])]));
    assert_eq!(world.topic("orders").topic_id, Uuid([2; 16]));
    assert_eq!(world.topic("orders").partitions.len(), 1);
    assert_eq!(world.partition("orders", 0).leader_epoch, Some(0));
}

#[test]
fn partitions_are_never_taken_from_a_topic() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 0), (2, 0), (3, 0)])]));
    update(&mut world, answer([topic("orders", &[(2, 1), (2, 0)])]));
    let leaders: Vec<_> = world.topic("orders").partitions.iter().map(|p| p.leader.unwrap()).collect();
    assert_eq!(leaders, [2, 2, 3], "the broker that answered does not know the third one yet");
    let no_id = MetadataResponseTopic { topic_id: Uuid::ZERO, ..topic("orders", &[(1, 2)]) };
    update(&mut world, answer([no_id]));
    assert_eq!(world.topic("orders").partitions.len(), 1, "without its id it may be another topic");
}

#[test]
fn an_answer_without_ids_does_not_forget_the_id() {
    let mut world = world_that_knows(answer([topic_with_id(1, "orders", &[(1, 9)])]));
    let no_id = MetadataResponseTopic { topic_id: Uuid::ZERO, ..topic("orders", &[(1, 9)]) };
    update(&mut world, answer([no_id]));
    assert_eq!(world.topic("orders").topic_id, Uuid([1; 16]));
    assert!(world.metadata().topic_by_id(Uuid([1; 16])).is_some());
}

#[test]
fn no_topic_has_the_id_zero() {
    let no_id = MetadataResponseTopic { topic_id: Uuid::ZERO, ..topic("orders", &[(1, 9)]) };
    let world = world_that_knows(answer([no_id]));
    assert!(world.metadata().topic_by_id(Uuid::ZERO).is_none());
}

#[test]
fn leader_epochs_of_brokers_before_2_4_are_not_used() {
    // KAFKA-9212: they are behind while partitions are reassigned.
    let mut world = world();
    world.want("orders");
    let ask = world.ask();
    world.answer_in(&ask, 8, answer([topic("orders", &[(1, 5)])]));
    assert_eq!(world.partition("orders", 0).leader_epoch, None);
    update_in(&mut world, 8, answer([topic("orders", &[(2, 4)])]));
    assert_eq!(world.partition("orders", 0).leader, Some(2), "the newest answer counts");
    update_in(&mut world, 9, answer([topic("orders", &[(3, 4)])]));
    assert_eq!(world.partition("orders", 0).leader_epoch, Some(4));
}

#[test]
fn nothing_of_another_cluster_counts() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 9), (1, 9)]), topic("users", &[(1, 1)])]));
    let moved =
        MetadataResponse { cluster_id: Some("another".into()), ..answer([topic("orders", &[(2, 0)])]) };
    update(&mut world, moved);
    assert_eq!(world.partition("orders", 0).leader_epoch, Some(0));
    assert_eq!(world.topic("orders").partitions.len(), 1);
    assert!(world.metadata().topic("users").is_none());
}

#[test]
fn a_gap_between_partitions_is_filled_with_what_is_known() {
    let mut response = topic("orders", &[(1, 0), (2, 0), (3, 0)]);
    let mut world = world_that_knows(answer([response.clone()]));
    response.partitions.remove(1);
    update(&mut world, answer([response]));
    assert_eq!(world.partition("orders", 1).leader, Some(2));
}

#[test]
fn brokers_come_and_go_with_each_answer() {
    let mut world = world_that_knows(answer([]));
    let mut response = answer([]);
    response.brokers.remove(0);
    response.brokers[0].port = 70_000;
    response.brokers[1].host = "moved".into();
    response.controller_id = -1;
    update(&mut world, response);
    let addresses: Vec<_> = world.metadata().brokers.values().map(|b| b.address.to_string()).collect();
    assert_eq!(addresses, ["moved:9092"]);
    assert_eq!(world.metadata().controller_id, None);
}

fn hint(partition: i32, leader_id: i32, leader_epoch: i32) -> LeaderHint {
    LeaderHint { topic: "orders".into(), partition, leader_id, leader_epoch }
}

fn new_broker(node_id: i32) -> Broker {
    Broker { node_id, address: Address::new(format!("new-{node_id}"), 9092), rack: None }
}

#[test]
fn a_newer_leader_is_believed_from_the_old_one() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 4), (1, 4)])]));
    let version = world.metadata().version;
    assert!(world.core.handle_leader_hints(&[hint(1, 2, 5)], &[]));
    assert_eq!(world.metadata().leader("orders", 1).unwrap().node_id, 2);
    assert_eq!(world.metadata().leader("orders", 0).unwrap().node_id, 1);
    assert_eq!(world.metadata().version, version + 1);
    // A node that joined since the last answer comes with its address.
    assert!(world.core.handle_leader_hints(&[hint(1, 8, 6)], &[new_broker(8)]));
    assert_eq!(world.metadata().leader("orders", 1).unwrap().address.host, "new-8");
}

#[test]
fn hints_that_are_old_or_useless_are_passed_over() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 4)])]));
    let elsewhere = LeaderHint { topic: "unknown".into(), ..hint(0, 2, 9) };
    let useless = [
        hint(0, 2, 4),        // not newer
        hint(0, 2, 3),        // older
        hint(0, 8, 9),        // nobody knows where node 8 is
        hint(7, 2, 9),        // no such partition
        hint(-1, 2, 9),       // no partition at all
        hint(0, -1, 9),       // no leader
        hint(0, 2, -1),       // no epoch
        hint(i32::MAX, 2, 9), // no such partition
        elsewhere,            // a topic of no interest
    ];
    let version = world.metadata().version;
    assert!(!world.core.handle_leader_hints(&useless, &[new_broker(-1)]));
    assert_eq!(world.partition("orders", 0).leader, Some(1));
    assert_eq!(world.metadata().version, version);
}

#[test]
fn a_hint_outlives_an_answer_that_was_made_before_it() {
    let mut world = world_that_knows(answer([topic("orders", &[(1, 4)])]));
    world.request_update();
    let ask = world.next_ask();
    world.core.handle_leader_hints(&[hint(0, 2, 5)], &[]);
    world.answer(&ask, answer([topic("orders", &[(1, 4)])]));
    assert_eq!(world.partition("orders", 0).leader, Some(2));
}
