//! `milena demo`: journeys of several users through a shop, written to Kafka, read back, and checked.

mod check;
mod story;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use console::{Color, style};
use milena::broker::Cluster;
use milena::env::Task;
use milena::serdes::{Json, Utf8};
use milena::typed::{TypedProducer, TypedReader};
use milena::{ClusterConnector, Delivery, Env, HeaderRef, Kafka, Producer, Record, TopicPartition};
use tokio::sync::mpsc;

use crate::args::{self, Verbosity};
use crate::cluster::{ClusterArgs, Own};
use crate::ensure_topic::ensure_topic;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::print_line;
use crate::senders::Senders;
use check::{Acknowledged, ReadBack};
use story::{JOURNEY, Journey, Message, UserEvent};

/// Partitions of the topic where the demonstration creates it.
const PARTITIONS: i32 = 6;
/// The longest pause between two steps of a journey.
const PAUSE_MS_MAX: u64 = 40;
/// Events that were sent and are not shown yet.
const SHOWN_LATER_MAX: usize = 256;
/// How long reading may bring nothing before the rest counts as lost.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What the producer is told; any of it may be overridden with -X.
const PROPERTIES: &[(&str, &str)] = &[
    ("client.id", "milena-demo"),
    ("acks", "all"),
    ("linger.ms", "10"),
    ("batch.size", "32768"),
    ("compression.type", "lz4"),
    ("partitioner.class", "md5_random"),
];

#[derive(Args, Debug)]
#[command(after_long_help = args::examples(EXAMPLES))]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// The topic, which is created where it does not exist. What is in it stays.
    #[arg(short, long, default_value = "user-events")]
    topic: String,

    /// How many users there are at once.
    #[arg(short, long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    users: u16,
}

const EXAMPLES: &[(&str, &str)] = &[
    ("On an embedded broker: nothing is needed", "milena demo"),
    ("On your cluster", "milena demo -b localhost:9092 --users 50"),
    ("With another compression", "milena demo -X compression.type=zstd"),
];

pub(crate) async fn run(
    args: DemoArgs,
    verbosity: Verbosity,
    interrupt: &mut Interrupt,
) -> Result<(), Failure> {
    let senders = Senders::default();
    senders.run(interrupt, demonstrate(args, verbosity, &senders)).await
}

async fn demonstrate(args: DemoArgs, verbosity: Verbosity, senders: &Senders) -> Result<(), Failure> {
    let own = Own { defaults: PROPERTIES, flags: &[] };
    // Kept until the end: the broker ends with it.
    let mut embedded = None;
    let kafka = if args.cluster.has_bootstrap()? {
        args.cluster.connect(own).await?
    } else {
        if !verbosity.quiet {
            eprintln!("no -b given: on an embedded broker in this process");
        }
        let cluster = Cluster::builder().in_memory().start().await.map_err(Failure::operation)?;
        let cluster = embedded.insert(cluster);
        let env = Env::builder().connector(ClusterConnector::new(cluster)).build();
        args.cluster.builder_at(&cluster.bootstrap(), own)?.env(env).connect().await?
    };
    let partitions = ensure_topic(&kafka.admin(), &args.topic, PARTITIONS).await?;
    print_line(&format!(
        "{} users, {} steps each, into {} ({partitions} partitions)\n",
        args.users,
        JOURNEY.len(),
        args.topic
    ))?;

    let producer = senders.keep(kafka.producer().build().await?);
    let acknowledged = play(&args, producer, kafka.env()).await?;
    let read = read_back(&args.topic, &kafka, &acknowledged).await?;
    report(&args.topic, &acknowledged, &read)
}

/// Plays all journeys at once and prints each event when it is acknowledged.
async fn play(args: &DemoArgs, producer: Producer, env: &Env) -> Result<Vec<Acknowledged>, Failure> {
    let producer = TypedProducer::new(producer, Utf8, Json);
    let (sender, mut receiver) = mpsc::channel(SHOWN_LATER_MAX);
    let users: Vec<Task> = (1..=usize::from(args.users))
        .map(|number| {
            let journey = Journey::new(number, || env.random_u64());
            env.spawn(travel(args.topic.clone(), journey, producer.clone(), sender.clone()))
        })
        .collect();
    drop(sender);

    let mut acknowledged = Vec::new();
    while let Some(sent) = receiver.recv().await {
        let (message, delivery) = sent?;
        let ack = delivery.await.map_err(Failure::operation)?;
        let offset = ack.offset.ok_or_else(|| {
            Failure::Operation(format!(
                "{}: acknowledged without an offset; use acks=all",
                ack.topic_partition
            ))
        })?;
        print_event(&message.event, &format!("{}@{offset}", ack.topic_partition))?;
        let (partition, timestamp_ms) = (ack.partition(), ack.timestamp_ms);
        acknowledged.push(Acknowledged { message, partition, offset, timestamp_ms });
    }
    drop(users);
    Ok(acknowledged)
}

/// One user's journey. Steps are sent one after another, and not waited for: their order is kept by the producer.
async fn travel(
    topic: String,
    journey: Journey,
    producer: TypedProducer<Utf8, Json>,
    sent: mpsc::Sender<Result<(Message, Delivery), Failure>>,
) {
    let env = producer.producer().env().clone();
    for step in 0..JOURNEY.len() {
        env.sleep(Duration::from_millis(env.random_u64() % PAUSE_MS_MAX)).await;
        let message = journey.message(step, env.timestamp_ms());
        let headers: Vec<_> = message
            .headers
            .iter()
            .map(|(name, value)| HeaderRef { key: name, value: Some(value.as_bytes()) })
            .collect();
        let record = Record::to(&topic).timestamp_ms(message.timestamp_ms).headers(&headers);
        let result = producer.send(record, &message.event.user_id, &message.event).await;
        let failed = result.is_err();
        let result = result.map(|delivery| (message, delivery)).map_err(Failure::operation);
        if sent.send(result).await.is_err() || failed {
            return;
        }
    }
}

/// Reads the part of the topic that was written, and gives the records that are this demonstration's.
async fn read_back(
    topic: &str,
    kafka: &Kafka,
    acknowledged: &[Acknowledged],
) -> Result<Vec<ReadBack>, Failure> {
    let trace_of = |message: &Message| message.headers.first().map(|(_, trace_id)| trace_id.clone());
    let traces: BTreeSet<String> = acknowledged.iter().filter_map(|ack| trace_of(&ack.message)).collect();
    let mut left = BTreeMap::<TopicPartition, (i64, i64)>::new();
    for ack in acknowledged {
        let range = left.entry(TopicPartition::new(topic, ack.partition)).or_insert((ack.offset, ack.offset));
        *range = (range.0.min(ack.offset), range.1.max(ack.offset));
    }

    let mut consumer = kafka.consumer().build().await?;
    consumer.assign(left.keys().cloned());
    for (partition, (first, _)) in &left {
        consumer.seek(partition, *first).map_err(Failure::operation)?;
    }
    let reader = TypedReader::new(Utf8, Json);
    let mut read = Vec::new();
    while !left.is_empty() {
        let deadline = kafka.env().deadline_after(READ_TIMEOUT);
        // When nothing comes any more, the check tells what is missing.
        let Some(next) = kafka.env().timeout_at(deadline, consumer.next()).await else { break };
        let Some(batch) = next.map_err(Failure::operation)? else { break };
        // Records that are not JSON of this form are somebody else's.
        for record in reader.read::<String, UserEvent>(&batch).flatten() {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers: Vec<_> = record
                .headers()
                .map(|header| (text(header.key), header.value.map_or_else(String::new, text)))
                .collect();
            if headers.iter().any(|(name, value)| name == "trace_id" && traces.contains(value)) {
                let (partition, offset, timestamp_ms) = (record.partition, record.offset, record.timestamp);
                read.push(ReadBack {
                    partition,
                    offset,
                    key: record.key,
                    event: record.value,
                    timestamp_ms,
                    headers,
                });
            }
        }
        left.retain(|partition, (_, last)| {
            partition != batch.topic_partition() || batch.next_offset() <= *last
        });
    }
    Ok(read)
}

fn print_event(event: &UserEvent, place: &str) -> Result<(), Failure> {
    let UserEvent { user_id, event, .. } = event;
    print_line(&format!("{}  {event:<16} {}", style(user_id).fg(color(user_id)), style(place).dim()))
}

/// What was read back, and whether it is as it should be.
fn report(topic: &str, acknowledged: &[Acknowledged], read: &[ReadBack]) -> Result<(), Failure> {
    print_line(&format!("\nread back {} of {} events:", read.len(), acknowledged.len()))?;
    for journey in check::journeys(read) {
        let user_id = &journey.user_id;
        let partitions: Vec<_> =
            journey.partitions.iter().map(|partition| format!("{topic}-{partition}")).collect();
        let steps: Vec<_> = journey.steps.iter().map(|(step, offset)| format!("{step}@{offset}")).collect();
        print_line(&format!(
            "{}  {}  {}",
            style(user_id).fg(color(user_id)),
            partitions.join(" "),
            style(steps.join(" ")).dim()
        ))?;
    }
    let problems = check::problems(acknowledged, read);
    if !problems.is_empty() {
        return Err(Failure::Operation(problems.join("\n")));
    }
    print_line(&format!(
        "\n{} every event is where it was acknowledged; each user stayed in one partition, in order; keys, values, \
         times and headers are as they were sent",
        style("ok").green().bold()
    ))
}

/// A colour for each user.
fn color(user_id: &str) -> Color {
    const COLORS: [Color; 6] =
        [Color::Cyan, Color::Green, Color::Yellow, Color::Magenta, Color::Blue, Color::Red];
    COLORS[user_id.bytes().map(usize::from).sum::<usize>() % COLORS.len()]
}
