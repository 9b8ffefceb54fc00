use milena_protocol::{ByteStr, ErrorCode};

use super::*;
use crate::config::Values;

fn node(node: NodeId) -> NodeInfo {
    NodeInfo { node, host: "127.0.0.1".into(), port: 9091 + node as u16, rack: None, alive: true }
}

fn state() -> ClusterState {
    ClusterState::new((1..=3).map(node).collect(), Configs::default(), Features::default(), Rng::from_seed(4))
}

fn topic(name: &str) -> NewTopic {
    NewTopic { name: name.into(), partitions: 2, replication_factor: 3, ..NewTopic::default() }
}

fn set(name: &str, value: &str) -> Alteration {
    Alteration { name: name.to_owned(), value: Some(value.to_owned()), operation: AlterOperation::Set }
}

#[test]
fn a_deleted_topic_leaves_nothing_and_its_name_gets_a_new_id() {
    let mut state = state();
    let configured =
        NewTopic { configs: vec![(ByteStr::from("retention.ms"), Some(ByteStr::from("1")))], ..topic("t") };
    let first = state.create_topic(&configured, false, 0).expect("created").id;
    let deleted = state.delete_topic("t").expect("it was there");
    assert_eq!((deleted.id, state.topic_by_id(&first).is_none()), (first, true));
    assert!(state.delete_topic("t").is_none());
    let second = state.create_topic(&topic("t"), false, 0).expect("created").id;
    assert_ne!(first, second);
    assert!(state.configs().topic_overrides("t").is_empty());
}

#[test]
fn added_partitions_keep_the_old_ones_and_the_id() {
    let mut state = state();
    let id = state.create_topic(&topic("t"), false, 0).expect("created").id;
    let before = state.topic("t").expect("there").partitions.clone();
    let more = NewPartitions { topic: "t".into(), count: 5, assignments: None };
    state.create_partitions(&more, false, 0, |_| Ok(())).expect("added");
    let after = state.topic("t").expect("there");
    assert_eq!((after.id, after.partitions.len()), (id, 5));
    assert!(before.iter().zip(&after.partitions).all(|(old, kept)| Arc::ptr_eq(old, kept)));
    assert_eq!(after.partitions[4].lock().leadership.replicas.len(), 3);
}

#[test]
fn validating_changes_nothing() {
    let mut state = state();
    state.create_topic(&topic("t"), true, 0).expect("valid");
    assert!(state.topic("t").is_none());
    state.create_topic(&topic("t"), false, 0).expect("created");
    let more = NewPartitions { topic: "t".into(), count: 5, assignments: None };
    state.create_partitions(&more, true, 0, |_| Ok(())).expect("valid");
    let resource = Resource::Topic("t".to_owned());
    state.alter_incrementally(&resource, &[set("retention.ms", "1")], true).expect("valid");
    assert_eq!(state.topic("t").expect("there").partitions.len(), 2);
    assert!(state.configs().topic_overrides("t").is_empty());
}

#[test]
fn names_that_differ_in_dots_and_underscores_collide() {
    let mut state = state();
    state.create_topic(&topic("a.b"), false, 0).expect("created");
    let error = state.create_topic(&topic("a_b"), false, 0).expect_err("collides");
    assert_eq!(error.code, ErrorCode::InvalidTopicException);
    state.create_topic(&topic("a-b"), false, 0).expect("a dash is another name");
}

#[test]
fn changed_configuration_reaches_logs_and_settings() {
    let mut state = state();
    state.create_topic(&topic("t"), false, 0).expect("created");
    let limit = |state: &ClusterState| {
        let partition = state.topic("t").expect("there").partitions[0].clone();
        let state = partition.lock();
        state.log.config().max_message_bytes
    };
    let all = Resource::Broker(None);
    state.alter_incrementally(&all, &[set("message.max.bytes", "700")], false).expect("dynamic");
    assert_eq!(limit(&state), 700);
    let resource = Resource::Topic("t".to_owned());
    state.alter_incrementally(&resource, &[set("max.message.bytes", "800")], false).expect("valid");
    assert_eq!(limit(&state), 800);
    state.alter_incrementally(&all, &[set("producer.id.expiration.ms", "5")], false).expect("dynamic");
    assert_eq!(state.settings().producer_id_expiration_ms, 5);
}

#[test]
fn lists_grow_and_shrink_from_their_default() {
    let mut state = state();
    state.create_topic(&topic("t"), false, 0).expect("created");
    let resource = Resource::Topic("t".to_owned());
    let mut change = |operation, value: &str| {
        let change = Alteration { operation, ..set("cleanup.policy", value) };
        state.alter_incrementally(&resource, &[change], false).expect("a list");
        state.configs().topic_overrides("t").get("cleanup.policy").cloned().unwrap_or_default()
    };
    assert_eq!(change(AlterOperation::Append, "compact"), "delete,compact");
    assert_eq!(change(AlterOperation::Append, "compact"), "delete,compact");
    assert_eq!(change(AlterOperation::Subtract, "delete"), "compact");
}

#[test]
fn the_older_alteration_replaces_all_overrides() {
    let mut state = state();
    state.create_topic(&topic("t"), false, 0).expect("created");
    let resource = Resource::Topic("t".to_owned());
    state.alter_incrementally(&resource, &[set("retention.ms", "1")], false).expect("valid");
    state.alter_all(&resource, &[set("segment.ms", "9")], false).expect("valid");
    let left = Values::from([("segment.ms".to_owned(), "9".to_owned())]);
    assert_eq!(state.configs().topic_overrides("t"), &left);
}

#[test]
fn producer_ids_are_never_given_twice() {
    let mut state = state();
    let ids: std::collections::BTreeSet<_> = (0..100).map(|_| state.new_producer_id()).collect();
    assert_eq!(ids.len(), 100);
}

#[test]
fn there_is_room_for_the_configuration_of_so_many_groups_and_again_after_one_has_none() {
    let mut state = state();
    let mut alter = |group: String, value: Option<&str>| {
        let name = "consumer.session.timeout.ms".to_owned();
        let operation = if value.is_some() { AlterOperation::Set } else { AlterOperation::Delete };
        let alteration = Alteration { name, value: value.map(str::to_owned), operation };
        let altered = state.alter_incrementally(&Resource::Group(group), &[alteration], false);
        altered.map_err(|error| error.code)
    };
    for number in 0..room::ENTRIES_MAX {
        assert_eq!(alter(format!("group-{number}"), Some("45000")), Ok(()));
    }
    assert_eq!(alter("one-more".to_owned(), Some("45000")), Err(ErrorCode::PolicyViolation));
    assert_eq!(alter("group-7".to_owned(), Some("50000")), Ok(()), "one that is there");
    assert_eq!(alter("group-7".to_owned(), None), Ok(()));
    assert_eq!(alter("one-more".to_owned(), Some("45000")), Ok(()));
}
