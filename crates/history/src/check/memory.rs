//! P7: memory is bounded by configured bytes.

use std::collections::BTreeMap;

use super::{Broken, Violation};
use crate::book::Book;
use crate::event::{Event, History, Note};

/// Records of one producer that are accepted and not resolved.
#[derive(Default)]
struct Unresolved {
    limit: Option<u64>,
    bytes: u64,
    /// Told once.
    is_over: bool,
}

pub(super) fn check(history: &History, book: &Book<'_>, violations: &mut Vec<Violation>) {
    let mut producers: BTreeMap<&str, Unresolved> = BTreeMap::new();
    // The bytes of each record that is accepted and not resolved, in the order of the sends.
    let mut held = vec![0; book.sends.len()];
    let mut at_us = 0;
    for entry in &history.entries {
        // Who is told of a resolution, and who is let in because of it, run in any order within one moment.
        if entry.at_us > at_us {
            producers.iter_mut().for_each(|(client, producer)| producer.judge(client, at_us, violations));
            at_us = entry.at_us;
        }
        match &entry.event {
            Event::Note(Note::Gauge { what, used, limit }) if used > limit => {
                let what = format!("{what}: {used} bytes, and {limit} are allowed");
                violations.push(Violation { kind: Broken::OverBudget, what });
            }
            Event::Note(Note::Producer { client, buffer_bytes, .. }) => {
                producers.entry(client).or_default().limit = Some(*buffer_bytes);
            }
            Event::Note(Note::Admitted { client, id, bytes, observed: true }) => {
                let producer = producers.entry(client).or_default();
                if let Some(at) = book.sends.index(*id) {
                    producer.bytes += bytes;
                    held[at] = *bytes;
                }
            }
            Event::Ack { client, id, .. } | Event::Fail { client, id, .. } => {
                if let Some(at) = book.sends.index(*id)
                    && held[at] > 0
                    && let Some(producer) = producers.get_mut(&**client)
                {
                    producer.bytes -= std::mem::take(&mut held[at]);
                }
            }
            _ => {}
        }
    }
    producers.iter_mut().for_each(|(client, producer)| producer.judge(client, at_us, violations));
}

impl Unresolved {
    fn judge(&mut self, client: &str, at_us: u64, violations: &mut Vec<Violation>) {
        let Some(limit) = self.limit.filter(|limit| self.bytes > *limit && !self.is_over) else { return };
        self.is_over = true;
        let what = format!(
            "{client}: {} bytes of records are unresolved at {at_us} us, and {limit} are allowed",
            self.bytes
        );
        violations.push(Violation { kind: Broken::OverBudget, what });
    }
}
