use std::error::Error;
use std::fmt;

use bytes::Bytes;

use crate::{DeserializeError, Part};

/// A record that does not deserialize: where it is, what it holds, and why it failed (KIP-334,
/// KIP-1036; Java's `RecordDeserializationException`).
///
/// Nothing has to be done to go on: a consumer's position is past the record as soon as its batch is
/// handed over, and whoever walks the batch goes on with the next record. (Java's consumer deserializes
/// before it moves its position, and fails at the same record until it is told to seek past it.) The
/// raw bytes are here for a dead-letter topic. To meet the record again, seek to
/// [`RawRecord::offset`]; to begin after it, to [`next_offset`](Self::next_offset).
#[derive(Debug)]
#[non_exhaustive]
pub struct RecordDeserializationError {
    /// Which part failed.
    pub part: Part,
    /// Why.
    pub error: DeserializeError,
    /// The record as it came.
    pub record: Box<RawRecord>,
}

/// A record as it came from the broker, with its place in the log.
#[derive(Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Milliseconds since 1970, or -1 when the record has none.
    pub timestamp: i64,
    /// The key; `None` is null.
    pub key: Option<Bytes>,
    /// The value; `None` is null.
    pub value: Option<Bytes>,
    /// The headers in order, duplicates kept.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl RecordDeserializationError {
    /// From the failure of one part of a record.
    pub fn new(part: Part, error: DeserializeError, record: RawRecord) -> Self {
        Self { part, error, record: Box::new(record) }
    }

    /// The offset after this record: where to begin if it is never to be read again.
    pub fn next_offset(&self) -> i64 {
        self.record.offset + 1
    }
}

impl fmt::Display for RecordDeserializationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, error, record } = self;
        let RawRecord { topic, partition, offset, .. } = &**record;
        write!(f, "{topic}-{partition}@{offset}: {part} does not deserialize: {error}")
    }
}

impl Error for RecordDeserializationError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Keys and values are the user's data: sizes are shown, not contents.
impl fmt::Debug for RawRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRecord")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .field("key_len", &self.key.as_ref().map(Bytes::len))
            .field("value_len", &self.value.as_ref().map(Bytes::len))
            .field("headers", &self.headers.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BigEndian, DeserializeContext, Deserializer, deserializer_fn};

    fn failed(error: DeserializeError) -> RecordDeserializationError {
        let record = RawRecord {
            topic: "orders".to_owned(),
            partition: 3,
            offset: 42,
            timestamp: 1_700_000_000_000,
            key: Some(Bytes::from_static(b"u42")),
            value: Some(Bytes::from_static(b"s3cret")),
            headers: vec![(Bytes::from_static(b"trace_id"), None)],
        };
        RecordDeserializationError::new(Part::Value, error, record)
    }

    #[test]
    fn the_error_says_where_and_what_and_knows_the_next_offset() {
        let read: Result<i32, _> =
            BigEndian.deserialize(&DeserializeContext::value("orders"), Some(b"s3cret"));
        let error = failed(read.unwrap_err());
        assert_eq!(
            error.to_string(),
            "orders-3@42: value does not deserialize: has 6 bytes, where 4 are required"
        );
        assert_eq!(error.next_offset(), 43);
    }

    #[test]
    fn the_error_carries_the_raw_bytes_and_prints_only_their_sizes() {
        let error = failed(DeserializeError::UnexpectedNull);
        assert_eq!(error.record.value.as_deref(), Some(&b"s3cret"[..]));
        let debug = format!("{error:?}");
        assert!(debug.contains("value_len: Some(6)"), "{debug}");
        assert!(!debug.contains("s3cret"), "{debug}");
    }

    #[test]
    fn the_error_of_a_format_of_ones_own_can_be_downcast() {
        let format = deserializer_fn(|_, _| -> Result<(), _> {
            Err(DeserializeError::custom(std::io::Error::other("no such schema")))
        });
        let error = failed(format.deserialize(&DeserializeContext::value("t"), None).unwrap_err());
        let DeserializeError::Custom(cause) = &error.error else { panic!("{error:?}") };
        assert!(cause.is::<std::io::Error>());
    }

    #[test]
    fn the_error_is_small_enough_to_return() {
        assert!(size_of::<RecordDeserializationError>() <= 64);
    }
}
