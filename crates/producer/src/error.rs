//! What goes wrong on the way from `send` to the acknowledgement.

use std::sync::Arc;
use std::time::Duration;

use milena_client::TopicPartition;
use milena_client::metadata::TopicError;
use milena_protocol::ErrorCode;

use crate::core::outcome::{Attempt, Meaning};
use crate::delivery::BatchFailure;

/// A record that was not accepted: nothing of it was queued.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The topic cannot be used, or is not known within `max.block.ms`.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The record names a partition that the topic does not have.
    #[error("topic {topic} has partitions 0 to {last}, not {partition}; add partitions, or correct the record's or the partitioner's choice", last = .partition_count - 1)]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition asked for.
        partition: i32,
        /// How many there are.
        partition_count: i32,
    },
    /// The record is larger than the client's limits allow.
    #[error(
        "{topic}: a record of {record_bytes} bytes exceeds {limit_name} ({limit_bytes} bytes); raise {limit_name}, or send a reference to the data"
    )]
    RecordTooLarge {
        /// The topic.
        topic: String,
        /// The record's size in a batch of its own.
        record_bytes: usize,
        /// The limit.
        limit_bytes: usize,
        /// Its configuration name: `max.request.size` or `buffer.memory`.
        limit_name: &'static str,
    },
    /// The buffer stayed full for `max.block.ms`: brokers take less than is sent.
    #[error("{topic}: buffer.memory ({buffer_bytes} bytes) stayed full for {} ms; brokers are slow or away: send less, or raise buffer.memory or max.block.ms", .waited.as_millis())]
    BufferFull {
        /// The topic.
        topic: String,
        /// The buffer's size.
        buffer_bytes: usize,
        /// How long was waited.
        waited: Duration,
    },
    /// The record's timestamp is negative.
    #[error("{topic}: timestamp {timestamp_ms} is negative; leave it out to use the current time")]
    InvalidTimestamp {
        /// The topic.
        topic: String,
        /// The timestamp.
        timestamp_ms: i64,
    },
    /// The producer was closed.
    #[error("the producer is closed; make a new one to send more")]
    Closed,
    /// The producer has failed for good.
    #[error(
        "the producer has failed for good: {api} was answered with {code}{}; close it, and begin with a new one once the cause is removed", remedy(api, *.code)
    )]
    Fatal {
        /// Which request was refused.
        api: &'static str,
        /// Why.
        code: ErrorCode,
    },
    /// A part of the producer has panicked: a bug of ours.
    #[error(
        "the producer has failed for good: its {task} panicked ({message}), which is a bug; begin with a new producer"
    )]
    Panicked {
        /// Which part.
        task: &'static str,
        /// What the panic said.
        message: String,
    },
}

/// What removes the cause of a failure for good, where that is known.
fn remedy(api: &str, code: ErrorCode) -> &'static str {
    match (api, code) {
        // Kafka: `KafkaApis.handleInitProducerIdRequest`.
        ("InitProducerId", ErrorCode::ClusterAuthorizationFailed) => {
            " (grant IdempotentWrite on the cluster, or Write on a topic, or turn enable_idempotence off)"
        }
        ("InitProducerId", ErrorCode::UnsupportedVersion) => {
            " (the brokers are older than 0.11; turn enable_idempotence off)"
        }
        _ => "",
    }
}

impl SendError {
    /// Whether the same record may be accepted later.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::BufferFull { .. } | Self::Topic(TopicError::Timeout { .. }))
    }

    /// Whether this producer accepts nothing any more.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Closed | Self::Fatal { .. } | Self::Panicked { .. })
    }
}

/// An accepted record that was not acknowledged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{topic_partition}: {kind}{}", if *.possibly_written { "; the record may have been written" } else { "" })]
#[non_exhaustive]
pub struct DeliveryError {
    /// Where the record was to go.
    pub topic_partition: TopicPartition,
    /// Why it failed.
    pub kind: DeliveryErrorKind,
    possibly_written: bool,
}

/// Why an accepted record was not acknowledged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryErrorKind {
    /// The broker refuses it.
    #[error("{code}{}", .message.as_deref().map(|m| format!(" ({m})")).unwrap_or_default())]
    Broker {
        /// The error code.
        code: ErrorCode,
        /// The broker's explanation, if it gave one.
        message: Option<String>,
    },
    /// The broker refuses a batch of this one record as too large.
    #[error(
        "a record of {batch_bytes} bytes is too large for the broker; raise max.message.bytes on the topic (or message.max.bytes on the brokers), or send a reference to the data"
    )]
    TooLarge {
        /// The size of the batch that was refused.
        batch_bytes: usize,
    },
    /// The broker refuses a batch of several records as too large, and it could not be split: parts of what may have been written whole
    /// would not be recognised.
    #[error(
        "a batch of {batch_bytes} bytes with {records} records is too large for the broker; lower batch_size, or raise max.message.bytes on the topic"
    )]
    BatchTooLarge {
        /// The size of the batch that was refused.
        batch_bytes: usize,
        /// How many records it has.
        records: u32,
    },
    /// The broker found fault with another record of the same batch.
    #[error("not written, because another record of its batch is invalid; send it again")]
    OtherRecordInvalid,
    /// No acknowledgement within `delivery.timeout.ms`.
    #[error("no acknowledgement within delivery.timeout.ms ({} ms, {attempts} attempts){}", .after.as_millis(), .last.as_deref().map(|l| format!("; last: {l}")).unwrap_or_default())]
    Timeout {
        /// The time since the batch was opened.
        after: Duration,
        /// How often it was sent.
        attempts: u32,
        /// What the last attempt met.
        last: Option<String>,
    },
    /// All attempts that `retries` allows failed.
    #[error("all {attempts} attempts failed; last: {last}")]
    RetriesExhausted {
        /// How often it was sent.
        attempts: u32,
        /// What the last attempt met.
        last: String,
    },
    /// The batch before it was given up and is not in the log, and a request with this one was never answered: should both requests
    /// be carried out late, it is written after all. So it is not numbered anew, as that would write it twice. The producer goes on.
    #[error(
        "the batch before it was given up, and an answer to it is missing after {attempts} attempts: to send it again may write it twice"
    )]
    PredecessorLost {
        /// How often it was sent.
        attempts: u32,
    },
    /// The producer has failed for good, and with it everything that was not acknowledged.
    #[error("the producer has failed for good: {api} was answered with {code}{}", remedy(api, *.code))]
    ProducerFailed {
        /// Which request was refused.
        api: &'static str,
        /// Why.
        code: ErrorCode,
    },
    /// The producer was closed, and its deadline was over, before the acknowledgement came.
    #[error("the producer was closed before the acknowledgement came")]
    Closed,
    /// A part of the producer has panicked, and the producer with it has failed for good: a bug of ours.
    #[error("the producer's {task} panicked ({message}), which is a bug; begin with a new producer")]
    Panicked {
        /// Which part.
        task: &'static str,
        /// What the panic said.
        message: String,
    },
    /// Whoever had the record's batch in hand panicked, a codec for example: a bug of ours.
    #[error("a panic, which is a bug, interrupted the work on the record's batch")]
    Abandoned,
}

impl DeliveryError {
    pub(crate) fn of_record(
        topic_partition: TopicPartition,
        failure: &Arc<BatchFailure>,
        index: u32,
    ) -> Self {
        let possibly_written = failure.possibly_written;
        if failure.blamed.is_empty() {
            return Self { topic_partition, kind: failure.kind.clone(), possibly_written };
        }
        let kind = match failure.blamed.iter().find(|(blamed, _)| *blamed == index) {
            None => DeliveryErrorKind::OtherRecordInvalid,
            Some((_, told)) => match &failure.kind {
                DeliveryErrorKind::Broker { code, message } => DeliveryErrorKind::Broker {
                    code: *code,
                    message: told.clone().or_else(|| message.clone()),
                },
                other => other.clone(),
            },
        };
        Self { topic_partition, kind, possibly_written }
    }

    /// Whether the record may be in the log all the same.
    ///
    /// False is a promise that it is not: it can be sent again without becoming two. True is told when an attempt ended without an
    /// answer (the connection broke, the broker gave up waiting for its replicas, the time was up) and no later one cleared it up.
    /// A record that was never sent is certainly not written.
    pub fn possibly_written(&self) -> bool {
        self.possibly_written
    }

    /// Whether this producer accepts nothing any more.
    pub fn is_fatal(&self) -> bool {
        match &self.kind {
            DeliveryErrorKind::Closed
            | DeliveryErrorKind::ProducerFailed { .. }
            | DeliveryErrorKind::Panicked { .. } => true,
            DeliveryErrorKind::Broker { code, .. } => Attempt::Refused(*code).meaning() == Meaning::Fatal,
            _ => false,
        }
    }

    /// Whether sending the record again may succeed. It may also write it twice: see [`possibly_written`](Self::possibly_written).
    pub fn is_retriable(&self) -> bool {
        match &self.kind {
            DeliveryErrorKind::Broker { code, .. } => code.is_retriable(),
            DeliveryErrorKind::OtherRecordInvalid
            | DeliveryErrorKind::Abandoned
            | DeliveryErrorKind::BatchTooLarge { .. }
            | DeliveryErrorKind::Timeout { .. }
            | DeliveryErrorKind::RetriesExhausted { .. }
            | DeliveryErrorKind::PredecessorLost { .. } => true,
            DeliveryErrorKind::TooLarge { .. }
            | DeliveryErrorKind::Closed
            | DeliveryErrorKind::ProducerFailed { .. }
            | DeliveryErrorKind::Panicked { .. } => false,
        }
    }
}

/// Records failed whose deliveries nobody looked at.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{failed_records} records failed whose deliveries were dropped; the first: {first}")]
#[non_exhaustive]
pub struct FlushError {
    /// How many, since the last flush.
    pub failed_records: u64,
    /// The first of them.
    pub first: DeliveryError,
}

/// A producer that could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Two settings contradict each other, or one is out of range.
    #[error("{0}")]
    Invalid(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_for_good_says_what_to_do_next() {
        let api = "InitProducerId";
        let text = |code| SendError::Fatal { api, code }.to_string();
        let refused = text(ErrorCode::ClusterAuthorizationFailed);
        assert!(
            refused.contains("InitProducerId was answered with") && refused.contains("grant IdempotentWrite")
        );
        assert!(text(ErrorCode::UnsupportedVersion).contains("turn enable_idempotence off"));
        let failed = DeliveryErrorKind::ProducerFailed { api, code: ErrorCode::ClusterAuthorizationFailed };
        assert!(failed.to_string().contains("grant IdempotentWrite"));
        assert!(SendError::Closed.to_string().contains("make a new one"));
    }
}
