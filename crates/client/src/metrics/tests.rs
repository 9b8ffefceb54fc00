//! The arithmetic against Java's, the names against Java's, and what each call shows up as.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::sensor::{Sensor, Stat};
use super::*;

const PRODUCER: &str = "producer-metrics";
const FETCH: &str = "consumer-fetch-manager-metrics";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn lines(golden: &str) -> impl Iterator<Item = Vec<&str>> {
    golden.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').collect())
}

fn same(ours: f64, javas: f64) -> bool {
    (ours.is_nan() && javas.is_nan()) || (ours - javas).abs() <= javas.abs() * 1e-12
}

#[test]
fn statistics_are_those_of_java() {
    use Stat::{Avg, EventRate, EventTotal, Last, Max, Min, Rate, Ratio, Total};
    let stats = [Avg, Max, Min, Rate, EventRate, Ratio, Total, EventTotal, Last];
    let mut sensor = Sensor::new(&[], Sampling::default());
    for words in lines(include_str!("golden/windowed.txt")) {
        let at = ms(words[1].parse().unwrap());
        match words[0] {
            "new" => {
                sensor = Sensor::new(&[], Sampling { window: at, samples: words[2].parse().unwrap() });
            }
            "record" => sensor.record(at, words[2].parse().unwrap()),
            "measure" => {
                for (stat, javas) in stats.into_iter().zip(&words[2..]) {
                    let ours = sensor.value(stat, at);
                    assert!(same(ours, javas.parse().unwrap()), "{stat:?} is {ours} in {}", words.join(" "));
                }
            }
            other => panic!("unknown step {other}"),
        }
    }
}

#[test]
fn a_young_sensor_shows_no_absurd_rate() {
    let mut sensor = Sensor::new(&[], Sampling::default());
    sensor.record(ms(0), 600.0);
    assert_eq!(sensor.value(Stat::Rate, ms(0)), 20.0, "as if one full sample of 30 s had passed");
    assert_eq!(sensor.value(Stat::Rate, ms(30_000)), 20.0);
    assert_eq!(sensor.value(Stat::Rate, ms(59_999)), 600.0 / 59.999);
    assert_eq!(sensor.value(Stat::Rate, ms(60_000)), 0.0, "out of the window");
    assert_eq!(sensor.value(Stat::Total, ms(60_000)), 600.0);
}

#[test]
fn a_clock_reading_from_before_the_last_event_does_no_harm() {
    let mut sensor = Sensor::new(&[], Sampling::default());
    sensor.record(ms(1000), 1.0);
    sensor.record(ms(999), 3.0);
    assert_eq!(sensor.value(Stat::Avg, ms(998)), 2.0);
    assert_eq!(sensor.value(Stat::Rate, ms(0)), 4.0 / 30.0);
}

#[test]
fn a_sampling_of_nothing_is_taken_as_the_least() {
    let mut sensor = Sensor::new(&[], Sampling { window: Duration::ZERO, samples: 0 });
    sensor.record(ms(0), 5.0);
    assert_eq!(sensor.value(Stat::Max, ms(0)), 5.0);
    assert!(sensor.value(Stat::Max, ms(1)).is_nan());
}

/// Everything that all three kinds of client show, with a topic, a partition and a broker in it.
fn populated() -> (Metrics, [Arc<dyn MetricSource>; 5]) {
    let metrics = Metrics::default();
    let producer = ProducerMetrics::new(&metrics, "app", 1024);
    producer.record_errors(ms(0), "orders", 1);
    let consumer = ConsumerMetrics::new(&metrics, "app");
    consumer.record_lag(ms(0), "orders", 3, 1);
    let connections = [ClientKind::Producer, ClientKind::Consumer, ClientKind::Admin].map(|kind| {
        let connections = ConnectionMetrics::new(&metrics, kind, "app");
        connections.record_request_sent(ms(0), Some(1), 1);
        connections
    });
    let [a, b, c] = connections;
    (metrics, [producer, consumer, a, b, c])
}

/// What Java has and we do not: its I/O thread, the process, and what comes with consumer groups.
fn is_javas_alone(group: &str, name: &str) -> bool {
    let of_the_io_thread = ["io-ratio", "io-time", "io-wait", "select-"];
    matches!(group, "app-info" | "kafka-metrics-count" | "consumer-coordinator-metrics")
        || of_the_io_thread.iter().any(|prefix| name.starts_with(prefix))
        || name == "successful-authentication-no-reauth-total"
}

#[test]
fn groups_names_and_tags_are_those_of_java() {
    let (metrics, _sources) = populated();
    let ours: BTreeSet<String> = metrics
        .snapshot(ms(0))
        .iter()
        .map(|metric| {
            let mut tags: Vec<&str> = metric.tags.iter().map(|(tag, _)| tag).collect();
            tags.sort_unstable();
            format!("{} {} {}", metric.group, metric.name, tags.join(","))
        })
        // Java shows these only once a broker answers; their names are those of the producer's.
        .filter(|line| !line.starts_with("consumer-node-") && !line.starts_with("admin-client-node-"))
        .collect();
    let javas: BTreeSet<String> = lines(include_str!("golden/names.txt"))
        .filter(|words| !is_javas_alone(words[0], words[1]))
        .map(|words| words.join(" "))
        .collect();
    assert_eq!(ours.difference(&javas).collect::<Vec<_>>(), [""; 0], "ours alone");
    assert_eq!(javas.difference(&ours).collect::<Vec<_>>(), [""; 0], "Java's alone");
}

#[test]
fn every_metric_is_described() {
    let (metrics, _sources) = populated();
    for metric in &metrics.snapshot(ms(0)) {
        assert!(!metric.description.is_empty(), "{}", metric.name);
        assert_eq!(metric.tags.get("client-id"), Some("app"));
    }
}

#[test]
fn a_produce_request_shows_by_client_and_by_topic() {
    let metrics = Metrics::default();
    let producer = ProducerMetrics::new(&metrics, "app", 1000);
    let batch = |topic, records, bytes, queued| SentBatch {
        topic,
        records,
        bytes,
        uncompressed_bytes: 400,
        record_bytes_max: bytes / 2,
        queue_time: ms(queued),
    };
    producer.record_request_sent(ms(0), [batch("orders", 30, 100, 5), batch("clicks", 60, 300, 1)]);
    producer.record_request_sent(ms(0), [batch("orders", 30, 200, 0)]);
    producer.record_request_completed(ms(20), Some(ms(20)));
    producer.record_retries(ms(20), "orders", 30);
    producer.record_errors(ms(20), "orders", 12);
    producer.record_throttle(ms(20), ms(40));
    producer.record_batch_split(ms(20));

    let snapshot = metrics.snapshot(ms(30_000));
    let client = |name| snapshot.value(PRODUCER, name, &[]).unwrap();
    assert_eq!(client("record-send-total"), 120.0);
    assert_eq!(client("record-send-rate"), 4.0);
    assert_eq!(client("records-per-request-avg"), 60.0);
    assert_eq!(client("batch-size-avg"), 200.0);
    assert_eq!(client("batch-size-max"), 300.0);
    assert_eq!(client("compression-rate-avg"), 0.5);
    assert_eq!(client("record-size-max"), 150.0);
    assert_eq!(client("record-queue-time-avg"), 2.0);
    assert_eq!(client("record-queue-time-max"), 5.0);
    assert_eq!(client("request-latency-avg"), 20.0);
    assert_eq!(client("requests-in-flight"), 1.0);
    assert_eq!(client("record-retry-total"), 30.0);
    assert_eq!(client("record-error-total"), 12.0);
    assert_eq!(client("produce-throttle-time-max"), 40.0);
    assert_eq!(client("batch-split-total"), 1.0);

    let orders = |name| snapshot.value("producer-topic-metrics", name, &[("topic", "orders")]);
    assert_eq!(orders("record-send-total"), Some(60.0));
    assert_eq!(orders("byte-total"), Some(300.0));
    assert_eq!(orders("byte-rate"), Some(10.0));
    assert_eq!(orders("compression-rate"), Some(0.375));
    assert_eq!(orders("record-retry-total"), Some(30.0));
    assert_eq!(orders("record-error-total"), Some(12.0));
    assert_eq!(producer.request_latency_us().snapshot().max(), 20_000);

    producer.forget_topic("orders");
    let snapshot = metrics.snapshot(ms(30_000));
    assert_eq!(snapshot.value("producer-topic-metrics", "byte-total", &[("topic", "orders")]), None);
    assert_eq!(snapshot.value("producer-topic-metrics", "byte-total", &[("topic", "clicks")]), Some(300.0));
}

#[test]
fn the_producers_buffer_and_waits_show() {
    let metrics = Metrics::default();
    let producer = ProducerMetrics::new(&metrics, "app", 1000);
    producer.set_buffer_available(400);
    producer.add_waiting_sends(3);
    producer.add_waiting_sends(-1);
    producer.record_buffer_wait(ms(0), ms(3000));
    producer.record_buffer_exhausted(ms(0));
    producer.record_operation(ms(0), ProducerOperation::Flush, ms(2));
    producer.record_operation(ms(0), ProducerOperation::Flush, ms(3));
    producer.record_operation(ms(0), ProducerOperation::TxnCommit, ms(1));

    let snapshot = metrics.snapshot(ms(0));
    let value = |name| snapshot.value(PRODUCER, name, &[]).unwrap();
    assert_eq!(value("buffer-total-bytes"), 1000.0);
    assert_eq!(value("buffer-available-bytes"), 400.0);
    assert_eq!(value("waiting-threads"), 2.0);
    assert_eq!(value("bufferpool-wait-ratio"), 0.1);
    assert_eq!(value("bufferpool-wait-time-ns-total"), 3e9);
    assert_eq!(value("buffer-exhausted-total"), 1.0);
    assert_eq!(value("flush-time-ns-total"), 5e6);
    assert_eq!(value("txn-commit-time-ns-total"), 1e6);
    assert_eq!(value("txn-abort-time-ns-total"), 0.0);
    assert!(value("metadata-age").is_nan());

    producer.record_metadata_refreshed(ms(1000));
    assert_eq!(metrics.snapshot(ms(3500)).value(PRODUCER, "metadata-age", &[]), Some(2.5));
}

#[test]
fn fetches_show_by_client_and_by_topic() {
    let metrics = Metrics::default();
    let consumer = ConsumerMetrics::new(&metrics, "app");
    consumer.record_fetch(ms(0), ms(500), ms(0));
    consumer.record_fetch(ms(0), ms(100), ms(30));
    let orders = TopicFetch { topic: "orders", records: 60, bytes: 600 };
    let clicks = TopicFetch { topic: "clicks", records: 0, bytes: 0 };
    consumer.record_consumed(ms(0), [orders, clicks]);
    consumer.record_consumed(ms(0), []);

    let snapshot = metrics.snapshot(ms(30_000));
    let client = |name| snapshot.value(FETCH, name, &[]).unwrap();
    assert_eq!(client("fetch-total"), 2.0);
    assert_eq!(client("fetch-latency-avg"), 300.0);
    assert_eq!(client("fetch-latency-max"), 500.0);
    assert_eq!(client("fetch-throttle-time-avg"), 15.0);
    assert_eq!(client("fetch-size-avg"), 300.0);
    assert_eq!(client("records-per-request-avg"), 30.0);
    assert_eq!(client("records-consumed-rate"), 2.0);
    assert_eq!(client("bytes-consumed-total"), 600.0);
    let orders = |name| snapshot.value(FETCH, name, &[("topic", "orders")]);
    assert_eq!(orders("records-consumed-total"), Some(60.0));
    assert_eq!(orders("fetch-size-max"), Some(600.0));
    assert_eq!(consumer.fetch_latency_us().snapshot().count(), 2);
}

#[test]
fn lag_and_lead_show_by_partition_until_it_is_forgotten() {
    let metrics = Metrics::default();
    let consumer = ConsumerMetrics::new(&metrics, "app");
    for (partition, lag) in [(0, 10), (0, 4), (1, 100)] {
        consumer.record_lag(ms(0), "orders", partition, lag);
        consumer.record_lead(ms(0), "orders", partition, 1000 - lag);
    }
    consumer.set_preferred_read_replica("orders", 1, Some(7));

    let snapshot = metrics.snapshot(ms(0));
    assert_eq!(snapshot.value(FETCH, "records-lag-max", &[]), Some(100.0));
    assert_eq!(snapshot.value(FETCH, "records-lead-min", &[]), Some(900.0));
    let partition = |name, partition| {
        snapshot.value(FETCH, name, &[("partition", partition), ("topic", "orders")]).unwrap()
    };
    assert_eq!(partition("records-lag", "0"), 4.0);
    assert_eq!(partition("records-lag-avg", "0"), 7.0);
    assert_eq!(partition("records-lag-max", "0"), 10.0);
    assert_eq!(partition("records-lead", "0"), 996.0);
    assert_eq!(partition("records-lead-min", "0"), 990.0);
    assert_eq!(partition("preferred-read-replica", "0"), -1.0);
    assert_eq!(partition("preferred-read-replica", "1"), 7.0);

    consumer.forget_partition("orders", 0);
    let tags = |partition| [("topic", "orders"), ("partition", partition)];
    let snapshot = metrics.snapshot(ms(0));
    assert_eq!(snapshot.value(FETCH, "records-lag", &tags("0")), None);
    assert_eq!(snapshot.value(FETCH, "records-lag", &tags("1")), Some(100.0));
    consumer.forget_partition("orders", 1);
    let snapshot = metrics.snapshot(ms(0));
    assert!(snapshot.iter().all(|metric| metric.tags.get("topic").is_none()));
}

#[test]
fn polls_show_how_busy_the_application_is() {
    let metrics = Metrics::default();
    let consumer = ConsumerMetrics::new(&metrics, "app");
    let value = |now, name| metrics.snapshot(now).value("consumer-metrics", name, &[]).unwrap();
    assert_eq!(value(ms(5000), "last-poll-seconds-ago"), -1.0);

    consumer.record_poll_started(ms(1000));
    consumer.record_poll_ended(ms(1000));
    consumer.record_poll_started(ms(1300));
    consumer.record_poll_ended(ms(1400));
    assert_eq!(value(ms(4000), "last-poll-seconds-ago"), 2.0);
    assert_eq!(value(ms(4000), "time-between-poll-max"), 300.0);
    assert_eq!(value(ms(4000), "poll-idle-ratio-avg"), 0.25);

    consumer.record_operation(ms(4000), ConsumerOperation::Commit, ms(1));
    consumer.record_operation(ms(4000), ConsumerOperation::Committed, ms(2));
    assert_eq!(value(ms(4000), "commit-sync-time-ns-total"), 1e6);
    assert_eq!(value(ms(4000), "committed-time-ns-total"), 2e6);
}

#[test]
fn connections_show_by_client_and_by_broker() {
    let metrics = Metrics::default();
    let connections = ConnectionMetrics::new(&metrics, ClientKind::Admin, "app");
    connections.record_connection_created(ms(0));
    connections.record_connection_created(ms(0));
    connections.record_connection_closed(ms(0));
    connections.record_authentication(ms(0), true);
    connections.record_authentication(ms(0), false);
    connections.record_reauthentication(ms(0), ms(8), true);
    connections.record_request_sent(ms(0), None, 40);
    connections.record_request_sent(ms(0), Some(2), 20);
    connections.record_response_received(ms(0), Some(2), 300, ms(6));

    let snapshot = metrics.snapshot(ms(0));
    let value = |name| snapshot.value("admin-client-metrics", name, &[]).unwrap();
    assert_eq!(value("connection-count"), 1.0);
    assert_eq!(value("connection-creation-total"), 2.0);
    assert_eq!(value("connection-close-total"), 1.0);
    assert_eq!(value("successful-authentication-total"), 1.0);
    assert_eq!(value("failed-authentication-total"), 1.0);
    assert_eq!(value("reauthentication-latency-max"), 8.0);
    assert_eq!(value("request-total"), 2.0);
    assert_eq!(value("request-size-max"), 40.0);
    assert_eq!(value("outgoing-byte-total"), 60.0);
    assert_eq!(value("response-total"), 1.0);
    assert_eq!(value("incoming-byte-rate"), 10.0);
    assert_eq!(value("network-io-total"), 3.0);

    let node = [("node-id", "node-2")];
    let value = |name| snapshot.value("admin-client-node-metrics", name, &node).unwrap();
    assert_eq!(value("request-total"), 1.0);
    assert_eq!(value("outgoing-byte-total"), 20.0);
    assert_eq!(value("request-latency-avg"), 6.0);
    connections.forget_node(2);
    let snapshot = metrics.snapshot(ms(0));
    assert_eq!(snapshot.value("admin-client-node-metrics", "request-total", &node), None);
}

#[test]
fn a_snapshot_is_sorted_and_forgets_what_was_dropped() {
    let (metrics, sources) = populated();
    let snapshot = metrics.snapshot(ms(0));
    let order = |metric: &Metric| (metric.group, metric.name, metric.tags.clone());
    assert!(snapshot.iter().count() > 100);
    assert!(snapshot.iter().map(order).is_sorted());

    drop(sources);
    assert_eq!(metrics.snapshot(ms(0)).iter().count(), 0);
}

#[test]
fn tags_print_as_kafka_prints_them() {
    let tags = Tags::new([("client-id", "app".into()), ("topic", "orders".into())]);
    assert_eq!(tags.to_string(), "{client-id=app, topic=orders}");
}
