use std::collections::BTreeSet;

use bytes::Bytes;
use milena_protocol::encode_prefixed;
use milena_protocol::messages::consumer_protocol_assignment::TopicPartition;
use milena_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use milena_protocol::messages::{
    ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, SyncGroupRequest,
};

use super::*;
use crate::config::{Configs, Migration};
use crate::group::JoiningClient;
use crate::group::consumer::testing::TopicTable;
use crate::group::consumer::{Client, Settings};

const NOW: Moment = Moment { elapsed_ms: 1_000, wall_ms: 1_000_000 };

fn settings() -> GroupSettings {
    Configs::default().broker_settings(None).groups
}

fn subscription(topics: &[&str]) -> Bytes {
    let topics = topics.iter().map(|topic| ByteStr::from(*topic)).collect();
    encode_prefixed(1, &ConsumerProtocolSubscription { topics, ..Default::default() }).expect("encodes")
}

fn assignment(partitions: &[i32], user_data: Option<Bytes>) -> Bytes {
    let topic = TopicPartition { topic: "t".into(), partitions: partitions.to_vec() };
    let assignment = ConsumerProtocolAssignment { assigned_partitions: vec![topic], user_data };
    encode_prefixed(1, &assignment).expect("encodes")
}

fn migrant(member_id: &str, assignment: Bytes) -> Migrant {
    Migrant {
        member_id: member_id.into(),
        group_instance_id: None,
        client_id: "test".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout_ms: 60_000,
        session_timeout_ms: 10_000,
        protocols: vec![("range".into(), subscription(&["t"]))],
        assignment,
    }
}

fn classic(migrants: Vec<Migrant>) -> ClassicGroup {
    ClassicGroup::of_migrants(migrants, 7, NOW, &settings())
}

/// The classic group's members in a consumer group.
fn upgraded(classic: &ClassicGroup, migration: Migration) -> Result<ConsumerGroup, GroupError> {
    let settings = Settings { migration, ..Settings::of_broker(&settings().consumer) };
    let topics = TopicTable::of(&[("t", 3)]);
    let around = Surroundings { now_ms: NOW.elapsed_ms, settings: &settings, topics: &topics };
    ConsumerGroup::of_classic(&"group".into(), classic, &around)
}

const BIDIRECTIONAL: Migration = Migration { upgrades: true, downgrades: true };

#[test]
fn members_keep_what_they_were_assigned() {
    let classic =
        classic(vec![migrant("a", assignment(&[0, 1], None)), migrant("b", assignment(&[2], None))]);
    let group = upgraded(&classic, BIDIRECTIONAL).expect("upgraded");
    assert_eq!((group.group_epoch, group.target.epoch), (7, 7));
    let held =
        |member: &str| group.members[member].held().map(|(_, partition)| partition).collect::<Vec<_>>();
    assert_eq!((held("a"), held("b")), (vec![0, 1], vec![2]));
    assert_eq!(group.next_deadline(), Some(NOW.elapsed_ms + 10_000));
}

#[test]
fn what_a_leader_assigned_wrongly_is_not_taken_over() {
    let wrong = assignment(&[0, 1, 3, -1], None);
    let classic = classic(vec![migrant("a", assignment(&[0], None)), migrant("b", wrong)]);
    let group = upgraded(&classic, BIDIRECTIONAL).expect("upgraded");
    let held: Vec<_> = group.members["b"].held().map(|(_, partition)| partition).collect();
    assert_eq!(held, [1]);
}

#[test]
fn a_group_that_cannot_be_upgraded_says_why() {
    let says = |classic: &ClassicGroup, migration| {
        let error = upgraded(classic, migration).expect_err("refused");
        assert_eq!(error.code, ErrorCode::GroupIdNotFound);
        error.message
    };
    let plain = classic(vec![migrant("a", assignment(&[0], None))]);
    assert_eq!(
        says(&plain, Migration { upgrades: false, downgrades: true }),
        "Cannot upgrade classic group group to consumer group because online upgrade is disabled."
    );
    let custom = classic(vec![migrant("a", assignment(&[0], Some(Bytes::from_static(b"own"))))]);
    assert!(says(&custom, BIDIRECTIONAL).contains("because an unsupported custom assignor is in use."));
    let broken = classic(vec![migrant("a", Bytes::from_static(b"?"))]);
    assert!(says(&broken, BIDIRECTIONAL).ends_with("because the embedded consumer protocol is malformed."));
}

#[test]
fn a_classic_member_gives_back_and_takes_like_the_others() {
    let settings = Settings { assignment_interval_ms: 0, ..Settings::of_broker(&settings().consumer) };
    let topics = TopicTable::of(&[("t", 2)]);
    let around = Surroundings { now_ms: NOW.elapsed_ms, settings: &settings, topics: &topics };
    let classic = classic(vec![migrant("old", assignment(&[0, 1], None))]);
    let mut group = ConsumerGroup::of_classic(&"group".into(), &classic, &around).expect("upgraded");
    let joining = ConsumerGroupHeartbeatRequest {
        member_id: "new".into(),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec!["t".into()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    let client = Client { client_id: "test", host: "/127.0.0.1" };
    group.heartbeat(&joining, ByteStr::new(), client, &around).expect("joins");

    let beat = |group: &mut ConsumerGroup, generation_id| {
        let request = HeartbeatRequest { member_id: "old".into(), generation_id, ..Default::default() };
        group.heartbeat_classic(&request, NOW.elapsed_ms)
    };
    assert_eq!(beat(&mut group, 7), Err(ErrorCode::RebalanceInProgress));
    assert_eq!(beat(&mut group, 6), Err(ErrorCode::IllegalGeneration));
    let sync = |group: &mut ConsumerGroup, generation_id| {
        let request = SyncGroupRequest { member_id: "old".into(), generation_id, ..Default::default() };
        group.sync_classic(&request, &around).map(|response| {
            let (_, told) =
                decode_prefixed::<ConsumerProtocolAssignment>(response.assignment).expect("decodes");
            told.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect::<BTreeSet<_>>()
        })
    };
    assert_eq!(sync(&mut group, 7), Err(ErrorCode::RebalanceInProgress));
    let join = |group: &mut ConsumerGroup, owned: &[i32]| {
        let owned_topic = milena_protocol::messages::consumer_protocol_subscription::TopicPartition {
            topic: "t".into(),
            partitions: owned.to_vec(),
        };
        let subscription = ConsumerProtocolSubscription {
            topics: vec!["t".into()],
            owned_partitions: vec![owned_topic],
            ..Default::default()
        };
        let protocol = JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: encode_prefixed(1, &subscription).expect("encodes"),
            ..Default::default()
        };
        let request = JoinGroupRequest {
            member_id: "old".into(),
            protocol_type: "consumer".into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
            protocols: vec![protocol],
            ..Default::default()
        };
        let client = JoiningClient { client_id: "test", client_host: "/127.0.0.1", api_version: 9 };
        group.join_classic(&request, "unused".into(), client, &around)
    };
    let response = join(&mut group, &[0, 1]);
    assert_eq!((response.error_code, response.generation_id), (ErrorCode::None, 7));
    let kept = sync(&mut group, 7).expect("synced");
    assert_eq!(kept.len(), 1);
    assert_eq!(beat(&mut group, 7), Err(ErrorCode::RebalanceInProgress));
    let kept: Vec<i32> = kept.into_iter().collect();
    let response = join(&mut group, &kept);
    assert_eq!((response.error_code, response.generation_id), (ErrorCode::None, 8));
    assert_eq!(sync(&mut group, 8), Ok(kept.into_iter().collect()));
    assert_eq!(beat(&mut group, 8), Ok(()));
}

#[test]
fn a_group_with_only_classic_members_left_is_a_classic_group() {
    let classic = classic(vec![migrant("a", assignment(&[0], None))]);
    let group = upgraded(&classic, BIDIRECTIONAL).expect("upgraded");
    let mut group = Group::Consumer(group);
    let mut stays = settings();
    stays.consumer.migration.downgrades = false;
    group.maybe_downgrade(NOW, &stays);
    assert!(matches!(group, Group::Consumer(_)));
    group.maybe_downgrade(NOW, &settings());
    let Group::Classic(classic) = group else { panic!("a classic group") };
    assert_eq!((classic.migrants().len(), classic.generation_id()), (1, 7));
}
