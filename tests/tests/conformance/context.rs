//! What every case has: a broker and a client of it.

use std::time::Duration;

use milena::consumer::{Consumer, OffsetReset};
use milena::producer::{Acknowledgement, Producer, Record};
use milena::{Kafka, TopicPartition};
use milena_tests::{Target, WireRecord, unique};

/// A broker and a client of it.
pub(crate) struct Context {
    pub(crate) target: Target,
    pub(crate) kafka: Kafka,
}

/// More than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

impl Context {
    pub(crate) async fn new(target: Target) -> Self {
        let kafka =
            Kafka::builder(target.bootstrap()).client_id("conformance").connect().await.expect("connects");
        Self { target, kafka }
    }

    /// A topic of this case's own that keeps what is written, however old its timestamp: the first sweep of a broker comes 30 s after
    /// its start.
    pub(crate) async fn topic(&self, case: &str, partitions: i32, configs: &[(&str, &str)]) -> String {
        let name = unique(case);
        let configs = [[("retention.ms", "-1")].as_slice(), configs].concat();
        crate::topics::create(&self.kafka, &name, partitions, &configs).await;
        name
    }

    pub(crate) async fn producer(&self) -> Producer {
        self.kafka.producer().linger(Duration::from_millis(2)).build().await.expect("a producer")
    }

    /// A consumer of all partitions of `topic`, from the beginning.
    pub(crate) async fn consumer(&self, topic: &str) -> Consumer {
        let consumer = self.kafka.consumer().auto_offset_reset(OffsetReset::Earliest).build().await;
        let mut consumer = consumer.expect("a consumer");
        consumer.assign_topic(topic).await.expect("the topic is there");
        consumer
    }
}

/// Fails the case instead of hanging it.
pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

/// Sends records with values `0..count` to one partition and waits for all of them.
pub(crate) async fn fill(
    producer: &Producer,
    topic: &str,
    partition: i32,
    count: usize,
) -> Vec<Acknowledgement> {
    let mut deliveries = Vec::new();
    for number in 0..count {
        let value = number.to_string();
        let record = Record::to(topic).partition(partition).value(&value);
        deliveries.push(producer.send(record).await.expect("accepted"));
    }
    let mut acknowledgements = Vec::new();
    for delivery in deliveries {
        acknowledgements.push(in_time(delivery).await.expect("acknowledged"));
    }
    acknowledgements
}

/// The next `count` records, with their offsets, in the order of partition and offset.
pub(crate) async fn read(consumer: &mut Consumer, count: usize) -> Vec<(i64, WireRecord)> {
    let mut records = Vec::new();
    while records.len() < count {
        let batch = in_time(consumer.next()).await.expect("readable").expect("open");
        for record in batch.iter() {
            let headers = record.headers().map(|header| {
                let key = header.key_str().expect("UTF-8").to_owned();
                (key, header.value.map(<[u8]>::to_vec))
            });
            let wire = WireRecord {
                partition: batch.partition(),
                timestamp_ms: record.timestamp,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: headers.collect(),
            };
            records.push((record.offset, wire));
        }
    }
    records.sort_by_key(|(offset, record)| (record.partition, *offset));
    records
}

/// The values of the next `count` records as text.
pub(crate) async fn read_values(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let records = read(consumer, count).await;
    let text = |record: WireRecord| String::from_utf8(record.value.unwrap_or_default()).expect("UTF-8");
    records.into_iter().map(|(_, record)| text(record)).collect()
}

pub(crate) fn partition_of(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}
