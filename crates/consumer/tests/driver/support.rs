//! A cluster in memory, a client of it, and records to read. All on virtual time: nothing here waits for real.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use bytes::BytesMut;
use milena_broker::{Cluster, ClusterBuilder, Dialer};
use milena_client::env::{Connecting, Connector, Stream};
use milena_client::{Address, Client, ClientConfig, Env, Target};
use milena_consumer::{Consumer, ConsumerConfig, OffsetReset, RecordBatch, RecvError, TopicPartition};
use milena_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use milena_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use milena_protocol::messages::{CreatePartitionsRequest, ProduceRequest};
use milena_protocol::{ErrorCode, Records};
use milena_records::{BatchBuilder, Codec, Compression, ProducerStamp, RecordParts, Scratch};

/// Far beyond what anything takes on virtual time, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// Connects without sockets.
struct InMemory(Dialer);

impl Connector for InMemory {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        let stream = self.0.connect(&address.to_string());
        Box::pin(async move { stream.map(|stream| Box::new(stream) as Box<dyn Stream>) })
    }
}

/// A cluster and a client of it.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
    next_values: BTreeMap<TopicPartition, u64>,
}

impl World {
    pub(crate) async fn start(builder: ClusterBuilder) -> Self {
        // The records of these tests are from the first second of 1970.
        let cluster =
            builder.in_memory().config("log.retention.ms", "-1").start().await.expect("the cluster starts");
        let client = client(&cluster, |_| {}).await;
        Self { cluster, client, next_values: BTreeMap::new() }
    }

    /// Appends `count` records, one of Kafka's batches, whose values count up from 0 in each partition.
    pub(crate) async fn produce(&mut self, partition: &TopicPartition, count: u64) {
        self.produce_in(partition, count, Compression::None).await;
    }

    pub(crate) async fn produce_in(
        &mut self,
        partition: &TopicPartition,
        count: u64,
        compression: Compression,
    ) {
        let next = self.next_values.entry(partition.clone()).or_default();
        let values: Vec<_> = (*next..*next + count).map(|value| value.to_string()).collect();
        *next += count;
        self.append(partition, values.iter().map(String::as_bytes), compression).await;
    }

    /// Appends one record of so many bytes.
    pub(crate) async fn produce_large(&self, partition: &TopicPartition, bytes: usize) {
        self.append(partition, [vec![b'x'; bytes].as_slice()], Compression::None).await;
    }

    async fn append<'a>(
        &self,
        partition: &TopicPartition,
        values: impl IntoIterator<Item = &'a [u8]>,
        compression: Compression,
    ) {
        let mut builder = BatchBuilder::new(BytesMut::new(), usize::MAX);
        for value in values {
            let record = RecordParts { timestamp: 1_000, value: Some(value), ..Default::default() };
            builder.try_append(&record).expect("there is no limit");
        }
        let sealed = builder.seal(&Codec::new(compression), &mut Scratch::new()).expect("it compresses");
        let header = bytes::Bytes::copy_from_slice(&sealed.header(&ProducerStamp::NONE));
        let records = Records::from_segments([header, sealed.section().clone()]);
        append(&self.cluster, &self.client, partition, records).await;
    }

    /// Gives a topic so many partitions.
    pub(crate) async fn grow(&self, topic: &str, count: i32) {
        let topic =
            CreatePartitionsTopic { name: topic.into(), count, assignments: None, ..Default::default() };
        let request =
            CreatePartitionsRequest { topics: vec![topic], timeout_ms: 1_000, ..Default::default() };
        self.client.call(Target::Controller, request, PATIENCE, |_| Ok(())).await.expect("it grows");
    }

    /// A consumer that has `partitions` assigned and reads them from the beginning.
    pub(crate) fn consumer<'a>(
        &self,
        config: ConsumerConfig,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Consumer {
        consumer_of(&self.client, config, partitions)
    }
}

/// A consumer of this client that has `partitions` assigned and reads them from the beginning.
pub(crate) fn consumer_of<'a>(
    client: &Client,
    config: ConsumerConfig,
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
) -> Consumer {
    let mut consumer = Consumer::new(client.clone(), config).expect("the configuration is valid");
    consumer.assign(partitions.into_iter().cloned());
    consumer.seek_to_beginning(&consumer.assignment()).expect("it is assigned");
    consumer
}

/// Sends a batch to the partition's leader, whatever faults there are for clients that are not told apart by their id.
async fn append(cluster: &Cluster, client: &Client, partition: &TopicPartition, records: Records) {
    let leader = cluster.leader(&partition.topic, partition.partition).expect("somebody leads");
    let address: Address = cluster.address(leader).expect("it has one").parse().expect("it is one");
    let data =
        PartitionProduceData { index: partition.partition, records: Some(records), ..Default::default() };
    let topic = TopicProduceData {
        name: (&*partition.topic).into(),
        partition_data: vec![data],
        ..Default::default()
    };
    let request =
        ProduceRequest { acks: -1, timeout_ms: 1_000, topic_data: vec![topic], ..Default::default() };
    let answer = client
        .request_prepared::<ProduceRequest>(&address, |versions| {
            // Later versions want topic ids.
            Ok((request, versions.choose_up_to::<ProduceRequest>(12)?))
        })
        .await
        .expect("the leader answers");
    assert_eq!(answer.responses[0].partition_responses[0].error_code, ErrorCode::None);
}

/// Another client of the same cluster.
pub(crate) async fn client(cluster: &Cluster, change: impl FnOnce(&mut ClientConfig)) -> Client {
    client_over(InMemory(cluster.dialer()), cluster, change).await
}

/// Another client of the same cluster, over connections of the test's own.
pub(crate) async fn client_over(
    connector: impl Connector + 'static,
    cluster: &Cluster,
    change: impl FnOnce(&mut ClientConfig),
) -> Client {
    let env = Env::builder().connector(connector).seed(1).build();
    let mut config = ClientConfig::new(Address::parse_list(&cluster.bootstrap()).expect("it is a list"));
    change(&mut config);
    Client::connect(config, env).await.expect("it connects")
}

pub(crate) fn tp(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

/// No policy: a position that is lost is an error.
pub(crate) fn strict() -> ConsumerConfig {
    let mut config = ConsumerConfig::default();
    config.auto_offset_reset = OffsetReset::None;
    config
}

/// Fails a test that hangs.
pub(crate) async fn patiently<T>(what: impl Future<Output = T>) -> T {
    let env = Env::system();
    env.timeout_at(env.now() + PATIENCE, what).await.expect("it hangs")
}

/// What was read so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    counts: BTreeMap<TopicPartition, u64>,
}

impl Seen {
    /// Every record has its offset for a value and comes after the one before it, without a gap.
    pub(crate) fn take(&mut self, batch: &RecordBatch) {
        let count = self.counts.entry(batch.topic_partition().clone()).or_default();
        for record in batch {
            assert_eq!(record.offset, *count as i64, "{}", batch.topic_partition());
            assert_eq!(record.value, Some(count.to_string().as_bytes()));
            *count += 1;
        }
        assert_eq!(batch.next_offset(), *count as i64);
    }

    pub(crate) fn count(&self, partition: &TopicPartition) -> u64 {
        self.counts.get(partition).copied().unwrap_or(0)
    }

    pub(crate) fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Reads until `total` records were seen.
    pub(crate) async fn read(&mut self, consumer: &mut Consumer, total: u64) {
        while self.total() < total {
            let batch = patiently(consumer.next()).await.expect("no error").expect("it is not closed");
            self.take(&batch);
        }
    }
}

/// The next thing must be records of which the first has this offset.
pub(crate) async fn expect_offset(consumer: &mut Consumer, offset: i64) {
    let batch = patiently(consumer.next()).await.expect("no error").expect("it is not closed");
    assert_eq!(batch.first_offset(), Some(offset));
}

/// The next thing must be an error.
pub(crate) async fn expect_error(consumer: &mut Consumer) -> RecvError {
    loop {
        match patiently(consumer.next()).await {
            Err(error) => return error,
            Ok(batch) => assert!(batch.is_some(), "it is closed"),
        }
    }
}
