//! Who leads a partition, who is in sync and who may lead besides (Java: `PartitionRegistration`,
//! `PartitionChangeBuilder`; KIP-320, 631, 966).
//!
//! ```text
//!             create                    leader lost, others in sync
//!   (none) ----------> led by replica -----------------------------> led by the next in-sync replica, leader epoch + 1
//!                        ^        |
//!   eligible replica back|        | leader lost, nobody else in sync or eligible
//!        leader epoch + 1|        v leader epoch + 1
//!                        +---- leaderless
//! ```
//!
//! A replica that leaves the ISR while that is smaller than `min.insync.replicas` has all that was acknowledged, and stays
//! eligible until the ISR is large enough again: the ISR may become empty, and an eligible replica leads. Who comes back
//! from a crash may have lost what its disk was to have, and is eligible no more; the last leader may lead even then,
//! when nobody is left.

use crate::NodeId;

/// The replicas of one partition and their roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leadership {
    /// In order of preference.
    pub(crate) replicas: Vec<NodeId>,
    /// In the order in which they came into sync. Without eligible leader replicas never empty: the last one in sync
    /// stays when it is lost.
    pub(crate) isr: Vec<NodeId>,
    /// Not in sync, and yet with everything that was acknowledged; in the order of their ids.
    pub(crate) eligible: Vec<NodeId>,
    /// Who led last, while nobody does.
    pub(crate) last_leader: Option<NodeId>,
    pub(crate) leader: Option<NodeId>,
    pub(crate) leader_epoch: i32,
    /// Changes with every change of this.
    pub(crate) partition_epoch: i32,
}

/// What the controller goes by.
pub(crate) struct Rules<'a> {
    pub(crate) is_alive: &'a dyn Fn(NodeId) -> bool,
    /// `min.insync.replicas`, where there are eligible leader replicas.
    pub(crate) eligible_below: Option<usize>,
    /// Whether a replica may lead that is neither in sync nor eligible, where no other can.
    pub(crate) allows_unclean: bool,
}

impl Leadership {
    /// The first replica that `is_alive` leads; those alive are in sync.
    pub(crate) fn new(replicas: Vec<NodeId>, is_alive: impl Fn(NodeId) -> bool) -> Self {
        let isr: Vec<_> = replicas.iter().copied().filter(|node| is_alive(*node)).collect();
        let leader = isr.first().copied();
        let (eligible, last_leader) = (Vec::new(), None);
        Self { replicas, isr, eligible, last_leader, leader, leader_epoch: 0, partition_epoch: 0 }
    }

    /// Takes a lost node out of the ISR and, if it led, elects another leader. Whether anything changed.
    pub(crate) fn node_lost(&mut self, node: NodeId, rules: &Rules<'_>) -> bool {
        if !self.isr.contains(&node) {
            return false;
        }
        let isr = without(&self.isr, node);
        self.change(|it| {
            let had_leader = it.leader.is_some();
            it.set_in_sync(isr, None, rules);
            if had_leader {
                it.elect_any(rules);
            }
        })
    }

    /// A node registers again that has crashed: it may lack what it had. Whether anything changed.
    pub(crate) fn node_crashed(&mut self, node: NodeId, rules: &Rules<'_>) -> bool {
        if rules.eligible_below.is_none() {
            return false;
        }
        let isr = without(&self.isr, node);
        self.change(|it| {
            it.set_in_sync(isr, Some(node), rules);
            it.elect_any(rules);
        })
    }

    /// Takes a returned node into the ISR, after an election if nobody leads. Whether anything changed.
    pub(crate) fn node_back(&mut self, node: NodeId, rules: &Rules<'_>) -> bool {
        if !self.replicas.contains(&node) {
            return false;
        }
        self.change(|it| {
            if it.leader.is_none() {
                it.elect_any(rules);
            }
            if it.leader.is_some() {
                it.catch_up(|other| other == node, rules);
            }
        })
    }

    /// Elects a leader, if there is somebody who may lead and nobody who does. Whether anything changed.
    pub(crate) fn elect_if_possible(&mut self, rules: &Rules<'_>) -> bool {
        self.change(|it| it.elect_any(rules))
    }

    /// Has the first replica lead, or whoever may if nobody does. Whether anything changed.
    pub(crate) fn elect_preferred(&mut self, rules: &Rules<'_>) -> bool {
        let preferred = self.replicas.first().copied();
        self.change(|it| match preferred.filter(|node| it.may_lead(*node, rules)) {
            Some(preferred) => it.follow(Some(preferred), rules),
            None => it.elect_any(rules),
        })
    }

    /// Makes `node` the leader in a new epoch, in sync or not.
    pub(crate) fn elect(&mut self, node: NodeId, rules: &Rules<'_>) {
        if !self.replicas.contains(&node) {
            self.replicas.push(node);
        }
        let mut isr = self.isr.clone();
        if !isr.contains(&node) {
            isr.push(node);
        }
        self.set_in_sync(isr, None, rules);
        self.last_leader = None;
        self.leader = Some(node);
        self.leader_epoch += 1;
        self.partition_epoch += 1;
    }

    /// Gives the partition other replicas; those alive are in sync at once, because they share the log. The leader
    /// stays if it can, in a new epoch if a replica is gone.
    pub(crate) fn reassign(&mut self, replicas: &[NodeId], rules: &Rules<'_>) {
        self.change(|it| {
            let is_kept = |node: &NodeId| replicas.contains(node);
            let (leader, leader_epoch) = (it.leader, it.leader_epoch);
            let has_lost_some = !it.replicas.iter().all(is_kept);
            it.isr.retain(is_kept);
            it.eligible.retain(is_kept);
            it.last_leader = it.last_leader.filter(is_kept);
            it.replicas = replicas.to_vec();
            let isr = replicas.iter().copied().filter(|node| (rules.is_alive)(*node)).collect();
            it.set_in_sync(isr, None, rules);
            it.elect_any(rules);
            if has_lost_some && it.leader == leader && it.leader_epoch == leader_epoch {
                it.leader_epoch += 1;
            }
        });
    }

    /// Leaves the partition without a leader, in a new epoch.
    pub(crate) fn resign(&mut self) {
        self.leader = None;
        self.leader_epoch += 1;
        self.partition_epoch += 1;
    }

    /// Sets who is in sync; those that are no replicas are ignored, and an empty list changes nothing.
    pub(crate) fn set_isr(&mut self, isr: &[NodeId], rules: &Rules<'_>) {
        let isr: Vec<_> = self.replicas.iter().copied().filter(|node| isr.contains(node)).collect();
        if !isr.is_empty() {
            self.change(|it| it.set_in_sync(isr, None, rules));
        }
    }

    /// Forgets who else may lead, since `min.insync.replicas` is another (Java: `ClearElrRecord`).
    pub(crate) fn forget_eligible(&mut self) {
        self.change(|it| {
            it.eligible.clear();
            it.last_leader = None;
        });
    }

    /// Whether enough replicas are in sync for `acks=all`: `min.insync.replicas`, or all where there are fewer.
    pub(crate) fn has_min_isr(&self, min_insync_replicas: usize) -> bool {
        self.isr.len() >= min_insync_replicas.min(self.replicas.len())
    }

    /// Carries out a change in a new partition epoch; false if nothing is different.
    fn change(&mut self, change: impl FnOnce(&mut Self)) -> bool {
        let before = self.clone();
        change(self);
        let is_changed = *self != before;
        self.partition_epoch += i32::from(is_changed);
        is_changed
    }

    /// Sets who is in sync, and with that who is eligible: whoever leaves while too few are in sync, unless it crashed
    /// (Java: `PartitionChangeBuilder.maybePopulateTargetElr`).
    fn set_in_sync(&mut self, isr: Vec<NodeId>, crashed: Option<NodeId>, rules: &Rules<'_>) {
        let Some(min_insync_replicas) = rules.eligible_below else {
            self.eligible.clear();
            if !isr.is_empty() {
                self.isr = isr;
            }
            return;
        };
        let left = std::mem::replace(&mut self.isr, isr);
        self.eligible.extend(left);
        self.eligible.sort_unstable();
        self.eligible.dedup();
        let has_min_isr = self.has_min_isr(min_insync_replicas);
        let isr = &self.isr;
        self.eligible.retain(|node| !has_min_isr && !isr.contains(node) && Some(*node) != crashed);
    }

    /// Elects a leader, unless the one there is may go on (Java: `PartitionChangeBuilder.electAnyLeader`).
    fn elect_any(&mut self, rules: &Rules<'_>) {
        if self.leader.is_some_and(|leader| self.may_lead(leader, rules)) {
            return;
        }
        let is_alive = |node: &NodeId| (rules.is_alive)(*node);
        let cleanly = self.replicas.iter().copied().find(|node| self.may_lead(*node, rules));
        if cleanly.is_some() {
            return self.follow(cleanly, rules);
        }
        let is_nobody_left =
            rules.eligible_below.is_some() && self.isr.is_empty() && self.eligible.is_empty();
        let last_leader = self.last_leader.filter(|node| is_nobody_left && is_alive(node));
        let any = || self.replicas.iter().copied().find(is_alive).filter(|_| rules.allows_unclean);
        let uncleanly = last_leader.or_else(any);
        if uncleanly.is_some() {
            self.isr.clear();
            self.eligible.clear();
        }
        self.follow(uncleanly, rules);
    }

    fn may_lead(&self, node: NodeId, rules: &Rules<'_>) -> bool {
        let is_eligible = self.isr.contains(&node) || self.isr.is_empty() && self.eligible.contains(&node);
        // The last one in sync is in sync no more once it is dead.
        is_eligible && (rules.is_alive)(node)
    }

    /// Has everybody follow this leader, or nobody, in a new epoch.
    fn follow(&mut self, leader: Option<NodeId>, rules: &Rules<'_>) {
        if leader == self.leader {
            return;
        }
        let before = std::mem::replace(&mut self.leader, leader);
        self.leader_epoch += 1;
        match leader {
            Some(node) => {
                self.last_leader = None;
                let begins_alone = self.isr.is_empty();
                if begins_alone {
                    self.isr = vec![node];
                    self.eligible.retain(|other| *other != node);
                }
                if begins_alone || before.is_none() {
                    self.catch_up(rules.is_alive, rules);
                }
            }
            // Unless it is no replica any more.
            None if rules.eligible_below.is_some() => {
                self.last_leader = self.last_leader.or(before).filter(|node| self.replicas.contains(node));
            }
            None => {}
        }
    }

    /// Takes replicas into the ISR: they catch up with the leader at once, because they share the log.
    fn catch_up(&mut self, does: impl Fn(NodeId) -> bool, rules: &Rules<'_>) {
        let behind = self.replicas.iter().copied().filter(|node| !self.isr.contains(node) && does(*node));
        let isr = self.isr.iter().copied().chain(behind).collect();
        self.set_in_sync(isr, None, rules);
    }
}

fn without(nodes: &[NodeId], node: NodeId) -> Vec<NodeId> {
    nodes.iter().copied().filter(|other| *other != node).collect()
}

#[cfg(test)]
mod tests;
