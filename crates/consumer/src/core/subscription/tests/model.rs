//! Whatever happens in whatever order, the application reads each partition from where it is, without a gap or a repetition.

use proptest::prelude::*;

use super::super::*;
use super::world::*;
use crate::batch::RecordBatch;
use crate::core::aborted::AbortedTransaction;
use crate::core::partition::EpochChecks;
use crate::testing::{LogBatch, marker};
use milena_protocol::ErrorCode;
use milena_records::Compression;

const PARTITIONS: i32 = 4;

/// What may be appended to a log.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Plain {
        records: i32,
    },
    Compressed {
        records: i32,
    },
    /// Every second record was removed by compaction, the last one too.
    Compacted {
        records: i32,
    },
    /// A transaction of one batch, and its end.
    Transaction {
        records: i32,
        commit: bool,
    },
}

fn entry() -> impl Strategy<Value = Entry> {
    let records = 1..6i32;
    prop_oneof![
        3 => records.clone().prop_map(|records| Entry::Plain { records }),
        1 => records.clone().prop_map(|records| Entry::Compressed { records }),
        1 => records.clone().prop_map(|records| Entry::Compacted { records }),
        2 => (records, any::<bool>()).prop_map(|(records, commit)| Entry::Transaction { records, commit }),
    ]
}

fn build_log(entries: &[Entry], leader: i32, isolation_level: IsolationLevel) -> Log {
    let mut log = Log::new(leader);
    for (number, entry) in entries.iter().enumerate() {
        let start = log.end_offset();
        match *entry {
            Entry::Plain { records } => {
                let next = start + i64::from(records);
                log.append(next, LogBatch::new(start, records).encode(), start..next);
            }
            Entry::Compressed { records } => {
                let next = start + i64::from(records);
                let batch = LogBatch::new(start, records).compressed(Compression::Lz4);
                log.append(next, batch.encode(), start..next);
            }
            Entry::Compacted { records } => {
                let next = start + i64::from(records);
                let removed = move |offset: i64| (next - offset) % 2 == 1;
                let batch = LogBatch::new(start, records).compacted(removed);
                log.append(next, batch.encode(), (start..next).filter(|offset| !removed(*offset)));
            }
            Entry::Transaction { records, commit } => {
                let producer_id = number as i64 % 3;
                let end = start + i64::from(records);
                let shown = commit || isolation_level == IsolationLevel::ReadUncommitted;
                let batch = LogBatch::new(start, records).transactional(producer_id);
                log.append(end, batch.encode(), (start..end).filter(|_| shown));
                log.append(end + 1, marker(end, producer_id, commit), []);
                if !commit {
                    // In the wrong order, as brokers have sent them.
                    let at = 7 * number % (log.aborted.len() + 1);
                    log.aborted.insert(at, (AbortedTransaction { producer_id, first_offset: start }, end));
                }
            }
        }
    }
    log
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send(i32),
    Answer(i32),
    AnswerWithError(i32, i32, usize),
    AnswerWithAnotherEpoch(i32),
    Lose(i32),
    Decode,
    FinishDecoding,
    Ask,
    AnswerQuestion,
    Take,
    TakeSome(usize),
    /// Uses so many records of what comes next, and keeps the rest for later.
    Hold(usize),
    /// Gives the rest back.
    GiveBack,
    Seek(i32, i64),
    SeekToBeginning(i32),
    Pause(i32),
    Resume(i32),
    MoveLeader(i32, i32),
    /// Has a position compared with the leader's log.
    Validate(i32),
    Time,
}

const TRANSIENT: [ErrorCode; 7] = [
    ErrorCode::NotLeaderOrFollower,
    ErrorCode::FencedLeaderEpoch,
    ErrorCode::UnknownLeaderEpoch,
    ErrorCode::UnknownTopicOrPartition,
    ErrorCode::KafkaStorageError,
    ErrorCode::UnknownServerError,
    ErrorCode::OffsetNotAvailable,
];

fn step() -> impl Strategy<Value = Step> {
    let node = || 1..4i32;
    let partition = || 0..PARTITIONS;
    prop_oneof![
        6 => node().prop_map(Step::Send),
        6 => node().prop_map(Step::Answer),
        1 => (node(), partition(), 0..TRANSIENT.len()).prop_map(|(n, p, e)| Step::AnswerWithError(n, p, e)),
        1 => node().prop_map(Step::AnswerWithAnotherEpoch),
        1 => node().prop_map(Step::Lose),
        5 => Just(Step::Decode),
        5 => Just(Step::FinishDecoding),
        2 => Just(Step::Ask),
        2 => Just(Step::AnswerQuestion),
        5 => Just(Step::Take),
        2 => (1..3usize).prop_map(Step::TakeSome),
        4 => (1..3usize).prop_map(Step::Hold),
        3 => Just(Step::GiveBack),
        1 => (partition(), 0..40i64).prop_map(|(p, o)| Step::Seek(p, o)),
        1 => partition().prop_map(Step::SeekToBeginning),
        1 => partition().prop_map(Step::Pause),
        2 => partition().prop_map(Step::Resume),
        1 => (partition(), node()).prop_map(|(p, n)| Step::MoveLeader(p, n)),
        2 => partition().prop_map(Step::Validate),
        1 => Just(Step::Time),
    ]
}

/// The world, and where the application must be in each partition.
struct Model {
    world: World,
    expected: BTreeMap<TopicPartition, i64>,
    /// Partitions that were sent out of range, and do not know yet where they are.
    lost: BTreeSet<TopicPartition>,
    /// What the application has had a part of.
    held: Option<RecordBatch>,
}

impl Model {
    fn new(logs: BTreeMap<TopicPartition, Log>, config: SubscriptionConfig, checks: EpochChecks) -> Self {
        let expected = logs.keys().map(|name| (name.clone(), 0)).collect();
        let mut world = World::new(config, logs);
        world.checks = checks;
        Self { world, expected, lost: BTreeSet::new(), held: None }
    }

    fn perform(&mut self, step: Step) {
        let world = &mut self.world;
        match step {
            Step::Send(node) => _ = world.send(node),
            Step::Answer(node) => _ = world.answer(node, |_| None),
            Step::AnswerWithError(node, partition, error) => {
                world.answer(node, |name| (name.partition == partition).then_some(TRANSIENT[error]));
            }
            Step::AnswerWithAnotherEpoch(node) => world.answer_with_another_epoch(node),
            Step::Lose(node) => world.lose(node),
            Step::Decode => _ = world.decode(),
            Step::FinishDecoding => _ = world.finish_decoding(),
            Step::Ask => world.ask(),
            Step::AnswerQuestion => _ = world.answer_question(),
            Step::Take => self.take(usize::MAX),
            Step::TakeSome(count) => self.take(count),
            Step::Hold(count) => self.hold(count),
            Step::GiveBack => self.give_back(),
            Step::Seek(partition, offset) => {
                world.subscription.seek(&tp(partition), Seek::To(Position::new(offset))).unwrap();
                // Beyond the end the policy says: earliest.
                let in_log = offset <= world.logs[&tp(partition)].end_offset();
                self.expected.insert(tp(partition), if in_log { offset } else { 0 });
                self.lost.remove(&tp(partition));
                if !in_log {
                    self.lost.insert(tp(partition));
                }
                self.give_back_of(partition);
            }
            Step::SeekToBeginning(partition) => {
                world.subscription.seek(&tp(partition), Seek::Lookup(OffsetLookup::Earliest)).unwrap();
                self.expected.insert(tp(partition), 0);
                self.lost.remove(&tp(partition));
                self.give_back_of(partition);
            }
            Step::Pause(partition) => {
                world.subscription.pause(&tp(partition)).unwrap();
                self.give_back_of(partition);
            }
            Step::Resume(partition) => world.subscription.resume(&tp(partition)).unwrap(),
            Step::MoveLeader(partition, node) => {
                let log = world.logs.get_mut(&tp(partition)).unwrap();
                log.leader = node;
                log.leader_epoch += 1;
                world.publish_metadata();
            }
            // Beyond its end a log would be found truncated, rather than the position out of range.
            Step::Validate(partition) if self.lost.contains(&tp(partition)) => {}
            Step::Validate(partition) => world.subscription.validate(&tp(partition)),
            Step::Time => world.now += std::time::Duration::from_secs(2),
        }
        for (name, expected) in &self.expected {
            let held = self.held.as_ref().filter(|held| held.topic_partition() == name);
            let position = match held {
                Some(held) => Some(held.start()),
                None => self.world.subscription.position(name).unwrap(),
            };
            // It may be further on by what is not shown to anybody.
            let visible = &self.world.logs[name].visible;
            let is_right = position.is_none_or(|position| {
                position.offset >= *expected
                    && !visible.iter().any(|offset| (*expected..position.offset).contains(offset))
            });
            assert!(is_right || self.lost.contains(name), "{name}: {position:?}, not {expected}");
        }
    }

    /// What is held comes before anything else.
    fn take(&mut self, count: usize) {
        let delivery = match self.held.take() {
            Some(mut held) => {
                self.held = held.split_off(count);
                Some(Delivery::Batch { batch: held, lag: None, lead: None })
            }
            None => self.world.take_some(count),
        };
        self.check(delivery);
    }

    fn hold(&mut self, count: usize) {
        if self.held.is_none()
            && let Some(Delivery::Batch { mut batch, lag, lead }) = self.world.take()
        {
            self.held = batch.split_off(count);
            self.check(Some(Delivery::Batch { batch, lag, lead }));
        }
    }

    fn give_back(&mut self) {
        if let Some(held) = self.held.take() {
            self.world.subscription.unread(held);
        }
    }

    fn give_back_of(&mut self, partition: i32) {
        if self.held.as_ref().is_some_and(|held| held.partition() == partition) {
            self.give_back();
        }
    }

    /// What is handed over is exactly what comes next.
    fn check(&mut self, delivery: Option<Delivery>) {
        let batch = match delivery {
            None => return,
            Some(Delivery::Batch { batch, .. }) => batch,
            Some(Delivery::Error(error)) => panic!("no error was planted: {error}"),
        };
        let name = batch.topic_partition().clone();
        assert!(!self.world.subscription.paused().any(|paused| *paused == name), "{name} is paused");
        let from = self.expected[&name];
        let to = batch.next_offset();
        let visible = &self.world.logs[&name].visible;
        let due: Vec<_> = visible.iter().copied().filter(|offset| (from..to).contains(offset)).collect();
        let given: Vec<_> = batch.iter().map(|record| record.offset).collect();
        assert_eq!(given, due, "{name} from {from} to {to}");
        for record in &batch {
            assert_eq!(record.value, Some(record.offset.to_string().as_bytes()));
        }
        self.lost.remove(&name);
        self.expected.insert(name, to);
    }

    fn settle(&mut self) {
        while let Some(delivery) = self.world.settle() {
            self.check(Some(delivery));
        }
        for (name, log) in &self.world.logs {
            let left: Vec<_> = log.visible.iter().filter(|offset| **offset >= self.expected[name]).collect();
            let is_paused = self.world.subscription.paused().any(|paused| paused == name);
            assert!(is_paused || left.is_empty(), "{name}: {left:?} never came");
        }
    }

    /// With everything healed, all that is left arrives: first of the partitions that are not paused, then of the others.
    fn finish(mut self) {
        self.give_back();
        self.settle();
        for partition in 0..PARTITIONS {
            self.world.subscription.resume(&tp(partition)).unwrap();
        }
        self.settle();
        for node in 1..=3 {
            self.world.lose(node);
        }
        assert_eq!(self.world.subscription.budget.used(), 0, "all bytes are given back");
        assert_eq!(self.world.subscription.ready_bytes, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn every_visible_record_is_handed_over_once_and_in_order(
        entries in prop::collection::vec(prop::collection::vec(entry(), 1..8), PARTITIONS as usize),
        read_committed in any::<bool>(),
        checks in prop_oneof![Just(EpochChecks::InFetch), Just(EpochChecks::BeforeFetch)],
        prefetch_bytes in prop_oneof![Just(600usize), Just(64 << 20)],
        answer_bytes_min in prop_oneof![Just(100usize), Just(8_000), Just(1 << 20)],
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let isolation_level =
            if read_committed { IsolationLevel::ReadCommitted } else { IsolationLevel::ReadUncommitted };
        let logs = entries.iter().zip(0..).map(|(entries, partition)| {
            (tp(partition), build_log(entries, 1 + partition % 3, isolation_level))
        });
        let logs = logs.collect();
        let config = SubscriptionConfig {
            isolation_level,
            prefetch_bytes,
            answer_bytes_min,
            partition_fetch_bytes_max: 300,
            ..config()
        };
        let mut model = Model::new(logs, config, checks);
        for step in steps {
            model.perform(step);
        }
        model.finish();
    }
}
