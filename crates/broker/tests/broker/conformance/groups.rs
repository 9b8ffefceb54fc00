//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup: how members of the classic protocol agree.

use kafka_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest, SyncGroupResponse,
};
use milena_protocol::{ApiKey, ErrorCode};
use milena_testcontainers::KafkaVersion;

use super::group_client::*;
use crate::support::*;

cases! {
    a_member_joins_syncs_beats_and_leaves_in_every_version,
    an_id_is_given_first_from_version_4_on,
    joins_that_make_no_sense_have_each_their_error,
    a_second_member_makes_the_first_join_again,
    members_wait_for_their_leader,
    protocols_are_chosen_by_vote_among_those_all_support,
    a_wrong_generation_or_protocol_is_refused,
    the_leader_joining_again_begins_a_rebalance_and_a_follower_does_not,
    a_changed_subscription_begins_a_rebalance,
    a_lost_answer_to_a_join_is_given_again,
    a_rebalance_sends_waiting_syncs_back,
    members_leave_in_batches_each_with_its_own_answer,
    a_member_that_leaves_while_others_join_is_not_waited_for,
    a_member_that_is_silent_is_expired,
    a_member_that_never_comes_with_its_id_holds_up_the_rest_until_it_leaves,
    a_group_outlives_its_members_and_counts_on,
}

fn code(code: i16) -> ErrorCode {
    ErrorCode::from(code)
}

async fn a_member_joins_syncs_beats_and_leaves_in_every_version(broker: &Broker) {
    for version in broker.versions(ApiKey::JoinGroup, 0..=9) {
        let mut client = GroupClient::new(broker, &unique("versions")).await;
        let mut request = client.join_request("");
        if version >= 4 {
            let asked = client.join(version, &request).await;
            assert_eq!(code(asked.error_code), ErrorCode::MemberIdRequired, "version {version}");
            assert_eq!((asked.generation_id, &*asked.leader, asked.members.len()), (-1, "", 0));
            assert_eq!((asked.protocol_type, asked.skip_assignment), (None, false));
            let no_name = if version >= 7 { None } else { Some(text("")) };
            assert_eq!(asked.protocol_name, no_name, "version {version}");
            request = request.with_member_id(asked.member_id);
        }
        let response = client.join(version, &request).await;
        let member = joined(&response);
        assert!(member.member_id.starts_with("oracle-"), "{}", member.member_id);
        assert_eq!(member.member_id.len(), "oracle-".len() + 36, "{}", member.member_id);
        assert_eq!((member.generation_id, &member.leader), (1, &member.member_id), "version {version}");
        assert_eq!(member.members, std::slice::from_ref(&member.member_id));
        assert_eq!(response.protocol_name.as_deref(), Some("range"));
        assert_eq!(response.protocol_type.as_deref(), (version >= 7).then_some("consumer"));
        assert_eq!(&response.members[0].metadata[..], subscription(&["first", "second"]));

        let mut sync = client.sync_request(&member, &[(&member.member_id, b"mine")]);
        let version = version.min(5);
        if version < 5 {
            sync = sync.with_protocol_type(None).with_protocol_name(None);
        }
        let synced = client.connection.call(version, &sync).await;
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"mine"[..]), "version {version}");
        let protocol = (version >= 5).then_some(("consumer", "range"));
        assert_eq!(synced.protocol_type.as_deref().zip(synced.protocol_name.as_deref()), protocol);

        let beat = heartbeat_request(&client.group, &member.member_id, 1, None);
        assert_eq!(client.connection.call(version.min(4), &beat).await.error_code, 0, "version {version}");

        let mut leave = LeaveGroupRequest::default().with_group_id(group_id(&client.group));
        leave = match version {
            0..3 => leave.with_member_id(text(&member.member_id)),
            _ => leave.with_members(vec![identity(&member.member_id, None)]),
        };
        let left = client.connection.call(version, &leave).await;
        let members: Vec<_> = left.members.iter().map(|left| (&*left.member_id, left.error_code)).collect();
        let expected = if version < 3 { vec![] } else { vec![(&*member.member_id, 0)] };
        assert_eq!((left.error_code, members), (0, expected), "version {version}");
        let again = client.connection.call(version, &leave).await;
        let errors = (code(again.error_code), again.members.first().map(|left| code(left.error_code)));
        let expected = match version {
            0..3 => (ErrorCode::UnknownMemberId, None),
            _ => (ErrorCode::None, Some(ErrorCode::UnknownMemberId)),
        };
        assert_eq!(errors, expected, "version {version}");
    }
}

async fn an_id_is_given_first_from_version_4_on(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("member-id")).await;
    let request = client.join_request("");
    let first = client.join(4, &request).await;
    let second = client.join(4, &request).await;
    assert_ne!(first.member_id, second.member_id);
    // Ids that were given out and did not come are waited for, but a member may leave before it has joined.
    let leave = vec![identity(&first.member_id, None)];
    assert_eq!(client.leave(leave).await.members[0].error_code, 0);
    let unknown = client.join(4, &client.join_request(&first.member_id)).await;
    assert_eq!(code(unknown.error_code), ErrorCode::UnknownMemberId);
    assert_eq!(unknown.member_id, first.member_id);
    let member = joined(&client.join(4, &client.join_request(&second.member_id)).await);
    assert_eq!(member.members, [string(&second.member_id)]);
}

async fn joins_that_make_no_sense_have_each_their_error(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("bad-joins")).await;
    let good = client.join_request("");
    let cases = [
        (good.clone().with_group_id(group_id("")), ErrorCode::InvalidGroupId),
        (good.clone().with_session_timeout_ms(5_999), ErrorCode::InvalidSessionTimeout),
        (good.clone().with_session_timeout_ms(1_800_001), ErrorCode::InvalidSessionTimeout),
        (good.clone().with_member_id(text("stranger")), ErrorCode::UnknownMemberId),
        (good.clone().with_protocol_type(text("")), ErrorCode::InconsistentGroupProtocol),
        (good.clone().with_protocols(vec![]), ErrorCode::InconsistentGroupProtocol),
    ];
    for (request, expected) in cases {
        let response = client.join(JOIN, &request).await;
        assert_eq!(code(response.error_code), expected);
        assert_eq!(response.member_id, request.member_id, "{expected}");
        assert_eq!((response.generation_id, response.members.len()), (-1, 0), "{expected}");
    }
    client.settle().await;
    let cases = [
        (good.clone().with_member_id(text("stranger")), ErrorCode::UnknownMemberId),
        (good.clone().with_protocol_type(text("connect")), ErrorCode::InconsistentGroupProtocol),
        (good.clone().with_protocols(vec![protocol("other", b"")]), ErrorCode::InconsistentGroupProtocol),
        (good.clone().with_protocols(vec![]), ErrorCode::InconsistentGroupProtocol),
    ];
    for (request, expected) in cases {
        let response = client.join(JOIN, &request).await;
        assert_eq!(code(response.error_code), expected);
        assert_eq!(response.member_id, request.member_id, "{expected}");
    }
}

/// Two members of one group, stable in generation 2; the first one leads.
async fn two_members(broker: &Broker, group: &str) -> [(GroupClient, Joined); 2] {
    let mut first = GroupClient::new(broker, group).await;
    let mut second = GroupClient::new(broker, group).await;
    let one = first.settle().await;
    let other = second.send_join_anew().await;
    first.await_rebalance(&one).await;
    let again = first.send_join(&one.member_id).await;
    let one = first.joined(again).await;
    let other = second.joined(other).await;
    let synced =
        first.sync(&one, &[(&one.member_id, b"first half"), (&other.member_id, b"second half")]).await;
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"first half"[..]));
    let synced = second.sync(&other, &[]).await;
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"second half"[..]));
    [(first, one), (second, other)]
}

async fn a_second_member_makes_the_first_join_again(broker: &Broker) {
    let [(mut first, one), (mut second, other)] = two_members(broker, &unique("two")).await;
    assert_eq!((one.generation_id, other.generation_id), (2, 2));
    assert_eq!((&one.leader, &other.leader), (&one.member_id, &one.member_id));
    let mut members = [one.member_id.clone(), other.member_id.clone()];
    members.sort();
    let mut told = one.members.clone();
    told.sort();
    assert_eq!((told, other.members.len()), (members.to_vec(), 0));
    assert_eq!(first.heartbeat(&one).await, ErrorCode::None);
    assert_eq!(second.heartbeat(&other).await, ErrorCode::None);
}

async fn members_wait_for_their_leader(broker: &Broker) {
    let group = unique("waiting");
    let [(mut first, one), (mut second, other)] = two_members(broker, &group).await;
    // The leader joins again, and so both do.
    let joining = first.send_join(&one.member_id).await;
    second.await_rebalance(&other).await;
    let other_joining = second.send_join(&other.member_id).await;
    let (one, other) = (first.joined(joining).await, second.joined(other_joining).await);
    assert_eq!((one.generation_id, other.generation_id), (3, 3));
    let waiting = second.sync_request(&other, &[]);
    let waiting = second.connection.send(SYNC, &waiting).await;
    assert_eq!(first.heartbeat(&one).await, ErrorCode::None, "the leader may take its time");
    // A member without an assignment gets an empty one; what strangers get is left out.
    let synced = first.sync(&one, &[("stranger", b"x"), (&one.member_id, b"everything")]).await;
    assert_eq!(&synced.assignment[..], b"everything");
    let synced = second.connection.receive::<SyncGroupRequest>(SYNC, waiting).await;
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b""[..]));
}

async fn protocols_are_chosen_by_vote_among_those_all_support(broker: &Broker) {
    let group = unique("vote");
    let mut first = GroupClient::new(broker, &group).await;
    let mut second = GroupClient::new(broker, &group).await;
    let of_first = vec![protocol("a", b"1a"), protocol("c", b"1c"), protocol("b", b"1b")];
    let of_second = vec![protocol("d", b"2d"), protocol("c", b"2c"), protocol("b", b"2b")];
    let request = first.join_request("").with_protocols(of_first);
    let alone = first.join(3, &request).await;
    assert_eq!(alone.protocol_name.as_deref(), Some("a"));
    let one = joined(&alone);
    let sync = first.sync_request(&one, &[]).with_protocol_name(Some(text("a")));
    assert_eq!(first.connection.call(SYNC, &sync).await.error_code, 0);
    let joining = second.join_request("").with_protocols(of_second);
    let joining = second.connection.send(3, &joining).await;
    first.await_rebalance(&one).await;
    let again = request.with_member_id(text(&one.member_id));
    let both = first.join(JOIN, &again).await;
    assert_eq!(both.protocol_name.as_deref(), Some("c"));
    let mut metadata: Vec<_> = both.members.iter().map(|member| member.metadata.to_vec()).collect();
    metadata.sort();
    assert_eq!(metadata, [b"1c".to_vec(), b"2c".to_vec()]);
    let follower = second.connection.receive::<JoinGroupRequest>(3, joining).await;
    assert_eq!((follower.protocol_name.as_deref(), follower.members.len()), (Some("c"), 0));
}

async fn a_wrong_generation_or_protocol_is_refused(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("wrong")).await;
    let member = client.settle().await;
    let stale = Joined { generation_id: 7, ..member.clone() };
    let stranger = Joined { member_id: "stranger".to_owned(), ..member.clone() };
    assert_eq!(client.heartbeat(&stale).await, ErrorCode::IllegalGeneration);
    assert_eq!(client.heartbeat(&stranger).await, ErrorCode::UnknownMemberId);
    assert_eq!(code(client.sync(&stale, &[]).await.error_code), ErrorCode::IllegalGeneration);
    assert_eq!(code(client.sync(&stranger, &[]).await.error_code), ErrorCode::UnknownMemberId);
    let good = client.sync_request(&member, &[]);
    let cases = [
        (good.clone().with_protocol_name(Some(text("other"))), ErrorCode::InconsistentGroupProtocol),
        (good.clone().with_protocol_type(Some(text("connect"))), ErrorCode::InconsistentGroupProtocol),
        (good.clone().with_protocol_name(None), ErrorCode::InconsistentGroupProtocol),
        (good.clone().with_protocol_type(None), ErrorCode::InconsistentGroupProtocol),
        (good.clone().with_group_id(group_id("")), ErrorCode::InvalidGroupId),
        (good.clone().with_group_id(group_id(&unique("missing"))), ErrorCode::UnknownMemberId),
        (good.clone().with_group_instance_id(Some(text("nobody"))), ErrorCode::UnknownMemberId),
    ];
    for (request, expected) in cases {
        let response: SyncGroupResponse = client.connection.call(SYNC, &request).await;
        assert_eq!((code(response.error_code), response.assignment.len()), (expected, 0));
    }
    let beats = [
        (heartbeat_request("", &member.member_id, 1, None), ErrorCode::InvalidGroupId),
        (heartbeat_request(&unique("missing"), &member.member_id, 1, None), ErrorCode::UnknownMemberId),
        (heartbeat_request(&client.group, &member.member_id, 1, Some("x")), ErrorCode::UnknownMemberId),
    ];
    for (request, expected) in beats {
        let request: HeartbeatRequest = request;
        assert_eq!(code(client.connection.call(HEARTBEAT, &request).await.error_code), expected);
    }
    // Asking again is no harm: a stable group answers with what it has.
    let again = client.sync(&member, &[(&member.member_id, b"something else")]).await;
    assert_eq!((again.error_code, &again.assignment[..]), (0, &b"all"[..]));
}

async fn the_leader_joining_again_begins_a_rebalance_and_a_follower_does_not(broker: &Broker) {
    let [(mut first, one), (mut second, other)] = two_members(broker, &unique("again")).await;
    let again = second.send_join(&other.member_id).await;
    let same = second.joined(again).await;
    assert_eq!((same.generation_id, same.members.len(), &same.leader), (2, 0, &one.member_id));
    let again = first.send_join(&one.member_id).await;
    second.await_rebalance(&other).await;
    let follows = second.send_join(&other.member_id).await;
    assert_eq!(first.joined(again).await.generation_id, 3);
    assert_eq!(second.joined(follows).await.generation_id, 3);
}

async fn a_changed_subscription_begins_a_rebalance(broker: &Broker) {
    let [(mut first, one), (mut second, other)] = two_members(broker, &unique("changed")).await;
    let changed = protocol("range", &subscription(&["third"]));
    let request = second.join_request(&other.member_id).with_protocols(vec![changed]);
    let again = second.connection.send(JOIN, &request).await;
    first.await_rebalance(&one).await;
    let leads = first.send_join(&one.member_id).await;
    assert_eq!(first.joined(leads).await.generation_id, 3);
    assert_eq!(second.joined(again).await.generation_id, 3);
}

async fn a_lost_answer_to_a_join_is_given_again(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("lost")).await;
    let member = client.join_anew().await;
    let again = client.send_join(&member.member_id).await;
    let same = client.joined(again).await;
    assert_eq!((same.generation_id, same.members), (member.generation_id, member.members));
}

async fn a_rebalance_sends_waiting_syncs_back(broker: &Broker) {
    let group = unique("interrupted");
    let [(mut first, one), (mut second, other)] = two_members(broker, &group).await;
    let joining = first.send_join(&one.member_id).await;
    second.await_rebalance(&other).await;
    let other_joining = second.send_join(&other.member_id).await;
    let (one, other) = (first.joined(joining).await, second.joined(other_joining).await);
    let waiting = second.sync_request(&other, &[]);
    let waiting = second.connection.send(SYNC, &waiting).await;
    // The leader leaves before it has assigned.
    assert_eq!(first.leave(vec![identity(&one.member_id, None)]).await.members[0].error_code, 0);
    let synced = second.connection.receive::<SyncGroupRequest>(SYNC, waiting).await;
    assert_eq!((code(synced.error_code), synced.assignment.len()), (ErrorCode::RebalanceInProgress, 0));
    assert_eq!((synced.protocol_type, synced.protocol_name), (None, None));
    let early = second.sync(&other, &[]).await;
    assert_eq!(code(early.error_code), ErrorCode::RebalanceInProgress);
    let again = second.send_join(&other.member_id).await;
    let alone = second.joined(again).await;
    assert_eq!((alone.generation_id, &alone.leader), (4, &other.member_id));
}

async fn members_leave_in_batches_each_with_its_own_answer(broker: &Broker) {
    let group = unique("batch");
    let [(mut first, one), (_second, other)] = two_members(broker, &group).await;
    let asked = vec![
        identity(&other.member_id, None),
        identity("stranger", None),
        identity(&one.member_id, Some("nobody")),
        identity("", Some("nobody")),
        identity("", None),
    ];
    let left = first.leave(asked).await;
    let errors: Vec<_> = left.members.iter().map(|left| code(left.error_code)).collect();
    let unknown = ErrorCode::UnknownMemberId;
    assert_eq!((left.error_code, errors), (0, vec![ErrorCode::None, unknown, unknown, unknown, unknown]));
    first.await_rebalance(&one).await;
    let empty = first.leave(vec![]).await;
    assert_eq!((empty.error_code, empty.members.len()), (0, 0));
    let nameless = LeaveGroupRequest::default().with_group_id(group_id("")).with_members(vec![]);
    assert_eq!(code(first.connection.call(LEAVE, &nameless).await.error_code), ErrorCode::InvalidGroupId);
    let missing = LeaveGroupRequest::default()
        .with_group_id(group_id(&unique("missing")))
        .with_members(vec![identity("a", None), identity("", Some("b"))]);
    let left = first.connection.call(LEAVE, &missing).await;
    let errors: Vec<_> = left.members.iter().map(|left| code(left.error_code)).collect();
    if broker.is_at_least(KafkaVersion::V4_1_2) {
        assert_eq!((left.error_code, errors), (0, vec![unknown, unknown]));
    }
}

async fn a_member_that_leaves_while_others_join_is_not_waited_for(broker: &Broker) {
    let [(mut first, one), (mut second, other)] = two_members(broker, &unique("leaves")).await;
    let again = first.send_join(&one.member_id).await;
    second.await_rebalance(&other).await;
    assert_eq!(second.leave(vec![identity(&other.member_id, None)]).await.members[0].error_code, 0);
    let alone = first.joined(again).await;
    assert_eq!((alone.generation_id, alone.members), (3, vec![one.member_id]));
}

async fn a_member_that_is_silent_is_expired(broker: &Broker) {
    let group = unique("silent");
    let mut silent = GroupClient::new(broker, &group).await;
    let mut other = GroupClient::new(broker, &group).await;
    let request = silent.join_request("").with_session_timeout_ms(6_000);
    let gone = joined(&silent.join(3, &request).await);
    assert_eq!(silent.sync(&gone, &[]).await.error_code, 0);
    // The rebalance waits for the silent one until its session is over.
    let waiting = other.send_join_anew().await;
    let alone = other.joined(waiting).await;
    assert_eq!((alone.generation_id, &alone.leader, alone.members.len()), (2, &alone.member_id, 1));
    assert_eq!(silent.heartbeat(&gone).await, ErrorCode::UnknownMemberId);
}

async fn a_member_that_never_comes_with_its_id_holds_up_the_rest_until_it_leaves(broker: &Broker) {
    let group = unique("pending");
    let mut pending = GroupClient::new(broker, &group).await;
    let mut member = GroupClient::new(broker, &group).await;
    let one = member.settle().await;
    let id = pending.join(JOIN, &pending.join_request("")).await.member_id;
    assert_eq!(member.heartbeat(&one).await, ErrorCode::None, "an id is not a member yet");
    let joining = member.send_join(&one.member_id).await;
    let left = pending.leave(vec![identity(&id, None)]).await;
    assert_eq!(left.members[0].error_code, 0);
    assert_eq!(member.joined(joining).await.members, [one.member_id]);
}

async fn a_group_outlives_its_members_and_counts_on(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("outlives")).await;
    let member = client.settle().await;
    client.leave(vec![identity(&member.member_id, None)]).await;
    assert_eq!(client.heartbeat(&member).await, ErrorCode::UnknownMemberId);
    // Becoming empty is a generation of its own. The type of an empty group is anybody's.
    let request = client.join_request("").with_protocol_type(text("connect"));
    let again = client.join(3, &request).await;
    assert_eq!(joined(&again).generation_id, 3);
}
