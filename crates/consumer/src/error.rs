//! What a consumer tells in place of records.

use milena_client::{RequestError, TopicPartition};
use milena_protocol::ErrorCode;
use milena_records::RecordsError;

use crate::core::Position;

/// Why records of a partition cannot be had.
///
/// Each names its partition, where it has one, and leaves the others alone: call `next` again and they go on. The partition
/// itself stands still where it is until the application says what to do: `seek` elsewhere, or `resume` to try once more. An
/// error is told once, not again at every call.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The position is not in the log, and `auto_offset_reset` is `none`.
    #[error(
        "{partition}: position {position} is out of range, and auto_offset_reset is none; seek to an offset in the log"
    )]
    OffsetOutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// Where the consumer wanted to read.
        position: Position,
    },
    /// There is no position to begin at, and `auto_offset_reset` is `none`.
    #[error("{partition}: no position, and auto_offset_reset is none; seek to where reading is to begin")]
    NoPosition {
        /// The partition.
        partition: TopicPartition,
    },
    /// The log was cut off below the position and written differently since (an unclean leader election, or a topic created
    /// anew), and `auto_offset_reset` is `none`. Records that were read before may not exist any more. KIP-320.
    #[error("{partition}: the log was truncated below position {position}; {}", seek_hint(.diverging.as_ref()))]
    LogTruncated {
        /// The partition.
        partition: TopicPartition,
        /// Where the consumer was.
        position: Position,
        /// The first offset at which the log differs from what was read, if the broker knows it.
        diverging: Option<Position>,
    },
    /// Records that cannot be read: a wrong checksum, malformed or undecodable data.
    #[error(
        "{partition}@{offset}: {error}; resume to fetch it again{}", go_past(*.next_offset)
    )]
    Corrupt {
        /// The partition.
        partition: TopicPartition,
        /// The position: the first record that could not be handed over.
        offset: i64,
        /// What is wrong.
        error: RecordsError,
        /// Where to seek to in order to go past what is broken; `None` when not even that can be read from it.
        next_offset: Option<i64>,
    },
    /// The broker sent the beginning of a batch only. Brokers send a batch whole however large it is since Kafka 0.10.1.
    #[error(
        "{partition}@{offset}: the broker sent {available} bytes of a batch and no whole one; raise max_partition_fetch_bytes and fetch_max_bytes"
    )]
    BatchTooLarge {
        /// The partition.
        partition: TopicPartition,
        /// The position.
        offset: i64,
        /// Bytes of the batch that came.
        available: usize,
    },
    /// The broker refuses, and asking again will not help by itself: no permission, a compression that the negotiated version
    /// lacks, an operation that it does not know.
    #[error("{partition}: {code}")]
    Refused {
        /// The partition.
        partition: TopicPartition,
        /// Why.
        code: ErrorCode,
    },
    /// A topic that is assigned cannot be read as things stand: no permission, or a name that is none. Its partitions wait where
    /// they are, and go on once the metadata say otherwise; the error is told again only if it changes.
    #[error("topic {topic}: {code}; its partitions wait until that changes, or until they are unassigned")]
    Topic {
        /// The topic.
        topic: String,
        /// Why.
        code: ErrorCode,
    },
    /// A broker cannot be used, and trying again has not helped: it is another kind of server, refuses the handshake, or has no
    /// version in common. Attempts go on; the error is told again only if it changes.
    #[error("broker {node_id}: {error}")]
    Broker {
        /// The broker.
        node_id: i32,
        /// What happened.
        error: RequestError,
    },
    /// A task in the background panicked: a connector, a `tracing` subscriber, or a bug of this crate.
    ///
    /// The task was started again, and has lost nothing: what it had not handed over is fetched once more. Where it was working on
    /// one partition, that one stands still.
    #[error("{}{task} panicked: {message}{}", of(.partition.as_ref()), resume_hint(.partition.as_ref()))]
    Panicked {
        /// The partition that stands still, if one does.
        partition: Option<TopicPartition>,
        /// What the task was doing.
        task: String,
        /// What the panic said.
        message: String,
    },
    /// No partition is assigned, so that nothing can come.
    #[error("no partition is assigned; call assign first")]
    NothingAssigned,
}

fn seek_hint(diverging: Option<&Position>) -> String {
    match diverging {
        Some(position) => {
            format!("it differs from offset {position} on: seek there, or to the beginning or end")
        }
        None => "where it begins to differ is not known: seek to the beginning or end".to_owned(),
    }
}

fn go_past(next_offset: Option<i64>) -> String {
    next_offset.map_or_else(String::new, |offset| format!(", or seek to {offset} to go past it"))
}

fn of(partition: Option<&TopicPartition>) -> String {
    partition.map_or_else(String::new, |partition| format!("{partition}: "))
}

fn resume_hint(partition: Option<&TopicPartition>) -> &'static str {
    match partition {
        Some(_) => "; resume to try again",
        None => "; it was started again",
    }
}

impl RecvError {
    /// The partition that stands still.
    pub fn partition(&self) -> Option<&TopicPartition> {
        match self {
            Self::OffsetOutOfRange { partition, .. }
            | Self::NoPosition { partition }
            | Self::LogTruncated { partition, .. }
            | Self::Corrupt { partition, .. }
            | Self::BatchTooLarge { partition, .. }
            | Self::Refused { partition, .. } => Some(partition),
            Self::Panicked { partition, .. } => partition.as_ref(),
            Self::Topic { .. } | Self::Broker { .. } | Self::NothingAssigned => None,
        }
    }

    /// Whether the same read may succeed later without a change by the application: `resume` the partition to try.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::Broker { .. } | Self::Panicked { .. } => true,
            // Permissions are granted while clients run.
            Self::Refused { code, .. } | Self::Topic { code, .. } => {
                code.is_retriable() || *code == ErrorCode::TopicAuthorizationFailed
            }
            _ => false,
        }
    }

    /// Whether the consumer is of no use any more. No error of a partition is.
    pub fn is_fatal(&self) -> bool {
        false
    }
}

/// A partition that is not assigned cannot be positioned, paused or resumed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not assigned to this consumer; assign it first")]
pub struct NotAssigned(pub TopicPartition);

/// Why a partition cannot go on at an offset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeekError {
    /// The partition is not assigned.
    #[error(transparent)]
    NotAssigned(#[from] NotAssigned),
    /// No log has such an offset. (Kafka's protocol has negative numbers for the beginning and the end; they mean nothing here.)
    #[error(
        "{partition}: there is no offset {offset}; use seek_to_beginning, seek_to_end, or an offset of at least 0"
    )]
    NegativeOffset {
        /// The partition.
        partition: TopicPartition,
        /// What was asked for.
        offset: i64,
    },
}

/// Why offsets could not be looked up.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OffsetsError {
    /// The broker refuses.
    #[error("{partition}: {code}")]
    Refused {
        /// The partition.
        partition: TopicPartition,
        /// Why.
        code: ErrorCode,
    },
    /// A request failed for good.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A task that asked panicked: a connector, a `tracing` subscriber, or a bug of this crate.
    #[error("asking for offsets panicked: {0}")]
    Panicked(String),
    /// Not all leaders answered in time.
    #[error(
        "offsets of {partition}{} are not known after {} ms{}",
        others(*.missing), .after.as_millis(), last_error(.last.as_deref())
    )]
    Timeout {
        /// One of the partitions without an answer.
        partition: TopicPartition,
        /// How many partitions have no answer.
        missing: usize,
        /// How long was tried.
        after: std::time::Duration,
        /// What the last attempt met.
        last: Option<Box<OffsetsError>>,
    },
}

impl OffsetsError {
    /// Whether asking again may succeed.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code.is_retriable(),
            Self::Request(error) => error.is_retriable(),
            Self::Timeout { .. } => true,
            Self::Panicked(_) => false,
        }
    }

    /// Whether the consumer is of no use any more; it never is.
    pub fn is_fatal(&self) -> bool {
        false
    }
}

fn others(missing: usize) -> String {
    match missing {
        0 | 1 => String::new(),
        _ => format!(" and {} others", missing - 1),
    }
}

fn last_error(last: Option<&OffsetsError>) -> String {
    last.map_or_else(
        || "; does the topic exist, and has the partition a leader?".to_owned(),
        |error| format!("; last: {error}"),
    )
}
