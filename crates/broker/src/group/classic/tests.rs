use milena_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use milena_protocol::messages::leave_group_request::MemberIdentity;
use milena_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use milena_protocol::messages::{HeartbeatRequest, JoinGroupRequest, SyncGroupRequest};
use tokio::sync::oneshot;

use super::*;
use crate::config::{Configs, GroupSettings};
use crate::rng::Rng;

/// A group with its time and its waiting members.
struct Bench {
    group: ClassicGroup,
    rng: Rng,
    now_ms: i64,
    settings: GroupSettings,
}

type Answer<T> = oneshot::Receiver<T>;

impl Bench {
    fn new() -> Self {
        let settings = Configs::default().broker_settings(None).groups;
        let group = ClassicGroup::new(Moment { elapsed_ms: 0, wall_ms: 1_000_000 });
        Self { group, rng: Rng::from_seed(7), now_ms: 0, settings }
    }

    /// Without a wait for more members.
    fn at_once() -> Self {
        let mut bench = Self::new();
        bench.settings.initial_rebalance_delay_ms = 0;
        bench
    }

    fn now(&self) -> Moment {
        Moment { elapsed_ms: self.now_ms, wall_ms: 1_000_000 + self.now_ms }
    }

    fn pass(&mut self, ms: i64) {
        let until = self.now_ms + ms;
        while let Some(deadline_ms) = self.group.next_deadline().filter(|deadline_ms| *deadline_ms <= until) {
            self.now_ms = self.now_ms.max(deadline_ms);
            self.group.handle_timeout(self.now(), &self.settings);
        }
        self.now_ms = until;
    }

    fn send(&mut self, request: &JoinGroupRequest, api_version: i16) -> Answer<JoinGroupResponse> {
        let (slot, answer) = oneshot::channel();
        let client = JoiningClient { client_id: "c", client_host: "/127.0.0.1", api_version };
        let now = self.now();
        self.group.handle_join(request, client, slot, &mut self.rng, now, &self.settings);
        answer
    }

    /// Joins as a new member, in the old way that needs no id first.
    fn join(&mut self, name: &str) -> Answer<JoinGroupResponse> {
        self.send(&request("", name), 3)
    }

    fn rejoin(&mut self, member_id: &str, name: &str) -> Answer<JoinGroupResponse> {
        self.send(&request(member_id, name), 9)
    }

    fn sync(&mut self, joined: &JoinGroupResponse, assign: &[&str]) -> Answer<SyncGroupResponse> {
        let assignment = |member_id: &&str| SyncGroupRequestAssignment {
            member_id: (*member_id).into(),
            assignment: Bytes::copy_from_slice(member_id.as_bytes()),
            ..Default::default()
        };
        let request = SyncGroupRequest {
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            assignments: assign.iter().map(assignment).collect(),
            ..Default::default()
        };
        let (slot, answer) = oneshot::channel();
        let now = self.now();
        self.group.handle_sync(&request, slot, now);
        answer
    }

    fn beat(&mut self, joined: &JoinGroupResponse) -> Result<(), ErrorCode> {
        let request = HeartbeatRequest {
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            ..Default::default()
        };
        let now = self.now();
        self.group.handle_heartbeat(&request, now)
    }

    fn leave(&mut self, member_id: &str) -> Result<(), ErrorCode> {
        let leaving = MemberIdentity { member_id: member_id.into(), ..Default::default() };
        let now = self.now();
        self.group.handle_leave(&[leaving], now, &self.settings).remove(0)
    }

    /// One stable member.
    fn settle(&mut self) -> JoinGroupResponse {
        let joining = self.join("a");
        self.pass(0);
        let joined = answered(joining);
        answered(self.sync(&joined, &[&joined.member_id]));
        joined
    }

    fn commit(&mut self, member_id: &str, generation_or_epoch: i32) -> Result<(), ErrorCode> {
        let by = Committer {
            member_id,
            group_instance_id: None,
            generation_or_epoch,
            is_transactional: false,
            api_version: 9,
        };
        let now = self.now();
        self.group.handle_offset_commit(by, now)
    }
}

/// A consumer's join; `name` is the topic it wants.
fn request(member_id: &str, name: &str) -> JoinGroupRequest {
    let mut metadata = b"\x00\x00\x00\x00\x00\x01".to_vec();
    metadata.extend((name.len() as i16).to_be_bytes());
    metadata.extend(name.as_bytes());
    metadata.extend((-1i32).to_be_bytes());
    JoinGroupRequest {
        member_id: member_id.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: metadata.into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn answered<T>(mut answer: Answer<T>) -> T {
    answer.try_recv().expect("answered")
}

fn waits<T>(answer: &mut Answer<T>) -> bool {
    matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Empty))
}

#[test]
fn a_new_group_waits_for_its_first_members() {
    let mut bench = Bench::new();
    let mut alone = bench.join("a");
    bench.pass(2_999);
    assert!(waits(&mut alone));
    bench.pass(1);
    assert_eq!(answered(alone).generation_id, 1);
}

#[test]
fn the_wait_goes_on_while_members_come_until_the_rebalance_timeout() {
    let mut bench = Bench::new();
    let hurried = JoinGroupRequest { rebalance_timeout_ms: 10_000, ..request("", "a") };
    let mut joining = vec![bench.send(&hurried, 3)];
    for _ in 0..4 {
        bench.pass(2_000);
        joining.push(bench.send(&hurried, 3));
    }
    // Three whole delays, and what is left of the ten seconds.
    bench.pass(1_999);
    assert!(joining.iter_mut().all(waits));
    bench.pass(1);
    let generations: Vec<_> = joining.into_iter().map(|answer| answered(answer).generation_id).collect();
    assert_eq!(generations, [1; 5]);
}

#[test]
fn a_new_group_does_not_wait_on_when_nobody_else_comes() {
    let mut bench = Bench::new();
    let first = bench.join("a");
    bench.pass(1_000);
    let second = bench.join("b");
    bench.pass(2_000);
    let third = bench.join("c");
    // One more delay, for the second; the third came in it, so another.
    bench.pass(2_999);
    bench.pass(3_001);
    for answer in [first, second, third] {
        assert_eq!(answered(answer).generation_id, 1);
    }
}

#[test]
fn a_rebalance_ends_when_the_last_member_joins_or_time_is_up() {
    let mut bench = Bench::at_once();
    let one = bench.settle();
    let mut other = bench.join("b");
    assert_eq!(bench.beat(&one), Err(ErrorCode::RebalanceInProgress));
    // The first keeps its session and does not join: it is out when the rebalance timeout is over.
    for _ in 0..7 {
        bench.pass(8_000);
        assert!(waits(&mut other));
        assert_eq!(bench.beat(&one), Err(ErrorCode::RebalanceInProgress));
    }
    bench.pass(4_000);
    let alone = answered(other);
    assert_eq!((alone.generation_id, alone.members.len(), &alone.leader), (2, 1, &alone.member_id));
    assert_eq!(bench.beat(&one), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn a_silent_member_is_out_after_its_session_timeout() {
    let mut bench = Bench::at_once();
    let member = bench.settle();
    bench.pass(9_999);
    assert_eq!(bench.beat(&member), Ok(()));
    bench.pass(9_999);
    assert_eq!(bench.commit(&member.member_id, 1), Ok(()), "a commit shows life as well");
    bench.pass(9_999);
    assert_eq!(bench.beat(&member), Ok(()));
    bench.pass(10_000);
    assert_eq!(bench.beat(&member), Err(ErrorCode::UnknownMemberId));
    assert!(bench.group.is_empty());
}

#[test]
fn a_member_that_waits_for_us_is_not_silent() {
    let mut bench = Bench::at_once();
    let one = bench.settle();
    let mut again = bench.rejoin(&one.member_id, "a");
    assert!(!waits(&mut again), "alone, it joins at once");
    let other = bench.join("b");
    let mut joining = bench.rejoin(&one.member_id, "a");
    assert!(!waits(&mut joining));
    let (one, other) = (bench.rejoin(&one.member_id, "a"), answered(other));
    let one = answered(one);
    let mut waiting = bench.sync(&other, &[]);
    for _ in 0..5 {
        bench.pass(9_000);
        assert_eq!(bench.beat(&one), Ok(()), "the leader assigns");
    }
    assert!(waits(&mut waiting));
    let members = [&*one.member_id, &*other.member_id];
    answered(bench.sync(&one, &members));
    assert_eq!(answered(waiting).assignment, other.member_id.as_bytes());
    bench.pass(9_999);
    assert_eq!(bench.beat(&other), Ok(()), "its session began when it was answered");
}

#[test]
fn a_new_member_is_not_waited_for_longer_than_five_minutes() {
    let mut bench = Bench::at_once();
    let one = bench.settle();
    let mut patient = request("", "b");
    patient.rebalance_timeout_ms = 1_000_000;
    let mut gone = bench.send(&patient, 3);
    for _ in 0..30 {
        assert_eq!(bench.beat(&one), Err(ErrorCode::RebalanceInProgress));
        bench.pass(9_999);
    }
    assert!(waits(&mut gone));
    assert_eq!(bench.beat(&one), Err(ErrorCode::RebalanceInProgress));
    bench.pass(30);
    let gone = answered(gone);
    assert_eq!((gone.error_code, &*gone.member_id), (ErrorCode::UnknownMemberId, ""));
}

#[test]
fn members_that_do_not_sync_in_time_are_out() {
    let mut bench = Bench::at_once();
    let joining = bench.join("a");
    bench.pass(0);
    let one = answered(joining);
    for _ in 0..6 {
        bench.pass(9_999);
        assert_eq!(bench.beat(&one), Ok(()));
    }
    bench.pass(6);
    assert_eq!(bench.beat(&one), Err(ErrorCode::UnknownMemberId));
    assert!(bench.group.is_empty());
    assert_eq!(bench.group.generation_id, 2);
}

#[test]
fn an_id_that_was_given_out_is_waited_for_until_its_session_ends() {
    let mut bench = Bench::at_once();
    let one = bench.settle();
    let asked = answered(bench.send(&request("", "b"), 4));
    assert_eq!(asked.error_code, ErrorCode::MemberIdRequired);
    let mut again = bench.rejoin(&one.member_id, "a");
    bench.pass(9_999);
    assert!(waits(&mut again));
    bench.pass(1);
    assert_eq!(answered(again).generation_id, 2);
    let late = answered(bench.send(&request(&asked.member_id, "b"), 4));
    assert_eq!(late.error_code, ErrorCode::UnknownMemberId);
}

#[test]
fn a_full_group_turns_new_members_away() {
    let mut bench = Bench::at_once();
    bench.settings.members_max = 1;
    let one = bench.settle();
    let refused = answered(bench.join("b"));
    assert_eq!((refused.error_code, &*refused.member_id), (ErrorCode::GroupMaxSizeReached, ""));
    assert_eq!(answered(bench.rejoin(&one.member_id, "a")).generation_id, 2);
}

#[test]
fn a_lowered_limit_turns_the_last_to_join_away() {
    let mut bench = Bench::at_once();
    let one = bench.settle();
    let other = bench.join("b");
    let one = answered(bench.rejoin(&one.member_id, "a"));
    let other = answered(other);
    answered(bench.sync(&one, &[]));
    bench.settings.members_max = 1;
    let mut again = bench.rejoin(&one.member_id, "a");
    assert!(waits(&mut again));
    let refused = answered(bench.rejoin(&other.member_id, "b"));
    assert_eq!(refused.error_code, ErrorCode::GroupMaxSizeReached);
    // As in Java, nobody looks whether it was the last one that was missing.
    bench.pass(60_000);
    assert_eq!(answered(again).members.len(), 1);
}

#[test]
fn static_members_are_waited_for_as_long_as_their_session() {
    let mut bench = Bench::at_once();
    let mut instance = request("", "a");
    instance.group_instance_id = Some("i".into());
    let joining = bench.send(&instance, 9);
    bench.pass(0);
    let one = answered(joining);
    answered(bench.sync(&one, &[]));
    let mut long = instance.clone();
    long.member_id = one.member_id.clone();
    long.session_timeout_ms = 500_000;
    let again = answered(bench.send(&long, 9));
    answered(bench.sync(&again, &[]));
    // Another joins; the instance is down, and keeps its place in the next generation.
    let other = bench.join("b");
    bench.pass(60_000);
    let other = answered(other);
    assert_eq!(
        (other.error_code, other.members.len(), &other.leader),
        (ErrorCode::None, 2, &other.member_id)
    );
}

#[test]
fn when_no_static_member_is_back_the_rebalance_waits_on() {
    let mut bench = Bench::at_once();
    let mut instance = request("", "a");
    instance.group_instance_id = Some("i".into());
    instance.session_timeout_ms = 200_000;
    let joining = bench.send(&instance, 9);
    bench.pass(0);
    let one = answered(joining);
    answered(bench.sync(&one, &[]));
    let other = bench.join("b");
    let gone = bench.group.pending_joins.len();
    assert_eq!(gone, 0);
    bench
        .leave(&bench.group.members.keys().find(|id| **id != one.member_id).cloned().expect("b"))
        .expect("left");
    drop(other);
    bench.pass(150_000);
    assert_eq!(bench.group.state.name(), "PreparingRebalance");
    bench.pass(60_000);
    assert!(bench.group.is_empty(), "its session is over");
}

#[test]
fn a_coordinator_that_moves_answers_who_waits_and_keeps_members() {
    let mut bench = Bench::at_once();
    let one = bench.settle();
    let stranger = bench.join("b");
    let waiting = bench.rejoin(&one.member_id, "a");
    assert!(answered(waiting).error_code.is_ok());
    answered(stranger);
    let one = answered(bench.rejoin(&one.member_id, "a"));
    let newcomer = bench.join("c");
    bench.pass(5_000);
    let now = bench.now();
    bench.group.handle_moved(now);
    let told = answered(newcomer);
    assert_eq!(told.error_code, ErrorCode::NotCoordinator);
    assert!(!bench.group.members.contains_key(&told.member_id), "it never knew that it was a member");
    bench.pass(9_999);
    assert_eq!(bench.beat(&one), Err(ErrorCode::RebalanceInProgress), "its session began anew");
}

#[test]
fn syncs_that_wait_are_answered_when_the_coordinator_moves() {
    let mut bench = Bench::at_once();
    let one = bench.settle();
    let other = bench.join("b");
    let one = answered(bench.rejoin(&one.member_id, "a"));
    let other = answered(other);
    let waiting = bench.sync(&other, &[]);
    let now = bench.now();
    bench.group.handle_moved(now);
    assert_eq!(answered(waiting).error_code, ErrorCode::NotCoordinator);
    assert_eq!(answered(bench.sync(&one, &[])).error_code, ErrorCode::None);
}

#[test]
fn a_transaction_commits_whatever_the_state_if_its_member_is_of_this_generation() {
    let mut bench = Bench::at_once();
    let joining = bench.join("a");
    bench.pass(0);
    let one = answered(joining);
    let commit = |bench: &mut Bench, member_id: &str, generation_or_epoch| {
        let by = Committer {
            member_id,
            group_instance_id: None,
            generation_or_epoch,
            is_transactional: true,
            api_version: 3,
        };
        let now = bench.now();
        bench.group.handle_offset_commit(by, now)
    };
    assert_eq!(commit(&mut bench, &one.member_id, 1), Ok(()));
    assert_eq!(commit(&mut bench, "", -1), Ok(()), "the oldest versions do not name a member");
    assert_eq!(commit(&mut bench, &one.member_id, 0), Err(ErrorCode::IllegalGeneration));
    assert_eq!(commit(&mut bench, "x", 1), Err(ErrorCode::UnknownMemberId));
    assert_eq!(bench.commit(&one.member_id, 1), Err(ErrorCode::RebalanceInProgress));
}

#[test]
fn offsets_expire_by_the_state_of_their_group() {
    let mut bench = Bench::at_once();
    assert_eq!(bench.group.offset_expiry(), OffsetExpiry::SinceCommit, "never had members");
    let one = bench.settle();
    assert_eq!(bench.group.offset_expiry(), OffsetExpiry::SinceCommit);
    assert!(bench.group.is_subscribed_to("a") && !bench.group.is_subscribed_to("b"));
    let other = bench.join("b");
    assert_eq!(bench.group.offset_expiry(), OffsetExpiry::Never);
    drop(other);
    bench.leave(&one.member_id).expect("left");
    let last = bench.group.members.keys().next().cloned().expect("the other");
    bench.pass(500);
    bench.leave(&last).expect("left");
    assert_eq!(bench.group.offset_expiry(), OffsetExpiry::Since { wall_ms: 1_000_500 });
    assert!(!bench.group.is_subscribed_to("a"));
}

#[test]
fn what_others_than_consumers_want_is_not_known() {
    let mut bench = Bench::at_once();
    let other = JoinGroupRequest { protocol_type: "connect".into(), ..request("", "a") };
    let joining = bench.send(&other, 3);
    bench.pass(0);
    answered(joining);
    assert_eq!(bench.group.check_offset_delete(), Err(ErrorCode::NonEmptyGroup));
    assert!(!bench.group.is_subscribed_to("a"));
    let mut bench = Bench::at_once();
    let mut unreadable = request("", "a");
    unreadable.protocols[0].metadata = Bytes::from_static(b"?");
    let joining = bench.send(&unreadable, 3);
    bench.pass(0);
    answered(joining);
    assert_eq!(bench.group.check_offset_delete(), Ok(()));
    assert!(bench.group.is_subscribed_to("anything"), "it might");
}

#[test]
fn a_protocol_wins_by_votes_and_then_by_name() {
    let mut bench = Bench::new();
    let protocols = |names: &[&str]| {
        let protocol = |name: &&str| JoinGroupRequestProtocol { name: (*name).into(), ..Default::default() };
        JoinGroupRequest { protocols: names.iter().map(protocol).collect(), ..request("", "a") }
    };
    let first = bench.send(&protocols(&["x", "y", "z"]), 3);
    let second = bench.send(&protocols(&["y", "z"]), 3);
    bench.pass(10_000);
    assert_eq!(answered(first).protocol_name.as_deref(), Some("y"));
    assert_eq!(answered(second).protocol_name.as_deref(), Some("y"));
    let refused = answered(bench.send(&protocols(&["x"]), 3));
    assert_eq!(refused.error_code, ErrorCode::InconsistentGroupProtocol);
    let tied = bench.send(&protocols(&["z", "y"]), 3);
    drop(tied);
    assert_eq!(bench.group.select_protocol().as_deref(), Some("y"));
}

#[test]
fn a_pending_member_with_an_instance_is_a_failure_as_in_java() {
    let mut bench = Bench::at_once();
    let asked = answered(bench.send(&request("", "a"), 4));
    let mut confused = request(&asked.member_id, "a");
    confused.group_instance_id = Some("i".into());
    assert_eq!(answered(bench.send(&confused, 9)).error_code, ErrorCode::UnknownServerError);
}

#[test]
fn member_ids_look_like_javas_and_follow_the_seed() {
    let id = |seed| {
        let mut bench = Bench { rng: Rng::from_seed(seed), ..Bench::at_once() };
        answered(bench.send(&request("", "a"), 4)).member_id.to_string()
    };
    assert_eq!(id(1), id(1));
    assert_ne!(id(1), id(2));
    let uuid = id(1).strip_prefix("c-").expect("the client's id").to_owned();
    let lengths: Vec<_> = uuid.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
}

/// Takes a new group into a state; in `Preparing` a member of an older generation has not joined again yet.
fn in_state(state: &str) -> Bench {
    let mut bench = if state == "Initial" { Bench::new() } else { Bench::at_once() };
    match state {
        "Empty" => {}
        "Initial" => drop(bench.join("a")),
        "Preparing" => {
            bench.settle();
            drop(bench.join("b"));
        }
        "Completing" => {
            let joining = bench.join("a");
            bench.pass(0);
            answered(joining);
        }
        _ => drop(bench.settle()),
    }
    bench
}

fn happen(bench: &mut Bench, event: &str) {
    let members: Vec<_> = bench.group.members.keys().cloned().collect();
    let generation_id = bench.group.generation_id;
    let told = |member_id: &ByteStr| JoinGroupResponse {
        member_id: member_id.clone(),
        generation_id,
        ..Default::default()
    };
    match event {
        "a member joins" => drop(bench.join("z")),
        "all join again" => {
            let is_missing = |id: &&ByteStr| !bench.group.members[*id].is_joining();
            let missing: Vec<_> = members.iter().filter(is_missing).collect();
            missing.into_iter().for_each(|member_id| drop(bench.rejoin(member_id, "changed")));
        }
        "the leader syncs" => {
            let leader = bench.group.leader.clone();
            leader.iter().for_each(|leader| drop(bench.sync(&told(leader), &[])));
        }
        "all leave" => members.iter().for_each(|member_id| bench.leave(member_id).expect("a member")),
        _ => bench.pass(60_000),
    }
}

#[test]
fn every_state_goes_on_as_the_diagram_says() {
    let mut table = String::new();
    for state in ["Empty", "Initial", "Preparing", "Completing", "Stable"] {
        for event in ["a member joins", "all join again", "the leader syncs", "all leave", "a minute passes"]
        {
            let mut bench = in_state(state);
            happen(&mut bench, event);
            let (next, generation_id) = (bench.group.state.name(), bench.group.generation_id);
            table += &format!("{state:<10} | {event:<16} | {next:<19} | {generation_id}\n");
        }
    }
    let expected = "\
Empty      | a member joins   | PreparingRebalance  | 0
Empty      | all join again   | Empty               | 0
Empty      | the leader syncs | Empty               | 0
Empty      | all leave        | Empty               | 0
Empty      | a minute passes  | Empty               | 0
Initial    | a member joins   | PreparingRebalance  | 0
Initial    | all join again   | PreparingRebalance  | 0
Initial    | the leader syncs | PreparingRebalance  | 0
Initial    | all leave        | PreparingRebalance  | 0
Initial    | a minute passes  | Empty               | 2
Preparing  | a member joins   | PreparingRebalance  | 1
Preparing  | all join again   | CompletingRebalance | 2
Preparing  | the leader syncs | PreparingRebalance  | 1
Preparing  | all leave        | Empty               | 3
Preparing  | a minute passes  | Empty               | 3
Completing | a member joins   | PreparingRebalance  | 1
Completing | all join again   | CompletingRebalance | 2
Completing | the leader syncs | Stable              | 1
Completing | all leave        | Empty               | 2
Completing | a minute passes  | Empty               | 2
Stable     | a member joins   | PreparingRebalance  | 1
Stable     | all join again   | CompletingRebalance | 2
Stable     | the leader syncs | Stable              | 1
Stable     | all leave        | Empty               | 2
Stable     | a minute passes  | Empty               | 2
";
    assert_eq!(table, expected, "\n{table}");
}
