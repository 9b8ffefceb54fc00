//! A broker holds the answer to a fetch back until there are records. What the application does meanwhile does not wait for that.

use std::time::Duration;

use milena_broker::{ApiKey, Cluster, TopicSpec};
use milena_consumer::{Consumer, Position};

use crate::support::*;

/// Less than any answer that is held back takes.
const AT_ONCE: Duration = Duration::from_millis(10);

async fn world(partitions: i32) -> World {
    let mut world = World::start(Cluster::builder().topic(TopicSpec::new("t").partitions(partitions))).await;
    for partition in 0..partitions {
        world.produce(&tp("t", partition), 10).await;
    }
    world
}

/// A consumer at the end of partition 0, whose fetch the broker has just begun to hold back.
async fn waiting(world: &World) -> Consumer {
    let partition = tp("t", 0);
    let mut consumer = world.consumer(strict(), [&partition]);
    Seen::default().read(&mut consumer, 10).await;
    world.client.env().sleep(Duration::from_millis(20)).await;
    consumer
}

async fn expect_offset_at_once(world: &World, consumer: &mut Consumer, offset: i64) {
    let env = world.client.env();
    let began = env.now();
    expect_offset(consumer, offset).await;
    assert!(env.now() - began < AT_ONCE, "{:?}", env.now() - began);
}

#[tokio::test(start_paused = true)]
async fn a_seek_waits_for_no_long_poll() {
    let world = world(1).await;
    let partition = tp("t", 0);
    let mut consumer = waiting(&world).await;
    // At moments all over the time that the broker may hold an answer back.
    for round in 0..40 {
        consumer.seek(&partition, 5).unwrap();
        expect_offset_at_once(&world, &mut consumer, 5).await;
        world.client.env().sleep(Duration::from_millis(37 * round % 600)).await;
    }
    assert_eq!(consumer.position(&partition).unwrap(), Some(Position::new(10).with_leader_epoch(0)));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_resumed_or_assigned_waits_for_no_long_poll() {
    let world = world(3).await;
    let partitions = [tp("t", 0), tp("t", 1), tp("t", 2)];
    let mut consumer = waiting(&world).await;
    consumer.assign(partitions[..2].to_vec());
    consumer.seek(&partitions[1], 0).unwrap();
    expect_offset_at_once(&world, &mut consumer, 0).await;
    consumer.assign(partitions.clone());
    consumer.pause([&partitions[2]]).unwrap();
    consumer.seek(&partitions[2], 3).unwrap();
    world.client.env().sleep(Duration::from_millis(700)).await;
    consumer.resume([&partitions[2]]).unwrap();
    expect_offset_at_once(&world, &mut consumer, 3).await;
}

#[tokio::test(start_paused = true)]
async fn however_long_brokers_may_wait_a_seek_does_not() {
    let mut world = world(2).await;
    let partitions = [tp("t", 0), tp("t", 1)];
    let mut config = strict();
    config.fetch_max_wait = Duration::from_secs(60);
    let mut consumer = world.consumer(config, &partitions);
    let mut seen = Seen::default();
    seen.read(&mut consumer, 20).await;
    world.client.env().sleep(Duration::from_secs(1)).await;
    consumer.seek(&partitions[1], 4).unwrap();
    expect_offset_at_once(&world, &mut consumer, 4).await;
    // And what is written after that comes soon too.
    let env = world.client.env().clone();
    for _ in 0..3 {
        world.produce(&partitions[1], 1).await;
        let began = env.now();
        patiently(consumer.next()).await.unwrap();
        assert!(env.now() - began < Duration::from_secs(1), "{:?}", env.now() - began);
    }
}

#[tokio::test(start_paused = true)]
async fn detours_end_and_ask_little() {
    let mut world = world(2).await;
    let partitions = [tp("t", 0), tp("t", 1)];
    let mut consumer = waiting(&world).await;
    consumer.assign(partitions.clone());
    consumer.seek(&partitions[1], 10).unwrap();
    let asked = world.cluster.requests(ApiKey::Fetch);
    let env = world.client.env().clone();
    env.sleep(Duration::from_secs(10)).await;
    let asked = world.cluster.requests(ApiKey::Fetch) - asked;
    assert!((20..=30).contains(&asked), "{asked} fetches in ten seconds, of which 20 are long polls");
    // Both are in one long poll again: what is written comes at once.
    for partition in &partitions {
        env.sleep(Duration::from_millis(100)).await;
        world.produce(partition, 1).await;
        expect_offset_at_once(&world, &mut consumer, 10).await;
    }
}
