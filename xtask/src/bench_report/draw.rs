//! The document, the charts and the table in the README, from results.

use std::fmt::Write;

use super::Result;
use super::cell::{Broker, Cell, Operation};
use super::results::{Results, Summary};
use super::svg::{Bar, Chart, Group, Kind};

/// Clients in the order in which tables show them; others follow.
pub(super) const CLIENTS: [&str; 8] =
    ["milena", "franz-go", "librdkafka", "java", "krafka", "kacrab", "rskafka", FLOOR];
/// Who we are.
const OURS: &str = "milena";
/// Whom the others are compared with.
const REFERENCE: &str = "franz-go";
/// Not a client: the least that one could do.
const FLOOR: &str = "floor";

/// Where the README has the table.
const BEGIN: &str = "<!-- benchmarks: begin; written by cargo xtask bench-report -->";
const END: &str = "<!-- benchmarks: end -->";

/// The charts: file names, and their contents.
pub(super) fn charts(results: &Results) -> Vec<(String, String)> {
    let operations = Operation::ALL.into_iter();
    let charts = operations.filter_map(|operation| Some((operation, chart(results, operation)?)));
    charts.map(|(operation, chart)| (format!("{}.svg", operation.name()), chart.svg())).collect()
}

/// `None` when nothing of the operation can be compared.
fn chart(results: &Results, operation: Operation) -> Option<Chart> {
    let cells: Vec<&Cell> = results.cells().into_iter().filter(|cell| cell.operation == operation).collect();
    let groups: Vec<Group> = cells.iter().filter_map(|cell| group(results, cell)).collect();
    let what = match operation {
        Operation::Produce | Operation::Consume => "processor time per record",
        Operation::Latency => "median time to an acknowledgement, one record at a time",
        Operation::E2e => "median time from producer to consumer",
        Operation::First => "time from connecting to the first acknowledgement",
    };
    let title = format!("{}: {what}", operation.name());
    let axis = format!("as a multiple of {REFERENCE}'s (the line); shorter is better");
    (!groups.is_empty()).then_some(Chart { title, axis, groups })
}

/// `None` where the reference was not measured.
fn group(results: &Results, cell: &Cell) -> Option<Group> {
    let unit = cell.operation.metric().1;
    let bar = |client: &&str| {
        let (median, ratio) = (results.median(client, cell)?, results.ratio(client, REFERENCE, cell)?);
        let kind = match *client {
            OURS => Kind::Ours,
            FLOOR => Kind::Bound,
            _ => Kind::Other,
        };
        let label = format!("{} {unit} ({ratio:.2})", significant(median));
        Some(Bar { name: (*client).to_owned(), length: ratio, label, kind })
    };
    let bars: Vec<Bar> = results.clients(&[cell], &CLIENTS).iter().filter_map(bar).collect();
    (!bars.is_empty()).then(|| Group { name: cell.to_string(), bars })
}

/// `docs/benchmarks.md`; `charts` are the files that [`charts`] gave.
pub(super) fn document(results: &Results, charts: &[(String, String)]) -> String {
    let mut text = String::from(
        "# Milena beside other clients\n\nWritten by `cargo xtask bench-report`, which anyone can run.\n\n",
    );
    text += HOW;
    for operation in Operation::ALL {
        let cells: Vec<&Cell> =
            results.cells().into_iter().filter(|cell| cell.operation == operation).collect();
        if cells.is_empty() {
            continue;
        }
        let (_, unit) = operation.metric();
        let what = if operation.is_throughput() { "processor time per record" } else { "median" };
        let name = operation.name();
        write!(text, "\n## {name}\n\n{}\n", table(results, &cells, &format!("{what}, {unit}")))
            .expect("a string takes everything");
        let file = format!("{name}.svg");
        if charts.iter().any(|(chart, _)| *chart == file) {
            writeln!(text, "![{name}: each client as a multiple of {REFERENCE}](img/{file})\n")
                .expect("a string takes everything");
        }
        text += &details(results, &cells);
    }
    text += "\n## Where\n\n";
    for (name, fact) in &results.facts {
        writeln!(text, "- {name}: {fact}").expect("a string takes everything");
    }
    text
}

const HOW: &str = "\
Processor time is that of the client's whole process, user and system, all threads, from the end of its warm-up to the last record's \
acknowledgement or arrival. The broker costs next to nothing and has a core of its own; the client is alone on another. It drops what is \
produced and hands out the same batches for ever, so that the clients are measured, not the broker, which still reads and answers \
every request. Records have keys of 16 bytes, partitioned by murmur2 over six partitions, and JSON values; batches have 64 KiB, acks is \
all, linger 5 ms, producers are idempotent, consumers check CRCs. Every client runs in every round, and each round begins with another; \
numbers are medians, and those in brackets the least and the greatest.

- *floor* is not a client: a socket loop that encodes, hashes, compresses and checks, with Milena's codecs, and does nothing else.
- *rskafka* has neither idempotence nor keyed partitioning nor linger in the path that is measured: it is given ready batches.
- *krafka* keeps one batch for each partition in flight.
- *librdkafka* is measured through the rdkafka crate's `BaseProducer` and `BaseConsumer`, its cheapest way from Rust.
";

/// The medians of all clients, and ours as a multiple of the reference.
fn table(results: &Results, cells: &[&Cell], head: &str) -> String {
    let clients = results.clients(cells, &CLIENTS);
    let mut text = format!("| {head} | {} | {OURS} / {REFERENCE} |\n", clients.join(" | "));
    text += &format!("| --- |{} ---: |\n", " ---: |".repeat(clients.len()));
    for cell in cells {
        let number = |median: Option<f64>| median.map_or("-".to_owned(), significant);
        let medians: Vec<String> =
            clients.iter().map(|client| number(results.median(client, cell))).collect();
        let ratio =
            results.ratio(OURS, REFERENCE, cell).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        text += &format!("| {cell} | {} | {ratio} |\n", medians.join(" | "));
    }
    text
}

/// What else is known of every client.
fn details(results: &Results, cells: &[&Cell]) -> String {
    let mut text = String::new();
    for cell in cells {
        let columns: &[(&str, &str)] = match cell.operation {
            Operation::Produce | Operation::Consume => &[
                ("cpu_us_per_record", "processor, us"),
                ("rps", "records/s by the clock"),
                ("max_rss_mb", "memory, MB"),
            ],
            Operation::Latency | Operation::E2e => &[
                ("p50_us", "p50, us"),
                ("p99_us", "p99, us"),
                ("p999_us", "p99.9, us"),
                ("cpu_us_per_record", "processor, us"),
            ],
            Operation::First => {
                &[("first_ack_ms", "first acknowledgement, ms"), ("max_rss_mb", "memory, MB")]
            }
        };
        let heads: Vec<&str> = columns.iter().map(|(_, head)| *head).collect();
        text += &format!("<details><summary>{cell}</summary>\n\n| client | {} |\n", heads.join(" | "));
        text += &format!("| --- |{}\n", " ---: |".repeat(columns.len()));
        for client in results.clients(&[cell], &CLIENTS) {
            let numbers = columns
                .iter()
                .map(|(name, _)| results.summary(client, cell, name).map_or("-".to_owned(), Summary::text));
            text += &format!("| {client} | {} |\n", numbers.collect::<Vec<_>>().join(" | "));
        }
        text += "\n</details>\n\n";
    }
    text
}

impl Summary {
    fn text(self) -> String {
        format!("{} [{} to {}]", significant(self.median), significant(self.min), significant(self.max))
    }
}

/// Three digits that mean something.
fn significant(number: f64) -> String {
    let decimals = match number.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{number:.decimals$}")
}

/// The README with its table replaced.
///
/// # Errors
/// When the README does not say where.
pub(super) fn readme(readme: &str, results: &Results) -> Result<String> {
    let missing = || format!("README.md has no line `{BEGIN}` with a line `{END}` after it");
    let begin = readme.find(BEGIN).ok_or_else(missing)? + BEGIN.len();
    let end = begin + readme[begin..].find(END).ok_or_else(missing)?;
    let is_shown = |cell: &&Cell| cell.operation.is_throughput() && cell.broker == Broker::Null;
    let cells: Vec<&Cell> = results.cells().into_iter().filter(is_shown).collect();
    let section = format!(
        "\n\n{}\nMicroseconds of processor time on one core, medians; the floor is a socket loop that encodes, hashes and compresses and does \
         nothing else. [docs/benchmarks.md](docs/benchmarks.md) has plots, latencies, versions and the machine; \
         `cargo xtask bench-report` measures it again.\n\n",
        table(results, &cells, "us per record")
    );
    Ok(format!("{}{section}{}", &readme[..begin], &readme[end..]))
}
