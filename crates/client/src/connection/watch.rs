//! Telling metrics, observer and tracing what becomes of connections and requests.

use std::fmt::Display;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use milena_protocol::ApiKey;

use crate::env::Env;
use crate::metrics::{
    ClientKind, Connected, ConnectionMetrics, Disconnected, Metrics, Observer, RequestCompleted, Throttled,
};
use crate::{Address, ClientConfig};

/// Where the events of one owner's connections are counted and told; cheap to clone.
#[derive(Clone)]
pub struct ConnectionWatch {
    env: Env,
    metrics: Arc<ConnectionMetrics>,
    observer: Option<Arc<dyn Observer>>,
    /// The moment from which metrics count time.
    started_at: Instant,
}

impl ConnectionWatch {
    pub(crate) fn new(
        env: &Env,
        metrics: &Metrics,
        config: &ClientConfig,
        started_at: Instant,
        kind: ClientKind,
    ) -> Self {
        let client_id = config.connection.client_id.as_deref().unwrap_or_default();
        let metrics = ConnectionMetrics::new(metrics, kind, client_id);
        Self { env: env.clone(), metrics, observer: config.observer.clone(), started_at }
    }

    /// Drops the numbers of a broker that left the cluster.
    pub fn forget_node(&self, node_id: i32) {
        self.metrics.forget_node(node_id);
    }

    /// A connection got ready, `took` after the attempt began.
    pub(super) fn connected(&self, address: &Address, node_id: Option<i32>, took: Duration) -> Watched {
        let watched = Watched {
            watch: self.clone(),
            address: address.to_string(),
            node_id,
            in_flight: 0,
            end: OnceLock::new(),
        };
        self.metrics.record_connection_created(watched.now());
        if let Some(observer) = &self.observer {
            observer.on_connected(&Connected { address: &watched.address, node: node_id, took });
        }
        watched
    }
}

impl std::fmt::Debug for ConnectionWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConnectionWatch")
    }
}

/// One connection's side of a [`ConnectionWatch`]; its end is that of the connection.
pub(super) struct Watched {
    watch: ConnectionWatch,
    address: String,
    node_id: Option<i32>,
    in_flight: usize,
    /// What broke the connection, first of all.
    end: OnceLock<String>,
}

/// A request as it is told of.
#[derive(Clone, Copy)]
pub(super) struct WatchedRequest {
    pub(super) api: ApiKey,
    pub(super) version: i16,
    pub(super) bytes: usize,
}

impl Watched {
    fn now(&self) -> Duration {
        self.watch.env.now().saturating_duration_since(self.watch.started_at)
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.watch.metrics.record_request_sent(self.now(), self.node_id, bytes);
    }

    /// An answer to the request that was just sent will come.
    pub(super) fn expects_answer(&mut self) {
        self.in_flight += 1;
    }

    pub(super) fn answered(&mut self, request: WatchedRequest, bytes: usize, latency: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.watch.metrics.record_response_received(self.now(), self.node_id, bytes, latency);
        self.completed(request, Some(bytes), latency);
    }

    /// The connection ended before the answer came.
    pub(super) fn lost(&self, request: WatchedRequest, latency: Duration) {
        self.completed(request, None, latency);
    }

    fn completed(&self, request: WatchedRequest, response_bytes: Option<usize>, latency: Duration) {
        if let Some(observer) = &self.watch.observer {
            observer.on_request_completed(&RequestCompleted {
                address: &self.address,
                node: self.node_id,
                api: request.api.name(),
                api_version: request.version,
                request_bytes: request.bytes,
                response_bytes,
                latency,
            });
        }
    }

    pub(super) fn throttled(&self, api: ApiKey, throttle_time: Duration) {
        if let Some(observer) = &self.watch.observer {
            let (address, node, api) = (self.address.as_str(), self.node_id, api.name());
            observer.on_throttled(&Throttled { address, node, api, throttle_time });
        }
    }

    pub(super) fn broken(&self, reason: &impl Display) {
        self.end.get_or_init(|| reason.to_string());
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.metrics.record_connection_closed(self.now());
        if let Some(observer) = &self.watch.observer {
            let reason: &(dyn Display + Sync) = match self.end.get() {
                Some(reason) => reason,
                None => &"closed by this client",
            };
            let (address, node, requests_lost) = (self.address.as_str(), self.node_id, self.in_flight);
            observer.on_disconnected(&Disconnected { address, node, requests_lost, reason });
        }
    }
}
