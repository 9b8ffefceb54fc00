use crate::encode::{EncodedHeaders, RecordEncoding, SECTION_LEN_MAX, record_len_max};
use crate::error::CodecError;
use crate::header::{BATCH_HEADER_LEN, NO_TIMESTAMP};
use crate::record::RecordRef;
use crate::sealed::SealedBatch;
use crate::{Codec, Scratch, crc};
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
    /// The section, and after it bytes without meaning: what is to be written is always zeroed memory or the remains of
    /// an earlier batch, so that a record is written with one check of bounds.
    buffer: BytesMut,
    section_len: usize,
    /// How long the section may become, but for a first record that is longer.
    section_len_max: usize,
    record_count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// Builds into `buffer` until the uncompressed batch with its header of [`BATCH_HEADER_LEN`] bytes would exceed
    /// `limit` bytes. What the buffer contains is discarded.
    ///
    /// The buffer grows when its capacity is less than what is appended; one of `limit` bytes grows for an oversized
    /// first record only.
    pub fn new(buffer: BytesMut, limit: usize) -> Self {
        Self {
            buffer,
            section_len: 0,
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
        self.append(record.timestamp, record.key, record.value, EncodedHeaders::Raw(record.raw_headers))
    }

    /// Makes the buffer large enough for a batch of `size` bytes, header included, and not larger: for those who count memory.
    /// Without it the buffer doubles when it is full.
    pub fn reserve(&mut self, size: usize) {
        let section_len = size.saturating_sub(BATCH_HEADER_LEN);
        if section_len > self.buffer.capacity() {
            // `BytesMut::reserve` would double it.
            let mut larger = BytesMut::with_capacity(section_len);
            larger.extend_from_slice(&self.buffer[..self.section_len]);
            self.buffer = larger;
        }
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
        BATCH_HEADER_LEN + self.section_len
    }

    /// The greatest timestamp appended; -1 when there is none.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// The most bytes that a batch of this record alone takes uncompressed, header included (Java:
    /// `AbstractRecords.estimateSizeInBytesUpperBound`).
    pub fn upper_bound(record: &RecordParts<'_>) -> usize {
        BATCH_HEADER_LEN + record_len_max(record.key, record.value, EncodedHeaders::Parts(record.headers))
    }

    /// Takes the buffer back, for another builder; what was appended is dropped.
    pub fn into_buffer(self) -> BytesMut {
        self.buffer
    }

    /// Ends the batch: compresses the section (in the buffer that it was built in) and takes its checksum.
    ///
    /// A section that does not shrink is sent compressed all the same, as Java does.
    ///
    /// # Errors
    /// [`CodecError::Disabled`] when the codec was left out of this build.
    pub fn seal(self, codec: &Codec, scratch: &mut Scratch) -> Result<SealedBatch, CodecError> {
        let Self { mut buffer, section_len, record_count, base_timestamp, max_timestamp, .. } = self;
        buffer.truncate(section_len);
        scratch.compress_in_place(codec, &mut buffer)?;
        let section = buffer.freeze();
        Ok(SealedBatch {
            section_crc: crc::crc32c(&section),
            section,
            codec: *codec,
            record_count,
            base_timestamp,
            max_timestamp,
            uncompressed_len: BATCH_HEADER_LEN + section_len,
        })
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
        if index == 0 {
            (self.base_timestamp, self.max_timestamp) = (timestamp, timestamp);
        }
        let record = RecordEncoding::new(
            timestamp.wrapping_sub(self.base_timestamp),
            index as i32,
            key,
            value,
            headers,
        );
        let section_len = self.section_len + record.len();
        if section_len > self.section_len_max && (index > 0 || section_len > SECTION_LEN_MAX) {
            return Err(BatchFull);
        }
        if section_len > self.buffer.len() {
            self.extend_buffer(section_len);
        }
        record.write(&mut self.buffer[self.section_len..section_len]);
        self.section_len = section_len;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.record_count = index + 1;
        Ok(index)
    }

    /// Makes the buffer at least `len` bytes long, by zeroing what is next to be written.
    #[cold]
    fn extend_buffer(&mut self, len: usize) {
        let chunk = self.section_len + self.section_len.clamp(EXTENSION_MIN, EXTENSION_MAX);
        let wanted = chunk.min(self.section_len_max).min(self.buffer.capacity());
        self.buffer.resize(len.max(wanted), 0);
    }
}

/// How much of a new buffer is zeroed at a time: as much as is written already, little enough to be in the cache when it is
/// written, too.
const EXTENSION_MIN: usize = 1 << 10;
const EXTENSION_MAX: usize = 8 << 10;

#[cfg(test)]
mod tests;
