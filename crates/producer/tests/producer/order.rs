//! Order within a partition (promise P2), through everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use milena_broker::{ApiKey, Cluster, ErrorCode, TopicSpec};
use milena_producer::{Delivery, ProducerConfig, Record};
use tokio::task::JoinSet;

use crate::support::*;

/// Every acknowledged value is at its offset, every value is there once, and all are in order.
fn check(world: &World, partition: i32, acknowledged: &[(u64, Option<i64>)]) {
    let values = world.values(partition);
    assert!(values.is_sorted_by(|a, b| a < b), "once and in order: {values:?}");
    for (value, offset) in acknowledged {
        match offset.map(|offset| usize::try_from(offset).expect("positive")) {
            Some(offset) => {
                assert_eq!(values.get(offset), Some(value), "acknowledged at {offset}: {values:?}")
            }
            None => assert!(values.contains(value), "{value} was acknowledged"),
        }
    }
}

async fn check_all_acknowledged(world: &World, deliveries: Vec<Delivery>) {
    let acks = acks(deliveries).await;
    let acknowledged: Vec<_> = (0..).zip(offsets(&acks)).collect();
    check(world, 0, &acknowledged);
    assert_eq!(world.values(0).len(), acks.len());
}

#[tokio::test(start_paused = true)]
async fn five_batches_are_in_flight_per_partition() {
    patiently(async {
        let world = World::start().await;
        acks(world.send_batch(1).await).await;
        world.cluster.track_batches_in_flight();
        world.cluster.faults().on(ApiKey::Produce).always().delay_answer(ms(100));
        let mut sent = Vec::new();
        for _ in 0..20 {
            sent.extend(world.send_batch(1).await);
        }
        acks(sent).await;
        assert_eq!(world.cluster.batches_in_flight_max(TOPIC, 0), 5);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn retries_with_five_in_flight_keep_the_order() {
    patiently(async {
        for (seed, code) in [
            (1, ErrorCode::NotEnoughReplicas),
            (2, ErrorCode::RequestTimedOut),
            (3, ErrorCode::NotLeaderOrFollower),
            (4, ErrorCode::KafkaStorageError),
            (5, ErrorCode::UnknownTopicOrPartition),
        ] {
            let world = World::start_with(|cluster| cluster.seed(seed), |_| {}).await;
            let faults = world.cluster.faults();
            faults.on(ApiKey::Produce).with_probability(0.2).always().lose_answer();
            faults.on(ApiKey::Produce).with_probability(0.2).always().answer_with(code);
            let mut sent = Vec::new();
            for _ in 0..60 {
                sent.extend(world.send_batch(2).await);
            }
            check_all_acknowledged(&world, sent).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn leaders_that_move_and_die_keep_the_order() {
    patiently(async {
        for seed in 1..=6 {
            let topic = TopicSpec::new(TOPIC).assignments([vec![1, 2, 3]]);
            let builder = Cluster::builder().nodes(3).topic(topic).seed(seed);
            let world = World::start_with(|_| builder, |_| {}).await;
            let faults = world.cluster.faults();
            faults.on(ApiKey::Produce).with_probability(0.1).always().lose_answer();
            faults.on(ApiKey::Produce).with_probability(0.1).always().delay_answer(ms(40));
            let mut sent = Vec::new();
            let mut killed = None;
            for round in 0..40 {
                sent.extend(world.send_batch(3).await);
                let leader = world.cluster.leader(TOPIC, 0).expect("somebody leads");
                let next = (1..=3).find(|node| *node != leader && killed != Some(*node));
                let next = next.expect("two are alive");
                match round % 8 {
                    1 | 4 => assert!(faults.move_leader(TOPIC, 0, next)),
                    2 => {
                        faults.kill(leader).await;
                        killed = Some(leader);
                    }
                    5 => {
                        faults.restart(killed.take().expect("one is dead")).await.expect("it starts");
                        faults.disconnect(leader).await;
                    }
                    6 => {
                        assert!(faults.lose_leader(TOPIC, 0));
                        world.pass(ms(700)).await;
                        assert!(faults.move_leader(TOPIC, 0, leader));
                    }
                    _ => {}
                }
            }
            check_all_acknowledged(&world, sent).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn metadata_that_flap_keep_the_order() {
    patiently(async {
        let world = World::replicated().await;
        let faults = world.cluster.faults();
        let mut sent = world.send_batch(1).await;
        for round in 0..30 {
            let wrong =
                faults.on(ApiKey::Metadata).partition(TOPIC, 0).always().report_leader(match round % 3 {
                    0 => Some(2),
                    1 => Some(3),
                    _ => None,
                });
            world.client.metadata().request_update();
            sent.extend(world.send_batch(2).await);
            world.pass(ms(150)).await;
            wrong.remove();
            world.client.metadata().request_update();
            sent.extend(world.send_batch(2).await);
        }
        check_all_acknowledged(&world, sent).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hung_old_leader_does_not_hold_up_the_new_one() {
    patiently(async {
        let world = World::replicated().await;
        let mut sent = world.send_batch(1).await;
        world.cluster.faults().freeze(1);
        sent.extend(world.send_batch(2).await);
        assert!(world.cluster.faults().move_leader(TOPIC, 0, 2));
        world.client.metadata().request_update();
        let began = world.env().now();
        check_all_acknowledged(&world, sent).await;
        assert!(world.env().now() - began < secs(3));
        // What the old one does later changes nothing.
        world.cluster.faults().unfreeze(1);
        world.pass(secs(60)).await;
        assert_eq!(world.values(0), [0, 1, 2]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn tasks_that_share_a_partition_see_the_order_in_which_their_sends_completed() {
    patiently(async {
        let configure = |config: &mut ProducerConfig| config.buffer_memory = 100_000;
        let world = World::start_with(|cluster| cluster, configure).await;
        let faults = world.cluster.faults();
        faults.on(ApiKey::Produce).with_probability(0.2).always().lose_answer();
        let completed = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let (producer, completed) = (world.producer.clone(), completed.clone());
            tasks.spawn(async move {
                let mut sent = Vec::new();
                for round in 0..40 {
                    let value = vec![b'x'; 50 * round];
                    let delivery = producer.send(Record::to(TOPIC).value(&value)).await.expect("accepted");
                    sent.push((completed.fetch_add(1, Ordering::Relaxed), delivery));
                }
                sent
            });
        }
        let mut all: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
        all.sort_by_key(|(completed, _)| *completed);
        let all = acks(all.into_iter().map(|(_, delivery)| delivery).collect()).await;
        assert_eq!(offsets(&all), (0..320).map(Some).collect::<Vec<_>>());
    })
    .await;
}

/// Callers that write, the sender's task, and answers race on several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_send_at_once_race_without_harm() {
    let configure = |config: &mut ProducerConfig| {
        config.linger = ms(0);
        config.buffer_memory = 200_000;
    };
    let topic = TopicSpec::new(TOPIC).partitions(3);
    let world = World::start_with(|_| Cluster::builder().topic(topic), configure).await;
    let mut tasks = JoinSet::new();
    for task in 0..6u64 {
        let producer = world.producer.clone();
        tasks.spawn(async move {
            let mut sent = Vec::new();
            for round in 0..600 {
                let value = (task * 1_000 + round).to_string();
                let record = Record::to(TOPIC).partition((round % 3) as i32).value(&value);
                sent.push(producer.send(record).await.expect("accepted"));
                if round % 50 == 0 {
                    let last = sent.pop().expect("just pushed");
                    last.await.expect("acknowledged");
                }
            }
            for delivery in sent {
                delivery.await.expect("acknowledged");
            }
        });
    }
    tasks.join_all().await;
    for partition in 0..3 {
        let values = world.values(partition);
        for task in 0..6 {
            let own: Vec<_> = values.iter().filter(|value| **value / 1_000 == task).collect();
            assert!(own.is_sorted_by(|a, b| a < b), "once and in order: {own:?}");
        }
        assert_eq!(values.len(), 6 * 600 / 3);
    }
}

/// Sends race with the end of the producer: what was accepted is resolved.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_record_that_is_accepted_while_the_producer_closes_is_resolved() {
    for round in 0..30u64 {
        let configure = |config: &mut ProducerConfig| config.linger = ms(round % 3);
        let world = World::start_with(|cluster| cluster, configure).await;
        let mut tasks = JoinSet::new();
        for _ in 0..4 {
            let producer = world.producer.clone();
            tasks.spawn(async move {
                let mut sent = Vec::new();
                while let Ok(delivery) = producer.send(Record::to(TOPIC).value("x")).await {
                    sent.push(delivery);
                    tokio::task::yield_now().await;
                }
                let mut acknowledged = 0;
                for delivery in sent {
                    acknowledged += usize::from(delivery.await.is_ok());
                }
                acknowledged
            });
        }
        world.pass(ms(round % 7)).await;
        let closing = world.producer.clone().close(if round % 2 == 0 { secs(10) } else { ms(0) });
        let _ = closing.await;
        let acknowledged: usize = tasks.join_all().await.into_iter().sum();
        assert!(usize::try_from(world.log(0).log_end_offset).expect("positive") >= acknowledged);
    }
}
