//! Brokers that are far away.

use std::time::Duration;

use milena_broker::{ApiKey, Cluster, TopicSpec};

use crate::support::*;

const PARTITIONS: i32 = 6;
const BATCHES: usize = 30;
const BATCH_BYTES: usize = 500_000;

/// How many fetches it takes to read 90 MB, and how long, over a way on which a request and its answer take `round_trip`.
async fn read(round_trip: Duration) -> (u64, Duration) {
    let topic = TopicSpec::new("t").partitions(PARTITIONS);
    let world = World::start(Cluster::builder().topic(topic)).await;
    let partitions: Vec<_> = (0..PARTITIONS).map(|partition| tp("t", partition)).collect();
    for partition in &partitions {
        for _ in 0..BATCHES {
            world.produce_large(partition, BATCH_BYTES).await;
        }
    }
    world.cluster.faults().connections().up().api(ApiKey::Fetch).delay(round_trip / 2);
    world.cluster.faults().connections().down().api(ApiKey::Fetch).delay(round_trip / 2);
    let mut consumer = world.consumer(strict(), &partitions);
    let env = world.client.env().clone();
    let began_at = env.now();
    let mut records = 0;
    while records < PARTITIONS as usize * BATCHES {
        let batch = patiently(consumer.next()).await.expect("nothing is wrong");
        records += batch.expect("the consumer is open").len();
    }
    (world.cluster.requests(ApiKey::Fetch), env.now().saturating_duration_since(began_at))
}

/// 1 MB of each partition in a round trip, as `max.partition.fetch.bytes` has it: once the consumer has found out that it takes
/// as much.
#[tokio::test(start_paused = true)]
async fn a_long_way_is_filled_with_long_answers() {
    for round_trip in [50, 200].map(Duration::from_millis) {
        let (fetches, elapsed) = read(round_trip).await;
        assert!((15..=30).contains(&fetches), "{round_trip:?}: {fetches} fetches");
        assert!(elapsed <= 30 * round_trip, "{round_trip:?}: {elapsed:?}");
    }
}
