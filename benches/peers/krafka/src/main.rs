//! Measures krafka: `enqueue` and the handles of deliveries, on a runtime of one thread.

use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use krafka::consumer::{AutoOffsetReset, Consumer};
use krafka::producer::{Acks, DeliveryHandle, Producer, Record};
use krafka::{Compression, Kafka};
use peer_common::{Args, BUFFER_BYTES, FETCH_WAIT, Latencies, Meter, Operation, PENDING_MAX, SETTLING};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CLIENT: &str = "krafka";
const POLL: Duration = Duration::from_millis(500);
const POLL_RECORDS: usize = 5_000;
const BUFFERED_RECORDS: usize = 50_000;

/// An event whose bytes are shared with every record that is made of it.
struct Shared {
    key: Bytes,
    value: Bytes,
    headers: Vec<(&'static str, Bytes)>,
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
        headers: event.headers.into_iter().map(|(name, value)| (name, value.into())).collect(),
    };
    peer_common::pool(size).into_iter().map(shared).collect()
}

fn record(args: &Args, pool: &[Shared], number: usize) -> Record {
    let event = &pool[number % pool.len()];
    let record = Record::new(args.topic.as_str(), event.value.clone()).key(event.key.clone());
    if !args.headers {
        return record;
    }
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

async fn produce(args: &Args) -> Result<()> {
    let pool = pool(args.size);
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
    let bytes = pool[0].key.len() + args.size;
    meter.report(CLIENT, args, args.records, args.records * bytes, Latencies::default());
    Ok(())
}

async fn settle(pending: &mut VecDeque<DeliveryHandle>) -> Result<()> {
    for delivery in pending.drain(..) {
        drop(delivery.await?);
    }
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

async fn latency(args: &Args) -> Result<()> {
    let pool = pool(args.size);
    let mut latencies = Latencies::default();
    let mut meter = Meter::start();
    let connecting = Instant::now();
    let kafka = connect(args).await?;
    let producer = producer(args, &kafka).await?;
    for number in 0..args.warmup + args.records {
        if number == args.warmup && number > 0 {
            meter = Meter::start();
        }
        let sending = Instant::now();
        drop(producer.send(record(args, &pool, number)).await?);
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
    let kafka = connect(args).await?;
    let consumer = consumer(args, &kafka, AutoOffsetReset::Latest).await?;
    let for_sending = connect(args).await?;
    let producer = producer(args, &for_sending).await?;
    let settling = Instant::now();
    while settling.elapsed() < SETTLING {
        consumer.poll(Duration::from_millis(50)).await?;
    }
    let pool = pool(args.size);
    let total = args.warmup + args.records;
    let origin = Instant::now();
    let sending = async {
        for number in 0..total {
            if let Some(wait) = peer_common::until_due(origin, number, args.rate) {
                tokio::time::sleep(wait).await;
            }
            let record = record(args, &pool, number).key(peer_common::key_of_now(origin));
            // Nobody waits for the acknowledgement: the record itself is waited for.
            drop(producer.enqueue(record).await?);
        }
        Ok::<(), Box<dyn Error>>(())
    };
    let meter = Meter::start();
    let receiving = async {
        let (mut received, mut latencies) = (0, Latencies::default());
        while received < total {
            for record in consumer.poll(POLL).await? {
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
