//! Measures rskafka, on a runtime of one thread.
//!
//! It is a library of a lower level: `produce` gives it ready batches, partition after partition, as it has neither idempotence nor keyed
//! partitioning nor linger in that path.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use futures::stream::{FuturesUnordered, SelectAll, StreamExt, select_all};
use peer_common::{
    Args, Event, FETCH_WAIT, Latencies, Meter, Operation, PARTITION_FETCH_BYTES, SETTLING, pool,
};
use rskafka::client::ClientBuilder;
use rskafka::client::consumer::{StartOffset, StreamConsumer, StreamConsumerBuilder};
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::record::Record;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CLIENT: &str = "rskafka";
/// What a record takes in a batch besides key, value and headers, at most.
const RECORD_OVERHEAD: usize = 10;

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

fn record(args: &Args, event: &Event) -> Record {
    let headers = event.headers.iter().filter(|_| args.headers);
    Record {
        key: Some(event.key.clone().into_bytes()),
        value: Some(event.value.clone().into_bytes()),
        headers: headers.map(|(name, value)| ((*name).to_owned(), value.clone().into_bytes())).collect(),
        timestamp: Utc::now(),
    }
}

fn compression(args: &Args) -> Result<Compression> {
    match args.compression.as_str() {
        "none" => Ok(Compression::NoCompression),
        "lz4" => Ok(Compression::Lz4),
        other => Err(format!("{other} is not measured").into()),
    }
}

async fn partitions(args: &Args, count: i32) -> Result<Vec<Arc<PartitionClient>>> {
    let client = ClientBuilder::new(vec![args.bootstrap.clone()]).build().await?;
    let mut partitions = Vec::new();
    for index in 0..count {
        let partition =
            client.partition_client(args.topic.clone(), index, UnknownTopicHandling::Retry).await?;
        partitions.push(Arc::new(partition));
    }
    Ok(partitions)
}

fn records(partitions: &[Arc<PartitionClient>], from: StartOffset) -> SelectAll<StreamConsumer> {
    select_all(partitions.iter().map(|partition| {
        let builder = StreamConsumerBuilder::new(Arc::clone(partition), from);
        let builder = builder.with_max_wait_ms(FETCH_WAIT.as_millis() as i32);
        builder.with_max_batch_size(PARTITION_FETCH_BYTES as i32).build()
    }))
}

async fn produce(args: &Args) -> Result<()> {
    let pool = pool(args.size);
    let partitions = partitions(args, args.partitions).await?;
    send(args, &pool, &partitions, args.warmup).await?;
    let meter = Meter::start();
    let records = send(args, &pool, &partitions, args.records).await?;
    let bytes = pool[0].key.len() + args.size;
    meter.report(CLIENT, args, records, records * bytes, Latencies::default());
    Ok(())
}

/// Sends whole batches of at least so many records, some at once, until all are acknowledged; gives how many it were.
async fn send(
    args: &Args,
    pool: &[Event],
    partitions: &[Arc<PartitionClient>],
    wanted: usize,
) -> Result<usize> {
    let headers = pool[0].headers.iter().map(|(name, value)| name.len() + value.len() + 2);
    let headers_len = if args.headers { headers.sum() } else { 0 };
    let record_len = RECORD_OVERHEAD + pool[0].key.len() + args.size + headers_len;
    let batch_len = (args.batch_bytes / record_len).max(1);
    let mut pending = FuturesUnordered::new();
    let mut sent = 0;
    while sent < wanted {
        let batch: Vec<Record> =
            (sent..sent + batch_len).map(|number| record(args, &pool[number % pool.len()])).collect();
        let partition = Arc::clone(&partitions[sent / batch_len % partitions.len()]);
        let compression = compression(args)?;
        pending.push(tokio::spawn(async move { partition.produce(batch, compression).await.map(drop) }));
        sent += batch_len;
        if pending.len() >= 2 * args.inflight
            && let Some(done) = pending.next().await
        {
            done??;
        }
    }
    while let Some(done) = pending.next().await {
        done??;
    }
    Ok(sent)
}

async fn consume(args: &Args) -> Result<()> {
    let partitions = partitions(args, args.partitions).await?;
    let mut records = records(&partitions, StartOffset::Earliest);
    read(&mut records, args.warmup).await?;
    let meter = Meter::start();
    let bytes = read(&mut records, args.records).await?;
    meter.report(CLIENT, args, args.records, bytes, Latencies::default());
    Ok(())
}

/// Reads so many records; gives the bytes in their keys and values.
async fn read(records: &mut SelectAll<StreamConsumer>, wanted: usize) -> Result<usize> {
    let mut bytes = 0;
    for _ in 0..wanted {
        let (record, _) = records.next().await.ok_or("the records end")??;
        bytes +=
            record.record.key.as_ref().map_or(0, Vec::len) + record.record.value.as_ref().map_or(0, Vec::len);
    }
    Ok(bytes)
}

async fn latency(args: &Args) -> Result<()> {
    let pool = pool(args.size);
    let mut latencies = Latencies::default();
    let mut meter = Meter::start();
    let connecting = Instant::now();
    let count = if args.operation == Operation::First { 1 } else { args.partitions };
    let partitions = partitions(args, count).await?;
    for number in 0..args.warmup + args.records {
        if number == args.warmup && number > 0 {
            meter = Meter::start();
        }
        let sending = Instant::now();
        let record = record(args, &pool[number % pool.len()]);
        partitions[number % partitions.len()].produce(vec![record], compression(args)?).await?;
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
    let pool = pool(args.size);
    let receivers = partitions(args, args.partitions).await?;
    let senders = partitions(args, args.partitions).await?;
    let mut records = records(&receivers, StartOffset::Latest);
    // The streams look for the end when they are first polled.
    let _nothing = tokio::time::timeout(SETTLING, records.next()).await;
    let total = args.warmup + args.records;
    let origin = Instant::now();
    let sending = async {
        for number in 0..total {
            if let Some(wait) = peer_common::until_due(origin, number, args.rate) {
                tokio::time::sleep(wait).await;
            }
            let record = Record {
                key: Some(peer_common::key_of_now(origin).into_bytes()),
                value: Some(pool[number % pool.len()].value.clone().into_bytes()),
                headers: BTreeMap::new(),
                timestamp: Utc::now(),
            };
            let partition = Arc::clone(&senders[number % senders.len()]);
            // Nobody waits for the acknowledgement: the record itself is waited for.
            drop(tokio::spawn(async move {
                partition.produce(vec![record], Compression::NoCompression).await.map(drop)
            }));
        }
        Ok::<(), Box<dyn Error>>(())
    };
    let meter = Meter::start();
    let receiving = async {
        let mut latencies = Latencies::default();
        for received in 1..=total {
            let (record, _) = records.next().await.ok_or("the records end")??;
            let age = record.record.key.as_ref().and_then(|key| peer_common::age(origin, key));
            latencies.each.extend(age.filter(|_| received > args.warmup));
        }
        Ok::<Latencies, Box<dyn Error>>(latencies)
    };
    let ((), latencies) = tokio::try_join!(sending, receiving)?;
    let records = latencies.each.len();
    meter.report(CLIENT, args, records, records * (pool[0].key.len() + args.size), latencies);
    Ok(())
}
