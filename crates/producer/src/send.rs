//! A record's way into its batch.

mod sending;

use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_client::metadata::TopicError;
use milena_client::metrics::ProducerOperation;
use milena_protocol::planted;
use milena_records::{BatchBuilder, RecordParts};

use crate::delivery::Delivery;
use crate::error::SendError;
use crate::memory::Reservation;
use crate::partition::{Appended, NotAppended, Partition, PartitionState};
use crate::partitioner::{Partitioning, PartitioningInput, Placement, TopicPartitions};
use crate::record::Record;
use crate::routing::Routed;
use crate::sender::BrokerSender;
use crate::shared::Shared;
use crate::topic::Topic;

pub(crate) use sending::Sending;

/// How long a send may still wait, counted from when it first has to (Kafka: `max.block.ms`).
#[derive(Default)]
pub(crate) struct Patience {
    until: Option<Instant>,
}

impl Patience {
    fn until(&mut self, shared: &Shared) -> Instant {
        *self.until.get_or_insert_with(|| shared.env().deadline_after(shared.config.max_block))
    }
}

/// How far a record came without waiting.
enum Outcome {
    Done(Result<Delivery, SendError>),
    /// It has to wait; its partition may have been chosen.
    MustWait(Option<Choice>),
}

/// Chooses the partition and appends the record, if there is metadata and room.
#[inline]
fn admit_at_once(shared: &Arc<Shared>, topic: &Arc<Topic>, record: &Record<'_>) -> Outcome {
    if shared.backlog.is_crowded() || topic.partition_count() == 0 {
        return Outcome::MustWait(None);
    }
    let parts = match checked_parts(shared, topic, record) {
        Ok(parts) => parts,
        Err(error) => return Outcome::Done(Err(error)),
    };
    let choice = choose(shared, topic, record);
    let Some(partition) = topic.partition(choice.index()) else { return Outcome::MustWait(Some(choice)) };
    match try_append(shared, topic, choice, partition, &parts, &mut None) {
        Ok(delivery) => Outcome::Done(Ok(delivery)),
        Err(NotAppended::Ended) => Outcome::Done(Err(shared.end_error())),
        Err(NotAppended::NeedsMemory { .. }) => Outcome::MustWait(Some(choice)),
    }
}

/// As [`admit_at_once`], once there is metadata and room. The partition is chosen unless it has been.
async fn admit(
    shared: &Arc<Shared>,
    topic: &Arc<Topic>,
    record: &Record<'_>,
    choice: Option<Choice>,
) -> Result<Delivery, SendError> {
    while planted("stalled_broker_stops_all")
        && shared.senders().iter().any(|it| !it.is_available(shared.env().now(), Duration::from_millis(300)))
    {
        shared.env().sleep(Duration::from_millis(10)).await;
    }
    // A tight loop of sends must not keep the senders from running on the same thread.
    if shared.backlog.is_crowded() {
        tokio::task::yield_now().await;
    }
    let parts = checked_parts(shared, topic, record)?;
    let mut patience = Patience::default();
    wait_for_partitions(shared, topic, &mut patience).await?;
    let choice = choice.unwrap_or_else(|| choose(shared, topic, record));
    let partition = match topic.partition(choice.index()) {
        Some(partition) => partition,
        None => wait_for_partition(shared, topic, choice.index(), &mut patience).await?,
    };
    let mut reservation = None;
    loop {
        match try_append(shared, topic, choice, partition, &parts, &mut reservation) {
            Ok(delivery) => {
                if planted("dropped_send_is_queued") {
                    tokio::task::yield_now().await;
                }
                return Ok(delivery);
            }
            Err(NotAppended::Ended) => return Err(shared.end_error()),
            Err(NotAppended::NeedsMemory { bytes }) => {
                reservation = Some(reserve(shared, topic, bytes, &mut patience).await?);
            }
        }
    }
}

/// The record with its timestamp, if it can be sent at all.
#[inline]
fn checked_parts<'a>(
    shared: &Shared,
    topic: &Topic,
    record: &'a Record<'_>,
) -> Result<RecordParts<'a>, SendError> {
    shared.check_open()?;
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
    Ok(parts)
}

/// Appends the record if the budget allows it. A function of its own, so that no lock is held where `admit` may wait: `send` must be
/// fit for tasks that move between threads.
fn try_append(
    shared: &Arc<Shared>,
    topic: &Topic,
    choice: Choice,
    partition: &Arc<Partition>,
    parts: &RecordParts<'_>,
    reservation: &mut Option<Reservation>,
) -> Result<Delivery, NotAppended> {
    let mut state = partition.lock();
    let appended = partition
        .append(&mut state, &shared.batch_rules(), parts, reservation, || shared.env().now())
        .inspect_err(|_| {
            // A batch may have been sealed for it.
            let sender = state.sender().cloned().filter(|sender| sender.list_ready(partition, &mut state));
            sender.inspect(|sender| sender.wake());
        })?;
    let follow_up = follow_up(shared, partition, &mut state, &appended);
    drop(state);
    follow_up.carry_out(shared);
    if let Choice::Sticky(index) = choice {
        note_sticky(shared, topic, index, &appended);
    }
    Ok(appended.delivery)
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
    fn index(self) -> i32 {
        let (Self::Fixed(index) | Self::Sticky(index)) = self;
        index
    }
}

fn choose(shared: &Shared, topic: &Topic, record: &Record<'_>) -> Choice {
    if let Some(partition) = record.partition {
        return Choice::Fixed(partition);
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
    match placement {
        Placement::Partition(_)
            if planted("key_goes_where_there_is_room")
                && shared.memory.available_bytes() < shared.memory.total_bytes() / 2 =>
        {
            Choice::Fixed(0)
        }
        Placement::Partition(partition) => Choice::Fixed(partition),
        Placement::Sticky => Choice::Sticky(
            topic.with_partitions(|partitions| topic.sticky.peek(partitions, || random(shared))),
        ),
    }
}

/// Tells the sticky partition what it got; when it moves on, weighs where to.
fn note_sticky(shared: &Shared, topic: &Topic, index: i32, appended: &Appended) {
    let moved = topic.with_partitions(|partitions| {
        let random = || random(shared);
        topic.sticky.record_appended(index, appended.record_bytes, appended.sealed, partitions, random)
    });
    if !moved || !shared.config.partitioner_adaptive {
        return;
    }
    let timeout = shared.config.partitioner_availability_timeout;
    if timeout.is_zero() {
        return topic.update_load(|_| true);
    }
    let now = shared.env().now();
    topic.update_load(|partition| {
        let sender = partition.lock().sender().cloned();
        sender.is_some_and(|sender| sender.is_available(now, timeout))
    });
}

fn random(shared: &Shared) -> u32 {
    (shared.env().random_u64() >> 32) as u32
}

/// What is to be done once the partition's lock is released.
enum FollowUp {
    Nothing,
    Wake(Arc<BrokerSender>),
    SendNow(Arc<BrokerSender>),
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
    state: &mut PartitionState,
    appended: &Appended,
) -> FollowUp {
    if !appended.opened && !appended.sealed {
        return FollowUp::Nothing;
    }
    let Some(sender) = state.sender().cloned() else { return FollowUp::Nothing };
    if shared.config.linger.is_zero() {
        return match sender.list_ready(partition, state) {
            true => FollowUp::SendNow(sender),
            false => FollowUp::Nothing,
        };
    }
    let opened_at = state.open.as_ref().filter(|_| appended.opened).map(|open| open.opened_at);
    let is_first_to_linger = opened_at
        .is_some_and(|opened_at| sender.list_lingering(partition, state, opened_at + shared.config.linger));
    let is_due = appended.sealed || shared.memory.is_short();
    let is_listed = is_due && sender.list_ready(partition, state);
    if is_first_to_linger || is_listed { FollowUp::Wake(sender) } else { FollowUp::Nothing }
}

/// Waits for room in the buffer. Open batches, which hold it, go at once.
async fn reserve(
    shared: &Shared,
    topic: &Topic,
    bytes: usize,
    patience: &mut Patience,
) -> Result<Reservation, SendError> {
    let until = match planted("full_buffer_is_waited_for_without_limit") {
        true => shared.env().deadline_after(Duration::from_secs(3_600)),
        false => patience.until(shared),
    };
    let _waiting = shared.numbers.buffer_wait();
    let reserving = shared.memory.reserve(bytes, || shared.list_open_batches(|_| {}));
    match shared.env().timeout_at(until, reserving).await {
        Some(Some(reservation)) => shared.check_open().map(|()| reservation),
        Some(None) => Err(shared.end_error()),
        None => {
            shared.numbers.buffer_exhausted();
            Err(SendError::BufferFull {
                topic: topic.name.to_string(),
                buffer_bytes: shared.memory.total_bytes(),
                waited: shared.config.max_block,
            })
        }
    }
}

/// Waits until the topic's partitions are known and given to their senders.
pub(crate) async fn wait_for_partitions(
    shared: &Arc<Shared>,
    topic: &Arc<Topic>,
    patience: &mut Patience,
) -> Result<(), SendError> {
    if topic.partition_count() > 0 {
        return Ok(());
    }
    let began = shared.env().now();
    let until = patience.until(shared);
    let routed = async {
        loop {
            shared.client.metadata().wait_for_topic(&topic.name, until).await?;
            match shared.route(topic) {
                Routed::Done => return Ok(()),
                Routed::Ended => return Err(shared.end_error()),
                // Forgotten again at this very moment.
                Routed::TopicUnknown => tokio::task::yield_now().await,
            }
        }
    };
    let result = shared.unless_closed(routed).await.and_then(|result: Result<(), SendError>| result);
    shared.numbers.waited(ProducerOperation::MetadataWait, began);
    if result.is_err() {
        shared.forget_unusable(topic);
    }
    result
}

/// Partitions may have been added, or be about to be: asks for the metadata again until they are known (Kafka:
/// `KafkaProducer.waitOnMetadata`).
async fn wait_for_partition<'a>(
    shared: &Arc<Shared>,
    topic: &'a Arc<Topic>,
    index: i32,
    patience: &mut Patience,
) -> Result<&'a Arc<Partition>, SendError> {
    let unknown = || SendError::UnknownPartition {
        topic: topic.name.to_string(),
        partition: index,
        partition_count: topic.partition_count(),
    };
    if index < 0 {
        return Err(unknown());
    }
    let began = shared.env().now();
    let until = patience.until(shared);
    let metadata = shared.client.metadata();
    let mut answers = 0;
    let known = async {
        loop {
            let asked = metadata.version();
            metadata.request_update();
            metadata.changed_since(asked).await;
            answers += 1;
            if shared.route(topic) == Routed::Ended {
                return Err(shared.end_error());
            }
            if let Some(partition) = topic.partition(index) {
                return Ok(partition);
            }
            let wait = shared.config.retry_backoff.delay(answers, shared.env().random_unit());
            shared.env().sleep(wait).await;
        }
    };
    let result = shared.unless_closed(shared.env().timeout_at(until, known)).await;
    shared.numbers.waited(ProducerOperation::MetadataWait, began);
    match result? {
        Some(result) => result,
        None if answers > 0 => Err(unknown()),
        None => Err(TopicError::Timeout { topic: topic.name.to_string(), code: None, failure: None }.into()),
    }
}

#[cfg(test)]
mod tests;
