//! The tests of the service, as its authors would write them.

use std::time::{Duration, Instant};

use milena::testing::{ApiKey, Cluster, ErrorCode, TopicSpec};

use crate::service::{OrderService, PlaceError, TOPIC, orders_by_customer};

/// A cluster of three nodes with the topic, and the service on it.
async fn service() -> (Cluster, OrderService) {
    let cluster = Cluster::builder().nodes(3).topic(TopicSpec::new(TOPIC)).start().await.unwrap();
    let service = OrderService::start(&cluster.kafka().connect().await.unwrap()).await.unwrap();
    (cluster, service)
}

/// What is in the log, as the service reads it.
async fn orders_of(cluster: &Cluster, customer: &str) -> Vec<String> {
    let kafka = cluster.kafka().connect().await.unwrap();
    orders_by_customer(&kafka).await.unwrap().remove(customer).unwrap_or_default()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the claim is about the machine's time")]
fn orders_survive_the_loss_of_their_leader_and_the_test_takes_milliseconds() {
    let began = Instant::now();
    let lasted = milena::testing::run(crate::story()).unwrap();
    assert!(lasted > Duration::from_secs(20), "{lasted:?} of the cluster's time");
    // It takes some 10 ms; the rest is for machines that are busy with something else.
    assert!(began.elapsed() < lasted / 4, "{:?} of the machine's time", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_does_not_double_an_order() {
    let (cluster, service) = service().await;
    let fault = cluster.faults().on(ApiKey::Produce).lose_answer();
    service.place("ada", "tea").await.unwrap();
    assert_eq!((fault.fired(), orders_of(&cluster, "ada").await), (1, vec!["tea".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn orders_that_nobody_answered_for_are_not_called_refused() {
    let (cluster, service) = service().await;
    cluster.faults().on(ApiKey::Produce).always().lose_answer();
    let placed = service.place("ada", "tea").await;
    assert!(matches!(placed, Err(PlaceError::Unknown(_))), "{placed:?}");
    // After all that Kafka's defaults allow for: two minutes.
    assert!(cluster.clock().elapsed() >= Duration::from_secs(120));
    assert_eq!(
        orders_of(&cluster, "ada").await,
        ["tea"],
        "it is written, and ordering again would double it"
    );
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_not_written_may_be_placed_again() {
    let (cluster, service) = service().await;
    cluster.faults().on(ApiKey::Produce).answer_with(ErrorCode::TopicAuthorizationFailed);
    let placed = service.place("ada", "tea").await;
    assert!(matches!(placed, Err(PlaceError::Refused(_))), "{placed:?}");
    service.place("ada", "tea").await.unwrap();
    assert_eq!(orders_of(&cluster, "ada").await, ["tea"]);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_hangs_holds_an_order_up_and_no_longer_than_it_hangs() {
    let (cluster, service) = service().await;
    let (clock, faults) = (cluster.clock(), cluster.faults());
    service.place("ada", "tea").await.unwrap();
    cluster.nodes().for_each(|node| faults.freeze(node));
    let recovery = async {
        clock.advance(Duration::from_secs(60)).await;
        cluster.nodes().for_each(|node| faults.unfreeze(node));
    };
    let (placed, ()) = tokio::join!(service.place("ada", "cake"), recovery);
    placed.unwrap();
    assert!((60..65).contains(&clock.elapsed().as_secs()), "{:?}", clock.elapsed());
    assert_eq!(orders_of(&cluster, "ada").await, ["tea", "cake"]);
}
