//! Leader hints in answers (KIP-951): who leads now, and where to find it.

use std::collections::BTreeMap;

use milena_protocol::ByteStr;

use crate::NodeId;
use crate::node::RequestContext;
use crate::state::{NodeInfo, Partition};

/// Collects the nodes that an answer points to.
#[derive(Debug, Default)]
pub(super) struct LeaderHints {
    nodes: BTreeMap<NodeId, NodeInfo>,
}

/// A partition's leader, -1 if it has none, and the epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeaderHint {
    pub(super) leader_id: i32,
    pub(super) leader_epoch: i32,
}

/// A node's place in an answer.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) node_id: i32,
    pub(super) host: ByteStr,
    pub(super) port: i32,
    pub(super) rack: Option<ByteStr>,
}

impl LeaderHints {
    /// Points to the leader of a partition.
    pub(super) fn point_to(&mut self, context: &RequestContext<'_>, partition: &Partition) -> LeaderHint {
        let state = context.shared.state();
        let (leader, leader_epoch) = {
            let partition = partition.lock();
            (partition.leadership.leader, partition.leadership.leader_epoch)
        };
        if let Some(info) = leader.and_then(|leader| state.node(leader)).filter(|info| info.alive) {
            self.nodes.insert(info.node, info.clone());
        }
        LeaderHint { leader_id: leader.unwrap_or(-1), leader_epoch }
    }

    /// The nodes, in the order of their ids.
    pub(super) fn into_endpoints(self) -> impl Iterator<Item = Endpoint> {
        self.nodes.into_values().map(|info| Endpoint {
            node_id: info.node,
            host: info.host,
            port: i32::from(info.port),
            rack: info.rack,
        })
    }
}
