//! Checksums, decompression and reading of what was fetched, off the application's task.

use std::sync::Arc;

use milena_client::TopicPartition;
use milena_records::{Batch, Compression, RecordSection, RecordsError, Scratch};

use crate::batch::{RecordBatch, Section};
use crate::config::ConsumerConfig;
use crate::core::{Decoded, Disorder, Fetched, Generation, Position};
use crate::error::RecvError;
use crate::panics;
use crate::pool::BufferPool;
use crate::shared::Shared;

/// Decoded bytes that wait for the application before decoding pauses: few enough to be in the cache still when they are read.
pub(crate) const AHEAD_BYTES: usize = 256 * 1024;

/// How many bytes of batches are decoded at once and handed over together: many of the small batches that producers without
/// `linger` write, so that what is done per hand-over is little per record.
const BYTES_AT_ONCE: usize = 128 * 1024;

/// The task that decodes what was fetched, a little ahead of the application. Runs until it is cancelled. After a panic it goes on
/// with a new `decoder`; the partition whose batches it was at stands still.
pub(crate) async fn run<D: Decode>(shared: Arc<Shared>, decoder: impl Fn(&ConsumerConfig) -> D) {
    let mut panics = 0;
    while let Err(message) = panics::catch(decode_all(&shared, decoder(&shared.config))).await {
        let told = message.clone();
        shared.with(|subscription| subscription.handle_decoder_panic(told));
        panics::ignore(|| tracing::error!(message, "decoding panicked; it goes on with the next partition"));
        panics += 1;
        shared.pause_after_panic(panics).await;
    }
}

async fn decode_all(shared: &Shared, mut decoder: impl Decode) {
    loop {
        while let Some(job) = shared.with(|subscription| subscription.poll_decode()) {
            let (ticket, fetched) = job.into_parts();
            let decoded = decoder.decode(ticket.partition(), ticket.generation(), fetched);
            shared.with(|subscription| subscription.handle_decoded(ticket, decoded));
        }
        shared.decoder.notified().await;
    }
}

/// What the task works with; another one in tests.
pub(crate) trait Decode {
    /// Decodes the next batches of a partition.
    fn decode(&mut self, partition: &TopicPartition, generation: Generation, fetched: Fetched) -> Decoded;
}

/// Decodes batches; its working memory stays with it.
pub(crate) struct Decoder {
    check_crcs: bool,
    bytes_at_once: usize,
    scratch: Scratch,
    buffers: Arc<BufferPool>,
}

/// What became of one of Kafka's batches.
struct Reading {
    section: Section,
    /// The offset after its last good record.
    good_until: i64,
    failure: Option<RecordsError>,
}

/// How much was worked on in a row.
#[derive(Default)]
struct Progress {
    received_bytes: usize,
    decompressed_bytes: usize,
}

impl Progress {
    fn bytes(&self) -> usize {
        self.received_bytes + self.decompressed_bytes
    }
}

/// Whether there may be more.
enum Step {
    Done,
    More,
}

impl Decode for Decoder {
    fn decode(
        &mut self,
        partition: &TopicPartition,
        generation: Generation,
        mut fetched: Fetched,
    ) -> Decoded {
        let start = fetched.next;
        let mut batch = RecordBatch::new(partition.clone(), generation, start, self.buffers.clone());
        let mut progress = Progress::default();
        let mut error = self.disorder(partition, &mut fetched);
        let mut more = true;
        while more && error.is_none() && progress.bytes() < self.bytes_at_once {
            match self.step(partition, &mut fetched, &mut batch, &mut progress) {
                Ok(Step::More) => {}
                Ok(Step::Done) => more = false,
                Err(failure) => error = Some(failure),
            }
        }
        batch.end_at(fetched.next);
        // So that the last records are known to be the last, and their frame is finished with them.
        more &= fetched.batches.clone().next().is_some();
        if !more && error.is_none() && fetched.next.offset == fetched.fetch_offset {
            error = Some(no_progress(partition, &fetched));
        }
        let rest = (more && error.is_none()).then_some(fetched);
        Decoded { batch, rest, error, received_bytes: progress.received_bytes }
    }
}

impl Decoder {
    pub(crate) fn configured(config: &ConsumerConfig) -> Self {
        Self::new(config.check_crcs, config.decompressed_batch_bytes_max, BYTES_AT_ONCE)
    }

    pub(crate) fn new(check_crcs: bool, decompressed_batch_bytes_max: usize, bytes_at_once: usize) -> Self {
        Self {
            check_crcs,
            bytes_at_once,
            scratch: Scratch::with_limit(decompressed_batch_bytes_max),
            buffers: Arc::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn buffers(&self) -> &BufferPool {
        &self.buffers
    }

    /// Why nothing of batches that are out of order can be used: some of them would come twice, or never. Unless a checksum says
    /// that a header was damaged: then what is in front of it is good.
    fn disorder(&self, partition: &TopicPartition, fetched: &mut Fetched) -> Option<RecvError> {
        let Disorder { index, base_offset, previous_end } = fetched.disorder.take()?;
        let mut involved = fetched.batches.clone().take(index + 1);
        if self.check_crcs && !involved.all(|batch| batch.is_ok_and(|batch| batch.verify_crc().is_ok())) {
            return None;
        }
        let field = "start: the batch in front of it ends at offset";
        Some(RecvError::Corrupt {
            partition: partition.clone(),
            offset: fetched.next.offset,
            error: RecordsError::InvalidHeader { base_offset, field, value: previous_end },
            next_offset: Some(previous_end).filter(|next| *next > fetched.next.offset),
        })
    }

    /// Decodes one of Kafka's batches.
    fn step(
        &mut self,
        partition: &TopicPartition,
        fetched: &mut Fetched,
        out: &mut RecordBatch,
        progress: &mut Progress,
    ) -> Result<Step, RecvError> {
        let corrupt = |offset: i64, error: RecordsError, next_offset: Option<i64>| RecvError::Corrupt {
            partition: partition.clone(),
            offset,
            error,
            next_offset: next_offset.filter(|next| *next > offset),
        };
        let batch = match fetched.batches.next() {
            None => return Ok(Step::Done),
            Some(Err(error)) => return Err(corrupt(fetched.next.offset, error, None)),
            Some(Ok(batch)) => batch,
        };
        progress.received_bytes += batch.bytes().len();
        let header = *batch.header();
        let past = header.next_offset();
        if past <= fetched.next.offset {
            return Ok(Step::More);
        }
        if self.check_crcs {
            batch.verify_crc().map_err(|error| corrupt(fetched.next.offset, error, Some(past)))?;
        }
        let next = Position::new(past).with_leader_epoch(header.partition_leader_epoch);
        let hidden =
            self.hides(&batch, fetched).map_err(|error| corrupt(fetched.next.offset, error, Some(past)))?;
        if !hidden && !header.is_control() {
            let read = self.read(&batch, fetched.next.offset);
            let Reading { section, good_until, failure } =
                read.map_err(|error| corrupt(fetched.next.offset, error, Some(past)))?;
            if section.record_count > 0 {
                progress.decompressed_bytes += if section.decompressed { section.records.len() } else { 0 };
                out.push(section, &fetched.frame);
            }
            if let Some(error) = failure {
                fetched.next = Position { offset: good_until, ..next };
                return Err(corrupt(good_until, error, Some(past)));
            }
        }
        fetched.next = next;
        Ok(Step::More)
    }

    /// Decompresses a batch and reads all its records once, to keep those from `from` on.
    fn read(&mut self, batch: &Batch, from: i64) -> Result<Reading, RecordsError> {
        let header = batch.header();
        let decompressed = !matches!(header.compression()?, Compression::None);
        let records = self.decompress(batch, decompressed)?;
        let mut iter = records.iter();
        let mut start = iter.cursor();
        let mut record_count = 0;
        let mut good_until = from;
        let mut failure = None;
        loop {
            let here = iter.cursor();
            match iter.next_offset() {
                None => break,
                Some(Ok(offset)) if offset < from && record_count == 0 => {}
                Some(Ok(value)) if value < good_until || value > header.last_offset() => {
                    let base_offset = header.base_offset;
                    failure =
                        Some(RecordsError::InvalidHeader { base_offset, field: "record offset", value });
                    break;
                }
                Some(Ok(offset)) => {
                    if record_count == 0 {
                        start = here;
                    }
                    record_count += 1;
                    good_until = offset + 1;
                }
                Some(Err(error)) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let leader_epoch = Position::new(0).with_leader_epoch(header.partition_leader_epoch).leader_epoch;
        let timestamp_type = header.timestamp_type();
        let section = Section { records, start, record_count, leader_epoch, timestamp_type, decompressed };
        Ok(Reading { section, good_until, failure })
    }

    /// Whether a batch is to be passed over because its transaction was aborted.
    fn hides(&mut self, batch: &Batch, fetched: &mut Fetched) -> Result<bool, RecordsError> {
        let Some(filter) = &mut fetched.filter else { return Ok(false) };
        let control = batch.control_type(&mut self.scratch)?;
        Ok(filter.hides(batch.header(), control))
    }

    fn decompress(&mut self, batch: &Batch, decompressed: bool) -> Result<RecordSection, RecordsError> {
        if !decompressed {
            return batch.decompress(&mut self.scratch, &mut Vec::new());
        }
        let mut buffer = self.buffers.take();
        let section = batch.decompress(&mut self.scratch, &mut buffer);
        self.buffers.put(buffer);
        section
    }
}

/// Why the bytes brought the consumer no further: there is no whole batch, or all are from before the position. Asking again
/// would bring the same.
fn no_progress(partition: &TopicPartition, fetched: &Fetched) -> RecvError {
    let offset = fetched.next.offset;
    match fetched.batches.remainder() {
        Some(incomplete) => {
            RecvError::BatchTooLarge { partition: partition.clone(), offset, available: incomplete.available }
        }
        None => RecvError::Corrupt {
            partition: partition.clone(),
            offset,
            error: RecordsError::InvalidHeader {
                base_offset: offset,
                field: "last offset of the fetched batches, which is before offset",
                value: offset,
            },
            next_offset: None,
        },
    }
}

#[cfg(test)]
mod tests;
