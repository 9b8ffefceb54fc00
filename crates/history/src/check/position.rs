//! P6: a consumer is shown every record from its position on, in order, and no other.

use std::collections::BTreeMap;

use super::{Broken, Violation};
use crate::book::{Book, Place};
use crate::event::{Event, History, RecordId};

/// Where a consumer is in a partition.
#[derive(Clone, Copy, Debug)]
enum Position {
    /// It begins where the broker says.
    Anywhere,
    /// The next record is the first at this offset or after it.
    At(i64),
}

pub(super) fn check(history: &History, book: &Book<'_>, violations: &mut Vec<Violation>) {
    let mut positions: BTreeMap<(&str, Place<'_>), Position> = BTreeMap::new();
    for entry in &history.entries {
        match &entry.event {
            Event::Assign { client, topic, partition, .. } => {
                positions.insert((client, (topic, *partition)), Position::Anywhere);
            }
            Event::Seek { client, topic, partition, offset } => {
                let position = if *offset < 0 { Position::Anywhere } else { Position::At(*offset) };
                positions.insert((client, (topic, *partition)), position);
            }
            Event::Poll { client, topic, partition, offset, id, .. } => {
                let place = (&**topic, *partition);
                let position = positions.entry((client, place)).or_insert(Position::Anywhere);
                let polled = Polled { client, place, offset: *offset, id: *id };
                if let Some(violation) = polled.judge(book, *position) {
                    violations.push(violation);
                }
                *position = Position::At(offset + 1);
            }
            _ => {}
        }
    }
}

struct Polled<'a> {
    client: &'a str,
    place: Place<'a>,
    offset: i64,
    id: RecordId,
}

impl Polled<'_> {
    fn judge(&self, book: &Book<'_>, position: Position) -> Option<Violation> {
        let Self { client, place: (topic, partition), offset, id } = *self;
        let broken = |kind, what: String| {
            let what = format!("{client} was shown record {id} at {topic}-{partition}@{offset}: {what}");
            Some(Violation { kind, what })
        };
        let log = book.logs.get(&self.place);
        match log.and_then(|log| log.get(&offset)) {
            Some(there) if *there != id => {
                return broken(Broken::WrongRecord, format!("record {there} is there"));
            }
            None if !book.logs.is_empty() && !book.is_unreadable(self.place, offset) => {
                return broken(Broken::WrongRecord, "no final reader was shown it".to_owned());
            }
            _ => {}
        }
        let Position::At(expected) = position else { return None };
        if offset < expected {
            return broken(Broken::WentBack, format!("its position was {expected}"));
        }
        let passed_over = log.and_then(|log| log.range(expected..offset).next());
        let (skipped, other) = passed_over?;
        broken(Broken::Skipped, format!("its position was {expected}, and record {other} is at {skipped}"))
    }
}
