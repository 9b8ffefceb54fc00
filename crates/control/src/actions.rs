//! What an action does to the cluster.

use milena_broker::{ApiKey, Cluster, NodeId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::answer::{Answer, Refusal};

/// What can be done to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeAction {
    Kill,
    Notice,
    Stop,
    Restart,
    Freeze,
    Unfreeze,
    StopReading,
    ResumeReading,
    Disconnect,
    ExpireFetchSessions,
    HoldTransactionMarkers,
    ReleaseTransactionMarkers,
}

impl NodeAction {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "kill" => Self::Kill,
            "notice" => Self::Notice,
            "stop" => Self::Stop,
            "restart" => Self::Restart,
            "freeze" => Self::Freeze,
            "unfreeze" => Self::Unfreeze,
            "stop-reading" => Self::StopReading,
            "resume-reading" => Self::ResumeReading,
            "disconnect" => Self::Disconnect,
            "expire-fetch-sessions" => Self::ExpireFetchSessions,
            "hold-transaction-markers" => Self::HoldTransactionMarkers,
            "release-transaction-markers" => Self::ReleaseTransactionMarkers,
            _ => return None,
        })
    }
}

/// What can be done to a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartitionAction {
    MoveLeader,
    LoseLeader,
    SetIsr,
    CorruptBatch,
    DeleteRecords,
    ForgetProducers,
}

impl PartitionAction {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "move-leader" => Self::MoveLeader,
            "lose-leader" => Self::LoseLeader,
            "set-isr" => Self::SetIsr,
            "corrupt-batch" => Self::CorruptBatch,
            "delete-records" => Self::DeleteRecords,
            "forget-producers" => Self::ForgetProducers,
            _ => return None,
        })
    }
}

/// What can be done to a consumer group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupAction {
    MoveCoordinator,
    LoseCoordinator,
    ExpireSessions,
}

impl GroupAction {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "move-coordinator" => Self::MoveCoordinator,
            "lose-coordinator" => Self::LoseCoordinator,
            "expire-sessions" => Self::ExpireSessions,
            _ => return None,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A group is named in the body, because its name may be any text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveCoordinator {
    group: String,
    node: NodeId,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Kill {
    unnoticed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveLeader {
    node: NodeId,
    /// Records from this offset on are lost: an unclean election.
    lose_from: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetIsr {
    isr: Vec<NodeId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AtOffset {
    offset: i64,
}

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

pub(crate) async fn on_node(
    cluster: &Cluster,
    node: NodeId,
    action: NodeAction,
    body: &[u8],
) -> Result<Answer, Refusal> {
    if cluster.address(node).is_none() {
        return Err(Refusal::not_found(format!("there is no node {node}")));
    }
    let faults = cluster.faults();
    if action == NodeAction::Kill {
        match parse::<Kill>(body)?.unnoticed {
            true => faults.kill_unnoticed(node).await,
            false => faults.kill(node).await,
        }
        return Ok(Answer::done());
    }
    parse::<Nothing>(body)?;
    match action {
        NodeAction::Kill => {}
        NodeAction::Notice => faults.notice(node),
        NodeAction::Stop => faults.stop(node).await,
        NodeAction::Restart => faults.restart(node).await.map_err(Refusal::failed)?,
        NodeAction::Freeze => faults.freeze(node),
        NodeAction::Unfreeze => faults.unfreeze(node),
        NodeAction::StopReading => faults.stop_reading(node),
        NodeAction::ResumeReading => faults.resume_reading(node),
        NodeAction::Disconnect => faults.disconnect(node).await,
        NodeAction::ExpireFetchSessions => faults.expire_fetch_sessions(node),
        NodeAction::HoldTransactionMarkers => faults.hold_transaction_markers(node),
        NodeAction::ReleaseTransactionMarkers => faults.release_transaction_markers(node),
    }
    Ok(Answer::done())
}

pub(crate) fn on_partition(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    action: PartitionAction,
    body: &[u8],
) -> Result<Answer, Refusal> {
    if cluster.log(topic, partition).is_none() {
        return Err(Refusal::not_found(format!("there is no partition {partition} of topic {topic:?}")));
    }
    let faults = cluster.faults();
    let has_node = |node| has_node(cluster, node);
    let is_done = match action {
        PartitionAction::MoveLeader => {
            let MoveLeader { node, lose_from } = parse(body)?;
            has_node(node)?;
            match lose_from {
                Some(offset) => faults.move_leader_and_lose_records(topic, partition, node, offset),
                None => faults.move_leader(topic, partition, node),
            }
        }
        PartitionAction::SetIsr => {
            let SetIsr { isr } = parse(body)?;
            isr.iter().try_for_each(|node| has_node(*node))?;
            faults.set_isr(topic, partition, &isr)
        }
        PartitionAction::CorruptBatch => {
            faults.corrupt_batch(topic, partition, parse::<AtOffset>(body)?.offset)
        }
        PartitionAction::DeleteRecords => {
            faults.delete_records(topic, partition, parse::<AtOffset>(body)?.offset)
        }
        PartitionAction::LoseLeader => {
            parse::<Nothing>(body)?;
            faults.lose_leader(topic, partition)
        }
        PartitionAction::ForgetProducers => {
            parse::<Nothing>(body)?;
            faults.forget_producers(topic, partition)
        }
    };
    match is_done {
        true => Ok(Answer::done()),
        false => Err(Refusal::senseless(format!("partition {partition} of {topic:?} has no such offset"))),
    }
}

pub(crate) fn on_group(cluster: &Cluster, action: GroupAction, body: &[u8]) -> Result<Answer, Refusal> {
    let faults = cluster.faults();
    match action {
        GroupAction::MoveCoordinator => {
            let MoveCoordinator { group, node } = parse(body)?;
            has_node(cluster, node)?;
            faults.move_coordinator(&group, node);
        }
        GroupAction::LoseCoordinator => faults.lose_coordinator(&parse::<Group>(body)?.group),
        GroupAction::ExpireSessions => {
            let Group { group } = parse(body)?;
            if cluster.group_state(&group).is_none() {
                return Err(Refusal::not_found(format!("there is no group {group:?}")));
            }
            faults.expire_group_sessions(&group);
        }
    }
    Ok(Answer::done())
}

fn has_node(cluster: &Cluster, node: NodeId) -> Result<(), Refusal> {
    match cluster.address(node) {
        Some(_) => Ok(()),
        None => Err(Refusal::senseless(format!("there is no node {node}"))),
    }
}

pub(crate) fn recreate_topic(cluster: &Cluster, topic: &str) -> Result<Answer, Refusal> {
    match cluster.faults().recreate_topic(topic) {
        Some(id) => Ok(Answer::json(&json!({ "id": id.to_string() }))),
        None => Err(Refusal::not_found(format!("there is no topic {topic:?}"))),
    }
}

pub(crate) fn turn_clock(cluster: &Cluster, body: &[u8]) -> Result<Answer, Refusal> {
    let TurnClock { by_ms } = parse(body)?;
    cluster.faults().turn_clock(by_ms);
    Ok(Answer::done())
}
