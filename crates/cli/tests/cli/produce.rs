//! `milena produce`.

use crate::support::{Broker, milena};

#[test]
fn lines_become_values_in_order() {
    let broker = Broker::with_topics(&["orders"]);
    let produced =
        broker.milena_with_input(&["produce", "-t", "orders", "--show-offsets"], b"one\n\ntwo\nlast");
    assert!(produced.stderr.starts_with("4 records acknowledged"), "{}", produced.stderr);
    assert_eq!(produced.success(), "orders-0@0\norders-0@1\norders-0@2\norders-0@3\n");
    assert_eq!(broker.read("orders", "[%k:%s]"), b"[NULL:one][NULL:][NULL:two][NULL:last]");
}

#[test]
fn a_file_is_read_as_standard_input_is() {
    let broker = Broker::with_topics(&["orders"]);
    let file = std::env::temp_dir().join(format!("milena-{}.lines", std::process::id()));
    std::fs::write(&file, "a\nb\n").unwrap();
    broker.milena(&["produce", "-t", "orders", file.to_str().unwrap(), "--quiet"]).success();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(broker.read("orders", "%s,"), b"a,b,");
    let stderr = broker.milena(&["produce", "-t", "orders", file.to_str().unwrap()]).failure(2);
    assert!(stderr.contains("cannot read"), "{stderr}");
}

#[test]
fn keys_nulls_headers_and_partitions_are_as_given() {
    let broker = Broker::with_topics(&["orders:3"]);
    let arguments = [
        "produce",
        "-t",
        "orders",
        "-K",
        r"\t",
        "-Z",
        "NULL",
        "-H",
        "source=test",
        "-H",
        "source=again",
        "-p",
        "2",
        "--timestamp",
        "2025-11-23T10:00:00Z",
    ];
    broker.milena_with_input(&arguments, b"u42\thello\nu43\tNULL\nno key\n").success();
    let read = broker.read("orders", r"%p %T %k %s %h\n");
    let expected = "2 1763892000000 u42 hello source=test,source=again\n\
                    2 1763892000000 u43 NULL source=test,source=again\n\
                    2 1763892000000 NULL no key source=test,source=again\n";
    assert_eq!(String::from_utf8(read).unwrap(), expected);
}

#[test]
fn bytes_of_every_value_pass_unchanged() {
    let broker = Broker::with_topics(&["orders"]);
    let line: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    broker.milena_with_input(&["produce", "-t", "orders"], &line).success();
    assert_eq!(broker.read("orders", "%s"), line);
    let with_ends: Vec<u8> = (1..=255).collect();
    broker.milena_with_input(&["produce", "-t", "orders", "-D", r"\0"], &with_ends).success();
    assert_eq!(broker.read("orders", "%s"), [line, with_ends].concat());
}

#[test]
fn json_lines_bring_all_parts_of_a_record() {
    let broker = Broker::with_topics(&["orders:2"]);
    let lines = r#"{"key": "u42", "value": {"total": 12.50}, "headers": {"a": "1"}, "partition": 1, "timestamp": 7}
{"key_base64": "/w==", "value": null, "headers": [["a", "1"], ["a", null]], "partition": 0}
"#;
    broker.milena_with_input(&["produce", "-t", "orders", "--json"], lines.as_bytes()).success();
    let read =
        broker.milena(&["consume", "-t", "orders", "--from", "beginning", "-e", "-o", "json", "-p", "1"]);
    let expected = r#"{"topic":"orders","partition":1,"offset":0,"timestamp":7,"key":"u42","value":"{\"total\": 12.50}","headers":[["a","1"]]}"#;
    assert_eq!(read.success().trim_end(), expected);
    let read = broker.milena(&[
        "consume",
        "-t",
        "orders",
        "--from",
        "beginning",
        "-e",
        "-p",
        "0",
        "-f",
        "%k %K %s %h",
    ]);
    assert_eq!(read.success_bytes(), b"\xff 1  a=1,a=");
}

#[test]
fn a_topic_copied_as_json_is_the_same_record_by_record() {
    let broker = Broker::with_topics(&["from:3", "to:3"]);
    let lines: String = (0..500).map(|n| format!("user-{}:event {n}\n", n % 17)).collect();
    broker.milena_with_input(&["produce", "-t", "from", "-K", ":", "-H", "h=1"], lines.as_bytes()).success();
    let copied =
        broker.milena(&["consume", "-t", "from", "--from", "beginning", "-e", "-o", "json"]).success();
    broker.milena_with_input(&["produce", "-t", "to", "--json"], copied.as_bytes()).success();
    for partition in ["0", "1", "2"] {
        let read = |topic| {
            let arguments = ["consume", "-t", topic, "-p", partition, "--from", "beginning", "-e"];
            broker.milena(&[&arguments[..], &["-f", r"%o %T %k %s %h\n"]].concat()).success()
        };
        assert_eq!(read("from"), read("to"));
        assert!(!read("from").is_empty());
    }
}

#[test]
fn lines_of_windows_end_as_those_of_unix_unless_the_delimiter_is_told() {
    let broker = Broker::with_topics(&["orders"]);
    broker.milena_with_input(&["produce", "-t", "orders"], b"one\r\ntwo\r\n").success();
    assert_eq!(broker.read("orders", "[%s]"), b"[one][two]");
    broker.milena_with_input(&["produce", "-t", "orders", "-D", r"\n"], b"three\r\n").success();
    assert_eq!(broker.read("orders", "[%s]"), b"[one][two][three\r]");
}

#[test]
fn a_directory_is_no_input() {
    let broker = Broker::with_topics(&["orders"]);
    let directory = std::env::temp_dir();
    let stderr = broker.milena(&["produce", "-t", "orders", directory.to_str().unwrap()]).failure(2);
    assert!(stderr.contains("it is a directory"), "{stderr}");
}

#[test]
fn a_codec_and_a_property_that_contradict_each_other_are_both_named() {
    let broker = Broker::with_topics(&["orders"]);
    let arguments = ["produce", "-t", "orders", "-z", "lz4", "-X", "compression.type=gzip"];
    let stderr = broker.milena_with_input(&arguments, b"x\n").failure(2);
    assert!(stderr.contains("-z/--compression") && stderr.contains("-X compression.type"), "{stderr}");
}

/// A FIFO, whose name is gone with this.
#[cfg(unix)]
struct Fifo(std::path::PathBuf);

#[cfg(unix)]
impl Fifo {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("milena-{}-{name}", std::process::id()));
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        Self(path)
    }
}

#[cfg(unix)]
impl Drop for Fifo {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_while_nobody_writes_to_its_fifo() {
    use nix::sys::signal::Signal;
    let broker = Broker::with_topics(&["orders"]);
    let fifo = Fifo::new("waiting");
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut produce = broker.start_milena(&["produce", "-t", "orders", fifo.0.to_str().unwrap(), "-vv"]);
        while !produce.stderr_line().contains("reading") {}
        produce.signal(signal);
        let stderr = produce.wait().failure(code);
        assert!(stderr.contains("interrupted: 0 records acknowledged"), "{stderr}");
    }
}

#[cfg(unix)]
#[test]
fn a_fifo_is_read_when_somebody_writes_to_it() {
    let broker = Broker::with_topics(&["orders"]);
    let fifo = Fifo::new("written");
    let mut produce =
        broker.start_milena(&["produce", "-t", "orders", fifo.0.to_str().unwrap(), "--show-offsets"]);
    std::fs::write(&fifo.0, "one\ntwo\n").unwrap();
    assert_eq!((produce.line().as_str(), produce.line().as_str()), ("orders-0@0", "orders-0@1"));
    produce.wait().success();
}

#[test]
fn every_codec_is_read_back() {
    let broker = Broker::with_topics(&["orders"]);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let line = format!("{codec} {}\n", "again ".repeat(100));
        broker.milena_with_input(&["produce", "-t", "orders", "-z", codec], line.as_bytes()).success();
        let last = broker.milena(&["consume", "-t", "orders", "--from", "-1", "-e"]).success();
        assert_eq!(last, line);
    }
}

#[test]
fn long_input_is_acknowledged_to_the_last_record() {
    let broker = Broker::with_topics(&["orders:4"]);
    let lines: String = (0..200_000).map(|n| format!("{n}\n")).collect();
    let produced = broker.milena_with_input(&["produce", "-t", "orders", "-z", "lz4"], lines.as_bytes());
    assert!(produced.stderr.starts_with("200000 records acknowledged"), "{}", produced.stderr);
    produced.success();
    let read = broker.milena(&["consume", "-t", "orders", "--from", "beginning", "-e"]).success();
    let mut numbers: Vec<u32> = read.lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..200_000));
}

#[test]
fn a_line_that_is_no_record_stops_and_is_named() {
    let broker = Broker::with_topics(&["orders"]);
    let lines = b"{\"value\": \"a\"}\n{\"valeu\": 1}\n{\"value\": \"b\"}\n";
    let stderr = broker.milena_with_input(&["produce", "-t", "orders", "--json"], lines).failure(1);
    assert!(stderr.contains("stdin:2: column 2: nothing is known of `valeu`"), "{stderr}");
    assert!(stderr.contains("stopped there: 1 record acknowledged"), "{stderr}");
    assert_eq!(broker.read("orders", "%s,"), b"a,");

    let arguments = ["produce", "-t", "orders", "--json", "--keep-going"];
    let stderr = broker.milena_with_input(&arguments, lines).failure(1);
    assert!(stderr.contains("2 records acknowledged") && stderr.contains("1 line not sent"), "{stderr}");
    assert_eq!(broker.read("orders", "%s,"), b"a,a,b,");
}

#[test]
fn a_record_that_is_too_large_names_the_limit() {
    let broker = Broker::with_topics(&["orders"]);
    let stderr = broker.milena_with_input(&["produce", "-t", "orders"], &vec![b'x'; 2 << 20]).failure(1);
    assert!(stderr.contains("stdin:1") && stderr.contains("max.request.size"), "{stderr}");
}

#[test]
fn a_refusal_by_the_broker_is_told_by_line() {
    let broker = Broker::with_topics(&["orders:1:1,max.message.bytes=1000"]);
    let lines = format!("short\n{}\n", "x".repeat(5_000));
    let stderr = broker
        .milena_with_input(&["produce", "-t", "orders", "-X", "linger.ms=0"], lines.as_bytes())
        .failure(1);
    assert!(stderr.contains("stdin:2: orders-0: "), "{stderr}");
    assert!(stderr.contains("1 of 2 records acknowledged") && stderr.contains("1 failed"), "{stderr}");
}

#[test]
fn a_partition_that_does_not_exist_is_named() {
    let broker = Broker::with_topics(&["orders:2"]);
    let stderr = broker.milena_with_input(&["produce", "-t", "orders", "-p", "7"], b"x\n").failure(1);
    assert!(stderr.contains("0 to 1, not 7"), "{stderr}");
}

#[test]
fn help_needs_no_cluster() {
    assert!(milena(&["produce", "--help"]).success().contains("--key-separator"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_what_was_acknowledged() {
    let broker = Broker::with_topics(&["orders"]);
    let mut produce = broker.start_milena(&["produce", "-t", "orders", "--show-offsets"]);
    produce.write(b"one\ntwo\n");
    // Interactive input is sent at once, though its end is not in sight.
    assert_eq!((produce.line().as_str(), produce.line().as_str()), ("orders-0@0", "orders-0@1"));
    produce.signal(nix::sys::signal::Signal::SIGINT);
    let stderr = produce.wait().failure(130);
    assert!(stderr.contains("interrupted: 2 records acknowledged"), "{stderr}");
}

#[test]
fn a_topic_that_is_neither_there_nor_created_is_an_error_within_max_block_ms() {
    let broker = Broker::start(&["-c", "auto.create.topics.enable=false"]);
    let arguments = ["produce", "-t", "nothing", "-X", "max.block.ms=300"];
    let stderr = broker.milena_with_input(&arguments, b"x\n").failure(1);
    assert!(stderr.contains("nothing") && stderr.contains("does not exist"), "{stderr}");
}

#[test]
fn what_a_line_brings_wins_over_what_is_given_for_all() {
    let broker = Broker::with_topics(&["orders:2"]);
    let arguments =
        ["produce", "-t", "orders", "--json", "-k", "all", "-p", "0", "--timestamp", "1", "-H", "h=all"];
    let lines = r#"{"value": "a"}
{"value": "b", "key": "own", "partition": 1, "timestamp": 2, "headers": {"h": "own"}}
"#;
    broker.milena_with_input(&arguments, lines.as_bytes()).success();
    let read = |partition| {
        let arguments = ["consume", "-t", "orders", "-p", partition, "--from", "beginning", "-e"];
        broker.milena(&[&arguments[..], &["-f", "%s %k %T %h"]].concat()).success()
    };
    assert_eq!((read("0").as_str(), read("1").as_str()), ("a all 1 h=all", "b own 2 h=all,h=own"));
}
