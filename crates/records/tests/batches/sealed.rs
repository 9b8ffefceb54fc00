//! A sealed batch: its header is stamped again and again, its section stays; a split keeps every record.

use crate::common::build;
use bytes::{Bytes, BytesMut};
use milena_records::{
    BATCH_HEADER_LEN, Batch, BatchBuilder, Batches, Codec, Compression, HeaderRef, ProducerStamp,
    RecordParts, Scratch, SealedBatch, SplitBatch, increment_sequence,
};

const TIME: i64 = 1_700_000_000_000;

fn stamped(sealed: &SealedBatch, stamp: &ProducerStamp) -> Batch {
    let wire: Bytes = [&sealed.header(stamp)[..], sealed.section()].concat().into();
    let batch = Batches::new(wire).next().unwrap().unwrap();
    batch.verify_crc().unwrap();
    batch
}

fn records() -> Vec<(i64, String, String)> {
    (0..500)
        .map(|i: i64| (TIME + (i * 7919) % 1000 - 500, format!("user-{i}"), "x".repeat((i % 90) as usize)))
        .collect()
}

fn sealed(codec: &Codec) -> SealedBatch {
    let mut builder = BatchBuilder::new(BytesMut::new(), usize::MAX);
    for (timestamp, key, value) in &records() {
        let headers = [HeaderRef { key, value: Some(value.as_bytes()) }];
        let record = RecordParts {
            timestamp: *timestamp,
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            headers: &headers,
        };
        builder.try_append(&record).unwrap();
    }
    builder.seal(codec, &mut Scratch::new()).unwrap()
}

#[test]
fn a_stamp_changes_the_header_alone_and_the_checksum_stays_right() {
    for compression in Compression::ALL {
        let sealed = sealed(&Codec::new(compression));
        let section = sealed.section().clone();
        for producer_epoch in 0..3 {
            let stamp = ProducerStamp {
                producer_id: 4_000_000_000,
                producer_epoch,
                base_sequence: i32::MAX - 5,
                is_transactional: producer_epoch == 2,
            };
            let header = *stamped(&sealed, &stamp).header();
            assert_eq!(header.producer_id, stamp.producer_id);
            assert_eq!(header.producer_epoch, producer_epoch);
            assert_eq!(header.base_sequence, stamp.base_sequence);
            assert_eq!(header.is_transactional(), stamp.is_transactional);
            assert_eq!(header.last_sequence(), 499 - 6);
            assert_eq!((header.base_offset, header.partition_leader_epoch), (0, -1));
            assert_eq!(sealed.section().as_ptr(), section.as_ptr());
        }
    }
}

#[test]
fn lengths_before_and_after_compression_are_told() {
    let plain = sealed(&Codec::NONE);
    assert_eq!(plain.encoded_len(), plain.uncompressed_len());
    assert_eq!(plain.encoded_len(), BATCH_HEADER_LEN + plain.section().len());
    let compressed = sealed(&Codec::new(Compression::Lz4));
    assert_eq!(compressed.uncompressed_len(), plain.encoded_len());
    assert!(compressed.encoded_len() < plain.encoded_len() / 2);
}

#[test]
fn a_split_keeps_every_record_in_order_with_its_timestamp() {
    let scratch = &mut Scratch::new();
    for compression in Compression::ALL {
        let whole = sealed(&Codec::new(compression));
        for limit in [100, 1000, 10_000, usize::MAX] {
            let pieces = whole.split(limit, scratch).unwrap();
            let mut expected = records().into_iter();
            let mut first_index = 0;
            for SplitBatch { first_index: index, batch } in &pieces {
                assert_eq!(*index, first_index);
                assert!(batch.uncompressed_len() <= limit || batch.record_count() == 1);
                assert_eq!(batch.compression(), compression);
                let section =
                    stamped(batch, &ProducerStamp::NONE).decompress(scratch, &mut Vec::new()).unwrap();
                for record in &section {
                    let (record, (timestamp, key, value)) = (record.unwrap(), expected.next().unwrap());
                    assert_eq!(record.timestamp, timestamp);
                    assert_eq!(record.key, Some(key.as_bytes()));
                    assert_eq!(record.value, Some(value.as_bytes()));
                    let header = record.headers().next().unwrap();
                    assert_eq!((header.key, header.value), (key.as_bytes(), Some(value.as_bytes())));
                }
                first_index += batch.record_count();
            }
            assert_eq!(expected.next(), None);
            assert_eq!(pieces.len() == 1, limit == usize::MAX);
        }
    }
}

#[test]
fn a_single_record_cannot_be_split() {
    let value = vec![7; 5000];
    let record = RecordParts { value: Some(&value), ..RecordParts::default() };
    let whole = build(&[record], &Codec::NONE, &mut Scratch::new());
    assert_eq!(whole.split(100, &mut Scratch::new()).unwrap().len(), 1);
}

#[test]
fn the_timestamps_for_acknowledgements_come_back() {
    let sealed = sealed(&Codec::new(Compression::Zstd));
    let section = sealed.records(&mut Scratch::new()).unwrap();
    let timestamps: Vec<_> = section.iter().map(|record| record.unwrap().timestamp).collect();
    assert_eq!(timestamps, records().iter().map(|(timestamp, ..)| *timestamp).collect::<Vec<_>>());
    assert_eq!(sealed.max_timestamp(), *timestamps.iter().max().unwrap());
    assert_eq!(sealed.base_timestamp(), timestamps[0]);
}

#[test]
fn a_buffer_comes_back_when_nobody_else_holds_it() {
    let sealed = sealed(&Codec::NONE);
    let (in_flight, len) = (sealed.section().clone(), sealed.section().len());
    assert!(sealed.clone().recycle().is_none());
    drop(in_flight);
    assert!(sealed.recycle().unwrap().capacity() >= len);
}

#[test]
fn a_reader_stops_and_goes_on_with_a_cursor() {
    let section = sealed(&Codec::NONE).records(&mut Scratch::new()).unwrap();
    let mut cursor = Default::default();
    let mut offsets = Vec::new();
    while (offsets.len() as u32) < section.record_count() {
        let mut records = section.iter_from(cursor);
        offsets.extend(records.by_ref().take(7).map(|record| record.unwrap().offset));
        cursor = records.cursor();
    }
    assert_eq!(offsets, (0..500).collect::<Vec<i64>>());
    assert!(section.iter_from(cursor).next().is_none());
}

#[test]
fn sequences_wrap_to_zero() {
    assert_eq!(increment_sequence(0, 1), 1);
    assert_eq!(increment_sequence(i32::MAX, 1), 0);
    assert_eq!(increment_sequence(i32::MAX - 1, 3), 1);
    assert_eq!(increment_sequence(i32::MAX, i32::MAX), i32::MAX - 1);
    assert_eq!(increment_sequence(0, i32::MAX), i32::MAX);
}
