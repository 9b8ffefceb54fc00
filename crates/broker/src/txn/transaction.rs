//! One transactional id (Java: `TransactionMetadata`, `TransactionState`). Pure.
//!
//! ```text
//!                        +--------- init ----------+-----------------------+
//!                        v                         |                       |
//!   (created) --init-> Empty --add--> Ongoing --commit--> PrepareCommit --markers--> CompleteCommit --+
//!                        |             ^   |                                                          |
//!                        |             |   +--abort, timeout,--> PrepareAbort --markers-> CompleteAbort
//!                        |             |      fence               ^                          |
//!                        |             +------------ add ---------|--------------------------+
//!                        +-------------- abort (v2) --------------+
//! ```
//! From a complete state `init` leads to Empty, `add` to Ongoing, and with transactions of version 2 `abort` to
//! PrepareAbort.

use std::collections::BTreeSet;

use milena_protocol::{ByteStr, ErrorCode};

/// A partition by topic name and index.
pub(crate) type TopicPartition = (ByteStr, i32);

/// No producer id, epoch or time.
const NONE: i16 = -1;

/// The greatest epoch that a client is given; the one after it is kept for fencing the last client.
const EPOCH_MAX: i16 = i16::MAX - 1;

/// A producer id and its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

impl Producer {
    /// Nobody: -1 and -1.
    pub(crate) const NONE: Self = Self { id: -1, epoch: NONE };
}

/// The level of `transaction.version` that a transaction works by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(pub(crate) i16);

impl Level {
    /// Of clients that know nothing of levels.
    pub(crate) const ORIGINAL: Self = Self(0);
    /// Of clients that get another epoch at the end of every transaction.
    pub(crate) const EPOCH_BUMP: Self = Self(2);

    pub(crate) fn bumps_epoch(self) -> bool {
        self >= Self::EPOCH_BUMP
    }
}

/// Where a transaction is; see the diagram above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Empty,
    Ongoing,
    /// The outcome is decided, and markers are on their way.
    Prepare(Outcome),
    Complete(Outcome),
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Commit,
    Abort,
}

impl State {
    /// The name that `DescribeTransactions` tells.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::Prepare(Outcome::Commit) => "PrepareCommit",
            Self::Prepare(Outcome::Abort) => "PrepareAbort",
            Self::Complete(Outcome::Commit) => "CompleteCommit",
            Self::Complete(Outcome::Abort) => "CompleteAbort",
        }
    }

    /// Whether Kafka has a state of this name.
    pub(crate) fn is_known(name: &str) -> bool {
        const NAMES: [&str; 8] = [
            "Empty",
            "Ongoing",
            "PrepareCommit",
            "PrepareAbort",
            "CompleteCommit",
            "CompleteAbort",
            "Dead",
            "PrepareEpochFence",
        ];
        NAMES.contains(&name)
    }
}

/// What is known of a transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) producer: Producer,
    pub(crate) state: State,
    /// Those that take part and have no marker yet.
    pub(crate) partitions: BTreeSet<TopicPartition>,
    pub(crate) timeout_ms: i32,
    /// When the first partition was added; -1 before the first transaction.
    pub(crate) started_ms: i64,
    /// When anything changed, for expiry.
    pub(crate) updated_ms: i64,
    /// What the client that made the last step works by.
    pub(crate) level: Level,
    /// The producer id before the last step.
    previous_producer_id: i64,
    /// The id that the producer has after the end, when its epochs are used up.
    next_producer_id: Option<i64>,
    /// The epoch before the last bump that its client asked for; -1 when another client was fenced by it.
    last_producer_epoch: i16,
}

impl Transaction {
    /// Before the first client has initialised.
    pub(crate) fn new(producer_id: i64, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer: Producer { id: producer_id, epoch: NONE },
            state: State::Empty,
            partitions: BTreeSet::new(),
            timeout_ms,
            started_ms: -1,
            updated_ms: now_ms,
            level: Level::ORIGINAL,
            previous_producer_id: -1,
            next_producer_id: None,
            last_producer_epoch: NONE,
        }
    }

    /// Markers are on their way: nothing can be done until they are written.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.state, State::Prepare(_))
    }

    /// Whether it has been open for longer than it may.
    pub(crate) fn is_timed_out(&self, now_ms: i64) -> bool {
        self.state == State::Ongoing && self.started_ms.saturating_add(i64::from(self.timeout_ms)) < now_ms
    }

    /// Whether it may be forgotten.
    pub(crate) fn is_expired(&self, now_ms: i64, expiration_ms: i64) -> bool {
        let is_idle = matches!(self.state, State::Empty | State::Complete(_));
        is_idle && self.updated_ms <= now_ms.saturating_sub(expiration_ms)
    }

    /// Whether a client that says who it was may go on (KIP-360): the id is the current one, or the one before it
    /// with its epochs used up, whose answer got lost.
    pub(crate) fn may_continue(&self, expected: Producer) -> bool {
        self.producer.epoch == NONE
            || expected.id == self.producer.id
            || (expected.id == self.previous_producer_id && expected.epoch >= EPOCH_MAX)
    }

    /// A client begins: it gets the next epoch, or another id when there is none.
    pub(crate) fn initialise(
        &mut self,
        timeout_ms: i32,
        expected_epoch: Option<i16>,
        now_ms: i64,
        new_producer_id: impl FnOnce() -> i64,
    ) -> Result<(), ErrorCode> {
        let Producer { id, epoch } = self.producer;
        let is_exhausted = epoch >= EPOCH_MAX;
        let (producer, last_epoch) = match expected_epoch {
            _ if is_exhausted && expected_epoch.is_none_or(|expected| expected == epoch) => {
                (Producer { id: new_producer_id(), epoch: 0 }, expected_epoch.map_or(NONE, |_| epoch))
            }
            // Kafka's invariant: it fails where no epoch is left.
            _ if is_exhausted => return Err(ErrorCode::UnknownServerError),
            None => (Producer { id, epoch: epoch + 1 }, NONE),
            Some(expected) if epoch == NONE || expected == epoch => {
                (Producer { id, epoch: epoch + 1 }, epoch)
            }
            // The answer to its first attempt got lost.
            Some(expected) if expected == self.last_producer_epoch => {
                (self.producer, self.last_producer_epoch)
            }
            Some(_) => return Err(ErrorCode::ProducerFenced),
        };
        self.become_producer(producer, last_epoch);
        self.state = State::Empty;
        self.timeout_ms = timeout_ms;
        self.partitions.clear();
        self.started_ms = -1;
        self.updated_ms = now_ms;
        Ok(())
    }

    /// Partitions take part; the first of them begin the transaction.
    pub(crate) fn add_partitions(
        &mut self,
        partitions: impl IntoIterator<Item = TopicPartition>,
        level: Level,
        now_ms: i64,
    ) {
        if self.state != State::Ongoing {
            self.started_ms = now_ms;
        }
        self.become_producer(self.producer, self.last_producer_epoch);
        self.state = State::Ongoing;
        self.partitions.extend(partitions);
        self.updated_ms = now_ms;
        self.level = level;
    }

    /// The outcome is decided. With an epoch bump the markers have the next epoch already; when that is the last
    /// one, the producer has another id afterwards.
    pub(crate) fn prepare(
        &mut self,
        outcome: Outcome,
        level: Level,
        now_ms: i64,
        new_producer_id: impl FnOnce() -> i64,
    ) {
        let Producer { id, epoch } = self.producer;
        if level.bumps_epoch() {
            self.next_producer_id = (epoch >= EPOCH_MAX).then(new_producer_id);
            self.become_producer(Producer { id, epoch: epoch.saturating_add(1) }, epoch);
        } else {
            self.next_producer_id = None;
            self.become_producer(self.producer, self.last_producer_epoch);
        }
        if self.state != State::Ongoing {
            // An abort of nothing: whoever asks for it does not know whether anything had begun.
            self.started_ms = now_ms;
        }
        self.state = State::Prepare(outcome);
        self.updated_ms = now_ms;
        self.level = level;
    }

    /// An open transaction is aborted from outside, and its producer fenced.
    pub(crate) fn fence(&mut self, level: Level, now_ms: i64, new_producer_id: impl FnOnce() -> i64) {
        if !level.bumps_epoch() {
            self.producer.epoch = self.producer.epoch.saturating_add(1);
            self.last_producer_epoch = NONE;
        }
        self.prepare(Outcome::Abort, level, now_ms, new_producer_id);
    }

    /// Who the producer is once the markers are written.
    pub(crate) fn producer_after_end(&self) -> Producer {
        match self.next_producer_id {
            Some(id) if self.level.bumps_epoch() => Producer { id, epoch: 0 },
            _ => self.producer,
        }
    }

    /// All markers are written.
    pub(crate) fn complete(&mut self, now_ms: i64) {
        if let State::Prepare(outcome) = self.state {
            self.become_producer(self.producer_after_end(), self.last_producer_epoch);
            self.next_producer_id = None;
            self.state = State::Complete(outcome);
            self.partitions.clear();
            self.updated_ms = now_ms;
        }
    }

    /// Whether a client's end of its transaction repeats one that was taken (KIP-890): the epoch was bumped since.
    pub(crate) fn is_repeated_end(&self, by: Producer) -> bool {
        let is_after_bump = i32::from(self.producer.epoch) == i32::from(by.epoch) + 1;
        is_after_bump || self.is_repeated_end_of_last_epoch(by)
    }

    /// As [`is_repeated_end`](Self::is_repeated_end), where the last epoch was used up and the id changed.
    pub(crate) fn is_repeated_end_of_last_epoch(&self, by: Producer) -> bool {
        self.previous_producer_id == by.id && by.epoch == EPOCH_MAX && self.producer.epoch == 0
    }

    /// Every step remembers the id before it.
    fn become_producer(&mut self, producer: Producer, last_producer_epoch: i16) {
        self.previous_producer_id = self.producer.id;
        self.producer = producer;
        self.last_producer_epoch = last_producer_epoch;
    }
}

#[cfg(test)]
mod tests;
