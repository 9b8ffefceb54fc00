//! Any API can be answered with any error, in all of its versions.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use milena_broker::{Cluster, ErrorCode, TopicSpec};
use milena_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddRaftVoterRequest, AlterClientQuotasRequest,
    AlterConfigsRequest, AlterPartitionReassignmentsRequest, AlterReplicaLogDirsRequest,
    AlterUserScramCredentialsRequest, ApiVersionsRequest, ConsumerGroupDescribeRequest,
    ConsumerGroupHeartbeatRequest, CreateAclsRequest, CreateDelegationTokenRequest, CreatePartitionsRequest,
    CreateTopicsRequest, DeleteAclsRequest, DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeAclsRequest, DescribeClientQuotasRequest, DescribeClusterRequest, DescribeConfigsRequest,
    DescribeDelegationTokenRequest, DescribeGroupsRequest, DescribeLogDirsRequest, DescribeProducersRequest,
    DescribeQuorumRequest, DescribeTopicPartitionsRequest, DescribeTransactionsRequest,
    DescribeUserScramCredentialsRequest, ElectLeadersRequest, EndTxnRequest, ExpireDelegationTokenRequest,
    FetchRequest, FindCoordinatorRequest, HeartbeatRequest, IncrementalAlterConfigsRequest,
    InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest, ListConfigResourcesRequest,
    ListGroupsRequest, ListOffsetsRequest, ListPartitionReassignmentsRequest, ListTransactionsRequest,
    MetadataRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
    OffsetForLeaderEpochRequest, ProduceRequest, RemoveRaftVoterRequest, RenewDelegationTokenRequest,
    SaslAuthenticateRequest, SaslHandshakeRequest, SyncGroupRequest, TxnOffsetCommitRequest,
    UnregisterBrokerRequest, UpdateFeaturesRequest, WriteTxnMarkersRequest, add_partitions_to_txn_request,
    alter_replica_log_dirs_request, delete_records_request, describe_producers_request,
    elect_leaders_request, fetch_request, list_offsets_request, metadata_request, offset_commit_request,
    offset_delete_request, offset_fetch_request, offset_for_leader_epoch_request, produce_request,
    txn_offset_commit_request, write_txn_markers_request,
};
use milena_protocol::{ByteStr, Request, decode_response, encode_request};

use crate::support::*;

/// Asks in every version, each of which is answered with the error.
async fn fails<R: Request>(cluster: &Cluster, request: R)
where
    R::Response: Debug,
{
    fails_in(cluster, R::KEY.versions().min..=R::KEY.versions().max, request).await;
}

async fn fails_in<R: Request>(cluster: &Cluster, versions: RangeInclusive<i16>, request: R)
where
    R::Response: Debug,
{
    for version in versions {
        let mut client = Connection::over(cluster.connect(&cluster.bootstrap()).expect("connects"));
        let fault = cluster.faults().on(R::KEY).answer_with(ErrorCode::KafkaStorageError);
        let frame = encode_request(7, Some("own"), version, &request).expect("encodes");
        client.send_raw(&frame.to_bytes()).await;
        let answer = client.receive_frame().await;
        let answer = answer.unwrap_or_else(|| panic!("{} {version} is not answered", R::KEY));
        let (_, response) = decode_response::<R>(answer, version).expect("decodes");
        assert!(format!("{response:?}").contains("KafkaStorageError"), "{} {version}: {response:?}", R::KEY);
        assert_eq!(fault.fired(), 1);
    }
}

/// One of what a request asks for.
fn one<T: Default>() -> Vec<T> {
    vec![T::default()]
}

fn t() -> ByteStr {
    "t".into()
}

async fn start() -> Cluster {
    Cluster::builder().topic(TopicSpec::new("t")).in_memory().start().await.expect("starts")
}

#[tokio::test]
async fn every_api_that_asks_for_one_thing_fails() {
    let cluster = &start().await;
    fails(cluster, JoinGroupRequest::default()).await;
    fails(cluster, HeartbeatRequest::default()).await;
    fails(cluster, LeaveGroupRequest::default()).await;
    fails(cluster, SyncGroupRequest::default()).await;
    fails(cluster, ListGroupsRequest::default()).await;
    fails(cluster, ApiVersionsRequest::default()).await;
    fails(cluster, InitProducerIdRequest::default()).await;
    fails(cluster, AddOffsetsToTxnRequest::default()).await;
    fails(cluster, EndTxnRequest::default()).await;
    fails(cluster, DescribeClusterRequest::default()).await;
    fails(cluster, ListTransactionsRequest::default()).await;
    fails(cluster, ConsumerGroupHeartbeatRequest::default()).await;
    fails(cluster, DescribeAclsRequest::default()).await;
    fails(cluster, SaslHandshakeRequest::default()).await;
    fails(cluster, SaslAuthenticateRequest::default()).await;
    fails(cluster, CreateDelegationTokenRequest::default()).await;
    fails(cluster, RenewDelegationTokenRequest::default()).await;
    fails(cluster, ExpireDelegationTokenRequest::default()).await;
    fails(cluster, DescribeDelegationTokenRequest::default()).await;
    fails(cluster, AlterPartitionReassignmentsRequest::default()).await;
    fails(cluster, ListPartitionReassignmentsRequest::default()).await;
    fails(cluster, DescribeClientQuotasRequest::default()).await;
    fails(cluster, DescribeUserScramCredentialsRequest::default()).await;
    fails(cluster, DescribeQuorumRequest::default()).await;
    fails(cluster, UpdateFeaturesRequest::default()).await;
    fails(cluster, UnregisterBrokerRequest::default()).await;
    fails(cluster, AddRaftVoterRequest::default()).await;
    fails(cluster, RemoveRaftVoterRequest::default()).await;
    fails(cluster, ListConfigResourcesRequest::default()).await;
}

#[tokio::test]
async fn every_api_that_names_partitions_fails() {
    let cluster = &start().await;
    let topic = produce_request::TopicProduceData { name: t(), partition_data: one(), ..Default::default() };
    fails(cluster, ProduceRequest { acks: -1, topic_data: vec![topic], ..Default::default() }).await;
    let topic = fetch_request::FetchTopic { topic: t(), partitions: one(), ..Default::default() };
    fails(cluster, FetchRequest { topics: vec![topic], ..Default::default() }).await;
    let topic = list_offsets_request::ListOffsetsTopic { name: t(), partitions: one(), ..Default::default() };
    fails(cluster, ListOffsetsRequest { topics: vec![topic], ..Default::default() }).await;
    let topic = metadata_request::MetadataRequestTopic { name: Some(t()), ..Default::default() };
    fails(cluster, MetadataRequest { topics: Some(vec![topic]), ..Default::default() }).await;
    let topic = offset_commit_request::OffsetCommitRequestTopic {
        name: t(),
        partitions: one(),
        ..Default::default()
    };
    fails(cluster, OffsetCommitRequest { topics: vec![topic], ..Default::default() }).await;
    let topic = offset_delete_request::OffsetDeleteRequestTopic { name: t(), partitions: one() };
    fails(cluster, OffsetDeleteRequest { topics: vec![topic], ..Default::default() }).await;
    let topic =
        delete_records_request::DeleteRecordsTopic { name: t(), partitions: one(), ..Default::default() };
    fails(cluster, DeleteRecordsRequest { topics: vec![topic], ..Default::default() }).await;
    let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic {
        topic: t(),
        partitions: one(),
        ..Default::default()
    };
    fails(cluster, OffsetForLeaderEpochRequest { topics: vec![topic], ..Default::default() }).await;
    let topic = write_txn_markers_request::WritableTxnMarkerTopic {
        name: t(),
        partition_indexes: vec![0],
        ..Default::default()
    };
    let marker = write_txn_markers_request::WritableTxnMarker { topics: vec![topic], ..Default::default() };
    fails(cluster, WriteTxnMarkersRequest { markers: vec![marker], ..Default::default() }).await;
    let topic = txn_offset_commit_request::TxnOffsetCommitRequestTopic {
        name: t(),
        partitions: one(),
        ..Default::default()
    };
    fails(cluster, TxnOffsetCommitRequest { topics: vec![topic], ..Default::default() }).await;
    let topic = describe_producers_request::TopicRequest {
        name: t(),
        partition_indexes: vec![0],
        ..Default::default()
    };
    fails(cluster, DescribeProducersRequest { topics: vec![topic], ..Default::default() }).await;
    fails(
        cluster,
        DescribeTopicPartitionsRequest { topics: one(), response_partition_limit: 1, ..Default::default() },
    )
    .await;
    let topic = alter_replica_log_dirs_request::AlterReplicaLogDirTopic {
        name: t(),
        partitions: vec![0],
        ..Default::default()
    };
    let dir =
        alter_replica_log_dirs_request::AlterReplicaLogDir { topics: vec![topic], ..Default::default() };
    fails(cluster, AlterReplicaLogDirsRequest { dirs: vec![dir], ..Default::default() }).await;
    let topic =
        elect_leaders_request::TopicPartitions { topic: t(), partitions: vec![0], ..Default::default() };
    fails(cluster, ElectLeadersRequest { topic_partitions: Some(vec![topic]), ..Default::default() }).await;
}

#[tokio::test]
async fn every_api_that_asks_for_many_things_fails() {
    let cluster = &start().await;
    fails(cluster, DescribeGroupsRequest { groups: vec![t()], ..Default::default() }).await;
    fails(cluster, DeleteGroupsRequest { groups_names: vec![t()], ..Default::default() }).await;
    fails(cluster, DescribeTransactionsRequest { transactional_ids: vec![t()], ..Default::default() }).await;
    fails(cluster, ConsumerGroupDescribeRequest { group_ids: vec![t()], ..Default::default() }).await;
    fails(cluster, CreateTopicsRequest { topics: one(), ..Default::default() }).await;
    fails(cluster, CreatePartitionsRequest { topics: one(), ..Default::default() }).await;
    fails(cluster, DescribeConfigsRequest { resources: one(), ..Default::default() }).await;
    fails(cluster, AlterConfigsRequest { resources: one(), ..Default::default() }).await;
    fails(cluster, IncrementalAlterConfigsRequest { resources: one(), ..Default::default() }).await;
    fails(cluster, CreateAclsRequest { creations: one(), ..Default::default() }).await;
    fails(cluster, DeleteAclsRequest { filters: one(), ..Default::default() }).await;
    fails(cluster, AlterClientQuotasRequest { entries: one(), ..Default::default() }).await;
    fails(cluster, AlterUserScramCredentialsRequest { deletions: one(), ..Default::default() }).await;
}

#[tokio::test]
async fn apis_that_ask_for_other_things_in_other_versions_fail() {
    let cluster = &start().await;
    fails_in(cluster, 0..=3, FindCoordinatorRequest::default()).await;
    fails_in(cluster, 4..=6, FindCoordinatorRequest { coordinator_keys: one(), ..Default::default() }).await;
    fails_in(cluster, 1..=5, DeleteTopicsRequest { topic_names: one(), ..Default::default() }).await;
    fails_in(cluster, 6..=6, DeleteTopicsRequest { topics: one(), ..Default::default() }).await;
    let topic = offset_fetch_request::OffsetFetchRequestTopic {
        name: t(),
        partition_indexes: vec![0],
        ..Default::default()
    };
    fails_in(cluster, 1..=7, OffsetFetchRequest { topics: Some(vec![topic]), ..Default::default() }).await;
    fails_in(cluster, 8..=9, OffsetFetchRequest { groups: one(), ..Default::default() }).await;
    let topic = add_partitions_to_txn_request::AddPartitionsToTxnTopic {
        name: t(),
        partitions: vec![0],
        ..Default::default()
    };
    let before = AddPartitionsToTxnRequest { v3_and_below_topics: vec![topic], ..Default::default() };
    fails_in(cluster, 0..=3, before).await;
    fails_in(cluster, 4..=5, AddPartitionsToTxnRequest { transactions: one(), ..Default::default() }).await;
    fails_in(cluster, 3..=4, DescribeLogDirsRequest::default()).await;
}
