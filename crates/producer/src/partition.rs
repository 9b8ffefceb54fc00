//! One partition: the open batch that records are encoded into, the queue behind it, and who sends it.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use milena_client::TopicPartition;
use milena_protocol::ByteStr;
use milena_records::{BatchBuilder, Codec, RecordParts};

use crate::core::queue::{Batch, QueueConfig, SendQueue};
use crate::delivery::{BatchDelivery, Delivery};
use crate::memory::{Memory, Reservation};
use crate::sender::BrokerSender;

/// What a new batch reserves at first; it doubles as the batch grows, so that many half-empty batches take little of the budget.
const FIRST_RESERVATION_BYTES: usize = 4 * 1024;

/// One partition of a topic that is produced to.
pub(crate) struct Partition {
    pub(crate) topic_partition: TopicPartition,
    pub(crate) wire_topic: ByteStr,
    state: Mutex<PartitionState>,
    /// Sealed batches that wait to be sent, readable without the lock.
    queued_batches: AtomicU32,
    /// Whether its broker takes data (KIP-794).
    available: AtomicBool,
}

/// What the partition's lock guards.
pub(crate) struct PartitionState {
    pub(crate) open: Option<OpenBatch>,
    pub(crate) queue: SendQueue<Payload>,
    /// Who sends to the partition's leader; `None` while there is no leader.
    pub(crate) sender: Option<Arc<BrokerSender>>,
    /// Whether the partition is on its sender's list already.
    pub(crate) is_listed: bool,
    /// Records appended since the beginning: the name of the next batch.
    next_record: u64,
}

/// A batch that takes records.
pub(crate) struct OpenBatch {
    builder: BatchBuilder,
    delivery: Arc<BatchDelivery>,
    reservation: Reservation,
    pub(crate) first_record: u64,
    pub(crate) opened_at: Instant,
    record_bytes_max: usize,
    /// Someone asked for it to be sent before its linger is over.
    pub(crate) is_flushed: bool,
}

/// What goes with a sealed batch through the queue.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) delivery: Arc<BatchDelivery>,
    /// Which of the delivery's records are in this batch: all, unless it was split.
    pub(crate) records: Range<u32>,
    pub(crate) delivery_records: u32,
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
    pub(crate) batch_size: usize,
    pub(crate) codec: &'a Codec,
    pub(crate) delivery_timeout: std::time::Duration,
}

/// A record that was appended.
pub(crate) struct Appended {
    pub(crate) delivery: Delivery,
    /// It began a batch.
    pub(crate) opened: bool,
    /// The size of the batch that was sealed before it; 0 when none was.
    pub(crate) sealed_bytes: usize,
    /// What it takes in its batch.
    pub(crate) record_bytes: usize,
}

/// A record that was not appended: this much memory must be reserved first.
pub(crate) struct NeedsMemory {
    pub(crate) bytes: usize,
    /// A batch was sealed nevertheless.
    pub(crate) sealed_bytes: usize,
}

impl Partition {
    pub(crate) fn new(topic_partition: TopicPartition, wire_topic: ByteStr, config: QueueConfig) -> Self {
        let state = PartitionState {
            open: None,
            queue: SendQueue::new(config),
            sender: None,
            is_listed: false,
            next_record: 0,
        };
        Self {
            topic_partition,
            wire_topic,
            state: Mutex::new(state),
            queued_batches: AtomicU32::new(0),
            available: AtomicBool::new(true),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, PartitionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn queued_batches(&self) -> u32 {
        self.queued_batches.load(Ordering::Relaxed)
    }

    /// Publishes the queue's length; call it after the queue has changed.
    pub(crate) fn publish_queue_len(&self, state: &PartitionState) {
        let waiting = u32::try_from(state.queue.waiting_len()).unwrap_or(u32::MAX);
        self.queued_batches.store(waiting, Ordering::Relaxed);
    }

    pub(crate) fn is_available(&self) -> bool {
        self.available.load(Ordering::Relaxed)
    }

    pub(crate) fn set_available(&self, available: bool) {
        self.available.store(available, Ordering::Relaxed);
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
    ) -> Result<Appended, NeedsMemory> {
        let mut sealed_bytes = 0;
        if let Some(open) = &mut state.open {
            if open.make_room(rules, record)
                && let Some((index, record_bytes)) = open.append(record)
            {
                let delivery = open.delivery.delivery(index, record.timestamp);
                state.next_record += 1;
                return Ok(Appended { delivery, opened: false, sealed_bytes, record_bytes });
            }
            sealed_bytes = self.seal(state, rules);
        }
        let bytes = FIRST_RESERVATION_BYTES.min(rules.batch_size).max(BatchBuilder::upper_bound(record));
        let Some(reservation) = reservation.take().or_else(|| rules.memory.try_reserve(bytes)) else {
            return Err(NeedsMemory { bytes, sealed_bytes });
        };
        let first_record = state.next_record;
        let open = state.open.insert(OpenBatch {
            builder: BatchBuilder::new(rules.memory.take_buffer(), rules.batch_size),
            delivery: BatchDelivery::new(self.topic_partition.clone()),
            reservation,
            first_record,
            opened_at: now(),
            record_bytes_max: 0,
            is_flushed: false,
        });
        let (index, record_bytes) =
            open.append(record).expect("an empty batch takes a record of any allowed size");
        state.next_record += 1;
        let delivery = open.delivery.delivery(index, record.timestamp);
        Ok(Appended { delivery, opened: true, sealed_bytes, record_bytes })
    }

    /// Seals the open batch, if there is one, and puts it into the queue. Returns its size.
    pub(crate) fn seal(&self, state: &mut PartitionState, rules: &BatchRules<'_>) -> usize {
        let Some(open) = state.open.take() else { return 0 };
        let OpenBatch {
            builder, delivery, mut reservation, first_record, opened_at, record_bytes_max, ..
        } = open;
        let uncompressed_bytes = builder.size();
        let mut scratch = rules.memory.take_scratch();
        let sealed = builder
            .seal(rules.codec, &mut scratch)
            .expect("the producer's construction checked that the codec is part of this build");
        rules.memory.give_scratch(scratch);
        reservation.shrink_to(sealed.encoded_len());
        let sealed_bytes = sealed.encoded_len();
        let payload = Payload {
            delivery,
            records: 0..sealed.record_count(),
            delivery_records: sealed.record_count(),
            reservation: Arc::new(reservation),
            size: BatchSize {
                records: sealed.record_count(),
                encoded_bytes: sealed_bytes,
                uncompressed_bytes,
                record_bytes_max,
                opened_at,
            },
        };
        let deadline = opened_at + rules.delivery_timeout;
        state.queue.push(Batch::new(first_record, sealed, deadline, payload));
        self.publish_queue_len(state);
        sealed_bytes
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
                true
            }
            None => false,
        }
    }

    /// Encodes the record and returns its index and size; `None` when it does not fit.
    fn append(&mut self, record: &RecordParts<'_>) -> Option<(u32, usize)> {
        let before = self.builder.size();
        let index = self.builder.try_append(record).ok()?;
        let record_bytes = self.builder.size() - before;
        self.record_bytes_max = self.record_bytes_max.max(record_bytes);
        Some((index, record_bytes))
    }

    /// The deliveries of what is in the batch so far.
    pub(crate) fn delivery(&self) -> &Arc<BatchDelivery> {
        &self.delivery
    }
}

impl PartitionState {
    /// Every delivery that is not resolved, oldest first.
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = &Arc<BatchDelivery>> {
        let sealed = self.queue.batches().map(|batch| &batch.payload.delivery);
        sealed.chain(self.open.as_ref().map(OpenBatch::delivery))
    }

    /// When the next delivery must be resolved.
    pub(crate) fn next_deadline(&self, delivery_timeout: std::time::Duration) -> Option<Instant> {
        let open = self.open.as_ref().map(|open| open.opened_at + delivery_timeout);
        [self.queue.next_deadline(), open].into_iter().flatten().min()
    }
}
