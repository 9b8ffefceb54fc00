//! Measures kacrab, on a runtime of one thread.
//!
//! Its `send` does not wait: when the buffer is full it spins until `max.block.ms`, and on one thread nobody would empty the buffer
//! meanwhile. So what is pending is bounded here.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kacrab::common::TopicPartition;
use kacrab::consumer::Consumer;
use kacrab::producer::{Producer, ProducerRecord, SendFuture};
use peer_common::{Args, BUFFER_BYTES, FETCH_WAIT, Latencies, Meter, Operation, PENDING_MAX, SETTLING};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CLIENT: &str = "kacrab";
const POLL: Duration = Duration::from_millis(500);
const POLL_RECORDS: &str = "5000";
/// What a record takes in the buffer besides its value, about.
const RECORD_OVERHEAD: usize = 100;

/// An event whose bytes are shared with every record that is made of it.
struct Shared {
    key: Bytes,
    value: Bytes,
    headers: Vec<(Bytes, Bytes)>,
}

fn main() -> Result<()> {
    let args = Args::from_command_line();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.operation {
            Operation::Produce => produce(&args).await,
            Operation::Consume => consume(&args).await,
            Operation::Latency | Operation::First => latency(&args).await,
            Operation::E2e => end_to_end(&args).await,
        }
    })?;
    // What runs in the background has nothing to say any more.
    std::process::exit(0)
}

fn pool(size: usize) -> Vec<Shared> {
    let shared = |event: peer_common::Event| Shared {
        key: event.key.into(),
        value: event.value.into(),
        headers: event
            .headers
            .into_iter()
            .map(|(name, value)| (Bytes::from_static(name.as_bytes()), value.into()))
            .collect(),
    };
    peer_common::pool(size).into_iter().map(shared).collect()
}

fn record(args: &Args, topic: &Arc<str>, event: &Shared) -> ProducerRecord {
    let record = ProducerRecord::unassigned(topic.clone()).key(event.key.clone()).value(event.value.clone());
    if !args.headers {
        return record;
    }
    event.headers.iter().fold(record, |record, (name, value)| record.header(name.clone(), value.clone()))
}

async fn producer(args: &Args) -> Result<Producer> {
    let properties = [
        ("bootstrap.servers", args.bootstrap.clone()),
        ("acks", "all".to_owned()),
        ("enable.idempotence", args.idempotent.to_string()),
        ("linger.ms", args.linger_ms.to_string()),
        ("batch.size", args.batch_bytes.to_string()),
        ("buffer.memory", BUFFER_BYTES.to_string()),
        ("max.in.flight.requests.per.connection", args.inflight.to_string()),
        ("compression.type", args.compression.clone()),
    ];
    Ok(Producer::from_map(owned(properties)).await?)
}

async fn consumer(args: &Args, reset: &str) -> Result<Consumer> {
    let properties = [
        ("bootstrap.servers", args.bootstrap.clone()),
        ("enable.auto.commit", "false".to_owned()),
        ("fetch.max.wait.ms", FETCH_WAIT.as_millis().to_string()),
        ("max.poll.records", POLL_RECORDS.to_owned()),
        ("auto.offset.reset", reset.to_owned()),
    ];
    let mut consumer = Consumer::from_map(owned(properties)).await?;
    consumer.assign((0..args.partitions).map(|index| TopicPartition::new(args.topic.as_str(), index)))?;
    Ok(consumer)
}

fn owned<const N: usize>(properties: [(&str, String); N]) -> Vec<(String, String)> {
    properties.map(|(name, value)| (name.to_owned(), value)).into()
}

async fn produce(args: &Args) -> Result<()> {
    let (pool, topic) = (pool(args.size), Arc::from(args.topic.as_str()));
    let producer = producer(args).await?;
    // Before the metadata are there, `send` goes through a queue without bounds.
    producer.partitions_for(&args.topic).await?;
    let pending_max = PENDING_MAX.min(BUFFER_BYTES / 2 / (args.size + RECORD_OVERHEAD));
    let mut pending = VecDeque::<SendFuture>::with_capacity(pending_max);
    let mut meter = Meter::start();
    for number in 0..args.warmup + args.records {
        if number == args.warmup {
            settle(&mut pending).await?;
            meter = Meter::start();
        }
        if pending.len() == pending_max
            && let Some(first) = pending.pop_front()
        {
            first.await?;
        }
        pending.push_back(producer.send(record(args, &topic, &pool[number % pool.len()]))?);
    }
    settle(&mut pending).await?;
    let bytes = pool[0].key.len() + args.size;
    meter.report(CLIENT, args, args.records, args.records * bytes, Latencies::default());
    Ok(())
}

async fn settle(pending: &mut VecDeque<SendFuture>) -> Result<()> {
    for delivery in pending.drain(..) {
        delivery.await?;
    }
    Ok(())
}

async fn consume(args: &Args) -> Result<()> {
    let mut consumer = consumer(args, "earliest").await?;
    read(&mut consumer, args.warmup).await?;
    let meter = Meter::start();
    let (records, bytes) = read(&mut consumer, args.records).await?;
    meter.report(CLIENT, args, records, bytes, Latencies::default());
    Ok(())
}

/// Reads at least so many records; gives how many it were, and the bytes in their keys and values.
async fn read(consumer: &mut Consumer, wanted: usize) -> Result<(usize, usize)> {
    let (mut records, mut bytes) = (0, 0);
    while records < wanted {
        for record in &consumer.poll(POLL).await? {
            records += 1;
            bytes += record.key.as_ref().map_or(0, |key| key.len());
            bytes += record.value.as_ref().map_or(0, |value| value.len());
        }
    }
    Ok((records, bytes))
}

async fn latency(args: &Args) -> Result<()> {
    let (pool, topic) = (pool(args.size), Arc::from(args.topic.as_str()));
    let mut latencies = Latencies::default();
    let mut meter = Meter::start();
    let connecting = Instant::now();
    let producer = producer(args).await?;
    for number in 0..args.warmup + args.records {
        if number == args.warmup && number > 0 {
            meter = Meter::start();
        }
        let sending = Instant::now();
        producer.send(record(args, &topic, &pool[number % pool.len()]))?.await?;
        latencies.first_ack.get_or_insert_with(|| connecting.elapsed());
        if number >= args.warmup {
            latencies.each.push(sending.elapsed());
        }
    }
    let bytes = pool[0].key.len() + args.size;
    meter.report(CLIENT, args, args.records, args.records * bytes, latencies);
    Ok(())
}

async fn end_to_end(args: &Args) -> Result<()> {
    let mut consumer = consumer(args, "latest").await?;
    let producer = producer(args).await?;
    let settling = Instant::now();
    while settling.elapsed() < SETTLING {
        consumer.poll(Duration::from_millis(50)).await?;
    }
    let (pool, topic) = (pool(args.size), Arc::from(args.topic.as_str()));
    let total = args.warmup + args.records;
    let origin = Instant::now();
    let sending = async {
        for number in 0..total {
            if let Some(wait) = peer_common::until_due(origin, number, args.rate) {
                tokio::time::sleep(wait).await;
            }
            let record = record(args, &topic, &pool[number % pool.len()]);
            // Nobody waits for the acknowledgement: the record itself is waited for.
            drop(producer.send(record.key(peer_common::key_of_now(origin)))?);
        }
        Ok::<(), Box<dyn Error>>(())
    };
    let meter = Meter::start();
    let receiving = async {
        let (mut received, mut latencies) = (0, Latencies::default());
        while received < total {
            for record in &consumer.poll(POLL).await? {
                received += 1;
                let age = record.key.as_ref().and_then(|key| peer_common::age(origin, key));
                latencies.each.extend(age.filter(|_| received > args.warmup));
            }
        }
        Ok::<Latencies, Box<dyn Error>>(latencies)
    };
    let ((), latencies) = tokio::try_join!(sending, receiving)?;
    let records = latencies.each.len();
    meter.report(CLIENT, args, records, records * (pool[0].key.len() + args.size), latencies);
    Ok(())
}
