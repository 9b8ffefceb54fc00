use std::time::Duration;

use milena_producer::Acks;
use milena_producer::partitioner::Partitioning;
use milena_records::{Codec, Compression};

use super::catalog::Role;
use super::common::CommonProperties;
use super::reader::Reader;
use super::{ClientProperties, ConfigError, ConfigErrors, ConfigWarning};

/// A producer's properties. Defaults are those of Kafka's Java client 4.3.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProducerProperties {
    /// What all clients have.
    pub common: CommonProperties,
    /// Kafka: `acks`.
    pub acks: Acks,
    /// Kafka: `enable.idempotence`. Off when `acks` or `retries` exclude it and it was not asked for.
    pub enable_idempotence: bool,
    /// Kafka: `linger.ms`.
    pub linger: Duration,
    /// Kafka: `batch.size`.
    pub batch_size: usize,
    /// Kafka: `buffer.memory`.
    pub buffer_memory: usize,
    /// Kafka: `max.block.ms`.
    pub max_block: Duration,
    /// Kafka: `max.in.flight.requests.per.connection`.
    pub max_in_flight: usize,
    /// Kafka: `max.request.size`.
    pub max_request_size: usize,
    /// Kafka: `retries`.
    pub retries: u32,
    /// Kafka: `delivery.timeout.ms`. At least linger and request timeout together.
    pub delivery_timeout: Duration,
    /// Kafka: `compression.type`, `compression.<codec>.level`; librdkafka: `compression.level`.
    pub compression: Codec,
    /// Kafka: `partitioner.class`, `partitioner.ignore.keys`; librdkafka: `partitioner`.
    pub partitioning: Partitioning,
    /// Kafka: `partitioner.adaptive.partitioning.enable`.
    pub partitioner_adaptive: bool,
    /// Kafka: `partitioner.availability.timeout.ms`.
    pub partitioner_availability_timeout: Duration,
    /// Kafka: `metadata.max.idle.ms`.
    pub metadata_max_idle: Duration,
    /// Kafka: `transactional.id`.
    pub transactional_id: Option<String>,
    /// Kafka: `transaction.timeout.ms`.
    pub transaction_timeout: Duration,
    /// Kafka: `transaction.two.phase.commit.enable` (KIP-939).
    pub two_phase_commit: bool,
    /// What has another effect than it seems, besides `common.warnings`.
    pub warnings: Vec<ConfigWarning>,
}

/// Brokers recognise repetitions among this many batches (Kafka: `ProducerConfig`).
const IDEMPOTENT_IN_FLIGHT_MAX: usize = 5;

impl ClientProperties {
    /// A producer's properties.
    ///
    /// # Errors
    /// Properties that contradict each other.
    pub fn producer(&self) -> Result<ProducerProperties, ConfigErrors> {
        let reader = Reader::new(self, Role::Producer);
        let mut errors = Vec::new();
        let mut producer = ProducerProperties::read(reader, &mut errors);
        producer.settle_idempotence(reader, &mut errors);
        producer.settle_delivery_timeout(reader, &mut errors);
        producer.check_transactions(reader, &mut errors);
        ConfigErrors::check(errors)?;
        Ok(producer)
    }
}

impl ProducerProperties {
    fn read(reader: Reader<'_>, errors: &mut Vec<ConfigError>) -> Self {
        let mut warnings = Vec::new();
        Self {
            common: CommonProperties::read(reader, errors),
            acks: match reader.required("acks") {
                "0" => Acks::None,
                "1" => Acks::Leader,
                _ => Acks::All,
            },
            enable_idempotence: reader.flag("enable.idempotence"),
            linger: reader.fractional_millis("linger.ms"),
            batch_size: reader.parsed("batch.size"),
            buffer_memory: reader.parsed("buffer.memory"),
            max_block: reader.millis("max.block.ms"),
            max_in_flight: reader.parsed("max.in.flight.requests.per.connection"),
            max_request_size: reader.parsed("max.request.size"),
            retries: reader.parsed("retries"),
            delivery_timeout: reader.millis("delivery.timeout.ms"),
            compression: compression(reader, errors, &mut warnings),
            partitioning: partitioning(reader, errors),
            partitioner_adaptive: reader.flag("partitioner.adaptive.partitioning.enable"),
            partitioner_availability_timeout: reader.millis("partitioner.availability.timeout.ms"),
            metadata_max_idle: reader.millis("metadata.max.idle.ms"),
            transactional_id: reader.text("transactional.id"),
            transaction_timeout: reader.millis("transaction.timeout.ms"),
            two_phase_commit: reader.flag("transaction.two.phase.commit.enable"),
            warnings,
        }
    }

    /// Idempotence needs acks=all, retries, and few batches in flight. What was not asked for gives way.
    /// Java: `ProducerConfig.postProcessAndValidateIdempotenceConfigs`.
    fn settle_idempotence(&mut self, reader: Reader<'_>, errors: &mut Vec<ConfigError>) {
        if !self.enable_idempotence {
            return;
        }
        let mut obstacles = Vec::new();
        if self.acks != Acks::All {
            obstacles.push(("acks", "all"));
        }
        if self.retries == 0 {
            obstacles.push(("retries", "above 0"));
        }
        for (name, needed) in obstacles {
            if reader.is_set("enable.idempotence") {
                errors.push(ConfigError::Contradiction(format!(
                    "`enable.idempotence` is true, which needs `{name}` to be {needed}; change one of them"
                )));
            } else {
                self.enable_idempotence = false;
                let message = format!(
                    "turns idempotence off, which needs it to be {needed}: retries may repeat records"
                );
                self.warnings.push(ConfigWarning::new(name, message));
            }
        }
        if self.enable_idempotence && self.max_in_flight > IDEMPOTENT_IN_FLIGHT_MAX {
            errors.push(ConfigError::Contradiction(format!(
                "`max.in.flight.requests.per.connection` is {}, but idempotence allows at most \
                 {IDEMPOTENT_IN_FLIGHT_MAX}; lower it, or set enable.idempotence=false",
                self.max_in_flight
            )));
        }
    }

    /// Java: `KafkaProducer.configureDeliveryTimeout`.
    fn settle_delivery_timeout(&mut self, reader: Reader<'_>, errors: &mut Vec<ConfigError>) {
        let least = self.linger.saturating_add(self.common.request_timeout);
        if self.delivery_timeout >= least {
            return;
        }
        if reader.is_set("delivery.timeout.ms") {
            errors.push(ConfigError::Contradiction(format!(
                "`delivery.timeout.ms` is {}, less than `linger.ms` and `request.timeout.ms` together ({}); raise it, \
                 or lower them",
                self.delivery_timeout.as_millis(),
                least.as_millis()
            )));
        } else {
            self.delivery_timeout = least;
            let message =
                format!("is raised to {}, linger.ms and request.timeout.ms together", least.as_millis());
            self.warnings.push(ConfigWarning::new("delivery.timeout.ms", message));
        }
    }

    fn check_transactions(&self, reader: Reader<'_>, errors: &mut Vec<ConfigError>) {
        if self.transactional_id.is_some() && !self.enable_idempotence {
            errors.push(ConfigError::Contradiction(
                "`transactional.id` needs idempotence: enable.idempotence=true, acks=all and retries above 0"
                    .to_owned(),
            ));
        }
        if self.two_phase_commit && reader.is_set("transaction.timeout.ms") {
            errors.push(ConfigError::Contradiction(
                "`transaction.timeout.ms` has no meaning with `transaction.two.phase.commit.enable`: such transactions \
                 do not expire; remove one of them"
                    .to_owned(),
            ));
        }
    }
}

/// The codec and the level that was given for it: Kafka has one property per codec, librdkafka one for
/// all of them.
fn compression(
    reader: Reader<'_>,
    errors: &mut Vec<ConfigError>,
    warnings: &mut Vec<ConfigWarning>,
) -> Codec {
    let compression: Compression = reader.parsed("compression.type");
    let own_level = match compression {
        Compression::Gzip => Some("compression.gzip.level"),
        Compression::Lz4 => Some("compression.lz4.level"),
        Compression::Zstd => Some("compression.zstd.level"),
        Compression::None | Compression::Snappy => None,
    };
    let common_level = "compression.level";
    let level_name = match own_level {
        Some(name) if reader.is_set(name) => {
            if reader.is_set(common_level) {
                errors.push(ConfigError::Contradiction(format!(
                    "`{name}` and `{common_level}` both give the level of {compression}; keep one of them"
                )));
            }
            name
        }
        _ if !reader.is_set(common_level) => return Codec::new(compression),
        None => {
            warnings
                .push(ConfigWarning::new(common_level, format!("is not used: {compression} has no levels")));
            return Codec::new(compression);
        }
        Some(_) => common_level,
    };
    let level: i32 = reader.parsed(level_name);
    // librdkafka's -1 is the codec's default.
    if level_name == common_level && level == -1 {
        return Codec::new(compression);
    }
    Codec::with_level(compression, level).unwrap_or_else(|error| {
        errors.push(ConfigError::Contradiction(format!("`{level_name}`: {error}")));
        Codec::new(compression)
    })
}

fn partitioning(reader: Reader<'_>, errors: &mut Vec<ConfigError>) -> Partitioning {
    let ignore_keys = reader.flag("partitioner.ignore.keys");
    let chosen: Option<Partitioning> = reader.parsed_if_set("partitioner.class");
    match (chosen, ignore_keys) {
        (None, true) => Partitioning::IgnoreKeys,
        (None, false) => Partitioning::default(),
        (Some(partitioning), false) => partitioning,
        (Some(partitioning), true) => {
            errors.push(ConfigError::Contradiction(
                "`partitioner.ignore.keys` is for the default partitioner only; remove it, or `partitioner.class` \
                 (`partitioner`)"
                    .to_owned(),
            ));
            partitioning
        }
    }
}
