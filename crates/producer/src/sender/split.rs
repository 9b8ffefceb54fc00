//! Batches that the broker found too large.

use milena_records::{BATCH_HEADER_LEN, RecordsError, SealedBatch, SplitBatch};

use crate::core::queue::{Batch, BatchSeries};
use crate::partition::{BatchSize, PartitionState, Payload};
use crate::shared::Shared;

/// The pieces of a batch, to take its place.
pub(super) struct Pieces {
    batches: Vec<SplitBatch>,
    /// The most bytes that one of them has uncompressed.
    uncompressed_bytes_max: usize,
}

impl Pieces {
    /// Seals a refused batch of several records anew in two or more pieces (Java: `ProducerBatch.split`). It decompresses and
    /// compresses: call it without a lock.
    ///
    /// # Errors
    /// It does not read back, for want of memory: it decompresses to more than is allowed.
    pub(super) fn of(shared: &Shared, sealed: &SealedBatch) -> Result<Self, RecordsError> {
        // Half of what was refused: the configured size may be above the broker's limit.
        let mut limit = (sealed.uncompressed_len() / 2).min(shared.config.batch_size);
        loop {
            let mut scratch = shared.memory.take_scratch();
            let pieces = sealed.split(limit, &mut scratch);
            shared.memory.give_scratch(scratch, sealed.uncompressed_len());
            match pieces? {
                // What is known of the size of a piece is an upper bound.
                pieces if pieces.len() < 2 && limit > BATCH_HEADER_LEN => limit /= 2,
                batches => return Ok(Self { batches, uncompressed_bytes_max: limit }),
            }
        }
    }

    /// Puts the pieces in the place of `whole`, which was taken out of the queue.
    pub(super) fn take_the_place_of(self, whole: Batch<Payload>, state: &mut PartitionState) {
        let series = BatchSeries::from(&whole);
        let Payload { promise, reservation, size } = whole.payload;
        let promises = promise.split(self.batches.iter().map(|piece| piece.batch.record_count()));
        let pieces = self.batches.into_iter().zip(promises).map(|(SplitBatch { batch, .. }, promise)| {
            let size = BatchSize {
                records: batch.record_count(),
                encoded_bytes: batch.encoded_len(),
                uncompressed_bytes: self.uncompressed_bytes_max,
                ..size
            };
            (batch, Payload { promise, reservation: reservation.clone(), size })
        });
        state.queue.insert_pieces(series, pieces);
    }
}
