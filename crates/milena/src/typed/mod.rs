//! Keys and values of your own types, over the producer and over batches of the consumer.
//!
//! The formats are those of [`serdes`](crate::serdes), or your own. Nothing is added to what a producer or a consumer does: a
//! [`TypedProducer`] serializes into buffers that it reuses and sends, a [`TypedReader`] walks the records of a batch.
//!
//! ```
//! use milena::serdes::{Json, Utf8};
//! use milena::typed::{TypedProducer, TypedReader};
//! # use milena::{Kafka, Record, broker::{Cluster, TopicSpec}};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Order {
//!     user: String,
//!     total: u32,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let cluster = Cluster::builder().in_memory().topic(TopicSpec::new("orders")).start().await?;
//! # let kafka = Kafka::builder_for(&cluster).connect().await?;
//! let orders = TypedProducer::new(kafka.producer().build().await?, Utf8, Json);
//! let order = Order { user: "u42".to_owned(), total: 12 };
//! let delivery = orders.send(Record::to("orders").header("trace_id", "f00d"), "u42", &order).await?;
//! delivery.await?;
//!
//! // Somebody else wrote something else.
//! orders.producer().send(Record::to("orders").key("u43").value("not an order")).await?.await?;
//!
//! let mut consumer = kafka.consumer().build().await?;
//! consumer.assign_topic("orders").await?;
//! consumer.seek_to_beginning(&consumer.assignment())?;
//! let reader = TypedReader::new(Utf8, Json);
//! let mut seen = 0;
//! while seen < 2 {
//!     let Some(batch) = consumer.next().await? else { break };
//!     for record in reader.read::<&str, Order>(&batch) {
//!         seen += 1;
//!         match record {
//!             Ok(record) => assert_eq!((record.key, record.value.total), ("u42", 12)),
//!             // Topic, partition, offset and the raw bytes are in the error; the next turn goes on past it.
//!             Err(error) => assert_eq!(error.record.offset, 1),
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod producer;
mod reader;

pub use producer::{TypedProducer, TypedSendError};
pub use reader::{TypedReader, TypedRecord, TypedRecords};
