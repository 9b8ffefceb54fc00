//! What the work on one request knows: who asks, whom, and what is to go wrong.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use milena_protocol::{ApiKey, ByteStr, ErrorCode, Uuid};

use super::Node;
use super::connection::ConnectionState;
use super::throttle::Charges;
use crate::NodeId;
use crate::fault::{Effect, Stage, Subject};
use crate::log::Workspace;
use crate::shared::Shared;
use crate::state::{ClusterState, Partition, Topic, is_internal};
use crate::sync::{Switch, lock};

/// One request's surroundings.
#[derive(Debug)]
pub(crate) struct RequestContext<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) node: &'a Arc<Node>,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) client_id: &'a str,
    /// As Java prints an address: with a slash before it.
    pub(crate) client_host: &'a str,
    /// The length of its frame.
    pub(crate) request_bytes: usize,
    pub(super) charges: Charges,
    /// On when the client is gone and nothing should wait any longer.
    pub(crate) hangup: &'a Switch,
    /// Only this request uses it; the lock is what lets it be shared with a future that may move between threads.
    workspace: &'a Mutex<Workspace>,
    /// Faults of partitions that concern the whole answer.
    answer_effects: Mutex<Vec<Effect>>,
    /// The partitions that faults have refused.
    refused: Mutex<Vec<Refused>>,
    /// The work is done a second time.
    is_repetition: AtomicBool,
}

/// A partition in whose place a fault has answered.
#[derive(Debug)]
struct Refused {
    topic: String,
    partition: i32,
    error: ErrorCode,
}

/// A topic as clients are told of it, faults included.
#[derive(Debug)]
pub(crate) struct TopicDescription {
    pub(crate) name: ByteStr,
    pub(crate) id: Uuid,
    pub(crate) is_internal: bool,
    pub(crate) partitions: Vec<PartitionDescription>,
}

/// A partition as clients are told of it.
#[derive(Debug)]
pub(crate) struct PartitionDescription {
    pub(crate) index: i32,
    pub(crate) leader: Option<NodeId>,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<NodeId>,
    pub(crate) isr: Vec<NodeId>,
    pub(crate) eligible: Vec<NodeId>,
    pub(crate) last_leader: Option<NodeId>,
    pub(crate) offline: Vec<NodeId>,
}

impl<'a> RequestContext<'a> {
    pub(crate) fn new(
        shared: &'a Arc<Shared>,
        node: &'a Arc<Node>,
        api: ApiKey,
        version: i16,
        client_id: &'a str,
        request_bytes: usize,
        connection: &'a ConnectionState,
    ) -> Self {
        let ConnectionState { hangup, workspace, client_host } = connection;
        Self {
            shared,
            node,
            api,
            version,
            client_id,
            client_host,
            request_bytes,
            charges: Charges::of(shared, client_id),
            hangup,
            workspace,
            answer_effects: Mutex::new(Vec::new()),
            refused: Mutex::new(Vec::new()),
            is_repetition: AtomicBool::new(false),
        }
    }

    /// Memory for reading batches, kept between the requests of a connection.
    pub(crate) fn workspace(&self) -> MutexGuard<'_, Workspace> {
        lock(self.workspace)
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.shared.clock.now_ms()
    }

    /// The partition to work on. The faults of this partition strike here, and nowhere else.
    pub(crate) fn partition(
        &self,
        topic: Option<&Arc<Topic>>,
        index: i32,
    ) -> Result<Arc<Partition>, ErrorCode> {
        let partition =
            topic.and_then(|topic| topic.partition(index)).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        self.strike_partition(&partition.topic, index)?;
        Ok(partition.clone())
    }

    /// Lets the faults of a partition strike that need not exist; call it once for each that a request names.
    pub(crate) fn strike_partition(&self, topic: &str, index: i32) -> Result<(), ErrorCode> {
        if self.is_repetition.load(Ordering::Relaxed) {
            let refused = lock(&self.refused);
            let refused = refused.iter().find(|refused| refused.partition == index && refused.topic == topic);
            return refused.map_or(Ok(()), |refused| Err(refused.error));
        }
        let subject = self.subject(Some((topic, Some(index))));
        let effects = self.shared.strike(subject, &[Stage::Work, Stage::Answer]);
        let mut error = None;
        for effect in effects {
            match effect {
                Effect::Answer(code) => error = error.or(Some(code)),
                other => lock(&self.answer_effects).push(other),
            }
        }
        let Some(error) = error else { return Ok(()) };
        lock(&self.refused).push(Refused { topic: topic.to_owned(), partition: index, error });
        Err(error)
    }

    /// The work is done once more. Faults of partitions have struck: what was refused is refused again, since a client that is told
    /// that nothing was done relies on it.
    pub(crate) fn repeat(&self) {
        self.is_repetition.store(true, Ordering::Relaxed);
    }

    /// The effects on the answer that partitions have brought about.
    pub(crate) fn take_answer_effects(&self) -> Vec<Effect> {
        std::mem::take(&mut *lock(&self.answer_effects))
    }

    /// Describes a topic; `None` when it is to be hidden. Faults of descriptions strike here, and nowhere else.
    pub(crate) fn describe(&self, state: &ClusterState, topic: &Topic) -> Option<TopicDescription> {
        let hidden = self.shared.strike(self.subject(Some((&topic.name, None))), &[Stage::TopicDescription]);
        if hidden.contains(&Effect::HideTopic) {
            return None;
        }
        let is_alive = |node: &NodeId| state.node(*node).is_some_and(|info| info.alive);
        let describe = |partition: &Arc<Partition>| {
            let leadership = partition.lock().leadership.clone();
            let mut description = PartitionDescription {
                index: partition.index,
                leader: leadership.leader.filter(|leader| is_alive(leader)),
                leader_epoch: leadership.leader_epoch,
                offline: leadership.replicas.iter().copied().filter(|node| !is_alive(node)).collect(),
                replicas: leadership.replicas,
                isr: leadership.isr,
                eligible: leadership.eligible,
                last_leader: leadership.last_leader,
            };
            self.distort(&topic.name, &mut description);
            description
        };
        Some(TopicDescription {
            name: topic.name.clone(),
            id: topic.id,
            is_internal: is_internal(&topic.name),
            partitions: topic.partitions.iter().map(describe).collect(),
        })
    }

    fn distort(&self, topic: &str, description: &mut PartitionDescription) {
        let subject = self.subject(Some((topic, Some(description.index))));
        for effect in self.shared.strike(subject, &[Stage::PartitionDescription]) {
            match effect {
                Effect::ReportLeader(leader) => description.leader = leader,
                Effect::ReportLeaderEpoch(leader_epoch) => description.leader_epoch = leader_epoch,
                _ => {}
            }
        }
    }

    pub(crate) fn subject<'s>(&'s self, part: Option<(&'s str, Option<i32>)>) -> Subject<'s> {
        Subject { api: self.api, node: self.node.id, client_id: self.client_id, part }
    }
}
