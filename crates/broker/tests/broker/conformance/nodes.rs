//! Cases that take three nodes of which some go: each has nodes of its own, the embedded ones or those of the latest
//! release.

use std::time::Duration;

use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::metadata_response::MetadataResponsePartition;
use kafka_protocol::messages::{BrokerId, CreateTopicsRequest, MetadataRequest};
use milena_broker::Cluster;
use milena_testcontainers::KafkaCluster;

use crate::support::*;

/// Makes a test of every case named, on the embedded nodes and on real ones.
macro_rules! nodes_cases {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&crate::conformance::nodes::Nodes::embedded().await).await;
            })*
        }
        mod real_kafka_control {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&crate::conformance::nodes::Nodes::real().await).await;
            })*
        }
    };
}
pub(super) use nodes_cases;

/// Three nodes, whoever made them.
pub(super) enum Nodes {
    Embedded(Cluster),
    Real(KafkaCluster),
}

impl Nodes {
    pub(super) async fn embedded() -> Self {
        Self::Embedded(Cluster::builder().nodes(3).start().await.expect("starts"))
    }

    pub(super) async fn real() -> Self {
        let kafka = KafkaCluster::builder().nodes(3).heap_mib(256).start().await;
        Self::Real(kafka.expect("a real Kafka starts"))
    }

    /// Connects to a node, by its id.
    pub(super) async fn connect(&self, node: i32) -> Connection {
        match self {
            Self::Embedded(cluster) => Connection::open(&cluster.address(node).expect("a node")).await,
            Self::Real(kafka) => {
                let node = &kafka.nodes()[node as usize - 1];
                Connection::open(&format!("{}:{}", node.host, node.port)).await
            }
        }
    }

    pub(super) async fn kill(&self, node: i32) {
        match self {
            Self::Embedded(cluster) => cluster.faults().kill(node).await,
            Self::Real(kafka) => kafka.kill(node).await.expect("killed"),
        }
    }

    pub(super) async fn start(&self, node: i32) {
        match self {
            Self::Embedded(cluster) => cluster.faults().restart(node).await.expect("started"),
            Self::Real(kafka) => kafka.start_node(node).await.expect("started"),
        }
    }

    /// Creates a topic of one partition on these nodes, and returns when they are in sync and the first of them leads.
    pub(super) async fn create(
        &self,
        connection: &mut Connection,
        topic: &str,
        replicas: &[i32],
        configs: &[(&str, &str)],
    ) {
        let replicas: Vec<_> = replicas.iter().copied().map(BrokerId).collect();
        let assignment = CreatableReplicaAssignment::default().with_broker_ids(replicas.clone());
        let config = |(name, value): &(&str, &str)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
        };
        let new = CreatableTopic::default()
            .with_name(name(topic))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments(vec![assignment])
            .with_configs(configs.iter().map(config).collect());
        let request = CreateTopicsRequest::default().with_topics(vec![new]).with_timeout_ms(10_000);
        let created = connection.call(7, &request).await;
        assert_eq!(created.topics[0].error_code, 0, "{:?}", created.topics[0].error_message);
        until(connection, topic, |partition| partition.isr_nodes == replicas).await;
        until_leading(&mut self.connect(replicas[0].0).await, topic).await;
    }
}

/// Waits until the node that is asked leads the topic's first partition.
pub(super) async fn until_leading(node: &mut Connection, topic: &str) {
    let leading = async {
        while !node.is_leading(topic).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, leading).await.expect("leading in time");
}

/// The topic's first partition; nothing as long as the node that is asked has not learnt of the topic.
pub(super) async fn partition(connection: &mut Connection, topic: &str) -> Option<MetadataResponsePartition> {
    partitions(connection, topic).await.into_iter().next()
}

async fn partitions(connection: &mut Connection, topic: &str) -> Vec<MetadataResponsePartition> {
    let metadata: MetadataRequest = metadata_of(topic);
    let known = connection.call(12, &metadata).await.topics.into_iter().next();
    known.map_or(Vec::new(), |topic| topic.partitions)
}

/// Returns when the node that is asked knows that the topic's partitions are all `as_wanted`.
pub(super) async fn until(
    connection: &mut Connection,
    topic: &str,
    as_wanted: impl Fn(&MetadataResponsePartition) -> bool,
) {
    let known = async {
        loop {
            let partitions = partitions(connection, topic).await;
            if !partitions.is_empty() && partitions.iter().all(&as_wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, known).await.expect("known in time");
}
