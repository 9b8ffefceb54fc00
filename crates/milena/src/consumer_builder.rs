//! How a [`Consumer`] is made.

use std::time::Duration;

use milena_client::Client;
use milena_consumer::{Consumer, ConsumerConfig, IsolationLevel, OffsetReset};

use crate::config::ClientProperties;
use crate::error::BuildError;
use crate::settings;

/// A [`Consumer`] in the making; see [`Kafka::consumer`](crate::Kafka::consumer).
///
/// Defaults are those of Kafka's Java client 4.3, or the properties that the [`Kafka`](crate::Kafka) handle was made with.
#[derive(Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ConsumerBuilder {
    client: Client,
    config: ConsumerConfig,
    /// What is wrong with the properties, told when the consumer is built.
    problem: Option<BuildError>,
}

impl ConsumerBuilder {
    pub(crate) fn new(client: Client, properties: Option<&ClientProperties>) -> Self {
        let (config, problem) = match properties.map_or(Ok(ConsumerConfig::default()), read) {
            Ok(config) => (config, None),
            Err(problem) => (ConsumerConfig::default(), Some(problem)),
        };
        Self { client, config, problem }
    }

    /// What to do without a position, and when the position is not in the log any more. Default: latest. Kafka:
    /// `auto.offset.reset` (KIP-1106).
    pub fn auto_offset_reset(mut self, reset: OffsetReset) -> Self {
        self.config.auto_offset_reset = reset;
        self
    }

    /// Whether records of open and aborted transactions are shown. Default: they are. Kafka: `isolation.level` (KIP-98).
    pub fn isolation_level(mut self, level: IsolationLevel) -> Self {
        self.config.isolation_level = level;
        self
    }

    /// How many bytes a broker collects before it answers, at most for [`fetch_max_wait`](Self::fetch_max_wait). Default 1. Kafka:
    /// `fetch.min.bytes`.
    pub fn fetch_min_bytes(mut self, bytes: u32) -> Self {
        self.config.fetch_min_bytes = bytes;
        self
    }

    /// The most that one broker sends at once, in bytes; more only if a single batch is larger. Default 50 MiB. Kafka:
    /// `fetch.max.bytes`.
    pub fn fetch_max_bytes(mut self, bytes: u32) -> Self {
        self.config.fetch_max_bytes = bytes;
        self
    }

    /// How long a broker holds an answer back for want of bytes. Default 500 ms. Kafka: `fetch.max.wait.ms`.
    pub fn fetch_max_wait(mut self, wait: Duration) -> Self {
        self.config.fetch_max_wait = wait;
        self
    }

    /// The most that a broker sends of one partition at once, in bytes; more only if a single batch is larger. Default 1 MiB.
    /// Kafka: `max.partition.fetch.bytes`.
    pub fn max_partition_fetch_bytes(mut self, bytes: u32) -> Self {
        self.config.max_partition_fetch_bytes = bytes;
        self
    }

    /// How many bytes may wait for the application, over all partitions. Default 64 MiB. As long as that keeps the application
    /// busy, no more than 3 MiB of each broker do. librdkafka: `queued.max.messages.kbytes`.
    pub fn prefetch_bytes(mut self, bytes: usize) -> Self {
        self.config.prefetch_bytes = bytes;
        self
    }

    /// Whether checksums of batches are compared. Default true. Kafka: `check.crcs`.
    pub fn check_crcs(mut self, check: bool) -> Self {
        self.config.check_crcs = check;
        self
    }

    /// What one batch may decompress to, in bytes. Default 128 MiB.
    pub fn decompressed_batch_bytes_max(mut self, bytes: usize) -> Self {
        self.config.decompressed_batch_bytes_max = bytes;
        self
    }

    /// The rack or zone of this client, so that brokers let it read from a replica nearby. Default none. Kafka: `client.rack`
    /// (KIP-392).
    pub fn client_rack(mut self, rack: impl Into<String>) -> Self {
        self.config.client_rack = Some(rack.into());
        self
    }

    /// Whether assigning a topic that does not exist creates it, where brokers allow that. Default true. Kafka:
    /// `allow.auto.create.topics`.
    pub fn allow_auto_create_topics(mut self, allow: bool) -> Self {
        self.config.allow_auto_create_topics = allow;
        self
    }

    /// Makes the consumer, which has nothing to read until partitions are assigned to it.
    ///
    /// # Errors
    /// A setting cannot work; see [`BuildError`].
    ///
    /// # Cancel safety
    /// Dropping the future makes no consumer.
    pub async fn build(self) -> Result<Consumer, BuildError> {
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok(Consumer::new(self.client, self.config)?),
        }
    }
}

fn read(properties: &ClientProperties) -> Result<ConsumerConfig, BuildError> {
    Ok(settings::consumer_config(properties.consumer()?)?)
}
