//! What becomes of old records (Java: `UnifiedLog.deleteOldSegments`, `LogSegment.shouldRoll`).
//!
//! Segments are made by time: a batch whose timestamp is more than `segment.ms` after that of the segment's first one
//! begins another.

use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, ListOffsetsRequest};
use milena_protocol::ErrorCode;

use crate::support::*;

cases! {
    brisk:
    old_segments_go_and_younger_ones_hold_up_what_is_behind_them,
    the_last_segment_goes_too_and_offsets_count_on,
    a_segment_is_as_old_as_its_youngest_record,
    segments_go_while_as_much_is_left_as_is_to_be_kept,
    nothing_goes_for_its_age_where_all_is_kept_or_only_compacted,
    a_changed_retention_is_in_force_at_once,
    jitter_ends_a_segment_early,
}

const MINUTE_MS: i64 = 60_000;

/// One that began so many minutes ago.
fn ago(minutes: i64) -> i64 {
    now_ms() - minutes * MINUTE_MS
}

/// A topic with a batch of one record for each timestamp.
async fn topic_of(
    connection: &mut Connection,
    configs: &[(&'static str, &'static str)],
    timestamps: &[i64],
) -> String {
    let topic = unique("retention");
    connection.create_topic(&topic, configs).await;
    append(connection, &topic, timestamps).await;
    topic
}

async fn append(connection: &mut Connection, topic: &str, timestamps: &[i64]) {
    for timestamp in timestamps {
        let answer = connection.produce(9, topic, BatchOf::at(&[*timestamp]).bytes()).await;
        assert_eq!(answer.error_code, 0);
    }
}

/// The offset at a special timestamp.
async fn offset(connection: &mut Connection, topic: &str, timestamp: i64) -> i64 {
    let partition = ListOffsetsPartition::default().with_current_leader_epoch(-1).with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    let response = connection.call(5, &request).await;
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
    response.topics[0].partitions[0].offset
}

async fn earliest(connection: &mut Connection, topic: &str) -> i64 {
    offset(connection, topic, -2).await
}

async fn latest(connection: &mut Connection, topic: &str) -> i64 {
    offset(connection, topic, -1).await
}

/// Returns when the log begins at this offset.
async fn until_begins_at(connection: &mut Connection, topic: &str, expected: i64) {
    let begins = async { while earliest(connection, topic).await != expected {} };
    let begun = tokio::time::timeout(PATIENCE, begins).await;
    assert!(begun.is_ok(), "begins at {} and not at {expected}", earliest(connection, topic).await);
}

/// Returns when the broker has looked at all logs at least once more.
async fn sweep(connection: &mut Connection) {
    // Each look may be in the middle: what is there before the first of two is seen by the second.
    for _ in 0..2 {
        let topic = topic_of(connection, &[("retention.ms", "1000")], &[ago(60)]).await;
        until_begins_at(connection, &topic, 1).await;
    }
}

async fn old_segments_go_and_younger_ones_hold_up_what_is_behind_them(broker: &Broker) {
    let mut connection = broker.connect().await;
    let configs = [("retention.ms", "2700000"), ("segment.ms", "60000")];
    let topic = topic_of(&mut connection, &configs, &[ago(60), ago(50), ago(40), ago(0)]).await;
    until_begins_at(&mut connection, &topic, 2).await;
    let gone = connection.fetch(&topic, 1, |request| request).await;
    assert_eq!(ErrorCode::from(gone.error_code), ErrorCode::OffsetOutOfRange);
    let left = connection.fetch(&topic, 2, |request| request).await;
    assert_eq!((base_offsets(&left.records)[0], left.log_start_offset, left.high_watermark), (2, 2, 4));

    let held_up = topic_of(&mut connection, &configs, &[ago(60), ago(0), ago(50)]).await;
    until_begins_at(&mut connection, &held_up, 1).await;
    sweep(&mut connection).await;
    assert_eq!(earliest(&mut connection, &held_up).await, 1);
}

async fn the_last_segment_goes_too_and_offsets_count_on(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = topic_of(&mut connection, &[("retention.ms", "600000")], &[ago(60), ago(50)]).await;
    until_begins_at(&mut connection, &topic, 2).await;
    assert_eq!(latest(&mut connection, &topic).await, 2);
    let young = connection.produce(9, &topic, BatchOf::records(1).bytes()).await;
    assert_eq!((young.base_offset, young.log_start_offset), (2, 2));
    sweep(&mut connection).await;
    assert_eq!((earliest(&mut connection, &topic).await, latest(&mut connection, &topic).await), (2, 3));
}

async fn a_segment_is_as_old_as_its_youngest_record(broker: &Broker) {
    let mut connection = broker.connect().await;
    let configs = [("retention.ms", "600000"), ("segment.ms", "86400000")];
    let topic = topic_of(&mut connection, &configs, &[ago(0), ago(60)]).await;
    let ahead = topic_of(&mut connection, &configs, &[ago(60)]).await;
    until_begins_at(&mut connection, &ahead, 1).await;
    sweep(&mut connection).await;
    assert_eq!(earliest(&mut connection, &topic).await, 0);
    // What was produced for now keeps what was not.
    append(&mut connection, &ahead, &[ago(0), ago(60)]).await;
    sweep(&mut connection).await;
    assert_eq!(earliest(&mut connection, &ahead).await, 1);
}

async fn segments_go_while_as_much_is_left_as_is_to_be_kept(broker: &Broker) {
    let mut connection = broker.connect().await;
    let timestamps = [ago(40), ago(30), ago(20), ago(10)];
    let size = BatchOf::at(&[0]).bytes().len();
    let cases = [
        (4 * size, 0),
        (4 * size - 1, 0),
        (3 * size + 1, 0),
        (3 * size, 1),
        (2 * size + 1, 1),
        (2 * size, 2),
        (1, 3),
        (0, 4),
    ];
    let mut topics = Vec::new();
    for (kept, expected) in cases {
        let configs = [("retention.bytes", &*kept.to_string().leak()), ("segment.ms", "60000")];
        topics.push((topic_of(&mut connection, &configs, &timestamps).await, kept, expected));
    }
    sweep(&mut connection).await;
    for (topic, kept, expected) in topics {
        assert_eq!(earliest(&mut connection, &topic).await, expected, "{kept} of {}", 4 * size);
        assert_eq!(latest(&mut connection, &topic).await, 4);
    }
}

async fn nothing_goes_for_its_age_where_all_is_kept_or_only_compacted(broker: &Broker) {
    let mut connection = broker.connect().await;
    let keyed = BatchOf { key: Some("key".into()), ..BatchOf::at(&[ago(60)]) };
    let kept =
        topic_of(&mut connection, &[("retention.ms", "-1"), ("retention.bytes", "-1")], &[ago(60)]).await;
    let compacted = unique("retention-compacted");
    let configs = [("cleanup.policy", "compact"), ("retention.ms", "1000"), ("retention.bytes", "0")];
    connection.create_topic(&compacted, &configs).await;
    assert_eq!(connection.produce(9, &compacted, keyed.bytes()).await.error_code, 0);
    let both = unique("retention-both");
    let configs = [("cleanup.policy", "compact,delete"), ("retention.ms", "1000")];
    connection.create_topic(&both, &configs).await;
    assert_eq!(connection.produce(9, &both, keyed.bytes()).await.error_code, 0);
    until_begins_at(&mut connection, &both, 1).await;
    sweep(&mut connection).await;
    assert_eq!((earliest(&mut connection, &kept).await, earliest(&mut connection, &compacted).await), (0, 0));
}

async fn a_changed_retention_is_in_force_at_once(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = topic_of(&mut connection, &[("segment.ms", "60000")], &[ago(60), ago(0)]).await;
    sweep(&mut connection).await;
    assert_eq!(earliest(&mut connection, &topic).await, 0);
    let config = AlterableConfig::default().with_name(text("retention.ms")).with_value(Some(text("600000")));
    let resource = AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text(&topic))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    assert_eq!(connection.call(1, &request).await.responses[0].error_code, 0);
    until_begins_at(&mut connection, &topic, 1).await;
}

async fn jitter_ends_a_segment_early(broker: &Broker) {
    let mut connection = broker.connect().await;
    let size: &'static str = BatchOf::at(&[0]).bytes().len().to_string().leak();
    // The first of two segments goes, and one of two batches does not.
    let first = ago(120);
    let second = first + 60 * MINUTE_MS - 1;
    let regular = [("segment.ms", "3600000"), ("retention.bytes", size)];
    let regular = topic_of(&mut connection, &regular, &[first, second]).await;
    // By chance, at any time of the hour; in one of some million cases, at its end.
    let early = [("segment.ms", "3600000"), ("segment.jitter.ms", "3600000"), ("retention.bytes", size)];
    let early = topic_of(&mut connection, &early, &[first, second]).await;
    until_begins_at(&mut connection, &early, 1).await;
    sweep(&mut connection).await;
    assert_eq!(earliest(&mut connection, &regular).await, 0);
}
