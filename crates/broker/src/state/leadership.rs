//! Who leads a partition and who is in sync (Java: `PartitionRegistration`, `PartitionChangeBuilder`; KIP-320, 631).
//!
//! ```text
//!             create                    leader lost, others in sync
//!   (none) ----------> led by replica -----------------------------> led by the next in-sync replica, leader epoch + 1
//!                        ^        |
//!   in-sync replica back |        | leader lost, nobody else in sync
//!        leader epoch + 1|        v leader epoch + 1
//!                        +---- leaderless
//! ```

use crate::NodeId;

/// The replicas of one partition and their roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leadership {
    /// In order of preference.
    pub(crate) replicas: Vec<NodeId>,
    /// In the order of `replicas`; never empty: the last one in sync stays when it is lost.
    pub(crate) isr: Vec<NodeId>,
    pub(crate) leader: Option<NodeId>,
    pub(crate) leader_epoch: i32,
    /// Changes with every change of this.
    pub(crate) partition_epoch: i32,
}

impl Leadership {
    /// The first replica that `is_alive` leads; those alive are in sync.
    pub(crate) fn new(replicas: Vec<NodeId>, is_alive: impl Fn(NodeId) -> bool) -> Self {
        let isr: Vec<_> = replicas.iter().copied().filter(|node| is_alive(*node)).collect();
        let leader = isr.first().copied();
        Self { replicas, isr, leader, leader_epoch: 0, partition_epoch: 0 }
    }

    /// Takes a lost node out of the ISR and, if it led, elects the next in-sync replica. Whether anything changed.
    pub(crate) fn node_lost(&mut self, node: NodeId) -> bool {
        if !self.isr.contains(&node) {
            return false;
        }
        if self.isr.len() > 1 {
            self.isr.retain(|other| *other != node);
        } else if self.leader != Some(node) {
            return false;
        }
        if self.leader == Some(node) {
            self.leader = self.isr.iter().copied().find(|other| *other != node);
            self.leader_epoch += 1;
        }
        self.partition_epoch += 1;
        true
    }

    /// Takes a returned node into the ISR; it leads if nobody does and it was in sync. Whether anything changed.
    pub(crate) fn node_back(&mut self, node: NodeId) -> bool {
        if !self.replicas.contains(&node) {
            return false;
        }
        let was_in_sync = self.isr.contains(&node);
        if self.leader.is_none() && was_in_sync {
            self.leader = Some(node);
            self.leader_epoch += 1;
        } else if self.leader.is_some() && !was_in_sync {
            self.isr =
                self.replicas.iter().copied().filter(|one| *one == node || self.isr.contains(one)).collect();
        } else {
            return false;
        }
        self.partition_epoch += 1;
        true
    }

    /// Makes `node` the leader in a new epoch, in sync or not.
    pub(crate) fn elect(&mut self, node: NodeId) {
        if !self.replicas.contains(&node) {
            self.replicas.push(node);
        }
        if !self.isr.contains(&node) {
            self.isr.push(node);
        }
        self.leader = Some(node);
        self.leader_epoch += 1;
        self.partition_epoch += 1;
    }

    /// Makes `node`, which was not in sync, the leader in a new epoch; nobody else is in sync with it.
    pub(crate) fn elect_uncleanly(&mut self, node: NodeId) {
        self.isr = vec![node];
        self.elect(node);
    }

    /// Gives the partition other replicas; those alive are in sync at once, because they share the log. The leader
    /// stays if it can.
    pub(crate) fn reassign(&mut self, replicas: &[NodeId], is_alive: impl Fn(NodeId) -> bool) {
        if self.replicas == replicas {
            return;
        }
        self.replicas = replicas.to_vec();
        self.isr = replicas.iter().copied().filter(|node| is_alive(*node)).collect();
        self.partition_epoch += 1;
        if !self.leader.is_some_and(|leader| self.isr.contains(&leader)) {
            self.leader = self.isr.first().copied();
            self.leader_epoch += 1;
        }
    }

    /// Leaves the partition without a leader, in a new epoch.
    pub(crate) fn resign(&mut self) {
        self.leader = None;
        self.leader_epoch += 1;
        self.partition_epoch += 1;
    }

    /// Sets who is in sync; those that are no replicas are ignored, and an empty list changes nothing.
    pub(crate) fn set_isr(&mut self, isr: &[NodeId]) {
        let isr: Vec<_> = self.replicas.iter().copied().filter(|node| isr.contains(node)).collect();
        if !isr.is_empty() && isr != self.isr {
            self.isr = isr;
            self.partition_epoch += 1;
        }
    }

    /// Whether enough replicas are in sync for `acks=all`: `min.insync.replicas`, or all where there are fewer.
    pub(crate) fn has_min_isr(&self, min_insync_replicas: usize) -> bool {
        self.isr.len() >= min_insync_replicas.min(self.replicas.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Leadership {
        Leadership::new(vec![2, 3, 1], |_| true)
    }

    /// Leader, leader epoch, ISR.
    fn roles(leadership: &Leadership) -> (Option<NodeId>, i32, Vec<NodeId>) {
        (leadership.leader, leadership.leader_epoch, leadership.isr.clone())
    }

    #[test]
    fn every_transition() {
        let mut it = three();
        assert_eq!(roles(&it), (Some(2), 0, vec![2, 3, 1]));
        assert!(it.node_lost(3), "a follower leaves the ISR");
        assert_eq!(roles(&it), (Some(2), 0, vec![2, 1]));
        assert!(it.node_lost(2), "the leader leaves: the next in sync leads");
        assert_eq!(roles(&it), (Some(1), 1, vec![1]));
        assert!(it.node_lost(1), "the last in sync stays in the ISR, and nobody leads");
        assert_eq!(roles(&it), (None, 2, vec![1]));
        assert!(!it.node_lost(1));
        assert!(!it.node_back(2), "a replica out of sync may not lead");
        assert!(it.node_back(1));
        assert_eq!(roles(&it), (Some(1), 3, vec![1]));
        assert!(it.node_back(2), "a replica comes back into sync without a new leader epoch");
        assert_eq!(roles(&it), (Some(1), 3, vec![2, 1]));
        assert!(!it.node_back(2) && !it.node_back(9));
        assert_eq!(it.partition_epoch, 5);
    }

    #[test]
    fn dead_replicas_neither_lead_nor_are_in_sync_at_creation() {
        assert_eq!(roles(&Leadership::new(vec![1, 2], |node| node == 2)), (Some(2), 0, vec![2]));
    }

    #[test]
    fn elect_and_resign_begin_new_epochs() {
        let mut it = three();
        it.elect(1);
        assert_eq!(roles(&it), (Some(1), 1, vec![2, 3, 1]));
        it.resign();
        assert_eq!(roles(&it), (None, 2, vec![2, 3, 1]));
    }

    #[test]
    fn an_unclean_leader_is_alone_in_sync() {
        let mut it = three();
        assert!([2, 3, 1].into_iter().all(|node| it.node_lost(node)));
        it.elect_uncleanly(3);
        assert_eq!(roles(&it), (Some(3), 4, vec![3]));
    }

    #[test]
    fn a_reassigned_partition_keeps_its_leader_if_it_can() {
        let mut it = three();
        it.reassign(&[1, 2], |_| true);
        assert_eq!(roles(&it), (Some(2), 0, vec![1, 2]));
        it.reassign(&[3, 1], |node| node != 3);
        assert_eq!(roles(&it), (Some(1), 1, vec![1]));
        assert_eq!((it.replicas.clone(), it.partition_epoch), (vec![3, 1], 2));
        it.reassign(&[3, 1], |_| true);
        assert_eq!(it.partition_epoch, 2, "the same replicas again change nothing");
    }

    #[test]
    fn min_isr_is_capped_by_the_replication_factor() {
        let mut it = Leadership::new(vec![1, 2], |_| true);
        assert!(it.has_min_isr(3));
        it.node_lost(2);
        assert!(!it.has_min_isr(2) && it.has_min_isr(1));
    }
}
