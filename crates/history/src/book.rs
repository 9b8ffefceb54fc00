//! One reading of a history, for all checkers.

use std::collections::BTreeMap;

use crate::event::{Event, History, Note, RecordId};
use crate::few::Few;
use crate::sorted::Sorted;

/// The records of a partition, by offset.
pub(crate) type Log = Sorted<i64, RecordId>;

/// Topic and partition.
pub(crate) type Place<'a> = (&'a str, i32);

/// What a history tells, put in order.
#[derive(Debug, Default)]
pub(crate) struct Book<'a> {
    pub(crate) partitions_added: bool,
    idempotent: bool,
    /// By id.
    pub(crate) sends: Sorted<RecordId, Sent<'a>>,
    /// What the final readers found, by place and offset.
    pub(crate) logs: BTreeMap<Place<'a>, Log>,
    /// Two final readers found different records at these offsets.
    pub(crate) contradictions: Vec<(Place<'a>, i64, RecordId, RecordId)>,
    producers: BTreeMap<&'a str, Producer>,
    unreadable: Vec<(Place<'a>, i64, i64)>,
    /// Clients that were killed.
    crashed: Vec<&'a str>,
}

/// One record, from its send to its end.
#[derive(Debug)]
pub(crate) struct Sent<'a> {
    pub(crate) client: &'a str,
    pub(crate) producer: Producer,
    pub(crate) topic: &'a str,
    pub(crate) seq: u64,
    pub(crate) key: Option<&'a str>,
    pub(crate) partition: Option<i32>,
    pub(crate) at_us: u64,
    pub(crate) admitted: Option<Admitted>,
    pub(crate) resolutions: Few<Resolution<'a>>,
    /// Where the final readers found it.
    pub(crate) found: Few<(Place<'a>, i64)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted {
    pub(crate) at_us: u64,
    pub(crate) observed: bool,
}

/// What its producer was told of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolution<'a> {
    pub(crate) at_us: u64,
    pub(crate) outcome: Outcome<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome<'a> {
    Acknowledged { place: Place<'a>, offset: i64 },
    Failed { definite: bool },
}

/// What a producer promises.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Producer {
    pub(crate) idempotent: bool,
    pub(crate) pipelined: bool,
    pub(crate) acknowledged: bool,
    pub(crate) max_block_us: Option<u64>,
    pub(crate) delivery_timeout_us: Option<u64>,
}

impl<'a> Book<'a> {
    pub(crate) fn of(history: &'a History) -> Self {
        let mut book = Self { idempotent: true, sends: sends(history), ..Self::default() };
        let mut finals: Vec<&str> = Vec::new();
        // Most records follow another one of the same partition, whose log is out of the map meanwhile.
        let mut current: Option<(Place<'a>, Log)> = None;
        for entry in &history.entries {
            let at_us = entry.at_us;
            match &entry.event {
                Event::Meta { final_committed, final_uncommitted, idempotent, partitions_added, .. } => {
                    let readers =
                        if final_uncommitted.is_empty() { final_committed } else { final_uncommitted };
                    finals.extend(readers.iter().map(|name| &**name));
                    book.idempotent = *idempotent;
                    book.partitions_added = *partitions_added;
                }
                Event::Ack { id, topic, partition, offset, .. } => {
                    let outcome = Outcome::Acknowledged { place: (topic, *partition), offset: *offset };
                    book.resolve(*id, Resolution { at_us, outcome });
                }
                Event::Fail { id, definite, .. } => {
                    book.resolve(*id, Resolution { at_us, outcome: Outcome::Failed { definite: *definite } });
                }
                Event::Poll { client, topic, partition, offset, id, .. } if finals.contains(&&**client) => {
                    let place = (&**topic, *partition);
                    if current.as_ref().is_none_or(|(there, _)| *there != place) {
                        book.logs.extend(current.take());
                        current = Some((place, book.logs.remove(&place).unwrap_or_default()));
                    }
                    if let Some((_, log)) = &mut current {
                        book.find(place, log, *offset, *id);
                    }
                }
                Event::Crash { client } => book.crashed.push(client),
                Event::Note(note) => book.note(note, at_us),
                _ => {}
            }
        }
        book.logs.extend(current);
        book.promise();
        book
    }

    /// Later than all sends are read: what a producer promises may be noted after its first.
    fn promise(&mut self) {
        let mut sends = std::mem::take(&mut self.sends);
        sends.values_mut().for_each(|sent| sent.producer = self.producer(sent.client));
        self.sends = sends;
    }

    fn resolve(&mut self, id: RecordId, resolution: Resolution<'a>) {
        if let Some(sent) = self.sends.get_mut(id) {
            sent.resolutions.push(resolution);
        }
    }

    fn find(&mut self, place: Place<'a>, log: &mut Log, offset: i64, id: RecordId) {
        match log.insert(offset, id) {
            Some(other) if other != id => self.contradictions.push((place, offset, other, id)),
            Some(_) => {}
            None => {
                if let Some(sent) = self.sends.get_mut(id) {
                    sent.found.push((place, offset));
                }
            }
        }
    }

    fn note(&mut self, note: &'a Note, at_us: u64) {
        match note {
            Note::Producer {
                client,
                idempotent,
                pipelined,
                acknowledged,
                max_block_us,
                delivery_timeout_us,
                ..
            } => {
                let producer = Producer {
                    idempotent: *idempotent,
                    pipelined: *pipelined,
                    acknowledged: *acknowledged,
                    max_block_us: Some(*max_block_us),
                    delivery_timeout_us: Some(*delivery_timeout_us),
                };
                self.producers.insert(client, producer);
            }
            Note::Admitted { id, observed, .. } => {
                if let Some(sent) = self.sends.get_mut(*id) {
                    sent.admitted = Some(Admitted { at_us, observed: *observed });
                }
            }
            Note::Unreadable { topic, partition, from, to } => {
                self.unreadable.push(((topic, *partition), *from, *to));
            }
            _ => {}
        }
    }

    /// What a client promises; by what the run was like, unless it was noted.
    pub(crate) fn producer(&self, client: &str) -> Producer {
        let by_meta = Producer {
            idempotent: self.idempotent,
            pipelined: true,
            acknowledged: true,
            max_block_us: None,
            delivery_timeout_us: None,
        };
        self.producers.get(client).copied().unwrap_or(by_meta)
    }

    pub(crate) fn has_crashed(&self, client: &str) -> bool {
        self.crashed.contains(&client)
    }

    /// Whether the record at this offset was damaged on purpose; at -1, whether any of its partition was.
    pub(crate) fn is_unreadable(&self, place: Place<'_>, offset: i64) -> bool {
        let covers = |(damaged, from, to): &(Place<'_>, i64, i64)| {
            *damaged == place && (offset < 0 || (*from..*to).contains(&offset))
        };
        self.unreadable.iter().any(covers)
    }

    /// Whether any record of the topic was damaged on purpose.
    pub(crate) fn has_unreadable(&self, topic: &str) -> bool {
        self.unreadable.iter().any(|((damaged, _), ..)| *damaged == topic)
    }
}

fn sends(history: &History) -> Sorted<RecordId, Sent<'_>> {
    let sends = history.entries.iter().filter_map(|entry| match &entry.event {
        Event::Send { client, id, topic, seq, key, partition, .. } => {
            let sent = Sent {
                client,
                producer: Producer::default(),
                topic,
                seq: *seq,
                key: key.as_deref(),
                partition: *partition,
                at_us: entry.at_us,
                admitted: None,
                resolutions: Few::default(),
                found: Few::default(),
            };
            Some((*id, sent))
        }
        _ => None,
    });
    sends.collect()
}
