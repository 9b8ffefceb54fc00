//! The cluster, in memory and through sockets.

use milena::testing::{ApiKey, Cluster, StartError, TopicSpec};
use milena::{Kafka, Record};

#[tokio::test]
async fn it_is_reached_through_sockets_by_whoever_knows_its_address() {
    let cluster = Cluster::builder().nodes(3).tcp().start().await.unwrap();
    for kafka in [Kafka::builder(cluster.bootstrap()), cluster.kafka()] {
        let producer = kafka.connect().await.unwrap().producer().build().await.unwrap();
        producer.send(Record::to("orders").value("x")).await.unwrap().await.unwrap();
    }
    assert_eq!(cluster.records("orders", 0).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn sockets_and_a_virtual_clock_are_refused_together() {
    let error = Cluster::builder().tcp().start().await.unwrap_err();
    assert!(matches!(error, StartError::Listen(_)), "{error}");
    assert!(error.to_string().contains("tcp()") && error.to_string().contains("start_paused"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn topics_survive_a_node_unless_they_are_asked_not_to() {
    let kept = Cluster::builder().nodes(3).topic(TopicSpec::new("t")).start().await.unwrap();
    let single = Cluster::builder().nodes(3).topic(TopicSpec::new("t"));
    let single = single.config("default.replication.factor", "1").start().await.unwrap();
    for (cluster, is_led) in [(kept, true), (single, false)] {
        let leader = cluster.leader("t", 0).unwrap();
        cluster.faults().kill(leader).await;
        assert!(!cluster.is_running(leader));
        assert_eq!(cluster.leader("t", 0).is_some(), is_led);
    }
}

#[tokio::test(start_paused = true)]
async fn a_test_waits_for_what_its_code_does() {
    let cluster = Cluster::builder().start().await.unwrap();
    let kafka = cluster.kafka().connect().await.unwrap();
    let mut consumer = kafka.consumer().build().await.unwrap();
    cluster.create_topic(TopicSpec::new("orders").partitions(2)).unwrap();
    consumer.assign_topic("orders").await.unwrap();
    let fetches = cluster.until(|cluster| cluster.requests(ApiKey::Fetch) > 3);
    tokio::select! {
        biased;
        () = fetches => {}
        batch = consumer.next() => panic!("there is nothing to read: {batch:?}"),
    }
}
