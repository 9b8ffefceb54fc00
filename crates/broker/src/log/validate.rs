//! What a produced batch must be like before a partition takes it
//! (Java: `ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords`, `LogValidator`).
//!
//! None of this needs the partition, so it runs outside its lock.

use bytes::{Bytes, BytesMut};
use milena_protocol::ErrorCode;
use milena_records::{
    BATCH_HEADER_LEN, Batch, BatchBuilder, BatchHeader, Batches, Codec, Compression, ProducerStamp,
    RecordSection, RecordsError, Scratch, TimestampType,
};

use super::producer_state::ProducerError;
use super::workspace::Workspace;
use crate::config::TopicConfig;

/// The first version of Produce that may carry zstd (KIP-110).
const ZSTD_SINCE_PRODUCE_VERSION: i16 = 7;

/// Where the timestamp type is in a batch's attributes.
const LOG_APPEND_TIME_BIT: i16 = 0x08;

/// How many record errors the summary repeats.
const ERRORS_IN_MESSAGE: usize = 3;

/// A batch that may be appended: its offsets and leader epoch are not assigned yet.
#[derive(Debug)]
pub(crate) struct ValidBatch {
    pub(crate) header: BatchHeader,
    pub(crate) section: Bytes,
    /// Set when the broker's clock stands for the records' timestamps.
    pub(crate) log_append_time_ms: Option<i64>,
}

/// What is wrong with one record of a batch (KIP-467).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordError {
    pub(crate) index: i32,
    pub(crate) message: String,
    kind: RecordErrorKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordErrorKind {
    Record,
    Timestamp,
}

/// Why a partition refuses a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AppendError {
    #[error("{0}")]
    InvalidRequest(&'static str),
    #[error("zstd needs Produce version 7 or later")]
    UnsupportedCompression,
    #[error("batch of {size} bytes exceeds max.message.bytes={limit}")]
    MessageTooLarge { size: usize, limit: usize },
    #[error("batch of {size} bytes exceeds segment.bytes={limit}")]
    BatchLargerThanSegment { size: usize, limit: usize },
    #[error("corrupt batch: {0}")]
    Corrupt(String),
    #[error("invalid batch: {0}")]
    InvalidBatch(String),
    #[error("{message}")]
    InvalidRecords { message: String, errors: Vec<RecordError>, timestamps: bool },
    #[error("records cannot be decompressed: {0}")]
    Undecodable(String),
    #[error(transparent)]
    Producer(#[from] ProducerError),
}

impl AppendError {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidRequest(_) | Self::InvalidBatch(_) => ErrorCode::InvalidRecord,
            Self::UnsupportedCompression => ErrorCode::UnsupportedCompressionType,
            Self::MessageTooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::BatchLargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
            Self::Corrupt(_) => ErrorCode::CorruptMessage,
            Self::InvalidRecords { timestamps: true, .. } => ErrorCode::InvalidTimestamp,
            Self::InvalidRecords { timestamps: false, .. } => ErrorCode::InvalidRecord,
            Self::Undecodable(_) => ErrorCode::UnknownServerError,
            Self::Producer(ProducerError::InvalidProducerEpoch { .. }) => ErrorCode::InvalidProducerEpoch,
            Self::Producer(ProducerError::OutOfOrderSequence { .. }) => ErrorCode::OutOfOrderSequenceNumber,
            Self::Producer(
                ProducerError::NoOngoingTransaction { .. } | ProducerError::OutsideTransaction { .. },
            ) => ErrorCode::InvalidTxnState,
            Self::Producer(ProducerError::CoordinatorFenced { .. }) => {
                ErrorCode::TransactionCoordinatorFenced
            }
        }
    }

    /// Whether the answer tells the log start offset (Java: `ReplicaManager.appendToLocalLog`, by exception).
    pub(crate) fn tells_log_start_offset(&self) -> bool {
        match self {
            Self::InvalidBatch(_)
            | Self::InvalidRecords { .. }
            | Self::Undecodable(_)
            | Self::Producer(_) => true,
            Self::InvalidRequest(_)
            | Self::UnsupportedCompression
            | Self::MessageTooLarge { .. }
            | Self::BatchLargerThanSegment { .. }
            | Self::Corrupt(_) => false,
        }
    }
}

/// Takes the only batch from a partition's part of a produce request.
pub(crate) fn only_batch(records: Bytes, produce_version: i16) -> Result<Batch, AppendError> {
    let mut batches = Batches::new(records);
    let batch = match batches.next() {
        None => return Err(AppendError::InvalidRequest("a partition without a whole batch")),
        Some(Err(RecordsError::InvalidHeader { field: "magic", value: 0 | 1, .. })) => {
            return Err(AppendError::InvalidRequest("a batch whose magic is not 2"));
        }
        Some(Err(error @ RecordsError::InvalidHeader { field: "magic" | "batch length", .. })) => {
            return Err(AppendError::Corrupt(error.to_string()));
        }
        Some(Err(error)) => return Err(AppendError::InvalidBatch(error.to_string())),
        Some(Ok(batch)) => batch,
    };
    if batch.header().magic != 2 {
        return Err(AppendError::InvalidRequest("a batch whose magic is not 2"));
    }
    if produce_version < ZSTD_SINCE_PRODUCE_VERSION && batch.header().compression() == Ok(Compression::Zstd) {
        return Err(AppendError::UnsupportedCompression);
    }
    match batches.next() {
        None => Ok(batch),
        Some(_) => Err(AppendError::InvalidRequest("a partition with more than one batch")),
    }
}

/// Checks a batch against a topic's configuration, and brings it into the form in which it is stored: timestamp type
/// and greatest timestamp set, and compressed as the topic demands.
pub(crate) fn validate(
    batch: &Batch,
    config: &TopicConfig,
    now_ms: i64,
    workspace: &mut Workspace,
) -> Result<ValidBatch, AppendError> {
    check_size_and_crc(batch, config)?;
    check_header(batch.header())?;
    let source = batch.header().compression().map_err(unreadable)?;
    let target = config.compression.unwrap_or(Codec::new(source));
    let checked = workspace.with_records(batch, |section, scratch| {
        let found = check_records(batch.header(), section, config, now_ms)?;
        let in_place =
            target.compression() == source && (source == Compression::None || found.offsets_are_dense);
        let (header, section) = match in_place {
            true => (*batch.header(), batch.bytes().slice(BATCH_HEADER_LEN..)),
            false => rebuild(batch.header(), section, &target, scratch)?,
        };
        Ok::<_, AppendError>((header, section, found.max_timestamp))
    });
    let (mut header, section, max_timestamp) = checked.map_err(unreadable)??;

    let size = BATCH_HEADER_LEN + section.len();
    if size > config.max_message_bytes {
        return Err(AppendError::MessageTooLarge { size, limit: config.max_message_bytes });
    }
    if size > config.segment_bytes {
        return Err(AppendError::BatchLargerThanSegment { size, limit: config.segment_bytes });
    }
    let log_append_time_ms = (config.timestamp_type == TimestampType::LogAppendTime).then_some(now_ms);
    set_timestamps(&mut header, &section, log_append_time_ms, max_timestamp);
    Ok(ValidBatch { header, section, log_append_time_ms })
}

fn check_size_and_crc(batch: &Batch, config: &TopicConfig) -> Result<(), AppendError> {
    let base_offset = batch.header().base_offset;
    if base_offset != 0 {
        return Err(AppendError::InvalidBatch(format!("base offset {base_offset} must be 0")));
    }
    let (size, limit) = (batch.bytes().len(), config.max_message_bytes);
    if size > limit {
        return Err(AppendError::MessageTooLarge { size, limit });
    }
    batch.verify_crc().map_err(|error| AppendError::Corrupt(error.to_string()))
}

fn check_header(header: &BatchHeader) -> Result<(), AppendError> {
    let invalid = |what: String| Err(AppendError::InvalidBatch(what));
    let by_offsets = i64::from(header.last_offset_delta) + 1;
    let count = i64::from(header.records_count);
    if count <= 0 {
        return invalid(format!("record count {count}"));
    }
    if by_offsets != count {
        return invalid(format!("{by_offsets} offsets for {count} records"));
    }
    if header.is_control() {
        return invalid("clients may not write control batches".to_owned());
    }
    if header.producer_id != -1 && header.base_sequence < 0 {
        return invalid(format!("sequence {} with a producer id", header.base_sequence));
    }
    Ok(())
}

struct Found {
    max_timestamp: i64,
    offsets_are_dense: bool,
}

fn check_records(
    header: &BatchHeader,
    section: &RecordSection,
    config: &TopicConfig,
    now_ms: i64,
) -> Result<Found, AppendError> {
    let mut found = Found { max_timestamp: -1, offsets_are_dense: true };
    let mut errors = Vec::new();
    for (index, record) in section.iter().enumerate() {
        let record = record.map_err(unreadable)?;
        let error = if config.compact && record.key.is_none() {
            Some((RecordErrorKind::Record, "a compacted topic needs records with keys".to_owned()))
        } else {
            check_timestamp(header, config, record.offset, record.timestamp, now_ms)
                .map(|message| (RecordErrorKind::Timestamp, message))
        };
        if let Some((kind, message)) = error {
            errors.push(RecordError { index: index as i32, message, kind });
        }
        found.max_timestamp = found.max_timestamp.max(record.timestamp);
        found.offsets_are_dense &= record.offset == index as i64;
    }
    if errors.is_empty() { Ok(found) } else { Err(invalid_records(errors)) }
}

fn check_timestamp(
    header: &BatchHeader,
    config: &TopicConfig,
    offset: i64,
    timestamp: i64,
    now_ms: i64,
) -> Option<String> {
    if config.timestamp_type == TimestampType::CreateTime && timestamp != -1 {
        let age_ms = now_ms.saturating_sub(timestamp);
        let too_old = age_ms > config.timestamp_before_max_ms;
        let too_new = age_ms.saturating_neg() > config.timestamp_after_max_ms;
        return (too_old || too_new).then(|| {
            let (before, after) = (config.timestamp_before_max_ms, config.timestamp_after_max_ms);
            format!(
                "timestamp {timestamp} of the record at {offset} is out of range: at most {before} ms before and \
                 {after} ms after {now_ms}"
            )
        });
    }
    (header.timestamp_type() == TimestampType::LogAppendTime)
        .then(|| format!("the record at {offset} claims the broker's timestamp type, LogAppendTime"))
}

fn invalid_records(errors: Vec<RecordError>) -> AppendError {
    let timestamps = errors.iter().any(|error| error.kind == RecordErrorKind::Timestamp);
    let what = if timestamps { "invalid timestamps" } else { "invalid records" };
    let shown: Vec<_> = errors.iter().take(ERRORS_IN_MESSAGE).map(|error| error.message.as_str()).collect();
    let message = format!("batch refused, {what} ({} in all): {}", errors.len(), shown.join("; "));
    AppendError::InvalidRecords { message, errors, timestamps }
}

/// Writes the records anew, compressed as `target` says, with consecutive offsets.
fn rebuild(
    header: &BatchHeader,
    section: &RecordSection,
    target: &Codec,
    scratch: &mut Scratch,
) -> Result<(BatchHeader, Bytes), AppendError> {
    let mut builder =
        BatchBuilder::new(BytesMut::with_capacity(BATCH_HEADER_LEN + section.len()), usize::MAX);
    for record in section {
        let record = record.map_err(unreadable)?;
        builder.try_append_ref(&record).map_err(|error| AppendError::Undecodable(error.to_string()))?;
    }
    let sealed =
        builder.seal(target, scratch).map_err(|error| AppendError::Undecodable(error.to_string()))?;
    let stamped = sealed.header(&ProducerStamp {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        is_transactional: header.is_transactional(),
    });
    let header = BatchHeader::parse(&stamped).map_err(unreadable)?;
    Ok((header, sealed.section().clone()))
}

/// Sets the timestamp type and the greatest timestamp, and the checksum if that changed anything
/// (Java: `DefaultRecordBatch.setMaxTimestamp`).
pub(super) fn set_timestamps(
    header: &mut BatchHeader,
    section: &[u8],
    log_append_time_ms: Option<i64>,
    max_timestamp: i64,
) {
    let before = (header.attributes, header.max_timestamp);
    match log_append_time_ms {
        Some(now_ms) => {
            header.attributes |= LOG_APPEND_TIME_BIT;
            header.max_timestamp = now_ms;
        }
        None => {
            header.attributes &= !LOG_APPEND_TIME_BIT;
            header.max_timestamp = max_timestamp;
        }
    }
    if before != (header.attributes, header.max_timestamp) {
        header.crc = crc32c::crc32c_append(crc32c::crc32c(&header.to_bytes()[CRC_COVERS_FROM..]), section);
    }
}

/// The first byte of a batch that its checksum covers: the attributes.
const CRC_COVERS_FROM: usize = 21;

fn unreadable(error: RecordsError) -> AppendError {
    match error {
        RecordsError::Codec { .. } | RecordsError::UnknownCompression { .. } => {
            AppendError::Undecodable(error.to_string())
        }
        _ => AppendError::InvalidBatch(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
