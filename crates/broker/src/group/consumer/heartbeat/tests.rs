use super::*;
use crate::config::Migration;
use crate::group::Committer;
use crate::group::consumer::Topics;
use crate::group::consumer::state::ConsumerGroupState;
use crate::group::consumer::testing::TopicTable;
use crate::group::consumer::{CommitCheck, Settings};

mod model;

/// A group, its topics and the time.
struct Scene {
    group: ConsumerGroup,
    topics: TopicTable,
    settings: Settings,
    now_ms: i64,
}

const CLIENT: Client<'static> = Client { client_id: "test", host: "/127.0.0.1" };

impl Scene {
    fn with(topics: &[(&str, i32)]) -> Self {
        let settings = Settings {
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 5_000,
            members_max: 10,
            assignors: vec![Assignor::Uniform, Assignor::Range],
            assignment_interval_ms: 0,
            regex_refresh_interval_ms: 600_000,
            migration: Migration { upgrades: true, downgrades: true },
        };
        Self {
            group: ConsumerGroup::new("group".into()),
            topics: TopicTable::of(topics),
            settings,
            now_ms: 0,
        }
    }

    fn send(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, GroupError> {
        check_heartbeat(request, 1, &self.settings.assignors)?;
        if leaves(request) {
            return self.group.leave(request);
        }
        let around = Surroundings { now_ms: self.now_ms, settings: &self.settings, topics: &self.topics };
        self.group.heartbeat(request, "generated".into(), CLIENT, &around)
    }

    fn accept(&mut self, request: &ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        self.send(request).expect("accepted")
    }

    fn refusal(&mut self, request: &ConsumerGroupHeartbeatRequest) -> (ErrorCode, String) {
        let error = self.send(request).expect_err("refused");
        (error.code, error.message)
    }

    fn code(&mut self, request: &ConsumerGroupHeartbeatRequest) -> ErrorCode {
        self.refusal(request).0
    }

    /// Heartbeats of all these, each owning what it was told last, until nothing changes.
    fn settle(&mut self, clients: &mut [&mut Peer]) {
        for _ in 0..10 {
            for client in clients.iter_mut() {
                client.beat(self);
            }
        }
        assert_eq!(self.group.state(), ConsumerGroupState::Stable);
    }
}

/// A client that does what it is told.
#[derive(Debug, Clone)]
struct Peer {
    member_id: String,
    instance_id: Option<String>,
    member_epoch: i32,
    owned: Partitions,
}

impl Peer {
    fn join(scene: &mut Scene, member_id: &str, names: &[&str]) -> Self {
        let response = scene.accept(&joining(member_id, names));
        let mut peer = Self {
            member_id: member_id.into(),
            instance_id: None,
            member_epoch: 0,
            owned: Partitions::new(),
        };
        peer.hear(&response);
        peer
    }

    fn request(&self) -> ConsumerGroupHeartbeatRequest {
        let mut request = heartbeat(&self.member_id, self.member_epoch);
        request.instance_id = self.instance_id.as_deref().map(ByteStr::from);
        request.topic_partitions = Some(wire(&self.owned));
        request
    }

    fn beat(&mut self, scene: &mut Scene) {
        let response = scene.accept(&self.request());
        self.hear(&response);
    }

    fn hear(&mut self, response: &ConsumerGroupHeartbeatResponse) {
        self.member_epoch = response.member_epoch;
        if let Some(assignment) = &response.assignment {
            self.owned = told(assignment);
        }
    }

    fn load(&self) -> usize {
        self.owned.values().map(BTreeSet::len).sum()
    }
}

fn wire(partitions: &Partitions) -> Vec<request::TopicPartitions> {
    let topic = |(topic_id, partitions): (&milena_protocol::Uuid, &BTreeSet<i32>)| request::TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
        ..Default::default()
    };
    partitions.iter().map(topic).collect()
}

fn told(assignment: &Assignment) -> Partitions {
    let topics = assignment.topic_partitions.iter();
    topics.map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect())).collect()
}

fn heartbeat(member_id: &str, member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "group".into(),
        member_id: member_id.into(),
        member_epoch,
        ..Default::default()
    }
}

fn joining(member_id: &str, names: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(names.iter().map(|name| ByteStr::from(*name)).collect()),
        topic_partitions: Some(Vec::new()),
        ..heartbeat(member_id, 0)
    }
}

fn joining_by_regex(member_id: &str, regex: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(regex.into()),
        ..joining(member_id, &[])
    }
}

fn joining_as(instance_id: &str, member_id: &str, names: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest { instance_id: Some(instance_id.into()), ..joining(member_id, names) }
}

#[test]
fn requests_that_no_group_would_accept_are_refused_in_kafkas_order() {
    let mut scene = Scene::with(&[]);
    let valid = joining("a", &["t"]);
    let change = |change: &dyn Fn(&mut ConsumerGroupHeartbeatRequest)| {
        let mut request = valid.clone();
        change(&mut request);
        request
    };
    for (request, message) in [
        (change(&|r| r.member_id = "".into()), "MemberId can't be empty."),
        (change(&|r| r.group_id = " ".into()), "GroupId can't be empty."),
        (change(&|r| r.instance_id = Some("".into())), "InstanceId can't be empty."),
        (change(&|r| r.rack_id = Some("".into())), "RackId can't be empty."),
        (change(&|r| r.rebalance_timeout_ms = -1), "RebalanceTimeoutMs must be provided in first request."),
        (change(&|r| r.topic_partitions = None), "TopicPartitions must be empty when (re-)joining."),
        (
            change(&|r| r.subscribed_topic_names = None),
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        ),
        (change(&|r| r.member_epoch = -2), "InstanceId can't be null."),
        (change(&|r| r.member_epoch = -3), "MemberEpoch is invalid."),
    ] {
        assert_eq!(scene.refusal(&request), (ErrorCode::InvalidRequest, message.to_owned()));
    }
    let custom = change(&|r| r.server_assignor = Some("mine".into()));
    let message = "ServerAssignor mine is not supported. Supported assignors: uniform, range.";
    assert_eq!(scene.refusal(&custom), (ErrorCode::UnsupportedAssignor, message.to_owned()));
    assert!(scene.group.is_empty());
}

#[test]
fn the_first_member_has_everything_at_once() {
    let mut scene = Scene::with(&[("t", 3)]);
    let response = scene.accept(&joining("a", &["t"]));
    assert_eq!((response.member_id.as_deref(), response.member_epoch), (Some("a"), 2));
    assert_eq!(response.heartbeat_interval_ms, 5_000);
    assert_eq!(
        told(&response.assignment.expect("told")),
        Partitions::from([(scene.topics.id("t"), (0..3).collect())])
    );
    assert_eq!(scene.group.state(), ConsumerGroupState::Stable);
    // It is not told again what it knows.
    assert_eq!(scene.accept(&heartbeat("a", 2)).assignment, None);
}

#[test]
fn an_id_is_given_to_a_member_that_brings_none() {
    let mut scene = Scene::with(&[]);
    let around = Surroundings { now_ms: 0, settings: &scene.settings, topics: &scene.topics };
    let response = scene.group.heartbeat(&joining("", &[]), "generated".into(), CLIENT, &around);
    assert_eq!(response.expect("accepted").member_id.as_deref(), Some("generated"));
}

#[test]
fn a_partition_changes_hands_only_when_it_was_given_back() {
    let mut scene = Scene::with(&[("t", 2)]);
    let mut a = Peer::join(&mut scene, "a", &["t"]);
    let mut b = Peer::join(&mut scene, "b", &["t"]);
    assert_eq!((b.member_epoch, b.load()), (3, 0));

    // "a" is told to give back one, stays in its epoch, and is asked until it has done so.
    let response = scene.accept(&a.request());
    assert_eq!(response.member_epoch, 2);
    let left = told(&response.assignment.expect("told"));
    assert_eq!(scene.accept(&a.request()).member_epoch, 2);
    b.beat(&mut scene);
    assert_eq!(b.load(), 0);
    a.owned = left;
    a.beat(&mut scene);
    assert_eq!((a.member_epoch, a.load()), (3, 1));
    b.beat(&mut scene);
    assert_eq!((b.member_epoch, b.load()), (3, 1));
    assert_eq!(scene.group.state(), ConsumerGroupState::Stable);
}

#[test]
fn who_does_not_give_back_in_time_is_thrown_out() {
    let mut scene = Scene::with(&[("t", 2)]);
    let a = Peer::join(&mut scene, "a", &["t"]);
    let mut b = Peer::join(&mut scene, "b", &["t"]);
    scene.accept(&a.request());
    let mut beat = |scene: &mut Scene, now_ms| {
        scene.now_ms = now_ms;
        scene.accept(&a.request());
        b.beat(scene);
        scene.group.handle_timeout(now_ms);
    };
    beat(&mut scene, 40_000);
    beat(&mut scene, 59_999);
    assert_eq!(scene.group.next_deadline(), Some(60_000));
    scene.group.handle_timeout(60_000);
    assert_eq!(scene.code(&a.request()), ErrorCode::UnknownMemberId);
    scene.settle(&mut [&mut b]);
    assert_eq!(b.load(), 2);
}

#[test]
fn who_is_silent_is_thrown_out() {
    let mut scene = Scene::with(&[("t", 1)]);
    let a = Peer::join(&mut scene, "a", &["t"]);
    scene.now_ms = 30_000;
    scene.accept(&a.request());
    assert_eq!(scene.group.next_deadline(), Some(75_000));
    scene.group.handle_timeout(74_999);
    assert!(!scene.group.is_empty());
    scene.group.handle_timeout(75_000);
    assert!(scene.group.is_empty());
    assert_eq!((scene.group.next_deadline(), scene.group.state()), (None, ConsumerGroupState::Empty));
}

#[test]
fn another_epoch_is_fenced_but_for_an_answer_that_was_lost() {
    let mut scene = Scene::with(&[("t", 2)]);
    let mut a = Peer::join(&mut scene, "a", &["t"]);
    let stale = a.clone();
    let mut b = Peer::join(&mut scene, "b", &["t"]);
    assert_eq!(scene.code(&heartbeat("a", 99)), ErrorCode::FencedMemberEpoch);
    scene.settle(&mut [&mut a, &mut b]);
    assert_eq!((stale.member_epoch, a.member_epoch), (2, 3));
    let (code, message) = scene.refusal(&stale.request());
    assert_eq!(code, ErrorCode::FencedMemberEpoch);
    assert_eq!(
        message,
        "The consumer group member has a smaller member epoch (2) than the one known by the group coordinator \
         (3). The member must abandon all its partitions and rejoin."
    );
    // With no more than it should own, it may just not have heard of its new epoch.
    let missed = Peer { owned: a.owned.clone(), ..stale };
    assert_eq!(scene.accept(&missed.request()).member_epoch, 3);
    assert_eq!(scene.code(&heartbeat("a", 2)), ErrorCode::FencedMemberEpoch);
    // Joining again is always right.
    assert_eq!(scene.accept(&joining("a", &["t"])).member_epoch, 3);
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut scene = Scene::with(&[("t", 4)]);
    let response = scene.accept(&joining_as("i", "one", &["t"]));
    let mut one = Peer {
        member_id: "one".into(),
        instance_id: Some("i".into()),
        member_epoch: 0,
        owned: Partitions::new(),
    };
    one.hear(&response);
    let mut other = Peer::join(&mut scene, "other", &["t"]);
    scene.settle(&mut [&mut one, &mut other]);
    let group_epoch = scene.group.group_epoch;

    assert_eq!(scene.code(&joining_as("i", "two", &["t"])), ErrorCode::UnreleasedInstanceId);
    let away = ConsumerGroupHeartbeatRequest { member_epoch: -2, ..one.request() };
    let response = scene.accept(&away);
    assert_eq!((response.member_epoch, response.assignment), (-2, None));
    other.beat(&mut scene);
    assert_eq!(other.load(), 2);

    let response = scene.accept(&joining_as("i", "two", &["t"]));
    assert_eq!(told(&response.assignment.expect("told")), one.owned);
    assert_eq!((response.member_epoch, scene.group.group_epoch), (one.member_epoch, group_epoch));
    assert_eq!(scene.code(&one.request()), ErrorCode::FencedInstanceId);
    let unknown = ConsumerGroupHeartbeatRequest { instance_id: Some("j".into()), ..heartbeat("two", 3) };
    assert_eq!(scene.code(&unknown), ErrorCode::UnknownMemberId);
}

#[test]
fn a_static_member_that_stays_away_is_thrown_out() {
    let mut scene = Scene::with(&[("t", 4)]);
    scene.accept(&joining_as("i", "one", &["t"]));
    let away = ConsumerGroupHeartbeatRequest { instance_id: Some("i".into()), ..heartbeat("one", -2) };
    scene.accept(&away);
    scene.group.handle_timeout(45_000);
    assert!(scene.group.is_empty());
    assert_eq!(scene.code(&away), ErrorCode::UnknownMemberId);
}

#[test]
fn a_full_group_takes_nobody_but_its_own() {
    let mut scene = Scene::with(&[("t", 1)]);
    scene.settings.members_max = 1;
    Peer::join(&mut scene, "a", &["t"]);
    let (code, message) = scene.refusal(&joining("b", &["t"]));
    assert_eq!(code, ErrorCode::GroupMaxSizeReached);
    assert_eq!(message, "The consumer group has reached its maximum capacity of 1 members.");
    scene.accept(&joining("a", &["t"]));
}

#[test]
fn topics_that_come_grow_and_go_are_seen_with_the_next_heartbeat() {
    let mut scene = Scene::with(&[]);
    let mut a = Peer::join(&mut scene, "a", &["t"]);
    assert_eq!((a.member_epoch, a.load()), (2, 0));
    scene.topics.create("t", 2);
    a.beat(&mut scene);
    assert_eq!((a.member_epoch, a.load()), (3, 2));
    scene.topics.add_partition("t");
    a.beat(&mut scene);
    assert_eq!((a.member_epoch, a.load()), (4, 3));
    scene.topics.create("unrelated", 2);
    a.beat(&mut scene);
    assert_eq!(a.member_epoch, 4);
    scene.topics.delete("t");
    scene.settle(&mut [&mut a]);
    assert_eq!((a.member_epoch, a.load()), (5, 0));
}

#[test]
fn an_expression_is_resolved_after_the_heartbeat_and_again_for_new_topics() {
    let mut scene = Scene::with(&[("x-1", 1), ("y", 1)]);
    let response = scene.accept(&joining_by_regex("a", "x-.*"));
    assert_eq!((response.member_epoch, told(&response.assignment.expect("told"))), (1, Partitions::new()));
    let mut a = Peer { member_id: "a".into(), instance_id: None, member_epoch: 1, owned: Partitions::new() };
    a.beat(&mut scene);
    assert_eq!((a.member_epoch, a.load()), (2, 1));

    // Not more often than every ten seconds.
    scene.topics.create("x-2", 1);
    scene.now_ms = 10_000;
    a.beat(&mut scene);
    a.beat(&mut scene);
    assert_eq!(a.load(), 1);
    scene.now_ms = 10_001;
    a.beat(&mut scene);
    a.beat(&mut scene);
    assert_eq!((a.member_epoch, a.load()), (3, 2));

    let names = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(vec!["y".into()]),
        subscribed_topic_regex: Some("".into()),
        ..a.request()
    };
    let response = scene.accept(&names);
    a.hear(&response);
    scene.settle(&mut [&mut a]);
    assert_eq!(a.owned, Partitions::from([(scene.topics.id("y"), BTreeSet::from([0]))]));
    assert!(scene.group.resolved.is_empty());
}

#[test]
fn an_invalid_expression_changes_nothing() {
    let mut scene = Scene::with(&[("t", 1)]);
    assert_eq!(scene.code(&joining_by_regex("a", "[")), ErrorCode::InvalidRegularExpression);
    assert!(scene.group.is_empty());
    let a = Peer::join(&mut scene, "a", &["t"]);
    let worse = ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some("(".into()), ..a.request() };
    assert_eq!(scene.code(&worse), ErrorCode::InvalidRegularExpression);
    assert_eq!(scene.accept(&a.request()).member_epoch, a.member_epoch);
}

#[test]
fn a_topic_that_was_unsubscribed_is_taken_away_at_once() {
    let mut scene = Scene::with(&[("t", 1), ("u", 1)]);
    scene.settings.assignment_interval_ms = 1_000;
    let a = Peer::join(&mut scene, "a", &["t", "u"]);
    // The target is not worked out anew for a second, and yet "u" must go.
    scene.now_ms = 1;
    let fewer =
        ConsumerGroupHeartbeatRequest { subscribed_topic_names: Some(vec!["t".into()]), ..a.request() };
    let response = scene.accept(&fewer);
    let left = told(&response.assignment.expect("told"));
    assert_eq!(left, Partitions::from([(scene.topics.id("t"), BTreeSet::from([0]))]));
    assert_eq!(scene.group.state(), ConsumerGroupState::Assigning);
}

#[test]
fn the_target_is_worked_out_at_most_once_in_an_interval() {
    let mut scene = Scene::with(&[("t", 2)]);
    scene.settings.assignment_interval_ms = 1_000;
    let mut a = Peer::join(&mut scene, "a", &["t"]);
    scene.now_ms = 999;
    let mut b = Peer::join(&mut scene, "b", &["t"]);
    a.beat(&mut scene);
    assert_eq!((a.load(), b.load(), b.member_epoch), (2, 0, 2));
    scene.now_ms = 1_000;
    scene.settle(&mut [&mut a, &mut b]);
    assert_eq!((a.load(), b.load(), b.member_epoch), (1, 1, 3));
}

#[test]
fn most_votes_choose_the_assignor() {
    let mut scene = Scene::with(&[("t", 4), ("u", 1)]);
    let vote = |member_id: &str, assignor: Option<&str>| ConsumerGroupHeartbeatRequest {
        server_assignor: assignor.map(ByteStr::from),
        ..joining(member_id, &["t", "u"])
    };
    let supported = scene.settings.assignors.clone();
    scene.accept(&vote("a", None));
    assert_eq!(scene.group.preferred_assignor(&supported), Assignor::Uniform);
    scene.accept(&vote("b", Some("range")));
    assert_eq!(scene.group.preferred_assignor(&supported), Assignor::Range);
    scene.accept(&vote("c", Some("uniform")));
    assert_eq!(scene.group.preferred_assignor(&supported), Assignor::Uniform);
}

#[test]
fn commits_need_the_members_epoch_or_partitions_held_since_then() {
    let mut scene = Scene::with(&[("t", 2)]);
    let topic = scene.topics.id("t");
    let mut a = Peer::join(&mut scene, "a", &["t"]);
    let mut b = Peer::join(&mut scene, "b", &["t"]);
    scene.settle(&mut [&mut a, &mut b]);
    let group = &scene.group;
    let kept = *a.owned[&topic].first().expect("one partition");
    assert_eq!((a.member_epoch, b.member_epoch), (3, 3));

    let by = |member_id, generation_or_epoch, is_transactional, api_version| Committer {
        member_id,
        group_instance_id: None,
        generation_or_epoch,
        is_transactional,
        api_version,
    };
    assert_eq!(group.check_commit(by("a", 3, false, 9)), Ok(CommitCheck::Any));
    let late = group.check_commit(by("a", 2, false, 9)).expect("accepted in part");
    assert_eq!(late.partition(&topic, kept), Ok(()));
    assert_eq!(late.partition(&topic, 1 - kept), Err(ErrorCode::StaleMemberEpoch));
    let early = group.check_commit(by("b", 2, false, 9)).expect("accepted in part");
    assert_eq!(early.partition(&topic, 1 - kept), Err(ErrorCode::StaleMemberEpoch));

    let code = |by| group.check_commit(by).map(drop).map_err(|error| error.code);
    assert_eq!(code(by("a", 4, false, 9)), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(code(by("a", 3, false, 8)), Err(ErrorCode::UnsupportedVersion));
    assert_eq!(code(by("x", 3, false, 9)), Err(ErrorCode::UnknownMemberId));
    assert_eq!(code(by("", -1, false, 9)), Err(ErrorCode::UnknownMemberId));
    assert_eq!(code(by("", -1, true, 3)), Ok(()));
    assert_eq!(ConsumerGroup::new("empty".into()).check_commit(by("", -1, false, 2)), Ok(CommitCheck::Any));

    let fetch = |member_id, epoch| group.check_fetch(member_id, epoch).map_err(|error| error.code);
    assert_eq!(fetch(None, -1), Ok(()));
    assert_eq!(fetch(Some("a"), 3), Ok(()));
    assert_eq!(fetch(Some("a"), 2), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(fetch(Some("x"), 2), Err(ErrorCode::UnknownMemberId));
}
