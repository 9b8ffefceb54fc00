//! The partitions' side: transactional batches, markers, what readers of committed records get, and DescribeProducers.

use std::time::{Duration, Instant};

use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::{DescribeProducersRequest, ListOffsetsRequest, WriteTxnMarkersRequest};
use milena_protocol::{ApiKey, ErrorCode};
use milena_testcontainers::KafkaVersion;

use crate::support::*;
use crate::transactional::*;

cases! {
    older_producers_must_add_their_partitions,
    newer_producers_add_partitions_by_their_batches,
    one_request_adds_all_its_partitions,
    a_transactional_batch_needs_a_transactional_id,
    one_request_is_of_one_producer,
    an_open_transaction_takes_only_transactional_batches,
    a_marker_fences_the_epoch_that_it_ends,
    a_marker_of_the_same_epoch_keeps_the_sequence,
    repeated_batches_of_a_transaction_are_recognised,
    readers_of_committed_records_stop_at_the_oldest_open_transaction,
    every_version_tells_of_aborted_transactions,
    aborted_transactions_come_in_the_order_of_their_markers,
    markers_are_control_batches_with_the_outcome,
    offsets_are_listed_by_isolation,
    a_reader_of_committed_records_waits_for_the_marker,
    a_fetch_beyond_the_last_stable_offset_does_not_wait,
    producers_are_described,
    producers_of_what_is_missing_are_not_described,
    markers_can_be_written_by_request,
}

async fn start(broker: &Broker) -> (Transactional, String) {
    let mut client = Transactional::start(broker).await;
    let topic = unique("transaction-log");
    client.connection.create_topic(&topic, &[]).await;
    (client, topic)
}

fn partition(fetch_offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_fetch_offset(fetch_offset)
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
        .with_partition_max_bytes(1 << 20)
}

async fn fetch(connection: &mut Connection, topic: &str, offset: i64, isolation: i8) -> PartitionData {
    connection.fetch(topic, offset, |request| request.with_isolation_level(isolation)).await
}

fn aborted(answer: &PartitionData) -> Option<Vec<(i64, i64)>> {
    let aborted = answer.aborted_transactions.as_ref()?;
    Some(aborted.iter().map(|aborted| (aborted.producer_id.0, aborted.first_offset)).collect())
}

async fn older_producers_must_add_their_partitions(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    assert_eq!(client.outcome(9, &topic, 0).await, Err("INVALID_TXN_STATE"));
    if broker.offers(ApiKey::Produce, 11) {
        assert_eq!(client.outcome(11, &topic, 0).await, Err("TRANSACTION_ABORTABLE"));
    }
    client.begin(&topic).await;
    assert_eq!(client.outcome(9, &topic, 0).await, Ok(0));
    assert_eq!(client.outcome(9, &topic, 1).await, Ok(1));
    client.producer.1 += 1;
    // Before 4.0 a partition with an open transaction let a later epoch of its producer in unseen.
    if broker.is_at_least(KafkaVersion::V4_1_2) {
        let invented = client.outcome(9, &topic, 0).await;
        assert_eq!(invented, Err("INVALID_PRODUCER_EPOCH"), "nobody gave it this epoch");
    }
    client.producer.0 += 1_000_000;
    assert_eq!(client.outcome(9, &topic, 0).await, Err("INVALID_PRODUCER_ID_MAPPING"));
}

async fn newer_producers_add_partitions_by_their_batches(broker: &Broker) {
    if !broker.offers(ApiKey::Produce, PRODUCE_ADDS_PARTITIONS) {
        return;
    }
    let (mut client, topic) = start(broker).await;
    assert_eq!(client.outcome(12, &topic, 3).await, Err("OUT_OF_ORDER_SEQUENCE_NUMBER"));
    assert_eq!(client.outcome(12, &topic, 0).await, Ok(0));
    let described = client.describe().await;
    assert_eq!((&*described.transaction_state, &*described.topics[0].topic.0), ("Ongoing", &*topic));
    client.end(5, true).await;
    assert_eq!(
        client.outcome(12, &topic, 1).await,
        Err("OUT_OF_ORDER_SEQUENCE_NUMBER"),
        "each epoch begins at 0"
    );
    assert_eq!(client.outcome(12, &topic, 0).await, Ok(2), "after the marker");
    let current = client.producer;
    client.producer = (current.0, current.1 - 1);
    assert_eq!(client.outcome(12, &topic, 1).await, Err("INVALID_PRODUCER_EPOCH"));
    client.producer = (current.0, current.1 + 1);
    assert_eq!(client.outcome(12, &topic, 0).await, Err("INVALID_PRODUCER_EPOCH"));
}

async fn one_request_adds_all_its_partitions(broker: &Broker) {
    if !broker.offers(ApiKey::Produce, PRODUCE_ADDS_PARTITIONS) {
        return;
    }
    let (mut client, topic) = start(broker).await;
    let topic = format!("{topic}-3");
    client.connection.create_topic_with(&topic, 3, &[]).await;
    let batch = || BatchOf::records(1).by(client.producer.0, client.producer.1, 0);
    let mut request = client.produce_request(&topic, 0, batch().in_transaction());
    for index in [2, 7] {
        let other = client.produce_request(&topic, index, batch().in_transaction());
        request.topic_data[0].partition_data.extend(other.topic_data[0].partition_data.clone());
    }
    let mut response = client.connection.call(12, &request).await;
    let mut answers = response.responses.remove(0).partition_responses;
    answers.sort_by_key(|answer| answer.index);
    let errors: Vec<_> = answers.iter().map(|answer| ErrorCode::from(answer.error_code)).collect();
    assert_eq!(errors, [ErrorCode::None, ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    let mut partitions = client.describe().await.topics.remove(0).partitions;
    partitions.sort_unstable();
    assert_eq!(partitions, [0, 2]);
}

async fn a_transactional_batch_needs_a_transactional_id(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    client.begin(&topic).await;
    let batch = BatchOf::records(1).by(client.producer.0, client.producer.1, 0).in_transaction();
    for version in broker.versions(ApiKey::Produce, 3..=12) {
        let answer = client.connection.produce(version, &topic, batch.bytes()).await;
        let error = ErrorCode::from(answer.error_code);
        assert_eq!(error, ErrorCode::TransactionalIdAuthorizationFailed, "version {version}");
    }
}

async fn one_request_is_of_one_producer(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    client.connection.create_topic_with(&format!("{topic}-2"), 2, &[]).await;
    let batch = |epoch| BatchOf::records(1).by(client.producer.0, epoch, 0).in_transaction();
    let mut request = client.produce_request(&format!("{topic}-2"), 0, batch(0));
    let other = client.produce_request(&format!("{topic}-2"), 1, batch(1));
    request.topic_data[0].partition_data.extend(other.topic_data[0].partition_data.clone());
    let response = client.connection.call(9, &request).await;
    let errors: Vec<_> = response.responses[0]
        .partition_responses
        .iter()
        .map(|answer| ErrorCode::from(answer.error_code))
        .collect();
    assert_eq!(errors, [ErrorCode::InvalidProducerIdMapping; 2]);
}

async fn an_open_transaction_takes_only_transactional_batches(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    client.begin(&topic).await;
    assert_eq!(client.outcome(9, &topic, 0).await, Ok(0));
    let plain = BatchOf::records(1).by(client.producer.0, client.producer.1, 1);
    let answer = client.connection.produce(9, &topic, plain.bytes()).await;
    assert_eq!(ErrorCode::from(answer.error_code), INVALID_STATE);
}

const INVALID_STATE: ErrorCode = ErrorCode::InvalidTxnState;

async fn a_marker_fences_the_epoch_that_it_ends(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    client.begin(&topic).await;
    assert_eq!(client.outcome(9, &topic, 0).await, Ok(0));
    let mut rival = client.rival(broker).await;
    rival.init().await;
    assert_eq!(client.outcome(9, &topic, 1).await, Err("INVALID_PRODUCER_EPOCH"));
    rival.begin(&topic).await;
    assert_eq!(rival.outcome(9, &topic, 0).await, Ok(2), "after the marker of the abort");
}

async fn a_marker_of_the_same_epoch_keeps_the_sequence(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    client.begin(&topic).await;
    assert_eq!(client.outcome(9, &topic, 0).await, Ok(0));
    client.end(4, true).await;
    assert_eq!(client.outcome(9, &topic, 1).await, Err("INVALID_TXN_STATE"), "nothing was added since");
    client.begin(&topic).await;
    assert_eq!(client.outcome(9, &topic, 2).await, Err("OUT_OF_ORDER_SEQUENCE_NUMBER"));
    assert_eq!(client.outcome(9, &topic, 1).await, Ok(2));
}

async fn repeated_batches_of_a_transaction_are_recognised(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    client.begin(&topic).await;
    assert_eq!(client.outcome(9, &topic, 0).await, Ok(0));
    assert_eq!(client.outcome(9, &topic, 0).await, Ok(0));
    assert_eq!(client.outcome(9, &topic, 1).await, Ok(1));
}

async fn readers_of_committed_records_stop_at_the_oldest_open_transaction(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    client.connection.produce(9, &topic, BatchOf::records(2).bytes()).await;
    client.begin(&topic).await;
    client.outcome(9, &topic, 0).await.expect("appended");
    client.connection.produce(9, &topic, BatchOf::records(1).bytes()).await;

    let answer = fetch(&mut client.connection, &topic, 0, 1).await;
    assert_eq!((base_offsets(&answer.records), aborted(&answer)), (vec![0], Some(vec![])));
    assert_eq!((answer.high_watermark, answer.last_stable_offset), (4, 2));
    for offset in [2, 3] {
        let answer = fetch(&mut client.connection, &topic, offset, 1).await;
        assert_eq!((base_offsets(&answer.records), aborted(&answer)), (vec![], Some(vec![])), "{offset}");
    }
    let answer = fetch(&mut client.connection, &topic, 0, 0).await;
    assert_eq!((base_offsets(&answer.records), aborted(&answer)), (vec![0, 2, 3], None));
    assert_eq!((answer.high_watermark, answer.last_stable_offset), (4, 2));
    let answer = fetch(&mut client.connection, &topic, 9, 1).await;
    assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::OffsetOutOfRange);

    client.end(4, true).await;
    let answer = fetch(&mut client.connection, &topic, 0, 1).await;
    assert_eq!((base_offsets(&answer.records), aborted(&answer)), (vec![0, 2, 3, 4], Some(vec![])));
    assert_eq!((answer.high_watermark, answer.last_stable_offset), (5, 5));
}

async fn every_version_tells_of_aborted_transactions(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    client.begin(&topic).await;
    client.outcome(9, &topic, 0).await.expect("appended");
    client.end(4, false).await;
    let topic_id = client.connection.topic_id(&topic).await;
    for version in broker.versions(ApiKey::Fetch, 4..=17) {
        for isolation in [0, 1] {
            let mut request = fetch_request(&topic, vec![partition(0)]).with_isolation_level(isolation);
            if version >= 13 {
                request.topics[0].topic = Default::default();
                request.topics[0].topic_id = topic_id;
            }
            let response = client.connection.call(version, &request).await;
            let answer = &response.responses[0].partitions[0];
            let expected = (isolation == 1).then(|| vec![(client.producer.0, 0)]);
            assert_eq!(aborted(answer), expected, "version {version}");
            assert_eq!(base_offsets(&answer.records), [0, 1], "version {version}");
            assert_eq!(answer.last_stable_offset, 2, "version {version}");
        }
    }
}

async fn aborted_transactions_come_in_the_order_of_their_markers(broker: &Broker) {
    let (mut one, topic) = start(broker).await;
    let mut other = Transactional::start(broker).await;
    for client in [&mut one, &mut other] {
        client.begin(&topic).await;
        client.outcome(9, &topic, 0).await.expect("appended");
    }
    other.end(4, false).await;
    one.end(4, false).await;
    let (first, second) = ((other.producer.0, 1), (one.producer.0, 0));
    let all = fetch(&mut one.connection, &topic, 0, 1).await;
    assert_eq!(aborted(&all), Some(vec![first, second]));
    let rest = fetch(&mut one.connection, &topic, 3, 1).await;
    assert_eq!(aborted(&rest), Some(vec![second]), "the marker of the other is before");
    let small = one.connection.fetch(&topic, 0, |request| request.with_isolation_level(1).with_max_bytes(1));
    let small = small.await;
    assert_eq!(base_offsets(&small.records), [0]);
    assert_eq!(aborted(&small), Some(vec![first, second]), "as far as the sparse index can tell");
}

async fn markers_are_control_batches_with_the_outcome(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    for (sequence, committed) in [(0, true), (1, false)] {
        client.begin(&topic).await;
        client.outcome(9, &topic, sequence).await.expect("appended");
        client.end(4, committed).await;
    }
    for (offset, outcome) in [(1, 1), (3, 0)] {
        let answer = fetch(&mut client.connection, &topic, offset, 1).await;
        let marker = answer.records.expect("a marker");
        assert_eq!(&marker[21..23], [0, 0x30], "transactional and control");
        assert_eq!(&marker[23..27], [0; 4], "one offset");
        assert_eq!(&marker[43..51], client.producer.0.to_be_bytes());
        assert_eq!(&marker[51..53], client.producer.1.to_be_bytes());
        assert_eq!(&marker[53..57], (-1i32).to_be_bytes(), "no sequence");
        // One record: attributes, deltas, a key of version and type, and a value of version and coordinator epoch.
        assert_eq!(&marker[57..61], 1i32.to_be_bytes());
        assert_eq!(
            marker[61..78],
            [0x20u8, 0, 0, 0, 8, 0, 0, 0, outcome, 12, 0, 0, 0, 0, 0, 0, 0][..],
            "{offset}"
        );
    }
}

async fn offsets_are_listed_by_isolation(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    client.connection.produce(9, &topic, BatchOf::at(&[1_000]).bytes()).await;
    client.begin(&topic).await;
    client.outcome(9, &topic, 0).await.expect("appended");
    let mut list = async |version: i16, timestamp, isolation| {
        let partition =
            ListOffsetsPartition::default().with_current_leader_epoch(-1).with_timestamp(timestamp);
        let asked = ListOffsetsTopic::default().with_name(name(&topic)).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id((-1).into())
            .with_isolation_level(isolation)
            .with_topics(vec![asked]);
        client.connection.call(version, &request).await.topics.remove(0).partitions.remove(0).offset
    };
    for version in broker.versions(ApiKey::ListOffsets, 2..=10) {
        assert_eq!((list(version, -1, 0).await, list(version, -1, 1).await), (2, 1), "version {version}");
        assert_eq!((list(version, 1_001, 0).await, list(version, 1_001, 1).await), (1, -1));
        assert_eq!((list(version, 1_000, 0).await, list(version, 1_000, 1).await), (0, 0));
    }
    for version in broker.versions(ApiKey::ListOffsets, 7..=10) {
        assert_eq!((list(version, -3, 0).await, list(version, -3, 1).await), (1, -1), "version {version}");
    }
}

async fn a_reader_of_committed_records_waits_for_the_marker(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    client.begin(&topic).await;
    client.outcome(9, &topic, 0).await.expect("appended");
    let mut reader = broker.connect().await;
    let wait = |request: kafka_protocol::messages::FetchRequest| {
        request.with_isolation_level(1).with_max_wait_ms(15_000).with_min_bytes(200)
    };
    let read = async { reader.fetch(&topic, 0, wait).await };
    let end = async {
        client.outcome(9, &topic, 1).await.expect("appended");
        client.end(4, true).await;
    };
    let began = Instant::now();
    let (answer, ()) = tokio::join!(read, end);
    assert_eq!(base_offsets(&answer.records), [0, 1, 2]);
    assert!(began.elapsed() < Duration::from_secs(10), "the marker wakes the reader");
}

async fn a_fetch_beyond_the_last_stable_offset_does_not_wait(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    client.begin(&topic).await;
    client.outcome(9, &topic, 0).await.expect("appended");
    let wait = |request: kafka_protocol::messages::FetchRequest| {
        request.with_isolation_level(1).with_max_wait_ms(15_000)
    };
    let began = Instant::now();
    let answer = client.connection.fetch(&topic, 1, wait).await;
    assert_eq!(answer.records.map_or(0, |records| records.len()), 0);
    assert!(began.elapsed() < Duration::from_secs(10));
}

async fn producers_are_described(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    assert_eq!(producer_state(&mut client.connection, &topic, client.producer.0).await, None);
    client.begin(&topic).await;
    let before = now_ms();
    client.outcome(9, &topic, 0).await.expect("appended");
    let open =
        producer_state(&mut client.connection, &topic, client.producer.0).await.expect("it has written");
    assert_eq!((open.producer_epoch, open.last_sequence), (0, 0));
    assert_eq!((open.coordinator_epoch, open.current_txn_start_offset), (-1, 0));
    assert!((before..=now_ms()).contains(&open.last_timestamp));
    client.end(4, true).await;
    let ended =
        producer_state(&mut client.connection, &topic, client.producer.0).await.expect("it has written");
    assert_eq!((ended.producer_epoch, ended.last_sequence), (0, 0));
    assert_eq!((ended.coordinator_epoch, ended.current_txn_start_offset), (0, -1));
    if broker.offers(ApiKey::EndTxn, 5) {
        client.begin(&topic).await;
        client.end(5, true).await;
        let bumped =
            producer_state(&mut client.connection, &topic, client.producer.0).await.expect("it has written");
        assert_eq!((bumped.producer_epoch, bumped.last_sequence), (1, -1));
    }
}

async fn producers_of_what_is_missing_are_not_described(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    let asked = [(topic, 7), (unique("missing"), 0), ("a b".to_owned(), 0)].map(|(topic, index)| {
        TopicRequest::default().with_name(name(&topic)).with_partition_indexes(vec![index])
    });
    let request = DescribeProducersRequest::default().with_topics(asked.to_vec());
    let response = client.connection.call(0, &request).await;
    let answers = response.topics.iter().map(|topic| {
        let partition = &topic.partitions[0];
        (ErrorCode::from(partition.error_code), partition.error_message.is_some())
    });
    let unknown = ErrorCode::UnknownTopicOrPartition;
    let expected = [(unknown, false), (unknown, true), (ErrorCode::InvalidTopicException, true)];
    assert_eq!(answers.collect::<Vec<_>>(), expected);
}

async fn markers_can_be_written_by_request(broker: &Broker) {
    let (mut client, topic) = start(broker).await;
    client.begin(&topic).await;
    client.outcome(9, &topic, 0).await.expect("appended");
    let (producer_id, _) = client.producer;
    let mut write = async |epoch: i16, coordinator_epoch, index| {
        let asked =
            WritableTxnMarkerTopic::default().with_name(name(&topic)).with_partition_indexes(vec![index]);
        let marker = WritableTxnMarker::default()
            .with_producer_id(producer_id.into())
            .with_producer_epoch(epoch)
            .with_transaction_result(false)
            .with_coordinator_epoch(coordinator_epoch)
            .with_topics(vec![asked]);
        let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
        let response = client.connection.call(1, &request).await;
        assert_eq!(response.markers[0].producer_id.0, producer_id);
        ErrorCode::from(response.markers[0].topics[0].partitions[0].error_code)
    };
    assert_eq!(write(0, 5, 1).await, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(write(1, 5, 0).await, ErrorCode::None);
    assert_eq!(write(1, 5, 0).await, ErrorCode::None, "again");
    assert_eq!(write(0, 5, 0).await, ErrorCode::InvalidProducerEpoch);
    assert_eq!(write(1, 4, 0).await, ErrorCode::TransactionCoordinatorFenced);
    let answer = fetch(&mut client.connection, &topic, 0, 1).await;
    assert_eq!((answer.last_stable_offset, aborted(&answer)), (3, Some(vec![(producer_id, 0)])));
    let empty = WriteTxnMarkersRequest::default();
    assert!(client.connection.call(1, &empty).await.markers.is_empty());
}
