//! What is assigned, and what metadata say of it.

use super::*;

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
