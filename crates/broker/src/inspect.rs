//! What a partition has stored, for tests to verify.

use bytes::Bytes;
use milena_records::{Batch, Compression, RecordsError, Scratch};

use crate::log::PartitionLog;

/// A copy of what a partition's log is at one moment; the bytes are shared.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogView {
    /// Offset of the first record that can be read.
    pub log_start_offset: i64,
    /// Offset that the next record gets.
    pub log_end_offset: i64,
    /// Offset as far as readers see: the log's end, unless too few replicas were in sync when records were written.
    pub high_watermark: i64,
    /// Offset below which no transaction is open: as far as readers of committed records see.
    pub last_stable_offset: i64,
    /// Its batches, oldest first.
    pub batches: Vec<StoredBatch>,
    /// The idempotent producers that it remembers, by producer id.
    pub producers: Vec<StoredProducer>,
}

/// A batch as it is stored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoredBatch {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Epoch of the leader that appended it.
    pub leader_epoch: i32,
    /// The idempotent producer that wrote it, or -1.
    pub producer_id: i64,
    /// That producer's epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence number of its first record, or -1.
    pub base_sequence: i32,
    /// Whether it belongs to a transaction.
    pub is_transactional: bool,
    /// Whether it is a marker that ends a transaction, rather than records of a producer.
    pub is_control: bool,
    /// Whether its transaction was aborted.
    pub is_aborted: bool,
    /// How its records are compressed, by Kafka's name.
    pub compression: &'static str,
    /// The whole batch, header included.
    pub bytes: Bytes,
    batch: Batch,
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRecord {
    /// Its offset.
    pub offset: i64,
    /// In milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers in order, duplicates kept.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// What a partition remembers of an idempotent producer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredProducer {
    /// Its id.
    pub producer_id: i64,
    /// The epoch that it wrote with last.
    pub producer_epoch: i16,
    /// Sequence number of its last record.
    pub last_sequence: i32,
    /// Where its open transaction began, if one is open.
    pub transaction_start: Option<i64>,
}

impl LogView {
    pub(crate) fn of(log: &PartitionLog) -> Self {
        let producer = |(producer_id, entry): (i64, &crate::log::ProducerEntry)| StoredProducer {
            producer_id,
            producer_epoch: entry.producer_epoch,
            last_sequence: entry.last_sequence(),
            transaction_start: entry.transaction_start,
        };
        Self {
            log_start_offset: log.log_start_offset(),
            log_end_offset: log.log_end_offset(),
            high_watermark: log.high_watermark(),
            last_stable_offset: log.last_stable_offset(),
            batches: log.batches().map(|batch| StoredBatch::of(log, batch)).collect(),
            producers: log.producers().iter().map(producer).collect(),
        }
    }

    /// All records that can be read, oldest first, those of aborted transactions included; those of a damaged batch
    /// are left out.
    pub fn records(&self) -> Vec<StoredRecord> {
        self.records_of(|batch| !batch.is_control)
    }

    /// The records that a reader of committed records gets, oldest first: below the last stable offset, and not of
    /// aborted transactions.
    pub fn committed_records(&self) -> Vec<StoredRecord> {
        let is_stable = |batch: &StoredBatch| batch.base_offset < self.last_stable_offset;
        self.records_of(|batch| !batch.is_control && !batch.is_aborted && is_stable(batch))
    }

    fn records_of(&self, wanted: impl Fn(&StoredBatch) -> bool) -> Vec<StoredRecord> {
        let wanted = self.batches.iter().filter(|batch| wanted(batch));
        let readable = wanted.filter_map(|batch| batch.records().ok()).flatten();
        readable.filter(|record| record.offset >= self.log_start_offset).collect()
    }
}

impl StoredBatch {
    fn of(log: &PartitionLog, batch: Batch) -> Self {
        let header = *batch.header();
        Self {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            leader_epoch: header.partition_leader_epoch,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            is_transactional: header.is_transactional(),
            is_control: header.is_control(),
            is_aborted: header.is_transactional() && log.is_aborted(header.producer_id, header.base_offset),
            compression: header.compression().map_or("unknown", Compression::name),
            bytes: batch.bytes().clone(),
            batch,
        }
    }

    /// Its records.
    ///
    /// # Errors
    /// When the batch is damaged: its checksum is wrong, or it does not decompress.
    pub fn records(&self) -> Result<Vec<StoredRecord>, DamagedBatch> {
        let damaged = |error: RecordsError| DamagedBatch { message: error.to_string() };
        self.batch.verify_crc().map_err(damaged)?;
        let section = self.batch.decompress(&mut Scratch::new(), &mut Vec::new()).map_err(damaged)?;
        let mut records = Vec::new();
        for record in &section {
            let record = record.map_err(damaged)?;
            let headers =
                record.headers().map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)));
            records.push(StoredRecord {
                offset: record.offset,
                timestamp_ms: record.timestamp,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: headers.collect(),
            });
        }
        Ok(records)
    }
}

/// A stored batch that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DamagedBatch {
    message: String,
}
