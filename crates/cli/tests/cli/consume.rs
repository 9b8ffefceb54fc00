//! `milena consume`.

use crate::support::Broker;

/// A broker with a topic of one partition that holds the numbers from 0 to 99, written at 1,000 ms, 1,001 ms and so on.
fn hundred() -> Broker {
    let broker = Broker::with_topics(&["numbers"]);
    let lines: String =
        (0..100).map(|n| format!("{{\"value\":{n},\"timestamp\":{}}}\n", 1_000 + n)).collect();
    broker.milena_with_input(&["produce", "-t", "numbers", "--json"], lines.as_bytes()).success();
    broker
}

impl Broker {
    fn numbers(&self, arguments: &[&str]) -> Vec<u32> {
        let read = self.milena(&[&["consume", "-t", "numbers"], arguments].concat()).success();
        read.lines().map(|line| line.parse().unwrap()).collect()
    }
}

#[test]
fn reading_begins_where_it_is_told_to() {
    let broker = hundred();
    let all: Vec<u32> = (0..100).collect();
    assert_eq!(broker.numbers(&["-e", "--from", "beginning"]), all);
    assert_eq!(broker.numbers(&["-e", "--from", "42"]), all[42..]);
    assert_eq!(broker.numbers(&["-e", "--from", "-10"]), all[90..]);
    assert_eq!(broker.numbers(&["-e", "--from", "-1000"]), all);
    assert_eq!(broker.numbers(&["-e", "--from", "@1030"]), all[30..]);
    assert_eq!(broker.numbers(&["-e", "--from", "1970-01-01T00:00:01.050Z"]), all[50..]);
    assert_eq!(broker.numbers(&["-e", "--from", "end"]), [0; 0]);
    assert_eq!(broker.numbers(&["-e", "--from", "2030-01-01"]), [0; 0]);
    assert_eq!(broker.numbers(&["--from", "7", "-n", "3"]), [7, 8, 9]);
}

#[test]
fn an_offset_that_is_not_there_is_an_error_that_says_what_is_there() {
    let broker = hundred();
    for end in [&["-n", "1"][..], &["-e"]] {
        let arguments = [&["consume", "-t", "numbers", "--from", "500"], end].concat();
        let stderr = broker.milena(&arguments).failure(1);
        assert!(stderr.contains("--from 500") && stderr.contains("numbers-0 has 0 to 99"), "{stderr}");
    }
    assert_eq!(broker.numbers(&["-e", "--from", "100"]), [0; 0], "the end is there");
    let from_500 = ["-e", "--from", "500", "-X", "auto.offset.reset=earliest"];
    assert_eq!(broker.numbers(&from_500).len(), 100);
}

#[test]
fn the_reset_property_says_where_to_begin_and_does_not_contradict_from() {
    let broker = hundred();
    assert_eq!(broker.numbers(&["-e", "-X", "auto.offset.reset=earliest"]).len(), 100);
    assert_eq!(broker.numbers(&["-e", "-X", "auto.offset.reset=latest"]), [0; 0]);
    let arguments = ["consume", "-t", "numbers", "--from", "beginning", "-X", "auto.offset.reset=latest"];
    let stderr = broker.milena(&arguments).failure(2);
    assert!(stderr.contains("--from beginning") && stderr.contains("auto.offset.reset"), "{stderr}");
}

#[test]
fn without_an_end_it_follows_what_is_written() {
    let broker = hundred();
    let mut consume = broker.start_milena(&["consume", "-t", "numbers", "--from", "-1", "-n", "3"]);
    assert_eq!(consume.line(), "99");
    broker.milena_with_input(&["produce", "-t", "numbers"], b"100\n").success();
    assert_eq!(consume.line(), "100");
    broker.milena_with_input(&["produce", "-t", "numbers"], b"101\n102\n").success();
    assert_eq!(consume.wait().success(), "101\n");
}

#[test]
fn the_end_is_that_of_the_beginning_in_every_partition() {
    let broker = Broker::with_topics(&["orders:3", "empty:2"]);
    let lines: String = (0..60).map(|n| format!("key-{n}:{n}\n")).collect();
    broker.milena_with_input(&["produce", "-t", "orders", "-K", ":"], lines.as_bytes()).success();
    let read =
        broker.milena(&["consume", "-t", "orders", "-t", "empty", "--from", "beginning", "-e", "-K", ":"]);
    let read = read.success();
    let mut lines: Vec<&str> = lines.lines().collect();
    let mut read: Vec<&str> = read.lines().collect();
    lines.sort_unstable();
    read.sort_unstable();
    assert_eq!(read, lines);

    let of_one = broker
        .milena(&["consume", "-t", "orders", "-p", "1", "--from", "beginning", "-e", "-f", "%p"])
        .success();
    assert!(!of_one.is_empty() && of_one.chars().all(|c| c == '1'), "{of_one}");
}

#[test]
fn output_is_text_json_or_by_template() {
    let broker = Broker::with_topics(&["orders"]);
    let arguments = ["produce", "-t", "orders", "-K", ":", "-Z", "", "-H", "a=1", "--timestamp", "5"];
    broker.milena_with_input(&arguments, b"k\xff:v\nkey:\n").success();
    let read = |arguments: &[&str]| {
        broker
            .milena(&[&["consume", "-t", "orders", "--from", "beginning", "-e"], arguments].concat())
            .success_bytes()
    };
    assert_eq!(read(&[]), b"v\n\n");
    assert_eq!(read(&["-K", r"\t", "-Z", "(null)"]), b"k\xff\tv\nkey\t(null)\n");
    assert_eq!(
        read(&["-f", r"%t/%p/%o/%T/%k/%s/%S/%h;"]),
        b"orders/0/0/5/k\xff/v/1/a=1;orders/0/1/5/key//-1/a=1;"
    );
    let json = String::from_utf8(read(&["-o", "json"])).unwrap();
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["key_base64"], "a/8=");
    assert_eq!(first["headers"], serde_json::json!([["a", "1"]]));
}

#[test]
fn going_on_ends_when_every_partition_stands_still() {
    let broker = Broker::with_topics(&["orders", "users"]);
    let write = |topic| broker.milena_with_input(&["produce", "-t", topic], b"more\n").success();
    let make_anew = |topic| {
        broker.milena(&["topic", "delete", topic]).success();
        broker.milena(&["topic", "create", topic]).success();
    };
    for topic in ["orders", "users"] {
        write(topic);
    }
    let topics = ["consume", "-t", "orders", "-t", "users", "--from", "beginning", "-f", "%t\n"];
    let arguments = [&topics[..], &["--keep-going", "-X", "auto.offset.reset=none"]].concat();
    let mut consume = broker.start_milena(&arguments);
    let mut first = [consume.line(), consume.line()];
    first.sort_unstable();
    assert_eq!(first, ["orders", "users"]);

    // The position is behind the end now, and what to do about that is left to the program.
    make_anew("orders");
    while !consume.stderr_line().starts_with("error: orders-0") {}
    write("users");
    assert_eq!(consume.line(), "users", "the other one is read on");
    make_anew("users");
    assert!(consume.wait().failure(1).contains("went on after 2 errors"));
}

#[test]
fn a_topic_that_does_not_exist_is_not_created() {
    let broker = Broker::start(&[]);
    let stderr = broker.milena(&["consume", "-t", "nothing", "-e"]).failure(1);
    assert!(stderr.contains("nothing does not exist") && stderr.contains("milena topic create"), "{stderr}");
    assert_eq!(broker.milena(&["topic", "list"]).success(), "");
    let broker = hundred();
    let stderr = broker.milena(&["consume", "-t", "numbers", "-p", "4", "-e"]).failure(1);
    assert!(stderr.contains("no 4"), "{stderr}");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let broker = hundred();
    let mut consume = broker.start_milena(&["consume", "-t", "numbers", "--from", "beginning"]);
    assert_eq!(consume.line(), "0");
    // As `head -1` does: the next write finds the pipe closed.
    let (nowhere, _) = std::io::pipe().unwrap();
    drop(std::mem::replace(&mut consume.stdout, std::io::BufReader::new(closed_stdout(nowhere))));
    // One write may still succeed: a process that another test starts holds the pipe open until it becomes another program.
    while consume.child.try_wait().unwrap().is_none() {
        broker.milena_with_input(&["produce", "-t", "numbers"], b"100\n").success();
    }
    let ended = consume.wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

/// Standard output of a process that has said all.
fn closed_stdout(pipe: std::io::PipeReader) -> std::process::ChildStdout {
    #[cfg(unix)]
    return std::os::fd::OwnedFd::from(pipe).into();
    #[cfg(windows)]
    return std::os::windows::io::OwnedHandle::from(pipe).into();
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_with_130_and_sigterm_with_143() {
    use nix::sys::signal::Signal;
    let broker = hundred();
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut consume = broker.start_milena(&["consume", "-t", "numbers", "--from", "-1"]);
        assert_eq!(consume.line(), "99");
        consume.signal(signal);
        assert_eq!(consume.wait().failure(code), "");
    }
}
