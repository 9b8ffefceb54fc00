//! The byte budget of a producer (promise P7), and buffers that are used again.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use milena_records::Scratch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Buffers kept for later batches.
const BUFFERS_MAX: usize = 32;
/// Working memories of codecs kept for later batches: as many as seal at the same time, within reason.
const SCRATCHES_MAX: usize = 8;

/// Bytes that batches may take, counted until they are resolved and no request holds them any more.
pub(crate) struct Memory {
    budget: Arc<Semaphore>,
    total_bytes: usize,
    /// Larger buffers are not kept.
    buffer_bytes_max: usize,
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

    /// Gives back what is above `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        drop(self.permit.split(self.bytes().saturating_sub(bytes)));
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
            buffer_bytes_max: 2 * batch_size,
            spare: Mutex::default(),
        }
    }

    pub(crate) fn total_bytes(&self) -> usize {
        self.total_bytes
    }

    pub(crate) fn available_bytes(&self) -> usize {
        self.budget.available_permits()
    }

    pub(crate) fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let permits = u32::try_from(bytes).ok()?;
        let permit = self.budget.clone().try_acquire_many_owned(permits).ok()?;
        Some(Reservation { permit })
    }

    /// Waits for `bytes`, first come, first served. `None` when the budget was closed.
    ///
    /// Cancel safe: a dropped future loses its place in the queue and nothing else.
    pub(crate) async fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let permits = u32::try_from(bytes).ok()?;
        let permit = self.budget.clone().acquire_many_owned(permits).await.ok()?;
        Some(Reservation { permit })
    }

    /// Lets nobody wait any more.
    pub(crate) fn close(&self) {
        self.budget.close();
    }

    pub(crate) fn take_buffer(&self) -> BytesMut {
        self.spare().buffers.pop().unwrap_or_default()
    }

    pub(crate) fn give_buffer(&self, buffer: BytesMut) {
        let mut spare = self.spare();
        if spare.buffers.len() < BUFFERS_MAX && buffer.capacity() <= self.buffer_bytes_max {
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

    fn spare(&self) -> std::sync::MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
