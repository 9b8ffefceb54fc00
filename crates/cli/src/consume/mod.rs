//! `milena consume`: records of a topic, on standard output.

mod format;
mod limits;
mod reading;
mod start;
mod template;

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use milena::consumer::OffsetAndTimestamp;
use milena::{Consumer, ErrorCode, Kafka, TopicPartition};

use crate::args;
use crate::cluster::ClusterArgs;
use crate::escape::unescape;
use crate::failure::Failure;
use crate::output::Output;
use format::Format;
pub(crate) use format::ShownRecord;
use limits::Limits;
use reading::{Reading, Shown};
use start::Start;
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
    /// (2026-11-23T10:00:00Z, UTC without an offset; or @ and milliseconds).
    #[arg(long, value_name = "START", default_value = "end", allow_hyphen_values = true)]
    from: Start,

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
    // What to do when an offset is gone depends on whether it was asked for.
    let reset = match args.from {
        Start::Offset(_) => "none",
        Start::End => "latest",
        Start::Beginning | Start::Tail(_) | Start::Timestamp(_) => "earliest",
    };
    let defaults = [
        ("client.id", "milena-consume"),
        ("auto.offset.reset", reset),
        ("allow.auto.create.topics", "false"),
    ];
    let kafka = args.cluster.connect(&defaults).await?;
    read(&args, &kafka, &shown).await
}

impl ConsumeArgs {
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

async fn read(args: &ConsumeArgs, kafka: &Kafka, shown: &Shown) -> Result<(), Failure> {
    let mut consumer = kafka.consumer().build().await?;
    let partitions = partitions(args, kafka).await?;
    let ends = consumer.end_offsets(&partitions).await.map_err(Failure::operation)?;
    let starts = start_offsets(args.from, &consumer, &partitions, &ends).await?;
    if args.exit || !args.partitions.is_empty() {
        consumer.assign(partitions);
    } else {
        for topic in &args.topics {
            consumer.assign_topic(topic.as_str()).await.map_err(Failure::operation)?;
        }
    }
    let mut limits = Limits { count: args.count, ends: args.exit.then_some(ends) };
    for (partition, start) in &starts {
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

/// The offset to begin at, in each partition.
async fn start_offsets(
    start: Start,
    consumer: &Consumer,
    partitions: &[TopicPartition],
    ends: &BTreeMap<TopicPartition, i64>,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    match start {
        Start::End => Ok(ends.clone()),
        Start::Offset(offset) => Ok(partitions.iter().map(|partition| (partition.clone(), offset)).collect()),
        Start::Beginning => consumer.beginning_offsets(partitions).await.map_err(Failure::operation),
        Start::Tail(count) => {
            let mut starts = consumer.beginning_offsets(partitions).await.map_err(Failure::operation)?;
            for (partition, start) in &mut starts {
                *start = (*start).max(ends.get(partition).map_or(0, |end| end - count));
            }
            Ok(starts)
        }
        Start::Timestamp(timestamp) => {
            let times = partitions.iter().map(|partition| (partition.clone(), timestamp));
            let found = consumer.offsets_for_times(times).await.map_err(Failure::operation)?;
            let start = |(partition, found): (TopicPartition, Option<OffsetAndTimestamp>)| {
                let offset = found.map(|found| found.offset).or_else(|| ends.get(&partition).copied());
                (partition, offset.unwrap_or(0))
            };
            Ok(found.into_iter().map(start).collect())
        }
    }
}
