use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiVersionsRequest, ProduceRequest};
use milena_protocol::{ApiKey, ErrorCode};
use uuid::Uuid;

use crate::support::*;

cases! {
    every_version_appends_and_tells_where,
    acks_zero_is_silent_and_appends,
    acks_zero_that_fails_closes_the_connection,
    invalid_acks_are_refused,
    unknown_topics_partitions_and_ids_are_told_apart,
    malformed_batches_have_each_their_error,
    log_start_offset_is_told_with_some_errors_and_not_with_others,
    zstd_is_refused_before_version_7,
    records_with_invalid_timestamps_are_named,
    compacted_topics_demand_keys,
    log_append_time_is_the_brokers,
    several_partitions_in_one_request_are_answered_each,
    a_topics_compression_is_that_of_what_it_stores,
}

fn code(error: ErrorCode) -> i16 {
    error.code()
}

async fn every_version_appends_and_tells_where(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("produce-versions");
    connection.create_topic(&topic, &[]).await;
    let topic_id = connection.topic_id(&topic).await;
    for (index, version) in broker.versions(ApiKey::Produce, 3..=13).enumerate() {
        let mut request = produce_request(&topic, 0, -1, BatchOf::records(2).bytes());
        if version == 13 {
            request.topic_data[0].topic_id = topic_id;
        }
        let response = connection.call(version, &request).await;
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!((answer.error_code, answer.base_offset), (0, 2 * index as i64), "version {version}");
        assert_eq!(answer.log_append_time_ms, -1);
        if version >= 5 {
            assert_eq!(answer.log_start_offset, 0);
        }
    }
}

async fn acks_zero_is_silent_and_appends(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("produce-acks0");
    connection.create_topic(&topic, &[]).await;
    connection.send(9, &produce_request(&topic, 0, 0, BatchOf::records(1).bytes())).await;
    // The next answer on the connection is the one to the next request.
    let request = ApiVersionsRequest::default()
        .with_client_software_name(text("oracle"))
        .with_client_software_version(text("1"));
    assert_eq!(connection.call(3, &request).await.error_code, 0);
    assert_eq!(base_offsets(&connection.fetch(&topic, 0, |request| request).await.records), [0]);
}

async fn acks_zero_that_fails_closes_the_connection(broker: &Broker) {
    let mut connection = broker.connect().await;
    connection.send(9, &produce_request("no-such-topic", 0, 0, BatchOf::records(1).bytes())).await;
    assert!(connection.is_closed().await);
}

async fn invalid_acks_are_refused(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("produce-acks");
    connection.create_topic(&topic, &[]).await;
    let response = connection.call(9, &produce_request(&topic, 0, 2, BatchOf::records(1).bytes())).await;
    let answer = &response.responses[0].partition_responses[0];
    assert_eq!((answer.error_code, answer.base_offset), (code(ErrorCode::InvalidRequiredAcks), -1));
}

async fn unknown_topics_partitions_and_ids_are_told_apart(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("produce-unknown");
    connection.create_topic(&topic, &[]).await;
    let answer = connection.produce(9, &unique("missing"), BatchOf::records(1).bytes()).await;
    assert_eq!(answer.error_code, code(ErrorCode::UnknownTopicOrPartition));
    let response = connection.call(9, &produce_request(&topic, 1, -1, BatchOf::records(1).bytes())).await;
    let answer = &response.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, code(ErrorCode::UnknownTopicOrPartition));
    if !broker.offers(ApiKey::Produce, 13) {
        return;
    }
    let mut request = produce_request(&topic, 0, -1, BatchOf::records(1).bytes());
    request.topic_data[0].topic_id = Uuid::from_bytes([7; 16]);
    let answer = &connection.call(13, &request).await.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, code(ErrorCode::UnknownTopicId));
}

async fn malformed_batches_have_each_their_error(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("produce-malformed");
    connection.create_topic(&topic, &[("max.message.bytes", "1000")]).await;
    let good = BatchOf::records(2).bytes();
    let mut wrong_crc = good.to_vec();
    wrong_crc[17] ^= 1;
    let large = BatchOf { value: Bytes::from(vec![7; 1000]), ..BatchOf::records(1) }.bytes();
    let cases: Vec<(&str, Bytes, ErrorCode)> = vec![
        ("nothing", Bytes::new(), ErrorCode::InvalidRecord),
        ("half a batch", good.slice(..good.len() - 3), ErrorCode::InvalidRecord),
        ("two batches", Bytes::from([&good[..], &good[..]].concat()), ErrorCode::InvalidRecord),
        ("magic 1", changed(&good, |bytes| bytes[16] = 1), ErrorCode::InvalidRecord),
        ("magic 3", changed(&good, |bytes| bytes[16] = 3), ErrorCode::CorruptMessage),
        ("wrong checksum", Bytes::from(wrong_crc), ErrorCode::CorruptMessage),
        ("too large", large, ErrorCode::MessageTooLarge),
        ("base offset", changed(&good, |bytes| bytes[7] = 1), ErrorCode::InvalidRecord),
        ("count", changed(&good, |bytes| bytes[60] = 3), ErrorCode::InvalidRecord),
        ("no records", changed(&good, |bytes| bytes[60] = 0), ErrorCode::InvalidRecord),
        ("control batch", changed(&good, |bytes| bytes[22] |= 0x20), ErrorCode::InvalidRecord),
        ("no sequence", changed(&good, |bytes| bytes[43..51].fill(0)), ErrorCode::InvalidRecord),
    ];
    for (what, records, expected) in cases {
        let answer = connection.produce(9, &topic, records).await;
        let name = |code| ErrorCode::from(code).name();
        assert_eq!(name(answer.error_code), expected.name(), "{what}");
        assert_eq!((answer.base_offset, answer.record_errors.len()), (-1, 0), "{what}");
    }
    assert_eq!(connection.produce(9, &topic, good).await.base_offset, 0);
}

async fn log_start_offset_is_told_with_some_errors_and_not_with_others(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("produce-log-start");
    connection.create_topic(&topic, &[("max.message.bytes", "1000")]).await;
    let good = BatchOf::records(2).bytes();
    let large = BatchOf { value: Bytes::from(vec![7; 1000]), ..BatchOf::records(1) }.bytes();
    let invalid = connection.produce(9, &topic, changed(&good, |bytes| bytes[60] = 3)).await;
    let too_large = connection.produce(9, &topic, large).await;
    assert_eq!((invalid.log_start_offset, too_large.log_start_offset), (0, -1));
}

async fn zstd_is_refused_before_version_7(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("produce-zstd");
    connection.create_topic(&topic, &[]).await;
    let zstd = changed(&BatchOf::records(1).bytes(), |bytes| bytes[22] = 4);
    let answer = connection.produce(6, &topic, zstd).await;
    assert_eq!(answer.error_code, code(ErrorCode::UnsupportedCompressionType));
}

async fn records_with_invalid_timestamps_are_named(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("produce-timestamps");
    // Before 4.0 there is no limit after unless one is set.
    let limits =
        [("message.timestamp.before.max.ms", "1000000"), ("message.timestamp.after.max.ms", "3600000")];
    connection.create_topic(&topic, &limits).await;
    let now = now_ms();
    let batch = BatchOf::at(&[now, now - 2_000_000, now, now + 4_000_000]);
    let answer = connection.produce(9, &topic, batch.bytes()).await;
    assert_eq!(answer.error_code, code(ErrorCode::InvalidTimestamp));
    let indices: Vec<_> = answer.record_errors.iter().map(|error| error.batch_index).collect();
    assert_eq!(indices, [1, 3]);
    let message = answer.record_errors[0].batch_index_error_message.as_ref().expect("a message");
    assert!(message.contains(&(now - 2_000_000).to_string()), "{message}");
    assert!(answer.error_message.is_some_and(|summary| summary.contains("timestamp")));
}

async fn compacted_topics_demand_keys(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("produce-compacted");
    connection.create_topic(&topic, &[("cleanup.policy", "compact")]).await;
    let answer = connection.produce(9, &topic, BatchOf::records(1).bytes()).await;
    assert_eq!((answer.error_code, answer.record_errors.len()), (code(ErrorCode::InvalidRecord), 1));
    let with_key = BatchOf { key: Some(Bytes::from_static(b"key")), ..BatchOf::records(1) };
    assert_eq!(connection.produce(9, &topic, with_key.bytes()).await.error_code, 0);
}

async fn log_append_time_is_the_brokers(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("produce-append-time");
    connection.create_topic(&topic, &[("message.timestamp.type", "LogAppendTime")]).await;
    let answer = connection.produce(9, &topic, BatchOf::at(&[1, 2]).bytes()).await;
    assert!((now_ms() - answer.log_append_time_ms).abs() < 60_000, "{}", answer.log_append_time_ms);
    let stored = connection.fetch(&topic, 0, |request| request).await.records.expect("records");
    let max_timestamp = i64::from_be_bytes(stored[35..43].try_into().expect("eight bytes"));
    assert_eq!((max_timestamp, stored[22] & 0x08), (answer.log_append_time_ms, 0x08));
    assert_eq!(crc32c::crc32c(&stored[21..]).to_be_bytes(), stored[17..21], "the checksum is right again");
}

async fn several_partitions_in_one_request_are_answered_each(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("produce-several");
    connection.create_topic_with(&topic, 3, &[]).await;
    let mut request: ProduceRequest = produce_request(&topic, 0, -1, BatchOf::records(1).bytes());
    for partition in 1..4 {
        let more = produce_request(&topic, partition, -1, BatchOf::records(1).bytes());
        request.topic_data[0].partition_data.extend(more.topic_data[0].partition_data.clone());
    }
    let response = connection.call(9, &request).await;
    let mut answers: Vec<_> = response.responses[0]
        .partition_responses
        .iter()
        .map(|answer| (answer.index, answer.error_code))
        .collect();
    answers.sort_unstable();
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(answers, [(0, 0), (1, 0), (2, 0), (3, unknown)]);
}

async fn a_topics_compression_is_that_of_what_it_stores(broker: &Broker) {
    let mut connection = broker.connect().await;
    let plain = BatchOf::records(3).bytes();
    /// Produces a batch to a topic of this compression; the batch that it stores, and its codec.
    async fn stored(connection: &mut Connection, compression: &'static str, batch: &Bytes) -> (Bytes, u8) {
        let topic = unique("produce-compression");
        connection.create_topic(&topic, &[("compression.type", compression)]).await;
        assert_eq!(connection.produce(9, &topic, batch.clone()).await.error_code, 0, "{compression}");
        let stored = connection.fetch(&topic, 0, |request| request).await.records.expect("records");
        assert_eq!(crc32c::crc32c(&stored[21..]).to_be_bytes(), stored[17..21], "{compression}");
        assert_eq!(stored[57..61], [0, 0, 0, 3], "{compression} has all records");
        let codec = stored[22] & 0x07;
        (stored, codec)
    }
    let codecs = [("uncompressed", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)];
    for (compression, codec) in codecs {
        let (compressed, own) = stored(&mut connection, compression, &plain).await;
        assert_eq!(own, codec, "{compression}");
        let (kept, same) = stored(&mut connection, "producer", &compressed).await;
        assert_eq!((same, &kept[61..]), (codec, &compressed[61..]), "{compression} is kept");
        let (unpacked, none) = stored(&mut connection, "uncompressed", &compressed).await;
        assert_eq!((none, &unpacked[61..]), (0, &plain[61..]), "{compression} is undone");
        assert_eq!(stored(&mut connection, "lz4", &compressed).await.1, 3, "{compression} is replaced");
    }
}
