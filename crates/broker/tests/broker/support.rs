//! An independent client: the kafka-protocol crate speaks, the broker answers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, DescribeConfigsRequest, FetchRequest, ListOffsetsRequest,
    MetadataRequest, ProduceRequest, RequestHeader, ResponseHeader, TopicName, fetch_response::PartitionData,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use milena_broker::{ApiKey, Cluster};
use milena_testcontainers::KafkaCluster;
use milena_testcontainers::KafkaVersion;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// Where the conformance suite finds a Kafka of the latest release to run on in place of the embedded broker.
const GIVEN_KAFKA: &str = "MILENA_CONFORMANCE_BOOTSTRAP";

/// A generous limit: reached only when something hangs. Kafka waits 30 s for replicas before it says that there are too few.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// What a brisk broker is told: how often to look for records to delete, and to keep access control lists.
const BRISK: [(&str, &str); 2] = [
    ("log.retention.check.interval.ms", "50"),
    ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
];

/// What a case talks to: one node, whose id is 1, with Kafka's defaults but no waiting for more members of new groups.
pub(crate) struct Broker {
    /// Ours; `None` when it is a real Kafka.
    embedded: Option<Cluster>,
    address: String,
    /// Ours counts as the latest.
    release: KafkaVersion,
    offered: BTreeMap<i16, RangeInclusive<i16>>,
}

impl Broker {
    /// A fresh embedded broker, or the Kafka that the environment names.
    pub(crate) async fn start() -> Self {
        match std::env::var(GIVEN_KAFKA) {
            Ok(address) => Self::of(None, address, KafkaVersion::LATEST).await,
            Err(_) => {
                // As the real ones are started: three seconds of waiting for more members are long in a test.
                let builder = Cluster::builder().config("group.initial.rebalance.delay.ms", "0");
                let cluster = builder.start().await.expect("starts");
                let address = cluster.bootstrap();
                Self::of(Some(cluster), address, KafkaVersion::LATEST).await
            }
        }
    }

    /// A fresh embedded broker that looks after its logs all the time, and keeps access control lists.
    pub(crate) async fn start_brisk() -> Self {
        let builder = Cluster::builder().config("group.initial.rebalance.delay.ms", "0");
        let builder = BRISK.iter().fold(builder, |builder, (name, value)| builder.config(*name, *value));
        Self::over(builder.start().await.expect("starts")).await
    }

    /// An embedded cluster, which is asked at its first node.
    pub(crate) async fn over(cluster: Cluster) -> Self {
        let address = cluster.address(1).expect("the first node");
        Self::of(Some(cluster), address, KafkaVersion::LATEST).await
    }

    /// The embedded cluster.
    pub(crate) fn cluster(&self) -> &Cluster {
        self.embedded.as_ref().expect("the case needs the embedded broker")
    }

    /// A real Kafka, shared by the cases of this process.
    pub(crate) async fn real(release: KafkaVersion) -> Self {
        let kafka = KafkaCluster::shared_of(release).await.expect("a real Kafka starts");
        Self::of(None, kafka.bootstrap().to_owned(), release).await
    }

    /// A real Kafka of that kind, shared by the cases of this process that want one. Its groups are forgotten now and
    /// then, and everybody is its super user.
    pub(crate) async fn real_brisk(release: KafkaVersion) -> Self {
        static STARTED: [OnceCell<KafkaCluster>; KafkaVersion::ALL.len()] =
            [const { OnceCell::const_new() }; KafkaVersion::ALL.len()];
        let start = async || {
            let builder = KafkaCluster::builder().version(release).config("log.initial.task.delay.ms", "0");
            let builder = BRISK.iter().fold(builder, |builder, (name, value)| builder.config(*name, *value));
            builder.config("super.users", "User:ANONYMOUS").start().await.expect("a real Kafka starts")
        };
        let kafka = STARTED[release as usize].get_or_init(start).await;
        Self::of(None, kafka.bootstrap().to_owned(), release).await
    }

    async fn of(cluster: Option<Cluster>, address: String, release: KafkaVersion) -> Self {
        let asked = ApiVersionsRequest::default();
        let api_versions = Connection::open(&address).await.call(0, &asked).await;
        let range = |api: &ApiVersion| (api.api_key, api.min_version..=api.max_version);
        let offered = api_versions.api_keys.iter().map(range).collect();
        Self { embedded: cluster, address, release, offered }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(&self.address).await
    }

    pub(crate) async fn connect_from(&self, source: IpAddr) -> Connection {
        Connection::open_from(source, &self.address).await
    }

    /// Has the embedded broker abort at once what has been open for too long; a real one does so in its own time.
    pub(crate) fn expire_transactions(&self) {
        if let Some(cluster) = &self.embedded {
            cluster.faults().expire_transactions();
        }
    }

    /// Whether it is Apache Kafka, and not ours.
    pub(crate) fn is_real(&self) -> bool {
        self.embedded.is_none()
    }

    /// Whether the broker is at least of this release; ours counts as the latest.
    pub(crate) fn is_at_least(&self, release: KafkaVersion) -> bool {
        self.release >= release
    }

    /// The versions among `wanted` that the broker offers: all of them, unless it is an older Kafka.
    pub(crate) fn versions(
        &self,
        api: ApiKey,
        wanted: RangeInclusive<i16>,
    ) -> impl Iterator<Item = i16> + use<> {
        let offered = self.offered.get(&api.code()).cloned();
        let is_offered = move |version: i16| offered.as_ref().is_some_and(|range| range.contains(&version));
        if self.is_at_least(KafkaVersion::LATEST) {
            assert!(wanted.clone().all(&is_offered), "{api} is not offered in all of {wanted:?}");
        }
        wanted.filter(move |version| is_offered(*version))
    }

    /// Whether the broker offers this version of an API, as the embedded one and the latest Kafka must.
    pub(crate) fn offers(&self, api: ApiKey, version: i16) -> bool {
        self.versions(api, version..=version).next().is_some()
    }
}

/// A connection of the oracle.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    client_id: StrBytes,
    next_correlation_id: i32,
}

/// Any stream of bytes.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Connection {
    pub(crate) async fn open(address: &str) -> Self {
        Self::over(TcpStream::connect(address).await.expect("connects"))
    }

    pub(crate) fn over(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            client_id: StrBytes::from_static_str("oracle"),
            next_correlation_id: 1,
        }
    }

    /// Reads until the end, which may be an error, and returns both.
    pub(crate) async fn receive_rest(&mut self) -> (Vec<u8>, std::io::Result<()>) {
        let mut bytes = Vec::new();
        let end = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await;
        (bytes, end.expect("an end in time").map(drop))
    }

    /// Connects from another address of this machine.
    pub(crate) async fn open_from(source: IpAddr, address: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((source, 0).into()).expect("an address of this machine");
        let stream = socket.connect(address.parse().expect("an address")).await.expect("connects");
        Self::over(stream)
    }

    /// The same as another client.
    pub(crate) fn with_client_id(self, client_id: &str) -> Self {
        Self { client_id: text(client_id), ..self }
    }

    /// Sends a request and returns its correlation id.
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let body = self.encoded(version, request, correlation_id);
        let mut frame = BytesMut::new();
        frame.put_i32(body.len() as i32);
        frame.put(body);
        self.stream.write_all(&frame).await.expect("written");
        correlation_id
    }

    /// The length of a request's frame.
    pub(crate) fn request_bytes<R: Request>(&self, version: i16, request: &R) -> usize {
        self.encoded(version, request, 0).len()
    }

    fn encoded<R: Request>(&self, version: i16, request: &R, correlation_id: i32) -> BytesMut {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation_id)
            .with_client_id(Some(self.client_id.clone()));
        let mut body = BytesMut::new();
        header.encode(&mut body, R::header_version(version)).expect("the header encodes");
        request.encode(&mut body, version).expect("the request encodes");
        body
    }

    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("written");
    }

    /// The next answer, which must be the one to `correlation_id`.
    pub(crate) async fn receive<R: Request>(&mut self, version: i16, correlation_id: i32) -> R::Response {
        let mut frame = self.receive_frame().await.expect("an answer");
        let header =
            ResponseHeader::decode(&mut frame, R::Response::header_version(version)).expect("a header");
        assert_eq!(header.correlation_id, correlation_id);
        let response = R::Response::decode(&mut frame, version).expect("the oracle decodes the answer");
        assert!(!frame.has_remaining(), "{} bytes are left after the answer", frame.remaining());
        response
    }

    /// The next frame, or `None` if the connection is closed.
    pub(crate) async fn receive_frame(&mut self) -> Option<Bytes> {
        let read = async {
            let len = self.stream.read_u32().await.ok()?;
            let mut frame = vec![0; len as usize];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(PATIENCE, read).await.expect("an answer or a close in time")
    }

    pub(crate) async fn is_closed(&mut self) -> bool {
        self.receive_frame().await.is_none()
    }

    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let correlation_id = self.send(version, request).await;
        self.receive::<R>(version, correlation_id).await
    }

    /// Creates a topic of one partition and returns when it has a leader.
    pub(crate) async fn create_topic(&mut self, topic: &str, configs: &[(&'static str, &'static str)]) {
        self.create_topic_with(topic, 1, configs).await;
    }

    pub(crate) async fn create_topic_with(
        &mut self,
        topic: &str,
        partitions: i32,
        configs: &[(&'static str, &'static str)],
    ) {
        let config = |&(name, value): &(&'static str, &'static str)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
        };
        let new = CreatableTopic::default()
            .with_name(name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(configs.iter().map(config).collect());
        let request = CreateTopicsRequest::default().with_topics(vec![new]).with_timeout_ms(10_000);
        let created = self.call(7, &request).await;
        assert_eq!(created.topics[0].error_code, 0, "{:?}", created.topics[0].error_message);
        self.await_leaders(topic, partitions).await;
    }

    /// Returns when every partition has a leader that knows it: at once on the embedded broker, soon on a real one.
    pub(crate) async fn await_leaders(&mut self, topic: &str, partitions: i32) {
        let request = metadata_of(topic);
        let led = async {
            loop {
                let topics = self.call(12, &request).await.topics;
                let led = topics[0].partitions.iter().filter(|partition| partition.error_code == 0);
                if led.count() == partitions as usize && self.knows_leaders(topic, partitions).await {
                    break;
                }
            }
        };
        tokio::time::timeout(PATIENCE, led).await.expect("leaders in time");
    }

    /// The broker's `num.partitions`, which whoever runs a real Kafka may have set.
    pub(crate) async fn default_partitions(&mut self) -> i32 {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(4)
            .with_resource_name(text("1"))
            .with_configuration_keys(Some(vec![text("num.partitions")]));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let value = self.call(4, &request).await.results[0].configs[0].value.clone();
        value.and_then(|value| value.parse().ok()).expect("a number")
    }

    /// Whether the broker answers as the leader of every partition, and knows where their logs end.
    async fn knows_leaders(&mut self, topic: &str, partitions: i32) -> bool {
        self.lists_offsets(topic, partitions, -1).await
    }

    /// Whether the broker answers as the leader of the first partition: it tells of that it is a little before.
    pub(crate) async fn is_leading(&mut self, topic: &str) -> bool {
        self.lists_offsets(topic, 1, -2).await
    }

    async fn lists_offsets(&mut self, topic: &str, partitions: i32, timestamp: i64) -> bool {
        let asked = |partition| {
            ListOffsetsPartition::default()
                .with_partition_index(partition)
                .with_current_leader_epoch(-1)
                .with_timestamp(timestamp)
        };
        let topic = ListOffsetsTopic::default()
            .with_name(name(topic))
            .with_partitions((0..partitions).map(asked).collect());
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
        self.call(5, &request).await.topics[0].partitions.iter().all(|partition| partition.error_code == 0)
    }

    pub(crate) async fn topic_id(&mut self, topic: &str) -> Uuid {
        self.call(12, &metadata_of(topic)).await.topics[0].topic_id
    }

    /// Produces to partition 0 and returns the partition's answer.
    pub(crate) async fn produce(
        &mut self,
        version: i16,
        topic: &str,
        records: Bytes,
    ) -> PartitionProduceResponse {
        let mut response = self.call(version, &produce_request(topic, 0, -1, records)).await;
        response.responses.remove(0).partition_responses.remove(0)
    }

    /// Fetches partition 0 by name, without a session.
    pub(crate) async fn fetch(
        &mut self,
        topic: &str,
        offset: i64,
        change: impl FnOnce(FetchRequest) -> FetchRequest,
    ) -> PartitionData {
        let partition = FetchPartition::default()
            .with_partition(0)
            .with_fetch_offset(offset)
            .with_current_leader_epoch(-1)
            .with_last_fetched_epoch(-1)
            .with_partition_max_bytes(1 << 20);
        let request = change(fetch_request(topic, vec![partition]));
        let mut response = self.call(12, &request).await;
        assert_eq!(response.error_code, 0);
        response.responses.remove(0).partitions.remove(0)
    }
}

/// Returns when `condition` holds, and fails when that takes too long.
pub(crate) async fn eventually(cluster: &Cluster, condition: impl FnMut(&Cluster) -> bool) {
    tokio::time::timeout(PATIENCE, cluster.until(condition)).await.expect("the condition holds in time");
}

/// A fetch by name (up to version 12) that does not wait.
pub(crate) fn fetch_request(topic: &str, partitions: Vec<FetchPartition>) -> FetchRequest {
    FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(0)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![FetchTopic::default().with_topic(name(topic)).with_partitions(partitions)])
}

pub(crate) fn produce_request(topic: &str, partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(10_000).with_topic_data(vec![topic])
}

pub(crate) fn metadata_of(topic: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic::default().with_name(Some(name(topic)));
    MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false)
}

/// A batch in the making.
#[derive(Clone)]
pub(crate) struct BatchOf {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) is_transactional: bool,
    pub(crate) timestamps: Vec<i64>,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Bytes,
}

impl BatchOf {
    /// So many records of now, without a producer id.
    pub(crate) fn records(count: usize) -> Self {
        Self {
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            is_transactional: false,
            timestamps: vec![now_ms(); count],
            key: None,
            value: Bytes::from_static(b"value"),
        }
    }

    pub(crate) fn at(timestamps: &[i64]) -> Self {
        Self { timestamps: timestamps.to_vec(), ..Self::records(0) }
    }

    pub(crate) fn by(self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Self {
        Self { producer_id, producer_epoch, base_sequence, ..self }
    }

    pub(crate) fn in_transaction(self) -> Self {
        Self { is_transactional: true, ..self }
    }

    pub(crate) fn bytes(&self) -> Bytes {
        let record = |(index, timestamp): (usize, &i64)| Record {
            transactional: self.is_transactional,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            timestamp_type: TimestampType::Creation,
            offset: index as i64,
            // The oracle ends a batch where sequences do not follow, whether there is a producer or not.
            sequence: self.base_sequence.wrapping_add(index as i32),
            timestamp: *timestamp,
            key: self.key.clone(),
            value: Some(self.value.clone()),
            headers: IndexMap::new(),
        };
        let records: Vec<_> = self.timestamps.iter().enumerate().map(record).collect();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        let mut bytes = BytesMut::new();
        RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("the batch encodes");
        bytes.freeze()
    }
}

/// The batch with some of its bytes changed and its checksum made right again.
pub(crate) fn changed(batch: &Bytes, change: impl FnOnce(&mut [u8])) -> Bytes {
    let mut bytes = batch.to_vec();
    change(&mut bytes);
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(bytes)
}

/// The base offsets of the whole batches in fetched records.
pub(crate) fn base_offsets(records: &Option<Bytes>) -> Vec<i64> {
    let mut rest = records.clone().unwrap_or_default();
    let mut offsets = Vec::new();
    while rest.len() > 12 {
        let len = 12 + i32::from_be_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        if len > rest.len() {
            break;
        }
        offsets.push(i64::from_be_bytes(rest[..8].try_into().expect("eight bytes")));
        rest.advance(len);
    }
    offsets
}

/// A topic name that no other test has, and no earlier run.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}-{}-{}", now_ms(), std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    now.as_millis() as i64
}

pub(crate) fn name(topic: &str) -> TopicName {
    TopicName(text(topic))
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
