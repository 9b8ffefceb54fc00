//! A record that belongs to the application.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use milena_client::TopicPartition;
use milena_records::{RecordRef, TimestampType};

/// A record with a copy of its data, so that keeping it keeps nothing else in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970, or -1 for a record of Kafka 0.9 or before.
    pub timestamp: i64,
    /// Who set the timestamp.
    pub timestamp_type: TimestampType,
    /// Epoch of the leader that appended the record (KIP-320); `None` from logs written before Kafka 0.11.
    pub leader_epoch: Option<i32>,
    /// The key; null and empty differ.
    pub key: Option<Bytes>,
    /// The value; null and empty differ.
    pub value: Option<Bytes>,
    /// Keys and values of the headers, in order, duplicate keys kept. Keys are UTF-8 by Kafka's rules, which nobody checks.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// What a record is told by the batch that it was in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordOrigin<'a> {
    pub(crate) partition: &'a TopicPartition,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) timestamp_type: TimestampType,
}

impl Record {
    /// Copies a record, all of its parts into one buffer.
    pub(crate) fn copy(record: &RecordRef<'_>, origin: RecordOrigin<'_>) -> Self {
        let headers = record.headers();
        let headers_len: usize = headers.map(|header| header.key.len() + len(header.value)).sum();
        let mut copier =
            Copier { rest: BytesMut::with_capacity(len(record.key) + len(record.value) + headers_len) };
        Self {
            topic: origin.partition.topic.clone(),
            partition: origin.partition.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            timestamp_type: origin.timestamp_type,
            leader_epoch: origin.leader_epoch,
            key: record.key.map(|key| copier.copy(key)),
            value: record.value.map(|value| copier.copy(value)),
            headers: headers
                .map(|header| (copier.copy(header.key), header.value.map(|value| copier.copy(value))))
                .collect(),
        }
    }

    /// The value of the last header with this key: `None` without one, `Some(None)` when it is null. (The last one counts, as with
    /// Java's `Headers.lastHeader`.)
    pub fn header(&self, key: &str) -> Option<Option<&Bytes>> {
        let last = self.headers.iter().rev().find(|(name, _)| name == key.as_bytes());
        last.map(|(_, value)| value.as_ref())
    }

    /// The partition.
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition { topic: self.topic.clone(), partition: self.partition }
    }
}

fn len(part: Option<&[u8]>) -> usize {
    part.map_or(0, <[u8]>::len)
}

/// Cuts copies off one allocation.
struct Copier {
    rest: BytesMut,
}

impl Copier {
    fn copy(&mut self, part: &[u8]) -> Bytes {
        self.rest.extend_from_slice(part);
        self.rest.split().freeze()
    }
}
