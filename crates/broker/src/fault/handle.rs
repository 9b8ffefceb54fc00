//! What tests ask for: rules for requests, and things that happen to nodes and partitions.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use milena_protocol::{ApiKey, ErrorCode, Uuid};
use tokio::net::TcpListener;

use super::table::{Effect, FaultRecord, Rule, Scope};
use crate::NodeId;
use crate::node::Listener;
use crate::shared::Shared;
use crate::state::{InternalTopic, Leadership, NewTopic, Partition};

/// Makes things go wrong in a [`Cluster`](crate::Cluster), on purpose.
///
/// Rules ([`on`](Self::on)) change what happens to requests; everything else here happens at once. Requests that are
/// already being worked on are not affected by a new rule.
#[derive(Debug, Clone)]
pub struct Faults {
    shared: Arc<Shared>,
    has_tcp: bool,
}

/// A rule in the making: which requests, how often; one of the last methods says what happens to them.
#[derive(Debug)]
#[must_use = "say what happens: end with a method such as `answer_with`"]
pub struct FaultBuilder {
    shared: Arc<Shared>,
    scope: Scope,
    skip: u32,
    times: Option<u32>,
    probability: f64,
}

/// A rule about a topic or partition within requests; see [`FaultBuilder::partition`].
#[derive(Debug)]
#[must_use = "say what happens: end with a method such as `answer_with`"]
pub struct PartFaultBuilder {
    inner: FaultBuilder,
}

/// A rule that is in force. Dropping this leaves it in force; [`remove`](Self::remove) ends it.
#[derive(Debug, Clone)]
pub struct Fault {
    shared: Arc<Shared>,
    record: Arc<FaultRecord>,
}

impl Faults {
    pub(crate) fn new(shared: Arc<Shared>, has_tcp: bool) -> Self {
        Self { shared, has_tcp }
    }

    /// Begins a rule for requests of one API.
    pub fn on(&self, api: ApiKey) -> FaultBuilder {
        self.builder(Scope { api: Some(api), ..Scope::default() })
    }

    /// Begins a rule for requests of every API.
    pub fn on_any(&self) -> FaultBuilder {
        self.builder(Scope::default())
    }

    /// Ends all rules.
    pub fn clear(&self) {
        self.shared.faults.clear();
    }

    /// Kills a node: its connections are cut in the middle of what they were doing, it stops listening, it leaves
    /// every ISR, and what it led is led by the next in-sync replica in a higher leader epoch.
    ///
    /// A node that is down stays so.
    pub async fn kill(&self, node: NodeId) {
        self.kill_unnoticed(node).await;
        self.notice(node);
    }

    /// Kills a node as [`kill`](Self::kill) does, but nobody notices: metadata still names it, and it still leads.
    ///
    /// [`notice`](Self::notice) ends that.
    pub async fn kill_unnoticed(&self, node: NodeId) {
        if let Some(node) = self.shared.node(node) {
            node.stop().await;
        }
    }

    /// The controller notices that a node is dead: it leaves every ISR, and others lead.
    pub fn notice(&self, node: NodeId) {
        self.shared.node_lost(node);
        self.shared.seen.changed();
    }

    /// Stops a node in order: first others lead, so that clients learn where to go; then it goes down.
    pub async fn stop(&self, node: NodeId) {
        self.notice(node);
        self.kill_unnoticed(node).await;
    }

    /// Starts a node that is down, at the address that it had; it is in sync at once. One that runs is only let back into the cluster, if
    /// it was taken for dead ([`notice`](Self::notice)) or unregistered.
    ///
    /// # Errors
    /// When the port has been taken meanwhile.
    pub async fn restart(&self, node: NodeId) -> io::Result<()> {
        let Some(node) = self.shared.node(node) else { return Ok(()) };
        if !node.is_running() {
            let tcp = match self.has_tcp {
                true => Some(TcpListener::bind(node.address).await?),
                false => None,
            };
            node.frozen.set(false);
            node.deaf.set(false);
            Listener::start(&self.shared, node, tcp);
        }
        self.shared.node_back(node.id);
        self.shared.seen.changed();
        Ok(())
    }

    /// Freezes a node: it accepts connections and bytes, does nothing and answers nothing, as a process that is
    /// stopped. It still leads.
    pub fn freeze(&self, node: NodeId) {
        self.set_frozen(node, true);
    }

    /// Lets a frozen node go on, with what it has received meanwhile.
    pub fn unfreeze(&self, node: NodeId) {
        self.set_frozen(node, false);
    }

    /// Has a node stop reading from its connections, so that the clients' writes stall once buffers are full.
    pub fn stop_reading(&self, node: NodeId) {
        self.set_deaf(node, true);
    }

    /// Has a node read again.
    pub fn resume_reading(&self, node: NodeId) {
        self.set_deaf(node, false);
    }

    /// Closes all connections of a node, in the middle of what they were doing; it accepts new ones.
    pub async fn disconnect(&self, node: NodeId) {
        if let Some(node) = self.shared.node(node) {
            node.hang_up().await;
        }
    }

    /// Makes `node` the leader of a partition, in a higher leader epoch. False if there is no such partition.
    pub fn move_leader(&self, topic: &str, partition: i32, node: NodeId) -> bool {
        self.with(topic, partition, |partition| {
            partition.lock().change_leadership(|leadership| leadership.elect(node));
        })
    }

    /// Takes the leader from a partition; nobody leads until [`move_leader`](Self::move_leader).
    pub fn lose_leader(&self, topic: &str, partition: i32) -> bool {
        self.with(topic, partition, |partition| {
            partition.lock().change_leadership(|leadership| leadership.resign());
        })
    }

    /// Sets which replicas of a partition are in sync, for `min.insync.replicas`.
    pub fn set_isr(&self, topic: &str, partition: i32, isr: &[NodeId]) -> bool {
        self.with(topic, partition, |partition| {
            partition.lock().change_leadership(|leadership| leadership.set_isr(isr));
        })
    }

    /// Makes `node` the leader although it lacks the records from `offset` on: they are lost (an unclean election).
    ///
    /// Whole batches are lost: the one that contains `offset`, and all after it.
    pub fn move_leader_and_lose_records(
        &self,
        topic: &str,
        partition: i32,
        node: NodeId,
        offset: i64,
    ) -> bool {
        self.with(topic, partition, |partition| {
            let mut state = partition.lock();
            state.log.truncate(offset);
            state.change_leadership(|leadership| leadership.elect(node));
        })
    }

    /// Has a partition forget all idempotent producers, as when their state has expired.
    pub fn forget_producers(&self, topic: &str, partition: i32) -> bool {
        self.with(topic, partition, |partition| partition.lock().log.producers_mut().clear())
    }

    /// Has a partition forget one idempotent producer.
    pub fn forget_producer(&self, topic: &str, partition: i32, producer_id: i64) -> bool {
        self.with(topic, partition, |partition| partition.lock().log.producers_mut().forget(producer_id))
    }

    /// Has a partition believe that a producer's last record had this sequence number, to come near its wrap.
    pub fn set_last_sequence(
        &self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        producer_epoch: i16,
        last_sequence: i32,
    ) -> bool {
        self.with(topic, partition, |partition| {
            let mut state = partition.lock();
            state.log.producers_mut().set_last_sequence(producer_id, producer_epoch, last_sequence);
        })
    }

    /// Flips a bit of the stored batch that contains `offset`, so that its checksum is wrong. False if there is none.
    pub fn corrupt_batch(&self, topic: &str, partition: i32, offset: i64) -> bool {
        let mut is_corrupt = false;
        self.with(topic, partition, |partition| is_corrupt = partition.lock().log.corrupt(offset));
        is_corrupt
    }

    /// Deletes records before `offset`, as retention does. False if there is no such partition or offset.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) -> bool {
        let mut is_deleted = false;
        self.with(topic, partition, |partition| {
            is_deleted = partition.lock().log.delete_before(offset).is_ok()
        });
        is_deleted
    }

    /// Deletes a topic and creates it again, empty, with as many partitions on the same nodes and a new id.
    ///
    /// Returns the new id, or `None` if there is no such topic.
    pub fn recreate_topic(&self, topic: &str) -> Option<Uuid> {
        let mut state = self.shared.state_mut();
        let configs = state.configs().topic_overrides(topic).clone();
        let old = state.delete_topic(topic)?;
        self.shared.forget_offsets(&old.name, old.id);
        let replicas =
            |partition: &Arc<Partition>| (partition.index, partition.lock().leadership.replicas.clone());
        let new = NewTopic {
            name: old.name.clone(),
            partitions: -1,
            replication_factor: -1,
            assignments: old.partitions.iter().map(replicas).collect(),
            configs: configs
                .iter()
                .map(|(name, value)| (name.as_str().into(), Some(value.as_str().into())))
                .collect(),
        };
        let created = state.create_topic(&new, false, self.shared.clock.now_ms());
        drop(state);
        self.shared.forget_transactions_of(&old.name);
        created.ok().map(|created| created.id)
    }

    /// Closes all fetch sessions of a node.
    pub fn expire_fetch_sessions(&self, node: NodeId) {
        if let Some(node) = self.shared.node(node) {
            crate::sync::lock(&node.sessions).clear();
        }
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

    /// Makes `node` the coordinator of a group, as [`move_leader`](Self::move_leader) of its partition of
    /// `__consumer_offsets` does; groups of the same partition move along. Members and offsets are kept, and requests
    /// that wait are answered with `NOT_COORDINATOR`.
    pub fn move_coordinator(&self, group: &str, node: NodeId) {
        self.with_coordinator(group, |leadership| leadership.elect(node));
    }

    /// Takes the coordinator from a group, and from others of its partition; there is none until
    /// [`move_coordinator`](Self::move_coordinator).
    pub fn lose_coordinator(&self, group: &str) {
        self.with_coordinator(group, Leadership::resign);
    }

    /// Ends the sessions of all members of a group now, as if they had been silent. Those of the classic protocol that
    /// wait for an answer are no more silent than they are without this.
    pub fn expire_group_sessions(&self, group: &str) {
        let settings = self.shared.state().settings().clone();
        self.shared.groups.lock().expire_sessions(group, self.shared.clock.moment(), &settings.groups);
        self.shared.seen.changed();
    }

    /// Moves the cluster's wall clock, in milliseconds; timers that run already do not move with it.
    pub fn turn_clock(&self, by_ms: i64) {
        self.shared.clock.turn(by_ms);
    }

    /// Applies retention and expires producers and committed offsets now, rather than at the next check.
    pub fn run_retention(&self) {
        self.shared.apply_retention();
        self.shared.expire_producers();
        self.shared.expire_offsets();
    }

    fn builder(&self, scope: Scope) -> FaultBuilder {
        FaultBuilder { shared: self.shared.clone(), scope, skip: 0, times: Some(1), probability: 1.0 }
    }

    fn set_frozen(&self, node: NodeId, frozen: bool) {
        if let Some(node) = self.shared.node(node) {
            node.frozen.set(frozen);
        }
    }

    fn set_deaf(&self, node: NodeId, deaf: bool) {
        if let Some(node) = self.shared.node(node) {
            node.deaf.set(deaf);
        }
    }

    fn with_coordinator(&self, group: &str, change: impl FnOnce(&mut Leadership)) {
        let now_ms = self.shared.clock.now_ms();
        if let Err(error) = self.shared.state_mut().ensure_internal_topic(InternalTopic::Offsets, now_ms) {
            tracing::warn!(%error, "no coordinators: their topic cannot be created");
        }
        let state = self.shared.state();
        if let Some(partition) = state.coordinator_partition(InternalTopic::Offsets, group) {
            partition.lock().change_leadership(change);
        }
        drop(state);
        self.shared.seen.changed();
    }

    fn with(&self, topic: &str, partition: i32, act: impl FnOnce(&Partition)) -> bool {
        let found = self.shared.partition(topic, partition);
        let is_found = found.as_deref().map(act).is_some();
        self.shared.seen.changed();
        is_found
    }
}

impl FaultBuilder {
    /// Only requests to this node.
    pub fn node(mut self, node: NodeId) -> Self {
        self.scope.node = Some(node);
        self
    }

    /// Only requests of clients that call themselves this.
    pub fn client_id(mut self, client_id: &str) -> Self {
        self.scope.client_id = Some(client_id.to_owned());
        self
    }

    /// How often it happens; once unless said otherwise.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// It happens until the rule is removed.
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// How many matching requests pass before it begins.
    pub fn skip(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// How likely it is to happen to a matching request, from 0 to 1, by the cluster's seed.
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Only what these requests want of this topic, whatever the partition.
    ///
    /// Requests that name partitions: Produce, Fetch, ListOffsets, OffsetForLeaderEpoch, DeleteRecords, OffsetCommit,
    /// OffsetFetch, OffsetDelete, DescribeProducers, WriteTxnMarkers; and what Metadata and DescribeTopicPartitions
    /// tell of the topic.
    pub fn topic(mut self, topic: &str) -> PartFaultBuilder {
        self.scope.topic = Some(topic.to_owned());
        PartFaultBuilder { inner: self }
    }

    /// Only what these requests want of this partition; see [`topic`](Self::topic).
    pub fn partition(mut self, topic: &str, partition: i32) -> PartFaultBuilder {
        self.scope.partition = Some(partition);
        self.topic(topic)
    }

    /// Everything that the request asks for is answered with this error, and none of it is done.
    pub fn answer_with(self, error: ErrorCode) -> Fault {
        self.add(Effect::Answer(error))
    }

    /// The connection is closed before anything is done.
    pub fn close_before_work(self) -> Fault {
        self.add(Effect::CloseBeforeWork)
    }

    /// The work begins so much later; also when the client has given the request up meanwhile.
    pub fn delay_work(self, delay: Duration) -> Fault {
        self.add(Effect::DelayWork(delay))
    }

    /// The request is worked on twice, as if it had arrived twice, and the first answer is sent.
    pub fn deliver_twice(self) -> Fault {
        self.add(Effect::WorkTwice)
    }

    /// The work is done, and then the connection is closed instead of answering.
    pub fn lose_answer(self) -> Fault {
        self.add(Effect::LoseAnswer)
    }

    /// The work is done, and the answer is sent so much later; later requests of the connection wait for it.
    pub fn delay_answer(self, delay: Duration) -> Fault {
        self.add(Effect::DelayAnswer(delay))
    }

    /// The work is done, and half of the answer is sent before the connection is closed.
    pub fn truncate_answer(self) -> Fault {
        self.add(Effect::TruncateAnswer)
    }

    fn add(self, effect: Effect) -> Fault {
        let record = Arc::new(FaultRecord::default());
        let Self { shared, scope, skip, times, probability } = self;
        shared.faults.add(Rule { scope, skip, left: times, probability, effect, record: record.clone() });
        Fault { shared, record }
    }
}

impl PartFaultBuilder {
    /// How often it happens; once unless said otherwise.
    pub fn times(mut self, times: u32) -> Self {
        self.inner = self.inner.times(times);
        self
    }

    /// It happens until the rule is removed.
    pub fn always(mut self) -> Self {
        self.inner = self.inner.always();
        self
    }

    /// How many matching requests pass before it begins.
    pub fn skip(mut self, requests: u32) -> Self {
        self.inner = self.inner.skip(requests);
        self
    }

    /// The partition is answered with this error, and nothing is done with it; others in the request are not affected.
    pub fn answer_with(self, error: ErrorCode) -> Fault {
        self.inner.add(Effect::Answer(error))
    }

    /// The work is done, and then the connection is closed instead of answering the request.
    pub fn lose_answer(self) -> Fault {
        self.inner.add(Effect::LoseAnswer)
    }

    /// The work is done, and the answer to the request is sent so much later.
    pub fn delay_answer(self, delay: Duration) -> Fault {
        self.inner.add(Effect::DelayAnswer(delay))
    }

    /// Metadata does not know the topic, though it exists.
    pub fn hide_topic(self) -> Fault {
        self.inner.add(Effect::HideTopic)
    }

    /// Metadata says that this node leads, or with `None` that nobody does (leader -1), whoever does.
    pub fn report_leader(self, leader: Option<NodeId>) -> Fault {
        self.inner.add(Effect::ReportLeader(leader))
    }

    /// Metadata says that the leader epoch is this, whatever it is.
    pub fn report_leader_epoch(self, leader_epoch: i32) -> Fault {
        self.inner.add(Effect::ReportLeaderEpoch(leader_epoch))
    }
}

impl Fault {
    /// How often it has happened.
    pub fn fired(&self) -> u64 {
        self.record.fired.load(Ordering::Acquire)
    }

    /// Returns when it has happened at least so often.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost.
    pub async fn fired_times(&self, times: u64) {
        self.shared.seen.until(|| self.fired() >= times).await;
    }

    /// Ends the rule.
    pub fn remove(&self) {
        let removed: &AtomicBool = &self.record.removed;
        removed.store(true, Ordering::Release);
    }
}
