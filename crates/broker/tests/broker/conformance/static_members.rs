//! Static members (KIP-345, KIP-814): an instance that restarts takes its own place.

use kafka_protocol::messages::{JoinGroupRequest, SyncGroupRequest};
use milena_protocol::ErrorCode;

use super::group_client::*;
use crate::support::*;

cases! {
    an_instance_joins_at_once_and_is_named_in_its_id,
    a_restarted_leader_is_told_to_skip_the_assignment,
    before_version_9_a_restarted_leader_believes_the_old_one_leads,
    a_restarted_follower_gets_its_place_and_nobody_else_notices,
    the_old_instance_is_fenced,
    an_instance_that_waits_is_fenced_by_its_successor,
    a_restart_with_other_protocols_begins_a_rebalance,
    a_restart_while_the_leader_assigns_begins_a_rebalance,
    an_administrator_removes_an_instance_by_name,
}

fn code(code: i16) -> ErrorCode {
    ErrorCode::from(code)
}

fn instance(client: &GroupClient, member_id: &str, name: &str) -> JoinGroupRequest {
    client.join_request(member_id).with_group_instance_id(Some(text(name)))
}

/// The only member, static and stable.
async fn settle(client: &mut GroupClient, name: &str) -> Joined {
    let request = instance(client, "", name);
    let member = joined(&client.join(JOIN, &request).await);
    assert_eq!(client.sync(&member, &[(&member.member_id, b"all")]).await.error_code, 0);
    member
}

/// Two static members `a`, which leads, and `b`, stable in generation 2.
async fn settle_two(broker: &Broker) -> [(GroupClient, Joined); 2] {
    let group = unique("static-two");
    let mut first = GroupClient::new(broker, &group).await;
    let mut second = GroupClient::new(broker, &group).await;
    let one = settle(&mut first, "a").await;
    let other = instance(&second, "", "b");
    let other = second.connection.send(JOIN, &other).await;
    first.await_rebalance(&one).await;
    let one = joined(&first.join(JOIN, &instance(&first, &one.member_id, "a")).await);
    let other = second.joined(other).await;
    first.sync(&one, &[(&one.member_id, b"of a"), (&other.member_id, b"of b")]).await;
    assert_eq!(&second.sync(&other, &[]).await.assignment[..], b"of b");
    [(first, one), (second, other)]
}

async fn an_instance_joins_at_once_and_is_named_in_its_id(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("static")).await;
    let request = instance(&client, "", "web-1");
    let response = client.join(JOIN, &request).await;
    let member = joined(&response);
    assert!(member.member_id.starts_with("web-1-"), "{}", member.member_id);
    assert_eq!(response.members[0].group_instance_id.as_deref(), Some("web-1"));
    let beat = heartbeat_request(&client.group, &member.member_id, 1, Some("web-1"));
    assert_eq!(client.connection.call(HEARTBEAT, &beat).await.error_code, 0);
}

async fn a_restarted_leader_is_told_to_skip_the_assignment(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("static-leader")).await;
    let before = settle(&mut client, "web-1").await;
    let request = instance(&client, "", "web-1");
    let response = client.join(9, &request).await;
    let after = joined(&response);
    assert_ne!(after.member_id, before.member_id);
    assert_eq!((after.generation_id, &after.leader), (1, &after.member_id));
    assert_eq!((response.skip_assignment, after.members.len()), (true, 1));
    let synced = client.sync(&after, &[]).await;
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"all"[..]));
}

async fn before_version_9_a_restarted_leader_believes_the_old_one_leads(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("static-leader-8")).await;
    let before = settle(&mut client, "web-1").await;
    let request = instance(&client, "", "web-1");
    let response = client.join(8, &request).await;
    let after = joined(&response);
    assert_eq!((after.generation_id, after.leader, after.members.len()), (1, before.member_id, 0));
}

async fn a_restarted_follower_gets_its_place_and_nobody_else_notices(broker: &Broker) {
    let [(mut first, one), (mut second, other)] = settle_two(broker).await;
    let request = instance(&second, "", "b");
    let response = second.join(JOIN, &request).await;
    let again = joined(&response);
    assert_eq!((again.generation_id, again.members.len(), &again.leader), (2, 0, &one.member_id));
    assert!(!response.skip_assignment && again.member_id != other.member_id);
    assert_eq!(&second.sync(&again, &[]).await.assignment[..], b"of b");
    assert_eq!(first.heartbeat(&one).await, ErrorCode::None);
}

async fn the_old_instance_is_fenced(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("static-fenced")).await;
    let before = settle(&mut client, "web-1").await;
    let request = instance(&client, "", "web-1");
    let after = joined(&client.join(JOIN, &request).await);
    let old = instance(&client, &before.member_id, "web-1");
    let refused = client.join(JOIN, &old).await;
    assert_eq!(code(refused.error_code), ErrorCode::FencedInstanceId);
    assert_eq!(&*refused.member_id, &before.member_id);
    let beat = heartbeat_request(&client.group, &before.member_id, 1, Some("web-1"));
    assert_eq!(code(client.connection.call(HEARTBEAT, &beat).await.error_code), ErrorCode::FencedInstanceId);
    assert_eq!(client.heartbeat(&before).await, ErrorCode::UnknownMemberId, "without its name it is nobody");
    let sync = client.sync_request(&before, &[]).with_group_instance_id(Some(text("web-1")));
    assert_eq!(code(client.connection.call(SYNC, &sync).await.error_code), ErrorCode::FencedInstanceId);
    let left = client.leave(vec![identity(&before.member_id, Some("web-1"))]).await;
    assert_eq!(code(left.members[0].error_code), ErrorCode::FencedInstanceId);
    assert_eq!(client.heartbeat(&after).await, ErrorCode::None);
}

async fn an_instance_that_waits_is_fenced_by_its_successor(broker: &Broker) {
    let [(mut first, one), (mut second, other)] = settle_two(broker).await;
    let waiting = instance(&second, &other.member_id, "b").with_protocols(vec![protocol("range", b"new")]);
    let waiting = second.connection.send(JOIN, &waiting).await;
    first.await_rebalance(&one).await;
    let mut third = GroupClient::new(broker, &first.group).await;
    let successor = instance(&third, "", "b");
    let successor = third.connection.send(JOIN, &successor).await;
    let fenced = second.connection.receive::<JoinGroupRequest>(JOIN, waiting).await;
    assert_eq!(code(fenced.error_code), ErrorCode::FencedInstanceId);
    let leads = joined(&first.join(JOIN, &instance(&first, &one.member_id, "a")).await);
    assert_eq!((leads.generation_id, leads.members.len()), (3, 2));
    assert_eq!(third.joined(successor).await.generation_id, 3);
}

async fn a_restart_with_other_protocols_begins_a_rebalance(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("static-protocols")).await;
    let one =
        instance(&client, "", "web-1").with_protocols(vec![protocol("range", b""), protocol("other", b"")]);
    let member = joined(&client.join(JOIN, &one).await);
    assert_eq!(client.sync(&member, &[]).await.error_code, 0);
    let restarted = instance(&client, "", "web-1").with_protocols(vec![protocol("other", b"")]);
    let response = client.join(JOIN, &restarted).await;
    assert_eq!((joined(&response).generation_id, response.protocol_name.as_deref()), (2, Some("other")));
}

async fn a_restart_while_the_leader_assigns_begins_a_rebalance(broker: &Broker) {
    let [(mut first, one), (mut second, other)] = settle_two(broker).await;
    let leads = instance(&first, &one.member_id, "a");
    let leads = first.connection.send(JOIN, &leads).await;
    second.await_rebalance(&other).await;
    let other = joined(&second.join(JOIN, &instance(&second, &other.member_id, "b")).await);
    let one = first.joined(leads).await;
    let waiting = second.sync_request(&other, &[]).with_group_instance_id(Some(text("b")));
    let waiting = second.connection.send(SYNC, &waiting).await;
    assert_eq!(first.heartbeat(&one).await, ErrorCode::None, "the sync waits");
    let mut third = GroupClient::new(broker, &first.group).await;
    let successor = instance(&third, "", "b");
    let successor = third.connection.send(JOIN, &successor).await;
    let fenced = second.connection.receive::<SyncGroupRequest>(SYNC, waiting).await;
    assert_eq!(code(fenced.error_code), ErrorCode::FencedInstanceId);
    let synced = first.sync(&one, &[]).await;
    assert_eq!(code(synced.error_code), ErrorCode::RebalanceInProgress);
    let leads = joined(&first.join(JOIN, &instance(&first, &one.member_id, "a")).await);
    assert_eq!((leads.generation_id, third.joined(successor).await.generation_id), (4, 4));
}

async fn an_administrator_removes_an_instance_by_name(broker: &Broker) {
    let [(mut first, one), (mut second, other)] = settle_two(broker).await;
    let left = first.leave(vec![identity("", Some("b"))]).await;
    let left = &left.members[0];
    assert_eq!((left.error_code, &*left.member_id, left.group_instance_id.as_deref()), (0, "", Some("b")));
    assert_eq!(second.heartbeat(&other).await, ErrorCode::UnknownMemberId);
    let alone = joined(&first.join(JOIN, &instance(&first, &one.member_id, "a")).await);
    assert_eq!((alone.generation_id, alone.members.len()), (3, 1));
}
