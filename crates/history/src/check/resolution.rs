//! P3 and P9: every send is resolved once and in time, a flush waits for all of them, and nothing is lost unnoticed.

use std::collections::BTreeMap;

use super::{Broken, Violation};
use crate::book::{Book, Outcome, Sent};
use crate::event::{Event, History, Note, RecordId};

/// A clock's tick, and the time that tasks take to run.
const SLACK_US: u64 = 250_000;

pub(super) fn check(history: &History, book: &Book<'_>, violations: &mut Vec<Violation>) {
    for (id, sent) in book.sends.iter() {
        record(book, id, sent, violations);
    }
    flushes(history, book, violations);
}

fn record(book: &Book<'_>, id: RecordId, sent: &Sent<'_>, violations: &mut Vec<Violation>) {
    let mut broken = |kind, what: String| {
        let what = format!("record {id} (number {} of {} to {}): {what}", sent.seq, sent.client, sent.topic);
        violations.push(Violation { kind, what });
    };
    let is_observed = sent.admitted.is_none_or(|admitted| admitted.observed);
    match &sent.resolutions[..] {
        [] if is_observed && !book.has_crashed(sent.client) => {
            broken(Broken::NeverResolved, format!("sent at {} us", sent.at_us));
        }
        [] | [_] => {}
        [first, second, ..] => {
            broken(Broken::ResolvedTwice, format!("{:?}, and then {:?}", first.outcome, second.outcome));
        }
    }
    let producer = sent.producer;
    let resolved_at = sent.resolutions.first().map(|resolution| resolution.at_us);
    let accepted_at = sent.admitted.map(|admitted| admitted.at_us).or(resolved_at);
    if let (Some(accepted_at), Some(limit)) = (accepted_at, producer.max_block_us) {
        let waited = accepted_at.saturating_sub(sent.at_us);
        if waited > limit + SLACK_US {
            broken(
                Broken::AdmittedLate,
                format!("accepted or refused after {waited} us, and {limit} are allowed"),
            );
        }
    }
    if let (Some(admitted), Some(resolved_at), Some(limit)) =
        (sent.admitted, resolved_at, producer.delivery_timeout_us)
    {
        let waited = resolved_at.saturating_sub(admitted.at_us);
        if waited > limit + SLACK_US {
            broken(Broken::ResolvedLate, format!("after {waited} us, and {limit} are allowed"));
        }
    }
}

/// What a producer has sent, as its flushes see it.
#[derive(Default)]
struct Flushing {
    accepted: Vec<RecordId>,
    /// How many of `accepted` there were when the flush began.
    at_start: usize,
    /// How many of `accepted` earlier flushes have been judged by.
    judged: usize,
    unobserved: Vec<RecordId>,
    told_failed: u64,
}

fn flushes(history: &History, book: &Book<'_>, violations: &mut Vec<Violation>) {
    let mut producers: BTreeMap<&str, Flushing> = BTreeMap::new();
    for entry in &history.entries {
        let Event::Note(note) = &entry.event else { continue };
        match note {
            Note::Admitted { client, id, observed, .. } => {
                let producer = producers.entry(client).or_default();
                match observed {
                    true => producer.accepted.push(*id),
                    false => producer.unobserved.push(*id),
                }
            }
            Note::FlushStart { client } => {
                let producer = producers.entry(client).or_default();
                producer.at_start = producer.accepted.len();
            }
            Note::Flushed { client, failed } => {
                let producer = producers.entry(client).or_default();
                producer.told_failed += failed;
                for id in &producer.accepted[producer.judged..producer.at_start] {
                    let resolved_at = book
                        .sends
                        .get(*id)
                        .and_then(|sent| sent.resolutions.first())
                        .map(|first| first.at_us);
                    if resolved_at.is_none_or(|at_us| at_us > entry.at_us) {
                        let what =
                            format!("{client} at {} us, and record {id} was not resolved", entry.at_us);
                        violations.push(Violation { kind: Broken::FlushedEarly, what });
                    }
                }
                producer.judged = producer.at_start;
            }
            _ => {}
        }
    }
    if book.logs.is_empty() {
        return;
    }
    for (client, producer) in producers {
        if !book.producer(client).acknowledged || book.has_crashed(client) {
            continue;
        }
        let lost: Vec<_> = producer.unobserved.iter().filter(|id| is_lost(book, **id)).collect();
        if lost.len() as u64 > producer.told_failed {
            let what = format!(
                "{client}: {} records, {:?} among them, and {} failures were told",
                lost.len(),
                lost[0],
                producer.told_failed
            );
            violations.push(Violation { kind: Broken::LostUnnoticed, what });
        }
    }
}

/// Whether a record is not in the log for certain.
fn is_lost(book: &Book<'_>, id: RecordId) -> bool {
    let Some(sent) = book.sends.get(id) else { return false };
    let is_resolved =
        sent.resolutions.iter().any(|resolution| matches!(resolution.outcome, Outcome::Failed { .. }));
    sent.found.is_empty() && !is_resolved && !book.has_unreadable(sent.topic)
}
