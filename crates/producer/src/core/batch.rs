//! A sealed batch on its way through the queue.

use std::time::Instant;

use milena_records::SealedBatch;

use super::outcome::{Attempt, Written};
use super::sequencing::Stamp;

/// A sealed batch on its way; `P` is what the driver keeps with it.
#[derive(Debug)]
pub(crate) struct Batch<P> {
    /// The number of its first record among all that the partition got: its place in the order, and its name.
    pub(crate) first_record: u64,
    pub(crate) sealed: SealedBatch,
    /// When its deliveries must be resolved.
    pub(crate) deadline: Instant,
    pub(crate) payload: P,
    pub(super) attempts: u32,
    /// What the last attempt met.
    pub(super) last_attempt: Option<Attempt>,
    /// Its numbers, from the first attempt on.
    pub(super) stamp: Option<Stamp>,
    /// What its attempts came to: unless it is certainly not written, only the numbers that it has now would be recognised.
    pub(super) written: Written,
}

impl<P> Batch<P> {
    pub(crate) fn new(first_record: u64, sealed: SealedBatch, deadline: Instant, payload: P) -> Self {
        Self {
            first_record,
            sealed,
            deadline,
            payload,
            attempts: 0,
            last_attempt: None,
            stamp: None,
            written: Written::No,
        }
    }

    /// A part of `whole`, which was too large: it takes over its place in the order and in the range of sequence numbers.
    pub(super) fn piece(whole: &BatchSeries, first_record: u64, sealed: SealedBatch, payload: P) -> Self {
        Self {
            attempts: whole.attempts,
            written: whole.written,
            ..Self::new(first_record, sealed, whole.deadline, payload)
        }
    }

    /// Whether a failure cannot promise that the records are not in the log.
    pub(crate) fn is_possibly_written(&self) -> bool {
        self.written > Written::No
    }

    /// How often it was sent.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What the last attempt that ended met.
    pub(crate) fn last_attempt(&self) -> Option<&Attempt> {
        self.last_attempt.as_ref()
    }

    pub(super) fn name(&self) -> BatchName {
        BatchName { first_record: self.first_record, attempt: self.attempts }
    }
}

/// Names one attempt at one batch: an answer to an attempt that was given up names nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BatchName {
    pub(crate) first_record: u64,
    pub(crate) attempt: u32,
}

/// A batch to put into a request now.
#[derive(Debug)]
pub(crate) struct ToSend {
    pub(crate) name: BatchName,
    pub(crate) sealed: SealedBatch,
    pub(crate) stamp: Option<Stamp>,
}

/// What the pieces of a split batch inherit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchSeries {
    pub(super) first_record: u64,
    deadline: Instant,
    attempts: u32,
    pub(super) stamp: Option<Stamp>,
    written: Written,
}

impl<P> From<&Batch<P>> for BatchSeries {
    fn from(batch: &Batch<P>) -> Self {
        Self {
            first_record: batch.first_record,
            deadline: batch.deadline,
            attempts: batch.attempts,
            stamp: batch.stamp,
            written: batch.written,
        }
    }
}
