//! P7: memory is bounded by configured bytes.

use std::collections::BTreeMap;

use super::{Broken, Violation};
use crate::event::{Event, History, Note, RecordId};

/// Records of one producer that are accepted and not resolved.
#[derive(Default)]
struct Unresolved {
    limit: Option<u64>,
    bytes: u64,
    records: BTreeMap<RecordId, u64>,
    /// Told once.
    is_over: bool,
}

pub(super) fn check(history: &History, violations: &mut Vec<Violation>) {
    let mut producers: BTreeMap<&str, Unresolved> = BTreeMap::new();
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
                producer.bytes += bytes;
                producer.records.insert(*id, *bytes);
            }
            Event::Ack { client, id, .. } | Event::Fail { client, id, .. } => {
                if let Some(producer) = producers.get_mut(&**client)
                    && let Some(bytes) = producer.records.remove(id)
                {
                    producer.bytes -= bytes;
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
