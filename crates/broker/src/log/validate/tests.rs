use milena_protocol::ErrorCode;
use milena_records::{Codec, Compression, Scratch, TimestampType};

use super::*;
use crate::log::testing::{TestBatch, first_batch, with_header};

const NOW: i64 = 1_700_000_000_000;

fn try_with(bytes: Bytes, config: &TopicConfig) -> Result<ValidBatch, AppendError> {
    validate(&only_batch(bytes, 13)?, config, NOW, &mut Workspace::default())
}

fn code(bytes: Bytes) -> ErrorCode {
    try_with(bytes, &TopicConfig::defaults()).expect_err("must be refused").code()
}

fn stored(valid: &ValidBatch) -> Batch {
    let mut bytes = BytesMut::from(&valid.header.to_bytes()[..]);
    bytes.extend_from_slice(&valid.section);
    let batch = first_batch(bytes.freeze());
    batch.verify_crc().expect("the stored checksum is right");
    batch
}

fn values(batch: &Batch) -> Vec<(i64, Vec<u8>)> {
    let section = batch.decompress(&mut Scratch::new(), &mut Vec::new()).expect("decompresses");
    let records = section.iter().map(|record| record.expect("well-formed"));
    records.map(|record| (record.timestamp, record.value.expect("a value").to_vec())).collect()
}

#[test]
fn a_good_batch_is_kept_as_it_came() {
    let bytes = TestBatch::at(&[NOW, NOW + 5]).bytes();
    let valid = try_with(bytes.clone(), &TopicConfig::defaults()).expect("valid");
    assert_eq!(valid.section.as_ptr(), bytes[BATCH_HEADER_LEN..].as_ptr(), "the section is not copied");
    assert_eq!(stored(&valid).bytes(), &bytes);
    assert_eq!((valid.header.max_timestamp, valid.log_append_time_ms), (NOW + 5, None));
}

#[test]
fn there_must_be_exactly_one_whole_batch() {
    let one = TestBatch::at(&[NOW]).bytes();
    assert_eq!(code(Bytes::new()), ErrorCode::InvalidRecord);
    assert_eq!(code(one.slice(..one.len() - 1)), ErrorCode::InvalidRecord);
    assert_eq!(code(Bytes::from([&one[..], &one[..]].concat())), ErrorCode::InvalidRecord);
}

#[test]
fn other_magics_are_refused() {
    for (magic, expected) in
        [(0, ErrorCode::InvalidRecord), (1, ErrorCode::InvalidRecord), (3, ErrorCode::CorruptMessage)]
    {
        let mut bytes = TestBatch::at(&[NOW]).bytes().to_vec();
        bytes[16] = magic;
        assert_eq!(code(Bytes::from(bytes)), expected, "magic {magic}");
    }
}

#[test]
fn a_wrong_checksum_is_corrupt() {
    let mut bytes = TestBatch::at(&[NOW]).bytes().to_vec();
    *bytes.last_mut().expect("not empty") ^= 1;
    assert_eq!(code(Bytes::from(bytes)), ErrorCode::CorruptMessage);
}

#[test]
fn the_size_limit_is_the_topics() {
    let bytes = TestBatch::at(&[NOW]).bytes();
    let limited = |max_message_bytes| TopicConfig { max_message_bytes, ..TopicConfig::defaults() };
    assert!(try_with(bytes.clone(), &limited(bytes.len())).is_ok());
    let error = try_with(bytes.clone(), &limited(bytes.len() - 1)).expect_err("too large");
    assert_eq!(error.code(), ErrorCode::MessageTooLarge);
    assert!(!error.tells_log_start_offset());
}

#[test]
fn a_batch_must_fit_into_a_segment() {
    let config = TopicConfig { segment_bytes: 70, ..TopicConfig::defaults() };
    let error = try_with(TestBatch::at(&[NOW]).bytes(), &config).expect_err("larger than a segment");
    assert_eq!(error.code(), ErrorCode::RecordListTooLarge);
}

#[test]
fn headers_that_contradict_themselves_are_invalid() {
    type Change = fn(&mut BatchHeader);
    let changes: [(&str, Change); 5] = [
        ("base offset", |header| header.base_offset = 1),
        ("count", |header| header.records_count = 3),
        ("no records", |header| header.records_count = 0),
        ("control batch", |header| header.attributes |= 0x20),
        ("producer without sequence", |header| header.producer_id = 5),
    ];
    let bytes = TestBatch::at(&[NOW, NOW]).bytes();
    for (what, change) in changes {
        assert_eq!(code(with_header(&bytes, change)), ErrorCode::InvalidRecord, "{what}");
    }
}

#[test]
fn records_that_do_not_match_the_count_are_invalid() {
    let bytes = TestBatch::at(&[NOW, NOW]).bytes();
    let fewer = with_header(&bytes, |header| {
        header.records_count = 1;
        header.last_offset_delta = 0;
    });
    assert_eq!(code(fewer), ErrorCode::InvalidRecord);
}

#[test]
fn zstd_needs_produce_version_7() {
    let bytes = TestBatch::at(&[NOW]).compressed(Compression::Zstd).bytes();
    assert_eq!(
        only_batch(bytes.clone(), 6).expect_err("too old").code(),
        ErrorCode::UnsupportedCompressionType
    );
    assert!(only_batch(bytes, 7).is_ok());
}

#[test]
fn timestamps_outside_the_window_are_named_record_by_record() {
    let config = TopicConfig {
        timestamp_before_max_ms: 1_000,
        timestamp_after_max_ms: 500,
        ..TopicConfig::defaults()
    };
    let bytes = TestBatch::at(&[NOW - 1_000, NOW - 1_001, NOW + 500, NOW + 501, -1]).bytes();
    let error = try_with(bytes, &config).expect_err("two are out of range");
    assert_eq!(error.code(), ErrorCode::InvalidTimestamp);
    let AppendError::InvalidRecords { errors, message, .. } = error else { panic!("names the records") };
    assert_eq!(errors.iter().map(|error| error.index).collect::<Vec<_>>(), [1, 3]);
    assert!(message.starts_with("batch refused, invalid timestamps (2 in all): timestamp"), "{message}");
}

#[test]
fn compacted_topics_demand_keys() {
    let config = TopicConfig { compact: true, ..TopicConfig::defaults() };
    let mut batch = TestBatch::at(&[NOW, NOW]);
    batch.records[1].1 = Some(b"key");
    let error = try_with(batch.bytes(), &config).expect_err("the first record has no key");
    assert_eq!(error.code(), ErrorCode::InvalidRecord);
    let AppendError::InvalidRecords { errors, .. } = error else { panic!("names the records") };
    assert_eq!(errors.iter().map(|error| error.index).collect::<Vec<_>>(), [0]);
}

#[test]
fn log_append_time_replaces_timestamps_and_keeps_the_checksum_right() {
    let config = TopicConfig { timestamp_type: TimestampType::LogAppendTime, ..TopicConfig::defaults() };
    for codec in [Codec::NONE, Codec::new(Compression::Lz4)] {
        let valid = try_with(TestBatch::at(&[1, 2]).compressed(codec).bytes(), &config).expect("valid");
        assert_eq!(valid.log_append_time_ms, Some(NOW));
        let batch = stored(&valid);
        assert_eq!(batch.header().timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(values(&batch).iter().map(|(timestamp, _)| *timestamp).collect::<Vec<_>>(), [NOW, NOW]);
    }
}

#[test]
fn a_wrong_greatest_timestamp_is_set_right() {
    let bytes =
        with_header(&TestBatch::at(&[NOW, NOW + 7]).bytes(), |header| header.max_timestamp = NOW + 99);
    let valid = try_with(bytes, &TopicConfig::defaults()).expect("valid");
    assert_eq!(stored(&valid).header().max_timestamp, NOW + 7);
}

#[test]
fn a_topics_compression_overrides_the_producers() {
    for (from, to) in [
        (Compression::Gzip, Codec::NONE),
        (Compression::None, Codec::new(Compression::Zstd)),
        (Compression::Snappy, Codec::new(Compression::Lz4)),
    ] {
        let config = TopicConfig { compression: Some(to), ..TopicConfig::defaults() };
        let sent = TestBatch::at(&[NOW, NOW + 3]).by(4, 1, 9).compressed(from);
        let batch = stored(&try_with(sent.bytes(), &config).expect("valid"));
        assert_eq!(batch.header().compression(), Ok(to.compression()));
        assert_eq!(values(&batch), values(&sent.batch()));
        let header = batch.header();
        assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (4, 1, 9));
    }
}

#[test]
fn data_that_does_not_decompress_is_refused() {
    let mut bytes = TestBatch::at(&[NOW]).bytes().to_vec();
    bytes[22] |= Compression::Gzip.id();
    let bytes = with_header(&Bytes::from(bytes), |_| ());
    assert_eq!(code(bytes), ErrorCode::UnknownServerError);
}
