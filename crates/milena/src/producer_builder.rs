//! How a [`Producer`] is made.

use std::sync::Arc;
use std::time::Duration;

use milena_client::{Backoff, Client};
use milena_producer::partitioner::Partitioning;
use milena_producer::{Acks, Codec, Producer, ProducerConfig, ProducerInterceptor};

use crate::config::ClientProperties;
use crate::error::BuildError;
use crate::settings;

/// A [`Producer`] in the making; see [`Kafka::producer`](crate::Kafka::producer).
///
/// Defaults are those of Kafka's Java client 4.3, or the properties that the [`Kafka`](crate::Kafka) handle was made with.
#[derive(Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ProducerBuilder {
    client: Client,
    config: ProducerConfig,
    /// What is wrong with the properties, told when the producer is built.
    problem: Option<BuildError>,
}

impl ProducerBuilder {
    pub(crate) fn new(client: Client, properties: Option<&ClientProperties>) -> Self {
        let (config, problem) = match properties.map_or(Ok(ProducerConfig::default()), read) {
            Ok(config) => (config, None),
            Err(problem) => (ProducerConfig::default(), Some(problem)),
        };
        Self { client, config, problem }
    }

    /// Which replicas must have a record before it counts as written. Default all. Fewer need
    /// [`idempotence(false)`](Self::idempotence). Kafka: `acks`.
    pub fn acks(mut self, acks: Acks) -> Self {
        self.config.acks = acks;
        self
    }

    /// Whether the broker recognises repetitions, so that each record is written once and in order. Default true. Kafka:
    /// `enable.idempotence` (KIP-98, KIP-679).
    pub fn idempotence(mut self, enable: bool) -> Self {
        self.config.enable_idempotence = enable;
        self
    }

    /// How long an incomplete batch waits for more records. Default 5 ms; zero sends at once. Kafka: `linger.ms` (KIP-1030).
    pub fn linger(mut self, linger: Duration) -> Self {
        self.config.linger = linger;
        self
    }

    /// When a batch is full, in bytes before compression. A larger record gets a batch of its own. Default 16,384. Kafka:
    /// `batch.size`.
    pub fn batch_size(mut self, bytes: usize) -> Self {
        self.config.batch_size = bytes;
        self
    }

    /// Bytes of records that may wait for their acknowledgement; when they are used up, `send` waits. Default 32 MiB, at most
    /// 4 GiB. Kafka: `buffer.memory`.
    pub fn buffer_memory(mut self, bytes: usize) -> Self {
        self.config.buffer_memory = bytes;
        self
    }

    /// How long `send` may wait for metadata and for room in the buffer. Default 60 s. Kafka: `max.block.ms`.
    pub fn max_block(mut self, max_block: Duration) -> Self {
        self.config.max_block = max_block;
        self
    }

    /// Batches in flight per partition; at most 5 with idempotence. Default 5. Kafka: `max.in.flight.requests.per.connection`,
    /// which counts per connection.
    pub fn max_in_flight(mut self, batches: usize) -> Self {
        self.config.max_in_flight = batches;
        self
    }

    /// Attempts after the first. Default unlimited: the delivery timeout is the bound. Kafka: `retries`.
    pub fn retries(mut self, retries: u32) -> Self {
        self.config.retries = retries;
        self
    }

    /// From opening a batch until its deliveries are resolved, whatever the cluster does. Default 120 s; at least linger and
    /// request timeout together. Kafka: `delivery.timeout.ms` (KIP-91).
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.config.delivery_timeout = timeout;
        self
    }

    /// How long a broker may take to answer. Default 30 s. Kafka: `request.timeout.ms`.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.config.request_timeout = timeout;
        self
    }

    /// The wait before a retry: from `initial`, doubling up to `max`, with jitter. Default 100 ms to 1 s. Kafka:
    /// `retry.backoff.ms`, `retry.backoff.max.ms` (KIP-580).
    pub fn retry_backoff(mut self, initial: Duration, max: Duration) -> Self {
        self.config.retry_backoff = Backoff::new(initial, max);
        self
    }

    /// The largest request, and so the largest record, in bytes before compression. Default 1 MiB. Kafka: `max.request.size`.
    pub fn max_request_size(mut self, bytes: usize) -> Self {
        self.config.max_request_size = bytes;
        self
    }

    /// How batches are compressed: a [`Compression`](crate::Compression), or a [`Codec`] with a level. Default not at all. Kafka:
    /// `compression.type`, `compression.<codec>.level`.
    pub fn compression(mut self, codec: impl Into<Codec>) -> Self {
        self.config.compression = codec.into();
        self
    }

    /// How partitions are chosen. Default as Java: by murmur2 of the key, and keyless records batch by batch to the least loaded
    /// partition. Kafka: `partitioner.class`; librdkafka: `partitioner`.
    pub fn partitioning(mut self, partitioning: Partitioning) -> Self {
        self.config.partitioning = partitioning;
        self
    }

    /// Whether keyless records prefer partitions with shorter queues. Default true. Kafka:
    /// `partitioner.adaptive.partitioning.enable` (KIP-794).
    pub fn partitioner_adaptive(mut self, adaptive: bool) -> Self {
        self.config.partitioner_adaptive = adaptive;
        self
    }

    /// A broker that takes no data for this long gets no keyless records; zero turns that off. Default zero. Kafka:
    /// `partitioner.availability.timeout.ms` (KIP-794).
    pub fn partitioner_availability_timeout(mut self, timeout: Duration) -> Self {
        self.config.partitioner_availability_timeout = timeout;
        self
    }

    /// Adds somebody who sees every record when it is sent and when it is acknowledged. Default nobody. Kafka:
    /// `interceptor.classes`.
    pub fn interceptor(mut self, interceptor: impl ProducerInterceptor + 'static) -> Self {
        self.config.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Makes the producer. Nothing is waited for: connections are opened when they are needed.
    ///
    /// # Errors
    /// The settings contradict each other; see [`BuildError`].
    ///
    /// # Cancel safety
    /// Dropping the future makes no producer.
    pub async fn build(self) -> Result<Producer, BuildError> {
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok(Producer::new(self.client, self.config)?),
        }
    }
}

fn read(properties: &ClientProperties) -> Result<ProducerConfig, BuildError> {
    let properties = properties.producer()?;
    for warning in &properties.warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings::producer_config(properties)?)
}
