use milena_protocol::Uuid;
use milena_protocol::messages::{HeartbeatRequest, JoinGroupRequest, join_group_request};
use tokio::sync::oneshot;

use super::*;
use crate::config::Configs;
use crate::group::JoiningClient;
use crate::state::{ClusterState, Features};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn settings() -> GroupSettings {
    Configs::default().broker_settings(None).groups
}

fn at(elapsed_ms: i64) -> Moment {
    Moment { elapsed_ms, wall_ms: 1_000_000 + elapsed_ms }
}

fn groups() -> Groups {
    Groups::new(Rng::from_seed(3))
}

fn tenure(node: NodeId, leader_epoch: i32) -> Option<Tenure> {
    Some(Tenure { node, leader_epoch, incarnation: 1 })
}

fn simple() -> Committer<'static> {
    Committer {
        member_id: "",
        group_instance_id: None,
        generation_or_epoch: -1,
        is_transactional: false,
        api_version: 9,
    }
}

fn commit(
    groups: &mut Groups,
    group: &str,
    partition: i32,
    elapsed_ms: i64,
    expire_timestamp_ms: Option<i64>,
) {
    groups.begin_offset_commit(group, simple(), at(elapsed_ms)).expect("an empty group");
    let offset = CommittedOffset {
        offset: 1,
        leader_epoch: -1,
        metadata: ByteStr::new(),
        topic_id: Uuid::ZERO,
        commit_timestamp_ms: at(elapsed_ms).wall_ms,
        expire_timestamp_ms,
    };
    groups.offsets.commit(&group.into(), &"t".into(), partition, offset);
}

fn partitions(groups: &Groups, group: &str) -> Vec<i32> {
    groups.offsets.of_group(group).map(|(_, partition, _)| partition).collect()
}

/// Joins in the old way, without an id first.
fn join(
    groups: &mut Groups,
    group: &str,
    elapsed_ms: i64,
) -> oneshot::Receiver<milena_protocol::messages::JoinGroupResponse> {
    let protocol =
        join_group_request::JoinGroupRequestProtocol { name: "range".into(), ..Default::default() };
    let request = JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    };
    let (slot, answer) = oneshot::channel();
    let client = JoiningClient { client_id: "c", client_host: "/127.0.0.1", api_version: 3 };
    let topics = ClusterState::new(Vec::new(), Configs::default(), Features::default(), Rng::from_seed(1));
    groups.join(&request, client, slot, at(elapsed_ms), &settings(), &topics);
    answer
}

#[test]
fn the_first_deadline_of_all_groups_is_known() {
    let mut groups = groups();
    assert_eq!(groups.poll_timeout(), None);
    let _late = join(&mut groups, "late", 500);
    let _early = join(&mut groups, "early", 0);
    assert_eq!((groups.poll_timeout(), groups.next_due(at(2_999))), (Some(3_000), None));
    assert_eq!(groups.next_due(at(3_000)).as_deref(), Some("early"));
    groups.handle_timeout("early", tenure(1, 0), at(3_000), &settings());
    assert_eq!(groups.poll_timeout(), Some(3_500));
    groups.update("late", |group, _| *group = None);
    groups.update("early", |group, _| *group = None);
    assert_eq!(groups.poll_timeout(), None);
}

#[test]
fn a_new_coordinator_is_noticed_once() {
    let mut groups = groups();
    let mut waiting = join(&mut groups, "g", 0);
    groups.enter("g", tenure(1, 0), at(0));
    groups.enter("g", tenure(1, 0), at(10));
    assert!(waiting.try_recv().is_err(), "the first one was there before the group");
    groups.enter("g", tenure(1, 1), at(20));
    assert_eq!(waiting.try_recv().expect("answered").error_code, ErrorCode::NotCoordinator);
    let mut waiting = join(&mut groups, "g", 30);
    groups.enter("g", tenure(1, 1), at(40));
    assert!(waiting.try_recv().is_err());
    let restarted = Tenure { node: 1, leader_epoch: 1, incarnation: 2 };
    groups.enter("g", Some(restarted), at(50));
    assert!(waiting.try_recv().is_ok());
}

#[test]
fn without_a_coordinator_nobody_is_expired_and_no_time_is_wasted() {
    let mut groups = groups();
    let mut joining = join(&mut groups, "g", 0);
    groups.handle_timeout("g", tenure(1, 0), at(3_000), &settings());
    let member_id = joining.try_recv().expect("joined").member_id;
    groups.handle_timeout("g", None, at(13_000), &settings());
    assert_eq!(groups.poll_timeout(), Some(23_000), "its session begins anew");
    let beat = HeartbeatRequest { group_id: "g".into(), member_id, generation_id: 1, ..Default::default() };
    groups.enter("g", tenure(2, 1), at(20_000));
    assert_eq!(groups.heartbeat(&beat, at(20_000)), Ok(()));
}

#[test]
fn a_commit_makes_a_group_only_for_who_is_not_a_member() {
    let mut groups = groups();
    let member = |api_version, is_transactional| Committer {
        member_id: "m",
        generation_or_epoch: 4,
        api_version,
        is_transactional,
        ..simple()
    };
    let mut ask = |by| groups.begin_offset_commit("g", by, at(0)).map(drop);
    assert_eq!(ask(member(9, false)), Err(ErrorCode::GroupIdNotFound));
    assert_eq!(ask(member(8, false)), Err(ErrorCode::IllegalGeneration));
    assert_eq!(ask(member(9, true)), Err(ErrorCode::IllegalGeneration));
    assert!(groups.get("g").is_none());
    assert_eq!(groups.begin_offset_commit("g", simple(), at(0)).map(drop), Ok(()));
    assert!(groups.get("g").is_some_and(Group::is_empty));
}

#[test]
fn offsets_of_a_group_without_members_expire_one_by_one() {
    let mut groups = groups();
    commit(&mut groups, "g", 0, 0, None);
    commit(&mut groups, "g", 1, DAY_MS, None);
    commit(&mut groups, "g", 2, 0, Some(at(8 * DAY_MS).wall_ms));
    let retention_ms = 7 * DAY_MS;
    groups.expire_offsets(at(retention_ms - 1), &settings());
    assert_eq!(partitions(&groups, "g"), [0, 1, 2]);
    groups.expire_offsets(at(retention_ms), &settings());
    assert_eq!(partitions(&groups, "g"), [1, 2]);
    groups.expire_offsets(at(8 * DAY_MS), &settings());
    assert_eq!(partitions(&groups, "g"), [0; 0]);
    assert!(groups.get("g").is_none(), "the group goes with its last offset");
}

#[test]
fn a_pending_offset_keeps_its_group() {
    let mut groups = groups();
    commit(&mut groups, "g", 0, 0, None);
    let pending = groups.offsets.get("g", "t", 0).cloned().expect("committed");
    groups.offsets.commit_pending((7, 0), &"g".into(), &"t".into(), 1, pending).expect("current");
    groups.expire_offsets(at(8 * DAY_MS), &settings());
    assert_eq!(partitions(&groups, "g"), [0; 0]);
    assert!(groups.get("g").is_some());
    groups.offsets.complete(7, crate::group::TransactionEnd::Abort, None, |_| true);
    groups.expire_offsets(at(8 * DAY_MS), &settings());
    assert!(groups.get("g").is_none());
}

#[test]
fn offsets_of_a_group_that_lost_its_members_expire_since_then() {
    let mut groups = groups();
    let _joining = join(&mut groups, "g", 0);
    groups.handle_timeout("g", tenure(1, 0), at(3_000), &settings());
    commit_for_member(&mut groups);
    groups.expire_offsets(at(30 * DAY_MS), &settings());
    assert_eq!(partitions(&groups, "g"), [0], "there is a member");
    groups.handle_timeout("g", tenure(1, 0), at(30 * DAY_MS), &settings());
    assert!(groups.get("g").is_some_and(Group::is_empty));
    groups.expire_offsets(at(37 * DAY_MS - 1), &settings());
    assert_eq!(partitions(&groups, "g"), [0]);
    groups.expire_offsets(at(37 * DAY_MS), &settings());
    assert!(groups.get("g").is_none());
}

/// Stores an old offset without asking the group.
fn commit_for_member(groups: &mut Groups) {
    let offset = CommittedOffset {
        offset: 1,
        leader_epoch: -1,
        metadata: ByteStr::new(),
        topic_id: Uuid::ZERO,
        commit_timestamp_ms: 0,
        expire_timestamp_ms: None,
    };
    groups.offsets.commit(&"g".into(), &"t".into(), 0, offset);
}

#[test]
fn a_deleted_group_leaves_no_offsets() {
    let mut groups = groups();
    assert_eq!(groups.delete("g"), Err(ErrorCode::GroupIdNotFound));
    let _joining = join(&mut groups, "g", 0);
    assert_eq!(groups.delete("g"), Err(ErrorCode::NonEmptyGroup));
    commit(&mut groups, "h", 0, 0, None);
    assert_eq!((groups.delete("h"), partitions(&groups, "h")), (Ok(()), vec![]));
}
