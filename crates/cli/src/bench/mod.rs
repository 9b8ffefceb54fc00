//! `milena bench`: what the client costs, as its users meet it.

mod consume;
mod e2e;
mod embedded;
mod latency;
mod meter;
mod pool;
mod produce;
mod report;

use std::io::{self, IsTerminal};

use clap::{ArgAction, Args, ValueEnum};
use milena::{Compression, KafkaBuilder};

use crate::args::{self, Verbosity};
use crate::cluster::{ClusterArgs, Flag, Own};
use crate::ensure_topic::ensure_topic;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::print_line;
use crate::progress::Progress;
use crate::senders::Senders;
use embedded::EmbeddedBroker;
use report::Report;

/// Records between two looks at the progress bar; a power of two.
const PROGRESS_EVERY: u64 = 4_096;

#[derive(Args, Clone, Debug)]
#[command(after_long_help = args::examples(EXAMPLES))]
pub(crate) struct BenchArgs {
    /// What is measured.
    #[arg(value_enum)]
    operation: Operation,

    #[command(flatten)]
    cluster: ClusterArgs,

    /// The topic, which is created where it does not exist.
    #[arg(short, long, default_value = "bench")]
    topic: String,

    /// How many records are measured. Default: 1,000,000; 10,000 for latency and e2e. Always 1 for first.
    #[arg(short, long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    records: Option<u64>,

    /// How many records go before those that are measured.
    #[arg(short, long, value_name = "NUMBER", default_value_t = 0)]
    warmup: u64,

    /// The size of values, in bytes. Keys have 16.
    #[arg(short, long, value_name = "BYTES", default_value_t = 100)]
    size: usize,

    /// Compresses batches: none (the default), gzip, snappy, lz4 or zstd.
    #[arg(short = 'z', long, value_name = "CODEC")]
    compression: Option<Compression>,

    /// Which replicas must have a record: all (the default), 1 or 0.
    #[arg(long, value_name = "ACKS")]
    acks: Option<String>,

    /// How long an incomplete batch waits for more records, in milliseconds. Default: 5. Always 0 for latency and first.
    #[arg(long, value_name = "MS")]
    linger_ms: Option<u64>,

    /// When a batch is full, in bytes before compression. Default: 65536.
    #[arg(long, value_name = "BYTES")]
    batch_bytes: Option<usize>,

    /// Batches in flight per partition. Default: 5.
    #[arg(long, value_name = "NUMBER")]
    inflight: Option<usize>,

    /// Whether the producer is idempotent. Default: true, unless acks is not all.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    idempotent: Option<bool>,

    /// Sends five headers with each record.
    #[arg(long, action = ArgAction::SetTrue)]
    headers: bool,

    /// How many partitions the topic gets where it is created.
    #[arg(short, long, value_name = "NUMBER", default_value_t = 6)]
    partitions: i32,

    /// Records per second, for e2e.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,

    /// Prints one line of JSON instead of a table; always so where standard output is no terminal.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Operation {
    /// Sends as fast as possible, until the last record is acknowledged.
    Produce,
    /// Reads all partitions from the beginning.
    Consume,
    /// Sends one record at a time.
    Latency,
    /// From a producer to a consumer in this process, at --rate records a second.
    E2e,
    /// From connecting to the first acknowledgement.
    First,
}

const EXAMPLES: &[(&str, &str)] = &[
    ("On an embedded broker, whose processor time counts, too", "milena bench produce --size 1000 -z lz4"),
    (
        "On a cluster, after a warm-up",
        "milena bench produce -b localhost:9092 --records 5000000 --warmup 500000",
    ),
    ("Read what that wrote", "milena bench consume -b localhost:9092 --records 5000000"),
    (
        "How long an acknowledgement takes",
        "milena bench latency -b localhost:9092 --records 20000 --warmup 1000",
    ),
    (
        "The way through a cluster at a steady rate",
        "milena bench e2e -b localhost:9092 --rate 1000 --linger-ms 0",
    ),
];

/// What is overridden by the options that stand for the same, by -X and by --config.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "milena-bench"),
    ("linger.ms", "5"),
    ("batch.size", "65536"),
    ("max.in.flight.requests.per.connection", "5"),
];

pub(crate) async fn run(
    args: BenchArgs,
    verbosity: Verbosity,
    interrupt: &mut Interrupt,
) -> Result<(), Failure> {
    let senders = Senders::default();
    senders.run(interrupt, measure(args, verbosity, &senders)).await
}

async fn measure(args: BenchArgs, verbosity: Verbosity, senders: &Senders) -> Result<(), Failure> {
    let compression = args.check()?;
    // Kept until the end: the broker ends with it.
    let mut embedded = None;
    if !args.cluster.has_bootstrap()? {
        if !verbosity.quiet {
            eprintln!(
                "no -b given: on an embedded broker in this process, whose processor time and memory count, too"
            );
        }
        embedded = Some(EmbeddedBroker::start().await?);
    }
    let bootstrap = embedded.as_ref().map(|broker| broker.bootstrap.as_str());
    let for_people = !args.json && io::stdout().is_terminal();
    let mut progress = Progress::records(args.warmup() + args.records(), for_people && !verbosity.quiet);

    // On a connection of its own, so that `first` is measured cold.
    let preparing = args.builder(bootstrap)?.connect().await?;
    ensure_topic(&preparing.admin(), &args.topic, args.partitions).await?;
    if embedded.is_some() && args.operation == Operation::Consume {
        consume::fill(&args, &preparing, senders).await?;
    }
    let env = preparing.env().clone();
    drop(preparing);

    let builder = args.builder(bootstrap)?;
    let measured = match args.operation {
        Operation::Produce => produce::run(&args, &builder.connect().await?, senders, &mut progress).await?,
        Operation::Consume => consume::run(&args, &builder.connect().await?, &mut progress).await?,
        Operation::E2e => e2e::run(&args, &builder.connect().await?, senders, &mut progress).await?,
        Operation::Latency | Operation::First => {
            latency::run(&args, builder, &env, senders, &mut progress).await?
        }
    };
    progress.finish();
    let report = Report::new(args.operation_name(), args.size, compression.to_string(), &measured);
    print_line(&if for_people { report.table() } else { report.json() })
}

impl BenchArgs {
    fn records(&self) -> u64 {
        let default = match self.operation {
            Operation::Produce | Operation::Consume => 1_000_000,
            Operation::Latency | Operation::E2e => 10_000,
            Operation::First => return 1,
        };
        self.records.unwrap_or(default)
    }

    fn warmup(&self) -> u64 {
        if self.operation == Operation::First { 0 } else { self.warmup }
    }

    fn operation_name(&self) -> String {
        let value = self.operation.to_possible_value();
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The properties that the options stand for.
    fn flags(&self) -> Vec<Flag> {
        let linger_ms = match self.operation {
            Operation::Latency | Operation::First => Some(0),
            _ => self.linger_ms,
        };
        let in_flight = "max.in.flight.requests.per.connection";
        [
            ("-z/--compression", "compression.type", self.compression.map(|codec| codec.name().to_owned())),
            ("--acks", "acks", self.acks.clone()),
            ("--linger-ms", "linger.ms", linger_ms.map(|ms| ms.to_string())),
            ("--batch-bytes", "batch.size", self.batch_bytes.map(|bytes| bytes.to_string())),
            ("--inflight", in_flight, self.inflight.map(|number| number.to_string())),
            ("--idempotent", "enable.idempotence", self.idempotent.map(|idempotent| idempotent.to_string())),
        ]
        .into_iter()
        .filter_map(|(flag, key, value)| value.map(|value| (flag, key, value)))
        .collect()
    }

    /// Refuses, before anything begins, records that the producer would refuse one by one. Tells the compression.
    fn check(&self) -> Result<Compression, Failure> {
        let properties = self.cluster.properties(Own { defaults: DEFAULTS, flags: &self.flags() })?;
        let producer = properties.resolve().and_then(|given| given.producer()).map_err(Failure::usage)?;
        let (bytes, limit) = (pool::record_bytes(self.size, self.headers), producer.max_request_size);
        if self.operation.sends() && bytes > limit {
            return Err(Failure::Usage(format!(
                "--size {}: a record of {bytes} bytes exceeds max.request.size ({limit} bytes); lower it, or raise the limit \
                 with -X max.request.size=BYTES (and the topic's max.message.bytes)",
                self.size
            )));
        }
        Ok(producer.compression.compression())
    }

    /// The client that is measured, at `bootstrap` if there is an embedded broker.
    fn builder(&self, bootstrap: Option<&str>) -> Result<KafkaBuilder, Failure> {
        let own = Own { defaults: DEFAULTS, flags: &self.flags() };
        match bootstrap {
            Some(bootstrap) => self.cluster.builder_at(bootstrap, own),
            None => self.cluster.builder(own),
        }
    }
}

impl Operation {
    fn sends(self) -> bool {
        self != Self::Consume
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: BenchArgs,
    }

    #[test]
    fn the_command_line_of_the_other_clients_is_understood() {
        let line = "bench produce --bootstrap 127.0.0.1:9092 --topic sink --records 10 --warmup 2 --size 100 \
                    --compression lz4 --acks all --linger-ms 5 --batch-bytes 65536 --inflight 5 --idempotent --headers \
                    --partitions 6 --rate 1000 --json";
        let args = Line::try_parse_from(line.split_whitespace()).unwrap().args;
        assert_eq!((args.records(), args.warmup, args.idempotent), (10, 2, Some(true)));
        assert_eq!(args.cluster.bootstrap.as_deref(), Some("127.0.0.1:9092"));
        assert!(args.builder(None).is_ok());
    }

    #[test]
    fn a_record_that_no_request_holds_is_refused_before_anything_begins() {
        let check = |line: &str| Line::try_parse_from(line.split_whitespace()).unwrap().args.check();
        for operation in ["produce", "latency", "e2e", "first"] {
            let refused = check(&format!("bench {operation} --size 1100000"));
            assert!(
                matches!(&refused, Err(Failure::Usage(text)) if text.contains("--size 1100000") && text.contains("max.request.size")),
                "{refused:?}"
            );
        }
        assert!(check("bench produce --size 1100000 -X max.request.size=2000000").is_ok());
        assert!(check("bench produce --size 1000000").is_ok());
    }

    #[test]
    fn an_option_that_contradicts_a_property_is_refused_and_one_that_does_not_is_reported() {
        let check = |line: &str| Line::try_parse_from(line.split_whitespace()).unwrap().args.check();
        for (option, property) in
            [("--linger-ms 1", "linger.ms=2"), ("-z lz4", "compression.codec=gzip"), ("--acks 1", "acks=0")]
        {
            let refused = check(&format!("bench produce {option} -X {property}"));
            assert!(
                matches!(&refused, Err(Failure::Usage(text)) if text.contains("have different values")),
                "{refused:?}"
            );
        }
        assert_eq!(check("bench produce -X compression.type=zstd").unwrap(), Compression::Zstd);
        assert_eq!(check("bench produce").unwrap(), Compression::None);
    }

    #[test]
    fn idempotence_may_be_turned_off() {
        let line = "bench produce --acks 1 --idempotent=false";
        let args = Line::try_parse_from(line.split_whitespace()).unwrap().args;
        assert_eq!(args.idempotent, Some(false));
        assert_eq!(args.records(), 1_000_000);
    }
}
