use super::cell::{Broker, Cell, Operation};
use super::results::{Results, Summary};
use super::svg::{Bar, Chart, Group, Kind};
use super::{draw, facts, rounds};

const RUN: &str = r#"[["Machine", "a processor, 2 cores"], ["Command", "`cargo xtask bench-report`"]]"#;

fn line(client: &str, op: &str, number: f64) -> String {
    format!(
        r#"{{"client":"{client}","op":"{op}","records":1000,"size":100,"compression":"lz4","headers":true,"broker":"null","round":0,"rps":1234567.0,"cpu_us_per_record":{number},"p50_us":{number},"max_rss_mb":12.5}}"#
    )
}

fn results() -> Results {
    let mut lines = Vec::new();
    for (ours, franz) in [(0.4, 0.8), (0.3, 9.0), (0.5, 1.0)] {
        lines.push(line("milena", "produce", ours));
        lines.push(line("franz-go", "produce", franz));
    }
    lines.push(line("unheard-of", "produce", 2.0));
    lines.push(line("floor", "produce", 0.1));
    lines.push(
        r#"{"client":"java","op":"produce","size":100,"compression":"lz4","broker":"null","error":"gone"}"#
            .to_owned(),
    );
    lines.push(line("milena", "latency", 104.0));
    Results::parse(&lines.join("\n"), RUN).unwrap()
}

#[test]
fn cells_are_written_as_they_are_read() {
    let cell = Cell::parse("produce:1000:zstd:headers", Broker::Null).unwrap();
    assert_eq!((cell.operation, cell.size, cell.headers), (Operation::Produce, 1_000, true));
    assert_eq!(cell.to_string(), "produce 1000 B, zstd, 5 headers");
    assert_eq!(Cell::parse("consume:100:none", Broker::Null).unwrap().topic(), "fetch-100-none");
    let real = Cell::parse("latency:100:none", Broker::Real).unwrap();
    assert_eq!(real.to_string(), "latency 100 B, none, on Kafka");
    for malformed in
        ["", "produce", "produce:100", "produce:x:none", "read:100:none", "produce:100:none:header"]
    {
        assert!(Cell::parse(malformed, Broker::Null).is_err(), "{malformed}");
    }
}

#[test]
fn a_median_is_in_the_middle_whatever_the_order() {
    let summary = Summary { median: 3.0, min: 1.0, max: 9.0 };
    assert_eq!(Summary::of(vec![9.0, 1.0, 3.0]), Some(summary));
    assert_eq!(Summary::of(vec![4.0, 1.0, 2.0, 9.0]).unwrap().median, 3.0);
    assert_eq!(Summary::of(Vec::new()), None);
}

#[test]
fn rounds_of_a_client_are_summed_up_and_failed_ones_left_out() {
    let results = results();
    let cells = results.cells();
    assert_eq!(cells.len(), 2);
    assert_eq!(results.median("milena", cells[0]), Some(0.4));
    assert_eq!(results.ratio("milena", "franz-go", cells[0]), Some(0.4));
    assert_eq!(results.median("java", cells[0]), None);
    assert_eq!(results.clients(&cells, &draw::CLIENTS), ["milena", "franz-go", "floor", "unheard-of"]);
}

#[test]
fn results_that_are_damaged_are_refused() {
    let refused = |rounds: &str, run: &str| Results::parse(rounds, run).unwrap_err().to_string();
    assert!(refused("{", RUN).contains("EOF"));
    assert_eq!(refused("[]", RUN), "not a JSON object: []");
    assert_eq!(refused(r#"{"op":"produce"}"#, RUN), "a result without `client`");
    assert!(refused("", "{}").contains("expected a sequence"));
}

#[test]
fn the_document_has_tables_charts_and_where_it_was_measured() {
    let results = results();
    let charts = draw::charts(&results);
    let names: Vec<&str> = charts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["produce.svg"], "latency has nothing to be compared with");
    let document = draw::document(&results, &charts);
    for part in [
        "| processor time per record, us | milena | franz-go | floor | unheard-of | milena / franz-go |",
        "| produce 100 B, lz4, 5 headers | 0.400 | 1.00 | 0.100 | 2.00 | 0.40 |",
        "| milena | 0.400 [0.300 to 0.500] | 1234567 [1234567 to 1234567] | 12.5 [12.5 to 12.5] |",
        "(img/produce.svg)",
        "| latency 100 B, lz4, 5 headers | 104 | - |",
        "- Machine: a processor, 2 cores\n",
    ] {
        assert!(document.contains(part), "{part} is not in\n{document}");
    }
    assert!(!document.contains("img/latency.svg"));
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
    for tag in ["svg", "text", "title", "desc", "style"] {
        let opened = svg.matches(&format!("<{tag}")).count();
        assert_eq!(opened, svg.matches(&format!("</{tag}>")).count(), "{tag}");
    }
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
    let words = |cell: &str, counts| {
        rounds::arguments(&Cell::parse(cell, Broker::Null).unwrap(), "127.0.0.1:9", counts).join(" ")
    };
    assert_eq!(
        words("produce:100:lz4:headers", Some((10, 2))),
        "produce --bootstrap 127.0.0.1:9 --topic sink-produce --size 100 --compression lz4 --acks all --batch-bytes 65536 --inflight 5 \
         --partitions 6 --linger-ms 5 --records 10 --warmup 2 --idempotent --headers"
    );
    assert!(!words("consume:100:none", Some((10, 2))).contains("--idempotent"));
    assert!(words("latency:100:none", None).contains("--linger-ms 0 --records 20000 --warmup 1000"));
    assert!(words("e2e:100:none", None).contains("--rate 1000"));
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
