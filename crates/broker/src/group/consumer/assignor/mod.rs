//! Which member is to have which partition (KIP-848; Java: `ConsumerGroupPartitionAssignor` and its implementations).
//!
//! An assignor sees the members, what they are subscribed to and what they were assigned last, and gives every
//! partition of every subscribed topic to exactly one member that is subscribed to it.

mod heterogeneous;
mod homogeneous;
mod range;

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::{ByteStr, Uuid};

/// Partitions by topic.
pub(crate) type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// What each member is to have.
pub(crate) type Targets = BTreeMap<ByteStr, Partitions>;

/// A server-side assignor, by Kafka's name (`group.consumer.assignors`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Assignor {
    /// Balanced over all topics together, and sticky.
    Uniform,
    /// The same range of every topic; balanced for each topic alone, and not sticky.
    Range,
}

/// What an assignor works on.
#[derive(Debug, Default)]
pub(crate) struct Spec {
    pub(crate) members: BTreeMap<ByteStr, MemberSpec>,
    /// How many partitions each topic has. Holds all topics that members are subscribed to, and may hold others.
    pub(crate) partition_counts: BTreeMap<Uuid, i32>,
}

/// A member, as an assignor sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemberSpec {
    pub(crate) instance_id: Option<ByteStr>,
    /// The topics it is subscribed to, as far as they exist.
    pub(crate) topics: BTreeSet<Uuid>,
    /// Its last target assignment.
    pub(crate) assigned: Partitions,
}

impl Assignor {
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        [Self::Uniform, Self::Range].into_iter().find(|assignor| assignor.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// Assigns all partitions of the subscribed topics.
    pub(crate) fn assign(self, spec: &Spec) -> Targets {
        match self {
            Self::Uniform if spec.is_homogeneous() => homogeneous::assign(spec),
            Self::Uniform => heterogeneous::assign(spec),
            Self::Range => range::assign(spec),
        }
    }
}

impl Spec {
    /// Whether all members are subscribed to the same topics.
    fn is_homogeneous(&self) -> bool {
        let mut subscriptions = self.members.values().map(|member| &member.topics);
        let first = subscriptions.next();
        subscriptions.all(|topics| Some(topics) == first)
    }

    fn partition_count(&self, topic: &Uuid) -> i32 {
        self.partition_counts.get(topic).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
