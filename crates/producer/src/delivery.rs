//! From `send` to the acknowledgement: one state per batch, a few words per record.

use std::future::Future;
use std::num::NonZeroU32;
use std::ops::{Deref, Range};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use milena_client::TopicPartition;
use milena_protocol::planted;

use crate::error::{DeliveryError, DeliveryErrorKind};
use crate::interceptor::ProducerInterceptor;
use crate::panics::call_user_code;
use crate::record::Acknowledgement;

/// Resolves when the broker has acknowledged a record, or the record has failed.
///
/// Awaiting it is optional. A delivery that is dropped before its record fails is counted by the next
/// [`flush`](crate::Producer::flush) or [`close`](crate::Producer::close). It resolves at the latest when `delivery.timeout.ms` is
/// over.
///
/// # Cancel safety
/// Dropping it does not take the record back.
#[derive(Debug)]
#[must_use = "a delivery tells whether the record was written; drop it explicitly to leave that to flush()"]
pub struct Delivery {
    batch: Arc<BatchDelivery>,
    index: u32,
    /// Where its waker is, once it has been polled.
    slot: Option<Slot>,
    timestamp_ms: i64,
}

/// The deliveries of one batch's records.
#[derive(Debug)]
pub(crate) struct BatchDelivery {
    topic_partition: TopicPartition,
    outcome: OnceLock<Outcome>,
    waiting: Mutex<Waiting>,
    /// References that are not a user's.
    internal: AtomicUsize,
}

/// The producer's own reference to a batch's deliveries: not somebody's who will look at the result.
#[derive(Debug)]
pub(crate) struct BatchHandle(Arc<BatchDelivery>);

/// What became of a batch.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Written {
        base_offset: Option<i64>,
        /// The broker's, with `LogAppendTime`.
        log_append_time_ms: Option<i64>,
    },
    Failed(Arc<BatchFailure>),
    /// Split, because the broker found it too large: outcomes by the index of their first record, ascending.
    Pieces(Vec<(u32, Outcome)>),
}

/// The duty to resolve a batch's records, or those of a piece of it. Every batch on its way holds exactly one, and so does every piece;
/// if it is dropped undone, which only a panic does, the records fail, and nobody waits for them for ever.
#[derive(Debug)]
pub(crate) struct Promise {
    delivery: BatchHandle,
    /// Which of the records; of a batch that is still open it is not known, and not needed.
    records: Range<u32>,
    /// All records of the batch that was handed out.
    record_count: u32,
    is_kept: bool,
}

/// Why a batch failed.
#[derive(Debug)]
pub(crate) struct BatchFailure {
    pub(crate) kind: DeliveryErrorKind,
    pub(crate) possibly_written: bool,
    /// Records that the broker blamed, by their index in the batch (KIP-467); empty when it blamed none.
    pub(crate) blamed: Vec<(u32, Option<String>)>,
}

type Callback = Box<dyn FnOnce(Result<Acknowledgement, DeliveryError>) + Send>;

#[derive(Default)]
struct Waiting {
    wakers: Wakers,
    callbacks: Vec<(u32, i64, Callback)>,
    /// Records that interceptors want to be told of.
    intercepted: Vec<(u32, i64)>,
    interceptors: Vec<Arc<dyn ProducerInterceptor>>,
    pieces: Vec<(u32, Outcome)>,
    resolved_records: u32,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("wakers", &self.wakers.slots.len()).finish_non_exhaustive()
    }
}

impl BatchDelivery {
    /// The deliveries of a new batch, and the duty to resolve them.
    pub(crate) fn begin(topic_partition: TopicPartition) -> Promise {
        let delivery = BatchHandle(Arc::new(Self {
            topic_partition,
            outcome: OnceLock::new(),
            waiting: Mutex::default(),
            internal: AtomicUsize::new(1),
        }));
        Promise { delivery, records: 0..0, record_count: 0, is_kept: false }
    }

    /// Resolves the records `range` of `record_count`. When that is all of them, callbacks run, and then everybody is woken: who
    /// has waited for a delivery, or for a flush, finds the callbacks done.
    ///
    /// Never call this with a lock held that a callback could take.
    fn resolve(&self, range: Range<u32>, record_count: u32, outcome: Outcome) {
        let Some(outcome) = self.collect(range, record_count, outcome) else { return };
        loop {
            let mut waiting = self.lock();
            let callbacks = std::mem::take(&mut waiting.callbacks);
            let intercepted = std::mem::take(&mut waiting.intercepted);
            if callbacks.is_empty() && intercepted.is_empty() {
                // Set under the lock: a callback or waker that comes later sees it.
                let wakers = std::mem::take(&mut waiting.wakers);
                let is_first = self.outcome.set(outcome).is_ok();
                debug_assert!(is_first, "a batch is resolved once");
                drop(waiting);
                wakers.slots.into_iter().flatten().for_each(Waker::wake);
                return;
            }
            let interceptors = waiting.interceptors.clone();
            drop(waiting);
            for (index, timestamp_ms) in intercepted {
                tell(&interceptors, &self.result_in(&outcome, index, timestamp_ms));
            }
            for (index, timestamp_ms, callback) in callbacks {
                let result = self.result_in(&outcome, index, timestamp_ms);
                call_user_code("a delivery's callback", || callback(result));
            }
        }
    }

    /// The outcome of all records, if these were the last ones.
    fn collect(&self, range: Range<u32>, record_count: u32, outcome: Outcome) -> Option<Outcome> {
        if range == (0..record_count) {
            return Some(outcome);
        }
        let mut waiting = self.lock();
        waiting.resolved_records += range.end - range.start;
        waiting.pieces.push((range.start, outcome));
        if waiting.resolved_records < record_count {
            return None;
        }
        let mut pieces = std::mem::take(&mut waiting.pieces);
        pieces.sort_by_key(|(first_index, _)| *first_index);
        Some(Outcome::Pieces(pieces))
    }

    /// Waits until all records are resolved; registers the waker, in `slot`, if they are not.
    fn poll_resolved(&self, slot: &mut Option<Slot>, cx: &mut Context<'_>) -> Poll<()> {
        if self.outcome.get().is_some() {
            return Poll::Ready(());
        }
        let mut waiting = self.lock();
        // Looked at again under the lock, under which it is set.
        if self.outcome.get().is_some() {
            return Poll::Ready(());
        }
        waiting.wakers.register(slot, cx.waker());
        Poll::Pending
    }

    /// Takes back a waker that was registered.
    fn unregister(&self, slot: Option<Slot>) {
        if let Some(slot) = slot
            && self.outcome.get().is_none()
        {
            self.lock().wakers.remove(slot);
        }
    }

    fn result(&self, index: u32, timestamp_ms: i64) -> Option<Result<Acknowledgement, DeliveryError>> {
        self.outcome.get().map(|outcome| self.result_in(outcome, index, timestamp_ms))
    }

    /// The result of one record in the outcome of all.
    fn result_in(
        &self,
        outcome: &Outcome,
        index: u32,
        timestamp_ms: i64,
    ) -> Result<Acknowledgement, DeliveryError> {
        match outcome {
            Outcome::Written { base_offset, log_append_time_ms } => Ok(Acknowledgement {
                topic_partition: self.topic_partition.clone(),
                offset: base_offset.map(|base| base + i64::from(index)),
                timestamp_ms: log_append_time_ms.unwrap_or(timestamp_ms),
            }),
            Outcome::Failed(failure) => {
                Err(DeliveryError::of_record(self.topic_partition.clone(), failure, index))
            }
            Outcome::Pieces(pieces) => {
                let after = pieces.partition_point(|(first_index, _)| *first_index <= index);
                let (first_index, piece) = &pieces[after - 1];
                let first_index =
                    if planted("offset_of_piece_counts_from_the_whole") { &0 } else { first_index };
                self.result_in(piece, index - first_index, timestamp_ms)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promise {
    /// The batch's deliveries.
    pub(crate) fn delivery(&self) -> &BatchHandle {
        &self.delivery
    }

    /// The batch is sealed, with so many records.
    pub(crate) fn seal(&mut self, record_count: u32) {
        (self.records, self.record_count) = (0..record_count, record_count);
    }

    /// A promise for each of the pieces, which have so many records, in order.
    pub(crate) fn split(mut self, piece_records: impl IntoIterator<Item = u32>) -> Vec<Self> {
        self.is_kept = true;
        let mut start = self.records.start;
        let pieces = piece_records.into_iter().map(|records| {
            let piece = start..start + records;
            start = piece.end;
            let (delivery, record_count) = (self.delivery.clone(), self.record_count);
            Self { delivery, records: piece, record_count, is_kept: false }
        });
        pieces.collect()
    }

    /// How many of the records nobody will see the result of. Of a piece it is not known whose deliveries were dropped: those of its
    /// own records, to be safe.
    pub(crate) fn unobserved(&self) -> u64 {
        let dropped = u64::from(self.record_count).saturating_sub(self.delivery.held() as u64);
        dropped.min(u64::from(self.records.end - self.records.start))
    }

    /// Tells the deliveries. Never call this with a lock held that a callback could take.
    pub(crate) fn resolve(&mut self, outcome: Outcome) {
        self.is_kept = true;
        self.delivery.resolve(self.records.clone(), self.record_count, outcome);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // What was never sealed was never sent.
        let possibly_written = self.record_count > 0;
        let kind = DeliveryErrorKind::Abandoned;
        let failure = BatchFailure { kind, possibly_written, blamed: Vec::new() };
        self.delivery.resolve(self.records.clone(), self.record_count, Outcome::Failed(Arc::new(failure)));
    }
}

impl BatchHandle {
    /// Whether both are of one batch.
    pub(crate) fn is_of_same_batch(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The delivery of the record at `index`.
    pub(crate) fn delivery(&self, index: u32, timestamp_ms: i64) -> Delivery {
        Delivery { batch: self.0.clone(), index, slot: None, timestamp_ms }
    }

    /// How many deliveries somebody still holds, callbacks among them.
    pub(crate) fn held(&self) -> usize {
        let callbacks = self.lock().callbacks.len();
        Arc::strong_count(&self.0).saturating_sub(self.internal.load(Ordering::Acquire)) + callbacks
    }

    /// Waits until all records are resolved.
    ///
    /// Cancel safe.
    pub(crate) async fn resolved(self) {
        let mut registered = Registered { batch: self, slot: None };
        std::future::poll_fn(|cx| registered.batch.0.poll_resolved(&mut registered.slot, cx)).await;
    }
}

// The two counts are not changed together. `held` is asked, and handles are made and dropped, under the partition's lock; so only a flush
// that is dropped at the same moment can make it one too many.
impl Clone for BatchHandle {
    fn clone(&self) -> Self {
        self.internal.fetch_add(1, Ordering::AcqRel);
        Self(self.0.clone())
    }
}

impl Drop for BatchHandle {
    fn drop(&mut self) {
        self.internal.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Deref for BatchHandle {
    type Target = BatchDelivery;

    fn deref(&self) -> &BatchDelivery {
        &self.0
    }
}

/// A waker that is taken back when nobody waits any more.
struct Registered {
    batch: BatchHandle,
    slot: Option<Slot>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.batch.unregister(self.slot);
    }
}

/// Wakers in numbered slots that are used again.
#[derive(Default)]
struct Wakers {
    slots: Vec<Option<Waker>>,
    free: Vec<Slot>,
}

/// The number of a slot. Applications keep many deliveries: with this one they take 24 bytes each.
#[derive(Clone, Copy, Debug)]
struct Slot(NonZeroU32);

impl Slot {
    fn new(index: usize) -> Self {
        let number = u32::try_from(index + 1).ok().and_then(NonZeroU32::new);
        Self(number.expect("fewer than 2^32 wait for one batch"))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Wakers {
    fn register(&mut self, slot: &mut Option<Slot>, waker: &Waker) {
        if let Some(registered) = slot.and_then(|slot| self.slots[slot.index()].as_mut()) {
            registered.clone_from(waker);
            return;
        }
        let free = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot::new(self.slots.len() - 1)
        });
        self.slots[free.index()] = Some(waker.clone());
        *slot = Some(free);
    }

    fn remove(&mut self, slot: Slot) {
        // Nothing is there when the batch is being resolved just now.
        if let Some(registered) = self.slots.get_mut(slot.index()) {
            *registered = None;
            self.free.push(slot);
        }
    }
}

impl Delivery {
    /// Topic and partition that the record went to; known at once.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.batch.topic_partition
    }

    /// The result, if there is one yet.
    pub fn try_result(&self) -> Option<Result<Acknowledgement, DeliveryError>> {
        self.batch.result(self.index, self.timestamp_ms)
    }

    /// Tells `interceptors` the result when it is known.
    pub(crate) fn observe(&self, interceptors: &[Arc<dyn ProducerInterceptor>]) {
        {
            let mut waiting = self.batch.lock();
            if self.batch.outcome.get().is_none() {
                if waiting.interceptors.is_empty() {
                    waiting.interceptors = interceptors.to_vec();
                }
                waiting.intercepted.push((self.index, self.timestamp_ms));
                return;
            }
        }
        if let Some(result) = self.try_result() {
            tell(interceptors, &result);
        }
    }

    /// Calls `callback` with the result, on the task that learns it: it should be quick and must not block. Called at once if the
    /// result is known. A flush that began later ends after the callback did (so the callback itself must not wait for one); a panic
    /// in it is logged.
    pub fn on_completion(
        self,
        callback: impl FnOnce(Result<Acknowledgement, DeliveryError>) + Send + 'static,
    ) {
        {
            let mut waiting = self.batch.lock();
            if self.batch.outcome.get().is_none() {
                waiting.callbacks.push((self.index, self.timestamp_ms, Box::new(callback)));
                return;
            }
        }
        if let Some(result) = self.try_result() {
            call_user_code("a delivery's callback", || callback(result));
        }
    }
}

impl Future for Delivery {
    type Output = Result<Acknowledgement, DeliveryError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let delivery = self.get_mut();
        std::task::ready!(delivery.batch.poll_resolved(&mut delivery.slot, cx));
        Poll::Ready(delivery.try_result().expect("a batch that is resolved has an outcome"))
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.batch.unregister(self.slot);
    }
}

fn tell(interceptors: &[Arc<dyn ProducerInterceptor>], result: &Result<Acknowledgement, DeliveryError>) {
    for interceptor in interceptors {
        call_user_code("an interceptor", || interceptor.on_acknowledgement(result));
    }
}

#[cfg(test)]
mod tests;
