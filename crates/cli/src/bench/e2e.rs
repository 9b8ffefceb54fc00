//! `bench e2e`: from a producer to a consumer in the same process, at a steady rate.

use std::time::{Duration, Instant};

use milena::{Env, Kafka, Producer, Record};
use tokio::sync::mpsc;

use super::meter::Meter;
use super::pool::{headers, pool};
use super::report::{Measured, Quantiles};
use super::{BenchArgs, PROGRESS_EVERY};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::senders::Senders;

pub(super) async fn run(
    args: &BenchArgs,
    kafka: &Kafka,
    senders: &Senders,
    progress: &mut Progress,
) -> Result<Measured, Failure> {
    let env = kafka.env();
    let mut consumer = kafka.consumer().build().await?;
    consumer.assign_topic(args.topic.as_str()).await.map_err(Failure::operation)?;
    // Offsets looked up now: what is sent from here on is read.
    for (partition, end) in consumer.end_offsets(&consumer.assignment()).await.map_err(Failure::operation)? {
        consumer.seek(&partition, end).map_err(Failure::operation)?;
    }
    let producer = senders.keep(kafka.producer().build().await?);
    producer.topic(&args.topic).await.map_err(Failure::operation)?;

    let origin = env.now();
    let total = args.warmup() + args.records();
    let (failed, mut failures) = mpsc::channel(1);
    let sending = send(args.clone(), producer.clone(), env.clone(), origin, total, failed.clone());
    let _sender = env.spawn(async move {
        if let Err(failure) = sending.await {
            // Nobody listens any more when the benchmark is over.
            let _over = failed.send(failure).await;
        }
    });
    let mut meter = Meter::start(env);
    let mut latencies = Vec::with_capacity(args.records() as usize);
    let (mut received, mut bytes) = (0, 0);
    while received < total {
        // What is not sent or not written will not come.
        let next = tokio::select! {
            biased;
            Some(failure) = failures.recv() => return Err(failure),
            next = consumer.next() => next,
        };
        let Some(batch) = next.map_err(Failure::operation)? else { break };
        let now = env.now();
        for record in &batch {
            let Some(sent) = sent_at(origin, record.key) else { continue };
            received += 1;
            if received > args.warmup() {
                latencies.push(now.saturating_duration_since(sent));
                bytes += (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)) as u64;
            } else if received == args.warmup() {
                meter = Meter::start(env);
            }
            if received % PROGRESS_EVERY == 0 {
                progress.advance(PROGRESS_EVERY);
            }
        }
    }
    let used = meter.stop();
    let records = latencies.len() as u64;
    Ok(Measured { records, bytes, used, latencies: Quantiles::of(latencies), first_ack: None })
}

/// Sends `total` records, each when it is due; the key is the time of sending. The first that fails on its way is told to `failed`.
async fn send(
    args: BenchArgs,
    producer: Producer,
    env: Env,
    origin: Instant,
    total: u64,
    failed: mpsc::Sender<Failure>,
) -> Result<(), Failure> {
    let pool = pool(args.size, args.headers);
    let started = env.now();
    for number in 0..total {
        let due = started + Duration::from_nanos(number * 1_000_000_000 / args.rate);
        if due > env.now() {
            env.sleep_until(due).await;
        }
        let event = &pool[number as usize % pool.len()];
        let key = format!("{:016x}", env.now().saturating_duration_since(origin).as_nanos());
        let record = Record::to(&args.topic).key(&key).value(&event.value);
        let sent = match args.headers {
            false => producer.send(record).await,
            true => producer.send(record.headers(&headers(event))).await,
        };
        let failed = failed.clone();
        sent.map_err(Failure::operation)?.on_completion(move |result| {
            if let Err(error) = result {
                // One is enough to end the benchmark: when it is told already, there is no room for another.
                drop(failed.try_send(Failure::operation(error)));
            }
        });
    }
    Ok(())
}

fn sent_at(origin: Instant, key: Option<&[u8]>) -> Option<Instant> {
    let nanoseconds = u64::from_str_radix(std::str::from_utf8(key?).ok()?, 16).ok()?;
    Some(origin + Duration::from_nanos(nanoseconds))
}
