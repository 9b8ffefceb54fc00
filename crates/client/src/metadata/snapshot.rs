//! An immutable picture of the cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use milena_protocol::{ErrorCode, Uuid};

use crate::Address;

/// Brokers and topics as last learnt; replaced as a whole, never changed.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// Counts the replacements.
    pub version: u64,
    /// The cluster's id, where the broker told it.
    pub cluster_id: Option<String>,
    /// The broker to send administrative changes to.
    pub controller_id: Option<i32>,
    /// Brokers by node id.
    pub brokers: BTreeMap<i32, Broker>,
    /// The topics somebody is interested in, by name.
    pub topics: BTreeMap<Arc<str>, Arc<TopicMetadata>>,
}

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub node_id: i32,
    /// Where it listens.
    pub address: Address,
    /// Its rack, where it has one.
    pub rack: Option<String>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; zero from brokers before 2.8.
    pub topic_id: Uuid,
    /// Whether Kafka keeps its own state in it.
    pub is_internal: bool,
    /// What the last answer said about the topic. Partitions learnt earlier are kept beside a retriable error, so that a topic
    /// that is briefly missing loses nothing.
    pub error: ErrorCode,
    /// Partitions; the index is the partition's number.
    pub partitions: Vec<PartitionMetadata>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// The node that leads it; `None` while there is none.
    pub leader: Option<i32>,
    /// The leader's epoch (KIP-320); `None` from brokers before 2.4, whose answers can be behind in it (KAFKA-9212).
    pub leader_epoch: Option<i32>,
    /// Nodes that hold a copy.
    pub replicas: Vec<i32>,
    /// Nodes whose copy is in sync.
    pub in_sync_replicas: Vec<i32>,
    /// Copies that are offline.
    pub offline_replicas: Vec<i32>,
    /// What the last answer said about the partition.
    pub error: ErrorCode,
}

impl Metadata {
    /// A topic by name.
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicMetadata>> {
        self.topics.get(name)
    }

    /// A topic by id (KIP-516); none has the id zero, which brokers without ids give to all.
    pub fn topic_by_id(&self, topic_id: Uuid) -> Option<&Arc<TopicMetadata>> {
        self.topics.values().find(|topic| topic.topic_id == topic_id && !topic_id.is_zero())
    }

    /// Whether the last answer had the topic.
    pub(super) fn has_topic(&self, name: &str) -> bool {
        self.topics.get(name).is_some_and(|topic| topic.error != ErrorCode::UnknownTopicOrPartition)
    }

    /// Whether everything but the version is the same.
    pub(super) fn has_same_content(&self, other: &Self) -> bool {
        self.topics == other.topics
            && self.brokers == other.brokers
            && self.controller_id == other.controller_id
            && self.cluster_id == other.cluster_id
    }

    /// A partition.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionMetadata> {
        let index = usize::try_from(partition).ok()?;
        self.topic(topic)?.partitions.get(index)
    }

    /// The broker that leads a partition, if it has a leader whose address is known.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<&Broker> {
        self.brokers.get(&self.partition(topic, partition)?.leader?)
    }
}

impl PartitionMetadata {
    /// A partition that must exist and of which nothing was told.
    pub(super) fn unknown() -> Self {
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

/// A partition of a topic. Cloning copies a reference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition from its parts.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl<T: Into<Arc<str>>> From<(T, i32)> for TopicPartition {
    fn from((topic, partition): (T, i32)) -> Self {
        Self::new(topic, partition)
    }
}
