//! What the cases of groups have in common: a client that speaks of one group.

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use milena_protocol::ErrorCode;

use crate::support::*;

/// The newest versions, which most cases speak.
pub(super) const JOIN: i16 = 9;
pub(super) const SYNC: i16 = 5;
pub(super) const HEARTBEAT: i16 = 4;
pub(super) const LEAVE: i16 = 5;

/// A connection that speaks of one group.
pub(super) struct GroupClient {
    pub(super) connection: Connection,
    pub(super) group: String,
}

/// A member that has joined and knows its generation.
#[derive(Debug, Clone)]
pub(super) struct Joined {
    pub(super) member_id: String,
    pub(super) generation_id: i32,
    pub(super) leader: String,
    pub(super) members: Vec<String>,
}

impl GroupClient {
    /// Returns when the group has a coordinator.
    pub(super) async fn new(broker: &Broker, group: &str) -> Self {
        let mut connection = broker.connect().await;
        let request = FindCoordinatorRequest::default().with_key(text(group));
        let found = async {
            // A real Kafka creates the topic of groups on the first question, and loads it.
            while ErrorCode::from(connection.call(3, &request).await.error_code) != ErrorCode::None {}
            let list = heartbeat_request(group, "nobody", 0, None);
            while ErrorCode::from(connection.call(HEARTBEAT, &list).await.error_code)
                != ErrorCode::UnknownMemberId
            {}
        };
        tokio::time::timeout(PATIENCE, found).await.expect("a coordinator in time");
        Self { connection, group: group.to_owned() }
    }

    /// A join with one protocol, `range`, and two topics in its metadata.
    pub(super) fn join_request(&self, member_id: &str) -> JoinGroupRequest {
        JoinGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(30_000)
            .with_member_id(text(member_id))
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol("range", &subscription(&["first", "second"]))])
    }

    pub(super) async fn join(&mut self, version: i16, request: &JoinGroupRequest) -> JoinGroupResponse {
        self.connection.call(version, request).await
    }

    /// Joins as a new member: asks for an id, and joins with it.
    pub(super) async fn join_anew(&mut self) -> Joined {
        let id = self.send_join_anew().await;
        self.joined(id).await
    }

    /// Asks for an id, and sends the join; [`joined`](Self::joined) waits for the answer.
    pub(super) async fn send_join_anew(&mut self) -> i32 {
        let request = self.join_request("");
        let asked = self.join(JOIN, &request).await;
        assert_eq!(ErrorCode::from(asked.error_code), ErrorCode::MemberIdRequired);
        let request = self.join_request(&asked.member_id);
        self.connection.send(JOIN, &request).await
    }

    pub(super) async fn send_join(&mut self, member_id: &str) -> i32 {
        let request = self.join_request(member_id);
        self.connection.send(JOIN, &request).await
    }

    pub(super) async fn joined(&mut self, correlation_id: i32) -> Joined {
        let response = self.connection.receive::<JoinGroupRequest>(JOIN, correlation_id).await;
        joined(&response)
    }

    pub(super) fn sync_request(&self, joined: &Joined, assignments: &[(&str, &[u8])]) -> SyncGroupRequest {
        let assign = |&(member_id, assignment): &(&str, &[u8])| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(member_id))
                .with_assignment(Bytes::copy_from_slice(assignment))
        };
        SyncGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_generation_id(joined.generation_id)
            .with_member_id(text(&joined.member_id))
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
            .with_assignments(assignments.iter().map(assign).collect())
    }

    pub(super) async fn sync(&mut self, joined: &Joined, assignments: &[(&str, &[u8])]) -> SyncGroupResponse {
        let request = self.sync_request(joined, assignments);
        self.connection.call(SYNC, &request).await
    }

    /// The only member of its group, stable.
    pub(super) async fn settle(&mut self) -> Joined {
        let joined = self.join_anew().await;
        let member_id = joined.member_id.clone();
        let synced = self.sync(&joined, &[(&member_id, b"all")]).await;
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"all"[..]));
        joined
    }

    pub(super) async fn heartbeat(&mut self, joined: &Joined) -> ErrorCode {
        let request = heartbeat_request(&self.group, &joined.member_id, joined.generation_id, None);
        ErrorCode::from(self.connection.call(HEARTBEAT, &request).await.error_code)
    }

    /// Returns when the member hears that it is to join again.
    pub(super) async fn await_rebalance(&mut self, joined: &Joined) {
        let told = async { while self.heartbeat(joined).await != ErrorCode::RebalanceInProgress {} };
        tokio::time::timeout(PATIENCE, told).await.expect("a rebalance in time");
    }

    pub(super) async fn leave(&mut self, members: Vec<MemberIdentity>) -> LeaveGroupResponse {
        let request = LeaveGroupRequest::default().with_group_id(group_id(&self.group)).with_members(members);
        self.connection.call(LEAVE, &request).await
    }
}

pub(super) fn heartbeat_request(
    group: &str,
    member_id: &str,
    generation_id: i32,
    instance: Option<&str>,
) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id(generation_id)
        .with_member_id(text(member_id))
        .with_group_instance_id(instance.map(text))
}

/// What a successful answer says.
pub(super) fn joined(response: &JoinGroupResponse) -> Joined {
    assert_eq!(ErrorCode::from(response.error_code), ErrorCode::None);
    Joined {
        member_id: response.member_id.to_string(),
        generation_id: response.generation_id,
        leader: response.leader.to_string(),
        members: response.members.iter().map(|member| member.member_id.to_string()).collect(),
    }
}

pub(super) fn identity(member_id: &str, instance: Option<&str>) -> MemberIdentity {
    MemberIdentity::default().with_member_id(text(member_id)).with_group_instance_id(instance.map(text))
}

pub(super) fn protocol(name: &str, metadata: &[u8]) -> JoinGroupRequestProtocol {
    JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(Bytes::copy_from_slice(metadata))
}

/// A consumer's subscription, version 0.
pub(super) fn subscription(topics: &[&str]) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1i32).to_be_bytes());
    bytes
}

pub(super) fn group_id(group: &str) -> GroupId {
    GroupId(text(group))
}

pub(super) fn string(text: &StrBytes) -> String {
    text.to_string()
}
