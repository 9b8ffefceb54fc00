//! UnregisterBroker (KIP-730): a broker that the cluster forgets, whether it runs or not, until it is started again.
//!
//! It takes three nodes of which one goes, so there is no broker to share: the embedded one and the latest release do.

use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use kafka_protocol::messages::metadata_response::MetadataResponsePartition;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DescribeClusterRequest, MetadataRequest, UnregisterBrokerRequest,
};
use milena_broker::Cluster;
use milena_protocol::ErrorCode;
use milena_testcontainers::KafkaCluster;

use crate::support::*;

/// Three nodes, whoever made them.
enum Nodes {
    Embedded(Cluster),
    Real(KafkaCluster),
}

impl Nodes {
    async fn connect(&self) -> Connection {
        match self {
            Self::Embedded(cluster) => Connection::open(&cluster.address(1).expect("the first")).await,
            Self::Real(kafka) => {
                let first = &kafka.nodes()[0];
                Connection::open(&format!("{}:{}", first.host, first.port)).await
            }
        }
    }

    async fn kill(&self, node: i32) {
        match self {
            Self::Embedded(cluster) => cluster.faults().kill(node).await,
            Self::Real(kafka) => kafka.kill(node).await.expect("killed"),
        }
    }

    async fn start(&self, node: i32) {
        match self {
            Self::Embedded(cluster) => cluster.faults().restart(node).await.expect("started"),
            Self::Real(kafka) => kafka.start_node(node).await.expect("started"),
        }
    }
}

mod embedded {
    use milena_broker::Cluster;

    #[tokio::test]
    async fn brokers_that_are_unregistered_are_forgotten_until_they_come_back() {
        let cluster = Cluster::builder().nodes(3).start().await.expect("starts");
        super::brokers_that_are_unregistered_are_forgotten(super::Nodes::Embedded(cluster)).await;
    }
}

mod real_kafka_control {
    use milena_testcontainers::KafkaCluster;

    #[tokio::test]
    async fn brokers_that_are_unregistered_are_forgotten_until_they_come_back() {
        let kafka =
            KafkaCluster::builder().nodes(3).heap_mib(256).start().await.expect("a real Kafka starts");
        super::brokers_that_are_unregistered_are_forgotten(super::Nodes::Real(kafka)).await;
    }
}

async fn unregister(connection: &mut Connection, node: i32) -> ErrorCode {
    let request = UnregisterBrokerRequest::default().with_broker_id(node.into());
    let response = connection.call(0, &request).await;
    assert_eq!(response.error_message.is_some_and(|it| !it.is_empty()), response.error_code != 0);
    ErrorCode::from(response.error_code)
}

/// The brokers that clients are told of.
async fn brokers(connection: &mut Connection) -> Vec<i32> {
    let metadata = connection.call(12, &MetadataRequest::default().with_topics(Some(vec![]))).await;
    let mut brokers: Vec<_> = metadata.brokers.iter().map(|broker| broker.node_id.0).collect();
    brokers.sort_unstable();
    brokers
}

/// The same with those that are fenced.
async fn registered(connection: &mut Connection) -> Vec<i32> {
    let request = DescribeClusterRequest::default().with_endpoint_type(1).with_include_fenced_brokers(true);
    let described = connection.call(2, &request).await;
    let mut brokers: Vec<_> = described.brokers.iter().map(|broker| broker.broker_id.0).collect();
    brokers.sort_unstable();
    brokers
}

/// The topic's first partition; nothing as long as the node that is asked has not learnt of the topic.
async fn partition(connection: &mut Connection, topic: &str) -> Option<MetadataResponsePartition> {
    let metadata = connection.call(12, &metadata_of(topic)).await;
    metadata.topics.into_iter().next()?.partitions.into_iter().next()
}

async fn until_in_sync(connection: &mut Connection, topic: &str, expected: &[BrokerId]) {
    let in_sync =
        async { while partition(connection, topic).await.is_none_or(|it| it.isr_nodes != *expected) {} };
    tokio::time::timeout(PATIENCE, in_sync).await.expect("in sync in time");
}

async fn until(connection: &mut Connection, expected: &[i32]) {
    let known = async { while brokers(connection).await != expected {} };
    tokio::time::timeout(PATIENCE, known).await.expect("known in time");
}

async fn brokers_that_are_unregistered_are_forgotten(nodes: Nodes) {
    let mut connection = nodes.connect().await;
    let topic = unique("unregistered");
    let assignment = CreatableReplicaAssignment::default().with_broker_ids(vec![3.into(), 1.into()]);
    let new = CreatableTopic::default()
        .with_name(name(&topic))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_assignments(vec![assignment]);
    let request = CreateTopicsRequest::default().with_topics(vec![new]).with_timeout_ms(10_000);
    let created = connection.call(7, &request).await;
    assert_eq!(created.topics[0].error_code, 0, "{:?}", created.topics[0].error_message);
    until_in_sync(&mut connection, &topic, &[3.into(), 1.into()]).await;
    assert_eq!(unregister(&mut connection, 77).await, ErrorCode::BrokerIdNotRegistered);

    // One that runs: what it led is led by another, and nobody is told of it.
    assert_eq!(unregister(&mut connection, 3).await, ErrorCode::None);
    until(&mut connection, &[1, 2]).await;
    assert_eq!(registered(&mut connection).await, [1, 2]);
    let left = partition(&mut connection, &topic).await.expect("the topic is known");
    assert_eq!(
        (left.leader_id.0, left.isr_nodes, left.offline_replicas),
        (1, vec![1.into()], vec![3.into()])
    );
    assert_eq!(left.replica_nodes, [3, 1]);
    assert_eq!(unregister(&mut connection, 3).await, ErrorCode::BrokerIdNotRegistered);

    // It comes back when it is started again.
    nodes.kill(3).await;
    assert_eq!(registered(&mut connection).await, [1, 2]);
    nodes.start(3).await;
    until(&mut connection, &[1, 2, 3]).await;

    // One that is dead.
    nodes.kill(3).await;
    until(&mut connection, &[1, 2]).await;
    assert_eq!(registered(&mut connection).await, [1, 2, 3], "it is expected back");
    assert_eq!(unregister(&mut connection, 3).await, ErrorCode::None);
    let forgotten = async { while registered(&mut connection).await != [1, 2] {} };
    tokio::time::timeout(PATIENCE, forgotten).await.expect("forgotten in time");
    assert_eq!(unregister(&mut connection, 3).await, ErrorCode::BrokerIdNotRegistered);
    nodes.start(3).await;
    until(&mut connection, &[1, 2, 3]).await;
}
