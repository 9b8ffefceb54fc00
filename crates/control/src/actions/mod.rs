//! What an action does to the cluster.

mod connections;
mod coordinators;
mod nodes;
mod partitions;

use milena_broker::{ApiKey, Cluster, NodeId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::answer::{Answer, Refusal};
pub(crate) use connections::reset_connections;
pub(crate) use coordinators::{GroupAction, TransactionAction, on_group, on_transactions};
pub(crate) use nodes::{NodeAction, on_node};
pub(crate) use partitions::{PartitionAction, on_partition, recreate_topic};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TurnClock {
    by_ms: i64,
}

/// Reads a body; an empty one is `{}`.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Refusal::senseless(error),
        _ => Refusal::malformed(format!("the body is not JSON: {error}")),
    })
}

pub(crate) fn describe(cluster: &Cluster) -> Value {
    let node = |id: NodeId| {
        json!({
            "id": id,
            "address": cluster.address(id),
            "running": cluster.is_running(id),
            "connections": cluster.connections(id),
        })
    };
    let partition = |topic: &str, index: i32| {
        json!({
            "partition": index,
            "leader": cluster.leader(topic, index),
            "leader_epoch": cluster.leader_epoch(topic, index),
        })
    };
    let topic = |name: String| {
        let partitions: Vec<Value> =
            (0..cluster.partitions(&name)).map(|index| partition(&name, index)).collect();
        json!({ "id": cluster.topic_id(&name).map(|id| id.to_string()), "name": name, "partitions": partitions })
    };
    json!({
        "bootstrap": cluster.bootstrap(),
        "nodes": cluster.nodes().map(node).collect::<Vec<_>>(),
        "topics": cluster.topics().into_iter().map(topic).collect::<Vec<_>>(),
    })
}

/// How many requests of each API every node has begun to work on; APIs that nobody asked for are left out.
pub(crate) fn requests(cluster: &Cluster) -> Value {
    let of_node = |node: NodeId| {
        let counts = ApiKey::ALL.iter().map(|api| (api.to_string(), cluster.requests_to(node, *api)));
        let asked = counts.filter(|(_, count)| *count > 0);
        (node.to_string(), asked.map(|(api, count)| (api, Value::from(count))).collect::<Map<_, _>>().into())
    };
    json!({ "nodes": cluster.nodes().map(of_node).collect::<Map<String, Value>>() })
}

pub(crate) fn turn_clock(cluster: &Cluster, body: &[u8]) -> Result<Answer, Refusal> {
    let TurnClock { by_ms } = parse(body)?;
    cluster.faults().turn_clock(by_ms);
    Ok(Answer::done())
}

fn has_node(cluster: &Cluster, node: NodeId) -> Result<(), Refusal> {
    match cluster.address(node) {
        Some(_) => Ok(()),
        None => Err(Refusal::senseless(format!("there is no node {node}"))),
    }
}
