//! How a [`Kafka`] handle is made.

use std::sync::Arc;
use std::time::Duration;

use milena_client::env::TcpConnector;
use milena_client::metrics::{Observer, Sampling};
use milena_client::{Address, Backoff, Client, ClientConfig, Env, MetadataRecovery};

use crate::Kafka;
use crate::config::{ClientProperties, ConfigWarning, Properties};
use crate::error::{ConnectError, Unsupported};
use crate::settings;

/// A [`Kafka`] handle in the making; see [`Kafka::builder`]. Defaults are those of Kafka's Java client 4.3.
#[must_use = "a builder does nothing until it connects"]
pub struct KafkaBuilder {
    bootstrap: Result<Vec<Address>, milena_client::AddressError>,
    config: ClientConfig,
    observers: Vec<Arc<dyn Observer>>,
    connector: TcpConnector,
    env: Option<Env>,
    properties: Option<Arc<ClientProperties>>,
    warnings: Vec<ConfigWarning>,
}

impl KafkaBuilder {
    pub(crate) fn new(bootstrap: &str) -> Self {
        Self {
            bootstrap: Address::parse_list(bootstrap),
            config: ClientConfig::new(Vec::new()),
            observers: Vec::new(),
            connector: TcpConnector::default(),
            env: None,
            properties: None,
            warnings: Vec::new(),
        }
    }

    pub(crate) fn from_properties(properties: &Properties) -> Result<Self, ConnectError> {
        let properties = properties.resolve()?;
        settings::check_security(&properties)?;
        let common = properties.common()?;
        let mut warnings = [properties.warnings(), &common.warnings].concat();
        warnings.extend(settings::without_effect(&properties));
        let config = settings::client_config(&common)?;
        let bootstrap = match config.bootstrap.is_empty() {
            true => Err(Unsupported {
                property: "bootstrap.servers",
                asked: "no broker".to_owned(),
                instead: "give one or more as host:port",
            })?,
            false => Ok(config.bootstrap.clone()),
        };
        Ok(Self {
            bootstrap,
            connector: settings::connector(&properties, &common),
            config,
            observers: Vec::new(),
            env: None,
            properties: Some(Arc::new(properties)),
            warnings,
        })
    }

    /// What the properties say that has no effect, or another one than it seems. [`connect`](Self::connect) logs it, too.
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.warnings
    }

    /// The name under which brokers log, count and limit this client. Default none. Kafka: `client.id`.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.config.connection.client_id = Some(client_id.into().into());
        self
    }

    /// How long a broker may take to answer. Default 30 s. Kafka: `request.timeout.ms`.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.config.connection.request_timeout = timeout;
        self
    }

    /// The bound of operations that are tried again, such as those of [`Kafka::admin`]. Default 60 s. Kafka:
    /// `default.api.timeout.ms`.
    pub fn default_api_timeout(mut self, timeout: Duration) -> Self {
        self.config.default_api_timeout = timeout;
        self
    }

    /// How long opening a connection may take: `first` at first, doubled at each failure up to `max` (KIP-601). Default 10 s and
    /// 30 s. Kafka: `socket.connection.setup.timeout.ms`, `socket.connection.setup.timeout.max.ms`.
    pub fn connection_setup_timeout(mut self, first: Duration, max: Duration) -> Self {
        self.config.connection.setup_timeout = first;
        self.config.connection.setup_timeout_max = max;
        self
    }

    /// How long an unused connection is kept. Default 9 min. Kafka: `connections.max.idle.ms`.
    pub fn connections_max_idle(mut self, idle: Duration) -> Self {
        self.config.connections_max_idle = idle;
        self
    }

    /// The wait between two attempts at a request: from `initial`, doubling up to `max`, with jitter. Default 100 ms to 1 s.
    /// Kafka: `retry.backoff.ms`, `retry.backoff.max.ms` (KIP-580).
    pub fn retry_backoff(mut self, initial: Duration, max: Duration) -> Self {
        self.config.retry_backoff = Backoff::new(initial, max);
        self
    }

    /// The wait between two attempts to connect to a broker. Default 50 ms to 1 s. Kafka: `reconnect.backoff.ms`,
    /// `reconnect.backoff.max.ms`.
    pub fn reconnect_backoff(mut self, initial: Duration, max: Duration) -> Self {
        self.config.reconnect_backoff = Backoff::new(initial, max);
        self
    }

    /// When metadata are asked for again even if nothing seems to have changed. Default 5 min. Kafka: `metadata.max.age.ms`.
    pub fn metadata_max_age(mut self, age: Duration) -> Self {
        self.config.metadata_max_age = age;
        self
    }

    /// What to do when no known broker answers. Default: ask the bootstrap servers again. Kafka: `metadata.recovery.strategy`
    /// (KIP-899, KIP-1102).
    pub fn metadata_recovery(mut self, recovery: MetadataRecovery) -> Self {
        self.config.metadata_recovery = recovery;
        self
    }

    /// The longest response that is accepted, in bytes. Default 100,000,000. librdkafka: `receive.message.max.bytes`.
    pub fn response_bytes_max(mut self, bytes: usize) -> Self {
        self.config.connection.response_bytes_max = bytes;
        self
    }

    /// The size of the kernel's send buffer. By default the kernel adapts it. Without effect beside [`env`](Self::env). Kafka:
    /// `send.buffer.bytes`.
    pub fn send_buffer_bytes(mut self, bytes: u32) -> Self {
        self.connector = self.connector.send_buffer_bytes(bytes);
        self
    }

    /// The size of the kernel's receive buffer. By default the kernel adapts it. Without effect beside [`env`](Self::env). Kafka:
    /// `receive.buffer.bytes`.
    pub fn receive_buffer_bytes(mut self, bytes: u32) -> Self {
        self.connector = self.connector.receive_buffer_bytes(bytes);
        self
    }

    /// Over how much time the averages and rates of [`Kafka::metrics`] go. Default two samples of 30 s. Kafka:
    /// `metrics.sample.window.ms`, `metrics.num.samples`.
    pub fn metrics_sampling(mut self, sampling: Sampling) -> Self {
        self.config.metrics_sampling = sampling;
        self
    }

    /// Adds somebody who is told of connections, requests and batches. Default nobody.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Where time, random numbers, sockets and tasks come from. Default [`Env::system`]; tests give their own.
    pub fn env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// Connects, and learns the cluster's brokers.
    ///
    /// # Errors
    /// See [`ConnectError`]: the address list is malformed, or no broker answered when each had been tried once.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn connect(self) -> Result<Kafka, ConnectError> {
        let (config, env, properties) = self.prepare()?;
        Ok(Kafka::new(Client::connect(config, env).await?, properties))
    }

    /// A handle that connects in the background, and keeps trying for as long as it lives: for services that start before their
    /// cluster. Call it within a tokio runtime.
    ///
    /// # Errors
    /// The address list is malformed.
    pub fn connect_in_background(self) -> Result<Kafka, ConnectError> {
        let (config, env, properties) = self.prepare()?;
        Ok(Kafka::new(Client::new(config, env), properties))
    }

    fn prepare(self) -> Result<(ClientConfig, Env, Option<Arc<ClientProperties>>), ConnectError> {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        let mut config = self.config;
        config.bootstrap = self.bootstrap?;
        config.observer = match self.observers.len() {
            0 => None,
            1 => self.observers.into_iter().next(),
            _ => Some(Arc::new(self.observers)),
        };
        let env = self.env.unwrap_or_else(|| Env::builder().connector(self.connector).build());
        Ok((config, env, self.properties))
    }
}

impl std::fmt::Debug for KafkaBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
