//! What was measured, saved as it was and read again.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Result;
use super::cell::Cell;
use super::clients::NAMES;
pub(super) use super::clients::{FLOOR, OURS, REFERENCE};

/// One line for each run of a client.
pub(super) const ROUNDS: &str = "rounds.jsonl";
/// Where and with what it was measured; written when all is measured.
pub(super) const RUN: &str = "run.json";

/// One run of a client.
#[derive(Clone, Debug)]
struct Row {
    client: String,
    cell: Cell,
    /// What the client printed; with `error` if it failed.
    numbers: Map<String, Value>,
}

/// The circumstances of all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// Whether everything was measured, so that tables may show it.
    pub(super) is_whole: bool,
    /// Machine, versions and command: names and what is said of them, in order.
    pub(super) facts: Vec<(String, String)>,
    /// Clients that were to be measured, but could not be built.
    pub(super) not_built: Vec<String>,
}

/// All runs, in the order in which they were.
#[derive(Clone, Debug, Default)]
pub(super) struct Results {
    rows: Vec<Row>,
    pub(super) run: Run,
}

/// Of several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

/// How the rounds of a client in a cell went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// The floor cannot do everything.
    NotMeasured,
    NotBuilt,
    /// Every round failed.
    Failed,
    /// Some failed, but not all.
    Partly {
        median: f64,
        failed: usize,
        rounds: usize,
    },
    Measured {
        median: f64,
    },
}

impl Run {
    pub(super) fn parse(json: &str) -> Result<Self> {
        let run: Value = serde_json::from_str(json)?;
        let part = |name: &str| run.get(name).cloned().ok_or_else(|| format!("{RUN} has no `{name}`"));
        Ok(Self {
            is_whole: serde_json::from_value(part("is_whole")?)?,
            facts: serde_json::from_value(part("facts")?)?,
            not_built: serde_json::from_value(part("not_built")?)?,
        })
    }

    pub(super) fn json(&self) -> Value {
        json!({"is_whole": self.is_whole, "facts": self.facts, "not_built": self.not_built})
    }
}

impl Row {
    /// A line of [`ROUNDS`].
    fn parse(line: &str) -> Result<Self> {
        let Value::Object(numbers) = serde_json::from_str(line)? else {
            return Err(format!("not a JSON object: {line}").into());
        };
        let client = numbers.get("client").and_then(Value::as_str).ok_or("a result without `client`")?;
        Ok(Self { client: client.to_owned(), cell: Cell::of_line(&numbers)?, numbers })
    }

    fn is_failed(&self) -> bool {
        self.numbers.contains_key("error")
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).and_then(Value::as_f64)
    }
}

impl Results {
    pub(super) fn load(directory: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
        };
        Self::parse(&read(ROUNDS)?, &read(RUN)?)
    }

    pub(super) fn parse(rounds: &str, run: &str) -> Result<Self> {
        let rows = rounds.lines().map(Row::parse).collect::<Result<_>>()?;
        Ok(Self { rows, run: Run::parse(run)? })
    }

    /// The cells, each once, in the order in which they were first measured.
    pub(super) fn cells(&self) -> Vec<&Cell> {
        let mut cells = Vec::new();
        for row in &self.rows {
            if !cells.contains(&&row.cell) {
                cells.push(&row.cell);
            }
        }
        cells
    }

    /// The clients that had a turn in one of these cells, or were to have one: in the order of [`NAMES`], then others.
    pub(super) fn clients(&self, cells: &[&Cell]) -> Vec<&str> {
        let of_cells = self.rows.iter().filter(|row| cells.contains(&&row.cell));
        let mut clients: Vec<&str> = Vec::new();
        for client in of_cells.map(|row| &row.client).chain(&self.run.not_built) {
            if !clients.contains(&client.as_str()) {
                clients.push(client);
            }
        }
        // Of those that are not in it, the first remains the first.
        clients.sort_by_key(|client| NAMES.iter().position(|name| name == client).unwrap_or(NAMES.len()));
        clients
    }

    fn rounds(&self, client: &str, cell: &Cell) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.client == client && row.cell == *cell)
    }

    /// What the rounds of a client in a cell say of one of its numbers, those that failed apart.
    pub(super) fn summary(&self, client: &str, cell: &Cell, number: &str) -> Option<Summary> {
        let good = self.rounds(client, cell).filter(|row| !row.is_failed());
        Summary::of(good.filter_map(|row| row.number(number)).collect())
    }

    /// By the number that clients are compared by.
    pub(super) fn outcome(&self, client: &str, cell: &Cell) -> Outcome {
        let rounds = self.rounds(client, cell).count();
        let failed = self.rounds(client, cell).filter(|row| row.is_failed()).count();
        match self.median(client, cell) {
            Some(median) if failed == 0 => Outcome::Measured { median },
            Some(median) => Outcome::Partly { median, failed, rounds },
            None if rounds > 0 => Outcome::Failed,
            None if self.run.not_built.iter().any(|name| name == client) => Outcome::NotBuilt,
            None => Outcome::NotMeasured,
        }
    }

    /// The clients and cells with rounds that failed, and how many.
    pub(super) fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for cell in self.cells() {
            for client in self.clients(&[cell]) {
                let failed = self.rounds(client, cell).filter(|row| row.is_failed()).count();
                let rounds = self.rounds(client, cell).count();
                if failed > 0 {
                    failures.push(format!("{client}, {cell}: {failed} of {rounds}"));
                }
            }
        }
        failures
    }

    /// The median of the number that clients are compared by.
    pub(super) fn median(&self, client: &str, cell: &Cell) -> Option<f64> {
        Some(self.summary(client, cell, cell.operation.metric().0)?.median)
    }

    /// The median as a multiple of another client's in the same cell.
    pub(super) fn ratio(&self, client: &str, other: &str, cell: &Cell) -> Option<f64> {
        Some(self.median(client, cell)? / self.median(other, cell)?).filter(|ratio| ratio.is_finite())
    }
}

impl Summary {
    /// The median of an even number of values is the mean of the two in the middle.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median: (low + high) / 2.0, min, max })
    }
}
