//! `milena bench`.

use serde_json::Value;

use crate::support::{Broker, Ended, milena};

const FIELDS: [&str; 11] = [
    "client",
    "op",
    "records",
    "size",
    "compression",
    "wall_s",
    "rps",
    "mbps",
    "cpu_user_s",
    "cpu_sys_s",
    "cpu_us_per_record",
];
const LATENCIES: [&str; 5] = ["p50_us", "p90_us", "p99_us", "p999_us", "max_us"];

/// The one line of JSON, with all fields that every operation has.
fn report(ended: Ended) -> Value {
    let stdout = ended.success();
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    for field in FIELDS {
        assert!(!report[field].is_null(), "{field} is missing in {stdout}");
    }
    report
}

#[test]
fn every_operation_runs_on_an_embedded_broker() {
    for (operation, latencies, first_ack) in [
        ("produce", false, false),
        ("consume", false, false),
        ("latency", true, true),
        ("e2e", true, false),
        ("first", false, true),
    ] {
        let arguments =
            ["bench", operation, "--records", "200", "--warmup", "20", "--rate", "2000", "--headers"];
        let arguments = if operation == "first" { &arguments[..2] } else { &arguments[..] };
        let report = report(milena(&[arguments, &["-z", "lz4", "-q"]].concat()));
        assert_eq!((report["client"].as_str(), report["op"].as_str()), (Some("milena"), Some(operation)));
        assert_eq!(report["compression"], "lz4");
        let records = report["records"].as_u64().unwrap();
        // Whole batches are read.
        assert!(if operation == "first" { records == 1 } else { (180..=220).contains(&records) }, "{report}");
        assert_eq!(LATENCIES.iter().all(|field| report[field].is_f64()), latencies, "{report}");
        assert_eq!(report["first_ack_ms"].is_f64(), first_ack, "{report}");
    }
}

#[test]
fn what_produce_writes_consume_reads_on_a_given_broker() {
    let broker = Broker::start(&[]);
    let produced = report(broker.milena(&[
        "bench",
        "produce",
        "--records",
        "3000",
        "--size",
        "50",
        "--partitions",
        "3",
    ]));
    assert_eq!(produced["records"], 3000);
    assert_eq!(broker.milena(&["topic", "list"]).success(), "bench  3 partitions\n");
    let consumed = report(broker.milena(&["bench", "consume", "--records", "3000"]));
    assert_eq!(consumed["records"], 3000);
    let stderr = broker.milena(&["bench", "consume", "--records", "3001"]).failure(1);
    assert!(stderr.contains("3000 records, not 3001"), "{stderr}");
}

#[test]
fn a_record_above_the_limit_is_refused_before_the_run() {
    let stderr = milena(&["bench", "e2e", "--size", "1100000"]).failure(2);
    assert!(stderr.contains("--size 1100000") && stderr.contains("max.request.size"), "{stderr}");
    assert!(!stderr.contains("embedded"), "nothing was started: {stderr}");
}

#[test]
fn e2e_ends_when_a_record_cannot_be_written() {
    let broker = Broker::with_topics(&["bench:1,max.message.bytes=300"]);
    let bench = broker.start_milena(&["bench", "e2e", "--records", "50", "--warmup", "0", "--size", "1000"]);
    let stderr = bench.wait().failure(1);
    assert!(stderr.contains("max.message.bytes"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_brings_what_was_sent_to_its_end() {
    use nix::sys::signal::Signal;
    let broker = Broker::with_topics(&["bench"]);
    for (operation, signal, code) in [("produce", Signal::SIGINT, 130), ("e2e", Signal::SIGTERM, 143)] {
        let first = broker.start_milena(&["consume", "-t", "bench", "-n", "1"]);
        let bench = broker.start_milena(&["bench", operation, "--records", "10000000"]);
        first.wait().success();
        bench.signal(signal);
        let stderr = bench.wait().failure(code);
        assert!(stderr.contains("interrupted; what was sent was brought to its end"), "{stderr}");
    }
}

mod real_kafka_java {
    use milena::partitioner::KeyHash;
    use milena_bench_events::{COUNT, Event, pool};
    use milena_testcontainers::{Java, KafkaCluster, KafkaVersion};

    use super::milena;

    const RECORDS: usize = 30_000;
    const WARMUP: usize = 500;
    const PARTITIONS: i32 = 6;

    /// What is fast is also right: Java finds each record in its partition, in order, with every byte.
    #[tokio::test]
    async fn java_reads_back_what_produce_wrote() {
        let cluster = KafkaCluster::builder().version(KafkaVersion::LATEST).start().await.unwrap();
        let java = Java::of(KafkaVersion::LATEST);
        let reader = java.compile("ReadBack", include_str!("ReadBack.java")).await.unwrap();
        let events = pool(100, true);
        for (codec, with_headers) in
            [("none", false), ("lz4", false), ("lz4", true), ("gzip", true), ("snappy", true), ("zstd", true)]
        {
            let topic = format!("read-back-{codec}-{with_headers}");
            let (records, warmup) = (RECORDS.to_string(), WARMUP.to_string());
            let mut arguments = vec!["bench", "produce", "-b", cluster.bootstrap(), "--topic", &topic];
            arguments.extend(["--records", &records, "--warmup", &warmup, "-z", codec]);
            arguments.extend(with_headers.then_some("--headers"));
            milena(&arguments).success();

            let read = reader.command().arg(cluster.bootstrap()).arg(&topic).run().await.unwrap();
            assert_eq!(read.text(), expected(&events, with_headers), "{topic}");
        }
        cluster.stop().await;
    }

    /// For each partition its number, how many records it has, and their hash: as `ReadBack.java` prints it.
    fn expected(events: &[Event], with_headers: bool) -> String {
        let mut partitions = [(0, 0xcbf2_9ce4_8422_2325); PARTITIONS as usize];
        for number in 0..WARMUP + RECORDS {
            let event = &events[number % COUNT];
            let partition = KeyHash::Murmur2.partition(event.key.as_bytes(), PARTITIONS);
            let (count, hash) = &mut partitions[partition as usize];
            *count += 1;
            *hash = add(add(*hash, &event.key), &event.value);
            for (name, value) in event.headers.iter().filter(|_| with_headers) {
                *hash = add(add(*hash, name), value);
            }
        }
        let lines = partitions.iter().enumerate();
        lines.map(|(index, (count, hash))| format!("{index} {count} {hash:x}\n")).collect()
    }

    /// FNV-1a of the bytes and of one that no text has, so that it counts where a field ends.
    fn add(hash: u64, text: &str) -> u64 {
        text.bytes()
            .chain([0xff])
            .fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }
}
