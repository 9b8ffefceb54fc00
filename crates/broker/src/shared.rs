//! What all nodes and connections of a cluster share.

use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use milena_protocol::Uuid;
use tokio::sync::Notify;

use crate::NodeId;
use crate::clock::Clock;
use crate::fault::{
    ConnectionEvent, ConnectionSubject, Direction, Effect, FaultTable, Passage, Stage, Subject,
};
use crate::group::Coordinator;
use crate::log::Workspace;
use crate::node::Node;
use crate::observe::Observations;
use crate::quota::{Bucket, MeterOf, Meters};
use crate::state::{ClusterState, InternalTopic, Partition};
use crate::sync::{read, write};
use crate::txn::Transactions;

/// The heart of a cluster.
///
/// Locks are taken in one order: transactions, then the cluster's state, then groups, then a partition, then a node's
/// sessions, then meters of quotas. None is held across an await.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    state: RwLock<ClusterState>,
    /// In the order of their ids, which begin at 1.
    nodes: Vec<Arc<Node>>,
    pub(crate) groups: Coordinator,
    pub(crate) transactions: Transactions,
    /// What clients with quotas have created and deleted; the controller's.
    pub(crate) mutations: Mutex<Meters<MeterOf, Bucket>>,
    pub(crate) faults: FaultTable,
    pub(crate) seen: Observations,
    /// Told when configuration changes.
    pub(crate) config_changed: Notify,
}

impl Shared {
    pub(crate) fn new(
        clock: Clock,
        state: ClusterState,
        nodes: Vec<Arc<Node>>,
        groups: Coordinator,
        faults: FaultTable,
    ) -> Self {
        Self {
            clock,
            mutations: Mutex::new(Meters::new(state.settings().mutation_windows)),
            state: RwLock::new(state),
            nodes,
            groups,
            transactions: Transactions::default(),
            faults,
            seen: Observations::default(),
            config_changed: Notify::new(),
        }
    }

    pub(crate) fn state(&self) -> RwLockReadGuard<'_, ClusterState> {
        read(&self.state)
    }

    pub(crate) fn state_mut(&self) -> RwLockWriteGuard<'_, ClusterState> {
        let mut state = write(&self.state);
        state.begin_change();
        state
    }

    pub(crate) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    pub(crate) fn node(&self, node: NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(usize::try_from(node).ok()?.checked_sub(1)?)
    }

    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        self.state().topic(topic)?.partition(partition).cloned()
    }

    /// What the rules have happen to a request, or to a part of it.
    pub(crate) fn strike(&self, subject: Subject<'_>, stages: &[Stage]) -> Vec<Effect> {
        let effects = self.faults.strike_request(subject, stages);
        if !effects.is_empty() {
            self.seen.changed();
        }
        effects
    }

    /// What the rules have happen to a request or an answer on its way.
    pub(crate) fn passage(&self, subject: ConnectionSubject<'_>, direction: Direction) -> Option<Passage> {
        self.faults.strike_passage(subject, direction).inspect(|_| self.seen.changed())
    }

    /// Whether the rules have a connection refused or broken at this event.
    pub(crate) fn breaks(&self, subject: ConnectionSubject<'_>, event: ConnectionEvent) -> bool {
        let is_struck = self.faults.strike_connection(subject, event);
        if is_struck {
            self.seen.changed();
        }
        is_struck
    }

    /// Fences a lost node: it leaves every ISR, and what it led is led by others.
    pub(crate) fn node_lost(&self, node: NodeId) {
        lose(&mut self.state_mut(), node);
    }

    /// Has the cluster forget a node, whether it runs or not, until it comes back; false if it is not known
    /// (Java: `ReplicationControlManager.unregisterBroker`).
    pub(crate) fn unregister(&self, node: NodeId) -> bool {
        let mut state = self.state_mut();
        if state.node(node).is_none() {
            return false;
        }
        lose(&mut state, node);
        state.unregister(node)
    }

    /// Unfences a returned node: it is in sync at once, because the logs are shared. If it has crashed, and that was
    /// noticed, others may have to lead what it was to lead.
    pub(crate) fn node_back(&self, node: NodeId, has_crashed: bool) {
        let mut state = self.state_mut();
        if has_crashed && !state.is_alive(node) {
            for partition in state.partitions() {
                state.lead(partition, |leadership, rules| leadership.node_crashed(node, rules));
            }
        }
        state.set_alive(node, true);
        for partition in state.partitions() {
            state.lead(partition, |leadership, rules| leadership.node_back(node, rules));
            state.elect_uncleanly(partition);
        }
        state.reload_led();
    }

    /// Does what time demands of logs: retention, and the expiry of producers.
    pub(crate) fn apply_retention(&self) {
        let now_ms = self.clock.now_ms();
        let state = self.state();
        for partition in state.partitions() {
            partition.lock().log.apply_retention(now_ms);
        }
    }

    /// Cleans the compacted logs that are dirty enough.
    pub(crate) fn compact_logs(&self) {
        let now_ms = self.clock.now_ms();
        let mut workspace = Workspace::default();
        let state = self.state();
        for partition in state.partitions() {
            partition.lock().log.compact(now_ms, &mut workspace);
        }
    }

    pub(crate) fn expire_producers(&self) {
        let now_ms = self.clock.now_ms();
        let state = self.state();
        let expiration_ms = state.settings().producer_id_expiration_ms;
        for partition in state.partitions() {
            partition.lock().log.producers_mut().expire(now_ms, expiration_ms);
        }
    }

    /// Forgets the offsets that groups have committed for a topic that was deleted; all groups, if it is the one that
    /// holds them.
    pub(crate) fn forget_offsets(&self, topic: &str, topic_id: Uuid) {
        let mut groups = self.groups.lock();
        match topic == InternalTopic::Offsets.name() {
            true => groups.unload(self.clock.moment()),
            false => groups.offsets.topic_deleted(topic, topic_id),
        }
    }

    pub(crate) fn expire_offsets(&self) {
        let settings = self.state().settings().clone();
        self.groups.lock().expire_offsets(self.clock.moment(), &settings.groups);
    }
}

fn lose(state: &mut ClusterState, node: NodeId) {
    state.set_alive(node, false);
    for partition in state.partitions() {
        state.lead(partition, |leadership, rules| leadership.node_lost(node, rules));
        state.elect_uncleanly(partition);
    }
    state.reload_led();
}
