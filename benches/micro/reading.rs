//! What a consumer does to batches.

use std::hint::black_box;

use bytes::Bytes;
use milena_records::{Batch, Compression, RecordSection, Scratch};

use crate::case::{Corpus, Work, first_batch};

/// Reads the batch's header and checks what it says.
pub(crate) struct Decode {
    wire: Bytes,
}

/// Compares the batch with its checksum.
pub(crate) struct Check {
    batch: Batch,
}

/// Decompresses the batch into a buffer that was used before.
pub(crate) struct Decompress {
    batch: Batch,
    scratch: Scratch,
    buffer: Vec<u8>,
}

/// Checks the records without a look at what is in them, as a consumer does before it hands them over.
pub(crate) struct Validate {
    section: RecordSection,
}

/// Walks the records, and their headers if they have any.
pub(crate) struct Iterate {
    section: RecordSection,
    with_headers: bool,
}

impl Decode {
    pub(crate) fn new(corpus: &Corpus) -> Self {
        Self { wire: corpus.on_the_wire(Compression::None) }
    }
}

impl Work for Decode {
    fn once(&mut self, around: &mut dyn FnMut(&mut dyn FnMut())) {
        // Of a shared buffer, as a fetch is: the first to share one allocates a count of references.
        let mut wire = Some(self.wire.clone());
        let mut batch = None;
        around(&mut || batch = wire.take().map(first_batch));
        black_box(batch);
    }
}

impl Check {
    pub(crate) fn new(corpus: &Corpus) -> Self {
        Self { batch: first_batch(corpus.on_the_wire(Compression::None)) }
    }
}

impl Work for Check {
    fn once(&mut self, around: &mut dyn FnMut(&mut dyn FnMut())) {
        around(&mut || black_box(&self.batch).verify_crc().expect("it is as it was written"));
    }
}

impl Decompress {
    pub(crate) fn new(corpus: &Corpus, compression: Compression) -> Self {
        let batch = first_batch(corpus.on_the_wire(compression));
        Self { batch, scratch: Scratch::new(), buffer: Vec::new() }
    }
}

impl Work for Decompress {
    fn once(&mut self, around: &mut dyn FnMut(&mut dyn FnMut())) {
        let mut section = None;
        around(&mut || {
            let decompressed = self.batch.decompress(&mut self.scratch, &mut self.buffer);
            section = Some(decompressed.expect("it is as it was written"));
        });
        let section = section.expect("the work was done");
        self.buffer = section.into_buffer().expect("nobody else holds it");
    }
}

impl Validate {
    pub(crate) fn new(corpus: &Corpus) -> Self {
        Self { section: section(corpus) }
    }
}

impl Work for Validate {
    fn once(&mut self, around: &mut dyn FnMut(&mut dyn FnMut())) {
        let mut sum = 0;
        around(&mut || {
            let mut records = black_box(&self.section).iter();
            while let Some(offset) = records.next_offset() {
                sum += offset.expect("it is as it was written");
            }
        });
        black_box(sum);
    }
}

impl Iterate {
    pub(crate) fn new(corpus: &Corpus) -> Self {
        Self { section: section(corpus), with_headers: corpus.with_headers }
    }
}

impl Work for Iterate {
    fn once(&mut self, around: &mut dyn FnMut(&mut dyn FnMut())) {
        let mut bytes = 0;
        around(&mut || {
            for record in black_box(&self.section) {
                let record = record.expect("it is as it was written");
                bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
                if self.with_headers {
                    bytes += record.headers().map(|header| header.key.len()).sum::<usize>();
                }
            }
        });
        black_box(bytes);
    }
}

fn section(corpus: &Corpus) -> RecordSection {
    let batch = first_batch(corpus.on_the_wire(Compression::None));
    batch.decompress(&mut Scratch::new(), &mut Vec::new()).expect("it is not compressed")
}
