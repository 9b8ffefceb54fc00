//! What the builder writes, the reader reads: every codec, every shape of record.

use crate::common::build;
use bytes::{Bytes, BytesMut};
use milena_records::{
    BATCH_HEADER_LEN, Batch, BatchBuilder, BatchHeader, Batches, Codec, Compression, HeaderRef,
    ProducerStamp, RecordParts, Scratch, SealedBatch,
};
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        (any::<u8>(), 0usize..5000).prop_map(|(byte, len)| vec![byte; len]),
    ])
}

fn record() -> impl Strategy<Value = Owned> {
    let timestamp = prop_oneof![any::<i64>(), 1_700_000_000_000i64..1_700_000_100_000, Just(-1)];
    let headers = proptest::collection::vec((".{0,8}", bytes()), 0..4);
    (timestamp, bytes(), bytes(), headers).prop_map(|(timestamp, key, value, headers)| Owned {
        timestamp,
        key,
        value,
        headers,
    })
}

fn codec() -> impl Strategy<Value = Codec> {
    let levels: [(Compression, &[i32]); 5] = [
        (Compression::None, &[]),
        (Compression::Gzip, &[-1, 1, 2, 6, 9]),
        (Compression::Snappy, &[]),
        (Compression::Lz4, &[1, 9, 17]),
        (Compression::Zstd, &[-131_072, -50, -1, 0, 1, 2, 3, 4, 5, 6, 9, 12, 15, 17, 19, 22]),
    ];
    let with_levels = levels.into_iter().flat_map(|(compression, levels)| {
        levels.iter().map(move |&level| Codec::with_level(compression, level).unwrap())
    });
    proptest::sample::select(
        Compression::ALL.into_iter().map(Codec::new).chain(with_levels).collect::<Vec<_>>(),
    )
}

impl Owned {
    fn headers(&self) -> Vec<HeaderRef<'_>> {
        self.headers.iter().map(|(key, value)| HeaderRef { key, value: value.as_deref() }).collect()
    }

    fn parts<'a>(&'a self, headers: &'a [HeaderRef<'a>]) -> RecordParts<'a> {
        RecordParts {
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers,
        }
    }
}

fn seal(records: &[Owned], codec: &Codec, scratch: &mut Scratch) -> SealedBatch {
    let headers: Vec<_> = records.iter().map(Owned::headers).collect();
    let parts: Vec<_> = records.iter().zip(&headers).map(|(record, headers)| record.parts(headers)).collect();
    build(&parts, codec, scratch)
}

fn on_the_wire(sealed: &SealedBatch, stamp: &ProducerStamp) -> Bytes {
    [&sealed.header(stamp)[..], sealed.section()].concat().into()
}

fn owned(batch: &Batch, scratch: &mut Scratch) -> Vec<Owned> {
    batch.verify_crc().unwrap();
    let section = batch.decompress(scratch, &mut Vec::new()).unwrap();
    let records = section.iter().enumerate().map(|(index, record)| {
        let record = record.unwrap();
        assert_eq!(record.offset, index as i64);
        Owned {
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers()
                .map(|header| (header.key_str().unwrap().to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        }
    });
    records.collect()
}

proptest! {
    #[test]
    fn records_come_back(records in proptest::collection::vec(record(), 1..40), codec in codec()) {
        let scratch = &mut Scratch::new();
        let sealed = seal(&records, &codec, scratch);
        let stamp = ProducerStamp { producer_id: 7, producer_epoch: 3, base_sequence: 11, is_transactional: true };
        let mut batches = Batches::new(on_the_wire(&sealed, &stamp));
        let batch = batches.next().unwrap().unwrap();
        prop_assert!(batches.next().is_none());
        prop_assert_eq!(batches.remainder(), None);

        let header = batch.header();
        prop_assert_eq!(header.compression(), Ok(codec.compression()));
        prop_assert_eq!(header.records_count as usize, records.len());
        prop_assert_eq!(header.last_offset_delta as usize, records.len() - 1);
        prop_assert_eq!(header.base_timestamp, records[0].timestamp);
        prop_assert_eq!(header.max_timestamp, records.iter().map(|record| record.timestamp).max().unwrap());
        prop_assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (7, 3, 11));
        prop_assert!(header.is_transactional() && !header.is_control());
        prop_assert_eq!(owned(&batch, scratch), records);
    }
}

#[test]
fn a_header_key_that_is_no_text_does_not_stop_the_reading() {
    // One record with two headers: the first one's key is not UTF-8, the second one's is.
    let section = [26, 0, 0, 0, 1, 1, 4, 4, 0xff, 0xfe, 1, 2, b'k', 1];
    let mut header = BatchHeader::new(0, &ProducerStamp::NONE);
    header.batch_length += section.len() as i32;
    header.records_count = 1;
    let wire = [&header.to_bytes()[..], &section].concat();
    let batch = Batches::new(wire.into()).next().unwrap().unwrap();
    let section = batch.decompress(&mut Scratch::new(), &mut Vec::new()).unwrap();
    let record = section.iter().next().unwrap().unwrap();
    let keys: Vec<_> = record.headers().map(|header| (header.key, header.key_str())).collect();
    assert_eq!(keys, [(&[0xff, 0xfe][..], None), (b"k", Some("k"))]);

    // And it is written again as it was.
    let mut builder = BatchBuilder::new(BytesMut::new(), 1000);
    builder.try_append_ref(&record).unwrap();
    let again = builder.seal(&Codec::NONE, &mut Scratch::new()).unwrap();
    assert_eq!(again.section()[..], wire_section(&batch)[..]);
}

fn wire_section(batch: &Batch) -> Bytes {
    batch.bytes().slice(BATCH_HEADER_LEN..)
}

#[test]
fn working_memory_moves_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Scratch>();
    is_send::<BatchBuilder>();
}
