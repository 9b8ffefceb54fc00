use std::time::Duration;

use milena_client::metrics::Sampling;
use milena_client::{Address, Backoff};

use super::catalog::Role;
use super::choices::{AddressFamily, DnsLookup, MetadataRecoveryStrategy};
use super::reader::Reader;
use super::security::SecurityProperties;
use super::{ClientProperties, ConfigError, ConfigErrors, ConfigWarning};

/// What all clients have. Defaults are those of Kafka's Java client 4.3.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CommonProperties {
    /// Kafka: `bootstrap.servers`. Empty when not given.
    pub bootstrap_servers: Vec<Address>,
    /// Kafka: `client.id`.
    pub client_id: Option<String>,
    /// Kafka: `client.rack`.
    pub client_rack: Option<String>,
    /// Kafka: `client.dns.lookup`.
    pub dns_lookup: DnsLookup,
    /// librdkafka: `broker.address.family`.
    pub address_family: AddressFamily,
    /// Kafka: `metadata.max.age.ms`.
    pub metadata_max_age: Duration,
    /// Kafka: `metadata.recovery.strategy`.
    pub metadata_recovery_strategy: MetadataRecoveryStrategy,
    /// Kafka: `metadata.recovery.rebootstrap.trigger.ms`.
    pub rebootstrap_trigger: Duration,
    /// Kafka: `request.timeout.ms`.
    pub request_timeout: Duration,
    /// Kafka: `default.api.timeout.ms`.
    pub default_api_timeout: Duration,
    /// Kafka: `retry.backoff.ms`, `retry.backoff.max.ms`.
    pub retry_backoff: Backoff,
    /// Kafka: `reconnect.backoff.ms`, `reconnect.backoff.max.ms`.
    pub reconnect_backoff: Backoff,
    /// Kafka: `socket.connection.setup.timeout.ms`.
    pub connection_setup_timeout: Duration,
    /// Kafka: `socket.connection.setup.timeout.max.ms`.
    pub connection_setup_timeout_max: Duration,
    /// Kafka: `connections.max.idle.ms`. `None`, for zero and below, is never.
    pub connections_max_idle: Option<Duration>,
    /// Kafka: `send.buffer.bytes`. `None`, for -1, leaves it to the operating system.
    pub send_buffer_bytes: Option<usize>,
    /// Kafka: `receive.buffer.bytes`. `None`, for -1, leaves it to the operating system.
    pub receive_buffer_bytes: Option<usize>,
    /// librdkafka: `socket.keepalive.enable`.
    pub tcp_keepalive: bool,
    /// The longest response accepted. librdkafka: `receive.message.max.bytes`.
    pub response_bytes_max: usize,
    /// Kafka: `metrics.sample.window.ms`, `metrics.num.samples`.
    pub metrics: Sampling,
    /// Kafka: `enable.metrics.push` (KIP-714).
    pub enable_metrics_push: bool,
    /// How connections are encrypted and authenticated.
    pub security: SecurityProperties,
    /// What has another effect than it seems.
    pub warnings: Vec<ConfigWarning>,
}

impl ClientProperties {
    /// What all clients have; where defaults differ by client, the consumer's.
    ///
    /// # Errors
    /// Properties that contradict each other.
    pub fn common(&self) -> Result<CommonProperties, ConfigErrors> {
        let mut errors = Vec::new();
        let common = CommonProperties::read(Reader::new(self, Role::Consumer), &mut errors);
        ConfigErrors::check(errors)?;
        Ok(common)
    }
}

impl CommonProperties {
    pub(super) fn read(reader: Reader<'_>, errors: &mut Vec<ConfigError>) -> Self {
        let mut warnings = Vec::new();
        let addresses = reader.list("bootstrap.servers").map(str::parse);
        let backoff = |initial, max| Backoff::new(reader.millis(initial), reader.millis(max));
        let retry_backoff = backoff("retry.backoff.ms", "retry.backoff.max.ms");
        let mut reconnect_backoff = backoff("reconnect.backoff.ms", "reconnect.backoff.max.ms");
        if reader.is_set("reconnect.backoff.ms") && !reader.is_set("reconnect.backoff.max.ms") {
            reconnect_backoff.max = reconnect_backoff.initial;
            let message = "without reconnect.backoff.max.ms makes the wait constant, as in Java's client";
            warnings.push(ConfigWarning::new("reconnect.backoff.ms", message));
        }
        let setup = reader.millis("socket.connection.setup.timeout.ms");
        let setup_max = reader.millis("socket.connection.setup.timeout.max.ms");
        for (name, initial, max_name, max) in [
            ("retry.backoff.ms", retry_backoff.initial, "retry.backoff.max.ms", retry_backoff.max),
            (
                "reconnect.backoff.ms",
                reconnect_backoff.initial,
                "reconnect.backoff.max.ms",
                reconnect_backoff.max,
            ),
            (
                "socket.connection.setup.timeout.ms",
                setup,
                "socket.connection.setup.timeout.max.ms",
                setup_max,
            ),
        ] {
            if initial > max {
                let max = max.as_millis();
                let message = format!("is above {max_name}: it will be {max} ms from the beginning");
                warnings.push(ConfigWarning::new(name, message));
            }
        }
        let idle_ms: i64 = reader.parsed("connections.max.idle.ms");
        Self {
            bootstrap_servers: addresses
                .collect::<Result<_, _>>()
                .expect("the catalog accepted the addresses"),
            client_id: reader.text("client.id"),
            client_rack: reader.text("client.rack"),
            dns_lookup: reader.parsed("client.dns.lookup"),
            address_family: reader.parsed("broker.address.family"),
            metadata_max_age: reader.millis("metadata.max.age.ms"),
            metadata_recovery_strategy: reader.parsed("metadata.recovery.strategy"),
            rebootstrap_trigger: reader.millis("metadata.recovery.rebootstrap.trigger.ms"),
            request_timeout: reader.millis("request.timeout.ms"),
            default_api_timeout: reader.millis("default.api.timeout.ms"),
            retry_backoff,
            reconnect_backoff,
            connection_setup_timeout: setup,
            connection_setup_timeout_max: setup_max,
            connections_max_idle: u64::try_from(idle_ms).ok().filter(|&ms| ms > 0).map(Duration::from_millis),
            send_buffer_bytes: reader.bytes_or_systems("send.buffer.bytes"),
            receive_buffer_bytes: reader.bytes_or_systems("receive.buffer.bytes"),
            tcp_keepalive: reader.flag("socket.keepalive.enable"),
            response_bytes_max: reader.parsed("receive.message.max.bytes"),
            metrics: Sampling {
                window: reader.millis("metrics.sample.window.ms"),
                samples: reader.parsed("metrics.num.samples"),
            },
            enable_metrics_push: reader.flag("enable.metrics.push"),
            security: SecurityProperties::read(reader, errors, &mut warnings),
            warnings,
        }
    }
}
