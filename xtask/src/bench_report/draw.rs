//! The document, the charts and the table in the README, from results.

use std::fmt::Write;

use super::cell::{Broker, Cell, Operation};
use super::goals::{self, Beside, Measure};
use super::results::{FLOOR, OURS, Outcome, REFERENCE, Results, Summary};
use super::svg::{Bar, Chart, Group, Kind};
use super::{Result, words};

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
    let bars: Vec<Bar> = results.clients(&[cell]).iter().filter_map(bar).collect();
    (!bars.is_empty()).then(|| Group { name: cell.to_string(), bars })
}

/// `docs/benchmarks.md`; `charts` are the files that [`charts`] gave.
pub(super) fn document(results: &Results, charts: &[(String, String)]) -> String {
    let mut text = String::from(
        "# Milena beside other clients\n\nWritten by `cargo xtask bench-report`, which anyone can run.\n\n",
    );
    text += &words::how(results);
    for operation in Operation::ALL {
        let cells: Vec<&Cell> =
            results.cells().into_iter().filter(|cell| cell.operation == operation).collect();
        if cells.is_empty() {
            continue;
        }
        let (name, (_, unit)) = (operation.name(), operation.metric());
        let what = if operation.is_throughput() { "processor time per record" } else { "median" };
        text += &format!("\n## {name}\n\n{}\n", table_of_ours(results, operation, &cells));
        text += &format!("Beside others:\n\n{}\n", table(results, &cells, &format!("{what}, {unit}")));
        let file = format!("{name}.svg");
        if charts.iter().any(|(chart, _)| *chart == file) {
            text += &format!("![{name}: each client as a multiple of {REFERENCE}](img/{file})\n\n");
        }
        text += details(results, &cells).trim_end_matches('\n');
        text += "\n";
    }
    text += "\n## Where\n\n";
    for (name, fact) in &results.run.facts {
        writeln!(text, "- {name}: {fact}").expect("a string takes everything");
    }
    text
}

/// Milena, and beside it the goals; bold where one is missed.
fn table_of_ours(results: &Results, operation: Operation, cells: &[&Cell]) -> String {
    let measures = Measure::all(operation);
    let heads: Vec<&str> = measures.iter().map(|measure| measure.head).collect();
    let mut text =
        format!("Milena; **bold** where the goal is missed:\n\n| cell | {} |\n", heads.join(" | "));
    text += &format!("| --- |{}\n", " ---: |".repeat(measures.len()));
    for cell in cells {
        let texts: Vec<String> = measures.iter().map(|measure| beside_goal(results, measure, cell)).collect();
        text += &format!("| {cell} | {} |\n", texts.join(" | "));
    }
    text
}

fn beside_goal(results: &Results, measure: &Measure, cell: &Cell) -> String {
    // One column tells how the rounds went, for all of its row.
    let tells_outcome = measure.number == cell.operation.metric().0 && measure.beside == Beside::Nothing;
    let Some(value) = measure.value(results, cell) else {
        return if tells_outcome { outcome(results, OURS, cell) } else { "-".to_owned() };
    };
    let shown = match (measure.beside, results.summary(OURS, cell, measure.number)) {
        (Beside::Nothing, Some(summary)) => summary.text(),
        _ => significant(value),
    };
    let shown = match measure.goal(cell) {
        None => shown,
        Some(goal) if value <= goal => format!("{shown} (goal {goal})"),
        Some(goal) => format!("**{shown}** (goal {goal})"),
    };
    match results.outcome(OURS, cell) {
        Outcome::Partly { failed, rounds, .. } if tells_outcome => {
            format!("{shown} ({failed} of {rounds} failed)")
        }
        _ => shown,
    }
}

/// The medians of all clients, and ours as a multiple of the reference.
fn table(results: &Results, cells: &[&Cell], head: &str) -> String {
    let clients = results.clients(cells);
    let has_goals = cells.iter().any(|cell| goal(cell).is_some());
    let goal_head = if has_goals { " goal |" } else { "" };
    let mut text = format!("| {head} | {} | {OURS} / {REFERENCE} |{goal_head}\n", clients.join(" | "));
    text += &format!(
        "| --- |{} ---: |{}\n",
        " ---: |".repeat(clients.len()),
        if has_goals { " ---: |" } else { "" }
    );
    for cell in cells {
        let outcomes: Vec<String> = clients.iter().map(|client| outcome(results, client, cell)).collect();
        let ratio =
            results.ratio(OURS, REFERENCE, cell).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        text += &format!("| {cell} | {} | {ratio} |", outcomes.join(" | "));
        if has_goals {
            text += &goal(cell).map_or(" - |".to_owned(), |goal| format!(" {goal:.2} |"));
        }
        text += "\n";
    }
    text
}

/// Of our multiple of the reference.
fn goal(cell: &Cell) -> Option<f64> {
    (cell.broker == Broker::Null).then(|| goals::times_reference(cell)).flatten()
}

fn outcome(results: &Results, client: &str, cell: &Cell) -> String {
    match results.outcome(client, cell) {
        Outcome::NotMeasured => "-".to_owned(),
        Outcome::NotBuilt => "not built".to_owned(),
        Outcome::Failed => "failed".to_owned(),
        Outcome::Partly { median, failed, rounds } => {
            format!("{} ({failed} of {rounds} failed)", significant(median))
        }
        Outcome::Measured { median } => significant(median),
    }
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
        for client in results.clients(&[cell]) {
            let how = match results.outcome(client, cell) {
                Outcome::NotMeasured => continue,
                Outcome::NotBuilt => ": not built".to_owned(),
                Outcome::Failed => ": failed".to_owned(),
                Outcome::Partly { failed, rounds, .. } => format!(": {failed} of {rounds} failed"),
                Outcome::Measured { .. } => String::new(),
            };
            let numbers = columns
                .iter()
                .map(|(name, _)| results.summary(client, cell, name).map_or("-".to_owned(), Summary::text));
            text += &format!("| {client}{how} | {} |\n", numbers.collect::<Vec<_>>().join(" | "));
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
        "\n\n{}\nMicroseconds of processor time on one core, medians; goals are multiples of {REFERENCE}. The floor is not a client, but a \
         socket loop that does the least that one could do. [docs/benchmarks.md](docs/benchmarks.md) has plots, latencies, memory, versions \
         and the machine; `cargo xtask bench-report` measures it again.\n\n",
        table(results, &cells, "us per record")
    );
    Ok(format!("{}{section}{}", &readme[..begin], &readme[end..]))
}
