//! The byte budget, and how long a send waits.

use milena_broker::{ApiKey, Cluster, TopicSpec};
use milena_client::metadata::TopicError;
use milena_producer::{ProducerConfig, Record, SendError};

use crate::support::*;

const BUFFER_BYTES: usize = 64 * 1024;

fn small_buffer(config: &mut ProducerConfig) {
    config.buffer_memory = BUFFER_BYTES;
    config.max_block = secs(10);
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_makes_send_wait_for_max_block_and_no_longer() {
    patiently(async {
        let world = World::start_with(|cluster| cluster, small_buffer).await;
        acks(world.send_batch(1).await).await;
        world.cluster.faults().freeze(1);
        let value = [b'x'; 10_000];
        let mut sent = Vec::new();
        let began = world.env().now();
        let error = loop {
            match world.producer.send(Record::to(TOPIC).value(&value)).await {
                Ok(delivery) => sent.push(delivery),
                Err(error) => break error,
            }
        };
        let took = world.env().now() - began;
        assert!((secs(10)..ms(10_100)).contains(&took), "{took:?}");
        assert!(matches!(error, SendError::BufferFull { buffer_bytes: BUFFER_BYTES, .. }), "{error}");
        assert!(error.is_retriable());
        assert!((3..=6).contains(&sent.len()), "{} of 10,000 bytes were accepted", sent.len());
        world.cluster.faults().unfreeze(1);
        acks(sent).await;
        acks(world.send_batch(1).await).await;
        assert_eq!(world.producer.buffer_available_bytes(), BUFFER_BYTES, "all of it is given back");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_topic_makes_send_wait_for_max_block_and_tells_what_to_do() {
    patiently(async {
        let without_creation = Cluster::builder().config("auto.create.topics.enable", "false");
        let world = World::start_with(|_| without_creation, small_buffer).await;
        let began = world.env().now();
        let error =
            world.producer.send(Record::to("missing").value("x")).await.expect_err("there is no such topic");
        let took = world.env().now() - began;
        assert!((secs(10)..ms(10_100)).contains(&took), "{took:?}");
        assert!(matches!(error, SendError::Topic(TopicError::Timeout { .. })), "{error}");
        assert!(error.to_string().contains("create it, or turn auto.create.topics.enable on"), "{error}");
        assert!(error.is_retriable());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn max_block_is_one_budget_for_metadata_and_memory() {
    patiently(async {
        let two = || Cluster::builder().topic(TopicSpec::new(TOPIC)).topic(TopicSpec::new("late"));
        let world = World::start_with(|_| two(), small_buffer).await;
        acks(world.send_batch(1).await).await;
        let hidden = world.cluster.faults().on(ApiKey::Metadata).topic("late").always().hide_topic();
        let value = [b'x'; 40_000];
        world.cluster.faults().on(ApiKey::Produce).always().delay_answer(secs(600));
        let filling = world.producer.send(Record::to(TOPIC).value(&value)).await.expect("there is room");
        let began = world.env().now();
        let late = world.producer.send(Record::to("late").value(&value));
        let showing = async {
            world.pass(secs(6)).await;
            hidden.remove();
        };
        let (late, ()) = tokio::join!(late, showing);
        assert!(matches!(late.expect_err("no room"), SendError::BufferFull { .. }));
        let took = world.env().now() - began;
        assert!((secs(10)..ms(10_100)).contains(&took), "{took:?}");
        drop(filling);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn open_batches_go_when_somebody_waits_for_memory() {
    patiently(async {
        let configure = |config: &mut ProducerConfig| {
            small_buffer(config);
            (config.linger, config.delivery_timeout) = (secs(100), secs(1_000));
        };
        let topic = TopicSpec::new(TOPIC).partitions(40);
        let world = World::start_with(|_| Cluster::builder().topic(topic), configure).await;
        let began = world.env().now();
        // Each partition's open batch takes an eighth of the buffer.
        let mut sent = Vec::new();
        for partition in 0..40 {
            sent.push(world.send_to(partition).await);
        }
        assert!(world.env().now() - began < secs(1), "{:?}", world.env().now() - began);
        world.producer.flush().await.expect("all went well");
        acks(sent).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_was_sealed_for_a_record_which_waits_for_memory_goes_at_once() {
    patiently(async {
        let configure = |config: &mut ProducerConfig| {
            config.buffer_memory = 20_000;
            (config.linger, config.delivery_timeout) = (secs(100), secs(1_000));
        };
        let world = World::start_with(|cluster| cluster, configure).await;
        let value = [b'x'; 16_000];
        let began = world.env().now();
        let first = world.producer.send(Record::to(TOPIC).value(&value)).await.expect("accepted");
        world.pass(ms(10)).await;
        drop(world.producer.send(Record::to(TOPIC).value(&value)).await.expect("accepted"));
        assert!(first.try_result().is_some());
        assert!(world.env().now() - began < secs(1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn memory_is_granted_in_the_order_of_the_sends() {
    patiently(async {
        let world = World::start_with(|cluster| cluster, small_buffer).await;
        acks(world.send_batch(1).await).await;
        let value = |byte| vec![byte; 30_000];
        let values: Vec<_> = (b'a'..=b'j').map(value).collect();
        let sends = values.iter().map(|value| world.producer.send(Record::to(TOPIC).value(value)));
        let mut sends: Vec<_> = sends.map(Box::pin).collect();
        // All begin in this order, on one task.
        let mut accepted = Vec::new();
        std::future::poll_fn(|cx| {
            sends.retain_mut(|send| match send.as_mut().poll(cx) {
                std::task::Poll::Ready(delivery) => {
                    accepted.push(delivery.expect("accepted"));
                    false
                }
                std::task::Poll::Pending => true,
            });
            if sends.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        acks(accepted).await;
        let first_letters: Vec<_> = world
            .log(0)
            .records()
            .into_iter()
            .skip(1)
            .map(|record| record.value.expect("a value")[0])
            .collect();
        assert_eq!(first_letters, (b'a'..=b'j').collect::<Vec<_>>());
    })
    .await;
}
