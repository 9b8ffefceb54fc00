//! What happens to groups, transactions and their coordinators.

use super::Faults;
use crate::NodeId;
use crate::state::{InternalTopic, Leadership, Rules};

impl Faults {
    /// Makes `node` the coordinator of a group, as [`move_leader`](Self::move_leader) of its partition of
    /// `__consumer_offsets` does; groups of the same partition move along. Members and offsets are kept, and requests
    /// that wait are answered with `NOT_COORDINATOR`.
    pub fn move_coordinator(&self, group: &str, node: NodeId) {
        self.with_coordinator(InternalTopic::Offsets, group, |leadership, rules| {
            leadership.elect(node, rules)
        });
    }

    /// Takes the coordinator from a group, and from others of its partition; there is none until
    /// [`move_coordinator`](Self::move_coordinator), or until a node comes back.
    pub fn lose_coordinator(&self, group: &str) {
        self.with_coordinator(InternalTopic::Offsets, group, |leadership, _| leadership.resign());
    }

    /// Makes `node` the coordinator of a transactional id, as [`move_leader`](Self::move_leader) of its partition of
    /// `__transaction_state` does; transactional ids of the same partition move along. Transactions are kept.
    pub fn move_transaction_coordinator(&self, transactional_id: &str, node: NodeId) {
        self.with_coordinator(InternalTopic::Transactions, transactional_id, |leadership, rules| {
            leadership.elect(node, rules)
        });
    }

    /// Takes the coordinator from a transactional id, and from others of its partition; there is none until
    /// [`move_transaction_coordinator`](Self::move_transaction_coordinator), or until a node comes back.
    pub fn lose_transaction_coordinator(&self, transactional_id: &str) {
        self.with_coordinator(InternalTopic::Transactions, transactional_id, |leadership, _| {
            leadership.resign()
        });
    }

    /// Ends the sessions of all members of a group now, as if they had been silent. Those of the classic protocol that
    /// wait for an answer are no more silent than they are without this.
    pub fn expire_group_sessions(&self, group: &str) {
        let settings = self.shared.state().settings().clone();
        self.shared.groups.lock().expire_sessions(group, self.shared.clock.moment(), &settings.groups);
        self.shared.seen.changed();
    }

    /// Lets no transaction marker through to the partitions that a node leads: their transactions are decided, and
    /// stay open, as `PrepareCommit` or `PrepareAbort`.
    ///
    /// [`release_transaction_markers`](Self::release_transaction_markers) ends that. Coordinators repeat markers until
    /// they are written, so that one that is lost is one that comes late.
    pub fn hold_transaction_markers(&self, node: NodeId) {
        self.shared.transactions.hold_markers(node, true);
    }

    /// Writes the transaction markers that were held, and holds no more.
    pub fn release_transaction_markers(&self, node: NodeId) {
        self.shared.transactions.hold_markers(node, false);
        self.shared.write_waiting_markers();
        self.shared.seen.changed();
    }

    /// Aborts the transactions that have been open for too long, and forgets transactional ids that are not used,
    /// now, rather than at the next check.
    pub fn expire_transactions(&self) {
        self.shared.abort_timed_out_transactions();
        self.shared.expire_transactional_ids();
    }

    fn with_coordinator(
        &self,
        topic: InternalTopic,
        key: &str,
        change: impl FnOnce(&mut Leadership, &Rules<'_>),
    ) {
        let now_ms = self.shared.clock.now_ms();
        if let Err(error) = self.shared.state_mut().ensure_internal_topic(topic, now_ms) {
            tracing::warn!(%error, "no coordinators: their topic cannot be created");
        }
        let state = self.shared.state();
        if let Some(partition) = state.coordinator_partition(topic, key) {
            state.lead(partition, change);
        }
        drop(state);
        self.shared.seen.changed();
    }
}
