//! The steps, and the records that they are measured with.

use bytes::{Bytes, BytesMut};
use milena_bench_events::{Event, pool};
use milena_records::{
    BatchBuilder, Batches, Codec, Compression, HeaderRef, ProducerStamp, RecordParts, Scratch, SealedBatch,
};

use crate::reading::{Check, Decode, Decompress, Iterate, Validate};
use crate::writing::{Append, Partition, Seal};

/// The size of batches, as `milena bench` has it.
pub(crate) const BATCH_BYTES: usize = 65_536;
/// When the first record happened, in milliseconds, and how many records share a millisecond.
const TIME_BEGIN_MS: i64 = 1_763_848_700_000;
const RECORDS_PER_MS: usize = 10;

/// The records of one batch, all of one shape.
pub(crate) struct Corpus {
    events: Vec<Event>,
    pub(crate) size: usize,
    pub(crate) with_headers: bool,
}

/// One step with records of one shape.
pub(crate) struct Case<'a> {
    pub(crate) step: String,
    pub(crate) corpus: &'a Corpus,
    /// Records in a batch.
    pub(crate) records: usize,
    pub(crate) work: Box<dyn Work + 'a>,
}

/// Something to do to one batch, as often as one likes.
pub(crate) trait Work {
    /// Prepares what the work needs, has `around` do the work, and puts away what it made.
    fn once(&mut self, around: &mut dyn FnMut(&mut dyn FnMut()));
}

impl Corpus {
    /// Small and large records, with and without headers.
    pub(crate) fn all() -> Vec<Self> {
        let shapes = [(100, false), (100, true), (1_000, false), (1_000, true)];
        shapes.map(|(size, with_headers)| Self::new(size, with_headers)).into()
    }

    fn new(size: usize, with_headers: bool) -> Self {
        let mut corpus = Self { events: pool(size, with_headers), size, with_headers };
        let fitting = corpus.fill(BytesMut::new()).record_count();
        corpus.events.truncate(fitting as usize);
        corpus
    }

    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// The headers of each event, if this shape has them.
    pub(crate) fn headers(&self) -> Vec<Vec<HeaderRef<'_>>> {
        let refs = |event| if self.with_headers { header_refs(event) } else { Vec::new() };
        self.events.iter().map(refs).collect()
    }

    /// A builder that has as many of the records as fit.
    pub(crate) fn fill(&self, buffer: BytesMut) -> BatchBuilder {
        let headers = self.headers();
        let mut builder = BatchBuilder::new(buffer, BATCH_BYTES);
        for (index, (event, headers)) in self.events.iter().zip(&headers).enumerate() {
            if builder.try_append(&parts(index, event, headers)).is_err() {
                break;
            }
        }
        builder
    }

    /// The batch as a broker sends it.
    pub(crate) fn on_the_wire(&self, compression: Compression) -> Bytes {
        let sealed = self.seal(compression);
        [&sealed.header(&ProducerStamp::NONE)[..], sealed.section()].concat().into()
    }

    fn seal(&self, compression: Compression) -> SealedBatch {
        let codec = Codec::new(compression);
        self.fill(BytesMut::new()).seal(&codec, &mut Scratch::new()).expect("the codecs are in this build")
    }
}

fn header_refs(event: &Event) -> Vec<HeaderRef<'_>> {
    event.headers.iter().map(|(key, value)| HeaderRef { key, value: Some(value.as_bytes()) }).collect()
}

/// The record with this index in its batch.
#[inline]
pub(crate) fn parts<'a>(index: usize, event: &'a Event, headers: &'a [HeaderRef<'a>]) -> RecordParts<'a> {
    RecordParts {
        timestamp: TIME_BEGIN_MS + (index / RECORDS_PER_MS) as i64,
        key: Some(event.key.as_bytes()),
        value: Some(event.value.as_bytes()),
        headers,
    }
}

/// The first batch of bytes from a broker.
pub(crate) fn first_batch(wire: Bytes) -> milena_records::Batch {
    let batch = Batches::new(wire).next().expect("there is a batch");
    batch.expect("it is as it was written")
}

/// The whole road, in the order in which a record goes along it.
pub(crate) fn all<'a>(corpus: &'a Corpus) -> Vec<Case<'a>> {
    let compressions = [Compression::Lz4, Compression::Snappy, Compression::Zstd, Compression::Gzip];
    let mut steps: Vec<(String, Box<dyn Work + 'a>)> = vec![
        ("partition (murmur2)".to_owned(), Box::new(Partition::new(corpus))),
        ("append".to_owned(), Box::new(Append::new(corpus))),
        ("seal (CRC, header)".to_owned(), Box::new(Seal::new(corpus, Compression::None))),
    ];
    for compression in compressions {
        steps.push((format!("seal with {compression}"), Box::new(Seal::new(corpus, compression))));
    }
    steps.push(("decode (batch header)".to_owned(), Box::new(Decode::new(corpus))));
    steps.push(("check (CRC)".to_owned(), Box::new(Check::new(corpus))));
    for compression in compressions {
        steps.push((format!("decompress {compression}"), Box::new(Decompress::new(corpus, compression))));
    }
    steps.push(("validate".to_owned(), Box::new(Validate::new(corpus))));
    steps.push(("iterate".to_owned(), Box::new(Iterate::new(corpus))));
    let records = corpus.events.len();
    steps.into_iter().map(|(step, work)| Case { step, corpus, records, work }).collect()
}
