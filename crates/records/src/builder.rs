use crate::error::CodecError;
use crate::header::{BATCH_HEADER_LEN, NO_TIMESTAMP};
use crate::record::RecordRef;
use crate::sealed::SealedBatch;
use crate::varint::{self, VARINT_LEN_MAX, VARLONG_LEN_MAX};
use crate::{Codec, Scratch};
use bytes::BytesMut;

/// A record to write; everything is borrowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordParts<'a> {
    /// When it happened, in milliseconds since 1970; -1 for none.
    pub timestamp: i64,
    /// The key; null and empty differ.
    pub key: Option<&'a [u8]>,
    /// The value; null (a tombstone, to compaction) and empty differ.
    pub value: Option<&'a [u8]>,
    /// The headers, in order; keys may repeat.
    pub headers: &'a [HeaderRef<'a>],
}

/// A header of a record to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderRef<'a> {
    /// Its name.
    pub key: &'a str,
    /// Its value; null and empty differ.
    pub value: Option<&'a [u8]>,
}

/// The record does not fit: seal the batch and append it to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the batch is full")]
pub struct BatchFull;

/// Encodes records into the record section of a batch of magic 2.
///
/// Each record is encoded once, at the end of the buffer that the builder was given, without any other allocation.
/// Timestamps are relative to the first record's, and may go back.
#[derive(Debug)]
pub struct BatchBuilder {
    section: Vec<u8>,
    /// How long the section may become, but for a first record that is longer.
    section_len_max: usize,
    record_count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// Builds into `buffer`, what it contains is discarded, until the uncompressed batch with its header of
    /// [`BATCH_HEADER_LEN`] bytes would exceed `limit` bytes.
    ///
    /// The buffer grows when it is shorter than what is appended; one with a capacity of `limit` bytes grows for an
    /// oversized first record only.
    pub fn new(mut buffer: BytesMut, limit: usize) -> Self {
        buffer.clear();
        Self {
            section: buffer.into(),
            section_len_max: limit.saturating_sub(BATCH_HEADER_LEN).min(SECTION_LEN_MAX),
            record_count: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
        }
    }

    /// Appends a record and returns its index: its offset relative to the first.
    ///
    /// The first record is accepted whatever its size, up to what a batch can be at all (2 GiB).
    ///
    /// # Errors
    /// [`BatchFull`] when it does not fit; nothing was written then.
    #[inline]
    pub fn try_append(&mut self, record: &RecordParts<'_>) -> Result<u32, BatchFull> {
        self.append(record.timestamp, record.key, record.value, EncodedHeaders::Parts(record.headers))
    }

    /// Appends a record that was read, as [`try_append`](Self::try_append) does: its headers are copied as they are,
    /// and its offset becomes the next index.
    ///
    /// # Errors
    /// [`BatchFull`] when it does not fit; nothing was written then.
    pub fn try_append_ref(&mut self, record: &RecordRef<'_>) -> Result<u32, BatchFull> {
        self.append(record.timestamp, record.key, record.value, EncodedHeaders::Raw(record.raw_headers()))
    }

    /// Whether no record has been appended.
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// How many records have been appended.
    pub fn record_count(&self) -> u32 {
        self.record_count
    }

    /// The size of the uncompressed batch so far, header included, in bytes.
    pub fn size(&self) -> usize {
        BATCH_HEADER_LEN + self.section.len()
    }

    /// The greatest timestamp appended; -1 when there is none.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// The most bytes that a batch of this record alone takes uncompressed, header included (Java:
    /// `AbstractRecords.estimateSizeInBytesUpperBound`).
    pub fn upper_bound(record: &RecordParts<'_>) -> usize {
        let body = body_tail_len(record.key, record.value, EncodedHeaders::Parts(record.headers));
        BATCH_HEADER_LEN + VARINT_LEN_MAX + 1 + VARLONG_LEN_MAX + VARINT_LEN_MAX + body
    }

    /// Takes the buffer back, and drops what was appended.
    pub fn into_buffer(self) -> BytesMut {
        let mut buffer = self.section;
        buffer.clear();
        into_bytes_mut(buffer)
    }

    /// Ends the batch: compresses the section (in the buffer that it was built in) and takes its checksum.
    ///
    /// A section that does not shrink is sent compressed all the same, as Java does.
    ///
    /// # Errors
    /// [`CodecError::Disabled`] when the codec was left out of this build.
    pub fn seal(self, codec: &Codec, scratch: &mut Scratch) -> Result<SealedBatch, CodecError> {
        let Self { mut section, record_count, base_timestamp, max_timestamp, .. } = self;
        scratch.compress_in_place(codec, &mut section)?;
        Ok(SealedBatch::new(section, codec, record_count, base_timestamp, max_timestamp))
    }

    #[inline]
    fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: EncodedHeaders<'_>,
    ) -> Result<u32, BatchFull> {
        let index = self.record_count;
        let base_timestamp = if index == 0 { timestamp } else { self.base_timestamp };
        let timestamp_delta = timestamp.wrapping_sub(base_timestamp);
        let body_len = 1
            + varint::len(timestamp_delta)
            + varint::len(i64::from(index))
            + body_tail_len(key, value, headers);
        let record_len = varint::len(body_len as i64) + body_len;
        let section_len = self.section.len() + record_len;
        if section_len > self.section_len_max && (index > 0 || section_len > SECTION_LEN_MAX) {
            return Err(BatchFull);
        }

        let mut prefix = [0; VARINT_LEN_MAX + 1 + VARLONG_LEN_MAX + VARINT_LEN_MAX];
        let mut at = varint::put(&mut prefix, body_len as i64);
        // The record's attributes: none are in use.
        at += 1;
        at += varint::put(&mut prefix[at..], timestamp_delta);
        at += varint::put(&mut prefix[at..], i64::from(index));
        let out = &mut self.section;
        out.reserve(record_len);
        out.extend_from_slice(&prefix[..at]);
        push_nullable(out, key);
        push_nullable(out, value);
        match headers {
            EncodedHeaders::Raw(raw) => out.extend_from_slice(raw),
            EncodedHeaders::Parts(headers) => push_headers(out, headers),
        }

        self.max_timestamp = if index == 0 { timestamp } else { self.max_timestamp.max(timestamp) };
        self.base_timestamp = base_timestamp;
        self.record_count = index + 1;
        Ok(index)
    }
}

/// What bounds a section: the batch's length is a signed 32-bit field.
const SECTION_LEN_MAX: usize = i32::MAX as usize - BATCH_HEADER_LEN;

/// Headers to encode, or as they were encoded in the batch that they were read from.
#[derive(Clone, Copy)]
enum EncodedHeaders<'a> {
    Parts(&'a [HeaderRef<'a>]),
    /// The count of headers and the headers.
    Raw(&'a [u8]),
}

/// The length of what follows a record's offset delta.
#[inline(always)]
fn body_tail_len(key: Option<&[u8]>, value: Option<&[u8]>, headers: EncodedHeaders<'_>) -> usize {
    let headers_len = match headers {
        EncodedHeaders::Raw(raw) => raw.len(),
        EncodedHeaders::Parts([]) => 1,
        EncodedHeaders::Parts(headers) => headers_len(headers),
    };
    nullable_len(key) + nullable_len(value) + headers_len
}

fn headers_len(headers: &[HeaderRef<'_>]) -> usize {
    let each =
        headers.iter().map(|header| nullable_len(Some(header.key.as_bytes())) + nullable_len(header.value));
    varint::len(headers.len() as i64) + each.sum::<usize>()
}

#[inline(always)]
fn nullable_len(bytes: Option<&[u8]>) -> usize {
    match bytes {
        None => varint::NULL_LEN,
        Some(bytes) => varint::len(bytes.len() as i64) + bytes.len(),
    }
}

#[inline(always)]
fn push_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::push(out, -1),
        Some(bytes) => {
            varint::push(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}

fn push_headers(out: &mut Vec<u8>, headers: &[HeaderRef<'_>]) {
    varint::push(out, headers.len() as i64);
    for header in headers {
        push_nullable(out, Some(header.key.as_bytes()));
        push_nullable(out, header.value);
    }
}

/// The same memory as a `BytesMut`, with the same capacity.
pub(crate) fn into_bytes_mut(buffer: Vec<u8>) -> BytesMut {
    bytes::Bytes::from(buffer).try_into_mut().expect("nobody else holds bytes made just now")
}
