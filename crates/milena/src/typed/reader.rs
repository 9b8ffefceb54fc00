//! Reading values of the user's types.

use std::marker::PhantomData;

use bytes::Bytes;
use milena_consumer::{RecordBatch, RecordRef, Records};
use milena_records::Headers;
use milena_serdes::{
    DeserializeContext, DeserializeError, Deserializer, HeaderSource, Part, RawRecord,
    RecordDeserializationError,
};

/// Reads batches with a format for keys and one for values; see [the module](crate::typed).
#[derive(Clone, Copy, Debug)]
pub struct TypedReader<KF, VF> {
    key_format: KF,
    value_format: VF,
}

impl<KF, VF> TypedReader<KF, VF> {
    /// Reads keys with `key_format` and values with `value_format`.
    pub fn new(key_format: KF, value_format: VF) -> Self {
        Self { key_format, value_format }
    }

    /// The records of `batch`, in order. Keys and values may borrow from it.
    ///
    /// One that does not deserialize is an error that carries the record as it came; the iterator goes on with the next. The
    /// consumer's position is past the whole batch already: an error moves nothing, and an application that stops at it seeks to its
    /// offset before it reads again.
    pub fn read<'r, 'a, K, V>(&'r self, batch: &'a RecordBatch) -> TypedRecords<'r, 'a, KF, VF, K, V>
    where
        KF: Deserializer<'a, K>,
        VF: Deserializer<'a, V>,
    {
        TypedRecords { reader: self, batch, records: batch.iter(), types: PhantomData }
    }
}

/// A record with a key and a value of the user's types.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TypedRecord<'a, K, V> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970, or -1 when the record has none.
    pub timestamp: i64,
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    headers: Headers<'a>,
}

impl<'a, K, V> TypedRecord<'a, K, V> {
    /// The headers in order, duplicate keys kept.
    pub fn headers(&self) -> Headers<'a> {
        self.headers
    }
}

/// Walks the records of a batch; made by [`TypedReader::read`].
#[derive(Debug)]
pub struct TypedRecords<'r, 'a, KF, VF, K, V> {
    reader: &'r TypedReader<KF, VF>,
    batch: &'a RecordBatch,
    records: Records<'a>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'a, KF, VF, K, V> Iterator for TypedRecords<'_, 'a, KF, VF, K, V>
where
    KF: Deserializer<'a, K>,
    VF: Deserializer<'a, V>,
{
    type Item = Result<TypedRecord<'a, K, V>, RecordDeserializationError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.records.next()?;
        let topic = self.batch.topic();
        let headers = RecordHeaders(record.headers());
        let key_context = DeserializeContext::key(topic).with_headers(&headers);
        let key = match self.reader.key_format.deserialize(&key_context, record.key) {
            Ok(key) => key,
            Err(error) => return Some(Err(self.failed(Part::Key, error, &record))),
        };
        let value_context = DeserializeContext::value(topic).with_headers(&headers);
        let value = match self.reader.value_format.deserialize(&value_context, record.value) {
            Ok(value) => value,
            Err(error) => return Some(Err(self.failed(Part::Value, error, &record))),
        };
        let RecordRef { offset, timestamp, .. } = record;
        let partition = self.batch.partition();
        Some(Ok(TypedRecord { topic, partition, offset, timestamp, key, value, headers: record.headers() }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}

impl<KF, VF, K, V> TypedRecords<'_, '_, KF, VF, K, V> {
    fn failed(
        &self,
        part: Part,
        error: DeserializeError,
        record: &RecordRef<'_>,
    ) -> RecordDeserializationError {
        let copy = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
        let raw = RawRecord {
            topic: self.batch.topic().to_owned(),
            partition: self.batch.partition(),
            offset: record.offset,
            timestamp: record.timestamp,
            key: copy(record.key),
            value: copy(record.value),
            headers: record
                .headers()
                .map(|header| (Bytes::copy_from_slice(header.key), copy(header.value)))
                .collect(),
        };
        RecordDeserializationError::new(part, error, raw)
    }
}

struct RecordHeaders<'a>(Headers<'a>);

impl HeaderSource for RecordHeaders<'_> {
    fn visit<'h>(&'h self, visitor: &mut dyn FnMut(&'h [u8], Option<&'h [u8]>)) {
        self.0.for_each(|header| visitor(header.key, header.value));
    }
}
