//! What is compared: an operation, the records, the broker.

use std::fmt;

use serde_json::{Map, Value};

use super::Result;

/// An operation of the command line that all clients share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Produce,
    Consume,
    Latency,
    E2e,
    First,
}

/// Whom the clients talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broker {
    /// One that costs next to nothing, on a core of its own.
    Null,
    /// A real Kafka, which shares the machine with the client.
    Real,
}

/// One row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) operation: Operation,
    pub(super) broker: Broker,
    pub(super) size: u64,
    pub(super) compression: String,
    pub(super) headers: bool,
}

const COMPRESSIONS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

impl Operation {
    pub(super) const ALL: [Self; 5] = [Self::Produce, Self::Consume, Self::Latency, Self::E2e, Self::First];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Produce => "produce",
            Self::Consume => "consume",
            Self::Latency => "latency",
            Self::E2e => "e2e",
            Self::First => "first",
        }
    }

    fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|operation| operation.name() == name);
        Ok(found.ok_or_else(|| {
            format!("unknown operation `{name}`; use produce, consume, latency, e2e or first")
        })?)
    }

    /// The number that clients are compared by: the field of a client's line, and its unit.
    pub(super) fn metric(self) -> (&'static str, &'static str) {
        match self {
            Self::Produce | Self::Consume => ("cpu_us_per_record", "us"),
            Self::Latency | Self::E2e => ("p50_us", "us"),
            Self::First => ("first_ack_ms", "ms"),
        }
    }

    /// How long a batch waits for more records, in milliseconds. One record at a time waits for nothing.
    pub(super) fn linger_ms(self) -> u32 {
        if self.is_throughput() { 5 } else { 0 }
    }

    /// As many records as possible, for so much processor time.
    pub(super) fn is_throughput(self) -> bool {
        matches!(self, Self::Produce | Self::Consume)
    }
}

impl Broker {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Real => "real",
        }
    }
}

impl Cell {
    /// `[real:]OPERATION:SIZE:COMPRESSION[:headers]`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let malformed = || format!("`{text}` is not [real:]OPERATION:SIZE:COMPRESSION[:headers]");
        let (broker, rest) = match text.strip_prefix("real:") {
            Some(rest) => (Broker::Real, rest),
            None => (Broker::Null, text),
        };
        let mut parts = rest.split(':');
        let mut next = || parts.next().ok_or_else(malformed);
        let operation = Operation::from_name(next()?)?;
        let size = next()?.parse().map_err(|_| malformed())?;
        let compression = next()?.to_owned();
        if !COMPRESSIONS.contains(&compression.as_str()) {
            return Err(format!("unknown compression in `{text}`; use {}", COMPRESSIONS.join(", ")).into());
        }
        let headers = match (parts.next(), parts.next()) {
            (None, _) => false,
            (Some("headers"), None) => true,
            _ => return Err(malformed().into()),
        };
        match (operation, broker) {
            (Operation::E2e, Broker::Null) => {
                Err("e2e is for a real Kafka: the null broker keeps nothing".into())
            }
            (Operation::Consume, Broker::Real) => {
                Err("consume is for the null broker: a real one would have to be filled".into())
            }
            _ => Ok(Self { operation, broker, size, compression, headers }),
        }
    }

    /// What a saved line says of its cell.
    pub(super) fn of_line(line: &Map<String, Value>) -> Result<Self> {
        let text = |name: &str| {
            line.get(name).and_then(Value::as_str).ok_or_else(|| format!("a result without `{name}`"))
        };
        Ok(Self {
            operation: Operation::from_name(text("op")?)?,
            broker: if text("broker")? == "real" { Broker::Real } else { Broker::Null },
            size: line.get("size").and_then(Value::as_u64).ok_or("a result without `size`")?,
            compression: text("compression")?.to_owned(),
            headers: line.get("headers").and_then(Value::as_bool).unwrap_or(false),
        })
    }

    /// The topic that it writes or reads. The null broker makes the records of a topic by what its name says.
    pub(super) fn topic(&self) -> String {
        match self.operation {
            Operation::Consume => {
                let headers = if self.headers { "-headers" } else { "" };
                format!("fetch-{}-{}{headers}", self.size, self.compression)
            }
            operation => format!("sink-{}", operation.name()),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} B, {}", self.operation.name(), self.size, self.compression)?;
        if self.headers {
            f.write_str(", 5 headers")?;
        }
        if self.broker == Broker::Real {
            f.write_str(", on Kafka")?;
        }
        Ok(())
    }
}
