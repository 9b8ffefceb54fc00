//! Slow brokers, slow applications, and partitions where nothing happens: what they cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use milena_broker::{ApiKey, Cluster, TopicSpec};
use milena_client::metrics::{Observer, RecordsFetched};

use crate::support::*;

/// Two nodes; partition 0 is on node 1, partition 1 on node 2.
async fn two_nodes() -> World {
    let topic = TopicSpec::new("t").assignments([vec![1], vec![2]]);
    World::start(Cluster::builder().nodes(2).topic(topic)).await
}

/// How many fetches it takes to read partition 0, and how long, with what else is assigned beside it.
async fn read_beside(others: &[i32]) -> (u64, Duration) {
    const BATCHES: u64 = 300;
    let mut world = two_nodes().await;
    for _ in 0..BATCHES {
        world.produce(&tp("t", 0), 1_000).await;
    }
    world.cluster.faults().connections().node(1).up().api(ApiKey::Fetch).delay(Duration::from_millis(2));
    let mut config = strict();
    config.max_partition_fetch_bytes = 50_000;
    let fetched = Arc::new(AtomicU64::new(0));
    let counted = fetched.clone();
    let client = client(&world.cluster, |config| config.observer = Some(Arc::new(Answers(counted)))).await;
    let partitions: Vec<_> = [0].iter().chain(others).map(|partition| tp("t", *partition)).collect();
    let mut consumer = consumer_of(&client, config, &partitions);
    let env = world.client.env();
    let began_at = env.now();
    Seen::default().read(&mut consumer, BATCHES * 1_000).await;
    (fetched.load(Ordering::Relaxed), env.now() - began_at)
}

/// Counts answers with records.
struct Answers(Arc<AtomicU64>);

impl Observer for Answers {
    fn on_records_fetched(&self, _event: &RecordsFetched<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_partition_on_another_broker_costs_a_busy_one_nothing() {
    assert_eq!(read_beside(&[1]).await, read_beside(&[]).await);
}

/// How many records all consumers of a client have fetched and not handed over.
#[derive(Default)]
struct Held {
    records: AtomicI64,
    most: AtomicI64,
}

impl Held {
    fn add(&self, records: i64) {
        let held = self.records.fetch_add(records, Ordering::Relaxed) + records;
        self.most.fetch_max(held, Ordering::Relaxed);
    }
}

struct Holding(Arc<Held>);

const RECORD_BYTES: usize = 10_000;
const BATCH_HEADER_BYTES: usize = 61;

impl Observer for Holding {
    fn on_records_fetched(&self, event: &RecordsFetched<'_>) {
        // Each record is a batch of its own; the last one of an answer may be there in part.
        self.0.add((event.bytes / (BATCH_HEADER_BYTES + RECORD_BYTES)) as i64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_slow_consumers_hold_what_they_may_and_ask_for_no_more() {
    const CONSUMERS: usize = 100;
    const PREFETCH_BYTES: usize = 100_000;
    const SECONDS: u64 = 60;
    let world = World::start(Cluster::builder().topic(TopicSpec::new("t"))).await;
    for _ in 0..300 {
        world.produce_large(&tp("t", 0), RECORD_BYTES).await;
    }
    let held = Arc::new(Held::default());
    let observer = held.clone();
    let client = client(&world.cluster, |config| config.observer = Some(Arc::new(Holding(observer)))).await;
    let mut config = strict();
    config.max_partition_fetch_bytes = 40_000;
    config.prefetch_bytes = PREFETCH_BYTES;
    let consumer = || consumer_of(&client, config.clone(), &[tp("t", 0)]);
    let mut consumers: Vec<_> = std::iter::repeat_with(consumer).take(CONSUMERS).collect();
    let mut handed_over = 0;
    for _ in 0..SECONDS {
        world.client.env().sleep(Duration::from_secs(1)).await;
        for consumer in &mut consumers {
            let batch = patiently(consumer.next()).await.expect("no error").expect("it is not closed");
            held.add(-(batch.len() as i64));
            handed_over += 1;
        }
    }
    let most = held.most.load(Ordering::Relaxed);
    assert!(most <= (CONSUMERS * PREFETCH_BYTES / RECORD_BYTES) as i64, "{most} records");
    let fetches = world.cluster.requests(ApiKey::Fetch);
    assert!(fetches <= handed_over + 3 * CONSUMERS as u64, "{fetches} fetches, {handed_over} batches read");
}

/// A megabyte that comes a byte a second: nobody asks again, nobody works, and who polls has his answer in time.
#[tokio::test(start_paused = true)]
async fn a_broker_that_drips_is_waited_for_without_work() {
    let mut world = two_nodes().await;
    for _ in 0..100 {
        world.produce(&tp("t", 0), 1_000).await;
    }
    world.cluster.faults().connections().node(1).down().api(ApiKey::Fetch).slow(1);
    let mut consumer = world.consumer(strict(), &[tp("t", 0), tp("t", 1)]);
    let env = world.client.env().clone();
    let mut seen = Seen::default();
    for second in 0..20 {
        world.produce(&tp("t", 1), 1).await;
        let began_at = env.now();
        while env.now() - began_at < Duration::from_secs(1) {
            for batch in consumer.poll(Duration::from_secs(1), 100).await.expect("no error") {
                assert_eq!(*batch.topic_partition(), tp("t", 1));
                seen.take(&batch);
            }
        }
        assert!(env.now() - began_at <= Duration::from_millis(2_010), "{:?}", env.now() - began_at);
        assert_eq!(seen.count(&tp("t", 1)), second + 1, "the other broker's are not held up");
    }
    // Two long polls a second of the broker that works, and one fetch of the other.
    let fetches = world.cluster.requests(ApiKey::Fetch);
    assert!(fetches <= 120, "{fetches} fetches in 20 to 40 s");
}
