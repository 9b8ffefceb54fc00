//! What a broker's answer to one batch means.

use milena_protocol::ErrorCode;

/// What one attempt at a batch came to, if it was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The broker answered with an error code.
    Refused(ErrorCode),
    /// The connection was lost before an answer came.
    Disconnected {
        /// Whether the whole request may have left.
        possibly_sent: bool,
    },
}

/// Which way an unacknowledged attempt points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Try again.
    Retry { written: Written },
    /// Already in the log, at an offset that the broker does not remember (librdkafka#4438).
    AlreadyWritten,
    /// Too large for the topic: several smaller ones may do.
    TooLarge,
    /// The log lacks the batch's predecessor.
    OutOfOrder,
    /// The partition cannot tell any more what it has of this batch's producer and epoch.
    Forgotten,
    /// No use trying again.
    Fail { written: Written },
    /// The whole producer is refused.
    Fatal,
}

/// What is known of attempts that were not acknowledged; the more doubt the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Written {
    No,
    /// It was answered: either the batch is in the log by now, or it does not come by this attempt.
    Perhaps,
    /// There was no answer: it may be in the log by now, or come at any time.
    NowOrLater,
}

impl Attempt {
    pub(crate) fn meaning(&self) -> Meaning {
        match *self {
            Self::Refused(code) => Meaning::of(code),
            Self::Disconnected { possibly_sent: true } => Meaning::Retry { written: Written::NowOrLater },
            Self::Disconnected { possibly_sent: false } => Meaning::Retry { written: Written::No },
        }
    }
}

impl Meaning {
    /// Kafka: `Sender.completeBatch`, `TransactionManager.canRetry`.
    fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::DuplicateSequenceNumber => Self::AlreadyWritten,
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => Self::TooLarge,
            ErrorCode::OutOfOrderSequenceNumber => Self::OutOfOrder,
            // Brokers before 2.5 have forgotten the producer (KIP-360); a later epoch has replaced that of the batch.
            ErrorCode::UnknownProducerId | ErrorCode::InvalidProducerEpoch => Self::Forgotten,
            // The leader refuses these before it appends. Others, NOT_LEADER_OR_FOLLOWER among them, may also end the wait
            // for replicas after the append (Kafka: `DelayedProduce`).
            ErrorCode::NotEnoughReplicas
            | ErrorCode::CorruptMessage
            | ErrorCode::ThrottlingQuotaExceeded
            | ErrorCode::UnknownTopicId => Self::Retry { written: Written::No },
            ErrorCode::ClusterAuthorizationFailed
            | ErrorCode::ProducerFenced
            | ErrorCode::TransactionalIdAuthorizationFailed
            | ErrorCode::InvalidProducerIdMapping => Self::Fatal,
            code if code.is_retriable() => Self::Retry { written: Written::Perhaps },
            // Nobody knows where on its way through the broker these came up.
            ErrorCode::UnknownServerError | ErrorCode::Unknown(_) => Self::Fail { written: Written::Perhaps },
            _ => Self::Fail { written: Written::No },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_these_meanings() {
        use ErrorCode::*;
        let codes = [
            DuplicateSequenceNumber,
            MessageTooLarge,
            RecordListTooLarge,
            OutOfOrderSequenceNumber,
            UnknownProducerId,
            InvalidProducerEpoch,
            NotEnoughReplicas,
            CorruptMessage,
            NotLeaderOrFollower,
            NotEnoughReplicasAfterAppend,
            RequestTimedOut,
            KafkaStorageError,
            UnknownTopicOrPartition,
            UnknownTopicId,
            InvalidRecord,
            InvalidTimestamp,
            TopicAuthorizationFailed,
            InvalidRequiredAcks,
            UnsupportedForMessageFormat,
            UnknownServerError,
            Unknown(12_345),
            ClusterAuthorizationFailed,
            ProducerFenced,
        ];
        let table: Vec<_> = codes.iter().map(|code| format!("{code:?}: {:?}", Meaning::of(*code))).collect();
        assert_eq!(
            table,
            [
                "DuplicateSequenceNumber: AlreadyWritten",
                "MessageTooLarge: TooLarge",
                "RecordListTooLarge: TooLarge",
                "OutOfOrderSequenceNumber: OutOfOrder",
                "UnknownProducerId: Forgotten",
                "InvalidProducerEpoch: Forgotten",
                "NotEnoughReplicas: Retry { written: No }",
                "CorruptMessage: Retry { written: No }",
                "NotLeaderOrFollower: Retry { written: Perhaps }",
                "NotEnoughReplicasAfterAppend: Retry { written: Perhaps }",
                "RequestTimedOut: Retry { written: Perhaps }",
                "KafkaStorageError: Retry { written: Perhaps }",
                "UnknownTopicOrPartition: Retry { written: Perhaps }",
                "UnknownTopicId: Retry { written: No }",
                "InvalidRecord: Fail { written: No }",
                "InvalidTimestamp: Fail { written: No }",
                "TopicAuthorizationFailed: Fail { written: No }",
                "InvalidRequiredAcks: Fail { written: No }",
                "UnsupportedForMessageFormat: Fail { written: No }",
                "UnknownServerError: Fail { written: Perhaps }",
                "Unknown(12345): Fail { written: Perhaps }",
                "ClusterAuthorizationFailed: Fatal",
                "ProducerFenced: Fatal",
            ]
        );
    }
}
