use crate::builder::RecordParts;
use crate::codec::Scratch;
use crate::encode::{EncodedHeaders, RecordEncoding, SECTION_LEN_MAX};
use crate::error::CodecError;
use crate::header::{Attributes, BATCH_HEADER_LEN, BatchHeader, LOG_OVERHEAD, NO_TIMESTAMP, TimestampType};
use crate::record::RecordRef;
use crate::{Codec, crc};
use bytes::{BufMut, Bytes, BytesMut};

/// Encodes a whole batch of magic 2 from records whose offsets are known: what a broker, a cleaner of a log or a test
/// writes, where a producer has [`BatchBuilder`](crate::BatchBuilder).
///
/// The header that it starts from gives the batch its identity: base offset, leader epoch, flags and producer. Length,
/// checksum, compression, record count and timestamps come from the records; the last offset is the header's or the
/// last record's, whichever is greater, so that a batch keeps its range when records are left out.
///
/// - With the flag of [`TimestampType::LogAppendTime`], or without records, the header's `max_timestamp` stays.
/// - With a delete horizon, the header's `base_timestamp` stays.
#[derive(Debug)]
pub struct BatchEncoder {
    header: BatchHeader,
    section: BytesMut,
    record_count: u32,
    max_timestamp: i64,
    last_offset_delta: i32,
}

/// A record that cannot be in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Its offset is before the batch's base offset, or not within 2^31 of it.
    #[error("offset {offset} cannot be in a batch with base offset {base_offset}")]
    Offset {
        /// The record's offset.
        offset: i64,
        /// The batch's base offset.
        base_offset: i64,
    },
    /// The batch would exceed 2 GiB.
    #[error("the batch would exceed 2 GiB")]
    Full,
}

impl BatchEncoder {
    /// A batch with the identity of this header.
    pub fn new(header: BatchHeader) -> Self {
        Self {
            last_offset_delta: header.last_offset_delta,
            header,
            section: BytesMut::new(),
            record_count: 0,
            max_timestamp: NO_TIMESTAMP,
        }
    }

    /// Appends a record at this offset.
    ///
    /// # Errors
    /// When it cannot be in the batch; nothing was written then.
    pub fn append(&mut self, offset: i64, record: &RecordParts<'_>) -> Result<(), EncodeError> {
        let RecordParts { timestamp, key, value, headers } = *record;
        self.append_encoded(offset, timestamp, key, value, EncodedHeaders::Parts(headers))
    }

    /// Appends a record that was read, at its own offset and with its headers as they are.
    ///
    /// # Errors
    /// When it cannot be in the batch; nothing was written then.
    pub fn append_ref(&mut self, record: &RecordRef<'_>) -> Result<(), EncodeError> {
        let headers = EncodedHeaders::Raw(record.raw_headers);
        self.append_encoded(record.offset, record.timestamp, record.key, record.value, headers)
    }

    /// The whole batch.
    ///
    /// # Errors
    /// [`CodecError::Disabled`] when the codec was left out of this build.
    pub fn finish(self, codec: &Codec, scratch: &mut Scratch) -> Result<Bytes, CodecError> {
        let Self { mut header, mut section, record_count, max_timestamp, last_offset_delta } = self;
        if record_count > 0 {
            scratch.compress_in_place(codec, &mut section)?;
            header.attributes =
                header.attributes & !Attributes::COMPRESSION | i16::from(codec.compression().id());
        } else {
            header.attributes &= !Attributes::COMPRESSION;
        }
        if record_count > 0 && header.timestamp_type() == TimestampType::CreateTime {
            header.max_timestamp = max_timestamp;
        }
        header.batch_length = (BATCH_HEADER_LEN - LOG_OVERHEAD + section.len()) as i32;
        header.last_offset_delta = last_offset_delta;
        header.records_count = record_count as i32;

        header.crc = crc::combine(header.crc_of_fields(), crc::crc32c(&section), section.len() as u32);
        let mut batch = BytesMut::with_capacity(BATCH_HEADER_LEN + section.len());
        batch.put_slice(&header.to_bytes());
        batch.put_slice(&section);
        Ok(batch.freeze())
    }

    fn append_encoded(
        &mut self,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: EncodedHeaders<'_>,
    ) -> Result<(), EncodeError> {
        let base_offset = self.header.base_offset;
        let offset_delta = offset
            .checked_sub(base_offset)
            .and_then(|delta| i32::try_from(delta).ok())
            .filter(|delta| *delta >= 0)
            .ok_or(EncodeError::Offset { offset, base_offset })?;
        let base_timestamp = match self.header.delete_horizon() {
            None if self.record_count == 0 => timestamp,
            _ => self.header.base_timestamp,
        };
        let timestamp_delta = timestamp.wrapping_sub(base_timestamp);
        let record = RecordEncoding::new(timestamp_delta, offset_delta, key, value, headers);
        let start = self.section.len();
        if start + record.len() > SECTION_LEN_MAX {
            return Err(EncodeError::Full);
        }
        self.section.resize(start + record.len(), 0);
        record.write(&mut self.section[start..]);

        self.header.base_timestamp = base_timestamp;
        self.max_timestamp =
            if self.record_count == 0 { timestamp } else { self.max_timestamp.max(timestamp) };
        self.last_offset_delta = self.last_offset_delta.max(offset_delta);
        self.record_count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batches, ProducerStamp};

    const RECORD: RecordParts<'static> =
        RecordParts { timestamp: 50, key: None, value: Some(b"checkout"), headers: &[] };

    fn read(batch: Bytes) -> BatchHeader {
        let batch = Batches::new(batch).next().unwrap().unwrap();
        batch.verify_crc().unwrap();
        *batch.header()
    }

    #[test]
    fn an_offset_outside_the_batch_is_refused_and_nothing_written() {
        let mut encoder = BatchEncoder::new(BatchHeader::new(100, &ProducerStamp::NONE));
        for offset in [99, i64::MIN, 101 + i64::from(i32::MAX), i64::MAX] {
            let error = EncodeError::Offset { offset, base_offset: 100 };
            assert_eq!(encoder.append(offset, &RECORD), Err(error));
        }
        encoder.append(100, &RECORD).unwrap();
        encoder.append(100 + i64::from(i32::MAX), &RECORD).unwrap();
        let header = read(encoder.finish(&Codec::NONE, &mut Scratch::new()).unwrap());
        assert_eq!((header.records_count, header.last_offset_delta), (2, i32::MAX));
    }

    #[test]
    fn the_range_of_the_header_is_kept() {
        let mut header = BatchHeader::new(100, &ProducerStamp::NONE);
        header.last_offset_delta = 9;
        let mut encoder = BatchEncoder::new(header);
        encoder.append(103, &RECORD).unwrap();
        let header = read(encoder.finish(&Codec::NONE, &mut Scratch::new()).unwrap());
        assert_eq!((header.base_offset, header.last_offset(), header.next_offset()), (100, 109, 110));
    }

    #[test]
    fn flags_are_the_headers_and_compression_the_codecs() {
        let mut header = BatchHeader::new(0, &ProducerStamp::NONE);
        header.set_control(true);
        header.set_transactional(true);
        header.set_delete_horizon(7000);
        header.attributes |= i16::from(crate::Compression::Gzip.id());
        let mut encoder = BatchEncoder::new(header);
        encoder.append(0, &RECORD).unwrap();
        let header = read(encoder.finish(&Codec::NONE, &mut Scratch::new()).unwrap());
        assert!(header.is_control() && header.is_transactional());
        assert_eq!(header.compression(), Ok(crate::Compression::None));
        assert_eq!((header.delete_horizon(), header.max_timestamp), (Some(7000), 50));
    }

    #[test]
    fn an_empty_batch_keeps_the_greatest_timestamp() {
        let mut header = BatchHeader::new(0, &ProducerStamp::NONE);
        header.max_timestamp = 99;
        let codec = Codec::new(crate::Compression::Lz4);
        let header = read(BatchEncoder::new(header).finish(&codec, &mut Scratch::new()).unwrap());
        assert_eq!((header.max_timestamp, header.records_count), (99, 0));
        assert_eq!(header.compression(), Ok(crate::Compression::None));
    }
}
