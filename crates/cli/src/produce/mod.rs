//! `milena produce`: lines of a file or of standard input become records.

mod chunks;
mod input;
mod line;
mod outcome;
mod sending;

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use milena::{Compression, Producer, TopicProducer};

use crate::args::Verbosity;
use crate::cluster::{ClusterArgs, Own};
use crate::escape::unescape;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::{args, timestamp};
use chunks::Delimiter;
use input::Input;
use line::LineFormat;
pub(crate) use line::{NewHeaders, NewRecord};
use outcome::Outcome;
use sending::{Ending, Sending};

/// How long the topic is waited for before the user is told.
const TOPIC_HINT_AFTER: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
#[command(after_long_help = args::examples(EXAMPLES))]
pub(crate) struct ProduceArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// The topic to write to.
    #[arg(short, long)]
    topic: String,

    /// The input; standard input without it, or with `-`.
    file: Option<PathBuf>,

    /// Each line is a JSON object: key, value, headers, partition, timestamp.
    ///
    /// All are optional. A key or value that is a string is its text; any other JSON is sent as it is written; null, or nothing,
    /// is null. Bytes that are no text go into key_base64 and value_base64. Headers are an object, or a list of [name, value].
    /// This is what `consume --output json` writes; topic and offset in it are passed over.
    #[arg(long, conflicts_with_all = ["key_separator", "null"], verbatim_doc_comment)]
    json: bool,

    /// Divides each line into key and value at the first of these; understands \t, \xHH and so on.
    #[arg(short = 'K', long, value_name = "SEPARATOR")]
    key_separator: Option<String>,

    /// Sends a key or value of exactly this text as null.
    #[arg(short = 'Z', long, value_name = "TEXT")]
    null: Option<String>,

    /// What ends a record, one byte; understands \0, \t, \xHH. Default: the end of a line, LF or CR LF; with -D '\n', a CR before
    /// it stays in the record.
    #[arg(short = 'D', long, value_name = "BYTE")]
    delimiter: Option<String>,

    /// The key of every record that brings none.
    #[arg(short, long)]
    key: Option<String>,

    /// Adds a header to every record. May be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,

    /// The partition of every record that brings none, in place of the partitioner's choice.
    #[arg(short, long, value_name = "NUMBER")]
    partition: Option<i32>,

    /// The timestamp of every record that brings none: milliseconds since 1970, or 2026-11-23T10:00:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    timestamp: Option<String>,

    /// Compresses batches: none (the default), gzip, snappy, lz4, zstd.
    #[arg(short = 'z', long, value_name = "CODEC")]
    compression: Option<Compression>,

    /// Prints TOPIC-PARTITION@OFFSET for each record, in the order of the input.
    #[arg(long)]
    show_offsets: bool,

    /// Goes on after a line that is no record or is not accepted; without this, the first such line ends the input.
    #[arg(long)]
    keep_going: bool,
}

const EXAMPLES: &[(&str, &str)] = &[
    ("Send the lines of a file", "milena produce -b localhost:9092 -t orders orders.txt"),
    ("Send keys and values", r"printf 'u42\thello\n' | milena produce -b localhost:9092 -t orders -K '\t'"),
    ("A tombstone", "echo 'u42:NULL' | milena produce -b localhost:9092 -t orders -K : -Z NULL"),
    (
        "Copy a topic, keys, headers, times and all",
        "milena consume -b localhost:9092 -t orders --from beginning -e -o json |\n    milena produce -b other:9092 -t orders --json",
    ),
    (
        "Compressed, spread by librdkafka's partitioner",
        "milena produce -b localhost:9092 -t orders -z zstd -X partitioner=consistent_random orders.txt",
    ),
];

pub(crate) async fn run(
    args: ProduceArgs,
    verbosity: Verbosity,
    interrupt: &mut Interrupt,
) -> Result<(), Failure> {
    let format = args.line_format()?;
    let delimiter = args.delimiter()?;
    let fixed = args.fixed()?;
    let input = Input::open(args.file.as_ref())?;

    let compression =
        args.compression.map(|codec| ("-z/--compression", "compression.type", codec.name().to_owned()));
    let own = Own { defaults: &[("client.id", "milena-produce")], flags: compression.as_slice() };
    let kafka = interrupt.cuts_off(args.cluster.connect(own)).await?;
    let producer = kafka.producer().build().await?;
    let topic = open_topic(&producer, &args.topic, interrupt).await?;
    if args.file.is_none() && io::stdin().is_terminal() && !verbosity.quiet {
        eprintln!("one record a line; Ctrl-D ends");
    }
    let is_long = args.file.is_some() || !io::stdin().is_terminal();
    let mut sending = Sending {
        producer,
        topic,
        format,
        delimiter,
        fixed,
        keep_going: args.keep_going,
        input_name: input.name.clone(),
        lines_read: 0,
        pending: VecDeque::new(),
        outcome: Outcome::default(),
        offsets: args.show_offsets.then(Output::stdout),
        progress: Progress::bytes(input.size, is_long && !verbosity.quiet),
        env: kafka.env().clone(),
    };
    let started = sending.env.now();
    let ending = sending.send_all(input.read(delimiter.byte()), interrupt).await?;
    sending.drain(&ending, interrupt).await?;
    sending.progress.finish();
    let summary = sending.outcome.summary(sending.env.now() - started);
    match ending {
        Ending::Signal(signal) => {
            eprintln!("interrupted: {summary}");
            Err(Failure::Interrupted(signal))
        }
        Ending::Stopped(problem) => Err(Failure::Operation(format!("{problem}\nstopped there: {summary}"))),
        Ending::EndOfInput if sending.outcome.is_complete() => {
            if !verbosity.quiet {
                eprintln!("{summary}");
            }
            Ok(())
        }
        Ending::EndOfInput => Err(Failure::Operation(summary)),
    }
}

/// Waits for the topic's metadata; one that does not exist may be created by the brokers, or by somebody.
async fn open_topic(
    producer: &Producer,
    name: &str,
    interrupt: &mut Interrupt,
) -> Result<TopicProducer, Failure> {
    let env = producer.env();
    let patience = env.deadline_after(TOPIC_HINT_AFTER);
    let mut opening = std::pin::pin!(producer.topic(name));
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            signal = interrupt.wait() => return Err(Failure::Interrupted(signal)),
            topic = &mut opening => return topic.map_err(Failure::operation),
            () = env.sleep_until(patience), if !told => {
                told = true;
                eprintln!("waiting for topic {name}; if it does not exist, `milena topic create {name}` makes it");
            }
        }
    }
}

/// What records get that the input does not bring.
struct Fixed {
    key: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
    partition: Option<i32>,
    timestamp_ms: Option<i64>,
}

impl ProduceArgs {
    fn line_format(&self) -> Result<LineFormat, Failure> {
        if self.json {
            return Ok(LineFormat::Json);
        }
        let key_separator = self.key_separator.as_deref().map(unescape).transpose();
        let key_separator =
            key_separator.map_err(|error| Failure::Usage(format!("--key-separator: {error}")))?;
        if key_separator.as_ref().is_some_and(Vec::is_empty) {
            return Err(Failure::usage("--key-separator is empty; leave it out to send values only"));
        }
        let null_marker = self.null.as_ref().map(|text| text.as_bytes().to_vec());
        Ok(LineFormat::Text { key_separator, null_marker })
    }

    fn delimiter(&self) -> Result<Delimiter, Failure> {
        let Some(delimiter) = &self.delimiter else { return Ok(Delimiter::Line) };
        match *unescape(delimiter).map_err(|error| Failure::Usage(format!("--delimiter: {error}")))? {
            [byte] => Ok(Delimiter::Byte(byte)),
            _ => Err(Failure::Usage(format!("--delimiter is {delimiter:?}, but has to be one byte"))),
        }
    }

    fn fixed(&self) -> Result<Fixed, Failure> {
        let header = |text: &String| -> Result<_, Failure> {
            let (name, value) = text
                .split_once('=')
                .ok_or_else(|| Failure::Usage(format!("--header {text:?} has no `=`; write NAME=VALUE")))?;
            Ok((name.to_owned(), value.as_bytes().to_vec()))
        };
        let time = |text: &String| {
            timestamp::parse(text).ok_or_else(|| {
                Failure::Usage(format!("--timestamp {text:?} is no time; write 2026-11-23T10:00:00Z"))
            })
        };
        Ok(Fixed {
            key: self.key.as_ref().map(|key| key.as_bytes().to_vec()),
            headers: self.headers.iter().map(header).collect::<Result<_, _>>()?,
            partition: self.partition,
            timestamp_ms: self.timestamp.as_ref().map(time).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ProduceArgs,
    }

    fn parse(arguments: &[&str]) -> ProduceArgs {
        Line::try_parse_from([&["produce", "-t", "orders"], arguments].concat()).unwrap().args
    }

    #[test]
    fn separators_and_delimiters_understand_escapes() {
        let args = parse(&["-K", r"\t", "-D", r"\0"]);
        assert_eq!(args.delimiter().unwrap(), Delimiter::Byte(0));
        let format = args.line_format().unwrap();
        assert!(matches!(format, LineFormat::Text { key_separator: Some(tab), .. } if tab == b"\t"));
        assert_eq!(parse(&[]).delimiter().unwrap(), Delimiter::Line);
        assert_eq!(parse(&["-D", r"\n"]).delimiter().unwrap(), Delimiter::Byte(b'\n'));
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        let usage = |result: Result<(), Failure>, words: &str| match result {
            Err(Failure::Usage(text)) => assert!(text.contains(words), "{text}"),
            other => panic!("{other:?}"),
        };
        usage(parse(&["-D", "ab"]).delimiter().map(drop), "one byte");
        usage(parse(&["-K", ""]).line_format().map(drop), "empty");
        usage(parse(&["-H", "novalue"]).fixed().map(drop), "NAME=VALUE");
        usage(parse(&["--timestamp", "soon"]).fixed().map(drop), "no time");
    }
}
