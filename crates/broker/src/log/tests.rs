use milena_records::{Batches, Compression};

use super::testing::{NOW, TestBatch, log, log_with};
use super::*;

fn append(log: &mut PartitionLog, batch: &TestBatch) -> Appended {
    let config = log.config().clone();
    let batch = only_batch(batch.bytes(), 13).expect("one batch");
    let valid = validate(&batch, &config, NOW, &mut Workspace::default()).expect("valid");
    let leader_epoch = log.latest_leader_epoch().expect("a leader has begun");
    log.append(valid, Verified::NotRequired, leader_epoch, NOW).expect("appended")
}

fn append_singles(log: &mut PartitionLog, count: usize) {
    for _ in 0..count {
        append(log, &TestBatch::at(&[NOW]));
    }
}

/// Three batches at offsets 0-1, 2-4 and 5.
fn three_batches() -> PartitionLog {
    let mut log = log();
    append(&mut log, &TestBatch::at(&[NOW, NOW + 1]));
    append(&mut log, &TestBatch::at(&[NOW + 20, NOW + 30, NOW + 10]).compressed(Compression::Lz4));
    append(&mut log, &TestBatch::at(&[NOW + 5]));
    log
}

fn read(log: &PartitionLog, offset: i64, max_bytes: usize, whole_first: bool) -> Bytes {
    log.read(offset, max_bytes, whole_first).expect("within the log").concat().into()
}

fn base_offsets(bytes: Bytes) -> Vec<i64> {
    Batches::new(bytes).map(|batch| batch.expect("well-formed").header().base_offset).collect()
}

fn last_of(bytes: Bytes) -> Batch {
    Batches::new(bytes).map(|batch| batch.expect("well-formed")).last().expect("a batch")
}

#[test]
fn appends_assign_offsets_and_the_leader_epoch() {
    let mut log = three_batches();
    log.begin_leader_epoch(4);
    let appended = append(&mut log, &TestBatch::at(&[NOW]));
    assert_eq!((appended.base_offset, log.log_end_offset()), (6, 7));
    let batch = last_of(read(&log, 6, 1 << 20, false));
    assert_eq!((batch.header().base_offset, batch.header().partition_leader_epoch), (6, 4));
    batch.verify_crc().expect("offsets and leader epoch are not covered by the checksum");
}

#[test]
fn what_is_above_a_held_watermark_is_neither_read_nor_expires() {
    let config = TopicConfig { retention_ms: Some(1), segment_bytes: 100, ..TopicConfig::defaults() };
    let mut log = log_with(config);
    append_singles(&mut log, 2);
    assert!(!log.hold_watermark(true));
    append_singles(&mut log, 2);
    assert!(!log.hold_watermark(true), "it stays");
    assert_eq!((log.high_watermark(), log.last_stable_offset(), log.log_end_offset()), (2, 2, 4));
    assert_eq!(base_offsets(read(&log, 1, 1 << 20, false)), [1]);
    assert!(read(&log, 3, 1 << 20, true).is_empty());
    log.apply_retention(NOW + 1000);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (2, 4));
    assert!(log.hold_watermark(false));
    assert_eq!(base_offsets(read(&log, 3, 1 << 20, false)), [3]);
}

#[test]
fn a_held_watermark_falls_with_the_log() {
    let mut log = three_batches();
    log.hold_watermark(true);
    append(&mut log, &TestBatch::at(&[NOW]));
    log.truncate(2);
    assert_eq!((log.high_watermark(), log.log_end_offset()), (2, 2));
}

#[test]
fn a_read_begins_with_the_batch_that_contains_the_offset() {
    let log = three_batches();
    assert_eq!(base_offsets(read(&log, 3, 1 << 20, false)), [2, 5]);
    assert_eq!(base_offsets(read(&log, 0, 1 << 20, false)), [0, 2, 5]);
    assert!(read(&log, 6, 1 << 20, true).is_empty());
}

#[test]
fn a_read_may_cut_the_last_batch_but_not_the_first() {
    let log = three_batches();
    let whole = read(&log, 0, 1 << 20, false);
    let first = read(&log, 0, 1, true);
    assert_eq!(base_offsets(first.clone()), [0]);
    assert_eq!(read(&log, 0, first.len() + 10, false), whole[..first.len() + 10]);
    assert!(read(&log, 0, first.len() - 1, false).is_empty());
    assert_eq!(read(&log, 0, first.len() - 1, true), first);
}

#[test]
fn reads_outside_the_log_are_out_of_range() {
    let mut log = three_batches();
    assert!(log.read(7, 1, true).is_err());
    log.delete_before(3).expect("within the log");
    assert!(log.read(2, 1, true).is_err());
    assert_eq!(base_offsets(read(&log, 3, 1 << 20, true)), [2, 5]);
}

#[test]
fn a_duplicate_is_answered_with_its_first_offset_and_adds_nothing() {
    let mut log = log();
    append(&mut log, &TestBatch::at(&[NOW]));
    let batch = TestBatch::at(&[NOW + 3, NOW + 4]).by(7, 0, 0);
    assert_eq!(append(&mut log, &batch).base_offset, 1);
    let len = log.len();
    let again = append(&mut log, &batch);
    assert_eq!(again, Appended { base_offset: 1, log_append_time_ms: Some(NOW + 4), new_bytes: 0 });
    assert_eq!((log.len(), log.log_end_offset()), (len, 3));
}

#[test]
fn the_first_record_at_or_after_a_timestamp_is_found_within_a_batch() {
    let log = three_batches();
    let offset = |timestamp: i64| {
        log.offset_for_timestamp(timestamp, &mut Workspace::default()).map(|found| found.offset)
    };
    assert_eq!(offset(NOW - 5), Some(0));
    assert_eq!(offset(NOW + 2), Some(2));
    assert_eq!(offset(NOW + 21), Some(3));
    assert_eq!(offset(NOW + 31), None);
}

#[test]
fn deleted_records_are_not_found_by_timestamp() {
    let mut log = three_batches();
    log.delete_before(3).expect("within the log");
    let found = log.offset_for_timestamp(NOW, &mut Workspace::default()).expect("some record is left");
    assert_eq!((found.offset, found.timestamp_ms), (3, NOW + 30));
}

#[test]
fn the_greatest_timestamp_is_found_where_it_is() {
    assert_eq!(log().offset_of_max_timestamp(&mut Workspace::default()), None);
    let found =
        three_batches().offset_of_max_timestamp(&mut Workspace::default()).expect("there are records");
    assert_eq!((found.offset, found.timestamp_ms, found.leader_epoch), (3, NOW + 30, 0));
}

#[test]
fn deleting_needs_an_offset_within_the_log_and_never_goes_back() {
    let mut log = three_batches();
    assert!(log.delete_before(7).is_err() && log.delete_before(-1).is_err());
    log.delete_before(6).expect("the end is within the log");
    log.delete_before(2).expect("an earlier offset changes nothing");
    assert_eq!(log.log_start_offset(), 6);
}

#[test]
fn full_segments_roll_and_a_read_stays_within_one() {
    let one = TestBatch::at(&[NOW]).bytes().len();
    let mut log = log_with(TopicConfig { segment_bytes: 2 * one, ..TopicConfig::defaults() });
    append_singles(&mut log, 5);
    assert_eq!(base_offsets(read(&log, 0, 1 << 20, true)), [0, 1]);
    assert_eq!(base_offsets(read(&log, 3, 1 << 20, true)), [3]);
    assert_eq!(log.len(), 5 * one);
}

#[test]
fn an_old_segment_rolls_by_time() {
    let mut log = log_with(TopicConfig { segment_ms: 1_000, ..TopicConfig::defaults() });
    append(&mut log, &TestBatch::at(&[NOW]));
    append(&mut log, &TestBatch::at(&[NOW + 1_000]));
    append(&mut log, &TestBatch::at(&[NOW + 1_001]));
    assert_eq!(base_offsets(read(&log, 0, 1 << 20, true)), [0, 1]);
}

#[test]
fn a_segment_rolls_earlier_by_its_jitter() {
    let has_rolled = |segment_jitter_ms| {
        let config = TopicConfig { segment_ms: 1_000, segment_jitter_ms, ..TopicConfig::defaults() };
        let mut log = log_with(config);
        append(&mut log, &TestBatch::at(&[NOW]));
        append(&mut log, &TestBatch::at(&[NOW + 999]));
        base_offsets(read(&log, 0, 1 << 20, true)) == [0]
    };
    assert_eq!([0, 1_000, i64::MAX].map(has_rolled), [false, true, true]);
}

#[test]
fn retention_by_time_drops_whole_segments_even_the_last() {
    let one = TestBatch::at(&[NOW]).bytes().len();
    let config = TopicConfig { segment_bytes: one, retention_ms: Some(100), ..TopicConfig::defaults() };
    let mut log = log_with(config);
    append(&mut log, &TestBatch::at(&[NOW]));
    append(&mut log, &TestBatch::at(&[NOW + 50]));
    log.apply_retention(NOW + 101);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (1, 2));
    log.apply_retention(NOW + 151);
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.len()), (2, 2, 0));
    assert_eq!(append(&mut log, &TestBatch::at(&[NOW + 200])).base_offset, 2);
}

#[test]
fn retention_by_size_keeps_at_least_the_configured_bytes() {
    let one = TestBatch::at(&[NOW]).bytes().len();
    let config = TopicConfig {
        segment_bytes: one,
        retention_bytes: Some(2 * one as u64 - 1),
        retention_ms: None,
        ..TopicConfig::defaults()
    };
    let mut log = log_with(config);
    append_singles(&mut log, 5);
    log.apply_retention(NOW);
    assert_eq!((log.log_start_offset(), log.len()), (3, 2 * one));
}

#[test]
fn a_log_that_is_only_compacted_keeps_old_segments() {
    let mut log = log_with(TopicConfig { delete: false, retention_ms: Some(1), ..TopicConfig::defaults() });
    append(&mut log, &TestBatch::at(&[NOW]));
    log.apply_retention(NOW + 1_000_000);
    assert_eq!(log.log_start_offset(), 0);
}

#[test]
fn truncation_drops_records_their_epochs_and_what_producers_wrote_there() {
    let mut log = log();
    append(&mut log, &TestBatch::at(&[NOW]).by(7, 0, 0));
    log.begin_leader_epoch(1);
    append(&mut log, &TestBatch::at(&[NOW, NOW]).by(7, 0, 1));
    log.truncate(2);
    assert_eq!(log.log_end_offset(), 1);
    assert_eq!(log.latest_leader_epoch(), Some(0));
    log.begin_leader_epoch(2);
    assert_eq!(log.end_of_leader_epoch(1), Some(EpochEnd { leader_epoch: 0, end_offset: 1 }));
    assert_eq!(append(&mut log, &TestBatch::at(&[NOW]).by(7, 0, 1)).base_offset, 1);
}

#[test]
fn truncation_reaches_back_over_segments() {
    let one = TestBatch::at(&[NOW]).bytes().len();
    let mut log = log_with(TopicConfig { segment_bytes: one, ..TopicConfig::defaults() });
    append_singles(&mut log, 5);
    log.truncate(1);
    assert_eq!((log.log_end_offset(), log.len()), (1, one));
    log.truncate(0);
    assert_eq!((log.log_end_offset(), log.len()), (0, 0));
}

#[test]
fn a_corrupted_batch_fails_its_checksum_and_the_others_do_not() {
    let mut log = three_batches();
    assert!(log.corrupt(3));
    assert!(!log.corrupt(6));
    let verdicts: Vec<_> = log.batches().map(|batch| batch.verify_crc().is_ok()).collect();
    assert_eq!(verdicts, [true, false, true]);
}
