//! What is said of Milena in each cell, and what we want it to be.

use super::cell::{Broker, Cell, Operation};
use super::results::{FLOOR, OURS, REFERENCE, Results};

/// A column of the table about Milena.
#[derive(Debug)]
pub(super) struct Measure {
    pub(super) head: &'static str,
    /// The field of a client's line.
    pub(super) number: &'static str,
    pub(super) beside: Beside,
}

/// What our number is shown beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nothing: it is shown as it is.
    Nothing,
    /// As a multiple of this client's.
    Times(&'static str),
    /// As a multiple of the best of the other clients, of which the floor is none.
    TimesBest,
    /// As what it has more than this client.
    Over(&'static str),
}

const fn column(head: &'static str, number: &'static str, beside: Beside) -> Measure {
    Measure { head, number, beside }
}

const CPU: &str = "cpu_us_per_record";
const MEMORY: &str = "max_rss_mb";

const THROUGHPUT: &[Measure] = &[
    column("processor time per record, us", CPU, Beside::Nothing),
    column("times franz-go", CPU, Beside::Times(REFERENCE)),
    column("times the floor", CPU, Beside::Times(FLOOR)),
    column("memory over the floor, MB", MEMORY, Beside::Over(FLOOR)),
];
const LATENCY: &[Measure] = &[
    column("p50, us", "p50_us", Beside::Nothing),
    column("p50, times the floor", "p50_us", Beside::Times(FLOOR)),
    column("p99, us", "p99_us", Beside::Nothing),
    column("p99, times the best peer", "p99_us", Beside::TimesBest),
    column("processor time per record, us", CPU, Beside::Nothing),
    column("memory over the floor, MB", MEMORY, Beside::Over(FLOOR)),
];
const E2E: &[Measure] = &[
    column("p50, us", "p50_us", Beside::Nothing),
    column("p50, times the best peer", "p50_us", Beside::TimesBest),
    column("p99, us", "p99_us", Beside::Nothing),
    column("p99, times the best peer", "p99_us", Beside::TimesBest),
];
const FIRST: &[Measure] = &[
    column("first acknowledgement, ms", "first_ack_ms", Beside::Nothing),
    column("times krafka", "first_ack_ms", Beside::Times("krafka")),
    column("times franz-go", "first_ack_ms", Beside::Times(REFERENCE)),
];

impl Measure {
    pub(super) fn all(operation: Operation) -> &'static [Self] {
        match operation {
            Operation::Produce | Operation::Consume => THROUGHPUT,
            Operation::Latency => LATENCY,
            Operation::E2e => E2E,
            Operation::First => FIRST,
        }
    }

    /// What came of it, by medians.
    pub(super) fn value(&self, results: &Results, cell: &Cell) -> Option<f64> {
        let median = |client: &str| Some(results.summary(client, cell, self.number)?.median);
        let ours = median(OURS)?;
        let value = match self.beside {
            Beside::Nothing => ours,
            Beside::Times(client) => ours / median(client)?,
            Beside::Over(client) => ours - median(client)?,
            Beside::TimesBest => {
                let peers =
                    results.clients(&[cell]).into_iter().filter(|client| ![OURS, FLOOR].contains(client));
                ours / peers.filter_map(median).min_by(f64::total_cmp)?
            }
        };
        value.is_finite().then_some(value)
    }

    /// What it should be at most.
    pub(super) fn goal(&self, cell: &Cell) -> Option<f64> {
        let on_null = cell.broker == Broker::Null;
        match (cell.operation, self.number, self.beside) {
            (_, CPU, Beside::Times(REFERENCE)) if on_null => times_reference(cell),
            // Only where next to nothing is left to do but to copy.
            (Operation::Consume, CPU, Beside::Times(FLOOR)) => {
                (cell.size == 1_000 && cell.compression == "none").then_some(1.15)
            }
            (_, MEMORY, Beside::Over(FLOOR)) => Some(12.0),
            (Operation::Latency, "p50_us", Beside::Times(FLOOR)) if !on_null => Some(1.2),
            (Operation::Latency, CPU, Beside::Nothing) if !on_null => Some(40.0),
            (_, _, Beside::TimesBest) if !on_null => Some(1.0),
            (Operation::First, _, Beside::Times("krafka")) if on_null => Some(1.0),
            _ => None,
        }
    }
}

/// Of processor time per record.
pub(super) fn times_reference(cell: &Cell) -> Option<f64> {
    match (cell.operation, cell.size, cell.compression.as_str(), cell.headers) {
        (Operation::Produce, 100, "none", false) => Some(0.33),
        (Operation::Produce, 100, "lz4", false) => Some(0.45),
        (Operation::Produce, 100, "lz4", true) => Some(0.43),
        (Operation::Produce, 1_000, "none", false) => Some(0.57),
        (Operation::Produce, 1_000, "lz4", false) => Some(0.65),
        (Operation::Consume, 100, "none" | "lz4", false) => Some(0.30),
        (Operation::Consume, 1_000, "none", false) => Some(0.77),
        (Operation::Consume, 1_000, "lz4", false) => Some(0.56),
        _ => None,
    }
}
