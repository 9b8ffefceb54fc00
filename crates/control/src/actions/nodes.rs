//! What can be done to nodes.

use milena_broker::{Cluster, NodeId};
use serde::Deserialize;

use super::{Nothing, parse};
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

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Kill {
    unnoticed: bool,
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
    let kill = match action {
        NodeAction::Kill => parse(body)?,
        _ => parse::<Nothing>(body).map(|_| Kill::default())?,
    };
    match action {
        NodeAction::Kill if kill.unnoticed => faults.kill_unnoticed(node).await,
        NodeAction::Kill => faults.kill(node).await,
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
