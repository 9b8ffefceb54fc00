//! Brokers, leaders and clusters that are elsewhere now, by the numbers of the list of the field's failures where they are on it.

use milena_client::metadata::{Broker, LeaderHint};
use milena_protocol::messages::metadata_response::MetadataResponseBroker;
use milena_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use milena_protocol::{ApiKey, ErrorCode};

use crate::peer::{Action, Cluster, Received, address};
use crate::scripted::{BROKER, Script, all_written, refused, written};
use crate::support::*;

/// The addresses that Produce requests went to.
fn produced_at(script: &Script) -> Vec<String> {
    let requests = script.network.requests().into_iter();
    requests.filter(|seen| seen.api == ApiKey::Produce).map(|seen| seen.address).collect()
}

/// The broker listens at `moved-1` from now on.
fn move_broker(script: &Script) {
    script.cluster.change(|metadata| metadata.brokers[0].host = "moved-1".into());
    serve_elsewhere(&script.cluster, "moved-1:9092");
}

/// A broker that takes everything.
fn serve_elsewhere(cluster: &Cluster, at: &str) {
    cluster.serve(at, |request| match request.api() {
        ApiKey::Produce => Some(all_written(request)),
        ApiKey::InitProducerId => {
            Some(request.answer::<InitProducerIdRequest>(&InitProducerIdResponse::default()))
        }
        _ => None,
    });
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_moved_is_found_although_another_one_answers_at_its_old_address() {
    patiently(async {
        let answer = |number, request: &Received| match number {
            0 => all_written(request),
            _ => refused(request, ErrorCode::NotLeaderOrFollower),
        };
        let script = Script::start(answer, |_| {}).await;
        acks(vec![script.send(0, b"1").await]).await;
        move_broker(&script);
        acks(vec![script.send(0, b"2").await]).await;
        assert_eq!(produced_at(&script), [BROKER, BROKER, "moved-1:9092"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_to_a_broker_that_moved_is_waited_for() {
    patiently(async {
        let answer = |number, request: &Received| match number {
            1 => Action::AnswerLater(secs(2), written(request, 0, |_| true)),
            _ => all_written(request),
        };
        let script = Script::start(answer, |_| {}).await;
        acks(vec![script.send(0, b"1").await]).await;
        let env = script.producer.env().clone();
        let under_way = script.send(0, b"2").await;
        env.sleep(secs(1)).await;
        move_broker(&script);
        let metadata = script.client.metadata();
        let asked = metadata.version();
        metadata.request_update();
        metadata.changed_since(asked).await;
        let later = script.send(0, b"3").await;
        acks(vec![under_way, later]).await;
        assert_eq!(produced_at(&script), [BROKER, BROKER, "moved-1:9092"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_moved_is_not_waited_for_at_its_old_address() {
    patiently(async {
        let script = Script::start(|_, request| all_written(request), |_| {}).await;
        acks(vec![script.send(0, b"1").await]).await;
        script.network.black_hole(BROKER);
        script.network.close_streams();
        let later = script.send(0, b"2").await;
        script.producer.env().sleep(secs(1)).await;
        move_broker(&script);
        let hint = script.client.metadata();
        let moved = Broker { node_id: 1, address: address("moved-1:9092"), rack: None };
        let leader = LeaderHint { topic: TOPIC.into(), partition: 0, leader_id: 1, leader_epoch: 1 };
        let began = script.producer.env().now();
        hint.apply_leader_hints(&[leader], &[moved]);
        acks(vec![later]).await;
        assert!(script.producer.env().now() - began < secs(1), "{:?}", script.producer.env().now() - began);
    })
    .await;
}

/// Returns when the client has asked for metadata once more.
async fn refresh(script: &Script) {
    let metadata = script.client.metadata();
    let asked = metadata.version();
    metadata.request_update();
    metadata.changed_since(asked).await;
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_brokers_that_are_gone_ends() {
    patiently(async {
        let script = Script::start(|_, request| all_written(request), |_| {}).await;
        for node_id in 2..12 {
            let host = format!("broker-{node_id}");
            serve_elsewhere(&script.cluster, &format!("{host}:9092"));
            let broker = MetadataResponseBroker {
                node_id,
                host: host.as_str().into(),
                port: 9092,
                ..Default::default()
            };
            script.cluster.change(|metadata| {
                metadata.brokers.truncate(1);
                metadata.brokers.push(broker);
            });
            script.cluster.topic(TOPIC, &[(node_id, node_id), (1, 0)]);
            refresh(&script).await;
            acks(vec![script.send(0, b"x").await]).await;
        }
        script.producer.env().sleep(secs(1)).await;
        // The bootstrap's, and the producer's own to the last broker and, at most, to the one before it.
        assert!(script.network.open_streams() <= 4, "{} connections", script.network.open_streams());
    })
    .await;
}

/// 10. franz-go#119, #198: a leader epoch that really went back is believed in the end.
#[tokio::test(start_paused = true)]
async fn a_leader_whose_epoch_went_back_is_found() {
    patiently(async {
        let answer = |number, request: &Received| match number {
            0 => all_written(request),
            _ => refused(request, ErrorCode::NotLeaderOrFollower),
        };
        let script = Script::start(answer, |_| {}).await;
        let second =
            MetadataResponseBroker { node_id: 2, host: "broker-2".into(), port: 9092, ..Default::default() };
        script.cluster.change(|metadata| metadata.brokers.push(second));
        script.cluster.topic(TOPIC, &[(1, 7), (1, 7)]);
        script.client.metadata().request_update();
        acks(vec![script.send(0, b"1").await]).await;
        script.cluster.topic(TOPIC, &[(2, 3), (2, 3)]);
        serve_elsewhere(&script.cluster, "broker-2:9092");
        acks(vec![script.send(0, b"2").await]).await;
        assert_eq!(produced_at(&script).last().expect("several"), "broker-2:9092");
    })
    .await;
}

/// 11. librdkafka#5605: a cluster that sends its clients back to the bootstrap names is left for the one that these lead to now.
#[tokio::test(start_paused = true)]
async fn a_cluster_that_says_rebootstrap_required_is_left() {
    patiently(async {
        let answer = |number, request: &Received| match number {
            0 => all_written(request),
            _ => refused(request, ErrorCode::NotLeaderOrFollower),
        };
        let script = Script::start(answer, |_| {}).await;
        acks(vec![script.send(0, b"1").await]).await;
        script.cluster.change(|metadata| metadata.error_code = ErrorCode::RebootstrapRequired);
        let new = Cluster::new(&script.network, 2);
        new.topic(TOPIC, &[(2, 0), (2, 0)]);
        serve_elsewhere(&new, BROKER);
        serve_elsewhere(&new, "broker-2:9092");
        acks(vec![script.send(0, b"2").await]).await;
        assert_eq!(produced_at(&script).last().expect("several"), "broker-2:9092");
    })
    .await;
}

/// 12. kafka-python#1683, aiokafka#456: a name is resolved at every attempt to connect, not remembered.
#[tokio::test(start_paused = true)]
async fn a_name_that_leads_elsewhere_is_followed_at_the_next_attempt() {
    patiently(async {
        let script = Script::start(|_, request| all_written(request), |_| {}).await;
        acks(vec![script.send(0, b"1").await]).await;
        script.network.refuse(BROKER);
        script.network.close_streams();
        let waiting = script.send(0, b"2").await;
        script.producer.env().sleep(secs(20)).await;
        assert!(waiting.try_result().is_none());
        serve_elsewhere(&script.cluster, BROKER);
        let began = script.producer.env().now();
        acks(vec![waiting]).await;
        assert!(script.producer.env().now() - began < secs(3), "one back-off");
    })
    .await;
}
