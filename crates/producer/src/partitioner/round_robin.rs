use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

use super::{Partitioner, PartitioningInput, Placement};

/// Every record, keyed or not, to the next available partition of its topic in turn.
///
/// Java: `RoundRobinPartitioner`. Each batch gets few records; prefer the sticky default unless the
/// even spread of single records matters.
#[derive(Debug, Default)]
pub struct RoundRobin {
    /// Records so far, by topic.
    counters: RwLock<BTreeMap<Box<str>, AtomicU32>>,
}

impl RoundRobin {
    /// Starts each topic at its first available partition.
    pub fn new() -> Self {
        Self::default()
    }

    fn next(&self, topic: &str) -> u32 {
        let counters = self.counters.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = counters.get(topic) {
            return counter.fetch_add(1, Ordering::Relaxed);
        }
        drop(counters);
        // Another caller may have made the counter meanwhile: `entry` takes theirs.
        let mut counters = self.counters.write().unwrap_or_else(PoisonError::into_inner);
        counters.entry(topic.into()).or_default().fetch_add(1, Ordering::Relaxed)
    }
}

impl Partitioner for RoundRobin {
    fn place(&self, input: &PartitioningInput<'_>) -> Placement {
        Placement::Partition(input.partitions.nth_modulo(self.next(input.topic)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partitioner::TopicPartitions;

    fn placements(partitioner: &RoundRobin, topic: &str, available: &[i32], count: usize) -> Vec<i32> {
        let input = PartitioningInput {
            topic,
            key: Some(b"key"),
            value: None,
            partitions: TopicPartitions { count: 4, available },
        };
        let place = || match partitioner.place(&input) {
            Placement::Partition(partition) => partition,
            Placement::Sticky => panic!("round robin always chooses"),
        };
        (0..count).map(|_| place()).collect()
    }

    #[test]
    fn each_topic_goes_round_its_available_partitions() {
        let partitioner = RoundRobin::new();
        assert_eq!(placements(&partitioner, "a", &[0, 1, 3], 4), [0, 1, 3, 0]);
        assert_eq!(placements(&partitioner, "b", &[0, 1, 3], 2), [0, 1]);
        assert_eq!(placements(&partitioner, "a", &[0, 1, 3], 2), [1, 3]);
    }

    #[test]
    fn without_an_available_partition_all_take_turns() {
        assert_eq!(placements(&RoundRobin::new(), "a", &[], 5), [0, 1, 2, 3, 0]);
    }

    #[test]
    fn the_turn_survives_the_wrap_of_its_counter() {
        let partitioner = RoundRobin::new();
        partitioner.counters.write().unwrap().insert("a".into(), AtomicU32::new(u32::MAX));
        assert_eq!(placements(&partitioner, "a", &[0, 1, 2, 3], 3), [3, 0, 1]);
    }
}
