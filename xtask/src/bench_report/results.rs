//! What was measured, saved as it was and read again.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::Result;
use super::cell::Cell;

/// One line for each run of a client.
pub(super) const ROUNDS: &str = "rounds.jsonl";
/// Where and with what it was measured.
pub(super) const RUN: &str = "run.json";

/// One run of a client.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) client: String,
    pub(super) cell: Cell,
    numbers: Map<String, Value>,
}

/// All runs, in the order in which they were.
#[derive(Clone, Debug, Default)]
pub(super) struct Results {
    rows: Vec<Row>,
    /// Machine, versions and command: names and what is said of them, in order.
    pub(super) facts: Vec<(String, String)>,
}

/// Of several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Row {
    /// A line of [`ROUNDS`]; `None` for a run that failed.
    pub(super) fn parse(line: &str) -> Result<Option<Self>> {
        let Value::Object(numbers) = serde_json::from_str(line)? else {
            return Err(format!("not a JSON object: {line}").into());
        };
        if numbers.contains_key("error") {
            return Ok(None);
        }
        let client = numbers.get("client").and_then(Value::as_str).ok_or("a result without `client`")?;
        Ok(Some(Self { client: client.to_owned(), cell: Cell::of_line(&numbers)?, numbers }))
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
        let mut rows = Vec::new();
        for line in rounds.lines() {
            rows.extend(Row::parse(line)?);
        }
        let facts: Vec<(String, String)> = serde_json::from_str(run)?;
        Ok(Self { rows, facts })
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

    /// The clients that have a result in one of these cells, in the order of `all`; then those that are not in it.
    pub(super) fn clients<'a>(&'a self, cells: &[&Cell], all: &[&'a str]) -> Vec<&'a str> {
        let measured =
            |client: &str| self.rows.iter().any(|row| row.client == client && cells.contains(&&row.cell));
        let mut clients: Vec<&str> = all.iter().copied().filter(|client| measured(client)).collect();
        for row in self.rows.iter().filter(|row| cells.contains(&&row.cell)) {
            if !clients.contains(&row.client.as_str()) {
                clients.push(&row.client);
            }
        }
        clients
    }

    /// What the rounds of a client in a cell say of one of its numbers.
    pub(super) fn summary(&self, client: &str, cell: &Cell, number: &str) -> Option<Summary> {
        let of_cell = self.rows.iter().filter(|row| row.client == client && row.cell == *cell);
        Summary::of(of_cell.filter_map(|row| row.number(number)).collect())
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
