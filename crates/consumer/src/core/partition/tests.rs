use std::fmt::Write;
use std::time::Duration;

use milena_protocol::ErrorCode;

use super::*;
use crate::testing::now;

fn name() -> TopicPartition {
    TopicPartition::new("orders", 3)
}

fn leader(node_id: i32, leader_epoch: i32) -> Option<Leader> {
    Some(Leader { node_id, leader_epoch: Some(leader_epoch) })
}

const G: Generation = Generation(9);

fn partition(policy: OffsetReset) -> Partition {
    let mut partition = Partition::new(name(), policy, Generation(1));
    partition.set_leader(leader(1, 4), Uuid::ZERO);
    partition
}

fn at(offset: i64, leader_epoch: i32) -> Position {
    Position::new(offset).with_leader_epoch(leader_epoch)
}

/// All states, by name.
fn states(policy: OffsetReset) -> Vec<(&'static str, Partition)> {
    let build = |change: &dyn Fn(&mut Partition)| {
        let mut partition = partition(policy);
        change(&mut partition);
        partition
    };
    vec![
        ("Resetting", build(&|p| drop(p.reset_to(OffsetLookup::Earliest, G)))),
        ("Fetching", build(&|p| drop(p.seek(at(10, 2), G)))),
        (
            "Validating",
            build(&|p| {
                drop(p.seek(at(10, 2), G));
                drop(p.validate(G));
            }),
        ),
        (
            "Failing",
            build(&|p| {
                drop(p.reset_to(OffsetLookup::Earliest, G));
                p.refuse_question(ErrorCode::TopicAuthorizationFailed);
            }),
        ),
        (
            "Failed",
            build(&|p| {
                drop(p.seek(at(10, 2), G));
                p.fail_here();
            }),
        ),
    ]
}

fn describe(partition: &Partition) -> String {
    match &partition.state {
        State::Resetting { lookup, end_offset, attempt } => {
            format!("Resetting {lookup:?}, end {end_offset:?}, {:?}", attempt.phase)
        }
        State::Validating { position, attempt } => format!("Validating {position}, {:?}", attempt.phase),
        State::Fetching(fetching) => format!("Fetching {}", fetching.position()),
        State::Failing { error, .. } => format!("Failing: {error}"),
        State::Failed { retry } => format!("Failed, {retry:?}"),
    }
}

fn table(policy: OffsetReset) -> String {
    let start =
        Asked { question: Question::EpochEnd(at(10, 2)), leader: leader(1, 4).unwrap(), generation: G };
    type Event<'a> = (&'a str, &'a dyn Fn(&mut Partition));
    let events: [Event<'_>; 15] = [
        ("seek 50", &|p| drop(p.seek(Position::new(50), G))),
        ("seek to end", &|p| drop(p.reset_to(OffsetLookup::Latest, G))),
        ("seek to time", &|p| drop(p.reset_to(OffsetLookup::Timestamp(7), G))),
        ("resume after error", &|p| _ = p.retry(G)),
        ("error told", &|p| drop(p.take_error())),
        ("leader changed", &|p| _ = p.set_leader(leader(2, 5), Uuid::ZERO)),
        ("question asked", &|p| _ = p.poll_question(now())),
        ("offset 70 found", &|p| _ = p.handle_offset(OffsetLookup::Earliest, Some(70), G)),
        ("nothing found", &|p| _ = p.handle_offset(OffsetLookup::Earliest, None, G)),
        ("question refused", &|p| p.refuse_question(ErrorCode::TopicAuthorizationFailed)),
        ("epoch ends at 12", &|p| p.handle_epoch_end(Some(at(12, 2)), start, G)),
        ("epoch ends at 8", &|p| p.handle_epoch_end(Some(at(8, 1)), start, G)),
        ("epoch unknown", &|p| p.handle_epoch_end(None, start, G)),
        ("diverged at 8", &|p| drop(p.diverged(at(8, 1), G))),
        ("out of range", &|p| drop(p.out_of_range(G))),
    ];
    let mut table = String::new();
    for (event, change) in events {
        for (state, mut partition) in states(policy) {
            change(&mut partition);
            writeln!(table, "{event} | {state} | {}", describe(&partition)).unwrap();
        }
    }
    table
}

#[test]
fn every_transition_with_a_reset_policy_is_as_drawn() {
    assert_eq!(table(OffsetReset::Latest), include_str!("transitions_latest.txt"));
}

#[test]
fn every_transition_without_a_reset_policy_is_as_drawn() {
    assert_eq!(table(OffsetReset::None), include_str!("transitions_none.txt"));
}

#[test]
fn a_search_by_time_that_finds_nothing_goes_to_where_the_log_ended_before_it() {
    let mut partition = partition(OffsetReset::None);
    drop(partition.reset_to(OffsetLookup::Timestamp(7), G));
    let now = crate::testing::now();
    let question = |partition: &mut Partition| partition.poll_question(now).map(|asked| asked.question);
    assert_eq!(question(&mut partition), Some(Question::Offset(OffsetLookup::Latest)));
    assert!(partition.handle_offset(OffsetLookup::Latest, Some(30), G));
    assert_eq!(question(&mut partition), Some(Question::Offset(OffsetLookup::Timestamp(7))));
    assert!(partition.handle_offset(OffsetLookup::Timestamp(7), None, G));
    assert_eq!(partition.position(), Some(Position::new(30)));
}

#[test]
fn a_late_answer_to_another_question_is_passed_over() {
    let mut partition = partition(OffsetReset::None);
    drop(partition.reset_to(OffsetLookup::Earliest, G));
    assert!(partition.handle_offset(OffsetLookup::Latest, Some(30), G));
    assert_eq!(partition.position(), None);
}

#[test]
fn an_offset_that_is_no_offset_is_asked_for_again() {
    let mut partition = partition(OffsetReset::Earliest);
    assert!(!partition.handle_offset(OffsetLookup::Earliest, None, G));
    let now = crate::testing::now();
    partition.ask_again_at(now + Duration::from_secs(1));
    assert_eq!(partition.poll_question(now), None);
    assert!(partition.poll_question(now + Duration::from_secs(1)).is_some());
}

#[test]
fn a_position_is_validated_once_for_each_leader_epoch_where_the_broker_does_not_do_it() {
    let now = crate::testing::now();
    let mut partition = partition(OffsetReset::Latest);
    drop(partition.seek(at(10, 2), G));
    let ready = |partition: &Partition, checks| partition.poll_fetch(Lane::Main, checks, now);
    assert_eq!(ready(&partition, EpochChecks::InFetch), FetchReadiness::From(at(10, 2)));
    assert_eq!(ready(&partition, EpochChecks::Nowhere), FetchReadiness::From(at(10, 2)));
    assert_eq!(ready(&partition, EpochChecks::BeforeFetch), FetchReadiness::Validate);
    drop(partition.validate(G));
    let asked = partition.poll_question(now).unwrap();
    partition.handle_epoch_end(Some(at(10, 2)), asked, G);
    assert_eq!(ready(&partition, EpochChecks::BeforeFetch), FetchReadiness::From(at(10, 2)));
    partition.set_leader(leader(2, 5), Uuid::ZERO);
    assert_eq!(ready(&partition, EpochChecks::BeforeFetch), FetchReadiness::Validate);
}

#[test]
fn a_position_without_an_epoch_is_not_validated() {
    let mut partition = partition(OffsetReset::Latest);
    drop(partition.seek(Position::new(10), G));
    let ready = partition.poll_fetch(Lane::Main, EpochChecks::BeforeFetch, now());
    assert_eq!(ready, FetchReadiness::From(Position::new(10)));
}

#[test]
fn a_preferred_replica_is_read_until_its_lease_ends_or_the_leader_changes() {
    let now = crate::testing::now();
    let mut partition = partition(OffsetReset::Latest);
    partition.prefer_replica(3, now + Duration::from_secs(300));
    assert_eq!(partition.fetch_node(), Some(3));
    assert!(!partition.expire_preferred_replica(now));
    assert!(partition.expire_preferred_replica(now + Duration::from_secs(300)));
    assert_eq!(partition.fetch_node(), Some(1));
    partition.prefer_replica(3, now + Duration::from_secs(300));
    partition.set_leader(leader(2, 5), Uuid::ZERO);
    assert_eq!(partition.fetch_node(), Some(2));
}

#[test]
fn an_error_is_told_once() {
    let mut partition = Partition::new(name(), OffsetReset::None, G);
    assert_eq!(partition.take_error(), Some(RecvError::NoPosition { partition: name() }));
    assert_eq!(partition.take_error(), None);
}
