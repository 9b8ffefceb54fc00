//! Measures kacrab, on a runtime of one thread.
//!
//! Its `send` does not wait: when the buffer is full it spins until `max.block.ms`, and on one thread nobody would empty the buffer
//! meanwhile. So what is pending is bounded here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kacrab::common::TopicPartition;
use kacrab::consumer::Consumer;
use kacrab::producer::{Producer, ProducerRecord, SendFuture};
use peer_common::{
    Args, Arrivals, BUFFER_BYTES, FETCH_WAIT, Latencies, Meter, OneByOne, PENDING_MAX, Pace, Peer, Result,
    SETTLING, SharedEvent, shared_pool,
};

const CLIENT: &str = "kacrab";
const POLL: Duration = Duration::from_millis(500);
const POLL_RECORDS: &str = "5000";
/// What a record takes in the buffer besides its value, about.
const RECORD_OVERHEAD: usize = 100;

struct Kacrab;

fn main() -> Result<()> {
    peer_common::run::<Kacrab>()
}

fn record(topic: &Arc<str>, event: &SharedEvent) -> ProducerRecord {
    let record = ProducerRecord::unassigned(topic.clone()).key(event.key.clone()).value(event.value.clone());
    event.headers.iter().fold(record, |record, (name, value)| {
        record.header(Bytes::from_static(name.as_bytes()), value.clone())
    })
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

impl Peer for Kacrab {
    async fn produce(args: &Args) -> Result<()> {
        let (pool, topic) = (shared_pool(args.size, args.headers), Arc::from(args.topic.as_str()));
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
            pending.push_back(producer.send(record(&topic, &pool[number % pool.len()]))?);
        }
        settle(&mut pending).await?;
        meter.report(CLIENT, args, args.records, args.bytes_of(args.records), Latencies::default());
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

    async fn latency(args: &Args) -> Result<()> {
        let (pool, topic) = (shared_pool(args.size, args.headers), Arc::from(args.topic.as_str()));
        let mut clock = OneByOne::start(args);
        let producer = producer(args).await?;
        while let Some(number) = clock.next() {
            producer.send(record(&topic, &pool[number % pool.len()]))?.await?;
            clock.acknowledged();
        }
        clock.report(CLIENT);
        Ok(())
    }

    async fn end_to_end(args: &Args) -> Result<()> {
        let mut consumer = consumer(args, "latest").await?;
        let producer = producer(args).await?;
        let settling = Instant::now();
        while settling.elapsed() < SETTLING {
            consumer.poll(Duration::from_millis(50)).await?;
        }
        let (pool, topic) = (shared_pool(args.size, args.headers), Arc::from(args.topic.as_str()));
        let pace = Pace::start(args);
        let sending = async {
            for number in pace.numbers() {
                let record = record(&topic, &pool[number % pool.len()]);
                // Nobody waits for the acknowledgement: the record itself is waited for.
                drop(producer.send(record.key(pace.key_when_due(number).await))?);
            }
            Result::Ok(())
        };
        let mut arrivals = Arrivals::start(args, pace);
        let receiving = async {
            while !arrivals.are_complete() {
                for record in &consumer.poll(POLL).await? {
                    arrivals.add(record.key.as_deref());
                }
            }
            Ok(())
        };
        tokio::try_join!(sending, receiving)?;
        arrivals.report(CLIENT);
        Ok(())
    }
}

async fn settle(pending: &mut VecDeque<SendFuture>) -> Result<()> {
    for delivery in pending.drain(..) {
        delivery.await?;
    }
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
