//! A running cluster, as a test holds it.

use milena_client::Env;

use super::{ApiKey, Clock, ClusterBuilder, Faults, NodeId, StoredRecord, TopicError, TopicSpec, Uuid};
use crate::embedded::ClusterConnector;
use crate::{Kafka, KafkaBuilder};

/// Keeps the clients' random numbers apart from the cluster's, which begin with the same seed.
const CLIENTS: u64 = 0x636c_6965_6e74_7300;

/// A Kafka cluster in this process, on the test's clock; see [the module](super) for a whole test.
///
/// Records are in memory only. Dropping the cluster stops it and closes all connections.
#[derive(Debug)]
pub struct Cluster {
    broker: milena_broker::Cluster,
    clock: Clock,
    /// Where the clients' seeds come from.
    seeds: Env,
    has_tcp: bool,
}

impl Cluster {
    /// Begins to put a cluster together: one node, reached in memory, with Kafka's defaults.
    ///
    /// ```
    /// # milena::testing::run(async {
    /// use milena::testing::{Cluster, TopicSpec};
    ///
    /// let orders = TopicSpec::new("orders").partitions(6).config("min.insync.replicas", "2");
    /// let cluster = Cluster::builder().nodes(3).topic(orders).seed(7).start().await?;
    /// # assert_eq!(cluster.partitions("orders"), 6);
    /// # Ok::<(), milena::testing::StartError>(())
    /// # }).unwrap();
    /// ```
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::new()
    }

    pub(super) fn started(broker: milena_broker::Cluster, clock: Clock, seed: u64, has_tcp: bool) -> Self {
        let seeds = Env::builder().seed(seed ^ CLIENTS).build();
        Self { broker, clock, seeds, has_tcp }
    }

    /// Begins to make a handle for this cluster: for the code under test, or for the test's own records.
    ///
    /// Each handle has random numbers of its own, by the cluster's seed; make them in the same order for the same run.
    ///
    /// ```
    /// # milena::testing::run(async {
    /// use milena::Record;
    /// use milena::testing::Cluster;
    ///
    /// let cluster = Cluster::builder().start().await?;
    /// let kafka = cluster.kafka().client_id("orders").connect().await?;
    /// kafka.producer().build().await?.send(Record::to("orders").value("o1")).await?.await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn kafka(&self) -> KafkaBuilder {
        Kafka::builder(self.bootstrap()).env(self.env())
    }

    /// Clock, random numbers and connections of one client of this cluster, for [`KafkaBuilder::env`]: what [`kafka`](Self::kafka)
    /// uses, for code that makes its handle from properties or an address of its own.
    ///
    /// ```
    /// # milena::testing::run(async {
    /// use milena::Kafka;
    /// use milena::config::Properties;
    /// use milena::testing::Cluster;
    ///
    /// let cluster = Cluster::builder().start().await?;
    /// let mut properties = Properties::new();
    /// properties.set("bootstrap.servers", cluster.bootstrap());
    /// properties.set("linger.ms", "20");
    /// let kafka = Kafka::from_properties(&properties)?.env(cluster.env()).connect().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn env(&self) -> Env {
        let env = Env::builder().seed(self.seeds.random_u64()).virtual_wall_clock(self.clock.timestamp_ms());
        match self.has_tcp {
            true => env.build(),
            false => env.connector(ClusterConnector::new(&self.broker)).build(),
        }
    }

    /// The nodes' addresses, "host:port" separated by commas: what clients know as `bootstrap.servers`.
    ///
    /// Without [`tcp`](ClusterBuilder::tcp) only [`env`](Self::env) leads there.
    pub fn bootstrap(&self) -> String {
        self.broker.bootstrap()
    }

    /// The time that the cluster, its clients and the test live by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Makes things go wrong: with nodes, leaders, requests, what is stored, the wall clock.
    ///
    /// ```
    /// # milena::testing::run(async {
    /// use milena::Record;
    /// use milena::testing::{ApiKey, Cluster, ErrorCode};
    ///
    /// let cluster = Cluster::builder().start().await?;
    /// let fault = cluster.faults().on(ApiKey::Produce).times(2).answer_with(ErrorCode::NotEnoughReplicas);
    /// let producer = cluster.kafka().connect().await?.producer().build().await?;
    /// producer.send(Record::to("orders").value("o1")).await?.await?; // tried again until it works
    /// assert_eq!(fault.fired(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn faults(&self) -> Faults {
        self.broker.faults()
    }

    /// The ids of all nodes, whether they run or not.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.broker.nodes()
    }

    /// Whether a node is up; a frozen one is.
    pub fn is_running(&self, node: NodeId) -> bool {
        self.broker.is_running(node)
    }

    /// Creates a topic and returns its id.
    ///
    /// # Errors
    /// What Kafka would answer: the name, a number or a configuration is invalid, or the topic exists.
    pub fn create_topic(&self, topic: TopicSpec) -> Result<Uuid, TopicError> {
        self.broker.create_topic(topic)
    }

    /// How many partitions a topic has; none if there is no such topic.
    pub fn partitions(&self, topic: &str) -> i32 {
        self.broker.partitions(topic)
    }

    /// The node that leads a partition, if one does.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<NodeId> {
        self.broker.leader(topic, partition)
    }

    /// The records of a partition that a reader of committed ones gets, oldest first; none if there is no such partition.
    pub fn records(&self, topic: &str, partition: i32) -> Vec<StoredRecord> {
        self.broker.log(topic, partition).map_or_else(Vec::new, |log| log.committed_records())
    }

    /// How many requests of an API all nodes have begun to work on: what the code under test costs, and whether it has tried.
    pub fn requests(&self, api: ApiKey) -> u64 {
        self.broker.requests(api)
    }

    /// Returns when `condition` holds. It is asked again whenever a request, a connection or a fault has come by: a test waits with it
    /// for what its code does.
    ///
    /// ```
    /// # milena::testing::run(async {
    /// use milena::Record;
    /// use milena::testing::Cluster;
    ///
    /// let cluster = Cluster::builder().start().await?;
    /// let producer = cluster.kafka().connect().await?.producer().build().await?;
    /// drop(producer.send(Record::to("orders").value("o1")).await?); // on its way
    /// cluster.until(|cluster| cluster.records("orders", 0).len() == 1).await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    /// Safe: nothing is lost.
    pub async fn until(&self, mut condition: impl FnMut(&Self) -> bool) {
        self.broker.until(|_| condition(self)).await;
    }

    /// The embedded cluster itself, which tells more: batches, producers, groups, transactions, connections.
    pub fn broker(&self) -> &milena_broker::Cluster {
        &self.broker
    }
}
