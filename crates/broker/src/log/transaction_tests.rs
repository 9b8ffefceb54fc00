//! What readers of committed records get of a log.

use milena_records::Batches;

use super::testing::{NOW, TestBatch, log, log_with};
use super::*;
use crate::config::TopicConfig;

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

/// What a consumer keeps of a fetch (Java: `CompletedFetch`): it goes by the aborted transactions that it was told of.
fn consume(log: &PartitionLog, offset: i64, max_bytes: usize) -> (Vec<i64>, i64) {
    let read = log.read_committed(offset, max_bytes, true).expect("within the log");
    let mut told = read.aborted.clone();
    told.sort_by_key(|aborted| aborted.first_offset);
    let mut told = told.into_iter().peekable();
    let mut aborting = std::collections::BTreeSet::new();
    let (mut kept, mut next) = (Vec::new(), offset);
    for batch in Batches::new(read.segments.concat().into()).map_while(Result::ok) {
        let header = batch.header();
        while let Some(aborted) = told.next_if(|aborted| aborted.first_offset <= header.last_offset()) {
            aborting.insert(aborted.producer_id);
        }
        next = header.next_offset();
        if header.is_control() {
            let marker = stored_marker(&batch, &mut Workspace::default()).expect("a marker");
            if !marker.is_commit {
                aborting.remove(&header.producer_id);
            }
        } else if !(header.is_transactional() && aborting.contains(&header.producer_id)) {
            kept.extend((header.base_offset..next).filter(|record| *record >= offset));
        }
    }
    (kept, next)
}

/// Producers write, commit and abort at random; readers begin anywhere and read little or much at once. Whatever they
/// do, they get all records that are committed, and no others.
#[test]
fn readers_get_what_was_committed_and_nothing_else() {
    for seed in 0..100 {
        let mut rng = crate::rng::Rng::from_seed(seed);
        let mut config = TopicConfig::defaults();
        config.segment_bytes = 200 + rng.below(2_000) as usize;
        config.index_interval_bytes = rng.below(600) as usize;
        let mut log = log_with(config);
        // Per producer: the next sequence, and the offsets of its open transaction.
        let mut producers = vec![(0, Vec::new()); 4];
        let mut committed = Vec::new();
        for _ in 0..80 {
            let producer_id = rng.below(4) as usize;
            let (sequence, open) = &mut producers[producer_id];
            match rng.below(6) {
                0 => committed.push(append(&mut log, &TestBatch::at(&[NOW]))),
                1 | 2 if !open.is_empty() => {
                    let is_commit = rng.chance(0.5);
                    end(&mut log, producer_id as i64, is_commit);
                    if is_commit {
                        committed.append(open);
                    }
                    open.clear();
                }
                _ => {
                    open.push(write(&mut log, producer_id as i64, *sequence));
                    *sequence += 1;
                }
            }
        }
        committed.sort_unstable();
        let open = producers.iter().filter_map(|(_, open)| open.first());
        let last_stable_offset = open.copied().min().unwrap_or(log.high_watermark());
        assert_eq!(log.last_stable_offset(), last_stable_offset, "seed {seed}");
        let stable = committed.iter().copied().filter(|offset| *offset < last_stable_offset);
        let view = crate::inspect::LogView::of(&log).committed_records();
        let seen: Vec<_> = view.iter().map(|record| record.offset).collect();
        assert_eq!(seen, stable.collect::<Vec<_>>(), "seed {seed}");
        for from in 0..=last_stable_offset {
            let expected: Vec<_> =
                committed.iter().copied().filter(|it| (from..last_stable_offset).contains(it)).collect();
            let (mut read, mut next) = (Vec::new(), from);
            while next < last_stable_offset {
                let (more, after) = consume(&log, next, 1 + rng.below(500) as usize);
                read.extend(more);
                next = after;
            }
            assert_eq!(read, expected, "seed {seed} from {from}");
        }
    }
}
