//! Logs for tests.

use bytes::Bytes;
use milena_records::{
    BatchEncoder, BatchHeader, Codec, Compression, ProducerStamp, RecordParts, Scratch, TransactionMarker,
};

/// A moment to count from.
pub(crate) fn now() -> std::time::Instant {
    milena_client::Env::system().now()
}

/// One batch of a log, as a leader appends it. Each record's value is its offset as text.
#[derive(Clone, Debug)]
pub(crate) struct LogBatch {
    header: BatchHeader,
    offsets: Vec<i64>,
    compression: Compression,
}

impl LogBatch {
    /// Records `base_offset..base_offset + count`.
    pub(crate) fn new(base_offset: i64, count: i32) -> Self {
        let mut header = BatchHeader::new(base_offset, &ProducerStamp::NONE);
        header.partition_leader_epoch = 0;
        header.last_offset_delta = count - 1;
        let offsets = (base_offset..base_offset + i64::from(count)).collect();
        Self { header, offsets, compression: Compression::None }
    }

    pub(crate) fn leader_epoch(mut self, leader_epoch: i32) -> Self {
        self.header.partition_leader_epoch = leader_epoch;
        self
    }

    pub(crate) fn compressed(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Part of a transaction.
    pub(crate) fn transactional(mut self, producer_id: i64) -> Self {
        let stamp =
            ProducerStamp { producer_id, producer_epoch: 0, base_sequence: 0, is_transactional: true };
        let header = BatchHeader::new(self.header.base_offset, &stamp);
        self.header = BatchHeader {
            partition_leader_epoch: self.header.partition_leader_epoch,
            last_offset_delta: self.header.last_offset_delta,
            ..header
        };
        self
    }

    /// Without these records, as the cleaner leaves a batch: its range stays.
    pub(crate) fn compacted(mut self, removed: impl Fn(i64) -> bool) -> Self {
        self.offsets.retain(|offset| !removed(*offset));
        self
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut encoder = BatchEncoder::new(self.header);
        for offset in &self.offsets {
            let value = offset.to_string();
            let record =
                RecordParts { timestamp: 7, value: Some(value.as_bytes()), ..RecordParts::default() };
            encoder.append(*offset, &record).unwrap();
        }
        encoder.finish(&Codec::new(self.compression), &mut Scratch::new()).unwrap()
    }
}

/// The marker that ends a transaction.
pub(crate) fn marker(offset: i64, producer_id: i64, is_commit: bool) -> Bytes {
    TransactionMarker { is_commit, coordinator_epoch: 0 }.batch(offset, 0, 7, producer_id, 0)
}

/// Batches one after another.
pub(crate) fn log(batches: &[LogBatch]) -> Bytes {
    let encoded: Vec<_> = batches.iter().map(LogBatch::encode).collect();
    Bytes::from(encoded.concat())
}
