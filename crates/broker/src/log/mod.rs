//! The log of one partition: validation, storage, offsets, producers and leader epochs. Pure; it knows no runtime.
//!
//! Replication within one process is shared state: every replica sees the same log, and so the high watermark is its
//! end, unless it is held back because too few of them are in sync.

mod aborted;
mod compaction;
mod leader_epochs;
mod producer_state;
mod rope;
mod segment;
mod validate;
mod verification;
mod workspace;

#[cfg(test)]
pub(crate) mod testing;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use milena_records::{BATCH_HEADER_LEN, Batch, BatchHeader, RecordSection, TimestampType, TransactionMarker};

pub(crate) use aborted::AbortedTransaction;
pub(crate) use leader_epochs::EpochEnd;
pub(crate) use producer_state::{EndMarker, ProducerEntry, ProducerError, ProducerStates, Verified};
pub(crate) use validate::{AppendError, ValidBatch, only_batch, validate};
pub(crate) use verification::Guard;
pub(crate) use workspace::Workspace;

use crate::config::TopicConfig;
use crate::rng::Rng;
use aborted::AbortedTransactions;
use leader_epochs::LeaderEpochs;
use producer_state::Verdict;
use segment::{RollLimits, Segment};

/// The log of one partition.
#[derive(Debug)]
pub(crate) struct PartitionLog {
    config: Arc<TopicConfig>,
    jitter: Rng,
    /// Oldest first; the last one is written to.
    segments: VecDeque<Segment>,
    log_start_offset: i64,
    log_end_offset: i64,
    /// Where the high watermark stays while too few replicas are in sync; otherwise it is the log's end.
    held_watermark: Option<i64>,
    producers: ProducerStates,
    aborted: AbortedTransactions,
    leader_epochs: LeaderEpochs,
    /// Up to here the log is compacted.
    first_dirty_offset: i64,
}

/// What came of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// The broker's time for the batch; for a duplicate, the timestamp that its first copy has.
    pub(crate) log_append_time_ms: Option<i64>,
    /// Bytes that are new in the log: zero for a duplicate.
    pub(crate) new_bytes: usize,
}

/// What a reader of committed records gets.
#[derive(Debug, Default)]
pub(crate) struct CommittedRead {
    pub(crate) segments: Vec<Bytes>,
    /// Those that overlap with what was read, in the order in which they ended.
    pub(crate) aborted: Vec<AbortedTransaction>,
}

/// An offset outside the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("offset {offset} is not between {log_start_offset} and {log_end_offset}")]
pub(crate) struct OutOfRange {
    pub(crate) offset: i64,
    pub(crate) log_start_offset: i64,
    pub(crate) log_end_offset: i64,
}

/// A record found by its timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimestampedOffset {
    pub(crate) timestamp_ms: i64,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
}

impl PartitionLog {
    /// An empty log; `jitter` says when its segments roll, as far as that is left to chance.
    pub(crate) fn new(config: Arc<TopicConfig>, mut jitter: Rng, now_ms: i64) -> Self {
        let first = Segment::new(0, now_ms, roll_jitter_ms(&config, &mut jitter));
        Self {
            config,
            jitter,
            segments: VecDeque::from([first]),
            log_start_offset: 0,
            log_end_offset: 0,
            held_watermark: None,
            producers: ProducerStates::default(),
            aborted: AbortedTransactions::default(),
            leader_epochs: LeaderEpochs::default(),
            first_dirty_offset: 0,
        }
    }

    pub(crate) fn config(&self) -> &Arc<TopicConfig> {
        &self.config
    }

    pub(crate) fn set_config(&mut self, config: Arc<TopicConfig>) {
        self.config = config;
    }

    pub(crate) fn log_start_offset(&self) -> i64 {
        self.log_start_offset
    }

    pub(crate) fn log_end_offset(&self) -> i64 {
        self.log_end_offset
    }

    /// What every in-sync replica has, when there were enough of them: all of it, since they share this log.
    pub(crate) fn high_watermark(&self) -> i64 {
        self.held_watermark.unwrap_or(self.log_end_offset)
    }

    /// Holds the high watermark where it is, or lets it follow the log's end; whether it has risen.
    pub(crate) fn hold_watermark(&mut self, hold: bool) -> bool {
        let before = self.high_watermark();
        self.held_watermark = hold.then_some(before);
        self.high_watermark() > before
    }

    /// Below it no transaction is open. (None has ended above the high watermark: markers need replicas in sync.)
    pub(crate) fn last_stable_offset(&self) -> i64 {
        match self.producers.first_open_offset() {
            Some(first_offset) => first_offset.max(self.log_start_offset).min(self.high_watermark()),
            None => self.high_watermark(),
        }
    }

    /// Size of all segments, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.segments.iter().map(Segment::len).sum()
    }

    pub(crate) fn producers(&self) -> &ProducerStates {
        &self.producers
    }

    pub(crate) fn producers_mut(&mut self) -> &mut ProducerStates {
        &mut self.producers
    }

    /// Notes that a leader with this epoch begins at the end of the log (Java: `Partition.makeLeader`).
    pub(crate) fn begin_leader_epoch(&mut self, leader_epoch: i32) {
        self.leader_epochs.assign(leader_epoch, self.log_end_offset);
    }

    /// The epoch that is being written.
    #[cfg(test)]
    pub(crate) fn latest_leader_epoch(&self) -> Option<i32> {
        self.leader_epochs.latest().map(|latest| latest.leader_epoch)
    }

    /// Whether a leader begins above the high watermark, so that it cannot tell yet how far its log is valid.
    pub(crate) fn lags_behind_its_leader(&self) -> bool {
        self.leader_epochs.latest().is_some_and(|latest| latest.start_offset > self.high_watermark())
    }

    /// The epoch of the log's first record, if it is known.
    pub(crate) fn earliest_leader_epoch(&self) -> Option<i32> {
        let earliest = self.leader_epochs.earliest()?;
        (earliest.start_offset <= self.log_start_offset).then_some(earliest.leader_epoch)
    }

    /// Where a leader epoch ended (KIP-320).
    pub(crate) fn end_of_leader_epoch(&self, leader_epoch: i32) -> Option<EpochEnd> {
        self.leader_epochs.end_offset_for(leader_epoch, self.log_end_offset)
    }

    /// Appends a batch as the leader of `leader_epoch`, unless its producer says otherwise.
    pub(crate) fn append(
        &mut self,
        batch: ValidBatch,
        verified: Verified,
        leader_epoch: i32,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let ValidBatch { mut header, section, log_append_time_ms } = batch;
        let has_producer = header.producer_id != -1;
        if has_producer && let Verdict::Duplicate(written) = self.producers.check(&header, verified)? {
            return Ok(Appended {
                base_offset: written.base_offset,
                log_append_time_ms: Some(written.timestamp_ms),
                new_bytes: 0,
            });
        }
        header.base_offset = self.log_end_offset;
        header.partition_leader_epoch = leader_epoch;
        let new_bytes = self.store(&header, section, now_ms);
        if has_producer {
            self.producers.note(&header);
        }
        Ok(Appended { base_offset: header.base_offset, log_append_time_ms, new_bytes })
    }

    /// Ends a producer's transaction; returns how many bytes are new in the log.
    pub(crate) fn append_marker(
        &mut self,
        marker: &EndMarker,
        leader_epoch: i32,
        now_ms: i64,
    ) -> Result<usize, ProducerError> {
        self.producers.check_marker(marker)?;
        let EndMarker { is_commit, coordinator_epoch, .. } = *marker;
        let bytes = TransactionMarker { is_commit, coordinator_epoch }.batch(
            self.log_end_offset,
            leader_epoch,
            now_ms,
            marker.producer_id,
            marker.producer_epoch,
        );
        let header = bytes.first_chunk().and_then(|header| BatchHeader::parse(header).ok());
        let mut header = header.expect("a batch that was just built is well-formed");
        let section = bytes.slice(BATCH_HEADER_LEN..);
        let append_time = self.config.timestamp_type == TimestampType::LogAppendTime;
        validate::set_timestamps(&mut header, &section, append_time.then_some(now_ms), now_ms);
        let new_bytes = self.store(&header, section, now_ms);
        self.note_marker(marker, header.base_offset, now_ms);
        Ok(new_bytes)
    }

    fn store(&mut self, header: &BatchHeader, section: Bytes, now_ms: i64) -> usize {
        self.leader_epochs.assign(header.partition_leader_epoch, header.base_offset);
        let size = header.encoded_len();
        self.roll_if_full(size, header.max_timestamp, now_ms);
        let index_interval_bytes = self.config.index_interval_bytes;
        self.active().append(header, section, index_interval_bytes);
        self.log_end_offset = header.next_offset();
        size
    }

    fn note_marker(&mut self, marker: &EndMarker, offset: i64, timestamp_ms: i64) {
        let ended = self.producers.note_marker(marker, offset, timestamp_ms);
        if let Some(ended) = ended.filter(|_| !marker.is_commit) {
            self.aborted.push(AbortedTransaction {
                producer_id: marker.producer_id,
                first_offset: ended.first_offset,
                last_offset: offset,
                last_stable_offset: ended.last_stable_offset,
            });
        }
    }

    /// Reads from `offset` on up to the high watermark, within one segment (Java: `LocalLog.read`); see
    /// [`Segment::read`] for the limits.
    pub(crate) fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        whole_first: bool,
    ) -> Result<Vec<Bytes>, OutOfRange> {
        self.check_range(offset)?;
        let end_offset = self.high_watermark();
        if offset >= end_offset {
            return Ok(Vec::new());
        }
        let read = self
            .segments_from(offset)
            .find_map(|segment| segment.read(offset, end_offset, max_bytes, whole_first));
        Ok(read.unwrap_or_default())
    }

    /// Reads as [`read`](Self::read), but nothing of open transactions or what follows them; with the aborted
    /// transactions among it (Java: `LocalLog.read`, `LocalLog.addAbortedTransactions`).
    pub(crate) fn read_committed(
        &self,
        offset: i64,
        max_bytes: usize,
        whole_first: bool,
    ) -> Result<CommittedRead, OutOfRange> {
        self.check_range(offset)?;
        let end_offset = self.last_stable_offset();
        if offset >= end_offset {
            return Ok(CommittedRead::default());
        }
        let located = self.segments_from(offset).enumerate().find_map(|(number, segment)| {
            Some((number, segment, segment.locate(offset, end_offset, max_bytes, whole_first)?))
        });
        let Some((number, segment, range)) = located else { return Ok(CommittedRead::default()) };
        let next_segment = || self.segments_from(offset).nth(number + 1);
        let upper_bound = segment
            .upper_bound(range.end)
            .or_else(|| next_segment().map(Segment::base_offset))
            .unwrap_or(self.log_end_offset);
        let aborted = self.aborted.between(offset, upper_bound);
        Ok(CommittedRead { segments: segment.slices(range), aborted })
    }

    /// The first record at or after `timestamp_ms`.
    pub(crate) fn offset_for_timestamp(
        &self,
        timestamp_ms: i64,
        workspace: &mut Workspace,
    ) -> Option<TimestampedOffset> {
        let log_start_offset = self.log_start_offset;
        let wanted = move |max: i64, last_offset: i64| max >= timestamp_ms && last_offset >= log_start_offset;
        self.segments
            .iter()
            .filter(|segment| segment.max_timestamp_ms() >= timestamp_ms)
            .flat_map(|segment| segment.batches_where(wanted))
            .find_map(|batch| {
                find_record(&batch, workspace, |offset, timestamp| {
                    timestamp >= timestamp_ms && offset >= log_start_offset
                })
            })
    }

    /// The first record with the greatest timestamp (KIP-734).
    pub(crate) fn offset_of_max_timestamp(&self, workspace: &mut Workspace) -> Option<TimestampedOffset> {
        let max = self.segments.iter().map(Segment::max_timestamp_ms).max().filter(|max| *max >= 0)?;
        self.segments
            .iter()
            .flat_map(|segment| segment.batches_where(move |timestamp, _| timestamp == max))
            .find_map(|batch| find_record(&batch, workspace, |_, timestamp| timestamp == max))
    }

    /// Deletes the records before `offset` (`DeleteRecords`, KIP-107).
    pub(crate) fn delete_before(&mut self, offset: i64) -> Result<(), OutOfRange> {
        if offset < 0 || offset > self.high_watermark() {
            return Err(self.out_of_range(offset));
        }
        if offset > self.log_start_offset {
            self.log_start_offset = offset;
            self.leader_epochs.truncate_from_start(offset);
        }
        while self.segments.len() > 1 && self.segments[1].base_offset() <= self.log_start_offset {
            self.segments.pop_front();
        }
        self.forget_aborted();
        Ok(())
    }

    /// Drops whole old segments by `retention.ms` and `retention.bytes` (Java: `UnifiedLog.deleteOldSegments`).
    pub(crate) fn apply_retention(&mut self, now_ms: i64) {
        if !self.config.delete {
            return;
        }
        let high_watermark = self.high_watermark();
        if let Some(retention_ms) = self.config.retention_ms {
            let expired =
                |segment: &Segment| now_ms.saturating_sub(segment.retention_timestamp_ms()) > retention_ms;
            let committed = |segment: &Segment| segment.next_offset() <= high_watermark;
            let expired =
                self.segments.iter().take_while(|s| !s.is_empty() && committed(s) && expired(s)).count();
            self.drop_oldest(expired, now_ms);
        }
        if let Some(retention_bytes) = self.config.retention_bytes {
            let mut excess = (self.len() as u64).saturating_sub(retention_bytes);
            let mut surplus = 0;
            for segment in &self.segments {
                let size = segment.len() as u64;
                if segment.is_empty() || segment.next_offset() > high_watermark || excess < size {
                    break;
                }
                excess -= size;
                surplus += 1;
            }
            self.drop_oldest(surplus, now_ms);
        }
    }

    /// Drops the batch that contains `offset` and all after it, as when a leader without them is elected.
    pub(crate) fn truncate(&mut self, offset: i64) {
        while self.segments.len() > 1 && self.active().base_offset() >= offset {
            self.segments.pop_back();
        }
        self.active().truncate(offset);
        self.log_end_offset = self.active().next_offset();
        self.held_watermark = self.held_watermark.map(|held| held.min(self.log_end_offset));
        self.log_start_offset = self.log_start_offset.min(self.log_end_offset);
        self.first_dirty_offset = self.first_dirty_offset.min(self.log_end_offset);
        self.leader_epochs.truncate_from_end(self.log_end_offset);
        self.rebuild_producers();
    }

    /// What the stored batches say of producers and transactions.
    fn rebuild_producers(&mut self) {
        self.producers.clear();
        self.aborted.clear();
        let all: Vec<_> =
            self.segments.iter().flat_map(|segment| segment.batches_where(|_, _| true)).collect();
        let mut workspace = Workspace::default();
        for batch in all.iter().filter(|batch| batch.header().producer_id != -1) {
            let header = batch.header();
            if !header.is_control() {
                self.producers.note(header);
            } else if let Some(marker) = stored_marker(batch, &mut workspace) {
                self.note_marker(&marker, header.base_offset, header.max_timestamp);
            }
        }
    }

    /// Damages the batch that contains `offset`, so that its checksum is wrong; false if there is none.
    pub(crate) fn corrupt(&mut self, offset: i64) -> bool {
        self.segments
            .iter_mut()
            .rev()
            .find(|segment| segment.base_offset() <= offset)
            .is_some_and(|s| s.corrupt(offset))
    }

    /// Every stored batch that still has visible records, oldest first.
    pub(crate) fn batches(&self) -> impl Iterator<Item = Batch> + '_ {
        let visible = move |_: i64, last_offset: i64| last_offset >= self.log_start_offset;
        self.segments.iter().flat_map(move |segment| segment.batches_where(visible))
    }

    /// Whether a transactional batch of this producer at this offset was aborted.
    pub(crate) fn is_aborted(&self, producer_id: i64, offset: i64) -> bool {
        self.aborted.includes(producer_id, offset)
    }

    pub(crate) fn check_range(&self, offset: i64) -> Result<(), OutOfRange> {
        let range = self.log_start_offset..=self.log_end_offset;
        if range.contains(&offset) { Ok(()) } else { Err(self.out_of_range(offset)) }
    }

    fn out_of_range(&self, offset: i64) -> OutOfRange {
        let (log_start_offset, log_end_offset) = (self.log_start_offset, self.log_end_offset);
        OutOfRange { offset, log_start_offset, log_end_offset }
    }

    fn segments_from(&self, offset: i64) -> impl Iterator<Item = &Segment> {
        let beyond = self.segments.partition_point(|segment| segment.base_offset() <= offset);
        self.segments.range(beyond.saturating_sub(1)..)
    }

    fn active(&mut self) -> &mut Segment {
        self.segments.back_mut().expect("a log always has a segment")
    }

    fn roll_if_full(&mut self, size: usize, timestamp_ms: i64, now_ms: i64) {
        // A compacted log's records must be able to leave the active segment in time.
        let max_lag_ms =
            Some(self.config.compaction.max_lag_ms).filter(|lag| self.config.compact && *lag > 0);
        let segment_ms = self.config.segment_ms.min(max_lag_ms.unwrap_or(i64::MAX));
        let limits = RollLimits { segment_bytes: self.config.segment_bytes, segment_ms };
        if self.active().should_roll(size, timestamp_ms, limits, now_ms) {
            self.roll(now_ms);
        }
    }

    fn roll(&mut self, now_ms: i64) {
        let roll_jitter_ms = roll_jitter_ms(&self.config, &mut self.jitter);
        self.segments.push_back(Segment::new(self.log_end_offset, now_ms, roll_jitter_ms));
    }

    fn drop_oldest(&mut self, count: usize, now_ms: i64) {
        if count == 0 {
            return;
        }
        if count == self.segments.len() {
            self.roll(now_ms);
        }
        self.segments.drain(..count);
        let first = self.segments.front().map_or(self.log_end_offset, Segment::base_offset);
        self.log_start_offset = self.log_start_offset.max(first);
        self.leader_epochs.truncate_from_start(self.log_start_offset);
        self.forget_aborted();
    }

    /// Forgets the aborted transactions that ended in segments that are deleted.
    fn forget_aborted(&mut self) {
        if let Some(first) = self.segments.front().map(Segment::base_offset) {
            self.aborted.forget_before(first);
        }
    }
}

/// How much earlier than `segment.ms` says the next segment rolls (Java: `LogConfig.randomSegmentJitter`).
fn roll_jitter_ms(config: &TopicConfig, jitter: &mut Rng) -> i64 {
    match u64::try_from(config.segment_jitter_ms.min(config.segment_ms)) {
        Ok(bound @ 1..) => jitter.below(bound) as i64,
        _ => 0,
    }
}

/// The marker in a stored control batch. By which version of transactions it was written does not matter any more.
fn stored_marker(batch: &Batch, workspace: &mut Workspace) -> Option<EndMarker> {
    let parse = |section: &RecordSection| {
        let record = section.iter().next()?.ok()?;
        TransactionMarker::parse(&record).ok()?
    };
    let marker = workspace.with_records(batch, |section, _| parse(section)).ok()??;
    let header = batch.header();
    Some(EndMarker {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        is_commit: marker.is_commit,
        coordinator_epoch: marker.coordinator_epoch,
        transaction_version: 0,
    })
}

/// The first record of a batch that `wanted` chooses by offset and timestamp.
fn find_record(
    batch: &Batch,
    workspace: &mut Workspace,
    wanted: impl Fn(i64, i64) -> bool,
) -> Option<TimestampedOffset> {
    let found = workspace.with_records(batch, |section, _| {
        let mut records = section.iter().map_while(Result::ok);
        let found = records.find(|record| wanted(record.offset, record.timestamp))?;
        Some((found.timestamp, found.offset))
    });
    let (timestamp_ms, offset) = found.ok()??;
    Some(TimestampedOffset { timestamp_ms, offset, leader_epoch: batch.header().partition_leader_epoch })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod transaction_tests;
