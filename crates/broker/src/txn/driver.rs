//! Carries out what the coordinator decides: writes markers, aborts what took too long, forgets what is not used
//! (Java: `TransactionMarkerChannelManager`, `TransactionCoordinator.startup`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use milena_protocol::ErrorCode;
use tokio::select;
use tokio::sync::Notify;

use super::Coordinator;
use super::transaction::{Level, Outcome, State, TopicPartition};
use crate::NodeId;
use crate::group::TransactionEnd;
use crate::log::EndMarker;
use crate::shared::Shared;
use crate::state::{Hold, InternalTopic, Partition, TRANSACTION_VERSION};
use crate::sync::lock;

/// How long to wait before markers that could not be written are tried again.
const MARKER_RETRY: Duration = Duration::from_millis(100);

/// The transactions of a cluster, and what is to go wrong with their markers.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    coordinator: Mutex<Coordinator>,
    /// Nodes to which no marker gets through.
    held: Mutex<BTreeSet<NodeId>>,
    /// Some markers could not be written.
    is_waiting: Notify,
}

/// What came of a marker.
enum Written {
    /// It is in the log, or the partition is gone and needs none.
    Done,
    /// Nobody can take it now.
    NotYet,
    /// The partition has seen a later epoch, and will never take it.
    Never,
}

impl Transactions {
    /// Lets no marker through to a node any more, or lets them through again.
    pub(crate) fn hold_markers(&self, node: NodeId, hold: bool) {
        let mut held = lock(&self.held);
        if hold {
            held.insert(node);
        } else {
            held.remove(&node);
        }
    }

    fn is_held(&self, node: NodeId) -> bool {
        lock(&self.held).contains(&node)
    }
}

impl Shared {
    /// Has the coordinator work on one transactional id; the markers that follow from it are written at once.
    pub(crate) fn coordinate<T>(
        &self,
        transactional_id: &str,
        work: impl FnOnce(&mut Coordinator) -> T,
    ) -> T {
        let mut coordinator = lock(&self.transactions.coordinator);
        let result = work(&mut coordinator);
        if coordinator.is_ending(transactional_id) {
            self.write_markers(&mut coordinator, transactional_id);
            if coordinator.is_ending(transactional_id) {
                self.transactions.is_waiting.notify_one();
            }
        }
        result
    }

    /// Has the coordinator take one step of a transaction.
    ///
    /// # Errors
    /// What the step says; `CoordinatorNotAvailable` when it cannot be written to the coordinator's log.
    pub(crate) fn coordinate_step<T>(
        &self,
        transactional_id: &str,
        step: impl FnOnce(&mut Coordinator) -> Result<T, ErrorCode>,
    ) -> Result<T, ErrorCode> {
        self.coordinate(transactional_id, |coordinator| self.step(coordinator, transactional_id, step))
    }

    /// Takes one step of a transaction, and takes it back when too few replicas of the coordinator's log are in sync to write
    /// it (Java: `TransactionStateManager.appendTransactionToLog`).
    pub(super) fn step<T>(
        &self,
        coordinator: &mut Coordinator,
        transactional_id: &str,
        step: impl FnOnce(&mut Coordinator) -> Result<T, ErrorCode>,
    ) -> Result<T, ErrorCode> {
        if self.can_log(transactional_id) {
            return step(coordinator);
        }
        let before = coordinator.get(transactional_id).cloned();
        let taken = step(coordinator);
        if coordinator.get(transactional_id) == before.as_ref() {
            return taken;
        }
        coordinator.take_back(transactional_id, before);
        Err(ErrorCode::CoordinatorNotAvailable)
    }

    /// Whether enough replicas are in sync to write what becomes of a transaction.
    fn can_log(&self, transactional_id: &str) -> bool {
        let state = self.state();
        let partition = state.coordinator_partition(InternalTopic::Transactions, transactional_id);
        partition.is_none_or(|partition| !partition.lock().is_short_of_replicas())
    }

    /// Reads what the coordinator knows.
    pub(crate) fn read_transactions<T>(&self, read: impl FnOnce(&Coordinator) -> T) -> T {
        read(&lock(&self.transactions.coordinator))
    }

    /// The node that coordinates a transactional id; `None` while nobody does.
    pub(crate) fn transaction_coordinator(&self, transactional_id: &str) -> Option<NodeId> {
        self.state().coordinator(InternalTopic::Transactions, transactional_id).map(|info| info.node)
    }

    /// The epoch of that coordinator: that of the leader of its partition of `__transaction_state`.
    fn coordinator_epoch(&self, transactional_id: &str) -> i32 {
        let state = self.state();
        let partition = state.coordinator_partition(InternalTopic::Transactions, transactional_id);
        partition.map_or(0, |partition| partition.lock().leadership.leader_epoch)
    }

    /// The level of `transaction.version` in force.
    pub(crate) fn transaction_level(&self) -> Level {
        Level(self.state().features().level(TRANSACTION_VERSION))
    }

    /// Aborts the transactions that have been open for longer than they may.
    pub(crate) fn abort_timed_out_transactions(&self) {
        let (now_ms, level) = (self.clock.now_ms(), self.transaction_level());
        for transactional_id in self.read_transactions(|coordinator| coordinator.timed_out(now_ms)) {
            if self.has_working_coordinator(&transactional_id) {
                let aborted = self.coordinate_step(&transactional_id, |coordinator| {
                    let new_producer_id = || self.state_mut().new_producer_id();
                    coordinator.abort_timed_out(&transactional_id, level, now_ms, new_producer_id);
                    Ok(())
                });
                if let Err(error) = aborted {
                    tracing::debug!(%transactional_id, %error, "tried again with the next check");
                }
                self.seen.changed();
            }
        }
    }

    /// Forgets the transactional ids that are not used.
    pub(crate) fn expire_transactional_ids(&self) {
        let expiration_ms = self.state().settings().transactions.id_expiration_ms;
        let now_ms = self.clock.now_ms();
        lock(&self.transactions.coordinator).expire(now_ms, expiration_ms, |id| self.can_log(id));
    }

    /// Forgets all transactional ids, if it was the topic that holds them that was deleted; call without the state's lock.
    pub(crate) fn forget_transactions_of(&self, deleted: &str) {
        if deleted == InternalTopic::Transactions.name() {
            lock(&self.transactions.coordinator).unload();
        }
    }

    /// Tries again to write the markers that could not be written; false if some are left.
    pub(crate) fn write_waiting_markers(&self) -> bool {
        let mut coordinator = lock(&self.transactions.coordinator);
        for transactional_id in coordinator.ending() {
            if self.has_working_coordinator(&transactional_id) {
                self.write_markers(&mut coordinator, &transactional_id);
            }
        }
        coordinator.ending().is_empty()
    }

    fn has_working_coordinator(&self, transactional_id: &str) -> bool {
        let node = self.transaction_coordinator(transactional_id);
        node.and_then(|node| self.node(node)).is_some_and(|node| node.serves())
    }

    fn write_markers(&self, coordinator: &mut Coordinator, transactional_id: &str) {
        let Some(transaction) = coordinator.get(transactional_id) else { return };
        let State::Prepare(outcome) = transaction.state else { return };
        let marker = EndMarker {
            producer_id: transaction.producer.id,
            producer_epoch: transaction.producer.epoch,
            is_commit: outcome == Outcome::Commit,
            coordinator_epoch: self.coordinator_epoch(transactional_id),
            transaction_version: transaction.level.0,
        };
        let partitions: Vec<TopicPartition> = transaction.partitions.iter().cloned().collect();
        for partition in &partitions {
            match self.write_marker(&marker, partition) {
                Written::Done => coordinator.marker_written(transactional_id, partition),
                Written::NotYet => {}
                Written::Never => {
                    tracing::warn!(
                        transactional_id,
                        ?marker,
                        ?partition,
                        "marker refused; it is not tried again"
                    );
                    return coordinator.give_up_markers(transactional_id);
                }
            }
        }
        if self.can_log(transactional_id) {
            coordinator.complete_if_written(transactional_id, self.clock.now_ms());
        }
    }

    fn write_marker(&self, marker: &EndMarker, (topic, index): &TopicPartition) -> Written {
        let Some(partition) = self.partition(topic, *index) else { return Written::Done };
        let leader = partition.lock().leadership.leader;
        let takes_markers = |node: &NodeId| {
            self.node(*node).is_some_and(|node| node.serves()) && !self.transactions.is_held(*node)
        };
        let Some(leader) = leader.filter(takes_markers) else { return Written::NotYet };
        match self.end_in_partition(&partition, leader, marker) {
            // Where it is held back it is written again, which changes nothing.
            Ok(Some(_)) => Written::NotYet,
            Ok(None) | Err(ErrorCode::UnknownTopicOrPartition) => Written::Done,
            Err(ErrorCode::InvalidProducerEpoch | ErrorCode::TransactionCoordinatorFenced) => Written::Never,
            Err(_) => Written::NotYet,
        }
    }

    /// Has a partition's leader end a transaction: in its log, or among the offsets of the groups that belong to it.
    ///
    /// Offsets have no log here; a marker concerns the groups that the partition coordinates. Says whether it is held back
    /// until enough replicas are in sync.
    pub(crate) fn end_in_partition(
        &self,
        partition: &Partition,
        node: NodeId,
        marker: &EndMarker,
    ) -> Result<Option<Hold>, ErrorCode> {
        if *partition.topic != *InternalTopic::Offsets.name() {
            return partition.write_marker(node, marker, self.clock.now_ms()).map(|()| None);
        }
        let hold = partition.note_marker(node, marker, self.clock.now_ms())?;
        let end = if marker.is_commit { TransactionEnd::Commit } else { TransactionEnd::Abort };
        let state = self.state();
        let is_coordinated_here =
            |group: &str| state.coordinator_index(InternalTopic::Offsets, group) == Some(partition.index);
        self.groups.lock().offsets.complete(marker.producer_id, end, hold, is_coordinated_here);
        Ok(hold)
    }
}

/// Does what time demands of transactions, for as long as the cluster runs.
pub(crate) async fn keep_transactions(shared: Arc<Shared>) {
    let interval = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(1).max(1));
    let (abort_check, expiry_check) = {
        let state = shared.state();
        let settings = &state.settings().transactions;
        (interval(settings.abort_check_ms), interval(settings.expiry_check_ms))
    };
    let start = shared.clock.instant();
    let (mut next_abort, mut next_expiry) = (start + abort_check, start + expiry_check);
    loop {
        let now = shared.clock.instant();
        if now >= next_abort {
            shared.abort_timed_out_transactions();
            next_abort = now + abort_check;
        }
        if now >= next_expiry {
            shared.expire_transactional_ids();
            next_expiry = now + expiry_check;
        }
        let next_check = next_abort.min(next_expiry);
        let wake =
            if shared.write_waiting_markers() { next_check } else { next_check.min(now + MARKER_RETRY) };
        select! {
            biased;
            () = tokio::time::sleep_until(wake) => {}
            () = shared.transactions.is_waiting.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_held_for_the_nodes_that_were_named() {
        let transactions = Transactions::default();
        transactions.hold_markers(2, true);
        assert_eq!([1, 2].map(|node| transactions.is_held(node)), [false, true]);
        transactions.hold_markers(2, false);
        assert!(!transactions.is_held(2));
    }
}
