//! Batches that the broker found too large.

use std::ops::Range;

use milena_records::{BATCH_HEADER_LEN, RecordsError, SplitBatch};

use crate::core::queue::{Batch, BatchSeries};
use crate::partition::{BatchSize, PartitionState, Payload};
use crate::shared::Shared;

/// Seals a refused batch of several records anew in two or more pieces, which take its place (Java: `ProducerBatch.split`).
///
/// # Errors
/// It does not read back, for want of memory: it decompresses to more than is allowed.
pub(super) fn split(
    shared: &Shared,
    state: &mut PartitionState,
    batch: &Batch<Payload>,
) -> Result<(), RecordsError> {
    let Payload { delivery, records, delivery_records, reservation, size } = &batch.payload;
    let (limit, pieces) = pieces(shared, batch)?;
    shared.numbers.split(shared.env().now());
    let pieces = pieces.into_iter().map(|piece| {
        let start = records.start + piece.first_index;
        let range: Range<u32> = start..start + piece.batch.record_count();
        let payload = Payload {
            delivery: delivery.clone(),
            records: range,
            delivery_records: *delivery_records,
            reservation: reservation.clone(),
            size: BatchSize {
                records: piece.batch.record_count(),
                encoded_bytes: piece.batch.encoded_len(),
                uncompressed_bytes: limit,
                ..*size
            },
        };
        (piece.batch, payload)
    });
    state.queue.insert_pieces(BatchSeries::from(batch), pieces);
    Ok(())
}

/// At least two pieces, and the most bytes that one of them has uncompressed.
fn pieces(shared: &Shared, batch: &Batch<Payload>) -> Result<(usize, Vec<SplitBatch>), RecordsError> {
    // Half of what was refused: the configured size may be above the broker's limit.
    let mut limit = (batch.payload.size.uncompressed_bytes / 2).min(shared.config.batch_size);
    loop {
        let mut scratch = shared.memory.take_scratch();
        let pieces = batch.sealed.split(limit, &mut scratch);
        shared.memory.give_scratch(scratch);
        match pieces? {
            // What is known of the size of a piece is an upper bound.
            pieces if pieces.len() < 2 && limit > BATCH_HEADER_LEN => limit /= 2,
            pieces => return Ok((limit, pieces)),
        }
    }
}
