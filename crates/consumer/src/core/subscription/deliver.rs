//! From buffers to the decoder, and from there to the application.

use std::time::Instant;

use milena_client::TopicPartition;

use super::Subscription;
use crate::batch::RecordBatch;
use crate::core::budget::FrameId;
use crate::core::fetched::Fetched;
use crate::core::fetching::{Buffered, Next, Ready};
use crate::core::partition::{Generation, Partition};
use crate::error::RecvError;

/// Batches for the decoder.
#[derive(Debug)]
pub(crate) struct DecodeJob {
    pub(crate) partition: TopicPartition,
    pub(crate) generation: Generation,
    pub(crate) fetched: Fetched,
    node_id: i32,
    frame: FrameId,
}

/// What became of them.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The next records, none where only markers and hidden records were.
    pub(crate) batch: RecordBatch,
    /// What is left.
    pub(crate) rest: Option<Fetched>,
    /// What could not be read, after `batch`.
    pub(crate) error: Option<RecvError>,
    /// Bytes of the batches that were worked on, as they were received.
    pub(crate) received_bytes: usize,
}

/// What the job was about.
#[derive(Clone, Debug)]
pub(crate) struct DecodeTicket {
    partition: TopicPartition,
    generation: Generation,
    node_id: i32,
    frame: FrameId,
}

/// What the application is given.
#[derive(Debug)]
pub(crate) enum Delivery {
    Batch {
        batch: RecordBatch,
        /// How many records the position is now behind the end, and after the beginning, as far as brokers told.
        lag: Option<i64>,
        lead: Option<i64>,
    },
    Error(RecvError),
}

impl DecodeJob {
    /// Takes the batches out.
    pub(crate) fn into_parts(self) -> (DecodeTicket, Fetched) {
        let Self { partition, generation, fetched, node_id, frame } = self;
        (DecodeTicket { partition, generation, node_id, frame }, fetched)
    }
}

impl DecodeTicket {
    pub(crate) fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(super) fn frame(&self) -> FrameId {
        self.frame
    }
}

impl Subscription {
    /// The next batches to decode, unless enough is decoded.
    pub(crate) fn poll_decode(&mut self) -> Option<DecodeJob> {
        if self.ready_bytes >= self.config.decode_ahead_bytes {
            return None;
        }
        while let Some(name) = self.undecoded.pop() {
            let Some(partition) = self.partitions.get_mut(&name).filter(|partition| !partition.is_paused())
            else {
                continue;
            };
            let generation = partition.generation();
            let buffered = partition.fetching_mut().and_then(|fetching| fetching.take_undecoded());
            if let Some(Buffered { fetched, frame, node_id }) = buffered {
                self.in_decoder = Some(DecodeTicket { partition: name.clone(), generation, node_id, frame });
                return Some(DecodeJob { partition: name, generation, fetched, node_id, frame });
            }
        }
        None
    }

    /// Takes what the decoder made of a job.
    pub(crate) fn handle_decoded(&mut self, ticket: DecodeTicket, decoded: Decoded) {
        let DecodeTicket { partition: name, generation, node_id, frame } = ticket;
        let partition =
            self.partitions.get_mut(&name).filter(|partition| partition.generation() == generation);
        let paused = partition.as_ref().is_some_and(|partition| partition.is_paused());
        let Some(fetching) = partition.and_then(Partition::fetching_mut) else {
            // A seek, a reset or another assignment came between: nothing of this is wanted any more.
            self.in_decoder = None;
            self.finish_part(frame);
            self.wake_waiting_nodes();
            return;
        };
        let Decoded { batch, rest, error, received_bytes } = decoded;
        let rest = rest.filter(|_| error.is_none());
        let ready = Ready {
            size_bytes: batch.size_bytes(),
            charged_bytes: batch.buffer_bytes(),
            node_id,
            received_bytes,
            frame,
            finishes_frame: rest.is_none(),
            batch,
        };
        self.budget.charge(node_id, ready.charged_bytes);
        if !paused {
            self.ready_bytes += ready.size_bytes;
        }
        let rest = rest.map(|fetched| Buffered { fetched, frame, node_id });
        let dropped = fetching.handle_decoded(ready, rest, error);
        self.in_decoder = None;
        self.drop_buffers(dropped, paused);
        self.after_transition(&name);
    }

    /// The decoder panicked over what it had. The partition stands still before that, once all before it was handed over.
    pub(crate) fn handle_decoder_panic(&mut self, message: String) {
        let task = "decoding".to_owned();
        let Some(DecodeTicket { partition: name, generation, frame, .. }) = self.in_decoder.take() else {
            return self.handle_panic(task, message);
        };
        self.finish_part(frame);
        let partition =
            self.partitions.get_mut(&name).filter(|partition| partition.generation() == generation);
        let paused = partition.as_ref().is_some_and(|partition| partition.is_paused());
        if let Some(fetching) = partition.and_then(Partition::fetching_mut) {
            let error = RecvError::Panicked { partition: Some(name.clone()), task, message };
            let dropped = fetching.handle_decoder_panic(error);
            self.drop_buffers(dropped, paused);
            self.after_transition(&name);
        }
        self.wake_waiting_nodes();
    }

    /// What comes next for the application, at most so many records. The position is after it from now on, and its memory is the
    /// application's.
    pub(crate) fn poll_delivery(&mut self, records_max: usize) -> Option<Delivery> {
        let delivery = self.next_delivery(records_max);
        if delivery.is_some() {
            self.dry_since = None;
        }
        delivery
    }

    /// The application waits, since [`Self::poll_delivery`] had nothing.
    pub(crate) fn handle_dry(&mut self, now: Instant) {
        self.dry_since.get_or_insert(now);
    }

    fn next_delivery(&mut self, records_max: usize) -> Option<Delivery> {
        if let Some(error) = self.errors.pop_front() {
            return Some(Delivery::Error(error));
        }
        while let Some(name) = self.ready.pop() {
            if let Some(delivery) = self.poll_partition(&name, records_max) {
                return Some(delivery);
            }
        }
        None
    }

    fn poll_partition(&mut self, name: &TopicPartition, records_max: usize) -> Option<Delivery> {
        loop {
            let partition = self.partitions.get_mut(name)?;
            let paused = partition.is_paused();
            if !paused && let Some(batch) = partition.take_unread() {
                self.after_transition(name);
                return Some(self.deliver(batch, records_max));
            }
            if let Some(error) = partition.take_error() {
                return Some(Delivery::Error(error));
            }
            if paused {
                return None;
            }
            match partition.fetching_mut()?.pop()? {
                Next::Error(error) => {
                    partition.fail_here();
                    return Some(Delivery::Error(error));
                }
                Next::Batch(ready) => {
                    let batch = self.hand_over(ready);
                    self.after_transition(name);
                    if !batch.is_empty() {
                        return Some(self.deliver(batch, records_max));
                    }
                }
            }
        }
    }

    fn deliver(&mut self, mut batch: RecordBatch, records_max: usize) -> Delivery {
        if let Some(rest) = batch.split_off(records_max.max(1)) {
            self.unread(rest);
        }
        let name = batch.topic_partition();
        let (lag, lead) = (self.lag(name), self.lead(name));
        Delivery::Batch { batch, lag, lead }
    }

    fn hand_over(&mut self, ready: Ready) -> RecordBatch {
        let decoding_paused = self.ready_bytes >= self.config.decode_ahead_bytes;
        self.ready_bytes -= ready.size_bytes;
        self.effects.decoder |= decoding_paused && self.ready_bytes < self.config.decode_ahead_bytes;
        self.budget.release(ready.node_id, ready.charged_bytes);
        let topic = &ready.batch.topic_partition().topic;
        self.budget.count_consumed(ready.frame, topic, ready.batch.len(), ready.received_bytes);
        if let Some(frame) = ready.finished_frame() {
            self.finish_part(frame);
        }
        self.wake_waiting_nodes();
        ready.batch
    }

    /// Takes back what of a batch was not used; it comes first when its partition's turn comes, whatever brokers said of the
    /// partition meanwhile. It is passed over if the application has moved the partition since.
    ///
    /// Its memory stays the application's: at most one batch of each partition.
    pub(crate) fn unread(&mut self, batch: RecordBatch) {
        let name = batch.topic_partition().clone();
        let Some(partition) = self.partitions.get_mut(&name) else { return };
        partition.put_back(batch);
        if partition.has_unread() && !partition.is_paused() {
            self.ready.push_front(&name);
            self.effects.application = true;
        }
    }
}
