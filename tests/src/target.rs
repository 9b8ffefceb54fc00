//! Brokers to test against.

use std::sync::atomic::{AtomicU32, Ordering};

use milena_broker::Cluster;
use milena_testcontainers::{KafkaCluster, KafkaVersion};

/// One kind of broker.
pub enum Target {
    /// Ours, in this process, over TCP.
    Embedded(Cluster),
    /// Apache Kafka, shared by the tests of this process.
    Real(&'static KafkaCluster),
}

impl Target {
    /// A fresh embedded broker.
    pub async fn embedded() -> Self {
        Self::Embedded(Cluster::builder().nodes(1).start().await.expect("the embedded broker starts"))
    }

    /// A real Kafka of this version. Tests that call this are in modules named `real_kafka_control`, which `cargo xtask test` leaves out,
    /// and says so, where none can be started.
    pub async fn real(version: KafkaVersion) -> Self {
        let cluster = KafkaCluster::shared_of(version).await.expect("a real Kafka starts");
        Self::Real(cluster)
    }

    /// The Kafka that the environment gives by its address (`MILENA_KAFKA_BOOTSTRAP`), or else the latest. Tests that call this are in
    /// modules named `real_kafka`.
    pub async fn given_or_latest() -> Self {
        Self::Real(KafkaCluster::shared().await.expect("a real Kafka is there or starts"))
    }

    /// `host:port,...`
    pub fn bootstrap(&self) -> String {
        match self {
            Self::Embedded(cluster) => cluster.bootstrap(),
            Self::Real(cluster) => cluster.bootstrap().to_owned(),
        }
    }

    /// Whether the broker is at least of this release; ours counts as the latest, and so does one that was given.
    pub fn is_at_least(&self, version: KafkaVersion) -> bool {
        match self {
            Self::Embedded(_) => true,
            Self::Real(cluster) => cluster.version().is_none_or(|own| own >= version),
        }
    }
}

/// A name that no other test of this process uses, nor one of another process on the same broker.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{number}", std::process::id())
}
