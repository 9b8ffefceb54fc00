//! `read_committed` shows neither aborted nor open records, whatever they are interleaved with. librdkafka writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use milena::Kafka;
use milena::admin::TopicSpec;
use milena::consumer::{Consumer, IsolationLevel, OffsetReset, PolledRecords};
use milena_testcontainers::KafkaVersion;
use milena_tests::{Target, run_python, unique};

const PARTITIONS: i32 = 2;
const PEER: &str = "mixed_transactions_librdkafka.py";
/// As in the peer.
const ROUNDS: usize = 20;
/// More than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing has to come where nothing may come.
const NOTHING: Duration = Duration::from_secs(1);

mod with_python {
    use super::*;

    #[tokio::test]
    async fn only_committed_records_are_shown_on_the_embedded_broker() {
        check(&Target::embedded().await).await;
    }
}

mod real_kafka_control {
    use super::*;

    mod with_python {
        use super::*;

        #[tokio::test]
        async fn only_committed_records_are_shown_on_kafka_4_3_1() {
            check(&Target::real(KafkaVersion::V4_3_1).await).await;
        }

        #[tokio::test]
        async fn only_committed_records_are_shown_on_kafka_2_1_1() {
            check(&Target::real(KafkaVersion::V2_1_1).await).await;
        }
    }
}

async fn check(target: &Target) {
    let kafka = Kafka::builder(target.bootstrap()).client_id("committed").connect().await.expect("connects");
    let topic = unique("committed");
    let admin = kafka.admin();
    admin
        .create_topic(TopicSpec::new(&*topic).partitions(PARTITIONS).replication_factor(1))
        .await
        .expect("created");
    admin.wait_until_ready(&*topic).await.expect("ready");
    let bootstrap = target.bootstrap();
    run_python(PEER, &["begin", &bootstrap, &topic, &PARTITIONS.to_string()]).await;

    // Rounds of three steps: those of the transactions that commit, and those outside of any.
    let mut visible = Vec::new();
    let mut written = Vec::new();
    for (number, step) in (0..ROUNDS).flat_map(|number| (0..3).map(move |step| (number, step))) {
        let [committed, aborted, plain] =
            ["committed", "aborted", "plain"].map(|what| format!("{what}-{number}-{step}"));
        visible.extend([committed.clone(), plain.clone()]);
        written.extend([committed, aborted, plain]);
    }
    let behind = ["open-0", "behind-0", "aborted-behind", "open-1"].map(str::to_owned);
    written.extend(behind);

    let mut committed = consumer(&kafka, &topic, IsolationLevel::ReadCommitted).await;
    assert_each_partition_has(&read(&mut committed, visible.len()).await, &visible);
    // The last stable offset is where the open transaction begins.
    let nothing = committed.poll(NOTHING, 10).await.expect("readable");
    assert!(nothing.is_empty(), "shown from behind the last stable offset: {:?}", values(&nothing));
    let mut uncommitted = consumer(&kafka, &topic, IsolationLevel::ReadUncommitted).await;
    assert_each_partition_has(&read(&mut uncommitted, written.len()).await, &written);

    run_python(PEER, &["end", &bootstrap, &topic, &PARTITIONS.to_string()]).await;
    let behind = ["behind-0", "last-0"].map(str::to_owned);
    assert_each_partition_has(&read(&mut committed, behind.len()).await, &behind);
    let nothing = committed.poll(NOTHING, 10).await.expect("readable");
    assert!(nothing.is_empty(), "shown though aborted: {:?}", values(&nothing));
}

async fn consumer(kafka: &Kafka, topic: &str, isolation_level: IsolationLevel) -> Consumer {
    // A few batches an answer, so that transactions reach over answers.
    let builder = kafka.consumer().auto_offset_reset(OffsetReset::Earliest).max_partition_fetch_bytes(1_000);
    let mut consumer = builder.isolation_level(isolation_level).build().await.expect("a consumer");
    consumer.assign_topic(topic).await.expect("the topic is there");
    consumer
}

/// The values of the next `count` records of each partition, by partition. More of one than of the others counts, too.
async fn read(consumer: &mut Consumer, count: usize) -> BTreeMap<i32, Vec<String>> {
    let mut read = BTreeMap::<i32, Vec<String>>::new();
    let all = async {
        while read.values().map(Vec::len).sum::<usize>() < count * PARTITIONS as usize {
            let records = consumer.poll(PATIENCE, 1_000).await.expect("readable");
            for (partition, value) in values(&records) {
                read.entry(partition).or_default().push(value);
            }
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, all).await.is_ok();
    assert!(in_time, "only these came: {read:?}");
    read
}

fn values(records: &PolledRecords) -> Vec<(i32, String)> {
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    records.iter().map(|(partition, record)| (partition.partition, text(record.value))).collect()
}

#[track_caller]
fn assert_each_partition_has(read: &BTreeMap<i32, Vec<String>>, expected: &[String]) {
    for partition in 0..PARTITIONS {
        assert_eq!(read.get(&partition).map_or(&[][..], Vec::as_slice), expected, "partition {partition}");
    }
}
