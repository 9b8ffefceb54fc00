//! Topics that come, go, grow, and are created anew.

use milena_broker::{ApiKey, Cluster, TopicSpec};
use milena_client::Target;
use milena_producer::{Record, SendError};
use milena_protocol::messages::CreatePartitionsRequest;
use milena_protocol::messages::create_partitions_request::CreatePartitionsTopic;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_topic_is_created_on_demand_where_the_brokers_allow_it() {
    patiently(async {
        let world = World::start().await;
        let ack = world.producer.send(Record::to("new").value("x")).await.expect("accepted").await;
        assert_eq!(ack.expect("acknowledged").offset, Some(0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_created_while_a_send_waits_is_used() {
    patiently(async {
        let without_creation = Cluster::builder().config("auto.create.topics.enable", "false");
        let world = World::start_with(|_| without_creation, |_| {}).await;
        let creating = async {
            world.pass(secs(5)).await;
            world.cluster.create_topic(TopicSpec::new("late")).expect("created");
        };
        let (delivery, ()) = tokio::join!(world.producer.send(Record::to("late").value("x")), creating);
        delivery.expect("accepted").await.expect("acknowledged");
    })
    .await;
}

/// One send gives up while another still waits: both mean the same topic, and its numbers are kept once.
#[tokio::test(start_paused = true)]
async fn a_send_that_gives_up_does_not_tear_the_topic_from_another() {
    patiently(async {
        let world = World::start().await;
        let hidden = world.cluster.faults().on(ApiKey::Metadata).topic(TOPIC).always().hide_topic();
        let record = || Record::to(TOPIC).value("1");
        let early = world.producer.send(record());
        let later = async {
            world.pass(secs(30)).await;
            world.producer.send(record()).await
        };
        let showing = async {
            // The first one has given up after 60 s.
            world.pass(secs(70)).await;
            hidden.remove();
        };
        let (early, later, ()) = tokio::join!(early, later, showing);
        early.expect_err("too late");
        let later = later.expect("accepted");
        let third = world.producer.send(record()).await.expect("accepted");
        let acks = acks(vec![later, third]).await;
        assert_eq!(offsets(&acks), [Some(0), Some(1)]);
        assert!(world.log(0).batches.iter().all(|batch| batch.producer_epoch == 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_created_anew_is_written_to() {
    patiently(async {
        let world = World::start().await;
        acks(world.send_batch(3).await).await;
        acks(world.send_batch(3).await).await;
        world.cluster.faults().recreate_topic(TOPIC).expect("it existed");
        let acks = acks(world.send_batch(2).await).await;
        assert_eq!(offsets(&acks), [Some(0), Some(1)]);
        assert_eq!(world.values(0), [6, 7]);
        // The new log knows no producer, and would take any number.
        let batch = &world.log(0).batches[0];
        assert_eq!((batch.producer_epoch, batch.base_sequence), (1, 0));
    })
    .await;
}

async fn add_partitions(world: &World, count: i32) {
    let topic = CreatePartitionsTopic { name: TOPIC.into(), count, assignments: None, ..Default::default() };
    let request = CreatePartitionsRequest { topics: vec![topic], timeout_ms: 1_000, ..Default::default() };
    let answer =
        world.client.call(Target::Controller, request, secs(10), |_| Ok(())).await.expect("it is answered");
    assert_eq!(answer.results[0].error_code, milena_broker::ErrorCode::None, "{:?}", answer.results);
    assert_eq!(world.cluster.partitions(TOPIC), count);
}

#[tokio::test(start_paused = true)]
async fn partitions_that_are_added_are_used() {
    patiently(async {
        let world = World::start().await;
        acks(world.send_batch(1).await).await;
        let error =
            world.producer.send(Record::to(TOPIC).partition(1).value("x")).await.expect_err("there is one");
        assert!(
            matches!(error, SendError::UnknownPartition { partition: 1, partition_count: 1, .. }),
            "{error}"
        );
        add_partitions(&world, 3).await;
        // Asks again before it gives up.
        acks(vec![world.send_to(2).await]).await;
        let topic = world.producer.topic(TOPIC).await.expect("known");
        assert_eq!(topic.partition_count(), 3);
        assert_eq!(world.producer.partitions_for(TOPIC).await.expect("known").len(), 3);
        // Records without a key go everywhere in the end.
        let value = [b'1'; 10_000];
        let mut sent = Vec::new();
        for _ in 0..100 {
            sent.push(topic.send(Record::new().value(&value)).await.expect("accepted"));
        }
        acks(sent).await;
        assert!((0..3).all(|partition| world.log(partition).log_end_offset > 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_send_waits_for_a_partition_that_is_about_to_be_added() {
    patiently(async {
        let world = World::start().await;
        acks(world.send_batch(1).await).await;
        let asked = world.cluster.requests(ApiKey::Metadata);
        let adding = async {
            world.pass(secs(20)).await;
            add_partitions(&world, 3).await;
        };
        let (delivery, ()) =
            tokio::join!(world.producer.send(Record::to(TOPIC).partition(2).value("x")), adding);
        delivery.expect("accepted").await.expect("acknowledged");
        let asked = world.cluster.requests(ApiKey::Metadata) - asked;
        assert!((5..60).contains(&asked), "asked {asked} times in 20 s");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_nobody_can_be_asked_about_is_not_called_unknown() {
    patiently(async {
        let world = World::start().await;
        acks(world.send_batch(1).await).await;
        world.cluster.faults().on(ApiKey::Metadata).always().close_before_work();
        let error =
            world.producer.send(Record::to(TOPIC).partition(1).value("x")).await.expect_err("too late");
        assert!(matches!(error, SendError::Topic(_)) && error.is_retriable(), "{error}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_below_zero_is_refused_without_asking() {
    patiently(async {
        let world = World::start().await;
        acks(world.send_batch(1).await).await;
        let asked = world.cluster.requests(ApiKey::Metadata);
        let error =
            world.producer.send(Record::to(TOPIC).partition(-1).value("x")).await.expect_err("there is none");
        assert!(matches!(error, SendError::UnknownPartition { partition: -1, .. }), "{error}");
        assert_eq!(world.cluster.requests(ApiKey::Metadata), asked);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_unused_topic_is_forgotten_and_written_to_under_another_producer_id_later() {
    patiently(async {
        let world = World::start().await;
        acks(world.send_batch(2).await).await;
        world.pass(secs(4 * 60)).await;
        assert!(world.client.metadata().current().topic(TOPIC).is_some(), "it was used 4 minutes ago");
        world.pass(secs(10 * 60)).await;
        assert!(world.client.metadata().current().topic(TOPIC).is_none(), "nobody asks for it any more");
        // The same sequence numbers again, with as many records: under the same id it would pass for a repetition.
        let acks = acks(world.send_batch(2).await).await;
        assert_eq!(offsets(&acks), [Some(2), Some(3)]);
        let ids: Vec<_> = world.log(0).batches.iter().map(|batch| batch.producer_id).collect();
        assert_ne!(ids[0], ids[1]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_with_a_handle_or_with_batches_is_not_forgotten() {
    patiently(async {
        let configure = |config: &mut milena_producer::ProducerConfig| config.delivery_timeout = secs(3_000);
        let topics = || Cluster::builder().topic(TopicSpec::new(TOPIC)).topic(TopicSpec::new("handle"));
        let world = World::start_with(|_| topics(), configure).await;
        let handle = world.producer.topic("handle").await.expect("known");
        acks(world.send_batch(1).await).await;
        world
            .cluster
            .faults()
            .on(ApiKey::Produce)
            .always()
            .answer_with(milena_broker::ErrorCode::NotEnoughReplicas);
        let waiting = world.send_batch(1).await;
        world.pass(secs(20 * 60)).await;
        let metadata = world.client.metadata().current();
        assert!(metadata.topic("handle").is_some() && metadata.topic(TOPIC).is_some());
        world.cluster.faults().clear();
        acks(waiting).await;
        handle.send(Record::new().value("x")).await.expect("accepted").await.expect("acknowledged");
    })
    .await;
}
