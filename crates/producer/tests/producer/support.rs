//! A cluster in memory and a producer to it, on virtual time: nothing here waits for real.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use milena_broker::{Cluster, ClusterBuilder, Dialer, LogView, TopicSpec};
use milena_client::env::{Connecting, Connector, Stream};
use milena_client::{Address, Client, ClientConfig, Env};
use milena_producer::{Acknowledgement, Delivery, DeliveryError, Producer, ProducerConfig, Record};

/// Far beyond what anything takes on virtual time, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// The topic of most tests.
pub(crate) const TOPIC: &str = "t";

/// Connects without sockets, and counts.
#[derive(Clone)]
struct InMemory {
    dialer: Dialer,
    attempts: Arc<AtomicUsize>,
}

impl Connector for InMemory {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let stream = self.dialer.connect(&address.to_string());
        Box::pin(async move { stream.map(|stream| Box::new(stream) as Box<dyn Stream>) })
    }
}

/// A cluster, a client of it, and a producer.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
    pub(crate) producer: Producer,
    pub(crate) connects: Arc<AtomicUsize>,
    next_value: AtomicU64,
}

impl World {
    /// One node, and the topic with one partition.
    pub(crate) async fn start() -> Self {
        Self::start_with(|cluster| cluster, |_| {}).await
    }

    /// Three nodes, and the topic with one partition on all of them, led by node 1.
    pub(crate) async fn replicated() -> Self {
        Self::replicated_with(|_| {}).await
    }

    pub(crate) async fn replicated_with(configure: impl FnOnce(&mut ProducerConfig)) -> Self {
        let topic = || TopicSpec::new(TOPIC).assignments([vec![1, 2, 3]]);
        let cluster = |_| Cluster::builder().nodes(3).topic(topic());
        Self::start_with(cluster, configure).await
    }

    /// `build` may replace the usual cluster.
    pub(crate) async fn start_with(
        build: impl FnOnce(ClusterBuilder) -> ClusterBuilder,
        configure: impl FnOnce(&mut ProducerConfig),
    ) -> Self {
        Self::start_with_client(build, |_| {}, configure).await
    }

    pub(crate) async fn start_with_client(
        build: impl FnOnce(ClusterBuilder) -> ClusterBuilder,
        configure_client: impl FnOnce(&mut ClientConfig),
        configure: impl FnOnce(&mut ProducerConfig),
    ) -> Self {
        let usual = Cluster::builder().topic(TopicSpec::new(TOPIC).partitions(1));
        // The records are older than the machine's clock says.
        let builder = build(usual).in_memory().config("log.retention.ms", "-1");
        let cluster = builder.start().await.expect("the cluster starts");
        let connects = Arc::new(AtomicUsize::new(0));
        let connector = InMemory { dialer: cluster.dialer(), attempts: connects.clone() };
        let env = Env::builder().connector(connector).seed(1).virtual_wall_clock(1_700_000_000_000).build();
        let mut client_config = ClientConfig::new(Address::parse_list(&cluster.bootstrap()).expect("a list"));
        configure_client(&mut client_config);
        let client = Client::connect(client_config, env).await.expect("the client connects");
        let mut config = ProducerConfig::default();
        configure(&mut config);
        let producer = Producer::new(client.clone(), config).expect("the configuration is valid");
        Self { cluster, client, producer, connects, next_value: AtomicU64::new(0) }
    }

    pub(crate) fn env(&self) -> &Env {
        self.client.env()
    }

    /// Sends the next number to partition 0 of the topic.
    pub(crate) async fn send(&self) -> Delivery {
        self.send_to(0).await
    }

    pub(crate) async fn send_to(&self, partition: i32) -> Delivery {
        let value = self.next_value.fetch_add(1, Ordering::Relaxed).to_string();
        let record = Record::to(TOPIC).partition(partition).value(&value);
        self.producer.send(record).await.expect("the record is accepted")
    }

    /// Sends a batch of its own: the numbers from the next one on.
    pub(crate) async fn send_batch(&self, records: usize) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for _ in 0..records {
            deliveries.push(self.send().await);
        }
        // The linger is over, and the batch is on its way.
        self.pass(self.producer.config().linger + Duration::from_millis(2)).await;
        deliveries
    }

    /// Lets time pass.
    pub(crate) async fn pass(&self, time: Duration) {
        self.env().sleep(time).await;
    }

    pub(crate) fn log(&self, partition: i32) -> LogView {
        self.cluster.log(TOPIC, partition).expect("the partition exists")
    }

    /// The values in a partition, in the order of their offsets.
    pub(crate) fn values(&self, partition: i32) -> Vec<u64> {
        let records = self.log(partition).records();
        let value = |value: Option<Vec<u8>>| String::from_utf8(value.expect("a value")).expect("text");
        records.into_iter().map(|record| value(record.value).parse().expect("a number")).collect()
    }
}

pub(crate) async fn acks(deliveries: Vec<Delivery>) -> Vec<Acknowledgement> {
    results(deliveries).await.into_iter().map(|result| result.expect("it is acknowledged")).collect()
}

pub(crate) async fn results(deliveries: Vec<Delivery>) -> Vec<Result<Acknowledgement, DeliveryError>> {
    let mut results = Vec::new();
    for delivery in deliveries {
        results.push(delivery.await);
    }
    results
}

pub(crate) fn offsets(acks: &[Acknowledgement]) -> Vec<Option<i64>> {
    acks.iter().map(|ack| ack.offset).collect()
}

/// Fails a test that hangs.
pub(crate) async fn patiently<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it hangs")
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
