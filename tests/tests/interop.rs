//! Other clients read what Milena writes, and write what Milena reads: every codec, every shape of record, on a real Kafka and on the
//! embedded broker.

use std::time::Duration;

use milena::Kafka;
use milena::admin::TopicSpec;
use milena::consumer::{Consumer, OffsetReset};
use milena::producer::{Compression, HeaderRef, Record};
use milena_testcontainers::KafkaVersion;
use milena_tests::{Peer, PeerKind, Target, WireRecord, sample_records, unique};

const PARTITIONS: i32 = 3;

macro_rules! peers {
    ($($peer:ident $kind:ident),*) => {
        $(mod $peer {
            use super::*;

            #[tokio::test]
            async fn reads_what_milena_writes_on_kafka() {
                milena_writes(&Target::real(KafkaVersion::LATEST).await, PeerKind::$kind).await;
            }

            #[tokio::test]
            async fn reads_what_milena_writes_on_the_embedded_broker() {
                milena_writes(&Target::embedded().await, PeerKind::$kind).await;
            }

            #[tokio::test]
            async fn writes_what_milena_reads_on_kafka() {
                milena_reads(&Target::real(KafkaVersion::LATEST).await, PeerKind::$kind).await;
            }

            #[tokio::test]
            async fn writes_what_milena_reads_on_the_embedded_broker() {
                milena_reads(&Target::embedded().await, PeerKind::$kind).await;
            }
        })*
    };
}

mod real_kafka_java {
    use super::*;

    peers!(java Java);
}

mod real_kafka_with_python {
    use super::*;

    peers!(librdkafka Librdkafka, kafka_python KafkaPython);
}

async fn milena_writes(target: &Target, peer: PeerKind) {
    let peer = Peer::new(peer).await;
    let kafka = connect(target).await;
    for compression in Compression::ALL {
        let topic = create_topic(&kafka).await;
        let expected = write(&kafka, &topic, compression, &sample_records(PARTITIONS)).await;
        let got = peer.consume(&target.bootstrap(), &topic, expected.len()).await;
        assert_eq!(got, expected, "{compression}");
    }
}

async fn milena_reads(target: &Target, peer: PeerKind) {
    let peer = Peer::new(peer).await;
    let kafka = connect(target).await;
    for compression in Compression::ALL {
        let topic = create_topic(&kafka).await;
        let mut sent = sample_records(PARTITIONS);
        sent.retain(|record| peer.can_write(record));
        peer.produce(&target.bootstrap(), &topic, compression.name(), &sent).await;
        let got = read(&kafka, &topic, sent.len()).await;
        // Partition by partition, in the order in which the peer wrote them, without gaps.
        sent.sort_by_key(|record| record.partition);
        let offsets: Vec<_> = got.iter().map(|(offset, record)| (record.partition, *offset)).collect();
        let records: Vec<_> = got.into_iter().map(|(_, record)| record).collect();
        assert_eq!(records, sent, "{compression}");
        for partition in 0..PARTITIONS {
            let of_partition: Vec<_> =
                offsets.iter().filter(|(p, _)| *p == partition).map(|(_, o)| *o).collect();
            assert_eq!(of_partition, (0..of_partition.len() as i64).collect::<Vec<_>>(), "{compression}");
        }
    }
}

async fn connect(target: &Target) -> Kafka {
    Kafka::builder(target.bootstrap()).client_id("interop").connect().await.expect("connects")
}

async fn create_topic(kafka: &Kafka) -> String {
    let name = unique("interop");
    let admin = kafka.admin();
    // The samples are years old: with the default retention the first sweep, 30 s after the broker's start, would delete them.
    let topic = TopicSpec::new(&*name).partitions(PARTITIONS).config("retention.ms", "-1");
    admin.create_topic(topic).await.expect("created");
    admin.wait_until_ready(&*name).await.expect("ready");
    name
}

/// Writes the records and returns them with their offsets, in the order of partition and offset.
async fn write(
    kafka: &Kafka,
    topic: &str,
    compression: Compression,
    records: &[WireRecord],
) -> Vec<(i64, WireRecord)> {
    let producer =
        kafka.producer().compression(compression).batch_size(100_000).build().await.expect("a producer");
    let mut deliveries = Vec::new();
    for record in records {
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
        deliveries.push(producer.send(sent).await.expect("accepted"));
    }
    let mut written = Vec::new();
    for (delivery, record) in deliveries.into_iter().zip(records) {
        let ack = delivery.await.expect("acknowledged");
        written.push((ack.offset.expect("acks=all tells offsets"), record.clone()));
    }
    written.sort_by_key(|(offset, record)| (record.partition, *offset));
    written
}

/// The first `count` records of all partitions, in the order of partition and offset.
async fn read(kafka: &Kafka, topic: &str, count: usize) -> Vec<(i64, WireRecord)> {
    let consumer = kafka.consumer().auto_offset_reset(OffsetReset::Earliest).build().await;
    let mut consumer: Consumer = consumer.expect("a consumer");
    consumer.assign_topic(topic).await.expect("the topic is there");
    let mut records = Vec::new();
    while records.len() < count {
        let received = tokio::time::timeout(Duration::from_secs(30), consumer.recv()).await;
        let received = received.unwrap_or_else(|_| panic!("only {} of {count} records came", records.len()));
        let record = received.expect("readable").expect("open");
        let headers = record.headers.iter().map(|(key, value)| {
            (String::from_utf8(key.to_vec()).expect("UTF-8"), value.as_ref().map(|value| value.to_vec()))
        });
        let wire = WireRecord {
            partition: record.partition,
            timestamp_ms: record.timestamp,
            key: record.key.as_ref().map(|key| key.to_vec()),
            value: record.value.as_ref().map(|value| value.to_vec()),
            headers: headers.collect(),
        };
        records.push((record.offset, wire));
    }
    records.sort_by_key(|(offset, record)| (record.partition, *offset));
    records
}
