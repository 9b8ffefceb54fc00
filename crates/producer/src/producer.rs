//! The producer in the user's hand.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use milena_client::env::Task;
use milena_client::metadata::PartitionMetadata;
use milena_client::metrics::Snapshot;
use milena_client::{Client, Env};
use milena_records::{BatchBuilder, RecordParts};

use crate::config::ProducerConfig;
use crate::delivery::Delivery;
use crate::error::{ConfigError, DeliveryErrorKind, FlushError, SendError};
use crate::interceptor::AddedHeaders;
use crate::memory::Reservation;
use crate::partition::{Appended, NeedsMemory, Partition};
use crate::partitioner::{Partitioning, PartitioningInput, Placement, TopicPartitions};
use crate::record::Record;
use crate::shared::Shared;
use crate::tasks;
use crate::topic::Topic;

/// Sends records to the partitions of a cluster, batched, in order, and once each.
///
/// Cheap to clone; clones share everything, and any number of tasks may send. When the last clone is dropped without
/// [`close`](Self::close), records that were not acknowledged yet fail.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    _tasks: Vec<Task>,
}

impl Producer {
    /// A producer over `client`.
    ///
    /// # Errors
    /// The configuration contradicts itself.
    pub fn new(client: Client, config: ProducerConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let is_idempotent = config.enable_idempotence;
        let shared = Arc::new(Shared::new(client, config));
        let env = shared.env().clone();
        let mut tasks =
            vec![env.spawn(tasks::follow_metadata(shared.clone())), env.spawn(tasks::expire(shared.clone()))];
        if is_idempotent {
            tasks.push(env.spawn(tasks::fetch_identity(shared.clone())));
        }
        Ok(Self { inner: Arc::new(Inner { shared, _tasks: tasks }) })
    }

    /// Queues a record and returns its [`Delivery`] once the record is in its batch.
    ///
    /// Waits up to `max.block.ms` for the topic's metadata and for room in the buffer. The order of records in a partition is the
    /// order in which their `send`s completed (promise P2).
    ///
    /// # Errors
    /// The record was not accepted: see [`SendError`]. What fails later fails the delivery.
    ///
    /// # Cancel safety
    /// A `send` that is dropped before it completed has queued nothing.
    pub async fn send(&self, record: Record<'_>) -> Result<Delivery, SendError> {
        let shared = &self.inner.shared;
        match shared.topic(record.topic) {
            Some(topic) => send(shared, &topic, record).await,
            None => {
                let topic = shared.topic_or_insert(record.topic);
                send(shared, &topic, record).await
            }
        }
    }

    /// A handle for one topic, which saves looking the topic up with every record. Waits for the topic's metadata.
    ///
    /// # Errors
    /// The topic cannot be used, or is not known within `max.block.ms`.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn topic(&self, name: &str) -> Result<TopicProducer, SendError> {
        let shared = &self.inner.shared;
        let topic = shared.topic_or_insert(name);
        wait_for_partitions(shared, &topic, shared.env().now() + shared.config.max_block).await?;
        Ok(TopicProducer { producer: self.clone(), topic })
    }

    /// The partitions of a topic, as they are known now. Waits for the topic's metadata.
    ///
    /// # Errors
    /// The topic cannot be used, or is not known within `max.block.ms`.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn partitions_for(&self, name: &str) -> Result<Vec<PartitionMetadata>, SendError> {
        self.topic(name).await?;
        let metadata = self.inner.shared.client.metadata().current();
        Ok(metadata.topic(name).map(|topic| topic.partitions.clone()).unwrap_or_default())
    }

    /// Sends all that was queued before the call, without waiting for the linger, and waits until all of it is resolved.
    ///
    /// # Errors
    /// Records failed since the last flush whose deliveries had been dropped; the count and the first of them. The failures of
    /// deliveries that are still held are told there only.
    ///
    /// # Cancel safety
    /// A dropped flush has sealed the batches; nothing else is changed.
    pub async fn flush(&self) -> Result<(), FlushError> {
        flush(&self.inner.shared).await;
        self.inner.shared.take_unobserved()
    }

    /// Flushes for at most `timeout`, then fails what is left, and ends the producer: all clones refuse records from now on.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); records that the deadline cut off are among them.
    ///
    /// # Cancel safety
    /// A dropped close leaves a producer that accepts nothing and goes on sending what it has.
    pub async fn close(self, timeout: Duration) -> Result<(), FlushError> {
        let shared = &self.inner.shared;
        let deadline = shared.env().now() + timeout;
        shared.close();
        if shared.env().timeout_at(deadline, flush(shared)).await.is_none() {
            shared.fail_all(&DeliveryErrorKind::Closed);
        }
        shared.stop();
        shared.take_unobserved()
    }

    /// The numbers of the client that this producer belongs to, this producer's among them.
    pub fn metrics(&self) -> Snapshot {
        self.inner.shared.client.metrics()
    }

    /// Bytes of the buffer that are free.
    pub fn buffer_available_bytes(&self) -> usize {
        self.inner.shared.memory.available_bytes()
    }

    /// The configuration.
    pub fn config(&self) -> &ProducerConfig {
        &self.inner.shared.config
    }

    /// The environment: clock and tasks.
    pub fn env(&self) -> &Env {
        self.inner.shared.env()
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("config", &self.inner.shared.config).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close();
        let failed_records = self.shared.fail_all(&DeliveryErrorKind::Closed);
        if failed_records > 0 {
            tracing::warn!(
                failed_records,
                "a producer was dropped before its records were acknowledged; close() waits"
            );
        }
        self.shared.stop();
    }
}

/// A producer's handle for one topic; cheap to clone.
#[derive(Clone)]
pub struct TopicProducer {
    producer: Producer,
    topic: Arc<Topic>,
}

impl TopicProducer {
    /// As [`Producer::send`]; the record's own topic is ignored.
    ///
    /// # Errors
    /// As [`Producer::send`].
    ///
    /// # Cancel safety
    /// As [`Producer::send`].
    pub async fn send(&self, record: Record<'_>) -> Result<Delivery, SendError> {
        send(&self.producer.inner.shared, &self.topic, record).await
    }

    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.topic.name
    }

    /// How many partitions the topic has, as far as known now.
    pub fn partition_count(&self) -> i32 {
        self.topic.partition_count()
    }

    /// The producer behind the handle.
    pub fn producer(&self) -> &Producer {
        &self.producer
    }
}

impl std::fmt::Debug for TopicProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicProducer").field("topic", &self.topic.name).finish_non_exhaustive()
    }
}

async fn send(shared: &Arc<Shared>, topic: &Arc<Topic>, record: Record<'_>) -> Result<Delivery, SendError> {
    if shared.config.interceptors.is_empty() {
        return append(shared, topic, &record).await;
    }
    let mut added = AddedHeaders::default();
    for interceptor in &shared.config.interceptors {
        interceptor.on_send(&record, &mut added);
    }
    let record = added.extend(record);
    let delivery = append(shared, topic, &record).await?;
    delivery.observe(&shared.config.interceptors);
    Ok(delivery)
}

async fn append(
    shared: &Arc<Shared>,
    topic: &Arc<Topic>,
    record: &Record<'_>,
) -> Result<Delivery, SendError> {
    check_open(shared)?;
    // A tight loop of sends must not keep the senders from running on the same thread.
    if shared.is_crowded() {
        tokio::task::yield_now().await;
    }
    if topic.partition_count() == 0 {
        wait_for_partitions(shared, topic, shared.env().now() + shared.config.max_block).await?;
    }
    let timestamp_ms = match record.timestamp_ms {
        None => shared.env().coarse_timestamp_ms(),
        Some(timestamp_ms @ 0..) => timestamp_ms,
        Some(timestamp_ms) => {
            return Err(SendError::InvalidTimestamp { topic: topic.name.to_string(), timestamp_ms });
        }
    };
    let parts = record.parts(timestamp_ms);
    if may_be_too_large(shared, record) {
        check_size(shared, topic, BatchBuilder::upper_bound(&parts))?;
    }
    let choice = choose(shared, topic, record)?;
    let partition = choice.partition(topic)?;
    let mut reservation = None;
    let mut deadline = None;
    loop {
        match try_append(shared, topic, choice, partition, &parts, &mut reservation) {
            Ok(delivery) => return Ok(delivery),
            Err(bytes) => {
                let deadline = *deadline.get_or_insert_with(|| shared.env().now() + shared.config.max_block);
                reservation = Some(reserve(shared, topic, bytes, deadline).await?);
            }
        }
    }
}

/// Appends the record if the budget allows it; otherwise tells how many bytes are to be reserved first.
fn try_append(
    shared: &Arc<Shared>,
    topic: &Topic,
    choice: Choice,
    partition: &Arc<Partition>,
    parts: &RecordParts<'_>,
    reservation: &mut Option<Reservation>,
) -> Result<Delivery, usize> {
    let mut state = partition.lock();
    let appended =
        partition.append(&mut state, &shared.batch_rules(), parts, reservation, || shared.env().now());
    match appended {
        Ok(appended) => {
            let follow_up = follow_up(shared, partition, &mut state, &appended);
            drop(state);
            follow_up.carry_out(shared);
            if let Choice::Sticky(partition) = choice {
                let is_ready = appended.sealed_bytes > 0;
                note_sticky(shared, topic, partition, appended.record_bytes, is_ready);
            }
            Ok(appended.delivery)
        }
        Err(NeedsMemory { bytes, sealed_bytes }) => {
            shared.add_unsent(sealed_bytes);
            let sender = match sealed_bytes {
                0 => None,
                _ => state.sender.clone().filter(|sender| sender.list_ready(partition, &mut state)),
            };
            drop(state);
            if let Some(sender) = sender {
                sender.wake();
            }
            Err(bytes)
        }
    }
}

fn check_open(shared: &Shared) -> Result<(), SendError> {
    if shared.is_closed() {
        return Err(SendError::Closed);
    }
    match shared.fatal() {
        Some(code) => Err(SendError::Fatal { code }),
        None => Ok(()),
    }
}

/// A quick look, so that small records are not measured twice.
fn may_be_too_large(shared: &Shared, record: &Record<'_>) -> bool {
    /// More than the fixed parts of a record and of a batch take.
    const OVERHEAD_BYTES: usize = 128;
    let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + OVERHEAD_BYTES;
    !record.header_slice().is_empty()
        || bytes > shared.config.max_request_size.min(shared.memory.total_bytes())
}

fn check_size(shared: &Shared, topic: &Topic, record_bytes: usize) -> Result<(), SendError> {
    let limits = [
        ("max.request.size", shared.config.max_request_size),
        ("buffer.memory", shared.memory.total_bytes()),
    ];
    for (limit_name, limit_bytes) in limits {
        if record_bytes > limit_bytes {
            let topic = topic.name.to_string();
            return Err(SendError::RecordTooLarge { topic, record_bytes, limit_bytes, limit_name });
        }
    }
    Ok(())
}

/// How a record's partition was chosen.
#[derive(Clone, Copy)]
enum Choice {
    Fixed(i32),
    Sticky(i32),
}

impl Choice {
    fn partition(self, topic: &Topic) -> Result<&Arc<Partition>, SendError> {
        let (Self::Fixed(partition) | Self::Sticky(partition)) = self;
        topic.partition(partition).ok_or_else(|| SendError::UnknownPartition {
            topic: topic.name.to_string(),
            partition,
            partition_count: topic.partition_count(),
        })
    }
}

fn choose(shared: &Shared, topic: &Topic, record: &Record<'_>) -> Result<Choice, SendError> {
    if let Some(partition) = record.partition {
        return Ok(Choice::Fixed(partition));
    }
    let place = |partitions: TopicPartitions<'_>| {
        let (key, value) = (record.key, record.value);
        shared.config.partitioning.place(&PartitioningInput { topic: &topic.name, key, value, partitions })
    };
    let placement = match &shared.config.partitioning {
        Partitioning::Custom(_) => topic.with_partitions(|partitions| place(*partitions)),
        // The built-in ones look at the number of partitions only.
        _ => place(TopicPartitions { count: topic.partition_count(), available: &[] }),
    };
    Ok(match placement {
        Placement::Partition(partition) => Choice::Fixed(partition),
        Placement::Sticky => {
            let random = || (shared.env().random_u64() >> 32) as u32;
            Choice::Sticky(topic.with_partitions(|partitions| topic.sticky.peek(partitions, random)))
        }
    })
}

/// Tells the sticky partition what it got; when it moves on, weighs where to.
fn note_sticky(shared: &Shared, topic: &Topic, partition: i32, bytes: usize, batch_is_ready: bool) {
    let random = || (shared.env().random_u64() >> 32) as u32;
    let moved = topic.with_partitions(|partitions| {
        topic.sticky.record_appended(partition, bytes, batch_is_ready, partitions, random)
    });
    if moved && shared.config.partitioner_adaptive {
        topic.update_load();
    }
}

/// What is to be done once the partition's lock is released.
enum FollowUp {
    Nothing,
    Wake(Arc<crate::sender::BrokerSender>),
    SendNow(Arc<crate::sender::BrokerSender>),
}

impl FollowUp {
    fn carry_out(self, shared: &Arc<Shared>) {
        match self {
            Self::Nothing => {}
            Self::Wake(sender) => sender.wake(),
            Self::SendNow(sender) => sender.send_now(shared),
        }
    }
}

fn follow_up(
    shared: &Shared,
    partition: &Arc<Partition>,
    state: &mut crate::partition::PartitionState,
    appended: &Appended,
) -> FollowUp {
    shared.add_unsent(appended.sealed_bytes);
    if !appended.opened && appended.sealed_bytes == 0 {
        return FollowUp::Nothing;
    }
    let Some(sender) = state.sender.clone() else { return FollowUp::Nothing };
    if shared.config.linger.is_zero() {
        return match sender.list_ready(partition, state) {
            true => FollowUp::SendNow(sender),
            false => FollowUp::Nothing,
        };
    }
    let arm_timer = appended.opened && list_lingering(shared, &sender, partition, state);
    let listed = appended.sealed_bytes > 0 && sender.list_ready(partition, state);
    if arm_timer || listed { FollowUp::Wake(sender) } else { FollowUp::Nothing }
}

fn list_lingering(
    shared: &Shared,
    sender: &crate::sender::BrokerSender,
    partition: &Arc<Partition>,
    state: &crate::partition::PartitionState,
) -> bool {
    let Some(open) = &state.open else { return false };
    sender.list_lingering(partition, open.first_record, open.opened_at + shared.config.linger)
}

/// Waits for room in the buffer.
async fn reserve(
    shared: &Shared,
    topic: &Topic,
    bytes: usize,
    deadline: Instant,
) -> Result<Reservation, SendError> {
    let began = shared.env().now();
    let reserved = shared.env().timeout_at(deadline, shared.memory.reserve(bytes)).await;
    let now = shared.env().now();
    let waited = now.saturating_duration_since(began);
    shared.numbers.buffer_wait(now, waited, reserved.is_some());
    check_open(shared)?;
    match reserved {
        Some(Some(reservation)) => Ok(reservation),
        Some(None) => Err(SendError::Closed),
        None => Err(SendError::BufferFull {
            topic: topic.name.to_string(),
            buffer_bytes: shared.memory.total_bytes(),
            waited: shared.config.max_block,
        }),
    }
}

/// Waits until the topic's partitions are known, and gives them to their senders.
async fn wait_for_partitions(
    shared: &Arc<Shared>,
    topic: &Arc<Topic>,
    deadline: Instant,
) -> Result<(), SendError> {
    if topic.partition_count() > 0 {
        return Ok(());
    }
    let metadata = shared.client.metadata();
    match metadata.wait_for_topic(&topic.name, deadline).await {
        Ok(known) => {
            shared.route(topic, &known, &metadata.current());
            Ok(())
        }
        Err(error) => {
            shared.forget_topic(topic);
            Err(error.into())
        }
    }
}

/// Seals all open batches and waits for every batch that exists now.
async fn flush(shared: &Arc<Shared>) {
    let mut pending = Vec::new();
    for topic in shared.topics() {
        for partition in topic.partitions() {
            let mut state = partition.lock();
            // Weak, so that a flush does not look like somebody who holds a delivery.
            pending.extend(state.deliveries().map(Arc::downgrade));
            let Some(open) = &mut state.open else { continue };
            open.is_flushed = true;
            let sender = state.sender.clone().filter(|sender| sender.list_ready(partition, &mut state));
            drop(state);
            if let Some(sender) = sender {
                sender.wake();
            }
        }
    }
    for delivery in pending {
        poll_fn(|cx| delivery.upgrade().map_or(Poll::Ready(()), |delivery| delivery.poll_resolved(cx))).await;
    }
}
