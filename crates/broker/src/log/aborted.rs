//! The aborted transactions of a partition, for readers of committed records only (Java: `TransactionIndex`,
//! `AbortedTxn`).

use std::collections::VecDeque;

/// An aborted transaction: of the producer's records between these offsets none is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AbortedTransaction {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// Offset of the marker.
    pub(crate) last_offset: i64,
    /// What it was when the marker was written.
    pub(crate) last_stable_offset: i64,
}

/// The aborted transactions in the order of their markers.
#[derive(Debug, Default)]
pub(crate) struct AbortedTransactions {
    entries: VecDeque<AbortedTransaction>,
}

impl AbortedTransactions {
    pub(crate) fn push(&mut self, aborted: AbortedTransaction) {
        self.entries.push_back(aborted);
    }

    /// Those that overlap with the offsets from `from` up to, and without, `upper_bound`.
    ///
    /// A transaction whose marker came when everything below `upper_bound` was decided ends the search: what was
    /// aborted later began later.
    pub(crate) fn between(&self, from: i64, upper_bound: i64) -> Vec<AbortedTransaction> {
        let first = self.entries.partition_point(|aborted| aborted.last_offset < from);
        let mut found = Vec::new();
        for aborted in self.entries.range(first..) {
            if aborted.first_offset < upper_bound {
                found.push(*aborted);
            }
            if aborted.last_stable_offset >= upper_bound {
                break;
            }
        }
        found
    }

    /// Whether a transaction of the producer that includes this offset was aborted.
    pub(crate) fn includes(&self, producer_id: i64, offset: i64) -> bool {
        let first = self.entries.partition_point(|aborted| aborted.last_offset < offset);
        let mut of_producer =
            self.entries.range(first..).filter(|aborted| aborted.producer_id == producer_id);
        of_producer.next().is_some_and(|aborted| aborted.first_offset <= offset)
    }

    /// Forgets those whose markers are before `offset`.
    pub(crate) fn forget_before(&mut self, offset: i64) {
        let gone = self.entries.partition_point(|aborted| aborted.last_offset < offset);
        self.entries.drain(..gone);
    }

    /// All of them, in the order of their markers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &AbortedTransaction> {
        self.entries.iter()
    }

    /// Forgets the one whose marker was there.
    pub(super) fn forget(&mut self, marker_offset: i64) {
        self.entries.retain(|aborted| aborted.last_offset != marker_offset);
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aborted(first_offset: i64, last_offset: i64, last_stable_offset: i64) -> AbortedTransaction {
        AbortedTransaction { producer_id: first_offset, first_offset, last_offset, last_stable_offset }
    }

    fn index<const N: usize>(entries: [AbortedTransaction; N]) -> AbortedTransactions {
        AbortedTransactions { entries: entries.into() }
    }

    fn found(index: &AbortedTransactions, from: i64, upper_bound: i64) -> Vec<i64> {
        index.between(from, upper_bound).iter().map(|aborted| aborted.first_offset).collect()
    }

    #[test]
    fn those_that_overlap_are_found_in_the_order_of_their_markers() {
        // The second began first, and was open when the first ended.
        let index = index([aborted(5, 8, 2), aborted(2, 10, 11), aborted(11, 12, 13)]);
        assert_eq!(found(&index, 0, 13), [5, 2, 11]);
        assert_eq!(found(&index, 0, 5), [2]);
        assert_eq!(found(&index, 9, 11), [2]);
        assert_eq!(found(&index, 11, 13), [11]);
        assert_eq!(found(&index, 13, 20), [0; 0]);
    }

    #[test]
    fn what_begins_at_the_upper_bound_is_not_told() {
        let index = index([aborted(0, 3, 4), aborted(4, 6, 7)]);
        assert_eq!(found(&index, 0, 4), [0]);
        assert_eq!(found(&index, 0, 5), [0, 4]);
    }

    #[test]
    fn only_the_producers_own_transaction_decides() {
        let index = index([aborted(5, 8, 2), aborted(2, 10, 11)]);
        let included = [(5, 4), (5, 5), (5, 8), (5, 9), (2, 2), (2, 9), (2, 1)];
        let included = included.map(|(producer_id, offset)| index.includes(producer_id, offset));
        assert_eq!(included, [false, true, true, false, true, true, false]);
    }

    #[test]
    fn those_in_deleted_segments_are_forgotten() {
        let mut index = index([aborted(0, 3, 4), aborted(4, 6, 7)]);
        index.forget_before(4);
        assert_eq!(found(&index, 0, 10), [4]);
    }
}
