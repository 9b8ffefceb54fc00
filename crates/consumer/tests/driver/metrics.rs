//! What is counted and told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use milena_broker::{ApiKey, Cluster, TopicSpec};
use milena_client::metrics::{Observer, RecordsFetched};

use crate::support::*;

const FETCHES: &str = "consumer-fetch-manager-metrics";

#[tokio::test(start_paused = true)]
async fn records_fetches_and_lag_are_counted_under_kafkas_names() {
    let mut world = World::start(Cluster::builder().topic(TopicSpec::new("t").partitions(2))).await;
    let partitions = [tp("t", 0), tp("t", 1)];
    for partition in &partitions {
        world.produce(partition, 30).await;
    }
    let mut consumer = world.consumer(strict(), &partitions);
    Seen::default().read(&mut consumer, 60).await;
    let metrics = world.client.metrics();
    let value = |group, name, tags: &[(&str, &str)]| metrics.value(group, name, tags).expect("it is there");
    assert_eq!(value(FETCHES, "records-consumed-total", &[]), 60.0);
    assert_eq!(value(FETCHES, "records-consumed-total", &[("topic", "t")]), 60.0);
    let bytes: usize =
        (0..2).flat_map(|p| world.cluster.log("t", p).unwrap().batches).map(|batch| batch.bytes.len()).sum();
    assert_eq!(value(FETCHES, "bytes-consumed-total", &[]), bytes as f64);
    assert!(value(FETCHES, "fetch-total", &[]) >= 1.0);
    assert!(value(FETCHES, "fetch-total", &[]) <= world.cluster.requests(ApiKey::Fetch) as f64);
    assert_eq!(value(FETCHES, "records-lag", &[("topic", "t"), ("partition", "0")]), 0.0);
    assert_eq!(value(FETCHES, "records-lead", &[("topic", "t"), ("partition", "1")]), 30.0);
    assert_eq!(value("consumer-metrics", "connection-count", &[]), 1.0);
    assert!(value("consumer-metrics", "time-between-poll-max", &[]).is_finite());

    consumer.assign([partitions[0].clone()]);
    let metrics = world.client.metrics();
    let gone = metrics.value(FETCHES, "records-lag", &[("topic", "t"), ("partition", "1")]);
    assert_eq!(gone, None);
}

#[derive(Default)]
struct Log(Mutex<Vec<(i32, i64, i64)>>);

impl Observer for Log {
    fn on_records_fetched(&self, event: &RecordsFetched<'_>) {
        let mut log = self.0.lock().expect("no panic");
        log.push((event.partition, event.fetch_offset, event.high_watermark));
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_of_every_fetch_that_brings_records() {
    let mut world = World::start(Cluster::builder().topic(TopicSpec::new("t"))).await;
    let log = Arc::new(Log::default());
    world.client = client(&world.cluster, |config| config.observer = Some(log.clone())).await;
    let partition = tp("t", 0);
    let mut consumer = world.consumer(strict(), [&partition]);
    let mut seen = Seen::default();
    for round in 1..=3u64 {
        world.produce(&partition, 10).await;
        seen.read(&mut consumer, 10 * round).await;
        world.client.env().sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(*log.0.lock().unwrap(), [(0, 0, 10), (0, 10, 20), (0, 20, 30)]);
}
