//! How a cluster for a test is put together.

use std::io;

use super::{Clock, Cluster, StartError, TopicSpec};

/// How many replicas topics have by default, if there are so many nodes.
const REPLICAS_MAX: usize = 3;

/// A cluster in the making; see [`Cluster::builder`].
#[derive(Debug)]
#[must_use = "a cluster exists once it is started"]
pub struct ClusterBuilder {
    broker: milena_broker::ClusterBuilder,
    nodes: usize,
    configs: Vec<(String, String)>,
    seed: u64,
    start_time_ms: Option<i64>,
    has_tcp: bool,
}

impl ClusterBuilder {
    pub(super) fn new() -> Self {
        let broker = milena_broker::Cluster::builder();
        Self { broker, nodes: 1, configs: Vec::new(), seed: 0, start_time_ms: None, has_tcp: false }
    }

    /// How many nodes there are, with ids from 1. Default 1, at most 100.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// The nodes' racks, in turn (`broker.rack`). Default none.
    pub fn racks<S: Into<String>>(mut self, racks: impl IntoIterator<Item = S>) -> Self {
        self.broker = self.broker.racks(racks);
        self
    }

    /// Has a topic exist from the start. Others are created when they are first used, with one partition, unless
    /// `auto.create.topics.enable` is false.
    pub fn topic(mut self, topic: TopicSpec) -> Self {
        self.broker = self.broker.topic(topic);
        self
    }

    /// Sets a broker's configuration by Kafka's name, such as `num.partitions`; an unknown name is an error at start.
    ///
    /// The defaults are Kafka's but for one: where topics do not say how many replicas they have (`default.replication.factor`), each
    /// node has one, up to three, so that they survive a node.
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.push((name.into(), value.into()));
        self
    }

    /// Where all randomness comes from: placement and ids in the cluster, the probabilities of faults, the clients' jitter. Default 0,
    /// so that every run is like the last one.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What the wall clock of the cluster and its clients shows at the start, in milliseconds since 1970. Default: what the machine's
    /// does. It goes on with tokio's clock in any case.
    pub fn start_time_ms(mut self, start_time_ms: i64) -> Self {
        self.start_time_ms = Some(start_time_ms);
        self
    }

    /// Listens on 127.0.0.1, at ports that the system gives, for clients elsewhere and of other makes; [`Cluster::kafka`] connects over
    /// TCP, too. Default: connections are in memory, and nothing outside of this process can tell that there is a cluster.
    ///
    /// It needs the real clock: a virtual one does not wait for sockets.
    pub fn tcp(mut self) -> Self {
        self.has_tcp = true;
        self
    }

    /// Starts the cluster. It is ready when this returns, within milliseconds.
    ///
    /// # Errors
    /// When a configuration or topic is invalid, and for a cluster with sockets ([`tcp`](Self::tcp)) on a virtual clock.
    ///
    /// # Cancel safety
    /// Safe: a cluster that is not returned is stopped.
    pub async fn start(self) -> Result<Cluster, StartError> {
        let clock = Clock::start(self.start_time_ms);
        if self.has_tcp && clock.is_virtual() {
            let why = "a virtual clock does not wait for sockets; leave out tcp(), or start_paused";
            return Err(StartError::Listen(io::Error::new(io::ErrorKind::Unsupported, why)));
        }
        let replicas = self.nodes.clamp(1, REPLICAS_MAX).to_string();
        let mut broker = self.broker.nodes(self.nodes).seed(self.seed).start_time_ms(clock.timestamp_ms());
        if !self.has_tcp {
            broker = broker.in_memory();
        }
        broker = broker.config("default.replication.factor", replicas);
        for (name, value) in self.configs {
            broker = broker.config(name, value);
        }
        Ok(Cluster::started(broker.start().await?, clock, self.seed, self.has_tcp))
    }
}
