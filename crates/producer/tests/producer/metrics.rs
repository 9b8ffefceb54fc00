//! What is counted, under Kafka's names.

use std::sync::{Arc, Mutex};

use milena_broker::{ApiKey, Cluster, ErrorCode, TopicSpec};
use milena_client::metrics::{Connected, Disconnected, Observer, RequestCompleted};
use milena_producer::{ProducerConfig, Record};

use crate::support::*;

fn value(world: &World, name: &str) -> f64 {
    world
        .producer
        .metrics()
        .value("producer-metrics", name, &[])
        .unwrap_or_else(|| panic!("no metric {name}"))
}

#[tokio::test(start_paused = true)]
async fn what_happens_is_counted() {
    patiently(async {
        let configure = |config: &mut ProducerConfig| {
            config.buffer_memory = 40_000;
            config.max_block = secs(5);
        };
        let topic = TopicSpec::new(TOPIC).config("max.message.bytes", "20000");
        let world = World::start_with(|_| Cluster::builder().topic(topic), configure).await;
        let hidden = world.cluster.faults().on(ApiKey::Metadata).topic(TOPIC).always().hide_topic();
        let showing = async {
            world.pass(secs(2)).await;
            hidden.remove();
        };
        let (first, ()) = tokio::join!(world.send(), showing);
        acks(vec![first]).await;
        assert!(value(&world, "metadata-wait-time-ns-total") >= 2e9);
        assert!(value(&world, "metadata-age") < 5.0);

        world.cluster.faults().on(ApiKey::Produce).answer_with(ErrorCode::NotEnoughReplicas);
        acks(world.send_batch(4).await).await;
        world.cluster.faults().on(ApiKey::Produce).answer_with(ErrorCode::InvalidRecord);
        drop(results(world.send_batch(3).await).await);
        assert_eq!(value(&world, "record-retry-total"), 4.0);
        assert_eq!(value(&world, "record-error-total"), 3.0);
        assert_eq!(value(&world, "record-send-total"), f64::from(1 + 4 + 4 + 3));
        assert_eq!(value(&world, "requests-in-flight"), 0.0);

        let large = vec![b'x'; 30_000];
        world.cluster.faults().freeze(1);
        drop(world.producer.send(Record::to(TOPIC).value(&large)).await.expect("accepted"));
        let waiting = world.producer.send(Record::to(TOPIC).value(&large));
        let looking = async {
            world.pass(secs(1)).await;
            value(&world, "waiting-threads")
        };
        let (refused, waiting) = tokio::join!(waiting, looking);
        refused.expect_err("the buffer is full");
        assert_eq!((waiting, value(&world, "waiting-threads")), (1.0, 0.0));
        assert_eq!(value(&world, "buffer-exhausted-total"), 1.0);
        assert!(value(&world, "bufferpool-wait-time-ns-total") >= 5e9);
        let thawing = async {
            world.pass(secs(1)).await;
            world.cluster.faults().unfreeze(1);
        };
        let (flushed, ()) = tokio::join!(world.producer.flush(), thawing);
        flushed.expect_err("it is too large for the topic");
        assert!(value(&world, "flush-time-ns-total") >= 1e9);
        let of_topic = [("topic", TOPIC)];
        let metrics = world.producer.metrics();
        assert_eq!(metrics.value("producer-topic-metrics", "record-error-total", &of_topic), Some(4.0));
    })
    .await;
}

/// Notes what it is told of the connections over which records go.
#[derive(Default)]
struct Connections(Mutex<Vec<String>>);

impl Connections {
    fn note(&self, what: String) {
        self.0.lock().expect("no panic").push(what);
    }
}

impl Observer for Connections {
    fn on_connected(&self, event: &Connected<'_>) {
        self.note(format!("connected to {:?}", event.node));
    }

    fn on_disconnected(&self, event: &Disconnected<'_>) {
        self.note(format!("disconnected from {:?}", event.node));
    }

    fn on_request_completed(&self, event: &RequestCompleted<'_>) {
        if event.api == "Produce" {
            let answered = if event.response_bytes.is_some() { "answered" } else { "lost" };
            self.note(format!("{} {answered} by {:?}", event.api, event.node));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_producers_connections_are_counted_and_told() {
    patiently(async {
        let told = Arc::new(Connections::default());
        let observer = told.clone();
        let observe = |client: &mut milena_client::ClientConfig| client.observer = Some(observer);
        let world = World::start_with_client(|cluster| cluster, observe, |_| {}).await;
        assert_eq!(value(&world, "connection-count"), 0.0);
        acks(world.send_batch(1).await).await;
        world.cluster.faults().on(ApiKey::Produce).delay_answer(ms(250));
        acks(world.send_batch(1).await).await;
        assert_eq!(value(&world, "connection-count"), 1.0);
        assert_eq!(value(&world, "connection-creation-total"), 1.0);
        assert_eq!(value(&world, "request-total"), 2.0);
        assert!((100.0..200.0).contains(&value(&world, "request-latency-avg")), "of 0 and 250 ms");
        let of_node = [("node-id", "node-1")];
        let metrics = world.producer.metrics();
        assert_eq!(metrics.value("producer-node-metrics", "request-total", &of_node), Some(2.0));

        world.cluster.faults().on(ApiKey::Produce).lose_answer();
        acks(world.send_batch(1).await).await;
        assert_eq!(value(&world, "connection-close-total"), 1.0);
        let told = told.0.lock().expect("no panic").clone();
        let of_the_producer: Vec<_> = told.iter().skip_while(|what| !what.starts_with("Produce")).collect();
        assert_eq!(
            of_the_producer,
            [
                "Produce answered by Some(1)",
                "Produce answered by Some(1)",
                "Produce lost by Some(1)",
                "disconnected from Some(1)",
                "connected to Some(1)",
                "Produce answered by Some(1)"
            ]
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn splits_are_counted_apart_from_retries() {
    patiently(async {
        // Ten records take 141 bytes, half of them 101.
        let topic = TopicSpec::new(TOPIC).config("max.message.bytes", "120");
        let world = World::start_with(|_| Cluster::builder().topic(topic), |_| {}).await;
        acks(world.send_batch(10).await).await;
        assert_eq!(value(&world, "batch-split-total"), 1.0);
        assert_eq!(value(&world, "record-retry-total"), 0.0);
    })
    .await;
}
