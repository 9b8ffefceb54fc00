//! What a broker's answer to one batch means.

use milena_protocol::ErrorCode;

/// What one attempt at a batch came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The broker answered with an error code.
    Refused {
        code: ErrorCode,
        /// Where the log began then; -1 when not told.
        log_start_offset: i64,
    },
    /// The connection was lost before an answer came.
    Disconnected {
        /// Whether a part of the request may have left.
        possibly_sent: bool,
    },
}

/// Which way an error points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Try again, `written` says what is known of this attempt.
    Retry { written: Written },
    /// Already in the log, at an offset that the broker does not remember (librdkafka#4438).
    AlreadyWritten,
    /// Too large for the topic: several smaller ones may do.
    TooLarge,
    /// A sequence number came before its predecessor, which the log lacks.
    OutOfOrder,
    /// The broker has no state for this producer any more.
    UnknownProducer,
    /// The epoch is older than one that the partition has seen.
    StaleEpoch,
    /// No use trying again; the batch is not in the log.
    Fail,
    /// The whole producer is refused.
    Fatal,
}

/// What is known of an attempt whose batch was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    No,
    Perhaps,
}

impl Meaning {
    /// Kafka: `Sender.completeBatch`, `TransactionManager.canRetry`.
    pub(crate) fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::DuplicateSequenceNumber => Self::AlreadyWritten,
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => Self::TooLarge,
            ErrorCode::OutOfOrderSequenceNumber => Self::OutOfOrder,
            ErrorCode::UnknownProducerId => Self::UnknownProducer,
            ErrorCode::InvalidProducerEpoch => Self::StaleEpoch,
            // The leader refuses these before it appends. Others, NOT_LEADER_OR_FOLLOWER among them, may also end the wait
            // for replicas after the append (Kafka: `DelayedProduce`).
            ErrorCode::NotEnoughReplicas | ErrorCode::CorruptMessage | ErrorCode::ThrottlingQuotaExceeded => {
                Self::Retry { written: Written::No }
            }
            ErrorCode::ClusterAuthorizationFailed
            | ErrorCode::ProducerFenced
            | ErrorCode::TransactionalIdAuthorizationFailed
            | ErrorCode::InvalidProducerIdMapping => Self::Fatal,
            code if code.is_retriable() => Self::Retry { written: Written::Perhaps },
            _ => Self::Fail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_may_follow_the_append_is_not_taken_for_not_written() {
        for code in [
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::NotEnoughReplicasAfterAppend,
            ErrorCode::RequestTimedOut,
            ErrorCode::KafkaStorageError,
            ErrorCode::UnknownTopicOrPartition,
        ] {
            assert_eq!(Meaning::of(code), Meaning::Retry { written: Written::Perhaps }, "{code}");
        }
    }

    #[test]
    fn errors_of_the_record_itself_are_not_retried() {
        for code in [
            ErrorCode::InvalidRecord,
            ErrorCode::InvalidTimestamp,
            ErrorCode::TopicAuthorizationFailed,
            ErrorCode::InvalidRequiredAcks,
            ErrorCode::UnsupportedForMessageFormat,
            ErrorCode::Unknown(12_345),
        ] {
            assert_eq!(Meaning::of(code), Meaning::Fail, "{code}");
        }
    }
}
