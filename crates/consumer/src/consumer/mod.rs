//! The consumer in the application's hand.

mod offsets;
mod receive;

pub use offsets::OffsetAndTimestamp;
pub use receive::RecordStream;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use milena_client::env::Task;
use milena_client::metadata::{TopicError, TopicInterest};
use milena_client::{Client, TopicMetadata, TopicPartition};

use crate::batch::RecordBatch;
use crate::config::{ConsumerConfig, InvalidConfig};
use crate::core::{OffsetLookup, Position, Seek};
use crate::decode::{Decode, Decoder};
use crate::error::{NotAssigned, RecvError, SeekError};
use crate::shared::Shared;
use crate::{decode, manager};

/// Reads partitions that the application assigns and positions itself; no group is involved.
///
/// ```no_run
/// # async fn example(client: milena_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use milena_consumer::{Consumer, ConsumerConfig};
///
/// let mut consumer = Consumer::new(client, ConsumerConfig::default())?;
/// consumer.assign_topic("orders").await?;
/// consumer.seek_to_beginning(&consumer.assignment())?;
/// while let Some(batch) = consumer.next().await? {
///     for record in &batch {
///         println!("{}-{}@{}: {:?}", batch.topic(), batch.partition(), record.offset, record.value);
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Positions
/// Each partition has a position: the offset of the next record. It moves when records are handed over (by [`next`](Self::next),
/// [`recv`](Self::recv), [`poll`](Self::poll) or the stream), not when they were processed: store
/// [`RecordBatch::next_position`] after processing, and [`seek`](Self::seek) there to go on. It never passes over a record: what
/// lies between two records handed over was removed by compaction, is a transaction's marker, or was aborted. A partition without
/// a position begins where [`ConsumerConfig::auto_offset_reset`] says.
///
/// # Tasks
/// Fetching goes on in the background, one loop per broker, always ahead of the application within
/// [`ConsumerConfig::prefetch_bytes`]. Dropping the consumer ends all of it.
pub struct Consumer {
    shared: Arc<Shared>,
    /// Keep the assigned topics in the metadata.
    interests: BTreeMap<Arc<str>, TopicInterest>,
    /// What `recv` and the stream have not handed over yet of a batch.
    current: Option<RecordBatch>,
    /// What `poll` found behind records, and tells at the next call.
    found_error: Option<RecvError>,
    /// A call waits for records, or did when it was dropped.
    polling: bool,
    manager: Option<Task>,
    _decoder: Task,
}

impl Consumer {
    /// A consumer without an assignment; its tasks are started on the runtime in which it is made.
    ///
    /// # Errors
    /// The configuration cannot work.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(client: Client, config: ConsumerConfig) -> Result<Self, InvalidConfig> {
        Self::start(client, config, Decoder::configured)
    }

    /// Starts the tasks; `decoder` makes what decodes, and makes it again after a panic.
    fn start<D: Decode + Send + 'static>(
        client: Client,
        config: ConsumerConfig,
        decoder: impl Fn(&ConsumerConfig) -> D + Send + Sync + 'static,
    ) -> Result<Self, InvalidConfig> {
        config.validate()?;
        let env = client.env().clone();
        let shared = Arc::new(Shared::new(client, config));
        let manager = env.spawn(manager::run(shared.clone()));
        let decoder = env.spawn(decode::run(shared.clone(), decoder));
        Ok(Self {
            shared,
            interests: BTreeMap::new(),
            current: None,
            found_error: None,
            polling: false,
            manager: Some(manager),
            _decoder: decoder,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &ConsumerConfig {
        &self.shared.config
    }

    /// The client that connects it.
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    /// Reads exactly these partitions from now on.
    ///
    /// Those that were assigned before keep their position and what is buffered of them; what is buffered of others is dropped.
    /// Partitions need not exist yet: they are read once they do.
    pub fn assign<P: Into<TopicPartition>>(&mut self, partitions: impl IntoIterator<Item = P>) {
        let partitions: BTreeSet<TopicPartition> = partitions.into_iter().map(Into::into).collect();
        self.current.take_if(|batch| !partitions.contains(batch.topic_partition()));
        self.set_interests(partitions.iter().map(|partition| partition.topic.clone()).collect());
        let gone: Vec<_> =
            self.assignment().into_iter().filter(|assigned| !partitions.contains(assigned)).collect();
        self.shared.with(|subscription| subscription.assign(partitions));
        for partition in gone {
            self.shared.metrics.forget_partition(&partition.topic, partition.partition);
        }
    }

    /// Reads all partitions of a topic, beside what is assigned; returns how many it has now.
    ///
    /// Partitions that the topic grows later are added and read from their beginning, whatever `auto_offset_reset` says, since all
    /// that is in them is newer than this call.
    ///
    /// # Errors
    /// The topic does not exist or may not be read, or that could not be found out within `default_api_timeout`; nothing was
    /// assigned.
    ///
    /// # Cancel safety
    /// A dropped future assigned nothing.
    pub async fn assign_topic(&mut self, topic: impl Into<Arc<str>>) -> Result<usize, TopicError> {
        let topic = topic.into();
        let metadata = self.shared.client.metadata();
        let interest = metadata.interest(topic.clone(), self.shared.config.allow_auto_create_topics);
        let deadline = self.shared.client.default_deadline();
        let count = metadata.wait_for_topic(&topic, deadline).await?.partitions.len();
        self.interests.insert(topic.clone(), interest);
        let partition_count = i32::try_from(count).unwrap_or(i32::MAX);
        self.shared.with(|subscription| subscription.follow_topic(topic, partition_count));
        Ok(count)
    }

    /// Reads nothing any more.
    pub fn unassign(&mut self) {
        self.assign(Vec::<TopicPartition>::new());
    }

    /// What is assigned, in order.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.shared.with(|subscription| subscription.assignment().cloned().collect())
    }

    /// Goes on from this offset, or from a [`Position`] that was stored.
    ///
    /// With a leader epoch in the position, the broker notices if the log was truncated since (KIP-320). What was fetched before
    /// is never handed over after a seek.
    ///
    /// # Errors
    /// The partition is not assigned, or the offset is negative; nothing has changed then.
    pub fn seek(
        &mut self,
        partition: &TopicPartition,
        position: impl Into<Position>,
    ) -> Result<(), SeekError> {
        let position = position.into();
        if position.offset < 0 {
            return Err(SeekError::NegativeOffset { partition: partition.clone(), offset: position.offset });
        }
        Ok(self.move_to([partition], Seek::To(position))?)
    }

    /// Goes on from the first records that there are.
    ///
    /// Brokers are asked in the background; an error is told in place of records.
    ///
    /// # Errors
    /// A partition is not assigned; those before it in the list have been moved.
    pub fn seek_to_beginning<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), NotAssigned> {
        self.move_to(partitions, Seek::Lookup(OffsetLookup::Earliest))
    }

    /// Goes on from the end: the high watermark, or the last stable offset for `read_committed`.
    ///
    /// Brokers are asked in the background; an error is told in place of records.
    ///
    /// # Errors
    /// A partition is not assigned; those before it in the list have been moved.
    pub fn seek_to_end<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), NotAssigned> {
        self.move_to(partitions, Seek::Lookup(OffsetLookup::Latest))
    }

    /// Goes on from the first record with this timestamp (milliseconds since 1970) or a later one; from the end if there is none.
    ///
    /// Brokers are asked in the background; an error is told in place of records.
    ///
    /// # Errors
    /// A partition is not assigned; those before it in the list have been moved.
    pub fn seek_to_timestamp<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
        timestamp_ms: i64,
    ) -> Result<(), NotAssigned> {
        self.move_to(partitions, Seek::Lookup(OffsetLookup::Timestamp(timestamp_ms)))
    }

    fn move_to<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
        seek: Seek,
    ) -> Result<(), NotAssigned> {
        let current = &mut self.current;
        self.shared.with(|subscription| {
            partitions.into_iter().try_for_each(|partition| {
                subscription.seek(partition, seek)?;
                current.take_if(|batch| batch.topic_partition() == partition);
                Ok(())
            })
        })
    }

    /// The offset of the next record of a partition; `None` while that is being asked for.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn position(&self, partition: &TopicPartition) -> Result<Option<Position>, NotAssigned> {
        let position = self.shared.with(|subscription| subscription.position(partition))?;
        let current = self.current.as_ref().filter(|batch| batch.topic_partition() == partition);
        Ok(current.map(RecordBatch::start).or(position))
    }

    /// How many records a partition's position is behind its end, as the brokers told with the last fetch; `None` before the
    /// first. The end is the last stable offset for `read_committed`, else the high watermark. Kafka: `records-lag`.
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        let end = self.shared.with(|subscription| subscription.end_offset(partition))?;
        let position = self.position(partition).ok()??;
        Some((end - position.offset).max(0))
    }

    /// Hands over nothing of these partitions, and fetches nothing of them, until they are resumed.
    ///
    /// What is buffered of them stays, unless its memory is needed for others. Pausing twice is pausing once; `assign` leaves pauses
    /// of partitions that stay.
    ///
    /// # Errors
    /// A partition is not assigned; those before it in the list have been paused.
    pub fn pause<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), NotAssigned> {
        let current = &mut self.current;
        self.shared.with(|subscription| {
            partitions.into_iter().try_for_each(|partition| {
                if let Some(rest) = current.take_if(|batch| batch.topic_partition() == partition) {
                    subscription.unread(rest);
                }
                subscription.pause(partition)
            })
        })
    }

    /// Goes on with paused partitions; and with partitions that stand still after an error: what failed is tried once more.
    ///
    /// # Errors
    /// A partition is not assigned; those before it in the list have been resumed.
    pub fn resume<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), NotAssigned> {
        self.shared.with(|subscription| {
            partitions.into_iter().try_for_each(|partition| subscription.resume(partition))
        })
    }

    /// The paused partitions, in order.
    pub fn paused(&self) -> Vec<TopicPartition> {
        self.shared.with(|subscription| subscription.paused().cloned().collect())
    }

    /// What is known of a topic, its partitions and their leaders among it.
    ///
    /// # Errors
    /// The topic does not exist or may not be read, or that could not be found out within `default_api_timeout`.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn partitions_for(&self, topic: &str) -> Result<Arc<TopicMetadata>, TopicError> {
        let metadata = self.shared.client.metadata();
        let _interest = metadata.interest(topic.into(), false);
        metadata.wait_for_topic(topic, self.shared.client.default_deadline()).await
    }

    /// What ends this consumer's reading from elsewhere.
    pub fn close_handle(&self) -> CloseHandle {
        CloseHandle { shared: Arc::downgrade(&self.shared) }
    }

    /// Ends all fetching; batches that were handed over stay readable. To end a loop that reads, use [`Self::close_handle`].
    ///
    /// Brokers are told to forget the fetch sessions; at most a tenth of a second is waited for that.
    ///
    /// # Cancel safety
    /// A dropped future leaves the consumer closed; brokers forget by themselves, later.
    pub async fn close(mut self) {
        self.shared.close();
        if let Some(manager) = self.manager.take() {
            manager.join().await;
        }
        self.unassign();
    }

    fn set_interests(&mut self, topics: BTreeSet<Arc<str>>) {
        self.interests.retain(|topic, _| topics.contains(topic));
        for topic in topics {
            let metadata = self.shared.client.metadata();
            let create = self.shared.config.allow_auto_create_topics;
            self.interests.entry(topic).or_insert_with_key(|topic| metadata.interest(topic.clone(), create));
        }
    }
}

/// Ends a consumer's reading from another task, or from a signal handler; made by [`Consumer::close_handle`].
///
/// ```no_run
/// # async fn example(mut consumer: milena_consumer::Consumer, shutdown: impl Future<Output = ()> + Send + 'static)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// let handle = consumer.close_handle();
/// tokio::spawn(async move {
///     shutdown.await;
///     handle.close();
/// });
/// while let Some(batch) = consumer.next().await? {
///     println!("{} records", batch.len());
/// }
/// consumer.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CloseHandle {
    /// Keeps nothing alive.
    shared: Weak<Shared>,
}

impl CloseHandle {
    /// Has [`Consumer::next`] and its like return `None` from now on, those that wait among them. What was fetched and not handed
    /// over is dropped; positions are where the application is.
    pub fn close(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.close();
        }
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("assignment", &self.assignment()).finish_non_exhaustive()
    }
}
