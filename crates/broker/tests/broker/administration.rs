//! What administrators see of the embedded cluster where one real broker with the defaults has nothing to show.

use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest,
    ElectLeadersRequest,
};
use milena_broker::{Cluster, TopicSpec};

use crate::support::*;

#[tokio::test]
async fn acls_are_stored_described_and_deleted_when_asked_for() {
    let cluster = Cluster::builder().store_acls().start().await.expect("starts");
    let mut connection = Connection::open(&cluster.bootstrap()).await;
    let creation = AclCreation::default()
        .with_resource_type(2)
        .with_resource_name(text("orders"))
        .with_resource_pattern_type(3)
        .with_principal(text("User:alice"))
        .with_host(text("*"))
        .with_operation(3)
        .with_permission_type(3);
    let created = connection.call(3, &CreateAclsRequest::default().with_creations(vec![creation])).await;
    assert_eq!(created.results[0].error_code, 0);
    let all = DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_resource_name_filter(None)
        .with_pattern_type_filter(1)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    let described = connection.call(3, &all).await;
    assert_eq!((described.error_code, &*described.resources[0].resource_name), (0, "orders"));
    assert_eq!(&*described.resources[0].acls[0].principal, "User:alice");
    let filter = DeleteAclsFilter::default()
        .with_resource_type_filter(2)
        .with_resource_name_filter(Some(text("orders")))
        .with_pattern_type_filter(3)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    let deleted = connection.call(3, &DeleteAclsRequest::default().with_filters(vec![filter])).await;
    assert_eq!(deleted.filter_results[0].matching_acls.len(), 1);
    assert!(connection.call(3, &all).await.resources.is_empty());
}

#[tokio::test]
async fn partitions_move_to_other_replicas_and_their_preferred_leaders() {
    let topic = TopicSpec::new("orders").assignments(vec![vec![1, 2]]);
    let cluster = Cluster::builder().nodes(3).topic(topic).start().await.expect("starts");
    let mut connection = Connection::open(&cluster.address(1).expect("an address")).await;
    let partition = ReassignablePartition::default().with_replicas(Some(vec![3.into(), 1.into(), 2.into()]));
    let topic = ReassignableTopic::default().with_name(name("orders")).with_partitions(vec![partition]);
    let request =
        AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let reassigned = connection.call(0, &request).await;
    assert_eq!(reassigned.responses[0].partitions[0].error_code, 0);
    assert_eq!((cluster.leader("orders", 0), cluster.leader_epoch("orders", 0)), (Some(1), Some(0)));
    let elect = ElectLeadersRequest::default().with_topic_partitions(None).with_timeout_ms(10_000);
    let elected = connection.call(2, &elect).await;
    assert_eq!(elected.replica_election_results[0].partition_result[0].error_code, 0);
    assert_eq!((cluster.leader("orders", 0), cluster.leader_epoch("orders", 0)), (Some(3), Some(1)));
    let described = connection.call(12, &metadata_of("orders")).await;
    let replicas: Vec<_> = described.topics[0].partitions[0].isr_nodes.iter().map(|node| node.0).collect();
    assert_eq!(replicas, [3, 1, 2]);
}
