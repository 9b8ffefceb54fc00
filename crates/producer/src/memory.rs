//! The byte budget of a producer (promise P7), and buffers that are used again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use milena_protocol::planted;
use milena_records::Scratch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Buffers kept for later batches, at most.
const SPARES_MAX: usize = 32;
/// Working memories of codecs kept for later batches: as many as seal at the same time, within reason. They are not in the budget;
/// each is as large as the tables of its codec and a compressed batch of the usual size.
const SCRATCHES_MAX: usize = 8;
/// What served a batch of more than this many times the usual size is not kept.
const USUAL_SIZES: usize = 2;

/// Bytes that batches may take, counted until they are resolved and no request holds them any more. Buffers that wait to be used
/// again stay in the count, and go as soon as there is no other room.
pub(crate) struct Memory {
    budget: Arc<Semaphore>,
    total_bytes: usize,
    /// Who waits for room.
    waiting: AtomicUsize,
    /// What served larger batches is not kept.
    kept_bytes_max: usize,
    spare: Mutex<Spare>,
}

#[derive(Default)]
struct Spare {
    buffers: Vec<(BytesMut, Reservation)>,
    /// What their reservations add up to.
    buffer_bytes: usize,
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
            kept_bytes_max: USUAL_SIZES * batch_size,
            spare: Mutex::default(),
        }
    }

    pub(crate) fn total_bytes(&self) -> usize {
        self.total_bytes
    }

    pub(crate) fn available_bytes(&self) -> usize {
        self.budget.available_permits() + self.spare().buffer_bytes
    }

    /// Whether somebody waits for room: batches go without waiting for more records then.
    pub(crate) fn is_short(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let permits = u32::try_from(bytes).ok()?;
        let try_acquire = || self.budget.clone().try_acquire_many_owned(permits).ok();
        let permit = try_acquire().or_else(|| if self.let_go_of_buffers() { try_acquire() } else { None })?;
        Some(Reservation { permit })
    }

    /// A buffer for a batch that begins with `bytes`, and what is reserved for it.
    pub(crate) fn try_begin(&self, bytes: usize) -> Option<(BytesMut, Reservation)> {
        // A buffer that was used before may be larger than a batch of a few records needs.
        if let Some((buffer, mut reservation)) = self.take_buffer() {
            if reservation.bytes() >= bytes {
                return Some((buffer, reservation));
            }
            if let Some(more) = self.try_reserve(bytes - reservation.bytes()) {
                reservation.merge(more);
                return Some((buffer, reservation));
            }
        }
        self.try_reserve(bytes).map(|reservation| (BytesMut::new(), reservation))
    }

    /// Waits for `bytes`, first come, first served; `first` is called if nobody else waits. `None` when the budget was closed.
    ///
    /// Cancel safe: a dropped future loses its place in the queue and nothing else.
    pub(crate) async fn reserve(&self, bytes: usize, first: impl FnOnce()) -> Option<Reservation> {
        let permits = u32::try_from(bytes).ok()?;
        let waiter = Waiter::count(&self.waiting);
        // None is kept from here on, see `give_back`.
        self.let_go_of_buffers();
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

    /// Takes back what a batch held: its buffer, if nobody else holds that any more, is kept for later ones.
    pub(crate) fn give_back(&self, buffer: Option<BytesMut>, reservation: Arc<Reservation>) {
        if planted("memory_is_not_given_back") {
            return std::mem::forget(reservation);
        }
        // Requests on their way that share the reservation hold the bytes as well.
        let (Some(buffer), Some(mut reservation)) = (buffer, Arc::into_inner(reservation)) else { return };
        if buffer.capacity() > self.kept_bytes_max {
            return;
        }
        // What did not shrink when it was compressed has grown.
        if let Some(excess @ 1..) = buffer.capacity().checked_sub(reservation.bytes()) {
            match self.try_reserve(excess) {
                Some(more) => reservation.merge(more),
                None => return,
            }
        }
        let mut spare = self.spare();
        // Whoever waits has counted itself before it let go of the buffers, which takes this lock.
        if spare.buffers.len() < SPARES_MAX && !self.is_short() {
            spare.buffer_bytes += reservation.bytes();
            spare.buffers.push((buffer, reservation));
        }
    }

    fn take_buffer(&self) -> Option<(BytesMut, Reservation)> {
        let mut spare = self.spare();
        let (buffer, reservation) = spare.buffers.pop()?;
        spare.buffer_bytes -= reservation.bytes();
        Some((buffer, reservation))
    }

    /// Makes room for others. False when there was nothing to let go of.
    fn let_go_of_buffers(&self) -> bool {
        let mut spare = self.spare();
        let buffers = std::mem::take(&mut spare.buffers);
        spare.buffer_bytes = 0;
        drop(spare);
        !buffers.is_empty()
    }

    pub(crate) fn take_scratch(&self) -> Scratch {
        self.spare().scratches.pop().unwrap_or_default()
    }

    /// Keeps the working memory that served a batch of so many bytes.
    pub(crate) fn give_scratch(&self, scratch: Scratch, batch_bytes: usize) {
        if batch_bytes > self.kept_bytes_max {
            return;
        }
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

/// What sealed batches that wait for their senders hold: the memory that they were built in, compressed or not.
///
/// A tight loop of sends on one thread would never let the senders run; so a send yields once while this is crowded.
pub(crate) struct Backlog {
    held_bytes: AtomicUsize,
    /// A request per broker.
    crowded_bytes: AtomicUsize,
    request_bytes_max: usize,
}

impl Backlog {
    pub(crate) fn new(request_bytes_max: usize) -> Self {
        let backlog =
            Self { held_bytes: AtomicUsize::new(0), crowded_bytes: AtomicUsize::new(0), request_bytes_max };
        backlog.set_senders(1);
        backlog
    }

    pub(crate) fn set_senders(&self, senders: usize) {
        self.crowded_bytes.store(senders * self.request_bytes_max, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, bytes: usize) {
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn is_crowded(&self) -> bool {
        self.held_bytes.load(Ordering::Relaxed) > self.crowded_bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTAL_BYTES: usize = 100_000;

    /// A batch that was sealed and resolved.
    fn use_and_give_back(memory: &Memory, bytes: usize, shared_with: Option<Arc<Reservation>>) {
        let (mut buffer, reservation) = memory.try_begin(bytes).expect("there is room");
        buffer.reserve(bytes);
        let reservation = shared_with.unwrap_or_else(|| Arc::new(reservation));
        memory.give_back(Some(buffer), reservation);
    }

    fn spares(memory: &Memory) -> usize {
        memory.spare().buffers.len()
    }

    #[test]
    fn buffers_that_are_kept_are_in_the_budget_and_go_when_there_is_no_other_room() {
        let memory = Memory::new(TOTAL_BYTES, 16_384);
        use_and_give_back(&memory, 16_000, None);
        assert_eq!((spares(&memory), memory.budget.available_permits()), (1, TOTAL_BYTES - 16_000));
        assert_eq!(memory.available_bytes(), TOTAL_BYTES);
        let all = memory.try_reserve(TOTAL_BYTES).expect("the spare one goes");
        assert_eq!((spares(&memory), memory.available_bytes()), (0, 0));
        drop(all);
        assert_eq!(memory.available_bytes(), TOTAL_BYTES);
    }

    #[test]
    fn a_buffer_is_used_again_with_what_was_reserved_for_it() {
        let memory = Memory::new(TOTAL_BYTES, 16_384);
        use_and_give_back(&memory, 16_000, None);
        let (buffer, reservation) = memory.try_begin(8_192).expect("there is room");
        assert!(buffer.capacity() >= 16_000);
        assert_eq!((reservation.bytes(), spares(&memory)), (16_000, 0));
        memory.give_back(Some(buffer), Arc::new(reservation));
        let (_, larger) = memory.try_begin(20_000).expect("there is room");
        assert_eq!(larger.bytes(), 20_000);
    }

    #[test]
    fn what_a_request_still_holds_or_is_unusually_large_is_not_kept() {
        let memory = Memory::new(TOTAL_BYTES, 16_384);
        let held = Arc::new(memory.try_reserve(16_000).expect("there is room"));
        use_and_give_back(&memory, 16_000, Some(held.clone()));
        use_and_give_back(&memory, 40_000, None);
        assert_eq!((spares(&memory), memory.available_bytes()), (0, TOTAL_BYTES - 16_000));
    }

    #[test]
    fn nothing_is_kept_while_somebody_waits() {
        let memory = Memory::new(TOTAL_BYTES, 16_384);
        use_and_give_back(&memory, 16_000, None);
        let taken = memory.try_reserve(80_000).expect("beside the spare one there is room");
        let mut waiting = Box::pin(memory.reserve(20_000, || {}));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        // It lets go of the spare one, which is enough.
        assert!(waiting.as_mut().poll(&mut cx).is_ready());
        drop(waiting);
        let mut waiting = Box::pin(memory.reserve(90_000, || {}));
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        let mut buffer = BytesMut::new();
        buffer.reserve(16_000);
        memory.give_back(Some(buffer), Arc::new(taken));
        assert_eq!(spares(&memory), 0);
        assert!(waiting.as_mut().poll(&mut cx).is_ready());
    }
}
