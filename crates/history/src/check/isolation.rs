//! P8: a broker that is out of order delays its own partitions only.

use super::{Broken, Violation};
use crate::book::{Book, Outcome, Place};
use crate::event::{Event, History, Note};

/// A time in which one broker, and nothing else, was out of order.
struct Window<'a> {
    bystanders: Vec<Place<'a>>,
    within_us: u64,
    start_us: u64,
    end_us: u64,
}

pub(super) fn check(history: &History, book: &Book<'_>, violations: &mut Vec<Violation>) {
    let windows = windows(history);
    if windows.is_empty() {
        return;
    }
    let polled = polled(history, book);
    for window in &windows {
        for ((id, sent), polled) in book.sends.iter().zip(&polled) {
            let place = sent.partition.map(|partition| (sent.topic, partition));
            let is_concerned = place.is_some_and(|place| window.bystanders.contains(&place));
            let in_time = window.start_us..=window.end_us.saturating_sub(2 * window.within_us);
            if !is_concerned || !in_time.contains(&sent.at_us) {
                continue;
            }
            let late = |at_us: Option<u64>| at_us.is_none_or(|at_us| at_us > sent.at_us + window.within_us);
            let acknowledged = sent.resolutions.iter().find_map(|resolution| match resolution.outcome {
                Outcome::Acknowledged { .. } => Some(resolution.at_us),
                Outcome::Failed { .. } => None,
            });
            let what = |what: &str| {
                format!("record {id} of {} to {}, sent at {} us, {what}", sent.client, sent.topic, sent.at_us)
            };
            if late(acknowledged) {
                let what = what(&format!("was acknowledged at {acknowledged:?}"));
                violations.push(Violation { kind: Broken::HeldUp, what });
            } else if let Some(polled_at) = polled
                && *polled_at > sent.at_us + 2 * window.within_us
            {
                let what = what(&format!("was first read at {polled_at}"));
                violations.push(Violation { kind: Broken::HeldUp, what });
            }
        }
    }
}

fn windows(history: &History) -> Vec<Window<'_>> {
    let mut windows: Vec<Window<'_>> = Vec::new();
    for entry in &history.entries {
        match &entry.event {
            Event::Note(Note::IsolationStart { bystanders, within_us }) => windows.push(Window {
                bystanders: bystanders.iter().map(|(topic, partition)| (&**topic, *partition)).collect(),
                within_us: *within_us,
                start_us: entry.at_us,
                end_us: u64::MAX,
            }),
            Event::Note(Note::IsolationEnd) => {
                if let Some(window) = windows.last_mut() {
                    window.end_us = entry.at_us;
                }
            }
            _ => {}
        }
    }
    windows
}

/// When each record was first handed to an application, in the order of the sends.
fn polled(history: &History, book: &Book<'_>) -> Vec<Option<u64>> {
    let mut polled = vec![None; book.sends.len()];
    for entry in &history.entries {
        if let Event::Poll { id, .. } = &entry.event
            && let Some(at) = book.sends.index(*id)
        {
            polled[at].get_or_insert(entry.at_us);
        }
    }
    polled
}
