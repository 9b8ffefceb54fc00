//! The measuring: rounds in which every client has its turn.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use super::Result;
use super::brokers::Brokers;
use super::cell::{Broker, Cell, Operation};
use super::clients::{Client, FLOOR, JAVA_VARIABLES};
use super::options::Options;
use super::results::{ROUNDS, RUN, Run};

/// The client's core on the null broker, which has another.
const CLIENT_CORE: &str = "1";
/// A run that takes longer has hung.
const LIMIT_SECONDS: &str = "120";
/// How many records the run has that tells how many the others need.
const CALIBRATION: Counts = Counts { records: 150_000, warmup: 1_000 };
const RECORDS_MIN: u64 = 20_000;
const RECORDS_MAX: u64 = 8_000_000;
/// How much processor time to use before the clock starts, in seconds.
const WARMUP_SECONDS: f64 = 0.3;
/// Its compiler is done by then. Less where [`RECORDS_MAX`] take less.
pub(super) const JAVA_WARMUP_SECONDS: f64 = 8.0;
/// What one record at a time has, and what its compiler needs of Java.
pub(super) const LATENCY: Counts = Counts { records: 20_000, warmup: 1_000 };
pub(super) const JAVA_LATENCY_WARMUP: u64 = 20_000;
/// Records per second from end to end.
pub(super) const E2E_RATE: u64 = 1_000;
pub(super) const E2E: Counts = Counts { records: 10_000, warmup: 1_000 };

/// How many records are measured, after how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) records: u64,
    pub(super) warmup: u64,
}

pub(super) fn measure(options: &Options, clients: &[Client], brokers: &Brokers, run: Run) -> Result<()> {
    fs::create_dir_all(&options.into)?;
    // Until all is measured, there is nothing to be drawn.
    match fs::remove_file(options.into.join(RUN)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut out = File::create(options.into.join(ROUNDS))?;
    // Processor time per record, by cell and client, as the last run had it.
    let mut costs: HashMap<(usize, usize), Option<f64>> = HashMap::new();
    for round in 0..options.rounds {
        for (cell_index, cell) in options.cells.iter().enumerate() {
            for client_index in turns(clients.len(), round) {
                let client = &clients[client_index];
                if !can(client, cell) {
                    continue;
                }
                let cost = costs.entry((cell_index, client_index)).or_default();
                let mut line = turn(options, client, cell, brokers.bootstrap(cell)?, cost);
                line.insert("client".to_owned(), json!(client.name));
                line.insert("op".to_owned(), json!(cell.operation.name()));
                line.insert("size".to_owned(), json!(cell.size));
                line.insert("compression".to_owned(), json!(cell.compression));
                line.insert("headers".to_owned(), json!(cell.headers));
                line.insert("broker".to_owned(), json!(cell.broker.name()));
                line.insert("round".to_owned(), json!(round));
                let said = line.get("error").or_else(|| line.get(cell.operation.metric().0));
                println!("round {round}, {cell}, {}: {}", client.name, said.unwrap_or(&Value::Null));
                writeln!(out, "{}", Value::Object(line))?;
            }
        }
    }
    fs::write(options.into.join(RUN), serde_json::to_string_pretty(&run.json())?)?;
    Ok(())
}

/// Who goes when: each round begins with another.
pub(super) fn turns(clients: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..clients).map(move |turn| (turn + round) % clients)
}

/// The floor has no metadata: it knows its one broker, and has nothing to begin with.
fn can(client: &Client, cell: &Cell) -> bool {
    let is_of_floor = match cell.operation {
        Operation::Produce | Operation::Consume => cell.broker == Broker::Null,
        Operation::Latency => true,
        Operation::E2e | Operation::First => false,
    };
    client.name != FLOOR || is_of_floor
}

/// One turn of a client: its line, or what went wrong as `error`.
fn turn(
    options: &Options,
    client: &Client,
    cell: &Cell,
    bootstrap: &str,
    cost: &mut Option<f64>,
) -> Map<String, Value> {
    if !cell.operation.is_throughput() {
        return run(client, cell, bootstrap, few(cell.operation, &client.name));
    }
    // As many records as take the time that was asked for, by what they cost the last time. Before the first turn, a short run tells that.
    let cost_in = |line: &Map<String, Value>| line.get("cpu_us_per_record").and_then(Value::as_f64);
    let last = match *cost {
        Some(last) => last,
        None => {
            let line = run(client, cell, bootstrap, CALIBRATION);
            match cost_in(&line) {
                Some(first) => first,
                None => return line,
            }
        }
    };
    let warmup_seconds = if client.name == "java" { JAVA_WARMUP_SECONDS } else { WARMUP_SECONDS };
    let counts =
        Counts { records: records(options.cpu_seconds, last), warmup: records(warmup_seconds, last) };
    let line = run(client, cell, bootstrap, counts);
    *cost = cost_in(&line).or(Some(last));
    line
}

/// Of operations that do not go as fast as they can.
pub(super) fn few(operation: Operation, client: &str) -> Counts {
    match operation {
        Operation::Latency if client == "java" => Counts { warmup: JAVA_LATENCY_WARMUP, ..LATENCY },
        Operation::Latency => LATENCY,
        Operation::E2e => E2E,
        Operation::Produce | Operation::Consume | Operation::First => Counts { records: 1, warmup: 0 },
    }
}

/// How many records take so much processor time.
pub(super) fn records(cpu_seconds: f64, cost_us: f64) -> u64 {
    let records = cpu_seconds * 1e6 / cost_us.max(f64::MIN_POSITIVE);
    // A cast of more than fits gives the most that fits.
    (records as u64).clamp(RECORDS_MIN, RECORDS_MAX)
}

/// One run: the client's line, or what went wrong as `error`.
fn run(client: &Client, cell: &Cell, bootstrap: &str, counts: Counts) -> Map<String, Value> {
    let line = match command(client, cell, bootstrap, counts).stdin(Stdio::null()).output() {
        Err(error) => Err(format!("timeout does not start: {error}")),
        Ok(output) if !output.status.success() => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            Err(format!("{}: {}", output.status, stderr.lines().last().unwrap_or_default()))
        }
        Ok(output) => result(&String::from_utf8_lossy(&output.stdout), cell.operation),
    };
    line.unwrap_or_else(|what| Map::from_iter([("error".to_owned(), json!(what))]))
}

pub(super) fn command(client: &Client, cell: &Cell, bootstrap: &str, counts: Counts) -> Command {
    let (program, first) = client.command.split_first().expect("a client has a program");
    let mut command = Command::new("timeout");
    command.arg(LIMIT_SECONDS);
    if cell.broker == Broker::Null {
        command.args(["taskset", "-c", CLIENT_CORE]);
    }
    if client.name == "java" {
        for variable in JAVA_VARIABLES {
            command.env_remove(variable);
        }
    }
    command.arg(program).args(first).args(arguments(cell, bootstrap, counts));
    command
}

/// The line in what a client printed, which has to have the number that it was called for.
pub(super) fn result(stdout: &str, operation: Operation) -> std::result::Result<Map<String, Value>, String> {
    let line = stdout.lines().find(|line| line.starts_with('{')).ok_or("printed no line of JSON")?;
    let line: Map<String, Value> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let metric = operation.metric().0;
    match line.get(metric).and_then(Value::as_f64) {
        Some(_) => Ok(line),
        None => Err(format!("printed no `{metric}`")),
    }
}

/// The command line that all clients share.
pub(super) fn arguments(cell: &Cell, bootstrap: &str, counts: Counts) -> Vec<String> {
    let mut words = vec![cell.operation.name().to_owned()];
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    option("--bootstrap", bootstrap);
    option("--topic", &cell.topic());
    option("--size", &cell.size.to_string());
    option("--compression", &cell.compression);
    option("--acks", "all");
    option("--batch-bytes", "65536");
    option("--inflight", "5");
    option("--partitions", "6");
    option("--linger-ms", &cell.operation.linger_ms().to_string());
    option("--records", &counts.records.to_string());
    option("--warmup", &counts.warmup.to_string());
    if cell.operation == Operation::E2e {
        option("--rate", &E2E_RATE.to_string());
    }
    if cell.operation != Operation::Consume {
        words.push("--idempotent".to_owned());
    }
    if cell.headers {
        words.push("--headers".to_owned());
    }
    words
}
