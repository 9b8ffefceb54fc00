use crate::builder::{BatchBuilder, BatchFull};
use crate::codec::Scratch;
use crate::error::RecordsError;
use crate::header::{BATCH_HEADER_LEN, BatchHeader, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE};
use crate::record::RecordSection;
use crate::{Codec, Compression, crc};
use bytes::{Bytes, BytesMut};

/// Who writes a batch, and where it stands in that producer's order: the part of the header that is known when the batch
/// is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerStamp {
    /// The id that the coordinator or a broker gave, or -1.
    pub producer_id: i64,
    /// The epoch of that id, or -1.
    pub producer_epoch: i16,
    /// The sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Whether the batch belongs to a transaction.
    pub is_transactional: bool,
}

impl ProducerStamp {
    /// A producer without idempotence.
    pub const NONE: Self = Self {
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        base_sequence: NO_SEQUENCE,
        is_transactional: false,
    };
}

/// A batch that takes no more records: an immutable record section, and what its header needs to know of it.
///
/// The header is apart ([`header`](Self::header)) so that it can be stamped when the batch is sent, and again after an
/// epoch bump, while the section stays as it is. A clone shares the section.
#[derive(Debug, Clone)]
pub struct SealedBatch {
    pub(crate) section: Bytes,
    pub(crate) codec: Codec,
    pub(crate) record_count: u32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    /// CRC-32C of the section, taken while it was in the cache.
    pub(crate) section_crc: u32,
    /// With the header.
    pub(crate) uncompressed_len: usize,
}

impl SealedBatch {
    /// The header with this stamp: base offset 0, no leader epoch, and the checksum of header and section.
    pub fn header(&self, stamp: &ProducerStamp) -> [u8; BATCH_HEADER_LEN] {
        let mut header = self.header_fields(stamp);
        header.crc = crc::combine(header.crc_of_fields(), self.section_crc, self.section.len() as u32);
        header.to_bytes()
    }

    /// The record section, compressed if the batch is: what follows the header.
    pub fn section(&self) -> &Bytes {
        &self.section
    }

    /// The length of header and section together, in bytes.
    pub fn encoded_len(&self) -> usize {
        BATCH_HEADER_LEN + self.section.len()
    }

    /// The length that header and section had together before compression, in bytes.
    pub fn uncompressed_len(&self) -> usize {
        self.uncompressed_len
    }

    /// How many records it has.
    pub fn record_count(&self) -> u32 {
        self.record_count
    }

    /// The first record's timestamp, in milliseconds.
    pub fn base_timestamp(&self) -> i64 {
        self.base_timestamp
    }

    /// The greatest timestamp of its records, in milliseconds.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// How the section is compressed.
    pub fn compression(&self) -> Compression {
        self.codec.compression()
    }

    /// The records again, with offsets from 0: their timestamps for acknowledgements, or to look at them.
    ///
    /// # Errors
    /// [`RecordsError::Codec`] when the section decompresses to more than the limit of `scratch`.
    pub fn records(&self, scratch: &mut Scratch) -> Result<RecordSection, RecordsError> {
        let header = self.header_fields(&ProducerStamp::NONE);
        RecordSection::decompressed(&header, self.section.clone(), scratch, &mut Vec::new())
    }

    /// The same records in several batches, each of at most `limit` bytes uncompressed, header included, if it has more
    /// than one record: what to do when a broker refuses the batch as too large (Java: `ProducerBatch.split`).
    ///
    /// Order and timestamps stay; each piece knows which of the records it has, and so its base sequence. A single piece
    /// means that no split can help.
    ///
    /// # Errors
    /// As [`records`](Self::records).
    pub fn split(&self, limit: usize, scratch: &mut Scratch) -> Result<Vec<SplitBatch>, RecordsError> {
        let section = self.records(scratch)?;
        let codec_error = |error| RecordsError::Codec { base_offset: 0, error };
        let mut pieces = Vec::new();
        let mut first_index = 0;
        let mut builder = BatchBuilder::new(BytesMut::new(), limit);
        for record in section.iter() {
            let record = record?;
            if let Err(BatchFull) = builder.try_append_ref(&record) {
                let full = std::mem::replace(&mut builder, BatchBuilder::new(BytesMut::new(), limit));
                let batch = full.seal(&self.codec, scratch).map_err(codec_error)?;
                let record_count = batch.record_count;
                pieces.push(SplitBatch { first_index, batch });
                first_index += record_count;
                builder
                    .try_append_ref(&record)
                    .expect("an empty batch takes any record that another one had");
            }
        }
        let batch = builder.seal(&self.codec, scratch).map_err(codec_error)?;
        pieces.push(SplitBatch { first_index, batch });
        Ok(pieces)
    }

    /// The buffer, for another builder, if nobody else holds this section any more. Its capacity is that of the buffer
    /// that the batch was built in, or more.
    pub fn recycle(self) -> Option<BytesMut> {
        self.section.try_into_mut().ok()
    }

    fn header_fields(&self, stamp: &ProducerStamp) -> BatchHeader {
        let mut header = BatchHeader::new(0, stamp);
        header.batch_length += self.section.len() as i32;
        header.attributes |= i16::from(self.compression().id());
        header.last_offset_delta = self.record_count.saturating_sub(1) as i32;
        header.base_timestamp = self.base_timestamp;
        header.max_timestamp = self.max_timestamp;
        header.records_count = self.record_count as i32;
        header
    }
}

/// One of the batches that a batch was split into.
#[derive(Debug, Clone)]
pub struct SplitBatch {
    /// Index in the original batch of this one's first record.
    pub first_index: u32,
    /// The records from there on.
    pub batch: SealedBatch,
}
