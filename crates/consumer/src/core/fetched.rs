//! What a broker sent for one partition, before it is decoded. Pure.

use std::sync::Arc;

use bytes::Bytes;
use milena_records::Batches;

use super::aborted::AbortedFilter;
use super::position::Position;
use crate::pool::FrameLease;

/// Batches that are not decoded yet, and how far decoding has come.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) batches: Batches,
    /// Hides aborted records from a `read_committed` consumer.
    pub(crate) filter: Option<AbortedFilter>,
    /// Records before it are not wanted: a fetch from the middle of a batch brings the whole batch.
    pub(crate) next: Position,
    /// Where `next` was before anything was decoded.
    pub(crate) fetch_offset: i64,
    /// Dropped after the batches, which slice the frame.
    pub(crate) frame: Arc<FrameLease>,
}

/// Where the log goes on after the last whole batch of `records`, read from batch headers alone so that the next fetch can be
/// sent before anything is decoded.
///
/// `None` when that cannot be told: no whole batch is there, or a header is malformed. Decoding finds out what is wrong.
pub(crate) fn end_of_batches(records: &Bytes) -> Option<Position> {
    let last = Batches::new(records.slice(last_batch_at(records)?..)).next()?.ok()?;
    let header = last.header();
    Some(Position::new(header.next_offset()).with_leader_epoch(header.partition_leader_epoch))
}

/// Bytes before those that a batch's length field counts: base offset and the length itself.
const LOG_OVERHEAD: usize = 12;

/// Where the last whole batch begins.
fn last_batch_at(records: &[u8]) -> Option<usize> {
    let mut last = None;
    let mut at = 0;
    while let Some(length) = records.get(at + 8..).and_then(<[u8]>::first_chunk) {
        let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
        let end = at + LOG_OVERHEAD + length;
        if end > records.len() {
            break;
        }
        last = Some(at);
        at = end;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LogBatch, log};

    #[test]
    fn the_end_is_that_of_the_last_whole_batch() {
        let first = LogBatch::new(5, 3).leader_epoch(1).encode();
        let second = LogBatch::new(8, 2).leader_epoch(4).encode();
        let mut records = [&first[..], &second[..]].concat();
        assert_eq!(
            end_of_batches(&Bytes::copy_from_slice(&records)),
            Some(Position::new(10).with_leader_epoch(4))
        );
        records.truncate(records.len() - 1);
        assert_eq!(end_of_batches(&Bytes::from(records)), Some(Position::new(8).with_leader_epoch(1)));
    }

    #[test]
    fn without_a_whole_batch_the_end_is_not_known() {
        let records = log(&[LogBatch::new(0, 2)]);
        for cut in [0, 5, 11, 12, 30, records.len() - 1] {
            assert_eq!(end_of_batches(&records.slice(..cut)), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_negative_length_is_no_end() {
        let mut records = log(&[LogBatch::new(0, 2)]).to_vec();
        records.extend_from_within(..);
        let second = records.len() / 2;
        records[second + 8..second + 12].copy_from_slice(&(-1i32).to_be_bytes());
        assert_eq!(end_of_batches(&Bytes::from(records)), None);
    }
}
