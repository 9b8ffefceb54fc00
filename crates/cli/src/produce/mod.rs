//! `milena produce`: lines of a file or of standard input become records.

mod chunks;
mod input;
mod line;
mod outcome;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use milena::{Acknowledgement, Compression, Delivery, Env, HeaderRef, Producer, Record, TopicProducer};

use crate::args::Verbosity;
use crate::cluster::ClusterArgs;
use crate::escape::unescape;
use crate::failure::Failure;
use crate::interrupt::{Interrupt, Signal};
use crate::output::Output;
use crate::progress::Progress;
use crate::{args, timestamp};
use input::{Chunk, Input};
use line::LineFormat;
pub(crate) use line::{NewHeaders, NewRecord};
use outcome::Outcome;

/// After Ctrl-C, how long acknowledgements of what was sent are waited for. A second Ctrl-C ends that.
const DRAIN_MAX: Duration = Duration::from_secs(10);

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

    /// What ends a record, one byte; understands \0, \t, \xHH.
    #[arg(short = 'D', long, value_name = "BYTE", default_value = "\\n")]
    delimiter: String,

    /// The key of every record that brings none.
    #[arg(short, long)]
    key: Option<String>,

    /// Adds a header to every record. May be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,

    /// The partition of every record that brings none, in place of the partitioner's choice.
    #[arg(short, long)]
    partition: Option<i32>,

    /// The timestamp of every record that brings none: milliseconds since 1970, or 2026-11-23T10:00:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    timestamp: Option<String>,

    /// Compresses batches: none, gzip, snappy, lz4, zstd.
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

    let kafka = args.cluster.connect(&[("client.id", "milena-produce")]).await?;
    let mut builder = kafka.producer();
    if let Some(compression) = args.compression {
        builder = builder.compression(compression);
    }
    let producer = builder.build().await?;
    let topic = tokio::select! {
        biased;
        signal = interrupt.wait() => return Err(Failure::Interrupted(signal)),
        topic = producer.topic(&args.topic) => topic.map_err(Failure::operation)?,
    };
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
    let ending = sending.send_all(input.read(delimiter), interrupt).await?;
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

    fn delimiter(&self) -> Result<u8, Failure> {
        match *unescape(&self.delimiter).map_err(|error| Failure::Usage(format!("--delimiter: {error}")))? {
            [byte] => Ok(byte),
            _ => Err(Failure::Usage(format!("--delimiter is {:?}, but has to be one byte", self.delimiter))),
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

/// Why no more records are sent.
enum Ending {
    EndOfInput,
    Signal(Signal),
    /// A line, or reading itself, failed.
    Stopped(String),
}

struct Sending {
    producer: Producer,
    topic: TopicProducer,
    format: LineFormat,
    delimiter: u8,
    fixed: Fixed,
    keep_going: bool,
    input_name: String,
    lines_read: u64,
    /// Deliveries by the line they are of, in order. As many as the producer's buffer holds, and a chunk's.
    pending: VecDeque<(u64, Delivery)>,
    outcome: Outcome,
    offsets: Option<Output>,
    progress: Progress,
    env: Env,
}

impl Sending {
    /// Sends until the input ends or something stops it, and takes note of what is acknowledged meanwhile.
    async fn send_all(
        &mut self,
        mut chunks: tokio::sync::mpsc::Receiver<Chunk>,
        interrupt: &mut Interrupt,
    ) -> Result<Ending, Failure> {
        loop {
            tokio::select! {
                biased;
                signal = interrupt.wait() => return Ok(Ending::Signal(signal)),
                (line, result) = first(&mut self.pending) => self.note(line, &result)?,
                chunk = chunks.recv() => match chunk {
                    None => return Ok(Ending::EndOfInput),
                    Some(Err(error)) => return Ok(Ending::Stopped(format!("{}: {error}", self.input_name))),
                    Some(Ok(chunk)) => {
                        let stopped = tokio::select! {
                            biased;
                            signal = interrupt.wait() => Some(Ending::Signal(signal)),
                            sent = self.send_chunk(&chunk) => sent.err().map(Ending::Stopped),
                        };
                        self.progress.advance(chunk.len() as u64);
                        if let Some(ending) = stopped {
                            return Ok(ending);
                        }
                    }
                },
            }
        }
    }

    async fn send_chunk(&mut self, chunk: &[u8]) -> Result<(), String> {
        for line in chunks::lines(chunk, self.delimiter) {
            self.lines_read += 1;
            let Err(problem) = self.send_line(line).await else { continue };
            self.outcome.refused += 1;
            let problem = format!("{}:{}: {problem}", self.input_name, self.lines_read);
            if !self.keep_going {
                return Err(problem);
            }
            self.progress.note(&problem);
        }
        Ok(())
    }

    async fn send_line(&mut self, line: &[u8]) -> Result<(), String> {
        let new = self.format.parse(line)?;
        let fixed_headers = self.fixed.headers.iter().map(|(name, value)| (name, Some(value)));
        let own_headers = new.headers.iter().map(|(name, value)| (name, value.as_ref()));
        let headers: Vec<_> = fixed_headers
            .chain(own_headers)
            .map(|(name, value)| HeaderRef { key: name, value: value.map(Vec::as_slice) })
            .collect();
        let key = new.key.as_deref().or(self.fixed.key.as_deref());
        let mut record = Record::new().maybe_key(key).maybe_value(new.value.as_deref()).headers(&headers);
        if let Some(partition) = new.partition.or(self.fixed.partition) {
            record = record.partition(partition);
        }
        if let Some(timestamp_ms) = new.timestamp_ms.or(self.fixed.timestamp_ms) {
            record = record.timestamp_ms(timestamp_ms);
        }
        let delivery = self.topic.send(record).await.map_err(|error| error.to_string())?;
        self.outcome.sent += 1;
        self.pending.push_back((self.lines_read, delivery));
        Ok(())
    }

    /// Waits for what was sent: as long as the producer allows, or briefly after a signal.
    async fn drain(&mut self, ending: &Ending, interrupt: &mut Interrupt) -> Result<(), Failure> {
        let deadline = match ending {
            Ending::Signal(_) => self.env.deadline_after(DRAIN_MAX),
            // The delivery timeout is the bound.
            Ending::EndOfInput | Ending::Stopped(_) => self.env.deadline_after(Duration::MAX),
        };
        // Sends without waiting for the linger. What fails is told by the deliveries.
        let producer = self.producer.clone();
        let flush = async move { drop(producer.flush().await) };
        tokio::pin!(flush);
        let mut flushed = false;
        while !self.pending.is_empty() {
            tokio::select! {
                biased;
                _ = interrupt.wait() => break,
                () = self.env.sleep_until(deadline) => break,
                (line, result) = first(&mut self.pending) => self.note(line, &result)?,
                () = &mut flush, if !flushed => flushed = true,
            }
        }
        self.offsets.as_mut().map_or(Ok(()), Output::flush)
    }

    fn note(
        &mut self,
        line: u64,
        result: &Result<Acknowledgement, milena::producer::DeliveryError>,
    ) -> Result<(), Failure> {
        if let Some(message) = self.outcome.delivered(line, result) {
            self.progress.note(&message);
        }
        let Some(offsets) = &mut self.offsets else { return Ok(()) };
        if let Ok(ack) = result {
            let offset = ack.offset.map_or(Cow::Borrowed("?"), |offset| offset.to_string().into());
            offsets.write(format!("{}@{offset}\n", ack.topic_partition).as_bytes())?;
        }
        if self.pending.is_empty() { offsets.flush() } else { Ok(()) }
    }
}

/// The result of the oldest delivery, which is taken out; waits for ever when there is none.
async fn first(
    pending: &mut VecDeque<(u64, Delivery)>,
) -> (u64, Result<Acknowledgement, milena::producer::DeliveryError>) {
    let Some((line, delivery)) = pending.front_mut() else { return std::future::pending().await };
    let result = delivery.await;
    let line = *line;
    pending.pop_front();
    (line, result)
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
        assert_eq!(args.delimiter().unwrap(), 0);
        let format = args.line_format().unwrap();
        assert!(matches!(format, LineFormat::Text { key_separator: Some(tab), .. } if tab == b"\t"));
        assert_eq!(parse(&[]).delimiter().unwrap(), b'\n');
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
