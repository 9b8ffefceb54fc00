//! What a partition remembers of the idempotent producers that wrote to it, and the checks that follow
//! (Java: `ProducerStateManager`, `ProducerAppendInfo`, `ProducerStateEntry`; KIP-98, KIP-360).
//!
//! ```text
//!            first batch, any sequence               next sequence, same epoch
//!   unknown ---------------------------> known(e, s) -------------------------> known(e, s')
//!      ^                                    |   ^ |
//!      |  expiry, retention, truncation     |   | | sequence 0 in a greater epoch: the five batches are forgotten
//!      +------------------------------------+   +-+
//! ```

use std::collections::{BTreeMap, VecDeque};

use milena_records::BatchHeader;

/// How many of a producer's last batches are remembered, so that a repeated one is recognised.
///
/// Java: `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`; it is why a client has at most five requests in flight.
pub(crate) const BATCHES_RETAINED: usize = 5;

/// The producers of one partition.
#[derive(Debug, Default)]
pub(crate) struct ProducerStates {
    producers: BTreeMap<i64, ProducerEntry>,
}

/// What is known of one producer id.
#[derive(Debug, Clone)]
pub(crate) struct ProducerEntry {
    /// Epoch of its last batch; -1 when nothing has been written yet.
    pub(crate) producer_epoch: i16,
    /// The newest batches of that epoch, oldest first; empty after an epoch began with a marker.
    pub(crate) batches: VecDeque<WrittenBatch>,
    /// Timestamp of its last batch, for expiry.
    pub(crate) last_timestamp_ms: i64,
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

/// What a partition makes of a batch with a producer id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the next one: append it.
    Append,
    /// It is in the log already, there.
    Duplicate(WrittenBatch),
}

/// Why a batch with a producer id is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProducerError {
    #[error("producer {producer_id} has epoch {current}, the batch has {given}")]
    InvalidProducerEpoch { producer_id: i64, current: i16, given: i16 },
    #[error("producer {producer_id}: sequence {given} follows {last}")]
    OutOfOrderSequence { producer_id: i64, last: i32, given: i32 },
    #[error("producer {producer_id}: its transaction does not include this partition")]
    NoOngoingTransaction { producer_id: i64 },
}

impl ProducerStates {
    /// Checks a batch (whose offsets are not assigned yet) against what is known of its producer.
    ///
    /// A producer that is not known may begin with any sequence number: its state may have expired, or its records
    /// may have been deleted (Java: `ProducerAppendInfo.checkSequence`).
    pub(crate) fn check(&self, batch: &BatchHeader) -> Result<Verdict, ProducerError> {
        let producer_id = batch.producer_id;
        let entry = self.producers.get(&producer_id);
        if let Some(written) = entry.and_then(|entry| entry.find_duplicate(batch)) {
            return Ok(Verdict::Duplicate(written));
        }
        if let Some(entry) = entry
            && batch.producer_epoch < entry.producer_epoch
        {
            let (current, given) = (entry.producer_epoch, batch.producer_epoch);
            return Err(ProducerError::InvalidProducerEpoch { producer_id, current, given });
        }
        if batch.is_transactional() {
            return Err(ProducerError::NoOngoingTransaction { producer_id });
        }
        match entry {
            Some(entry) if !entry.accepts(batch.producer_epoch, batch.base_sequence) => {
                let (last, given) = (entry.last_sequence(), batch.base_sequence);
                Err(ProducerError::OutOfOrderSequence { producer_id, last, given })
            }
            _ => Ok(Verdict::Append),
        }
    }

    /// Takes in a batch that is in the log now.
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
    }

    /// Forgets producers that have written nothing for `expiration_ms` (`producer.id.expiration.ms`).
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.producers.retain(|_, entry| now_ms.saturating_sub(entry.last_timestamp_ms) < expiration_ms);
    }

    /// Forgets one producer.
    pub(crate) fn forget(&mut self, producer_id: i64) {
        self.producers.remove(&producer_id);
    }

    /// Forgets all producers.
    pub(crate) fn clear(&mut self) {
        self.producers.clear();
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
}

impl ProducerEntry {
    fn empty() -> Self {
        Self { producer_epoch: -1, batches: VecDeque::new(), last_timestamp_ms: -1 }
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
            return base_sequence == 0;
        }
        match self.last_sequence() {
            i32::MAX => base_sequence == 0,
            last => base_sequence == last + 1,
        }
    }

    fn add(&mut self, producer_epoch: i16, batch: WrittenBatch) {
        if self.producer_epoch != producer_epoch {
            self.batches.clear();
            self.producer_epoch = producer_epoch;
        }
        if self.batches.len() == BATCHES_RETAINED {
            self.batches.pop_front();
        }
        self.batches.push_back(batch);
        self.last_timestamp_ms = batch.timestamp_ms;
    }
}

#[cfg(test)]
mod tests;
