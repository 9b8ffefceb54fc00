//! Decides what is asked, when, and what of an answer is believed. Pure.
//!
//! ```text
//!            request_update, new topic, age
//!   Idle ───────────────────────────────────▶ Due ──poll_action──▶ Asking
//!    ▲                                         ▲                     │
//!    │ handle_response, all topics fine        │ back-off over       │ handle_failure,
//!    └─────────────────────────────────────────┴─────────────────────┘ or topics still wrong
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_protocol::ErrorCode;
use milena_protocol::messages::MetadataResponse;
use milena_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};

use super::snapshot::{Broker, Metadata, PartitionMetadata, TopicMetadata};
use crate::config::MetadataRecovery;
use crate::{Address, Backoff};

/// Answers in a row with a lower leader epoch after which it is believed: one late answer of a lagging broker must not turn a
/// partition back, but a partition whose epoch really went back (an unclean restore) must not be stuck for ever.
const LOWER_EPOCH_ANSWERS_BELIEVED: u32 = 5;

/// The state of knowledge about the cluster.
pub(super) struct MetadataCore {
    config: MetadataCoreConfig,
    snapshot: Arc<Metadata>,
    topics: BTreeMap<Arc<str>, Interest>,
    all_topics: usize,
    state: State,
    failures: u32,
    last_success: Option<Instant>,
    attempts_since: Option<Instant>,
    source: Source,
    lower_epochs: BTreeMap<(Arc<str>, i32), u32>,
}

/// The part of the configuration that decides.
#[derive(Clone, Debug)]
pub(super) struct MetadataCoreConfig {
    pub(super) bootstrap: Vec<Address>,
    pub(super) max_age: Duration,
    pub(super) retry_backoff: Backoff,
    pub(super) recovery: MetadataRecovery,
}

#[derive(Default)]
struct Interest {
    holders: usize,
    /// How many of the holders want a missing topic to be created.
    creators: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing to ask before the metadata is too old.
    Idle,
    /// To be asked, not before the instant.
    Due { not_before: Instant },
    /// A request is under way; `again` when it will not answer what was wanted meanwhile.
    Asking { again: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Bootstrap,
    Known,
}

/// A Metadata request to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// Brokers to try, in this order before rotation.
    pub(super) candidates: Vec<Address>,
    /// Topics; `None` for all.
    pub(super) topics: Option<Vec<Arc<str>>>,
    pub(super) allow_auto_topic_creation: bool,
}

/// A leader told by a broker that is not it any more (KIP-951).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderHint {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The node that leads it now.
    pub leader_id: i32,
    /// The new leader's epoch.
    pub leader_epoch: i32,
}

impl MetadataCore {
    pub(super) fn new(config: MetadataCoreConfig, now: Instant) -> Self {
        Self {
            config,
            snapshot: Arc::default(),
            topics: BTreeMap::new(),
            all_topics: 0,
            state: State::Due { not_before: now },
            failures: 0,
            last_success: None,
            attempts_since: None,
            source: Source::Bootstrap,
            lower_epochs: BTreeMap::new(),
        }
    }

    pub(super) fn snapshot(&self) -> &Arc<Metadata> {
        &self.snapshot
    }

    /// Someone wants to know a topic. Asks for it unless it is known.
    pub(super) fn add_interest(&mut self, topic: &Arc<str>, create: bool, now: Instant) {
        let interest = self.topics.entry(topic.clone()).or_default();
        interest.holders += 1;
        interest.creators += usize::from(create);
        if !self.snapshot.topics.contains_key(topic) {
            self.ask_at(now);
        }
    }

    pub(super) fn remove_interest(&mut self, topic: &Arc<str>, create: bool) {
        let Some(interest) = self.topics.get_mut(topic) else { return };
        interest.holders -= 1;
        interest.creators -= usize::from(create);
        if interest.holders == 0 {
            self.topics.remove(topic);
        }
    }

    /// Someone wants to know all topics, or no longer (subscriptions by pattern).
    pub(super) fn set_all_topics(&mut self, wanted: bool, now: Instant) {
        if wanted {
            self.all_topics += 1;
            self.ask_at(now);
        } else {
            self.all_topics -= 1;
        }
    }

    /// Something looks out of date: ask again, after the back-off.
    pub(super) fn request_update(&mut self, now: Instant, unit_random: f64) {
        // The back-off counts from the last answer, so that a storm of errors makes one request.
        let wait = self.config.retry_backoff.delay(self.failures.max(1), unit_random);
        let not_before = self.last_success.map_or(now, |last| (last + wait).max(now));
        match &mut self.state {
            State::Idle => self.state = State::Due { not_before },
            State::Due { .. } => {}
            State::Asking { again } => *again = true,
        }
    }

    fn ask_at(&mut self, at: Instant) {
        match &mut self.state {
            State::Asking { again } => *again = true,
            State::Due { not_before } if *not_before <= at => {}
            state => *state = State::Due { not_before: at },
        }
    }

    /// Goes back to the bootstrap servers at the next question.
    fn rebootstrap(&mut self, now: Instant) {
        if let MetadataRecovery::Rebootstrap { .. } = self.config.recovery {
            self.source = Source::Bootstrap;
            self.attempts_since = None;
            self.ask_at(now);
        }
    }

    /// When to call [`Self::poll_action`] next, if nothing else happens.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Idle => self.last_success.map(|last| last + self.config.max_age),
            State::Due { not_before } => Some(not_before),
            State::Asking { .. } => None,
        }
    }

    /// The request to send now, if one is due. It ends with `handle_response` or `handle_failure`.
    pub(super) fn poll_action(&mut self, now: Instant) -> Option<Ask> {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return None;
        }
        self.state = State::Asking { again: false };
        let since = *self.attempts_since.get_or_insert(now);
        if let MetadataRecovery::Rebootstrap { trigger } = self.config.recovery
            && now.saturating_duration_since(since) >= trigger
        {
            self.source = Source::Bootstrap;
            self.attempts_since = Some(now);
        }
        let known =
            || self.snapshot.brokers.values().map(|broker| broker.address.clone()).collect::<Vec<_>>();
        let candidates = match self.source {
            Source::Known => known(),
            Source::Bootstrap => self.config.bootstrap.clone(),
        };
        let topics = (self.all_topics == 0).then(|| self.topics.keys().cloned().collect());
        let allow_auto_topic_creation = self.topics.values().any(|interest| interest.creators > 0);
        Some(Ask { candidates, topics, allow_auto_topic_creation })
    }

    /// No candidate answered.
    pub(super) fn handle_failure(&mut self, now: Instant, unit_random: f64) {
        self.failures = self.failures.saturating_add(1);
        let not_before = now + self.config.retry_backoff.delay(self.failures, unit_random);
        self.state = State::Due { not_before };
        match (self.source, self.config.recovery) {
            (Source::Known, MetadataRecovery::Rebootstrap { .. }) => self.source = Source::Bootstrap,
            // The names may be unresolvable just now while known brokers have come back: take turns.
            (Source::Bootstrap, _) if !self.snapshot.brokers.is_empty() => self.source = Source::Known,
            _ => {}
        }
    }

    /// Takes an answer over into a new snapshot.
    pub(super) fn handle_response(
        &mut self,
        response: MetadataResponse,
        asked_all: bool,
        now: Instant,
        unit_random: f64,
    ) {
        let again = matches!(self.state, State::Asking { again: true });
        self.last_success = Some(now);
        self.state = State::Idle;
        if response.error_code == ErrorCode::RebootstrapRequired {
            self.rebootstrap(now);
            return;
        }
        if response.brokers.is_empty() {
            // A broker that has just started may know nobody yet, itself included.
            return self.handle_failure(now, unit_random);
        }
        self.attempts_since = None;
        self.source = Source::Known;
        let wrong = self.merge(response, asked_all);
        if wrong {
            self.failures = self.failures.saturating_add(1);
            let not_before = now + self.config.retry_backoff.delay(self.failures, unit_random);
            self.state = State::Due { not_before };
        } else {
            self.failures = 0;
        }
        if again {
            self.request_update(now, unit_random);
        }
    }

    /// Builds the next snapshot; true when something is still missing that another request may bring.
    fn merge(&mut self, response: MetadataResponse, asked_all: bool) -> bool {
        let old = self.snapshot.clone();
        let mut topics = BTreeMap::new();
        let mut wrong = false;
        for topic in response.topics {
            let Some(name) = topic.name.as_deref() else { continue };
            let name =
                self.topics.get_key_value(name).map_or_else(|| Arc::from(name), |(known, _)| known.clone());
            if !asked_all && !self.topics.contains_key(&name) {
                continue;
            }
            let merged = self.merge_topic(&name, old.topics.get(&name), topic);
            wrong |= merged.error.is_retriable()
                || merged.partitions.iter().any(|partition| partition.leader.is_none());
            topics.insert(name, Arc::new(merged));
        }
        for name in self.topics.keys() {
            if !topics.contains_key(name) {
                // Asked meanwhile, or left out of an answer for all topics.
                wrong = true;
                if let Some(known) = old.topics.get(name) {
                    topics.insert(name.clone(), known.clone());
                }
            }
        }
        self.lower_epochs.retain(|(topic, _), _| topics.contains_key(topic));
        let brokers = response.brokers.into_iter().filter_map(|broker| {
            let port = u16::try_from(broker.port).ok()?;
            let address = Address::new(&*broker.host, port);
            let rack = broker.rack.map(|rack| rack.to_string());
            Some((broker.node_id, Broker { node_id: broker.node_id, address, rack }))
        });
        self.snapshot = Arc::new(Metadata {
            version: old.version + 1,
            cluster_id: response.cluster_id.map(|id| id.to_string()),
            controller_id: (response.controller_id >= 0).then_some(response.controller_id),
            brokers: brokers.collect(),
            topics,
        });
        wrong
    }

    fn merge_topic(
        &mut self,
        name: &Arc<str>,
        old: Option<&Arc<TopicMetadata>>,
        new: MetadataResponseTopic,
    ) -> TopicMetadata {
        if new.error_code.is_retriable()
            && new.partitions.is_empty()
            && let Some(old) = old
        {
            return TopicMetadata { error: new.error_code, ..(**old).clone() };
        }
        // A topic id that changed means a topic created anew: nothing of the old one counts.
        let same = old
            .filter(|old| old.topic_id == new.topic_id || old.topic_id.is_zero() || new.topic_id.is_zero());
        let topic_id = match same {
            Some(old) if new.topic_id.is_zero() => old.topic_id,
            _ => new.topic_id,
        };
        let count = new
            .partitions
            .iter()
            .map(|partition| partition.partition_index.saturating_add(1))
            .max()
            .unwrap_or(0);
        let count = usize::try_from(count).unwrap_or(0).min(new.partitions.len());
        let mut partitions = vec![PartitionMetadata::unknown(); count];
        for partition in new.partitions {
            let index = usize::try_from(partition.partition_index).unwrap_or(usize::MAX);
            let known = same.and_then(|old| old.partitions.get(index));
            if let Some(slot) = partitions.get_mut(index) {
                *slot = self.merge_partition(name, known, partition);
            }
        }
        TopicMetadata {
            name: name.clone(),
            topic_id,
            is_internal: new.is_internal,
            error: new.error_code,
            partitions,
        }
    }

    fn merge_partition(
        &mut self,
        topic: &Arc<str>,
        old: Option<&PartitionMetadata>,
        new: MetadataResponsePartition,
    ) -> PartitionMetadata {
        let partition = new.partition_index;
        let new = PartitionMetadata {
            leader: (new.leader_id >= 0).then_some(new.leader_id),
            leader_epoch: (new.leader_epoch >= 0).then_some(new.leader_epoch),
            replicas: new.replica_nodes,
            in_sync_replicas: new.isr_nodes,
            offline_replicas: new.offline_replicas,
            error: new.error_code,
        };
        let went_back = old.is_some_and(
            |old| matches!((old.leader_epoch, new.leader_epoch), (Some(old), Some(new)) if new < old),
        );
        if !went_back {
            self.lower_epochs.remove(&(topic.clone(), partition));
            return new;
        }
        let answers = self.lower_epochs.entry((topic.clone(), partition)).or_default();
        *answers += 1;
        if *answers >= LOWER_EPOCH_ANSWERS_BELIEVED {
            self.lower_epochs.remove(&(topic.clone(), partition));
            return new;
        }
        old.cloned().unwrap_or(new)
    }

    /// Takes over leaders told in the answer of a former leader, if they are newer and the new leader's address is known or told
    /// beside them. Returns whether something changed.
    pub(super) fn handle_leader_hints(&mut self, hints: &[LeaderHint], endpoints: &[Broker]) -> bool {
        let mut next = (*self.snapshot).clone();
        let mut changed = false;
        for hint in hints {
            let endpoint = endpoints.iter().find(|broker| broker.node_id == hint.leader_id);
            if endpoint.is_none() && !next.brokers.contains_key(&hint.leader_id) {
                continue;
            }
            let Some(topic) = next.topics.get_mut(&hint.topic) else { continue };
            let Some(index) =
                usize::try_from(hint.partition).ok().filter(|index| *index < topic.partitions.len())
            else {
                continue;
            };
            if topic.partitions[index].leader_epoch.is_some_and(|known| known >= hint.leader_epoch) {
                continue;
            }
            let partition = &mut Arc::make_mut(topic).partitions[index];
            partition.leader = Some(hint.leader_id);
            partition.leader_epoch = Some(hint.leader_epoch);
            partition.error = ErrorCode::None;
            if let Some(endpoint) = endpoint {
                next.brokers.insert(endpoint.node_id, endpoint.clone());
            }
            changed = true;
        }
        if changed {
            next.version += 1;
            self.snapshot = Arc::new(next);
        }
        changed
    }
}

impl PartitionMetadata {
    fn unknown() -> Self {
        Self {
            leader: None,
            leader_epoch: None,
            replicas: Vec::new(),
            in_sync_replicas: Vec::new(),
            offline_replicas: Vec::new(),
            error: ErrorCode::LeaderNotAvailable,
        }
    }
}
