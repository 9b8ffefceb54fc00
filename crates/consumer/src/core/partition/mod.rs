//! One assigned partition. Pure.
//!
//! ```text
//!   assign ──▶ Resetting ──────────found─────────▶ Fetching ◀────fine──── Validating
//!                ▲  │  ▲                           ▲  │  │                 ▲  │
//!                │  │  └──out of range, truncated──┼──┤  └──leader changed─┘  │
//!                │  │      (policy)                │  │     (old brokers)     │
//!                │  └─────refused───┐    seek,     │  ├──cannot be read,      │
//!                │                  ▼    resume    │  │  refused              │
//!   seek to      └──resume──── Failing ────────────┘  │                       │
//!   beginning,                    │  ▲────────────────┴─truncated, no policy──┘
//!   end, time: from anywhere      ▼ told
//!                               Failed ── seek, resume ──▶ as from Failing
//! ```
//!
//! Every entry into `Resetting`, `Validating`, `Fetching` or `Failing` from outside takes a new generation: what was fetched for
//! an older one is not delivered. Java: `SubscriptionState.FetchStates`, whose `INITIALIZING` waits for a committed offset and
//! belongs to groups.
//!
//! What the application had of a batch and gave back is beside the state and comes before it: brokers may move the state on, but
//! only a seek takes back what was handed over in part.

mod question;
#[cfg(test)]
mod tests;

pub(crate) use question::{Asked, Question};

use std::time::Instant;

use milena_client::TopicPartition;
use milena_protocol::{Uuid, planted};

use super::fetching::{Buffers, Fetching, Lane};
use super::position::Position;
use super::reset::{OffsetLookup, OffsetReset};
use crate::batch::RecordBatch;
use crate::error::RecvError;
use question::Attempt;

/// What was fetched before the last seek, reset, truncation or new assignment carries an older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(pub(crate) u64);

/// A broker that leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) node_id: i32,
    pub(crate) leader_epoch: Option<i32>,
}

/// What brokers tell of a log, as far as they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watermarks {
    pub(crate) log_start_offset: Option<i64>,
    pub(crate) high_watermark: Option<i64>,
    pub(crate) last_stable_offset: Option<i64>,
}

/// One assigned partition.
#[derive(Debug)]
pub(crate) struct Partition {
    name: TopicPartition,
    policy: OffsetReset,
    generation: Generation,
    /// Since the application last moved the partition. What was handed over before is not taken back.
    moved_at: Generation,
    /// What the application gave back of the last batch: it comes next.
    unread: Option<RecordBatch>,
    paused: bool,
    leader: Option<Leader>,
    topic_id: Uuid,
    preferred: Option<PreferredReplica>,
    watermarks: Watermarks,
    state: State,
}

/// A replica that the leader told to read from (KIP-392).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PreferredReplica {
    node_id: i32,
    /// When the leader is asked again.
    until: Instant,
}

#[derive(Debug)]
enum State {
    /// No position: a leader is asked for an offset.
    Resetting {
        lookup: OffsetLookup,
        /// Where the log ended before a search by time, for the case that it finds nothing: what is appended meanwhile must not
        /// be skipped.
        end_offset: Option<i64>,
        attempt: Attempt,
    },
    /// The position is being compared with the log of a new leader (KIP-320).
    Validating {
        position: Position,
        attempt: Attempt,
    },
    Fetching(Fetching),
    /// The application is about to be told an error.
    Failing {
        error: RecvError,
        retry: Retry,
    },
    /// The application was told an error, and decides.
    Failed {
        retry: Retry,
    },
}

/// What `resume` does after an error.
#[derive(Clone, Copy, Debug)]
enum Retry {
    At(Position),
    Lookup(OffsetLookup),
    /// Only a seek helps.
    Nowhere,
}

/// What a broker with a fetch offset does about leaders that have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EpochChecks {
    /// Fetch 12 and later compare the last fetched epoch themselves.
    InFetch,
    /// OffsetForLeaderEpoch is to be asked. (Versions before 3 need a permission on the cluster, so Java passes over them.)
    BeforeFetch,
    /// None.
    Nowhere,
}

/// What [`Partition::poll_fetch`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchReadiness {
    From(Position),
    /// Not now; at the instant if nothing else happens before.
    Wait(Option<Instant>),
    /// The position is to be validated first.
    Validate,
}

impl Partition {
    /// A partition that begins where the policy says.
    pub(crate) fn new(name: TopicPartition, policy: OffsetReset, generation: Generation) -> Self {
        let state =
            State::by_policy(policy, RecvError::NoPosition { partition: name.clone() }, Retry::Nowhere);
        Self {
            name,
            policy,
            generation,
            moved_at: generation,
            unread: None,
            paused: false,
            leader: None,
            topic_id: Uuid::ZERO,
            preferred: None,
            watermarks: Watermarks::default(),
            state,
        }
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    pub(crate) fn leader(&self) -> Option<Leader> {
        self.leader
    }

    pub(crate) fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    pub(crate) fn watermarks(&self) -> &Watermarks {
        &self.watermarks
    }

    pub(crate) fn watermarks_mut(&mut self) -> &mut Watermarks {
        &mut self.watermarks
    }

    pub(crate) fn fetching(&self) -> Option<&Fetching> {
        match &self.state {
            State::Fetching(fetching) => Some(fetching),
            _ => None,
        }
    }

    pub(crate) fn fetching_mut(&mut self) -> Option<&mut Fetching> {
        match &mut self.state {
            State::Fetching(fetching) => Some(fetching),
            _ => None,
        }
    }

    /// Where the application is, if that is known.
    pub(crate) fn position(&self) -> Option<Position> {
        self.unread.as_ref().map(RecordBatch::start).or_else(|| self.position_of_state())
    }

    /// Where what was not handed over yet begins.
    fn position_of_state(&self) -> Option<Position> {
        match &self.state {
            State::Fetching(fetching) => Some(fetching.position()),
            State::Validating { position, .. } => Some(*position),
            State::Failing { retry: Retry::At(position), .. }
            | State::Failed { retry: Retry::At(position) } => Some(*position),
            State::Resetting { .. } | State::Failing { .. } | State::Failed { .. } => None,
        }
    }

    /// The position, if brokers are being asked about it.
    fn position_in_use(&self) -> Option<Position> {
        match &self.state {
            State::Fetching(_) | State::Validating { .. } => self.position_of_state(),
            State::Resetting { .. } | State::Failing { .. } | State::Failed { .. } => None,
        }
    }

    /// The broker to fetch from now.
    pub(crate) fn fetch_node(&self) -> Option<i32> {
        self.preferred.map(|preferred| preferred.node_id).or(self.leader.map(|leader| leader.node_id))
    }

    // What the application wants.

    pub(crate) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    pub(crate) fn seek(&mut self, position: Position, generation: Generation) -> Buffers {
        if planted("seek_keeps_what_was_fetched")
            && let State::Fetching(fetching) = &mut self.state
            && fetching.has_buffers()
        {
            return Buffers::default();
        }
        self.forget_unread(generation);
        self.enter(State::Fetching(Fetching::new(position)), generation)
    }

    pub(crate) fn reset_to(&mut self, lookup: OffsetLookup, generation: Generation) -> Buffers {
        self.forget_unread(generation);
        self.enter(State::resetting(lookup), generation)
    }

    /// The application goes on elsewhere.
    fn forget_unread(&mut self, generation: Generation) {
        self.moved_at = generation;
        self.unread = None;
    }

    /// Takes back what the application did not use of the last batch, unless it has moved the partition since.
    pub(crate) fn put_back(&mut self, batch: RecordBatch) {
        if batch.generation() >= self.moved_at && !batch.is_empty() {
            debug_assert!(self.unread.is_none(), "what was given back is handed over before anything else");
            self.unread = Some(batch);
        }
    }

    pub(crate) fn has_unread(&self) -> bool {
        self.unread.is_some()
    }

    pub(crate) fn take_unread(&mut self) -> Option<RecordBatch> {
        self.unread.take()
    }

    /// Tries once more after an error. True if there was one, and something to try.
    pub(crate) fn retry(&mut self, generation: Generation) -> bool {
        let (State::Failing { retry, .. } | State::Failed { retry }) = &self.state else { return false };
        let state = match *retry {
            Retry::At(position) => State::Fetching(Fetching::new(position)),
            Retry::Lookup(lookup) => State::resetting(lookup),
            Retry::Nowhere => return false,
        };
        let _nothing_buffered = self.enter(state, generation);
        true
    }

    /// The error to tell the application.
    pub(crate) fn take_error(&mut self) -> Option<RecvError> {
        if !matches!(self.state, State::Failing { .. }) {
            return None;
        }
        let State::Failing { error, retry } =
            std::mem::replace(&mut self.state, State::Failed { retry: Retry::Nowhere })
        else {
            unreachable!("just matched");
        };
        self.state = State::Failed { retry };
        Some(error)
    }

    pub(crate) fn has_error(&self) -> bool {
        matches!(self.state, State::Failing { .. })
    }

    /// The fetching ended with an error that the application is being told now.
    pub(crate) fn fail_here(&mut self) {
        if let State::Fetching(fetching) = &self.state {
            self.state = State::Failed { retry: Retry::At(fetching.position()) };
        }
    }

    /// Forgets what is buffered and fetches on from the position.
    pub(crate) fn restart(&mut self, generation: Generation) -> Buffers {
        match &self.state {
            State::Fetching(fetching) if planted("position_passes_what_was_not_decoded") => {
                let fetched_until = fetching.fetched_until();
                self.enter(State::Fetching(Fetching::new(fetched_until)), generation)
            }
            State::Fetching(fetching) => {
                let position = fetching.position();
                self.enter(State::Fetching(Fetching::new(position)), generation)
            }
            _ => Buffers::default(),
        }
    }

    // What brokers say.

    /// Takes over what metadata says; true if it is something new. A topic created anew counts as truncated.
    pub(crate) fn set_leader(&mut self, leader: Option<Leader>, topic_id: Uuid) -> bool {
        if !topic_id.is_zero() {
            self.topic_id = topic_id;
        }
        if leader == self.leader {
            return false;
        }
        self.leader = leader;
        self.preferred = None;
        if leader.is_none() {
            return true;
        }
        match &mut self.state {
            State::Fetching(fetching) => fetching.retarget(),
            State::Resetting { attempt, .. } | State::Validating { attempt, .. } => {
                attempt.ask_again();
            }
            State::Failing { .. } | State::Failed { .. } => {}
        }
        true
    }

    /// Whether `topic_id` is that of another topic of the same name.
    pub(crate) fn is_created_anew(&self, topic_id: Uuid) -> bool {
        !topic_id.is_zero() && !self.topic_id.is_zero() && topic_id != self.topic_id
    }

    /// The replica that is read from in place of the leader.
    pub(crate) fn preferred_replica(&self) -> Option<i32> {
        self.preferred.map(|preferred| preferred.node_id)
    }

    pub(crate) fn prefer_replica(&mut self, node_id: i32, until: Instant) {
        self.preferred = Some(PreferredReplica { node_id, until });
    }

    /// Goes back to the leader. True if another replica was preferred.
    pub(crate) fn forget_preferred_replica(&mut self) -> bool {
        self.preferred.take().is_some()
    }

    /// Goes back to the leader when it is time to ask it again. True if so.
    pub(crate) fn expire_preferred_replica(&mut self, now: Instant) -> bool {
        self.preferred.take_if(|preferred| preferred.until <= now).is_some()
    }

    /// Whether and from where to fetch.
    pub(crate) fn poll_fetch(&self, lane: Lane, checks: EpochChecks, now: Instant) -> FetchReadiness {
        let State::Fetching(fetching) = &self.state else { return FetchReadiness::Wait(None) };
        if self.paused {
            return FetchReadiness::Wait(None);
        }
        let leader_epoch = self.leader.and_then(|leader| leader.leader_epoch);
        match fetching.poll_fetch(lane, now) {
            Err(wake) => FetchReadiness::Wait(wake),
            Ok(_) if checks == EpochChecks::BeforeFetch && fetching.needs_validation(leader_epoch) => {
                FetchReadiness::Validate
            }
            Ok(from) => FetchReadiness::From(from),
        }
    }

    /// Has the position compared with the leader's log before anything else.
    pub(crate) fn validate(&mut self, generation: Generation) -> Buffers {
        match &self.state {
            State::Fetching(fetching) => {
                let position = fetching.position();
                self.enter(State::Validating { position, attempt: Attempt::new() }, generation)
            }
            _ => Buffers::default(),
        }
    }

    /// The log has no record at the position.
    pub(crate) fn out_of_range(&mut self, generation: Generation) -> Buffers {
        let Some(position) = self.position_in_use() else { return Buffers::default() };
        tracing::warn!(partition = %self.name, %position, policy = %self.policy, "position out of range");
        let error = RecvError::OffsetOutOfRange { partition: self.name.clone(), position };
        self.enter(State::by_policy(self.policy, error, Retry::At(position)), generation)
    }

    /// The log was cut off below the position; from `diverging` on it differs, if that is known. With a policy the consumer goes
    /// back to there (Java: `SubscriptionState.maybeCompleteValidation`).
    pub(crate) fn truncated(&mut self, diverging: Option<Position>, generation: Generation) -> Buffers {
        let Some(position) = self.position_in_use() else { return Buffers::default() };
        let policy = self.policy;
        tracing::warn!(partition = %self.name, %position, ?diverging, %policy, "the log was truncated");
        let state = match (policy, diverging) {
            (OffsetReset::None, _) => {
                let error = RecvError::LogTruncated { partition: self.name.clone(), position, diverging };
                State::Failing { error, retry: Retry::At(position) }
            }
            (_, Some(diverging)) => State::Fetching(
                Fetching::new(diverging).validated_for(self.leader.and_then(|leader| leader.leader_epoch)),
            ),
            (policy, None) => {
                let error = RecvError::LogTruncated { partition: self.name.clone(), position, diverging };
                State::by_policy(policy, error, Retry::At(position))
            }
        };
        self.enter(state, generation)
    }

    /// The broker found the log to differ from what was fetched, from `end` of an earlier epoch on.
    pub(crate) fn diverged(&mut self, end: Position, generation: Generation) -> Buffers {
        let State::Fetching(fetching) = &self.state else { return Buffers::default() };
        let position = fetching.position();
        if fetching.has_buffers() {
            // What is buffered may be what was cut off. The broker will judge the position by itself.
            return self.enter(State::Fetching(Fetching::new(position)), generation);
        }
        if end.offset < position.offset {
            return self.truncated(Some(end), generation);
        }
        // Nothing before the position is missing, so that Java goes on too; the epoch of the record before it is another one now.
        let position = Position { leader_epoch: end.leader_epoch, ..position };
        self.enter(State::Fetching(Fetching::new(position)), generation)
    }

    fn enter(&mut self, state: State, generation: Generation) -> Buffers {
        self.generation = generation;
        match std::mem::replace(&mut self.state, state) {
            State::Fetching(fetching) => fetching.into_buffers(),
            _ => Buffers::default(),
        }
    }
}

impl State {
    fn resetting(lookup: OffsetLookup) -> Self {
        Self::Resetting { lookup, end_offset: None, attempt: Attempt::new() }
    }

    fn by_policy(policy: OffsetReset, error: RecvError, retry: Retry) -> Self {
        match policy.lookup() {
            Some(lookup) => Self::resetting(lookup),
            None => Self::Failing { error, retry },
        }
    }
}
