//! What panics in the background is told, and started again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use milena_broker::{Cluster, Dialer, TopicSpec};
use milena_client::env::{Connecting, Connector, Stream};
use milena_client::{Address, Client, ClientConfig, Env};
use milena_consumer::{Consumer, ConsumerConfig, RecvError};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::*;

/// Panics when it is to connect to an address, so often.
#[derive(Clone)]
struct Panicking {
    dialer: Dialer,
    address: String,
    left: Arc<AtomicU32>,
}

impl Connector for Panicking {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        if address.to_string() == self.address {
            take_one(&self.left, "out of sockets");
        }
        let stream = self.dialer.connect(&address.to_string());
        Box::pin(async move { stream.map(|stream| Box::new(stream) as Box<dyn Stream>) })
    }
}

/// Panics at what a module tells of itself, so often.
struct PanickingSubscriber {
    module: &'static str,
    left: Arc<AtomicU32>,
}

impl Subscriber for PanickingSubscriber {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == self.module
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        take_one(&self.left, "out of paper");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn take_one(left: &AtomicU32, message: &str) {
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    assert!(taken.is_err(), "{message}");
}

async fn world(nodes: usize) -> World {
    let topic = TopicSpec::new("t").partitions(2);
    let mut world = World::start(Cluster::builder().nodes(nodes).topic(topic)).await;
    for partition in 0..2 {
        world.produce(&tp("t", partition), 10).await;
    }
    world
}

/// A consumer at the beginning of both partitions, and how often its connector is to panic at node 1.
async fn consumer_that_panics_connecting(world: &World) -> (Consumer, Arc<AtomicU32>) {
    let left = Arc::new(AtomicU32::new(0));
    let address = world.cluster.address(1).expect("it has one").to_string();
    let connector = Panicking { dialer: world.cluster.dialer(), address, left: left.clone() };
    let env = Env::builder().connector(connector).seed(1).build();
    let config = ClientConfig::new(Address::parse_list(&world.cluster.bootstrap()).expect("it is a list"));
    let client = Client::connect(config, env).await.expect("it connects");
    (Consumer::new(client, strict()).expect("the configuration is valid"), left)
}

fn read_from_the_beginning(consumer: &mut Consumer) {
    let partitions = [tp("t", 0), tp("t", 1)];
    consumer.assign(partitions.clone());
    for partition in &partitions {
        consumer.seek(partition, 0).expect("it is assigned");
    }
}

/// Reads until `total` records were seen; the errors on the way.
async fn read_through(consumer: &mut Consumer, seen: &mut Seen, total: u64) -> Vec<RecvError> {
    let mut errors = Vec::new();
    while seen.total() < total {
        match patiently(consumer.next()).await {
            Ok(batch) => seen.take(&batch.expect("it is not closed")),
            Err(error) => errors.push(error),
        }
    }
    errors
}

#[tokio::test(start_paused = true)]
async fn a_fetch_loop_that_panics_is_told_and_started_again() {
    let world = world(1).await;
    let (mut consumer, left) = consumer_that_panics_connecting(&world).await;
    left.store(3, Ordering::Relaxed);
    read_from_the_beginning(&mut consumer);
    let errors = read_through(&mut consumer, &mut Seen::default(), 20).await;
    assert_eq!(errors.len(), 3, "{errors:?}");
    let text = "fetching from broker 1 panicked: out of sockets; it was started again";
    assert_eq!(errors[0].to_string(), text);
    assert!(errors[0].is_retriable() && errors[0].partition().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_fetch_loop_that_panics_for_ever_does_not_concern_other_brokers_and_pauses() {
    let mut world = world(2).await;
    let leads = |partition: i32| world.cluster.leader("t", partition).unwrap();
    let (healthy, broken) = if leads(0) == 2 { (tp("t", 0), tp("t", 1)) } else { (tp("t", 1), tp("t", 0)) };
    assert_eq!((leads(healthy.partition), leads(broken.partition)), (2, 1));
    let (mut consumer, left) = consumer_that_panics_connecting(&world).await;
    left.store(u32::MAX, Ordering::Relaxed);
    read_from_the_beginning(&mut consumer);
    let mut seen = Seen::default();
    let mut told = 0;
    for round in 0..20 {
        told += read_through(&mut consumer, &mut seen, 10 + round).await.len();
        world.produce(&healthy, 1).await;
        world.client.env().sleep(Duration::from_millis(500)).await;
    }
    assert_eq!((seen.count(&broken), told > 0), (0, true));
    let panics = u32::MAX - left.load(Ordering::Relaxed);
    assert!((5..=30).contains(&panics), "{panics} panics in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_panics_is_told_and_asked_again() {
    let world = world(1).await;
    let left = Arc::new(AtomicU32::new(2));
    let module = "milena_consumer::core::partition::question";
    let _default = tracing::subscriber::set_default(PanickingSubscriber { module, left });
    let mut consumer = world.consumer(strict(), &[tp("t", 0), tp("t", 1)]);
    let errors = read_through(&mut consumer, &mut Seen::default(), 20).await;
    let text = "asking broker 1 for offsets panicked: out of paper; it was started again";
    assert_eq!(errors[0].to_string(), text);
}

#[tokio::test(start_paused = true)]
async fn a_manager_that_panics_is_told_and_begins_anew() {
    let mut world = world(1).await;
    let mut consumer = Consumer::new(world.client.clone(), ConsumerConfig::default()).unwrap();
    consumer.assign_topic("t").await.unwrap();
    consumer.seek_to_beginning(&consumer.assignment()).unwrap();
    let mut seen = Seen::default();
    seen.read(&mut consumer, 20).await;
    // It panics when it finds the third partition, before it has taken note of it.
    let left = Arc::new(AtomicU32::new(1));
    let module = "milena_consumer::core::subscription::metadata";
    let _default = tracing::subscriber::set_default(PanickingSubscriber { module, left });
    world.grow("t", 3).await;
    for partition in 0..3 {
        world.produce(&tp("t", partition), 5).await;
    }
    let errors = read_through(&mut consumer, &mut seen, 35).await;
    let text = "looking after fetch loops and positions panicked: out of paper; it was started again";
    assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [text]);
}
