//! P2: the order within a partition is that of the sends, and a key stays in its partition.

use std::collections::BTreeMap;

use super::{Broken, Violation};
use crate::book::{Book, Outcome, Place, Sent};
use crate::event::RecordId;

pub(super) fn check(book: &Book<'_>, violations: &mut Vec<Violation>) {
    order(book, violations);
    if !book.partitions_added {
        keys(book, violations);
    }
}

/// Offset, number in the order of the sends, and id.
type Logged = (i64, u64, RecordId);

/// Of a record that is there more than once, which only happens without idempotence, the first counts: a repetition that was on
/// its way may arrive at any time. For the same reason what was not acknowledged counts with idempotence only.
fn order(book: &Book<'_>, violations: &mut Vec<Violation>) {
    let mut logged: BTreeMap<(&str, Place<'_>), Vec<Logged>> = BTreeMap::new();
    for (id, sent) in book.sends.iter() {
        let producer = sent.producer;
        let is_ordered = producer.acknowledged && (producer.idempotent || !producer.pipelined);
        if !is_ordered || !(producer.idempotent || is_acknowledged(sent)) {
            continue;
        }
        let is_first = |(place, offset): &&(Place<'_>, i64)| {
            !sent.found.iter().any(|(other, earlier)| other == place && earlier < offset)
        };
        for (place, offset) in sent.found.iter().filter(is_first) {
            logged.entry((sent.client, *place)).or_default().push((*offset, sent.seq, id));
        }
    }
    for ((client, (topic, partition)), mut records) in logged {
        records.sort_unstable();
        for pair in records.windows(2) {
            let ((before, earlier, one), (after, later, other)) = (pair[0], pair[1]);
            if earlier > later {
                let what = format!(
                    "{topic}-{partition}: {client} sent record {other} (number {later}) before {one} (number {earlier}), \
                     and they are at {after} and {before}"
                );
                violations.push(Violation { kind: Broken::Reordered, what });
            }
        }
    }
}

fn is_acknowledged(sent: &Sent<'_>) -> bool {
    sent.resolutions.iter().any(|resolution| matches!(resolution.outcome, Outcome::Acknowledged { .. }))
}

fn keys(book: &Book<'_>, violations: &mut Vec<Violation>) {
    let mut homes: BTreeMap<(&str, &str, &str), (i32, RecordId)> = BTreeMap::new();
    for (id, sent) in book.sends.iter() {
        let (Some(key), None) = (sent.key, sent.partition) else { continue };
        for ((_, partition), offset) in sent.found.iter() {
            let (home, first) = homes.entry((sent.client, sent.topic, key)).or_insert((*partition, id));
            if home != partition {
                let what = format!(
                    "{}: {} sent record {first} with key {key} to partition {home}, and record {id} to {partition} (@{offset})",
                    sent.topic, sent.client
                );
                violations.push(Violation { kind: Broken::KeyMoved, what });
            }
        }
    }
}
