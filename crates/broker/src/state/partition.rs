//! One partition: its leadership, its log, and the fetches that wait for it.

use std::sync::{Arc, Mutex, MutexGuard};

use milena_protocol::{ByteStr, ErrorCode, planted};

use super::Leadership;
use crate::NodeId;
use crate::config::TopicConfig;
use crate::fetch::FetchWait;
use crate::log::{
    AppendError, Appended, EndMarker, Guard, PartitionLog, ProducerError, Verified, Workspace, validate,
};
use crate::rng::Rng;
use crate::sync::lock;
use milena_records::{Batch, BatchHeader};

/// A partition of a topic; every node works on the same one.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) topic: ByteStr,
    pub(crate) index: i32,
    state: Mutex<PartitionState>,
}

/// What changes of a partition, together under one lock.
#[derive(Debug)]
pub(crate) struct PartitionState {
    pub(crate) leadership: Leadership,
    pub(crate) log: PartitionLog,
    waiting: Vec<Arc<FetchWait>>,
    outside_log: OutsideLog,
    deleted: bool,
}

/// What the leader writes that is kept outside the log: the state of a coordinator of groups. As records are, it is not seen
/// as long as too few replicas are in sync.
#[derive(Debug, Default)]
struct OutsideLog {
    is_held: bool,
    /// How often what was held has been let go.
    releases: u64,
}

/// A time in which what is kept outside the log is held back, of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hold(pub(crate) u64);

/// Why a produced batch is not in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProduceError {
    #[error("not the leader")]
    NotLeader,
    #[error("the partition is deleted")]
    Deleted,
    #[error("{in_sync} of {needed} replicas are in sync")]
    NotEnoughReplicas { in_sync: usize, needed: usize, log_start_offset: i64 },
    #[error("{error}")]
    Refused { error: AppendError, log_start_offset: i64 },
}

impl ProduceError {
    /// What coordinators are told.
    fn code_of_coordinator(self) -> ErrorCode {
        match self {
            Self::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
            Self::Deleted => ErrorCode::UnknownTopicOrPartition,
            Self::NotLeader | Self::Refused { .. } => ErrorCode::NotLeaderOrFollower,
        }
    }
}

/// A batch that is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Produced {
    pub(crate) appended: Appended,
    pub(crate) log_start_offset: i64,
}

/// What a produce request says of itself, for each of its partitions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProduceTerms {
    /// The node that was asked.
    pub(crate) node: NodeId,
    /// Whether `min.insync.replicas` must be met: acks=-1.
    pub(crate) all_in_sync: bool,
    pub(crate) version: i16,
    pub(crate) now_ms: i64,
}

impl Partition {
    pub(crate) fn new(
        topic: ByteStr,
        index: i32,
        leadership: Leadership,
        config: Arc<TopicConfig>,
        rng: Rng,
        now_ms: i64,
    ) -> Self {
        let mut log = PartitionLog::new(config, rng, now_ms);
        log.begin_leader_epoch(leadership.leader_epoch);
        let state = PartitionState {
            leadership,
            log,
            waiting: Vec::new(),
            outside_log: OutsideLog::default(),
            deleted: false,
        };
        Self { topic, index, state: Mutex::new(state) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, PartitionState> {
        lock(&self.state)
    }

    /// Checks and appends what a produce request has for this partition.
    ///
    /// The batch is read and validated outside the lock; leadership is checked before and after, because it may move
    /// meanwhile.
    pub(crate) fn produce(
        &self,
        batch: &Batch,
        verified: Verified,
        terms: &ProduceTerms,
        workspace: &mut Workspace,
    ) -> Result<Produced, ProduceError> {
        let refused = |error: AppendError, log_start: i64| {
            let log_start_offset = if error.tells_log_start_offset() { log_start } else { -1 };
            ProduceError::Refused { error, log_start_offset }
        };
        let (config, log_start) = {
            let state = self.lock();
            state.check_leader(terms.node, terms.all_in_sync)?;
            (state.log.config().clone(), state.log.log_start_offset())
        };
        let valid =
            validate(batch, &config, terms.now_ms, workspace).map_err(|error| refused(error, log_start))?;

        let mut state = self.lock();
        state.check_leader(terms.node, terms.all_in_sync)?;
        state.review_watermark();
        let log_start_offset = state.log.log_start_offset();
        let leader_epoch = state.leadership.leader_epoch;
        if planted("broker_acknowledges_before_it_writes") && state.leadership.isr.len() == 1 {
            let base_offset = state.log.log_end_offset();
            let appended = Appended { base_offset, log_append_time_ms: None, new_bytes: 0 };
            return Ok(Produced { appended, log_start_offset });
        }
        let appended = state
            .log
            .append(valid, verified, leader_epoch, terms.now_ms)
            .map_err(|error| refused(error, log_start_offset))?;
        state.gained(appended.new_bytes);
        Ok(Produced { appended, log_start_offset })
    }

    /// Begins to verify that the coordinator knows of this partition; `None` when the transaction is open here.
    ///
    /// A node that does not lead need not ask: it refuses the batch in any case.
    pub(crate) fn begin_verification(
        &self,
        batch: &BatchHeader,
        bumps_epoch: bool,
        terms: &ProduceTerms,
    ) -> Result<Option<Guard>, ProducerError> {
        let mut state = self.lock();
        match state.check_leader(terms.node, false) {
            Ok(()) => state.log.producers_mut().begin_verification(batch, bumps_epoch, terms.now_ms),
            Err(_) => Ok(None),
        }
    }

    /// Ends a transaction in this partition, as a coordinator asks its leader to (Java: `WriteTxnMarkersRequest`).
    pub(crate) fn write_marker(
        &self,
        node: NodeId,
        marker: &EndMarker,
        now_ms: i64,
    ) -> Result<(), ErrorCode> {
        let mut state = self.lock();
        state.check_leader(node, true).map_err(ProduceError::code_of_coordinator)?;
        state.review_watermark();
        let leader_epoch = state.leadership.leader_epoch;
        let new_bytes = state
            .log
            .append_marker(marker, leader_epoch, now_ms)
            .map_err(|error| AppendError::from(error).code())?;
        state.gained(new_bytes);
        // What readers of committed records waited for may have been there for long.
        state.waiting.iter().for_each(|fetch| fetch.look_again());
        Ok(())
    }

    /// Takes in a marker for what is not kept in the log, and is nothing to readers of it: later ones are judged by it. Says
    /// whether what it ends is held back.
    pub(crate) fn note_marker(
        &self,
        node: NodeId,
        marker: &EndMarker,
        now_ms: i64,
    ) -> Result<Option<Hold>, ErrorCode> {
        let mut state = self.lock();
        state.check_leader(node, false).map_err(ProduceError::code_of_coordinator)?;
        let log_end_offset = state.log.log_end_offset();
        let producers = state.log.producers_mut();
        producers.check_marker(marker).map_err(|error| AppendError::from(error).code())?;
        producers.note_marker(marker, log_end_offset, now_ms);
        Ok(state.write_outside_log())
    }

    /// Takes in that a producer's transaction has something here that is not kept in the log.
    pub(crate) fn note_transaction(
        &self,
        node: NodeId,
        producer: (i64, i16),
        now_ms: i64,
    ) -> Result<(), ErrorCode> {
        let mut state = self.lock();
        state.check_leader(node, false).map_err(ProduceError::code_of_coordinator)?;
        let log_end_offset = state.log.log_end_offset();
        let noted = state.log.producers_mut().note_outside_log(producer, log_end_offset, now_ms);
        noted.map_err(|error| AppendError::from(error).code())
    }
}

impl PartitionState {
    /// Whether fewer replicas are in sync than `min.insync.replicas` says.
    pub(crate) fn is_short_of_replicas(&self) -> bool {
        !self.leadership.has_min_isr(self.log.config().min_insync_replicas)
    }

    /// The leader writes what is kept outside the log; says whether and since when it is held back.
    pub(crate) fn write_outside_log(&mut self) -> Option<Hold> {
        self.review_watermark();
        self.outside_log.is_held |= self.is_short_of_replicas();
        self.hold()
    }

    /// Whether something that is kept outside the log is held back, and since when.
    pub(crate) fn hold(&self) -> Option<Hold> {
        self.outside_log.is_held.then_some(Hold(self.outside_log.releases))
    }

    fn check_leader(&self, node: NodeId, all_in_sync: bool) -> Result<(), ProduceError> {
        if self.deleted {
            return Err(ProduceError::Deleted);
        }
        if self.leadership.leader != Some(node) {
            return Err(ProduceError::NotLeader);
        }
        let needed = self.log.config().min_insync_replicas;
        if all_in_sync && !self.leadership.has_min_isr(needed) {
            let (in_sync, log_start_offset) = (self.leadership.isr.len(), self.log.log_start_offset());
            return Err(ProduceError::NotEnoughReplicas { in_sync, needed, log_start_offset });
        }
        Ok(())
    }

    /// Compares the leader epoch that a client knows with the one in force (KIP-320); -1 means that it knows none.
    pub(crate) fn check_leader_epoch(&self, known: i32) -> Result<(), ErrorCode> {
        match known {
            -1 => Ok(()),
            known if known < self.leadership.leader_epoch => Err(ErrorCode::FencedLeaderEpoch),
            known if known > self.leadership.leader_epoch => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// What a read must satisfy at the leader: the epoch first, then the leadership
    /// (Java: `Partition.getLocalLog`).
    pub(crate) fn check_readable(&self, node: NodeId, known_leader_epoch: i32) -> Result<(), ErrorCode> {
        if self.deleted {
            return Err(ErrorCode::UnknownTopicOrPartition);
        }
        self.check_leader_epoch(known_leader_epoch)?;
        match self.leadership.leader {
            Some(leader) if leader == node => Ok(()),
            _ => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    /// Changes the leadership; a new leader epoch begins at the end of the log, and waiting fetches are answered. Where
    /// enough replicas are in sync again, what was written meanwhile can be read.
    pub(crate) fn change_leadership<T>(&mut self, change: impl FnOnce(&mut Leadership) -> T) -> T {
        let before = self.leadership.leader_epoch;
        let result = change(&mut self.leadership);
        if self.leadership.leader_epoch != before {
            self.log.begin_leader_epoch(self.leadership.leader_epoch);
            self.wake_all();
        }
        self.review_watermark();
        result
    }

    /// Holds the high watermark while fewer replicas are in sync than `min.insync.replicas` says: what is written then
    /// is not seen yet (Java: `Partition.maybeIncrementLeaderHW`; KIP-966). Without a leader nothing moves.
    ///
    /// As in Kafka, a changed `min.insync.replicas` is noticed with the next change of the ISR, or append.
    fn review_watermark(&mut self) {
        if self.leadership.leader.is_none() {
            return;
        }
        let is_short = self.is_short_of_replicas();
        let has_risen = self.log.hold_watermark(is_short);
        let is_let_go = self.outside_log.is_held && !is_short;
        if is_let_go {
            self.outside_log.is_held = false;
            self.outside_log.releases += 1;
        }
        if has_risen || is_let_go {
            self.waiting.iter().for_each(|fetch| fetch.look_again());
        }
    }

    /// Marks the partition as gone and answers the fetches that wait for it.
    pub(crate) fn delete(&mut self) {
        self.deleted = true;
        self.wake_all();
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Has a fetch wait for this partition; [`stop_waiting`](Self::stop_waiting) ends it.
    pub(crate) fn wait(&mut self, fetch: Arc<FetchWait>) {
        self.waiting.push(fetch);
    }

    pub(crate) fn stop_waiting(&mut self, fetch: &Arc<FetchWait>) {
        self.waiting.retain(|waiting| !Arc::ptr_eq(waiting, fetch));
    }

    /// Answers every waiting fetch, whatever it has.
    pub(crate) fn wake_all(&self) {
        self.waiting.iter().for_each(|fetch| fetch.wake());
    }

    fn gained(&self, bytes: usize) {
        let is_visible = self.log.high_watermark() == self.log.log_end_offset();
        if bytes > 0 && is_visible {
            self.waiting.iter().for_each(|fetch| fetch.gained(bytes));
        }
    }
}
