//! What an application does when nothing goes wrong.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use futures_core::Stream;
use milena_broker::{ApiKey, Cluster, TopicSpec};
use milena_consumer::{ConsumerConfig, RecvError, SeekError};
use milena_records::Compression;

use crate::support::*;

async fn world(nodes: usize, partitions: i32) -> World {
    World::start(Cluster::builder().nodes(nodes).topic(TopicSpec::new("t").partitions(partitions))).await
}

#[tokio::test(start_paused = true)]
async fn partitions_of_all_brokers_are_read_in_order_and_in_every_codec() {
    let mut world = world(3, 6).await;
    let partitions: Vec<_> = (0..6).map(|partition| tp("t", partition)).collect();
    for compression in Compression::ALL {
        for partition in &partitions {
            world.produce_in(partition, 7, compression).await;
        }
    }
    let mut consumer = world.consumer(strict(), &partitions);
    let mut seen = Seen::default();
    seen.read(&mut consumer, 5 * 6 * 7).await;
    for partition in &partitions {
        assert_eq!(seen.count(partition), 35);
        let position = consumer.position(partition).unwrap().unwrap();
        assert_eq!((position.offset, position.leader_epoch), (35, Some(0)));
        assert_eq!(consumer.lag(partition), Some(0));
    }
}

#[tokio::test(start_paused = true)]
async fn records_that_come_later_are_waited_for() {
    let mut world = world(1, 1).await;
    let partition = tp("t", 0);
    let mut consumer = world.consumer(strict(), [&partition]);
    let mut seen = Seen::default();
    for round in 1..=20 {
        world.produce(&partition, 1).await;
        seen.read(&mut consumer, round).await;
    }
}

#[tokio::test(start_paused = true)]
async fn recv_and_the_stream_and_next_go_on_where_the_other_stopped() {
    let mut world = world(1, 1).await;
    let partition = tp("t", 0);
    world.produce(&partition, 10).await;
    let mut consumer = world.consumer(strict(), [&partition]);
    for offset in 0..3 {
        let record = patiently(consumer.recv()).await.unwrap().unwrap();
        assert_eq!((record.offset, &record.value.unwrap()[..]), (offset, offset.to_string().as_bytes()));
        assert_eq!(consumer.position(&partition).unwrap().unwrap().offset, offset + 1);
        assert_eq!(consumer.lag(&partition), Some(9 - offset));
    }
    {
        let mut stream = pin!(consumer.stream());
        let record = patiently(poll_fn(|cx| stream.as_mut().poll_next(cx))).await.unwrap().unwrap();
        assert_eq!(record.offset, 3);
    }
    let batch = patiently(consumer.next()).await.unwrap().unwrap();
    assert_eq!(batch.iter().map(|record| record.offset).collect::<Vec<_>>(), [4, 5, 6, 7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn poll_takes_so_many_records_by_partition_and_nothing_when_the_time_is_over() {
    let mut world = world(1, 2).await;
    let partitions = [tp("t", 0), tp("t", 1)];
    for partition in &partitions {
        world.produce(partition, 10).await;
    }
    let mut consumer = world.consumer(strict(), &partitions);
    let mut counts = [0, 0];
    while counts != [10, 10] {
        let polled = patiently(consumer.poll(Duration::from_secs(5), 4)).await.unwrap();
        assert!((1..=4).contains(&polled.len()), "{}", polled.len());
        for (partition, record) in polled.iter() {
            let count = &mut counts[partition.partition as usize];
            assert_eq!(record.offset, *count);
            *count += 1;
        }
        for (partition, next_offset) in polled.next_offsets() {
            assert_eq!(consumer.position(partition).unwrap().unwrap().offset, next_offset);
        }
    }
    let polled = patiently(consumer.poll(Duration::from_secs(5), 4)).await.unwrap();
    assert!(polled.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_next_loses_nothing() {
    let mut world = world(2, 2).await;
    let partitions = [tp("t", 0), tp("t", 1)];
    for _ in 0..20 {
        for partition in &partitions {
            world.produce(partition, 5).await;
        }
    }
    let mut consumer = world.consumer(strict(), &partitions);
    let env = world.client.env().clone();
    let mut seen = Seen::default();
    let mut dropped = 0;
    while seen.total() < 200 {
        // Dropped at every point at which it can be: without having been polled, once, twice ...
        match env.timeout_at(env.now() + Duration::from_micros(dropped % 40), consumer.next()).await {
            Some(batch) => seen.take(&batch.unwrap().unwrap()),
            None => dropped += 1,
        }
        assert!(dropped < 10_000, "it hangs");
    }
    assert!(dropped > 0);
}

/// In real time: threads run when they like.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_several_threads_every_record_comes_once_and_in_order() {
    let mut world = world(3, 6).await;
    let partitions: Vec<_> = (0..6).map(|partition| tp("t", partition)).collect();
    for round in 0..40 {
        for partition in &partitions {
            world.produce_in(partition, 200, Compression::ALL[round % 5]).await;
        }
    }
    let mut config = strict();
    config.max_partition_fetch_bytes = 4_000;
    config.prefetch_bytes = 100_000;
    let mut consumer = world.consumer(config, &partitions);
    let mut next: std::collections::BTreeMap<_, i64> = partitions.iter().map(|p| (p.clone(), 0)).collect();
    let env = world.client.env().clone();
    let mut seeks = 300;
    while next.values().any(|offset| *offset < 8_000) {
        let batch = patiently(consumer.next()).await.unwrap().unwrap();
        let due = next.get_mut(batch.topic_partition()).unwrap();
        for record in &batch {
            assert_eq!(record.offset, *due);
            *due += 1;
        }
        let chosen = &partitions[(env.random_u64() % 6) as usize];
        match env.random_u64() % 8 {
            0 if seeks > 0 => {
                seeks -= 1;
                let offset = (env.random_u64() % 8_000) as i64;
                consumer.seek(chosen, offset).unwrap();
                next.insert(chosen.clone(), offset);
            }
            1 => {
                consumer.pause([chosen]).unwrap();
                tokio::task::yield_now().await;
                consumer.resume([chosen]).unwrap();
            }
            2 => {
                let node = 1 + (env.random_u64() % 3) as i32;
                world.cluster.faults().move_leader("t", chosen.partition, node);
            }
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_partition_is_silent_and_the_others_go_on() {
    let mut world = world(1, 2).await;
    let partitions = [tp("t", 0), tp("t", 1)];
    for _ in 0..10 {
        for partition in &partitions {
            world.produce(partition, 10).await;
        }
    }
    let mut consumer = world.consumer(strict(), &partitions);
    let first = patiently(consumer.recv()).await.unwrap().unwrap().topic_partition();
    consumer.pause([&first]).unwrap();
    assert_eq!(consumer.paused(), std::slice::from_ref(&first));
    let mut others = 0;
    while others < 100 {
        let batch = patiently(consumer.next()).await.unwrap().unwrap();
        assert_ne!(*batch.topic_partition(), first);
        others += batch.len();
    }
    assert!(consumer.poll(Duration::from_secs(5), 10).await.unwrap().is_empty());
    consumer.resume([&first]).unwrap();
    let batch = patiently(consumer.next()).await.unwrap().unwrap();
    assert_eq!((batch.topic_partition(), batch.first_offset()), (&first, Some(1)), "after the one record");
}

#[tokio::test(start_paused = true)]
async fn the_next_fetch_is_sent_before_the_application_takes_anything() {
    let mut world = world(1, 1).await;
    let partition = tp("t", 0);
    world.produce(&partition, 10).await;
    let _consumer = world.consumer(strict(), [&partition]);
    patiently(world.cluster.until(|cluster| cluster.requests(ApiKey::Fetch) >= 2)).await;
}

#[tokio::test(start_paused = true)]
async fn an_application_that_reads_nothing_stops_the_fetching_within_the_budget() {
    let mut world = world(1, 1).await;
    let partition = tp("t", 0);
    for _ in 0..200 {
        world.produce(&partition, 1_000).await;
    }
    let mut config = strict();
    config.max_partition_fetch_bytes = 40_000;
    config.prefetch_bytes = 200_000;
    let mut consumer = world.consumer(config, [&partition]);
    let env = world.client.env().clone();
    env.sleep(Duration::from_secs(60)).await;
    let fetches = world.cluster.requests(ApiKey::Fetch);
    // Each answer brings one batch of 10 kB or more.
    assert!((2..=20).contains(&fetches), "{fetches} fetches");
    env.sleep(Duration::from_secs(60)).await;
    assert_eq!(world.cluster.requests(ApiKey::Fetch), fetches, "it goes on fetching");
    Seen::default().read(&mut consumer, 200_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_record_larger_than_every_fetch_size_is_read() {
    let mut world = world(1, 2).await;
    let partitions = [tp("t", 0), tp("t", 1)];
    for _ in 0..3 {
        for partition in &partitions {
            world.produce(partition, 20_000).await;
        }
    }
    let mut config = strict();
    config.max_partition_fetch_bytes = 1_000;
    config.fetch_max_bytes = 1_000;
    config.prefetch_bytes = 1_000;
    let mut consumer = world.consumer(config, &partitions);
    Seen::default().read(&mut consumer, 120_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_assigned_whole_and_followed_as_it_grows() {
    let mut world = world(1, 1).await;
    let mut consumer =
        milena_consumer::Consumer::new(world.client.clone(), ConsumerConfig::default()).unwrap();
    assert_eq!(patiently(consumer.assign_topic("t")).await.unwrap(), 1);
    world.grow("t", 2).await;
    // Before the consumer has heard of it; and the policy is: latest.
    world.produce(&tp("t", 1), 5).await;
    expect_offset(&mut consumer, 0).await;
    assert_eq!(consumer.assignment(), [tp("t", 0), tp("t", 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_does_not_exist_yet_is_read_once_it_does() {
    let mut world = World::start(Cluster::builder().config("auto.create.topics.enable", "false")).await;
    let partition = tp("late", 0);
    let mut consumer = world.consumer(strict(), [&partition]);
    assert!(consumer.poll(Duration::from_secs(30), 1).await.unwrap().is_empty());
    world.cluster.create_topic(TopicSpec::new("late")).unwrap();
    world.produce(&partition, 3).await;
    Seen::default().read(&mut consumer, 3).await;
}

#[tokio::test(start_paused = true)]
async fn without_an_assignment_there_is_nothing_to_wait_for() {
    let world = world(1, 1).await;
    let mut consumer = world.consumer(strict(), []);
    assert_eq!(consumer.next().await.unwrap_err(), RecvError::NothingAssigned);
    assert!(matches!(consumer.seek(&tp("t", 0), 5), Err(SeekError::NotAssigned(_))));
    let mut stream = pin!(consumer.stream());
    let told = poll_fn(|cx| stream.as_mut().poll_next(cx)).await;
    assert_eq!(told.map(Result::unwrap_err), Some(RecvError::NothingAssigned));
    assert!(poll_fn(|cx| stream.as_mut().poll_next(cx)).await.is_none(), "it does not spin");
}

#[tokio::test(start_paused = true)]
async fn close_ends_the_sessions_and_everything_that_waits() {
    let mut world = world(2, 2).await;
    let partitions = [tp("t", 0), tp("t", 1)];
    for partition in &partitions {
        world.produce(partition, 5).await;
    }
    // So that a fetch in flight ends within the time that is given to brokers.
    let mut config = strict();
    config.fetch_max_wait = Duration::from_millis(50);
    let mut consumer = world.consumer(config, &partitions);
    Seen::default().read(&mut consumer, 10).await;
    patiently(world.cluster.until(|cluster| (1..=2).all(|node| cluster.fetch_sessions(node) == 1))).await;
    patiently(consumer.close()).await;
    patiently(world.cluster.until(|cluster| (1..=2).all(|node| cluster.fetch_sessions(node) == 0))).await;
}

#[tokio::test(start_paused = true)]
async fn a_close_handle_ends_a_call_that_waits_and_all_after_it() {
    let mut world = world(1, 1).await;
    let partition = tp("t", 0);
    world.produce(&partition, 5).await;
    let mut consumer = world.consumer(strict(), [&partition]);
    Seen::default().read(&mut consumer, 5).await;
    let handle = consumer.close_handle();
    let closing = async {
        world.client.env().sleep(Duration::from_secs(1)).await;
        handle.close();
    };
    let (ended, ()) = patiently(async { tokio::join!(consumer.next(), closing) }).await;
    assert!(ended.unwrap().is_none());
    assert!(consumer.recv().await.unwrap().is_none());
    assert!(consumer.poll(Duration::ZERO, 1).await.unwrap().is_empty());
    consumer.close().await;
    handle.close();
}

#[tokio::test(start_paused = true)]
async fn close_does_not_wait_for_brokers_that_hang() {
    let mut world = world(2, 2).await;
    let partitions = [tp("t", 0), tp("t", 1)];
    for partition in &partitions {
        world.produce(partition, 5).await;
    }
    let mut consumer = world.consumer(strict(), &partitions);
    Seen::default().read(&mut consumer, 10).await;
    // One hangs with a fetch, the other with an attempt to connect.
    world.cluster.faults().freeze(1);
    world.cluster.faults().freeze(2);
    world.cluster.faults().disconnect(2).await;
    let env = world.client.env().clone();
    env.sleep(Duration::from_secs(1)).await;
    let began = env.now();
    patiently(consumer.close()).await;
    assert!(env.now() - began <= Duration::from_millis(200), "{:?}", env.now() - began);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_consumer_closes_its_connections() {
    let mut world = world(1, 1).await;
    let partition = tp("t", 0);
    world.produce(&partition, 5).await;
    let before = world.cluster.connections(1);
    let mut consumer = world.consumer(strict(), [&partition]);
    Seen::default().read(&mut consumer, 5).await;
    assert!(world.cluster.connections(1) > before);
    drop(consumer);
    patiently(world.cluster.until(|cluster| cluster.connections(1) == before)).await;
}
