//! Records and batches that are too large.

use milena_broker::{Cluster, TopicSpec};
use milena_producer::{DeliveryErrorKind, Record, SendError};

use crate::support::*;

/// A topic that takes batches of `bytes` at most.
async fn with_limit(bytes: usize) -> World {
    let topic = TopicSpec::new(TOPIC).config("max.message.bytes", bytes.to_string());
    World::start_with(|_| Cluster::builder().topic(topic), |_| {}).await
}

#[tokio::test(start_paused = true)]
async fn a_record_beyond_the_clients_limit_is_refused_and_the_limit_is_named() {
    patiently(async {
        let world = World::start().await;
        let value = vec![b'x'; 1 << 20];
        let error = world.producer.send(Record::to(TOPIC).value(&value)).await.expect_err("too large");
        let SendError::RecordTooLarge { record_bytes, limit_name: "max.request.size", .. } = error else {
            panic!("{error}");
        };
        assert!((1 << 20..(1 << 20) + 100).contains(&record_bytes), "{record_bytes}");
        let words = format!("a record of {record_bytes} bytes exceeds max.request.size (1048576 bytes); raise max.request.size");
        assert!(error.to_string().contains(&words), "{error}");
        // Before anything is waited for, and before the topic is known.
        let began = world.env().now();
        let record = Record::to("unknown").value(&value);
        assert!(matches!(world.producer.send(record).await, Err(SendError::RecordTooLarge { .. })));
        assert_eq!(world.env().now(), began);
        // Headers count, too.
        let record = Record::to(TOPIC).header("h", &value);
        assert!(world.producer.send(record).await.is_err());
        acks(world.send_batch(1).await).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_record_beyond_the_buffer_is_refused_and_the_buffer_is_named() {
    patiently(async {
        let small = |config: &mut milena_producer::ProducerConfig| config.buffer_memory = 20_000;
        let world = World::start_with(|cluster| cluster, small).await;
        let error = world.producer.send(Record::to(TOPIC).value(&[b'x'; 20_000])).await;
        let error = error.expect_err("it would never fit").to_string();
        assert!(error.contains("exceeds buffer.memory (20000 bytes); raise buffer.memory"), "{error}");
    })
    .await;
}

/// Java takes `batch.size=0` to turn batching off.
#[tokio::test(start_paused = true)]
async fn without_a_batch_size_every_record_is_a_batch_and_does_not_linger() {
    patiently(async {
        let configure = |config: &mut milena_producer::ProducerConfig| {
            config.batch_size = 0;
            (config.linger, config.delivery_timeout) = (secs(60), secs(100));
        };
        let world = World::start_with(|cluster| cluster, configure).await;
        let began = world.env().now();
        let mut sent = Vec::new();
        for _ in 0..10 {
            sent.push(world.send().await);
        }
        acks(sent).await;
        assert!(world.env().now() - began < secs(1), "{:?}", world.env().now() - began);
        assert_eq!(world.log(0).batches.len(), 10);
        assert_eq!(world.values(0), (0..10).collect::<Vec<_>>());
        assert_eq!(world.producer.buffer_available_bytes(), world.producer.config().buffer_memory);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fills_a_batch_does_not_linger() {
    patiently(async {
        let linger = |config: &mut milena_producer::ProducerConfig| {
            (config.linger, config.delivery_timeout) = (secs(60), secs(100));
        };
        let world = World::start_with(|cluster| cluster, linger).await;
        let began = world.env().now();
        let large = world.producer.send(Record::to(TOPIC).value(&[b'x'; 20_000])).await.expect("accepted");
        acks(vec![large]).await;
        assert!(world.env().now() - began < secs(1), "{:?}", world.env().now() - began);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_the_topic_refuses_fails_and_the_limit_is_named() {
    patiently(async {
        let world = with_limit(1_000).await;
        let value = vec![b'x'; 2_000];
        let delivery = world.producer.send(Record::to(TOPIC).value(&value)).await.expect("accepted");
        let error = delivery.await.expect_err("too large for the topic");
        assert!(matches!(error.kind, DeliveryErrorKind::TooLarge { .. }), "{error}");
        assert!(!error.possibly_written() && !error.is_retriable());
        assert!(error.to_string().contains("raise max.message.bytes"), "{error}");
        acks(world.send_batch(1).await).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_the_topic_refuses_is_split_until_it_fits() {
    patiently(async {
        let world = with_limit(200).await;
        // The first batch of a producer, and one in the middle.
        let mut all = acks(world.send_batch(100).await).await;
        all.extend(acks(world.send_batch(1).await).await);
        all.extend(acks(world.send_batch(50).await).await);
        assert_eq!(offsets(&all), (0..151).map(Some).collect::<Vec<_>>());
        assert_eq!(world.values(0), (0..151).collect::<Vec<_>>());
        assert!(world.log(0).batches.iter().all(|batch| batch.bytes.len() <= 200));
        assert!(world.log(0).batches.iter().all(|batch| batch.producer_epoch == 0), "the numbers are kept");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_a_split_batch_only_what_is_too_large_fails() {
    patiently(async {
        let world = with_limit(300).await;
        let (small, large) = ([b'1'; 100], [b'2'; 400]);
        let mut sent = Vec::new();
        for value in [&small[..], &large, &small, &small, &small] {
            sent.push(world.producer.send(Record::to(TOPIC).value(value)).await.expect("accepted"));
        }
        let failed: Vec<_> = results(sent).await.iter().map(Result::is_err).collect();
        assert_eq!(failed, [false, true, false, false, false]);
        assert_eq!(world.log(0).log_end_offset, 4);
    })
    .await;
}
