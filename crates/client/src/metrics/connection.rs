use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::sensor::{Scope, Sensor, Stat, sensors};
use super::{Metric, MetricSource, Metrics, Sampling, Tags};

sensors! {
    /// Java: `Selector.SelectorMetrics`.
    struct ConnectionSensors {
        closed: [
            (Rate, "connection-close-rate", "connections closed per second"),
            (Total, "connection-close-total", "connections closed"),
        ],
        created: [
            (Rate, "connection-creation-rate", "connections established per second"),
            (Total, "connection-creation-total", "connections established"),
        ],
        authenticated: [
            (Rate, "successful-authentication-rate", "connections authenticated per second"),
            (Total, "successful-authentication-total", "connections authenticated"),
        ],
        authentication_failed: [
            (Rate, "failed-authentication-rate", "connections refused by authentication per second"),
            (Total, "failed-authentication-total", "connections refused by authentication"),
        ],
        reauthenticated: [
            (Rate, "successful-reauthentication-rate", "connections authenticated anew per second"),
            (Total, "successful-reauthentication-total", "connections authenticated anew"),
        ],
        reauthentication_failed: [
            (Rate, "failed-reauthentication-rate", "connections refused when authenticating anew, per second"),
            (Total, "failed-reauthentication-total", "connections refused when authenticating anew"),
        ],
        reauthentication_latency: [
            (Avg, "reauthentication-latency-avg", "mean time to authenticate anew, in ms"),
            (Max, "reauthentication-latency-max", "longest time to authenticate anew, in ms"),
        ],
        network_io: [
            (EventRate, "network-io-rate", "requests written and responses read per second"),
            (EventTotal, "network-io-total", "requests written and responses read"),
        ],
    }
}

sensors! {
    /// What goes over connections: all of a client's, or those to one broker.
    struct TrafficSensors {
        requests: [
            (EventRate, "request-rate", "requests sent per second"),
            (EventTotal, "request-total", "requests sent"),
            (Avg, "request-size-avg", "mean size of a request, in bytes"),
            (Max, "request-size-max", "size of the largest request, in bytes"),
            (Rate, "outgoing-byte-rate", "bytes sent per second"),
            (Total, "outgoing-byte-total", "bytes sent"),
        ],
        responses: [
            (EventRate, "response-rate", "responses received per second"),
            (EventTotal, "response-total", "responses received"),
            (Rate, "incoming-byte-rate", "bytes received per second"),
            (Total, "incoming-byte-total", "bytes received"),
        ],
    }
}

sensors! {
    /// Of one broker only: a producer's `request-latency-*` is that of its produce requests.
    struct LatencySensors {
        latency: [
            (Avg, "request-latency-avg", "mean time from a request to its response, in ms"),
            (Max, "request-latency-max", "longest time from a request to its response, in ms"),
        ],
    }
}

/// Whose connections they are: the prefix of the metrics' group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientKind {
    /// `producer-metrics`, `producer-node-metrics`.
    Producer,
    /// `consumer-metrics`, `consumer-node-metrics`.
    Consumer,
    /// `admin-client-metrics`, `admin-client-node-metrics`.
    Admin,
}

impl ClientKind {
    fn groups(self) -> (&'static str, &'static str) {
        match self {
            ClientKind::Producer => ("producer-metrics", "producer-node-metrics"),
            ClientKind::Consumer => ("consumer-metrics", "consumer-node-metrics"),
            ClientKind::Admin => ("admin-client-metrics", "admin-client-node-metrics"),
        }
    }
}

/// What goes over a client's connections, in all and by broker.
///
/// Sizes are those of whole frames, their length prefix included.
#[derive(Debug)]
pub struct ConnectionMetrics {
    scope: Scope,
    node_group: &'static str,
    sampling: Sampling,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    open: u64,
    connections: ConnectionSensors,
    traffic: TrafficSensors,
    nodes: BTreeMap<i32, Node>,
}

#[derive(Debug)]
struct Node {
    scope: Scope,
    traffic: TrafficSensors,
    latency: LatencySensors,
}

impl ConnectionMetrics {
    /// Metrics under the tag `client-id`, shown by `metrics` for as long as this lives.
    pub fn new(metrics: &Metrics, kind: ClientKind, client_id: &str) -> Arc<Self> {
        let sampling = metrics.sampling();
        let (group, node_group) = kind.groups();
        let this = Arc::new(Self {
            scope: Scope { group, tags: Tags::new([("client-id", client_id.into())]) },
            node_group,
            sampling,
            state: Mutex::new(State {
                open: 0,
                connections: ConnectionSensors::new(sampling),
                traffic: TrafficSensors::new(sampling),
                nodes: BTreeMap::new(),
            }),
        });
        metrics.register(&this);
        this
    }

    /// A connection was established.
    pub fn record_connection_created(&self, now: Duration) {
        let mut state = self.state();
        state.open += 1;
        state.connections.created.record(now, 1.0);
    }

    /// An established connection was closed, by either side.
    pub fn record_connection_closed(&self, now: Duration) {
        let mut state = self.state();
        state.open = state.open.saturating_sub(1);
        state.connections.closed.record(now, 1.0);
    }

    /// A connection authenticated itself for the first time, or was refused.
    pub fn record_authentication(&self, now: Duration, successful: bool) {
        let connections = &mut self.state().connections;
        let sensor =
            if successful { &mut connections.authenticated } else { &mut connections.authentication_failed };
        sensor.record(now, 1.0);
    }

    /// A connection authenticated itself anew within `latency`, or was refused (KIP-368).
    pub fn record_reauthentication(&self, now: Duration, latency: Duration, successful: bool) {
        let connections = &mut self.state().connections;
        connections.reauthentication_latency.record_ms(now, latency);
        let sensor = if successful {
            &mut connections.reauthenticated
        } else {
            &mut connections.reauthentication_failed
        };
        sensor.record(now, 1.0);
    }

    /// A request of `bytes` was written, to broker `node` unless the connection is a bootstrap one.
    pub fn record_request_sent(&self, now: Duration, node: Option<i32>, bytes: usize) {
        let mut state = self.state();
        state.connections.network_io.record(now, 1.0);
        state.traffic.requests.record(now, bytes as f64);
        if let Some(node) = node {
            state.node(node, self).traffic.requests.record(now, bytes as f64);
        }
    }

    /// A response of `bytes` was read, `latency` after its request.
    pub fn record_response_received(
        &self,
        now: Duration,
        node: Option<i32>,
        bytes: usize,
        latency: Duration,
    ) {
        let mut state = self.state();
        state.connections.network_io.record(now, 1.0);
        state.traffic.responses.record(now, bytes as f64);
        if let Some(node) = node {
            let node = state.node(node, self);
            node.traffic.responses.record(now, bytes as f64);
            node.latency.latency.record_ms(now, latency);
        }
    }

    /// Drops the metrics of a broker that left the cluster.
    pub fn forget_node(&self, node: i32) {
        self.state().nodes.remove(&node);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn node(&mut self, node: i32, metrics: &ConnectionMetrics) -> &mut Node {
        self.nodes.entry(node).or_insert_with(|| Node {
            scope: Scope {
                group: metrics.node_group,
                tags: metrics.scope.tags.with("node-id", format!("node-{node}")),
            },
            traffic: TrafficSensors::new(metrics.sampling),
            latency: LatencySensors::new(metrics.sampling),
        })
    }
}

impl MetricSource for ConnectionMetrics {
    fn collect(&self, now: Duration, out: &mut Vec<Metric>) {
        let mut state = self.state();
        out.push(Metric {
            group: self.scope.group,
            name: "connection-count",
            tags: self.scope.tags.clone(),
            value: state.open as f64,
            description: "connections that are open",
        });
        state.connections.collect(&self.scope, now, out);
        state.traffic.collect(&self.scope, now, out);
        for node in state.nodes.values_mut() {
            node.traffic.collect(&node.scope, now, out);
            node.latency.collect(&node.scope, now, out);
        }
    }
}
