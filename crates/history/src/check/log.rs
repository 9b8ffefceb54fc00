//! P1: acknowledged means written, once, where it was reported; and nothing else is in the log.

use super::{Broken, Violation};
use crate::book::{Book, Outcome, Sent};
use crate::event::RecordId;

pub(super) fn check(book: &Book<'_>, violations: &mut Vec<Violation>) {
    for ((topic, partition), offset, one, other) in &book.contradictions {
        let what = format!("{topic}-{partition}@{offset}: one final reader was shown {one}, another {other}");
        violations.push(Violation { kind: Broken::WrongRecord, what });
    }
    for ((topic, partition), log) in &book.logs {
        for (offset, id) in log.iter() {
            if book.sends.get(*id).is_none() {
                let what = format!("{topic}-{partition}@{offset}: record {id}");
                violations.push(Violation { kind: Broken::NobodySent, what });
            }
        }
    }
    if book.logs.is_empty() {
        // Without final readers nothing is known of the log.
        return;
    }
    for (id, sent) in book.sends.iter() {
        record(book, id, sent, violations);
    }
}

fn record(book: &Book<'_>, id: RecordId, sent: &Sent<'_>, violations: &mut Vec<Violation>) {
    let mut broken = |kind, what: String| {
        violations
            .push(Violation { kind, what: format!("{} of {}: {what}", describe(id, sent), sent.client) });
    };
    let producer = sent.producer;
    if producer.idempotent && sent.found.len() > 1 {
        broken(Broken::Duplicate, format!("found at {:?}", &sent.found[..]));
    }
    for ((topic, partition), offset) in sent.found.iter() {
        if *topic != sent.topic || sent.partition.is_some_and(|chosen| chosen != *partition) {
            broken(Broken::WrongPlace, format!("found at {topic}-{partition}@{offset}"));
        }
    }
    for resolution in sent.resolutions.iter() {
        match resolution.outcome {
            Outcome::Acknowledged { place, .. } if place.0 != sent.topic => {
                broken(Broken::WrongPlace, format!("acknowledged in {}-{}", place.0, place.1));
            }
            Outcome::Acknowledged { .. } if !producer.acknowledged => {}
            Outcome::Acknowledged { place, offset } => {
                let found: Vec<_> = sent
                    .found
                    .iter()
                    .filter(|(there, _)| *there == place)
                    .map(|(_, offset)| *offset)
                    .collect();
                if found.is_empty() && !book.is_unreadable(place, offset) {
                    broken(Broken::LostWrite, format!("acknowledged at {}-{}@{offset}", place.0, place.1));
                } else if !found.is_empty()
                    && offset >= 0
                    && !found.contains(&offset)
                    // Written twice without idempotence, and the copy that was acknowledged was damaged.
                    && !book.is_unreadable(place, offset)
                {
                    broken(
                        Broken::WrongOffset,
                        format!("acknowledged at {}-{}@{offset}, found at {found:?}", place.0, place.1),
                    );
                }
            }
            Outcome::Failed { definite: true } if !sent.found.is_empty() => {
                broken(Broken::FailedButWritten, format!("found at {:?}", &sent.found[..]));
            }
            Outcome::Failed { .. } => {}
        }
    }
}

fn describe(id: RecordId, sent: &Sent<'_>) -> String {
    format!("record {id} (number {} to {})", sent.seq, sent.topic)
}
