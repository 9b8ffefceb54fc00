//! Leaders elected and replicas moved on request (Java: `ReplicationControlManager`, `PartitionChangeBuilder`).

use milena_protocol::ErrorCode;

use super::{AdminError, ClusterState, Leadership, Partition, PartitionState, Rules};
use crate::NodeId;

/// Which replica is to lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Election {
    /// The first one.
    Preferred,
    /// Any that is alive, where none is in sync.
    Unclean,
}

impl ClusterState {
    /// Changes who leads a partition, by the rules for it.
    pub(crate) fn lead<T>(
        &self,
        partition: &Partition,
        change: impl FnOnce(&mut Leadership, &Rules<'_>) -> T,
    ) -> T {
        self.lead_locked(&mut partition.lock(), change)
    }

    /// As [`Self::lead`], of a partition that is locked for more than that.
    pub(crate) fn lead_locked<T>(
        &self,
        state: &mut PartitionState,
        change: impl FnOnce(&mut Leadership, &Rules<'_>) -> T,
    ) -> T {
        let config = state.log.config().clone();
        let rules = Rules {
            is_alive: &|node| self.is_alive(node),
            eligible_below: self.features.has_eligible_leaders().then_some(config.min_insync_replicas),
            allows_unclean: config.unclean_leader_election,
        };
        state.change_leadership(|leadership| change(leadership, &rules))
    }

    /// Has another replica lead a partition.
    pub(crate) fn elect_leader(&self, topic: &str, index: i32, election: Election) -> Result<(), AdminError> {
        let unknown = |message: String| AdminError::new(ErrorCode::UnknownTopicOrPartition, message);
        let found = self.topic(topic).ok_or_else(|| unknown(format!("No such topic as {topic}")))?;
        let partition =
            found.partition(index).ok_or_else(|| unknown(format!("No such partition as {topic}-{index}")))?;
        let refused = |code: ErrorCode| Err(AdminError::new(code, code.description()));
        self.lead(partition, |leadership, rules| match election {
            Election::Preferred => {
                let preferred = leadership.replicas.first().copied();
                if leadership.leader.is_some() && leadership.leader == preferred {
                    return refused(ErrorCode::ElectionNotNeeded);
                }
                match leadership.elect_preferred(&Rules { allows_unclean: false, ..*rules }) {
                    true => Ok(()),
                    false => refused(ErrorCode::PreferredLeaderNotAvailable),
                }
            }
            Election::Unclean if leadership.leader.is_some() => refused(ErrorCode::ElectionNotNeeded),
            Election::Unclean => {
                match leadership.elect_if_possible(&Rules { allows_unclean: true, ..*rules }) {
                    true => Ok(()),
                    false => refused(ErrorCode::EligibleLeadersNotAvailable),
                }
            }
        })
    }

    /// Elects a leader out of sync, where nobody leads and the topic allows that.
    pub(crate) fn elect_uncleanly(&self, partition: &Partition) {
        self.lead(partition, |leadership, rules| {
            if rules.allows_unclean && leadership.leader.is_none() {
                leadership.elect_if_possible(rules);
            }
        });
    }

    /// Moves a partition to other replicas; without any, cancels a reassignment, which is never under way.
    pub(crate) fn reassign(
        &self,
        topic: &str,
        index: i32,
        replicas: Option<&[NodeId]>,
        may_change_factor: bool,
    ) -> Result<(), AdminError> {
        let unknown = |message: String| AdminError::new(ErrorCode::UnknownTopicOrPartition, message);
        let found =
            self.topic(topic).ok_or_else(|| unknown(format!("Unable to find a topic named {topic}.")))?;
        let partition = found
            .partition(index)
            .ok_or_else(|| unknown(format!("Unable to find partition {topic}:{index}.")))?;
        let Some(replicas) = replicas else {
            let code = ErrorCode::NoReassignmentInProgress;
            return Err(AdminError::new(code, code.description()));
        };
        self.check_assignment(index, replicas, None)?;
        let (before, after) = (partition.lock().leadership.replicas.len(), replicas.len());
        if !may_change_factor && before != after {
            let message =
                format!("the replication factor may not change, and it would from {before} to {after}");
            return Err(AdminError::new(ErrorCode::InvalidReplicationFactor, message));
        }
        self.lead(partition, |leadership, rules| leadership.reassign(replicas, rules));
        Ok(())
    }
}
