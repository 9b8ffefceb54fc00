use bytes::{Bytes, BytesMut};
use milena_bench_events::{Event, pool};
use milena_protocol::Records;
use milena_records::{BatchBuilder, Codec, Compression, HeaderRef, ProducerStamp, RecordParts, Scratch};

/// Batches that are handed out again and again, with other offsets.
pub(crate) struct Canned {
    records_per_batch: i64,
    /// Without the base offset, which the checksum does not cover.
    batches: Vec<Bytes>,
}

/// The end offset of a topic that has records: nobody comes so far.
pub(crate) const END_OFFSET: i64 = 1 << 50;

const BATCHES: usize = 64;
const BATCH_BYTES: usize = 65_536;
const BASE_OFFSET_LEN: usize = 8;
const TIME_BEGIN_MS: i64 = 1_763_848_700_000;
const RECORDS_PER_MS: i64 = 10;

impl Canned {
    /// Of `fetch-SIZE-COMPRESSION[-headers]`; any other topic has none.
    pub(crate) fn of_topic(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        if parts.next() != Some("fetch") {
            return None;
        }
        let size = parts.next()?.parse().ok()?;
        let compression: Compression = parts.next()?.parse().ok()?;
        Some(Self::new(&pool(size, parts.next() == Some("headers")), Codec::new(compression)))
    }

    fn new(events: &[Event], codec: Codec) -> Self {
        let mut events = events.iter().cycle();
        let mut scratch = Scratch::new();
        let mut canned = Self { records_per_batch: i64::MAX, batches: Vec::new() };
        while canned.batches.len() < BATCHES {
            // All have as many records as the first, so that an offset tells its batch.
            let mut builder = BatchBuilder::new(BytesMut::with_capacity(BATCH_BYTES), BATCH_BYTES);
            while i64::from(builder.record_count()) < canned.records_per_batch {
                let event = events.next().expect("a cycle has no end");
                if !append(&mut builder, event) {
                    break;
                }
            }
            canned.records_per_batch = canned.records_per_batch.min(builder.record_count().into());
            let sealed = builder.seal(&codec, &mut scratch).expect("all codecs are in this build");
            let header = sealed.header(&ProducerStamp::NONE);
            canned.batches.push([&header[BASE_OFFSET_LEN..], sealed.section()].concat().into());
        }
        canned
    }

    /// Batches from the one that has this offset on: one at least, if `must` is set, and then as many as fit.
    pub(crate) fn fetch(&self, offset: i64, bytes_max: usize, must: bool) -> Records {
        let mut number = offset / self.records_per_batch;
        let (mut segments, mut len) = (Vec::new(), 0);
        loop {
            let batch = &self.batches[number as usize % BATCHES];
            len += BASE_OFFSET_LEN + batch.len();
            if len > bytes_max && !(must && segments.is_empty()) {
                return Records::from_segments(segments);
            }
            let base_offset = number * self.records_per_batch;
            segments.extend([Bytes::copy_from_slice(&base_offset.to_be_bytes()), batch.clone()]);
            number += 1;
        }
    }
}

/// Whether it fitted.
fn append(builder: &mut BatchBuilder, event: &Event) -> bool {
    let headers = event.headers.iter().map(|(key, value)| HeaderRef { key, value: Some(value.as_bytes()) });
    let headers: Vec<_> = headers.collect();
    let parts = RecordParts {
        timestamp: TIME_BEGIN_MS + i64::from(builder.record_count()) / RECORDS_PER_MS,
        key: Some(event.key.as_bytes()),
        value: Some(event.value.as_bytes()),
        headers: &headers,
    };
    builder.try_append(&parts).is_ok()
}
