//! Brokers that are far away.

use std::time::Duration;

use milena_broker::{ApiKey, Cluster, TopicSpec};
use milena_producer::Record;

use crate::support::*;

const PARTITIONS: i32 = 3;
const BATCHES: u32 = 100;
const WINDOW: u32 = 5;

/// How long it takes to write `BATCHES` batches to each partition over a way on which a request and its answer take `round_trip`.
async fn write(round_trip: Duration) -> Duration {
    let topic = TopicSpec::new(TOPIC).partitions(PARTITIONS);
    let world =
        World::start_with(|_| Cluster::builder().topic(topic), |config| config.batch_size = 4_000).await;
    let mut introduced = Vec::new();
    for partition in 0..PARTITIONS {
        introduced.push(world.send_to(partition).await);
    }
    acks(introduced).await;
    world.cluster.faults().connections().up().api(ApiKey::Produce).delay(round_trip / 2);
    world.cluster.faults().connections().down().api(ApiKey::Produce).delay(round_trip / 2);
    // One fills a batch.
    let value = vec![b'x'; 4_000];
    let began_at = world.env().now();
    let mut sent = Vec::new();
    for _ in 0..BATCHES {
        for partition in 0..PARTITIONS {
            let record = Record::to(TOPIC).partition(partition).value(&value);
            sent.push(world.producer.send(record).await.expect("accepted"));
        }
    }
    acks(sent).await;
    world.env().now() - began_at
}

/// Each partition has its window, whatever the others do: five batches in a round trip.
#[tokio::test(start_paused = true)]
async fn a_long_way_is_filled_with_five_batches_of_each_partition() {
    for round_trip in [50, 200].map(ms) {
        let elapsed = patiently(write(round_trip)).await;
        let round_trips = BATCHES / WINDOW;
        let expected = round_trip * round_trips..=round_trip * round_trips + round_trip;
        assert!(expected.contains(&elapsed), "{round_trip:?}: {elapsed:?}");
    }
}
