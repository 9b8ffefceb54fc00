//! `milena stress`.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::support::{Broker, http};

/// Where a test's history goes; removed with this.
struct HistoryFile(PathBuf);

impl HistoryFile {
    fn new(name: &str) -> Self {
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.jsonl", std::process::id())))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("the target directory has a UTF-8 name")
    }
}

impl Drop for HistoryFile {
    fn drop(&mut self) {
        // It may never have been made.
        drop(fs::remove_file(&self.0));
    }
}

#[test]
fn a_healthy_cluster_passes_and_the_history_tells_everything() {
    let broker = Broker::start(&["-n", "3"]);
    let file = HistoryFile::new("passes");
    let arguments = ["stress", "--seconds", "2", "--history", file.path(), "--seed", "7"];
    let said = broker.milena(&arguments).success();
    assert!(said.contains("seed=7") && said.contains("failed=0 violations=0"), "{said}");
    let history = fs::read_to_string(&file.0).unwrap();
    let events: Vec<serde_json::Value> =
        history.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let count = |kind: &str| events.iter().filter(|event| event["ev"] == kind).count();
    assert_eq!(events[0]["ev"], "meta");
    assert!(count("send") > 1_000, "{}", count("send"));
    assert_eq!(count("ack"), count("send"));
    let is_final = |event: &&serde_json::Value| event["ev"] == "poll" && event["c"] == "final";
    assert_eq!(events.iter().filter(is_final).count(), count("send"));
    assert!(events.windows(2).all(|pair| pair[0]["t"].as_f64() <= pair[1]["t"].as_f64()));
}

#[test]
fn what_others_wrote_is_refused() {
    let broker = Broker::with_topics(&["used:1"]);
    broker.milena_with_input(&["produce", "-t", "used"], b"line\n").success();
    let file = HistoryFile::new("refused");
    let arguments = ["stress", "--seconds", "1", "--history", file.path(), "--topic", "used"];
    let stderr = broker.milena(&arguments).failure(2);
    assert!(stderr.contains("used") && stderr.contains("--topic"), "{stderr}");
}

#[test]
fn records_that_were_lost_are_an_error() {
    let mut broker = Broker::start(&["--control", "0"]);
    let line = broker.process.line();
    let control = line.strip_prefix("control=http://").unwrap().to_owned();
    let file = HistoryFile::new("lost");
    let arguments = ["stress", "-s", "3", "--history", file.path(), "--topic", "lost", "--consumers", "0"];
    let running = broker.start_milena(&arguments);
    // As soon as something is in a partition, its first record goes.
    for partition in 0..6 {
        let path = format!("/v1/topics/lost/partitions/{partition}/delete-records");
        while !http(&control, "POST", &path, r#"{"offset": 1}"#).contains(" 204 ") {
            thread::sleep(Duration::from_millis(20));
        }
    }
    let ended = running.wait();
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("LostWrite"), "{}", ended.stderr);
}
