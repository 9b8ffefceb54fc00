//! What a producer does to records.

use std::hint::black_box;

use bytes::BytesMut;
use milena_producer::partitioner::KeyHash;
use milena_records::{BatchBuilder, Codec, Compression, HeaderRef, ProducerStamp, Scratch};

use crate::case::{BATCH_BYTES, Corpus, Work, parts};

const PARTITIONS: i32 = 6;

/// Hashes the keys.
pub(crate) struct Partition<'a> {
    corpus: &'a Corpus,
}

/// Encodes the records into a buffer that was used before.
pub(crate) struct Append<'a> {
    corpus: &'a Corpus,
    headers: Vec<Vec<HeaderRef<'a>>>,
    buffer: BytesMut,
}

/// Ends a full batch: compression, checksum, header.
pub(crate) struct Seal<'a> {
    corpus: &'a Corpus,
    codec: Codec,
    scratch: Scratch,
    buffer: BytesMut,
}

impl<'a> Partition<'a> {
    pub(crate) fn new(corpus: &'a Corpus) -> Self {
        Self { corpus }
    }
}

impl Work for Partition<'_> {
    fn once(&mut self, around: &mut dyn FnMut(&mut dyn FnMut())) {
        around(&mut || {
            for event in self.corpus.events() {
                black_box(KeyHash::Murmur2.partition(black_box(event.key.as_bytes()), PARTITIONS));
            }
        });
    }
}

impl<'a> Append<'a> {
    pub(crate) fn new(corpus: &'a Corpus) -> Self {
        Self { corpus, headers: corpus.headers(), buffer: BytesMut::with_capacity(BATCH_BYTES) }
    }
}

impl Work for Append<'_> {
    fn once(&mut self, around: &mut dyn FnMut(&mut dyn FnMut())) {
        let mut builder = BatchBuilder::new(std::mem::take(&mut self.buffer), BATCH_BYTES);
        around(&mut || {
            for (index, (event, headers)) in self.corpus.events().iter().zip(&self.headers).enumerate() {
                let appended = builder.try_append(&parts(index, event, headers));
                debug_assert_eq!(appended, Ok(index as u32));
                // Without this the compiler could see that nobody looks.
                let _index = black_box(appended);
            }
        });
        self.buffer = builder.into_buffer();
    }
}

impl<'a> Seal<'a> {
    pub(crate) fn new(corpus: &'a Corpus, compression: Compression) -> Self {
        let (codec, buffer) = (Codec::new(compression), BytesMut::with_capacity(BATCH_BYTES));
        Self { corpus, codec, scratch: Scratch::new(), buffer }
    }
}

impl Work for Seal<'_> {
    fn once(&mut self, around: &mut dyn FnMut(&mut dyn FnMut())) {
        let mut builder = Some(self.corpus.fill(std::mem::take(&mut self.buffer)));
        let mut sealed = None;
        around(&mut || {
            let builder = builder.take().expect("the work is done once");
            let batch = builder.seal(&self.codec, &mut self.scratch).expect("the codecs are in this build");
            black_box(batch.header(&ProducerStamp::NONE));
            sealed = Some(batch);
        });
        let sealed = sealed.expect("the work was done");
        self.buffer = sealed.recycle().expect("nobody else holds it");
    }
}
