//! Messages of magic 0 and 1 that Kafka's classes do not write, but that are in old logs, or must be refused.

use bytes::Bytes;
use milena_records::{Batch, Batches, RecordsError, Scratch, TimestampType};

const TIME: i64 = 1_500_000_000_000;

struct Message<'a> {
    offset: i64,
    magic: u8,
    attributes: u8,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl Default for Message<'_> {
    fn default() -> Self {
        Self { offset: 0, magic: 1, attributes: 0, timestamp: TIME, key: None, value: Some(b"checkout") }
    }
}

impl Message<'_> {
    fn encode(&self) -> Vec<u8> {
        let nullable = |bytes: Option<&[u8]>| match bytes {
            None => (-1i32).to_be_bytes().to_vec(),
            Some(bytes) => [&(bytes.len() as i32).to_be_bytes()[..], bytes].concat(),
        };
        let mut covered = vec![self.magic, self.attributes];
        if self.magic == 1 {
            covered.extend_from_slice(&self.timestamp.to_be_bytes());
        }
        covered.extend_from_slice(&nullable(self.key));
        covered.extend_from_slice(&nullable(self.value));
        let size = 4 + covered.len() as i32;
        let crc = crc32(&covered);
        [&self.offset.to_be_bytes()[..], &size.to_be_bytes(), &crc.to_be_bytes(), &covered].concat()
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

/// A wrapper around these messages, compressed with snappy as its attributes should say.
fn wrap(wrapper: Message<'_>, inner: &[Message<'_>]) -> Bytes {
    let inner: Vec<u8> = inner.iter().flat_map(Message::encode).collect();
    let value = snap::raw::Encoder::new().compress_vec(&inner).unwrap();
    Message { value: Some(&value), ..wrapper }.encode().into()
}

const SNAPPY: u8 = 2;
const LOG_APPEND_TIME: u8 = 8;

fn only_batch(bytes: Bytes) -> Batch {
    let mut batches = Batches::new(bytes);
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none());
    batch.verify_crc().unwrap();
    batch
}

fn read(bytes: Bytes) -> Vec<Result<(i64, i64), RecordsError>> {
    let section = only_batch(bytes).decompress(&mut Scratch::new(), &mut Vec::new()).unwrap();
    section.iter().map(|record| record.map(|record| (record.offset, record.timestamp))).collect()
}

fn refused(bytes: Bytes) -> String {
    only_batch(bytes).decompress(&mut Scratch::new(), &mut Vec::new()).unwrap_err().to_string()
}

#[test]
fn relative_offsets_count_back_from_the_wrappers() {
    let inner = [0, 1, 5].map(|offset| Message { offset, ..Message::default() });
    let wrapper = Message { offset: 105, attributes: SNAPPY, ..Message::default() };
    assert_eq!(read(wrap(wrapper, &inner)), [Ok((100, TIME)), Ok((101, TIME)), Ok((105, TIME))]);
}

#[test]
fn a_wrapper_at_offset_0_leaves_the_offsets_as_they_are() {
    let inner = [0, 1].map(|offset| Message { offset, ..Message::default() });
    let wrapper = Message { offset: 0, attributes: SNAPPY, ..Message::default() };
    assert_eq!(read(wrap(wrapper, &inner)), [Ok((0, TIME)), Ok((1, TIME))]);
}

#[test]
fn the_wrappers_append_time_is_every_messages() {
    let inner = [0, 1].map(|offset| Message { offset, timestamp: 5, ..Message::default() });
    let wrapper = Message { offset: 11, attributes: SNAPPY | LOG_APPEND_TIME, ..Message::default() };
    let bytes = wrap(wrapper, &inner);
    assert_eq!(only_batch(bytes.clone()).header().timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(read(bytes), [Ok((10, TIME)), Ok((11, TIME))]);
}

#[test]
fn messages_of_magic_0_have_absolute_offsets_and_no_timestamp() {
    let inner = [20, 22].map(|offset| Message { offset, magic: 0, ..Message::default() });
    let wrapper = Message { offset: 22, magic: 0, attributes: SNAPPY, ..Message::default() };
    assert_eq!(read(wrap(wrapper, &inner)), [Ok((20, -1)), Ok((22, -1))]);
}

#[test]
fn the_header_of_a_message_is_that_of_a_batch() {
    let header = *only_batch(Message { offset: 9, ..Message::default() }.encode().into()).header();
    assert_eq!((header.base_offset, header.last_offset(), header.next_offset()), (9, 9, 10));
    assert_eq!((header.magic, header.records_count), (1, 1));
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (-1, -1, -1));
    assert_eq!((header.base_timestamp, header.max_timestamp), (TIME, TIME));
    assert!(!header.is_control() && !header.is_transactional());
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let wrapper = || Message { offset: 3, attributes: SNAPPY, ..Message::default() };
    let message = |offset| Message { offset, ..Message::default() };
    for (bytes, what) in [
        (wrap(wrapper(), &[message(4)]), "its offset is less than that of its last message"),
        (wrap(wrapper(), &[]), "a compressed message has no messages in it"),
        (Message { value: None, ..wrapper() }.encode().into(), "a compressed message has no value"),
        (Message { attributes: 4, ..wrapper() }.encode().into(), "zstd is not for messages before magic 2"),
    ] {
        assert_eq!(refused(bytes), format!("batch at offset 3: record 0: {what}"));
    }
    let nested =
        wrap(wrapper(), &[message(0), Message { offset: 3, attributes: SNAPPY, ..Message::default() }]);
    let records = read(nested);
    assert_eq!(records[0], Ok((0, TIME)));
    let what = "it is compressed within a compressed message";
    assert_eq!(records[1..], [Err(RecordsError::InvalidRecord { base_offset: 3, index: 1, what })]);
}

#[test]
fn a_damaged_message_fails_its_checksum() {
    let mut bytes = Message::default().encode();
    *bytes.last_mut().unwrap() ^= 1;
    let batch = Batches::new(bytes.into()).next().unwrap().unwrap();
    assert!(matches!(batch.verify_crc(), Err(RecordsError::CrcMismatch { .. })));
}
