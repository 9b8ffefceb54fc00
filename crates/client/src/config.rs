//! What all clients of one cluster share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::connection::ConnectionConfig;
use crate::metrics::{Observer, Sampling};
use crate::{Address, Backoff};

/// Configuration that producers, consumers and administration share.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Brokers to ask first; the rest is learnt from them. Kafka: `bootstrap.servers`.
    pub bootstrap: Vec<Address>,
    /// How connections are opened and kept.
    pub connection: ConnectionConfig,
    /// The wait between attempts at a request. Default 100 ms to 1 s. Kafka: `retry.backoff.ms`, `retry.backoff.max.ms`.
    pub retry_backoff: Backoff,
    /// The wait between attempts to connect to one broker. Default 50 ms to 1 s. Kafka: `reconnect.backoff.ms`,
    /// `reconnect.backoff.max.ms`.
    pub reconnect_backoff: Backoff,
    /// An unused connection is closed after this time. Default 9 min. Kafka: `connections.max.idle.ms`.
    pub connections_max_idle: Duration,
    /// Metadata is asked for again after this time even if nothing seems wrong. Default 5 min. Kafka: `metadata.max.age.ms`.
    pub metadata_max_age: Duration,
    /// Whether to go back to the bootstrap servers when the known brokers do not answer. Kafka: `metadata.recovery.strategy`
    /// (KIP-899).
    pub metadata_recovery: MetadataRecovery,
    /// The bound of an operation with retries. Default 60 s. Kafka: `default.api.timeout.ms`.
    pub default_api_timeout: Duration,
    /// Over which time rates and averages are taken. Default two windows of 30 s. Kafka: `metrics.sample.window.ms`,
    /// `metrics.num.samples`.
    pub metrics_sampling: Sampling,
    /// Told of connections, requests and batches. Default nobody.
    pub observer: Option<Arc<dyn Observer>>,
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("bootstrap", &self.bootstrap)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// What to do when no known broker answers (KIP-899, KIP-1102).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataRecovery {
    /// Keep trying the known brokers.
    None,
    /// Resolve and ask the bootstrap servers again: at once when every known broker refuses, when a broker asks for it, and
    /// after `trigger` without an answer. Default, with 5 min. Kafka: `metadata.recovery.rebootstrap.trigger.ms`.
    Rebootstrap {
        /// The time without an answer.
        trigger: Duration,
    },
}

impl ClientConfig {
    /// The defaults of Kafka's Java client, for the cluster behind `bootstrap`.
    pub fn new(bootstrap: Vec<Address>) -> Self {
        Self {
            bootstrap,
            connection: ConnectionConfig::default(),
            retry_backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1)),
            reconnect_backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(1)),
            connections_max_idle: Duration::from_secs(9 * 60),
            metadata_max_age: Duration::from_secs(5 * 60),
            metadata_recovery: MetadataRecovery::Rebootstrap { trigger: Duration::from_secs(5 * 60) },
            default_api_timeout: Duration::from_secs(60),
            metrics_sampling: Sampling::default(),
            observer: None,
        }
    }
}
