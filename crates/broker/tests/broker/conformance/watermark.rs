//! What is written while fewer replicas are in sync than `min.insync.replicas` says: it is not seen until there are enough
//! (KIP-966).

use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, ElectLeadersRequest, ListOffsetsRequest,
};
use milena_protocol::ErrorCode;

use super::nodes::{Nodes, nodes_cases, until, until_leading};
use crate::support::*;

nodes_cases! {
    records_under_min_isr_are_seen_when_enough_replicas_are_in_sync_again,
    a_leader_above_the_high_watermark_does_not_tell_where_its_log_ends,
}

/// What ListOffsets answers for the first partition: error and offset.
async fn offset_at(
    connection: &mut Connection,
    version: i16,
    topic: &str,
    timestamp: i64,
    isolation_level: i8,
) -> (ErrorCode, i64) {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp).with_current_leader_epoch(-1);
    let asked = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(isolation_level)
        .with_topics(vec![asked]);
    let response = connection.call(version, &request).await;
    let answer = &response.topics[0].partitions[0];
    (ErrorCode::from(answer.error_code), answer.offset)
}

async fn produce(connection: &mut Connection, topic: &str, acks: i16) -> ErrorCode {
    let request = produce_request(topic, 0, acks, BatchOf::records(2).bytes());
    let response = connection.call(9, &request).await;
    ErrorCode::from(response.responses[0].partition_responses[0].error_code)
}

/// High watermark, last stable offset and bytes of a fetch that does not wait.
async fn fetched(connection: &mut Connection, topic: &str, offset: i64) -> (i64, i64, bool) {
    let answer = connection.fetch(topic, offset, |request| request).await;
    assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::None);
    (answer.high_watermark, answer.last_stable_offset, answer.records.is_some_and(|bytes| !bytes.is_empty()))
}

async fn records_under_min_isr_are_seen_when_enough_replicas_are_in_sync_again(nodes: &Nodes) {
    let mut leader = nodes.connect(1).await;
    let topic = unique("under-min-isr");
    nodes.create(&mut leader, &topic, &[1, 3], &[("min.insync.replicas", "2")]).await;
    assert_eq!(produce(&mut leader, &topic, -1).await, ErrorCode::None);

    nodes.kill(3).await;
    until(&mut leader, &topic, |partition| partition.isr_nodes == [BrokerId(1)]).await;
    assert_eq!(produce(&mut leader, &topic, -1).await, ErrorCode::NotEnoughReplicas);
    assert_eq!(produce(&mut leader, &topic, 1).await, ErrorCode::None);
    assert_eq!(fetched(&mut leader, &topic, 0).await, (2, 2, true));
    assert_eq!(fetched(&mut leader, &topic, 2).await, (2, 2, false));
    assert_eq!(fetched(&mut leader, &topic, 4).await, (2, 2, false), "the log goes that far");
    for isolation_level in [0, 1] {
        let latest = offset_at(&mut leader, 5, &topic, -1, isolation_level).await;
        assert_eq!(latest, (ErrorCode::None, 2));
    }

    nodes.start(3).await;
    until(&mut leader, &topic, |partition| partition.isr_nodes.len() == 2).await;
    assert_eq!(fetched(&mut leader, &topic, 2).await, (4, 4, true));
    assert_eq!(offset_at(&mut leader, 5, &topic, -1, 0).await, (ErrorCode::None, 4));
}

async fn a_leader_above_the_high_watermark_does_not_tell_where_its_log_ends(nodes: &Nodes) {
    let mut first = nodes.connect(1).await;
    let topic = unique("lagging-leader");
    nodes.create(&mut first, &topic, &[1, 2, 3], &[("min.insync.replicas", "3")]).await;
    assert_eq!(produce(&mut first, &topic, -1).await, ErrorCode::None);
    nodes.kill(3).await;
    until(&mut first, &topic, |partition| partition.isr_nodes == [BrokerId(1), BrokerId(2)]).await;
    assert_eq!(produce(&mut first, &topic, 1).await, ErrorCode::None);

    // The second one takes over: it has everything, and does not know what of it is valid.
    let partition = ReassignablePartition::default().with_replicas(Some([2, 1, 3].map(BrokerId).to_vec()));
    let moved = ReassignableTopic::default().with_name(name(&topic)).with_partitions(vec![partition]);
    let request =
        AlterPartitionReassignmentsRequest::default().with_timeout_ms(10_000).with_topics(vec![moved]);
    assert_eq!(first.call(0, &request).await.responses[0].partitions[0].error_code, 0);
    let preferred = TopicPartitions::default().with_topic(name(&topic)).with_partitions(vec![0]);
    let request =
        ElectLeadersRequest::default().with_topic_partitions(Some(vec![preferred])).with_timeout_ms(10_000);
    let elected = first.call(2, &request).await;
    assert_eq!(elected.replica_election_results[0].partition_result[0].error_code, 0);
    let mut second = nodes.connect(2).await;
    until_leading(&mut second, &topic).await;
    for (version, error) in [(4, ErrorCode::LeaderNotAvailable), (5, ErrorCode::OffsetNotAvailable)] {
        assert_eq!(offset_at(&mut second, version, &topic, -1, 0).await, (error, -1));
        assert_eq!(offset_at(&mut second, version, &topic, i64::MAX, 0).await, (error, -1), "no such record");
    }
    assert_eq!(offset_at(&mut second, 5, &topic, -2, 0).await, (ErrorCode::None, 0));

    nodes.start(3).await;
    until(&mut second, &topic, |partition| partition.isr_nodes.len() == 3).await;
    assert_eq!(offset_at(&mut second, 5, &topic, -1, 0).await, (ErrorCode::None, 4));
}
