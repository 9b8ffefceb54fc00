//! What a broker checks of a batch that a producer sends (Java: `LogValidator`, `UnifiedLog.analyzeAndValidateRecords`).

use crate::batches::Batch;
use crate::error::RecordsError;
use crate::header::{BatchHeader, NO_TIMESTAMP, TimestampType};
use crate::record::RecordSection;
use std::ops::RangeInclusive;

/// What a topic demands of each record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRules {
    /// Whether every record must have a key (`cleanup.policy=compact`).
    pub keys_required: bool,
    /// The timestamps that a producer may set, in milliseconds (`message.timestamp.before.max.ms`,
    /// `message.timestamp.after.max.ms`); `None` when the broker sets them itself.
    pub timestamps: Option<RangeInclusive<i64>>,
}

/// What the records of a good batch tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordSummary {
    /// The greatest timestamp; -1 when no record has one.
    pub max_timestamp: i64,
    /// The first record with that timestamp, relative to the batch's base offset.
    pub max_timestamp_offset_delta: i32,
    /// Whether the offsets are consecutive from the base offset; a batch where they are not must be encoded again.
    pub offsets_consecutive: bool,
    /// How many records there are.
    pub record_count: u32,
    /// Their size decompressed, in bytes.
    pub decompressed_len: usize,
}

/// Why a broker refuses a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBatch {
    /// The bytes are damaged (`CORRUPT_MESSAGE`).
    #[error(transparent)]
    Corrupt(#[from] RecordsError),
    /// The header is not one that a producer may send (`INVALID_RECORD`).
    #[error("{0}")]
    Header(&'static str),
    /// Some of the records are not what the topic demands (`INVALID_TIMESTAMP` if any of them has such a fault, else
    /// `INVALID_RECORD`).
    #[error("{}", summary(.0))]
    Records(Vec<InvalidRecord>),
}

/// A record that a broker refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidRecord {
    /// Which record of the batch, from 0.
    pub index: u32,
    /// What is wrong with it.
    pub fault: RecordFault,
}

/// What is wrong with a record that a broker refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordFault {
    /// No key, on a compacted topic.
    #[error("it has no key, but the topic is compacted")]
    NoKey,
    /// The timestamp is outside what the topic allows.
    #[error("its timestamp {0} is out of range")]
    Timestamp(i64),
    /// The batch claims that a broker gave the timestamps.
    #[error("a producer must not set timestamp type LogAppendTime")]
    TimestampType,
}

impl RecordFault {
    /// Whether the broker answers `INVALID_TIMESTAMP`.
    pub fn is_timestamp(&self) -> bool {
        matches!(self, Self::Timestamp(_) | Self::TimestampType)
    }
}

impl BatchHeader {
    /// Checks that a producer may send a batch with this header.
    ///
    /// # Errors
    /// [`InvalidBatch::Header`].
    pub fn validate_produced(&self) -> Result<(), InvalidBatch> {
        let rules = [
            (self.magic == 2, "the batch is not of magic 2"),
            (self.base_offset == 0, "the base offset is not 0"),
            (self.records_count > 0, "the batch has no records"),
            (
                self.last_offset_delta.checked_add(1) == Some(self.records_count),
                "the offset range and the record count do not agree",
            ),
            (!self.is_control(), "producers must not write control batches"),
            (
                self.producer_id < 0 || self.base_sequence >= 0,
                "the batch has a producer id but no sequence number",
            ),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            None => Ok(()),
            Some((_, what)) => Err(InvalidBatch::Header(what)),
        }
    }
}

impl RecordRules {
    /// Checks every record of a batch that a producer sent.
    ///
    /// # Errors
    /// [`InvalidBatch::Corrupt`] when a record is malformed or their count is not the header's,
    /// [`InvalidBatch::Records`] with every record that breaks a rule.
    pub fn validate(&self, batch: &Batch, section: &RecordSection) -> Result<RecordSummary, InvalidBatch> {
        let header = batch.header();
        let mut summary = RecordSummary {
            max_timestamp: NO_TIMESTAMP,
            max_timestamp_offset_delta: 0,
            offsets_consecutive: true,
            record_count: 0,
            decompressed_len: section.len(),
        };
        let mut refused = Vec::new();
        for record in section {
            let record = record?;
            let index = summary.record_count;
            let fault = if self.keys_required && record.key.is_none() {
                Some(RecordFault::NoKey)
            } else {
                self.timestamp_fault(header, record.timestamp)
            };
            refused.extend(fault.map(|fault| InvalidRecord { index, fault }));
            if record.timestamp > summary.max_timestamp {
                summary.max_timestamp = record.timestamp;
                summary.max_timestamp_offset_delta = index as i32;
            }
            summary.offsets_consecutive &= record.offset == header.base_offset.wrapping_add(i64::from(index));
            summary.record_count += 1;
        }
        match refused.is_empty() {
            true => Ok(summary),
            false => Err(InvalidBatch::Records(refused)),
        }
    }

    fn timestamp_fault(&self, header: &BatchHeader, timestamp: i64) -> Option<RecordFault> {
        match &self.timestamps {
            Some(range) if timestamp != NO_TIMESTAMP => {
                (!range.contains(&timestamp)).then_some(RecordFault::Timestamp(timestamp))
            }
            _ => (header.timestamp_type() == TimestampType::LogAppendTime)
                .then_some(RecordFault::TimestampType),
        }
    }
}

/// The first fault, for people.
fn summary(records: &[InvalidRecord]) -> String {
    match records {
        [] => "no record is refused".to_owned(),
        [only] => format!("record {}: {}", only.index, only.fault),
        [first, rest @ ..] => format!("record {}: {} (and {} more)", first.index, first.fault, rest.len()),
    }
}
