use std::process::exit;
use std::str::FromStr;

/// Of every record.
const KEY_LEN: usize = 16;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Records as fast as possible, until all are acknowledged.
    Produce,
    /// All partitions from the beginning; lengths of keys and values are added up.
    Consume,
    /// One record at a time.
    Latency,
    /// From a producer to a consumer in this process, at a rate.
    E2e,
    /// From connecting to the first acknowledgement.
    First,
}

/// The command line.
#[derive(Clone, Debug)]
pub struct Args {
    pub operation: Operation,
    pub bootstrap: String,
    pub topic: String,
    pub records: usize,
    pub warmup: usize,
    pub size: usize,
    pub compression: String,
    pub linger_ms: u64,
    pub batch_bytes: usize,
    pub inflight: usize,
    pub idempotent: bool,
    pub headers: bool,
    pub partitions: i32,
    pub rate: usize,
}

impl Args {
    /// That of this process; a mistake ends it.
    pub fn from_command_line() -> Self {
        Self::parse(std::env::args().skip(1)).unwrap_or_else(|mistake| {
            eprintln!("{mistake}");
            exit(2)
        })
    }

    /// In the keys and values of so many records.
    pub fn bytes_of(&self, records: usize) -> usize {
        records * (KEY_LEN + self.size)
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let operation = words.next().unwrap_or_default().parse()?;
        let mut args = Self {
            operation,
            bootstrap: String::new(),
            topic: "bench".to_owned(),
            records: 1_000_000,
            warmup: 0,
            size: 100,
            compression: "none".to_owned(),
            linger_ms: 5,
            batch_bytes: 65_536,
            inflight: 5,
            idempotent: false,
            headers: false,
            partitions: 6,
            rate: 1_000,
        };
        while let Some(option) = words.next() {
            match option.as_str() {
                "--idempotent" => args.idempotent = true,
                "--headers" => args.headers = true,
                _ => {
                    let value = words.next().ok_or_else(|| format!("{option} needs a value"))?;
                    args.set(&option, value)?;
                }
            }
        }
        if operation == Operation::First {
            (args.records, args.warmup) = (1, 0);
        }
        Ok(args)
    }

    fn set(&mut self, option: &str, value: String) -> Result<(), String> {
        match option {
            "--bootstrap" => self.bootstrap = value,
            "--topic" => self.topic = value,
            "--records" => self.records = number(option, &value)?,
            "--warmup" => self.warmup = number(option, &value)?,
            "--size" => self.size = number(option, &value)?,
            "--compression" => self.compression = value,
            "--acks" if value == "all" => {}
            "--acks" => return Err("only --acks all is measured".to_owned()),
            "--linger-ms" => self.linger_ms = number(option, &value)?,
            "--batch-bytes" => self.batch_bytes = number(option, &value)?,
            "--inflight" => self.inflight = number(option, &value)?,
            "--partitions" => self.partitions = number(option, &value)?,
            "--rate" => self.rate = number(option, &value)?,
            _ => return Err(format!("unknown option {option}")),
        }
        Ok(())
    }
}

fn number<N: FromStr>(option: &str, value: &str) -> Result<N, String> {
    value.parse().map_err(|_| format!("{option}: `{value}` is not a number that it takes"))
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "produce" => Ok(Self::Produce),
            "consume" => Ok(Self::Consume),
            "latency" => Ok(Self::Latency),
            "e2e" => Ok(Self::E2e),
            "first" => Ok(Self::First),
            _ => Err(format!("unknown operation `{name}`; use produce, consume, latency, e2e or first")),
        }
    }
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Produce => "produce",
            Self::Consume => "consume",
            Self::Latency => "latency",
            Self::E2e => "e2e",
            Self::First => "first",
        }
    }
}
