//! Who coordinates a group, and what groups see of nodes that come, go and err.

use std::time::Duration;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{
    FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
    join_group_request,
};
use milena_broker::{ApiKey, Cluster, ErrorCode, TopicSpec};

use crate::support::*;

async fn three_nodes() -> Cluster {
    let builder = Cluster::builder().nodes(3).config("group.initial.rebalance.delay.ms", "0");
    builder.topic(TopicSpec::new("t").partitions(2)).start().await.expect("starts")
}

async fn connect(cluster: &Cluster, node: i32) -> Connection {
    Connection::open(&cluster.address(node).expect("a node")).await
}

fn id(group: &str) -> GroupId {
    GroupId(text(group))
}

async fn coordinator(connection: &mut Connection, group: &str) -> Result<i32, ErrorCode> {
    let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(group)]);
    let found = connection.call(6, &request).await.coordinators.remove(0);
    match ErrorCode::from(found.error_code) {
        ErrorCode::None => Ok(found.node_id.0),
        error => Err(error),
    }
}

/// A cluster and the coordinator of group `g`.
async fn coordinated() -> (Cluster, i32) {
    let cluster = three_nodes().await;
    assert_eq!(cluster.coordinator("g"), None, "nobody has asked yet");
    let owner = coordinator(&mut connect(&cluster, 1).await, "g").await.expect("a coordinator");
    assert_eq!(cluster.coordinator("g"), Some(owner));
    (cluster, owner)
}

fn join_request(group: &str, member_id: &str) -> JoinGroupRequest {
    let protocol = join_group_request::JoinGroupRequestProtocol::default().with_name(text("range"));
    JoinGroupRequest::default()
        .with_group_id(id(group))
        .with_member_id(text(member_id))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

/// The only member of its group, stable.
async fn settle(connection: &mut Connection, group: &str) -> JoinGroupResponse {
    let joined = connection.call(3, &join_request(group, "")).await;
    assert_eq!(joined.error_code, 0);
    let sync = SyncGroupRequest::default()
        .with_group_id(id(group))
        .with_member_id(joined.member_id.clone())
        .with_generation_id(joined.generation_id);
    assert_eq!(connection.call(3, &sync).await.error_code, 0);
    joined
}

async fn heartbeat(connection: &mut Connection, group: &str, joined: &JoinGroupResponse) -> ErrorCode {
    let request = HeartbeatRequest::default()
        .with_group_id(id(group))
        .with_member_id(joined.member_id.clone())
        .with_generation_id(joined.generation_id);
    ErrorCode::from(connection.call(4, &request).await.error_code)
}

async fn commit(connection: &mut Connection, group: &str, offset: i64) -> Vec<ErrorCode> {
    let partition = |index| {
        OffsetCommitRequestPartition::default().with_partition_index(index).with_committed_offset(offset)
    };
    let topic = OffsetCommitRequestTopic::default()
        .with_name(name("t"))
        .with_partitions(vec![partition(0), partition(1)]);
    let request = OffsetCommitRequest::default()
        .with_group_id(id(group))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let answer = connection.call(9, &request).await.topics.remove(0);
    answer.partitions.iter().map(|partition| ErrorCode::from(partition.error_code)).collect()
}

async fn fetch(connection: &mut Connection, group: &str) -> Result<Vec<(i64, ErrorCode)>, ErrorCode> {
    let topic = OffsetFetchRequestTopics::default().with_name(name("t")).with_partition_indexes(vec![0, 1]);
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(id(group))
        .with_member_epoch(-1)
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![group]);
    let answer = connection.call(9, &request).await.groups.remove(0);
    match ErrorCode::from(answer.error_code) {
        ErrorCode::None => {
            let partitions = answer.topics[0].partitions.iter();
            Ok(partitions.map(|found| (found.committed_offset, ErrorCode::from(found.error_code))).collect())
        }
        error => Err(error),
    }
}

#[tokio::test]
async fn groups_are_spread_over_nodes_and_all_nodes_agree() {
    let cluster = three_nodes().await;
    let mut owners = std::collections::BTreeSet::new();
    for number in 0..20 {
        let group = format!("group-{number}");
        let mut found = Vec::new();
        for node in 1..=3 {
            found.push(coordinator(&mut connect(&cluster, node).await, &group).await.expect("found"));
        }
        assert!(found.iter().all(|owner| *owner == found[0]), "{found:?}");
        owners.insert(found[0]);
    }
    assert_eq!(owners.len(), 3);
    assert_eq!(cluster.partitions("__consumer_offsets"), 50);
}

#[tokio::test]
async fn only_its_coordinator_serves_a_group() {
    let (cluster, owner) = coordinated().await;
    let mut right = connect(&cluster, owner).await;
    let mut wrong = connect(&cluster, owner % 3 + 1).await;
    let member = settle(&mut right, "g").await;
    assert_eq!(heartbeat(&mut wrong, "g", &member).await, ErrorCode::NotCoordinator);
    let joined = wrong.call(9, &join_request("g", "")).await;
    assert_eq!((ErrorCode::from(joined.error_code), &*joined.member_id), (ErrorCode::NotCoordinator, ""));
    let sync = SyncGroupRequest::default()
        .with_group_id(id("g"))
        .with_protocol_name(Some(text("range")))
        .with_protocol_type(Some(text("consumer")));
    assert_eq!(ErrorCode::from(wrong.call(5, &sync).await.error_code), ErrorCode::NotCoordinator);
    let leave = LeaveGroupRequest::default().with_group_id(id("g"));
    assert_eq!(ErrorCode::from(wrong.call(5, &leave).await.error_code), ErrorCode::NotCoordinator);
    assert_eq!(commit(&mut wrong, "g", 1).await, [ErrorCode::NotCoordinator; 2]);
    assert_eq!(fetch(&mut wrong, "g").await, Err(ErrorCode::NotCoordinator));
    let list = ListGroupsRequest::default();
    assert_eq!(wrong.call(5, &list).await.groups.len(), 0);
    assert_eq!(right.call(5, &list).await.groups.len(), 1);
}

#[tokio::test]
async fn a_coordinator_that_moves_takes_members_and_offsets_along() {
    let (cluster, owner) = coordinated().await;
    let mut right = connect(&cluster, owner).await;
    assert_eq!(commit(&mut right, "g", 7).await, [ErrorCode::None; 2]);
    let member = settle(&mut right, "g").await;
    let next = owner % 3 + 1;
    cluster.faults().move_coordinator("g", next);
    assert_eq!(heartbeat(&mut right, "g", &member).await, ErrorCode::NotCoordinator);
    assert_eq!(coordinator(&mut right, "g").await, Ok(next));
    let mut moved = connect(&cluster, next).await;
    assert_eq!(heartbeat(&mut moved, "g", &member).await, ErrorCode::None);
    assert_eq!(fetch(&mut moved, "g").await, Ok(vec![(7, ErrorCode::None); 2]));
}

#[tokio::test]
async fn a_join_that_waits_hears_that_the_coordinator_has_moved() {
    let (cluster, owner) = coordinated().await;
    let mut first = connect(&cluster, owner).await;
    settle(&mut first, "g").await;
    let mut second = connect(&cluster, owner).await;
    let joins = cluster.requests(ApiKey::JoinGroup);
    let waiting = second.send(3, &join_request("g", "")).await;
    eventually(&cluster, |cluster| cluster.requests(ApiKey::JoinGroup) > joins).await;
    cluster.faults().move_coordinator("g", owner % 3 + 1);
    let told = second.receive::<JoinGroupRequest>(3, waiting).await;
    assert_eq!(ErrorCode::from(told.error_code), ErrorCode::NotCoordinator);
    let waiting = second.send(3, &join_request("g", "")).await;
    let told = second.receive::<JoinGroupRequest>(3, waiting).await;
    assert_eq!(ErrorCode::from(told.error_code), ErrorCode::NotCoordinator, "and the next one, at once");
}

#[tokio::test]
async fn a_lost_coordinator_is_not_there_until_another_is_elected() {
    let (cluster, owner) = coordinated().await;
    let mut right = connect(&cluster, owner).await;
    let member = settle(&mut right, "g").await;
    cluster.faults().lose_coordinator("g");
    assert_eq!(coordinator(&mut right, "g").await, Err(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(heartbeat(&mut right, "g", &member).await, ErrorCode::NotCoordinator);
    cluster.faults().move_coordinator("g", owner);
    assert_eq!(heartbeat(&mut right, "g", &member).await, ErrorCode::None);
}

#[tokio::test]
async fn a_killed_coordinator_is_replaced_and_forgets_nothing() {
    let (cluster, owner) = coordinated().await;
    let mut right = connect(&cluster, owner).await;
    assert_eq!(commit(&mut right, "g", 7).await, [ErrorCode::None; 2]);
    cluster.faults().kill(owner).await;
    let survivor = owner % 3 + 1;
    let next = coordinator(&mut connect(&cluster, survivor).await, "g").await.expect("another");
    assert_ne!(next, owner);
    let fetched = fetch(&mut connect(&cluster, next).await, "g").await;
    assert_eq!(fetched, Ok(vec![(7, ErrorCode::None); 2]));
}

#[tokio::test]
async fn who_is_expired_while_the_coordinator_is_down_is_decided_afterwards() {
    let (cluster, owner) = coordinated().await;
    let member = settle(&mut connect(&cluster, owner).await, "g").await;
    cluster.faults().kill_unnoticed(owner).await;
    cluster.faults().restart(owner).await.expect("its port is free");
    let mut again = connect(&cluster, owner).await;
    assert_eq!(heartbeat(&mut again, "g", &member).await, ErrorCode::None);
}

#[tokio::test]
async fn sessions_end_on_request() {
    let (cluster, owner) = coordinated().await;
    let mut right = connect(&cluster, owner).await;
    let member = settle(&mut right, "g").await;
    assert_eq!(cluster.group_state("g"), Some("Stable"));
    cluster.faults().expire_group_sessions("g");
    assert_eq!(heartbeat(&mut right, "g", &member).await, ErrorCode::UnknownMemberId);
    assert_eq!((cluster.group_state("g"), cluster.group_state("h")), (Some("Empty"), None));
}

#[tokio::test]
async fn requests_of_groups_are_answered_with_errors_on_request() {
    let (cluster, owner) = coordinated().await;
    let mut right = connect(&cluster, owner).await;
    let member = settle(&mut right, "g").await;
    let faults = cluster.faults();
    for (api, error) in [
        (ApiKey::Heartbeat, ErrorCode::CoordinatorLoadInProgress),
        (ApiKey::OffsetCommit, ErrorCode::RequestTimedOut),
        (ApiKey::OffsetFetch, ErrorCode::CoordinatorNotAvailable),
        (ApiKey::JoinGroup, ErrorCode::GroupAuthorizationFailed),
        (ApiKey::FindCoordinator, ErrorCode::CoordinatorNotAvailable),
    ] {
        faults.on(api).answer_with(error);
    }
    assert_eq!(heartbeat(&mut right, "g", &member).await, ErrorCode::CoordinatorLoadInProgress);
    assert_eq!(heartbeat(&mut right, "g", &member).await, ErrorCode::None);
    assert_eq!(commit(&mut right, "h", 1).await, [ErrorCode::RequestTimedOut; 2]);
    assert_eq!(fetch(&mut right, "h").await, Err(ErrorCode::CoordinatorNotAvailable));
    let joined = right.call(9, &join_request("g", "")).await;
    assert_eq!(ErrorCode::from(joined.error_code), ErrorCode::GroupAuthorizationFailed);
    assert_eq!(coordinator(&mut right, "g").await, Err(ErrorCode::CoordinatorNotAvailable));
}

#[tokio::test]
async fn one_partitions_offset_fails_and_the_other_does_not() {
    let (cluster, owner) = coordinated().await;
    let mut right = connect(&cluster, owner).await;
    let faults = cluster.faults();
    faults.on(ApiKey::OffsetCommit).partition("t", 1).answer_with(ErrorCode::UnknownTopicOrPartition);
    let mut answered = commit(&mut right, "g", 5).await;
    answered.sort_by_key(|error| !error.is_ok());
    assert_eq!(answered, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    faults.on(ApiKey::OffsetFetch).partition("t", 0).answer_with(ErrorCode::UnstableOffsetCommit);
    let fetched = fetch(&mut right, "g").await;
    assert_eq!(fetched, Ok(vec![(-1, ErrorCode::UnstableOffsetCommit), (-1, ErrorCode::None)]));
    assert_eq!(fetch(&mut right, "g").await, Ok(vec![(5, ErrorCode::None), (-1, ErrorCode::None)]));
    assert_eq!(
        (cluster.committed_offset("g", "t", 0), cluster.committed_offset("g", "t", 1)),
        (Some(5), None)
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_while_it_joins_is_waited_for_no_longer_than_others() {
    let (cluster, owner) = coordinated().await;
    let mut first = connect(&cluster, owner).await;
    let member = settle(&mut first, "g").await;
    let mut gone = connect(&cluster, owner).await;
    gone.send(3, &join_request("g", "")).await;
    let told = async { while heartbeat(&mut first, "g", &member).await != ErrorCode::RebalanceInProgress {} };
    tokio::time::timeout(PATIENCE, told).await.expect("told in time");
    drop(gone);
    let again = first.call(3, &join_request("g", &member.member_id)).await;
    assert_eq!((again.error_code, again.generation_id, again.members.len()), (0, 2, 2));
}

#[tokio::test]
async fn offsets_expire_with_the_clock() {
    let (cluster, owner) = coordinated().await;
    let mut right = connect(&cluster, owner).await;
    commit(&mut right, "g", 5).await;
    let week = Duration::from_secs(7 * 24 * 60 * 60).as_millis() as i64;
    cluster.faults().turn_clock(week - 60_000);
    cluster.faults().run_retention();
    assert_eq!(fetch(&mut right, "g").await, Ok(vec![(5, ErrorCode::None); 2]));
    cluster.faults().turn_clock(60_000);
    cluster.faults().run_retention();
    assert_eq!(fetch(&mut right, "g").await, Ok(vec![(-1, ErrorCode::None); 2]));
    assert_eq!(right.call(5, &ListGroupsRequest::default()).await.groups.len(), 0);
}
