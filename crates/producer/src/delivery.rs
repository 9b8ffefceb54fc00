//! From `send` to the acknowledgement: one state per batch, a few words per record.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use milena_client::TopicPartition;

use crate::error::{DeliveryError, DeliveryErrorKind};
use crate::interceptor::ProducerInterceptor;
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
    timestamp_ms: i64,
}

/// The deliveries of one batch's records.
#[derive(Debug)]
pub(crate) struct BatchDelivery {
    topic_partition: TopicPartition,
    outcome: OnceLock<Outcome>,
    waiting: Mutex<Waiting>,
}

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
    wakers: Vec<Waker>,
    callbacks: Vec<(u32, i64, Callback)>,
    /// Records that interceptors want to be told of.
    intercepted: Vec<(u32, i64)>,
    interceptors: Vec<Arc<dyn ProducerInterceptor>>,
    pieces: Vec<(u32, Outcome)>,
    resolved_records: u32,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("wakers", &self.wakers.len()).finish_non_exhaustive()
    }
}

impl BatchDelivery {
    pub(crate) fn new(topic_partition: TopicPartition) -> Arc<Self> {
        Arc::new(Self { topic_partition, outcome: OnceLock::new(), waiting: Mutex::default() })
    }

    /// The delivery of the record at `index`.
    pub(crate) fn delivery(self: &Arc<Self>, index: u32, timestamp_ms: i64) -> Delivery {
        Delivery { batch: self.clone(), index, timestamp_ms }
    }

    /// How many deliveries somebody still holds; `own` are the references that are none.
    pub(crate) fn held(self: &Arc<Self>, own: usize) -> usize {
        let callbacks = self.lock().callbacks.len();
        Arc::strong_count(self).saturating_sub(own) + callbacks
    }

    /// Resolves the records `range` of `record_count`; when that is all of them, wakes everybody.
    ///
    /// The callbacks run here: never call this with a lock held that a callback could take.
    pub(crate) fn resolve(&self, range: Range<u32>, record_count: u32, outcome: Outcome) {
        let woken = {
            let mut waiting = self.lock();
            let whole = range == (0..record_count);
            waiting.resolved_records += range.len() as u32;
            let outcome = if whole {
                outcome
            } else {
                waiting.pieces.push((range.start, outcome));
                if waiting.resolved_records < record_count {
                    return;
                }
                let mut pieces = std::mem::take(&mut waiting.pieces);
                pieces.sort_by_key(|(first_index, _)| *first_index);
                Outcome::Pieces(pieces)
            };
            if self.outcome.set(outcome).is_err() {
                return;
            }
            std::mem::take(&mut *waiting)
        };
        for waker in woken.wakers {
            waker.wake();
        }
        for (index, timestamp_ms) in woken.intercepted {
            if let Some(result) = self.result(index, timestamp_ms) {
                woken.interceptors.iter().for_each(|interceptor| interceptor.on_acknowledgement(&result));
            }
        }
        for (index, timestamp_ms, callback) in woken.callbacks {
            if let Some(result) = self.result(index, timestamp_ms) {
                callback(result);
            }
        }
    }

    /// Waits until all records are resolved; registers the waker if they are not.
    pub(crate) fn poll_resolved(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.outcome.get().is_some() {
            return Poll::Ready(());
        }
        let mut waiting = self.lock();
        // Looked at again under the lock: `resolve` sets the outcome before it takes the wakers.
        if self.outcome.get().is_some() {
            return Poll::Ready(());
        }
        if !waiting.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn result(&self, index: u32, timestamp_ms: i64) -> Option<Result<Acknowledgement, DeliveryError>> {
        let mut outcome = self.outcome.get()?;
        let mut index_in_piece = index;
        while let Outcome::Pieces(pieces) = outcome {
            let after = pieces.partition_point(|(first_index, _)| *first_index <= index_in_piece);
            let (first_index, piece) = &pieces[after.checked_sub(1)?];
            index_in_piece -= first_index;
            outcome = piece;
        }
        Some(match outcome {
            Outcome::Written { base_offset, log_append_time_ms } => Ok(Acknowledgement {
                topic_partition: self.topic_partition.clone(),
                offset: base_offset.map(|base| base + i64::from(index_in_piece)),
                timestamp_ms: log_append_time_ms.unwrap_or(timestamp_ms),
            }),
            Outcome::Failed(failure) => {
                Err(DeliveryError::of_record(self.topic_partition.clone(), failure, index_in_piece))
            }
            Outcome::Pieces(_) => return None,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
            interceptors.iter().for_each(|interceptor| interceptor.on_acknowledgement(&result));
        }
    }

    /// Calls `callback` with the result, on the task that learns it: it should be quick and must not block. Called at once if the
    /// result is known.
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
            callback(result);
        }
    }
}

impl Future for Delivery {
    type Output = Result<Acknowledgement, DeliveryError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        std::task::ready!(self.batch.poll_resolved(cx));
        match self.try_result() {
            Some(result) => Poll::Ready(result),
            None => unreachable!("every index of a resolved batch has a result"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use milena_protocol::ErrorCode;

    use super::*;

    fn written(base_offset: i64) -> Outcome {
        Outcome::Written { base_offset: Some(base_offset), log_append_time_ms: None }
    }

    #[tokio::test]
    async fn one_resolution_gives_each_record_its_own_offset() {
        let batch = BatchDelivery::new(TopicPartition::new("t", 3));
        let deliveries: Vec<_> = (0..3).map(|index| batch.delivery(index, 100 + i64::from(index))).collect();
        batch.resolve(0..3, 3, written(40));
        for (index, delivery) in (0..).zip(deliveries) {
            let ack = delivery.await.unwrap();
            assert_eq!((ack.partition(), ack.offset, ack.timestamp_ms), (3, Some(40 + index), 100 + index));
        }
    }

    #[tokio::test]
    async fn pieces_of_a_split_batch_resolve_each_to_its_own_outcome() {
        let batch = BatchDelivery::new(TopicPartition::new("t", 0));
        let (first, last) = (batch.delivery(0, 0), batch.delivery(3, 0));
        let failure = BatchFailure {
            kind: DeliveryErrorKind::Broker { code: ErrorCode::MessageTooLarge, message: None },
            possibly_written: false,
            blamed: Vec::new(),
        };
        batch.resolve(2..4, 4, Outcome::Failed(Arc::new(failure)));
        assert!(first.try_result().is_none());
        batch.resolve(0..2, 4, written(7));
        assert_eq!(first.await.unwrap().offset, Some(7));
        assert!(last.await.is_err());
    }

    #[test]
    fn callbacks_run_once_with_the_result() {
        let offset = Arc::new(AtomicI64::new(-1));
        let batch = BatchDelivery::new(TopicPartition::new("t", 0));
        for index in 0..2 {
            let offset = offset.clone();
            batch.delivery(index, 0).on_completion(move |result| {
                offset.fetch_add(result.unwrap().offset.unwrap(), Ordering::Relaxed);
            });
        }
        batch.resolve(0..2, 2, written(10));
        assert_eq!(offset.load(Ordering::Relaxed), -1 + 10 + 11);
    }

    #[test]
    fn held_counts_deliveries_and_callbacks() {
        let batch = BatchDelivery::new(TopicPartition::new("t", 0));
        let kept = batch.delivery(0, 0);
        drop(batch.delivery(1, 0));
        batch.delivery(2, 0).on_completion(|_| {});
        assert_eq!(batch.held(1), 2);
        drop(kept);
        assert_eq!(batch.held(1), 1);
    }
}
