//! Rules for requests, and for what they want of topics and partitions.

mod effects;

use std::sync::Arc;
use std::time::Duration;

use milena_protocol::{ApiKey, ErrorCode};

use super::rule::Frequency;
use super::{Fault, Faults};
use crate::NodeId;
use crate::shared::Shared;
pub(super) use effects::Scope;
pub(crate) use effects::{Effect, Stage, Subject};

/// A rule in the making: which requests, how often; one of the last methods says what happens to them.
#[derive(Debug)]
#[must_use = "say what happens: end with a method such as `answer_with`"]
pub struct FaultBuilder {
    shared: Arc<Shared>,
    scope: Scope,
    frequency: Frequency,
}

/// A rule about a topic or partition within requests; see [`FaultBuilder::partition`].
#[derive(Debug)]
#[must_use = "say what happens: end with a method such as `answer_with`"]
pub struct PartFaultBuilder {
    inner: FaultBuilder,
}

impl Faults {
    /// Begins a rule for requests of one API.
    pub fn on(&self, api: ApiKey) -> FaultBuilder {
        self.builder(Scope { api: Some(api), ..Scope::default() })
    }

    /// Begins a rule for requests of every API.
    pub fn on_any(&self) -> FaultBuilder {
        self.builder(Scope::default())
    }

    fn builder(&self, scope: Scope) -> FaultBuilder {
        FaultBuilder { shared: self.shared.clone(), scope, frequency: Frequency::once() }
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
        self.frequency.left = Some(times);
        self
    }

    /// It happens until the rule is removed.
    pub fn always(mut self) -> Self {
        self.frequency.left = None;
        self
    }

    /// How many matching requests pass before it begins.
    pub fn skip(mut self, requests: u32) -> Self {
        self.frequency.skip = requests;
        self
    }

    /// How likely it is to happen to a matching request, from 0 to 1, by the cluster's seed.
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.frequency.probability = probability;
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

    /// The request is worked on twice, as if it had arrived twice, and the first answer is sent. Partitions that another rule answers
    /// for are left out both times.
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
        let Self { shared, scope, frequency } = self;
        let record = shared.faults.requests.add(scope, frequency, effect);
        Fault::new(shared, record)
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
