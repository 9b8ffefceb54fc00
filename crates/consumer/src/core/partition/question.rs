//! What a partition asks its leader: an offset to begin at, or whether its position is still good.

use std::time::Instant;

use milena_protocol::ErrorCode;

use super::{Generation, Leader, Partition, Retry, State};
use crate::core::fetching::Fetching;
use crate::core::position::Position;
use crate::core::reset::OffsetLookup;
use crate::error::RecvError;

/// A question for a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Offset(OffsetLookup),
    /// Where does the log end for the leader epoch of this position?
    EpochEnd(Position),
}

/// A question as it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) question: Question,
    pub(crate) leader: Leader,
    pub(crate) generation: Generation,
}

/// Where a question to a leader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    failures: u32,
    pub(super) phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Due,
    DueAt(Instant),
    Asked,
}

impl Attempt {
    pub(super) fn new() -> Self {
        Self { failures: 0, phase: Phase::Due }
    }

    /// Another leader is to be asked, or the next thing.
    pub(super) fn ask_again(&mut self) {
        self.phase = Phase::Due;
    }
}

impl Partition {
    /// Whether a question waits to be asked or answered.
    pub(crate) fn has_question(&self) -> bool {
        matches!(self.state, State::Resetting { .. } | State::Validating { .. })
    }

    /// When the question is to be asked again.
    pub(crate) fn question_due_at(&self) -> Option<Instant> {
        self.leader?;
        match &self.state {
            State::Resetting { attempt, .. } | State::Validating { attempt, .. } => match attempt.phase {
                Phase::DueAt(at) => Some(at),
                Phase::Due | Phase::Asked => None,
            },
            _ => None,
        }
    }

    /// The question that is to be asked now.
    pub(crate) fn poll_question(&mut self, now: Instant) -> Option<Asked> {
        let leader = self.leader?;
        let (question, attempt) = match &mut self.state {
            State::Resetting { lookup, end_offset, attempt } => {
                (Question::Offset(first_lookup(*lookup, *end_offset)), attempt)
            }
            State::Validating { position, attempt } => (Question::EpochEnd(*position), attempt),
            State::Fetching(_) | State::Failing { .. } | State::Failed { .. } => return None,
        };
        match attempt.phase {
            Phase::DueAt(at) if at > now => return None,
            Phase::Asked => return None,
            Phase::Due | Phase::DueAt(_) => attempt.phase = Phase::Asked,
        }
        Some(Asked { question, leader, generation: self.generation })
    }

    /// The answer to a [`Question::Offset`]; no offset when no record is that young. False if it is of no use.
    #[must_use]
    pub(crate) fn handle_offset(
        &mut self,
        asked: OffsetLookup,
        offset: Option<i64>,
        generation: Generation,
    ) -> bool {
        let State::Resetting { lookup, end_offset, attempt } = &mut self.state else { return true };
        if asked != first_lookup(*lookup, *end_offset) {
            return true;
        }
        let Some(offset) = offset.or(*end_offset) else { return false };
        if asked != *lookup {
            *end_offset = Some(offset);
            attempt.ask_again();
            return true;
        }
        tracing::debug!(partition = %self.name, offset, ?asked, "position found");
        // Without a leader epoch, as in Java: that of the record *before* the offset is not told.
        let _nothing_buffered = self.enter(State::Fetching(Fetching::new(Position::new(offset))), generation);
        true
    }

    /// The answer to a [`Question::EpochEnd`]; `None` when the broker knows nothing of that epoch.
    pub(crate) fn handle_epoch_end(&mut self, end: Option<Position>, asked: Asked, generation: Generation) {
        let State::Validating { position, .. } = self.state else { return };
        let _nothing_buffered = match end {
            None => self.truncated(None, generation),
            Some(end) if end.offset < position.offset => self.truncated(Some(end), generation),
            Some(_) => {
                let fetching = Fetching::new(position).validated_for(asked.leader.leader_epoch);
                self.enter(State::Fetching(fetching), generation)
            }
        };
    }

    /// Whoever was asked will not be heard.
    pub(crate) fn forget_asked(&mut self) {
        if let State::Resetting { attempt, .. } | State::Validating { attempt, .. } = &mut self.state
            && attempt.phase == Phase::Asked
        {
            attempt.ask_again();
        }
    }

    /// The question got no answer that helps; how many times in a row.
    pub(crate) fn count_question_failure(&mut self) -> u32 {
        match &mut self.state {
            State::Resetting { attempt, .. } | State::Validating { attempt, .. } => {
                attempt.failures = attempt.failures.saturating_add(1);
                attempt.failures
            }
            _ => 0,
        }
    }

    pub(crate) fn ask_again_at(&mut self, at: Instant) {
        if let State::Resetting { attempt, .. } | State::Validating { attempt, .. } = &mut self.state {
            attempt.phase = Phase::DueAt(at);
        }
    }

    /// The broker refuses to answer the question.
    pub(crate) fn refuse_question(&mut self, code: ErrorCode) {
        let retry = match &self.state {
            State::Resetting { lookup, .. } => Retry::Lookup(*lookup),
            State::Validating { position, .. } => Retry::At(*position),
            _ => return,
        };
        let error = RecvError::Refused { partition: self.name.clone(), code };
        self.state = State::Failing { error, retry };
    }
}

/// A search by time begins with where the log ends.
fn first_lookup(lookup: OffsetLookup, end_offset: Option<i64>) -> OffsetLookup {
    match lookup {
        OffsetLookup::Timestamp(_) | OffsetLookup::Ago(_) if end_offset.is_none() => OffsetLookup::Latest,
        lookup => lookup,
    }
}
