use crate::error::RecordsError;
use crate::sealed::ProducerStamp;
use crate::{Compression, crc};

/// The length of a batch's header (magic 2): what precedes its record section.
pub const BATCH_HEADER_LEN: usize = 61;

/// The length of what precedes the bytes that a batch's length field counts: base offset and the length itself.
pub(crate) const LOG_OVERHEAD: usize = 12;
/// Where the magic byte is, in every format.
pub(crate) const MAGIC_AT: usize = 16;
/// The first byte that the CRC of a batch of magic 2 covers.
pub(crate) const ATTRIBUTES_AT: usize = 21;
pub(crate) const CRC_AT: usize = 17;

/// The producer id of a batch without one.
pub const NO_PRODUCER_ID: i64 = -1;
/// The producer epoch of a batch without one.
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// The base sequence of a batch without one.
pub const NO_SEQUENCE: i32 = -1;
/// The leader epoch of a batch that no leader has appended.
pub const NO_PARTITION_LEADER_EPOCH: i32 = -1;
/// The timestamp of a record without one.
pub const NO_TIMESTAMP: i64 = -1;

/// Who set the timestamps of a batch's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// Each record's producer (`message.timestamp.type=CreateTime`).
    CreateTime,
    /// The broker, one for the whole batch (`message.timestamp.type=LogAppendTime`).
    LogAppendTime,
}

/// The header of a batch, field by field (Java: `DefaultRecordBatch`).
///
/// A message of magic 0 or 1 is presented as a batch too: `base_offset` is then the message's offset, which for a
/// compressed set of messages is the offset of the *last* one, `last_offset_delta` is 0, both timestamps are the
/// message's (-1 for magic 0), `records_count` is 1, or -1 (unknown) for a compressed set, and the fields that those
/// formats lack are -1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record that the batch was written with (compaction may have removed it).
    pub base_offset: i64,
    /// Bytes of the batch after this field.
    pub batch_length: i32,
    /// Epoch of the leader that appended it.
    pub partition_leader_epoch: i32,
    /// Format: 0, 1 or 2.
    pub magic: u8,
    /// CRC-32C of all bytes that follow it (CRC-32 for magic 0 and 1).
    pub crc: u32,
    /// Flags; see the methods.
    pub attributes: i16,
    /// Offset of the last record that the batch was written with, relative to `base_offset`.
    pub last_offset_delta: i32,
    /// What the records' timestamps are relative to, in milliseconds; the delete horizon when that flag is set.
    pub base_timestamp: i64,
    /// The greatest timestamp of its records, or the one that the broker gave them, in milliseconds.
    pub max_timestamp: i64,
    /// The idempotent producer that wrote it, or -1.
    pub producer_id: i64,
    /// That producer's epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// How many records the batch has.
    pub records_count: i32,
}

impl BatchHeader {
    /// The header of an empty batch at this offset: create time, no leader epoch, not compressed.
    pub fn new(base_offset: i64, stamp: &ProducerStamp) -> Self {
        Self {
            base_offset,
            batch_length: (BATCH_HEADER_LEN - LOG_OVERHEAD) as i32,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            magic: 2,
            crc: 0,
            attributes: if stamp.is_transactional { Attributes::TRANSACTIONAL } else { 0 },
            last_offset_delta: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            producer_id: stamp.producer_id,
            producer_epoch: stamp.producer_epoch,
            base_sequence: stamp.base_sequence,
            records_count: 0,
        }
    }

    /// Reads the header of a batch of magic 2 and checks what can be checked without the rest of the batch: its length
    /// and its record count.
    ///
    /// # Errors
    /// [`RecordsError::InvalidHeader`] when a field cannot be, or the magic is not 2.
    pub fn parse(bytes: &[u8; BATCH_HEADER_LEN]) -> Result<Self, RecordsError> {
        let mut fields = Fields { rest: bytes };
        let header = Self {
            base_offset: i64::from_be_bytes(fields.take()),
            batch_length: i32::from_be_bytes(fields.take()),
            partition_leader_epoch: i32::from_be_bytes(fields.take()),
            magic: u8::from_be_bytes(fields.take()),
            crc: u32::from_be_bytes(fields.take()),
            attributes: i16::from_be_bytes(fields.take()),
            last_offset_delta: i32::from_be_bytes(fields.take()),
            base_timestamp: i64::from_be_bytes(fields.take()),
            max_timestamp: i64::from_be_bytes(fields.take()),
            producer_id: i64::from_be_bytes(fields.take()),
            producer_epoch: i16::from_be_bytes(fields.take()),
            base_sequence: i32::from_be_bytes(fields.take()),
            records_count: i32::from_be_bytes(fields.take()),
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), RecordsError> {
        let invalid = |field, value: i64| {
            Err(RecordsError::InvalidHeader { base_offset: self.base_offset, field, value })
        };
        if self.magic != 2 {
            return invalid("magic", i64::from(self.magic));
        }
        if self.batch_length < (BATCH_HEADER_LEN - LOG_OVERHEAD) as i32 {
            return invalid("batch length", i64::from(self.batch_length));
        }
        if self.records_count < 0 {
            return invalid("record count", i64::from(self.records_count));
        }
        if self.last_offset_delta < 0 {
            return invalid("last offset delta", i64::from(self.last_offset_delta));
        }
        if self.base_offset.checked_add(i64::from(self.last_offset_delta) + 1).is_none() {
            return invalid("base offset", self.base_offset);
        }
        Ok(())
    }

    /// The header as it is written, of magic 2 whatever `magic` says.
    pub fn to_bytes(&self) -> [u8; BATCH_HEADER_LEN] {
        let mut bytes = [0; BATCH_HEADER_LEN];
        bytes[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        bytes[MAGIC_AT] = 2;
        bytes[CRC_AT..21].copy_from_slice(&self.crc.to_be_bytes());
        bytes[ATTRIBUTES_AT..23].copy_from_slice(&self.attributes.to_be_bytes());
        bytes[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        bytes[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        bytes[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        bytes[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        bytes[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        bytes[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        bytes[57..61].copy_from_slice(&self.records_count.to_be_bytes());
        bytes
    }

    /// The length of the whole batch in bytes.
    pub fn encoded_len(&self) -> usize {
        LOG_OVERHEAD + self.batch_length.max(0) as usize
    }

    /// How its records are compressed.
    ///
    /// # Errors
    /// [`RecordsError::UnknownCompression`] when the number is none of Kafka's.
    pub fn compression(&self) -> Result<Compression, RecordsError> {
        let id = (self.attributes & Attributes::COMPRESSION) as u8;
        Compression::from_id(id).ok_or(RecordsError::UnknownCompression { base_offset: self.base_offset, id })
    }

    /// Who set its timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        match self.has(Attributes::LOG_APPEND_TIME) {
            false => TimestampType::CreateTime,
            true => TimestampType::LogAppendTime,
        }
    }

    /// Whether it belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.has(Attributes::TRANSACTIONAL)
    }

    /// Whether its record is a marker of Kafka's own and not the application's.
    pub fn is_control(&self) -> bool {
        self.has(Attributes::CONTROL)
    }

    /// When the cleaner may drop its tombstones and markers, in milliseconds (KIP-534).
    pub fn delete_horizon(&self) -> Option<i64> {
        self.has(Attributes::DELETE_HORIZON).then_some(self.base_timestamp)
    }

    /// Offset of the last record that it was written with.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset that follows it: where reading goes on, even where compaction has removed its last records.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Sequence number of its last record, or -1.
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence {
            NO_SEQUENCE => NO_SEQUENCE,
            base => increment_sequence(base, self.last_offset_delta),
        }
    }

    /// Marks it as transactional, or not. The checksum is not touched.
    pub fn set_transactional(&mut self, transactional: bool) {
        self.set(Attributes::TRANSACTIONAL, transactional);
    }

    /// Marks it as a control batch, or not. The checksum is not touched.
    pub fn set_control(&mut self, control: bool) {
        self.set(Attributes::CONTROL, control);
    }

    /// Sets when the cleaner may drop its tombstones and markers, which takes the place of `base_timestamp` (KIP-534).
    /// The checksum is not touched.
    pub fn set_delete_horizon(&mut self, horizon: i64) {
        self.set(Attributes::DELETE_HORIZON, true);
        self.base_timestamp = horizon;
    }

    /// Sets who gave the timestamps and the greatest one, and corrects the checksum, if it was right before, without
    /// looking at the records: what a broker does with `message.timestamp.type=LogAppendTime` (Java:
    /// `DefaultRecordBatch.setMaxTimestamp`).
    ///
    /// The other fields that a broker sets, `base_offset` and `partition_leader_epoch`, are not in the checksum.
    pub fn set_timestamps(&mut self, timestamp_type: TimestampType, max_timestamp: i64) {
        let before = self.crc_of_fields();
        self.set(Attributes::LOG_APPEND_TIME, timestamp_type == TimestampType::LogAppendTime);
        self.max_timestamp = max_timestamp;
        let section_len = self.encoded_len().saturating_sub(BATCH_HEADER_LEN) as u32;
        // What the section adds to the checksum is the same before and after.
        self.crc ^= crc::combine(before ^ self.crc_of_fields(), 0, section_len);
    }

    /// CRC-32C of the fields that the checksum covers.
    pub(crate) fn crc_of_fields(&self) -> u32 {
        crc::crc32c(&self.to_bytes()[ATTRIBUTES_AT..])
    }

    fn set(&mut self, flag: i16, value: bool) {
        self.attributes = if value { self.attributes | flag } else { self.attributes & !flag };
    }

    fn has(&self, flag: i16) -> bool {
        self.attributes & flag != 0
    }
}

/// The sequence number `increment` records after `sequence`: after `i32::MAX` comes 0 (Java:
/// `DefaultRecordBatch.incrementSequence`).
pub fn increment_sequence(sequence: i32, increment: i32) -> i32 {
    // Both are in 0..=i32::MAX, and so the sum is a u32 whose lower 31 bits are the answer.
    ((sequence as u32).wrapping_add(increment as u32) & i32::MAX as u32) as i32
}

/// The bits of a batch's attributes.
pub(crate) struct Attributes;

impl Attributes {
    pub(crate) const COMPRESSION: i16 = 0x07;
    pub(crate) const LOG_APPEND_TIME: i16 = 0x08;
    pub(crate) const TRANSACTIONAL: i16 = 0x10;
    pub(crate) const CONTROL: i16 = 0x20;
    pub(crate) const DELETE_HORIZON: i16 = 0x40;
}

/// Takes fixed-size fields from the front of a header; each read is within bounds by the sum of their sizes.
struct Fields<'a> {
    rest: &'a [u8],
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) =
            self.rest.split_first_chunk().expect("the fields of a header are 61 bytes together");
        self.rest = rest;
        *field
    }
}
