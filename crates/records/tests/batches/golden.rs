//! Batches written by Kafka 4.3.1's own classes, read and written here: tests/golden/README.md.

use crate::common::golden;
use bytes::{Bytes, BytesMut};
use milena_records::{
    Batch, BatchBuilder, BatchEncoder, BatchHeader, Batches, Codec, Compression, ControlType, HeaderRef,
    ProducerStamp, RecordParts, Scratch, TimestampType, TransactionMarker,
};
use std::fmt::Write;

const TIME: i64 = 1_700_000_000_000;

#[test]
fn every_batch_of_kafkas_reads_as_kafka_reads_it() {
    let cases = golden();
    assert!(cases.len() > 50, "only {} cases", cases.len());
    for (name, case) in cases {
        assert_eq!(dump(case.bytes.clone()), case.dump, "{name}");
    }
}

#[test]
fn a_cut_batch_after_whole_ones_is_told_apart() {
    let mut batches = Batches::new(golden()["several"].bytes.clone());
    assert_eq!(batches.by_ref().map(Result::unwrap).count(), 5 + 1 + 1 + 1);
    let rest = batches.remainder().unwrap();
    assert_eq!(rest.available, 100);
    assert_eq!(rest.needed, Some(golden()["shapes-none"].bytes.len()));
}

#[test]
fn markers_are_recognised() {
    for (name, is_commit) in [("marker-commit", true), ("marker-abort", false)] {
        let batch = only_batch(&golden()[name].bytes);
        let section = batch.decompress(&mut Scratch::new(), &mut Vec::new()).unwrap();
        let record = section.iter().next().unwrap().unwrap();
        let marker = TransactionMarker { is_commit, coordinator_epoch: 31 };
        assert_eq!(TransactionMarker::parse(&record), Ok(Some(marker)));
        assert_eq!(marker.batch(77, 6, TIME, 4000, 12), golden()[name].bytes, "{name}");
    }
    let batch = only_batch(&golden()["leader-change"].bytes);
    assert_eq!(batch.control_type(&mut Scratch::new()), Ok(Some(ControlType::LeaderChange)));
    let batch = only_batch(&golden()["shapes-none"].bytes);
    assert_eq!(batch.control_type(&mut Scratch::new()), Ok(None));
}

#[test]
fn a_producers_batch_is_kafkas_to_the_byte() {
    let idempotent = ProducerStamp {
        producer_id: 987_654_321_000,
        producer_epoch: 3,
        base_sequence: 41,
        is_transactional: false,
    };
    for (name, base_offset, stamp) in
        [("shapes-none", 1234, ProducerStamp::NONE), ("idempotent", 0, idempotent)]
    {
        let mut builder = BatchBuilder::new(BytesMut::new(), 1 << 20);
        for record in SHAPES {
            builder.try_append(&record).unwrap();
        }
        let size = builder.size();
        let sealed = builder.seal(&Codec::NONE, &mut Scratch::new()).unwrap();
        // What the broker sets is not in the checksum.
        let mut header = BatchHeader::parse(&sealed.header(&stamp)).unwrap();
        header.base_offset = base_offset;
        header.partition_leader_epoch = 8;
        let written = [&header.to_bytes()[..], sealed.section()].concat();
        assert_eq!(written, golden()[name].bytes, "{name}");
        assert_eq!(size, written.len());
    }
}

#[test]
fn a_brokers_batches_are_kafkas_to_the_byte() {
    let cases = golden();
    let rewritten = ["shapes-none", "delete-horizon", "sequence-wraps", "marker-commit", "emptied"];
    for name in rewritten {
        let batch = only_batch(&cases[name].bytes);
        assert_eq!(encode_again(&batch, &Codec::NONE), cases[name].bytes, "{name}");
    }
    for (name, compression) in [
        ("compacted", Compression::Lz4),
        ("large-zstd", Compression::Zstd),
        ("large-snappy", Compression::Snappy),
    ] {
        let encoded = encode_again(&only_batch(&cases[name].bytes), &Codec::new(compression));
        let without_size = |dump: &str| {
            dump.lines().map(|line| line.split(" size=").next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(without_size(&dump(encoded)), without_size(cases[name].dump), "{name}");
    }
}

#[test]
fn the_brokers_changes_keep_the_checksum_right() {
    let append_time = &golden()["log-append-time"].bytes;
    let mut header = *only_batch(append_time).header();
    header.set_timestamps(TimestampType::CreateTime, TIME + 10_000_000);
    let created = with_header(append_time, &header);
    only_batch(&created).verify_crc().unwrap();
    assert_ne!(created, append_time);

    header.set_timestamps(TimestampType::LogAppendTime, TIME + 99);
    assert_eq!(with_header(&created, &header), append_time);
}

fn with_header(batch: &Bytes, header: &BatchHeader) -> Bytes {
    [&header.to_bytes()[..], &batch[61..]].concat().into()
}

fn encode_again(batch: &Batch, codec: &Codec) -> Bytes {
    let scratch = &mut Scratch::new();
    let section = batch.decompress(scratch, &mut Vec::new()).unwrap();
    let mut encoder = BatchEncoder::new(*batch.header());
    for record in &section {
        encoder.append_ref(&record.unwrap()).unwrap();
    }
    encoder.finish(codec, scratch).unwrap()
}

fn only_batch(bytes: &Bytes) -> Batch {
    let mut batches = Batches::new(bytes.clone());
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none());
    batch
}

/// The records of the cases named "shapes".
const SHAPES: [RecordParts<'static>; 6] = [
    RecordParts {
        timestamp: TIME,
        key: Some(b"u42"),
        value: Some(b"{\"event\":\"view_product\"}"),
        headers: &[
            HeaderRef { key: "trace_id", value: Some(b"0af7651916cd43dd") },
            HeaderRef { key: "trace_id", value: Some(b"again") },
            HeaderRef { key: "", value: Some(b"no name") },
            HeaderRef { key: "nothing", value: None },
            HeaderRef { key: "empty", value: Some(b"") },
            HeaderRef { key: "příliš", value: Some("žluťoučký".as_bytes()) },
        ],
    },
    RecordParts { timestamp: TIME + 5, key: None, value: Some(b"value without a key"), headers: &[] },
    RecordParts {
        timestamp: TIME - 70_000,
        key: Some(b"a tombstone, and before the first"),
        value: None,
        headers: &[],
    },
    RecordParts { timestamp: TIME + 10_000_000, key: Some(b""), value: Some(b""), headers: &[] },
    RecordParts { timestamp: TIME + 1, key: None, value: None, headers: &[] },
    RecordParts { timestamp: -1, key: Some(b"no timestamp"), value: Some(&[b'x'; 200]), headers: &[] },
];

/// Says how the batches read, as `Batches.java` does.
fn dump(bytes: Bytes) -> String {
    let scratch = &mut Scratch::new();
    let mut out = String::new();
    for batch in Batches::new(bytes) {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        let header = batch.header();
        let delete_horizon = header.delete_horizon().map_or("none".to_owned(), |horizon| horizon.to_string());
        writeln!(
            out,
            "batch magic={} last_offset={} next_offset={} leader_epoch={} compression={} timestamp_type={:?} \
             max_timestamp={} producer={}/{} sequence={}..{} transactional={} control={} delete_horizon={} size={}",
            header.magic,
            header.last_offset(),
            header.next_offset(),
            header.partition_leader_epoch,
            header.compression().unwrap(),
            header.timestamp_type(),
            header.max_timestamp,
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
            header.last_sequence(),
            header.is_transactional(),
            header.is_control(),
            delete_horizon,
            header.encoded_len(),
        )
        .unwrap();
        let section = batch.decompress(scratch, &mut Vec::new()).unwrap();
        for record in &section {
            let record = record.unwrap();
            write!(out, "record offset={} timestamp={}", record.offset, record.timestamp).unwrap();
            if header.is_control() {
                let name = control_name(ControlType::parse(&record).unwrap());
                write!(out, " control={name}").unwrap();
            }
            let headers: Vec<_> = record
                .headers()
                .map(|header| format!("{}={}", show(Some(header.key)), show(header.value)))
                .collect();
            let (key, value) = (show(record.key), show(record.value));
            writeln!(out, " key={key} value={value} headers=[{}]", headers.join(" ")).unwrap();
        }
    }
    out
}

fn control_name(control: ControlType) -> &'static str {
    match control {
        ControlType::Abort => "ABORT",
        ControlType::Commit => "COMMIT",
        ControlType::LeaderChange => "LEADER_CHANGE",
        other => panic!("no golden case has {other:?}"),
    }
}

/// Short bytes in hexadecimal, long ones by their length and CRC-32C.
fn show(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() <= 64 => {
            format!("'{}'", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        Some(bytes) => format!("{}:{:08x}", bytes.len(), crc32c::crc32c(bytes)),
    }
}
