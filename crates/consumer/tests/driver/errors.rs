//! What the application is told, and how it goes on.

use std::time::Duration;

use milena_broker::{ApiKey, Cluster, ErrorCode, TopicSpec};
use milena_consumer::{ConsumerConfig, OffsetReset, Position, RecvError};

use crate::support::*;

async fn world() -> World {
    let topic = TopicSpec::new("t").partitions(2).replication_factor(2);
    World::start(Cluster::builder().nodes(2).topic(topic)).await
}

#[tokio::test(start_paused = true)]
async fn a_corrupt_batch_is_told_once_and_a_seek_goes_past_it() {
    let mut world = world().await;
    let partitions = [tp("t", 0), tp("t", 1)];
    for _ in 0..3 {
        world.produce(&partitions[0], 10).await;
    }
    assert!(world.cluster.faults().corrupt_batch("t", 0, 15));
    let mut consumer = world.consumer(strict(), &partitions);
    expect_offset(&mut consumer, 0).await;
    let error = expect_error(&mut consumer).await;
    let RecvError::Corrupt { ref partition, offset: 10, next_offset: Some(next_offset), .. } = error else {
        panic!("{error}")
    };
    assert_eq!((partition, next_offset), (&partitions[0], 20));
    // The others go on, and the error does not come again by itself.
    world.produce(&partitions[1], 1).await;
    let batch = patiently(consumer.next()).await.unwrap().unwrap();
    assert_eq!(batch.partition(), 1);
    assert!(consumer.poll(Duration::from_secs(10), 1).await.unwrap().is_empty());
    assert_eq!(consumer.position(&partitions[0]).unwrap(), Some(Position::new(10).with_leader_epoch(0)));
    // Trying again meets it again.
    consumer.resume(&partitions[..1]).unwrap();
    assert_eq!(expect_error(&mut consumer).await, error);
    consumer.seek(&partitions[0], next_offset).unwrap();
    expect_offset(&mut consumer, 20).await;
}

#[tokio::test(start_paused = true)]
async fn out_of_range_without_a_policy_is_an_error_and_a_seek_goes_on() {
    let mut world = world().await;
    let partition = tp("t", 0);
    for _ in 0..3 {
        world.produce(&partition, 10).await;
    }
    world.cluster.faults().delete_records("t", 0, 20);
    let mut consumer = world.consumer(strict(), [&partition]);
    consumer.seek(&partition, 5).unwrap();
    let error = expect_error(&mut consumer).await;
    assert_eq!(
        error,
        RecvError::OffsetOutOfRange { partition: partition.clone(), position: Position::new(5) }
    );
    consumer.seek_to_beginning([&partition]).unwrap();
    expect_offset(&mut consumer, 20).await;
}

#[tokio::test(start_paused = true)]
async fn out_of_range_resets_by_the_policy() {
    let mut world = world().await;
    let partition = tp("t", 0);
    world.produce(&partition, 10).await;
    for (policy, expected) in [(OffsetReset::Earliest, 0), (OffsetReset::Latest, 10)] {
        let mut config = ConsumerConfig::default();
        config.auto_offset_reset = policy;
        let mut consumer = world.consumer(config, [&partition]);
        consumer.seek(&partition, 1_000).unwrap();
        if expected == 10 {
            let polled = consumer.poll(Duration::from_secs(5), 1).await.unwrap();
            assert!(polled.is_empty());
            assert_eq!(consumer.position(&partition).unwrap(), Some(Position::new(10)));
        } else {
            expect_offset(&mut consumer, expected).await;
        }
    }
}

// Failure 13: positions carry the leader epoch, so that a new leader that lacks records is noticed.

#[tokio::test(start_paused = true)]
async fn a_truncated_log_is_told_with_the_offset_from_which_it_differs() {
    let mut world = world().await;
    let partition = tp("t", 0);
    for _ in 0..3 {
        world.produce(&partition, 10).await;
    }
    let mut consumer = world.consumer(strict(), [&partition]);
    let mut seen = Seen::default();
    seen.read(&mut consumer, 30).await;
    let other = 3 - world.cluster.leader("t", 0).unwrap();
    world.cluster.faults().move_leader_and_lose_records("t", 0, other, 20);
    // The new leader has as many records again, but others: only the epoch tells.
    for _ in 0..2 {
        world.produce(&partition, 10).await;
    }
    let error = expect_error(&mut consumer).await;
    let RecvError::LogTruncated { position, diverging: Some(diverging), .. } = error else {
        panic!("{error}")
    };
    assert_eq!(position, Position::new(30).with_leader_epoch(0));
    assert_eq!(diverging, Position::new(20).with_leader_epoch(0));
    consumer.seek(&partition, diverging).unwrap();
    expect_offset(&mut consumer, 20).await;
}

#[tokio::test(start_paused = true)]
async fn with_a_policy_a_truncated_log_is_read_on_from_where_it_differs() {
    let mut world = world().await;
    let partition = tp("t", 0);
    for _ in 0..3 {
        world.produce(&partition, 10).await;
    }
    let mut consumer = world.consumer(ConsumerConfig::default(), [&partition]);
    Seen::default().read(&mut consumer, 30).await;
    let other = 3 - world.cluster.leader("t", 0).unwrap();
    world.cluster.faults().move_leader_and_lose_records("t", 0, other, 20);
    for _ in 0..2 {
        world.produce(&partition, 10).await;
    }
    expect_offset(&mut consumer, 20).await;
}

#[tokio::test(start_paused = true)]
async fn a_stored_position_is_checked_by_its_epoch() {
    let mut world = world().await;
    let partition = tp("t", 0);
    for _ in 0..3 {
        world.produce(&partition, 10).await;
    }
    let mut first = world.consumer(strict(), [&partition]);
    let mut stored = None;
    while stored.is_none_or(|position: Position| position.offset < 30) {
        stored = Some(patiently(first.next()).await.unwrap().unwrap().next_position());
    }
    let other = 3 - world.cluster.leader("t", 0).unwrap();
    world.cluster.faults().move_leader_and_lose_records("t", 0, other, 20);
    for _ in 0..2 {
        world.produce(&partition, 10).await;
    }
    let mut second = world.consumer(strict(), [&partition]);
    second.seek(&partition, stored.unwrap()).unwrap();
    assert!(matches!(expect_error(&mut second).await, RecvError::LogTruncated { .. }));
}

// Failure 10: topics created anew, with lower leader epochs.
#[tokio::test(start_paused = true)]
async fn a_topic_created_anew_is_told_as_truncated_and_read_on_request() {
    let mut world = world().await;
    let partition = tp("t", 0);
    world.produce(&partition, 10).await;
    for node in [2, 1, 2, 1] {
        world.cluster.faults().move_leader("t", 0, node);
    }
    let mut consumer = world.consumer(strict(), [&partition]);
    Seen::default().read(&mut consumer, 10).await;
    world.cluster.faults().recreate_topic("t").unwrap();
    world.client.metadata().request_update();
    world.produce(&partition, 1).await;
    let error = expect_error(&mut consumer).await;
    assert!(matches!(error, RecvError::LogTruncated { .. }), "{error}");
    consumer.seek_to_beginning([&partition]).unwrap();
    expect_offset(&mut consumer, 0).await;
}

// Failure 14: no error but "out of range" and truncation resets.
#[tokio::test(start_paused = true)]
async fn errors_of_every_kind_leave_the_position_where_it_is() {
    let mut world = world().await;
    let partition = tp("t", 0);
    for _ in 0..3 {
        world.produce(&partition, 10).await;
    }
    for code in [
        ErrorCode::FencedLeaderEpoch,
        ErrorCode::UnknownLeaderEpoch,
        ErrorCode::OffsetNotAvailable,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicId,
        ErrorCode::InconsistentTopicId,
        ErrorCode::UnknownServerError,
        ErrorCode::KafkaStorageError,
        ErrorCode::from(12_345),
    ] {
        // The policy would show itself: latest.
        let mut consumer = world.consumer(ConsumerConfig::default(), [&partition]);
        consumer.seek(&partition, Position::new(10).with_leader_epoch(0)).unwrap();
        let fault = world.cluster.faults().on(ApiKey::Fetch).partition("t", 0).times(3).answer_with(code);
        expect_offset(&mut consumer, 10).await;
        assert_eq!(fault.fired(), 3, "{code}");
        fault.remove();
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_told_once_and_tried_again_on_request() {
    let mut world = world().await;
    let partition = tp("t", 0);
    world.produce(&partition, 10).await;
    let code = ErrorCode::TopicAuthorizationFailed;
    let fault = world.cluster.faults().on(ApiKey::Fetch).partition("t", 0).always().answer_with(code);
    let mut consumer = world.consumer(strict(), [&partition]);
    let told = RecvError::Refused { partition: partition.clone(), code };
    assert_eq!(expect_error(&mut consumer).await, told);
    assert!(told.is_retriable());
    assert!(consumer.poll(Duration::from_secs(60), 1).await.unwrap().is_empty());
    consumer.resume([&partition]).unwrap();
    assert_eq!(expect_error(&mut consumer).await, told);
    fault.remove();
    consumer.resume([&partition]).unwrap();
    expect_offset(&mut consumer, 0).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_found_by_poll_costs_no_records() {
    let mut world = world().await;
    let partition = tp("t", 0);
    for _ in 0..2 {
        world.produce(&partition, 10).await;
    }
    world.cluster.faults().corrupt_batch("t", 0, 15);
    let mut consumer = world.consumer(strict(), [&partition]);
    let polled = patiently(consumer.poll(Duration::from_secs(5), 100)).await.unwrap();
    assert_eq!(polled.len(), 10);
    let error = patiently(consumer.poll(Duration::from_secs(5), 100)).await.unwrap_err();
    assert!(matches!(error, RecvError::Corrupt { offset: 10, .. }), "{error}");
}
