//! What a producer can rely on.

use std::collections::BTreeMap;
use std::time::Duration;

use milena::producer::{Acks, Compression, DeliveryErrorKind, HeaderRef, Record, SendError};
use milena_tests::{WireRecord, sample_records};

use crate::context::{Context, fill, in_time, partition_of, read, read_values};

pub(crate) async fn records_come_back_as_they_were_in_every_codec(context: &Context) {
    let records = sample_records(3);
    for compression in Compression::ALL {
        let topic = context.topic("codec", 3, &[]).await;
        let producer =
            context.kafka.producer().compression(compression).batch_size(100_000).build().await.unwrap();
        let mut deliveries = Vec::new();
        for record in &records {
            deliveries.push(send(&producer, &topic, record).await);
        }
        let mut expected = Vec::new();
        for (delivery, record) in deliveries.into_iter().zip(&records) {
            let ack = in_time(delivery).await.unwrap();
            assert_eq!(ack.partition(), record.partition);
            expected.push((ack.offset.unwrap(), record.clone()));
        }
        expected.sort_by_key(|(offset, record)| (record.partition, *offset));
        let mut consumer = context.consumer(&topic).await;
        let got = read(&mut consumer, records.len()).await;
        assert_eq!(got, expected, "{compression}");
    }
}

async fn send(
    producer: &milena::producer::Producer,
    topic: &str,
    record: &WireRecord,
) -> milena::producer::Delivery {
    let headers: Vec<_> =
        record.headers.iter().map(|(key, value)| HeaderRef { key, value: value.as_deref() }).collect();
    let mut sent =
        Record::to(topic).partition(record.partition).timestamp_ms(record.timestamp_ms).headers(&headers);
    if let Some(key) = &record.key {
        sent = sent.key(key);
    }
    if let Some(value) = &record.value {
        sent = sent.value(value);
    }
    producer.send(sent).await.unwrap()
}

pub(crate) async fn acks_none_leader_and_all_write(context: &Context) {
    let topic = context.topic("acks", 1, &[]).await;
    for (acks, has_offset) in [(Acks::None, false), (Acks::Leader, true), (Acks::All, true)] {
        let builder = context.kafka.producer().acks(acks).idempotence(acks == Acks::All);
        let producer = builder.build().await.unwrap();
        for ack in fill(&producer, &topic, 0, 10).await {
            assert_eq!(ack.offset.is_some(), has_offset, "{acks:?}");
        }
        in_time(producer.close(Duration::from_secs(30))).await.unwrap();
    }
    let mut consumer = context.consumer(&topic).await;
    assert_eq!(read(&mut consumer, 30).await.len(), 30);
}

pub(crate) async fn a_keys_records_stay_in_one_partition_in_order(context: &Context) {
    const KEYS: usize = 20;
    const PER_KEY: usize = 50;
    let topic = context.topic("keys", 6, &[]).await;
    let producer = context.producer().await;
    for number in 0..PER_KEY {
        for key in 0..KEYS {
            let (key, value) = (format!("key-{key}"), number.to_string());
            drop(producer.send(Record::to(&topic).key(&key).value(&value)).await.unwrap());
        }
    }
    in_time(producer.flush()).await.unwrap();
    let mut consumer = context.consumer(&topic).await;
    let mut by_key: BTreeMap<Vec<u8>, Vec<(i32, usize)>> = BTreeMap::new();
    for (_, record) in read(&mut consumer, KEYS * PER_KEY).await {
        let number = String::from_utf8(record.value.unwrap()).unwrap().parse().unwrap();
        by_key.entry(record.key.unwrap()).or_default().push((record.partition, number));
    }
    assert_eq!(by_key.len(), KEYS);
    for (key, seen) in by_key {
        let partition = seen[0].0;
        let expected: Vec<_> = (0..PER_KEY).map(|number| (partition, number)).collect();
        assert_eq!(seen, expected, "{}", String::from_utf8_lossy(&key));
    }
}

pub(crate) async fn many_small_batches_in_flight_keep_their_order(context: &Context) {
    let topic = context.topic("order", 1, &[]).await;
    let producer = context.kafka.producer().linger(Duration::ZERO).batch_size(200).build().await.unwrap();
    let acknowledgements = fill(&producer, &topic, 0, 2_000).await;
    let offsets: Vec<_> = acknowledgements.iter().map(|ack| ack.offset.unwrap()).collect();
    assert_eq!(offsets, (0..2_000).collect::<Vec<_>>());
    let mut consumer = context.consumer(&topic).await;
    let expected: Vec<_> = (0..2_000).map(|number| number.to_string()).collect();
    assert_eq!(read_values(&mut consumer, 2_000).await, expected);
}

pub(crate) async fn keyless_records_reach_every_partition(context: &Context) {
    let topic = context.topic("keyless", 4, &[]).await;
    let producer = context.kafka.producer().batch_size(1_000).build().await.unwrap();
    for _ in 0..2_000 {
        drop(producer.send(Record::to(&topic).value("keyless record of some length")).await.unwrap());
    }
    in_time(producer.flush()).await.unwrap();
    let mut consumer = context.consumer(&topic).await;
    let mut counts = BTreeMap::new();
    for (_, record) in read(&mut consumer, 2_000).await {
        *counts.entry(record.partition).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 4, "{counts:?}");
}

pub(crate) async fn the_topics_timestamp_type_decides_the_timestamp(context: &Context) {
    const SENT_MS: i64 = 1_600_000_000_000;
    for (timestamp_type, kept) in [("CreateTime", true), ("LogAppendTime", false)] {
        let topic = context.topic("timestamps", 1, &[("message.timestamp.type", timestamp_type)]).await;
        let producer = context.producer().await;
        let record = Record::to(&topic).timestamp_ms(SENT_MS).value("x");
        let ack = in_time(producer.send(record).await.unwrap()).await.unwrap();
        let mut consumer = context.consumer(&topic).await;
        let (_, record) = read(&mut consumer, 1).await.remove(0);
        assert_eq!(record.timestamp_ms == SENT_MS, kept, "{timestamp_type}");
        assert_eq!(ack.timestamp_ms, record.timestamp_ms, "{timestamp_type}");
    }
}

pub(crate) async fn a_record_over_the_clients_limit_names_the_limit(context: &Context) {
    let topic = context.topic("large", 1, &[]).await;
    let producer = context.producer().await;
    let value = vec![0; 2 << 20];
    let error = producer.send(Record::to(&topic).value(&value)).await.unwrap_err();
    assert!(matches!(error, SendError::RecordTooLarge { .. }), "{error}");
    assert!(error.to_string().contains("max.request.size"), "{error}");
}

pub(crate) async fn a_record_over_the_topics_limit_names_the_limit(context: &Context) {
    let topic = context.topic("refused", 1, &[("max.message.bytes", "2000")]).await;
    let producer = context.producer().await;
    let value = vec![7; 5_000];
    let delivery = producer.send(Record::to(&topic).value(&value)).await.unwrap();
    let error = in_time(delivery).await.unwrap_err();
    assert!(matches!(error.kind, DeliveryErrorKind::TooLarge { .. }), "{error}");
    assert!(error.to_string().contains("max.message.bytes"), "{error}");
    assert!(!error.possibly_written());
    // The producer goes on.
    let acknowledgements = fill(&producer, &topic, 0, 3).await;
    assert_eq!(acknowledgements[0].offset, Some(0));
}

pub(crate) async fn a_batch_over_the_topics_limit_is_split(context: &Context) {
    let topic = context.topic("split", 1, &[("max.message.bytes", "2000")]).await;
    let producer = context.kafka.producer().linger(Duration::from_millis(50)).build().await.unwrap();
    let acknowledgements = fill(&producer, &topic, 0, 1_000).await;
    let offsets: Vec<_> = acknowledgements.iter().map(|ack| ack.offset.unwrap()).collect();
    assert_eq!(offsets, (0..1_000).collect::<Vec<_>>());
    let mut consumer = context.consumer(&topic).await;
    let expected: Vec<_> = (0..1_000).map(|number| number.to_string()).collect();
    assert_eq!(read_values(&mut consumer, 1_000).await, expected);
}

pub(crate) async fn an_unknown_partition_is_refused(context: &Context) {
    let topic = context.topic("unknown-partition", 2, &[]).await;
    // It might be added as long as that.
    let producer = context.kafka.producer().max_block(Duration::from_secs(1)).build().await.unwrap();
    let error = producer.send(Record::to(&topic).partition(2).value("x")).await.unwrap_err();
    assert!(matches!(error, SendError::UnknownPartition { partition: 2, partition_count: 2, .. }), "{error}");
}

pub(crate) async fn partitions_added_while_producing_are_used(context: &Context) {
    let topic = context.topic("grown", 1, &[]).await;
    let kafka = milena::Kafka::builder(context.target.bootstrap());
    let kafka = kafka.metadata_max_age(Duration::from_millis(100)).connect().await.unwrap();
    let producer = kafka.producer().build().await.unwrap();
    fill(&producer, &topic, 0, 1).await;
    crate::topics::add_partitions(&context.kafka, &topic, 3).await;
    let sent = async {
        loop {
            match producer.send(Record::to(&topic).partition(2).value("new")).await {
                Ok(delivery) => break delivery.await.unwrap(),
                Err(SendError::UnknownPartition { .. }) => {
                    tokio::time::sleep(Duration::from_millis(20)).await
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    let ack = in_time(sent).await;
    assert_eq!(ack.topic_partition, partition_of(&topic, 2));
}

pub(crate) async fn metrics_count_what_was_sent(context: &Context) {
    let topic = context.topic("metrics", 1, &[]).await;
    let producer = context.producer().await;
    fill(&producer, &topic, 0, 100).await;
    let metrics = producer.metrics();
    let topic_tags = [("client-id", "conformance"), ("topic", &*topic)];
    let sent = metrics.value("producer-topic-metrics", "record-send-total", &topic_tags);
    assert_eq!(sent, Some(100.0));
    let latency = metrics.value("producer-metrics", "request-latency-avg", &[("client-id", "conformance")]);
    assert!(latency.is_some_and(|milliseconds| milliseconds > 0.0), "{latency:?}");
}
