//! The formats before Kafka 0.11, read only: messages of magic 0 and 1 (Java: `LegacyRecord`,
//! `AbstractLegacyRecordBatch`).
//!
//! ```text
//! offset i64 | size i32 | crc u32 | magic i8 | attributes i8 | timestamp i64 (magic 1) | key | value
//! ```
//! Key and value have their length in front, as an i32; -1 is null. A compressed set of messages is the value of a
//! wrapper message, whose offset is that of the last message in it. The messages within have absolute offsets in magic
//! 0, and offsets relative to the first in magic 1.

use crate::Compression;
use crate::codec::Scratch;
use crate::error::RecordsError;
use crate::header::{
    BatchHeader, LOG_OVERHEAD, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
    NO_TIMESTAMP, TimestampType,
};
use crate::record::{NO_HEADERS, RecordRef, RecordSection, SectionFormat};
use bytes::Bytes;

/// The shortest message: of magic 0, with neither key nor value.
pub(crate) const LEGACY_LEN_MIN: usize = LOG_OVERHEAD + 14;

/// Presents the message that is all of `bytes` as a batch.
pub(crate) fn parse_header(bytes: &[u8]) -> Result<BatchHeader, RecordsError> {
    let base_offset = bytes.first_chunk().map_or(0, |offset| i64::from_be_bytes(*offset));
    let message = Message::take(&mut &bytes[..]).map_err(|what| RecordsError::InvalidRecord {
        base_offset,
        index: 0,
        what,
    })?;
    let timestamp = message.timestamp.unwrap_or(NO_TIMESTAMP);
    Ok(BatchHeader {
        base_offset,
        batch_length: (bytes.len() - LOG_OVERHEAD) as i32,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        magic: message.magic,
        crc: message.crc,
        attributes: i16::from(message.attributes),
        last_offset_delta: 0,
        base_timestamp: timestamp,
        max_timestamp: timestamp,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        base_sequence: NO_SEQUENCE,
        records_count: if message.is_compressed() { -1 } else { 1 },
    })
}

/// The records of the message that is all of `bytes`: itself, or what it wraps.
pub(crate) fn section(
    header: &BatchHeader,
    bytes: Bytes,
    scratch: &mut Scratch,
    buffer: &mut Vec<u8>,
) -> Result<RecordSection, RecordsError> {
    let invalid = |what| RecordsError::InvalidRecord { base_offset: header.base_offset, index: 0, what };
    let compression = header.compression()?;
    if compression == Compression::None {
        return Ok(RecordSection::new(
            bytes,
            1,
            header.base_offset,
            SectionFormat::Legacy { offset_base: 0, append_timestamp: None },
        ));
    }
    if compression == Compression::Zstd {
        return Err(invalid("zstd is not for messages before magic 2"));
    }
    let wrapper = Message::take(&mut &bytes[..]).map_err(invalid)?;
    let compressed = wrapper.value.ok_or_else(|| invalid("a compressed message has no value"))?;
    let (data, capacity) = scratch.decompress(compression, compressed, buffer, header.base_offset)?;

    let Extent { record_count, last_offset } = extent(header, &data)?;
    let offset_base = match (wrapper.magic, header.base_offset) {
        (0, _) => 0,
        // Some versions of librdkafka left the wrapper's offset at 0 in what they produced.
        (_, 0) => 0,
        (_, wrapper_offset) if wrapper_offset < last_offset => {
            return Err(invalid("its offset is less than that of its last message"));
        }
        (_, wrapper_offset) => wrapper_offset.wrapping_sub(last_offset),
    };
    let append_timestamp = (header.timestamp_type() == TimestampType::LogAppendTime)
        .then_some(header.max_timestamp)
        .filter(|_| wrapper.magic > 0);
    let format = SectionFormat::Legacy { offset_base, append_timestamp };
    Ok(RecordSection::new(data, record_count, header.base_offset, format).in_buffer(capacity))
}

/// What a walk over the messages of a set tells.
struct Extent {
    record_count: u32,
    /// The last message's offset, as it stands there.
    last_offset: i64,
}

fn extent(header: &BatchHeader, mut data: &[u8]) -> Result<Extent, RecordsError> {
    let mut extent = Extent { record_count: 0, last_offset: 0 };
    while !data.is_empty() {
        // A bad message is reported when the records before it have been read.
        let Ok(message) = Message::take(&mut data) else {
            extent.record_count += 1;
            break;
        };
        extent.record_count += 1;
        extent.last_offset = message.offset;
    }
    match extent.record_count {
        0 => Err(RecordsError::InvalidRecord {
            base_offset: header.base_offset,
            index: 0,
            what: "a compressed message has no messages in it",
        }),
        _ => Ok(extent),
    }
}

/// The first message of `input`, as a record, and what follows it.
#[inline(never)]
pub(crate) fn split_record(
    mut input: &[u8],
    offset_base: i64,
    append_timestamp: Option<i64>,
) -> Result<(RecordRef<'_>, &[u8]), &'static str> {
    let message = Message::take(&mut input)?;
    if message.is_compressed() {
        return Err("it is compressed within a compressed message");
    }
    let record = RecordRef {
        offset: offset_base.wrapping_add(message.offset),
        timestamp: match (message.timestamp, append_timestamp) {
            (None, _) => NO_TIMESTAMP,
            (Some(own), None) => own,
            (Some(_), Some(append)) => append,
        },
        key: message.key,
        value: message.value,
        raw_headers: NO_HEADERS,
    };
    Ok((record, input))
}

struct Message<'a> {
    offset: i64,
    crc: u32,
    magic: u8,
    attributes: u8,
    timestamp: Option<i64>,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    fn take(input: &mut &'a [u8]) -> Result<Self, &'static str> {
        const CUT_OFF: &str = "it is cut off";
        let mut head = *input;
        let offset = take_array(&mut head).map(i64::from_be_bytes).ok_or(CUT_OFF)?;
        let size = take_array(&mut head).map(i32::from_be_bytes).ok_or(CUT_OFF)?;
        let size = usize::try_from(size).map_err(|_| "its size is negative")?;
        let (mut body, rest) = head.split_at_checked(size).ok_or(CUT_OFF)?;
        let too_small = "it is smaller than its fields";
        let crc = take_array(&mut body).map(u32::from_be_bytes).ok_or(too_small)?;
        let [magic, attributes] = take_array(&mut body).ok_or(too_small)?;
        let timestamp = match magic {
            0 => None,
            1 => Some(take_array(&mut body).map(i64::from_be_bytes).ok_or(too_small)?),
            _ => return Err("its magic is neither 0 nor 1"),
        };
        let key = take_nullable(&mut body).ok_or("it ends within its key")?;
        let value = take_nullable(&mut body).ok_or("it ends within its value")?;
        *input = rest;
        Ok(Self { offset, crc, magic, attributes, timestamp, key, value })
    }

    fn is_compressed(&self) -> bool {
        self.attributes & 0x07 != 0
    }
}

fn take_array<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (array, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(*array)
}

/// The outer `None` is malformed, the inner one null.
fn take_nullable<'a>(input: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match take_array(input).map(i32::from_be_bytes)? {
        ..0 => Some(None),
        len => {
            let (bytes, rest) = input.split_at_checked(len as usize)?;
            *input = rest;
            Some(Some(bytes))
        }
    }
}
