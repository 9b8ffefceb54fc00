use std::sync::Arc;

use bytes::BytesMut;
use milena_records::{BatchBuilder, Compression, ProducerStamp, RecordParts, Scratch};

use super::super::testing::{NOW, first_batch, log_with};
use super::super::{EndMarker, Verified, Workspace, validate};
use super::*;
use crate::config::TopicConfig;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A compacted log that is cleaned whenever there is anything to clean, with a segment for each moment.
fn config() -> TopicConfig {
    let mut config = TopicConfig::defaults();
    (config.compact, config.delete) = (true, false);
    config.compaction.min_cleanable_ratio = 0.0;
    config.segment_ms = 0;
    config
}

const NOBODY: ProducerStamp = ProducerStamp::NONE;

fn producer(producer_id: i64, base_sequence: i32) -> ProducerStamp {
    ProducerStamp { producer_id, producer_epoch: 0, base_sequence, is_transactional: false }
}

fn transaction(producer_id: i64, base_sequence: i32) -> ProducerStamp {
    ProducerStamp { is_transactional: true, ..producer(producer_id, base_sequence) }
}

type Record = (&'static str, Option<&'static str>);

/// Appends a batch of this moment, in a segment of its own.
fn append(log: &mut PartitionLog, at_ms: i64, stamp: ProducerStamp, codec: Compression, records: &[Record]) {
    let mut builder = BatchBuilder::new(BytesMut::new(), usize::MAX);
    for (key, value) in records {
        let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
        builder
            .try_append(&RecordParts { timestamp: at_ms, key, value, headers: &[] })
            .expect("there is no limit");
    }
    let sealed = builder.seal(&codec.into(), &mut Scratch::new()).expect("compresses");
    let mut bytes = BytesMut::from(&sealed.header(&stamp)[..]);
    bytes.extend_from_slice(sealed.section());
    let config = log.config().clone();
    let valid =
        validate(&first_batch(bytes.freeze()), &config, at_ms, &mut Workspace::default()).expect("valid");
    log.append(valid, Verified::NotRequired, 0, at_ms).expect("appended");
}

fn write(log: &mut PartitionLog, at_ms: i64, records: &[Record]) {
    append(log, at_ms, NOBODY, Compression::None, records);
}

fn end(log: &mut PartitionLog, at_ms: i64, producer_id: i64, is_commit: bool) {
    let marker =
        EndMarker { producer_id, producer_epoch: 0, is_commit, coordinator_epoch: 0, transaction_version: 0 };
    log.append_marker(&marker, 0, at_ms).expect("appended");
}

fn compact(log: &mut PartitionLog, at_ms: i64) -> bool {
    log.compact(at_ms, &mut Workspace::default())
}

/// Every batch as "base-last: offset key=value ...", and whether its checksum is right.
fn stored(log: &PartitionLog) -> Vec<String> {
    let mut workspace = Workspace::default();
    let batches = log.segments.iter().flat_map(|segment| segment.batches_where(|_, _| true));
    let show = |batch: Batch| {
        batch.verify_crc().expect("the checksum is right");
        let header = *batch.header();
        let records = workspace.with_records(&batch, |section, _| {
            let show = |record: RecordRef<'_>| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                match (header.is_control(), record.key, record.value) {
                    (true, ..) => format!(" {} marker", record.offset),
                    (_, key, None) => format!(" {} -{}", record.offset, text(key.unwrap_or_default())),
                    (_, key, Some(value)) => {
                        format!(" {} {}={}", record.offset, text(key.unwrap_or_default()), text(value))
                    }
                }
            };
            section.iter().map(|record| show(record.expect("readable"))).collect::<String>()
        });
        format!("{}-{}:{}", header.base_offset, header.last_offset(), records.expect("readable"))
    };
    batches.map(show).collect()
}

#[test]
fn the_newest_record_of_each_key_stays_where_it_is() {
    let mut log = log_with(config());
    write(&mut log, NOW, &[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))]);
    write(&mut log, NOW + 1, &[("c", Some("1")), ("a", Some("3"))]);
    write(&mut log, NOW + 2, &[("b", Some("2"))]);
    assert!(compact(&mut log, NOW + 2));
    // The last batch is in the active segment: it is neither cleaned nor does it count.
    assert_eq!(stored(&log), ["0-2: 1 b=1", "3-4: 3 c=1 4 a=3", "5-5: 5 b=2"]);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 6));
    let read: Vec<u8> = log.read(0, 10_000, true).expect("within the log").concat();
    assert_eq!(first_batch(read.into()).header().last_offset(), 2, "a read in the gap finds what follows");
    assert!(!compact(&mut log, NOW + 2), "nothing is dirty any longer");
}

#[test]
fn older_parts_are_cleaned_by_what_comes_later() {
    let mut log = log_with(config());
    write(&mut log, NOW, &[("a", Some("1")), ("b", Some("1"))]);
    write(&mut log, NOW + 1, &[("x", Some("1"))]);
    assert!(compact(&mut log, NOW + 1));
    write(&mut log, NOW + 2, &[("a", Some("2"))]);
    write(&mut log, NOW + 3, &[("x", Some("2"))]);
    assert!(compact(&mut log, NOW + 3));
    assert_eq!(stored(&log), ["0-1: 1 b=1", "2-2: 2 x=1", "3-3: 3 a=2", "4-4: 4 x=2"]);
}

#[test]
fn a_log_is_cleaned_once_it_is_dirty_enough_or_has_waited_too_long() {
    let mut dirty = config();
    dirty.compaction.min_cleanable_ratio = 0.5;
    let mut log = log_with(dirty);
    for moment in 0..4 {
        write(&mut log, NOW + moment, &[("a", Some("1"))]);
    }
    assert!(compact(&mut log, NOW + 4), "all of it is dirty");
    write(&mut log, NOW + 5, &[("b", Some("1"))]);
    assert!(!compact(&mut log, NOW + 6), "one new segment beside one that is clean: not more than half");
    let mut config = (**log.config()).clone();
    config.compaction.max_lag_ms = 1000;
    log.set_config(Arc::new(config));
    assert!(!compact(&mut log, NOW + 900));
    assert!(compact(&mut log, NOW + 1100));
}

#[test]
fn segments_that_are_too_new_wait() {
    let mut config = config();
    config.compaction.min_lag_ms = 1000;
    let mut log = log_with(config);
    for moment in [0, 500, 600] {
        write(&mut log, NOW + moment, &[("a", Some("1"))]);
    }
    assert!(!compact(&mut log, NOW + 999));
    assert!(compact(&mut log, NOW + 1000));
    assert_eq!(stored(&log).len(), 3, "the second is too new, and so the first is the newest of its key");
    assert!(compact(&mut log, NOW + 1500));
    assert_eq!(stored(&log), ["1-1: 1 a=1", "2-2: 2 a=1"]);
}

#[test]
fn a_deletion_stays_readable_for_a_while() {
    let mut log = log_with(config());
    write(&mut log, NOW, &[("a", Some("1")), ("b", Some("1"))]);
    write(&mut log, NOW + 1, &[("a", None), ("c", Some("1"))]);
    write(&mut log, NOW + 2, &[("x", Some("1"))]);
    assert!(compact(&mut log, NOW + 10));
    assert_eq!(stored(&log), ["0-1: 1 b=1", "2-3: 2 -a 3 c=1", "4-4: 4 x=1"]);
    let horizons: Vec<_> = log.batches().map(|batch| batch.header().delete_horizon()).collect();
    assert_eq!(horizons, [None, Some(NOW + 10 + DAY_MS), None]);
    write(&mut log, NOW + 20, &[("y", Some("1"))]);
    assert!(compact(&mut log, NOW + 10 + DAY_MS - 1));
    assert!(stored(&log).contains(&"2-3: 2 -a 3 c=1".to_owned()));
    write(&mut log, NOW + 30, &[("z", Some("1"))]);
    assert!(compact(&mut log, NOW + 10 + DAY_MS));
    assert_eq!(stored(&log)[1], "2-3: 3 c=1");
}

#[test]
fn a_producers_last_batch_and_the_last_of_all_stay_without_records() {
    let mut log = log_with(config());
    append(&mut log, NOW, producer(7, 0), Compression::None, &[("a", Some("1"))]);
    append(&mut log, NOW + 1, producer(7, 1), Compression::None, &[("a", Some("2"))]);
    write(&mut log, NOW + 2, &[("a", Some("3"))]);
    write(&mut log, NOW + 3, &[("x", Some("1"))]);
    assert!(compact(&mut log, NOW + 3));
    assert_eq!(stored(&log), ["1-1:", "2-2: 2 a=3", "3-3: 3 x=1"]);
    let kept = log.batches().next().expect("a batch");
    assert_eq!((kept.header().producer_id, kept.header().base_sequence), (7, 1));

    let mut log = log_with(config());
    write(&mut log, NOW, &[("a", None)]);
    write(&mut log, NOW + 1, &[("x", Some("1"))]);
    assert!(compact(&mut log, NOW + 1));
    write(&mut log, NOW + 2, &[("a", None)]);
    let mut config = (**log.config()).clone();
    config.compaction.delete_retention_ms = 0;
    log.set_config(Arc::new(config));
    assert!(compact(&mut log, NOW + DAY_MS + 2));
    assert_eq!(stored(&log), ["1-1: 1 x=1", "2-2: 2 -a"]);
}

#[test]
fn compressed_batches_stay_compressed() {
    let mut log = log_with(config());
    for moment in 0..2 {
        append(&mut log, NOW + moment, NOBODY, Compression::Lz4, &[("a", Some("1")), ("b", Some("1"))]);
    }
    append(&mut log, NOW + 2, NOBODY, Compression::Lz4, &[("b", Some("2"))]);
    write(&mut log, NOW + 3, &[("x", Some("1"))]);
    assert!(compact(&mut log, NOW + 3));
    assert_eq!(stored(&log), ["2-3: 2 a=1", "4-4: 4 b=2", "5-5: 5 x=1"]);
    assert_eq!(log.batches().next().map(|batch| batch.header().compression()), Some(Ok(Compression::Lz4)));
}

#[test]
fn aborted_records_go_at_once_and_markers_when_their_records_have_been_gone_for_a_while() {
    let mut log = log_with(config());
    write(&mut log, NOW, &[("a", Some("1"))]);
    append(&mut log, NOW + 1, transaction(5, 0), Compression::None, &[("a", Some("aborted"))]);
    end(&mut log, NOW + 2, 5, false);
    append(&mut log, NOW + 3, transaction(6, 0), Compression::None, &[("b", Some("committed"))]);
    end(&mut log, NOW + 4, 6, true);
    write(&mut log, NOW + 5, &[("b", Some("2"))]);
    write(&mut log, NOW + 6, &[("x", Some("1"))]);
    log.producers_mut().forget(5);
    log.producers_mut().forget(6);
    assert!(compact(&mut log, NOW + 6));
    assert_eq!(stored(&log), ["0-0: 0 a=1", "2-2: 2 marker", "4-4: 4 marker", "5-5: 5 b=2", "6-6: 6 x=1"]);
    assert_eq!(log.aborted.iter().count(), 1, "its records were there until now");

    // The next cleaning finds no records before the markers: their time begins.
    write(&mut log, NOW + 7, &[("y", Some("1"))]);
    assert!(compact(&mut log, NOW + 7));
    assert!(stored(&log).contains(&"2-2: 2 marker".to_owned()));
    assert_eq!(log.aborted.iter().count(), 0);
    write(&mut log, NOW + 8, &[("z", Some("1"))]);
    assert!(compact(&mut log, NOW + 7 + DAY_MS));
    assert_eq!(stored(&log)[..2], ["0-0: 0 a=1", "5-5: 5 b=2"]);
}

#[test]
fn open_transactions_are_not_cleaned() {
    let mut log = log_with(config());
    write(&mut log, NOW, &[("a", Some("1"))]);
    write(&mut log, NOW + 1, &[("a", Some("2"))]);
    append(&mut log, NOW + 2, transaction(5, 0), Compression::None, &[("a", Some("3"))]);
    write(&mut log, NOW + 3, &[("a", Some("4"))]);
    write(&mut log, NOW + 4, &[("x", Some("1"))]);
    assert!(compact(&mut log, NOW + 4));
    assert_eq!(stored(&log), ["1-1: 1 a=2", "2-2: 2 a=3", "3-3: 3 a=4", "4-4: 4 x=1"]);
}

#[test]
fn other_policies_are_not_compacted() {
    let mut log = log_with(TopicConfig { compact: false, ..config() });
    for moment in 0..3 {
        write(&mut log, NOW + moment, &[("a", Some("1"))]);
    }
    assert!(!compact(&mut log, NOW + 3));
    assert_eq!(stored(&log).len(), 3);
}
