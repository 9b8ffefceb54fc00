//! The sealed batches of one partition: waiting, in flight, numbered, retried, split, expired.
//!
//! Order (promise P2) rests on three rules: batches wait in the order of their records; a batch that comes back goes to its old
//! place; and nothing goes to a new leader before the fate of what the old one had in flight is known, or all of it is sent again
//! in order under its old numbers.

use std::collections::VecDeque;
use std::time::Instant;

use milena_client::Backoff;
use milena_records::SealedBatch;

use super::outcome::{Attempt, Meaning, Written};
use super::sequencing::{Numbering, ProducerIdentity, Sequencing, Stamp, add_sequence};

/// What the queue must know of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueConfig {
    pub(crate) idempotent: bool,
    pub(crate) in_flight_max: usize,
    pub(crate) retries_max: u32,
    pub(crate) retry_backoff: Backoff,
}

/// A sealed batch on its way; `P` is what the driver keeps with it.
#[derive(Debug)]
pub(crate) struct Batch<P> {
    /// The number of its first record among all that the partition got: its place in the order, and its name.
    pub(crate) first_record: u64,
    pub(crate) sealed: SealedBatch,
    /// When its deliveries must be resolved.
    pub(crate) deadline: Instant,
    pub(crate) payload: P,
    attempts: u32,
    stamp: Option<Stamp>,
    possibly_written: bool,
}

impl<P> Batch<P> {
    pub(crate) fn new(first_record: u64, sealed: SealedBatch, deadline: Instant, payload: P) -> Self {
        Self { first_record, sealed, deadline, payload, attempts: 0, stamp: None, possibly_written: false }
    }

    /// Whether an attempt with unknown outcome was made: a failure cannot promise that the records are not in the log.
    pub(crate) fn is_possibly_written(&self) -> bool {
        self.possibly_written
    }

    /// How often it was sent.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }
}

/// A batch to put into a request now.
#[derive(Debug)]
pub(crate) struct ToSend {
    pub(crate) name: BatchName,
    pub(crate) sealed: SealedBatch,
    pub(crate) stamp: Option<Stamp>,
    /// Whether it was sent before.
    pub(crate) is_retry: bool,
}

/// Names one attempt at one batch: an answer to an attempt that was given up names nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BatchName {
    pub(crate) first_record: u64,
    pub(crate) attempt: u32,
}

/// Why nothing is sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// Nothing waits, or an answer must come first.
    Waiting,
    /// Backing off until then.
    Backoff(Instant),
    /// A producer id is needed, other than the exhausted one.
    NeedsProducerId { exhausted: Option<i64> },
}

/// What became of a batch whose attempt failed.
#[derive(Debug)]
pub(crate) enum Verdict<P> {
    /// It waits for the next attempt.
    Retry,
    /// It is in the log; the offset is not known.
    AlreadyWritten(Batch<P>),
    /// Seal it anew in smaller pieces and give them to [`SendQueue::insert_pieces`].
    Split(Batch<P>),
    /// Its deliveries fail; the producer goes on.
    Fail(Batch<P>),
    /// Its deliveries fail, and so does the producer.
    Fatal(Batch<P>),
    /// The attempt was given up earlier.
    Stale,
}

struct InFlight<P> {
    batch: Batch<P>,
    node_id: i32,
}

/// The sealed batches of one partition.
pub(crate) struct SendQueue<P> {
    config: QueueConfig,
    /// In the order of `first_record`.
    waiting: VecDeque<Batch<P>>,
    /// In the order of `first_record`.
    in_flight: VecDeque<InFlight<P>>,
    sequencing: Sequencing,
    not_before: Option<Instant>,
}

impl<P> SendQueue<P> {
    pub(crate) fn new(config: QueueConfig) -> Self {
        Self {
            config,
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            sequencing: if config.idempotent { Sequencing::Unassigned } else { Sequencing::Off },
            not_before: None,
        }
    }

    /// Adds a sealed batch behind all others.
    pub(crate) fn push(&mut self, batch: Batch<P>) {
        debug_assert!(self.waiting.back().is_none_or(|last| last.first_record < batch.first_record));
        self.waiting.push_back(batch);
    }

    pub(crate) fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether another batch could be in flight.
    pub(crate) fn has_room_in_flight(&self) -> bool {
        self.in_flight.len() < self.config.in_flight_max
    }

    /// The size of the batch that waits longest.
    pub(crate) fn next_encoded_len(&self) -> Option<usize> {
        self.waiting.front().map(|batch| batch.sealed.encoded_len())
    }

    /// What the driver keeps with a batch in flight.
    pub(crate) fn in_flight_payload(&self, name: BatchName) -> Option<&P> {
        self.in_flight
            .iter()
            .find(|in_flight| in_flight.batch.first_record == name.first_record)
            .map(|in_flight| &in_flight.batch.payload)
    }

    /// All batches, those in flight first.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &Batch<P>> {
        self.in_flight.iter().map(|in_flight| &in_flight.batch).chain(&self.waiting)
    }

    /// The next deadline of a delivery.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.batches().map(|batch| batch.deadline).min()
    }

    /// The batch to send to `node_id`, the partition's leader, now.
    pub(crate) fn poll_send(
        &mut self,
        now: Instant,
        node_id: i32,
        current: Option<ProducerIdentity>,
    ) -> Result<ToSend, Idle> {
        if self.in_flight.iter().any(|in_flight| in_flight.node_id != node_id)
            && !self.give_up_elsewhere(node_id)
        {
            return Err(Idle::Waiting);
        }
        if self.in_flight.len() >= self.config.in_flight_max || self.waiting.is_empty() {
            return Err(Idle::Waiting);
        }
        if let Some(not_before) = self.not_before.filter(|not_before| *not_before > now) {
            return Err(Idle::Backoff(not_before));
        }
        let index = self.sendable(current)?;
        let batch = &mut self.waiting[index];
        if batch.stamp.is_none() {
            batch.stamp = match self.sequencing.assign(batch.sealed.record_count(), current) {
                Numbering::Stamp(stamp) => stamp,
                Numbering::NeedsProducerId { exhausted } => return Err(Idle::NeedsProducerId { exhausted }),
            };
        }
        let mut batch = self.waiting.remove(index).expect("the index was found above");
        batch.attempts += 1;
        let to_send = ToSend {
            name: BatchName { first_record: batch.first_record, attempt: batch.attempts },
            sealed: batch.sealed.clone(),
            stamp: batch.stamp,
            is_retry: batch.attempts > 1,
        };
        let at = self.in_flight.partition_point(|other| other.batch.first_record < batch.first_record);
        self.in_flight.insert(at, InFlight { batch, node_id });
        Ok(to_send)
    }

    /// Which of the waiting batches may go next.
    fn sendable(&mut self, current: Option<ProducerIdentity>) -> Result<usize, Idle> {
        if !self.sequencing.is_draining() {
            return Ok(0);
        }
        // What may be in the log is asked about first, under its old numbers.
        if let Some(index) = self.waiting.iter().position(|batch| batch.possibly_written) {
            return Ok(index);
        }
        if !self.in_flight.is_empty() {
            return Err(Idle::Waiting);
        }
        match self.sequencing.reset(current) {
            Ok(()) => {
                for batch in &mut self.waiting {
                    batch.stamp = None;
                }
                Ok(0)
            }
            Err(Numbering::NeedsProducerId { exhausted }) => Err(Idle::NeedsProducerId { exhausted }),
            Err(Numbering::Stamp(_)) => unreachable!("a reset gives no numbers"),
        }
    }

    /// The leader has changed. With idempotence all that the old one has in flight may be sent again, in order and under its old
    /// numbers: what was written is recognised. Without it, its answers must be waited for.
    fn give_up_elsewhere(&mut self, node_id: i32) -> bool {
        if !self.config.idempotent {
            return false;
        }
        let mut at = 0;
        while at < self.in_flight.len() {
            if self.in_flight[at].node_id == node_id {
                at += 1;
                continue;
            }
            let mut batch = self.in_flight.remove(at).expect("the index is in range").batch;
            batch.possibly_written = true;
            self.put_back(batch);
        }
        true
    }

    /// The attempt was acknowledged.
    pub(crate) fn handle_written(&mut self, name: BatchName) -> Option<Batch<P>> {
        self.take_in_flight(name)
    }

    /// The attempt failed.
    pub(crate) fn handle_failed(
        &mut self,
        name: BatchName,
        attempt: &Attempt,
        now: Instant,
        unit_random: f64,
    ) -> Verdict<P> {
        let Some(mut batch) = self.take_in_flight(name) else { return Verdict::Stale };
        let meaning = match *attempt {
            Attempt::Refused { code, .. } => Meaning::of(code),
            Attempt::Disconnected { possibly_sent: true } => Meaning::Retry { written: Written::Perhaps },
            Attempt::Disconnected { possibly_sent: false } => Meaning::Retry { written: Written::No },
        };
        match meaning {
            Meaning::Retry { written } => {
                batch.possibly_written |= written == Written::Perhaps;
                self.retry(batch, now, unit_random)
            }
            Meaning::AlreadyWritten => Verdict::AlreadyWritten(batch),
            // Pieces of what may be in the log whole would not be recognised.
            Meaning::TooLarge if batch.sealed.record_count() > 1 && !batch.possibly_written => {
                Verdict::Split(batch)
            }
            Meaning::TooLarge | Meaning::Fail => {
                self.forget_numbers(&batch);
                Verdict::Fail(batch)
            }
            Meaning::OutOfOrder if batch.stamp.is_some() => self.handle_out_of_order(batch, now, unit_random),
            Meaning::UnknownProducer if batch.stamp.is_some() => {
                self.handle_unknown_producer(batch, now, unit_random)
            }
            Meaning::StaleEpoch if batch.stamp.is_some() => {
                // The partition has seen a later epoch: ours, if this batch was overtaken by a reset; then it is not in the
                // log, as its numbers would have been recognised before. Another one's can only mean a shared id.
                self.sequencing.drain();
                self.retry(batch, now, unit_random)
            }
            Meaning::OutOfOrder | Meaning::UnknownProducer | Meaning::StaleEpoch => Verdict::Fail(batch),
            Meaning::Fatal => {
                self.forget_numbers(&batch);
                Verdict::Fatal(batch)
            }
        }
    }

    /// The log lacks a predecessor, so this batch is not in it. If the predecessor is ours and on its way, both go again; if not,
    /// there is a gap that only a new epoch closes (librdkafka#3584: not fatal).
    fn handle_out_of_order(&mut self, mut batch: Batch<P>, now: Instant, unit_random: f64) -> Verdict<P> {
        batch.possibly_written = false;
        let is_next = self.batches().all(|other| other.first_record > batch.first_record);
        if is_next {
            self.sequencing.drain();
        }
        self.retry(batch, now, unit_random)
    }

    /// The broker forgot this producer (Kafka before 2.5, KIP-360): an earlier attempt that may have been written can be recognised
    /// by nobody, and is not repeated.
    fn handle_unknown_producer(&mut self, batch: Batch<P>, now: Instant, unit_random: f64) -> Verdict<P> {
        self.sequencing.drain();
        if batch.possibly_written { Verdict::Fail(batch) } else { self.retry(batch, now, unit_random) }
    }

    fn retry(&mut self, batch: Batch<P>, now: Instant, unit_random: f64) -> Verdict<P> {
        if batch.deadline <= now || batch.attempts > self.config.retries_max {
            self.forget_numbers(&batch);
            return Verdict::Fail(batch);
        }
        // The batches behind one that failed fail with it: they do not prolong the wait.
        if self.not_before.is_none_or(|not_before| not_before <= now) {
            self.not_before = Some(now + self.config.retry_backoff.delay(batch.attempts, unit_random));
        }
        self.put_back(batch);
        Verdict::Retry
    }

    /// The pieces of a batch that was too large, in order; they keep its place and its range of sequence numbers.
    pub(crate) fn insert_pieces(
        &mut self,
        whole: BatchSeries,
        pieces: impl IntoIterator<Item = (SealedBatch, P)>,
    ) {
        let mut first_record = whole.first_record;
        let mut stamp = whole.stamp;
        for (sealed, payload) in pieces {
            let record_count = sealed.record_count();
            let mut piece = Batch::new(first_record, sealed, whole.deadline, payload);
            piece.stamp = stamp;
            piece.possibly_written = whole.possibly_written;
            piece.attempts = whole.attempts;
            first_record += u64::from(record_count);
            if let Some(stamp) = &mut stamp {
                stamp.base_sequence = add_sequence(stamp.base_sequence, record_count);
            }
            self.put_back(piece);
        }
    }

    /// Takes out what is past its deadline at `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Batch<P>> {
        let mut expired = Vec::new();
        while let Some(at) = self.in_flight.iter().position(|in_flight| in_flight.batch.deadline <= now) {
            let mut batch = self.in_flight.remove(at).expect("the index was found above").batch;
            batch.possibly_written = true;
            expired.push(batch);
        }
        while let Some(at) = self.waiting.iter().position(|batch| batch.deadline <= now) {
            expired.push(self.waiting.remove(at).expect("the index was found above"));
        }
        for batch in &expired {
            self.forget_numbers(batch);
        }
        expired
    }

    /// Takes everything out, oldest first: the producer is closed or has failed.
    pub(crate) fn take_all(&mut self) -> Vec<Batch<P>> {
        let in_flight =
            self.in_flight.drain(..).map(|in_flight| Batch { possibly_written: true, ..in_flight.batch });
        let mut all: Vec<_> = in_flight.collect();
        all.extend(self.waiting.drain(..));
        all.sort_by_key(|batch| batch.first_record);
        all
    }

    /// A new leader is known: no need to wait any longer before asking it.
    pub(crate) fn handle_new_leader(&mut self) {
        self.not_before = None;
    }

    /// A numbered batch leaves without having been acknowledged: its numbers may be used again if they were the last given and
    /// certainly not used; otherwise they leave a gap.
    fn forget_numbers(&mut self, batch: &Batch<P>) {
        let Some(stamp) = batch.stamp else { return };
        let was_last =
            self.batches().all(|other| other.stamp.is_none() || other.first_record < batch.first_record);
        if was_last && !batch.possibly_written {
            self.sequencing.give_back(stamp);
        } else {
            self.sequencing.drain();
        }
    }

    fn put_back(&mut self, batch: Batch<P>) {
        let at = self.waiting.partition_point(|other| other.first_record < batch.first_record);
        self.waiting.insert(at, batch);
    }

    fn take_in_flight(&mut self, name: BatchName) -> Option<Batch<P>> {
        let at = self.in_flight.iter().position(|in_flight| {
            in_flight.batch.first_record == name.first_record && in_flight.batch.attempts == name.attempt
        })?;
        Some(self.in_flight.remove(at).expect("the index was found above").batch)
    }
}

/// What the pieces of a split batch inherit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchSeries {
    first_record: u64,
    deadline: Instant,
    attempts: u32,
    stamp: Option<Stamp>,
    possibly_written: bool,
}

impl<P> From<&Batch<P>> for BatchSeries {
    fn from(batch: &Batch<P>) -> Self {
        Self {
            first_record: batch.first_record,
            deadline: batch.deadline,
            attempts: batch.attempts,
            stamp: batch.stamp,
            possibly_written: batch.possibly_written,
        }
    }
}

#[cfg(test)]
mod tests;
