//! What a partition remembers of the producers that wrote to it, and the checks that follow
//! (Java: `ProducerStateManager`, `ProducerAppendInfo`, `ProducerStateEntry`; KIP-98, KIP-360, KIP-890).
//!
//! ```text
//!            first batch, any sequence               next sequence, same epoch
//!   unknown ---------------------------> known(e, s) -------------------------> known(e, s')
//!      ^                                    |   ^ |
//!      |  expiry, retention, truncation     |   | | sequence 0 in a greater epoch, or a marker with one:
//!      +------------------------------------+   +-+ the five batches are forgotten
//! ```
//! A producer whose transaction is open is not forgotten.

use std::collections::{BTreeMap, VecDeque};

use milena_protocol::planted;
use milena_records::BatchHeader;

use super::verification::{Guard, Verifications};

/// How many of a producer's last batches are remembered, so that a repeated one is recognised.
///
/// Java: `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`; it is why a client has at most five requests in flight.
pub(crate) const BATCHES_RETAINED: usize = 5;

/// From this level of `transaction.version` on, the coordinator bumps the epoch before it writes a marker.
const EPOCH_BUMP_SINCE_LEVEL: i16 = 2;

/// The producers of one partition.
#[derive(Debug, Default)]
pub(crate) struct ProducerStates {
    producers: BTreeMap<i64, ProducerEntry>,
    /// The producers whose transaction is open, by the offset at which it began.
    open: BTreeMap<i64, i64>,
    verifications: Verifications,
}

/// What is known of one producer id.
#[derive(Debug, Clone)]
pub(crate) struct ProducerEntry {
    /// Epoch of its last batch or marker; -1 when nothing has been written yet.
    pub(crate) producer_epoch: i16,
    /// The newest batches of that epoch, oldest first; empty after an epoch began with a marker.
    pub(crate) batches: VecDeque<WrittenBatch>,
    /// Timestamp of its last batch or marker, for expiry.
    pub(crate) last_timestamp_ms: i64,
    /// Epoch of the coordinator that wrote its last marker; -1 when there was none.
    pub(crate) coordinator_epoch: i32,
    /// Where its open transaction began.
    pub(crate) transaction_start: Option<i64>,
}

/// A batch that is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrittenBatch {
    pub(crate) base_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    /// The batch's greatest timestamp.
    pub(crate) timestamp_ms: i64,
}

/// The end of a producer's transaction, as a coordinator has it written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndMarker {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) is_commit: bool,
    pub(crate) coordinator_epoch: i32,
    /// The level of `transaction.version` that the producer works by.
    pub(crate) transaction_version: i16,
}

/// What was open when its marker came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndedTransaction {
    pub(crate) first_offset: i64,
    /// Where the oldest transaction of another producer begins, or what follows the marker.
    pub(crate) last_stable_offset: i64,
}

/// What a partition makes of a batch with a producer id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the next one: append it.
    Append,
    /// It is in the log already, there.
    Duplicate(WrittenBatch),
}

/// What is known of a batch's transaction beside the partition's own state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verified {
    /// `transaction.partition.verification.enable` is off.
    NotRequired,
    /// The coordinator knows of the partition, and has said so since this guard was given.
    By(Guard),
    /// The coordinator was not asked.
    No,
}

/// Why a batch or marker with a producer id is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProducerError {
    #[error("producer {producer_id} has epoch {current}, the batch has {given}")]
    InvalidProducerEpoch { producer_id: i64, current: i16, given: i16 },
    #[error("producer {producer_id}: sequence {given} follows {last}")]
    OutOfOrderSequence { producer_id: i64, last: i32, given: i32 },
    #[error("producer {producer_id}: its transaction does not include this partition")]
    NoOngoingTransaction { producer_id: i64 },
    #[error("producer {producer_id}: a batch outside its open transaction")]
    OutsideTransaction { producer_id: i64 },
    #[error("producer {producer_id}: marker of coordinator epoch {given} after one of {current}")]
    CoordinatorFenced { producer_id: i64, current: i32, given: i32 },
}

impl ProducerStates {
    /// Checks a batch (whose offsets are not assigned yet) against what is known of its producer.
    ///
    /// A producer that is not known may begin with any sequence number: its state may have expired, or its records
    /// may have been deleted (Java: `UnifiedLog.analyzeAndValidateProducerState`, `ProducerAppendInfo`).
    pub(crate) fn check(&self, batch: &BatchHeader, verified: Verified) -> Result<Verdict, ProducerError> {
        if planted("broker_ignores_sequences") {
            return Ok(Verdict::Append);
        }
        let producer_id = batch.producer_id;
        let entry = self.producers.get(&producer_id);
        if let Some(written) = entry.and_then(|entry| entry.find_duplicate(batch)) {
            return Ok(Verdict::Duplicate(written));
        }
        if !planted("broker_ignores_epochs") {
            self.check_epoch(producer_id, batch.producer_epoch)?;
        }
        let is_verified = match verified {
            Verified::NotRequired => true,
            Verified::By(guard) => self.verifications.is_in_force(producer_id, guard),
            Verified::No => false,
        };
        if batch.is_transactional() && !self.is_open(producer_id, batch.producer_epoch) && !is_verified {
            return Err(ProducerError::NoOngoingTransaction { producer_id });
        }
        self.check_sequence(batch, entry)?;
        if entry.is_some_and(|entry| entry.transaction_start.is_some()) && !batch.is_transactional() {
            return Err(ProducerError::OutsideTransaction { producer_id });
        }
        Ok(Verdict::Append)
    }

    /// Begins to verify that the coordinator knows of this partition, before the first batch of a transaction is
    /// appended; `None` when the transaction is open here already (Java: `maybeStartTransactionVerification`).
    pub(crate) fn begin_verification(
        &mut self,
        batch: &BatchHeader,
        bumps_epoch: bool,
        now_ms: i64,
    ) -> Result<Option<Guard>, ProducerError> {
        self.check_epoch(batch.producer_id, batch.producer_epoch)?;
        if self.is_open(batch.producer_id, batch.producer_epoch) {
            return Ok(None);
        }
        Ok(Some(self.verifications.begin(batch, bumps_epoch, now_ms)))
    }

    /// Takes in a batch of records that is in the log now.
    pub(crate) fn note(&mut self, batch: &BatchHeader) {
        let entry = self.producers.entry(batch.producer_id).or_insert_with(ProducerEntry::empty);
        entry.add(
            batch.producer_epoch,
            WrittenBatch {
                base_sequence: batch.base_sequence,
                last_sequence: batch.last_sequence(),
                base_offset: batch.base_offset,
                last_offset: batch.last_offset(),
                timestamp_ms: batch.max_timestamp,
            },
        );
        if batch.is_transactional() {
            if entry.transaction_start.is_none() {
                entry.transaction_start = Some(batch.base_offset);
                self.open.insert(batch.base_offset, batch.producer_id);
            }
            self.verifications.end(batch.producer_id);
        }
    }

    /// Checks a marker before it is appended.
    ///
    /// Where the epoch is bumped at every end, a marker must have a greater one than the producer wrote with; the
    /// same one is a repeated marker, and harmless when nothing is open (Java: `ProducerAppendInfo.checkProducerEpoch`).
    pub(crate) fn check_marker(&self, marker: &EndMarker) -> Result<(), ProducerError> {
        let EndMarker { producer_id, producer_epoch, coordinator_epoch, .. } = *marker;
        let Some(entry) = self.producers.get(&producer_id) else { return Ok(()) };
        let current = entry.producer_epoch;
        let is_repeated = producer_epoch == current
            && marker.transaction_version >= EPOCH_BUMP_SINCE_LEVEL
            && entry.transaction_start.is_some()
            && producer_epoch != i16::MAX;
        if producer_epoch < current || is_repeated {
            return Err(ProducerError::InvalidProducerEpoch { producer_id, current, given: producer_epoch });
        }
        if coordinator_epoch < entry.coordinator_epoch {
            let (current, given) = (entry.coordinator_epoch, coordinator_epoch);
            return Err(ProducerError::CoordinatorFenced { producer_id, current, given });
        }
        Ok(())
    }

    /// Takes in a marker that is in the log now; says what it ended, if anything.
    pub(crate) fn note_marker(
        &mut self,
        marker: &EndMarker,
        offset: i64,
        timestamp_ms: i64,
    ) -> Option<EndedTransaction> {
        let entry = self.producers.entry(marker.producer_id).or_insert_with(ProducerEntry::empty);
        entry.enter_epoch(marker.producer_epoch);
        entry.coordinator_epoch = marker.coordinator_epoch;
        entry.last_timestamp_ms = timestamp_ms;
        let ended = entry.transaction_start.take();
        self.verifications.end_by_marker(marker.producer_id, marker.producer_epoch);
        let first_offset = ended?;
        let mut of_others = self.open.iter().filter(|(_, producer_id)| **producer_id != marker.producer_id);
        let last_stable_offset = of_others.next().map_or(offset + 1, |(first_offset, _)| *first_offset);
        if self.open.get(&first_offset) == Some(&marker.producer_id) {
            self.open.remove(&first_offset);
        }
        Some(EndedTransaction { first_offset, last_stable_offset })
    }

    /// Takes in what a producer's transaction has written that is kept outside the log, so that late markers are judged by
    /// it; it keeps no reader of the log waiting.
    pub(crate) fn note_outside_log(
        &mut self,
        (producer_id, producer_epoch): (i64, i16),
        offset: i64,
        timestamp_ms: i64,
    ) -> Result<(), ProducerError> {
        self.check_epoch(producer_id, producer_epoch)?;
        let entry = self.producers.entry(producer_id).or_insert_with(ProducerEntry::empty);
        entry.enter_epoch(producer_epoch);
        entry.last_timestamp_ms = timestamp_ms;
        entry.transaction_start.get_or_insert(offset);
        Ok(())
    }

    /// Where the oldest open transaction began.
    pub(crate) fn first_open_offset(&self) -> Option<i64> {
        self.open.first_key_value().map(|(first_offset, _)| *first_offset)
    }

    /// Forgets producers that have written nothing for `expiration_ms` (`producer.id.expiration.ms`).
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.producers.retain(|_, entry| {
            entry.transaction_start.is_some()
                || now_ms.saturating_sub(entry.last_timestamp_ms) < expiration_ms
        });
        self.verifications.expire(now_ms, expiration_ms);
    }

    /// Forgets one producer, and its open transaction with it.
    pub(crate) fn forget(&mut self, producer_id: i64) {
        self.producers.remove(&producer_id);
        self.open.retain(|_, of| *of != producer_id);
    }

    /// Forgets all producers, and their open transactions with them.
    pub(crate) fn clear(&mut self) {
        self.producers.clear();
        self.open.clear();
    }

    /// The producers in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &ProducerEntry)> {
        self.producers.iter().map(|(producer_id, entry)| (*producer_id, entry))
    }

    /// Pretends that the producer's last record had `last_sequence`, as after some two thousand million records.
    pub(crate) fn set_last_sequence(&mut self, producer_id: i64, producer_epoch: i16, last_sequence: i32) {
        let entry = self.producers.entry(producer_id).or_insert_with(ProducerEntry::empty);
        let (base_offset, timestamp_ms) = (-1, i64::MAX);
        let (base_sequence, last_offset) = (last_sequence, base_offset);
        entry.batches.clear();
        entry.add(
            producer_epoch,
            WrittenBatch { base_sequence, last_sequence, base_offset, last_offset, timestamp_ms },
        );
    }

    /// Whether the producer's transaction is open in this epoch; in a later one it may have ended.
    fn is_open(&self, producer_id: i64, producer_epoch: i16) -> bool {
        let entry = self.producers.get(&producer_id);
        entry.is_some_and(|entry| entry.transaction_start.is_some() && entry.producer_epoch == producer_epoch)
    }

    fn check_epoch(&self, producer_id: i64, given: i16) -> Result<(), ProducerError> {
        match self.producers.get(&producer_id).map(|entry| entry.producer_epoch) {
            Some(current) if given < current => {
                Err(ProducerError::InvalidProducerEpoch { producer_id, current, given })
            }
            _ => Ok(()),
        }
    }

    fn check_sequence(
        &self,
        batch: &BatchHeader,
        entry: Option<&ProducerEntry>,
    ) -> Result<(), ProducerError> {
        let (producer_id, given) = (batch.producer_id, batch.base_sequence);
        let last = entry.map_or(-1, ProducerEntry::last_sequence);
        let is_next = entry.is_none_or(|entry| entry.accepts(batch.producer_epoch, given));
        if is_next && self.verifications.accepts_sequence(producer_id, given, last != -1) {
            return Ok(());
        }
        Err(ProducerError::OutOfOrderSequence { producer_id, last, given })
    }
}

impl ProducerEntry {
    fn empty() -> Self {
        Self {
            producer_epoch: -1,
            batches: VecDeque::new(),
            last_timestamp_ms: -1,
            coordinator_epoch: -1,
            transaction_start: None,
        }
    }

    /// Sequence number of the last record; -1 when none is remembered.
    pub(crate) fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }

    fn find_duplicate(&self, batch: &BatchHeader) -> Option<WrittenBatch> {
        let (base, last) = (batch.base_sequence, batch.last_sequence());
        let same = |written: &&WrittenBatch| written.base_sequence == base && written.last_sequence == last;
        self.batches.iter().filter(|_| batch.producer_epoch == self.producer_epoch).find(same).copied()
    }

    fn accepts(&self, producer_epoch: i16, base_sequence: i32) -> bool {
        if producer_epoch != self.producer_epoch {
            // A new epoch begins at zero.
            return base_sequence == 0 || planted("broker_ignores_epochs");
        }
        match self.last_sequence() {
            i32::MAX => base_sequence == 0,
            last => base_sequence == last + 1,
        }
    }

    fn add(&mut self, producer_epoch: i16, batch: WrittenBatch) {
        self.enter_epoch(producer_epoch);
        if self.batches.len() == BATCHES_RETAINED {
            self.batches.pop_front();
        }
        self.batches.push_back(batch);
        self.last_timestamp_ms = batch.timestamp_ms;
    }

    fn enter_epoch(&mut self, producer_epoch: i16) {
        if self.producer_epoch != producer_epoch {
            self.batches.clear();
            self.producer_epoch = producer_epoch;
        }
    }
}

#[cfg(test)]
mod tests;
