//! What the parts of one producer share. What concerns leaders and topics is in `routing`, what becomes of a batch in `resolve`.
//!
//! Locks are taken in this order, and none is held while user code runs:
//!
//! 1. those of the routing: the senders, or the map of topics, never both;
//! 2. one partition's (`Partition::lock`);
//! 3. one of those under which no other is taken: a sender's lists, its waker and its turn, the producer id, spare buffers, who waits
//!    for a batch, the failures that nobody has seen.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Instant;

use milena_client::connection::ConnectionWatch;
use milena_client::metrics::ClientKind;
use milena_client::{Client, Env, TopicPartition};
use milena_protocol::{ErrorCode, planted};
use tokio::sync::Notify;

use crate::config::ProducerConfig;
use crate::core::queue::Batch;
use crate::delivery::{BatchFailure, Outcome};
use crate::error::{DeliveryError, DeliveryErrorKind, FlushError, SendError};
use crate::identity::IdentityCell;
use crate::memory::{Backlog, Memory};
use crate::numbers::Numbers;
use crate::panics;
use crate::partition::{BatchRules, Partition, PartitionState, Payload};
use crate::resolve::Leaving;
use crate::routing::Routing;
use crate::sender::describe;

/// The state behind a [`Producer`](crate::Producer) and its tasks.
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) config: ProducerConfig,
    pub(crate) watch: ConnectionWatch,
    pub(crate) memory: Memory,
    pub(crate) backlog: Backlog,
    pub(crate) identity: IdentityCell,
    pub(crate) numbers: Numbers,
    pub(crate) routing: Routing,
    /// Nothing is accepted any more.
    is_closed: AtomicBool,
    /// Why, if not because of `close`.
    fatal: OnceLock<SendError>,
    /// Told when `is_closed` is set.
    closing: Notify,
    unobserved: Mutex<Option<FlushError>>,
    last_connection_error: Mutex<Option<String>>,
}

impl Shared {
    pub(crate) fn new(client: Client, config: ProducerConfig) -> Self {
        Self {
            watch: client.watch_connections(ClientKind::Producer),
            memory: Memory::new(config.buffer_memory, config.batch_size),
            backlog: Backlog::new(config.max_request_size),
            identity: IdentityCell::new(),
            numbers: Numbers::new(client.clone(), config.buffer_memory),
            routing: Routing::default(),
            is_closed: AtomicBool::new(false),
            fatal: OnceLock::new(),
            closing: Notify::new(),
            unobserved: Mutex::default(),
            last_connection_error: Mutex::default(),
            client,
            config,
        }
    }

    pub(crate) fn env(&self) -> &Env {
        self.client.env()
    }

    pub(crate) fn batch_rules(&self) -> BatchRules<'_> {
        BatchRules {
            memory: &self.memory,
            backlog: &self.backlog,
            batch_size: self.config.batch_size,
            codec: &self.config.compression,
            delivery_timeout: self.config.delivery_timeout,
        }
    }

    // Batches.

    /// Whether the partition's open batch is to go now: its linger is over, or somebody flushes or waits for memory, and there is
    /// room in flight for it.
    fn open_is_due(&self, state: &PartitionState, now: Instant) -> bool {
        let Some(open) = &state.open else { return false };
        // Without linger the time is not asked: the batch may have been opened, by another thread, after `now` was read.
        let is_over = self.config.linger.is_zero() || open.opened_at + self.config.linger <= now;
        (is_over || open.is_flushed || self.memory.is_short())
            && state.queue.waiting_len() == 0
            && state.queue.has_room_in_flight()
    }

    /// Seals the partition's open batch if it is to go now.
    pub(crate) fn seal_if_due(&self, partition: &Partition, state: &mut PartitionState, now: Instant) {
        if self.open_is_due(state, now) {
            partition.seal(state, &self.batch_rules());
        }
    }

    /// Whether the partition has something for the next request.
    pub(crate) fn has_more(&self, state: &PartitionState, now: Instant) -> bool {
        state.queue.has_room_in_flight() && (state.queue.waiting_len() > 0 || self.open_is_due(state, now))
    }

    /// Calls `look` with every partition, and has its sender look at it if it has an open batch.
    pub(crate) fn list_open_batches(&self, mut look: impl FnMut(&mut PartitionState)) {
        for topic in self.topics() {
            for partition in topic.partitions() {
                let mut state = partition.lock();
                look(&mut state);
                if state.open.is_none() && state.queue.waiting_len() == 0 {
                    continue;
                }
                let sender =
                    state.sender().cloned().filter(|sender| sender.list_ready(partition, &mut state));
                drop(state);
                if let Some(sender) = sender {
                    sender.wake();
                }
            }
        }
    }

    /// Counts records that failed and whose result nobody will see.
    pub(crate) fn note_unobserved(&self, name: &TopicPartition, failure: &Arc<BatchFailure>, records: u64) {
        if planted("unobserved_failure_is_not_counted") {
            return;
        }
        // The records that the broker blamed tell the cause, the others only that there is one.
        let index = failure.blamed.first().map_or(0, |(index, _)| *index);
        let first = || DeliveryError::of_record(name.clone(), failure, index);
        lock(&self.unobserved)
            .get_or_insert_with(|| FlushError { failed_records: 0, first: first() })
            .failed_records += records;
    }

    /// What failed unobserved since the last call.
    pub(crate) fn take_unobserved(&self) -> Result<(), FlushError> {
        lock(&self.unobserved).take().map_or(Ok(()), Err)
    }

    /// Fails what is past its deadline; returns when to look again.
    pub(crate) fn expire(&self, now: Instant) -> Instant {
        let delivery_timeout = self.config.delivery_timeout;
        // What is opened after this has a later deadline.
        let mut next = now + delivery_timeout;
        if planted("expiry_does_nothing") {
            return next;
        }
        for topic in self.topics() {
            for partition in topic.partitions() {
                let mut state = partition.lock();
                if state.next_deadline(delivery_timeout).is_some_and(|deadline| deadline <= now) {
                    if state.open.as_ref().is_some_and(|open| open.opened_at + delivery_timeout <= now) {
                        partition.seal(&mut state, &self.batch_rules());
                    }
                    let expired = state.queue.expire(now);
                    partition.publish_queue_len(&state);
                    let expired: Vec<_> = expired
                        .into_iter()
                        .map(|batch| {
                            let kind = self.timeout_kind(&batch);
                            self.leave_failed(partition, &mut state, batch, kind, now)
                        })
                        .collect();
                    // There may be room in flight now.
                    let sender = state.sender().cloned();
                    let sender = sender.filter(|sender| sender.list_ready(partition, &mut state));
                    drop(state);
                    sender.inspect(|sender| sender.wake());
                    expired.into_iter().for_each(|batch| self.resolve(partition, batch, now));
                    state = partition.lock();
                }
                next = state.next_deadline(delivery_timeout).map_or(next, |deadline| next.min(deadline));
            }
        }
        next
    }

    fn timeout_kind(&self, batch: &Batch<Payload>) -> DeliveryErrorKind {
        let last = match batch.last_attempt() {
            Some(attempt) => Some(describe(attempt)),
            None => lock(&self.last_connection_error).clone(),
        };
        DeliveryErrorKind::Timeout { after: self.config.delivery_timeout, attempts: batch.attempts(), last }
    }

    fn leave_failed(
        &self,
        partition: &Partition,
        state: &mut PartitionState,
        batch: Batch<Payload>,
        kind: DeliveryErrorKind,
        now: Instant,
    ) -> Leaving {
        if batch.attempts() == 0 {
            self.backlog.remove(batch.payload.reservation.bytes());
        }
        let possibly_written = batch.is_possibly_written();
        let failure = BatchFailure { kind, possibly_written, blamed: Vec::new() };
        self.leave(partition, state, batch, Outcome::Failed(Arc::new(failure)), now)
    }

    // The producer's end.

    /// Whether records are accepted.
    pub(crate) fn check_open(&self) -> Result<(), SendError> {
        match self.is_closed.load(Ordering::Acquire) {
            false => Ok(()),
            true => Err(self.end_error()),
        }
    }

    /// Why nothing is accepted any more.
    pub(crate) fn end_error(&self) -> SendError {
        self.fatal.get().cloned().unwrap_or(SendError::Closed)
    }

    /// Waits for `future`, unless the producer is closed meanwhile.
    pub(crate) async fn unless_closed<F: Future>(&self, future: F) -> Result<F::Output, SendError> {
        // Made before the question, so that a close in between is noticed.
        let mut closing = pin!(self.closing.notified());
        self.check_open()?;
        let mut future = pin!(future);
        // The end first: what is ready together with it has nobody left to serve it.
        poll_fn(|cx| match closing.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(self.end_error())),
            Poll::Pending => future.as_mut().poll(cx).map(Ok),
        })
        .await
    }

    /// Brokers refuse this producer as a whole: everything fails from here on.
    pub(crate) fn fail_for_good(&self, api: &'static str, code: ErrorCode) {
        tracing::error!(api, %code, "the producer has failed");
        self.fail(SendError::Fatal { api, code }, &DeliveryErrorKind::ProducerFailed { api, code });
    }

    /// A part of the producer has panicked, and may have left anything half done: everything fails from here on.
    pub(crate) fn fail_after_panic(&self, task: &'static str, panic: &(dyn Any + Send)) {
        let message = panics::message(panic).to_owned();
        tracing::error!(
            task,
            message,
            "a part of the producer panicked, which is a bug; the producer has failed"
        );
        let kind = DeliveryErrorKind::Panicked { task, message: message.clone() };
        self.fail(SendError::Panicked { task, message }, &kind);
    }

    fn fail(&self, error: SendError, kind: &DeliveryErrorKind) {
        // The first reason stays.
        let _ = self.fatal.set(error);
        self.close();
        self.end(kind);
    }

    /// Accepts nothing any more, and lets nobody wait to be accepted.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.closing.notify_waiters();
        self.memory.close();
    }

    /// Fails everything that is not resolved yet; returns how many records that were.
    ///
    /// A send that passed the door before it closed may still be about to append. It finds its partition ended, or has appended
    /// before and is failed here; and no partition is made any more that would not be ended.
    pub(crate) fn end(&self, kind: &DeliveryErrorKind) -> u64 {
        let now = self.env().now();
        let mut failed_records = 0;
        self.end_routing();
        for topic in self.topics() {
            for partition in topic.partitions() {
                let mut state = partition.lock();
                state.is_ended = true;
                // If a codec panics here, the batch is told by its promise, and the others must be told, too.
                let seal = AssertUnwindSafe(|| partition.seal(&mut state, &self.batch_rules()));
                if catch_unwind(seal).is_err() {
                    tracing::error!(partition = %partition.topic_partition, "sealing the last batch panicked");
                }
                let batches = state.queue.take_all();
                partition.publish_queue_len(&state);
                let mut leaving = Vec::with_capacity(batches.len());
                for batch in batches {
                    failed_records += u64::from(batch.sealed.record_count());
                    leaving.push(self.leave_failed(partition, &mut state, batch, kind.clone(), now));
                }
                drop(state);
                leaving.into_iter().for_each(|batch| self.resolve(partition, batch, now));
            }
        }
        failed_records
    }

    pub(crate) fn note_connection_error(&self, error: &milena_client::ConnectionError) {
        *lock(&self.last_connection_error) = Some(error.to_string());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
