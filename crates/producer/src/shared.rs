//! What the parts of one producer share.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use milena_client::metadata::TopicMetadata;
use milena_client::{Client, Env, Metadata, TopicPartition};
use milena_protocol::ErrorCode;

use crate::config::ProducerConfig;
use crate::core::queue::{Batch, QueueConfig};
use crate::delivery::{BatchFailure, Outcome};
use crate::error::{DeliveryError, DeliveryErrorKind, FlushError};
use crate::hash::TopicNameHash;
use crate::identity::IdentityCell;
use crate::memory::Memory;
use crate::numbers::Numbers;
use crate::partition::{BatchRules, Partition, PartitionState, Payload};
use crate::sender::BrokerSender;
use crate::topic::Topic;

/// The state behind a [`Producer`](crate::Producer) and its tasks.
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) config: ProducerConfig,
    pub(crate) memory: Memory,
    pub(crate) identity: IdentityCell,
    pub(crate) numbers: Numbers,
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>, TopicNameHash>>,
    senders: Mutex<BTreeMap<i32, Sending>>,
    /// Bytes of sealed batches that were not sent yet.
    unsent_bytes: AtomicUsize,
    /// From here on, `send` lets the senders run first.
    unsent_bytes_high: AtomicUsize,
    closed: AtomicBool,
    fatal: OnceLock<ErrorCode>,
    unobserved: Mutex<Option<FlushError>>,
    last_connection_error: Mutex<Option<String>>,
}

/// A sender and its task.
struct Sending {
    sender: Arc<BrokerSender>,
    _task: milena_client::env::Task,
}

impl Shared {
    pub(crate) fn new(client: Client, config: ProducerConfig) -> Self {
        Self {
            memory: Memory::new(config.buffer_memory, config.batch_size),
            identity: IdentityCell::new(),
            numbers: Numbers::new(client.clone(), config.buffer_memory),
            topics: RwLock::default(),
            senders: Mutex::default(),
            unsent_bytes: AtomicUsize::new(0),
            unsent_bytes_high: AtomicUsize::new(2 * config.max_request_size),
            closed: AtomicBool::new(false),
            fatal: OnceLock::new(),
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
            batch_size: self.config.batch_size,
            codec: &self.config.compression,
            delivery_timeout: self.config.delivery_timeout,
        }
    }

    // Topics and senders.

    pub(crate) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The topic, known or not; its partitions come with the metadata.
    pub(crate) fn topic_or_insert(&self, name: &str) -> Arc<Topic> {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.get(name) {
            return topic.clone();
        }
        let name: Arc<str> = name.into();
        let interest = self.client.metadata().interest(name.clone(), true);
        let topic = Arc::new(Topic::new(name.clone(), interest, self.config.batch_size));
        topics.insert(name, topic.clone());
        topic
    }

    /// Forgets a topic that turned out not to be usable.
    pub(crate) fn forget_topic(&self, topic: &Arc<Topic>) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if topic.partition_count() == 0
            && topics.get(&topic.name).is_some_and(|known| Arc::ptr_eq(known, topic))
        {
            topics.remove(&topic.name);
        }
    }

    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Gives every partition of `topic` to the sender of its leader.
    pub(crate) fn route(self: &Arc<Self>, topic: &Topic, known: &TopicMetadata, metadata: &Metadata) {
        let queue_config = QueueConfig {
            idempotent: self.config.enable_idempotence,
            in_flight_max: self.config.max_in_flight,
            retries_max: self.config.retries,
            retry_backoff: self.config.retry_backoff,
        };
        let available = (0..).zip(&known.partitions).filter(|(_, partition)| partition.leader.is_some());
        let available = available.map(|(index, _)| index).collect();
        topic.resize(known.partitions.len(), available, |index| {
            let name = TopicPartition::new(topic.name.clone(), index);
            Arc::new(Partition::new(name, topic.wire_name.clone(), queue_config))
        });
        for (partition, known) in topic.partitions().zip(&known.partitions) {
            let leader = known.leader.filter(|leader| metadata.brokers.contains_key(leader));
            self.route_partition(partition, leader);
        }
    }

    fn route_partition(self: &Arc<Self>, partition: &Arc<Partition>, leader: Option<i32>) {
        let mut state = partition.lock();
        if state.sender.as_ref().map(|sender| sender.node_id) == leader {
            return;
        }
        state.sender = leader.map(|node_id| self.sender(node_id));
        state.queue.handle_new_leader();
        // It may be on the old sender's list; that one hands it on.
        state.is_listed = false;
        let Some(sender) = state.sender.clone() else { return };
        if let Some(open) = &state.open {
            let until = open.opened_at + self.config.linger;
            let _ = sender.list_lingering(partition, open.first_record, until);
        }
        let _ = sender.list_ready(partition, &mut state);
        drop(state);
        sender.wake();
    }

    fn sender(self: &Arc<Self>, node_id: i32) -> Arc<BrokerSender> {
        let mut senders = lock(&self.senders);
        let sending = senders.entry(node_id).or_insert_with(|| {
            let sender = Arc::new(BrokerSender::new(node_id, self));
            let (polled, shared) = (sender.clone(), self.clone());
            let task = self.env().spawn(std::future::poll_fn(move |cx| polled.poll(cx, &shared)));
            Sending { sender, _task: task }
        });
        let sender = sending.sender.clone();
        self.unsent_bytes_high.store(2 * senders.len() * self.config.max_request_size, Ordering::Relaxed);
        sender
    }

    pub(crate) fn senders(&self) -> Vec<Arc<BrokerSender>> {
        lock(&self.senders).values().map(|sending| sending.sender.clone()).collect()
    }

    // Batches.

    /// Whether the partition's open batch is to go now: its linger is over, somebody flushes, and there is room in flight for it.
    fn open_is_due(&self, state: &PartitionState, now: Instant) -> bool {
        state.queue.waiting_len() == 0
            && state.queue.has_room_in_flight()
            && state
                .open
                .as_ref()
                .is_some_and(|open| open.is_flushed || open.opened_at + self.config.linger <= now)
    }

    /// Seals the partition's open batch if it is to go now.
    pub(crate) fn seal_if_due(&self, partition: &Partition, state: &mut PartitionState, now: Instant) {
        if self.open_is_due(state, now) {
            let bytes = partition.seal(state, &self.batch_rules());
            self.add_unsent(bytes);
        }
    }

    /// Whether the partition has something for the next request.
    pub(crate) fn has_more(&self, state: &PartitionState, now: Instant) -> bool {
        state.queue.has_room_in_flight() && (state.queue.waiting_len() > 0 || self.open_is_due(state, now))
    }

    pub(crate) fn add_unsent(&self, bytes: usize) {
        if bytes > 0 {
            self.unsent_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn remove_unsent(&self, bytes: usize) {
        // Saturating: a batch that fails before it is sent is taken off, and pieces of a split one were never put on.
        let subtract = |unsent: usize| Some(unsent.saturating_sub(bytes));
        let _ = self.unsent_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, subtract);
    }

    /// Whether so much waits to be sent that the senders should run before more is added.
    pub(crate) fn is_crowded(&self) -> bool {
        self.unsent_bytes.load(Ordering::Relaxed) > self.unsent_bytes_high.load(Ordering::Relaxed)
    }

    /// Tells the batch's deliveries what became of them. Call it without a partition's lock.
    pub(crate) fn resolve(
        &self,
        partition: &Partition,
        batch: Batch<Payload>,
        outcome: Outcome,
        now: Instant,
    ) {
        match &outcome {
            Outcome::Written { base_offset, .. } => {
                self.numbers.acknowledged(now, partition, &batch, *base_offset);
            }
            Outcome::Failed(failure) => self.note_failure(partition, &batch, failure, now),
            Outcome::Pieces(_) => {}
        }
        let Batch { sealed, payload, .. } = batch;
        let Payload { delivery, records, delivery_records, reservation, .. } = payload;
        drop(reservation);
        delivery.resolve(records, delivery_records, outcome);
        if let Some(buffer) = sealed.recycle() {
            self.memory.give_buffer(buffer);
        }
    }

    /// Counts a failed batch, and for the next flush those of its records whose deliveries nobody holds.
    fn note_failure(
        &self,
        partition: &Partition,
        batch: &Batch<Payload>,
        failure: &Arc<BatchFailure>,
        now: Instant,
    ) {
        self.numbers.failed(now, partition, batch, failure.possibly_written, &failure.kind);
        let records = u64::from(batch.sealed.record_count());
        let held = batch.payload.delivery.held(1) as u64;
        let unobserved = records.saturating_sub(held);
        if unobserved == 0 {
            return;
        }
        tracing::warn!(
            partition = %partition.topic_partition, records = unobserved, error = %failure.kind,
            "records failed whose deliveries were dropped"
        );
        let first = || DeliveryError::of_record(partition.topic_partition.clone(), failure, 0);
        lock(&self.unobserved)
            .get_or_insert_with(|| FlushError { failed_records: 0, first: first() })
            .failed_records += unobserved;
    }

    /// What failed unobserved since the last call.
    pub(crate) fn take_unobserved(&self) -> Result<(), FlushError> {
        lock(&self.unobserved).take().map_or(Ok(()), Err)
    }

    /// Fails what is past its deadline; returns when to look again.
    pub(crate) fn expire(&self, now: Instant) -> Instant {
        // What is opened after this has a later deadline.
        let mut next = now + self.config.delivery_timeout;
        for topic in self.topics() {
            for partition in topic.partitions() {
                let mut state = partition.lock();
                let Some(deadline) = state.next_deadline(self.config.delivery_timeout) else { continue };
                if deadline > now {
                    next = next.min(deadline);
                    continue;
                }
                if state
                    .open
                    .as_ref()
                    .is_some_and(|open| open.opened_at + self.config.delivery_timeout <= now)
                {
                    let bytes = partition.seal(&mut state, &self.batch_rules());
                    self.add_unsent(bytes);
                }
                let expired = state.queue.expire(now);
                partition.publish_queue_len(&state);
                if let Some(rest) = state.next_deadline(self.config.delivery_timeout) {
                    next = next.min(rest);
                }
                let listed = state.sender.clone().filter(|sender| sender.list_ready(partition, &mut state));
                drop(state);
                for batch in expired {
                    let kind = DeliveryErrorKind::Timeout {
                        after: self.config.delivery_timeout,
                        attempts: batch.attempts(),
                        last: lock(&self.last_connection_error).clone().filter(|_| batch.attempts() == 0),
                    };
                    self.fail(partition, batch, kind, now);
                }
                if let Some(sender) = listed {
                    sender.wake();
                }
            }
        }
        next
    }

    fn fail(&self, partition: &Partition, batch: Batch<Payload>, kind: DeliveryErrorKind, now: Instant) {
        if batch.attempts() == 0 {
            self.remove_unsent(batch.sealed.encoded_len());
        }
        let possibly_written = batch.is_possibly_written();
        let failure = BatchFailure { kind, possibly_written, blamed: Vec::new() };
        self.resolve(partition, batch, Outcome::Failed(Arc::new(failure)), now);
    }

    /// Fails everything that is not resolved yet.
    pub(crate) fn fail_all(&self, kind: &DeliveryErrorKind) -> u64 {
        let now = self.env().now();
        let mut failed_records = 0;
        for topic in self.topics() {
            for partition in topic.partitions() {
                let mut state = partition.lock();
                let bytes = partition.seal(&mut state, &self.batch_rules());
                self.add_unsent(bytes);
                let batches = state.queue.take_all();
                drop(state);
                for batch in batches {
                    failed_records += u64::from(batch.sealed.record_count());
                    self.fail(partition, batch, kind.clone(), now);
                }
            }
        }
        failed_records
    }

    // The producer's end.

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn fatal(&self) -> Option<ErrorCode> {
        self.fatal.get().copied()
    }

    /// Brokers refuse this producer as a whole: everything fails from here on.
    pub(crate) fn fail_for_good(&self, code: ErrorCode) {
        tracing::error!(%code, "the producer has failed");
        // The first reason stays.
        let _ = self.fatal.set(code);
        self.fail_all(&DeliveryErrorKind::Broker { code, message: None });
    }

    /// Accepts nothing any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.memory.close();
    }

    /// Ends the senders' tasks and connections.
    pub(crate) fn stop(&self) {
        let senders = std::mem::take(&mut *lock(&self.senders));
        for topic in self.topics() {
            for partition in topic.partitions() {
                partition.lock().sender = None;
            }
        }
        drop(senders);
        self.topics.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn note_connection_error(&self, error: &milena_client::ConnectionError) {
        *lock(&self.last_connection_error) = Some(error.to_string());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
