//! `milena consume`: records of a topic, on standard output.

mod format;
mod limits;
mod reading;
mod start;
mod starts;
mod template;

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use milena::config::choices::OffsetReset;
use milena::{Consumer, Env, ErrorCode, Kafka, TopicPartition};

use crate::args;
use crate::cluster::{ClusterArgs, Own};
use crate::escape::unescape;
use crate::failure::Failure;
use crate::output::Output;
use format::Format;
pub(crate) use format::ShownRecord;
use limits::Limits;
use reading::{Reading, Shown};
use start::Start;
use starts::Starts;
use template::Template;

#[derive(Args, Debug)]
#[command(after_long_help = args::examples(EXAMPLES))]
pub(crate) struct ConsumeArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// The topic to read. May be repeated.
    #[arg(short, long = "topic", required = true, value_name = "TOPIC")]
    topics: Vec<String>,

    /// A partition to read; all of them without it. May be repeated.
    #[arg(short, long = "partition", value_name = "NUMBER")]
    partitions: Vec<i32>,

    /// Where to begin: beginning, end, an offset (42), a number of last records of each partition (-10), or a time
    /// (2026-11-23T10:00:00Z, UTC without an offset; or @ and milliseconds). Default: as auto.offset.reset says, if that is given;
    /// else end.
    #[arg(long, value_name = "START", allow_hyphen_values = true)]
    from: Option<Start>,

    /// Ends after this many records.
    #[arg(short = 'n', long, value_name = "NUMBER")]
    count: Option<u64>,

    /// Ends at the end of the partitions, as it was at the beginning.
    #[arg(short, long)]
    exit: bool,

    /// How records are shown.
    #[arg(short, long, value_enum, default_value_t = OutputKind::Text)]
    output: OutputKind,

    #[arg(short, long, value_name = "TEMPLATE", conflicts_with = "output", help = template::HELP, verbatim_doc_comment)]
    format: Option<String>,

    /// Shows keys before values, and this between them; understands \t, \xHH and so on.
    #[arg(short = 'K', long, value_name = "SEPARATOR", conflicts_with = "format")]
    key_separator: Option<String>,

    /// What is shown for null, except in JSON.
    #[arg(short = 'Z', long, value_name = "TEXT", default_value = "")]
    null: String,

    /// Goes on after an error: past what is damaged, and with the other partitions. The exit code is 1 all the same.
    #[arg(long)]
    keep_going: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputKind {
    /// Values, one a line.
    Text,
    /// JSON objects, one a line, which `produce --json` reads; bytes that are no text are base64.
    Json,
}

const EXAMPLES: &[(&str, &str)] = &[
    ("Follow a topic", "milena consume -b localhost:9092 -t orders"),
    ("All there is, as JSON", "milena consume -b localhost:9092 -t orders --from beginning --exit -o json"),
    ("The last ten records of partition 3", "milena consume -b localhost:9092 -t orders -p 3 --from -10 -e"),
    ("One record by its offset", "milena consume -b localhost:9092 -t orders -p 3 --from 42 -n 1"),
    ("Since this morning", "milena consume -b localhost:9092 -t orders --from 2026-11-23T06:00:00Z -e"),
    ("By a template", r"milena consume -b localhost:9092 -t orders -f '%t-%p@%o %k: %s (%h)\n'"),
    (
        "Committed transactions only",
        "milena consume -b localhost:9092 -t orders -X isolation.level=read_committed",
    ),
];

pub(crate) async fn run(args: ConsumeArgs) -> Result<(), Failure> {
    let shown = Shown { format: args.format()?, null: args.null.clone().into_bytes() };
    let (start, reset) = args.start()?;
    // What to do when an offset is gone depends on whether it was asked for.
    let default_reset = match start {
        Start::Offset(_) => "none",
        Start::End => "latest",
        Start::Beginning | Start::Tail(_) | Start::Timestamp(_) => "earliest",
    };
    let defaults = [
        ("client.id", "milena-consume"),
        ("auto.offset.reset", default_reset),
        ("allow.auto.create.topics", "false"),
    ];
    let kafka = args.cluster.connect(Own { defaults: &defaults, flags: &[] }).await?;
    let mut consumer = kafka.consumer().build().await?;
    let partitions = partitions(&args, &kafka).await?;
    let starts = Starts::look_up(start, reset, &consumer, &partitions).await?;
    assign(&args, &mut consumer, partitions).await?;
    read(&args, consumer, starts, &shown).await
}

impl ConsumeArgs {
    /// Where to begin, and what was given as `auto.offset.reset`.
    fn start(&self) -> Result<(Start, Option<OffsetReset>), Failure> {
        const RESET: &str = "auto.offset.reset";
        let given = self.cluster.given()?;
        let reset = match given.is_set(RESET) {
            true => Some(given.consumer().map_err(Failure::usage)?.auto_offset_reset),
            false => None,
        };
        // --from wins over a file, but not over what stands beside it.
        let beside = reset.filter(|_| self.from.is_none()).or(match self.cluster.has_option(RESET)? {
            true => reset,
            false => None,
        });
        let start = start::choose(self.from, beside, Env::system().timestamp_ms()).map_err(Failure::Usage)?;
        Ok((start, reset))
    }

    fn format(&self) -> Result<Format, Failure> {
        if let Some(template) = &self.format {
            let template = Template::parse(template);
            return template
                .map(Format::Template)
                .map_err(|error| Failure::Usage(format!("--format: {error}")));
        }
        if self.output == OutputKind::Json {
            return Ok(Format::Json);
        }
        let key_separator = self.key_separator.as_deref().map(unescape).transpose();
        let key_separator =
            key_separator.map_err(|error| Failure::Usage(format!("--key-separator: {error}")))?;
        Ok(Format::Text { key_separator })
    }
}

/// Partitions that come later are read too, unless an end or certain partitions were asked for.
async fn assign(
    args: &ConsumeArgs,
    consumer: &mut Consumer,
    partitions: Vec<TopicPartition>,
) -> Result<(), Failure> {
    if args.exit || !args.partitions.is_empty() {
        consumer.assign(partitions);
        return Ok(());
    }
    for topic in &args.topics {
        consumer.assign_topic(topic.as_str()).await.map_err(Failure::operation)?;
    }
    Ok(())
}

async fn read(
    args: &ConsumeArgs,
    mut consumer: Consumer,
    starts: Starts,
    shown: &Shown,
) -> Result<(), Failure> {
    let mut limits = Limits { count: args.count, ends: args.exit.then_some(starts.ends) };
    for (partition, start) in &starts.offsets {
        consumer.seek(partition, *start).map_err(Failure::operation)?;
        limits.advance(partition, *start);
    }
    let mut reading = Reading {
        consumer,
        limits,
        shown,
        output: Output::stdout(),
        buffer: Vec::new(),
        keep_going: args.keep_going,
        errors: 0,
        stopped: BTreeSet::new(),
    };
    let result = reading.run().await;
    reading.output.flush()?;
    result
}

/// The partitions that were asked for, or all.
async fn partitions(args: &ConsumeArgs, kafka: &Kafka) -> Result<Vec<TopicPartition>, Failure> {
    let mut partitions = Vec::new();
    for topic in &args.topics {
        let description = kafka.admin().describe_topic(topic).await.map_err(|error| match error.code() {
            Some(ErrorCode::UnknownTopicOrPartition) => Failure::Operation(format!(
                "topic {topic} does not exist; `milena topic list` shows those that do, `milena topic create {topic}` makes it"
            )),
            _ => Failure::operation(error),
        })?;
        let there_are = description.partitions.len();
        if let Some(unknown) = args.partitions.iter().find(|wanted| !(0..there_are as i32).contains(wanted)) {
            return Err(Failure::Operation(format!(
                "topic {topic} has {there_are} partitions, and no {unknown}"
            )));
        }
        let all = description.partitions.iter().map(|partition| partition.partition);
        let wanted =
            all.filter(|partition| args.partitions.is_empty() || args.partitions.contains(partition));
        partitions.extend(wanted.map(|partition| TopicPartition::new(topic.as_str(), partition)));
    }
    Ok(partitions)
}
