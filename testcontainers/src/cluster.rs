//! The handle on a cluster.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::sync::OnceCell;

use crate::availability::BOOTSTRAP_VARIABLE;
use crate::error::tail;
use crate::probe::Broker;
use crate::started::Started;
use crate::{Error, Java, JavaCommand, KafkaClusterBuilder, KafkaVersion};

/// A real Kafka of one or several nodes, stopped when it is dropped.
///
/// Dropping kills the brokers, removes their data and takes some 50 ms. They die as well when this process is
/// killed, whatever it was doing: each is watched over by a small shell that kills it when we are gone.
///
/// All its methods may be called from several tasks at once; those about one node follow each other.
pub struct KafkaCluster {
    bootstrap: String,
    nodes: Vec<NodeAddress>,
    origin: Origin,
}

/// Where a broker listens for clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct NodeAddress {
    /// Kafka's `node.id` (`broker.id`), from 1 in a cluster that was started here.
    pub node_id: i32,
    /// `127.0.0.1` in a cluster that was started here.
    pub host: String,
    /// The system gave it; it stays the node's through kills and starts.
    pub port: u16,
}

enum Origin {
    Given,
    Started(Box<Started>),
}

impl KafkaCluster {
    /// Describes a cluster to start: one node of [`KafkaVersion::LATEST`], unless told otherwise.
    pub fn builder() -> KafkaClusterBuilder {
        KafkaClusterBuilder::new()
    }

    /// One node that all tests of this process share: from the address in the environment, or else started when first
    /// asked for. It is stopped when the process ends.
    ///
    /// Starting a broker takes seconds, so a test that merely needs *a* Kafka uses this one, with topics and groups
    /// under names of its own, and leaves its nodes alone.
    ///
    /// # Errors
    ///
    /// As [`KafkaClusterBuilder::start`]; a failure is remembered, so that each further test fails at once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the start to the next one who asks.
    pub async fn shared() -> Result<&'static Self, Error> {
        static CLUSTER: SharedCluster = OnceCell::const_new();
        shared_in(&CLUSTER, Self::builder()).await
    }

    /// Like [`shared`](Self::shared), of a certain release, and never from the environment.
    ///
    /// # Errors
    ///
    /// As [`shared`](Self::shared).
    pub async fn shared_of(version: KafkaVersion) -> Result<&'static Self, Error> {
        static CLUSTERS: [SharedCluster; KafkaVersion::ALL.len()] =
            [const { OnceCell::const_new() }; KafkaVersion::ALL.len()];
        shared_in(&CLUSTERS[version as usize], Self::builder().version(version)).await
    }

    pub(crate) fn from_started(started: Started) -> Self {
        let node = |(node_id, at): (i32, SocketAddr)| NodeAddress {
            node_id,
            host: at.ip().to_string(),
            port: at.port(),
        };
        let nodes: Vec<NodeAddress> = started.addresses().map(node).collect();
        let bootstrap =
            nodes.iter().map(|node| format!("{}:{}", node.host, node.port)).collect::<Vec<_>>().join(",");
        Self { bootstrap, nodes, origin: Origin::Started(Box::new(started)) }
    }

    pub(crate) fn from_address(bootstrap: String, brokers: &[Broker]) -> Self {
        let node = |broker: &Broker| NodeAddress {
            node_id: broker.node_id,
            host: broker.host.clone(),
            port: broker.port,
        };
        Self { bootstrap, nodes: brokers.iter().map(node).collect(), origin: Origin::Given }
    }

    /// The addresses of all nodes, `"host:port,host:port"`, as clients take them.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The nodes, in the order of their ids; those of a given Kafka as it told them when it was first asked.
    #[must_use]
    pub fn nodes(&self) -> &[NodeAddress] {
        &self.nodes
    }

    /// Which release runs; `None` for a Kafka that was given by its address.
    #[must_use]
    pub fn version(&self) -> Option<KafkaVersion> {
        match &self.origin {
            Origin::Given => None,
            Origin::Started(started) => Some(started.version()),
        }
    }

    /// `kill -9`: the broker is gone without a word. Returns when it is.
    ///
    /// # Errors
    ///
    /// [`Error::NodeState`] when it does not run, [`Error::NotOurs`] when it was not started here.
    pub async fn kill(&self, node_id: i32) -> Result<(), Error> {
        self.started()?.kill(node_id).await
    }

    /// Asks the broker to shut down (`SIGTERM`): it hands its partitions over and closes its logs. Returns when it
    /// has ended.
    ///
    /// # Errors
    ///
    /// As [`kill`](Self::kill), and [`Error::NotReady`] when it takes more than 60 s.
    pub async fn stop_node(&self, node_id: i32) -> Result<(), Error> {
        self.started()?.stop_node(node_id).await
    }

    /// Starts a broker that was killed or stopped, at its old address and with its old data. Returns when it answers
    /// and all running brokers know each other.
    ///
    /// After a kill it can do so only when its old session is over: 6 s.
    ///
    /// # Errors
    ///
    /// [`Error::NodeState`] when it runs already, and as [`KafkaClusterBuilder::start`].
    pub async fn start_node(&self, node_id: i32) -> Result<(), Error> {
        self.started()?.start_node(node_id).await
    }

    /// Makes the broker stand still (`SIGSTOP`): its connections stay open and nothing is answered.
    ///
    /// # Errors
    ///
    /// As [`kill`](Self::kill).
    pub async fn pause(&self, node_id: i32) -> Result<(), Error> {
        self.started()?.pause(node_id).await
    }

    /// Lets a paused broker go on (`SIGCONT`).
    ///
    /// # Errors
    ///
    /// As [`kill`](Self::kill); [`Error::NodeState`] when it was not paused.
    pub async fn resume(&self, node_id: i32) -> Result<(), Error> {
        self.started()?.resume(node_id).await
    }

    /// The file with the broker's warnings and errors; it is removed with the cluster.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownNode`], and [`Error::NotOurs`] when it was not started here.
    pub fn log_path(&self, node_id: i32) -> Result<PathBuf, Error> {
        self.started()?.log_path(node_id)
    }

    /// The last lines of the broker's log, for a test's message.
    ///
    /// # Errors
    ///
    /// As [`log_path`](Self::log_path).
    pub fn log_tail(&self, node_id: i32, lines: usize) -> Result<String, Error> {
        Ok(tail(&self.log_path(node_id)?, lines))
    }

    /// A run of one of Kafka's own command line tools, by the name of its class:
    /// `org.apache.kafka.tools.TopicCommand`, `org.apache.kafka.tools.ConsoleProducer`, ...
    ///
    /// The tools are those of [`KafkaVersion::LATEST`], whatever release runs: their client speaks to all of them
    /// (KIP-896), and the classes have had other names before. Needs Java, also for a cluster in Docker.
    pub fn tool(&self, class: &str) -> JavaCommand {
        Java::of(KafkaVersion::LATEST).tool(class)
    }

    /// Stops all nodes and removes their data, as dropping does, without blocking the executor.
    pub async fn stop(self) {
        // A panic in there would be ours, and has been reported by its hook.
        drop(tokio::task::spawn_blocking(move || drop(self)).await);
    }

    fn started(&self) -> Result<&Started, Error> {
        match &self.origin {
            Origin::Started(started) => Ok(started),
            Origin::Given => {
                Err(Error::NotOurs { bootstrap: self.bootstrap.clone(), variable: BOOTSTRAP_VARIABLE })
            }
        }
    }
}

/// Statics are never dropped: the supervisors see this process end, and stop what it had started.
type SharedCluster = OnceCell<Result<KafkaCluster, String>>;

async fn shared_in(
    cell: &'static SharedCluster,
    builder: KafkaClusterBuilder,
) -> Result<&'static KafkaCluster, Error> {
    let start = || async { builder.start().await.map_err(|error| error.to_string()) };
    cell.get_or_init(start).await.as_ref().map_err(|why| Error::Shared(why.clone()))
}
