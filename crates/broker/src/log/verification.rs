//! What a partition remembers while a coordinator is asked whether a transaction includes it (KIP-890;
//! Java: `VerificationStateEntry`, `VerificationGuard`).
//!
//! Between the question and the append the transaction may end and another one begin:
//!
//! ```text
//!   producer: batch ----> partition: guard 1 ----> coordinator: "included"
//!                                                  coordinator: aborts, writes the marker    (guard 1 ends)
//!                         partition: append with guard 1: refused, although it was included when asked
//! ```

use std::collections::BTreeMap;

use milena_records::BatchHeader;

/// How many producers may be verified at once; beyond that the one with the least id has to begin anew. Kafka knows no
/// limit.
const VERIFICATIONS_MAX: usize = 10_000;

/// Stands for one verification; no two of a partition are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guard(u64);

/// The verifications of one partition, by producer id.
#[derive(Debug, Default)]
pub(crate) struct Verifications {
    entries: BTreeMap<i64, Verification>,
    last: u64,
}

#[derive(Debug)]
struct Verification {
    guard: Guard,
    /// The least base sequence that was seen since it began: the transaction's first batch has no greater one.
    lowest_sequence: i32,
    producer_epoch: i16,
    /// Whether the producer gets another epoch at the end of every transaction.
    bumps_epoch: bool,
    began_ms: i64,
}

impl Verifications {
    /// Begins to verify a producer, or goes on with what has begun.
    pub(crate) fn begin(&mut self, batch: &BatchHeader, bumps_epoch: bool, now_ms: i64) -> Guard {
        let Self { entries, last } = self;
        if entries.len() == VERIFICATIONS_MAX && !entries.contains_key(&batch.producer_id) {
            entries.pop_first();
        }
        let entry = entries.entry(batch.producer_id).or_insert_with(|| {
            *last += 1;
            Verification {
                guard: Guard(*last),
                lowest_sequence: batch.base_sequence,
                producer_epoch: batch.producer_epoch,
                bumps_epoch,
                began_ms: now_ms,
            }
        });
        if batch.producer_epoch > entry.producer_epoch {
            entry.producer_epoch = batch.producer_epoch;
            entry.lowest_sequence = batch.base_sequence;
        } else if batch.producer_epoch == entry.producer_epoch {
            entry.lowest_sequence = entry.lowest_sequence.min(batch.base_sequence);
        }
        entry.guard
    }

    pub(crate) fn is_in_force(&self, producer_id: i64, guard: Guard) -> bool {
        self.entries.get(&producer_id).is_some_and(|entry| entry.guard == guard)
    }

    /// Whether a batch may be the first of a transaction (Java: `ProducerAppendInfo.checkSequence`).
    pub(crate) fn accepts_sequence(&self, producer_id: i64, base_sequence: i32, has_written: bool) -> bool {
        self.entries.get(&producer_id).is_none_or(|entry| {
            let begins = has_written || base_sequence == 0 || !entry.bumps_epoch;
            begins && base_sequence <= entry.lowest_sequence
        })
    }

    /// The transaction has its first batch here.
    pub(crate) fn end(&mut self, producer_id: i64) {
        self.entries.remove(&producer_id);
    }

    /// The transaction has ended. What is being verified may be the next one, which has the marker's epoch.
    pub(crate) fn end_by_marker(&mut self, producer_id: i64, producer_epoch: i16) {
        let is_next = |entry: &Verification| entry.bumps_epoch && entry.producer_epoch == producer_epoch;
        if !self.entries.get(&producer_id).is_some_and(is_next) {
            self.entries.remove(&producer_id);
        }
    }

    /// Forgets what nobody came back to.
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.entries.retain(|_, entry| now_ms.saturating_sub(entry.began_ms) < expiration_ms);
    }
}
