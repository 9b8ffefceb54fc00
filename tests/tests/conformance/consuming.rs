//! What a consumer can rely on.

use std::time::Duration;

use milena::TopicPartition;
use milena::consumer::{Consumer, IsolationLevel, OffsetReset, RecvError};
use milena::producer::Record;

use crate::context::{Context, fill, in_time, partition_of, read, read_values};

pub(crate) async fn seeks_go_where_they_say(context: &Context) {
    let topic = context.topic("seek", 1, &[]).await;
    let producer = context.producer().await;
    fill(&producer, &topic, 0, 100).await;
    let partition = [partition_of(&topic, 0)];
    let mut consumer = context.consumer(&topic).await;
    assert_eq!(read(&mut consumer, 100).await.len(), 100);
    assert_eq!(consumer.position(&partition[0]).unwrap().unwrap().offset, 100);

    consumer.seek(&partition[0], 42).unwrap();
    assert_eq!(read_values(&mut consumer, 1).await[0], "42");
    consumer.seek_to_beginning(&partition).unwrap();
    assert_eq!(read_values(&mut consumer, 1).await[0], "0");
    consumer.seek_to_end(&partition).unwrap();
    wait_for_position(&mut consumer, &partition[0]).await;
    fill(&producer, &topic, 0, 1).await;
    let after = read(&mut consumer, 1).await;
    assert_eq!(after[0].0, 100);

    let ends = in_time(consumer.end_offsets(&partition)).await.unwrap();
    let beginnings = in_time(consumer.beginning_offsets(&partition)).await.unwrap();
    assert_eq!((beginnings[&partition[0]], ends[&partition[0]]), (0, 101));
}

/// Asks for records, of which there are none yet, until it is decided where the consumer begins: an end is looked up when it is
/// needed, and what is written before that is before the end.
async fn wait_for_position(consumer: &mut Consumer, partition: &TopicPartition) {
    let looked_up = async {
        while consumer.position(partition).unwrap().is_none() {
            let records = consumer.poll(Duration::from_millis(100), 10).await.unwrap();
            assert!(records.is_empty());
        }
    };
    in_time(looked_up).await;
}

pub(crate) async fn offsets_are_found_by_time(context: &Context) {
    const FIRST_MS: i64 = 1_700_000_000_000;
    let topic = context.topic("times", 1, &[]).await;
    let producer = context.producer().await;
    for number in 0..10 {
        let record = Record::to(&topic).timestamp_ms(FIRST_MS + number * 1_000).value("x");
        in_time(producer.send(record).await.unwrap()).await.unwrap();
    }
    let partition = partition_of(&topic, 0);
    let mut consumer = context.consumer(&topic).await;
    let look_up = async |timestamp_ms| {
        let found = in_time(consumer.offsets_for_times([(partition.clone(), timestamp_ms)])).await.unwrap();
        found.get(&partition).and_then(|found| found.as_ref().map(|found| (found.offset, found.timestamp)))
    };
    assert_eq!(look_up(FIRST_MS).await, Some((0, FIRST_MS)));
    assert_eq!(look_up(FIRST_MS + 4_500).await, Some((5, FIRST_MS + 5_000)));
    assert_eq!(look_up(FIRST_MS + 9_001).await, None);

    consumer.seek_to_timestamp(std::slice::from_ref(&partition), FIRST_MS + 6_500).unwrap();
    assert_eq!(read(&mut consumer, 1).await[0].0, 7);
}

pub(crate) async fn a_paused_partition_gives_nothing_until_resumed(context: &Context) {
    let topic = context.topic("pause", 2, &[]).await;
    let producer = context.producer().await;
    let (paused, other) = ([partition_of(&topic, 0)], partition_of(&topic, 1));
    let mut consumer = context.consumer(&topic).await;
    consumer.pause(&paused).unwrap();
    assert_eq!(consumer.paused(), paused);
    fill(&producer, &topic, 0, 50).await;
    fill(&producer, &topic, 1, 50).await;
    let seen = read(&mut consumer, 50).await;
    assert!(seen.iter().all(|(_, record)| record.partition == other.partition));
    let nothing = in_time(consumer.poll(Duration::from_millis(300), 10)).await.unwrap();
    assert!(nothing.is_empty());
    consumer.resume(&paused).unwrap();
    let seen = read(&mut consumer, 50).await;
    assert!(seen.iter().all(|(_, record)| record.partition == 0));
}

pub(crate) async fn the_reset_policy_decides_where_to_begin(context: &Context) {
    let topic = context.topic("reset", 1, &[]).await;
    let producer = context.producer().await;
    fill(&producer, &topic, 0, 10).await;
    let consumer = async |policy| {
        let mut consumer = context.kafka.consumer().auto_offset_reset(policy).build().await.unwrap();
        consumer.assign([partition_of(&topic, 0)]);
        consumer
    };

    let mut earliest = consumer(OffsetReset::Earliest).await;
    assert_eq!(read(&mut earliest, 1).await[0].0, 0);

    let mut latest = consumer(OffsetReset::Latest).await;
    wait_for_position(&mut latest, &partition_of(&topic, 0)).await;
    fill(&producer, &topic, 0, 1).await;
    assert_eq!(read(&mut latest, 1).await[0].0, 10);

    let mut none = consumer(OffsetReset::None).await;
    let error = in_time(none.next()).await.unwrap_err();
    assert_eq!(error.partition(), Some(&partition_of(&topic, 0)), "{error}");
    none.seek(&partition_of(&topic, 0), 3).unwrap();
    assert_eq!(read(&mut none, 1).await[0].0, 3);

    let mut duration = consumer(OffsetReset::ByDuration(Duration::from_secs(3_600))).await;
    assert_eq!(read(&mut duration, 1).await[0].0, 0);
}

pub(crate) async fn deleted_records_are_out_of_range(context: &Context) {
    let topic = context.topic("deleted", 1, &[]).await;
    let producer = context.producer().await;
    fill(&producer, &topic, 0, 20).await;
    crate::topics::delete_records(&context.kafka, &topic, 0, 15).await;
    let partition = partition_of(&topic, 0);

    let mut none = context.kafka.consumer().auto_offset_reset(OffsetReset::None).build().await.unwrap();
    none.assign([partition.clone()]);
    none.seek(&partition, 2).unwrap();
    let error = in_time(none.next()).await.unwrap_err();
    assert!(matches!(error, RecvError::OffsetOutOfRange { .. }), "{error}");

    let mut earliest = context.consumer(&topic).await;
    earliest.seek(&partition, 2).unwrap();
    assert_eq!(read(&mut earliest, 5).await[0].0, 15);
}

pub(crate) async fn records_larger_than_the_fetch_size_come_all_the_same(context: &Context) {
    let topic = context.topic("fetch-size", 1, &[]).await;
    let producer = context.producer().await;
    let value = vec![b'v'; 300_000];
    for _ in 0..5 {
        in_time(producer.send(Record::to(&topic).value(&value)).await.unwrap()).await.unwrap();
    }
    let builder = context.kafka.consumer().auto_offset_reset(OffsetReset::Earliest);
    let builder = builder.max_partition_fetch_bytes(1_000).fetch_max_bytes(1_000).prefetch_bytes(10_000);
    let mut consumer = builder.build().await.unwrap();
    consumer.assign([partition_of(&topic, 0)]);
    for (_, record) in read(&mut consumer, 5).await {
        assert_eq!(record.value.as_deref(), Some(&*value));
    }
}

pub(crate) async fn poll_recv_and_stream_give_the_same_records(context: &Context) {
    let topic = context.topic("ways", 2, &[]).await;
    let producer = context.producer().await;
    fill(&producer, &topic, 0, 30).await;
    fill(&producer, &topic, 1, 30).await;

    let mut consumer = context.consumer(&topic).await;
    let mut polled = Vec::new();
    while polled.len() < 60 {
        let records = in_time(consumer.poll(Duration::from_secs(5), 7)).await.unwrap();
        assert!(records.len() <= 7);
        polled.extend(records.iter().map(|(partition, record)| (partition.partition, record.offset)));
    }
    polled.sort_unstable();
    let expected: Vec<_> = [0, 1].into_iter().flat_map(|p| (0..30).map(move |offset| (p, offset))).collect();
    assert_eq!(polled, expected);

    let mut consumer = context.consumer(&topic).await;
    let mut received = Vec::new();
    for _ in 0..60 {
        let record = in_time(consumer.recv()).await.unwrap().unwrap();
        received.push((record.partition, record.offset));
    }
    received.sort_unstable();
    assert_eq!(received, expected);
}

pub(crate) async fn read_committed_shows_records_outside_of_transactions(context: &Context) {
    let topic = context.topic("committed", 1, &[]).await;
    let producer = context.producer().await;
    fill(&producer, &topic, 0, 10).await;
    let builder = context.kafka.consumer().auto_offset_reset(OffsetReset::Earliest);
    let mut consumer = builder.isolation_level(IsolationLevel::ReadCommitted).build().await.unwrap();
    consumer.assign([partition_of(&topic, 0)]);
    assert_eq!(read(&mut consumer, 10).await.len(), 10);
}

pub(crate) async fn lag_counts_down_to_zero(context: &Context) {
    let topic = context.topic("lag", 1, &[]).await;
    let producer = context.producer().await;
    fill(&producer, &topic, 0, 10).await;
    let mut consumer = context.consumer(&topic).await;
    read(&mut consumer, 10).await;
    assert_eq!(consumer.lag(&partition_of(&topic, 0)), Some(0));
}
