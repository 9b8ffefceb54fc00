//! How many bytes may be fetched ahead of the application. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::subscription::ConsumedFetch;
use milena_protocol::planted;

/// What a received frame occupies at least: brokers answer small fetches in frames of a few hundred bytes, and the room in which
/// a socket is read is larger.
const FRAME_BYTES_MIN: usize = 8 * 1024;

/// The bytes that wait for the application, within one limit.
///
/// Each broker has an equal share of the limit, so that a broker that hangs with a reservation keeps nobody else from fetching.
/// A fetch reserves before it is sent, and tells the broker what it reserved; a batch that is larger than that comes
/// nevertheless (KIP-74), so the limit may be exceeded by one batch per broker. Bytes count from the moment they are reserved
/// until they are handed to the application or dropped.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: usize,
    used_by_node: BTreeMap<i32, usize>,
    frames: BTreeMap<FrameId, Frame>,
    next_frame: u64,
}

/// A frame that was received and whose partitions are not all handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FrameId(u64);

#[derive(Debug)]
struct Frame {
    node_id: i32,
    bytes: usize,
    /// The frame is in memory as long as one of these is.
    parts: usize,
    consumed: ConsumedFetch,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, used: 0, used_by_node: BTreeMap::new(), frames: BTreeMap::new(), next_frame: 0 }
    }

    /// How many bytes to reserve now for a fetch that would like `wanted`, with `nodes` brokers to fetch from, of which this one may
    /// have `node_max`; `None` when there is no room. A fetch has half a share at most: one half is read while the other comes,
    /// and a broker that comes into use finds room.
    pub(crate) fn available(
        &self,
        node_id: i32,
        wanted: usize,
        nodes: usize,
        node_max: usize,
    ) -> Option<usize> {
        if planted("budget_has_no_bound") {
            return Some(wanted);
        }
        let share = (self.limit / nodes.max(1)).max(1);
        let free_of_share = share.min(node_max).saturating_sub(self.used_by(node_id));
        let free = free_of_share.min(self.limit.saturating_sub(self.used));
        Some(wanted.min((share / 2).max(1))).filter(|needed| *needed <= free)
    }

    /// Accounts for a frame, which counts as one part until [`Self::finish_part`] says that all others are known.
    pub(crate) fn add_frame(&mut self, node_id: i32, frame_bytes: usize) -> FrameId {
        let id = FrameId(self.next_frame);
        self.next_frame += 1;
        let bytes = frame_bytes.max(FRAME_BYTES_MIN);
        self.charge(node_id, bytes);
        self.frames.insert(id, Frame { node_id, bytes, parts: 1, consumed: ConsumedFetch::new() });
        id
    }

    /// One more part of a frame is kept.
    pub(crate) fn add_part(&mut self, id: FrameId) {
        if let Some(frame) = self.frames.get_mut(&id) {
            frame.parts += 1;
        }
    }

    /// Something of a frame was handed to the application.
    pub(crate) fn count_consumed(&mut self, id: FrameId, topic: &Arc<str>, records: usize, bytes: usize) {
        let Some(frame) = self.frames.get_mut(&id) else { return };
        let (records_before, bytes_before) = frame.consumed.entry(topic.clone()).or_default();
        *records_before += records as u64;
        *bytes_before += bytes as u64;
    }

    /// One part of a frame was handed over or dropped. After the last one, tells what was handed over of the frame, if anything
    /// was.
    pub(crate) fn finish_part(&mut self, id: FrameId) -> Option<ConsumedFetch> {
        let frame = self.frames.get_mut(&id)?;
        frame.parts -= 1;
        if frame.parts > 0 {
            return None;
        }
        let Frame { node_id, bytes, consumed, .. } = self.frames.remove(&id)?;
        self.release(node_id, bytes);
        Some(consumed).filter(|consumed| !consumed.is_empty())
    }

    /// Accounts for a reservation, or for bytes that decompression brought.
    pub(crate) fn charge(&mut self, node_id: i32, bytes: usize) {
        self.used += bytes;
        *self.used_by_node.entry(node_id).or_default() += bytes;
    }

    /// Gives up what [`Self::charge`] accounted for.
    pub(crate) fn release(&mut self, node_id: i32, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
        if let Some(used) = self.used_by_node.get_mut(&node_id) {
            *used = used.saturating_sub(bytes);
            if *used == 0 {
                self.used_by_node.remove(&node_id);
            }
        }
    }

    /// What frames of a broker occupy, each counted once.
    pub(crate) fn frame_bytes(&self, node_id: i32, frames: impl Iterator<Item = FrameId>) -> usize {
        let frames: BTreeSet<FrameId> = frames.collect();
        let frames = frames.iter().filter_map(|id| self.frames.get(id));
        frames.filter(|frame| frame.node_id == node_id).map(|frame| frame.bytes).sum()
    }

    /// All bytes reserved or buffered.
    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    fn used_by(&self, node_id: i32) -> usize {
        self.used_by_node.get(&node_id).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker that may have all that there is.
    const ALL: usize = usize::MAX;

    #[test]
    fn a_broker_that_is_not_to_be_asked_far_ahead_waits() {
        let mut budget = Budget::new(60_000);
        budget.charge(1, 2_500);
        assert_eq!(budget.available(1, 1_000, 1, 3_000), None);
        assert_eq!(budget.available(1, 1_000, 1, 3_500), Some(1_000));
    }

    #[test]
    fn a_broker_that_holds_its_share_leaves_the_others_theirs() {
        let mut budget = Budget::new(3_000);
        for _ in 0..2 {
            assert_eq!(budget.available(1, 10_000, 3, ALL), Some(500));
            budget.charge(1, 500);
        }
        assert_eq!(budget.available(1, 10_000, 3, ALL), None);
        assert_eq!(budget.available(2, 10_000, 3, ALL), Some(500));
    }

    #[test]
    fn a_fetch_has_half_a_share_at_most_and_waits_for_that() {
        let mut budget = Budget::new(1_000);
        assert_eq!(budget.available(1, 1_000, 1, ALL), Some(500));
        budget.charge(1, 501);
        assert_eq!(budget.available(1, 1_000, 1, ALL), None);
        assert_eq!(budget.available(1, 100, 1, ALL), Some(100));
    }

    #[test]
    fn a_frame_counts_until_its_last_part_is_finished() {
        let mut budget = Budget::new(100_000);
        let frame = budget.add_frame(1, 60_000);
        budget.add_part(frame);
        budget.finish_part(frame);
        assert_eq!(budget.used(), 60_000);
        budget.finish_part(frame);
        assert_eq!(budget.used(), 0);
        assert!(budget.used_by_node.is_empty() && budget.frames.is_empty());
    }

    #[test]
    fn a_small_frame_counts_with_the_room_that_it_was_read_into() {
        let mut budget = Budget::new(100_000);
        budget.add_frame(1, 200);
        assert_eq!(budget.used(), FRAME_BYTES_MIN);
    }
}
