//! Leaders elected and replicas moved on request (Java: `ReplicationControlManager`, `PartitionChangeBuilder`).

use milena_protocol::ErrorCode;

use super::{AdminError, ClusterState, Partition};
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
    /// Has another replica lead a partition.
    pub(crate) fn elect_leader(&self, topic: &str, index: i32, election: Election) -> Result<(), AdminError> {
        let unknown = |message: String| AdminError::new(ErrorCode::UnknownTopicOrPartition, message);
        let found = self.topic(topic).ok_or_else(|| unknown(format!("No such topic as {topic}")))?;
        let partition =
            found.partition(index).ok_or_else(|| unknown(format!("No such partition as {topic}-{index}")))?;
        let refused = |code: ErrorCode| Err(AdminError::new(code, code.description()));
        let mut state = partition.lock();
        let leadership = &state.leadership;
        match election {
            Election::Preferred => {
                let preferred = leadership.replicas.first().copied();
                match preferred {
                    _ if leadership.leader.is_some() && leadership.leader == preferred => {
                        refused(ErrorCode::ElectionNotNeeded)
                    }
                    Some(node) if self.is_alive(node) && leadership.isr.contains(&node) => {
                        state.change_leadership(|leadership| leadership.elect(node));
                        Ok(())
                    }
                    _ => refused(ErrorCode::PreferredLeaderNotAvailable),
                }
            }
            Election::Unclean if leadership.leader.is_some() => refused(ErrorCode::ElectionNotNeeded),
            Election::Unclean => match self.first_alive(&leadership.replicas) {
                Some(node) => {
                    state.change_leadership(|leadership| leadership.elect_uncleanly(node));
                    Ok(())
                }
                None => refused(ErrorCode::EligibleLeadersNotAvailable),
            },
        }
    }

    /// Elects a leader out of sync, where nobody leads and the topic allows that.
    pub(crate) fn elect_uncleanly(&self, partition: &Partition) {
        let mut state = partition.lock();
        if state.leadership.leader.is_none()
            && state.log.config().unclean_leader_election
            && let Some(node) = self.first_alive(&state.leadership.replicas)
        {
            state.change_leadership(|leadership| leadership.elect_uncleanly(node));
        }
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
        let mut state = partition.lock();
        let (before, after) = (state.leadership.replicas.len(), replicas.len());
        if !may_change_factor && before != after {
            let message =
                format!("the replication factor may not change, and it would from {before} to {after}");
            return Err(AdminError::new(ErrorCode::InvalidReplicationFactor, message));
        }
        state.change_leadership(|leadership| leadership.reassign(replicas, |node| self.is_alive(node)));
        Ok(())
    }

    fn first_alive(&self, replicas: &[NodeId]) -> Option<NodeId> {
        replicas.iter().copied().find(|node| self.is_alive(*node))
    }
}
