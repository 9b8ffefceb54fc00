//! A partition that has a position: what is fetched ahead of it, and what is fetched next. Pure.
//!
//! ```text
//!    position            fetch offset
//!       │  ready │ buffered   │
//!  ─────┴────────┴────────────┴─────────▶ log
//!   handed   decoded  as it      the next
//!   over     little   came       fetch begins
//! ```

use std::collections::VecDeque;
use std::time::Instant;

use super::budget::FrameId;
use super::fetched::Fetched;
use super::position::Position;
use crate::batch::RecordBatch;
use crate::error::RecvError;
use milena_protocol::planted;

/// Each broker is fetched from on two roads, each with a connection and a task of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Whatever there is to fetch; the broker holds an answer back until there are records, `fetch_max_wait` at most.
    Main,
    /// What cannot wait until such an answer comes: a partition that was moved, resumed or added meanwhile. Nothing is held back
    /// here, and once the main fetch is answered, it takes everything over.
    Detour,
}

/// One request to one broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FetchId(pub(crate) u64);

/// What a partition has been fetched ahead, and how it goes on.
#[derive(Debug)]
pub(crate) struct Fetching {
    /// Up to here, records were handed to the application.
    position: Position,
    /// From here on, records are not here yet.
    fetch: Position,
    next: NextFetch,
    /// Fetches in a row that brought an error for this partition, or nothing where nothing can be read yet.
    failures: u32,
    /// Detours in a row that brought nothing.
    empty_detours: u32,
    /// The leader epoch for which the position was found good; see [`Self::needs_validation`].
    validated_for: Option<i32>,
    buffered: VecDeque<Buffered>,
    /// Whether the decoder has what comes before `buffered`.
    decoding: bool,
    ready: VecDeque<Ready>,
}

/// When the next fetch may be sent.
#[derive(Debug)]
enum NextFetch {
    Due,
    /// A detour brought nothing: due on the main lane, and for another detour from then on.
    Detoured {
        until: Instant,
    },
    /// The last one brought an error.
    BackingOff {
        until: Instant,
    },
    InFlight {
        fetch_id: FetchId,
    },
    /// Something is wrong at the fetch offset. It is looked at again, or told, once everything before was handed over.
    AfterBuffered,
    /// Never: once everything before was handed over, the application is told.
    Stopped {
        error: RecvError,
    },
}

/// Fetched, not decoded.
#[derive(Debug)]
pub(crate) struct Buffered {
    pub(crate) fetched: Fetched,
    pub(crate) frame: FrameId,
    pub(crate) node_id: i32,
}

/// Decoded, not handed over.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) batch: RecordBatch,
    pub(crate) size_bytes: usize,
    /// What the budget counts for it beside the frame.
    pub(crate) charged_bytes: usize,
    pub(crate) node_id: i32,
    /// Bytes of its batches as they were received.
    pub(crate) received_bytes: usize,
    pub(crate) frame: FrameId,
    /// Whether it is the last of its partition in the frame.
    pub(crate) finishes_frame: bool,
}

impl Ready {
    /// The frame that this partition needs no more once this is handed over.
    pub(crate) fn finished_frame(&self) -> Option<FrameId> {
        self.finishes_frame.then_some(self.frame)
    }
}

/// What a partition had in memory when it left [`Fetching`], to be given back to the budget.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Buffers {
    pub(crate) buffered: VecDeque<Buffered>,
    pub(crate) ready: VecDeque<Ready>,
}

/// What comes next for the application.
#[derive(Debug)]
pub(crate) enum Next {
    Batch(Ready),
    /// The fetching has ended, with this.
    Error(RecvError),
}

impl Fetching {
    pub(crate) fn new(position: Position) -> Self {
        Self {
            position,
            fetch: position,
            next: NextFetch::Due,
            failures: 0,
            empty_detours: 0,
            validated_for: None,
            buffered: VecDeque::new(),
            decoding: false,
            ready: VecDeque::new(),
        }
    }

    pub(crate) fn validated_for(mut self, leader_epoch: Option<i32>) -> Self {
        self.validated_for = leader_epoch;
        self
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Where the next fetch begins.
    pub(super) fn fetched_until(&self) -> Position {
        self.fetch
    }

    /// Whether everything fetched was handed over.
    fn is_drained(&self) -> bool {
        self.ready.is_empty() && self.buffered.is_empty() && !self.decoding
    }

    pub(crate) fn has_buffers(&self) -> bool {
        !self.is_drained()
    }

    /// Whether the position has to be compared with the log of a leader of this epoch before records may be fetched from a broker
    /// that does not compare by itself (Java: `SubscriptionState.maybeValidatePosition`).
    pub(crate) fn needs_validation(&self, leader_epoch: Option<i32>) -> bool {
        self.fetch.leader_epoch.is_some() && leader_epoch.is_some() && self.validated_for != leader_epoch
    }

    /// From where to fetch, if a fetch may be sent now; otherwise from when on, if time alone changes that.
    pub(crate) fn poll_fetch(&self, lane: Lane, now: Instant) -> Result<Position, Option<Instant>> {
        match self.next {
            NextFetch::Due => Ok(self.fetch),
            NextFetch::Detoured { until } if lane == Lane::Main || until <= now => Ok(self.fetch),
            NextFetch::Detoured { until } => Err(Some(until)),
            NextFetch::BackingOff { until } if until <= now => Ok(self.fetch),
            NextFetch::BackingOff { until } => Err(Some(until)),
            NextFetch::AfterBuffered if self.is_drained() => Ok(self.fetch),
            NextFetch::AfterBuffered | NextFetch::InFlight { .. } | NextFetch::Stopped { .. } => Err(None),
        }
    }

    /// Whether a fetch may be sent now, or as soon as time allows.
    pub(crate) fn wants_fetch(&self) -> bool {
        match self.next {
            NextFetch::Due | NextFetch::Detoured { .. } | NextFetch::BackingOff { .. } => true,
            NextFetch::AfterBuffered => self.is_drained(),
            NextFetch::InFlight { .. } | NextFetch::Stopped { .. } => false,
        }
    }

    pub(crate) fn start_fetch(&mut self, fetch_id: FetchId) {
        self.next = NextFetch::InFlight { fetch_id };
    }

    pub(crate) fn awaits(&self, fetch_id: FetchId) -> bool {
        matches!(self.next, NextFetch::InFlight { fetch_id: awaited } if awaited == fetch_id)
    }

    /// The fetch in flight, if there is one, is not waited for any more, and a back-off is over: another broker is asked.
    pub(crate) fn retarget(&mut self) {
        use NextFetch::{BackingOff, Detoured, InFlight};
        if matches!(self.next, InFlight { .. } | BackingOff { .. } | Detoured { .. }) {
            self.fetch.offset += i64::from(planted("new_leader_skips_a_record"));
            self.next = NextFetch::Due;
        }
    }

    /// Where the next fetch begins.
    pub(crate) fn fetch_offset(&self) -> i64 {
        self.fetch.offset
    }

    /// The fetch brought nothing, and no error.
    pub(crate) fn handle_nothing(&mut self) {
        self.failures = 0;
        self.empty_detours = 0;
        self.next = NextFetch::Due;
    }

    /// A detour brought nothing, and no error; `pause` says how long to wait after so many in a row.
    pub(crate) fn handle_empty_detour(&mut self, pause: impl FnOnce(u32) -> Instant) {
        self.failures = 0;
        self.empty_detours = self.empty_detours.saturating_add(1);
        self.next = NextFetch::Detoured { until: pause(self.empty_detours) };
    }

    /// The fetch brought batches; `end` is where the log goes on after them, if their headers tell.
    pub(crate) fn handle_data(
        &mut self,
        mut data: Buffered,
        end: Option<Position>,
        leader_epoch: Option<i32>,
    ) {
        data.fetched.next = self.fetch;
        data.fetched.fetch_offset = self.fetch.offset;
        self.buffered.push_back(data);
        self.failures = 0;
        self.empty_detours = 0;
        self.validated_for = leader_epoch;
        match end {
            Some(end) if end.offset > self.fetch.offset => {
                self.fetch = end;
                self.next = NextFetch::Due;
            }
            // Asking on from the same offset would bring the same again. Decoding tells what it is.
            _ => self.next = NextFetch::AfterBuffered,
        }
    }

    /// The fetch brought an error that may pass, or nothing where nothing can be read yet. Returns how many did in a row.
    pub(crate) fn count_failure(&mut self) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    pub(crate) fn back_off(&mut self, until: Instant) {
        self.next = NextFetch::BackingOff { until };
    }

    /// The fetch offset is of no use. True if that is the position too, and not only what is buffered before it will show.
    pub(crate) fn hold_unless_drained(&mut self) -> bool {
        self.next = NextFetch::AfterBuffered;
        self.is_drained()
    }

    /// Ends with an error once everything before it was handed over.
    pub(crate) fn stop(&mut self, error: RecvError) {
        self.next = NextFetch::Stopped { error };
    }

    /// The frames of what is buffered.
    pub(crate) fn frames(&self) -> impl Iterator<Item = FrameId> + '_ {
        let undecoded = self.buffered.iter().map(|buffered| buffered.frame);
        undecoded.chain(self.ready.iter().map(|ready| ready.frame))
    }

    /// What the budget counts for what is decoded of a broker's frames, beside them.
    pub(crate) fn charged_bytes(&self, node_id: i32) -> usize {
        let of_node = self.ready.iter().filter(|ready| ready.node_id == node_id);
        of_node.map(|ready| ready.charged_bytes).sum()
    }

    /// Whether there is something to decode.
    pub(crate) fn has_undecoded(&self) -> bool {
        !self.decoding && !self.buffered.is_empty()
    }

    /// Hands the next batches to the decoder, which gives them back with [`Self::handle_decoded`].
    pub(crate) fn take_undecoded(&mut self) -> Option<Buffered> {
        if self.decoding {
            return None;
        }
        let buffered = self.buffered.pop_front()?;
        self.decoding = true;
        Some(buffered)
    }

    /// What the decoder made of a part, what is left of it, and what it stumbled over. Returns what is dropped.
    pub(crate) fn handle_decoded(
        &mut self,
        ready: Ready,
        rest: Option<Buffered>,
        error: Option<RecvError>,
    ) -> Buffers {
        debug_assert_eq!(
            self.ready.back().map_or(self.position.offset, |last| last.batch.next_offset()),
            ready.batch.start().offset,
            "batches follow one another"
        );
        self.decoding = false;
        self.ready.push_back(ready);
        if let Some(rest) = rest {
            self.buffered.push_front(rest);
        }
        match error {
            None => Buffers::default(),
            Some(error) => {
                self.stop(error);
                Buffers { buffered: std::mem::take(&mut self.buffered), ready: VecDeque::new() }
            }
        }
    }

    /// What the decoder had is lost. Ends there with an error; returns what is dropped.
    pub(crate) fn handle_decoder_panic(&mut self, error: RecvError) -> Buffers {
        self.decoding = false;
        self.stop(error);
        Buffers { buffered: std::mem::take(&mut self.buffered), ready: VecDeque::new() }
    }

    /// Whether [`Self::pop`] has something.
    pub(crate) fn has_next(&self) -> bool {
        !self.ready.is_empty() || (self.is_drained() && matches!(self.next, NextFetch::Stopped { .. }))
    }

    /// Hands over what comes next; the position is after it from now on.
    pub(crate) fn pop(&mut self) -> Option<Next> {
        if let Some(ready) = self.ready.pop_front() {
            self.position = ready.batch.next_position();
            return Some(Next::Batch(ready));
        }
        if !self.is_drained() {
            return None;
        }
        match std::mem::replace(&mut self.next, NextFetch::AfterBuffered) {
            NextFetch::Stopped { error } => Some(Next::Error(error)),
            other => {
                self.next = other;
                None
            }
        }
    }

    /// Bytes that are decoded and not handed over.
    pub(crate) fn ready_bytes(&self) -> usize {
        self.ready.iter().map(|ready| ready.size_bytes).sum()
    }

    pub(crate) fn into_buffers(self) -> Buffers {
        Buffers { buffered: self.buffered, ready: self.ready }
    }
}
