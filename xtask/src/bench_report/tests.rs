use std::path::Path;

use super::cell::{Broker, Cell, Operation};
use super::clients::{Client, Programs};
use super::goals::{Beside, Measure};
use super::options::Options;
use super::results::{Outcome, Results, Run, Summary};
use super::rounds::Counts;
use super::svg::{Bar, Chart, Group, Kind};
use super::{draw, facts, rounds};

const RUN: &str = r#"{"is_whole": true, "not_built": ["rskafka"],
    "facts": [["Machine", "a processor, 2 cores"], ["Command", "`cargo xtask bench-report`"]]}"#;

fn line(client: &str, op: &str, number: f64) -> String {
    format!(
        r#"{{"client":"{client}","op":"{op}","records":1000,"size":100,"compression":"lz4","headers":true,"broker":"null","round":0,"rps":1234567.0,"cpu_us_per_record":{number},"p50_us":{number},"max_rss_mb":12.5}}"#
    )
}

fn failed(client: &str) -> String {
    line(client, "produce", 0.0).replacen('{', r#"{"error":"connecting to somebody.example:9092","#, 1)
}

fn results() -> Results {
    let mut lines = Vec::new();
    for (ours, franz) in [(0.4, 0.8), (0.3, 9.0), (0.5, 1.0)] {
        lines.push(line("milena", "produce", ours));
        lines.push(line("franz-go", "produce", franz));
    }
    lines.push(line("unheard-of", "produce", 2.0));
    lines.push(line("floor", "produce", 0.1));
    lines.extend([line("krafka", "produce", 3.0), failed("krafka"), failed("java"), failed("java")]);
    lines.push(line("milena", "latency", 104.0));
    Results::parse(&lines.join("\n"), RUN).unwrap()
}

fn options(words: &str) -> super::Result<Options> {
    let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    Options::parse(&words, Path::new("/somewhere"))
}

#[test]
fn cells_are_written_as_they_are_read() {
    let cell = Cell::parse("produce:1000:zstd:headers").unwrap();
    assert_eq!((cell.operation, cell.size, cell.headers), (Operation::Produce, 1_000, true));
    assert_eq!(cell.to_string(), "produce 1000 B, zstd, 5 headers");
    assert_eq!(Cell::parse("consume:100:none").unwrap().topic(), "fetch-100-none");
    let real = Cell::parse("real:latency:100:none").unwrap();
    assert_eq!((real.to_string().as_str(), real.broker), ("latency 100 B, none, on Kafka", Broker::Real));
    for malformed in [
        "",
        "produce",
        "produce:100",
        "produce:x:none",
        "read:100:none",
        "produce:100:none:header",
        "produce:100:none:headers:x",
        "produce:100:lz5",
        "unreal:produce:100:none",
        "e2e:100:none",
        "real:consume:100:none",
    ] {
        assert!(Cell::parse(malformed).is_err(), "{malformed}");
    }
}

#[test]
fn words_that_are_unknown_are_refused() {
    let refused = |words: &str| options(words).unwrap_err().to_string();
    assert_eq!(
        refused("--clients milena,franzgo"),
        "--clients: `franzgo` is unknown; there are milena, franz-go, librdkafka, java, krafka, kacrab, rskafka, floor"
    );
    assert_eq!(refused("--peer java=/usr/bin/java"), "--peer java: there is a client of this name");
    assert_eq!(refused("--peer a=x --peer a=y"), "--peer a: there is a client of this name");
    for malformed in [
        "--peer a/b=x",
        "--peer =x",
        "--peer a=",
        "--peer a",
        "--round 1",
        "--rounds 0",
        "--rounds",
        "--cpu-s 0",
    ] {
        assert!(options(malformed).is_err(), "{malformed}");
    }
    let known = options("--clients milena,mine --peer mine=/opt/mine").unwrap();
    assert!(known.wants("mine") && known.wants("milena") && !known.wants("java"));
}

#[test]
fn only_what_measures_everything_is_whole() {
    for whole in ["", "--rounds 9", "--cpu-s 2", "--peer mine=x", "--real 127.0.0.1:9", "--into x"] {
        assert!(options(whole).unwrap().is_whole(), "{whole}");
    }
    for part in ["--rounds 4", "--cpu-s 1.1", "--clients milena", "--cells produce:100:none"] {
        assert!(!options(part).unwrap().is_whole(), "{part}");
    }
}

#[test]
fn nothing_of_this_machine_is_in_the_document() {
    let command =
        options("--real secret:9092 --into /secret --peer mine=/secret/mine --rounds 7").unwrap().shown();
    assert_eq!(command, "cargo xtask bench-report --rounds 7 --peer mine=COMMAND --real HOST:PORT");
    assert_eq!(facts::kernel_version("6.12.5-200.secret.x86_64\n"), "6.12");
    assert_eq!(facts::kernel_version("6.6-secret"), "6.6");

    let mut programs =
        Programs { clients: vec![], milena: String::new(), nullbroker: String::new(), not_built: vec![] };
    programs.add("java", Err("`javac -cp /secret/kafka.jar` failed".into()));
    assert_eq!(programs.not_built, ["java"], "and not why");
    let document = draw::document(&results(), &[]);
    assert!(!document.contains("somebody.example"), "{document}");
}

#[test]
fn a_median_is_in_the_middle_whatever_the_order() {
    let summary = Summary { median: 3.0, min: 1.0, max: 9.0 };
    assert_eq!(Summary::of(vec![9.0, 1.0, 3.0]), Some(summary));
    assert_eq!(Summary::of(vec![4.0, 1.0, 2.0, 9.0]).unwrap().median, 3.0);
    assert_eq!(Summary::of(Vec::new()), None);
}

#[test]
fn rounds_of_a_client_are_summed_up_and_failed_ones_told() {
    let results = results();
    let cells = results.cells();
    assert_eq!(cells.len(), 2);
    assert_eq!(results.outcome("milena", cells[0]), Outcome::Measured { median: 0.4 });
    assert_eq!(results.ratio("milena", "franz-go", cells[0]), Some(0.4));
    assert_eq!(results.outcome("krafka", cells[0]), Outcome::Partly { median: 3.0, failed: 1, rounds: 2 });
    assert_eq!(results.outcome("java", cells[0]), Outcome::Failed);
    assert_eq!(results.outcome("rskafka", cells[0]), Outcome::NotBuilt);
    assert_eq!(results.outcome("krafka", cells[1]), Outcome::NotMeasured);
    assert_eq!(
        results.clients(&cells),
        ["milena", "franz-go", "java", "krafka", "rskafka", "floor", "unheard-of"]
    );
    assert_eq!(
        results.failures(),
        ["java, produce 100 B, lz4, 5 headers: 2 of 2", "krafka, produce 100 B, lz4, 5 headers: 1 of 2"]
    );
}

#[test]
fn a_client_that_prints_no_number_has_failed() {
    let number = |stdout: &str| {
        rounds::result(stdout, Operation::First).map(|line| line["first_ack_ms"].as_f64().unwrap())
    };
    assert_eq!(number("warning\n{\"first_ack_ms\":1.5}\n"), Ok(1.5));
    assert_eq!(number("{}"), Err("printed no `first_ack_ms`".to_owned()));
    assert_eq!(number("warning"), Err("printed no line of JSON".to_owned()));
    assert!(number("{").is_err());
}

#[test]
fn the_circumstances_are_read_as_they_are_written() {
    let run = Run {
        is_whole: true,
        facts: vec![("Machine".to_owned(), "2 cores".to_owned())],
        not_built: vec!["java".to_owned()],
    };
    assert_eq!(Run::parse(&run.json().to_string()).unwrap(), run);
}

#[test]
fn results_that_are_damaged_are_refused() {
    let refused = |rounds: &str, run: &str| Results::parse(rounds, run).unwrap_err().to_string();
    assert!(refused("{", RUN).contains("EOF"));
    assert_eq!(refused("[]", RUN), "not a JSON object: []");
    assert_eq!(refused(r#"{"op":"produce"}"#, RUN), "a result without `client`");
    assert_eq!(refused("", "{}"), "run.json has no `is_whole`");
}

#[test]
fn the_document_has_tables_charts_and_where_it_was_measured() {
    let results = results();
    let charts = draw::charts(&results);
    let names: Vec<&str> = charts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["produce.svg"], "latency has nothing to be compared with");
    let document = draw::document(&results, &charts);
    for part in [
        "| processor time per record, us | milena | franz-go | java | krafka | rskafka | floor | unheard-of | milena / franz-go | goal |",
        "| produce 100 B, lz4, 5 headers | 0.400 | 1.00 | failed | 3.00 (1 of 2 failed) | not built | 0.100 | 2.00 | 0.40 | 0.43 |",
        "| milena | 0.400 [0.300 to 0.500] | 1234567 [1234567 to 1234567] | 12.5 [12.5 to 12.5] |",
        "| java: failed | - | - | - |",
        "| cell | processor time per record, us | times franz-go | times the floor | memory over the floor, MB |",
        "| produce 100 B, lz4, 5 headers | 0.400 [0.300 to 0.500] | 0.400 (goal 0.43) | 4.00 | 0.000 (goal 12) |",
        "(img/produce.svg)",
        "| latency 100 B, lz4, 5 headers | 104 | not built | - |",
        "- Machine: a processor, 2 cores\n",
    ] {
        assert!(document.contains(part), "{part} is not in\n{document}");
    }
    assert!(!document.contains("img/latency.svg") && !document.contains("\n\n\n"), "{document}");
}

#[test]
fn the_document_speaks_of_what_was_measured_only() {
    let told = |lines: &[String]| draw::document(&Results::parse(&lines.join("\n"), RUN).unwrap(), &[]);
    let null = told(&[line("milena", "produce", 1.0)]);
    assert!(null.contains("*null broker*") && null.contains("linger 5 ms") && !null.contains("*on Kafka*"));
    assert!(!null.contains("*floor*") && !null.contains("*latency*: "), "{null}");
    let real = line("floor", "latency", 1.0).replace(r#""null""#, r#""real""#);
    let real = told(&[real, line("floor", "first", 1.0)]);
    assert!(
        real.contains("*on Kafka*") && real.contains("linger 0") && real.contains("*floor*: not a client")
    );
    assert!(!real.contains("linger 5"), "{real}");
}

#[test]
fn goals_are_compared_with_and_missed_ones_are_bold() {
    let real = |client: &str, p50: f64, p99: f64| {
        format!(
            r#"{{"client":"{client}","op":"latency","size":100,"compression":"none","broker":"real","p50_us":{p50},"p99_us":{p99},"cpu_us_per_record":30.5,"max_rss_mb":9}}"#
        )
    };
    let lines = [
        real("milena", 120.0, 300.0),
        real("floor", 100.0, 200.0),
        real("java", 300.0, 240.0),
        real("krafka", 150.0, 250.0),
    ];
    let results = Results::parse(&lines.join("\n"), RUN).unwrap();
    let document = draw::document(&results, &[]);
    let row = "| latency 100 B, none, on Kafka | 120 [120 to 120] | 1.20 (goal 1.2) | 300 [300 to 300] | **1.25** (goal 1) \
               | 30.5 [30.5 to 30.5] (goal 40) | 0.000 (goal 12) |";
    assert!(document.contains(row), "{document}");

    let cell = |text: &str| Cell::parse(text).unwrap();
    let goal = |text: &str, beside: Beside| {
        let cell = cell(text);
        Measure::all(cell.operation).iter().find(|measure| measure.beside == beside).unwrap().goal(&cell)
    };
    assert_eq!(goal("consume:1000:none", Beside::Times("floor")), Some(1.15));
    assert_eq!(goal("consume:100:none", Beside::Times("floor")), None);
    assert_eq!(goal("consume:100:none", Beside::Times("franz-go")), Some(0.3));
    assert_eq!(goal("real:produce:100:none", Beside::Times("franz-go")), None);
    assert_eq!(goal("first:100:none", Beside::Times("krafka")), Some(1.0));
    assert_eq!(goal("real:e2e:100:none", Beside::TimesBest), Some(1.0));
    assert_eq!(goal("latency:100:none", Beside::TimesBest), None);
}

#[test]
fn rounds_of_ours_that_failed_are_told_beside_the_goals_too() {
    let lines = [line("milena", "produce", 0.4), failed("milena"), line("floor", "produce", 0.1)];
    let document = draw::document(&Results::parse(&lines.join("\n"), RUN).unwrap(), &[]);
    let row = "| produce 100 B, lz4, 5 headers | 0.400 [0.400 to 0.400] (1 of 2 failed) | - | 4.00 | 0.000 (goal 12) |";
    assert!(document.contains(row), "{document}");
    let lines = [failed("milena"), line("floor", "produce", 0.1)];
    let document = draw::document(&Results::parse(&lines.join("\n"), RUN).unwrap(), &[]);
    assert!(document.contains("| produce 100 B, lz4, 5 headers | failed | - | - | - |"), "{document}");
}

#[test]
fn only_what_is_between_the_markers_changes_in_the_readme() {
    let begin = "<!-- benchmarks: begin; written by cargo xtask bench-report -->";
    let readme = format!("# Before\n{begin}\nold\n<!-- benchmarks: end -->\nafter\n");
    let once = draw::readme(&readme, &results()).unwrap();
    assert!(once.starts_with(&format!("# Before\n{begin}\n\n| us per record |")), "{once}");
    assert!(once.ends_with("\n<!-- benchmarks: end -->\nafter\n") && !once.contains("old"), "{once}");
    assert!(!once.contains("latency 100 B"));
    assert_eq!(draw::readme(&once, &results()).unwrap(), once);
    assert!(
        draw::readme("# Nowhere\n", &results()).unwrap_err().to_string().contains("README.md has no line")
    );
}

#[test]
fn a_chart_is_well_formed_and_told_in_words() {
    let bar = |name: &str, length: f64, kind| Bar {
        name: name.to_owned(),
        length,
        label: format!("{length:.2}"),
        kind,
    };
    let bars =
        vec![bar("ours", 0.5, Kind::Ours), bar("a & b", 4.0, Kind::Other), bar("floor", 0.1, Kind::Bound)];
    let group = Group { name: "small <records>".to_owned(), bars };
    let chart =
        Chart { title: "a title".to_owned(), axis: "shorter is better".to_owned(), groups: vec![group] };
    let svg = chart.svg();
    assert!(svg.contains("<desc id=\"desc\">shorter is better. small &lt;records&gt;: ours 0.50; a &amp; b 4.00; floor 0.10.</desc>"));
    // The longest bar takes all the room, and the others their part of it.
    assert!(svg.contains("width=\"500.0\"") && svg.contains("width=\"62.5\""), "{svg}");
    assert!(!svg.contains('\u{2026}'));
    for tag in ["svg", "text", "title", "desc", "style"] {
        let opened = svg.matches(&format!("<{tag}")).count();
        assert_eq!(opened, svg.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn a_bar_that_is_hundreds_of_times_as_long_does_not_hide_the_others() {
    let bar =
        |length: f64| Bar { name: "x".to_owned(), length, label: format!("{length}"), kind: Kind::Other };
    let group = Group { name: String::new(), bars: vec![bar(1.0), bar(800.0)] };
    let svg = Chart { title: String::new(), axis: String::new(), groups: vec![group] }.svg();
    assert!(svg.contains("width=\"100.0\"") && svg.contains("width=\"500.0\""), "{svg}");
    assert!(svg.contains(">1</text>") && svg.contains(">\u{2026} 800</text>"), "{svg}");
}

#[test]
fn every_client_has_every_turn_once() {
    let orders: Vec<Vec<usize>> = (0..4).map(|round| rounds::turns(3, round).collect()).collect();
    assert_eq!(orders, [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
}

#[test]
fn a_run_takes_the_time_that_was_asked_for() {
    assert_eq!(rounds::records(1.2, 0.6), 2_000_000);
    assert_eq!(rounds::records(1.2, 0.0), 8_000_000);
    assert_eq!(rounds::records(1.2, 1e9), 20_000);
}

#[test]
fn clients_get_the_command_line_that_they_share() {
    let words = |cell: &str, counts: Counts| {
        rounds::arguments(&Cell::parse(cell).unwrap(), "127.0.0.1:9", counts).join(" ")
    };
    let counts = Counts { records: 10, warmup: 2 };
    assert_eq!(
        words("produce:100:lz4:headers", counts),
        "produce --bootstrap 127.0.0.1:9 --topic sink-produce --size 100 --compression lz4 --acks all --batch-bytes 65536 --inflight 5 \
         --partitions 6 --linger-ms 5 --records 10 --warmup 2 --idempotent --headers"
    );
    assert!(!words("consume:100:none", counts).contains("--idempotent"));
    assert!(words("latency:100:none", counts).contains("--linger-ms 0 --records 10 --warmup 2"));
    assert!(words("real:e2e:100:none", counts).contains("--linger-ms 0 --records 10 --warmup 2 --rate 1000"));
}

#[test]
fn java_warms_up_for_longer() {
    let of_java = rounds::few(Operation::Latency, "java");
    let of_others = rounds::few(Operation::Latency, "franz-go");
    assert!(of_java.records == of_others.records && of_java.warmup > of_others.warmup);
    assert_eq!(rounds::few(Operation::First, "java"), Counts { records: 1, warmup: 0 });
}

#[test]
fn versions_are_found_where_they_are_locked() {
    let lock = "[[package]]\nname = \"krafka-macros\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"krafka\"\nversion = \"0.28.1\"\n";
    assert_eq!(facts::locked_version(lock, "krafka").as_deref(), Some("0.28.1"));
    assert_eq!(facts::locked_version(lock, "rskafka"), None);
    let go_mod = "module x\n\nrequire github.com/a/b v1.2.3\n\nrequire (\n\tgithub.com/a/b/sub v0.1.0 // indirect\n)\n";
    assert_eq!(facts::module_version(go_mod, "github.com/a/b").as_deref(), Some("v1.2.3"));
    assert_eq!(facts::module_version(go_mod, "github.com/a/b/sub").as_deref(), Some("v0.1.0"));
}

#[test]
fn a_peer_has_no_version_whatever_its_name() {
    let lock = "name = \"tokio\"\nversion = \"1.2.3\"\n\nname = \"krafka\"\nversion = \"0.28.1\"\n\nname = \"rdkafka-sys\"\nversion = \"4.5.6\"\n";
    let version =
        |client: &str| facts::client_version(client, lock, "require github.com/twmb/franz-go v1.2.3\n");
    assert_eq!(version("tokio"), None);
    assert_eq!(version("rdkafka-sys"), None);
    assert_eq!(version("krafka").as_deref(), Some("0.28.1"));
    assert_eq!(version("librdkafka").as_deref(), Some("rdkafka-sys 4.5.6"));
    assert_eq!(version("franz-go").as_deref(), Some("v1.2.3"));
}

#[test]
fn what_java_says_before_its_version_is_not_told() {
    let version = "openjdk version \"21.0.1\" 2023-10-17";
    let said = format!(
        "Picked up JAVA_TOOL_OPTIONS: -javaagent:/secret/agent.jar\n{version}\nOpenJDK Runtime Environment\n"
    );
    assert_eq!(facts::java_version(&said), version);
    assert_eq!(facts::java_version("Error: /secret/agent.jar is not there\n"), "version unknown");
}

#[test]
fn only_java_runs_without_the_variables_that_give_it_options() {
    let removed = |client: &str| {
        let client = Client { name: client.to_owned(), command: vec!["program".to_owned()] };
        let cell = Cell::parse("produce:100:none").unwrap();
        let command = rounds::command(&client, &cell, "127.0.0.1:9", Counts { records: 1, warmup: 0 });
        let removed = command.get_envs().filter(|(_, value)| value.is_none());
        removed.map(|(name, _)| name.to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(removed("java"), ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"]);
    assert!(removed("mine").is_empty());
}
