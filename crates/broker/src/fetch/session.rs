//! Incremental fetch sessions (KIP-227; Java: `FetchManager`, `FetchContext`, `FetchSession`,
//! `FetchSessionCacheShard`). Pure.
//!
//! ```text
//!  request (session id, epoch)      what is fetched                          answer
//!  any, -1                          its partitions                           all; the session is closed
//!  any, 0                           its partitions                           all; a new session, if there is room
//!  known, the next one              the session's, with its changes          those that changed
//!  known, another one               nothing                                  INVALID_FETCH_SESSION_EPOCH
//!  unknown, above 0                 nothing                                  FETCH_SESSION_ID_NOT_FOUND
//! ```

use std::cmp::Ordering;
use std::collections::BTreeMap;

use milena_protocol::messages::fetch_response::PartitionData;
use milena_protocol::{ByteStr, ErrorCode, Uuid};

use crate::rng::Rng;

/// A session that was idle this long may be evicted for any other
/// (Java: `MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`).
const EVICTABLE_AFTER_MS: i64 = 120_000;

const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;
/// The id that stands for no session.
const NO_SESSION: i32 = 0;

/// A partition as a fetch request names it: by topic name, or by topic id from version 13 on.
#[derive(Debug, Clone)]
pub(crate) struct FetchKey {
    /// When the topic is named by its id: the name that it had when it was first asked for, empty if it was not known.
    /// It then says nothing about which partition is meant.
    pub(crate) topic: ByteStr,
    /// Zero when the topic is named by its name.
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
}

/// Where and how much to fetch of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FetchPosition {
    pub(crate) fetch_offset: i64,
    pub(crate) max_bytes: i32,
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
}

/// What a fetch request says about its session.
#[derive(Debug)]
pub(crate) struct SessionRequest {
    pub(crate) session_id: i32,
    pub(crate) session_epoch: i32,
    /// Version 13 or later.
    pub(crate) uses_topic_ids: bool,
    pub(crate) partitions: Vec<(FetchKey, FetchPosition)>,
    pub(crate) forgotten: Vec<FetchKey>,
}

/// What a fetch request turns out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FetchContext {
    /// Answered with this error and nothing else.
    Error(ErrorCode),
    /// One fetch without a session.
    Sessionless(Vec<(FetchKey, FetchPosition)>),
    /// A fetch that begins a session.
    Full { partitions: Vec<(FetchKey, FetchPosition)>, uses_topic_ids: bool },
    /// The next fetch of a session.
    Incremental { session_id: i32, session_epoch: i32, partitions: Vec<(FetchKey, FetchPosition)> },
}

/// The sessions of one node.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    sessions: BTreeMap<i32, Session>,
    sessions_max: usize,
    rng: Rng,
}

#[derive(Debug)]
struct Session {
    uses_topic_ids: bool,
    created_ms: i64,
    last_used_ms: i64,
    /// The epoch that the next request must have.
    session_epoch: i32,
    partitions: CachedPartitions,
}

/// The partitions of a session in the order in which they are fetched.
#[derive(Debug, Default)]
struct CachedPartitions {
    turns: BTreeMap<FetchKey, u64>,
    by_turn: BTreeMap<u64, Cached>,
    next_turn: u64,
}

#[derive(Debug)]
struct Cached {
    key: FetchKey,
    position: FetchPosition,
    /// What the client knows; -1 makes sure that it is told.
    high_watermark: i64,
    log_start_offset: i64,
}

impl FetchKey {
    fn identity(&self) -> (&Uuid, &str, i32) {
        let name = if self.topic_id.is_zero() { &self.topic } else { "" };
        (&self.topic_id, name, self.partition)
    }
}

impl PartialEq for FetchKey {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for FetchKey {}

impl Ord for FetchKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl PartialOrd for FetchKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FetchContext {
    /// What to fetch, in order.
    pub(crate) fn partitions(&self) -> &[(FetchKey, FetchPosition)] {
        match self {
            Self::Error(_) => &[],
            Self::Sessionless(partitions)
            | Self::Full { partitions, .. }
            | Self::Incremental { partitions, .. } => partitions,
        }
    }
}

impl FetchSessions {
    pub(crate) fn new(sessions_max: usize, rng: Rng) -> Self {
        Self { sessions: BTreeMap::new(), sessions_max, rng }
    }

    /// Takes a request into its session, and tells what is to be fetched.
    pub(crate) fn begin(&mut self, request: SessionRequest, now_ms: i64) -> FetchContext {
        let SessionRequest { session_id, session_epoch, uses_topic_ids, partitions, forgotten } = request;
        if session_epoch == FINAL_EPOCH || session_epoch == INITIAL_EPOCH {
            self.sessions.remove(&session_id);
            return match session_epoch {
                FINAL_EPOCH => FetchContext::Sessionless(partitions),
                _ => FetchContext::Full { partitions, uses_topic_ids },
            };
        }
        let Some(session) = self.sessions.get_mut(&session_id) else {
            return FetchContext::Error(ErrorCode::FetchSessionIdNotFound);
        };
        if session.session_epoch != session_epoch {
            return FetchContext::Error(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids != uses_topic_ids {
            return FetchContext::Error(ErrorCode::FetchSessionTopicIdError);
        }
        for (key, position) in &partitions {
            session.partitions.set(key, *position);
        }
        forgotten.iter().for_each(|key| session.partitions.remove(key));
        if session.partitions.by_turn.is_empty() {
            self.sessions.remove(&session_id);
            return FetchContext::Sessionless(partitions);
        }
        session.last_used_ms = now_ms;
        session.session_epoch = next_epoch(session.session_epoch);
        FetchContext::Incremental { session_id, session_epoch, partitions: session.partitions.in_order() }
    }

    /// Chooses what is answered of what was fetched, and under which session: error, session id, partitions.
    pub(crate) fn finish(
        &mut self,
        context: FetchContext,
        fetched: Vec<(FetchKey, PartitionData)>,
        now_ms: i64,
    ) -> (ErrorCode, i32, Vec<(FetchKey, PartitionData)>) {
        match context {
            FetchContext::Error(error) => (error, NO_SESSION, Vec::new()),
            FetchContext::Sessionless(_) => (ErrorCode::None, NO_SESSION, fetched),
            FetchContext::Full { partitions, uses_topic_ids } => {
                let session_id = self.create(partitions, &fetched, uses_topic_ids, now_ms);
                (ErrorCode::None, session_id, fetched)
            }
            FetchContext::Incremental { session_id, session_epoch, .. } => {
                match self.sessions.get_mut(&session_id) {
                    Some(session) if session.session_epoch == next_epoch(session_epoch) => {
                        (ErrorCode::None, session_id, session.changed(fetched))
                    }
                    _ => (ErrorCode::InvalidFetchSessionEpoch, session_id, Vec::new()),
                }
            }
        }
    }

    /// Whether what was fetched of a partition will be answered, if the context is finished.
    pub(crate) fn answers(&self, context: &FetchContext, key: &FetchKey, data: &PartitionData) -> bool {
        match context {
            FetchContext::Error(_) => false,
            FetchContext::Sessionless(_) | FetchContext::Full { .. } => true,
            FetchContext::Incremental { session_id, session_epoch, .. } => {
                let session = self.sessions.get(session_id);
                let session = session.filter(|session| session.session_epoch == next_epoch(*session_epoch));
                session
                    .and_then(|session| session.partitions.get(key))
                    .is_some_and(|it| it.is_asked_for(data))
            }
        }
    }

    /// The answer to a client that must wait, in place of what was fetched: error and session id. Its session stays as it
    /// is; if it was to begin, it does not (Java: `FetchContext.getThrottledResponse`).
    pub(crate) fn put_off(&self, context: &FetchContext) -> (ErrorCode, i32) {
        let FetchContext::Incremental { session_id, session_epoch, .. } = context else {
            return (ErrorCode::None, NO_SESSION);
        };
        match self.sessions.get(session_id) {
            Some(session) if session.session_epoch == next_epoch(*session_epoch) => {
                (ErrorCode::None, *session_id)
            }
            _ => (ErrorCode::InvalidFetchSessionEpoch, *session_id),
        }
    }

    /// Closes all sessions, as when the node restarts.
    pub(crate) fn clear(&mut self) {
        self.sessions.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    fn create(
        &mut self,
        partitions: Vec<(FetchKey, FetchPosition)>,
        fetched: &[(FetchKey, PartitionData)],
        uses_topic_ids: bool,
        now_ms: i64,
    ) -> i32 {
        if self.sessions.len() >= self.sessions_max && !self.evict_for(partitions.len(), now_ms) {
            return NO_SESSION;
        }
        let mut cached = CachedPartitions::default();
        for (key, position) in &partitions {
            cached.set(key, *position);
        }
        for (key, data) in fetched {
            if let Some(cached) = cached.get_mut(key) {
                cached.high_watermark = data.high_watermark;
                cached.log_start_offset = data.log_start_offset;
            }
        }
        let session = Session {
            uses_topic_ids,
            created_ms: now_ms,
            last_used_ms: now_ms,
            session_epoch: next_epoch(INITIAL_EPOCH),
            partitions: cached,
        };
        let session_id = self.unused_id();
        self.sessions.insert(session_id, session);
        session_id
    }

    /// Evicts the session that was idle longest, if it is stale, else the smallest old one that has fewer partitions.
    fn evict_for(&mut self, size: usize, now_ms: i64) -> bool {
        let by_use = self.sessions.iter().min_by_key(|(id, session)| (session.last_used_ms, **id));
        let stale = by_use.filter(|(_, session)| now_ms - session.last_used_ms > EVICTABLE_AFTER_MS);
        let old =
            self.sessions.iter().filter(|(_, session)| now_ms - session.created_ms > EVICTABLE_AFTER_MS);
        let smallest = old.min_by_key(|(id, session)| (session.partitions.by_turn.len(), **id));
        let smaller = smallest.filter(|(_, session)| session.partitions.by_turn.len() < size);
        let Some(evicted) = stale.or(smaller).map(|(id, _)| *id) else { return false };
        self.sessions.remove(&evicted);
        true
    }

    fn unused_id(&mut self) -> i32 {
        loop {
            let id = 1 + self.rng.below(i32::MAX as u64 - 1) as i32;
            if !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }
}

impl Session {
    /// The partitions that must be answered: those with records, an error, or offsets that the client does not know.
    /// Those with records go to the end of the order, so that each gets its turn.
    fn changed(&mut self, fetched: Vec<(FetchKey, PartitionData)>) -> Vec<(FetchKey, PartitionData)> {
        let mut answered = fetched;
        answered.retain(|(key, data)| {
            let Some(cached) = self.partitions.get_mut(key) else { return false };
            let must_answer = cached.is_asked_for(data);
            cached.learn(data);
            if has_records(data) {
                self.partitions.move_to_end(key);
            }
            must_answer
        });
        answered
    }
}

impl Cached {
    /// Whether there is anything that the client does not know.
    fn is_asked_for(&self, data: &PartitionData) -> bool {
        has_records(data)
            || self.high_watermark != data.high_watermark
            || self.log_start_offset != data.log_start_offset
            || data.preferred_read_replica != -1
            || data.diverging_epoch.epoch != -1
            || !data.error_code.is_ok()
    }

    /// Takes over what the client is told.
    fn learn(&mut self, data: &PartitionData) {
        // After an error everything is told again, once it is over.
        self.high_watermark = if data.error_code.is_ok() { data.high_watermark } else { -1 };
        self.log_start_offset = data.log_start_offset;
    }
}

fn has_records(data: &PartitionData) -> bool {
    data.records.as_ref().is_some_and(|records| !records.is_empty())
}

impl CachedPartitions {
    fn set(&mut self, key: &FetchKey, position: FetchPosition) {
        if let Some(cached) = self.get_mut(key) {
            cached.position = position;
            return;
        }
        let cached = Cached { key: key.clone(), position, high_watermark: -1, log_start_offset: -1 };
        self.push(cached);
    }

    fn get(&self, key: &FetchKey) -> Option<&Cached> {
        self.by_turn.get(self.turns.get(key)?)
    }

    fn get_mut(&mut self, key: &FetchKey) -> Option<&mut Cached> {
        self.by_turn.get_mut(self.turns.get(key)?)
    }

    fn remove(&mut self, key: &FetchKey) {
        if let Some(turn) = self.turns.remove(key) {
            self.by_turn.remove(&turn);
        }
    }

    fn move_to_end(&mut self, key: &FetchKey) {
        if let Some(cached) = self.turns.get(key).and_then(|turn| self.by_turn.remove(turn)) {
            self.push(cached);
        }
    }

    fn push(&mut self, cached: Cached) {
        self.turns.insert(cached.key.clone(), self.next_turn);
        self.by_turn.insert(self.next_turn, cached);
        self.next_turn += 1;
    }

    fn in_order(&self) -> Vec<(FetchKey, FetchPosition)> {
        self.by_turn.values().map(|cached| (cached.key.clone(), cached.position)).collect()
    }
}

/// After the greatest epoch comes 1, because 0 begins a session (Java: `FetchMetadata.nextEpoch`).
fn next_epoch(session_epoch: i32) -> i32 {
    session_epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests;
