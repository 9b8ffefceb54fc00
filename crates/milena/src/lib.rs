//! A Kafka client in pure Rust: nothing to link, one `cargo build`. It works with every broker since Kafka 2.1.
//!
//! ```
//! use milena::{Compression, Kafka, Record};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let cluster = milena::broker::Cluster::builder().start().await?;
//! # let bootstrap = cluster.bootstrap();
//! // let bootstrap = "localhost:9092";
//! let kafka = Kafka::builder(bootstrap).client_id("orders").connect().await?;
//!
//! let producer = kafka.producer().compression(Compression::Lz4).build().await?;
//! let record = Record::to("orders").key("u42").header("trace_id", "f00d").value(r#"{"total": 12}"#);
//! let delivery = producer.send(record).await?; // queued: the order of sends is the order in the partition
//! let ack = delivery.await?; // written, by all replicas in sync
//! println!("{}-{}@{:?}", ack.topic(), ack.partition(), ack.offset);
//!
//! let mut consumer = kafka.consumer().build().await?;
//! consumer.assign_topic("orders").await?;
//! consumer.seek_to_beginning(&consumer.assignment())?;
//! if let Some(batch) = consumer.next().await? {
//!     for record in &batch {
//!         println!("{}: {:?}", record.offset, record.value);
//!     }
//!     # assert_eq!(batch.len(), 1);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Coming from kafka-python or confluent-kafka
//!
//! | there | here |
//! | --- | --- |
//! | `KafkaProducer(bootstrap_servers=..)` | [`Kafka::builder`]`(..).connect().await?`, then [`Kafka::producer`]`().build().await?` |
//! | `producer.send(topic, value)` | `producer.send(`[`Record::to`]`(topic).value(value)).await?` |
//! | `future.get()`, the delivery callback | `.await?` on the [`Delivery`], or [`Delivery::on_completion`] |
//! | `producer.flush()`, `close()` | [`Producer::flush`], [`Producer::close`] |
//! | `value_serializer=lambda v: json.dumps(v)..` | [`typed::TypedProducer`] with [`serdes::Json`] |
//! | `value_deserializer=json.loads` | [`typed::TypedReader`] with [`serdes::Json`] |
//! | `KafkaConsumer()`, `assign`, `seek` | [`Kafka::consumer`]`().build().await?`, [`Consumer::assign`], [`Consumer::seek`] |
//! | `value_deserializer=lambda b: json.loads(b)` | [`typed::TypedReader`] with [`serdes::Json`] |
//! | `for message in consumer` | [`Consumer::recv`], [`Consumer::stream`], or batch by batch [`Consumer::next`] |
//! | `consumer.close()`, `wakeup()` | [`Consumer::close`]; from elsewhere, a [`CloseHandle`] |
//! | `consumer.poll(timeout_ms, max_records)` | [`Consumer::poll`] |
//! | `consumer.offsets_for_times` | [`Consumer::offsets_for_times`] |
//! | `KafkaAdminClient` | [`Kafka::admin`] |
//! | `dict` of properties, `client.properties` | [`config::Properties`], with Kafka's and librdkafka's names |
//! | `partitioner=` | [`partitioner::Partitioning`]: Java's murmur2, librdkafka's CRC32, `int(md5(key)) % n`, your own |
//! | `producer.metrics()` | [`Kafka::metrics`], under Kafka's names |
//!
//! # Sending
//!
//! [`Producer::send`] has two steps. The first `await` puts the record into its partition's batch, and waits only while the
//! buffer is full. What it returns, the [`Delivery`], tells when the record is written. Send many, then await them:
//!
//! ```
//! # use milena::{Kafka, Record, broker::Cluster};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let cluster = Cluster::builder().in_memory().start().await?;
//! # let producer = Kafka::connect_to(&cluster).await?.producer().build().await?;
//! let mut deliveries = Vec::new();
//! for step in ["checkout", "payment_success", "order_created"] {
//!     deliveries.push(producer.send(Record::to("orders").key("u42").value(step)).await?);
//! }
//! for delivery in deliveries {
//!     delivery.await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The defaults are the safe ones: written by all replicas in sync, once, and in order, through retries and changes of leaders.
//! A delivery resolves within `delivery.timeout.ms` whatever happens; its error says whether the record may have been written
//! all the same ([`DeliveryError::possibly_written`]). A delivery may be dropped: if
//! its record fails, [`Producer::flush`] and [`Producer::close`] say so. Records without a key are spread over partitions batch
//! by batch; records of one key go to one partition.
//!
//! # Reading
//!
//! A [`Consumer`] reads the partitions that the program assigns, from where it seeks to. It fetches ahead in the background, from
//! every broker at once. To go on after a restart, store [`RecordBatch::next_position`] beside what was made of the records:
//!
//! ```
//! # use milena::{Kafka, Record, TopicPartition, broker::Cluster};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let cluster = Cluster::builder().in_memory().start().await?;
//! # let kafka = Kafka::connect_to(&cluster).await?;
//! # let producer = kafka.producer().build().await?;
//! # for value in ["a", "b", "c"] { producer.send(Record::to("orders").value(value)).await?.await?; }
//! # let stored_position = 1;
//! let partition = TopicPartition::new("orders", 0);
//! let mut consumer = kafka.consumer().build().await?;
//! consumer.assign([partition.clone()]);
//! consumer.seek(&partition, stored_position)?;
//!
//! let end = consumer.end_offsets(&[partition.clone()]).await?[&partition];
//! let mut position = stored_position;
//! while position < end {
//!     let Some(batch) = consumer.next().await? else { break };
//!     for record in &batch {
//!         println!("{:?}: {:?}", record.key, record.value); // slices of the batch: nothing is copied
//!     }
//!     position = batch.next_offset(); // to be stored
//! }
//! # assert_eq!(position, 3);
//! # Ok(())
//! # }
//! ```
//!
//! An error of [`Consumer::next`] concerns one partition, which stands still until it is told to seek or resume; call again, and
//! the others go on. A topic that does not exist is waited for, with a warning to `tracing`; one that may not be read is an error.
//!
//! [`Consumer::next`] waits for ever. A program that ends at Ctrl-C takes a [`CloseHandle`], and gets `None` then.
//!
//! A [`Record`] is what is sent. What is read is a [`RecordRef`], a slice of its batch; [`Consumer::recv`] gives a copy, which is a
//! [`consumer::Record`].
//!
//! # Testing
//!
//! With the feature `testing`, the tests of your program get a cluster in their process, started in milliseconds, on a virtual clock, that
//! goes wrong on request: see [`testing`].
//!
//! With the feature `broker` there is the cluster alone ([`broker::Cluster`]), for demonstrations and tools:
//!
//! ```
//! use milena::broker::{Cluster, TopicSpec};
//! use milena::{Kafka, Record};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::builder().nodes(3).topic(TopicSpec::new("orders").partitions(6)).start().await?;
//! let kafka = Kafka::connect_to(&cluster).await?; // in memory; others connect to cluster.bootstrap()
//! let producer = kafka.producer().build().await?;
//! producer.send(Record::to("orders").partition(5).value("x")).await?.await?;
//! assert_eq!(cluster.log("orders", 5).unwrap().records().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Cargo features
//!
//! On by default: the codecs `gzip`, `snappy`, `lz4` and `zstd`, and `json`. Off by default: `broker`, and `testing`, which
//! is for `[dev-dependencies]`: it makes tokio's clock one that can be paused. Everything is pure Rust.

mod builder;
pub mod config;
mod consumer_builder;
#[cfg(feature = "broker")]
mod embedded;
mod error;
mod kafka;
mod producer_builder;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;
pub mod typed;

pub use builder::KafkaBuilder;
pub use consumer_builder::ConsumerBuilder;
#[cfg(feature = "broker")]
pub use embedded::ClusterConnector;
pub use error::{BuildError, ConnectError, Unsupported};
pub use kafka::Kafka;
pub use producer_builder::ProducerBuilder;

pub use milena_client::{
    Address, Backoff, Client, Env, MetadataRecovery, RequestError, TopicMetadata, TopicPartition, env,
    metrics,
};
pub use milena_consumer::{
    CloseHandle, Consumer, IsolationLevel, OffsetReset, OffsetsError, Position, RecordBatch, RecordRef,
    RecvError, SeekError,
};
pub use milena_producer::{
    Acknowledgement, Acks, Codec, Compression, Delivery, DeliveryError, FlushError, HeaderRef, Producer,
    Record, SendError, TopicProducer, partitioner,
};
pub use milena_protocol::{ErrorCode, Uuid};

pub use milena_admin as admin;
#[cfg(feature = "broker")]
pub use milena_broker as broker;
pub use milena_consumer as consumer;
pub use milena_producer as producer;
pub use milena_serdes as serdes;

/// The README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
