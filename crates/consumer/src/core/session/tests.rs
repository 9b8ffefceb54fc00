use std::fmt::Write;

use proptest::prelude::*;

use super::*;

const ALL: SessionSupport = SessionSupport { sessions: true, topic_ids: true };

fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn id(number: u8) -> Uuid {
    Uuid([number; 16])
}

fn target(topic_id: Uuid, fetch_offset: i64) -> FetchTarget {
    FetchTarget {
        topic_id,
        fetch_offset,
        current_leader_epoch: Some(0),
        last_fetched_epoch: None,
        partition_bytes_max: 1_000,
    }
}

#[test]
fn every_transition_is_as_drawn() {
    let starts = [
        State::Full { close: 0 },
        State::Full { close: 5 },
        State::Incremental { session_id: 5, session_epoch: 3 },
    ];
    type Event = (&'static str, fn(&mut FetchSession));
    let events: [Event; 9] = [
        ("answer with session 9", |session| session.handle_response(ErrorCode::None, 9, 1, 0)),
        ("answer without session", |session| session.handle_response(ErrorCode::None, 0, 1, 0)),
        ("answer with a stranger", |session| session.handle_response(ErrorCode::None, 9, 1, 1)),
        ("answer without a partition", |session| session.handle_response(ErrorCode::None, 9, 0, 0)),
        ("session id not found", |session| {
            session.handle_response(ErrorCode::FetchSessionIdNotFound, 0, 0, 0);
        }),
        ("invalid session epoch", |session| {
            session.handle_response(ErrorCode::InvalidFetchSessionEpoch, 0, 0, 0);
        }),
        ("topic id error", |session| session.handle_response(ErrorCode::FetchSessionTopicIdError, 0, 0, 0)),
        ("connection broken", FetchSession::handle_failure),
        ("close", |session| {
            session.prepare_close();
        }),
    ];
    let mut table = String::new();
    for start in starts {
        for (name, event) in events {
            let mut session = FetchSession::new();
            session.partitions.insert(partition("a", 0), target(id(1), 0));
            session.state = start;
            event(&mut session);
            writeln!(table, "{start:?} | {name} | {:?}", session.state).unwrap();
        }
    }
    assert_eq!(table, include_str!("transitions.txt"));
}

#[test]
fn the_session_epoch_wraps_to_one() {
    assert_eq!(next_session_epoch(i32::MAX), 1);
}

#[test]
fn without_sessions_every_request_names_everything() {
    let support = SessionSupport { sessions: false, topic_ids: false };
    let mut session = FetchSession::new();
    for _ in 0..2 {
        let request = session.prepare(vec![(partition("a", 0), target(Uuid::ZERO, 0))], support);
        assert_eq!((request.session_id, request.session_epoch, request.send.len()), (0, -1, 1));
        session.handle_response(ErrorCode::None, 0, 1, 0);
    }
}

#[test]
fn topic_ids_that_come_or_go_end_the_session() {
    let mut session = FetchSession::new();
    session.prepare(vec![(partition("a", 0), target(id(1), 0))], ALL);
    session.handle_response(ErrorCode::None, 9, 1, 0);
    let wanted = vec![(partition("a", 0), target(id(1), 0)), (partition("b", 0), target(Uuid::ZERO, 0))];
    let request = session.prepare(wanted, ALL);
    assert!(!request.uses_topic_ids);
    assert_eq!((request.session_id, request.session_epoch, request.send.len()), (9, 0, 2));
}

#[test]
fn a_topic_created_anew_is_forgotten_under_its_old_id() {
    let mut session = FetchSession::new();
    session.prepare(vec![(partition("a", 0), target(id(1), 7))], ALL);
    session.handle_response(ErrorCode::None, 9, 1, 0);
    let request = session.prepare(vec![(partition("a", 0), target(id(2), 0))], ALL);
    assert_eq!(request.forget, [(partition("a", 0), id(1))]);
    assert_eq!(request.send, [(partition("a", 0), target(id(2), 0))]);
    assert_eq!(session.resolve("", id(1), 0), None);
    assert_eq!(session.resolve("", id(2), 0), Some(partition("a", 0)));
}

/// A broker's side of a session, as Kafka's `FetchManager` and `FetchSession.update` have it.
#[derive(Default)]
struct Broker {
    session: Option<BrokerSession>,
    sessions_opened: i32,
}

struct BrokerSession {
    id: i32,
    epoch: i32,
    uses_topic_ids: bool,
    partitions: BTreeMap<(String, Uuid, i32), FetchTarget>,
}

/// The error and session id of an answer, and which partitions the broker read for it.
struct Answer {
    error: ErrorCode,
    session_id: i32,
    read: BTreeMap<(String, Uuid, i32), FetchTarget>,
}

impl Broker {
    fn key(partition: &TopicPartition, topic_id: Uuid, uses_topic_ids: bool) -> (String, Uuid, i32) {
        match uses_topic_ids {
            true => (String::new(), topic_id, partition.partition),
            false => (partition.topic.to_string(), Uuid::ZERO, partition.partition),
        }
    }

    fn fetch(&mut self, request: &SessionRequest, has_room: bool) -> Answer {
        let key =
            |partition: &TopicPartition, topic_id| Self::key(partition, topic_id, request.uses_topic_ids);
        let named: BTreeMap<_, _> = request
            .send
            .iter()
            .map(|(partition, target)| (key(partition, target.topic_id), *target))
            .collect();
        let refused = |error| Answer { error, session_id: 0, read: BTreeMap::new() };
        if request.session_epoch <= 0 {
            if self.session.as_ref().is_some_and(|session| session.id == request.session_id) {
                self.session = None;
            }
            if request.session_epoch < 0 || !has_room {
                return Answer { error: ErrorCode::None, session_id: 0, read: named };
            }
            self.sessions_opened += 1;
            let (id, uses_topic_ids) = (self.sessions_opened, request.uses_topic_ids);
            self.session = Some(BrokerSession { id, epoch: 1, uses_topic_ids, partitions: named.clone() });
            return Answer { error: ErrorCode::None, session_id: id, read: named };
        }
        let Some(session) = self.session.as_mut().filter(|session| session.id == request.session_id) else {
            return refused(ErrorCode::FetchSessionIdNotFound);
        };
        if session.epoch != request.session_epoch {
            return refused(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids != request.uses_topic_ids {
            return refused(ErrorCode::FetchSessionTopicIdError);
        }
        session.partitions.extend(named);
        for (partition, topic_id) in &request.forget {
            session.partitions.remove(&key(partition, *topic_id));
        }
        session.epoch += 1;
        let read = session.partitions.clone();
        let session_id = if read.is_empty() { 0 } else { session.id };
        if read.is_empty() {
            self.session = None;
        }
        Answer { error: ErrorCode::None, session_id, read }
    }
}

/// What happens to one round trip.
#[derive(Clone, Debug)]
struct Round {
    /// Topic, partition, offset, and which incarnation of the topic.
    wanted: Vec<(u8, i32, i64, u8)>,
    has_room: bool,
    evict_before: bool,
    fate: Fate,
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    RequestLost,
    AnswerLost,
}

fn round() -> impl Strategy<Value = Round> {
    let wanted = proptest::collection::vec((0..3u8, 0..3i32, 0..3i64, 0..3u8), 0..6);
    let fate =
        prop_oneof![6 => Just(Fate::Answered), 1 => Just(Fate::RequestLost), 1 => Just(Fate::AnswerLost)];
    (wanted, prop::bool::weighted(0.8), prop::bool::weighted(0.1), fate)
        .prop_map(|(wanted, has_room, evict_before, fate)| Round { wanted, has_room, evict_before, fate })
}

proptest! {
    #[test]
    fn the_broker_reads_exactly_what_is_wanted_whatever_is_lost_or_evicted(
        rounds in proptest::collection::vec(round(), 1..40),
    ) {
        let mut session = FetchSession::new();
        let mut broker = Broker::default();
        for round in rounds {
            if round.evict_before {
                broker.session = None;
            }
            let mut wanted = BTreeMap::new();
            for (topic, number, offset, incarnation) in round.wanted {
                // Incarnation 0 of topic 2 has no id: the request must then go by names.
                let topic_id = match (topic, incarnation) {
                    (2, 0) => Uuid::ZERO,
                    _ => id(10 * (topic + 1) + incarnation),
                };
                // All partitions of a topic share its id.
                let known = wanted.iter().find_map(|(other, target): (&TopicPartition, &FetchTarget)| {
                    (*other.topic == *format!("t{topic}")).then_some(target.topic_id)
                });
                wanted.insert(partition(&format!("t{topic}"), number), target(known.unwrap_or(topic_id), offset));
            }
            let request = session.prepare(wanted.clone().into_iter().collect(), ALL);
            if matches!(round.fate, Fate::RequestLost) {
                session.handle_failure();
                continue;
            }
            let answer = broker.fetch(&request, round.has_room);
            if matches!(round.fate, Fate::AnswerLost) {
                session.handle_failure();
                continue;
            }
            if answer.error.is_ok() {
                let expected: BTreeMap<_, _> = wanted
                    .iter()
                    .map(|(partition, target)| {
                        (Broker::key(partition, target.topic_id, request.uses_topic_ids), *target)
                    })
                    .collect();
                prop_assert_eq!(&answer.read, &expected);
            }
            let resolved = answer
                .read
                .keys()
                .filter(|(topic, topic_id, number)| session.resolve(topic, *topic_id, *number).is_some())
                .count();
            prop_assert_eq!(resolved, answer.read.len());
            session.handle_response(answer.error, answer.session_id, resolved, 0);
        }
    }
}
