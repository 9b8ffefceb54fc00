//! Bytes that nobody sane sends: nothing panics, nothing loops, and memory stays in step with what was received.

use crate::common::{build, golden};
use allocation_counter::measure;
use bytes::Bytes;
use milena_records::{
    BatchHeader, Batches, Codec, CodecError, Compression, ProducerStamp, RecordParts, RecordsError, Scratch,
};
use proptest::prelude::*;

/// Reads everything there is to read.
fn read_all(bytes: Bytes, scratch: &mut Scratch) {
    let mut batches = Batches::new(bytes);
    for batch in batches.by_ref().flatten() {
        let _ = batch.verify_crc();
        let _ = batch.control_type(scratch);
        let Ok(section) = batch.decompress(scratch, &mut Vec::new()) else { continue };
        for record in section.iter().flatten() {
            assert!(record.headers().count() <= section.len());
        }
    }
    let _ = batches.remainder();
}

/// The section as a batch of this many records, compressed as it says.
fn with_section(compression: Compression, records_count: i32, section: &[u8]) -> Bytes {
    let mut header = BatchHeader::new(0, &ProducerStamp::NONE);
    header.attributes = i16::from(compression.id());
    header.batch_length += section.len() as i32;
    header.records_count = records_count;
    [&header.to_bytes()[..], section].concat().into()
}

fn first_error(bytes: Bytes, scratch: &mut Scratch) -> RecordsError {
    let batch = Batches::new(bytes).next().unwrap().unwrap();
    match batch.decompress(scratch, &mut Vec::new()) {
        Ok(section) => section.iter().find_map(Result::err).expect("something is wrong with it"),
        Err(error) => error,
    }
}

fn codec_error(bytes: Bytes, scratch: &mut Scratch) -> CodecError {
    match first_error(bytes, scratch) {
        RecordsError::Codec { error, .. } => error,
        other => panic!("not the codec's: {other}"),
    }
}

#[test]
fn every_truncation_of_a_golden_batch_is_survived() {
    let scratch = &mut Scratch::new();
    for case in golden().values().filter(|case| case.bytes.len() < 1000) {
        for len in 0..case.bytes.len() {
            read_all(case.bytes.slice(..len), scratch);
        }
    }
}

#[test]
fn every_truncation_of_a_compressed_section_is_an_error() {
    let scratch = &mut Scratch::new();
    for compression in &Compression::ALL[1..] {
        let value = b"a user views a product ".repeat(40);
        let record = RecordParts { value: Some(&value), ..RecordParts::default() };
        let sealed = build(&[record], &Codec::new(*compression), scratch);
        for len in 0..sealed.section().len() {
            first_error(with_section(*compression, 1, &sealed.section()[..len]), scratch);
        }
    }
}

proptest! {
    #[test]
    fn damaged_golden_batches_are_survived(
        which: prop::sample::Index,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let cases = golden();
        let case = cases.values().nth(which.index(cases.len())).unwrap();
        let mut bytes = case.bytes.to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_all(bytes.into(), &mut Scratch::with_limit(1 << 20));
    }

    #[test]
    fn arbitrary_bytes_are_survived(bytes: Vec<u8>, records_count in 0i32..100) {
        let scratch = &mut Scratch::with_limit(1 << 20);
        for compression in Compression::ALL {
            read_all(with_section(compression, records_count, &bytes), scratch);
        }
        read_all(bytes.into(), scratch);
    }
}

#[test]
fn a_header_that_cannot_be_is_named() {
    let good = with_section(Compression::None, 0, &[]);
    let damaged = |at: usize, bytes: &[u8]| {
        let mut batch = good.to_vec();
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        Batches::new(batch.into()).next().unwrap().unwrap_err().to_string()
    };
    assert_eq!(damaged(16, &[3]), "batch at offset 0: invalid magic 3");
    assert_eq!(damaged(8, &(-1i32).to_be_bytes()), "batch at offset 0: invalid batch length -1");
    assert_eq!(damaged(8, &48i32.to_be_bytes()), "batch at offset 0: invalid batch length 48");
    assert_eq!(damaged(57, &(-1i32).to_be_bytes()), "batch at offset 0: invalid record count -1");
    assert_eq!(damaged(23, &(-1i32).to_be_bytes()), "batch at offset 0: invalid last offset delta -1");
    let last = i64::MAX;
    assert_eq!(
        damaged(0, &last.to_be_bytes()),
        format!("batch at offset {last}: invalid base offset {last}")
    );
    assert_eq!(
        first_error(with_section_attributes(7), &mut Scratch::new()).to_string(),
        "batch at offset 0: unknown compression 7"
    );
}

fn with_section_attributes(attributes: i16) -> Bytes {
    let mut header = BatchHeader::new(0, &ProducerStamp::NONE);
    header.attributes = attributes;
    Bytes::copy_from_slice(&header.to_bytes())
}

#[test]
fn a_record_that_cannot_be_is_named_after_the_good_ones() {
    // Length, attributes, timestamp delta, offset delta, null key, null value, no headers.
    let good = [12, 0, 0, 0, 1, 1, 0];
    for (bad, what) in [
        (&[][..], "it has no valid length"),
        (&[0x80], "it has no valid length"),
        (&[1], "its length is negative"),
        (&[2, 0], "it has no valid timestamp delta"),
        (&[0], "it ends before its attributes"),
        (&[14, 0, 0], "it is longer than what is left of its batch"),
        (&[0xfe, 0xff, 0xff, 0xff, 0x0f], "it is longer than what is left of its batch"),
        (&[4, 0, 0], "it has no valid offset delta"),
        (&[8, 0, 0, 0, 2], "it ends within its key"),
        (&[18, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0], "it ends within its key"),
        (&[10, 0, 0, 0, 1, 4], "it ends within its value"),
        (&[10, 0, 0, 0, 1, 1], "it has no valid header count"),
        (&[12, 0, 0, 0, 1, 1, 1], "its header count is negative"),
        (&[20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f], "it has an invalid header"),
        // A header with a null key.
        (&[16, 0, 0, 0, 1, 1, 2, 1, 1], "it has an invalid header"),
        (&[14, 0, 0, 0, 1, 1, 0, 0], "bytes are left after its last header"),
    ] {
        let batch = with_section(Compression::None, 2, &[&good, bad].concat());
        let batch = Batches::new(batch).next().unwrap().unwrap();
        let section = batch.decompress(&mut Scratch::new(), &mut Vec::new()).unwrap();
        let mut records = section.iter();
        assert_eq!(records.next().unwrap().unwrap().offset, 0);
        let expected = RecordsError::InvalidRecord { base_offset: 0, index: 1, what };
        assert_eq!(records.next().unwrap(), Err(expected), "{bad:?}");
        assert_eq!(records.next(), None);
    }
}

#[test]
fn a_count_that_is_too_small_is_found() {
    let two = [12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 2, 1, 1, 0];
    let error = first_error(with_section(Compression::None, 1, &two), &mut Scratch::new());
    assert_eq!(error.to_string(), "batch at offset 0: record 1: bytes are left after the last record");
}

/// A section that says much and is little: 64 MiB of zeros.
fn bomb(compression: Compression) -> Bytes {
    let value = vec![0; 64 << 20];
    let record = RecordParts { value: Some(&value), ..RecordParts::default() };
    let sealed = build(&[record], &Codec::new(compression), &mut Scratch::new());
    with_section(compression, 1, sealed.section())
}

#[test]
fn a_bomb_stops_at_the_limit() {
    const LIMIT: usize = 1 << 20;
    for &compression in &Compression::ALL[1..] {
        let bomb = bomb(compression);
        let mut error = None;
        let allocated = measure(|| error = Some(codec_error(bomb.clone(), &mut Scratch::with_limit(LIMIT))));
        assert_eq!(error, Some(CodecError::LimitExceeded { compression, limit: LIMIT }));
        assert!(allocated.bytes_max < 8 * LIMIT as u64, "{compression}: {allocated:?}");
    }
}

#[test]
fn a_claim_allocates_nothing() {
    let lz4_claim = {
        // Version 1, content size in the header, blocks of 4 MiB; the header's checksum is right.
        let mut frame = vec![0x04, 0x22, 0x4d, 0x18, 0x68, 0x70];
        frame.extend_from_slice(&u64::MAX.to_le_bytes());
        frame.extend_from_slice(&[0x2e, 8, 0, 0, 0x80, 1, 2, 3, 4, 5, 6, 7, 8]);
        frame
    };
    for (compression, section) in [
        // Raw blocks of 4 GiB, and of 100 MB, which is within the limit.
        (Compression::Snappy, vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1]),
        (Compression::Snappy, vec![0x80, 0xc2, 0xd7, 0x2f, 0, 1]),
        // The same in xerial framing, and a frame of 2 GiB.
        (
            Compression::Snappy,
            [b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x06", &[0xff, 0xff, 0xff, 0xff, 0x0f, 0][..]].concat(),
        ),
        (Compression::Snappy, b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\x7f\xff\xff\xffabc".to_vec()),
        (Compression::Lz4, lz4_claim),
        // A single segment of 2^63 bytes, and a window of 2^41 - 2^38.
        (
            Compression::Zstd,
            [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &(1u64 << 63).to_le_bytes(), &[1, 0, 0]].concat(),
        ),
        (Compression::Zstd, vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 9, 0, 0, 1]),
    ] {
        let batch = with_section(compression, 1, &section);
        let allocated = measure(|| drop(first_error(batch.clone(), &mut Scratch::new())));
        assert!(allocated.bytes_max < 1 << 20, "{compression}: {allocated:?}");
    }
}

#[test]
fn the_limit_is_exact() {
    let value = b"a user views a product ".repeat(10_000);
    let record = RecordParts { value: Some(&value), ..RecordParts::default() };
    for &compression in &Compression::ALL[1..] {
        let scratch = &mut Scratch::new();
        let sealed = build(&[record], &Codec::new(compression), scratch);
        let len = sealed.records(scratch).unwrap().len();
        assert!(sealed.records(&mut Scratch::with_limit(len)).is_ok());
        let batch = with_section(compression, 1, sealed.section());
        let error = codec_error(batch, &mut Scratch::with_limit(len - 1));
        assert_eq!(error, CodecError::LimitExceeded { compression, limit: len - 1 });
    }
}
