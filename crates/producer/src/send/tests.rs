//! Sends that meet the end of their producer.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use milena_broker::{Cluster, Dialer, TopicSpec};
use milena_client::env::{Connecting, Connector, Stream};
use milena_client::{Address, Client, ClientConfig, Env};

use super::*;
use crate::config::ProducerConfig;
use crate::error::DeliveryErrorKind;

struct InMemory(Dialer);

impl Connector for InMemory {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        let stream = self.0.connect(&address.to_string());
        Box::pin(async move { stream.map(|stream| Box::new(stream) as Box<dyn Stream>) })
    }
}

/// The metadata are there, and before the send looks at them the producer is closed, from the first step to the last.
#[tokio::test(start_paused = true)]
async fn a_keyed_send_whose_topic_comes_with_the_end_of_the_producer_is_refused() {
    let cluster = Cluster::builder().topic(TopicSpec::new("t").partitions(3)).in_memory();
    let cluster = cluster.start().await.expect("the cluster starts");
    let env = Env::builder().connector(InMemory(cluster.dialer())).seed(1).build();
    let config = ClientConfig::new(Address::parse_list(&cluster.bootstrap()).expect("a list"));
    let client = Client::connect(config, env.clone()).await.expect("the client connects");
    // Without its tasks: nobody else makes the partitions.
    let shared = Arc::new(Shared::new(client.clone(), ProducerConfig::default()));
    let topic = shared.topic_or_insert("t");
    let mut sending = pin!(Sending::to_topic(&shared, &topic, Record::to("t").key("k").value("x")));
    assert!(poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx).is_pending())).await);
    let until = env.deadline_after(Duration::from_secs(10));
    client.metadata().wait_for_topic("t", until).await.expect("the topic exists");
    shared.close();
    shared.end(&DeliveryErrorKind::Closed);
    assert_eq!(sending.await.expect_err("it comes too late"), SendError::Closed);
    assert_eq!(topic.partition_count(), 0);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "polled after completion")]
async fn a_send_that_is_done_does_not_send_again() {
    let cluster = Cluster::builder().topic(TopicSpec::new("t")).in_memory();
    let cluster = cluster.start().await.expect("the cluster starts");
    let env = Env::builder().connector(InMemory(cluster.dialer())).seed(1).build();
    let config = ClientConfig::new(Address::parse_list(&cluster.bootstrap()).expect("a list"));
    let client = Client::connect(config, env).await.expect("the client connects");
    let producer = crate::Producer::new(client, ProducerConfig::default()).expect("a configuration");
    let topic = producer.topic("t").await.expect("the topic exists");
    let mut sending = pin!(topic.send(Record::new().value("x")));
    let _accepted = sending.as_mut().await.expect("accepted");
    let _ = sending.await;
}

#[test]
fn a_delivery_is_small() {
    assert_eq!(size_of::<Delivery>(), 24);
}
