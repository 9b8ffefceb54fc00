//! `bench latency` and `bench first`: one record at a time.

use milena::{KafkaBuilder, Record};

use super::meter::Meter;
use super::pool::{headers, pool};
use super::report::{Measured, Quantiles};
use super::{BenchArgs, PROGRESS_EVERY};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::senders::Senders;

/// Connects, sends, waits for the acknowledgement, sends the next. The clock of the first acknowledgement starts before the
/// connection.
pub(super) async fn run(
    args: &BenchArgs,
    kafka: KafkaBuilder,
    env: &milena::Env,
    senders: &Senders,
    progress: &mut Progress,
) -> Result<Measured, Failure> {
    let pool = pool(args.size, args.headers);
    let mut latencies = Vec::with_capacity(args.records() as usize);
    let mut first_ack = None;
    let mut bytes = 0;

    let meter = Meter::start(env);
    let connecting = env.now();
    let kafka = kafka.connect().await?;
    let producer = senders.keep(kafka.producer().build().await?);
    let mut warm_meter = None;
    for number in 0..args.warmup() + args.records() {
        if number == args.warmup() && number > 0 {
            warm_meter = Some(Meter::start(env));
        }
        let event = &pool[number as usize % pool.len()];
        let sending = env.now();
        let record = Record::to(&args.topic).key(&event.key).value(&event.value);
        let sent = match args.headers {
            false => producer.send(record).await,
            true => producer.send(record.headers(&headers(event))).await,
        };
        sent.map_err(Failure::operation)?.await.map_err(Failure::operation)?;
        let acknowledged = env.now();
        first_ack.get_or_insert(acknowledged - connecting);
        if number >= args.warmup() {
            latencies.push(acknowledged - sending);
            bytes += event.size() as u64;
        }
        if number % PROGRESS_EVERY == 0 {
            progress.advance(PROGRESS_EVERY);
        }
    }
    let used = warm_meter.unwrap_or(meter).stop();
    let latencies = Quantiles::of(latencies).filter(|_| args.records() > 1);
    Ok(Measured { records: args.records(), bytes, used, latencies, first_ack })
}
