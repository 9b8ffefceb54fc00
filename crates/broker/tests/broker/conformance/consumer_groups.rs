//! ConsumerGroupHeartbeat and ConsumerGroupDescribe: the new consumer protocol (KIP-848). Kafka offers it since 4.0.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_protocol::messages::consumer_group_describe_response::DescribedGroup;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    FindCoordinatorRequest, GroupId, IncrementalAlterConfigsRequest,
};
use milena_broker::ApiKey;
use milena_protocol::ErrorCode;
use milena_testcontainers::KafkaVersion;
use uuid::Uuid;

use crate::support::*;

cases! {
    a_first_member_has_everything_at_once,
    requests_that_are_not_valid_are_refused_with_the_reason,
    groups_and_members_that_do_not_exist_are_not_found,
    two_members_share_and_one_that_leaves_leaves_all,
    only_who_gave_back_enters_the_next_epoch,
    other_epochs_are_fenced,
    a_static_member_returns_under_another_id,
    an_expression_subscribes_to_what_matches,
    an_expression_that_is_none_is_refused,
    a_topic_that_is_created_later_is_assigned_later,
    the_range_assignor_gives_the_same_range_of_all_topics,
    a_group_is_described_in_every_version,
    a_group_can_have_a_heartbeat_interval_of_its_own,
}

pub(super) type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// `ConfigResource.Type.GROUP`.
const GROUP_RESOURCE: i8 = 32;

/// A group that nobody else has, and a connection to its coordinator.
pub(super) struct Scene {
    pub(super) connection: Connection,
    pub(super) group: String,
}

impl Scene {
    /// `None` on a Kafka that does not have the protocol.
    pub(super) async fn open(broker: &Broker) -> Option<Self> {
        if !broker.is_at_least(KafkaVersion::V4_1_2) {
            return None;
        }
        let mut connection = broker.connect().await;
        let group = unique("consumers");
        // A real coordinator has to load the group's partition first.
        let is_loaded = async {
            let asked = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(&group)]);
            while connection.call(4, &asked).await.coordinators[0].error_code != 0 {
                tokio::task::yield_now().await;
            }
            let probe = heartbeat(&group, "probe", 1);
            let not_yet = [ErrorCode::CoordinatorLoadInProgress, ErrorCode::NotCoordinator];
            while not_yet.contains(&code(&connection.call(0, &probe).await)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, is_loaded).await.expect("a coordinator in time");
        Some(Self { connection, group })
    }

    pub(super) async fn send(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        self.connection.call(1, request).await
    }

    pub(super) async fn code(&mut self, request: &ConsumerGroupHeartbeatRequest) -> ErrorCode {
        code(&self.send(request).await)
    }

    pub(super) fn joining(&self, member_id: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
        heartbeat(&self.group, member_id, 0)
            .with_rebalance_timeout_ms(60_000)
            .with_subscribed_topic_names(Some(topics.iter().map(|topic| name(topic)).collect()))
            .with_topic_partitions(Some(Vec::new()))
    }

    pub(super) async fn join(&mut self, member_id: &str, topics: &[&str]) -> Member {
        let request = self.joining(member_id, topics);
        self.admit(member_id, &request).await
    }

    pub(super) async fn admit(&mut self, member_id: &str, request: &ConsumerGroupHeartbeatRequest) -> Member {
        let response = self.send(request).await;
        assert_eq!(code(&response), ErrorCode::None, "{:?}", response.error_message);
        let mut member = Member {
            member_id: member_id.to_owned(),
            instance_id: request.instance_id.as_ref().map(|id| id.to_string()),
            member_epoch: 0,
            owned: Partitions::new(),
        };
        member.hear(&response);
        member
    }

    pub(super) async fn beat(&mut self, member: &mut Member) {
        let response = self.send(&member.request(&self.group)).await;
        assert_eq!(code(&response), ErrorCode::None, "{:?}", response.error_message);
        member.hear(&response);
    }

    /// Heartbeats of all, who do what they are told, until `is_done`.
    pub(super) async fn settle(
        &mut self,
        members: &mut [&mut Member],
        is_done: impl Fn(&[&mut Member]) -> bool,
    ) {
        let done = async {
            while !is_done(members) {
                for member in members.iter_mut() {
                    self.beat(member).await;
                }
                // Kafka 4.3 works out an assignment once in a second, so there is no use in asking all the time.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, done).await.expect("the assignment is done in time");
    }

    /// Creates a topic and returns when the coordinator assigns it: a real one hears of it after its leaders do.
    pub(super) async fn create_topic(&mut self, topic: &str, partitions: i32) {
        self.connection.create_topic_with(topic, partitions, &[]).await;
        let assigned = async {
            loop {
                let joining = self.joining("a", &[topic]).with_group_id(group_id(&unique("warm-up")));
                if told(&self.send(&joining).await).is_some_and(|told| !told.is_empty()) {
                    break;
                }
            }
        };
        tokio::time::timeout(PATIENCE, assigned).await.expect("the topic is known in time");
    }

    pub(super) async fn describe(&mut self, version: i16) -> DescribedGroup {
        let request = ConsumerGroupDescribeRequest::default()
            .with_group_ids(vec![group_id(&self.group)])
            .with_include_authorized_operations(true);
        self.connection.call(version, &request).await.groups.remove(0)
    }
}

/// A client that does what it is told.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) member_id: String,
    pub(super) instance_id: Option<String>,
    pub(super) member_epoch: i32,
    pub(super) owned: Partitions,
}

impl Member {
    fn request(&self, group: &str) -> ConsumerGroupHeartbeatRequest {
        let topic = |(topic, partitions): (&Uuid, &BTreeSet<i32>)| {
            TopicPartitions::default()
                .with_topic_id(*topic)
                .with_partitions(partitions.iter().copied().collect())
        };
        heartbeat(group, &self.member_id, self.member_epoch)
            .with_instance_id(self.instance_id.as_deref().map(text))
            .with_topic_partitions(Some(self.owned.iter().map(topic).collect()))
    }

    fn hear(&mut self, response: &ConsumerGroupHeartbeatResponse) {
        self.member_epoch = response.member_epoch;
        if let Some(told) = told(response) {
            self.owned = told;
        }
    }

    pub(super) fn load(&self) -> usize {
        self.owned.values().map(BTreeSet::len).sum()
    }
}

pub(super) fn heartbeat(group: &str, member_id: &str, member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group_id(group))
        .with_member_id(text(member_id))
        .with_member_epoch(member_epoch)
        .with_rebalance_timeout_ms(-1)
        .with_subscribed_topic_names(None)
        .with_topic_partitions(None)
}

pub(super) fn group_id(group: &str) -> GroupId {
    GroupId(text(group))
}

pub(super) fn code(response: &ConsumerGroupHeartbeatResponse) -> ErrorCode {
    ErrorCode::from(response.error_code)
}

pub(super) fn told(response: &ConsumerGroupHeartbeatResponse) -> Option<Partitions> {
    let topics = &response.assignment.as_ref()?.topic_partitions;
    Some(topics.iter().map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect())).collect())
}

async fn a_first_member_has_everything_at_once(broker: &Broker) {
    for version in broker.versions(ApiKey::ConsumerGroupHeartbeat, 0..=1) {
        let Some(mut scene) = Scene::open(broker).await else { return };
        let topic = unique("consumed");
        scene.create_topic(&topic, 3).await;
        let topic_id = scene.connection.topic_id(&topic).await;
        // From version 1 on a member chooses its id.
        let chosen = if version == 0 { "" } else { "chosen" };
        let request = scene.joining(chosen, &[&topic]);
        let response = scene.connection.call(version, &request).await;
        assert_eq!(code(&response), ErrorCode::None, "{:?}", response.error_message);
        assert_eq!(response.error_message, None);
        let member_id = response.member_id.clone().expect("a member id");
        assert!(if version == 0 { member_id.len() == 22 } else { &*member_id == "chosen" }, "{member_id}");
        assert!(response.member_epoch > 0);
        assert_eq!(response.heartbeat_interval_ms, 5_000);
        assert_eq!(told(&response), Some(Partitions::from([(topic_id, (0..3).collect())])));

        let again = heartbeat(&scene.group, &member_id, response.member_epoch);
        let again = scene.connection.call(version, &again).await;
        assert_eq!((code(&again), told(&again)), (ErrorCode::None, None));
        let leaving = heartbeat(&scene.group, &member_id, -1);
        let left = scene.connection.call(version, &leaving).await;
        assert_eq!((code(&left), left.member_epoch, left.member_id), (ErrorCode::None, -1, Some(member_id)));
    }
}

async fn requests_that_are_not_valid_are_refused_with_the_reason(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let valid = scene.joining("a", &["t"]);
    let message = |message: &str| message.to_owned();
    for (request, reason) in [
        (valid.clone().with_member_id(text("")), message("MemberId can't be empty.")),
        (valid.clone().with_group_id(group_id("")), message("GroupId can't be empty.")),
        (valid.clone().with_instance_id(Some(text(""))), message("InstanceId can't be empty.")),
        (valid.clone().with_rack_id(Some(text(" "))), message("RackId can't be empty.")),
        (
            valid.clone().with_rebalance_timeout_ms(-1),
            message("RebalanceTimeoutMs must be provided in first request."),
        ),
        (
            valid.clone().with_topic_partitions(None),
            message("TopicPartitions must be empty when (re-)joining."),
        ),
        (
            valid.clone().with_subscribed_topic_names(None),
            message(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
            ),
        ),
        (valid.clone().with_member_epoch(-2), message("InstanceId can't be null.")),
        (valid.clone().with_member_epoch(-3), message("MemberEpoch is invalid.")),
    ] {
        let response = scene.send(&request).await;
        assert_eq!(code(&response), ErrorCode::InvalidRequest, "{reason}");
        assert_eq!(response.error_message.as_deref(), Some(reason.as_str()));
        assert_eq!((response.member_id, response.member_epoch), (None, 0));
    }
    let response = scene.send(&valid.with_server_assignor(Some(text("mine")))).await;
    assert_eq!(code(&response), ErrorCode::UnsupportedAssignor);
    let expected = "ServerAssignor mine is not supported. Supported assignors: uniform, range.";
    assert_eq!(response.error_message.as_deref(), Some(expected));
    assert_eq!(scene.describe(0).await.error_code, ErrorCode::GroupIdNotFound.code());
}

async fn groups_and_members_that_do_not_exist_are_not_found(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let group = scene.group.clone();
    for (member_epoch, expected) in
        [(1, format!("Consumer group {group} not found.")), (-1, format!("Group {group} not found."))]
    {
        let response = scene.send(&heartbeat(&group, "a", member_epoch)).await;
        assert_eq!(code(&response), ErrorCode::GroupIdNotFound);
        assert_eq!(response.error_message.as_deref(), Some(expected.as_str()));
    }
    scene.join("a", &["no-such-topic"]).await;
    for member_epoch in [1, -1] {
        let response = scene.send(&heartbeat(&group, "b", member_epoch)).await;
        assert_eq!(code(&response), ErrorCode::UnknownMemberId);
        let expected = format!("Member b is not a member of group {group}.");
        assert_eq!(response.error_message.as_deref(), Some(expected.as_str()));
    }
}

async fn two_members_share_and_one_that_leaves_leaves_all(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let (one, two) = (unique("consumed"), unique("consumed"));
    scene.create_topic(&one, 3).await;
    scene.create_topic(&two, 2).await;
    let mut a = scene.join("a", &[&one, &two]).await;
    let before = a.owned.clone();
    let mut b = scene.join("b", &[&one, &two]).await;
    assert_eq!((a.load(), b.load()), (5, 0));
    scene.settle(&mut [&mut a, &mut b], |members| members[1].load() == 2 || members[1].load() == 3).await;
    assert_eq!(a.load() + b.load(), 5);
    assert_eq!(a.member_epoch, b.member_epoch);
    // What "a" has, it has kept.
    assert!(a.owned.iter().all(|(topic, partitions)| partitions.is_subset(&before[topic])));

    assert_eq!(scene.code(&heartbeat(&scene.group.clone(), "a", -1)).await, ErrorCode::None);
    scene.settle(&mut [&mut b], |members| members[0].load() == 5).await;
    assert_eq!(scene.describe(0).await.group_state.as_str(), "Stable");
    assert_eq!(scene.code(&heartbeat(&scene.group.clone(), "b", -1)).await, ErrorCode::None);
    let described = scene.describe(0).await;
    assert_eq!((described.group_state.as_str(), described.members.len()), ("Empty", 0));
}

async fn only_who_gave_back_enters_the_next_epoch(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let topic = unique("consumed");
    scene.create_topic(&topic, 2).await;
    let a = scene.join("a", &[&topic]).await;
    let mut b = scene.join("b", &[&topic]).await;

    // "a" owns both until it says otherwise.
    let mut asked = a.clone();
    scene.settle(&mut [&mut asked, &mut b], |members| members[0].load() == 1).await;
    let response = scene.send(&a.request(&scene.group)).await;
    assert_eq!((code(&response), response.member_epoch), (ErrorCode::None, a.member_epoch));
    scene.beat(&mut b).await;
    assert_eq!(b.load(), 0);
    assert_eq!(scene.describe(0).await.group_state.as_str(), "Reconciling");
    let described = scene.describe(0).await;
    let of_a = described.members.iter().find(|member| member.member_id.as_str() == "a").expect("described");
    // What is being given back is still told as assigned, but only by the latest release.
    let assigned = if broker.is_at_least(KafkaVersion::LATEST) { 2 } else { 1 };
    assert_eq!(of_a.assignment.topic_partitions[0].partitions.len(), assigned);
    assert_eq!(of_a.target_assignment.topic_partitions[0].partitions.len(), 1);

    scene.beat(&mut asked).await;
    assert!(asked.member_epoch > a.member_epoch);
    scene.beat(&mut b).await;
    assert_eq!((b.load(), b.member_epoch), (1, asked.member_epoch));
}

async fn other_epochs_are_fenced(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let topic = unique("consumed");
    scene.create_topic(&topic, 2).await;
    let mut a = scene.join("a", &[&topic]).await;
    let stale = a.clone();
    let response = scene.send(&heartbeat(&scene.group.clone(), "a", 99)).await;
    assert_eq!(code(&response), ErrorCode::FencedMemberEpoch);
    let expected = format!(
        "The consumer group member has a greater member epoch (99) than the one known by the group coordinator \
         ({}). The member must abandon all its partitions and rejoin.",
        a.member_epoch
    );
    assert_eq!(response.error_message.as_deref(), Some(expected.as_str()));
    let mut b = scene.join("b", &[&topic]).await;
    scene.settle(&mut [&mut a, &mut b], |members| members[1].load() == 1).await;
    assert_eq!(scene.code(&stale.request(&scene.group)).await, ErrorCode::FencedMemberEpoch);
    // It owns no more than it should: the answer with its new epoch may have been lost.
    let missed = Member { owned: a.owned.clone(), ..stale };
    let response = scene.send(&missed.request(&scene.group)).await;
    assert_eq!((code(&response), response.member_epoch), (ErrorCode::None, a.member_epoch));
    // A member may join again without having left, but only in the latest release.
    if broker.is_at_least(KafkaVersion::LATEST) {
        let rejoined = scene.join("a", &[&topic]).await;
        assert_eq!((rejoined.member_epoch, rejoined.owned), (a.member_epoch, a.owned));
    }
}

async fn a_static_member_returns_under_another_id(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let topic = unique("consumed");
    scene.create_topic(&topic, 2).await;
    let joining = |scene: &Scene, member_id: &str| {
        scene.joining(member_id, &[&topic]).with_instance_id(Some(text("instance")))
    };
    let request = joining(&scene, "one");
    let one = scene.admit("one", &request).await;
    let response = scene.send(&joining(&scene, "two")).await;
    assert_eq!(code(&response), ErrorCode::UnreleasedInstanceId);
    let expected = "Static member two with instance id instance cannot join the group because the instance id is \
                    owned by one member.";
    assert_eq!(response.error_message.as_deref(), Some(expected));

    let away = one.request(&scene.group).with_member_epoch(-2);
    let response = scene.send(&away).await;
    assert_eq!((code(&response), response.member_epoch), (ErrorCode::None, -2));
    let request = joining(&scene, "two");
    let two = scene.admit("two", &request).await;
    assert_eq!((two.member_epoch, &two.owned), (one.member_epoch, &one.owned));

    let response = scene.send(&one.request(&scene.group)).await;
    assert_eq!(code(&response), ErrorCode::FencedInstanceId);
    let expected = "Static member one with instance id instance was fenced by member two.";
    assert_eq!(response.error_message.as_deref(), Some(expected));
    let stranger = two.request(&scene.group).with_instance_id(Some(text("stranger")));
    let response = scene.send(&stranger).await;
    assert_eq!(code(&response), ErrorCode::UnknownMemberId);
    assert_eq!(response.error_message.as_deref(), Some("Instance id stranger is unknown."));
    assert_eq!(scene.code(&two.request(&scene.group).with_member_epoch(-1)).await, ErrorCode::None);
    assert_eq!(scene.describe(0).await.group_state.as_str(), "Empty");
}

async fn an_expression_subscribes_to_what_matches(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let prefix = unique("matched");
    for suffix in ["a", "b", "b-not"] {
        scene.create_topic(&format!("{prefix}-{suffix}"), 2).await;
    }
    let regex = format!("{prefix}-(a|b)");
    let request = scene
        .joining("a", &[])
        .with_subscribed_topic_names(None)
        .with_subscribed_topic_regex(Some(text(&regex)));
    let mut a = scene.admit("a", &request).await;
    scene.settle(&mut [&mut a], |members| members[0].load() == 4).await;
    let described = scene.describe(0).await;
    let regex_told = described.members[0].subscribed_topic_regex.as_ref().map(|regex| regex.to_string());
    assert_eq!(regex_told, Some(regex));

    // Names in its place.
    let names = a
        .request(&scene.group)
        .with_subscribed_topic_regex(Some(text("")))
        .with_subscribed_topic_names(Some(vec![name(&format!("{prefix}-b-not"))]));
    let response = scene.send(&names).await;
    assert_eq!(code(&response), ErrorCode::None);
    a.hear(&response);
    let only = scene.connection.topic_id(&format!("{prefix}-b-not")).await;
    scene.settle(&mut [&mut a], |members| members[0].owned.keys().eq([&only])).await;
    assert_eq!(a.load(), 2);
}

async fn an_expression_that_is_none_is_refused(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    for (regex, problem) in [
        ("[", "missing closing ]"),
        ("(", "missing closing )"),
        ("*a", "missing argument to repetition operator"),
        ("a\\", "trailing backslash at end of expression"),
        ("(?=a)b", "invalid or unsupported Perl syntax"),
        ("a{2000}", "invalid repeat count"),
        ("\\8", "invalid escape sequence"),
        ("[b-a]", "invalid character class range"),
        ("a)", "regexp/syntax: internal error"),
    ] {
        let request = scene
            .joining("a", &[])
            .with_subscribed_topic_names(None)
            .with_subscribed_topic_regex(Some(text(regex)));
        let response = scene.send(&request).await;
        assert_eq!(code(&response), ErrorCode::InvalidRegularExpression, "{regex}");
        let expected =
            format!("SubscribedTopicRegex `{regex}` is not a valid regular expression: {problem}.");
        assert_eq!(response.error_message.as_deref(), Some(expected.as_str()));
    }
    assert_eq!(scene.describe(0).await.error_code, ErrorCode::GroupIdNotFound.code());
}

async fn a_topic_that_is_created_later_is_assigned_later(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let topic = unique("consumed");
    let mut a = scene.join("a", &[&topic]).await;
    assert_eq!(a.load(), 0);
    scene.create_topic(&topic, 2).await;
    let epoch = a.member_epoch;
    scene.settle(&mut [&mut a], |members| members[0].load() == 2).await;
    assert!(a.member_epoch > epoch);
}

async fn the_range_assignor_gives_the_same_range_of_all_topics(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let (one, two) = (unique("consumed"), unique("consumed"));
    scene.create_topic(&one, 4).await;
    scene.create_topic(&two, 4).await;
    let range = |scene: &Scene, member_id| {
        scene.joining(member_id, &[&one, &two]).with_server_assignor(Some(text("range")))
    };
    let request = range(&scene, "a");
    let mut a = scene.admit("a", &request).await;
    let request = range(&scene, "b");
    let mut b = scene.admit("b", &request).await;
    scene.settle(&mut [&mut a, &mut b], |members| members[1].load() == 4).await;
    assert!(a.owned.values().all(|partitions| partitions.iter().eq(&[0, 1])));
    assert!(b.owned.values().all(|partitions| partitions.iter().eq(&[2, 3])));
    assert_eq!(scene.describe(0).await.assignor_name.as_str(), "range");
}

async fn a_group_can_have_a_heartbeat_interval_of_its_own(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let config = AlterableConfig::default()
        .with_name(text("consumer.heartbeat.interval.ms"))
        .with_value(Some(text("6000")));
    let resource = AlterConfigsResource::default()
        .with_resource_type(GROUP_RESOURCE)
        .with_resource_name(text(&scene.group))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let altered = scene.connection.call(1, &request).await.responses.remove(0);
    assert_eq!(altered.error_code, 0, "{:?}", altered.error_message);
    let joining = scene.joining("a", &["no-such-topic"]);
    let told = async {
        while scene.send(&joining).await.heartbeat_interval_ms != 6_000 {
            let leaving = heartbeat(&scene.group, "a", -1);
            assert_eq!(scene.code(&leaving).await, ErrorCode::None);
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("the configuration is known in time");
}

async fn a_group_is_described_in_every_version(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let topic = unique("consumed");
    scene.create_topic(&topic, 2).await;
    let topic_id = scene.connection.topic_id(&topic).await;
    let request = scene
        .joining("a", &[&topic])
        .with_instance_id(Some(text("instance")))
        .with_rack_id(Some(text("rack")));
    let a = scene.admit("a", &request).await;
    for version in broker.versions(ApiKey::ConsumerGroupDescribe, 0..=1) {
        let group = scene.describe(version).await;
        assert_eq!((group.error_code, group.group_id.as_str()), (0, scene.group.as_str()));
        assert_eq!((group.group_state.as_str(), group.assignor_name.as_str()), ("Stable", "uniform"));
        assert_eq!((group.group_epoch, group.assignment_epoch), (a.member_epoch, a.member_epoch));
        assert_eq!(group.authorized_operations, 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11);
        let [member] = group.members.as_slice() else { panic!("one member: {:?}", group.members) };
        assert_eq!((member.member_id.as_str(), member.member_epoch), ("a", a.member_epoch));
        assert_eq!(member.instance_id.as_deref(), Some("instance"));
        assert_eq!(member.rack_id.as_deref(), Some("rack"));
        assert_eq!((member.client_id.as_str(), member.client_host.as_str()), ("oracle", "/127.0.0.1"));
        assert_eq!(member.subscribed_topic_names, [name(&topic)]);
        assert_eq!(member.subscribed_topic_regex.as_deref(), Some(""));
        for assignment in [&member.assignment, &member.target_assignment] {
            let [told] = assignment.topic_partitions.as_slice() else { panic!("one topic: {assignment:?}") };
            assert_eq!((told.topic_id, &told.topic_name), (topic_id, &name(&topic)));
            assert_eq!(told.partitions.iter().collect::<BTreeSet<_>>(), BTreeSet::from([&0, &1]));
        }
        assert_eq!(member.member_type, if version == 0 { -1 } else { 1 });
    }
    let absent = unique("absent");
    let request =
        ConsumerGroupDescribeRequest::default().with_group_ids(vec![group_id(""), group_id(&absent)]);
    let groups = scene.connection.call(1, &request).await.groups;
    let told = |id: &str| groups.iter().find(|group| group.group_id.as_str() == id).expect("described");
    assert_eq!(ErrorCode::from(told("").error_code), ErrorCode::InvalidGroupId);
    assert_eq!(ErrorCode::from(told(&absent).error_code), ErrorCode::GroupIdNotFound);
    let expected = format!("Group {absent} not found.");
    assert_eq!(told(&absent).error_message.as_deref(), Some(expected.as_str()));
    assert_eq!(told(&absent).authorized_operations, i32::MIN);
}
