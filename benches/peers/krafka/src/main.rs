//! Measures krafka: `enqueue` and the handles of deliveries, on a runtime of one thread.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use krafka::consumer::{AutoOffsetReset, Consumer};
use krafka::producer::{Acks, DeliveryHandle, Producer, Record};
use krafka::{Compression, Kafka};
use peer_common::{
    Args, Arrivals, BUFFER_BYTES, FETCH_WAIT, Latencies, Meter, OneByOne, PENDING_MAX, Pace, Peer, Result,
    SETTLING, SharedEvent, shared_pool,
};

const CLIENT: &str = "krafka";
const POLL: Duration = Duration::from_millis(500);
const POLL_RECORDS: usize = 5_000;
const BUFFERED_RECORDS: usize = 50_000;

struct Krafka;

fn main() -> Result<()> {
    peer_common::run::<Krafka>()
}

fn record(args: &Args, pool: &[SharedEvent], number: usize) -> Record {
    let event = &pool[number % pool.len()];
    let record = Record::new(args.topic.as_str(), event.value.clone()).key(event.key.clone());
    event.headers.iter().fold(record, |record, (name, value)| record.header(*name, value.clone()))
}

async fn connect(args: &Args) -> Result<Kafka> {
    Ok(Kafka::builder(args.bootstrap.clone()).max_in_flight_requests(args.inflight).connect().await?)
}

async fn producer(args: &Args, kafka: &Kafka) -> Result<Producer> {
    let compression = match args.compression.as_str() {
        "none" => Compression::None,
        "lz4" => Compression::Lz4,
        other => return Err(format!("{other} is not measured").into()),
    };
    let builder = kafka.producer().batch_size(args.batch_bytes).linger(Duration::from_millis(args.linger_ms));
    let builder = builder.buffer_memory(BUFFER_BYTES).acks(Acks::All).idempotent(args.idempotent);
    Ok(builder.compression(compression).build().await?)
}

async fn consumer(args: &Args, kafka: &Kafka, reset: AutoOffsetReset) -> Result<Consumer> {
    let builder = kafka.consumer_without_group().enable_auto_commit(false).auto_offset_reset(reset);
    let builder = builder.max_poll_records(POLL_RECORDS as _).max_buffered_records(BUFFERED_RECORDS as _);
    let consumer = builder.fetch_max_wait(FETCH_WAIT).build().await?;
    consumer.assign(&args.topic, (0..args.partitions).collect()).await?;
    Ok(consumer)
}

impl Peer for Krafka {
    async fn produce(args: &Args) -> Result<()> {
        let pool = shared_pool(args.size, args.headers);
        let kafka = connect(args).await?;
        let producer = producer(args, &kafka).await?;
        let mut pending = VecDeque::<DeliveryHandle>::with_capacity(PENDING_MAX);
        let mut meter = Meter::start();
        for number in 0..args.warmup + args.records {
            if number == args.warmup {
                settle(&mut pending).await?;
                meter = Meter::start();
            }
            if pending.len() == PENDING_MAX
                && let Some(first) = pending.pop_front()
            {
                drop(first.await?);
            }
            pending.push_back(producer.enqueue(record(args, &pool, number)).await?);
        }
        settle(&mut pending).await?;
        meter.report(CLIENT, args, args.records, args.bytes_of(args.records), Latencies::default());
        Ok(())
    }

    async fn consume(args: &Args) -> Result<()> {
        let kafka = connect(args).await?;
        let consumer = consumer(args, &kafka, AutoOffsetReset::Earliest).await?;
        read(&consumer, args.warmup).await?;
        let meter = Meter::start();
        let (records, bytes) = read(&consumer, args.records).await?;
        meter.report(CLIENT, args, records, bytes, Latencies::default());
        Ok(())
    }

    async fn latency(args: &Args) -> Result<()> {
        let pool = shared_pool(args.size, args.headers);
        let mut clock = OneByOne::start(args);
        let kafka = connect(args).await?;
        let producer = producer(args, &kafka).await?;
        while let Some(number) = clock.next() {
            drop(producer.send(record(args, &pool, number)).await?);
            clock.acknowledged();
        }
        clock.report(CLIENT);
        Ok(())
    }

    async fn end_to_end(args: &Args) -> Result<()> {
        let kafka = connect(args).await?;
        let consumer = consumer(args, &kafka, AutoOffsetReset::Latest).await?;
        let for_sending = connect(args).await?;
        let producer = producer(args, &for_sending).await?;
        let settling = Instant::now();
        while settling.elapsed() < SETTLING {
            consumer.poll(Duration::from_millis(50)).await?;
        }
        let pool = shared_pool(args.size, args.headers);
        let pace = Pace::start(args);
        let sending = async {
            for number in pace.numbers() {
                let record = record(args, &pool, number).key(pace.key_when_due(number).await);
                // Nobody waits for the acknowledgement: the record itself is waited for.
                drop(producer.enqueue(record).await?);
            }
            Result::Ok(())
        };
        let mut arrivals = Arrivals::start(args, pace);
        let receiving = async {
            while !arrivals.are_complete() {
                for record in consumer.poll(POLL).await? {
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

async fn settle(pending: &mut VecDeque<DeliveryHandle>) -> Result<()> {
    for delivery in pending.drain(..) {
        drop(delivery.await?);
    }
    Ok(())
}

/// Reads at least so many records; gives how many it were, and the bytes in their keys and values.
async fn read(consumer: &Consumer, wanted: usize) -> Result<(usize, usize)> {
    let (mut records, mut bytes) = (0, 0);
    while records < wanted {
        for record in consumer.poll(POLL).await? {
            records += 1;
            bytes += record.key.as_ref().map_or(0, |key| key.len());
            bytes += record.value.as_ref().map_or(0, |value| value.len());
        }
    }
    Ok((records, bytes))
}
