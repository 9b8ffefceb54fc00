use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::FetchPartition;
use milena_protocol::{ApiKey, ErrorCode};
use uuid::Uuid;

use crate::support::*;

cases! {
    every_version_returns_the_records,
    a_fetch_within_a_batch_returns_it_whole,
    the_first_batch_comes_whole_however_small_the_limits,
    a_limit_may_cut_the_last_batch,
    only_the_first_partition_with_records_ignores_the_limit,
    offsets_outside_the_log_are_out_of_range,
    leader_epochs_are_compared,
    a_last_fetched_epoch_that_the_log_does_not_have_diverges_or_is_out_of_range,
    unknown_topics_and_ids_are_told_apart,
    a_fetch_without_records_waits_as_long_as_asked,
    an_error_does_not_wait,
    a_waiting_fetch_is_answered_once_there_are_enough_bytes,
    read_committed_has_a_list_of_aborted_transactions_and_read_uncommitted_none,
}

fn partition(fetch_offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_fetch_offset(fetch_offset)
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
        .with_partition_max_bytes(1 << 20)
}

/// A topic with three batches of two records.
async fn three_batches(broker: &Broker) -> (Connection, String, usize) {
    let mut connection = broker.connect().await;
    let topic = unique("fetch");
    connection.create_topic(&topic, &[]).await;
    let batch = BatchOf::records(2).bytes();
    for _ in 0..3 {
        assert_eq!(connection.produce(9, &topic, batch.clone()).await.error_code, 0);
    }
    (connection, topic, batch.len())
}

async fn every_version_returns_the_records(broker: &Broker) {
    let (mut connection, topic, _) = three_batches(broker).await;
    let topic_id = connection.topic_id(&topic).await;
    for version in broker.versions(ApiKey::Fetch, 4..=17) {
        let mut request = fetch_request(&topic, vec![partition(2)]);
        if version >= 13 {
            request.topics[0].topic = Default::default();
            request.topics[0].topic_id = topic_id;
        }
        let response = connection.call(version, &request).await;
        let answer = &response.responses[0].partitions[0];
        assert_eq!((response.error_code, answer.error_code), (0, 0), "version {version}");
        assert_eq!(base_offsets(&answer.records), [2, 4], "version {version}");
        assert_eq!((answer.high_watermark, answer.last_stable_offset), (6, 6));
    }
}

async fn a_fetch_within_a_batch_returns_it_whole(broker: &Broker) {
    let (mut connection, topic, _) = three_batches(broker).await;
    assert_eq!(base_offsets(&connection.fetch(&topic, 3, |request| request).await.records), [2, 4]);
}

async fn the_first_batch_comes_whole_however_small_the_limits(broker: &Broker) {
    let (mut connection, topic, batch) = three_batches(broker).await;
    let by_request = connection.fetch(&topic, 0, |request| request.with_max_bytes(1)).await;
    assert_eq!(by_request.records.map(|records| records.len()), Some(batch));
    let by_partition = connection.fetch(&topic, 0, |mut request| {
        request.topics[0].partitions[0].partition_max_bytes = 1;
        request
    });
    assert_eq!(by_partition.await.records.map(|records| records.len()), Some(batch));
}

async fn a_limit_may_cut_the_last_batch(broker: &Broker) {
    let (mut connection, topic, batch) = three_batches(broker).await;
    let limit = batch + batch / 2;
    let cut = connection.fetch(&topic, 0, |request| request.with_max_bytes(limit as i32)).await;
    let records = cut.records.expect("records");
    assert_eq!((records.len(), base_offsets(&Some(records))), (limit, vec![0]));
}

async fn only_the_first_partition_with_records_ignores_the_limit(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("fetch-limit");
    connection.create_topic_with(&topic, 3, &[]).await;
    let batch = BatchOf::records(2).bytes();
    for index in 1..3 {
        connection.call(9, &produce_request(&topic, index, -1, batch.clone())).await;
    }
    let partitions = (0..3).map(|index| partition(0).with_partition(index)).collect();
    let request = fetch_request(&topic, partitions).with_max_bytes(1);
    let response = connection.call(12, &request).await;
    let lens: Vec<_> = response.responses[0]
        .partitions
        .iter()
        .map(|answer| answer.records.as_ref().map_or(0, Bytes::len))
        .collect();
    assert_eq!(lens, [0, batch.len(), 0]);
}

async fn offsets_outside_the_log_are_out_of_range(broker: &Broker) {
    let (mut connection, topic, _) = three_batches(broker).await;
    for offset in [-1, 7] {
        let answer = connection.fetch(&topic, offset, |request| request).await;
        assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::OffsetOutOfRange, "{offset}");
        assert_eq!((answer.high_watermark, answer.last_stable_offset, answer.log_start_offset), (-1, -1, -1));
    }
    let end = connection.fetch(&topic, 6, |request| request).await;
    assert_eq!((end.error_code, end.high_watermark), (0, 6));
}

async fn leader_epochs_are_compared(broker: &Broker) {
    let (mut connection, topic, _) = three_batches(broker).await;
    let current = connection.call(12, &metadata_of(&topic)).await.topics[0].partitions[0].leader_epoch;
    for (epoch, expected) in [(current, ErrorCode::None), (current + 1, ErrorCode::UnknownLeaderEpoch)] {
        let answer = connection.fetch(&topic, 0, |mut request| {
            request.topics[0].partitions[0].current_leader_epoch = epoch;
            request
        });
        assert_eq!(ErrorCode::from(answer.await.error_code), expected);
    }
}

async fn a_last_fetched_epoch_that_the_log_does_not_have_diverges_or_is_out_of_range(broker: &Broker) {
    let (mut connection, topic, _) = three_batches(broker).await;
    let current = connection.call(12, &metadata_of(&topic)).await.topics[0].partitions[0].leader_epoch;
    let mut fetch = async |offset, last_fetched_epoch| {
        let change = |mut request: kafka_protocol::messages::FetchRequest| {
            request.topics[0].partitions[0].last_fetched_epoch = last_fetched_epoch;
            request
        };
        connection.fetch(&topic, offset, change).await
    };
    assert_eq!(base_offsets(&fetch(2, current).await.records), [2, 4]);
    let beyond = fetch(9, current).await;
    assert_eq!(
        (beyond.error_code, beyond.diverging_epoch.epoch, beyond.diverging_epoch.end_offset),
        (0, current, 6)
    );
    let unknown = fetch(2, current + 5).await;
    assert_eq!(ErrorCode::from(unknown.error_code), ErrorCode::OffsetOutOfRange);
}

async fn unknown_topics_and_ids_are_told_apart(broker: &Broker) {
    let mut connection = broker.connect().await;
    let answer = connection.fetch(&unique("missing"), 0, |request| request).await;
    assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::UnknownTopicOrPartition);
    let mut request = fetch_request("", vec![partition(0)]);
    request.topics[0].topic_id = Uuid::from_bytes([7; 16]);
    let response = connection.call(13, &request).await;
    let answer = &response.responses[0].partitions[0];
    assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::UnknownTopicId);
}

async fn a_fetch_without_records_waits_as_long_as_asked(broker: &Broker) {
    let (mut connection, topic, _) = three_batches(broker).await;
    let begun = Instant::now();
    let answer = connection.fetch(&topic, 6, |request| request.with_max_wait_ms(200)).await;
    assert_eq!((answer.error_code, base_offsets(&answer.records)), (0, vec![]));
    assert!(begun.elapsed() >= Duration::from_millis(190), "{:?}", begun.elapsed());
}

async fn an_error_does_not_wait(broker: &Broker) {
    let (mut connection, topic, _) = three_batches(broker).await;
    let answer = connection.fetch(&topic, 7, |request| request.with_max_wait_ms(i32::MAX)).await;
    assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::OffsetOutOfRange);
}

async fn a_waiting_fetch_is_answered_once_there_are_enough_bytes(broker: &Broker) {
    let (mut producer, topic, batch) = three_batches(broker).await;
    let mut consumer = broker.connect().await;
    let request = fetch_request(&topic, vec![partition(6)])
        .with_max_wait_ms(PATIENCE.as_millis() as i32)
        .with_min_bytes(2 * batch as i32);
    let correlation_id = consumer.send(12, &request).await;
    for _ in 0..2 {
        producer.produce(9, &topic, BatchOf::records(2).bytes()).await;
    }
    let response = consumer.receive::<kafka_protocol::messages::FetchRequest>(12, correlation_id).await;
    assert_eq!(base_offsets(&response.responses[0].partitions[0].records), [6, 8]);
}

async fn read_committed_has_a_list_of_aborted_transactions_and_read_uncommitted_none(broker: &Broker) {
    let (mut connection, topic, _) = three_batches(broker).await;
    let uncommitted = connection.fetch(&topic, 0, |request| request).await;
    let committed = connection.fetch(&topic, 0, |request| request.with_isolation_level(1)).await;
    assert_eq!(uncommitted.aborted_transactions, None);
    assert_eq!(committed.aborted_transactions, Some(vec![]));
    assert_eq!(base_offsets(&committed.records), [0, 2, 4]);
}
