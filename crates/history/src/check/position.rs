//! P6: a consumer is shown every record from its position on, in order, and no other.

use std::collections::BTreeMap;

use super::{Broken, Violation};
use crate::book::{Book, Log, Place};
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
    let mut readings = Readings { book, all: Vec::new(), by_reader: BTreeMap::new(), last: 0 };
    for entry in &history.entries {
        match &entry.event {
            Event::Assign { client, topic, partition, .. } => {
                readings.of(client, (topic, *partition)).position = Position::Anywhere;
            }
            Event::Seek { client, topic, partition, offset } => {
                let position = if *offset < 0 { Position::Anywhere } else { Position::At(*offset) };
                readings.of(client, (topic, *partition)).position = position;
            }
            Event::Poll { client, topic, partition, offset, id, .. } => {
                let reading = readings.of(client, (topic, *partition));
                violations.extend(reading.judge(book, *offset, *id));
                reading.position = Position::At(offset + 1);
            }
            _ => {}
        }
    }
}

/// What all consumers read.
struct Readings<'a> {
    book: &'a Book<'a>,
    all: Vec<Reading<'a>>,
    by_reader: BTreeMap<(&'a str, Place<'a>), usize>,
    /// Most records follow another one of the same partition.
    last: usize,
}

/// What a consumer reads of a partition.
struct Reading<'a> {
    client: &'a str,
    place: Place<'a>,
    log: Option<&'a Log>,
    position: Position,
}

impl<'a> Readings<'a> {
    fn of(&mut self, client: &'a str, place: Place<'a>) -> &mut Reading<'a> {
        let is_same = |last: &Reading<'_>| last.place == place && last.client == client;
        if !self.all.get(self.last).is_some_and(is_same) {
            self.last = *self.by_reader.entry((client, place)).or_insert_with(|| {
                let log = self.book.logs.get(&place);
                self.all.push(Reading { client, place, log, position: Position::Anywhere });
                self.all.len() - 1
            });
        }
        &mut self.all[self.last]
    }
}

impl Reading<'_> {
    fn judge(&self, book: &Book<'_>, offset: i64, id: RecordId) -> Option<Violation> {
        let Self { client, place: (topic, partition), log, position } = *self;
        let broken = |kind, what: String| {
            let what = format!("{client} was shown record {id} at {topic}-{partition}@{offset}: {what}");
            Some(Violation { kind, what })
        };
        match log.and_then(|log| log.get(offset)) {
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
        let passed_over = log.and_then(|log| log.first_in(expected..offset));
        let (skipped, other) = passed_over?;
        broken(Broken::Skipped, format!("its position was {expected}, and record {other} is at {skipped}"))
    }
}
