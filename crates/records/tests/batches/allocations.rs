//! What is promised never to allocate, counted.

use crate::common::build;
use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use milena_records::{
    BatchBuilder, Batches, Codec, Compression, HeaderRef, ProducerStamp, RecordParts, Scratch, SealedBatch,
};

const BATCH_SIZE: usize = 16_384;

const RECORD: RecordParts<'static> = RecordParts {
    timestamp: 1_700_000_000_000,
    key: Some(b"user-00000000042"),
    value: Some(b"{\"event\":\"view_product\",\"product\":4711}"),
    headers: &[
        HeaderRef { key: "trace_id", value: Some(b"0af7651916cd43dd") },
        HeaderRef { key: "source", value: None },
    ],
};

fn fill(buffer: BytesMut) -> BatchBuilder {
    let mut builder = BatchBuilder::new(buffer, BATCH_SIZE);
    while builder.try_append(&RECORD).is_ok() {}
    builder
}

fn on_the_wire(sealed: &SealedBatch) -> Bytes {
    [&sealed.header(&ProducerStamp::NONE)[..], sealed.section()].concat().into()
}

#[test]
fn an_append_allocates_nothing() {
    let buffer = BytesMut::with_capacity(BATCH_SIZE);
    let mut builder = None;
    let allocated = measure(|| builder = Some(fill(buffer)));
    assert!(builder.unwrap().record_count() > 100);
    assert_eq!(allocated.count_total, 0, "{allocated:?}");
}

#[test]
fn sealing_and_stamping_allocates_once_and_the_buffer_comes_back() {
    let scratch = &mut Scratch::new();
    for compression in [Compression::None, Compression::Lz4, Compression::Snappy] {
        let codec = Codec::new(compression);
        // The codec's tables are made here.
        let mut buffer = fill(BytesMut::with_capacity(BATCH_SIZE)).seal(&codec, scratch).unwrap().recycle();
        for _ in 0..3 {
            let builder = fill(buffer.take().expect("nobody else held it"));
            let allocated = measure(|| {
                let sealed = builder.seal(&codec, scratch).unwrap();
                std::hint::black_box(sealed.header(&ProducerStamp::NONE));
                buffer = sealed.recycle();
            });
            // The count of references to the buffer.
            assert!(allocated.count_total <= 1, "{compression}: {allocated:?}");
            assert!(allocated.bytes_total < 64, "{compression}: {allocated:?}");
        }
    }
}

#[test]
fn reading_a_record_and_its_headers_allocates_nothing() {
    let scratch = &mut Scratch::new();
    for compression in Compression::ALL {
        let sealed = fill(BytesMut::new()).seal(&Codec::new(compression), scratch).unwrap();
        let batch = Batches::new(on_the_wire(&sealed)).next().unwrap().unwrap();
        let section = batch.decompress(scratch, &mut Vec::new()).unwrap();
        let mut read = 0;
        let allocated = measure(|| {
            for record in &section {
                read += record.unwrap().headers().filter(|header| header.value.is_none()).count() as u32;
            }
        });
        assert_eq!(read, sealed.record_count());
        assert_eq!(allocated.count_total, 0, "{compression}: {allocated:?}");
    }
}

#[test]
fn decompression_into_a_used_buffer_allocates_once() {
    let scratch = &mut Scratch::new();
    for compression in [Compression::Lz4, Compression::Snappy, Compression::Zstd] {
        let sealed = fill(BytesMut::new()).seal(&Codec::new(compression), scratch).unwrap();
        let batch = Batches::new(on_the_wire(&sealed)).next().unwrap().unwrap();
        let mut buffer = Vec::new();
        for round in 0..4 {
            let mut section = None;
            let allocated = measure(|| section = Some(batch.decompress(scratch, &mut buffer).unwrap()));
            buffer = section.unwrap().into_buffer().expect("nobody else held it");
            // The first round makes the codec's tables and the buffer, later ones the count of references.
            assert!(round == 0 || allocated.count_total <= 1, "{compression}: {allocated:?}");
        }
    }
}

#[test]
fn an_uncompressed_batch_is_read_where_it_was_received() {
    let sealed = build(&[RECORD], &Codec::NONE, &mut Scratch::new());
    let wire = on_the_wire(&sealed);
    let batch = Batches::new(wire.clone()).next().unwrap().unwrap();
    let section = batch.decompress(&mut Scratch::new(), &mut Vec::new()).unwrap();
    let value = section.iter().next().unwrap().unwrap().value.unwrap();
    assert!(wire.as_ptr_range().contains(&value.as_ptr()));
}
