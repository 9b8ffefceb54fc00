//! `bench produce`: as many records as possible, each acknowledged.

use std::collections::VecDeque;

use milena::{Delivery, Kafka, Record, TopicProducer};
use milena_bench_events::Event;

use super::meter::Meter;
use super::pool::{headers, pool};
use super::report::Measured;
use super::{BenchArgs, PROGRESS_EVERY};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::senders::Senders;

/// Deliveries held at once: many times what five batches in flight for each partition hold, so that they limit nothing.
const DELIVERIES_MAX: usize = 100_000;
/// How often those that are finished are looked at.
const SETTLE_EVERY: usize = 256;

pub(super) async fn run(
    args: &BenchArgs,
    kafka: &Kafka,
    senders: &Senders,
    progress: &mut Progress,
) -> Result<Measured, Failure> {
    let pool = pool(args.size, args.headers);
    let producer = senders.keep(kafka.producer().build().await?);
    let topic = producer.topic(&args.topic).await.map_err(Failure::operation)?;
    let mut load = Load { topic, pool: &pool, headers: args.headers, pending: VecDeque::new() };

    load.send(0..args.warmup(), progress).await?;
    let meter = Meter::start(kafka.env());
    let bytes = load.send(args.warmup()..args.warmup() + args.records(), progress).await?;
    let used = meter.stop();
    Ok(Measured { records: args.records(), bytes, used, latencies: None, first_ack: None })
}

struct Load<'a> {
    topic: TopicProducer,
    pool: &'a [Event],
    headers: bool,
    pending: VecDeque<Delivery>,
}

impl Load<'_> {
    /// Sends the records with these numbers and waits for all acknowledgements; gives the bytes of keys and values.
    async fn send(&mut self, numbers: std::ops::Range<u64>, progress: &mut Progress) -> Result<u64, Failure> {
        let mut bytes = 0;
        for number in numbers {
            let event = &self.pool[number as usize % self.pool.len()];
            bytes += event.size() as u64;
            let record = Record::new().key(&event.key).value(&event.value);
            let sent = match self.headers {
                false => self.topic.send(record).await,
                true => self.topic.send(record.headers(&headers(event))).await,
            };
            self.pending.push_back(sent.map_err(Failure::operation)?);
            if self.pending.len().is_multiple_of(SETTLE_EVERY) {
                self.settle_finished()?;
            }
            if self.pending.len() >= DELIVERIES_MAX {
                self.settle_first().await?;
            }
            if number % PROGRESS_EVERY == 0 {
                progress.advance(PROGRESS_EVERY);
            }
        }
        self.topic.producer().flush().await.map_err(Failure::operation)?;
        while !self.pending.is_empty() {
            self.settle_first().await?;
        }
        Ok(bytes)
    }

    /// Looks at what is finished, without waiting.
    fn settle_finished(&mut self) -> Result<(), Failure> {
        while let Some(result) = self.pending.front().and_then(Delivery::try_result) {
            result.map_err(Failure::operation)?;
            self.pending.pop_front();
        }
        Ok(())
    }

    async fn settle_first(&mut self) -> Result<(), Failure> {
        if let Some(delivery) = self.pending.pop_front() {
            delivery.await.map_err(Failure::operation)?;
        }
        Ok(())
    }
}
