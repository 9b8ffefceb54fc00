//! Whatever goes wrong between consumer and brokers, every record comes once and in order.

use std::time::Duration;

use milena_broker::{ApiKey, Cluster, ErrorCode, TopicSpec};

use crate::support::*;

async fn world(nodes: usize, partitions: i32) -> World {
    let topic = TopicSpec::new("t").partitions(partitions).replication_factor(nodes as i16);
    World::start(Cluster::builder().nodes(nodes).topic(topic)).await
}

#[tokio::test(start_paused = true)]
async fn one_hung_broker_of_two_does_not_delay_the_other() {
    let mut world = world(2, 2).await;
    let partitions = [tp("t", 0), tp("t", 1)];
    let leader = |partition: i32| world.cluster.leader("t", partition).unwrap();
    assert_ne!(leader(0), leader(1));
    let hung = leader(0);
    let mut consumer = world.consumer(strict(), &partitions);
    for partition in &partitions {
        world.produce(partition, 1).await;
    }
    let mut seen = Seen::default();
    seen.read(&mut consumer, 2).await;
    world.cluster.faults().freeze(hung);
    let env = world.client.env().clone();
    let began = env.now();
    for round in 1..=100u64 {
        world.produce(&partitions[1], 1).await;
        seen.read(&mut consumer, 2 + round).await;
    }
    assert!(env.now() - began < Duration::from_secs(1), "{:?} for 100 round trips", env.now() - began);
    world.cluster.faults().unfreeze(hung);
    world.produce(&partitions[0], 1).await;
    seen.read(&mut consumer, 103).await;
}

// Failure 8: calls that hang for as long as nobody answers.
#[tokio::test(start_paused = true)]
async fn while_all_brokers_hang_poll_returns_in_time_and_then_all_is_read() {
    let mut world = world(3, 3).await;
    let partitions = [tp("t", 0), tp("t", 1), tp("t", 2)];
    let mut consumer = world.consumer(strict(), &partitions);
    for partition in &partitions {
        world.produce(partition, 10).await;
    }
    let mut seen = Seen::default();
    seen.read(&mut consumer, 30).await;
    for partition in &partitions {
        world.produce(partition, 10).await;
    }
    for node in 1..=3 {
        world.cluster.faults().freeze(node);
    }
    let env = world.client.env().clone();
    for _ in 0..60 {
        let began = env.now();
        for batch in consumer.poll(Duration::from_secs(1), 100).await.unwrap() {
            seen.take(&batch);
        }
        assert!(env.now() - began < Duration::from_millis(1_100), "{:?}", env.now() - began);
    }
    for node in 1..=3 {
        world.cluster.faults().unfreeze(node);
    }
    seen.read(&mut consumer, 60).await;
}

// Failure 9: leader = -1 sticks for ever.
#[tokio::test(start_paused = true)]
async fn a_leader_that_metadata_does_not_know_for_a_while_is_found_again() {
    let mut world = world(2, 1).await;
    let partition = tp("t", 0);
    world.produce(&partition, 5).await;
    let mut consumer = world.consumer(strict(), [&partition]);
    let mut seen = Seen::default();
    seen.read(&mut consumer, 5).await;
    world.cluster.faults().lose_leader("t", 0);
    let env = world.client.env().clone();
    let asked = world.cluster.requests(ApiKey::Metadata);
    env.sleep(Duration::from_secs(120)).await;
    let asked = world.cluster.requests(ApiKey::Metadata) - asked;
    assert!((50..=1_000).contains(&asked), "{asked} questions in two minutes");
    world.cluster.faults().move_leader("t", 0, 2);
    world.produce(&partition, 5).await;
    let began = env.now();
    seen.read(&mut consumer, 10).await;
    assert!(env.now() - began < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_leader_reported_as_none_from_the_start_is_waited_for() {
    let mut world = world(2, 1).await;
    let partition = tp("t", 0);
    world.produce(&partition, 5).await;
    let fault = world.cluster.faults().on(ApiKey::Metadata).partition("t", 0).always().report_leader(None);
    let mut consumer = world.consumer(strict(), [&partition]);
    assert!(consumer.poll(Duration::from_secs(60), 1).await.unwrap().is_empty());
    fault.remove();
    Seen::default().read(&mut consumer, 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_moves_is_followed_at_once() {
    let mut world = world(3, 1).await;
    let partition = tp("t", 0);
    let mut consumer = world.consumer(strict(), [&partition]);
    let mut seen = Seen::default();
    let env = world.client.env().clone();
    for round in 1..=12u64 {
        world.cluster.faults().move_leader("t", 0, 1 + (round % 3) as i32);
        world.produce(&partition, 2).await;
        let began = env.now();
        seen.read(&mut consumer, 2 * round).await;
        // At most the long poll at the old leader, which does not know of the move before it ends.
        assert!(env.now() - began < Duration::from_secs(2), "round {round}: {:?}", env.now() - began);
    }
}

// Failure 10: a leader epoch goes backwards.
#[tokio::test(start_paused = true)]
async fn a_leader_epoch_that_goes_back_in_metadata_stops_nothing() {
    let mut world = world(2, 1).await;
    let partition = tp("t", 0);
    for node in [1, 2, 1, 2] {
        world.cluster.faults().move_leader("t", 0, node);
    }
    let mut consumer = world.consumer(strict(), [&partition]);
    world.produce(&partition, 2).await;
    let mut seen = Seen::default();
    seen.read(&mut consumer, 2).await;
    let lagging =
        world.cluster.faults().on(ApiKey::Metadata).partition("t", 0).times(3).report_leader_epoch(1);
    for round in 2..=10u64 {
        world.client.metadata().request_update();
        world.client.env().sleep(Duration::from_secs(1)).await;
        world.produce(&partition, 2).await;
        seen.read(&mut consumer, 2 * round).await;
    }
    assert_eq!(lagging.fired(), 3);
    // Even if all brokers say so, from now on: they are believed in the end, and corrected by the leader.
    world.cluster.faults().on(ApiKey::Metadata).partition("t", 0).times(10).report_leader_epoch(1);
    for round in 11..=20u64 {
        world.client.metadata().request_update();
        world.client.env().sleep(Duration::from_secs(1)).await;
        world.produce(&partition, 2).await;
        seen.read(&mut consumer, 2 * round).await;
    }
}

// KIP-951.
#[tokio::test(start_paused = true)]
async fn a_former_leader_tells_the_new_one_and_no_metadata_is_needed() {
    let mut world = world(2, 1).await;
    let partition = tp("t", 0);
    let mut consumer = world.consumer(strict(), [&partition]);
    world.produce(&partition, 2).await;
    let mut seen = Seen::default();
    seen.read(&mut consumer, 2).await;
    world.cluster.faults().on(ApiKey::Metadata).always().close_before_work();
    let other = 3 - world.cluster.leader("t", 0).unwrap();
    world.cluster.faults().move_leader("t", 0, other);
    world.produce(&partition, 2).await;
    let env = world.client.env().clone();
    let began = env.now();
    seen.read(&mut consumer, 4).await;
    assert!(env.now() - began < Duration::from_secs(2), "{:?}", env.now() - began);
}

#[tokio::test(start_paused = true)]
async fn a_broker_killed_in_the_middle_loses_repeats_and_reorders_nothing() {
    let mut world = world(3, 6).await;
    let partitions: Vec<_> = (0..6).map(|partition| tp("t", partition)).collect();
    let mut consumer = world.consumer(strict(), &partitions);
    let mut seen = Seen::default();
    let mut produced = 0;
    for round in 0..6 {
        for partition in &partitions {
            world.produce(partition, 50).await;
        }
        produced += 300;
        match round {
            1 => world.cluster.faults().kill(2).await,
            3 => world.cluster.faults().restart(2).await.unwrap(),
            4 => world.cluster.faults().kill(3).await,
            _ => {}
        }
        seen.read(&mut consumer, produced - 100).await;
    }
    seen.read(&mut consumer, produced).await;
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_by_chance_costs_no_record() {
    for seed in 0..8 {
        let topic = TopicSpec::new("t").partitions(4).replication_factor(2);
        let mut world = World::start(Cluster::builder().nodes(2).seed(seed).topic(topic)).await;
        let partitions: Vec<_> = (0..4).map(|partition| tp("t", partition)).collect();
        for _ in 0..10 {
            for partition in &partitions {
                world.produce(partition, 20).await;
            }
        }
        let faults = world.cluster.faults();
        let on = || faults.on(ApiKey::Fetch).always().with_probability(0.1);
        on().close_before_work();
        on().lose_answer();
        on().truncate_answer();
        on().answer_with(ErrorCode::FetchSessionIdNotFound);
        on().answer_with(ErrorCode::InvalidFetchSessionEpoch);
        on().answer_with(ErrorCode::UnknownServerError);
        on().delay_answer(Duration::from_secs(3));
        let on =
            |partition| faults.on(ApiKey::Fetch).always().with_probability(0.1).partition("t", partition);
        on(0).answer_with(ErrorCode::NotLeaderOrFollower);
        on(1).answer_with(ErrorCode::FencedLeaderEpoch);
        on(2).answer_with(ErrorCode::UnknownTopicId);
        on(3).answer_with(ErrorCode::KafkaStorageError);
        let on = |api| faults.on(api).always().with_probability(0.3);
        on(ApiKey::ListOffsets).answer_with(ErrorCode::NotLeaderOrFollower);
        on(ApiKey::Metadata).close_before_work();
        let mut config = strict();
        config.max_partition_fetch_bytes = 500;
        let mut consumer = world.consumer(config, &partitions);
        Seen::default().read(&mut consumer, 800).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_broker_has_forgotten_is_opened_again() {
    let mut world = world(1, 3).await;
    let partitions: Vec<_> = (0..3).map(|partition| tp("t", partition)).collect();
    let mut consumer = world.consumer(strict(), &partitions);
    let mut seen = Seen::default();
    for round in 1..=5u64 {
        world.cluster.faults().expire_fetch_sessions(1);
        for partition in &partitions {
            world.produce(partition, 1).await;
        }
        seen.read(&mut consumer, 3 * round).await;
    }
}

// Failure 2: a topic briefly missing from metadata.
#[tokio::test(start_paused = true)]
async fn a_topic_briefly_missing_from_metadata_changes_nothing() {
    let mut world = world(1, 1).await;
    let partition = tp("t", 0);
    world.produce(&partition, 3).await;
    let mut consumer = world.consumer(strict(), [&partition]);
    let mut seen = Seen::default();
    seen.read(&mut consumer, 3).await;
    let fault = world.cluster.faults().on(ApiKey::Metadata).topic("t").always().hide_topic();
    world.client.metadata().request_update();
    world.client.env().sleep(Duration::from_secs(5)).await;
    world.produce(&partition, 3).await;
    seen.read(&mut consumer, 6).await;
    assert!(fault.fired() > 0);
}
