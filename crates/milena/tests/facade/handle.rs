//! The [`Kafka`] handle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use milena::metrics::{BatchAcknowledged, Observer};
use milena::{Acks, BuildError, ConnectError, Env, Kafka, Record};

use crate::cluster;

#[derive(Default)]
struct Acknowledged(AtomicU64);

impl Observer for Acknowledged {
    fn on_batch_acknowledged(&self, event: &BatchAcknowledged<'_>) {
        self.0.fetch_add(event.records.into(), Ordering::Relaxed);
    }
}

#[test]
fn handles_and_what_is_made_of_them_may_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Kafka>();
    shared::<milena::Producer>();
    shared::<milena::Consumer>();
    shared::<milena::RecordBatch>();
    shared::<milena::typed::TypedProducer<milena::serdes::Utf8, milena::serdes::Json>>();
    shared::<ConnectError>();
    shared::<BuildError>();
}

#[tokio::test]
async fn what_was_made_outlives_the_handle() {
    let (_cluster, kafka) = cluster().await;
    let producer = kafka.producer().build().await.unwrap();
    drop(kafka);
    let ack = producer.send(Record::to("orders").value("x")).await.unwrap().await.unwrap();
    assert_eq!(ack.offset, Some(0));
}

#[tokio::test]
async fn every_observer_is_told_and_metrics_count_what_was_made_of_the_handle() {
    let (cluster, _) = cluster().await;
    let observers = [Arc::new(Acknowledged::default()), Arc::new(Acknowledged::default())];
    let builder = Kafka::builder_for(&cluster).client_id("test");
    let builder = builder.observer(observers[0].clone()).observer(observers[1].clone());
    let kafka = builder.connect().await.unwrap();
    let producer = kafka.producer().build().await.unwrap();
    producer.send(Record::to("orders").value("x")).await.unwrap().await.unwrap();
    for observer in observers {
        assert_eq!(observer.0.load(Ordering::Relaxed), 1);
    }
    let metrics = kafka.metrics();
    assert_eq!(metrics.value("producer-metrics", "record-send-total", &[]), Some(1.0));
    assert!(metrics.iter().any(|metric| metric.tags.get("client-id") == Some("test")));
}

#[tokio::test]
async fn settings_of_the_builders_reach_the_clients() {
    let (_cluster, kafka) = cluster().await;
    let builder = kafka.producer().acks(Acks::Leader).idempotence(false).linger(Duration::from_millis(7));
    let producer = builder.batch_size(1_000).max_in_flight(9).retries(3).build().await.unwrap();
    let config = producer.config();
    assert_eq!((config.acks, config.enable_idempotence, config.retries), (Acks::Leader, false, 3));
    assert_eq!((config.linger.as_millis(), config.batch_size, config.max_in_flight), (7, 1_000, 9));

    let builder = kafka.consumer().fetch_min_bytes(5).prefetch_bytes(6).client_rack("r1").check_crcs(false);
    let consumer = builder.build().await.unwrap();
    let config = consumer.config();
    assert_eq!((config.fetch_min_bytes, config.prefetch_bytes, config.check_crcs), (5, 6, false));
    assert_eq!(config.client_rack.as_deref(), Some("r1"));
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused() {
    let (_cluster, kafka) = cluster().await;
    let error = kafka.producer().acks(Acks::Leader).build().await.unwrap_err();
    assert!(matches!(error, BuildError::Producer(_)) && error.to_string().contains("acks=all"), "{error}");
    let error = kafka.consumer().fetch_max_bytes(0).build().await.unwrap_err();
    assert!(
        matches!(error, BuildError::Consumer(_)) && error.to_string().contains("fetch_max_bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn an_address_is_checked_before_anything_is_connected() {
    let error = Kafka::builder("localhost:port").connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Address(_)) && !error.is_retriable(), "{error}");
    let error = Kafka::builder(" , ").connect_in_background().unwrap_err();
    assert!(matches!(error, ConnectError::Address(_)), "{error}");
}

#[tokio::test]
async fn a_cluster_that_has_ended_is_an_error_that_may_pass() {
    let (cluster, _) = cluster().await;
    let builder = Kafka::builder_for(&cluster);
    cluster.shutdown().await;
    let error = builder.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Cluster(_)) && error.is_retriable(), "{error}");
}

#[tokio::test]
async fn connecting_in_the_background_waits_for_nobody() {
    let (cluster, _) = cluster().await;
    let env = Env::builder().connector(milena::ClusterConnector::new(&cluster)).seed(1).build();
    let kafka = Kafka::builder(cluster.bootstrap()).env(env).connect_in_background().unwrap();
    let admin = kafka.admin();
    assert_eq!(admin.list_topics().await.unwrap().len(), 1);
}
