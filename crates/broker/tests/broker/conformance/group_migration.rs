//! Groups that change their protocol, empty and with members (KIP-848).

use std::collections::BTreeSet;

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest,
};
use milena_protocol::messages::consumer_protocol_assignment::TopicPartition;
use milena_protocol::messages::consumer_protocol_subscription::TopicPartition as OwnedPartition;
use milena_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use milena_protocol::{ErrorCode, decode_prefixed, encode_prefixed};

use super::consumer_groups::*;
use crate::support::*;

cases! {
    an_empty_group_takes_the_protocol_of_its_next_member,
    a_classic_group_is_upgraded_and_downgraded_with_its_members,
    members_of_the_new_protocol_can_be_taken_out_by_an_administrator,
    a_group_of_another_protocol_type_is_not_upgraded,
}

/// A client that speaks the classic protocol.
struct Classic {
    member_id: String,
    generation_id: i32,
    topic: String,
    owned: Vec<i32>,
}

impl Classic {
    fn new(topic: &str) -> Self {
        Self { member_id: String::new(), generation_id: -1, topic: topic.to_owned(), owned: Vec::new() }
    }

    fn subscription(&self) -> Bytes {
        let owned = OwnedPartition { topic: self.topic.as_str().into(), partitions: self.owned.clone() };
        let subscription = ConsumerProtocolSubscription {
            topics: vec![self.topic.as_str().into()],
            owned_partitions: if self.owned.is_empty() { vec![] } else { vec![owned] },
            ..Default::default()
        };
        encode_prefixed(1, &subscription).expect("encodes")
    }

    async fn join(&mut self, scene: &mut Scene) -> JoinGroupResponse {
        let protocol =
            JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(self.subscription());
        let request = JoinGroupRequest::default()
            .with_group_id(group_id(&scene.group))
            .with_session_timeout_ms(30_000)
            .with_rebalance_timeout_ms(30_000)
            .with_member_id(text(&self.member_id))
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol]);
        let response = scene.connection.call(9, &request).await;
        if ErrorCode::from(response.error_code) == ErrorCode::MemberIdRequired {
            self.member_id = response.member_id.to_string();
            return Box::pin(self.join(scene)).await;
        }
        self.generation_id = response.generation_id;
        response
    }

    /// Syncs; a leader gives itself `assigns`.
    async fn sync(&mut self, scene: &mut Scene, assigns: &[i32]) -> ErrorCode {
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: vec![TopicPartition {
                topic: self.topic.as_str().into(),
                partitions: assigns.to_vec(),
            }],
            ..Default::default()
        };
        let assignment = SyncGroupRequestAssignment::default()
            .with_member_id(text(&self.member_id))
            .with_assignment(encode_prefixed(1, &assignment).expect("encodes"));
        let request = SyncGroupRequest::default()
            .with_group_id(group_id(&scene.group))
            .with_member_id(text(&self.member_id))
            .with_generation_id(self.generation_id)
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
            .with_assignments(if assigns.is_empty() { vec![] } else { vec![assignment] });
        let response = scene.connection.call(5, &request).await;
        if response.error_code == 0 {
            let (version, told) =
                decode_prefixed::<ConsumerProtocolAssignment>(response.assignment).expect("an assignment");
            assert_eq!(version, 1);
            self.owned = told.assigned_partitions.iter().flat_map(|topic| topic.partitions.clone()).collect();
        }
        ErrorCode::from(response.error_code)
    }

    async fn beat(&self, scene: &mut Scene) -> ErrorCode {
        let request = HeartbeatRequest::default()
            .with_group_id(group_id(&scene.group))
            .with_member_id(text(&self.member_id))
            .with_generation_id(self.generation_id);
        ErrorCode::from(scene.connection.call(4, &request).await.error_code)
    }

    /// Joins and syncs as often as its heartbeats say so.
    async fn follow(&mut self, scene: &mut Scene) {
        let followed = async {
            while self.beat(scene).await == ErrorCode::RebalanceInProgress {
                let response = self.join(scene).await;
                assert_eq!(ErrorCode::from(response.error_code), ErrorCode::None);
                self.sync(scene, &[]).await;
            }
        };
        tokio::time::timeout(PATIENCE, followed).await.expect("an end in time");
    }

    async fn leave(&self, scene: &mut Scene) -> ErrorCode {
        leave(scene, MemberIdentity::default().with_member_id(text(&self.member_id))).await
    }
}

async fn leave(scene: &mut Scene, member: MemberIdentity) -> ErrorCode {
    let request =
        LeaveGroupRequest::default().with_group_id(group_id(&scene.group)).with_members(vec![member]);
    ErrorCode::from(scene.connection.call(5, &request).await.members[0].error_code)
}

async fn an_empty_group_takes_the_protocol_of_its_next_member(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let topic = unique("consumed");
    scene.create_topic(&topic, 1).await;
    let mut classic = Classic::new(&topic);
    assert_eq!(ErrorCode::from(classic.join(&mut scene).await.error_code), ErrorCode::None);
    assert_eq!(classic.leave(&mut scene).await, ErrorCode::None);

    scene.join("a", &[&topic]).await;
    assert_eq!(scene.describe(0).await.group_state.as_str(), "Stable");
    let leaving = heartbeat(&scene.group, "a", -1);
    assert_eq!(scene.code(&leaving).await, ErrorCode::None);
    let mut classic = Classic::new(&topic);
    let response = classic.join(&mut scene).await;
    assert_eq!(ErrorCode::from(response.error_code), ErrorCode::None);
    assert_eq!(response.leader, response.member_id);
    // A real coordinator describes what is committed, which comes after the answer to the join.
    let refused = async {
        loop {
            let described = scene.describe(0).await;
            if described.error_code != 0 {
                break described;
            }
        }
    };
    let described = tokio::time::timeout(PATIENCE, refused).await.expect("it is seen in time");
    assert_eq!(ErrorCode::from(described.error_code), ErrorCode::GroupIdNotFound);
    let expected = format!("Group {} is not a consumer group.", scene.group);
    assert_eq!(described.error_message.as_deref(), Some(expected.as_str()));
}

async fn a_classic_group_is_upgraded_and_downgraded_with_its_members(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let topic = unique("consumed");
    scene.create_topic(&topic, 2).await;
    let mut classic = Classic::new(&topic);
    assert_eq!(ErrorCode::from(classic.join(&mut scene).await.error_code), ErrorCode::None);
    assert_eq!(classic.sync(&mut scene, &[0, 1]).await, ErrorCode::None);
    assert_eq!(classic.owned, [0, 1]);

    // A member of the new protocol takes the group with it. The old member keeps what it has until it has heard.
    let mut a = scene.join("a", &[&topic]).await;
    assert_eq!(a.load(), 0);
    let described = scene.describe(1).await;
    assert_eq!(described.error_code, 0);
    let old = described.members.iter().find(|member| member.member_id.as_str() == classic.member_id);
    let old = old.expect("the old member");
    assert_eq!((old.member_type, old.assignment.topic_partitions[0].partitions.len()), (0, 2));
    assert_eq!(classic.beat(&mut scene).await, ErrorCode::RebalanceInProgress);
    let response = classic.join(&mut scene).await;
    assert_eq!(ErrorCode::from(response.error_code), ErrorCode::None);
    assert_eq!((response.leader.as_str(), response.members.len()), ("", 0));
    assert_eq!(response.protocol_name.as_deref(), Some("range"));
    assert_eq!(classic.sync(&mut scene, &[]).await, ErrorCode::None);
    assert_eq!(classic.owned.len(), 1);
    // It must say that it has given back the other.
    classic.follow(&mut scene).await;
    scene.settle(&mut [&mut a], |members| members[0].load() == 1).await;
    let owned: BTreeSet<i32> = a.owned.values().flatten().chain(&classic.owned).copied().collect();
    assert_eq!(owned, BTreeSet::from([0, 1]));

    // The last member of the new protocol leaves: the group is a classic one again.
    let leaving = heartbeat(&scene.group, "a", -1);
    assert_eq!(scene.code(&leaving).await, ErrorCode::None);
    assert_eq!(ErrorCode::from(scene.describe(0).await.error_code), ErrorCode::GroupIdNotFound);
    assert_eq!(classic.beat(&mut scene).await, ErrorCode::RebalanceInProgress);
    let before = classic.generation_id;
    let response = classic.join(&mut scene).await;
    assert_eq!(ErrorCode::from(response.error_code), ErrorCode::None);
    assert_eq!(response.leader, response.member_id);
    assert!(response.generation_id > before);
    assert_eq!(classic.sync(&mut scene, &[0, 1]).await, ErrorCode::None);
    assert_eq!(classic.owned, [0, 1]);
}

async fn members_of_the_new_protocol_can_be_taken_out_by_an_administrator(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    scene.join("a", &["no-such-topic"]).await;
    let request = scene.joining("b", &["no-such-topic"]).with_instance_id(Some(text("instance")));
    scene.admit("b", &request).await;
    let member = |member_id: &str, instance_id: Option<&str>| {
        MemberIdentity::default()
            .with_member_id(text(member_id))
            .with_group_instance_id(instance_id.map(text))
    };
    assert_eq!(leave(&mut scene, member("c", None)).await, ErrorCode::UnknownMemberId);
    assert_eq!(leave(&mut scene, member("a", None)).await, ErrorCode::None);
    assert_eq!(leave(&mut scene, member("x", Some("instance"))).await, ErrorCode::FencedInstanceId);
    assert_eq!(leave(&mut scene, member("", Some("other"))).await, ErrorCode::UnknownMemberId);
    assert_eq!(leave(&mut scene, member("", Some("instance"))).await, ErrorCode::None);
    assert_eq!(scene.describe(0).await.group_state.as_str(), "Empty");
}

async fn a_group_of_another_protocol_type_is_not_upgraded(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let protocol = JoinGroupRequestProtocol::default().with_name(text("any"));
    let request = JoinGroupRequest::default()
        .with_group_id(group_id(&scene.group))
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(30_000)
        .with_protocol_type(text("connect"))
        .with_protocols(vec![protocol]);
    assert_eq!(scene.connection.call(3, &request).await.error_code, 0);
    let joining = scene.joining("a", &["t"]);
    let response = scene.send(&joining).await;
    assert_eq!(code(&response), ErrorCode::GroupIdNotFound);
    let expected = format!(
        "Cannot upgrade classic group {} to consumer group because the group does not use the consumer embedded \
         protocol.",
        scene.group
    );
    assert_eq!(response.error_message.as_deref(), Some(expected.as_str()));
}
