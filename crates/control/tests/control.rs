//! The control port as a test in another language uses it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use milena_broker::{Cluster, TopicSpec};
use milena_control::{ControlPort, OPENAPI};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Controlled {
    cluster: Arc<Cluster>,
    port: ControlPort,
}

impl Controlled {
    async fn start() -> Self {
        let topic = TopicSpec::new("orders").partitions(2).replication_factor(3);
        let cluster = Arc::new(Cluster::builder().nodes(3).topic(topic).start().await.unwrap());
        let port = ControlPort::open(cluster.clone(), 0).await.unwrap();
        Self { cluster, port }
    }

    /// Status and body of the answer; null if there is no body.
    async fn call(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.port.address()).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        // The answer may come before all of a body that is too long has gone.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer of HTTP");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() };
        (status, body)
    }

    async fn done(&self, path: &str, body: Value) {
        assert_eq!(self.call("POST", path, &body.to_string()).await, (204, Value::Null), "{path}");
    }
}

#[tokio::test]
async fn the_cluster_is_described() {
    let controlled = Controlled::start().await;
    let (status, body) = controlled.call("GET", "/v1/cluster", "").await;
    assert_eq!(status, 200);
    assert_eq!(body["bootstrap"], controlled.cluster.bootstrap());
    assert_eq!(body["nodes"].as_array().unwrap().len(), 3);
    assert_eq!(body["topics"][0]["name"], "orders");
    assert_eq!(body["topics"][0]["partitions"][1]["leader"], controlled.cluster.leader("orders", 1).unwrap());
    let (status, body) = controlled.call("GET", "/v1/requests", "").await;
    assert_eq!((status, body), (200, json!({ "nodes": { "1": {}, "2": {}, "3": {} } })));
}

#[tokio::test]
async fn nodes_die_and_come_back() {
    let controlled = Controlled::start().await;
    let cluster = &controlled.cluster;
    let led = |node| (0..2).any(|partition| cluster.leader("orders", partition) == Some(node));
    for node in cluster.nodes() {
        controlled.done(&format!("/v1/nodes/{node}/kill"), json!({})).await;
        assert!(!cluster.is_running(node) && !led(node));
        controlled.done(&format!("/v1/nodes/{node}/restart"), json!({})).await;
        assert!(cluster.is_running(node));
    }
    let leader = cluster.leader("orders", 0).unwrap();
    controlled.done(&format!("/v1/nodes/{leader}/kill"), json!({ "unnoticed": true })).await;
    assert!(led(leader));
    controlled.done(&format!("/v1/nodes/{leader}/notice"), json!({})).await;
    assert!(!led(leader));
    for action in [
        "freeze",
        "unfreeze",
        "stop-reading",
        "resume-reading",
        "disconnect",
        "expire-fetch-sessions",
        "hold-transaction-markers",
        "release-transaction-markers",
        "stop",
    ] {
        controlled.done(&format!("/v1/nodes/2/{action}"), json!({})).await;
    }
}

#[tokio::test]
async fn partitions_get_other_leaders() {
    let controlled = Controlled::start().await;
    let cluster = &controlled.cluster;
    let path = |action: &str| format!("/v1/topics/orders/partitions/1/{action}");
    controlled.done(&path("lose-leader"), json!({})).await;
    assert_eq!(cluster.leader("orders", 1), None);
    controlled.done(&path("move-leader"), json!({ "node": 3 })).await;
    assert_eq!(cluster.leader("orders", 1), Some(3));
    controlled.done(&path("move-leader"), json!({ "node": 2, "lose_from": 0 })).await;
    assert_eq!(cluster.leader("orders", 1), Some(2));
    controlled.done(&path("set-isr"), json!({ "isr": [2] })).await;
    controlled.done(&path("forget-producers"), json!({})).await;
    controlled
        .done(
            &path("set-last-sequence"),
            json!({ "producer_id": 5, "producer_epoch": 0, "last_sequence": 2_147_483_647 }),
        )
        .await;
    let producers = || cluster.log("orders", 1).unwrap().producers;
    assert_eq!((producers()[0].producer_id, producers()[0].last_sequence), (5, i32::MAX));
    controlled.done(&path("forget-producers"), json!({ "producer_id": 6 })).await;
    assert_eq!(producers().len(), 1);
    controlled.done(&path("forget-producers"), json!({ "producer_id": 5 })).await;
    assert_eq!(producers().len(), 0);
    controlled.done(&path("delete-records"), json!({ "offset": 0 })).await;
    let (status, body) = controlled.call("POST", &path("corrupt-batch"), r#"{"offset": 7}"#).await;
    assert_eq!((status, body["error"].as_str().unwrap().contains("offset")), (422, true));

    let before = cluster.topic_id("orders");
    let (status, body) = controlled.call("POST", "/v1/topics/orders/recreate", "").await;
    assert_eq!(
        (status, body["id"].as_str()),
        (200, cluster.topic_id("orders").map(|id| id.to_string()).as_deref())
    );
    assert_ne!(cluster.topic_id("orders"), before);
    controlled.done("/v1/clock", json!({ "by_ms": 60_000 })).await;
    controlled.done("/v1/retention", json!({})).await;
}

#[tokio::test]
async fn groups_get_other_coordinators() {
    let controlled = Controlled::start().await;
    let cluster = &controlled.cluster;
    for node in cluster.nodes() {
        controlled.done("/v1/groups/move-coordinator", json!({ "group": "readers/1", "node": node })).await;
        assert_eq!(cluster.coordinator("readers/1"), Some(node));
    }
    controlled.done("/v1/groups/lose-coordinator", json!({ "group": "readers/1" })).await;
    assert_eq!(cluster.coordinator("readers/1"), None);
    let (status, body) =
        controlled.call("POST", "/v1/groups/expire-sessions", r#"{"group": "readers/1"}"#).await;
    assert_eq!((status, body["error"].as_str().unwrap().contains("readers/1")), (404, true));
    let (status, _) =
        controlled.call("POST", "/v1/groups/move-coordinator", r#"{"group": "g", "node": 9}"#).await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn transactions_get_other_coordinators() {
    let controlled = Controlled::start().await;
    let cluster = &controlled.cluster;
    for node in cluster.nodes() {
        let body = json!({ "transactional_id": "billing/1", "node": node });
        controlled.done("/v1/transactions/move-coordinator", body).await;
        assert_eq!(cluster.transaction_coordinator("billing/1"), Some(node));
    }
    controlled.done("/v1/transactions/lose-coordinator", json!({ "transactional_id": "billing/1" })).await;
    assert_eq!(cluster.transaction_coordinator("billing/1"), None);
    assert_eq!(cluster.coordinator("billing/1"), None, "groups have coordinators of their own");
    controlled.done("/v1/transactions/expire", json!({})).await;
}

/// Asks for ApiVersions, whose answer begins with its length, the correlation id and the error code.
async fn api_versions(address: &str) -> Option<i16> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255]).await.unwrap();
    let mut head = [0; 10];
    stream.read_exact(&mut head).await.ok()?;
    Some(i16::from_be_bytes([head[8], head[9]]))
}

#[tokio::test]
async fn rules_strike_and_are_counted_until_they_are_removed() {
    let controlled = Controlled::start().await;
    let address = controlled.cluster.address(1).unwrap();
    let rule = json!({
        "api": "ApiVersions", "node": 1, "skip": 1, "times": "always",
        "effect": { "type": "answer_with", "error": "CLUSTER_AUTHORIZATION_FAILED" },
    });
    let (status, body) = controlled.call("POST", "/v1/faults", &rule.to_string()).await;
    assert_eq!((status, &body), (201, &json!({ "id": 1 })));
    assert_eq!(api_versions(&address).await, Some(0));
    assert_eq!(api_versions(&address).await, Some(31));
    assert_eq!(api_versions(&address).await, Some(31));
    let (_, body) = controlled.call("GET", "/v1/faults/1", "").await;
    assert_eq!(body["fired"], 2);
    assert_eq!(body["rule"]["effect"], rule["effect"]);
    assert_eq!(controlled.call("DELETE", "/v1/faults/1", "").await.0, 204);
    assert_eq!(api_versions(&address).await, Some(0));
    assert_eq!(controlled.call("DELETE", "/v1/faults/1", "").await.0, 404);

    let close = r#"{"effect": {"type": "close_before_work"}, "times": 2}"#;
    assert_eq!(controlled.call("POST", "/v1/faults", close).await, (201, json!({ "id": 2 })));
    assert_eq!(api_versions(&address).await, None);
    assert_eq!(controlled.call("DELETE", "/v1/faults", "").await.0, 204);
    assert_eq!(api_versions(&address).await, Some(0));
    assert_eq!(controlled.call("GET", "/v1/faults", "").await, (200, json!({ "faults": [] })));
}

impl Controlled {
    async fn rule(&self, rule: Value) -> String {
        let (status, body) = self.call("POST", "/v1/faults", &rule.to_string()).await;
        assert_eq!(status, 201, "{rule}: {body}");
        format!("/v1/faults/{}", body["id"])
    }

    async fn fired(&self, rule: &str) -> Value {
        self.call("GET", rule, "").await.1["fired"].clone()
    }
}

#[tokio::test]
async fn connections_are_cut_slow_refused_and_broken() {
    let controlled = Controlled::start().await;
    let address = controlled.cluster.address(1).unwrap();
    let cases = [
        (json!({ "type": "refuse" }), json!(1)),
        (json!({ "type": "reset" }), json!(1)),
        (json!({ "type": "truncate", "keep_bytes": 9 }), json!(1)),
        (json!({ "type": "delay", "ms": 20 }), json!(1)),
        (json!({ "type": "slow", "bytes_per_second": 100_000 }), json!(1)),
    ];
    for (effect, fired) in cases {
        let rule = json!({ "node": 1, "direction": "down", "effect": effect });
        let rule = controlled.rule(rule).await;
        let is_broken = !matches!(effect["type"].as_str(), Some("delay" | "slow"));
        assert_eq!(api_versions(&address).await.is_none(), is_broken, "{effect}");
        assert_eq!(controlled.fired(&rule).await, fired, "{effect}");
        assert_eq!(controlled.call("DELETE", &rule, "").await.0, 204);
        assert_eq!(api_versions(&address).await, Some(0), "{effect}");
    }

    let elsewhere = json!({ "peer": "127.0.0.2", "effect": { "type": "reset" } });
    let elsewhere = controlled.rule(elsewhere).await;
    let cut =
        json!({ "api": "ApiVersions", "peer": "127.0.0.1", "times": 1, "effect": { "type": "silence" } });
    let cut = controlled.rule(cut).await;
    let mut held = std::pin::pin!(api_versions(&address));
    let meanwhile = async {
        while controlled.fired(&cut).await != json!(1) {}
        assert_eq!(api_versions(&address).await, Some(0), "once is once");
    };
    tokio::select! {
        biased;
        _ = &mut held => panic!("nothing arrives"),
        () = meanwhile => {}
    }
    assert_eq!(controlled.call("DELETE", &cut, "").await.0, 204);
    assert_eq!(held.await, Some(0));
    assert_eq!(controlled.fired(&elsewhere).await, json!(0));
}

#[tokio::test]
async fn connections_that_exist_are_reset() {
    let controlled = Controlled::start().await;
    let mut streams = Vec::new();
    for node in [1, 1, 2] {
        streams.push(TcpStream::connect(controlled.cluster.address(node).unwrap()).await.unwrap());
    }
    controlled.cluster.until(|cluster| cluster.connections(1) == 2 && cluster.connections(2) == 1).await;
    let peer = streams[1].local_addr().unwrap().to_string();
    for (body, reset) in
        [(json!({ "peer": peer }), 1), (json!({ "node": 1, "times": 5 }), 1), (json!({}), 1), (json!({}), 0)]
    {
        let answer = controlled.call("POST", "/v1/connections/reset", &body.to_string()).await;
        assert_eq!(answer, (200, json!({ "connections": reset })), "{body}");
    }
    for mut stream in streams {
        let error = stream.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn every_effect_that_is_described_is_taken() {
    let controlled = Controlled::start().await;
    let described: Value = serde_json::from_str(OPENAPI).unwrap();
    let schemas = &described["components"]["schemas"];
    let effects = schemas["Effect"]["oneOf"].as_array().unwrap();
    assert_eq!(effects.len(), 16);
    for schema in effects {
        let mut effect = json!({});
        for (name, property) in schema["properties"].as_object().unwrap() {
            effect[name] = match (name.as_str(), &property["type"]) {
                ("type", _) => property["const"].clone(),
                ("error", _) => json!("UNKNOWN_SERVER_ERROR"),
                (_, kind) => {
                    assert!(kind.to_string().contains("integer"), "{name}: {kind}");
                    json!(1)
                }
            };
        }
        let about = schema["description"].as_str().unwrap();
        let topic = about.contains("Needs a topic").then_some("orders");
        let mut rule = json!({ "effect": effect, "times": 0, "skip": 1, "probability": 0.5, "node": 1 });
        if let Some(topic) = topic {
            rule["topic"] = json!(topic);
        }
        if about.starts_with("Connections:") {
            rule["direction"] = json!("up");
            rule["peer"] = json!("127.0.0.1:50000");
        }
        let rule_of = controlled.rule(rule.clone()).await;
        let (_, body) = controlled.call("GET", &rule_of, "").await;
        assert_eq!(body["rule"], rule);
        let known = schemas["Rule"]["properties"].as_object().unwrap();
        assert!(rule.as_object().unwrap().keys().all(|key| known.contains_key(key)));
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_the_reason() {
    let controlled = Controlled::start().await;
    let effect = r#"{"type": "lose_answer"}"#;
    let refused = [
        ("POST", "/v1/faults", "{", 400, "not JSON"),
        ("POST", "/v1/faults", "{}", 422, "effect"),
        ("POST", "/v1/faults", &format!(r#"{{"effect": {effect}, "apis": "Produce"}}"#), 422, "apis"),
        ("POST", "/v1/faults", &format!(r#"{{"effect": {effect}, "api": "Produced"}}"#), 422, "Produced"),
        ("POST", "/v1/faults", &format!(r#"{{"effect": {effect}, "probability": 2}}"#), 422, "0 to 1"),
        ("POST", "/v1/faults", &format!(r#"{{"effect": {effect}, "partition": 2}}"#), 422, "topic"),
        ("POST", "/v1/faults", r#"{"effect": {"type": "answer_with", "error": "NO"}}"#, 422, "NO"),
        ("POST", "/v1/faults", r#"{"effect": {"type": "hide_topic"}}"#, 422, "topic"),
        (
            "POST",
            "/v1/faults",
            r#"{"topic": "t", "effect": {"type": "truncate_answer"}}"#,
            422,
            "whole requests",
        ),
        ("POST", "/v1/faults", r#"{"direction": "up", "effect": {"type": "lose_answer"}}"#, 422, "direction"),
        ("POST", "/v1/faults", r#"{"peer": "127.0.0.1", "effect": {"type": "lose_answer"}}"#, 422, "peer"),
        ("POST", "/v1/faults", r#"{"peer": "somewhere", "effect": {"type": "reset"}}"#, 422, "somewhere"),
        ("POST", "/v1/faults", r#"{"direction": "left", "effect": {"type": "reset"}}"#, 422, "left"),
        ("POST", "/v1/faults", r#"{"topic": "t", "effect": {"type": "reset"}}"#, 422, "connections"),
        ("POST", "/v1/faults", r#"{"effect": {"type": "slow", "bytes_per_second": 0}}"#, 422, "nonzero"),
        ("POST", "/v1/connections/reset", r#"{"api": "Fetch"}"#, 422, "api"),
        ("POST", "/v1/connections/reset", r#"{"probability": -1}"#, 422, "0 to 1"),
        (
            "POST",
            "/v1/transactions/move-coordinator",
            r#"{"transactional_id": "t", "node": 9}"#,
            422,
            "node 9",
        ),
        ("PUT", "/v1/faults", "", 405, "GET, POST, DELETE"),
        ("GET", "/v1/nodes/1/kill", "", 405, "POST"),
        ("POST", "/v1/cluster", "", 405, "GET"),
        ("POST", "/v1/nodes/9/kill", "", 404, "node 9"),
        ("POST", "/v1/nodes/one/kill", "", 400, "one"),
        ("POST", "/v1/nodes/1/explode", "", 404, "openapi.json"),
        ("POST", "/v1/nodes/1/stop", r#"{"now": true}"#, 422, "now"),
        ("POST", "/v1/topics/none/recreate", "", 404, "none"),
        ("POST", "/v1/topics/orders/partitions/7/lose-leader", "", 404, "7"),
        ("POST", "/v1/topics/orders/partitions/0/move-leader", r#"{"node": 9}"#, 422, "node 9"),
        ("GET", "/", "", 404, "openapi.json"),
        ("POST", "/v1/clock", &"x".repeat(100_000), 413, "65536"),
    ];
    for (method, path, body, expected, text) in refused {
        let (status, answer) = controlled.call(method, path, body).await;
        assert_eq!(status, expected, "{method} {path} {body}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(text), "{answer}");
    }
    assert_eq!(controlled.call("GET", "/v1/faults", "").await.1, json!({ "faults": [] }));
}

#[tokio::test]
async fn every_path_that_is_described_is_there() {
    let controlled = Controlled::start().await;
    let described: Value = serde_json::from_str(OPENAPI).unwrap();
    assert_eq!(controlled.call("GET", "/openapi.json", "").await, (200, described.clone()));
    for (path, item) in described["paths"].as_object().unwrap() {
        let path = path.replace("{node}", "1").replace("{topic}", "orders").replace("{partition}", "0");
        let path = path.replace("{id}", "1");
        for method in ["get", "post", "delete"] {
            // A body that nothing takes, so that nothing happens.
            let (status, body) = controlled.call(&method.to_uppercase(), &path, r#"{"nothing": 1}"#).await;
            let is_described = item.get(method).is_some();
            assert_eq!(status != 405, is_described, "{method} {path}: {status} {body}");
            let text = body["error"].as_str().unwrap_or_default();
            assert!(!text.contains("there is nothing at"), "{method} {path}: {text}");
        }
    }
}

#[tokio::test]
async fn dropping_the_port_closes_it_and_leaves_the_cluster() {
    let controlled = Controlled::start().await;
    let Controlled { cluster, port } = controlled;
    let address = port.address();
    let mut open = TcpStream::connect(address).await.unwrap();
    drop(port);
    assert_eq!(open.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(api_versions(&cluster.address(1).unwrap()).await, Some(0));
}
