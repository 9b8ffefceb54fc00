//! The facade: what builders and properties say reaches the clients, and typed values pass through.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod handle;
mod properties;
mod typed;

use milena::Kafka;
use milena::broker::{Cluster, TopicSpec};

/// A cluster in memory with a topic `orders` of three partitions, and a handle on it.
async fn cluster() -> (Cluster, Kafka) {
    let orders = TopicSpec::new("orders").partitions(3);
    let cluster = Cluster::builder().in_memory().topic(orders).start().await.unwrap();
    let kafka = Kafka::connect_to(&cluster).await.unwrap();
    (cluster, kafka)
}
