//! A partition as a broker keeps it: the log, and Kafka's rules for idempotent producers
//! (Java: `ProducerStateManager`, `ProducerAppendInfo`, `ProducerStateEntry`).

use std::ops::Range;

use milena_protocol::ErrorCode;

use crate::core::sequencing::Stamp;

/// Batches of a producer that are remembered.
const REMEMBERED: usize = 5;

/// The leader's log; the follower's is the beginning of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub(super) batches: Vec<Logged>,
    /// Batches that the follower has.
    replicated: usize,
    /// Producers that wrote nothing since here are forgotten.
    remembered_from: usize,
    /// Whether a forgotten producer is refused, as brokers before 2.5 did.
    pub(super) refuses_forgotten: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Logged {
    pub(super) stamp: Stamp,
    pub(super) records: Range<u64>,
}

impl Logged {
    fn next_sequence(&self) -> i32 {
        let (base_sequence, count) = (self.stamp.base_sequence, count(&self.records) as i32);
        // Java: `DefaultRecordBatch.incrementSequence`.
        match base_sequence > i32::MAX - count {
            true => count - (i32::MAX - base_sequence) - 1,
            false => base_sequence + count,
        }
    }
}

pub(super) fn count(records: &Range<u64>) -> u32 {
    u32::try_from(records.end - records.start).unwrap()
}

impl Log {
    /// Appends, unless it has the batch already.
    pub(super) fn append(&mut self, stamp: Stamp, records: &Range<u64>) -> Result<(), ErrorCode> {
        if self.is_next(stamp, records)? {
            self.batches.push(Logged { stamp, records: records.clone() });
        }
        Ok(())
    }

    /// Whether the batch is to be appended; false for one of those remembered.
    fn is_next(&self, stamp: Stamp, records: &Range<u64>) -> Result<bool, ErrorCode> {
        let of_producer = |logged: &&Logged| logged.stamp.identity.producer_id == stamp.identity.producer_id;
        let mut newest_first =
            self.batches[self.remembered_from..].iter().rev().filter(of_producer).peekable();
        let Some(last) = newest_first.peek() else {
            return match self.refuses_forgotten && stamp.base_sequence != 0 {
                true => Err(ErrorCode::UnknownProducerId),
                // A producer that is not known may begin anywhere.
                false => Ok(true),
            };
        };
        let (epoch, next_sequence) = (last.stamp.identity.producer_epoch, last.next_sequence());
        let is_same = |logged: &Logged| {
            logged.stamp.base_sequence == stamp.base_sequence && count(&logged.records) == count(records)
        };
        let of_epoch = |logged: &&Logged| logged.stamp.identity.producer_epoch == epoch;
        let given_epoch = stamp.identity.producer_epoch;
        if given_epoch == epoch && newest_first.take_while(of_epoch).take(REMEMBERED).any(is_same) {
            return Ok(false);
        }
        match given_epoch {
            given if given < epoch => Err(ErrorCode::InvalidProducerEpoch),
            given if given > epoch && stamp.base_sequence == 0 => Ok(true),
            given if given == epoch && stamp.base_sequence == next_sequence => Ok(true),
            _ => Err(ErrorCode::OutOfOrderSequenceNumber),
        }
    }

    /// The follower catches up.
    pub(super) fn replicate(&mut self) {
        self.replicated = self.batches.len();
    }

    /// The follower leads: what it does not have is lost.
    pub(super) fn fail_over(&mut self) {
        self.batches.truncate(self.replicated);
        self.remembered_from = self.remembered_from.min(self.replicated);
    }

    /// All producers are forgotten.
    pub(super) fn forget_producers(&mut self) {
        self.remembered_from = self.batches.len();
    }

    pub(super) fn contains(&self, record: u64) -> bool {
        self.batches.iter().any(|logged| logged.records.contains(&record))
    }

    /// The records in the order of their offsets.
    pub(super) fn records(&self) -> impl Iterator<Item = u64> + '_ {
        self.batches.iter().flat_map(|logged| logged.records.clone())
    }
}
