use super::*;
use crate::core::{Decoded, Fetched};
use crate::decode::{Decode, Decoder};
use crate::pool::FrameReturn;
use crate::testing::{LogBatch, log};
use bytes::Bytes;
use milena_records::{Batches, Compression};

/// Three of Kafka's batches in one: offsets 0..4, 4..6, 8..10.
fn batch() -> RecordBatch {
    let records = log(&[
        LogBatch::new(0, 4).leader_epoch(1),
        LogBatch::new(4, 4).compacted(|offset| offset > 5).compressed(Compression::Lz4).leader_epoch(2),
        LogBatch::new(8, 2).leader_epoch(3),
    ]);
    let fetched = Fetched {
        batches: Batches::new(records),
        filter: None,
        disorder: None,
        next: Position::new(0).with_leader_epoch(0),
        fetch_offset: 0,
        frame: FrameLease::new(Bytes::new(), Arc::new(FrameReturn::default())),
    };
    let partition = TopicPartition::new("orders", 3);
    let Decoded { batch, rest, error, .. } =
        Decoder::new(true, 1 << 20, 1 << 20).decode(&partition, Generation(1), fetched);
    assert!(rest.is_none() && error.is_none());
    batch
}

fn offsets(batch: &RecordBatch) -> Vec<i64> {
    batch.iter().map(|record| record.offset).collect()
}

#[test]
fn a_batch_tells_what_it_holds() {
    let batch = batch();
    assert_eq!((batch.topic(), batch.partition(), batch.len()), ("orders", 3, 8));
    assert_eq!(offsets(&batch), [0, 1, 2, 3, 4, 5, 8, 9]);
    assert_eq!((batch.first_offset(), batch.next_offset(), batch.leader_epoch()), (Some(0), 10, Some(3)));
    assert_eq!(batch.iter().len(), 8);
}

#[test]
fn records_that_are_taken_out_one_by_one_leave_the_rest() {
    let mut batch = batch();
    for offset in [0, 1, 2, 3, 4, 5, 8, 9] {
        let record = batch.pop_front().unwrap();
        assert_eq!(record.offset, offset);
        assert_eq!(record.value.as_deref(), Some(offset.to_string().as_bytes()));
        assert_eq!((record.topic.as_ref(), record.partition), ("orders", 3));
        assert_eq!(batch.start(), Position { offset: offset + 1, leader_epoch: record.leader_epoch });
    }
    assert!(batch.pop_front().is_none() && batch.is_empty());
}

#[test]
fn a_split_anywhere_loses_and_repeats_nothing() {
    let all = offsets(&batch());
    for count in 0..=all.len() {
        let mut head = batch();
        let rest = head.split_off(count);
        assert_eq!(offsets(&head), all[..count], "split at {count}");
        assert_eq!(head.len(), count);
        let Some(rest) = rest else {
            assert_eq!(count, all.len());
            continue;
        };
        assert_eq!(offsets(&rest), all[count..], "split at {count}");
        assert_eq!(rest.len(), all.len() - count);
        assert_eq!(rest.next_offset(), 10);
        assert_eq!(head.next_position(), rest.start(), "split at {count}");
        if count > 0 {
            assert!(head.next_offset() > all[count - 1] && head.next_offset() <= all[count]);
        }
    }
}

#[test]
fn a_split_batch_splits_again() {
    let mut rest = batch();
    let mut parts = Vec::new();
    loop {
        let next = rest.split_off(3);
        parts.push(offsets(&rest));
        match next {
            Some(next) => rest = next,
            None => break,
        }
    }
    assert_eq!(parts, [vec![0, 1, 2], vec![3, 4, 5], vec![8, 9]]);
}

#[test]
fn a_batch_outlives_everything_and_moves_to_another_thread() {
    let batch = batch();
    let sum = std::thread::spawn(move || offsets(&batch).iter().sum::<i64>()).join().unwrap();
    assert_eq!(sum, 32);
}

#[test]
fn an_owned_record_has_its_parts_in_one_allocation() {
    let record = batch().into_records().next().unwrap();
    assert_eq!((record.key, record.value.as_deref()), (None, Some(&b"0"[..])));
}
