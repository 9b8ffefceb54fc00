//! When reading ends: after a number of records, at the end of the partitions as it was at the beginning, or never. Pure.

use std::collections::BTreeMap;

use milena::TopicPartition;

/// What is left to read.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// Records still wanted.
    pub(crate) count: Option<u64>,
    /// With `--exit`: the partitions that have not reached their end, and where that is.
    pub(crate) ends: Option<BTreeMap<TopicPartition, i64>>,
}

impl Limits {
    /// Whether nothing is left to read.
    pub(crate) fn are_reached(&self) -> bool {
        self.count == Some(0) || self.ends.as_ref().is_some_and(BTreeMap::is_empty)
    }

    /// Whether a record is wanted; counts it if it is.
    pub(crate) fn take(&mut self, partition: &TopicPartition, offset: i64) -> bool {
        let within =
            self.ends.as_ref().is_none_or(|ends| ends.get(partition).is_some_and(|end| offset < *end));
        if !within || self.count == Some(0) {
            return false;
        }
        if let Some(count) = &mut self.count {
            *count -= 1;
        }
        true
    }

    /// Takes note that `partition` was read up to `position`; true when that is its end.
    pub(crate) fn advance(&mut self, partition: &TopicPartition, position: i64) -> bool {
        let Some(ends) = &mut self.ends else { return false };
        let at_end = ends.get(partition).is_some_and(|end| position >= *end);
        if at_end {
            ends.remove(partition);
        }
        at_end
    }

    /// The partitions that have not reached their end.
    pub(crate) fn unfinished(&self) -> Vec<TopicPartition> {
        self.ends.iter().flatten().map(|(partition, _)| partition.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_ends_reading_in_the_middle_of_a_batch() {
        let mut limits = Limits { count: Some(2), ends: None };
        let partition = TopicPartition::new("t", 0);
        let taken: Vec<_> = (0..4).map(|offset| limits.take(&partition, offset)).collect();
        assert_eq!(taken, [true, true, false, false]);
        assert!(limits.are_reached());
    }

    #[test]
    fn reading_ends_when_every_partition_is_at_its_end() {
        let [a, b] = [0, 1].map(|partition| TopicPartition::new("t", partition));
        let mut limits = Limits { count: None, ends: Some(BTreeMap::from([(a.clone(), 2), (b.clone(), 1)])) };
        assert!(limits.take(&a, 0));
        assert!(!limits.advance(&a, 1));
        assert!(!limits.take(&a, 2), "written after the beginning");
        assert!(limits.advance(&a, 3));
        assert!(!limits.advance(&a, 4), "told once");
        assert!(!limits.are_reached());
        assert_eq!(limits.unfinished(), std::slice::from_ref(&b));
        assert!(limits.advance(&b, 1));
        assert!(limits.are_reached());
    }

    #[test]
    fn without_limits_reading_goes_on() {
        let mut limits = Limits::default();
        let partition = TopicPartition::new("t", 0);
        assert!(limits.take(&partition, 0));
        assert!(!limits.advance(&partition, 1));
        assert!(!limits.are_reached());
    }
}
