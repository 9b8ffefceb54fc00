//! Each thing that can happen to bytes on their way happens.

use std::io::ErrorKind;

use milena_broker::Cluster;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::clock::{ms, within};

/// A cluster of one node, and the network to it.
async fn start(latency_ms: (u64, u64)) -> (Cluster, Network) {
    let cluster = Cluster::builder().in_memory().start().await.unwrap();
    let recorder = Recorder::new(true);
    let network = Network::new(cluster.dialer(), &cluster.bootstrap(), latency_ms, Rng::new(1), recorder);
    (cluster, network)
}

async fn connect(cluster: &Cluster, network: &Network) -> io::Result<Box<dyn Stream>> {
    network.connect("c", &cluster.bootstrap().parse().unwrap()).await
}

/// An ApiVersions request of version 0, which every broker answers.
const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255];

/// Sends the request and reads the beginning of the answer: its length and correlation id.
async fn ask(stream: &mut Box<dyn Stream>) -> io::Result<[u8; 8]> {
    stream.write_all(&REQUEST).await?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).await.map(|_| answer)
}

fn everywhere(effect: Effect) -> Rule {
    Rule { scope: Scope::default(), effect }
}

#[tokio::test(start_paused = true)]
async fn bytes_take_their_time_there_and_back() {
    let (cluster, network) = start((3, 3)).await;
    let began = clock::now();
    let mut stream = connect(&cluster, &network).await.unwrap();
    assert_eq!(clock::now() - began, ms(6));
    assert_eq!(ask(&mut stream).await.unwrap()[4..], [0, 0, 0, 7]);
    assert_eq!(clock::now() - began, ms(12));
    assert!(network.received_bytes("c") >= 8);
}

#[tokio::test(start_paused = true)]
async fn silence_holds_bytes_and_attempts_back_until_it_is_over() {
    for direction in [None, Some(Direction::Up), Some(Direction::Down)] {
        let (cluster, network) = start((0, 0)).await;
        let mut stream = connect(&cluster, &network).await.unwrap();
        let rule = network.impose(everywhere(Effect::Silence(direction)));
        assert!(within(ms(500), connect(&cluster, &network)).await.is_none());
        let asking = ask(&mut stream);
        let mut asking = std::pin::pin!(asking);
        assert!(within(ms(500), &mut asking).await.is_none(), "{direction:?}");
        assert!(network.lift(rule) > 0);
        assert!(within(ms(1), asking).await.unwrap().is_ok(), "{direction:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_and_a_narrow_road_cost_time() {
    let (cluster, network) = start((0, 0)).await;
    let mut stream = connect(&cluster, &network).await.unwrap();
    network.impose(everywhere(Effect::Delay(ms(40))));
    let began = clock::now();
    ask(&mut stream).await.unwrap();
    assert_eq!(clock::now() - began, ms(80));
    network.heal();
    network.impose(everywhere(Effect::Slow { bytes_per_second: 100 }));
    let mut stream = connect(&cluster, &network).await.unwrap();
    let began = clock::now();
    ask(&mut stream).await.unwrap();
    // 14 bytes there, and some hundred back.
    assert!(clock::now() - began > ms(1_000));
}

#[tokio::test(start_paused = true)]
async fn a_rule_concerns_whom_it_names() {
    let (cluster, network) = start((0, 0)).await;
    let scope = Scope { client: Some("other".to_owned()), node: None };
    network.impose(Rule { scope, effect: Effect::Refuse });
    assert!(connect(&cluster, &network).await.is_ok());
    let scope = Scope { client: Some("c".to_owned()), node: Some(1) };
    network.impose(Rule { scope, effect: Effect::Refuse });
    let refused = connect(&cluster, &network).await.map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    network.heal();
    assert!(connect(&cluster, &network).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_an_error_for_the_client_and_an_end_for_the_node() {
    let (cluster, network) = start((0, 0)).await;
    let mut stream = connect(&cluster, &network).await.unwrap();
    ask(&mut stream).await.unwrap();
    assert_eq!(network.reset(&Scope::default()), 1);
    let error = ask(&mut stream).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
    within(ms(100), cluster.until(|cluster| cluster.connections(1) == 0)).await.expect("the node notices");
    assert_eq!(network.reset(&Scope::default()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_silent_until_the_network_heals() {
    let (cluster, network) = start((0, 0)).await;
    let mut stream = connect(&cluster, &network).await.unwrap();
    assert_eq!(network.half_open(&Scope::default()), 1);
    within(ms(100), cluster.until(|cluster| cluster.connections(1) == 0)).await.expect("the node forgets it");
    let asking = ask(&mut stream);
    let mut asking = std::pin::pin!(asking);
    assert!(within(ms(5_000), &mut asking).await.is_none());
    network.heal();
    assert_eq!(asking.await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_truncated_answer_is_a_beginning_and_then_an_error() {
    let (cluster, network) = start((0, 0)).await;
    let mut stream = connect(&cluster, &network).await.unwrap();
    assert_eq!(network.truncate(&Scope::default(), Direction::Down, 20), 1);
    ask(&mut stream).await.expect("the first bytes come");
    let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(network.received_bytes("c"), 20);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_sent_before_it_closed_arrives() {
    let (cluster, network) = start((5, 5)).await;
    let mut stream = connect(&cluster, &network).await.unwrap();
    stream.write_all(&REQUEST).await.unwrap();
    drop(stream);
    let api = milena_protocol::ApiKey::ApiVersions;
    within(ms(20), cluster.until(|cluster| cluster.requests(api) == 1)).await.expect("it arrives");
    within(ms(20), cluster.until(|cluster| cluster.connections(1) == 0)).await.expect("and then the end");
}
