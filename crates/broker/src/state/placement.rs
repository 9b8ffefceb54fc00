//! Which nodes hold a partition (Java: `StripedReplicaPlacer`): leaders spread evenly, replicas over racks.

use std::collections::BTreeMap;

use super::AdminError;
use crate::NodeId;
use milena_protocol::ErrorCode;

/// A node as a place for replicas.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) node: NodeId,
    pub(crate) rack: Option<String>,
    pub(crate) alive: bool,
}

/// Assigns `partitions` partitions, `replication_factor` replicas each; the first replica is the preferred leader.
///
/// `start` turns the order, so that topics do not all begin on the same node. Nodes that are down are used only where
/// there are not enough others, and never as first replica.
pub(crate) fn place(
    places: &[Place],
    partitions: usize,
    replication_factor: usize,
    start: usize,
) -> Result<Vec<Vec<NodeId>>, AdminError> {
    let alive = by_alternating_racks(places.iter().filter(|place| place.alive));
    let down = by_alternating_racks(places.iter().filter(|place| !place.alive));
    if replication_factor > places.len() {
        return Err(refused(format!(
            "replication factor {replication_factor} needs as many brokers, and there is only {} broker(s)",
            places.len()
        )));
    }
    if alive.is_empty() {
        return Err(refused("no broker is alive to lead a partition".to_owned()));
    }
    let replicas_of = |partition: usize| {
        let turned = alive.iter().cycle().skip((start + partition) % alive.len()).take(alive.len());
        turned.chain(&down).copied().take(replication_factor).collect()
    };
    Ok((0..partitions).map(replicas_of).collect())
}

/// One node of each rack in turn, racks and nodes in order.
fn by_alternating_racks<'a>(places: impl Iterator<Item = &'a Place>) -> Vec<NodeId> {
    let mut racks: BTreeMap<Option<&str>, Vec<NodeId>> = BTreeMap::new();
    for place in places {
        racks.entry(place.rack.as_deref()).or_default().push(place.node);
    }
    let longest = racks.values().map(Vec::len).max().unwrap_or(0);
    (0..longest).flat_map(|turn| racks.values().filter_map(move |nodes| nodes.get(turn).copied())).collect()
}

fn refused(message: String) -> AdminError {
    AdminError::new(ErrorCode::InvalidReplicationFactor, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(racks: &[(&str, bool)]) -> Vec<Place> {
        let place = |(index, (rack, alive)): (usize, &(&str, bool))| Place {
            node: index as NodeId + 1,
            rack: Some((*rack).to_owned()),
            alive: *alive,
        };
        racks.iter().enumerate().map(place).collect()
    }

    #[test]
    fn leaders_are_spread_evenly() {
        let nodes = places(&[("a", true), ("a", true), ("a", true)]);
        let placed = place(&nodes, 6, 2, 4).expect("enough nodes");
        for node in 1..=3 {
            assert_eq!(placed.iter().filter(|replicas| replicas[0] == node).count(), 2);
        }
        assert_eq!(placed[0], [2, 3]);
    }

    #[test]
    fn replicas_are_in_different_racks() {
        let nodes = places(&[("a", true), ("a", true), ("b", true), ("b", true)]);
        let rack = |node: &NodeId| nodes[*node as usize - 1].rack.clone();
        for replicas in place(&nodes, 8, 2, 0).expect("enough nodes") {
            assert_ne!(rack(&replicas[0]), rack(&replicas[1]), "{replicas:?}");
        }
    }

    #[test]
    fn nodes_that_are_down_are_the_last_choice() {
        let nodes = places(&[("a", false), ("a", true), ("a", true)]);
        assert!(place(&nodes, 4, 2, 0).expect("enough").iter().all(|replicas| !replicas.contains(&1)));
        assert!(place(&nodes, 4, 3, 0).expect("enough").iter().all(|replicas| replicas[2] == 1));
    }

    #[test]
    fn too_few_nodes_are_refused() {
        let error = place(&places(&[("a", true)]), 1, 2, 0).expect_err("one node");
        assert_eq!(error.code, ErrorCode::InvalidReplicationFactor);
        assert!(place(&places(&[("a", false)]), 1, 1, 0).is_err());
    }
}
