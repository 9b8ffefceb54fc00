//! The producer id: fetched, refused, late.

use milena_broker::{ApiKey, ErrorCode};
use milena_producer::{DeliveryErrorKind, Record, SendError};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_producer_id_that_comes_late_delays_and_loses_nothing() {
    patiently(async {
        let world = World::start_with(|cluster| cluster, |_| {}).await;
        let loading = world.cluster.faults().on(ApiKey::InitProducerId).times(3);
        let loading = loading.answer_with(ErrorCode::CoordinatorLoadInProgress);
        acks(world.send_batch(2).await).await;
        assert_eq!(loading.fired(), 3);
        assert_eq!(world.values(0), [0, 1]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_producer_id_is_fatal() {
    patiently(async {
        let world = World::start().await;
        let faults = world.cluster.faults();
        let loading = faults.on(ApiKey::InitProducerId).times(3);
        loading.answer_with(ErrorCode::CoordinatorLoadInProgress);
        faults.on(ApiKey::InitProducerId).skip(3).answer_with(ErrorCode::ClusterAuthorizationFailed);
        let error = world.send().await.await.expect_err("the producer is refused");
        let (api, code) = ("InitProducerId", ErrorCode::ClusterAuthorizationFailed);
        assert_eq!(error.kind, DeliveryErrorKind::ProducerFailed { api, code });
        assert!(error.is_fatal() && !error.possibly_written());
        let refused = world.producer.send(Record::to(TOPIC).value("later")).await.expect_err("it has failed");
        assert_eq!(refused, SendError::Fatal { api, code });
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_is_refused_while_it_sends_fails_everywhere() {
    patiently(async {
        let world = World::start_with(
            |_| milena_broker::Cluster::builder().topic(milena_broker::TopicSpec::new(TOPIC).partitions(2)),
            |config| config.linger = secs(60),
        )
        .await;
        let fault = world.cluster.faults().on(ApiKey::Produce).partition(TOPIC, 0);
        fault.answer_with(ErrorCode::ClusterAuthorizationFailed);
        let (first, second) = (world.send_to(0).await, world.send_to(1).await);
        world.producer.flush().await.expect("both deliveries are held");
        assert!(first.await.expect_err("refused").is_fatal());
        // In the same request: written or not, it is resolved.
        let _ = second.await;
        let refused = world.producer.send(Record::to(TOPIC).value("later")).await.expect_err("it has failed");
        assert!(refused.is_fatal());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn partitions_share_a_producer_id_and_have_epochs_of_their_own() {
    patiently(async {
        let world = World::start_with(
            |_| milena_broker::Cluster::builder().topic(milena_broker::TopicSpec::new(TOPIC).partitions(2)),
            |_| {},
        )
        .await;
        let fault = world.cluster.faults().on(ApiKey::Produce).partition(TOPIC, 0);
        fault.answer_with(ErrorCode::InvalidRecord);
        for partition in [0, 1, 0, 1] {
            let delivery = world.send_to(partition).await;
            let _ = delivery.await;
        }
        let stamp = |partition| {
            let batches = world.log(partition).batches;
            let last = batches.last().expect("a batch");
            (last.producer_id, last.producer_epoch, last.base_sequence)
        };
        let (producer_id, epoch, sequence) = stamp(0);
        assert_eq!((epoch, sequence), (1, 0));
        assert_eq!(stamp(1), (producer_id, 0, 1));
        assert_eq!(world.cluster.requests(ApiKey::InitProducerId), 1);
    })
    .await;
}
