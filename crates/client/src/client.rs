//! One client of one cluster: what producers, consumers and administration share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_protocol::messages::FindCoordinatorRequest;
use milena_protocol::{ErrorCode, Request};

use crate::Address;
use crate::config::ClientConfig;
use crate::connection::{self, ApiVersions, Connection, ConnectionError, ConnectionWatch, RequestError};
use crate::env::{Env, Task};
use crate::metadata::{self, Broker, MetadataHandle};
use crate::metrics::{ClientKind, Metrics, Shielded, Snapshot};
use crate::pool::BrokerPool;

/// A client of one cluster; cheap to clone. Its metadata task ends with the last clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    env: Env,
    config: Arc<ClientConfig>,
    metadata: MetadataHandle,
    pool: Arc<BrokerPool>,
    metrics: Metrics,
    /// The moment from which the metrics count time.
    started_at: Instant,
    _metadata_task: Task,
}

/// Which broker a request goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Any broker.
    Any,
    /// The controller, where brokers tell one; any broker otherwise, which forwards (KIP-590).
    Controller,
    /// The broker with this node id.
    Node(i32),
    /// The coordinator of a group.
    GroupCoordinator(String),
    /// The coordinator of a transactional id.
    TransactionCoordinator(String),
}

/// `key_type` of FindCoordinator.
const COORDINATOR_GROUP: i8 = 0;
const COORDINATOR_TRANSACTION: i8 = 1;

impl Client {
    /// Connects to the cluster and learns its brokers.
    ///
    /// # Errors
    /// No bootstrap server answered; each was tried once.
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn connect(config: ClientConfig, env: Env) -> Result<Self, RequestError> {
        let client = Self::new(config, env);
        client.inner.metadata.first_attempt().await?;
        Ok(client)
    }

    /// A client that connects in the background and keeps trying for as long as it lives.
    pub fn new(mut config: ClientConfig, env: Env) -> Self {
        config.observer = config.observer.map(Shielded::shield);
        let config = Arc::new(config);
        let metrics = Metrics::new(config.metrics_sampling);
        let started_at = env.now();
        let watch = ConnectionWatch::new(&env, &metrics, &config, started_at, ClientKind::Admin);
        let pool = Arc::new(BrokerPool::new(env.clone(), config.clone(), watch));
        let metadata = MetadataHandle::new(env.clone(), &config);
        let observer = config.observer.clone();
        let metadata_task = env.spawn(metadata::run(metadata.clone(), pool.clone(), observer));
        let inner = Inner { env, config, metadata, pool, metrics, started_at, _metadata_task: metadata_task };
        Self { inner: Arc::new(inner) }
    }

    /// The door to time, randomness, sockets and tasks.
    pub fn env(&self) -> &Env {
        &self.inner.env
    }

    /// The configuration.
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// What is known of the cluster.
    pub fn metadata(&self) -> &MetadataHandle {
        &self.inner.metadata
    }

    /// Where the parts of this client register their numbers.
    pub fn metrics_registry(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// All numbers of this client and of everything that was made from it, as they are now.
    pub fn metrics(&self) -> Snapshot {
        self.inner.metrics.snapshot(self.metrics_time(self.env().now()))
    }

    /// `now` as the metrics count it: since the client was made.
    pub fn metrics_time(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.inner.started_at)
    }

    /// Opens a connection of the caller's own.
    ///
    /// # Errors
    /// As [`connection::open`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream.
    pub async fn open_connection<T>(&self, address: &Address) -> Result<Connection<T>, ConnectionError> {
        connection::open(&self.inner.env, &self.inner.config.connection, address).await
    }

    /// As [`Self::open_connection`], after `failures` attempts in a row that failed: each gives the next one more time.
    ///
    /// # Errors
    /// As [`connection::open`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream.
    pub async fn open_connection_after<T>(
        &self,
        address: &Address,
        failures: u32,
    ) -> Result<Connection<T>, ConnectionError> {
        connection::open_after(&self.inner.env, &self.inner.config.connection, address, failures).await
    }

    /// What counts the connections of one part of this client, a producer, a consumer, in the metrics, and tells the observer of
    /// them; for [`Self::open_watched`]. The shared connections, over which metadata and administration go, are counted as
    /// [`ClientKind::Admin`].
    pub fn watch_connections(&self, kind: ClientKind) -> ConnectionWatch {
        let Inner { env, config, metrics, started_at, .. } = &*self.inner;
        ConnectionWatch::new(env, metrics, config, *started_at, kind)
    }

    /// Opens a connection of the caller's own to `broker`, after `failures` attempts in a row that failed, and tells `watch` what
    /// becomes of it.
    ///
    /// # Errors
    /// As [`connection::open`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream.
    pub async fn open_watched<T>(
        &self,
        watch: &ConnectionWatch,
        broker: &Broker,
        failures: u32,
    ) -> Result<Connection<T>, ConnectionError> {
        let (env, config) = (&self.inner.env, &self.inner.config.connection);
        connection::open_watched(watch, Some(broker.node_id), env, config, &broker.address, failures).await
    }

    /// Sends one request over the shared connection to `address`, in the highest common version; no retry.
    ///
    /// # Errors
    /// See [`RequestError`]; error codes inside the response are the caller's.
    ///
    /// # Cancel safety
    /// A dropped future's request may have been sent; its answer is dropped.
    pub async fn request_to<R: Request>(
        &self,
        address: &Address,
        request: R,
    ) -> Result<R::Response, RequestError> {
        self.request_prepared(address, |versions| {
            let version = versions.choose::<R>()?;
            Ok((request, version))
        })
        .await
    }

    /// As [`Self::request_to`], for requests whose content or version depends on what the broker speaks.
    ///
    /// # Errors
    /// See [`RequestError`]; error codes inside the response are the caller's.
    ///
    /// # Cancel safety
    /// A dropped future's request may have been sent; its answer is dropped.
    pub async fn request_prepared<R: Request>(
        &self,
        address: &Address,
        prepare: impl FnOnce(&ApiVersions) -> Result<(R, i16), RequestError> + Send + 'static,
    ) -> Result<R::Response, RequestError> {
        self.request_versioned(address, prepare).await.map(|(_, response)| response)
    }

    /// As [`Self::request_prepared`], for answers that mean something else in some versions: tells the version too.
    ///
    /// # Errors
    /// See [`RequestError`]; error codes inside the response are the caller's.
    ///
    /// # Cancel safety
    /// A dropped future's request may have been sent; its answer is dropped.
    pub async fn request_versioned<R: Request>(
        &self,
        address: &Address,
        prepare: impl FnOnce(&ApiVersions) -> Result<(R, i16), RequestError> + Send + 'static,
    ) -> Result<(i16, R::Response), RequestError> {
        self.inner.pool.request(address, prepare).await
    }

    /// Sends `request` to `target` until it succeeds, fails for good, or `timeout` is over.
    ///
    /// `judge` looks at each answer: `Err` with a retriable error makes another attempt, after the back-off and with the target
    /// looked up again. Attempts follow the loss of a connection too, so `request` must be one that may be carried out twice.
    ///
    /// # Errors
    /// The last attempt's error, in [`RequestError::Timeout`] when the time was up.
    ///
    /// # Cancel safety
    /// A dropped future's request may have been sent; its answer is dropped.
    pub async fn call<R: Request>(
        &self,
        target: Target,
        request: R,
        timeout: Duration,
        judge: impl Fn(&R::Response) -> Result<(), RequestError> + Send + Sync,
    ) -> Result<R::Response, RequestError> {
        let attempt = || async {
            let address = self.resolve(&target).await?;
            let response = self.request_to(&address, request.clone()).await?;
            judge(&response)?;
            Ok(response)
        };
        self.retry(R::KEY.name(), timeout, attempt).await
    }

    /// Repeats `attempt` after retriable errors, with back-off, until `timeout` is over.
    ///
    /// # Errors
    /// The last attempt's error, in [`RequestError::Timeout`] when the time was up.
    ///
    /// # Cancel safety
    /// As that of `attempt`.
    pub async fn retry<T, F>(
        &self,
        operation: &'static str,
        timeout: Duration,
        mut attempt: impl FnMut() -> F + Send,
    ) -> Result<T, RequestError>
    where
        F: Future<Output = Result<T, RequestError>> + Send,
    {
        let env = self.env();
        let deadline = env.deadline_after(timeout);
        let gave_up = |last: Option<RequestError>| RequestError::Timeout {
            api: operation,
            after: timeout,
            last: last.map(Box::new),
        };
        let mut failures = 0;
        let mut last = None;
        loop {
            let error = match env.timeout_at(deadline, attempt()).await {
                None => return Err(gave_up(last)),
                Some(Ok(value)) => return Ok(value),
                Some(Err(error)) if !error.is_retriable() => return Err(error),
                Some(Err(error)) => error,
            };
            failures += 1;
            self.inner.metadata.request_update();
            let wait = self.inner.config.retry_backoff.delay(failures, env.random_unit());
            if env.deadline_after(wait) >= deadline {
                return Err(gave_up(Some(error)));
            }
            tracing::debug!(operation, failures, %error, "attempt failed");
            last = Some(error);
            env.sleep(wait).await;
        }
    }

    /// The address of a target, looked up anew for coordinators.
    ///
    /// # Errors
    /// It is not known now; [`Self::retry`] asks again.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn resolve(&self, target: &Target) -> Result<Address, RequestError> {
        match target {
            Target::Any => self.any_address(),
            Target::Controller => {
                let metadata = self.inner.metadata.current();
                let controller = metadata.controller_id.and_then(|node_id| metadata.brokers.get(&node_id));
                controller.map_or_else(|| self.any_address(), |broker| Ok(broker.address.clone()))
            }
            Target::Node(node_id) => {
                let metadata = self.inner.metadata.current();
                let broker = metadata.brokers.get(node_id);
                broker
                    .map(|broker| broker.address.clone())
                    .ok_or_else(|| RequestError::NoBroker(format!("node {node_id} is not in the metadata")))
            }
            Target::GroupCoordinator(group) => self.find_coordinator(COORDINATOR_GROUP, group).await,
            Target::TransactionCoordinator(id) => self.find_coordinator(COORDINATOR_TRANSACTION, id).await,
        }
    }

    /// The broker that most likely answers soon (Java: `NetworkClient.leastLoadedNode`).
    fn any_address(&self) -> Result<Address, RequestError> {
        let metadata = self.inner.metadata.current();
        let addresses = match metadata.brokers.is_empty() {
            true => self.inner.config.bootstrap.clone(),
            false => metadata.brokers.values().map(|broker| broker.address.clone()).collect(),
        };
        let mut candidates = self.inner.pool.most_promising_first(addresses).into_iter();
        candidates.next().ok_or_else(|| RequestError::NoBroker("bootstrap.servers is empty".to_owned()))
    }

    /// Asks any broker who coordinates `key`: in one field before version 4, in lists since (KIP-699).
    async fn find_coordinator(&self, key_type: i8, key: &str) -> Result<Address, RequestError> {
        const LISTS_SINCE: i16 = 4;
        let asked = key.to_owned();
        let answer = self
            .request_prepared::<FindCoordinatorRequest>(&self.any_address()?, move |versions| {
                let version = versions.choose::<FindCoordinatorRequest>()?;
                let mut request = FindCoordinatorRequest { key_type, ..Default::default() };
                if version >= LISTS_SINCE {
                    request.coordinator_keys = vec![asked.into()];
                } else {
                    request.key = asked.into();
                }
                Ok((request, version))
            })
            .await?;
        let (code, message, host, port) = match answer.coordinators.into_iter().next() {
            Some(coordinator) => {
                (coordinator.error_code, coordinator.error_message, coordinator.host, coordinator.port)
            }
            None => (answer.error_code, answer.error_message, answer.host, answer.port),
        };
        if code != ErrorCode::None {
            let message = message.map_or_else(|| key.to_owned(), |text| format!("{key}: {text}"));
            return Err(RequestError::Broker { api: "FindCoordinator", code, message: Some(message) });
        }
        let port = u16::try_from(port)
            .map_err(|_| RequestError::NoBroker(format!("the coordinator of {key} has port {port}")))?;
        Ok(Address::new(&*host, port))
    }

    /// The deadline of an operation that begins now with the default timeout.
    pub fn default_deadline(&self) -> Instant {
        self.env().deadline_after(self.config().default_api_timeout)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("bootstrap", &self.inner.config.bootstrap).finish_non_exhaustive()
    }
}
