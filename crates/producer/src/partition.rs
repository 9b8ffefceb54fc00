//! One partition: the open batch that records are encoded into, the queue behind it, and who sends it.

use std::ops::{Deref, DerefMut, RangeInclusive};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use milena_client::TopicPartition;
use milena_protocol::ByteStr;
use milena_records::{BatchBuilder, Codec, RecordParts};

use crate::core::listing::Listing;
use crate::core::queue::{Batch, QueueConfig, SendQueue};
use crate::delivery::{BatchDelivery, BatchHandle, Delivery, Promise};
use crate::memory::{Backlog, Memory, Reservation};
use crate::sender::BrokerSender;

/// What a new batch reserves at first, and what its builder takes: as much as the partition's last batch needed, within these bounds.
/// It doubles as the batch grows. So many half-empty batches take little of the budget, and small ones lie close together: those of
/// a thousand partitions stay within reach of the processor's address translation.
const FIRST_RESERVATION_BYTES: RangeInclusive<usize> = 1024..=8 * 1024;

/// One partition of a topic that is produced to.
pub(crate) struct Partition {
    pub(crate) topic_partition: TopicPartition,
    pub(crate) wire_topic: ByteStr,
    state: Mutex<PartitionState>,
    /// Sealed batches that wait to be sent, readable without the lock.
    queued_batches: AtomicU32,
}

/// What the partition's lock guards.
pub(crate) struct PartitionState {
    pub(crate) open: Option<OpenBatch>,
    pub(crate) queue: SendQueue<Payload>,
    /// Batches that have left the queue and whose deliveries are being told: a flush waits for them, too.
    resolving: Vec<BatchHandle>,
    /// Who sends to the partition's leader; `None` while there is no leader.
    sender: Option<Arc<BrokerSender>>,
    /// Where the partition is on that sender's lists.
    pub(crate) listing: Listing,
    /// The producer has ended: nobody would send or fail what is appended.
    pub(crate) is_ended: bool,
    /// When it was last appended to, to the accuracy of a batch.
    pub(crate) used_at: Option<Instant>,
    /// Records appended since the beginning: the name of the next batch.
    next_record: u64,
    /// How large the last batch was before compression.
    last_batch_bytes: usize,
    /// Promises of batches that a panic interrupted. Dropping them tells their deliveries, and so runs user code: not under the lock.
    abandoned: Vec<Promise>,
}

/// A partition's locked state. What a panic abandoned under the lock is told once the lock is released.
pub(crate) struct Locked<'a> {
    // Fields are dropped in this order.
    state: MutexGuard<'a, PartitionState>,
    to_tell: Vec<Promise>,
}

impl Deref for Locked<'_> {
    type Target = PartitionState;

    fn deref(&self) -> &PartitionState {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut PartitionState {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.to_tell = std::mem::take(&mut self.state.abandoned);
    }
}

/// A batch that takes records.
pub(crate) struct OpenBatch {
    builder: BatchBuilder,
    promise: Promise,
    reservation: Reservation,
    first_record: u64,
    pub(crate) opened_at: Instant,
    record_bytes_max: usize,
    /// Someone asked for it to be sent before its linger is over.
    pub(crate) is_flushed: bool,
}

/// What goes with a sealed batch through the queue.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) promise: Promise,
    /// Shared with requests on their way, which hold the bytes even when the batch has expired.
    pub(crate) reservation: Arc<Reservation>,
    pub(crate) size: BatchSize,
}

/// What the metrics want to know of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchSize {
    pub(crate) records: u32,
    pub(crate) encoded_bytes: usize,
    pub(crate) uncompressed_bytes: usize,
    pub(crate) record_bytes_max: usize,
    pub(crate) opened_at: Instant,
}

/// What opening and sealing batches needs of the producer.
pub(crate) struct BatchRules<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) backlog: &'a Backlog,
    pub(crate) batch_size: usize,
    pub(crate) codec: &'a Codec,
    pub(crate) delivery_timeout: Duration,
}

/// A record that was appended.
pub(crate) struct Appended {
    pub(crate) delivery: Delivery,
    /// It began a batch.
    pub(crate) opened: bool,
    /// A batch was sealed: the one before it, or its own, which it fills.
    pub(crate) sealed: bool,
    /// What it takes in its batch.
    pub(crate) record_bytes: usize,
}

/// A record that was not appended.
pub(crate) enum NotAppended {
    /// This much memory must be reserved first.
    NeedsMemory { bytes: usize },
    /// The producer has ended.
    Ended,
}

impl Partition {
    pub(crate) fn new(topic_partition: TopicPartition, wire_topic: ByteStr, config: QueueConfig) -> Self {
        let state = PartitionState {
            open: None,
            queue: SendQueue::new(config),
            resolving: Vec::new(),
            sender: None,
            listing: Listing::new(),
            is_ended: false,
            used_at: None,
            next_record: 0,
            last_batch_bytes: 0,
            abandoned: Vec::new(),
        };
        Self { topic_partition, wire_topic, state: Mutex::new(state), queued_batches: AtomicU32::new(0) }
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Locked { state, to_tell: Vec::new() }
    }

    pub(crate) fn queued_batches(&self) -> u32 {
        self.queued_batches.load(Ordering::Relaxed)
    }

    /// Publishes the queue's length; call it after the queue has changed.
    pub(crate) fn publish_queue_len(&self, state: &PartitionState) {
        let waiting = u32::try_from(state.queue.waiting_len()).unwrap_or(u32::MAX);
        self.queued_batches.store(waiting, Ordering::Relaxed);
    }

    /// Encodes the record into the open batch, beginning another where it does not fit. `reservation` is what was reserved after an
    /// earlier `NeedsMemory`.
    pub(crate) fn append(
        &self,
        state: &mut PartitionState,
        rules: &BatchRules<'_>,
        record: &RecordParts<'_>,
        reservation: &mut Option<Reservation>,
        now: impl Fn() -> Instant,
    ) -> Result<Appended, NotAppended> {
        if state.is_ended {
            return Err(NotAppended::Ended);
        }
        let mut sealed = false;
        if let Some(open) = &mut state.open {
            if open.make_room(rules, record)
                && let Some((delivery, record_bytes)) = open.append(record)
            {
                state.next_record += 1;
                return Ok(Appended { delivery, opened: false, sealed, record_bytes });
            }
            self.seal(state, rules);
            sealed = true;
        }
        let usual_bytes = state.last_batch_bytes.next_power_of_two();
        let first_bytes = usual_bytes.clamp(*FIRST_RESERVATION_BYTES.start(), *FIRST_RESERVATION_BYTES.end());
        let bytes = first_bytes.min(rules.batch_size).max(BatchBuilder::upper_bound(record));
        let room = match reservation.take() {
            Some(reservation) => Some((BytesMut::new(), reservation)),
            None => rules.memory.try_begin(bytes),
        };
        let Some((buffer, reservation)) = room else { return Err(NotAppended::NeedsMemory { bytes }) };
        let opened_at = now();
        state.used_at = Some(opened_at);
        let mut builder = BatchBuilder::new(buffer, rules.batch_size);
        builder.reserve(reservation.bytes());
        let open = state.open.insert(OpenBatch {
            builder,
            promise: BatchDelivery::begin(self.topic_partition.clone()),
            reservation,
            first_record: state.next_record,
            opened_at,
            record_bytes_max: 0,
            is_flushed: false,
        });
        state.next_record += 1;
        let (delivery, record_bytes) =
            open.append(record).expect("an empty batch takes a record of any allowed size");
        if open.builder.size() >= rules.batch_size {
            self.seal(state, rules);
            sealed = true;
        }
        Ok(Appended { delivery, opened: true, sealed, record_bytes })
    }

    /// Seals the open batch, if there is one, and puts it into the queue.
    pub(crate) fn seal(&self, state: &mut PartitionState, rules: &BatchRules<'_>) {
        let Some(open) = state.open.take() else { return };
        let OpenBatch {
            builder, mut promise, reservation, first_record, opened_at, record_bytes_max, ..
        } = open;
        let uncompressed_bytes = builder.size();
        let mut scratch = rules.memory.take_scratch();
        let sealing = catch_unwind(AssertUnwindSafe(|| {
            (builder.seal(rules.codec, &mut scratch))
                .expect("the producer's construction checked that the codec is part of this build")
        }));
        let sealed = match sealing {
            Ok(sealed) => sealed,
            Err(panic) => {
                state.abandoned.push(promise);
                resume_unwind(panic);
            }
        };
        rules.memory.give_scratch(scratch, uncompressed_bytes);
        promise.seal(sealed.record_count());
        state.last_batch_bytes = uncompressed_bytes;
        rules.backlog.add(reservation.bytes());
        let payload = Payload {
            promise,
            // Compressed or not, the batch holds the buffer that it was built in.
            reservation: Arc::new(reservation),
            size: BatchSize {
                records: sealed.record_count(),
                encoded_bytes: sealed.encoded_len(),
                uncompressed_bytes,
                record_bytes_max,
                opened_at,
            },
        };
        let deadline = opened_at + rules.delivery_timeout;
        state.queue.push(Batch::new(first_record, sealed, deadline, payload));
        self.publish_queue_len(state);
    }
}

impl OpenBatch {
    /// Makes sure that the budget covers the batch with `record` in it. False when the budget is used up: the batch is sent as it
    /// is then.
    fn make_room(&mut self, rules: &BatchRules<'_>, record: &RecordParts<'_>) -> bool {
        let reserved = self.reservation.bytes();
        if reserved >= rules.batch_size {
            return true;
        }
        let needed = self.builder.size() + BatchBuilder::upper_bound(record);
        if needed <= reserved {
            return true;
        }
        let wanted = (2 * reserved).max(needed).min(rules.batch_size);
        match rules.memory.try_reserve(wanted - reserved) {
            Some(more) => {
                self.reservation.merge(more);
                // The buffer takes what was reserved; left to itself it would double beyond that.
                self.builder.reserve(wanted);
                true
            }
            None => false,
        }
    }

    /// Encodes the record and returns its delivery and size; `None` when it does not fit.
    fn append(&mut self, record: &RecordParts<'_>) -> Option<(Delivery, usize)> {
        let before = self.builder.size();
        let index = self.builder.try_append(record).ok()?;
        let record_bytes = self.builder.size() - before;
        self.record_bytes_max = self.record_bytes_max.max(record_bytes);
        Some((self.promise.delivery().delivery(index, record.timestamp), record_bytes))
    }
}

impl PartitionState {
    /// Who sends to the partition's leader; `None` while there is no leader.
    pub(crate) fn sender(&self) -> Option<&Arc<BrokerSender>> {
        self.sender.as_ref()
    }

    /// Gives the partition to another sender. What the old one still has on its lists counts for nothing from now on.
    pub(crate) fn change_sender(&mut self, sender: Option<Arc<BrokerSender>>) {
        self.sender = sender;
        self.listing.move_on();
    }

    /// The deliveries of every batch that is not resolved.
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = &BatchHandle> {
        let sealed = self.queue.batches().map(|batch| batch.payload.promise.delivery());
        let open = self.open.as_ref().map(|open| open.promise.delivery());
        self.resolving.iter().chain(sealed).chain(open)
    }

    /// The batch's deliveries are about to be told, without the lock.
    pub(crate) fn begin_resolving(&mut self, batch: BatchHandle) {
        self.resolving.push(batch);
    }

    /// The batch's deliveries, or those of one of its pieces, were told.
    pub(crate) fn end_resolving(&mut self, promise: Promise) {
        let batch = promise.delivery();
        if let Some(at) = self.resolving.iter().position(|other| other.is_of_same_batch(batch)) {
            self.resolving.swap_remove(at);
        }
    }

    /// When the next delivery must be resolved.
    pub(crate) fn next_deadline(&self, delivery_timeout: Duration) -> Option<Instant> {
        let open = self.open.as_ref().map(|open| open.opened_at + delivery_timeout);
        [self.queue.next_deadline(), open].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use milena_client::Backoff;

    use super::*;

    #[test]
    fn what_a_panic_abandons_is_told_without_the_lock() {
        let name = TopicPartition::new("t", 0);
        let backoff = Backoff::new(Duration::ZERO, Duration::ZERO);
        let config =
            QueueConfig { idempotent: true, in_flight_max: 5, retries_max: 1, retry_backoff: backoff };
        let partition = Arc::new(Partition::new(name.clone(), "t".into(), config));
        let promise = BatchDelivery::begin(name);
        let (told, heard) = std::sync::mpsc::channel();
        let seen = partition.clone();
        promise.delivery().delivery(0, 0).on_completion(move |result| {
            let _ = told.send((result.is_err(), seen.state.try_lock().is_ok()));
        });
        let mut state = partition.lock();
        state.abandoned.push(promise);
        drop(state);
        assert_eq!(heard.try_recv(), Ok((true, true)), "failed, and unlocked");
    }
}
