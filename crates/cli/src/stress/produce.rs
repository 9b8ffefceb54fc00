//! The producers of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use milena::env::Task;
use milena::{Env, Producer, Record};
use milena_history::{Event, Name, Note, RecordId};

use super::load::{self, Place};
use super::recorder::Recorder;
use super::{Stress, StressArgs};
use crate::failure::Failure;
use crate::random::SplitMix64;

/// On a machine that is busy, a task may run so much later than it is due.
const SLACK: Duration = Duration::from_secs(10);

/// The producers, while they send.
pub(super) struct Producers {
    tasks: Vec<Task>,
    producers: Vec<(Name, Producer)>,
    is_over: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    records: AtomicU64,
    acknowledged: AtomicU64,
    failed: AtomicU64,
}

/// What became of everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) records: u64,
    pub(super) acknowledged: u64,
    pub(super) failed: u64,
}

impl Producers {
    pub(super) async fn start(stress: &Stress, args: &StressArgs) -> Result<Self, Failure> {
        let is_over = Arc::new(AtomicBool::new(false));
        let counts = Arc::<Counts>::default();
        let (mut tasks, mut producers) = (Vec::new(), Vec::new());
        for number in 0..args.producers {
            let name: Name = format!("producer-{number}").into();
            let producer = stress.kafka.producer().build().await?;
            stress.recorder.event(Event::Note(promise(&name, &producer)));
            let sender = Sender {
                name: name.clone(),
                producer: producer.clone(),
                env: stress.env.clone(),
                recorder: stress.recorder.clone(),
                topic: stress.topic.as_str().into(),
                partitions: stress.partitions,
                random: stress.random(number as u64),
                first_id: (number as u64) << 40,
                rate: args.rate,
                counts: counts.clone(),
                is_over: is_over.clone(),
            };
            tasks.push(stress.env.spawn(sender.run()));
            producers.push((name, producer));
        }
        Ok(Self { tasks, producers, is_over, counts })
    }

    /// Sends nothing more and waits until everything is resolved.
    pub(super) async fn finish(self, stress: &Stress) -> Result<Sent, Failure> {
        let Self { tasks, producers, is_over, counts } = self;
        is_over.store(true, Ordering::Relaxed);
        for task in tasks {
            task.join().await;
        }
        for (client, producer) in producers {
            stress.recorder.event(Event::Note(Note::FlushStart { client: client.clone() }));
            // What failed is in the history, record by record.
            let _ = producer.flush().await;
            stress.recorder.event(Event::Note(Note::Flushed { client, failed: 0 }));
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Ok(Sent {
            records: count(&counts.records),
            acknowledged: count(&counts.acknowledged),
            failed: count(&counts.failed),
        })
    }
}

/// What a producer with these settings promises.
fn promise(name: &Name, producer: &Producer) -> Note {
    let config = producer.config();
    let in_us = |duration: Duration| (duration + SLACK).as_micros() as u64;
    Note::Producer {
        client: name.clone(),
        idempotent: config.enable_idempotence,
        pipelined: config.max_in_flight > 1,
        acknowledged: config.acks != milena::producer::Acks::None,
        max_block_us: in_us(config.max_block),
        delivery_timeout_us: in_us(config.delivery_timeout),
        buffer_bytes: config.buffer_memory as u64,
    }
}

struct Sender {
    name: Name,
    producer: Producer,
    env: Env,
    recorder: Recorder,
    topic: Name,
    partitions: i32,
    random: SplitMix64,
    first_id: RecordId,
    rate: u64,
    counts: Arc<Counts>,
    is_over: Arc<AtomicBool>,
}

impl Sender {
    async fn run(mut self) {
        let started = self.env.now();
        for seq in 0.. {
            let due = started + Duration::from_nanos(seq * 1_000_000_000 / self.rate);
            if due > self.env.now() {
                self.env.sleep_until(due).await;
            }
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            self.send(seq).await;
        }
    }

    async fn send(&mut self, seq: u64) {
        let id = self.first_id + seq;
        let place = load::place(&mut self.random, self.partitions);
        let value = load::value(&mut self.random, id);
        let mut record = Record::to(&self.topic).value(&value);
        let (mut key, mut partition) = (None, None);
        match &place {
            Place::Key(text) => {
                key = Some(text.as_str().into());
                record = record.key(text);
            }
            Place::Partition(number) => {
                partition = Some(*number);
                record = record.partition(*number);
            }
            Place::Anywhere => {}
        }
        let bytes = (value.len() + key.as_ref().map_or(0, |key: &Name| key.len())) as u64;
        let (client, topic) = (self.name.clone(), self.topic.clone());
        self.recorder.event(Event::Send { client, id, topic, seq, key, partition, txn: None, src: None });
        self.counts.records.fetch_add(1, Ordering::Relaxed);
        let (client, recorder, counts) = (self.name.clone(), self.recorder.clone(), self.counts.clone());
        match self.producer.send(record).await {
            Ok(delivery) => {
                recorder.event(Event::Note(Note::Admitted {
                    client: client.clone(),
                    id,
                    bytes,
                    observed: true,
                }));
                delivery.on_completion(move |result| match result {
                    Ok(ack) => {
                        counts.acknowledged.fetch_add(1, Ordering::Relaxed);
                        let (topic, partition) = (ack.topic().into(), ack.partition());
                        let offset = ack.offset.unwrap_or(-1);
                        recorder.event(Event::Ack { client, id, topic, partition, offset });
                    }
                    Err(error) => {
                        counts.failed.fetch_add(1, Ordering::Relaxed);
                        let definite = !error.possibly_written();
                        recorder.event(Event::Fail { client, id, error: error.to_string(), definite });
                    }
                });
            }
            // What is not accepted is nowhere.
            Err(error) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                recorder.event(Event::Fail { client, id, error: error.to_string(), definite: true });
            }
        }
    }
}
