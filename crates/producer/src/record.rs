//! A record on its way in, and what is known of it once it is written.

use milena_client::TopicPartition;
use milena_records::{HeaderRef, RecordParts};

/// Headers that a record holds without allocating.
const INLINE_HEADERS: usize = 6;

/// A record to send. It borrows key, value and headers, which are copied once, into the batch.
///
/// ```
/// use milena_producer::Record;
///
/// let record = Record::to("orders").key("u42").header("trace_id", "f00d").value(r#"{"total": 12}"#);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a record does nothing until it is sent"]
pub struct Record<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    headers: Headers<'a>,
}

#[derive(Clone, Debug)]
enum Headers<'a> {
    Borrowed(&'a [HeaderRef<'a>]),
    Inline { headers: [HeaderRef<'a>; INLINE_HEADERS], count: usize },
    Many(Vec<HeaderRef<'a>>),
}

const NO_HEADER: HeaderRef<'static> = HeaderRef { key: "", value: None };

impl<'a> Record<'a> {
    /// A record for `topic`, without key and value.
    pub fn to(topic: &'a str) -> Self {
        Self {
            topic,
            partition: None,
            timestamp_ms: None,
            key: None,
            value: None,
            headers: Headers::Borrowed(&[]),
        }
    }

    /// A record without a topic, for a [`TopicProducer`](crate::TopicProducer), which has one.
    pub fn new() -> Record<'static> {
        Record::to("")
    }

    /// The key: records of one key go to one partition. Default none, which lets the producer choose.
    pub fn key(mut self, key: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.key = Some(key.as_ref());
        self
    }

    /// The value. Default none: a tombstone in a compacted topic.
    pub fn value(mut self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.value = Some(value.as_ref());
        self
    }

    /// The key as it comes out of a serializer: `None` is null.
    pub fn maybe_key(mut self, key: Option<&'a [u8]>) -> Self {
        self.key = key;
        self
    }

    /// The value as it comes out of a serializer: `None` is null.
    pub fn maybe_value(mut self, value: Option<&'a [u8]>) -> Self {
        self.value = value;
        self
    }

    /// The partition, in place of what the partitioner would choose.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// When it happened, in milliseconds since 1970. Default: now, by a clock that is at most 4 ms late.
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    /// Adds a header. Keys may repeat, and their order is kept. The first six take no allocation.
    pub fn header(self, key: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.push_header(HeaderRef { key, value: Some(value.as_ref()) })
    }

    /// Adds a header whose value is null.
    pub fn null_header(self, key: &'a str) -> Self {
        self.push_header(HeaderRef { key, value: None })
    }

    /// Replaces the headers by a slice that is kept elsewhere.
    pub fn headers(mut self, headers: &'a [HeaderRef<'a>]) -> Self {
        self.headers = Headers::Borrowed(headers);
        self
    }

    /// The record with the name of the topic that it goes to.
    pub(crate) fn for_topic(mut self, topic: &'a str) -> Self {
        self.topic = topic;
        self
    }

    /// The topic that the record goes to; empty for one from [`new`](Self::new).
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    fn push_header(mut self, header: HeaderRef<'a>) -> Self {
        self.headers = match self.headers {
            Headers::Inline { mut headers, count } if count < INLINE_HEADERS => {
                headers[count] = header;
                Headers::Inline { headers, count: count + 1 }
            }
            Headers::Borrowed(borrowed) if borrowed.len() < INLINE_HEADERS => {
                let mut headers = [NO_HEADER; INLINE_HEADERS];
                headers[..borrowed.len()].copy_from_slice(borrowed);
                headers[borrowed.len()] = header;
                Headers::Inline { headers, count: borrowed.len() + 1 }
            }
            Headers::Inline { headers, count } => {
                let mut many = headers[..count].to_vec();
                many.push(header);
                Headers::Many(many)
            }
            Headers::Borrowed(borrowed) => {
                let mut many = borrowed.to_vec();
                many.push(header);
                Headers::Many(many)
            }
            Headers::Many(mut many) => {
                many.push(header);
                Headers::Many(many)
            }
        };
        self
    }

    pub(crate) fn header_slice(&self) -> &[HeaderRef<'a>] {
        match &self.headers {
            Headers::Borrowed(headers) => headers,
            Headers::Inline { headers, count } => &headers[..*count],
            Headers::Many(headers) => headers,
        }
    }

    pub(crate) fn parts(&self, timestamp_ms: i64) -> RecordParts<'_> {
        RecordParts {
            timestamp: timestamp_ms,
            key: self.key,
            value: self.value,
            headers: self.header_slice(),
        }
    }
}

impl Default for Record<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Where an acknowledged record is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acknowledgement {
    /// Topic and partition.
    pub topic_partition: TopicPartition,
    /// The record's offset; `None` with `acks=0`, and when the broker recognised a repetition whose offset it had forgotten: the
    /// record is written once all the same.
    pub offset: Option<i64>,
    /// The record's timestamp in milliseconds: the broker's if the topic has `message.timestamp.type=LogAppendTime`.
    pub timestamp_ms: i64,
}

impl Acknowledgement {
    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic_partition.topic
    }

    /// The partition's number.
    pub fn partition(&self) -> i32 {
        self.topic_partition.partition
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_order_and_repetition_beyond_the_inline_ones() {
        let borrowed = [HeaderRef { key: "a", value: Some(b"0") }];
        let mut record = Record::to("t").headers(&borrowed);
        let keys = ["b", "a", "c", "d", "e", "f", "g", "h"];
        for key in keys {
            record = record.header(key, "x");
        }
        let record = record.null_header("z");
        let seen: Vec<_> = record.header_slice().iter().map(|header| header.key).collect();
        assert_eq!(seen, ["a", "b", "a", "c", "d", "e", "f", "g", "h", "z"]);
        assert_eq!(record.header_slice()[9].value, None);
    }
}
