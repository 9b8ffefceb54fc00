//! Which leader epoch begins at which offset (Java: `LeaderEpochFileCache`; KIP-101, KIP-320).

/// The start offset of every leader epoch that wrote to, or began on, a partition's log, oldest first.
#[derive(Debug, Default, Clone)]
pub(crate) struct LeaderEpochs {
    entries: Vec<EpochStart>,
}

/// A leader epoch and the first offset it could write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochStart {
    pub(crate) leader_epoch: i32,
    pub(crate) start_offset: i64,
}

/// The end of an epoch: the offset after the last one written in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochEnd {
    /// The largest known epoch that is not greater than the one asked for.
    pub(crate) leader_epoch: i32,
    pub(crate) end_offset: i64,
}

impl LeaderEpochs {
    /// Notes that `leader_epoch` begins at `start_offset`; entries that contradict it are dropped.
    pub(crate) fn assign(&mut self, leader_epoch: i32, start_offset: i64) {
        if let Some(latest) = self.entries.last()
            && latest.leader_epoch == leader_epoch
            && start_offset >= latest.start_offset
        {
            return;
        }
        while self
            .entries
            .last()
            .is_some_and(|entry| entry.leader_epoch >= leader_epoch || entry.start_offset >= start_offset)
        {
            self.entries.pop();
        }
        self.entries.push(EpochStart { leader_epoch, start_offset });
    }

    pub(crate) fn latest(&self) -> Option<EpochStart> {
        self.entries.last().copied()
    }

    pub(crate) fn earliest(&self) -> Option<EpochStart> {
        self.entries.first().copied()
    }

    /// Where `leader_epoch` ended; `None` when that cannot be told.
    ///
    /// The latest epoch ends at the log's end, an unknown one where the next known one begins.
    pub(crate) fn end_offset_for(&self, leader_epoch: i32, log_end_offset: i64) -> Option<EpochEnd> {
        if leader_epoch < 0 {
            return None;
        }
        if self.latest().is_some_and(|latest| latest.leader_epoch == leader_epoch) {
            return Some(EpochEnd { leader_epoch, end_offset: log_end_offset });
        }
        let higher = self.entries.partition_point(|entry| entry.leader_epoch <= leader_epoch);
        let end_offset = self.entries.get(higher)?.start_offset;
        let floor = higher.checked_sub(1).map(|index| self.entries[index].leader_epoch);
        Some(EpochEnd { leader_epoch: floor.unwrap_or(leader_epoch), end_offset })
    }

    /// Forgets epochs that begin at or after `end_offset`, which is where the log now ends.
    pub(crate) fn truncate_from_end(&mut self, end_offset: i64) {
        while self.entries.last().is_some_and(|entry| entry.start_offset >= end_offset) {
            self.entries.pop();
        }
    }

    /// Forgets epochs that lie wholly before `start_offset`, which is where the log now begins.
    pub(crate) fn truncate_from_start(&mut self, start_offset: i64) {
        let beyond = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        if beyond > 0 {
            self.entries.drain(..beyond - 1);
            self.entries[0].start_offset = start_offset;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        entries.iter().for_each(|&(leader_epoch, start_offset)| epochs.assign(leader_epoch, start_offset));
        epochs
    }

    fn entries(epochs: &LeaderEpochs) -> Vec<(i32, i64)> {
        epochs.entries.iter().map(|entry| (entry.leader_epoch, entry.start_offset)).collect()
    }

    fn end(epochs: &LeaderEpochs, leader_epoch: i32) -> Option<(i32, i64)> {
        epochs.end_offset_for(leader_epoch, 100).map(|end| (end.leader_epoch, end.end_offset))
    }

    #[test]
    fn latest_epoch_ends_at_the_log_end() {
        assert_eq!(end(&epochs(&[(0, 0), (3, 40)]), 3), Some((3, 100)));
    }

    #[test]
    fn a_gap_is_answered_with_the_epoch_below_and_the_start_above() {
        assert_eq!(end(&epochs(&[(1, 10), (4, 40)]), 2), Some((1, 40)));
    }

    #[test]
    fn an_epoch_before_the_first_keeps_its_number() {
        assert_eq!(end(&epochs(&[(5, 50)]), 2), Some((2, 50)));
    }

    #[test]
    fn epochs_beyond_the_latest_and_no_epoch_are_undefined() {
        assert_eq!(end(&epochs(&[(1, 10)]), 2), None);
        assert_eq!(end(&epochs(&[(1, 10)]), -1), None);
        assert_eq!(end(&epochs(&[]), 0), None);
    }

    #[test]
    fn an_epoch_without_records_is_replaced_by_the_next_at_the_same_offset() {
        assert_eq!(entries(&epochs(&[(0, 0), (1, 7), (2, 7)])), [(0, 0), (2, 7)]);
    }

    #[test]
    fn assigning_the_latest_epoch_again_changes_nothing() {
        assert_eq!(entries(&epochs(&[(0, 0), (1, 7), (1, 9)])), [(0, 0), (1, 7)]);
    }

    #[test]
    fn truncation_from_the_end_forgets_epochs_that_begin_there() {
        let mut epochs = epochs(&[(0, 0), (1, 7), (2, 9)]);
        epochs.truncate_from_end(7);
        assert_eq!(entries(&epochs), [(0, 0)]);
    }

    #[test]
    fn truncation_from_the_start_moves_the_first_epoch() {
        let mut epochs = epochs(&[(0, 0), (1, 7), (2, 9)]);
        epochs.truncate_from_start(8);
        assert_eq!(entries(&epochs), [(1, 8), (2, 9)]);
        epochs.truncate_from_start(3);
        assert_eq!(entries(&epochs), [(1, 8), (2, 9)]);
    }
}
