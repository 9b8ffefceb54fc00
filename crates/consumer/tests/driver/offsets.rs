//! Positions and questions about offsets.

use std::time::Duration;

use milena_broker::{ApiKey, Cluster, ErrorCode, TopicSpec};
use milena_consumer::{ConsumerConfig, OffsetReset, OffsetsError, Position, RecvError, SeekError};

use crate::support::*;

async fn world() -> World {
    let topic = TopicSpec::new("t").partitions(2).replication_factor(2);
    World::start(Cluster::builder().nodes(2).start_time_ms(1_000_000).topic(topic)).await
}

#[tokio::test(start_paused = true)]
async fn beginnings_ends_and_times_are_found_at_all_leaders() {
    let mut world = world().await;
    let partitions = [tp("t", 0), tp("t", 1)];
    for _ in 0..3 {
        world.produce(&partitions[0], 10).await;
    }
    world.cluster.faults().delete_records("t", 0, 10);
    let consumer = world.consumer(strict(), []);
    let beginnings = consumer.beginning_offsets(&partitions).await.unwrap();
    assert_eq!(beginnings.into_values().collect::<Vec<_>>(), [10, 0]);
    let ends = consumer.end_offsets(&partitions).await.unwrap();
    assert_eq!(ends.into_values().collect::<Vec<_>>(), [30, 0]);
    // All records have the timestamp 1000.
    let at = |timestamp| partitions.clone().map(|partition| (partition, timestamp));
    let found = consumer.offsets_for_times(at(500)).await.unwrap();
    let first = found[&partitions[0]].unwrap();
    assert_eq!((first.offset, first.timestamp), (10, 1_000));
    assert_eq!(found[&partitions[1]], None);
    let found = consumer.offsets_for_times(at(1_001)).await.unwrap();
    assert_eq!((found[&partitions[0]], found[&partitions[1]]), (None, None));
    let newest = consumer.max_timestamp_offsets(&partitions).await.unwrap();
    assert_eq!(newest[&partitions[0]].map(|found| found.timestamp), Some(1_000));
    assert_eq!(newest[&partitions[1]], None);
}

#[tokio::test(start_paused = true)]
async fn questions_about_offsets_follow_leaders_that_move() {
    let mut world = world().await;
    let partition = tp("t", 0);
    world.produce(&partition, 10).await;
    let consumer = world.consumer(strict(), []);
    let other = 3 - world.cluster.leader("t", 0).unwrap();
    // The client knows the old leader.
    consumer.end_offsets([&partition]).await.unwrap();
    world.cluster.faults().move_leader("t", 0, other);
    let ends = patiently(consumer.end_offsets([&partition])).await.unwrap();
    assert_eq!(ends[&partition], 10);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_no_leader_answers_ends_in_time_and_names_the_partition() {
    let world = world().await;
    world.cluster.faults().lose_leader("t", 0);
    let consumer = world.consumer(strict(), []);
    let error = patiently(consumer.end_offsets(&[tp("t", 0), tp("t", 1)])).await.unwrap_err();
    let OffsetsError::Timeout { ref partition, missing: 1, .. } = error else { panic!("{error}") };
    assert_eq!(*partition, tp("t", 0));
    assert!(error.to_string().starts_with("offsets of t-0 are not known after 60000 ms"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_ends_a_question_at_once() {
    let world = world().await;
    let code = ErrorCode::TopicAuthorizationFailed;
    world.cluster.faults().on(ApiKey::ListOffsets).partition("t", 0).always().answer_with(code);
    let consumer = world.consumer(strict(), []);
    let env = world.client.env().clone();
    let began = env.now();
    let error = consumer.end_offsets([&tp("t", 0)]).await.unwrap_err();
    assert_eq!(error, OffsetsError::Refused { partition: tp("t", 0), code });
    assert!(env.now() - began < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn seeks_go_to_offsets_beginnings_ends_and_times() {
    let mut world = world().await;
    let partition = tp("t", 0);
    for _ in 0..3 {
        world.produce(&partition, 10).await;
    }
    let one = [&partition];
    let mut consumer = world.consumer(strict(), one);
    expect_offset(&mut consumer, 0).await;
    consumer.seek(&partition, 25).unwrap();
    expect_offset(&mut consumer, 25).await;
    consumer.seek_to_beginning(one).unwrap();
    expect_offset(&mut consumer, 0).await;
    consumer.seek_to_timestamp(one, 900).unwrap();
    expect_offset(&mut consumer, 0).await;
    for to_end in [true, false] {
        match to_end {
            true => consumer.seek_to_end(one).unwrap(),
            false => consumer.seek_to_timestamp(one, 5_000).unwrap(),
        }
        assert!(consumer.poll(Duration::from_secs(5), 1).await.unwrap().is_empty());
        assert_eq!(consumer.position(&partition).unwrap(), Some(Position::new(30)));
        // What was buffered before is not handed over after it.
        consumer.seek(&partition, 0).unwrap();
        expect_offset(&mut consumer, 0).await;
    }
}

// Failure 24: a stale buffer undid a seek.
#[tokio::test(start_paused = true)]
async fn seeks_at_random_moments_are_never_undone() {
    let mut world = world().await;
    let partition = tp("t", 0);
    for _ in 0..40 {
        world.produce(&partition, 10).await;
    }
    let mut config = strict();
    config.max_partition_fetch_bytes = 300;
    let mut consumer = world.consumer(config, [&partition]);
    let env = world.client.env().clone();
    for round in 0..300 {
        let offset = (env.random_u64() % 400) as i64;
        consumer.seek(&partition, offset).unwrap();
        if round % 3 == 0 {
            env.sleep(Duration::from_micros(env.random_u64() % 100)).await;
        }
        let record = patiently(consumer.recv()).await.unwrap().unwrap();
        assert_eq!(record.offset, offset);
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_begins_where_the_policy_says() {
    let mut world = world().await;
    let partition = tp("t", 0);
    world.produce(&partition, 10).await;
    // Records are from 1 s after 1970, and it is 1,000 s now.
    let policies = [
        (OffsetReset::Earliest, 0),
        (OffsetReset::Latest, 10),
        (OffsetReset::ByDuration(Duration::from_secs(1_000)), 0),
        (OffsetReset::ByDuration(Duration::from_secs(10)), 10),
    ];
    let env_ms = world.client.env().timestamp_ms();
    for (policy, expected) in policies {
        let policy = match policy {
            // The client's clock is the machine's.
            OffsetReset::ByDuration(age) if expected == 0 => {
                OffsetReset::ByDuration(age.max(Duration::from_millis(env_ms as u64)))
            }
            policy => policy,
        };
        let mut config = ConsumerConfig::default();
        config.auto_offset_reset = policy;
        let mut consumer = milena_consumer::Consumer::new(world.client.clone(), config).unwrap();
        consumer.assign([partition.clone()]);
        if expected == 0 {
            expect_offset(&mut consumer, 0).await;
        } else {
            assert!(consumer.poll(Duration::from_secs(5), 1).await.unwrap().is_empty(), "{policy}");
            assert_eq!(consumer.position(&partition).unwrap(), Some(Position::new(expected)), "{policy}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn partitions_of_a_topic_are_told() {
    let world = world().await;
    let consumer = world.consumer(strict(), []);
    let topic = consumer.partitions_for("t").await.unwrap();
    assert_eq!(topic.partitions.len(), 2);
    assert!(topic.partitions.iter().all(|partition| partition.leader.is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_negative_offset_is_refused_and_moves_nothing() {
    let mut world = world().await;
    let partition = tp("t", 0);
    world.produce(&partition, 10).await;
    let mut consumer = world.consumer(strict(), [&partition]);
    assert_eq!(patiently(consumer.recv()).await.unwrap().unwrap().offset, 0);
    for offset in [-1, -2, i64::MIN] {
        let error = consumer.seek(&partition, offset).unwrap_err();
        assert_eq!(error, SeekError::NegativeOffset { partition: partition.clone(), offset });
    }
    assert_eq!(patiently(consumer.recv()).await.unwrap().unwrap().offset, 1);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_cannot_be_read_is_told_and_questions_about_it_end_at_once() {
    let world = world().await;
    let partition = tp("no such name!", 0);
    let mut consumer = world.consumer(ConsumerConfig::default(), [&partition]);
    let error = patiently(consumer.next()).await.unwrap_err();
    let code = ErrorCode::InvalidTopicException;
    assert_eq!(error, RecvError::Topic { topic: "no such name!".to_owned(), code });
    let env = world.client.env();
    let began = env.now();
    let error = consumer.end_offsets([&partition]).await.unwrap_err();
    assert_eq!(error, OffsetsError::Refused { partition, code });
    assert!(env.now() - began < Duration::from_secs(5), "{:?}", env.now() - began);
}
