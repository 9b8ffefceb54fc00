//! What can be done to partitions and topics.

use milena_broker::{Cluster, NodeId};
use serde::Deserialize;
use serde_json::json;

use super::{Nothing, has_node, parse};
use crate::answer::{Answer, Refusal};

/// What can be done to a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartitionAction {
    MoveLeader,
    LoseLeader,
    SetIsr,
    CorruptBatch,
    DeleteRecords,
    ForgetProducers,
    SetLastSequence,
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
            "set-last-sequence" => Self::SetLastSequence,
            _ => return None,
        })
    }
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
struct ForgetProducers {
    /// All, if none is named.
    producer_id: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetLastSequence {
    producer_id: i64,
    producer_epoch: i16,
    last_sequence: i32,
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
        PartitionAction::ForgetProducers => match parse::<ForgetProducers>(body)?.producer_id {
            Some(producer_id) => faults.forget_producer(topic, partition, producer_id),
            None => faults.forget_producers(topic, partition),
        },
        PartitionAction::SetLastSequence => {
            let SetLastSequence { producer_id, producer_epoch, last_sequence } = parse(body)?;
            faults.set_last_sequence(topic, partition, producer_id, producer_epoch, last_sequence)
        }
    };
    match is_done {
        true => Ok(Answer::done()),
        false => Err(Refusal::senseless(format!("partition {partition} of {topic:?} has no such offset"))),
    }
}

pub(crate) fn recreate_topic(cluster: &Cluster, topic: &str) -> Result<Answer, Refusal> {
    match cluster.faults().recreate_topic(topic) {
        Some(id) => Ok(Answer::json(&json!({ "id": id.to_string() }))),
        None => Err(Refusal::not_found(format!("there is no topic {topic:?}"))),
    }
}
