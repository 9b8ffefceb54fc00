//! Eligible leader replicas: who may lead although nobody is in sync (KIP-966).

use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::describe_topic_partitions_response::DescribeTopicPartitionsResponsePartition;
use kafka_protocol::messages::{AlterConfigsRequest, DescribeTopicPartitionsRequest};

use super::nodes::{Nodes, nodes_cases};
use crate::support::*;

nodes_cases! {
    who_leaves_while_too_few_are_in_sync_is_eligible_until_enough_are,
    the_last_leader_leads_again_after_a_crash,
}

/// Leader, who is in sync, who is eligible, who led last.
#[derive(Debug, PartialEq)]
struct Roles(i32, Vec<i32>, Vec<i32>, Vec<i32>);

async fn roles(connection: &mut Connection, topic: &str) -> Roles {
    let request = DescribeTopicPartitionsRequest::default()
        .with_topics(vec![TopicRequest::default().with_name(name(topic))])
        .with_response_partition_limit(10);
    let mut described = connection.call(0, &request).await;
    let DescribeTopicPartitionsResponsePartition {
        leader_id,
        isr_nodes,
        eligible_leader_replicas,
        last_known_elr,
        ..
    } = described.topics.remove(0).partitions.remove(0);
    let ids = |nodes: Option<Vec<kafka_protocol::messages::BrokerId>>| {
        nodes.unwrap_or_default().into_iter().map(|node| node.0).collect()
    };
    Roles(leader_id.0, ids(Some(isr_nodes)), ids(eligible_leader_replicas), ids(last_known_elr))
}

async fn until(connection: &mut Connection, topic: &str, expected: Roles) {
    let mut seen = roles(connection, topic).await;
    let reached = async {
        while seen != expected {
            seen = roles(connection, topic).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, reached).await;
    assert!(in_time.is_ok(), "{topic}: {seen:?} and not {expected:?}");
}

async fn who_leaves_while_too_few_are_in_sync_is_eligible_until_enough_are(nodes: &Nodes) {
    let mut connection = nodes.connect(1).await;
    let (two, three, other) = (unique("two-needed"), unique("one-needed"), unique("other-needs"));
    nodes.create(&mut connection, &two, &[3, 1], &[("min.insync.replicas", "2")]).await;
    nodes.create(&mut connection, &three, &[3, 1, 2], &[("min.insync.replicas", "1")]).await;
    nodes.create(&mut connection, &other, &[3, 1], &[("min.insync.replicas", "2")]).await;
    assert_eq!(roles(&mut connection, &two).await, Roles(3, vec![3, 1], vec![], vec![]));

    nodes.kill(3).await;
    until(&mut connection, &two, Roles(1, vec![1], vec![3], vec![])).await;
    until(&mut connection, &three, Roles(1, vec![1, 2], vec![], vec![])).await;
    until(&mut connection, &other, Roles(1, vec![1], vec![3], vec![])).await;

    // With another `min.insync.replicas` nobody can tell who has what was acknowledged.
    let config =
        AlterableConfig::default().with_name(text("min.insync.replicas")).with_value(Some(text("1")));
    let resource = AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text(&other))
        .with_configs(vec![config]);
    let altered = connection.call(1, &AlterConfigsRequest::default().with_resources(vec![resource])).await;
    assert_eq!(altered.responses[0].error_code, 0);
    until(&mut connection, &other, Roles(1, vec![1], vec![], vec![])).await;
    assert_eq!(roles(&mut connection, &two).await, Roles(1, vec![1], vec![3], vec![]));

    nodes.start(3).await;
    until(&mut connection, &two, Roles(1, vec![1, 3], vec![], vec![])).await;
}

async fn the_last_leader_leads_again_after_a_crash(nodes: &Nodes) {
    let mut connection = nodes.connect(1).await;
    let topic = unique("one-replica");
    nodes.create(&mut connection, &topic, &[3], &[]).await;
    nodes.kill(3).await;
    until(&mut connection, &topic, Roles(-1, vec![], vec![3], vec![3])).await;
    nodes.start(3).await;
    until(&mut connection, &topic, Roles(3, vec![3], vec![], vec![])).await;
}
