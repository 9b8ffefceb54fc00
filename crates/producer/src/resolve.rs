//! The last step of a batch: out of its queue, counted, and told.
//!
//! It is counted under the partition's lock, and told without it: whoever locks the partition later finds the failure counted, and
//! the batch among those whose telling is to be waited for.

use std::sync::Arc;
use std::time::Instant;

use crate::core::queue::Batch;
use crate::delivery::{BatchFailure, Outcome};
use crate::partition::{Partition, PartitionState, Payload};
use crate::shared::Shared;

/// A batch that has left the queue.
#[must_use = "its deliveries are to be told"]
pub(crate) struct Leaving {
    batch: Batch<Payload>,
    outcome: Outcome,
    /// Records that failed and whose result nobody will see.
    unobserved: u64,
}

impl Shared {
    /// Takes leave of a batch that was just taken out of the queue. `state` is that of its partition.
    pub(crate) fn leave(
        &self,
        partition: &Partition,
        state: &mut PartitionState,
        batch: Batch<Payload>,
        outcome: Outcome,
        now: Instant,
    ) -> Leaving {
        let unobserved = match &outcome {
            Outcome::Failed(failure) => self.count_failure(partition, &batch, failure, now),
            Outcome::Written { .. } | Outcome::Pieces(_) => 0,
        };
        state.begin_resolving(batch.payload.promise.delivery().clone());
        Leaving { batch, outcome, unobserved }
    }

    /// Counts a failed batch, and for the next flush those of its records whose deliveries nobody holds.
    fn count_failure(
        &self,
        partition: &Partition,
        batch: &Batch<Payload>,
        failure: &Arc<BatchFailure>,
        now: Instant,
    ) -> u64 {
        self.numbers.failed(now, partition, batch.sealed.record_count());
        let unobserved = batch.payload.promise.unobserved();
        if unobserved > 0 {
            self.note_unobserved(&partition.topic_partition, failure, unobserved);
        }
        unobserved
    }

    /// Tells everybody what became of the batch, and gives back its memory. Runs user code: call it without a lock.
    pub(crate) fn resolve(&self, partition: &Partition, leaving: Leaving, now: Instant) {
        let Leaving { batch, outcome, unobserved } = leaving;
        match &outcome {
            Outcome::Written { base_offset, .. } => {
                self.numbers.tell_acknowledged(now, partition, &batch, *base_offset);
            }
            Outcome::Failed(failure) => {
                let name = &partition.topic_partition;
                if unobserved > 0 {
                    tracing::warn!(
                        partition = %name, records = unobserved, error = %failure.kind,
                        "records failed whose deliveries were dropped"
                    );
                }
                let records = batch.sealed.record_count();
                self.numbers.tell_failed(partition, records, failure.possibly_written, &failure.kind);
            }
            Outcome::Pieces(_) => {}
        }
        let Batch { sealed, payload: Payload { mut promise, reservation, .. }, .. } = batch;
        self.memory.give_back(sealed.recycle(), reservation);
        promise.resolve(outcome);
        partition.lock().end_resolving(promise);
    }
}
