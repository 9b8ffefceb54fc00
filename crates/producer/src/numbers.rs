//! What the producer counts: once per batch or request, never per record.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_client::metrics::{
    BatchAcknowledged, BatchFailed, BatchRetried, Observer, ProducerMetrics, ProducerOperation, SentBatch,
};
use milena_client::{Client, TopicPartition};

use crate::core::queue::Batch;
use crate::partition::{Partition, Payload};
use crate::sender::InFlightRequest;

/// Metrics and observer of one producer.
pub(crate) struct Numbers {
    client: Client,
    metrics: Arc<ProducerMetrics>,
    observer: Option<Arc<dyn Observer>>,
}

impl Numbers {
    pub(crate) fn new(client: Client, buffer_bytes: usize) -> Self {
        let client_id = client.config().connection.client_id.clone().unwrap_or_default();
        let metrics = ProducerMetrics::new(client.metrics_registry(), &client_id, buffer_bytes);
        let observer = client.config().observer.clone();
        Self { client, metrics, observer }
    }

    fn at(&self, now: Instant) -> Duration {
        self.client.metrics_time(now)
    }

    pub(crate) fn request_sent(
        &self,
        now: Instant,
        request: &InFlightRequest,
        buffer_available_bytes: usize,
    ) {
        let batches = request.sent.iter().map(|sent| SentBatch {
            topic: &sent.partition.topic_partition.topic,
            records: sent.size.records,
            bytes: sent.size.encoded_bytes,
            uncompressed_bytes: sent.size.uncompressed_bytes,
            record_bytes_max: sent.size.record_bytes_max,
            queue_time: now.saturating_duration_since(sent.size.opened_at),
        });
        self.metrics.record_request_sent(self.at(now), batches);
        self.metrics.set_buffer_available(buffer_available_bytes);
    }

    pub(crate) fn request_completed(&self, now: Instant, latency: Option<Duration>) {
        self.metrics.record_request_completed(self.at(now), latency);
    }

    pub(crate) fn throttled(&self, now: Instant, throttle_time_ms: i32) {
        let throttle_time = Duration::from_millis(u64::try_from(throttle_time_ms).unwrap_or(0));
        self.metrics.record_throttle(self.at(now), throttle_time);
    }

    pub(crate) fn split(&self, now: Instant) {
        self.metrics.record_batch_split(self.at(now));
    }

    /// A send waits for memory, until the guard is dropped.
    pub(crate) fn buffer_wait(&self) -> BufferWait<'_> {
        self.metrics.add_waiting_sends(1);
        BufferWait { numbers: self, began: self.client.env().now() }
    }

    /// A send got no memory in time.
    pub(crate) fn buffer_exhausted(&self) {
        self.metrics.record_buffer_exhausted(self.at(self.client.env().now()));
    }

    /// Somebody has waited since `began`.
    pub(crate) fn waited(&self, operation: ProducerOperation, began: Instant) {
        let now = self.client.env().now();
        self.metrics.record_operation(self.at(now), operation, now.saturating_duration_since(began));
    }

    pub(crate) fn metadata_refreshed(&self) {
        self.metrics.record_metadata_refreshed(self.at(self.client.env().now()));
    }

    pub(crate) fn forget_topic(&self, topic: &str) {
        self.metrics.forget_topic(topic);
    }

    /// A batch is to be sent again. Runs user code: call it without a lock.
    pub(crate) fn retried(
        &self,
        now: Instant,
        partition: &Partition,
        records: u32,
        attempts: u32,
        reason: &(dyn Display + Sync),
    ) {
        let name = &partition.topic_partition;
        self.metrics.record_retries(self.at(now), &name.topic, records);
        if let Some(observer) = &self.observer {
            let (topic, partition) = (&*name.topic, name.partition);
            observer.on_batch_retried(&BatchRetried { topic, partition, records, attempts, reason });
        }
    }

    /// Tells the observer. Runs user code: call it without a lock.
    pub(crate) fn tell_acknowledged(
        &self,
        now: Instant,
        partition: &Partition,
        batch: &Batch<Payload>,
        base_offset: Option<i64>,
    ) {
        if let Some(observer) = &self.observer {
            observer.on_batch_acknowledged(&BatchAcknowledged {
                topic: &partition.topic_partition.topic,
                partition: partition.topic_partition.partition,
                records: batch.sealed.record_count(),
                bytes: batch.sealed.encoded_len(),
                base_offset,
                latency: now.saturating_duration_since(batch.payload.size.opened_at),
            });
        }
    }

    pub(crate) fn failed(&self, now: Instant, partition: &Partition, records: u32) {
        self.metrics.record_errors(self.at(now), &partition.topic_partition.topic, records);
    }

    /// Tells the observer. Runs user code: call it without a lock.
    pub(crate) fn tell_failed(
        &self,
        partition: &Partition,
        records: u32,
        possibly_written: bool,
        reason: &(dyn Display + Sync),
    ) {
        if let Some(observer) = &self.observer {
            let TopicPartition { topic, partition, .. } = &partition.topic_partition;
            let (topic, partition) = (&**topic, *partition);
            observer.on_batch_failed(&BatchFailed { topic, partition, records, possibly_written, reason });
        }
    }
}

/// A send that waits for memory, also when it is dropped.
pub(crate) struct BufferWait<'a> {
    numbers: &'a Numbers,
    began: Instant,
}

impl Drop for BufferWait<'_> {
    fn drop(&mut self) {
        let Numbers { metrics, client, .. } = self.numbers;
        let now = client.env().now();
        metrics.add_waiting_sends(-1);
        metrics.record_buffer_wait(self.numbers.at(now), now.saturating_duration_since(self.began));
    }
}
