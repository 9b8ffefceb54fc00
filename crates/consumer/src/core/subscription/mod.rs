//! All assigned partitions of a consumer, and who is to do something about them. Pure.
//!
//! The application assigns, seeks, pauses and takes batches; [`fetch`] plans what each broker is asked and takes its answers;
//! [`deliver`] hands buffers to the decoder and batches to the application; [`lookup`] asks leaders for offsets; [`metadata`]
//! follows leaders; [`nodes`] knows which fetch loops there are and wakes them. What follows from a change outside of here is in
//! [`Effects`].

mod deliver;
mod fetch;
mod lookup;
mod metadata;
mod nodes;
#[cfg(test)]
mod tests;
mod turns;

pub(crate) use deliver::{Decoded, Delivery};
pub(crate) use fetch::{Arrival, FetchDecision, FetchPlan, FetchedData, PartitionAnswer};
pub(crate) use lookup::Answer;
pub(crate) use nodes::LoopId;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_client::{Backoff, Metadata, TopicPartition};
use milena_protocol::ErrorCode;

use super::budget::{Budget, FrameId};
use super::fetching::Buffers;
use super::partition::{Asked, Generation, Partition};
use super::position::Position;
use super::reset::{OffsetLookup, OffsetReset};
use crate::config::IsolationLevel;
use crate::error::{NotAssigned, RecvError};
use deliver::DecodeTicket;
use nodes::Node;
use turns::Turns;

/// Errors of no partition that wait for the application.
const ERRORS_MAX: usize = 64;

/// The part of the configuration that decides.
#[derive(Clone, Debug)]
pub(crate) struct SubscriptionConfig {
    pub(crate) policy: OffsetReset,
    pub(crate) isolation_level: IsolationLevel,
    pub(crate) fetch_bytes_max: usize,
    pub(crate) partition_fetch_bytes_max: usize,
    /// How long a broker holds an answer back for want of records.
    pub(crate) fetch_max_wait: Duration,
    pub(crate) prefetch_bytes: usize,
    /// What an answer brings at first, and at least.
    pub(crate) answer_bytes_min: usize,
    /// Decoded bytes that wait for the application before decoding pauses.
    pub(crate) decode_ahead_bytes: usize,
    pub(crate) retry_backoff: Backoff,
    /// How long a replica that the leader told is read from before the leader is asked again (Java: the metadata's age).
    pub(crate) preferred_replica_lease: Duration,
}

/// The assignment and everything known of it.
#[derive(Debug)]
pub(crate) struct Subscription {
    config: SubscriptionConfig,
    partitions: BTreeMap<TopicPartition, Partition>,
    /// Topics that are assigned whole, with the partitions that they may grow.
    followed_topics: BTreeSet<Arc<str>>,
    /// The newest picture of the cluster that was shown.
    metadata: Arc<Metadata>,
    /// What is wrong with assigned topics, as far as the application was told.
    topic_errors: BTreeMap<Arc<str>, ErrorCode>,
    /// The version that was followed to the end: a panic may have come between.
    metadata_followed: u64,
    nodes: BTreeMap<i32, Node>,
    budget: Budget,
    /// Partitions with something to decode, each once, in the order in which it came.
    undecoded: Turns,
    /// Partitions with something for the application, each once.
    ready: Turns,
    /// Decoded bytes of partitions that are not paused.
    ready_bytes: usize,
    /// Since when the application has waited for more, if it does.
    dry_since: Option<Instant>,
    /// Paused partitions that have something in memory.
    paused_buffers: BTreeSet<TopicPartition>,
    /// Partitions that have a question for their leader.
    questions: BTreeSet<TopicPartition>,
    /// What the decoder has just now.
    in_decoder: Option<DecodeTicket>,
    /// Errors that are of no partition: a few, each once.
    errors: VecDeque<RecvError>,
    /// Other fetch loops are to run now.
    loops_changed: bool,
    next_generation: u64,
    next_fetch_id: u64,
    effects: Effects,
}

/// Something to do for the consumer's manager.
#[derive(Debug)]
pub(crate) enum Action {
    /// These fetch loops are to run, and no others.
    Fetch(BTreeSet<LoopId>),
    /// Leaders are to be asked.
    Ask(Vec<(TopicPartition, Asked)>),
}

/// Whom a change concerns, and what is to be told of it.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) application: bool,
    pub(crate) decoder: bool,
    pub(crate) manager: bool,
    /// The metadata looks out of date.
    pub(crate) metadata: bool,
    pub(crate) loops: Vec<LoopId>,
    /// Fetches of which everything was handed over.
    pub(crate) consumed: Vec<ConsumedFetch>,
    /// Replicas from which partitions are read from now on; none for the leader.
    pub(crate) preferred_replicas: Vec<(TopicPartition, Option<i32>)>,
}

/// What was handed over of one fetch, by topic: records, and bytes of batches as they were received.
pub(crate) type ConsumedFetch = BTreeMap<Arc<str>, (u64, u64)>;

/// Where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seek {
    To(Position),
    Lookup(OffsetLookup),
}

impl Subscription {
    pub(crate) fn new(config: SubscriptionConfig) -> Self {
        Self {
            budget: Budget::new(config.prefetch_bytes),
            config,
            partitions: BTreeMap::new(),
            followed_topics: BTreeSet::new(),
            metadata: Arc::default(),
            topic_errors: BTreeMap::new(),
            metadata_followed: 0,
            nodes: BTreeMap::new(),
            undecoded: Turns::default(),
            ready: Turns::default(),
            ready_bytes: 0,
            dry_since: None,
            paused_buffers: BTreeSet::new(),
            questions: BTreeSet::new(),
            in_decoder: None,
            errors: VecDeque::new(),
            loops_changed: false,
            next_generation: 0,
            next_fetch_id: 0,
            effects: Effects::default(),
        }
    }

    /// What follows from the changes so far.
    pub(crate) fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    // The application.

    /// Assigns exactly `partitions`; those that were assigned before go on undisturbed.
    pub(crate) fn assign(&mut self, partitions: BTreeSet<TopicPartition>) {
        let gone: Vec<_> =
            self.partitions.keys().filter(|partition| !partitions.contains(*partition)).cloned().collect();
        for partition in gone {
            self.remove(&partition);
        }
        self.followed_topics.clear();
        for partition in partitions {
            if !self.partitions.contains_key(&partition) {
                self.add(partition, None);
            }
        }
        self.effects.manager = true;
    }

    /// Assigns all partitions of `topic`, which has `partition_count` of them now, beside what is assigned; partitions that it
    /// grows are added and read from their beginning.
    pub(crate) fn follow_topic(&mut self, topic: Arc<str>, partition_count: i32) {
        for partition in 0..partition_count {
            let partition = TopicPartition { topic: topic.clone(), partition };
            if !self.partitions.contains_key(&partition) {
                self.add(partition, None);
            }
        }
        self.followed_topics.insert(topic);
        self.effects.manager = true;
    }

    pub(crate) fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.keys()
    }

    pub(crate) fn paused(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.iter().filter(|(_, partition)| partition.is_paused()).map(|(name, _)| name)
    }

    pub(crate) fn position(&self, partition: &TopicPartition) -> Result<Option<Position>, NotAssigned> {
        let partition = self.partitions.get(partition).ok_or_else(|| NotAssigned(partition.clone()))?;
        Ok(partition.position())
    }

    /// The end of what may be read, as far as brokers told.
    pub(crate) fn end_offset(&self, partition: &TopicPartition) -> Option<i64> {
        self.partitions.get(partition)?.watermarks().readable_end(self.config.isolation_level)
    }

    /// How many records are between the position and the end of what may be read.
    pub(crate) fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        let position = self.partitions.get(partition)?.position()?;
        Some((self.end_offset(partition)? - position.offset).max(0))
    }

    /// How many records are between the beginning of the log and the position.
    fn lead(&self, partition: &TopicPartition) -> Option<i64> {
        let partition = self.partitions.get(partition)?;
        Some((partition.position()?.offset - partition.watermarks().log_start_offset?).max(0))
    }

    pub(crate) fn seek(&mut self, partition: &TopicPartition, seek: Seek) -> Result<(), NotAssigned> {
        let generation = self.next_generation();
        let state = self.partitions.get_mut(partition).ok_or_else(|| NotAssigned(partition.clone()))?;
        let paused = state.is_paused();
        let buffers = match seek {
            Seek::To(position) => state.seek(position, generation),
            Seek::Lookup(lookup) => state.reset_to(lookup, generation),
        };
        self.drop_buffers(buffers, paused);
        self.after_transition(partition);
        Ok(())
    }

    /// Pauses: nothing of the partition is handed over or fetched until it is resumed; what is buffered stays.
    pub(crate) fn pause(&mut self, partition: &TopicPartition) -> Result<(), NotAssigned> {
        let state = self.partitions.get_mut(partition).ok_or_else(|| NotAssigned(partition.clone()))?;
        if !state.is_paused() {
            state.set_paused(true);
            self.ready_bytes -= state.fetching().map_or(0, |fetching| fetching.ready_bytes());
            self.effects.decoder = true;
            // What is buffered for it does not stand in the others' way any more.
            self.note_paused_buffers(partition);
            self.wake_nodes_that_want_room();
        }
        Ok(())
    }

    /// Ends a pause; and if the partition stands still because of an error, tries once more.
    pub(crate) fn resume(&mut self, partition: &TopicPartition) -> Result<(), NotAssigned> {
        let generation = self.next_generation();
        let state = self.partitions.get_mut(partition).ok_or_else(|| NotAssigned(partition.clone()))?;
        if state.is_paused() {
            state.set_paused(false);
            self.ready_bytes += state.fetching().map_or(0, |fetching| fetching.ready_bytes());
        }
        state.retry(generation);
        self.after_transition(partition);
        Ok(())
    }

    // Tasks that panicked.

    /// A task panicked, and is being started again.
    pub(crate) fn handle_panic(&mut self, task: String, message: String) {
        self.tell(RecvError::Panicked { partition: None, task, message });
    }

    /// All fetch loops and questions under way are gone.
    pub(crate) fn handle_manager_restart(&mut self) {
        self.loops_changed = true;
        for partition in self.partitions.values_mut() {
            partition.forget_asked();
        }
    }

    // Within.

    /// Has the application told, unless it is about to be told the same or has long not listened.
    fn tell(&mut self, error: RecvError) {
        if self.errors.len() < ERRORS_MAX && !self.errors.contains(&error) {
            self.errors.push_back(error);
            self.effects.application = true;
        }
    }

    fn add(&mut self, name: TopicPartition, lookup: Option<OffsetLookup>) {
        let generation = self.next_generation();
        let mut partition = Partition::new(name.clone(), self.config.policy, generation);
        if let Some(lookup) = lookup {
            let _new_and_empty = partition.reset_to(lookup, generation);
        }
        self.partitions.insert(name.clone(), partition);
        // What was wrong with the topic may be out of date: the next answer is told.
        self.effects.metadata |= self.metadata.topic(&name.topic).is_some_and(|topic| !topic.error.is_ok());
        self.follow_leader(&name);
        self.after_transition(&name);
    }

    fn remove(&mut self, name: &TopicPartition) {
        let Some(partition) = self.partitions.get(name) else { return };
        self.leave_node(name, partition.fetch_node());
        let generation = self.next_generation();
        if let Some(mut partition) = self.partitions.remove(name) {
            let paused = partition.is_paused();
            let buffers = partition.restart(generation);
            self.drop_buffers(buffers, paused);
        }
        self.questions.remove(name);
        self.ready.remove(name);
        self.undecoded.remove(name);
        self.paused_buffers.remove(name);
        if !self.partitions.keys().any(|other| other.topic == name.topic) {
            self.topic_errors.remove(&name.topic);
        }
    }

    fn next_generation(&mut self) -> Generation {
        self.next_generation += 1;
        Generation(self.next_generation)
    }

    /// Puts a partition on the lists on which it now belongs, and wakes whom that concerns. (Lists are cleaned of what does not
    /// belong there when its turn comes.)
    fn after_transition(&mut self, name: &TopicPartition) {
        let Some(partition) = self.partitions.get(name) else { return };
        if partition.has_question() {
            self.questions.insert(name.clone());
            self.effects.manager = true;
        } else {
            self.questions.remove(name);
        }
        self.note_paused_buffers(name);
        let Some(partition) = self.partitions.get(name) else { return };
        let fetching = partition.fetching();
        let paused = partition.is_paused();
        let has_undecoded = !paused && fetching.is_some_and(|fetching| fetching.has_undecoded());
        if has_undecoded && self.undecoded.push(name) {
            self.effects.decoder = true;
        }
        let has_next =
            !paused && (partition.has_unread() || fetching.is_some_and(|fetching| fetching.has_next()));
        if (has_next || partition.has_error()) && self.ready.push(name) {
            self.effects.application = true;
        }
        if fetching.is_some() && !paused {
            let node = partition.fetch_node();
            let wants_fetch = fetching.is_some_and(|fetching| fetching.wants_fetch());
            self.wake_node(node, wants_fetch);
        }
    }

    /// Takes note of whether a paused partition has something in memory.
    fn note_paused_buffers(&mut self, name: &TopicPartition) {
        let holds_some = |partition: &Partition| {
            partition.is_paused() && partition.fetching().is_some_and(|fetching| fetching.has_buffers())
        };
        if !self.partitions.get(name).is_some_and(holds_some) {
            self.paused_buffers.remove(name);
        } else if !self.paused_buffers.contains(name) {
            self.paused_buffers.insert(name.clone());
        }
    }

    /// Gives what a partition had buffered back to the budget.
    fn drop_buffers(&mut self, buffers: Buffers, paused: bool) {
        let freed = !buffers.buffered.is_empty() || !buffers.ready.is_empty();
        for buffered in buffers.buffered {
            self.finish_part(buffered.frame);
        }
        for ready in buffers.ready {
            if !paused {
                self.ready_bytes -= ready.size_bytes;
            }
            self.budget.release(ready.node_id, ready.charged_bytes);
            if let Some(frame) = ready.finished_frame() {
                self.finish_part(frame);
            }
        }
        if freed {
            self.effects.decoder = true;
            self.wake_waiting_nodes();
        }
    }

    /// One part of a frame was handed over or dropped.
    fn finish_part(&mut self, frame: FrameId) {
        self.effects.consumed.extend(self.budget.finish_part(frame));
    }

    fn backoff(&self, failures: u32, now: Instant, unit_random: f64) -> Instant {
        now + self.config.retry_backoff.delay(failures, unit_random)
    }
}
