//! Compaction: of records with the same key only the newest stays (Java: `Cleaner`, `LogCleanerManager`,
//! `CleanedTransactionMetadata`, `MemoryRecords.filterTo`; KIP-58, 354, 534).
//!
//! ```text
//!   log start      first dirty offset     first uncleanable offset     log end
//!      |  cleaned before  |        dirty          |  active segment, open   |
//!      |                  |                       |  transactions, too new  |
//!      +------------------+-----------------------+-------------------------+
//!      |<-------- records whose key comes again   |
//!      |          in the dirty part are dropped ->|
//! ```
//! Offsets stay what they are, and a batch that loses records keeps its first and last offset. A record without a
//! value, and the marker of a transaction without records, first get a time to live (the batch's delete horizon), and
//! are dropped by a later cleaning. A producer's last batch stays, without records if need be, because it carries the
//! producer's sequence.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use milena_records::{BATCH_HEADER_LEN, Batch, BatchEncoder, BatchHeader, Codec, ControlType, RecordRef};

use super::aborted::AbortedTransaction;
use super::segment::Segment;
use super::workspace::Workspace;
use super::{PartitionLog, ProducerEntry};

/// The flag of a batch that has a delete horizon in place of its base timestamp.
const DELETE_HORIZON_BIT: i16 = 0x40;
const NO_TIMESTAMP: i64 = -1;

/// What is left of a batch.
enum Cleaned {
    Unchanged,
    Rewritten(Bytes),
    Dropped,
}

impl PartitionLog {
    /// Cleans the log if it is compacted and enough of it is dirty. Whether it did.
    pub(crate) fn compact(&mut self, now_ms: i64, workspace: &mut Workspace) -> bool {
        if !self.config.compact {
            return false;
        }
        let first_dirty = self.first_dirty_offset.clamp(self.log_start_offset, self.log_end_offset);
        let end = self.first_uncleanable_offset(first_dirty, now_ms);
        if end <= first_dirty || !self.is_filthy(first_dirty, end, now_ms) {
            return false;
        }
        let newest = self.newest_offsets(first_dirty, end, workspace);
        let cleaner = Cleaner {
            newest,
            end,
            last_batches: self.last_batches(),
            delete_retention_ms: self.config.compaction.delete_retention_ms,
            now_ms,
            transactions: Transactions::new(self.aborted.iter().copied()),
        };
        self.replace_segments(cleaner, workspace);
        self.first_dirty_offset = end;
        true
    }

    /// Where cleaning ends: at the active segment, an open transaction, or a segment that is too new.
    fn first_uncleanable_offset(&self, first_dirty: i64, now_ms: i64) -> i64 {
        let min_lag_ms = self.config.compaction.min_lag_ms;
        let is_too_new = |segment: &&Segment| {
            min_lag_ms > 0 && segment.max_timestamp_ms() > now_ms.saturating_sub(min_lag_ms)
        };
        let too_new = self.inactive().filter(|segment| segment.next_offset() > first_dirty).find(is_too_new);
        let active = self.segments.back().map_or(0, Segment::base_offset);
        let open = self.last_stable_offset();
        // Only whole segments are cleaned.
        let limit = too_new.map_or(active, Segment::base_offset).min(open);
        let whole = self.inactive().take_while(|segment| segment.next_offset() <= limit);
        whole.last().map_or(first_dirty, Segment::next_offset).max(first_dirty)
    }

    /// Whether the dirty share is large enough, or a dirty record has waited too long.
    fn is_filthy(&self, first_dirty: i64, end: i64, now_ms: i64) -> bool {
        let size =
            |segments: &mut dyn Iterator<Item = &Segment>| segments.map(Segment::len).sum::<usize>() as f64;
        let is_dirty = |segment: &&Segment| segment.next_offset() > first_dirty;
        let clean = size(&mut self.inactive().filter(|segment| !is_dirty(segment)));
        let dirty = || self.inactive().filter(is_dirty).take_while(|segment| segment.next_offset() <= end);
        let cleanable = size(&mut dirty());
        if cleanable == 0.0 {
            return false;
        }
        let overdue_since = now_ms.saturating_sub(self.config.compaction.max_lag_ms);
        let waited_too_long =
            dirty().filter_map(Segment::first_timestamp_ms).any(|first| first > 0 && first < overdue_since);
        waited_too_long || cleanable / (clean + cleanable) > self.config.compaction.min_cleanable_ratio
    }

    /// The newest offset of every key in the dirty part; aborted records do not count.
    fn newest_offsets(
        &self,
        first_dirty: i64,
        end: i64,
        workspace: &mut Workspace,
    ) -> BTreeMap<Vec<u8>, i64> {
        let mut newest = BTreeMap::new();
        let is_meant = |_: i64, last_offset: i64| (first_dirty..end).contains(&last_offset);
        for batch in self.inactive().flat_map(|segment| segment.batches_where(is_meant)) {
            let header = batch.header();
            let is_aborted = || self.aborted.includes(header.producer_id, header.last_offset());
            if header.is_control() || header.is_transactional() && is_aborted() {
                continue;
            }
            // A batch that cannot be read is kept as it is, and so are older records of its keys.
            let _ = workspace.with_records(&batch, |section, _| {
                for record in section.iter().map_while(Result::ok) {
                    if let Some(key) = record.key {
                        newest.insert(key.to_vec(), record.offset);
                    }
                }
            });
        }
        newest
    }

    /// The last offset of each producer that is remembered, or its epoch where a marker was the last that it wrote.
    fn last_batches(&self) -> BTreeMap<i64, LastBatch> {
        let last = |entry: &ProducerEntry| match entry.batches.back() {
            Some(batch) => LastBatch::Data { last_offset: batch.last_offset },
            None => LastBatch::Marker { producer_epoch: entry.producer_epoch },
        };
        self.producers.iter().map(|(producer_id, entry)| (producer_id, last(entry))).collect()
    }

    /// Writes the segments before the cleaner's end anew, small neighbours together.
    fn replace_segments(&mut self, mut cleaner: Cleaner, workspace: &mut Workspace) {
        let whole = self.inactive().take_while(|segment| segment.next_offset() <= cleaner.end).count();
        let mut cleaned: Vec<Segment> = Vec::new();
        let mut group_bytes = 0;
        let index_interval_bytes = self.config.index_interval_bytes;
        for segment in self.segments.drain(..whole) {
            if cleaned.is_empty() || group_bytes + segment.len() > self.config.segment_bytes {
                cleaned.push(segment.empty());
                group_bytes = 0;
            }
            group_bytes += segment.len();
            let Some(target) = cleaned.last_mut() else { continue };
            for batch in segment.batches_where(|_, _| true) {
                match cleaner.clean(&batch, workspace) {
                    Cleaned::Unchanged => append(target, batch.bytes(), index_interval_bytes),
                    Cleaned::Rewritten(bytes) => append(target, &bytes, index_interval_bytes),
                    Cleaned::Dropped => {}
                }
            }
        }
        cleaned.retain(|segment| !segment.is_empty());
        for segment in cleaned.into_iter().rev() {
            self.segments.push_front(segment);
        }
        cleaner.transactions.without_records.iter().for_each(|marker| self.aborted.forget(*marker));
    }

    fn inactive(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().take(self.segments.len() - 1)
    }
}

fn append(segment: &mut Segment, batch: &Bytes, index_interval_bytes: usize) {
    let header = batch.first_chunk().and_then(|head| BatchHeader::parse(head).ok());
    if let Some(header) = header {
        segment.append(&header, batch.slice(BATCH_HEADER_LEN..), index_interval_bytes);
    }
}

/// What a producer wrote last.
#[derive(Debug, Clone, Copy)]
enum LastBatch {
    Data { last_offset: i64 },
    Marker { producer_epoch: i16 },
}

/// One cleaning.
struct Cleaner {
    newest: BTreeMap<Vec<u8>, i64>,
    /// The first offset that is not cleaned.
    end: i64,
    last_batches: BTreeMap<i64, LastBatch>,
    delete_retention_ms: i64,
    now_ms: i64,
    transactions: Transactions,
}

impl Cleaner {
    fn clean(&mut self, batch: &Batch, workspace: &mut Workspace) -> Cleaned {
        let header = *batch.header();
        let can_discard = match header.is_control() {
            true => self.transactions.marker(batch, workspace),
            false => self.transactions.is_aborted(&header),
        };
        let is_over = |horizon: i64| horizon <= self.now_ms;
        let discards_records =
            can_discard && (!header.is_control() || header.delete_horizon().is_some_and(is_over));
        if discards_records {
            return self.without_records(header, workspace, Cleaned::Dropped);
        }
        let marks_nothing = can_discard && header.is_control();
        let filtered = workspace.with_records(batch, |section, scratch| {
            let mut kept = Vec::new();
            let (mut count, mut has_tombstones) = (0usize, false);
            for record in section.iter() {
                let record = record.ok()?;
                count += 1;
                if header.is_control() || self.keeps(&header, &record) {
                    has_tombstones |= record.value.is_none();
                    kept.push(record);
                }
            }
            let needs_horizon = (has_tombstones || marks_nothing) && header.delete_horizon().is_none();
            if kept.len() == count && count > 0 && !needs_horizon {
                return Some(Cleaned::Unchanged);
            }
            if kept.is_empty() {
                return Some(Cleaned::Dropped);
            }
            let mut identity = header;
            if needs_horizon {
                identity.set_delete_horizon(self.now_ms.saturating_add(self.delete_retention_ms));
            }
            let mut encoder = BatchEncoder::new(identity);
            for record in &kept {
                encoder.append_ref(record).ok()?;
            }
            let codec = header.compression().map(Codec::new).ok()?;
            encoder.finish(&codec, scratch).ok().map(Cleaned::Rewritten)
        });
        match filtered {
            Ok(Some(Cleaned::Dropped)) => self.without_records(header, workspace, Cleaned::Dropped),
            Ok(Some(cleaned)) => cleaned,
            // What cannot be read is not ours to change.
            Ok(None) | Err(_) => Cleaned::Unchanged,
        }
    }

    /// Whether a record of a batch stays.
    fn keeps(&self, header: &BatchHeader, record: &RecordRef<'_>) -> bool {
        let Some(key) = record.key else { return false };
        let is_newest = self.newest.get(key).is_none_or(|newest| record.offset >= *newest);
        let is_alive = || header.delete_horizon().is_none_or(|horizon| self.now_ms < horizon);
        is_newest && (record.value.is_some() || is_alive())
    }

    /// The batch without records where its place in the log or its producer's sequence must be kept.
    fn without_records(&self, header: BatchHeader, workspace: &mut Workspace, otherwise: Cleaned) -> Cleaned {
        let is_last_of_producer = match self.last_batches.get(&header.producer_id) {
            Some(LastBatch::Data { last_offset }) => header.last_offset() == *last_offset,
            Some(LastBatch::Marker { producer_epoch }) => {
                header.is_control() && header.producer_epoch == *producer_epoch
            }
            None => false,
        };
        if !is_last_of_producer && header.next_offset() != self.end {
            return otherwise;
        }
        let mut identity = header;
        identity.attributes &= !DELETE_HORIZON_BIT;
        identity.base_timestamp = NO_TIMESTAMP;
        let empty = BatchEncoder::new(identity).finish(&Codec::NONE, &mut workspace.scratch);
        empty.map_or(Cleaned::Unchanged, Cleaned::Rewritten)
    }
}

/// Which transactions still have records, while the log is read from its beginning on.
struct Transactions {
    /// Those to come, the last one first.
    aborted: Vec<AbortedTransaction>,
    /// Producers whose aborted transaction is being read, and whether records of it were seen.
    ongoing_aborted: BTreeMap<i64, bool>,
    /// Producers with records that are committed later.
    ongoing_committed: BTreeSet<i64>,
    /// Offsets of the markers of aborted transactions that have no records any longer.
    without_records: Vec<i64>,
}

impl Transactions {
    fn new(aborted: impl Iterator<Item = AbortedTransaction>) -> Self {
        let mut aborted: Vec<_> = aborted.collect();
        aborted.sort_unstable_by_key(|aborted| std::cmp::Reverse(aborted.first_offset));
        Self {
            aborted,
            ongoing_aborted: BTreeMap::new(),
            ongoing_committed: BTreeSet::new(),
            without_records: Vec::new(),
        }
    }

    fn advance_to(&mut self, offset: i64) {
        while let Some(next) = self.aborted.pop_if(|next| next.first_offset <= offset) {
            self.ongoing_aborted.entry(next.producer_id).or_insert(false);
        }
    }

    /// Whether a batch of records was aborted.
    fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        self.advance_to(header.last_offset());
        if !header.is_transactional() {
            return false;
        }
        match self.ongoing_aborted.get_mut(&header.producer_id) {
            Some(has_records) => {
                *has_records = true;
                true
            }
            None => {
                self.ongoing_committed.insert(header.producer_id);
                false
            }
        }
    }

    /// Whether the transaction that a marker ends has no records any longer.
    fn marker(&mut self, batch: &Batch, workspace: &mut Workspace) -> bool {
        let header = batch.header();
        self.advance_to(header.last_offset());
        if header.records_count == 0 {
            return true;
        }
        match batch.control_type(&mut workspace.scratch) {
            Ok(Some(ControlType::Abort)) => {
                let has_records = self.ongoing_aborted.remove(&header.producer_id).unwrap_or(false);
                if !has_records {
                    self.without_records.push(header.last_offset());
                }
                !has_records
            }
            Ok(Some(ControlType::Commit)) => !self.ongoing_committed.remove(&header.producer_id),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
