//! A machine that goes away mid-stream: `kill -9` of one of three real brokers, then back.

#![expect(clippy::disallowed_methods, reason = "this is an application: its time and tasks are the system's")]

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use milena::Kafka;
use milena::admin::TopicSpec;
use milena::consumer::OffsetReset;
use milena::producer::{Compression, Delivery, Record};
use milena_testcontainers::{KafkaCluster, KafkaVersion};
use tokio::sync::oneshot;

const TOPIC: &str = "crash";
const PARTITIONS: i32 = 6;
/// Long enough that the cluster notices the loss (9 s) and elects other leaders while records keep coming.
const BEFORE: Duration = Duration::from_secs(3);
const WITHOUT: Duration = Duration::from_secs(14);
const AFTER: Duration = Duration::from_secs(6);
/// How long a consumer that keeps up may need for the last records when all are written.
const CATCH_UP: Duration = Duration::from_secs(30);

mod real_kafka_control {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_killed_broker_loses_repeats_and_reorders_nothing() {
        super::kill_and_check().await;
    }
}

async fn kill_and_check() {
    let cluster = KafkaCluster::builder().version(KafkaVersion::LATEST).nodes(3);
    let cluster = cluster.config("min.insync.replicas", "2").start().await.expect("three brokers start");
    let kafka = Kafka::builder(cluster.bootstrap()).client_id("crash").connect().await.expect("connects");
    let admin = kafka.admin();
    let topic = TopicSpec::new(TOPIC).partitions(PARTITIONS).replication_factor(3);
    admin.create_topic(topic).await.expect("created");
    admin.wait_until_ready(TOPIC).await.expect("ready");

    let load = tokio::spawn(send_numbers(kafka.clone(), BEFORE + WITHOUT + AFTER));
    let (tell_sent, sent) = oneshot::channel();
    let reading = tokio::spawn(read_along(kafka.clone(), sent));
    tokio::time::sleep(BEFORE).await;
    cluster.kill(2).await.expect("killed");
    tokio::time::sleep(WITHOUT).await;
    cluster.start_node(2).await.expect("back");
    let acknowledged = load.await.expect("every send is acknowledged");
    // A reader that is gone says why when it is waited for.
    let _ = tell_sent.send(acknowledged.values().map(Vec::len).sum());
    let read_on_the_way = reading.await.expect("reading goes on");

    let read_afterwards = read_all(&kafka, acknowledged.len()).await;
    assert_eq!(read_afterwards, acknowledged, "what was acknowledged is what the log has, once and in order");
    assert_eq!(
        read_on_the_way, acknowledged,
        "a consumer sees all of it in order, without gap or repetition, through the crash"
    );
    cluster.stop().await;
}

/// Numbers by partition, each with its offset.
type Log = BTreeMap<i32, Vec<(i64, u64)>>;

/// Sends numbers for `duration`; all must be acknowledged.
async fn send_numbers(kafka: Kafka, duration: Duration) -> Log {
    let producer = kafka.producer().linger(Duration::from_millis(2)).compression(Compression::Lz4);
    let producer = producer.build().await.expect("a producer");
    let mut log = Log::new();
    let mut pending: VecDeque<(u64, Delivery)> = VecDeque::new();
    let end = Instant::now() + duration;
    let mut number = 0;
    while Instant::now() < end {
        let text = number.to_string();
        let record = Record::to(TOPIC).key(&text).value(&text);
        pending.push_back((number, producer.send(record).await.expect("accepted")));
        number += 1;
        if number % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        while pending.front().is_some_and(|(_, delivery)| delivery.try_result().is_some()) {
            let (number, delivery) = pending.pop_front().expect("looked at above");
            note(&mut log, number, delivery).await;
        }
    }
    for (number, delivery) in pending {
        note(&mut log, number, delivery).await;
    }
    producer.close(Duration::from_secs(30)).await.expect("nothing failed");
    // Acknowledgements of different batches may be noted out of order of their offsets only if something is wrong: not sorted here.
    log
}

async fn note(log: &mut Log, number: u64, delivery: Delivery) {
    let ack = delivery.await.expect("acknowledged");
    let of_partition = log.entry(ack.partition()).or_default();
    // A repetition that the broker recognised may come back without its offset: it is where the order says.
    let offset = ack.offset.unwrap_or_else(|| of_partition.last().map_or(0, |(last, _)| last + 1));
    of_partition.push((offset, number));
}

/// Reads along while the load runs, and on until as many records were seen as `sent` says when the load is over.
async fn read_along(kafka: Kafka, mut sent: oneshot::Receiver<usize>) -> Log {
    let consumer = kafka.consumer().auto_offset_reset(OffsetReset::Earliest).build().await;
    let mut consumer = consumer.expect("a consumer");
    consumer.assign_topic(TOPIC).await.expect("the topic is there");
    let mut log = Log::new();
    let mut seen = 0;
    let mut goal = None;
    loop {
        if let Ok(count) = sent.try_recv() {
            goal = Some((count, Instant::now() + CATCH_UP));
        }
        if let Some((count, deadline)) = goal {
            if seen >= count {
                return log;
            }
            assert!(Instant::now() < deadline, "the consumer stands still at {seen} of {count} records");
        }
        let records =
            consumer.poll(Duration::from_millis(500), 10_000).await.expect("readable through the crash");
        for (partition, record) in records.iter() {
            log.entry(partition.partition).or_default().push((record.offset, parse(record.value)));
            seen += 1;
        }
    }
}

async fn read_all(kafka: &Kafka, partitions: usize) -> Log {
    let consumer = kafka.consumer().auto_offset_reset(OffsetReset::Earliest).build().await;
    let mut consumer = consumer.expect("a consumer");
    consumer.assign_topic(TOPIC).await.expect("the topic is there");
    let assignment = consumer.assignment();
    assert_eq!(assignment.len(), partitions);
    let ends = consumer.end_offsets(&assignment).await.expect("ends");
    let mut log = Log::new();
    while assignment.iter().any(|p| log.get(&p.partition).map_or(0, Vec::len) < ends[p] as usize) {
        let batch = consumer.next().await.expect("readable").expect("open");
        for record in batch.iter() {
            log.entry(batch.partition()).or_default().push((record.offset, parse(record.value)));
        }
    }
    log
}

fn parse(value: Option<&[u8]>) -> u64 {
    let text = std::str::from_utf8(value.expect("a value")).expect("UTF-8");
    text.parse().expect("a number")
}
