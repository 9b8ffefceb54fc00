//! How a cluster is put together.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use milena_protocol::ByteStr;
use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::config::{ConfigError, Configs};
use crate::fault::FaultTable;
use crate::group::Coordinator;
use crate::node::{Listener, Node};
use crate::rng::Rng;
use crate::shared::Shared;
use crate::state::{ClusterState, Features, NewTopic, NodeInfo};
use crate::{Cluster, NodeId, StartError};

/// The port of the first node of a cluster that has no sockets; the others follow.
const FIRST_PORT_IN_MEMORY: u16 = 9092;
/// More nodes than anybody needs in one process.
const NODES_MAX: usize = 100;

/// A cluster in the making; see [`Cluster::builder`].
#[derive(Debug)]
#[must_use = "a cluster exists once it is started"]
pub struct ClusterBuilder {
    nodes: usize,
    racks: Vec<String>,
    ports: Ports,
    topics: Vec<TopicSpec>,
    configs: Vec<(String, String)>,
    features: Vec<(String, i16)>,
    seed: u64,
    start_time_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
enum Ports {
    /// No sockets.
    InMemory,
    /// Whatever the system gives.
    Ephemeral,
    /// This one for the first node, the next one for the next.
    From(u16),
}

/// A topic that exists from the start; see also [`Cluster::create_topic`].
#[derive(Debug, Clone)]
#[must_use]
pub struct TopicSpec {
    name: String,
    partitions: i32,
    replication_factor: i16,
    assignments: Vec<Vec<NodeId>>,
    configs: Vec<(String, String)>,
}

impl ClusterBuilder {
    pub(crate) fn new() -> Self {
        Self {
            nodes: 1,
            racks: Vec::new(),
            ports: Ports::Ephemeral,
            topics: Vec::new(),
            configs: Vec::new(),
            features: Vec::new(),
            seed: 0,
            start_time_ms: None,
        }
    }

    /// How many nodes there are, with ids from 1. Default 1, at most 100.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// The nodes' racks, in turn (`broker.rack`). Default none.
    pub fn racks<S: Into<String>>(mut self, racks: impl IntoIterator<Item = S>) -> Self {
        self.racks = racks.into_iter().map(Into::into).collect();
        self
    }

    /// Listens on 127.0.0.1 from this port on, one for each node. Default: ephemeral ports.
    pub fn port(mut self, first: u16) -> Self {
        self.ports = Ports::From(first);
        self
    }

    /// Listens on no socket: connections come from [`Cluster::connect`] only.
    pub fn in_memory(mut self) -> Self {
        self.ports = Ports::InMemory;
        self
    }

    /// Has a topic exist from the start.
    pub fn topic(mut self, topic: TopicSpec) -> Self {
        self.topics.push(topic);
        self
    }

    /// Sets a broker's configuration by Kafka's name, such as `num.partitions`; an unknown name is an error at start.
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.push((name.into(), value.into()));
        self
    }

    /// Starts with another level of a feature than a new cluster of Kafka 4.3 has (KIP-584), such as
    /// `transaction.version` 0 or 1 for transactions without an epoch bump at every end (KIP-890); an unknown name or
    /// level is an error at start.
    pub fn feature(mut self, name: impl Into<String>, level: i16) -> Self {
        self.features.push((name.into(), level));
        self
    }

    /// Has ACLs be stored and described; nothing enforces them yet. Without this, as by default in Kafka, requests
    /// about ACLs are answered with SECURITY_DISABLED. The same as `authorizer.class.name` with any value.
    pub fn store_acls(self) -> Self {
        self.config("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
    }

    /// Where ids, placement and the chances of faults come from. Default 0: every start is alike.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The wall clock at the start, in milliseconds since the epoch. Default: the machine's.
    pub fn start_time_ms(mut self, wall_ms: i64) -> Self {
        self.start_time_ms = Some(wall_ms);
        self
    }

    /// Starts the cluster. It is ready when this returns, within milliseconds.
    ///
    /// # Errors
    /// When a configuration or topic is invalid, or a port is taken.
    ///
    /// # Cancel safety
    /// Safe: a cluster that is not returned is stopped.
    pub async fn start(self) -> Result<Cluster, StartError> {
        if !(1..=NODES_MAX).contains(&self.nodes) {
            let message = format!("a cluster has 1 to {NODES_MAX} nodes, not {}", self.nodes);
            return Err(ConfigError::new(message).into());
        }
        let mut configs = Configs::default();
        for (name, value) in &self.configs {
            configs.start_with(name, value)?;
        }
        let mut features = Features::default();
        for (name, level) in &self.features {
            features.start_with(name, *level)?;
        }
        let mut seeds = Rng::from_seed(self.seed);
        let mut next_rng = || Rng::from_seed(seeds.next_u64());

        let (addresses, listeners) = self.bind().await?;
        let settings = configs.broker_settings(None);
        let mut nodes = Vec::new();
        let mut infos = Vec::new();
        for (index, address) in addresses.into_iter().enumerate() {
            let id = index as NodeId + 1;
            nodes.push(Arc::new(Node::new(id, address, &settings, next_rng())));
            infos.push(NodeInfo {
                node: id,
                host: ByteStr::from(address.ip().to_string()),
                port: address.port(),
                rack: self.rack(index),
                alive: true,
            });
        }
        let clock = self.start_time_ms.map_or_else(Clock::from_system, Clock::starting_at);
        let now_ms = clock.now_ms();
        let mut state = ClusterState::new(infos, configs, features, next_rng());
        for topic in self.topics {
            state.create_topic(&topic.into(), false, now_ms)?;
        }
        let faults = FaultTable::new(next_rng());
        let groups = Coordinator::new(next_rng());
        let shared = Arc::new(Shared::new(clock, state, nodes, groups, faults));
        let has_tcp = !matches!(self.ports, Ports::InMemory);
        for (node, tcp) in shared.nodes().iter().zip(listeners) {
            Listener::start(&shared, node, tcp);
        }
        Ok(Cluster::started(shared, has_tcp))
    }

    async fn bind(&self) -> io::Result<(Vec<SocketAddr>, Vec<Option<TcpListener>>)> {
        let mut addresses = Vec::new();
        let mut listeners = Vec::new();
        for index in 0..self.nodes as u16 {
            let at = |first: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, first.saturating_add(index)));
            let listener = match self.ports {
                Ports::InMemory => None,
                Ports::Ephemeral => Some(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?),
                Ports::From(first) => Some(TcpListener::bind(at(first)).await?),
            };
            addresses.push(match &listener {
                Some(listener) => listener.local_addr()?,
                None => at(FIRST_PORT_IN_MEMORY),
            });
            listeners.push(listener);
        }
        Ok((addresses, listeners))
    }

    fn rack(&self, index: usize) -> Option<ByteStr> {
        let turn = index.checked_rem(self.racks.len())?;
        self.racks.get(turn).map(|rack| rack.as_str().into())
    }
}

impl TopicSpec {
    /// A topic with the broker's default partitions and replication.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }

    /// How many partitions. Default `num.partitions`, which is 1.
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = partitions;
        self
    }

    /// How many replicas each partition has. Default `default.replication.factor`, which is 1.
    pub fn replication_factor(mut self, replication_factor: i16) -> Self {
        self.replication_factor = replication_factor;
        self
    }

    /// The replicas of each partition, the preferred leader first; instead of partitions and replication factor.
    pub fn assignments(mut self, assignments: impl Into<Vec<Vec<NodeId>>>) -> Self {
        self.assignments = assignments.into();
        self
    }

    /// Sets a topic's configuration by Kafka's name, such as `max.message.bytes`.
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.push((name.into(), value.into()));
        self
    }
}

impl From<TopicSpec> for NewTopic {
    fn from(spec: TopicSpec) -> Self {
        let indexed = spec.assignments.into_iter().enumerate();
        Self {
            name: spec.name.into(),
            partitions: spec.partitions,
            replication_factor: spec.replication_factor,
            assignments: indexed.map(|(partition, replicas)| (partition as i32, replicas)).collect(),
            configs: spec
                .configs
                .into_iter()
                .map(|(name, value)| (name.into(), Some(value.into())))
                .collect(),
        }
    }
}
