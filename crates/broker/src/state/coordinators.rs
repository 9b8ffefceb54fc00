//! Which node coordinates a group or a transaction: the leader of the key's partition of a topic of Kafka's own
//! (Java: `KafkaApis.getCoordinator`, `GroupCoordinatorService.partitionFor`, `AutoTopicCreationManager`).
//!
//! Those topics are real ones, created when somebody first looks for a coordinator: clients list them, and whatever
//! moves the leader of a partition moves the coordinator. They stay empty; what they would hold is in memory.

use std::sync::Arc;

use milena_protocol::ByteStr;

use super::{AdminError, ClusterState, NewTopic, NodeInfo, Partition};
use crate::config::{InternalTopicSettings, MIN_ISR};

/// A topic that spreads coordinators over nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InternalTopic {
    /// Groups and their offsets.
    Offsets,
    /// Transactions.
    Transactions,
}

impl InternalTopic {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Offsets => "__consumer_offsets",
            Self::Transactions => "__transaction_state",
        }
    }

    /// Its `compression.type` (Java: `TransactionStateManager.transactionTopicConfigs`,
    /// `GroupCoordinatorService.groupMetadataTopicConfigs`).
    const fn compression(self) -> &'static str {
        match self {
            Self::Offsets => "producer",
            Self::Transactions => "uncompressed",
        }
    }

    pub(super) fn by_name(name: &str) -> Option<Self> {
        [Self::Offsets, Self::Transactions].into_iter().find(|topic| topic.name() == name)
    }
}

impl ClusterState {
    /// Creates an internal topic unless it is there.
    ///
    /// Kafka needs as many brokers as the replication factor says; here fewer will do.
    pub(crate) fn ensure_internal_topic(
        &mut self,
        topic: InternalTopic,
        now_ms: i64,
    ) -> Result<(), AdminError> {
        if self.topic(topic.name()).is_some() {
            return Ok(());
        }
        let InternalTopicSettings { partitions, replication_factor, segment_bytes, min_isr } = match topic {
            InternalTopic::Offsets => self.settings.offsets_topic.clone(),
            InternalTopic::Transactions => self.settings.transaction_topic.clone(),
        };
        let alive = self.nodes().filter(|info| info.alive).count();
        let config =
            |name: &'static str, value: &str| (ByteStr::from_static(name), Some(ByteStr::from(value)));
        let mut configs = vec![
            config("cleanup.policy", "compact"),
            config("compression.type", topic.compression()),
            config("segment.bytes", &segment_bytes.to_string()),
        ];
        if let Some(min_isr) = min_isr {
            configs.push(config(MIN_ISR, &min_isr.to_string()));
        }
        if topic == InternalTopic::Transactions {
            configs.push(config("unclean.leader.election.enable", "false"));
        }
        let new = NewTopic {
            name: ByteStr::from_static(topic.name()),
            partitions,
            replication_factor: replication_factor.min(alive.max(1) as i16),
            assignments: Vec::new(),
            configs,
        };
        self.create_topic(&new, false, now_ms).map(drop)
    }

    /// The index of the partition whose leader coordinates `key`; `None` until the topic is created.
    pub(crate) fn coordinator_index(&self, topic: InternalTopic, key: &str) -> Option<i32> {
        let partitions = self.topic(topic.name())?.partitions.len().max(1);
        Some((java_hash(key).unsigned_abs() as usize % partitions) as i32)
    }

    /// That partition.
    pub(crate) fn coordinator_partition(&self, topic: InternalTopic, key: &str) -> Option<&Arc<Partition>> {
        self.topic(topic.name())?.partition(self.coordinator_index(topic, key)?)
    }

    /// The node that coordinates `key`; `None` while nobody does.
    pub(crate) fn coordinator(&self, topic: InternalTopic, key: &str) -> Option<&NodeInfo> {
        let leader = self.coordinator_partition(topic, key)?.lock().leadership.leader?;
        self.node(leader).filter(|info| info.alive)
    }
}

/// `String.hashCode` of Java, which spreads keys over partitions; its absolute value is taken as `Utils.abs` does: that
/// of the smallest number is 0.
fn java_hash(text: &str) -> i32 {
    match text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit))) {
        i32::MIN => 0,
        hash => hash,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::NodeId;
    use crate::config::Configs;
    use crate::rng::Rng;
    use crate::state::Features;

    fn state() -> ClusterState {
        let node = |node: NodeId| NodeInfo {
            node,
            host: "127.0.0.1".into(),
            port: 9091 + node as u16,
            rack: None,
            alive: true,
        };
        ClusterState::new(
            (1..=3).map(node).collect(),
            Configs::default(),
            Features::default(),
            Rng::from_seed(4),
        )
    }

    fn owner(state: &ClusterState, key: &str) -> Option<NodeId> {
        state.coordinator(InternalTopic::Offsets, key).map(|info| info.node)
    }

    #[test]
    fn coordinators_are_spread_once_their_topic_is_there() {
        let mut state = state();
        assert_eq!(owner(&state, "group-1"), None);
        state.ensure_internal_topic(InternalTopic::Offsets, 0).expect("created");
        let id = state.topic("__consumer_offsets").expect("there").id;
        state.ensure_internal_topic(InternalTopic::Offsets, 0).expect("it is there");
        assert_eq!(state.topic("__consumer_offsets").map(|topic| topic.id), Some(id));
        let spread: BTreeSet<_> =
            (0..50).filter_map(|index| owner(&state, &format!("group-{index}"))).collect();
        assert_eq!(spread.len(), 3);
    }

    #[test]
    fn a_coordinator_moves_with_the_leader_of_its_partition() {
        let mut state = state();
        state.ensure_internal_topic(InternalTopic::Offsets, 0).expect("created");
        let first = owner(&state, "group-1").expect("somebody is alive");
        state.set_alive(first, false);
        assert_eq!(owner(&state, "group-1"), None);
        for partition in state.partitions() {
            state.lead(partition, |leadership, rules| leadership.node_lost(first, rules));
        }
        assert!(owner(&state, "group-1").is_some_and(|node| node != first));
    }

    #[test]
    fn an_internal_topic_makes_do_with_the_nodes_there_are() {
        let mut state = state();
        state.set_alive(3, false);
        state.ensure_internal_topic(InternalTopic::Transactions, 0).expect("created");
        let topic = state.topic("__transaction_state").expect("there");
        assert_eq!((topic.partitions.len(), topic.partitions[0].lock().leadership.replicas.len()), (50, 2));
    }

    #[test]
    fn keys_are_hashed_as_java_does() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("abc"), 96_354);
        let smallest = "polygenelubricants";
        assert_eq!(java_hash(smallest), 0, "the absolute value of the smallest number is 0");
    }
}
