//! What of an answer is believed: the next snapshot from the last one and a Metadata response. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::MetadataResponse;
use milena_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};

use super::core::Ask;
use super::snapshot::{Broker, Metadata, PartitionMetadata, TopicMetadata};
use crate::Address;

/// Answers in a row with a lower leader epoch after which it is believed: one late answer of a lagging broker must not turn a
/// partition back, but a partition whose epoch really went back (a topic created anew on brokers without topic ids, an unclean
/// restore) must not be stuck for ever, as it was in
/// [franz-go#119](https://github.com/twmb/franz-go/issues/119). Java never believes it.
pub(super) const REWINDS_REFUSED: u32 = 4;

/// The first version whose leader epochs are accurate while partitions are reassigned (`MetadataResponse.hasReliableLeaderEpochs`,
/// KAFKA-9212); epochs of older answers are not used.
const RELIABLE_EPOCHS_SINCE: i16 = 9;

/// How often in a row a partition's leader epoch came lower than it was known.
pub(super) type Rewinds = BTreeMap<(Arc<str>, i32), u32>;

/// The next snapshot.
pub(super) struct Merged {
    pub(super) metadata: Metadata,
    /// Something of interest is missing or refused that another answer may bring.
    pub(super) incomplete: bool,
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

/// Builds the next snapshot; `is_wanted` tells topics in which somebody is interested now.
pub(super) fn merge(
    old: &Metadata,
    rewinds: &mut Rewinds,
    response: MetadataResponse,
    version: i16,
    ask: &Ask,
    is_wanted: impl Fn(&str) -> bool,
) -> Merged {
    let cluster_id = response.cluster_id.map(|id| id.to_string());
    // Behind moved bootstrap names may be another cluster: nothing that was known of the first one counts there.
    let same_cluster = old.cluster_id.is_none() || cluster_id.is_none() || old.cluster_id == cluster_id;
    let brokers = usable_brokers(&response.brokers);
    let mut merger = Merger { rewinds, reliable_epochs: version >= RELIABLE_EPOCHS_SINCE, rewound: false };
    let mut topics = BTreeMap::new();
    let mut incomplete = false;
    for topic in response.topics {
        let Some(name) = topic.name.as_deref() else { continue };
        let wanted = is_wanted(name);
        if !wanted && ask.topics.is_some() {
            continue;
        }
        let known = old.topics.get_key_value(name).filter(|_| same_cluster);
        let name = known.map_or_else(|| Arc::from(name), |(name, _)| name.clone());
        merger.rewound = false;
        let merged = merger.topic(&name, known.map(|(_, topic)| topic), topic);
        incomplete |= wanted && (merger.rewound || is_incomplete(&merged, &brokers));
        topics.insert(name, merged);
    }
    // What was asked for and left out, and what became of interest only while the answer was on its way.
    let asked = ask.topics.iter().flatten().chain(&ask.create);
    incomplete |= asked.into_iter().any(|name| is_wanted(name) && !topics.contains_key(name));
    let unmentioned = old.topics.iter().filter(|(name, _)| same_cluster && is_wanted(name));
    for (name, known) in unmentioned {
        topics.entry(name.clone()).or_insert_with(|| known.clone());
    }
    rewinds.retain(|(topic, _), _| topics.contains_key(topic));
    let metadata = Metadata {
        version: old.version + 1,
        cluster_id,
        controller_id: (response.controller_id >= 0).then_some(response.controller_id),
        brokers,
        topics,
    };
    Merged { metadata, incomplete }
}

/// The brokers that can be connected to.
pub(super) fn usable_brokers(brokers: &[MetadataResponseBroker]) -> BTreeMap<i32, Broker> {
    let usable = brokers.iter().filter_map(|broker| {
        let port = u16::try_from(broker.port).ok().filter(|port| *port > 0)?;
        let address = Address::new(&*broker.host, port);
        let rack = broker.rack.as_ref().map(ToString::to_string);
        Some((broker.node_id, Broker { node_id: broker.node_id, address, rack }))
    });
    usable.collect()
}

fn is_incomplete(topic: &TopicMetadata, brokers: &BTreeMap<i32, Broker>) -> bool {
    let has_leader =
        |partition: &PartitionMetadata| partition.leader.is_some_and(|leader| brokers.contains_key(&leader));
    match topic.error {
        ErrorCode::None => topic.partitions.is_empty() || !topic.partitions.iter().all(has_leader),
        error => error.is_retriable(),
    }
}

/// What the merging of one answer carries along.
struct Merger<'a> {
    rewinds: &'a mut Rewinds,
    reliable_epochs: bool,
    /// A partition of the topic at hand was left as it was, because its leader epoch went back.
    rewound: bool,
}

impl Merger<'_> {
    fn topic(
        &mut self,
        name: &Arc<str>,
        old: Option<&Arc<TopicMetadata>>,
        new: MetadataResponseTopic,
    ) -> Arc<TopicMetadata> {
        // Briefly missing (librdkafka 1.9 lost acknowledged records then): what was learnt stays, beside the error.
        if new.error_code.is_retriable()
            && new.partitions.is_empty()
            && let Some(old) = old
        {
            return Arc::new(TopicMetadata { error: new.error_code, ..(**old).clone() });
        }
        // A topic id that changed means a topic created anew: nothing of the old one counts.
        let same = old
            .filter(|old| old.topic_id == new.topic_id || old.topic_id.is_zero() || new.topic_id.is_zero());
        let topic_id = match same {
            Some(old) if new.topic_id.is_zero() => old.topic_id,
            _ => new.topic_id,
        };
        // Partitions are never taken away from a topic: an answer with fewer comes from a broker that lags behind.
        let certainly_same = same.filter(|old| !new.topic_id.is_zero() && old.topic_id == new.topic_id);
        let mut partitions = certainly_same.map_or_else(Vec::new, |old| old.partitions.clone());
        let named = new.partitions.iter().map(|partition| partition.partition_index.saturating_add(1)).max();
        let count = usize::try_from(named.unwrap_or(0)).unwrap_or(0).min(new.partitions.len());
        partitions.resize_with(count.max(partitions.len()), PartitionMetadata::unknown);
        for partition in new.partitions {
            let index = usize::try_from(partition.partition_index).unwrap_or(usize::MAX);
            let known = same.and_then(|old| old.partitions.get(index));
            if let Some(slot) = partitions.get_mut(index) {
                *slot = self.partition(name, known, partition);
            }
        }
        Arc::new(TopicMetadata {
            name: name.clone(),
            topic_id,
            is_internal: new.is_internal,
            error: new.error_code,
            partitions,
        })
    }

    fn partition(
        &mut self,
        topic: &Arc<str>,
        old: Option<&PartitionMetadata>,
        new: MetadataResponsePartition,
    ) -> PartitionMetadata {
        let partition = new.partition_index;
        let mut new = PartitionMetadata {
            leader: (new.leader_id >= 0).then_some(new.leader_id),
            leader_epoch: (new.leader_epoch >= 0 && self.reliable_epochs).then_some(new.leader_epoch),
            replicas: new.replica_nodes,
            in_sync_replicas: new.isr_nodes,
            offline_replicas: new.offline_replicas,
            error: new.error_code,
        };
        let Some(old) = old else { return new };
        if new.leader.is_none() && new.leader_epoch.is_none() {
            // Nobody leads: that makes nobody who led before a leader again.
            new.leader_epoch = old.leader_epoch;
        }
        let went_back = matches!((old.leader_epoch, new.leader_epoch), (Some(old), Some(new)) if new < old);
        let key = (topic.clone(), partition);
        if went_back {
            let refused = self.rewinds.entry(key).or_default();
            *refused += 1;
            if *refused <= REWINDS_REFUSED {
                self.rewound = true;
                return old.clone();
            }
            tracing::warn!(%topic, partition, "the leader epoch went back for good");
            self.rewinds.remove(&(topic.clone(), partition));
        } else if !self.rewinds.is_empty() {
            self.rewinds.remove(&key);
        }
        new
    }
}

/// The snapshot with those hints that are newer than it and whose leader's address is known or told; `None` when none is.
/// (`Metadata.updatePartitionLeadership`)
pub(super) fn apply_hints(
    snapshot: &Metadata,
    hints: &[LeaderHint],
    endpoints: &[Broker],
) -> Option<Metadata> {
    let mut next = snapshot.clone();
    let mut changed = false;
    for hint in hints {
        let endpoint = endpoints.iter().find(|broker| broker.node_id == hint.leader_id);
        let is_reachable = endpoint.is_some() || next.brokers.contains_key(&hint.leader_id);
        let Some(known) = next.topics.get_mut(&hint.topic) else { continue };
        let index = usize::try_from(hint.partition).unwrap_or(usize::MAX);
        let is_newer = known.partitions.get(index).is_some_and(|partition| {
            hint.leader_epoch >= 0 && partition.leader_epoch.is_none_or(|epoch| epoch < hint.leader_epoch)
        });
        if hint.leader_id < 0 || !is_reachable || !is_newer {
            continue;
        }
        let partition = &mut Arc::make_mut(known).partitions[index];
        partition.leader = Some(hint.leader_id);
        partition.leader_epoch = Some(hint.leader_epoch);
        partition.error = ErrorCode::None;
        if let Some(endpoint) = endpoint {
            next.brokers.insert(endpoint.node_id, endpoint.clone());
        }
        changed = true;
    }
    next.version += 1;
    changed.then_some(next)
}
