//! Slow, hung and idle brokers, and what the producer does meanwhile.

use std::sync::atomic::Ordering;

use milena_broker::{ApiKey, Cluster, TopicSpec};
use milena_producer::{ProducerConfig, Record};

use crate::support::*;

/// Three nodes; partition 0 is on node 1, 1 on node 2, 2 on node 3.
fn spread() -> milena_broker::ClusterBuilder {
    let topic = TopicSpec::new(TOPIC).assignments([vec![1], vec![2], vec![3]]);
    Cluster::builder().nodes(3).topic(topic)
}

async fn spread_world(configure: impl FnOnce(&mut ProducerConfig)) -> World {
    let world = World::start_with(|_| spread(), configure).await;
    let mut introduced = Vec::new();
    for partition in 0..3 {
        introduced.push(world.send_to(partition).await);
    }
    acks(introduced).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_hung_broker_delays_its_own_partitions_only() {
    patiently(async {
        let world = spread_world(|_| {}).await;
        world.cluster.faults().freeze(2);
        let hung = world.send_to(1).await;
        for _ in 0..100 {
            let began = world.env().now();
            let (first, third) = (world.send_to(0).await, world.send_to(2).await);
            acks(vec![first, third]).await;
            assert!(world.env().now() - began < ms(50));
        }
        assert!(hung.try_result().is_none());
        world.cluster.faults().unfreeze(2);
        acks(vec![hung]).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_stops_reading_delays_its_own_partitions_only() {
    patiently(async {
        let world = spread_world(|config| config.linger = ms(0)).await;
        world.cluster.faults().stop_reading(2);
        let value = vec![b'x'; 100_000];
        let mut stalled = Vec::new();
        for _ in 0..20 {
            let record = Record::to(TOPIC).partition(1).value(&value);
            stalled.push(world.producer.send(record).await.expect("accepted"));
        }
        for _ in 0..100 {
            acks(vec![world.send_to(0).await, world.send_to(2).await]).await;
        }
        assert!(stalled.iter().all(|delivery| delivery.try_result().is_none()));
        world.cluster.faults().resume_reading(2);
        acks(stalled).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn keyless_records_avoid_a_broker_that_takes_no_data() {
    patiently(async {
        let configure = |config: &mut ProducerConfig| {
            config.partitioner_availability_timeout = secs(2);
            config.linger = ms(0);
        };
        let world = spread_world(configure).await;
        world.cluster.faults().freeze(2);
        let hung = world.send_to(1).await;
        world.pass(secs(5)).await;
        let value = [b'x'; 5_000];
        // Whatever the sticky partition was, it has moved after these.
        for _ in 0..10 {
            drop(world.producer.send(Record::to(TOPIC).value(&value)).await.expect("accepted"));
        }
        for _ in 0..100 {
            let delivery = world.producer.send(Record::to(TOPIC).value(&value)).await.expect("accepted");
            assert_ne!(delivery.topic_partition().partition, 1);
            delivery.await.expect("acknowledged");
        }
        world.cluster.faults().unfreeze(2);
        acks(vec![hung]).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_producer_asks_for_nothing() {
    patiently(async {
        let world = World::start().await;
        acks(world.send_batch(1).await).await;
        let requests = |api| world.cluster.requests(api);
        let (metadata, produce) = (requests(ApiKey::Metadata), requests(ApiKey::Produce));
        world.pass(secs(600)).await;
        assert_eq!(requests(ApiKey::Produce), produce);
        assert!(requests(ApiKey::Metadata) - metadata <= 3, "every five minutes");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_unused_connection_is_closed_and_opened_again_when_it_is_needed() {
    patiently(async {
        let world = World::start_with_client(
            |cluster| cluster,
            |client| client.connections_max_idle = secs(10),
            |_| {},
        )
        .await;
        acks(world.send_batch(1).await).await;
        world.pass(secs(5)).await;
        assert!(world.cluster.connections(1) > 0);
        world.cluster.until(|cluster| cluster.connections(1) == 0).await;
        let connects = world.connects.load(Ordering::Relaxed);
        let began = world.env().now();
        acks(vec![world.send().await]).await;
        assert!(world.env().now() - began < ms(50), "no back-off: nothing had failed");
        assert_eq!(world.connects.load(Ordering::Relaxed), connects + 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_broker_closes_while_it_is_unused_is_no_failure() {
    patiently(async {
        let world = World::start().await;
        acks(world.send_batch(1).await).await;
        world.cluster.faults().disconnect(1).await;
        world.pass(ms(10)).await;
        let began = world.env().now();
        acks(vec![world.send().await]).await;
        assert!(world.env().now() - began < ms(20), "no back-off: {:?}", world.env().now() - began);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_broker_is_tried_at_the_pace_of_the_back_off() {
    patiently(async {
        let world = spread_world(|_| {}).await;
        world.cluster.faults().kill_unnoticed(2).await;
        let waiting = world.send_to(1).await;
        world.pass(secs(2)).await;
        let connects = world.connects.load(Ordering::Relaxed);
        world.pass(secs(60)).await;
        let connects = world.connects.load(Ordering::Relaxed) - connects;
        // The sender's and those for metadata, each at most once in 0.8 s.
        assert!((50..=160).contains(&connects), "{connects} attempts in 60 s");
        world.cluster.faults().restart(2).await.expect("it starts");
        acks(vec![waiting]).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_broker_that_leads_nothing_any_more_is_left_alone() {
    patiently(async {
        let world = World::replicated().await;
        acks(world.send_batch(1).await).await;
        world.cluster.faults().freeze(1);
        let sent = world.send_batch(2).await;
        world.cluster.faults().kill(1).await;
        acks(sent).await;
        acks(world.send_batch(1).await).await;
        world.pass(secs(5)).await;
        let connects = world.connects.load(Ordering::Relaxed);
        let metadata = world.cluster.requests(ApiKey::Metadata);
        world.pass(secs(60)).await;
        assert_eq!(world.connects.load(Ordering::Relaxed), connects);
        assert!(world.cluster.requests(ApiKey::Metadata) - metadata <= 1);
    })
    .await;
}
