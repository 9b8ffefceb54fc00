//! The byte budget of a producer (promise P7), and buffers that are used again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use milena_records::Scratch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Buffers kept for later batches, at most, and at most so many that they take this part of the budget.
const BUFFERS_MAX: usize = 32;
const BUFFERS_PART: usize = 8;
/// Working memories of codecs kept for later batches: as many as seal at the same time, within reason.
const SCRATCHES_MAX: usize = 8;

/// Bytes that batches may take, counted until they are resolved and no request holds them any more.
pub(crate) struct Memory {
    budget: Arc<Semaphore>,
    total_bytes: usize,
    /// Who waits for room.
    waiting: AtomicUsize,
    /// Larger buffers are not kept.
    buffer_bytes_max: usize,
    buffers_max: usize,
    spare: Mutex<Spare>,
}

#[derive(Default)]
struct Spare {
    buffers: Vec<BytesMut>,
    scratches: Vec<Scratch>,
}

/// Bytes of the budget that a batch holds.
#[derive(Debug)]
pub(crate) struct Reservation {
    permit: OwnedSemaphorePermit,
}

impl Reservation {
    pub(crate) fn bytes(&self) -> usize {
        self.permit.num_permits()
    }

    pub(crate) fn merge(&mut self, more: Self) {
        self.permit.merge(more.permit);
    }
}

impl Memory {
    pub(crate) fn new(total_bytes: usize, batch_size: usize) -> Self {
        Self {
            budget: Arc::new(Semaphore::new(total_bytes)),
            total_bytes,
            waiting: AtomicUsize::new(0),
            buffer_bytes_max: 2 * batch_size,
            buffers_max: (total_bytes / BUFFERS_PART / batch_size).clamp(1, BUFFERS_MAX),
            spare: Mutex::default(),
        }
    }

    pub(crate) fn total_bytes(&self) -> usize {
        self.total_bytes
    }

    pub(crate) fn available_bytes(&self) -> usize {
        self.budget.available_permits()
    }

    /// Whether somebody waits for room: batches go without waiting for more records then.
    pub(crate) fn is_short(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let permits = u32::try_from(bytes).ok()?;
        let permit = self.budget.clone().try_acquire_many_owned(permits).ok()?;
        Some(Reservation { permit })
    }

    /// A buffer for a batch that begins with `bytes`, and the bytes that the buffer takes.
    pub(crate) fn try_begin(&self, bytes: usize) -> Option<(BytesMut, Reservation)> {
        // A buffer that was used before may be larger than a batch of a few records needs.
        if let Some(buffer) = self.take_buffer()
            && let Some(reservation) = self.try_reserve(bytes.max(buffer.capacity()))
        {
            return Some((buffer, reservation));
        }
        self.try_reserve(bytes).map(|reservation| (BytesMut::new(), reservation))
    }

    /// Waits for `bytes`, first come, first served; `first` is called if nobody else waits. `None` when the budget was closed.
    ///
    /// Cancel safe: a dropped future loses its place in the queue and nothing else.
    pub(crate) async fn reserve(&self, bytes: usize, first: impl FnOnce()) -> Option<Reservation> {
        let permits = u32::try_from(bytes).ok()?;
        let waiter = Waiter::count(&self.waiting);
        if waiter.is_first {
            first();
        }
        let permit = self.budget.clone().acquire_many_owned(permits).await.ok()?;
        Some(Reservation { permit })
    }

    /// Lets nobody wait any more.
    pub(crate) fn close(&self) {
        self.budget.close();
    }

    fn take_buffer(&self) -> Option<BytesMut> {
        self.spare().buffers.pop()
    }

    pub(crate) fn give_buffer(&self, buffer: BytesMut) {
        let mut spare = self.spare();
        if spare.buffers.len() < self.buffers_max && buffer.capacity() <= self.buffer_bytes_max {
            spare.buffers.push(buffer);
        }
    }

    pub(crate) fn take_scratch(&self) -> Scratch {
        self.spare().scratches.pop().unwrap_or_default()
    }

    pub(crate) fn give_scratch(&self, scratch: Scratch) {
        let mut spare = self.spare();
        if spare.scratches.len() < SCRATCHES_MAX {
            spare.scratches.push(scratch);
        }
    }

    fn spare(&self) -> MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counted for as long as it lives, also when whoever waits is dropped.
struct Waiter<'a> {
    waiting: &'a AtomicUsize,
    is_first: bool,
}

impl<'a> Waiter<'a> {
    fn count(waiting: &'a AtomicUsize) -> Self {
        Self { waiting, is_first: waiting.fetch_add(1, Ordering::Relaxed) == 0 }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes of sealed batches that wait for their senders.
///
/// A tight loop of sends on one thread would never let the senders run; so a send yields once while this is crowded.
pub(crate) struct Backlog {
    unsent_bytes: AtomicUsize,
    /// Two requests per broker.
    crowded_bytes: AtomicUsize,
    request_bytes_max: usize,
}

impl Backlog {
    pub(crate) fn new(request_bytes_max: usize) -> Self {
        let backlog =
            Self { unsent_bytes: AtomicUsize::new(0), crowded_bytes: AtomicUsize::new(0), request_bytes_max };
        backlog.set_senders(1);
        backlog
    }

    pub(crate) fn set_senders(&self, senders: usize) {
        self.crowded_bytes.store(2 * senders * self.request_bytes_max, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.unsent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, bytes: usize) {
        self.unsent_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn is_crowded(&self) -> bool {
        self.unsent_bytes.load(Ordering::Relaxed) > self.crowded_bytes.load(Ordering::Relaxed)
    }
}
