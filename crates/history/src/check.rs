//! The promises, and whether they were kept.

mod isolation;
mod log;
mod memory;
mod order;
mod position;
mod resolution;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::book::Book;
use crate::event::{Event, History, Note};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Which.
    pub kind: Broken,
    /// By whom, with which record, and where.
    pub what: String,
}

/// The ways in which promises are broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Broken {
    /// An acknowledged record is not in the log (P1).
    LostWrite,
    /// A record of an idempotent producer is in the log more than once (P1).
    Duplicate,
    /// A record is not at the offset at which it was acknowledged (P1).
    WrongOffset,
    /// A record is in another topic or partition than it was sent to (P1).
    WrongPlace,
    /// A record is in the log that nobody sent (P1).
    NobodySent,
    /// A record is in the log of which its producer was told that it is not (P1, P3).
    FailedButWritten,
    /// Records of one producer changed their order in a partition (P2).
    Reordered,
    /// Records of one key went to different partitions of a topic that did not grow (P2).
    KeyMoved,
    /// Nobody was told what became of a record (P3).
    NeverResolved,
    /// What became of a record was told more than once (P3).
    ResolvedTwice,
    /// What became of a record was told too late (P3).
    ResolvedLate,
    /// A send waited longer than it may to be accepted (P3).
    AdmittedLate,
    /// A consumer's position went back (P6).
    WentBack,
    /// A consumer's position passed over a record (P6).
    Skipped,
    /// A consumer was shown a record that is not there, or another one than others were (P6).
    WrongRecord,
    /// More bytes were held than may be (P7).
    OverBudget,
    /// A broker that is out of order held up partitions of others (P8).
    HeldUp,
    /// A flush or close ended before all was resolved (P9).
    FlushedEarly,
    /// A record was lost whose delivery nobody looked at, and no flush told of it (P9).
    LostUnnoticed,
    /// Something did not come to its end.
    Stuck,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.what)
    }
}

/// Judges a history: every promise that it shows broken.
pub fn check(history: &History) -> Vec<Violation> {
    let book = Book::of(history);
    let mut violations = Vec::new();
    log::check(&book, &mut violations);
    order::check(&book, &mut violations);
    resolution::check(history, &book, &mut violations);
    position::check(history, &book, &mut violations);
    memory::check(history, &book, &mut violations);
    isolation::check(history, &book, &mut violations);
    let stuck = history.entries.iter().filter_map(|entry| match &entry.event {
        Event::Note(Note::Stuck { what }) => Some(Violation { kind: Broken::Stuck, what: what.clone() }),
        _ => None,
    });
    violations.extend(stuck);
    violations
}
