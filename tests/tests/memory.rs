//! 1 GB through a 32 MiB buffer into a real Kafka and back: memory stays where the configuration puts it (promise P7).

use milena::Kafka;
use milena::admin::TopicSpec;
use milena::consumer::OffsetReset;
use milena::producer::Record;
use milena_testcontainers::KafkaVersion;
use milena_tests::{Target, unique};

const RECORD_BYTES: usize = 10_000;
const RECORDS: usize = 100_000;
const BUFFER_BYTES: usize = 32 << 20;
const PREFETCH_BYTES: usize = 16 << 20;
/// What else may come: connections' buffers, allocator slack, the runtime.
const SLACK_BYTES: usize = 24 << 20;

mod real_kafka_control {
    #[tokio::test]
    async fn a_gigabyte_through_a_small_buffer_does_not_grow() {
        super::measure().await;
    }
}

async fn measure() {
    let target = Target::real(KafkaVersion::LATEST).await;
    let kafka = Kafka::builder(target.bootstrap()).client_id("memory").connect().await.expect("connects");
    let topic = unique("memory");
    let admin = kafka.admin();
    admin.create_topic(TopicSpec::new(&*topic).partitions(3)).await.expect("created");
    admin.wait_until_ready(&*topic).await.expect("ready");

    let before = resident_bytes();
    produce(&kafka, &topic).await;
    let grown = peak_resident_bytes().saturating_sub(before);
    assert!(grown < BUFFER_BYTES + SLACK_BYTES, "producing grew by {} MiB", grown >> 20);

    consume(&kafka, &topic).await;
    let grown = peak_resident_bytes().saturating_sub(before);
    let bound = BUFFER_BYTES.max(PREFETCH_BYTES) + PREFETCH_BYTES + SLACK_BYTES;
    assert!(grown < bound, "producing and consuming grew by {} MiB", grown >> 20);
    admin.delete_topic(&*topic).await.expect("deleted");
}

/// Sends as fast as the buffer admits; nobody holds the deliveries.
async fn produce(kafka: &Kafka, topic: &str) {
    let producer =
        kafka.producer().buffer_memory(BUFFER_BYTES).batch_size(64 << 10).build().await.expect("a producer");
    let value = vec![b'x'; RECORD_BYTES];
    for number in 0..RECORDS {
        let key = number.to_string();
        drop(producer.send(Record::to(topic).key(&key).value(&value)).await.expect("accepted"));
    }
    producer.flush().await.expect("nothing failed");
}

async fn consume(kafka: &Kafka, topic: &str) {
    let builder = kafka.consumer().auto_offset_reset(OffsetReset::Earliest).prefetch_bytes(PREFETCH_BYTES);
    let mut consumer = builder.build().await.expect("a consumer");
    consumer.assign_topic(topic).await.expect("the topic is there");
    let (mut records, mut bytes) = (0, 0);
    while records < RECORDS {
        let batch = consumer.next().await.expect("readable").expect("open");
        records += batch.len();
        bytes += batch.iter().map(|record| record.value.map_or(0, <[u8]>::len)).sum::<usize>();
    }
    assert_eq!((records, bytes), (RECORDS, RECORDS * RECORD_BYTES));
}

fn resident_bytes() -> usize {
    status_bytes("VmRSS:")
}

fn peak_resident_bytes() -> usize {
    status_bytes("VmHWM:")
}

/// A line of the kernel's account of this process; 0 where there is none, which makes the test measure nothing but still run.
fn status_bytes(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
    let kib: usize = line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0);
    kib * 1024
}
