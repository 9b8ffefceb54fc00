//! `bench consume`: all partitions from the beginning, the lengths of keys and values added up.

use milena::{Consumer, Kafka};

use super::meter::Meter;
use super::report::Measured;
use super::{BenchArgs, PROGRESS_EVERY, produce};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::senders::Senders;

pub(super) async fn run(
    args: &BenchArgs,
    kafka: &Kafka,
    progress: &mut Progress,
) -> Result<Measured, Failure> {
    let wanted = args.warmup() + args.records();
    let mut consumer = kafka.consumer().build().await?;
    consumer.assign_topic(args.topic.as_str()).await.map_err(Failure::operation)?;
    check_size(&consumer, &args.topic, wanted).await?;
    consumer.seek_to_beginning(&consumer.assignment()).map_err(Failure::operation)?;

    let mut total = Total::default();
    total.read(&mut consumer, args.warmup(), progress).await?;
    let meter = Meter::start(kafka.env());
    let before = total;
    total.read(&mut consumer, wanted, progress).await?;
    let used = meter.stop();
    // Batches are read whole, so that the warm-up may have taken more than its share.
    if total.records == before.records {
        return Err(Failure::operation("the warm-up read everything; raise --records, or lower --warmup"));
    }
    let (records, bytes) = (total.records - before.records, total.bytes - before.bytes);
    Ok(Measured { records, bytes, used, latencies: None, first_ack: None })
}

/// Writes what `run` reads.
pub(super) async fn fill(args: &BenchArgs, kafka: &Kafka, senders: &Senders) -> Result<(), Failure> {
    let args = BenchArgs { records: Some(args.warmup() + args.records()), warmup: 0, ..args.clone() };
    let mut progress = Progress::records(args.records(), false);
    produce::run(&args, kafka, senders, &mut progress).await.map(drop)
}

/// Refuses a topic that has fewer records: the benchmark would wait for ever.
async fn check_size(consumer: &Consumer, topic: &str, wanted: u64) -> Result<(), Failure> {
    let partitions = consumer.assignment();
    let beginnings = consumer.beginning_offsets(&partitions).await.map_err(Failure::operation)?;
    let ends = consumer.end_offsets(&partitions).await.map_err(Failure::operation)?;
    let sum = |offsets: &std::collections::BTreeMap<_, i64>| {
        offsets.values().map(|offset| i128::from(*offset)).sum::<i128>()
    };
    let there_are = sum(&ends) - sum(&beginnings);
    if there_are < i128::from(wanted) {
        return Err(Failure::Operation(format!(
            "{topic} has at most {there_are} records, not {wanted}; write more with `milena bench produce --topic {topic}`"
        )));
    }
    Ok(())
}

/// What was read so far.
#[derive(Clone, Copy, Default)]
struct Total {
    records: u64,
    bytes: u64,
}

impl Total {
    /// Reads batches until there are at least `records`.
    async fn read(
        &mut self,
        consumer: &mut Consumer,
        records: u64,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        while self.records < records {
            let Some(batch) = consumer.next().await.map_err(Failure::operation)? else { return Ok(()) };
            for record in &batch {
                self.bytes +=
                    (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)) as u64;
            }
            let before = self.records;
            self.records += batch.len() as u64;
            let shown = |records: u64| records / PROGRESS_EVERY * PROGRESS_EVERY;
            if shown(before) != shown(self.records) {
                progress.advance(shown(self.records) - shown(before));
            }
        }
        Ok(())
    }
}
