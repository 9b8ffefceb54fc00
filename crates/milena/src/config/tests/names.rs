//! What names are known, and what is said of others.

use super::*;

#[test]
fn librdkafkas_names_and_units_are_understood() {
    let client = resolved([
        ("metadata.broker.list", "a:1, b:2"),
        ("queue.buffering.max.ms", "0.5"),
        ("queue.buffering.max.kbytes", "2048"),
        ("message.timeout.ms", "0"),
        ("request.required.acks", "-1"),
        ("compression.codec", "zstd"),
        ("compression.level", "7"),
        ("partitioner", "consistent_random"),
        ("socket.send.buffer.bytes", "0"),
        ("auto.offset.reset", "smallest"),
        ("fetch.wait.max.ms", "100"),
        ("fetch.message.max.bytes", "4096"),
        ("queued.max.messages.kbytes", "64"),
        ("enable.partition.eof", "false"),
        ("client.rack", "eu-1a"),
    ]);
    let producer = client.producer().unwrap();
    assert_eq!(producer.common.bootstrap_servers.len(), 2);
    assert_eq!(producer.linger, Duration::from_micros(500));
    assert_eq!(producer.buffer_memory, 2 << 20);
    assert_eq!(producer.delivery_timeout, Duration::from_millis(i32::MAX as u64));
    assert_eq!(producer.compression, Codec::with_level(Compression::Zstd, 7).unwrap());
    assert!(matches!(producer.partitioning, Partitioning::Key { hash: KeyHash::Crc32, .. }));
    assert_eq!(producer.common.send_buffer_bytes, None);
    let consumer = client.consumer().unwrap();
    assert_eq!(consumer.auto_offset_reset, OffsetReset::Earliest);
    assert_eq!(consumer.fetch_max_wait, Duration::from_millis(100));
    assert_eq!(consumer.max_partition_fetch_bytes, 4096);
    assert_eq!(consumer.prefetch_bytes, Some(64 * 1024));
    assert_eq!(consumer.common.client_rack.as_deref(), Some("eu-1a"));
    assert!(client.is_set("linger.ms") && client.is_set("queue.buffering.max.ms"));
}

#[test]
fn an_unknown_name_is_an_error_that_names_the_nearest() {
    assert_eq!(refused([("lingr.ms", "5")]), "code: unknown property `lingr.ms`; did you mean `linger.ms`?");
    assert_eq!(
        refused([("completely.different.words", "5")]),
        "code: unknown property `completely.different.words`"
    );
    assert_eq!(refused([("", "5")]), "code: unknown property ``");
}

#[test]
fn one_property_under_two_names_must_have_one_value() {
    let both = |second| [("bootstrap.servers", "a:1"), ("metadata.broker.list", second)];
    assert_eq!(
        refused(both("b:1")),
        "`bootstrap.servers` (code) and `metadata.broker.list` (code) are one property, but have different values; \
         keep one of them"
    );
    assert!(properties(both("a:1")).resolve().is_ok());
    let same = [("buffer.memory", "1048576"), ("queue.buffering.max.kbytes", "1024")];
    assert!(properties(same).resolve().is_ok(), "the same number of bytes");
}

#[test]
fn javas_classes_are_warnings_where_nothing_is_lost_and_errors_where_something_is() {
    let client = resolved([
        ("key.serializer", "org.apache.kafka.common.serialization.StringSerializer"),
        ("metric.reporters", ""),
        ("metrics.context.app", "x"),
        ("statistics.interval.ms", "1000"),
    ]);
    assert_eq!(
        warned(client.warnings()),
        [
            "`key.serializer` names a Java class: the formats of keys and values are chosen in code, by type",
            "`metric.reporters` names Java classes: read `metrics()`, or give an observer in code",
            "`metrics.context.app` has no effect: metrics have no context beside their tags",
            "`statistics.interval.ms` has no effect: read `metrics()` whenever you like",
        ]
    );
    assert_eq!(
        refused([("interceptor.classes", "com.example.Audit")]),
        "code: `interceptor.classes` is not supported: it names Java classes; add interceptors in code"
    );
    assert!(refused([("config.providers.file.class", "x")]).contains("put them into the file"));
    assert!(
        refused([("enable.partition.eof", "true")]).contains("compare the position with the end offsets")
    );
    assert!(refused([("dr_msg_cb", "x")]).contains("give it in code"));
}
