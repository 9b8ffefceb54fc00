//! What metrics and observers learn of connections and requests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use milena_client::metrics::{
    ClientKind, Connected, Disconnected, MetadataUpdated, Observer, RequestCompleted, Throttled,
};
use milena_client::{Client, RequestError};
use milena_protocol::ApiKey;
use milena_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use crate::peer::{Action, Cluster, Network, address, config};

/// Writes each event down as a line.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn node(node: Option<i32>) -> String {
    node.map_or_else(|| "?".to_owned(), |node| node.to_string())
}

impl Observer for Diary {
    fn on_connected(&self, event: &Connected<'_>) {
        self.note(format!("connected {} node {}", event.address, node(event.node)));
    }

    fn on_disconnected(&self, event: &Disconnected<'_>) {
        let (node, lost) = (node(event.node), event.requests_lost);
        self.note(format!("disconnected {} node {node}, {lost} lost: {}", event.address, event.reason));
    }

    fn on_request_completed(&self, event: &RequestCompleted<'_>) {
        let answered = if event.response_bytes.is_some() { "answered" } else { "lost" };
        self.note(format!("{} v{} {answered} after {:?}", event.api, event.api_version, event.latency));
    }

    fn on_throttled(&self, event: &Throttled<'_>) {
        self.note(format!("{} throttled {:?}", event.api, event.throttle_time));
    }

    fn on_metadata_updated(&self, event: &MetadataUpdated) {
        let MetadataUpdated { brokers, topics, leaderless_partitions } = event;
        self.note(format!("metadata {brokers} {topics} {leaderless_partitions}"));
    }
}

async fn heartbeat(client: &Client) -> Result<HeartbeatResponse, RequestError> {
    client.request_to(&address("broker-1:9092"), HeartbeatRequest::default()).await
}

#[tokio::test(start_paused = true)]
async fn the_observer_is_told_the_life_of_connections_and_requests() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    cluster.serve("seed:9092", |_| None);
    let asked = AtomicUsize::new(0);
    cluster.serve("broker-1:9092", move |request| match request.api() {
        ApiKey::Heartbeat if asked.fetch_add(1, Ordering::SeqCst) == 0 => {
            let response = HeartbeatResponse { throttle_time_ms: 500, ..Default::default() };
            Some(request.answer::<HeartbeatRequest>(&response))
        }
        ApiKey::Heartbeat => Some(Action::Silence),
        _ => None,
    });
    let diary = Arc::new(Diary::default());
    let env = network.env();
    let mut config = config("seed:9092");
    config.observer = Some(diary.clone());
    let client = Client::connect(config, env.clone()).await.unwrap();
    env.sleep(Duration::from_millis(1)).await;
    let expected = ["connected seed:9092 node ?", "Metadata v13 answered after 0ns", "metadata 1 0 0"];
    assert_eq!(diary.take(), expected);
    heartbeat(&client).await.unwrap();
    let expected =
        ["connected broker-1:9092 node 1", "Heartbeat v4 answered after 0ns", "Heartbeat throttled 500ms"];
    assert_eq!(diary.take(), expected);
    heartbeat(&client).await.unwrap_err();
    let expected = [
        "Heartbeat v4 lost after 30s",
        "disconnected broker-1:9092 node 1, 1 lost: no answer to Heartbeat within 30000 ms; the broker hangs or is \
         overloaded (request_timeout)",
    ];
    assert_eq!(diary.take(), expected);
    drop(client);
    env.sleep(Duration::from_millis(1)).await;
    assert_eq!(diary.take(), ["disconnected seed:9092 node ?, 0 lost: closed by this client"]);
}

/// The value of a metric of the group, for a node or without one.
fn value(client: &Client, group: &str, name: &str, node: Option<&str>) -> f64 {
    let snapshot = client.metrics();
    let mut found = snapshot
        .iter()
        .filter(|metric| metric.group == group && metric.name == name && metric.tags.get("node-id") == node);
    let value = found.next().expect("the metric is there").value;
    assert!(found.next().is_none(), "it is there once");
    value
}

#[tokio::test(start_paused = true)]
async fn connections_and_requests_are_counted() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    cluster.serve("seed:9092", |_| None);
    cluster.serve("broker-1:9092", |request| {
        (request.api() == ApiKey::Heartbeat).then(|| {
            let answer = request.encode::<HeartbeatRequest>(&HeartbeatResponse::default());
            Action::AnswerLater(Duration::from_millis(40), answer)
        })
    });
    let client = Client::connect(config("seed:9092"), network.env()).await.unwrap();
    heartbeat(&client).await.unwrap();
    heartbeat(&client).await.unwrap();
    let admin = |name| value(&client, "admin-client-metrics", name, None);
    assert_eq!(admin("connection-count"), 2.0);
    assert_eq!(admin("connection-creation-total"), 2.0);
    assert_eq!(admin("request-total"), 3.0, "Metadata, and two heartbeats");
    let node = |name| value(&client, "admin-client-node-metrics", name, Some("node-1"));
    assert_eq!(node("request-total"), 2.0);
    assert_eq!(node("request-latency-avg"), 40.0);

    // A producer's connections are its own.
    let watch = client.watch_connections(ClientKind::Producer);
    let broker = client.metadata().current().brokers[&1].clone();
    let connection = client.open_watched::<()>(&watch, &broker, 0).await.unwrap();
    let producer = |name| value(&client, "producer-metrics", name, None);
    assert_eq!(producer("connection-count"), 1.0);
    drop(connection);
    assert_eq!(producer("connection-count"), 0.0);
    assert_eq!(producer("connection-close-total"), 1.0);
    assert_eq!(admin("connection-count"), 2.0);
}
