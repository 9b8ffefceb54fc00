//! What a broker sent for one partition, before it is decoded. Pure.

use std::sync::Arc;

use milena_records::{BatchHeader, Batches};

use super::aborted::AbortedFilter;
use super::position::Position;
use crate::pool::FrameLease;

/// Batches that are not decoded yet, and how far decoding has come.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) batches: Batches,
    /// Hides aborted records from a `read_committed` consumer.
    pub(crate) filter: Option<AbortedFilter>,
    /// What is wrong with the order of the batches, until the decoder has looked into it.
    pub(crate) disorder: Option<Disorder>,
    /// Records before it are not wanted: a fetch from the middle of a batch brings the whole batch.
    pub(crate) next: Position,
    /// Where `next` was before anything was decoded.
    pub(crate) fetch_offset: i64,
    /// Dropped after the batches, which slice the frame.
    pub(crate) frame: Arc<FrameLease>,
}

/// What the headers of fetched batches tell, without decoding anything, so that the next fetch can be sent before that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    /// Where the log goes on after the last whole batch. `None` when that cannot be told: no whole batch is there, a header is
    /// malformed, or batches are out of order. Decoding finds out what is wrong.
    pub(crate) end: Option<Position>,
    pub(crate) disorder: Option<Disorder>,
}

/// A batch that begins before the one in front of it ends: no log is like that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disorder {
    /// How many batches are in front of it.
    pub(crate) index: usize,
    pub(crate) base_offset: i64,
    /// Where the batch in front of it ends.
    pub(crate) previous_end: i64,
}

/// Reads of each batch in `records` no more than where it begins and ends.
pub(crate) fn outline(records: &[u8]) -> Outline {
    let unknown = Outline::default();
    let mut end: Option<Position> = None;
    let mut rest = records;
    for index in 0.. {
        let Some(length) = whole_batch_len(rest) else { break };
        let (batch, after) = rest.split_at(length);
        let Some((base_offset, batch_end)) = extent(batch) else { return unknown };
        if let Some(Position { offset: previous_end, .. }) = end
            && base_offset < previous_end
        {
            return Outline { end: None, disorder: Some(Disorder { index, base_offset, previous_end }) };
        }
        end = Some(batch_end);
        rest = after;
    }
    Outline { end, ..unknown }
}

/// The length of the batch at the front; `None` when it is cut off or has none.
fn whole_batch_len(records: &[u8]) -> Option<usize> {
    let length = i32::from_be_bytes(*records.get(8..)?.first_chunk()?);
    let length = usize::try_from(length).ok()?.checked_add(LOG_OVERHEAD)?;
    (length <= records.len()).then_some(length)
}

/// Where a batch begins and ends, as far as its header makes sense.
fn extent(batch: &[u8]) -> Option<(i64, Position)> {
    let base_offset = i64::from_be_bytes(*batch.first_chunk()?);
    if *batch.get(MAGIC_AT)? < 2 {
        // A message, or a compressed set of messages that goes by the offset of its last one.
        return Some((base_offset, Position::new(base_offset.checked_add(1)?)));
    }
    let header = BatchHeader::parse(batch.first_chunk()?).ok()?;
    let end = Position::new(header.next_offset()).with_leader_epoch(header.partition_leader_epoch);
    Some((base_offset, end))
}

/// Bytes before those that a batch's length field counts: base offset and the length itself.
const LOG_OVERHEAD: usize = 12;
/// Where the format's version is, in all versions.
const MAGIC_AT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LogBatch, log};

    fn end(records: &[u8]) -> Option<Position> {
        outline(records).end
    }

    #[test]
    fn the_end_is_that_of_the_last_whole_batch() {
        let first = LogBatch::new(5, 3).leader_epoch(1).encode();
        let second = LogBatch::new(8, 2).leader_epoch(4).encode();
        let mut records = [&first[..], &second[..]].concat();
        assert_eq!(end(&records), Some(Position::new(10).with_leader_epoch(4)));
        records.truncate(records.len() - 1);
        assert_eq!(end(&records), Some(Position::new(8).with_leader_epoch(1)));
    }

    #[test]
    fn without_a_whole_batch_the_end_is_not_known() {
        let records = log(&[LogBatch::new(0, 2)]);
        for cut in [0, 5, 11, 12, 30, records.len() - 1] {
            assert_eq!(end(&records[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_malformed_batch_has_no_end() {
        let good = log(&[LogBatch::new(0, 2)]);
        // A last offset delta below zero, and an end that no number holds.
        for (at, bytes) in [(23, &(-1i32).to_be_bytes()[..]), (0, &i64::MAX.to_be_bytes())] {
            let mut records = good.to_vec();
            records[at..at + bytes.len()].copy_from_slice(bytes);
            assert_eq!(end(&records), None);
        }
    }

    #[test]
    fn a_batch_that_begins_before_the_end_of_the_one_in_front_is_out_of_order() {
        let disorder = |batches: &[LogBatch]| {
            let found = outline(&log(batches));
            assert_eq!(found.end.is_none(), found.disorder.is_some());
            found.disorder
        };
        let gap = [LogBatch::new(0, 5), LogBatch::new(7, 1)];
        assert_eq!(disorder(&gap), None, "compaction leaves gaps");
        let overlapping = [LogBatch::new(0, 10), LogBatch::new(10, 1), LogBatch::new(10, 5)];
        assert_eq!(disorder(&overlapping), Some(Disorder { index: 2, base_offset: 10, previous_end: 11 }));
        let descending = [LogBatch::new(10, 10), LogBatch::new(0, 10)];
        assert_eq!(disorder(&descending), Some(Disorder { index: 1, base_offset: 0, previous_end: 20 }));
    }
}
