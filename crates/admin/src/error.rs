//! What goes wrong with one thing that is administered.

use std::time::Duration;

use milena_client::RequestError;
use milena_protocol::ErrorCode;

/// An operation that failed for one topic, partition, resource, or as a whole.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{subject}: {reason}")]
pub struct AdminError {
    /// What it is about: `topic orders`, `orders-3`, `broker 1`, or the operation.
    pub subject: String,
    /// What happened.
    pub reason: AdminErrorReason,
}

/// What happened to an administrative operation.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminErrorReason {
    /// The broker refused.
    #[error("{}", refused(*.code, .message.as_deref(), *.after_lost_answer))]
    Refused {
        /// Why.
        code: ErrorCode,
        /// The broker's own words.
        message: Option<String>,
        /// An earlier attempt's answer was lost, so that the refusal may be this operation's own effect: "exists already" after
        /// a creation, "does not exist" after a deletion.
        after_lost_answer: bool,
    },
    /// No usable answer.
    #[error("{0}")]
    Request(RequestError),
    /// The brokers are too old for it.
    #[error("not supported by this broker: {0}")]
    NotSupported(&'static str),
    /// What was asked for makes no sense; no broker was asked.
    #[error("{0}")]
    Invalid(&'static str),
    /// The answer does not mention it.
    #[error("the broker's answer leaves it out; it is at fault")]
    LeftOut,
    /// The time was up; `last` is what the last attempt met.
    #[error("gave up after {} ms{}", .after.as_millis(), .last.as_ref().map(|last| format!("; last: {last}")).unwrap_or_default())]
    TimedOut {
        /// How long was tried.
        after: Duration,
        /// What the last attempt met.
        last: Option<Box<AdminErrorReason>>,
        /// An attempt's answer is missing: what was asked for may have happened.
        possibly_done: bool,
    },
    /// It did not get ready in time.
    #[error("{0}")]
    NotReady(String),
}

fn refused(code: ErrorCode, message: Option<&str>, after_lost_answer: bool) -> String {
    let mut text = code.to_string();
    if let Some(message) = message {
        text = format!("{text} ({message})");
    }
    if after_lost_answer {
        text += "; the answer to an earlier attempt was lost, so this may be its effect";
    }
    text
}

impl AdminError {
    pub(crate) fn new(subject: impl Into<String>, reason: AdminErrorReason) -> Self {
        Self { subject: subject.into(), reason }
    }

    /// The broker's code, if one refused.
    pub fn code(&self) -> Option<ErrorCode> {
        self.reason.code()
    }

    /// Whether the same operation may succeed later.
    pub fn is_retriable(&self) -> bool {
        match &self.reason {
            AdminErrorReason::Refused { code, .. } => code.is_retriable(),
            AdminErrorReason::Request(error) => error.is_retriable(),
            AdminErrorReason::TimedOut { .. } | AdminErrorReason::NotReady(_) => true,
            AdminErrorReason::NotSupported(_) | AdminErrorReason::Invalid(_) | AdminErrorReason::LeftOut => {
                false
            }
        }
    }

    /// Whether what was asked for may have happened all the same: an answer was lost, or the broker did not wait for the end.
    pub fn possibly_done(&self) -> bool {
        self.reason.possibly_done()
    }
}

impl AdminErrorReason {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } | Self::Request(RequestError::Broker { code, .. }) => Some(*code),
            Self::TimedOut { last: Some(last), .. } => last.code(),
            _ => None,
        }
    }

    pub(crate) fn possibly_done(&self) -> bool {
        match self {
            Self::Refused { code, after_lost_answer, .. } => {
                *after_lost_answer || *code == ErrorCode::RequestTimedOut
            }
            Self::Request(error) => answer_was_lost(error),
            Self::TimedOut { possibly_done, .. } => *possibly_done,
            Self::LeftOut => true,
            Self::NotSupported(_) | Self::Invalid(_) | Self::NotReady(_) => false,
        }
    }
}

/// Whether the broker may have carried out a request of which only this error is known.
pub(crate) fn answer_was_lost(error: &RequestError) -> bool {
    match error {
        RequestError::Connection { possibly_sent, .. } => *possibly_sent,
        RequestError::Decode { .. } => true,
        RequestError::Timeout { last, .. } => last.as_deref().is_none_or(answer_was_lost),
        _ => false,
    }
}
