//! Positions that have to be asked for: resets, seeks by time, and positions that a new leader has to confirm.

use std::time::Instant;

use milena_client::TopicPartition;
use milena_protocol::ErrorCode;

use super::{Action, Subscription};
use crate::core::partition::{Asked, Question};
use crate::core::position::Position;

/// A leader's answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// To [`Question::Offset`]; no offset when no record is that young.
    Offset(Option<i64>),
    /// To [`Question::EpochEnd`]; no position when the broker knows nothing of the epoch.
    EpochEnd(Option<Position>),
    /// The broker answered with an error.
    Error(ErrorCode),
    /// There is no answer: the connection failed, or the answer left the partition out.
    None,
}

impl Subscription {
    /// The next thing for the manager to do.
    pub(crate) fn poll_action(&mut self, now: Instant) -> Option<Action> {
        if std::mem::take(&mut self.loops_changed) {
            return Some(Action::Fetch(self.loops()));
        }
        self.poll_questions(now)
    }

    fn poll_questions(&mut self, now: Instant) -> Option<Action> {
        let partitions = &mut self.partitions;
        let asked: Vec<_> = self
            .questions
            .iter()
            .filter_map(|name| Some((name.clone(), partitions.get_mut(name)?.poll_question(now)?)))
            .collect();
        (!asked.is_empty()).then_some(Action::Ask(asked))
    }

    /// When to call [`Self::poll_action`] again if nothing else happens: a question is to be asked again.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.questions.iter().filter_map(|name| self.partitions.get(name)?.question_due_at()).min()
    }

    /// Takes the answer to one partition's question.
    pub(crate) fn handle_answer(
        &mut self,
        name: &TopicPartition,
        asked: Asked,
        answer: Answer,
        now: Instant,
        unit_random: f64,
    ) {
        let generation = self.next_generation();
        let Some(partition) = self.partitions.get_mut(name) else { return };
        if partition.generation() != asked.generation {
            return;
        }
        let usable = match (asked.question, answer) {
            (Question::Offset(lookup), Answer::Offset(offset)) => {
                partition.handle_offset(lookup, offset, generation)
            }
            // Written in the format of 0.9, without timestamps: Java takes it for "no record found".
            (Question::Offset(lookup), Answer::Error(ErrorCode::UnsupportedForMessageFormat)) => {
                partition.handle_offset(lookup, None, generation)
            }
            (Question::EpochEnd(_), Answer::EpochEnd(end)) => {
                partition.handle_epoch_end(end, asked, generation);
                true
            }
            (_, Answer::Error(code)) if is_refusal(code) => {
                partition.refuse_question(code);
                true
            }
            _ => false,
        };
        if !usable {
            let failures = partition.count_question_failure();
            tracing::debug!(partition = %name, ?answer, failures, "no offset yet");
            let at = self.backoff(failures, now, unit_random);
            if let Some(partition) = self.partitions.get_mut(name) {
                partition.ask_again_at(at);
            }
            self.effects.metadata = true;
        }
        self.after_transition(name);
        self.effects.manager = true;
    }
}

/// Whether another attempt will bring the same until somebody changes something. Everything else is tried again, as in Java:
/// errors are never taken for an offset.
fn is_refusal(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::TopicAuthorizationFailed
            | ErrorCode::UnsupportedVersion
            | ErrorCode::InvalidTopicException
    )
}
