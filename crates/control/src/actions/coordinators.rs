//! What can be done to groups, transactions and their coordinators.

use milena_broker::{Cluster, NodeId};
use serde::Deserialize;

use super::{Nothing, has_node, parse};
use crate::answer::{Answer, Refusal};

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

/// What can be done to transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionAction {
    MoveCoordinator,
    LoseCoordinator,
    Expire,
}

impl TransactionAction {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "move-coordinator" => Self::MoveCoordinator,
            "lose-coordinator" => Self::LoseCoordinator,
            "expire" => Self::Expire,
            _ => return None,
        })
    }
}

/// A group is named in the body, because its name may be any text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    group: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveGroup {
    group: String,
    node: NodeId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transaction {
    transactional_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveTransaction {
    transactional_id: String,
    node: NodeId,
}

pub(crate) fn on_group(cluster: &Cluster, action: GroupAction, body: &[u8]) -> Result<Answer, Refusal> {
    let faults = cluster.faults();
    match action {
        GroupAction::MoveCoordinator => {
            let MoveGroup { group, node } = parse(body)?;
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

pub(crate) fn on_transactions(
    cluster: &Cluster,
    action: TransactionAction,
    body: &[u8],
) -> Result<Answer, Refusal> {
    let faults = cluster.faults();
    match action {
        TransactionAction::MoveCoordinator => {
            let MoveTransaction { transactional_id, node } = parse(body)?;
            has_node(cluster, node)?;
            faults.move_transaction_coordinator(&transactional_id, node);
        }
        TransactionAction::LoseCoordinator => {
            faults.lose_transaction_coordinator(&parse::<Transaction>(body)?.transactional_id);
        }
        TransactionAction::Expire => {
            parse::<Nothing>(body)?;
            faults.expire_transactions();
        }
    }
    Ok(Answer::done())
}
