//! UnregisterBroker (KIP-730): a broker that the cluster forgets, whether it runs or not, until it is started again.
//!
use kafka_protocol::messages::{DescribeClusterRequest, MetadataRequest, UnregisterBrokerRequest};
use milena_protocol::ErrorCode;

use super::nodes::{self, Nodes, nodes_cases};
use crate::support::*;

nodes_cases! {
    brokers_that_are_unregistered_are_forgotten_until_they_come_back,
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

async fn until(connection: &mut Connection, expected: &[i32]) {
    let known = async { while brokers(connection).await != expected {} };
    tokio::time::timeout(PATIENCE, known).await.expect("known in time");
}

async fn brokers_that_are_unregistered_are_forgotten_until_they_come_back(nodes: &Nodes) {
    let mut connection = nodes.connect(1).await;
    let topic = unique("unregistered");
    nodes.create(&mut connection, &topic, &[3, 1], &[]).await;
    assert_eq!(unregister(&mut connection, 77).await, ErrorCode::BrokerIdNotRegistered);

    // One that runs: what it led is led by another, and nobody is told of it.
    assert_eq!(unregister(&mut connection, 3).await, ErrorCode::None);
    until(&mut connection, &[1, 2]).await;
    assert_eq!(registered(&mut connection).await, [1, 2]);
    let left = nodes::partition(&mut connection, &topic).await.expect("the topic is known");
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
