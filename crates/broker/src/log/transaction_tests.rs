//! What readers of committed records get of a log.

use std::sync::Arc;

use milena_records::Batches;

use super::testing::TestBatch;
use super::*;
use crate::config::TopicConfig;

const NOW: i64 = 1_700_000_000_000;

fn log_with(config: TopicConfig) -> PartitionLog {
    let mut log = PartitionLog::new(Arc::new(config), NOW);
    log.begin_leader_epoch(0);
    log
}

fn log() -> PartitionLog {
    log_with(TopicConfig::defaults())
}

fn append(log: &mut PartitionLog, batch: &TestBatch) -> i64 {
    let config = log.config().clone();
    let valid = validate(&batch.batch(), &config, NOW, &mut Workspace::default()).expect("valid");
    log.append(valid, Verified::NotRequired, 0, NOW).expect("appended").base_offset
}

fn write(log: &mut PartitionLog, producer_id: i64, base_sequence: i32) -> i64 {
    append(log, &TestBatch::at(&[NOW]).by(producer_id, 0, base_sequence).in_transaction())
}

fn end(log: &mut PartitionLog, producer_id: i64, is_commit: bool) {
    let marker =
        EndMarker { producer_id, producer_epoch: 0, is_commit, coordinator_epoch: 0, transaction_version: 0 };
    log.append_marker(&marker, 0, NOW).expect("appended");
}

/// Base offsets of the batches, and producer and first offset of the aborted transactions.
fn read(log: &PartitionLog, offset: i64, max_bytes: usize) -> (Vec<i64>, Vec<(i64, i64)>) {
    let read = log.read_committed(offset, max_bytes, true).expect("within the log");
    let batches = Batches::new(read.segments.concat().into()).map_while(Result::ok);
    let aborted = read.aborted.iter().map(|aborted| (aborted.producer_id, aborted.first_offset));
    (batches.map(|batch| batch.header().base_offset).collect(), aborted.collect())
}

#[test]
fn the_last_stable_offset_is_where_the_oldest_open_transaction_begins() {
    let mut log = log();
    assert_eq!(log.last_stable_offset(), 0);
    append(&mut log, &TestBatch::at(&[NOW]));
    assert_eq!(log.last_stable_offset(), 1);
    write(&mut log, 1, 0);
    write(&mut log, 2, 0);
    assert_eq!(log.last_stable_offset(), 1);
    end(&mut log, 1, true);
    assert_eq!(log.last_stable_offset(), 2);
    end(&mut log, 2, false);
    assert_eq!((log.last_stable_offset(), log.high_watermark()), (5, 5));
}

#[test]
fn committed_reads_end_before_the_oldest_open_transaction() {
    let mut log = log();
    append(&mut log, &TestBatch::at(&[NOW]));
    write(&mut log, 1, 0);
    append(&mut log, &TestBatch::at(&[NOW]));
    assert_eq!(read(&log, 0, 1 << 20), (vec![0], vec![]));
    assert_eq!(read(&log, 1, 1 << 20), (vec![], vec![]));
    assert_eq!(read(&log, 3, 1 << 20), (vec![], vec![]));
    assert!(log.read_committed(4, 1, true).is_err(), "beyond the end");
    end(&mut log, 1, true);
    assert_eq!(read(&log, 0, 1 << 20), (vec![0, 1, 2, 3], vec![]));
}

#[test]
fn aborted_transactions_come_in_the_order_of_their_markers() {
    let mut log = log();
    for (producer_id, base_sequence) in [(1, 0), (2, 0), (3, 0)] {
        write(&mut log, producer_id, base_sequence);
    }
    end(&mut log, 2, false);
    end(&mut log, 1, false);
    end(&mut log, 3, true);
    assert_eq!(read(&log, 0, 1 << 20).1, [(2, 1), (1, 0)]);
    assert_eq!(read(&log, 4, 1 << 20).1, [(1, 0)], "the marker of the other is before");
    assert_eq!(read(&log, 5, 1 << 20).1, []);
}

#[test]
fn a_small_read_is_told_of_what_was_aborted_up_to_the_next_entry_of_the_index() {
    let mut config = TopicConfig::defaults();
    config.index_interval_bytes = 1;
    let mut sparse = log();
    let mut dense = log_with(config);
    for log in [&mut sparse, &mut dense] {
        for sequence in 0..4 {
            write(log, 1, sequence);
            end(log, 1, false);
        }
    }
    assert_eq!(read(&sparse, 0, 1), (vec![0], vec![(1, 0), (1, 2), (1, 4), (1, 6)]));
    assert_eq!(read(&dense, 0, 1), (vec![0], vec![(1, 0)]));
}

#[test]
fn truncation_and_deletion_keep_what_readers_need() {
    let mut config = TopicConfig::defaults();
    config.segment_bytes = 200;
    let mut log = log_with(config);
    write(&mut log, 1, 0);
    end(&mut log, 1, false);
    write(&mut log, 1, 1);
    end(&mut log, 1, false);
    write(&mut log, 2, 0);
    end(&mut log, 2, true);
    log.truncate(5);
    assert_eq!((log.log_end_offset(), log.last_stable_offset()), (5, 4), "the marker at 5 is lost");
    assert_eq!(read(&log, 0, 1 << 20).1, [(1, 0)]);
    assert_eq!(read(&log, 2, 1 << 20).1, [(1, 2)]);
    log.delete_before(4).expect("within the log");
    assert_eq!(log.last_stable_offset(), 4);
    end(&mut log, 2, false);
    assert_eq!(read(&log, 4, 1 << 20), (vec![4, 5], vec![(2, 4)]));
}

#[test]
fn an_open_transaction_whose_records_are_deleted_holds_back_from_the_log_start() {
    let mut log = log();
    write(&mut log, 1, 0);
    write(&mut log, 1, 1);
    log.delete_before(1).expect("within the log");
    assert_eq!(log.last_stable_offset(), 1);
}
