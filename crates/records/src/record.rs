use crate::codec::Scratch;
use crate::error::RecordsError;
use crate::header::{BatchHeader, TimestampType};
use crate::{Compression, legacy, varint};
use bytes::Bytes;

/// A record, as slices of the section that it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// In milliseconds; the broker's time for every record of a batch with that timestamp type; -1 for none.
    pub timestamp: i64,
    /// The key; null and empty differ.
    pub key: Option<&'a [u8]>,
    /// The value; null and empty differ.
    pub value: Option<&'a [u8]>,
    /// As they were encoded, with their count in front. Checked when the record was read.
    pub(crate) raw_headers: &'a [u8],
}

/// What is encoded of a record without headers.
pub(crate) const NO_HEADERS: &[u8] = &[0];

impl<'a> RecordRef<'a> {
    /// Its headers in order, duplicate keys kept.
    #[inline]
    pub fn headers(&self) -> Headers<'a> {
        let mut rest = self.raw_headers;
        let left = varint::take_i32(&mut rest).and_then(|count| u32::try_from(count).ok());
        Headers { rest, left: left.unwrap_or(0) }
    }
}

/// The headers of a record that was read, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    rest: &'a [u8],
    left: u32,
}

/// A header of a record that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderSlice<'a> {
    /// Its name: UTF-8 by Kafka's rules, but brokers do not check.
    pub key: &'a [u8],
    /// Its value; null and empty differ.
    pub value: Option<&'a [u8]>,
}

impl<'a> HeaderSlice<'a> {
    /// The key as text, if it is UTF-8.
    pub fn key_str(&self) -> Option<&'a str> {
        std::str::from_utf8(self.key).ok()
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = HeaderSlice<'a>;

    #[inline]
    fn next(&mut self) -> Option<HeaderSlice<'a>> {
        self.left = self.left.checked_sub(1)?;
        // The record was checked when it was read, so that these do not fail.
        take_header(&mut self.rest)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// The decompressed records of one batch.
#[derive(Debug, Clone)]
pub struct RecordSection {
    data: Bytes,
    /// The size of the buffer that it was decompressed into; zero if it is a slice of its batch.
    buffer_capacity: usize,
    record_count: u32,
    /// As its header says.
    base_offset: i64,
    format: SectionFormat,
}

/// How to make sense of the bytes of a section.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SectionFormat {
    /// Records of magic 2.
    Current {
        base_timestamp: i64,
        /// Set when the broker's time stands for every record's.
        append_timestamp: Option<i64>,
    },
    /// Messages of magic 0 or 1.
    Legacy {
        /// What their offsets are relative to.
        offset_base: i64,
        /// As above.
        append_timestamp: Option<i64>,
    },
}

impl RecordSection {
    pub(crate) fn new(data: Bytes, record_count: u32, base_offset: i64, format: SectionFormat) -> Self {
        Self { data, buffer_capacity: 0, record_count, base_offset, format }
    }

    /// The same, in a buffer of its own.
    pub(crate) fn in_buffer(self, capacity: usize) -> Self {
        Self { buffer_capacity: capacity, ..self }
    }

    /// The records of `section`, which is what follows `header` in a batch of magic 2.
    pub(crate) fn decompressed(
        header: &BatchHeader,
        section: Bytes,
        scratch: &mut Scratch,
        buffer: &mut Vec<u8>,
    ) -> Result<Self, RecordsError> {
        let (data, capacity) = match header.compression()? {
            Compression::None => (section, 0),
            compression => scratch.decompress(compression, &section, buffer, header.base_offset)?,
        };
        let format = SectionFormat::Current {
            base_timestamp: header.base_timestamp,
            append_timestamp: (header.timestamp_type() == TimestampType::LogAppendTime)
                .then_some(header.max_timestamp),
        };
        let record_count = header.records_count.max(0) as u32;
        Ok(Self::new(data, record_count, header.base_offset, format).in_buffer(capacity))
    }

    /// How many records the batch says it has.
    pub fn record_count(&self) -> u32 {
        self.record_count
    }

    /// The size of its records decompressed, in bytes.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The memory that it occupies beside its batch, in bytes: the buffer that it was decompressed into, which may be larger than
    /// what is in it. Zero for a slice of the batch.
    pub fn buffer_capacity(&self) -> usize {
        self.buffer_capacity
    }

    /// Walks the records in order. After an error there is nothing more.
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter { section: self, rest: &self.data, index: 0 }
    }

    /// Walks the records from a place on that [`RecordIter::cursor`] told of this section.
    pub fn iter_from(&self, cursor: RecordCursor) -> RecordIter<'_> {
        let rest = self.data.get(cursor.at..).unwrap_or_default();
        RecordIter { section: self, rest, index: cursor.index }
    }

    /// The buffer for the next batch, if nobody else holds these bytes any more.
    pub fn into_buffer(self) -> Option<Vec<u8>> {
        let mut buffer = self.data.try_into_mut().ok()?;
        buffer.clear();
        Some(buffer.into())
    }
}

impl<'a> IntoIterator for &'a RecordSection {
    type Item = Result<RecordRef<'a>, RecordsError>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

/// A place between two records of a section, for a reader that stops and goes on later without holding a borrow. The
/// default is the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordCursor {
    at: usize,
    index: u32,
}

/// Walks the records of a section.
#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    section: &'a RecordSection,
    rest: &'a [u8],
    index: u32,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordRef<'a>, RecordsError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.take(|record| record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // One more for an error; and none of them is sure to come.
        (0, Some(self.section.record_count.saturating_sub(self.index) as usize + 1))
    }
}

impl<'a> RecordIter<'a> {
    /// As [`next`](Self::next), of a record whose offset is all that is wanted: it is checked as thoroughly.
    #[inline]
    pub fn next_offset(&mut self) -> Option<Result<i64, RecordsError>> {
        self.take(|record| record.offset)
    }

    /// Inlined, so that of a record only the parts are put together that `of` looks at.
    #[inline(always)]
    fn take<T>(&mut self, of: impl FnOnce(RecordRef<'a>) -> T) -> Option<Result<T, RecordsError>> {
        if self.index >= self.section.record_count {
            return self.end().map(Err);
        }
        let split = match self.section.format {
            SectionFormat::Current { base_timestamp, append_timestamp } => {
                split_record(self.rest, self.section.base_offset, base_timestamp, append_timestamp)
            }
            SectionFormat::Legacy { offset_base, append_timestamp } => {
                legacy::split_record(self.rest, offset_base, append_timestamp)
            }
        };
        match split {
            Ok((record, rest)) => {
                self.rest = rest;
                self.index += 1;
                Some(Ok(of(record)))
            }
            Err(what) => Some(Err(self.fail(what))),
        }
    }

    /// The place before the next record, for [`RecordSection::iter_from`].
    #[inline]
    pub fn cursor(&self) -> RecordCursor {
        RecordCursor { at: self.section.len() - self.rest.len(), index: self.index }
    }

    #[cold]
    fn end(&mut self) -> Option<RecordsError> {
        match self.rest {
            [] => None,
            _ => Some(self.fail("bytes are left after the last record")),
        }
    }

    /// The error for this record; nothing follows it.
    #[cold]
    fn fail(&mut self, what: &'static str) -> RecordsError {
        let base_offset = self.section.base_offset;
        let error = RecordsError::InvalidRecord { base_offset, index: self.index, what };
        self.rest = &[];
        self.index = self.section.record_count;
        error
    }
}

/// The first record of magic 2 in `input`, and what follows it (Java: `DefaultRecord.readFrom`).
#[inline(always)]
fn split_record(
    mut input: &[u8],
    base_offset: i64,
    base_timestamp: i64,
    append_timestamp: Option<i64>,
) -> Result<(RecordRef<'_>, &[u8]), &'static str> {
    let len = varint::take_i32(&mut input).ok_or("it has no valid length")?;
    let len = usize::try_from(len).map_err(|_| "its length is negative")?;
    let (mut body, rest) =
        input.split_at_checked(len).ok_or("it is longer than what is left of its batch")?;
    let (_attributes, after) = body.split_first().ok_or("it ends before its attributes")?;
    body = after;
    let timestamp_delta = varint::take_i64(&mut body).ok_or("it has no valid timestamp delta")?;
    let offset_delta = varint::take_i32(&mut body).ok_or("it has no valid offset delta")?;
    let key = take_nullable(&mut body).ok_or("it ends within its key")?;
    let value = take_nullable(&mut body).ok_or("it ends within its value")?;
    let record = RecordRef {
        offset: base_offset.wrapping_add(i64::from(offset_delta)),
        timestamp: append_timestamp.unwrap_or(base_timestamp.wrapping_add(timestamp_delta)),
        key,
        value,
        raw_headers: checked_headers(body)?,
    };
    Ok((record, rest))
}

/// The headers in `raw`, which must be all that is left of the record.
#[inline(always)]
fn checked_headers(raw: &[u8]) -> Result<&[u8], &'static str> {
    if raw != NO_HEADERS {
        check_headers(raw)?;
    }
    Ok(raw)
}

#[inline(never)]
fn check_headers(mut raw: &[u8]) -> Result<(), &'static str> {
    let count = varint::take_i32(&mut raw).ok_or("it has no valid header count")?;
    let count = u32::try_from(count).map_err(|_| "its header count is negative")?;
    for _ in 0..count {
        take_header(&mut raw).ok_or("it has an invalid header")?;
    }
    match raw {
        [] => Ok(()),
        _ => Err("bytes are left after its last header"),
    }
}

/// Takes a header from the front of `input`; `None` when it is malformed.
#[inline]
fn take_header<'a>(input: &mut &'a [u8]) -> Option<HeaderSlice<'a>> {
    let key = take_nullable(input)??;
    let value = take_nullable(input)?;
    Some(HeaderSlice { key, value })
}

/// Takes a length and as many bytes from the front of `input`: the outer `None` is malformed, the inner one null.
#[inline(always)]
fn take_nullable<'a>(input: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match varint::take_i32(input)? {
        ..0 => Some(None),
        len => {
            let (bytes, rest) = input.split_at_checked(len as usize)?;
            *input = rest;
            Some(Some(bytes))
        }
    }
}
