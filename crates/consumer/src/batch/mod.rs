//! What `next` hands over: records of one partition.

use std::collections::{VecDeque, vec_deque};
use std::fmt;
use std::sync::Arc;

use milena_client::TopicPartition;
use milena_records::{RecordCursor, RecordIter, RecordRef, RecordSection, TimestampType};

use crate::core::{Generation, Position};
use crate::pool::{BufferPool, FrameLease};
use crate::record::{Record, RecordOrigin};

/// Records of one partition, in order, handed over at once.
///
/// The batch owns its memory: it can be kept, sent to another task, and outlive the consumer. Records are read as slices of it
/// (`for record in &batch`), without an allocation; [`Record`]s that live on their own are made by [`Self::into_records`]. When it
/// is dropped, its memory goes back to be filled again.
///
/// Several of Kafka's batches may be in one, and one of Kafka's batches may be spread over several by `recv` and `poll`. Every
/// record has been checked before, so that reading cannot fail.
pub struct RecordBatch {
    partition: TopicPartition,
    sections: VecDeque<Section>,
    start: Position,
    next: Position,
    record_count: usize,
    generation: Generation,
    buffers: Arc<BufferPool>,
    /// Held for the sections that slice it, and dropped after them.
    frame: Option<Arc<FrameLease>>,
}

/// The records of one of Kafka's batches, from `start` on.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) records: RecordSection,
    pub(crate) start: RecordCursor,
    /// How many records from `start` on are good and wanted.
    pub(crate) record_count: u32,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) timestamp_type: TimestampType,
    /// Whether the bytes came out of a decompressor, into a buffer of the pool.
    pub(crate) decompressed: bool,
}

impl RecordBatch {
    /// A batch without records that begins, and so far ends, at `start`.
    pub(crate) fn new(
        partition: TopicPartition,
        generation: Generation,
        start: Position,
        buffers: Arc<BufferPool>,
    ) -> Self {
        Self {
            partition,
            sections: VecDeque::new(),
            start,
            next: start,
            record_count: 0,
            generation,
            buffers,
            frame: None,
        }
    }

    /// Appends records; those that were not decompressed are slices of `frame`.
    pub(crate) fn push(&mut self, section: Section, frame: &Arc<FrameLease>) {
        if !section.decompressed {
            self.frame.get_or_insert_with(|| frame.clone());
        }
        self.record_count += section.record_count as usize;
        self.sections.push_back(section);
    }

    /// Sets where the log goes on after everything in here.
    pub(crate) fn end_at(&mut self, next: Position) {
        self.next = next;
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    /// Where the consumer is before this batch is handed over.
    pub(crate) fn start(&self) -> Position {
        self.start
    }

    /// Bytes of the buffers that it was decompressed into, which may be larger than what is in them.
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.sections.iter().map(|section| section.records.buffer_capacity()).sum()
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.partition.topic
    }

    /// The partition's number.
    pub fn partition(&self) -> i32 {
        self.partition.partition
    }

    /// Topic and partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.record_count
    }

    /// Whether there is no record: true only after all were taken out.
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// The size of the records as they are in memory, decompressed, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.sections.iter().map(|section| section.records.len()).sum()
    }

    /// The offset of the first record.
    pub fn first_offset(&self) -> Option<i64> {
        self.iter().next().map(|record| record.offset)
    }

    /// The offset to go on from once these records are processed: what to commit, or to store elsewhere.
    ///
    /// It may be more than one beyond the last record: markers of transactions, aborted records and what compaction removed are
    /// passed over.
    pub fn next_offset(&self) -> i64 {
        self.next.offset
    }

    /// [`Self::next_offset`] with the leader epoch that belongs to it (KIP-320); give it to `seek` to go on there.
    pub fn next_position(&self) -> Position {
        self.next
    }

    /// Epoch of the leader that appended the last record.
    pub fn leader_epoch(&self) -> Option<i32> {
        self.sections.back().and_then(|section| section.leader_epoch)
    }

    /// The records, as slices of this batch. Allocates nothing.
    pub fn iter(&self) -> Records<'_> {
        Records { sections: self.sections.iter(), current: None, left: self.record_count }
    }

    /// The records, each with a copy of its data.
    pub fn into_records(mut self) -> impl Iterator<Item = Record> + Send {
        std::iter::from_fn(move || self.pop_front())
    }

    /// Copies the first record and takes it out.
    pub(crate) fn pop_front(&mut self) -> Option<Record> {
        let section = self.sections.front_mut()?;
        let mut records = section.records.iter_from(section.start);
        let record = records.next()?.ok()?;
        let origin = RecordOrigin {
            partition: &self.partition,
            leader_epoch: section.leader_epoch,
            timestamp_type: section.timestamp_type,
        };
        let copy = Record::copy(&record, origin);
        section.start = records.cursor();
        section.record_count -= 1;
        let finished = section.record_count == 0;
        self.record_count -= 1;
        self.start = Position { offset: copy.offset + 1, leader_epoch: copy.leader_epoch };
        if finished && let Some(section) = self.sections.pop_front() {
            self.reuse(section);
        }
        Some(copy)
    }

    /// Keeps the first `count` records and gives the others, if there are any.
    pub(crate) fn split_off(&mut self, count: usize) -> Option<RecordBatch> {
        if count >= self.record_count {
            return None;
        }
        let mut keep = count;
        let mut stays_whole = |section: &Section| {
            let here = section.record_count as usize;
            let whole = here <= keep;
            keep -= if whole { here } else { 0 };
            whole
        };
        let whole = self.sections.iter().map_while(|section| stays_whole(section).then_some(())).count();
        let mut others = self.sections.split_off(whole);
        if let Some(cut) = others.front_mut().filter(|_| keep > 0) {
            let mut records = cut.records.iter_from(cut.start);
            records.by_ref().take(keep).for_each(drop);
            let start = records.cursor();
            self.sections.push_back(Section { record_count: keep as u32, ..cut.clone() });
            cut.start = start;
            cut.record_count -= keep as u32;
        }
        let mut rest = RecordBatch {
            partition: self.partition.clone(),
            sections: others,
            start: self.start,
            next: self.next,
            record_count: self.record_count - count,
            generation: self.generation,
            buffers: self.buffers.clone(),
            frame: self.frame.clone(),
        };
        if let (Some(offset), Some(last)) = (rest.first_offset(), self.sections.back()) {
            rest.start = Position { offset, leader_epoch: last.leader_epoch };
        }
        self.record_count = count;
        self.next = rest.start;
        Some(rest)
    }

    fn reuse(&self, section: Section) {
        if section.decompressed
            && let Some(buffer) = section.records.into_buffer()
        {
            self.buffers.put(buffer);
        }
    }
}

impl Drop for RecordBatch {
    fn drop(&mut self) {
        while let Some(section) = self.sections.pop_front() {
            self.reuse(section);
        }
    }
}

impl fmt::Debug for RecordBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordBatch")
            .field("partition", &format_args!("{}", self.partition))
            .field("start", &self.start)
            .field("next", &self.next)
            .field("record_count", &self.record_count)
            .finish_non_exhaustive()
    }
}

impl<'a> IntoIterator for &'a RecordBatch {
    type Item = RecordRef<'a>;
    type IntoIter = Records<'a>;

    fn into_iter(self) -> Records<'a> {
        self.iter()
    }
}

/// Walks the records of a batch.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    sections: vec_deque::Iter<'a, Section>,
    /// The section that is being read, and how many of its records are left.
    current: Option<(RecordIter<'a>, u32)>,
    left: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = RecordRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordRef<'a>> {
        loop {
            if let Some((records, left @ 1..)) = &mut self.current {
                *left -= 1;
                self.left -= 1;
                // Decoding has read every record once, so that reading it again succeeds.
                return records.next()?.ok();
            }
            let section = self.sections.next()?;
            self.current = Some((section.records.iter_from(section.start), section.record_count));
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Records<'_> {}

#[cfg(test)]
mod tests;
