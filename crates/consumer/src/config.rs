//! How a consumer reads.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use milena_records::DECOMPRESSED_BYTES_MAX;

use crate::core::OffsetReset;

/// Which records are shown. Kafka: `isolation.level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IsolationLevel {
    /// All, those of open and aborted transactions included. Kafka's default.
    #[default]
    ReadUncommitted,
    /// Those of committed transactions and those outside of transactions: reading stops before the first open transaction
    /// (KIP-98).
    ReadCommitted,
}

impl IsolationLevel {
    /// Every name, as Kafka writes it.
    pub const NAMES: &'static [&'static str] = &["read_uncommitted", "read_committed"];

    /// The name, as Kafka writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read_uncommitted",
            Self::ReadCommitted => "read_committed",
        }
    }

    /// The number on the wire.
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// Text that is no isolation level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no isolation.level; write read_uncommitted or read_committed")]
pub struct ParseIsolationLevelError(String);

impl FromStr for IsolationLevel {
    type Err = ParseIsolationLevelError;

    fn from_str(name: &str) -> Result<Self, ParseIsolationLevelError> {
        let levels = [Self::ReadUncommitted, Self::ReadCommitted];
        let level = levels.into_iter().find(|level| level.name() == name);
        level.ok_or_else(|| ParseIsolationLevelError(name.to_owned()))
    }
}

impl fmt::Display for IsolationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Configuration of a consumer.
///
/// The default is that of Kafka's Java client, where it has the setting.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// What to do without a position, and when the position is not in the log any more. Default: latest. Kafka:
    /// `auto.offset.reset`.
    pub auto_offset_reset: OffsetReset,
    /// Whether records of open and aborted transactions are shown. Default: they are. Kafka: `isolation.level`.
    pub isolation_level: IsolationLevel,
    /// A broker holds an answer back until it has as many bytes, at most `fetch_max_wait`. Default 1. Kafka: `fetch.min.bytes`.
    pub fetch_min_bytes: u32,
    /// The most that one broker sends at once; more only if a single batch is larger. Default 50 MiB. Kafka: `fetch.max.bytes`.
    ///
    /// A broker is asked for 1 MiB at first (for `fetch_min_bytes`, if that is more), and for more only while the application would
    /// otherwise wait for it.
    pub fetch_max_bytes: u32,
    /// How long a broker holds an answer back for want of bytes. Default 500 ms. Kafka: `fetch.max.wait.ms`.
    pub fetch_max_wait: Duration,
    /// The most that a broker sends of one partition at once; more only if a single batch is larger. Default 1 MiB. Kafka:
    /// `max.partition.fetch.bytes`.
    pub max_partition_fetch_bytes: u32,
    /// How many bytes may wait for the application, over all partitions. Default 64 MiB; at least 1.
    ///
    /// That is a limit, not what is used: of each broker, as many bytes wait or are on their way as keep the application busy, three
    /// answers of 1 MiB for a start. Answers double while the application has nothing left and waits for them to begin, as it does where
    /// round trips are long, and become smaller again when it has not waited for a while. What is buffered of paused partitions comes
    /// on top of that.
    ///
    /// Brokers share it equally, so that one that hangs does not keep the others from fetching. Requests in flight count with
    /// what they may bring, answers with the buffers that they are in. It is exceeded by one batch per broker if that batch is larger
    /// than its share. Buffers that wait to be used again are not in it: 4 MiB for decompression at most, and those of the last four
    /// answers on each of a broker's two connections at most. Nor is what the application had of a batch and has not used up: one batch
    /// of each partition at most. librdkafka: `queued.max.messages.kbytes`.
    pub prefetch_bytes: usize,
    /// Whether checksums of batches are compared. Default true. Kafka: `check.crcs`.
    pub check_crcs: bool,
    /// What one batch may decompress to, in bytes. Default 128 MiB.
    pub decompressed_batch_bytes_max: usize,
    /// The rack or zone of this client: brokers with a rack-aware replica selector then let it read from a replica nearby
    /// (KIP-392). Default: none. Kafka: `client.rack`.
    pub client_rack: Option<String>,
    /// Whether assigning a topic that does not exist creates it, where brokers allow that. Default true. Kafka:
    /// `allow.auto.create.topics`.
    pub allow_auto_create_topics: bool,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            auto_offset_reset: OffsetReset::Latest,
            isolation_level: IsolationLevel::ReadUncommitted,
            fetch_min_bytes: 1,
            fetch_max_bytes: 50 << 20,
            fetch_max_wait: Duration::from_millis(500),
            max_partition_fetch_bytes: 1 << 20,
            prefetch_bytes: 64 << 20,
            check_crcs: true,
            decompressed_batch_bytes_max: DECOMPRESSED_BYTES_MAX,
            client_rack: None,
            allow_auto_create_topics: true,
        }
    }
}

/// A configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value}: {problem}")]
pub struct InvalidConfig {
    setting: &'static str,
    value: u128,
    problem: &'static str,
}

impl ConsumerConfig {
    /// Checks that the settings can work.
    ///
    /// # Errors
    /// The first setting that is zero where that means nothing, or larger than the protocol can say.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let max_i32 = i32::MAX as u128;
        let settings: [(&'static str, u128, u128, u128); 5] = [
            ("fetch_min_bytes", self.fetch_min_bytes.into(), 0, max_i32),
            ("fetch_max_bytes", self.fetch_max_bytes.into(), 1, max_i32),
            ("fetch_max_wait in milliseconds", self.fetch_max_wait.as_millis(), 0, max_i32),
            ("max_partition_fetch_bytes", self.max_partition_fetch_bytes.into(), 1, max_i32),
            ("prefetch_bytes", self.prefetch_bytes as u128, 1, u128::MAX),
        ];
        for (setting, value, min, max) in settings {
            if value < min {
                return Err(InvalidConfig { setting, value, problem: "it has to be positive" });
            }
            if value > max {
                return Err(InvalidConfig {
                    setting,
                    value,
                    problem: "the protocol has no more than 2147483647",
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isolation_levels_are_read_as_they_are_printed() {
        for name in IsolationLevel::NAMES {
            assert_eq!(name.parse::<IsolationLevel>().unwrap().to_string(), *name);
        }
        let error = "READ_COMMITTED".parse::<IsolationLevel>().unwrap_err();
        assert!(error.to_string().contains("write read_uncommitted or read_committed"), "{error}");
    }

    #[test]
    fn the_defaults_are_valid_and_zero_prefetch_is_not() {
        assert_eq!(ConsumerConfig::default().validate(), Ok(()));
        let config = ConsumerConfig { prefetch_bytes: 0, ..Default::default() };
        assert_eq!(config.validate().unwrap_err().to_string(), "prefetch_bytes is 0: it has to be positive");
        let config = ConsumerConfig { fetch_max_bytes: u32::MAX, ..Default::default() };
        assert!(config.validate().is_err());
    }
}
