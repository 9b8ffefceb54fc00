//! How a producer behaves.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use milena_client::Backoff;
use milena_records::{BATCH_HEADER_LEN, Codec};

use crate::error::ConfigError;
use crate::interceptor::ProducerInterceptor;
use crate::partitioner::Partitioning;

/// Which replicas must have a record before it counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Acks {
    /// None: it counts once it was handed to the network. No offsets, and what was lost from there on is not sent again; a batch that the
    /// connection broke under before all of it was handed over is.
    None,
    /// The leader.
    Leader,
    /// All replicas in sync; at least `min.insync.replicas`.
    #[default]
    All,
}

impl Acks {
    pub(crate) fn wire(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// How a producer behaves; the defaults are those of Kafka's Java client, 4.3.
#[derive(Clone)]
#[non_exhaustive]
pub struct ProducerConfig {
    /// Which replicas must have a record. Default all. Kafka: `acks`.
    pub acks: Acks,
    /// Whether the broker recognises repetitions, so that each record is written once and in order. Default true. Kafka:
    /// `enable.idempotence` (KIP-98, KIP-679).
    pub enable_idempotence: bool,
    /// How long an incomplete batch waits for more records. Default 5 ms. Kafka: `linger.ms` (KIP-1030).
    pub linger: Duration,
    /// When a batch is full, in bytes before compression. A larger record gets a batch of its own; with 0, every record does. Default
    /// 16,384. Kafka: `batch.size`.
    pub batch_size: usize,
    /// Bytes that records may take until they are acknowledged, and buffers that are used again. Working memory of codecs comes on
    /// top: at most 8 times its tables and twice `batch.size`. Default 32 MiB. Kafka: `buffer.memory`.
    pub buffer_memory: usize,
    /// How long `send` may wait for metadata and for room in the buffer. Default 60 s. Kafka: `max.block.ms`.
    pub max_block: Duration,
    /// Batches in flight per partition; at most 5 with idempotence. Default 5. Kafka:
    /// `max.in.flight.requests.per.connection`, which counts per connection.
    pub max_in_flight: usize,
    /// Attempts after the first. Default `u32::MAX`: the delivery timeout is the bound. Kafka: `retries`.
    pub retries: u32,
    /// From opening a batch to the resolution of its deliveries. Default 120 s. Kafka: `delivery.timeout.ms` (KIP-91).
    pub delivery_timeout: Duration,
    /// How long a broker may take to answer a Produce request; for all others the client's own setting counts. Default 30 s. Kafka:
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// The wait before a batch is sent again; for other requests the client's own setting counts. Default 100 ms to 1 s. Kafka: `retry.backoff.ms`, `retry.backoff.max.ms`.
    pub retry_backoff: Backoff,
    /// The largest request, and so the largest record, in bytes before compression. Default 1 MiB. Kafka: `max.request.size`.
    pub max_request_size: usize,
    /// How record sections are compressed. Default not at all. Kafka: `compression.type`, `compression.<codec>.level`.
    pub compression: Codec,
    /// How partitions are chosen. Default as Java. Kafka: `partitioner.class`.
    pub partitioning: Partitioning,
    /// Whether keyless records prefer partitions with shorter queues. Default true. Kafka:
    /// `partitioner.adaptive.partitioning.enable` (KIP-794).
    pub partitioner_adaptive: bool,
    /// A broker that takes no data for this long gets no keyless records; zero turns that off. Default zero. Kafka:
    /// `partitioner.availability.timeout.ms` (KIP-794).
    pub partitioner_availability_timeout: Duration,
    /// A topic that nothing was sent to for this long is forgotten and not asked about any more. Default 5 min. Kafka:
    /// `metadata.max.idle.ms` (KIP-526).
    pub metadata_max_idle: Duration,
    /// Called with every record; see [`ProducerInterceptor`]. Default none. Kafka: `interceptor.classes`.
    pub interceptors: Vec<Arc<dyn ProducerInterceptor>>,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            enable_idempotence: true,
            linger: Duration::from_millis(5),
            batch_size: 16_384,
            buffer_memory: 32 << 20,
            max_block: Duration::from_secs(60),
            max_in_flight: IDEMPOTENT_IN_FLIGHT_MAX,
            retries: u32::MAX,
            delivery_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(30),
            retry_backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1)),
            max_request_size: 1 << 20,
            compression: Codec::default(),
            partitioning: Partitioning::default(),
            partitioner_adaptive: true,
            partitioner_availability_timeout: Duration::ZERO,
            metadata_max_idle: Duration::from_secs(5 * 60),
            interceptors: Vec::new(),
        }
    }
}

/// Brokers remember this many batches per producer and partition (Kafka: `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`).
const IDEMPOTENT_IN_FLIGHT_MAX: usize = 5;
/// Lengths of frames are 32-bit numbers, and a batch is copied when it is split.
const REQUEST_BYTES_MAX: usize = 1 << 30;
/// Kafka's durations are 32-bit numbers of milliseconds: 24 days.
const DURATION_MAX: Duration = Duration::from_millis(i32::MAX as u64);

impl ProducerConfig {
    /// Checks what contradicts itself.
    ///
    /// # Errors
    /// Which settings contradict each other, and what to do.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let invalid = |text: String| Err(ConfigError::Invalid(text));
        if self.enable_idempotence {
            if self.acks != Acks::All {
                return invalid(format!(
                    "enable_idempotence needs acks=all, not {:?}; turn enable_idempotence off to use it",
                    self.acks
                ));
            }
            if self.max_in_flight > IDEMPOTENT_IN_FLIGHT_MAX {
                return invalid(format!(
                    "max_in_flight is {}, but brokers recognise repetitions among the last {IDEMPOTENT_IN_FLIGHT_MAX} \
                     batches only; lower it, or turn enable_idempotence off",
                    self.max_in_flight
                ));
            }
            if self.retries == 0 {
                return invalid("enable_idempotence needs retries; turn it off to send once only".to_owned());
            }
        }
        if self.max_in_flight == 0 {
            return invalid("max_in_flight is 0: nothing could ever be sent".to_owned());
        }
        if self.batch_size > self.buffer_memory {
            return invalid(format!(
                "batch_size ({}) exceeds buffer_memory ({}): no batch would fit",
                self.batch_size, self.buffer_memory
            ));
        }
        if !(BATCH_HEADER_LEN + 1..=REQUEST_BYTES_MAX).contains(&self.max_request_size) {
            return invalid(format!(
                "max_request_size is {} bytes; it must hold a batch's header of {BATCH_HEADER_LEN} bytes and is limited to 1 GiB",
                self.max_request_size
            ));
        }
        if !self.compression.compression().is_available() {
            let name = self.compression.compression();
            return invalid(format!(
                "compression {name} is not part of this build; turn the Cargo feature `{name}` on"
            ));
        }
        if self.buffer_memory > u32::MAX as usize {
            return invalid("buffer_memory is limited to 4 GiB".to_owned());
        }
        for (name, duration) in [
            ("linger", self.linger),
            ("request_timeout", self.request_timeout),
            ("delivery_timeout", self.delivery_timeout),
            ("metadata_max_idle", self.metadata_max_idle),
        ] {
            if duration > DURATION_MAX {
                return invalid(format!(
                    "{name} is {} ms, more than the {} ms that Kafka knows",
                    duration.as_millis(),
                    DURATION_MAX.as_millis()
                ));
            }
        }
        for (name, duration) in
            [("request_timeout", self.request_timeout), ("metadata_max_idle", self.metadata_max_idle)]
        {
            if duration.is_zero() {
                return invalid(format!("{name} is 0: nothing could ever be in time"));
            }
        }
        if !self.partitioner_availability_timeout.is_zero() && !self.partitioner_adaptive {
            return invalid(
                "partitioner_availability_timeout has no effect without partitioner_adaptive; turn that on, or set the timeout to 0"
                    .to_owned(),
            );
        }
        if self.delivery_timeout < self.linger + self.request_timeout {
            return invalid(format!(
                "delivery_timeout ({} ms) must be at least linger + request_timeout ({} ms)",
                self.delivery_timeout.as_millis(),
                (self.linger + self.request_timeout).as_millis()
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for ProducerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerConfig")
            .field("acks", &self.acks)
            .field("enable_idempotence", &self.enable_idempotence)
            .field("linger", &self.linger)
            .field("batch_size", &self.batch_size)
            .field("buffer_memory", &self.buffer_memory)
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(ProducerConfig::default().validate(), Ok(()));
    }

    #[test]
    fn contradictions_are_told() {
        let check = |change: fn(&mut ProducerConfig), words: &str| {
            let mut config = ProducerConfig::default();
            change(&mut config);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        check(|config| config.acks = Acks::Leader, "acks=all");
        check(|config| config.max_in_flight = 6, "max_in_flight is 6");
        check(|config| config.retries = 0, "retries");
        check(|config| config.max_in_flight = 0, "nothing could ever be sent");
        check(|config| config.batch_size = 64 << 20, "no batch would fit");
        check(|config| config.delivery_timeout = Duration::from_secs(1), "at least linger");
        check(|config| config.delivery_timeout = Duration::MAX, "delivery_timeout");
        check(|config| config.linger = Duration::MAX, "linger");
        check(|config| config.request_timeout = Duration::ZERO, "request_timeout is 0");
        check(|config| config.max_request_size = 61, "max_request_size");
        check(|config| config.max_request_size = usize::MAX, "max_request_size");
        check(
            |config| {
                config.partitioner_adaptive = false;
                config.partitioner_availability_timeout = Duration::from_millis(1);
            },
            "no effect without partitioner_adaptive",
        );
    }
}
