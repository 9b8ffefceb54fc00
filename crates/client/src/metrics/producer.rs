use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::sensor::{Scope, Sensor, Stat, sensors};
use super::{Gauge, Histogram, Metric, MetricSource, Metrics, Sampling, Tags};

const GROUP: &str = "producer-metrics";
const TOPIC_GROUP: &str = "producer-topic-metrics";

sensors! {
    /// Java: `SenderMetricsRegistry`, `BufferPool`, `KafkaProducerMetrics`.
    struct ClientSensors {
        batch_size: [
            (Avg, "batch-size-avg", "mean size of a batch sent, in bytes"),
            (Max, "batch-size-max", "size of the largest batch sent, in bytes"),
        ],
        compression_rate: [
            (Avg, "compression-rate-avg", "mean size of a batch after compression, as a share of before"),
        ],
        queue_time: [
            (Avg, "record-queue-time-avg", "mean time from a batch's first record to its sending, in ms"),
            (Max, "record-queue-time-max", "longest time from a batch's first record to its sending, in ms"),
        ],
        record_size: [
            (Avg, "record-size-avg", "mean size of the largest record of a batch, in bytes"),
            (Max, "record-size-max", "size of the largest record, in bytes"),
        ],
        records_per_request: [
            (Rate, "record-send-rate", "records sent per second"),
            (Total, "record-send-total", "records sent"),
            (Avg, "records-per-request-avg", "mean number of records in a request"),
        ],
        request_latency: [
            (Avg, "request-latency-avg", "mean time from a produce request to its response, in ms"),
            (Max, "request-latency-max", "longest time from a produce request to its response, in ms"),
        ],
        throttle_time: [
            (Avg, "produce-throttle-time-avg", "mean time that a broker throttled a request, in ms"),
            (Max, "produce-throttle-time-max", "longest time that a broker throttled a request, in ms"),
        ],
        retries: [
            (Rate, "record-retry-rate", "records sent again per second"),
            (Total, "record-retry-total", "records sent again"),
        ],
        errors: [
            (Rate, "record-error-rate", "records failed for good per second"),
            (Total, "record-error-total", "records failed for good"),
        ],
        splits: [
            (Rate, "batch-split-rate", "batches split for being too large, per second"),
            (Total, "batch-split-total", "batches split for being too large"),
        ],
        buffer_wait: [
            (Ratio, "bufferpool-wait-ratio", "share of the time that a send waited for buffer memory"),
            (Total, "bufferpool-wait-time-ns-total", "time that sends waited for buffer memory, in ns"),
        ],
        buffer_exhausted: [
            (Rate, "buffer-exhausted-rate", "sends per second that got no buffer memory in time"),
            (Total, "buffer-exhausted-total", "sends that got no buffer memory in time"),
        ],
        flush_time: [(Total, "flush-time-ns-total", "time spent in flush, in ns")],
        metadata_wait: [(Total, "metadata-wait-time-ns-total", "time that sends waited for metadata, in ns")],
        txn_init: [(Total, "txn-init-time-ns-total", "time spent getting a transactional producer id, in ns")],
        txn_begin: [(Total, "txn-begin-time-ns-total", "time spent beginning transactions, in ns")],
        txn_send_offsets: [
            (Total, "txn-send-offsets-time-ns-total", "time spent sending offsets to transactions, in ns"),
        ],
        txn_prepare: [(Total, "txn-prepare-time-ns-total", "time spent preparing transactions, in ns")],
        txn_commit: [(Total, "txn-commit-time-ns-total", "time spent committing transactions, in ns")],
        txn_abort: [(Total, "txn-abort-time-ns-total", "time spent aborting transactions, in ns")],
    }
}

sensors! {
    /// The same per topic.
    struct TopicSensors {
        records: [
            (Rate, "record-send-rate", "records sent per second"),
            (Total, "record-send-total", "records sent"),
        ],
        bytes: [
            (Rate, "byte-rate", "bytes of batches sent per second"),
            (Total, "byte-total", "bytes of batches sent"),
        ],
        compression_rate: [
            (Avg, "compression-rate", "mean size of a batch after compression, as a share of before"),
        ],
        retries: [
            (Rate, "record-retry-rate", "records sent again per second"),
            (Total, "record-retry-total", "records sent again"),
        ],
        errors: [
            (Rate, "record-error-rate", "records failed for good per second"),
            (Total, "record-error-total", "records failed for good"),
        ],
    }
}

/// What a producer does, in the groups `producer-metrics` and `producer-topic-metrics`.
///
/// Its connections are measured apart, by [`ConnectionMetrics`](super::ConnectionMetrics).
#[derive(Debug)]
pub struct ProducerMetrics {
    scope: Scope,
    sampling: Sampling,
    state: Mutex<State>,
    requests_in_flight: Gauge,
    waiting_sends: Gauge,
    buffer_available_bytes: Gauge,
    buffer_total_bytes: Gauge,
    latency_us: Histogram,
}

#[derive(Debug)]
struct State {
    client: ClientSensors,
    topics: BTreeMap<Arc<str>, Topic>,
    metadata_refreshed_at: Option<Duration>,
}

#[derive(Debug)]
struct Topic {
    scope: Scope,
    sensors: TopicSensors,
}

/// A batch that goes out in a produce request.
#[derive(Debug, Clone, Copy)]
pub struct SentBatch<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Number of its records.
    pub records: u32,
    /// Its size as sent, header included.
    pub bytes: usize,
    /// Its size before compression, header included.
    pub uncompressed_bytes: usize,
    /// The size of its largest record.
    pub record_bytes_max: usize,
    /// The time from its first record to now.
    pub queue_time: Duration,
}

/// What a producer's caller waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProducerOperation {
    /// All records so far to be acknowledged.
    Flush,
    /// The metadata of a topic.
    MetadataWait,
    /// A transactional producer id.
    TxnInit,
    /// The beginning of a transaction.
    TxnBegin,
    /// Offsets to be added to a transaction.
    TxnSendOffsets,
    /// The first phase of a two-phase commit (KIP-939).
    TxnPrepare,
    /// A commit.
    TxnCommit,
    /// An abort.
    TxnAbort,
}

impl ProducerMetrics {
    /// Metrics under the tag `client-id`, shown by `metrics` for as long as this lives.
    pub fn new(metrics: &Metrics, client_id: &str, buffer_bytes: usize) -> Arc<Self> {
        let sampling = metrics.sampling();
        let buffer_bytes = saturating(buffer_bytes);
        let this = Arc::new(Self {
            scope: Scope { group: GROUP, tags: Tags::new([("client-id", client_id.into())]) },
            sampling,
            state: Mutex::new(State {
                client: ClientSensors::new(sampling),
                topics: BTreeMap::new(),
                metadata_refreshed_at: None,
            }),
            requests_in_flight: Gauge::default(),
            waiting_sends: Gauge::default(),
            buffer_available_bytes: Gauge::default(),
            buffer_total_bytes: Gauge::default(),
            latency_us: Histogram::new(),
        });
        this.buffer_total_bytes.set(buffer_bytes);
        this.buffer_available_bytes.set(buffer_bytes);
        metrics.register(&this);
        this
    }

    /// One produce request goes out, with these batches. A batch that is sent again counts again.
    pub fn record_request_sent<'a>(&self, now: Duration, batches: impl IntoIterator<Item = SentBatch<'a>>) {
        self.requests_in_flight.add(1);
        let mut state = self.state();
        let mut records = 0.0;
        for batch in batches {
            let bytes = batch.bytes as f64;
            let ratio = bytes / batch.uncompressed_bytes.max(1) as f64;
            records += f64::from(batch.records);

            let topic = &mut state.topic(batch.topic, self).sensors;
            topic.records.record(now, f64::from(batch.records));
            topic.bytes.record(now, bytes);
            topic.compression_rate.record(now, ratio);

            state.client.batch_size.record(now, bytes);
            state.client.compression_rate.record(now, ratio);
            state.client.record_size.record(now, batch.record_bytes_max as f64);
            state.client.queue_time.record_ms(now, batch.queue_time);
        }
        state.client.records_per_request.record(now, records);
    }

    /// A produce request is over: with its response after `latency`, or without (`None`) because the
    /// connection went away or nothing was to be answered (acks=0). Exactly once for each
    /// [`record_request_sent`](Self::record_request_sent).
    pub fn record_request_completed(&self, now: Duration, latency: Option<Duration>) {
        self.requests_in_flight.add(-1);
        if let Some(latency) = latency {
            self.latency_us.record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
            self.state().client.request_latency.record_ms(now, latency);
        }
    }

    /// A produce response said that the broker throttles for so long (zero counts, too).
    pub fn record_throttle(&self, now: Duration, throttle_time: Duration) {
        self.state().client.throttle_time.record_ms(now, throttle_time);
    }

    /// A batch goes back into the queue with so many records.
    pub fn record_retries(&self, now: Duration, topic: &str, records: u32) {
        let mut state = self.state();
        state.client.retries.record(now, f64::from(records));
        state.topic(topic, self).sensors.retries.record(now, f64::from(records));
    }

    /// So many records of a topic failed for good.
    pub fn record_errors(&self, now: Duration, topic: &str, records: u32) {
        let mut state = self.state();
        state.client.errors.record(now, f64::from(records));
        state.topic(topic, self).sensors.errors.record(now, f64::from(records));
    }

    /// A batch was split because the broker found it too large.
    pub fn record_batch_split(&self, now: Duration) {
        self.state().client.splits.record(now, 1.0);
    }

    /// A send waited so long for buffer memory, successfully or not.
    pub fn record_buffer_wait(&self, now: Duration, waited: Duration) {
        self.state().client.buffer_wait.record_ns(now, waited);
    }

    /// A send failed for want of buffer memory.
    pub fn record_buffer_exhausted(&self, now: Duration) {
        self.state().client.buffer_exhausted.record(now, 1.0);
    }

    /// Bytes of buffer memory that are free.
    pub fn set_buffer_available(&self, bytes: usize) {
        self.buffer_available_bytes.set(saturating(bytes));
    }

    /// Adds to the number of sends that wait for buffer memory; negative when they stop waiting.
    pub fn add_waiting_sends(&self, n: i64) {
        self.waiting_sends.add(n);
    }

    /// Metadata arrived.
    pub fn record_metadata_refreshed(&self, now: Duration) {
        self.state().metadata_refreshed_at = Some(now);
    }

    /// A caller waited so long for `operation`.
    pub fn record_operation(&self, now: Duration, operation: ProducerOperation, took: Duration) {
        let client = &mut self.state().client;
        let sensor = match operation {
            ProducerOperation::Flush => &mut client.flush_time,
            ProducerOperation::MetadataWait => &mut client.metadata_wait,
            ProducerOperation::TxnInit => &mut client.txn_init,
            ProducerOperation::TxnBegin => &mut client.txn_begin,
            ProducerOperation::TxnSendOffsets => &mut client.txn_send_offsets,
            ProducerOperation::TxnPrepare => &mut client.txn_prepare,
            ProducerOperation::TxnCommit => &mut client.txn_commit,
            ProducerOperation::TxnAbort => &mut client.txn_abort,
        };
        sensor.record_ns(now, took);
    }

    /// Drops a topic's metrics: it was deleted, or is no longer written to.
    pub fn forget_topic(&self, topic: &str) {
        self.state().topics.remove(topic);
    }

    /// The latencies of all produce requests so far, in microseconds.
    pub fn request_latency_us(&self) -> &Histogram {
        &self.latency_us
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gauges(&self, state: &State, now: Duration) -> [(&'static str, f64, &'static str); 5] {
        let metadata_age = state.metadata_refreshed_at.map(|at| now.saturating_sub(at).as_secs_f64());
        [
            (
                "requests-in-flight",
                self.requests_in_flight.get() as f64,
                "produce requests without a response yet",
            ),
            ("metadata-age", metadata_age.unwrap_or(f64::NAN), "age of the metadata in use, in s"),
            ("waiting-threads", self.waiting_sends.get() as f64, "sends that wait for buffer memory"),
            (
                "buffer-available-bytes",
                self.buffer_available_bytes.get() as f64,
                "buffer memory that is free, in bytes",
            ),
            (
                "buffer-total-bytes",
                self.buffer_total_bytes.get() as f64,
                "buffer memory, free or not, in bytes",
            ),
        ]
    }
}

impl State {
    fn topic(&mut self, topic: &str, metrics: &ProducerMetrics) -> &mut Topic {
        if !self.topics.contains_key(topic) {
            let topic: Arc<str> = topic.into();
            let scope =
                Scope { group: TOPIC_GROUP, tags: metrics.scope.tags.with("topic", Arc::clone(&topic)) };
            self.topics.insert(topic, Topic { scope, sensors: TopicSensors::new(metrics.sampling) });
        }
        self.topics.get_mut(topic).expect("was just inserted where it was missing")
    }
}

impl MetricSource for ProducerMetrics {
    fn collect(&self, now: Duration, out: &mut Vec<Metric>) {
        let mut state = self.state();
        for (name, value, description) in self.gauges(&state, now) {
            let Scope { group, tags } = self.scope.clone();
            out.push(Metric { group, name, tags, value, description });
        }
        state.client.collect(&self.scope, now, out);
        for topic in state.topics.values_mut() {
            topic.sensors.collect(&topic.scope, now, out);
        }
    }
}

fn saturating(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
