//! The producer in the user's hand.

use std::sync::Arc;
use std::time::Duration;

use milena_client::env::Task;
use milena_client::metadata::PartitionMetadata;
use milena_client::metrics::{ProducerOperation, Snapshot};
use milena_client::{Client, Env};

use crate::config::ProducerConfig;
use crate::delivery::Delivery;
use crate::error::{ConfigError, DeliveryErrorKind, FlushError, SendError};
use crate::flush::flush;
use crate::panics::supervised;
use crate::record::Record;
use crate::send::{Patience, Sending, wait_for_partitions};
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
    /// A producer over `client`, for the tokio runtime that this is called in.
    ///
    /// # Errors
    /// The configuration contradicts itself.
    pub fn new(client: Client, config: ProducerConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let (is_idempotent, max_idle) = (config.enable_idempotence, config.metadata_max_idle);
        let shared = Arc::new(Shared::new(client, config));
        let env = shared.env().clone();
        let follow_metadata = tasks::follow_metadata(shared.clone());
        let forget_idle_topics = tasks::forget_idle_topics(shared.clone(), max_idle);
        let mut tasks = vec![
            env.spawn(supervised(shared.clone(), "metadata task", follow_metadata)),
            env.spawn(supervised(shared.clone(), "timer", tasks::expire(shared.clone()))),
            env.spawn(supervised(shared.clone(), "topic cleaner", forget_idle_topics)),
        ];
        if is_idempotent {
            let fetch_identity = tasks::fetch_identity(shared.clone());
            tasks.push(env.spawn(supervised(shared.clone(), "producer id task", fetch_identity)));
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
    #[inline]
    pub fn send<'a>(
        &'a self,
        record: Record<'a>,
    ) -> impl Future<Output = Result<Delivery, SendError>> + Send + 'a {
        Sending::by_name(&self.inner.shared, record)
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
        shared.check_open()?;
        wait_for_partitions(shared, &topic, &mut Patience::default()).await?;
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
        let shared = &self.inner.shared;
        let began = shared.env().now();
        flush(shared).await;
        shared.numbers.waited(ProducerOperation::Flush, began);
        shared.take_unobserved()
    }

    /// Flushes for at most `timeout`, then fails what is left, and ends the producer: all clones refuse records from now on.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); records that the deadline cut off are among them.
    ///
    /// # Cancel safety
    /// A dropped close leaves a producer that accepts nothing and goes on sending what it has, as long as other clones of it are held.
    /// With the last one, which this may be, it ends, and what is not acknowledged fails.
    pub async fn close(self, timeout: Duration) -> Result<(), FlushError> {
        let shared = &self.inner.shared;
        let deadline = shared.env().deadline_after(timeout);
        shared.close();
        // In time or not: a send that was about to append when the door closed may still have done so.
        let _ = shared.env().timeout_at(deadline, flush(shared)).await;
        shared.end(&DeliveryErrorKind::Closed);
        shared.stop_senders();
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
        let failed_records = self.shared.end(&DeliveryErrorKind::Closed);
        if failed_records > 0 {
            tracing::warn!(
                failed_records,
                "a producer was dropped before its records were acknowledged; close() waits"
            );
        }
        self.shared.stop_senders();
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
    #[inline]
    pub fn send<'a>(
        &'a self,
        record: Record<'a>,
    ) -> impl Future<Output = Result<Delivery, SendError>> + Send + 'a {
        Sending::to_topic(&self.producer.inner.shared, &self.topic, record)
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
