//! The sealed batches of one partition: waiting, in flight, numbered, retried, split, expired.
//!
//! Order and exactly-once (promises P1, P2) rest on these rules:
//!
//! 1. Batches wait in the order of their records; one that comes back goes to its old place; the first goes first.
//! 2. A batch keeps its numbers until it is certain that it is not in the log and does not come there any more.
//! 3. Nothing new is sent while an earlier batch that may be in the log is unresolved. Brokers recognise a repetition among the last
//!    five batches only: so it stays among them, and OUT_OF_ORDER_SEQUENCE_NUMBER is proof that it is not in the log.
//! 4. What an old leader has in flight is sent to the new one again, in order and under its old numbers, before anything else.
//!
//! That proof is one of the past. A request that was never answered may be carried out at any time, however often the batch was sent
//! since: as long as nothing was written under a later epoch, it finds its predecessor in the log should that arrive late, too. So a
//! batch with such an attempt never gets other numbers. If its predecessor is given up and the log lacks it, the batch fails as
//! possibly written.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use milena_client::Backoff;
use milena_protocol::planted;
use milena_records::SealedBatch;

pub(crate) use super::batch::{Batch, BatchName, BatchSeries, ToSend};
use super::outcome::{Attempt, Meaning, Written};
use super::sequencing::{NeedsProducerId, ProducerIdentity, Sequencing, add_sequence};

/// After this long without an acknowledgement the partition is assumed to have forgotten the producer, which costs one round trip
/// without pipelining. Brokers forget after `producer.id.expiration.ms`, a day by default.
const PAUSE: Duration = Duration::from_secs(60);

/// What the queue must know of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueConfig {
    pub(crate) idempotent: bool,
    pub(crate) in_flight_max: usize,
    pub(crate) retries_max: u32,
    pub(crate) retry_backoff: Backoff,
}

/// Why nothing is sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// Nothing waits, or an answer must come first.
    Waiting,
    /// Backing off until then.
    Backoff(Instant),
    /// A producer id is needed first.
    NeedsProducerId(NeedsProducerId),
}

/// What became of a batch whose attempt failed.
#[derive(Debug)]
pub(crate) enum Verdict<P> {
    /// It waits for the next attempt.
    Retry,
    /// It is in the log; the offset is not known.
    AlreadyWritten(Batch<P>),
    /// Seal it anew in smaller pieces, without a lock, and put them in its place: [`SendQueue::take_refused`],
    /// [`SendQueue::insert_pieces`]. If that fails: [`SendQueue::give_up_refused`]. Until then it counts as in flight.
    Split(SealedBatch),
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
    /// It was refused as too large, and is being split.
    is_refused: bool,
}

impl<P> InFlight<P> {
    /// Gives the attempt up.
    fn into_unanswered(self) -> Batch<P> {
        let written = if self.is_refused { self.batch.written } else { Written::NowOrLater };
        Batch { written, ..self.batch }
    }
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
    acknowledged_at: Option<Instant>,
}

impl<P> SendQueue<P> {
    pub(crate) fn new(config: QueueConfig) -> Self {
        Self {
            config,
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            sequencing: if config.idempotent { Sequencing::Unassigned } else { Sequencing::Off },
            not_before: None,
            acknowledged_at: None,
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

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// Whether a broker may remember numbers that were given here.
    pub(crate) fn has_used_numbers(&self) -> bool {
        self.sequencing.was_used()
    }

    /// Whether another batch could be in flight.
    pub(crate) fn has_room_in_flight(&self) -> bool {
        let in_flight_max = if self.sequencing.may_pipeline() { self.config.in_flight_max } else { 1 };
        self.in_flight.len() < in_flight_max
    }

    /// The size of the batch that waits longest.
    pub(crate) fn next_encoded_len(&self) -> Option<usize> {
        self.waiting.front().map(|batch| batch.sealed.encoded_len())
    }

    /// What the driver keeps with a batch in flight.
    pub(crate) fn in_flight_payload(&self, name: BatchName) -> Option<&P> {
        self.in_flight
            .iter()
            .find(|in_flight| in_flight.batch.name() == name)
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

    /// The batch to send to `node_id`, the partition's leader, now. `current` is the producer's identity.
    pub(crate) fn poll_send(
        &mut self,
        now: Instant,
        node_id: i32,
        current: Option<ProducerIdentity>,
    ) -> Result<ToSend, Idle> {
        self.take_back_from_others(node_id)?;
        if self.in_flight.is_empty() && self.acknowledged_at.is_some_and(|at| at + PAUSE < now) {
            self.sequencing.handle_pause();
        }
        if self.waiting.is_empty() || !self.has_room_in_flight() {
            return Err(Idle::Waiting);
        }
        if let Some(not_before) = self.not_before.filter(|not_before| *not_before > now) {
            return Err(Idle::Backoff(not_before));
        }
        let mut batch = self.take_sendable(current)?;
        batch.attempts += 1;
        let to_send = ToSend { name: batch.name(), sealed: batch.sealed.clone(), stamp: batch.stamp };
        let at = self.in_flight.partition_point(|other| other.batch.first_record < batch.first_record);
        self.in_flight.insert(at, InFlight { batch, node_id, is_refused: false });
        Ok(to_send)
    }

    /// The leader may have changed. With idempotence all that the old one has in flight may be sent again, in order and under its
    /// old numbers: what was written is recognised. Without it, its answers must be waited for.
    fn take_back_from_others(&mut self, node_id: i32) -> Result<(), Idle> {
        let is_elsewhere = |in_flight: &InFlight<P>| in_flight.node_id != node_id;
        if !self.config.idempotent {
            return match self.in_flight.iter().any(is_elsewhere) {
                true => Err(Idle::Waiting),
                false => Ok(()),
            };
        }
        while let Some(at) = self.in_flight.iter().position(is_elsewhere) {
            let in_flight = self.in_flight.remove(at).expect("the index was found above");
            let mut batch = in_flight.into_unanswered();
            if planted("new_leader_gets_new_sequence") {
                batch.stamp = None;
            }
            self.put_back(batch);
        }
        Ok(())
    }

    /// Takes out, numbered, the waiting batch that may go next.
    fn take_sendable(&mut self, current: Option<ProducerIdentity>) -> Result<Batch<P>, Idle> {
        let mut index = 0;
        if self.sequencing.is_draining() {
            // What may be in the log is asked about first, under its old numbers.
            match self.waiting.iter().position(Batch::is_possibly_written) {
                Some(possibly_written) => index = possibly_written,
                None => self.reset(current)?,
            }
        } else if self.config.idempotent && self.must_wait(&self.waiting[0]) {
            return Err(Idle::Waiting);
        }
        let batch = &mut self.waiting[index];
        if batch.stamp.is_none() {
            let assigned = self.sequencing.assign(batch.sealed.record_count(), current);
            batch.stamp = assigned.map_err(Idle::NeedsProducerId)?;
        }
        Ok(self.waiting.remove(index).expect("the index is that of a waiting batch"))
    }

    /// Whether an earlier batch that may be in the log is unresolved: `batch` could drive it out of the broker's memory.
    fn must_wait(&self, batch: &Batch<P>) -> bool {
        let is_before = |other: &InFlight<P>| other.batch.first_record < batch.first_record;
        !batch.is_possibly_written()
            && self.in_flight.iter().any(|other| other.batch.is_possibly_written() && is_before(other))
    }

    /// Goes on under other numbers, once nothing is in flight and nothing that waits may be in the log.
    fn reset(&mut self, current: Option<ProducerIdentity>) -> Result<(), Idle> {
        debug_assert!(self.in_flight.is_empty(), "nothing is pipelined while draining");
        self.sequencing.reset(current).map_err(Idle::NeedsProducerId)?;
        for batch in &mut self.waiting {
            batch.stamp = None;
        }
        Ok(())
    }

    /// The attempt was acknowledged.
    pub(crate) fn handle_written(&mut self, name: BatchName, now: Instant) -> Option<Batch<P>> {
        let InFlight { batch, .. } = self.take_in_flight(name)?;
        self.note_acknowledged(&batch, now);
        Some(batch)
    }

    /// The attempt failed. `unit_random`, in `0.0..1.0`, spreads the next attempts of many batches.
    pub(crate) fn handle_failed(
        &mut self,
        name: BatchName,
        attempt: &Attempt,
        now: Instant,
        unit_random: f64,
    ) -> Verdict<P> {
        let Some(InFlight { mut batch, node_id, .. }) = self.take_in_flight(name) else {
            return Verdict::Stale;
        };
        batch.last_attempt = Some(attempt.clone());
        let is_numbered = batch.stamp.is_some();
        match attempt.meaning() {
            Meaning::Retry { written } => {
                if !planted("retry_forgets_doubt") {
                    batch.written = batch.written.max(written);
                }
                if planted("retry_gets_new_sequence") {
                    batch.stamp = None;
                }
                self.retry(batch, now, unit_random)
            }
            Meaning::AlreadyWritten if batch.is_possibly_written() => {
                self.note_acknowledged(&batch, now);
                Verdict::AlreadyWritten(batch)
            }
            // Pieces of what may be in the log whole would not be recognised.
            Meaning::TooLarge
                if batch.sealed.record_count() > 1 && !(is_numbered && batch.is_possibly_written()) =>
            {
                let sealed = batch.sealed.clone();
                let at =
                    self.in_flight.partition_point(|other| other.batch.first_record < batch.first_record);
                self.in_flight.insert(at, InFlight { batch, node_id, is_refused: true });
                Verdict::Split(sealed)
            }
            Meaning::OutOfOrder if is_numbered => self.handle_out_of_order(batch, now, unit_random),
            // If an earlier attempt was written, nobody can tell any more: it is not repeated. Otherwise the numbers are of no
            // use, and were not used (which is also what to think of a repetition of what certainly was not written).
            Meaning::Forgotten | Meaning::AlreadyWritten if is_numbered && !batch.is_possibly_written() => {
                self.sequencing.drain();
                self.retry(batch, now, unit_random)
            }
            Meaning::Fail { written } => {
                batch.written = batch.written.max(written);
                self.leave_gap(&batch);
                Verdict::Fail(batch)
            }
            Meaning::TooLarge | Meaning::OutOfOrder | Meaning::Forgotten | Meaning::AlreadyWritten => {
                self.leave_gap(&batch);
                Verdict::Fail(batch)
            }
            Meaning::Fatal => {
                self.leave_gap(&batch);
                Verdict::Fatal(batch)
            }
        }
    }

    /// The log lacks the batch's predecessor, and so the batch itself (rule 3), unless the predecessor is on its way. If there is
    /// none, the gap is there to stay, and only a new epoch closes it (librdkafka#3584: not fatal).
    fn handle_out_of_order(&mut self, mut batch: Batch<P>, now: Instant, unit_random: f64) -> Verdict<P> {
        let is_before = |other: &Batch<P>| other.first_record < batch.first_record;
        let is_coming = self.in_flight.iter().any(|other| is_before(&other.batch))
            || self.waiting.iter().any(|other| is_before(other) && other.is_possibly_written());
        let is_first = !self.batches().any(is_before);
        // While draining, a predecessor that waits gets other numbers.
        let is_cut_off = is_first || self.sequencing.is_draining() && !is_coming;
        if is_cut_off && batch.written == Written::NowOrLater {
            self.leave_gap(&batch);
            return Verdict::Fail(batch);
        }
        if !is_coming && batch.written == Written::Perhaps {
            batch.written = Written::No;
        }
        if is_first {
            self.sequencing.drain();
        }
        self.retry(batch, now, unit_random)
    }

    fn retry(&mut self, batch: Batch<P>, now: Instant, unit_random: f64) -> Verdict<P> {
        if batch.deadline <= now || batch.attempts > self.config.retries_max {
            self.leave_gap(&batch);
            return Verdict::Fail(batch);
        }
        // The batches behind one that failed fail with it: they do not prolong the wait.
        if self.not_before.is_none_or(|not_before| not_before <= now) {
            self.not_before = Some(now + self.config.retry_backoff.delay(batch.attempts, unit_random));
        }
        self.put_back(batch);
        Verdict::Retry
    }

    /// Takes out a batch that was to be split, for its pieces to take its place at once; `None` if it has expired meanwhile, or goes
    /// to a new leader as it is.
    pub(crate) fn take_refused(&mut self, name: BatchName) -> Option<Batch<P>> {
        self.take_in_flight(name).map(|in_flight| in_flight.batch)
    }

    /// Takes out a batch that could not be split; its deliveries fail.
    pub(crate) fn give_up_refused(&mut self, name: BatchName) -> Option<Batch<P>> {
        let batch = self.take_refused(name)?;
        self.leave_gap(&batch);
        Some(batch)
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
            let mut piece = Batch::piece(&whole, first_record, sealed, payload);
            piece.stamp = stamp;
            first_record += u64::from(record_count);
            if let Some(stamp) = &mut stamp {
                stamp.base_sequence = add_sequence(stamp.base_sequence, record_count);
            }
            self.put_back(piece);
        }
    }

    /// Takes out what is past its deadline at `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Batch<P>> {
        let is_late = |batch: &Batch<P>| batch.deadline <= now;
        let mut expired = Vec::new();
        while let Some(at) = self.in_flight.iter().position(|in_flight| is_late(&in_flight.batch)) {
            let in_flight = self.in_flight.remove(at).expect("the index was found above");
            let mut batch = in_flight.into_unanswered();
            if planted("expiry_denies_what_is_in_flight") {
                batch.written = Written::No;
            }
            expired.push(batch);
        }
        while let Some(at) = self.waiting.iter().position(is_late) {
            expired.push(self.waiting.remove(at).expect("the index was found above"));
        }
        expired.iter().for_each(|batch| self.leave_gap(batch));
        expired
    }

    /// Takes everything out, oldest first: the producer is closed or has failed.
    pub(crate) fn take_all(&mut self) -> Vec<Batch<P>> {
        let mut all: Vec<_> = self.in_flight.drain(..).map(InFlight::into_unanswered).collect();
        all.extend(self.waiting.drain(..));
        all.sort_by_key(|batch| batch.first_record);
        all
    }

    /// A new leader is known: no need to wait any longer before asking it.
    pub(crate) fn handle_new_leader(&mut self) {
        self.not_before = None;
    }

    /// The topic was created anew: the log is another one, which knows no producer.
    pub(crate) fn handle_new_log(&mut self) {
        self.sequencing.drain();
    }

    fn note_acknowledged(&mut self, batch: &Batch<P>, now: Instant) {
        self.acknowledged_at = Some(now);
        if let Some(stamp) = batch.stamp {
            self.sequencing.handle_acknowledged(stamp);
        }
    }

    /// A numbered batch leaves without having been acknowledged. Its numbers leave a gap; to give them to another batch instead
    /// would be wrong should the first one be in the log after all.
    fn leave_gap(&mut self, batch: &Batch<P>) {
        if batch.stamp.is_some() {
            self.sequencing.drain();
        }
    }

    fn put_back(&mut self, batch: Batch<P>) {
        if planted("retry_loses_its_place") {
            return self.waiting.push_back(batch);
        }
        let at = self.waiting.partition_point(|other| other.first_record < batch.first_record);
        self.waiting.insert(at, batch);
    }

    fn take_in_flight(&mut self, name: BatchName) -> Option<InFlight<P>> {
        let at = self.in_flight.iter().position(|in_flight| in_flight.batch.name() == name)?;
        self.in_flight.remove(at)
    }
}

#[cfg(test)]
mod tests;
