//! Other clients read what Milena writes, and write what Milena reads: every codec, every shape of record, on a real Kafka and on the
//! embedded broker.

use std::time::Duration;

use milena::Kafka;
use milena::admin::TopicSpec;
use milena::consumer::{Consumer, OffsetReset};
use milena::producer::{Compression, HeaderRef, Record};
use milena_testcontainers::{Java, JavaCommand, KafkaVersion};
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

    mod console {
        use super::*;

        #[tokio::test]
        async fn consumer_reads_what_milena_writes_on_kafka() {
            console_reads(&Target::real(KafkaVersion::LATEST).await).await;
        }

        #[tokio::test]
        async fn consumer_reads_what_milena_writes_on_the_embedded_broker() {
            console_reads(&Target::embedded().await).await;
        }

        #[tokio::test]
        async fn producer_writes_what_milena_reads_on_kafka() {
            console_writes(&Target::real(KafkaVersion::LATEST).await).await;
        }

        #[tokio::test]
        async fn producer_writes_what_milena_reads_on_the_embedded_broker() {
            console_writes(&Target::embedded().await).await;
        }
    }
}

mod real_kafka_control {
    use super::*;

    mod with_python {
        use super::*;

        peers!(librdkafka Librdkafka, kafka_python KafkaPython);
    }
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

/// kafka-console-consumer.
async fn console_reads(target: &Target) {
    let kafka = connect(target).await;
    for compression in Compression::ALL {
        let topic = create_topic(&kafka).await;
        let written = write(&kafka, &topic, compression, &console_records()).await;
        let consumer = console("org.apache.kafka.tools.consumer.ConsoleConsumer", target, &topic);
        let consumer = consumer.args(["--from-beginning", "--timeout-ms", "60000"]);
        let consumer = consumer.args(["--max-messages".to_owned(), written.len().to_string()]);
        let shown = ["partition", "offset", "timestamp", "headers", "key"];
        let shown = shown.map(|what| ["--formatter-property".to_owned(), format!("print.{what}=true")]);
        let output = consumer.args(shown.into_iter().flatten()).run().await.expect("consumes");
        let text = output.text();
        let mut read: Vec<_> = text.lines().collect();
        read.sort_unstable();
        let mut expected: Vec<_> = written.iter().map(console_line).collect();
        expected.sort_unstable();
        assert_eq!(read, expected, "{compression}");
    }
}

/// kafka-console-producer.
async fn console_writes(target: &Target) {
    let kafka = connect(target).await;
    for compression in Compression::ALL {
        let topic = create_topic(&kafka).await;
        let sent = console_records();
        let lines = sent.iter().map(|record| {
            let headers: Vec<_> =
                record.headers.iter().map(|(key, value)| format!("{key}:{}", text(value.as_ref()))).collect();
            let [key, value] = [&record.key, &record.value].map(|bytes| text(bytes.as_ref()));
            format!("{}\t{key}\t{value}\n", headers.join(","))
        });
        let producer = console("org.apache.kafka.tools.ConsoleProducer", target, &topic);
        let producer = producer.args(["--compression-codec", compression.name()]);
        let producer = producer.args(["--reader-property", "parse.key=true"]);
        let producer = producer.args(["--reader-property", "parse.headers=true"]);
        producer.stdin(lines.collect::<String>()).run().await.expect("produces");

        // The tool chooses partition and timestamp.
        let content = |record: WireRecord| (record.key, record.value, record.headers);
        let read = read(&kafka, &topic, sent.len()).await;
        let mut read: Vec<_> = read.into_iter().map(|(_, record)| content(record)).collect();
        read.sort_unstable();
        let mut sent: Vec<_> = sent.into_iter().map(content).collect();
        sent.sort_unstable();
        assert_eq!(read, sent, "{compression}");
    }
}

fn console(class: &str, target: &Target, topic: &str) -> JavaCommand {
    Java::of(KafkaVersion::LATEST).tool(class).args([
        "--bootstrap-server",
        &target.bootstrap(),
        "--topic",
        topic,
    ])
}

/// Records that a line of text can express.
fn console_records() -> Vec<WireRecord> {
    let bytes = |text: String| Some(text.into_bytes());
    let record = |number: i32| WireRecord {
        partition: number % PARTITIONS,
        timestamp_ms: 1_700_000_000_000 + i64::from(number),
        key: bytes(format!("key-{}", number % 7)),
        value: bytes(format!("žluťoučký kůň {number} {}", "compressible ".repeat(100))),
        headers: vec![
            ("number".to_owned(), bytes(number.to_string())),
            ("again".to_owned(), bytes("x".to_owned())),
        ],
    };
    (0..100).map(record).collect()
}

/// The record as kafka-console-consumer prints it.
fn console_line((offset, record): &(i64, WireRecord)) -> String {
    let headers: Vec<_> =
        record.headers.iter().map(|(key, value)| format!("{key}:{}", text(value.as_ref()))).collect();
    format!(
        "CreateTime:{}\tPartition:{}\tOffset:{offset}\t{}\t{}\t{}",
        record.timestamp_ms,
        record.partition,
        headers.join(","),
        text(record.key.as_ref()),
        text(record.value.as_ref())
    )
}

fn text(bytes: Option<&Vec<u8>>) -> &str {
    std::str::from_utf8(bytes.expect("console records have all fields")).expect("UTF-8")
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
