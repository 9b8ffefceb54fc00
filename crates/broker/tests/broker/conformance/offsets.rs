//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords.

use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{DeleteRecordsRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest};
use milena_protocol::{ApiKey, ErrorCode};

use crate::support::*;

cases! {
    latest_and_earliest_in_every_version,
    the_first_record_at_or_after_a_timestamp,
    the_greatest_timestamp_and_its_first_version,
    special_timestamps_need_their_version,
    list_offsets_refuses_duplicates_unknown_partitions_and_wrong_epochs,
    end_offsets_of_leader_epochs,
    deleted_records_move_the_log_start,
}

const T: i64 = 1_700_000_000_000;

fn list_offsets(topic: &str, timestamp: i64) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default().with_current_leader_epoch(-1).with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic])
}

async fn offset(
    connection: &mut Connection,
    version: i16,
    topic: &str,
    timestamp: i64,
) -> ListOffsetsPartitionResponse {
    connection.call(version, &list_offsets(topic, timestamp)).await.topics[0].partitions[0].clone()
}

/// Records at T, T+20, T+10 in one batch, and T+30, T+5 in another.
async fn two_batches(broker: &Broker) -> (Connection, String) {
    let mut connection = broker.connect().await;
    let topic = unique("offsets");
    connection.create_topic(&topic, &[]).await;
    for timestamps in [&[T, T + 20, T + 10][..], &[T + 30, T + 5]] {
        assert_eq!(connection.produce(9, &topic, BatchOf::at(timestamps).bytes()).await.error_code, 0);
    }
    (connection, topic)
}

async fn latest_and_earliest_in_every_version(broker: &Broker) {
    let (mut connection, topic) = two_batches(broker).await;
    for version in broker.versions(ApiKey::ListOffsets, 1..=10) {
        let latest = offset(&mut connection, version, &topic, -1).await;
        let earliest = offset(&mut connection, version, &topic, -2).await;
        assert_eq!((latest.error_code, latest.offset, latest.timestamp), (0, 5, -1), "version {version}");
        assert_eq!(
            (earliest.error_code, earliest.offset, earliest.timestamp),
            (0, 0, -1),
            "version {version}"
        );
        let epoch = if version >= 4 { 0 } else { -1 };
        assert_eq!((latest.leader_epoch, earliest.leader_epoch), (epoch, epoch), "version {version}");
    }
}

async fn the_first_record_at_or_after_a_timestamp(broker: &Broker) {
    let (mut connection, topic) = two_batches(broker).await;
    for (timestamp, expected) in
        [(0, (0, T)), (T, (0, T)), (T + 1, (1, T + 20)), (T + 21, (3, T + 30)), (T + 31, (-1, -1))]
    {
        let found = offset(&mut connection, 5, &topic, timestamp).await;
        assert_eq!(
            (found.error_code, found.offset, found.timestamp),
            (0, expected.0, expected.1),
            "{timestamp}"
        );
    }
}

async fn the_greatest_timestamp_and_its_first_version(broker: &Broker) {
    let (mut connection, topic) = two_batches(broker).await;
    let found = offset(&mut connection, 7, &topic, -3).await;
    assert_eq!((found.error_code, found.offset, found.timestamp), (0, 3, T + 30));
    let empty = unique("offsets-empty");
    connection.create_topic(&empty, &[]).await;
    let found = offset(&mut connection, 7, &empty, -3).await;
    assert_eq!((found.error_code, found.offset, found.timestamp), (0, -1, -1));
}

async fn special_timestamps_need_their_version(broker: &Broker) {
    let (mut connection, topic) = two_batches(broker).await;
    for (timestamp, since) in [(-3, 7), (-4, 8), (-5, 9)] {
        let before = offset(&mut connection, since - 1, &topic, timestamp).await;
        assert_eq!(ErrorCode::from(before.error_code), ErrorCode::UnsupportedVersion, "{timestamp}");
        assert_eq!(offset(&mut connection, since, &topic, timestamp).await.error_code, 0, "{timestamp}");
    }
    let unknown = offset(&mut connection, 9, &topic, -7).await;
    assert_eq!(ErrorCode::from(unknown.error_code), ErrorCode::UnsupportedVersion);
    let local = offset(&mut connection, 9, &topic, -4).await;
    let tiered = offset(&mut connection, 9, &topic, -5).await;
    assert_eq!((local.offset, tiered.offset, tiered.leader_epoch), (0, -1, -1));
}

async fn list_offsets_refuses_duplicates_unknown_partitions_and_wrong_epochs(broker: &Broker) {
    let (mut connection, topic) = two_batches(broker).await;
    let mut twice = list_offsets(&topic, -1);
    let partition = twice.topics[0].partitions[0].clone();
    twice.topics[0].partitions.push(partition);
    let response = connection.call(5, &twice).await;
    assert_eq!(ErrorCode::from(response.topics[0].partitions[0].error_code), ErrorCode::InvalidRequest);
    let missing = offset(&mut connection, 5, &unique("missing"), -1).await;
    assert_eq!(ErrorCode::from(missing.error_code), ErrorCode::UnknownTopicOrPartition);
    assert_eq!((missing.offset, missing.timestamp), (-1, -1));
    let mut ahead = list_offsets(&topic, -1);
    ahead.topics[0].partitions[0].current_leader_epoch = 9;
    let response = connection.call(5, &ahead).await;
    assert_eq!(ErrorCode::from(response.topics[0].partitions[0].error_code), ErrorCode::UnknownLeaderEpoch);
}

async fn end_offsets_of_leader_epochs(broker: &Broker) {
    let (mut connection, topic) = two_batches(broker).await;
    for version in broker.versions(ApiKey::OffsetForLeaderEpoch, 2..=4) {
        let mut ask = async |current, wanted| {
            let partition = OffsetForLeaderPartition::default()
                .with_current_leader_epoch(current)
                .with_leader_epoch(wanted);
            let asked =
                OffsetForLeaderTopic::default().with_topic(name(&topic)).with_partitions(vec![partition]);
            let request = OffsetForLeaderEpochRequest::default()
                .with_replica_id(if version >= 3 { (-1).into() } else { (-2).into() })
                .with_topics(vec![asked]);
            let response = connection.call(version, &request).await;
            let answer = &response.topics[0].partitions[0];
            (ErrorCode::from(answer.error_code), answer.leader_epoch, answer.end_offset)
        };
        assert_eq!(ask(-1, 0).await, (ErrorCode::None, 0, 5), "version {version}");
        assert_eq!(ask(-1, 3).await, (ErrorCode::None, -1, -1), "version {version}");
        assert_eq!(ask(4, 0).await, (ErrorCode::UnknownLeaderEpoch, -1, -1), "version {version}");
    }
}

async fn deleted_records_move_the_log_start(broker: &Broker) {
    let (mut connection, topic) = two_batches(broker).await;
    let delete = async |connection: &mut Connection, version, topic: &str, offset| {
        let partition = DeleteRecordsPartition::default().with_offset(offset);
        let asked = DeleteRecordsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default().with_timeout_ms(10_000).with_topics(vec![asked]);
        let response = connection.call(version, &request).await;
        let answer = &response.topics[0].partitions[0];
        (ErrorCode::from(answer.error_code), answer.low_watermark)
    };
    for (version, offset) in [(0, 1), (1, 2), (2, 4)] {
        assert_eq!(delete(&mut connection, version, &topic, offset).await, (ErrorCode::None, offset));
    }
    assert_eq!(offset(&mut connection, 5, &topic, -2).await.offset, 4);
    let before = connection.fetch(&topic, 3, |request| request).await;
    assert_eq!(ErrorCode::from(before.error_code), ErrorCode::OffsetOutOfRange);
    let rest = connection.fetch(&topic, 4, |request| request).await;
    assert_eq!((base_offsets(&rest.records), rest.log_start_offset), (vec![3], 4));
    assert_eq!(delete(&mut connection, 2, &topic, 6).await, (ErrorCode::OffsetOutOfRange, -1));
    assert_eq!(delete(&mut connection, 2, &topic, -1).await, (ErrorCode::None, 5));
    assert_eq!(
        delete(&mut connection, 2, &unique("missing"), 0).await,
        (ErrorCode::UnknownTopicOrPartition, -1)
    );
}
