//! A running cluster, as its user holds it.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use milena_protocol::{ApiKey, ErrorCode, Uuid};

use crate::builder::{ClusterBuilder, TopicSpec};
use crate::config::ConfigError;
use crate::fault::{ConnectionEvent, Faults};
use crate::group::keep_groups;
use crate::inspect::LogView;
use crate::node::{Breakage, Link, MemoryStream, Peer};
use crate::observe::RequestSeen;
use crate::shared::Shared;
use crate::state::{AdminError, InternalTopic};
use crate::task::Task;
use crate::txn::keep_transactions;

/// A node's id; the first is 1.
pub type NodeId = i32;

/// A Kafka cluster in this process.
///
/// ```
/// use milena_broker::{Cluster, TopicSpec};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::builder().nodes(3).topic(TopicSpec::new("orders").partitions(6)).start().await?;
/// let bootstrap = cluster.bootstrap(); // "127.0.0.1:PORT,127.0.0.1:PORT,127.0.0.1:PORT": give it to any client
/// # assert_eq!(bootstrap.split(',').count(), 3);
/// # Ok(())
/// # }
/// ```
///
/// Records are in memory only. Dropping the cluster stops it and closes all connections.
#[derive(Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
    has_tcp: bool,
    /// Retention and expiry; ends with the cluster.
    _housekeeping: Task,
    /// Wakes groups; ends with the cluster.
    _groups: Task,
    /// Timeouts and markers of transactions.
    _transactions: Task,
}

/// Why a cluster does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A configuration key or value.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A topic.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// A port.
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
}

/// Why a topic cannot be created; what Kafka would answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct TopicError {
    code: ErrorCode,
    message: String,
}

impl TopicError {
    /// Kafka's error code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }
}

impl From<AdminError> for TopicError {
    fn from(error: AdminError) -> Self {
        Self { code: error.code, message: error.message }
    }
}

impl From<AdminError> for StartError {
    fn from(error: AdminError) -> Self {
        Self::Topic(error.into())
    }
}

impl Cluster {
    /// Begins to put a cluster together.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::new()
    }

    pub(crate) fn started(shared: Arc<Shared>, has_tcp: bool) -> Self {
        let housekeeping = Task::spawn(keep_house(shared.clone()));
        let groups = Task::spawn(keep_groups(shared.clone()));
        let transactions = Task::spawn(keep_transactions(shared.clone()));
        Self { shared, has_tcp, _housekeeping: housekeeping, _groups: groups, _transactions: transactions }
    }

    /// The nodes' addresses, "host:port" separated by commas: what clients know as `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<_> = self.shared.nodes().iter().map(|node| node.address.to_string()).collect();
        addresses.join(",")
    }

    /// The ids of all nodes, whether they run or not.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.shared.nodes().iter().map(|node| node.id)
    }

    /// A node's address, "host:port".
    pub fn address(&self, node: NodeId) -> Option<String> {
        self.shared.node(node).map(|node| node.address.to_string())
    }

    /// Connects to the node with this address without a socket.
    ///
    /// # Errors
    /// `ConnectionRefused` when no node has this address, or it is down or has too many connections waiting.
    pub fn connect(&self, address: &str) -> io::Result<MemoryStream> {
        connect(&self.shared, address)
    }

    /// A way to connect without sockets that can be kept and cloned; it does not keep the cluster running.
    pub fn dialer(&self) -> Dialer {
        Dialer { shared: Arc::downgrade(&self.shared) }
    }

    /// Creates a topic and returns its id.
    ///
    /// # Errors
    /// What Kafka would answer: the name, a number or a configuration is invalid, or the topic exists.
    pub fn create_topic(&self, topic: TopicSpec) -> Result<Uuid, TopicError> {
        let now_ms = self.shared.clock.now_ms();
        let created = self.shared.state_mut().create_topic(&topic.into(), false, now_ms)?;
        self.shared.seen.changed();
        Ok(created.id)
    }

    /// Deletes a topic. False if there is none.
    pub fn delete_topic(&self, topic: &str) -> bool {
        let deleted = self.shared.state_mut().delete_topic(topic);
        if let Some(topic) = &deleted {
            self.shared.forget_offsets(&topic.name, topic.id);
            self.shared.forget_transactions_of(&topic.name);
        }
        self.shared.seen.changed();
        deleted.is_some()
    }

    /// A topic's id.
    pub fn topic_id(&self, topic: &str) -> Option<Uuid> {
        self.shared.state().topic(topic).map(|topic| topic.id)
    }

    /// The names of all topics, in order.
    pub fn topics(&self) -> Vec<String> {
        self.shared.state().topics().map(|topic| topic.name.to_string()).collect()
    }

    /// How many partitions a topic has; none if there is no such topic.
    pub fn partitions(&self, topic: &str) -> i32 {
        self.shared.state().topic(topic).map_or(0, |topic| topic.partitions.len() as i32)
    }

    /// The node that leads a partition.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<NodeId> {
        self.shared.partition(topic, partition)?.lock().leadership.leader
    }

    /// A partition's leader epoch.
    pub fn leader_epoch(&self, topic: &str, partition: i32) -> Option<i32> {
        Some(self.shared.partition(topic, partition)?.lock().leadership.leader_epoch)
    }

    /// The state of a transactional id by Kafka's name, such as `Ongoing` or `PrepareCommit`; `None` if it is not
    /// known.
    pub fn transaction_state(&self, transactional_id: &str) -> Option<&'static str> {
        self.shared
            .read_transactions(|coordinator| coordinator.get(transactional_id).map(|it| it.state.name()))
    }

    /// The node that coordinates a group; none before anybody has looked for a coordinator of any group.
    pub fn coordinator(&self, group: &str) -> Option<NodeId> {
        self.shared.state().coordinator(InternalTopic::Offsets, group).map(|info| info.node)
    }

    /// The node that coordinates a transactional id; none before anybody has looked for a coordinator of any.
    pub fn transaction_coordinator(&self, transactional_id: &str) -> Option<NodeId> {
        self.shared.state().coordinator(InternalTopic::Transactions, transactional_id).map(|info| info.node)
    }

    /// The state of a group by Kafka's name, such as `Stable` or `PreparingRebalance`; `None` if there is no such group.
    pub fn group_state(&self, group: &str) -> Option<&'static str> {
        self.shared.groups.lock().get(group).map(|group| group.listing().state)
    }

    /// The offset that a group has committed for a partition; what an open transaction commits is not it yet.
    pub fn committed_offset(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.shared.groups.lock().offsets.get(group, topic, partition).map(|committed| committed.offset)
    }

    /// The offset that a partition's next record gets.
    pub fn log_end_offset(&self, topic: &str, partition: i32) -> Option<i64> {
        Some(self.shared.partition(topic, partition)?.lock().log.log_end_offset())
    }

    /// What a partition has stored.
    pub fn log(&self, topic: &str, partition: i32) -> Option<LogView> {
        let partition = self.shared.partition(topic, partition)?;
        let state = partition.lock();
        Some(LogView::of(&state.log))
    }

    /// Makes things go wrong.
    pub fn faults(&self) -> Faults {
        Faults::new(self.shared.clone(), self.has_tcp)
    }

    /// How many requests of an API all nodes have begun to work on.
    pub fn requests(&self, api: ApiKey) -> u64 {
        self.shared.seen.requests(None, Some(api))
    }

    /// How many requests of an API a node has begun to work on.
    pub fn requests_to(&self, node: NodeId, api: ApiKey) -> u64 {
        self.shared.seen.requests(Some(node), Some(api))
    }

    /// Whether a node is up; a frozen one is.
    pub fn is_running(&self, node: NodeId) -> bool {
        self.shared.node(node).is_some_and(|node| node.is_running())
    }

    /// Calls `watcher` with every request that a node begins to work on, from now on. False if there is a watcher
    /// already, which stays.
    ///
    /// It is called where the work is done, so it must be quick.
    pub fn watch_requests(&self, watcher: impl Fn(&RequestSeen<'_>) + Send + Sync + 'static) -> bool {
        self.shared.seen.watch(watcher)
    }

    /// How many connections a node has now.
    pub fn connections(&self, node: NodeId) -> usize {
        self.shared.seen.connections(node)
    }

    /// How many connections there have been in all.
    pub fn connections_accepted(&self) -> u64 {
        self.shared.seen.connections_accepted()
    }

    /// How many connections were closed because of what they sent.
    pub fn connections_refused(&self) -> u64 {
        self.shared.seen.refused_frames()
    }

    /// How many fetch sessions a node has now.
    pub fn fetch_sessions(&self, node: NodeId) -> usize {
        self.shared.node(node).map_or(0, |node| crate::sync::lock(&node.sessions).len())
    }

    /// Counts, from now on, the produced batches of each partition that were received and not answered yet.
    pub fn track_batches_in_flight(&self) {
        self.shared.seen.track_batches();
    }

    /// The produced batches of a partition that were received and not answered yet, if they are counted.
    pub fn batches_in_flight(&self, topic: &str, partition: i32) -> usize {
        self.shared.seen.batches_in_flight(topic, partition).0
    }

    /// The most batches of a partition that ever were in flight at once, if they are counted.
    pub fn batches_in_flight_max(&self, topic: &str, partition: i32) -> usize {
        self.shared.seen.batches_in_flight(topic, partition).1
    }

    /// Returns when `condition` holds. It is asked again whenever a request, a connection or a fault has come by; a
    /// test waits with it for what a client does, without sleeping.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost.
    pub async fn until(&self, mut condition: impl FnMut(&Self) -> bool) {
        self.shared.seen.until(|| condition(self)).await;
    }

    /// Stops the cluster and returns when all connections are closed and all ports are free.
    pub async fn shutdown(&self) {
        for node in self.shared.nodes() {
            node.stop().await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The listeners hold the shared state that holds them: this ends both.
        self.shared.nodes().iter().for_each(|node| node.abandon());
    }
}

/// Connects to a cluster's nodes without sockets: for the connector of a client in the same process.
#[derive(Debug, Clone)]
pub struct Dialer {
    shared: Weak<Shared>,
}

impl Dialer {
    /// As [`Cluster::connect`].
    ///
    /// # Errors
    /// As [`Cluster::connect`]; `ConnectionRefused`, too, when the cluster is gone.
    pub fn connect(&self, address: &str) -> io::Result<MemoryStream> {
        match self.shared.upgrade() {
            Some(shared) => connect(&shared, address),
            None => Err(io::Error::new(io::ErrorKind::ConnectionRefused, "the cluster has ended")),
        }
    }
}

fn connect(shared: &Shared, address: &str) -> io::Result<MemoryStream> {
    let refused = |why| Err(io::Error::new(io::ErrorKind::ConnectionRefused, why));
    let Some(node) = shared.nodes().iter().find(|node| node.address.to_string() == address) else {
        return refused(format!("no node listens at {address}"));
    };
    let link = Link::new(node.id, Peer::Memory, Breakage::default());
    if node.is_running() && shared.breaks(link.subject(None), ConnectionEvent::Opening) {
        return refused(format!("{address} refuses on request"));
    }
    let (client, server) = MemoryStream::pair();
    match node.accept(server) {
        Ok(()) => Ok(client),
        Err(_) => refused(format!("no node listens at {address}")),
    }
}

/// Applies retention, compacts, and expires producers and committed offsets, at their intervals.
async fn keep_house(shared: Arc<Shared>) {
    let interval = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(1).max(1));
    let start = shared.clock.instant();
    let (mut next_retention, mut next_expiry, mut next_offsets) = (start, start, start);
    let mut next_compaction = start;
    loop {
        let now = shared.clock.instant();
        let settings = shared.state().settings().clone();
        if now >= next_retention {
            shared.apply_retention();
            next_retention = now + interval(settings.retention_check_ms);
        }
        if now >= next_expiry {
            shared.expire_producers();
            next_expiry = now + interval(settings.producer_id_expiration_check_ms);
        }
        if now >= next_offsets {
            shared.expire_offsets();
            next_offsets = now + interval(settings.groups.offsets_retention_check_ms);
        }
        // The only one of these intervals that can be changed while the cluster runs.
        next_compaction = next_compaction.min(now + interval(settings.cleaner_backoff_ms));
        if now >= next_compaction {
            shared.compact_logs();
            next_compaction = now + interval(settings.cleaner_backoff_ms);
        }
        let next = next_retention.min(next_expiry).min(next_offsets).min(next_compaction);
        tokio::select! {
            biased;
            () = shared.config_changed.notified() => {}
            () = tokio::time::sleep_until(next) => {}
        }
    }
}
