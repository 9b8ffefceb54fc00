use bytes::Bytes;
use milena_client::metadata::{Broker, PartitionMetadata};
use milena_client::{Address, Client, ClientConfig, Env, Metadata, TopicMetadata};
use milena_protocol::{ErrorCode, Uuid};
use milena_records::Batches;

use super::*;
use crate::core::{
    AbortedFilter, AbortedTransaction, Arrival, Delivery, EpochChecks, FetchDecision, FetchedData, Lane,
    LoopId, PartitionAnswer, Seek, Watermarks, outline,
};
use crate::pool::{FrameLease, FrameReturn};
use crate::testing::{LogBatch, log, marker};

fn fetched(records: impl Into<Bytes>, fetch_offset: i64) -> Fetched {
    let records = records.into();
    Fetched {
        disorder: outline(&records).disorder,
        batches: Batches::new(records),
        filter: None,
        next: Position::new(fetch_offset),
        fetch_offset,
        frame: FrameLease::new(Bytes::new(), Arc::new(FrameReturn::default())),
    }
}

fn decoder(bytes_at_once: usize) -> Decoder {
    Decoder::new(true, 1 << 20, bytes_at_once)
}

fn decode(fetched: Fetched) -> Decoded {
    decoder(1 << 20).decode(&partition(), Generation(1), fetched)
}

fn partition() -> TopicPartition {
    TopicPartition::new("orders", 3)
}

fn offsets(batch: &RecordBatch) -> Vec<i64> {
    batch.iter().map(|record| record.offset).collect()
}

#[test]
fn small_batches_are_handed_over_together_and_large_work_in_parts() {
    let records = log(&[LogBatch::new(0, 2), LogBatch::new(2, 2), LogBatch::new(4, 2)]);
    let together = decode(fetched(records.clone(), 0));
    assert_eq!(offsets(&together.batch), [0, 1, 2, 3, 4, 5]);
    assert!(together.rest.is_none());

    let mut decoder = decoder(1);
    let mut rest = Some(fetched(records, 0));
    let mut parts = Vec::new();
    while let Some(fetched) = rest {
        let decoded = decoder.decode(&partition(), Generation(1), fetched);
        assert_eq!(decoded.error, None);
        parts.push((offsets(&decoded.batch), decoded.batch.next_offset()));
        rest = decoded.rest;
    }
    assert_eq!(parts, [(vec![0, 1], 2), (vec![2, 3], 4), (vec![4, 5], 6)]);
}

#[test]
fn a_fetch_from_the_middle_of_a_batch_begins_there_in_every_codec() {
    for compression in Compression::ALL {
        let records = log(&[LogBatch::new(0, 10).compressed(compression), LogBatch::new(10, 2)]);
        let decoded = decode(fetched(records, 7));
        assert_eq!(offsets(&decoded.batch), [7, 8, 9, 10, 11], "{compression}");
        assert_eq!(decoded.batch.iter().next().unwrap().value, Some(&b"7"[..]), "{compression}");
    }
}

#[test]
fn the_position_passes_over_what_compaction_removed() {
    let all_gone = LogBatch::new(10, 10).compacted(|_| true).leader_epoch(4);
    let last_gone = LogBatch::new(0, 10).compacted(|offset| offset > 3);
    let decoded = decode(fetched(log(&[last_gone, all_gone]), 0));
    assert_eq!(offsets(&decoded.batch), [0, 1, 2, 3]);
    assert_eq!(decoded.batch.next_position(), Position::new(20).with_leader_epoch(4));
}

#[test]
fn markers_are_passed_over_and_only_read_committed_hides_aborted_records() {
    let aborted = LogBatch::new(0, 3).transactional(7).encode();
    let committed = LogBatch::new(4, 2).transactional(7).encode();
    let records = [aborted, marker(3, 7, false), committed, marker(6, 7, true)].concat();
    let everything = decode(fetched(records.clone(), 0));
    assert_eq!(offsets(&everything.batch), [0, 1, 2, 4, 5]);
    assert_eq!(everything.batch.next_offset(), 7);

    let filter = AbortedFilter::new(vec![AbortedTransaction { producer_id: 7, first_offset: 0 }]);
    let read_committed = decode(Fetched { filter: Some(filter), ..fetched(records, 0) });
    assert_eq!(offsets(&read_committed.batch), [4, 5]);
    assert_eq!(read_committed.batch.next_offset(), 7);
}

#[test]
fn a_wrong_checksum_is_an_error_after_the_good_batches_and_tells_how_to_go_past_it() {
    let mut records = log(&[LogBatch::new(0, 2), LogBatch::new(2, 2), LogBatch::new(4, 2)]).to_vec();
    let middle = records.len() / 3 + 70;
    records[middle] ^= 1;
    let decoded = decode(fetched(records.clone(), 0));
    assert_eq!(offsets(&decoded.batch), [0, 1]);
    assert!(decoded.rest.is_none());
    let Some(RecvError::Corrupt { offset: 2, next_offset: Some(4), error, .. }) = decoded.error else {
        panic!("{:?}", decoded.error)
    };
    assert!(matches!(error, RecordsError::CrcMismatch { base_offset: 2, .. }), "{error}");
    // Past it, reading goes on.
    assert_eq!(offsets(&decode(fetched(records, 4)).batch), [4, 5]);
}

#[test]
fn of_batches_out_of_order_none_is_handed_over() {
    for (batches, base_offset, previous_end) in [
        ([LogBatch::new(0, 10), LogBatch::new(5, 3)], 5, 10),
        ([LogBatch::new(0, 10), LogBatch::new(5, 20)], 5, 10),
        ([LogBatch::new(10, 10), LogBatch::new(0, 10)], 0, 20),
        ([LogBatch::new(0, 3), LogBatch::new(0, 3)], 0, 3),
    ] {
        let decoded = decode(fetched(log(&batches), 0));
        assert!(decoded.batch.is_empty() && decoded.rest.is_none());
        assert_eq!(decoded.batch.next_offset(), 0, "the position stays");
        assert_eq!(
            decoded.error.unwrap().to_string(),
            format!(
                "orders-3@0: batch at offset {base_offset}: invalid start: the batch in front of it ends at offset \
                 {previous_end}; resume to fetch it again, or seek to {previous_end} to go past it"
            )
        );
    }
}

#[test]
fn a_damaged_header_that_looks_like_disorder_is_told_as_what_it_is() {
    let mut records = log(&[LogBatch::new(0, 2), LogBatch::new(2, 2), LogBatch::new(4, 2)]).to_vec();
    // The last offset delta of the second batch: it seems to end far behind where the third begins.
    let middle = records.len() / 3 + 25;
    records[middle] ^= 1;
    let decoded = decode(fetched(records, 0));
    assert_eq!(offsets(&decoded.batch), [0, 1]);
    let Some(RecvError::Corrupt { offset: 2, error, .. }) = decoded.error else {
        panic!("{:?}", decoded.error)
    };
    assert!(matches!(error, RecordsError::CrcMismatch { base_offset: 2, .. }), "{error}");
}

#[test]
fn without_check_crcs_a_wrong_checksum_is_passed_over() {
    let mut records = LogBatch::new(0, 2).encode().to_vec();
    records[17] ^= 1;
    let mut decoder = Decoder::new(false, 1 << 20, 1 << 20);
    let decoded = decoder.decode(&partition(), Generation(1), fetched(records, 0));
    assert_eq!((offsets(&decoded.batch), decoded.error), (vec![0, 1], None));
}

#[test]
fn good_records_before_a_malformed_one_are_handed_over() {
    let mut records = LogBatch::new(0, 3).encode().to_vec();
    // The last record's length, which is the last but nine bytes here, says more than there is.
    let last_record = records.len() - 8;
    records[last_record] = 60;
    let mut decoder = Decoder::new(false, 1 << 20, 1 << 20);
    let decoded = decoder.decode(&partition(), Generation(1), fetched(records, 0));
    assert_eq!(offsets(&decoded.batch), [0, 1]);
    assert_eq!(decoded.batch.next_offset(), 2);
    let expected = Some(3);
    assert!(
        matches!(decoded.error, Some(RecvError::Corrupt { offset: 2, next_offset, .. }) if next_offset == expected),
        "{:?}",
        decoded.error
    );
}

#[test]
fn data_that_decompresses_beyond_the_limit_is_an_error() {
    let records = LogBatch::new(0, 1_000).compressed(Compression::Zstd).encode();
    let mut decoder = Decoder::new(true, 100, 1 << 20);
    let decoded = decoder.decode(&partition(), Generation(1), fetched(records, 0));
    assert!(decoded.batch.is_empty());
    let error = decoded.error.unwrap().to_string();
    assert!(error.contains("raise the decompression limit"), "{error}");
}

#[test]
fn half_a_batch_alone_is_an_error_that_names_the_limits() {
    let records = LogBatch::new(0, 100).encode();
    let decoded = decode(fetched(records.slice(..200), 0));
    let error = decoded.error.unwrap();
    assert_eq!(
        error.to_string(),
        "orders-3@0: the broker sent 200 bytes of a batch and no whole one; raise max_partition_fetch_bytes and \
         fetch_max_bytes"
    );
}

#[test]
fn batches_from_before_the_position_alone_are_an_error_and_no_loop() {
    let decoded = decode(fetched(LogBatch::new(0, 3).encode(), 5));
    assert!(matches!(decoded.error, Some(RecvError::Corrupt { offset: 5, .. })), "{:?}", decoded.error);
}

#[test]
fn buffers_are_decompressed_into_again_when_a_batch_is_dropped() {
    let mut decoder = decoder(1 << 20);
    let records = LogBatch::new(0, 100).compressed(Compression::Lz4).encode();
    let mut addresses = std::collections::BTreeSet::new();
    for _ in 0..10 {
        let decoded = decoder.decode(&partition(), Generation(1), fetched(records.clone(), 0));
        addresses.insert(decoded.batch.iter().next().unwrap().value.unwrap().as_ptr() as usize);
    }
    assert_eq!(addresses.len(), 1);
}

#[test]
fn a_frame_goes_back_when_the_last_record_of_it_is_dropped() {
    let home = Arc::new(FrameReturn::default());
    for (compression, is_sliced) in [(Compression::None, true), (Compression::Gzip, false)] {
        let frame = LogBatch::new(0, 10).compressed(compression).encode();
        let lease = FrameLease::new(frame.clone(), home.clone());
        let decoded = decode(Fetched { frame: lease, ..fetched(frame, 0) });
        assert_eq!(home.pop().is_none(), is_sliced, "{compression}: decompressed records need no frame");
        drop(decoded);
        assert_eq!(home.pop().is_some(), is_sliced, "{compression}");
    }
}

/// Decodes all but partition 0.
struct Touchy(Decoder);

impl Decode for Touchy {
    fn decode(&mut self, partition: &TopicPartition, generation: Generation, fetched: Fetched) -> Decoded {
        assert_ne!(partition.partition, 0, "it is touchy");
        self.0.decode(partition, generation, fetched)
    }
}

/// Both partitions of a topic are fetched; there is no broker that more could be fetched from.
fn both_partitions_fetched(shared: &Shared) {
    let node = PartitionMetadata {
        leader: Some(1),
        leader_epoch: Some(0),
        replicas: vec![1],
        in_sync_replicas: vec![1],
        offline_replicas: Vec::new(),
        error: ErrorCode::None,
    };
    let topic = TopicMetadata {
        name: "t".into(),
        topic_id: Uuid([1; 16]),
        is_internal: false,
        error: ErrorCode::None,
        partitions: vec![node.clone(), node],
    };
    let mut metadata = Metadata { version: 1, ..Metadata::default() };
    let broker = Broker { node_id: 1, address: Address::new("broker", 9_092), rack: None };
    metadata.brokers.insert(1, broker);
    metadata.topics.insert("t".into(), Arc::new(topic));
    let partitions = [0, 1].map(|partition| TopicPartition::new("t", partition));
    let now = shared.client.env().now();
    shared.with(|subscription| {
        subscription.handle_metadata(Arc::new(metadata));
        subscription.assign(partitions.clone().into());
        for partition in &partitions {
            subscription.seek(partition, Seek::To(Position::new(0))).unwrap();
        }
        let id = LoopId { node_id: 1, lane: Lane::Main };
        let FetchDecision::Send(plan) = subscription.poll_fetch(id, EpochChecks::InFetch, now) else {
            panic!("there is nothing to fetch")
        };
        let answer = |partition: &TopicPartition| PartitionAnswer {
            partition: partition.clone(),
            error: ErrorCode::None,
            watermarks: Watermarks::default(),
            diverging: None,
            preferred_read_replica: None,
            data: Some(FetchedData {
                fetched: fetched(LogBatch::new(0, 5).encode(), 0),
                end: Some(Position::new(5)),
                size_bytes: 100,
            }),
        };
        let answers = partitions.iter().map(answer).collect();
        let arrival = Arrival { frame_bytes: 200, occupied_bytes: 200, first_byte_at: now };
        subscription.handle_fetched(1, &plan, answers, arrival, now, 0.5);
    });
}

#[tokio::test(start_paused = true)]
async fn the_task_goes_on_with_other_partitions_after_a_panic_which_is_told() {
    let config = ClientConfig::new(vec![Address::new("broker", 9_092)]);
    let client = Client::new(config, Env::builder().seed(1).build());
    let shared = Arc::new(Shared::new(client, ConsumerConfig::default()));
    both_partitions_fetched(&shared);
    let _task = shared.client.env().spawn(run(shared.clone(), |config| Touchy(Decoder::configured(config))));
    let mut told = Vec::new();
    while told.len() < 2 {
        told.push(match std::future::poll_fn(|cx| shared.poll_delivery(cx, usize::MAX)).await {
            Delivery::Error(error) => error.to_string(),
            Delivery::Batch { batch, .. } => format!("{}: {:?}", batch.topic_partition(), offsets(&batch)),
        });
    }
    told.sort();
    assert_eq!(told.len(), 2);
    assert!(
        told[0].starts_with("t-0: decoding panicked: ") && told[0].ends_with("; resume to try again"),
        "{told:?}"
    );
    assert_eq!(told[1], "t-1: [0, 1, 2, 3, 4]");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_loop(
        mut flips in proptest::collection::vec((0..2_000usize, proptest::prelude::any::<u8>()), 0..12),
        fetch_offset in -5..40i64,
        compression in 0..5u8,
        check_crcs in proptest::prelude::any::<bool>(),
    ) {
        let compression = Compression::from_id(compression).unwrap();
        let batches = [LogBatch::new(0, 10).compressed(compression), LogBatch::new(10, 20).transactional(1)];
        let mut records = log(&batches).to_vec();
        flips.retain(|(at, _)| *at < records.len());
        for (at, byte) in flips {
            records[at] = byte;
        }
        let mut decoder = Decoder::new(check_crcs, 1 << 20, 1);
        let mut rest = Some(fetched(records, fetch_offset));
        let mut next_offset = fetch_offset;
        for _ in 0..1_000 {
            let Some(fetched) = rest else { break };
            let decoded = decoder.decode(&partition(), Generation(1), fetched);
            for record in &decoded.batch {
                assert!(record.offset >= next_offset);
                next_offset = record.offset + 1;
            }
            assert!(decoded.batch.next_offset() >= next_offset);
            next_offset = decoded.batch.next_offset();
            rest = decoded.rest;
        }
        assert!(rest.is_none());
    }
}
