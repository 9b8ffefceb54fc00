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
    for entry in &history.entries {
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
                if let Some(limit) = producer.limit.filter(|limit| producer.bytes > *limit && !producer.is_over) {
                    producer.is_over = true;
                    let what = format!(
                        "{client}: {} bytes of records are unresolved at {} us, and {limit} are allowed",
                        producer.bytes, entry.at_us
                    );
                    violations.push(Violation { kind: Broken::OverBudget, what });
                }
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
}
