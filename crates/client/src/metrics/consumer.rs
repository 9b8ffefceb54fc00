use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::sensor::{Scope, Sensor, Stat, sensors};
use super::{Histogram, Metric, MetricSource, Metrics, Sampling, Tags};

const GROUP: &str = "consumer-metrics";
const FETCH_GROUP: &str = "consumer-fetch-manager-metrics";

sensors! {
    /// Java: `FetchMetricsManager`.
    struct FetchSensors {
        bytes: [
            (Avg, "fetch-size-avg", "mean size of the batches in a fetch response, in bytes"),
            (Max, "fetch-size-max", "size of the batches in the largest fetch response, in bytes"),
            (Rate, "bytes-consumed-rate", "bytes of batches consumed per second"),
            (Total, "bytes-consumed-total", "bytes of batches consumed"),
        ],
        records: [
            (Avg, "records-per-request-avg", "mean number of records in a fetch response"),
            (Rate, "records-consumed-rate", "records consumed per second"),
            (Total, "records-consumed-total", "records consumed"),
        ],
        latency: [
            (Avg, "fetch-latency-avg", "mean time from a fetch request to its response, in ms"),
            (Max, "fetch-latency-max", "longest time from a fetch request to its response, in ms"),
            (EventRate, "fetch-rate", "fetch requests per second"),
            (EventTotal, "fetch-total", "fetch requests"),
        ],
        throttle_time: [
            (Avg, "fetch-throttle-time-avg", "mean time that a broker throttled a fetch, in ms"),
            (Max, "fetch-throttle-time-max", "longest time that a broker throttled a fetch, in ms"),
        ],
        lag: [(Max, "records-lag-max", "largest number of records that a partition is behind its end")],
        lead: [(Min, "records-lead-min", "smallest number of records between a partition's start and the position")],
    }
}

sensors! {
    /// The same per topic.
    struct TopicSensors {
        bytes: [
            (Avg, "fetch-size-avg", "mean size of the topic's batches in a fetch response, in bytes"),
            (Max, "fetch-size-max", "largest size of the topic's batches in a fetch response, in bytes"),
            (Rate, "bytes-consumed-rate", "bytes of batches consumed per second"),
            (Total, "bytes-consumed-total", "bytes of batches consumed"),
        ],
        records: [
            (Avg, "records-per-request-avg", "mean number of the topic's records in a fetch response"),
            (Rate, "records-consumed-rate", "records consumed per second"),
            (Total, "records-consumed-total", "records consumed"),
        ],
    }
}

sensors! {
    /// How far one partition's position is from both ends of its log.
    struct PartitionSensors {
        lag: [
            (Last, "records-lag", "records that the position is behind the end of the partition"),
            (Avg, "records-lag-avg", "mean number of records behind the end of the partition"),
            (Max, "records-lag-max", "largest number of records behind the end of the partition"),
        ],
        lead: [
            (Last, "records-lead", "records between the start of the partition and the position"),
            (Avg, "records-lead-avg", "mean number of records between the start and the position"),
            (Min, "records-lead-min", "smallest number of records between the start and the position"),
        ],
    }
}

sensors! {
    /// Java: `KafkaConsumerMetrics`.
    struct PollSensors {
        time_between_polls: [
            (Avg, "time-between-poll-avg", "mean time between two polls, in ms"),
            (Max, "time-between-poll-max", "longest time between two polls, in ms"),
        ],
        poll_idle: [
            (Avg, "poll-idle-ratio-avg", "mean share of the time spent in polls, not in the application"),
        ],
        committed_time: [(Total, "committed-time-ns-total", "time spent reading committed offsets, in ns")],
        commit_time: [(Total, "commit-sync-time-ns-total", "time that callers waited for commits, in ns")],
    }
}

/// What a consumer does, in the groups `consumer-metrics` and `consumer-fetch-manager-metrics`.
///
/// Its connections are measured apart, by [`ConnectionMetrics`](super::ConnectionMetrics).
#[derive(Debug)]
pub struct ConsumerMetrics {
    scope: Scope,
    fetch_scope: Scope,
    sampling: Sampling,
    state: Mutex<State>,
    fetch_latency_us: Histogram,
}

#[derive(Debug)]
struct State {
    fetch: FetchSensors,
    polls: PollSensors,
    poll: Poll,
    topics: BTreeMap<Arc<str>, Topic>,
}

/// When the application last asked for records.
#[derive(Debug, Clone, Copy)]
enum Poll {
    Never,
    At {
        started: Duration,
        /// Since the poll before, zero for the first.
        since_last: Duration,
    },
}

#[derive(Debug)]
struct Topic {
    scope: Scope,
    sensors: TopicSensors,
    partitions: BTreeMap<i32, Partition>,
}

#[derive(Debug)]
struct Partition {
    scope: Scope,
    sensors: PartitionSensors,
    preferred_read_replica: Option<i32>,
}

/// What a fetch response brought of one topic.
#[derive(Debug, Clone, Copy)]
pub struct TopicFetch<'a> {
    /// The topic.
    pub topic: &'a str,
    /// Number of its records.
    pub records: u64,
    /// The size of its batches, as received.
    pub bytes: u64,
}

/// What a consumer's caller waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsumerOperation {
    /// Committed offsets to be read.
    Committed,
    /// A commit to be acknowledged.
    Commit,
}

impl ConsumerMetrics {
    /// Metrics under the tag `client-id`, shown by `metrics` for as long as this lives.
    pub fn new(metrics: &Metrics, client_id: &str) -> Arc<Self> {
        let sampling = metrics.sampling();
        let tags = Tags::new([("client-id", client_id.into())]);
        let this = Arc::new(Self {
            scope: Scope { group: GROUP, tags: tags.clone() },
            fetch_scope: Scope { group: FETCH_GROUP, tags },
            sampling,
            state: Mutex::new(State {
                fetch: FetchSensors::new(sampling),
                polls: PollSensors::new(sampling),
                poll: Poll::Never,
                topics: BTreeMap::new(),
            }),
            fetch_latency_us: Histogram::new(),
        });
        metrics.register(&this);
        this
    }

    /// A fetch response arrived `latency` after its request; the broker throttles for `throttle_time`.
    pub fn record_fetch(&self, now: Duration, latency: Duration, throttle_time: Duration) {
        self.fetch_latency_us.record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        let fetch = &mut self.state().fetch;
        fetch.latency.record_ms(now, latency);
        fetch.throttle_time.record_ms(now, throttle_time);
    }

    /// What one fetch response brought, topic by topic. Once per response, when its records were handed
    /// over; empty ones count, too.
    pub fn record_consumed<'a>(&self, now: Duration, topics: impl IntoIterator<Item = TopicFetch<'a>>) {
        let mut state = self.state();
        let (mut bytes, mut records) = (0.0, 0.0);
        for fetched in topics {
            let sensors = &mut state.topic(fetched.topic, self).sensors;
            sensors.bytes.record(now, fetched.bytes as f64);
            sensors.records.record(now, fetched.records as f64);
            bytes += fetched.bytes as f64;
            records += fetched.records as f64;
        }
        state.fetch.bytes.record(now, bytes);
        state.fetch.records.record(now, records);
    }

    /// The position of a partition is `lag` records behind its end: behind the last stable offset when
    /// reading only committed records, else behind the high watermark.
    pub fn record_lag(&self, now: Duration, topic: &str, partition: i32, lag: i64) {
        let mut state = self.state();
        state.fetch.lag.record(now, lag as f64);
        state.topic(topic, self).partition(partition, self.sampling).sensors.lag.record(now, lag as f64);
    }

    /// The position of a partition is `lead` records after its start.
    pub fn record_lead(&self, now: Duration, topic: &str, partition: i32, lead: i64) {
        let mut state = self.state();
        state.fetch.lead.record(now, lead as f64);
        state.topic(topic, self).partition(partition, self.sampling).sensors.lead.record(now, lead as f64);
    }

    /// The replica that the leader sent us to, or `None` when reading from the leader (KIP-392).
    pub fn set_preferred_read_replica(&self, topic: &str, partition: i32, replica: Option<i32>) {
        let mut state = self.state();
        state.topic(topic, self).partition(partition, self.sampling).preferred_read_replica = replica;
    }

    /// Drops a partition's metrics, because it is no longer assigned; with the last partition of a
    /// topic, the topic's.
    pub fn forget_partition(&self, topic: &str, partition: i32) {
        let topics = &mut self.state().topics;
        if let Some(known) = topics.get_mut(topic) {
            known.partitions.remove(&partition);
            if known.partitions.is_empty() {
                topics.remove(topic);
            }
        }
    }

    /// The application asks for records.
    pub fn record_poll_started(&self, now: Duration) {
        let mut state = self.state();
        let since_last = match state.poll {
            Poll::Never => Duration::ZERO,
            Poll::At { started, .. } => now.saturating_sub(started),
        };
        state.poll = Poll::At { started: now, since_last };
        state.polls.time_between_polls.record_ms(now, since_last);
    }

    /// The application got records, or none. After [`record_poll_started`](Self::record_poll_started).
    pub fn record_poll_ended(&self, now: Duration) {
        let mut state = self.state();
        if let Poll::At { started, since_last } = state.poll {
            let in_poll = now.saturating_sub(started);
            let idle = in_poll.as_secs_f64() / (in_poll + since_last).as_secs_f64();
            // Two polls at one moment: a share of nothing.
            if idle.is_finite() {
                state.polls.poll_idle.record(now, idle);
            }
        }
    }

    /// A caller waited so long for `operation`.
    pub fn record_operation(&self, now: Duration, operation: ConsumerOperation, took: Duration) {
        let polls = &mut self.state().polls;
        let sensor = match operation {
            ConsumerOperation::Committed => &mut polls.committed_time,
            ConsumerOperation::Commit => &mut polls.commit_time,
        };
        sensor.record_ns(now, took);
    }

    /// The latencies of all fetches so far, in microseconds.
    pub fn fetch_latency_us(&self) -> &Histogram {
        &self.fetch_latency_us
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn topic(&mut self, topic: &str, metrics: &ConsumerMetrics) -> &mut Topic {
        if !self.topics.contains_key(topic) {
            let topic: Arc<str> = topic.into();
            let tags = metrics.scope.tags.with("topic", Arc::clone(&topic));
            let scope = Scope { group: FETCH_GROUP, tags };
            let sensors = TopicSensors::new(metrics.sampling);
            self.topics.insert(topic, Topic { scope, sensors, partitions: BTreeMap::new() });
        }
        self.topics.get_mut(topic).expect("was just inserted where it was missing")
    }
}

impl Topic {
    fn partition(&mut self, partition: i32, sampling: Sampling) -> &mut Partition {
        self.partitions.entry(partition).or_insert_with(|| Partition {
            scope: Scope {
                group: FETCH_GROUP,
                tags: self.scope.tags.with("partition", partition.to_string()),
            },
            sensors: PartitionSensors::new(sampling),
            preferred_read_replica: None,
        })
    }
}

impl MetricSource for ConsumerMetrics {
    fn collect(&self, now: Duration, out: &mut Vec<Metric>) {
        let mut state = self.state();
        let last_poll = match state.poll {
            Poll::Never => -1.0,
            Poll::At { started, .. } => now.saturating_sub(started).as_secs() as f64,
        };
        out.push(Metric {
            group: GROUP,
            name: "last-poll-seconds-ago",
            tags: self.scope.tags.clone(),
            value: last_poll,
            description: "whole seconds since the last poll, -1 before the first",
        });
        state.polls.collect(&self.scope, now, out);
        state.fetch.collect(&self.fetch_scope, now, out);
        for topic in state.topics.values_mut() {
            topic.sensors.collect(&topic.scope, now, out);
            for partition in topic.partitions.values_mut() {
                partition.sensors.collect(&partition.scope, now, out);
                out.push(Metric {
                    group: FETCH_GROUP,
                    name: "preferred-read-replica",
                    tags: partition.scope.tags.clone(),
                    value: f64::from(partition.preferred_read_replica.unwrap_or(-1)),
                    description: "the replica read from, -1 when it is the leader",
                });
            }
        }
    }
}
