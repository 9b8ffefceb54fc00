//! All transactional ids, and what their coordinator answers (Java: `TransactionCoordinator`,
//! `TransactionStateManager`). Pure.
//!
//! The checks come in Kafka's order, because clients act on the first error. Where Kafka looks for a pending transition
//! first, a transaction that is ending answers `CONCURRENT_TRANSACTIONS` whoever asks.

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::{ByteStr, ErrorCode};
use regex::Regex;

use super::transaction::{Level, Outcome, Producer, State, TopicPartition, Transaction};

/// More transactional ids than anybody needs in one process; Kafka knows no limit.
const TRANSACTIONAL_IDS_MAX: usize = 100_000;

/// The transactional ids of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Coordinator {
    transactions: BTreeMap<ByteStr, Transaction>,
    /// Those whose markers are not all written.
    ending: BTreeSet<ByteStr>,
}

/// What a client that initialises says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InitTerms {
    pub(crate) timeout_ms: i32,
    /// Who it was before, if it says so (KIP-360).
    pub(crate) expected: Option<Producer>,
    /// The level of the cluster, by which the transaction of another client is aborted.
    pub(crate) level: Level,
    pub(crate) now_ms: i64,
}

/// Which transactions are asked for; what is not said matches all.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) producer_ids: Vec<i64>,
    pub(crate) states: Vec<ByteStr>,
    /// Those that have run for longer than this; negative is all.
    pub(crate) duration_ms: i64,
    pub(crate) id_pattern: Option<Regex>,
}

/// A transaction in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) transactional_id: ByteStr,
    pub(crate) producer_id: i64,
    pub(crate) state: State,
}

impl Coordinator {
    /// Forgets all transactional ids, as when the topic is deleted that holds them. What is open stays open in its
    /// partitions (Java: `TransactionStateManager.removeTransactionsForTxnTopicPartition`).
    pub(crate) fn unload(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn get(&self, transactional_id: &str) -> Option<&Transaction> {
        self.transactions.get(transactional_id)
    }

    /// `InitProducerId` with a transactional id (KIP-98, KIP-360).
    ///
    /// An open transaction of an earlier client is aborted, and the new one has to ask again.
    pub(crate) fn initialise(
        &mut self,
        transactional_id: &ByteStr,
        terms: InitTerms,
        mut new_producer_id: impl FnMut() -> i64,
    ) -> Result<Producer, ErrorCode> {
        if !self.transactions.contains_key(transactional_id) {
            if self.transactions.len() == TRANSACTIONAL_IDS_MAX {
                return Err(ErrorCode::CoordinatorNotAvailable);
            }
            let created = Transaction::new(new_producer_id(), terms.timeout_ms, terms.now_ms);
            self.transactions.insert(transactional_id.detached(), created);
        }
        let transaction = self.existing(transactional_id)?;
        if transaction.is_ending() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        if terms.expected.is_some_and(|expected| !transaction.may_continue(expected)) {
            return Err(ErrorCode::ProducerFenced);
        }
        if transaction.state == State::Ongoing {
            transaction.fence(terms.level, terms.now_ms, new_producer_id);
            self.ending.insert(transactional_id.detached());
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let expected_epoch = terms.expected.map(|expected| expected.epoch);
        transaction.initialise(terms.timeout_ms, expected_epoch, terms.now_ms, new_producer_id)?;
        Ok(transaction.producer)
    }

    /// `AddPartitionsToTxn`, `AddOffsetsToTxn`, and what Produce and TxnOffsetCommit of newer clients imply.
    pub(crate) fn add_partitions(
        &mut self,
        transactional_id: &str,
        producer: Producer,
        partitions: &[TopicPartition],
        level: Level,
        now_ms: i64,
    ) -> Result<(), ErrorCode> {
        let transaction = self.existing(transactional_id)?;
        if transaction.is_ending() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        check_producer(transaction, producer)?;
        let are_in = partitions.iter().all(|partition| transaction.partitions.contains(partition));
        if transaction.state != State::Ongoing || !are_in {
            transaction.add_partitions(partitions.iter().map(detached), level, now_ms);
        }
        Ok(())
    }

    /// Whether partitions take part, for batches of clients that have to add them first (KIP-890).
    pub(crate) fn verify_partitions(
        &self,
        transactional_id: &str,
        producer: Producer,
        partitions: &[TopicPartition],
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let transaction = self.known(transactional_id)?;
        check_producer(transaction, producer)?;
        if transaction.is_ending() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let verify = |partition| match transaction.partitions.contains(partition) {
            true => ErrorCode::None,
            false => ErrorCode::TransactionAbortable,
        };
        Ok(partitions.iter().map(verify).collect())
    }

    /// `EndTxn`. With an epoch bump, returns who the producer is from now on.
    pub(crate) fn end(
        &mut self,
        transactional_id: &str,
        producer: Producer,
        outcome: Outcome,
        level: Level,
        now_ms: i64,
        new_producer_id: impl FnOnce() -> i64,
    ) -> Result<Producer, ErrorCode> {
        let transaction = self.existing(transactional_id)?;
        let takes_effect = match level.bumps_epoch() {
            true => end_with_bump(transaction, producer, outcome)?,
            false => end_without_bump(transaction, producer, outcome)?,
        };
        if takes_effect {
            transaction.prepare(outcome, level, now_ms, new_producer_id);
        }
        let next = transaction.producer_after_end();
        if takes_effect {
            self.ending.insert(ByteStr::from(transactional_id));
        }
        Ok(if level.bumps_epoch() { next } else { Producer::NONE })
    }

    /// The transactions that have been open for longer than they may.
    pub(crate) fn timed_out(&self, now_ms: i64) -> Vec<ByteStr> {
        let timed_out = self.transactions.iter().filter(|(_, transaction)| transaction.is_timed_out(now_ms));
        timed_out.map(|(id, _)| id.clone()).collect()
    }

    /// Aborts a transaction that has taken too long, and fences its producer.
    pub(crate) fn abort_timed_out(
        &mut self,
        transactional_id: &ByteStr,
        level: Level,
        now_ms: i64,
        new_producer_id: impl FnOnce() -> i64,
    ) {
        let timed_out = self.transactions.get_mut(transactional_id).filter(|it| it.is_timed_out(now_ms));
        if let Some(transaction) = timed_out {
            transaction.fence(level, now_ms, new_producer_id);
            self.ending.insert(transactional_id.clone());
        }
    }

    /// Forgets what was not used for `expiration_ms` (`transactional.id.expiration.ms`).
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: i64, may_forget: impl Fn(&ByteStr) -> bool) {
        self.transactions
            .retain(|id, transaction| !transaction.is_expired(now_ms, expiration_ms) || !may_forget(id));
    }

    /// Takes a step back that could not be written; `before` is `None` where there was nothing.
    pub(crate) fn take_back(&mut self, transactional_id: &str, before: Option<Transaction>) {
        if before.as_ref().is_none_or(|transaction| !transaction.is_ending()) {
            self.ending.remove(transactional_id);
        }
        match before {
            Some(transaction) => {
                self.transactions.insert(ByteStr::from(transactional_id), transaction);
            }
            None => {
                self.transactions.remove(transactional_id);
            }
        }
    }

    /// Whether markers of a transaction are to be written.
    pub(crate) fn is_ending(&self, transactional_id: &str) -> bool {
        self.ending.contains(transactional_id)
    }

    /// Those whose markers are not all written.
    pub(crate) fn ending(&self) -> Vec<ByteStr> {
        self.ending.iter().cloned().collect()
    }

    /// A partition needs no marker of this transaction any more.
    pub(crate) fn marker_written(&mut self, transactional_id: &str, partition: &TopicPartition) {
        if let Some(transaction) = self.transactions.get_mut(transactional_id) {
            transaction.partitions.remove(partition);
        }
    }

    /// Completes a transaction whose markers are all written.
    pub(crate) fn complete_if_written(&mut self, transactional_id: &str, now_ms: i64) {
        let transaction = self.transactions.get_mut(transactional_id);
        if let Some(transaction) = transaction.filter(|it| it.is_ending() && it.partitions.is_empty()) {
            transaction.complete(now_ms);
            self.ending.remove(transactional_id);
        }
    }

    /// A partition has seen a later epoch: the markers are written no more, and the transaction stays as it is.
    pub(crate) fn give_up_markers(&mut self, transactional_id: &str) {
        self.ending.remove(transactional_id);
    }

    /// `ListTransactions` (KIP-664, KIP-994, KIP-1152).
    pub(crate) fn list(&self, filter: &Filter, now_ms: i64) -> Vec<Listed> {
        let wanted =
            self.transactions.iter().filter(|(id, transaction)| filter.matches(id, transaction, now_ms));
        let listed = wanted.map(|(id, transaction)| Listed {
            transactional_id: id.clone(),
            producer_id: transaction.producer.id,
            state: transaction.state,
        });
        listed.collect()
    }

    fn known(&self, transactional_id: &str) -> Result<&Transaction, ErrorCode> {
        check_id(transactional_id)?;
        self.transactions.get(transactional_id).ok_or(ErrorCode::InvalidProducerIdMapping)
    }

    fn existing(&mut self, transactional_id: &str) -> Result<&mut Transaction, ErrorCode> {
        check_id(transactional_id)?;
        self.transactions.get_mut(transactional_id).ok_or(ErrorCode::InvalidProducerIdMapping)
    }
}

impl Filter {
    fn matches(&self, transactional_id: &str, transaction: &Transaction, now_ms: i64) -> bool {
        let has_id = self.producer_ids.is_empty() || self.producer_ids.contains(&transaction.producer.id);
        let has_state =
            self.states.is_empty() || self.states.iter().any(|name| **name == *transaction.state.name());
        let runs_long = self.duration_ms < 0 || now_ms - transaction.started_ms > self.duration_ms;
        let is_like = self.id_pattern.as_ref().is_none_or(|pattern| pattern.is_match(transactional_id));
        has_id && has_state && runs_long && is_like
    }
}

fn check_id(transactional_id: &str) -> Result<(), ErrorCode> {
    if transactional_id.is_empty() { Err(ErrorCode::InvalidRequest) } else { Ok(()) }
}

/// The id first, then the epoch.
fn check_producer(transaction: &Transaction, producer: Producer) -> Result<(), ErrorCode> {
    if transaction.producer.id != producer.id {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    if transaction.producer.epoch != producer.epoch {
        return Err(ErrorCode::ProducerFenced);
    }
    Ok(())
}

/// Whether an end changes anything, for clients that keep their epoch (Java: `endTransactionWithTV1`).
fn end_without_bump(
    transaction: &Transaction,
    producer: Producer,
    outcome: Outcome,
) -> Result<bool, ErrorCode> {
    check_producer(transaction, producer)?;
    match transaction.state {
        State::Prepare(_) => Err(ErrorCode::ConcurrentTransactions),
        State::Ongoing => Ok(true),
        State::Complete(past) if past == outcome => Ok(false),
        State::Complete(_) | State::Empty => Err(ErrorCode::InvalidTxnState),
    }
}

/// Whether an end changes anything, for clients whose epoch is bumped by it (Java: `endTransaction`).
///
/// | | abort, repeated | abort | commit, repeated | commit |
/// | --- | --- | --- | --- | --- |
/// | Empty | fenced | takes effect | fenced | invalid |
/// | CompleteAbort | already done | takes effect | invalid | invalid |
/// | CompleteCommit | invalid | takes effect | already done | invalid |
fn end_with_bump(transaction: &Transaction, producer: Producer, outcome: Outcome) -> Result<bool, ErrorCode> {
    if transaction.is_ending() {
        return Err(ErrorCode::ConcurrentTransactions);
    }
    if transaction.producer.id != producer.id && !transaction.is_repeated_end_of_last_epoch(producer) {
        return Err(ErrorCode::InvalidProducerIdMapping);
    }
    let is_current = transaction.producer.epoch == producer.epoch;
    let is_repeated = transaction.is_repeated_end(producer);
    let is_valid = match transaction.state {
        State::Complete(_) => is_repeated || is_current,
        State::Empty | State::Ongoing | State::Prepare(_) => is_current,
    };
    if !is_valid {
        return Err(ErrorCode::ProducerFenced);
    }
    match (transaction.state, outcome) {
        (State::Ongoing, _) => Ok(true),
        (State::Complete(past), _) if is_repeated => match past == outcome {
            true => Ok(false),
            false => Err(ErrorCode::InvalidTxnState),
        },
        (State::Empty | State::Complete(_), Outcome::Abort) => Ok(true),
        _ => Err(ErrorCode::InvalidTxnState),
    }
}

/// What is kept must not pin the frame in which it came.
fn detached((topic, partition): &TopicPartition) -> TopicPartition {
    (topic.detached(), *partition)
}

#[cfg(test)]
mod tests;
