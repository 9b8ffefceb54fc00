//! A run of batches that is kept, read and deleted together (Java: `LogSegment`).

use std::ops::Range;

use bytes::Bytes;
use milena_records::{Batch, BatchHeader, Batches};

use super::rope::Rope;

/// One segment of a partition's log.
#[derive(Debug)]
pub(crate) struct Segment {
    base_offset: i64,
    index: Vec<Indexed>,
    bytes: Rope,
    /// Greatest timestamp of its batches, -1 if there is none.
    max_timestamp_ms: i64,
    /// What `segment.ms` counts from: the first batch's timestamp, or the wall clock of its creation.
    first_timestamp_ms: Option<i64>,
    created_ms: i64,
    /// How much earlier it rolls than `segment.ms` says.
    roll_jitter_ms: i64,
    /// Bytes since the last batch that Kafka's offset index would have.
    unindexed_bytes: usize,
}

/// Where a batch is, and what lookups ask of it.
#[derive(Debug, Clone, Copy)]
struct Indexed {
    last_offset: i64,
    max_timestamp_ms: i64,
    position: usize,
    /// Whether Kafka's offset index, which is sparse, would have this batch.
    is_in_offset_index: bool,
}

impl Segment {
    pub(crate) fn new(base_offset: i64, now_ms: i64, roll_jitter_ms: i64) -> Self {
        Self {
            base_offset,
            index: Vec::new(),
            bytes: Rope::default(),
            max_timestamp_ms: -1,
            first_timestamp_ms: None,
            created_ms: now_ms,
            roll_jitter_ms,
            unindexed_bytes: 0,
        }
    }

    /// A segment at the same place, without batches.
    pub(super) fn empty(&self) -> Self {
        Self::new(self.base_offset, self.created_ms, self.roll_jitter_ms)
    }

    /// The first batch's timestamp.
    pub(super) fn first_timestamp_ms(&self) -> Option<i64> {
        self.first_timestamp_ms
    }

    pub(crate) fn base_offset(&self) -> i64 {
        self.base_offset
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub(crate) fn max_timestamp_ms(&self) -> i64 {
        self.max_timestamp_ms
    }

    /// What retention by time compares: the greatest timestamp, or the time of creation where there are none.
    pub(crate) fn retention_timestamp_ms(&self) -> i64 {
        if self.max_timestamp_ms >= 0 { self.max_timestamp_ms } else { self.created_ms }
    }

    /// Appends a batch; `index_interval_bytes` is how far apart Kafka's offset index has its entries.
    pub(crate) fn append(&mut self, header: &BatchHeader, section: Bytes, index_interval_bytes: usize) {
        let is_in_offset_index = self.unindexed_bytes > index_interval_bytes;
        if is_in_offset_index {
            self.unindexed_bytes = 0;
        }
        self.unindexed_bytes += header.encoded_len();
        self.index.push(Indexed {
            last_offset: header.last_offset(),
            max_timestamp_ms: header.max_timestamp,
            position: self.bytes.len(),
            is_in_offset_index,
        });
        self.bytes.append(&header.to_bytes(), section);
        self.max_timestamp_ms = self.max_timestamp_ms.max(header.max_timestamp);
        self.first_timestamp_ms.get_or_insert(header.max_timestamp);
    }

    /// Whether a batch of `size` bytes should begin another segment (Java: `LogSegment.shouldRoll`).
    pub(crate) fn should_roll(
        &self,
        size: usize,
        timestamp_ms: i64,
        limits: RollLimits,
        now_ms: i64,
    ) -> bool {
        if self.is_empty() {
            return false;
        }
        let waited_ms = match self.first_timestamp_ms {
            Some(first) if first >= 0 => timestamp_ms.saturating_sub(first),
            _ => now_ms.saturating_sub(self.created_ms),
        };
        self.len() > limits.segment_bytes.saturating_sub(size)
            || waited_ms > limits.segment_ms - self.roll_jitter_ms
    }

    /// Reads from the batch that contains `offset` on up to the one that contains `end_offset`, at most `max_bytes`: the
    /// end may cut a batch.
    ///
    /// With `whole_first` the first batch is read in full whatever `max_bytes` says; without it, nothing is read when
    /// that batch does not fit. `None`: all batches are before `offset`.
    pub(crate) fn read(
        &self,
        offset: i64,
        end_offset: i64,
        max_bytes: usize,
        whole_first: bool,
    ) -> Option<Vec<Bytes>> {
        Some(self.slices(self.locate(offset, end_offset, max_bytes, whole_first)?))
    }

    /// The bytes that such a [`read`](Self::read) gives.
    pub(crate) fn locate(
        &self,
        offset: i64,
        end_offset: i64,
        max_bytes: usize,
        whole_first: bool,
    ) -> Option<Range<usize>> {
        let first = self.index.partition_point(|batch| batch.last_offset < offset);
        let from = self.index.get(first)?.position;
        let first_len = self.end_of(first) - from;
        let wanted = if whole_first { max_bytes.max(first_len) } else { max_bytes };
        if wanted < first_len {
            return Some(from..from);
        }
        let limit = match end_offset >= self.next_offset() {
            true => self.bytes.len(),
            false => self.position_of(end_offset),
        };
        Some(from..limit.min(from + wanted))
    }

    /// These bytes.
    pub(crate) fn slices(&self, range: Range<usize>) -> Vec<Bytes> {
        self.bytes.slices(range.start, range.end).collect()
    }

    /// The offset that Kafka takes for the end of a read that ended at `position`: the next one that its offset index
    /// has. `None`: the read is taken to go on to the end of the segment (Java: `LogSegment.fetchUpperBoundOffset`).
    pub(crate) fn upper_bound(&self, position: usize) -> Option<i64> {
        let next = self.index.partition_point(|batch| batch.position < position);
        self.index[next..].iter().find(|batch| batch.is_in_offset_index).map(|batch| batch.last_offset)
    }

    /// The batches that `wanted` chooses by greatest timestamp and last offset, oldest first.
    pub(crate) fn batches_where<'a>(
        &'a self,
        wanted: impl Fn(i64, i64) -> bool + 'a,
    ) -> impl Iterator<Item = Batch> + 'a {
        let chosen = move |number: &usize| {
            let batch = &self.index[*number];
            wanted(batch.max_timestamp_ms, batch.last_offset)
        };
        (0..self.index.len()).filter(chosen).filter_map(|number| self.batch(number))
    }

    /// Drops the batches that contain, or come after, `offset`.
    pub(crate) fn truncate(&mut self, offset: i64) {
        let keep = self.index.partition_point(|batch| batch.last_offset < offset);
        if let Some(first_dropped) = self.index.get(keep) {
            self.bytes.truncate(first_dropped.position);
            self.index.truncate(keep);
            self.max_timestamp_ms = self.index.iter().map(|batch| batch.max_timestamp_ms).max().unwrap_or(-1);
        }
    }

    /// The offset that follows the last batch.
    pub(crate) fn next_offset(&self) -> i64 {
        self.index.last().map_or(self.base_offset, |batch| batch.last_offset + 1)
    }

    /// Flips a bit in the last byte of the batch that contains `offset`; false if there is none.
    pub(crate) fn corrupt(&mut self, offset: i64) -> bool {
        let number = self.index.partition_point(|batch| batch.last_offset < offset);
        if number == self.index.len() {
            return false;
        }
        let last_byte = self.end_of(number) - 1;
        self.bytes.replace(last_byte, |byte| byte ^ 1);
        true
    }

    fn batch(&self, number: usize) -> Option<Batch> {
        let bytes = self.bytes.contiguous(self.index[number].position, self.end_of(number));
        Batches::new(bytes).next()?.ok()
    }

    /// Where the batch that contains `offset` begins; the end if there is none.
    fn position_of(&self, offset: i64) -> usize {
        let number = self.index.partition_point(|batch| batch.last_offset < offset);
        self.index.get(number).map_or(self.bytes.len(), |batch| batch.position)
    }

    fn end_of(&self, number: usize) -> usize {
        self.index.get(number + 1).map_or(self.bytes.len(), |next| next.position)
    }
}

/// When a segment is full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RollLimits {
    pub(crate) segment_bytes: usize,
    pub(crate) segment_ms: i64,
}
