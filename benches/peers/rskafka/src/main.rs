//! Measures rskafka, on a runtime of one thread.
//!
//! It is a library of a lower level: `produce` gives it ready batches, partition after partition, as it has neither idempotence nor keyed
//! partitioning nor linger in that path.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;
use futures::stream::{FuturesUnordered, SelectAll, StreamExt, select_all};
use peer_common::{
    Args, Arrivals, Event, FETCH_WAIT, Latencies, Meter, OneByOne, Operation, PARTITION_FETCH_BYTES, Pace,
    Peer, Result, SETTLING, pool,
};
use rskafka::client::ClientBuilder;
use rskafka::client::consumer::{StartOffset, StreamConsumer, StreamConsumerBuilder};
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::record::Record;

const CLIENT: &str = "rskafka";
/// What a record takes in a batch besides key, value and headers, at most.
const RECORD_OVERHEAD: usize = 10;

struct Rskafka;

fn main() -> Result<()> {
    peer_common::run::<Rskafka>()
}

fn record(event: &Event) -> Record {
    let headers = event.headers.iter();
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

impl Peer for Rskafka {
    async fn produce(args: &Args) -> Result<()> {
        let pool = pool(args.size, args.headers);
        let partitions = partitions(args, args.partitions).await?;
        send(args, &pool, &partitions, args.warmup).await?;
        let meter = Meter::start();
        let records = send(args, &pool, &partitions, args.records).await?;
        meter.report(CLIENT, args, records, args.bytes_of(records), Latencies::default());
        Ok(())
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

    async fn latency(args: &Args) -> Result<()> {
        let pool = pool(args.size, args.headers);
        let count = if args.operation == Operation::First { 1 } else { args.partitions };
        let mut clock = OneByOne::start(args);
        let partitions = partitions(args, count).await?;
        while let Some(number) = clock.next() {
            let record = record(&pool[number % pool.len()]);
            partitions[number % partitions.len()].produce(vec![record], compression(args)?).await?;
            clock.acknowledged();
        }
        clock.report(CLIENT);
        Ok(())
    }

    async fn end_to_end(args: &Args) -> Result<()> {
        let pool = pool(args.size, args.headers);
        let receivers = partitions(args, args.partitions).await?;
        let senders = partitions(args, args.partitions).await?;
        let mut records = records(&receivers, StartOffset::Latest);
        // The streams look for the end when they are first polled.
        let _nothing = tokio::time::timeout(SETTLING, records.next()).await;
        let pace = Pace::start(args);
        let sending = async {
            for number in pace.numbers() {
                let key = Some(pace.key_when_due(number).await.into_bytes());
                let value = Some(pool[number % pool.len()].value.clone().into_bytes());
                let record = Record { key, value, headers: BTreeMap::new(), timestamp: Utc::now() };
                let partition = Arc::clone(&senders[number % senders.len()]);
                // Nobody waits for the acknowledgement: the record itself is waited for.
                drop(tokio::spawn(async move {
                    partition.produce(vec![record], Compression::NoCompression).await.map(drop)
                }));
            }
            Result::Ok(())
        };
        let mut arrivals = Arrivals::start(args, pace);
        let receiving = async {
            while !arrivals.are_complete() {
                let (record, _) = records.next().await.ok_or("the records end")??;
                arrivals.add(record.record.key.as_deref());
            }
            Ok(())
        };
        tokio::try_join!(sending, receiving)?;
        arrivals.report(CLIENT);
        Ok(())
    }
}

/// Sends whole batches of at least so many records, some at once, until all are acknowledged; gives how many it were.
async fn send(
    args: &Args,
    pool: &[Event],
    partitions: &[Arc<PartitionClient>],
    wanted: usize,
) -> Result<usize> {
    let headers_len: usize = pool[0].headers.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let record_len = RECORD_OVERHEAD + pool[0].key.len() + args.size + headers_len;
    let batch_len = (args.batch_bytes / record_len).max(1);
    let mut pending = FuturesUnordered::new();
    let mut sent = 0;
    while sent < wanted {
        let batch: Vec<Record> =
            (sent..sent + batch_len).map(|number| record(&pool[number % pool.len()])).collect();
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
