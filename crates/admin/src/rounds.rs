//! Attempts at an operation on several things until each has its outcome.
//!
//! One answer may settle some of them and ask to try others again (another controller, a moved leader, a quota), so the next
//! attempt is about those that are left.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use milena_client::{RequestError, TopicPartition};
use milena_protocol::{ByteStr, ErrorCode};

use crate::error::answer_was_lost;
use crate::{Admin, AdminError, AdminErrorReason, ConfigResource, Results};

/// How long brokers may not know a topic that somebody says exists: its creation may be on its way to them.
const UNKNOWN_TOPIC_PATIENCE: Duration = Duration::from_secs(5);

/// Something that is administered.
pub(crate) trait Subject: Ord + Clone + Send {
    /// As an error names it.
    fn name(&self) -> String;
}

impl Subject for String {
    fn name(&self) -> String {
        format!("topic {self}")
    }
}

impl Subject for TopicPartition {
    fn name(&self) -> String {
        self.to_string()
    }
}

impl Subject for ConfigResource {
    fn name(&self) -> String {
        self.to_string()
    }
}

/// What an attempt brought for one thing.
pub(crate) enum Verdict<T> {
    Done(T),
    /// The broker's answer; whether it is final depends on the code and on [`Retried`].
    Refused {
        code: ErrorCode,
        message: Option<String>,
    },
    /// No answer.
    Lost(RequestError),
    /// Final, whatever the time.
    Failed(AdminErrorReason),
}

/// Which refusals an operation is tried again after, beside [`ErrorCode::NotController`] and
/// [`ErrorCode::ThrottlingQuotaExceeded`], which are in every operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retried {
    /// No others, for changes that the controller makes (Java: `KafkaAdminClient.handleNotControllerError`): another retriable
    /// code may come from a change that was made, and making it again would fail.
    NoOther,
    /// All retriable ones, for questions and for what may be repeated (Java: `PartitionLeaderStrategy`).
    AllRetriable,
}

impl<T> Verdict<T> {
    /// The verdict on a result that carries a code: `done` if that is none.
    pub(crate) fn of(code: ErrorCode, message: Option<ByteStr>, done: T) -> Self {
        match code {
            ErrorCode::None => Self::Done(done),
            code => {
                let message = message.filter(|text| !text.is_empty()).map(|text| text.to_string());
                Self::Refused { code, message }
            }
        }
    }

    /// The same lost answer for each of `subjects`.
    pub(crate) fn lost<K>(subjects: Vec<K>, error: &RequestError) -> Vec<(K, Self)> {
        subjects.into_iter().map(|subject| (subject, Self::Lost(error.clone()))).collect()
    }
}

/// What is known of a thing that has no outcome yet.
#[derive(Default)]
struct Open {
    last: Option<AdminErrorReason>,
    /// An attempt's answer was lost after the request may have left.
    answer_lost: bool,
}

impl Admin {
    /// Repeats `attempt` on what has no outcome yet until nothing is left or the time is up.
    pub(crate) async fn settle_each<K: Subject, T, F>(
        &self,
        operation: &'static str,
        retried: Retried,
        subjects: impl IntoIterator<Item = K>,
        mut attempt: impl FnMut(Vec<K>) -> F,
    ) -> Results<K, T>
    where
        F: Future<Output = Vec<(K, Verdict<T>)>>,
    {
        let (client, env) = (self.client(), self.client().env());
        let started = env.now();
        let deadline = env.deadline_after(self.operation_timeout());
        let mut open: BTreeMap<K, Open> =
            subjects.into_iter().map(|subject| (subject, Open::default())).collect();
        let mut results = Results::new();
        let mut failures = 0;
        while !open.is_empty() {
            let asked: Vec<K> = open.keys().cloned().collect();
            let Some(verdicts) = env.timeout_at(deadline, attempt(asked.clone())).await else {
                open.values_mut().for_each(|open| open.answer_lost = true);
                break;
            };
            let mut left_out: BTreeMap<K, Open> = std::mem::take(&mut open);
            for (subject, verdict) in verdicts {
                let Some(known) = left_out.remove(&subject) else { continue };
                match judge(known, verdict, retried, env.now().saturating_duration_since(started)) {
                    Ok(done) => results.insert(subject, Ok(done)),
                    Err(Judged::Final(reason)) => {
                        let error = AdminError::new(subject.name(), reason);
                        results.insert(subject, Err(error));
                    }
                    Err(Judged::Again(known)) => {
                        open.insert(subject, known);
                    }
                }
            }
            for subject in left_out.into_keys() {
                let error = AdminError::new(subject.name(), AdminErrorReason::LeftOut);
                results.insert(subject, Err(error));
            }
            if open.is_empty() {
                break;
            }
            failures += 1;
            client.metadata().request_update();
            let wait = client.config().retry_backoff.delay(failures, env.random_unit());
            if env.deadline_after(wait) >= deadline {
                break;
            }
            tracing::debug!(operation, failures, left = open.len(), "to be tried again");
            env.sleep(wait).await;
        }
        for (subject, known) in open {
            let reason = self.timed_out(known);
            let error = AdminError::new(subject.name(), reason);
            results.insert(subject, Err(error));
        }
        results
    }

    /// Repeats `attempt` until it succeeds, fails for good, or the time is up: for operations as a whole.
    pub(crate) async fn settle<T, F>(
        &self,
        operation: &'static str,
        attempt: impl FnMut() -> F + Send,
    ) -> Result<T, AdminError>
    where
        F: Future<Output = Result<T, RequestError>> + Send,
    {
        let result = self.client().retry(operation, self.operation_timeout(), attempt).await;
        result.map_err(|error| AdminError::new(operation, AdminErrorReason::Request(error)))
    }

    fn timed_out(&self, open: Open) -> AdminErrorReason {
        AdminErrorReason::TimedOut {
            after: self.operation_timeout(),
            last: open.last.map(Box::new),
            possibly_done: open.answer_lost,
        }
    }

    /// Until when to try an operation that begins now.
    pub(crate) fn deadline(&self) -> Instant {
        self.client().env().deadline_after(self.operation_timeout())
    }
}

enum Judged {
    Final(AdminErrorReason),
    Again(Open),
}

/// Whether a verdict settles a thing, after that time of trying.
fn judge<T>(open: Open, verdict: Verdict<T>, retried: Retried, elapsed: Duration) -> Result<T, Judged> {
    let answer_lost = open.answer_lost;
    match verdict {
        Verdict::Done(done) => Ok(done),
        Verdict::Failed(reason) => Err(Judged::Final(reason)),
        Verdict::Refused { code, message } => {
            let again = is_tried_again(code, retried, elapsed);
            let reason =
                AdminErrorReason::Refused { code, message, after_lost_answer: answer_lost && !again };
            match again {
                true => Err(Judged::Again(Open { last: Some(reason), answer_lost })),
                false => Err(Judged::Final(reason)),
            }
        }
        Verdict::Lost(error) => {
            let answer_lost = answer_lost || answer_was_lost(&error);
            let retriable = error.is_retriable();
            let reason = AdminErrorReason::Request(error);
            match retriable {
                true => Err(Judged::Again(Open { last: Some(reason), answer_lost })),
                false => Err(Judged::Final(reason)),
            }
        }
    }
}

fn is_tried_again(code: ErrorCode, retried: Retried, elapsed: Duration) -> bool {
    match code {
        ErrorCode::NotController | ErrorCode::ThrottlingQuotaExceeded => true,
        ErrorCode::UnknownTopicOrPartition => {
            retried == Retried::AllRetriable && elapsed < UNKNOWN_TOPIC_PATIENCE
        }
        code => retried == Retried::AllRetriable && code.is_retriable(),
    }
}
