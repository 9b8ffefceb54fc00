//! The measuring: rounds in which every client has its turn.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use serde_json::{Map, Value, json};

use super::cell::{Broker, Cell, Operation};
use super::clients::{Client, Programs};
use super::results::{ROUNDS, RUN};
use super::{Options, Result};

/// The null broker's core, and the client's.
const BROKER_CORE: &str = "0";
const CLIENT_CORE: &str = "1";
/// A run that takes longer has hung.
const LIMIT_SECONDS: &str = "120";
/// How many records the run has that tells how many the others need.
const FIRST_RECORDS: u64 = 150_000;
const RECORDS_MIN: u64 = 20_000;
const RECORDS_MAX: u64 = 8_000_000;

/// The null broker, on its core until this is dropped.
struct NullBroker {
    process: Child,
    bootstrap: String,
}

pub(super) fn measure(options: &Options, programs: &Programs, facts: &[(String, String)]) -> Result<()> {
    fs::create_dir_all(&options.into)?;
    fs::write(options.into.join(RUN), serde_json::to_string_pretty(facts)?)?;
    let mut out = File::create(options.into.join(ROUNDS))?;
    let null = NullBroker::start(&programs.nullbroker)?;
    // Processor time per record, by cell and client, as the last run had it.
    let mut costs: HashMap<(usize, usize), Option<f64>> = HashMap::new();
    for round in 0..options.rounds {
        for (cell_index, cell) in options.cells.iter().enumerate() {
            for client_index in turns(programs.clients.len(), round) {
                let client = &programs.clients[client_index];
                if !can(client, cell) {
                    continue;
                }
                let bootstrap = match cell.broker {
                    Broker::Null => &null.bootstrap,
                    Broker::Real => options.real.as_ref().ok_or("a cell on a Kafka that was not given")?,
                };
                let cost = costs.entry((cell_index, client_index)).or_default();
                let mut line = turn(options, client, cell, bootstrap, cost);
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
    client.name != "floor" || is_of_floor
}

/// One turn of a client: as many records as take the time that was asked for, by what they cost the last time. Before the first turn, a
/// short run tells that.
fn turn(
    options: &Options,
    client: &Client,
    cell: &Cell,
    bootstrap: &str,
    cost: &mut Option<f64>,
) -> Map<String, Value> {
    if !cell.operation.is_throughput() {
        return run(client, cell, bootstrap, None);
    }
    let cost_in = |line: &Map<String, Value>| line.get("cpu_us_per_record").and_then(Value::as_f64);
    let last = match *cost {
        Some(last) => last,
        None => {
            let line = run(client, cell, bootstrap, Some((FIRST_RECORDS, 1_000)));
            match cost_in(&line) {
                Some(first) => first,
                None => return line,
            }
        }
    };
    let counts = (records(options.cpu_seconds, last), records(client.warmup_seconds, last));
    let line = run(client, cell, bootstrap, Some(counts));
    *cost = cost_in(&line).or(Some(last));
    line
}

/// How many records take so much processor time.
pub(super) fn records(cpu_seconds: f64, cost_us: f64) -> u64 {
    let records = cpu_seconds * 1e6 / cost_us.max(f64::MIN_POSITIVE);
    // A cast of more than fits gives the most that fits.
    (records as u64).clamp(RECORDS_MIN, RECORDS_MAX)
}

/// One run, with so many records after so many to warm up: the client's line, or what went wrong as `error`.
fn run(client: &Client, cell: &Cell, bootstrap: &str, counts: Option<(u64, u64)>) -> Map<String, Value> {
    let (program, first) = client.command.split_first().expect("a client has a program");
    let mut command = Command::new("timeout");
    command.arg(LIMIT_SECONDS);
    if cell.broker == Broker::Null {
        command.args(["taskset", "-c", CLIENT_CORE]);
    }
    command.arg(program).args(first).args(arguments(cell, bootstrap, counts));
    let failure = |what: String| Map::from_iter([("error".to_owned(), json!(what))]);
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => return failure(format!("timeout does not start: {error}")),
    };
    let stdout = String::from_utf8_lossy(&output.stdout);
    let line = stdout.lines().find(|line| line.starts_with('{'));
    let line = line.filter(|_| output.status.success()).and_then(|line| serde_json::from_str(line).ok());
    line.unwrap_or_else(|| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        failure(format!("{}: {}", output.status, stderr.lines().last().unwrap_or_default()))
    })
}

/// The command line that all clients share.
pub(super) fn arguments(cell: &Cell, bootstrap: &str, counts: Option<(u64, u64)>) -> Vec<String> {
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
    option("--linger-ms", if cell.operation.is_throughput() { "5" } else { "0" });
    match (cell.operation, counts) {
        (Operation::Latency, _) => {
            option("--records", "20000");
            option("--warmup", "1000");
        }
        (Operation::E2e, _) => {
            option("--records", "10000");
            option("--rate", "1000");
        }
        (_, Some((records, warmup))) => {
            option("--records", &records.to_string());
            option("--warmup", &warmup.to_string());
        }
        (_, None) => {}
    }
    if cell.operation != Operation::Consume {
        words.push("--idempotent".to_owned());
    }
    if cell.headers {
        words.push("--headers".to_owned());
    }
    words
}

impl NullBroker {
    fn start(program: &str) -> Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", BROKER_CORE, program]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| format!("taskset does not start: {error}"))?;
        let stdout = process.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let bootstrap = line.trim().strip_prefix("bootstrap=").map(str::to_owned);
        match bootstrap {
            Some(bootstrap) => Ok(Self { process, bootstrap }),
            None => {
                process.kill()?;
                Err("the null broker does not say where it listens".into())
            }
        }
    }
}

impl Drop for NullBroker {
    fn drop(&mut self) {
        // It has nothing to lose; if it has ended already, so much the better.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}
