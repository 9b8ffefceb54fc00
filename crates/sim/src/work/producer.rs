//! Producers: they send what their plan says, and note what they are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use milena_client::env::Task;
use milena_history::{Event, Name, Note, RecordId};
use milena_producer::{Acknowledgement, Acks, Delivery, DeliveryError, Producer, ProducerConfig, Record};

use super::value_of;
use crate::clock::{self, ms, within};
use crate::plan::{ProducerPlan, Watching};
use crate::recorder::Recorder;
use crate::rng::Rng;
use crate::world::World;

/// How long a producer may take for its last flush, once all faults are healed: more than any `delivery.timeout.ms`.
const CLOSE_LIMIT: Duration = Duration::from_secs(60);

/// Numbers for records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    last: Arc<AtomicU64>,
}

impl Ids {
    fn next(&self) -> RecordId {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn count(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }
}

/// Sends all records of a plan.
pub(crate) async fn run(world: Arc<World>, plan: ProducerPlan, ids: Ids) {
    let mut rng = plan.rng.clone();
    let per_life = plan.records.div_ceil(plan.lives);
    let mut left = plan.records;
    for life in 0..plan.lives {
        let name: Name = format!("{}{}", plan.name, ["", "-again"][life as usize % 2]).into();
        let mut sender = Sender::start(&world, &plan, name, ids.clone(), rng.fork());
        let records = per_life.min(left);
        left -= records;
        sender.send_all(records).await;
        match life + 1 < plan.lives {
            true => sender.close(ms(rng.pick(&[0, 100, 5_000]))).await,
            false => sender.finish().await,
        }
    }
}

/// One producer.
pub(crate) struct Sender {
    world: Arc<World>,
    plan: ProducerPlan,
    name: Name,
    config: ProducerConfig,
    producer: Producer,
    rng: Rng,
    ids: Ids,
    next_seq: u64,
    /// Deliveries that are awaited.
    awaiting: Vec<Task>,
}

impl Sender {
    pub(crate) fn start(world: &Arc<World>, plan: &ProducerPlan, name: Name, ids: Ids, rng: Rng) -> Self {
        let config = plan.config();
        let client = world.client(&name, plan.request_timeout);
        let producer = Producer::new(client, config.clone()).expect("plans are valid: a test holds that");
        world.recorder.note(Note::Producer {
            client: name.clone(),
            idempotent: config.enable_idempotence,
            pipelined: config.max_in_flight > 1,
            acknowledged: config.acks != Acks::None,
            max_block_us: config.max_block.as_micros() as u64,
            delivery_timeout_us: config.delivery_timeout.as_micros() as u64,
            buffer_bytes: config.buffer_memory as u64,
        });
        let (world, plan) = (world.clone(), plan.clone());
        Self { world, plan, name, config, producer, rng, ids, next_seq: 0, awaiting: Vec::new() }
    }

    async fn send_all(&mut self, records: u64) {
        let mut left = records;
        while left > 0 {
            let burst = self.rng.between(1, self.plan.burst_max).min(left);
            left -= burst;
            for _ in 0..burst {
                self.send_one().await;
            }
            if self.rng.percent(self.plan.flush_percent) {
                self.flush().await;
            }
            clock::sleep(self.plan.pause_max.mul_f64(self.rng.below(1_000) as f64 / 1_000.0)).await;
        }
    }

    async fn send_one(&mut self) {
        let topics = &self.world.plan.topics;
        let topic = topics[self.rng.below(topics.len() as u64) as usize].name.clone();
        let explicit = self.rng.percent(self.plan.explicit_percent);
        // The caller knows a partition from the moment on in which it is there, as an administrator tells.
        let count = self.world.cluster.partitions(&topic);
        let partition = (explicit && count > 0).then(|| self.rng.below(count as u64) as i32);
        let key = (self.plan.keys > 0).then(|| format!("key-{}", self.rng.below(self.plan.keys)));
        let (low, high) = self.plan.value_bytes;
        let bytes = match self.rng.percent(self.plan.large_percent) {
            true => self.rng.between(2_000, 30_000),
            false => self.rng.between(low, high),
        };
        let patience = self.rng.percent(self.plan.cancel_percent).then(|| ms(self.rng.below(30)));
        let watching = ProducerPlan::watching(&mut self.rng);
        let what = What { topic, partition, key: key.map(Name::from), bytes: bytes as usize };
        self.send(what, watching, patience).await;
    }

    /// Sends one record; drops the send if it is not accepted within `patience`.
    pub(crate) async fn send(&mut self, what: What, watching: Watching, patience: Option<Duration>) {
        let (id, seq) = (self.ids.next(), self.next_seq);
        self.next_seq += 1;
        let recorder = &self.world.recorder;
        recorder.event(Event::Send {
            client: self.name.clone(),
            id,
            topic: what.topic.clone(),
            seq,
            key: what.key.clone(),
            partition: what.partition,
            txn: None,
            src: None,
        });
        let value = value_of(id, what.bytes);
        let mut record = Record::to(&what.topic).value(&value);
        if let Some(key) = &what.key {
            record = record.key(key.as_bytes());
        }
        if let Some(partition) = what.partition {
            record = record.partition(partition);
        }
        let sending = self.producer.send(record);
        let sent = match patience {
            None => Some(sending.await),
            Some(patience) => within(patience, sending).await,
        };
        let refused = match sent {
            Some(Ok(delivery)) => {
                let bytes = value.len() + what.key.map_or(0, |key| key.len());
                let observed = watching != Watching::Drop;
                recorder.note(Note::Admitted {
                    client: self.name.clone(),
                    id,
                    bytes: bytes as u64,
                    observed,
                });
                return self.watch(delivery, id, watching);
            }
            Some(Err(error)) => error.to_string(),
            None => "the send was dropped".to_owned(),
        };
        recorder.event(Event::Fail { client: self.name.clone(), id, error: refused, definite: true });
    }

    fn watch(&mut self, delivery: Delivery, id: RecordId, watching: Watching) {
        let outcome = OutcomeOf { recorder: self.world.recorder.clone(), client: self.name.clone(), id };
        match watching {
            Watching::Callback => delivery.on_completion(move |result| outcome.note(&result)),
            Watching::Await => {
                self.awaiting.retain(|task| !task.is_finished());
                self.awaiting.push(self.world.env.spawn(async move { outcome.note(&delivery.await) }));
            }
            Watching::Drop => drop(delivery),
        }
    }

    pub(crate) async fn flush(&self) {
        self.world.recorder.note(Note::FlushStart { client: self.name.clone() });
        let flushed = self.producer.flush().await;
        self.note_flushed(flushed.map_err(|error| error.failed_records).err());
    }

    /// Closes, and gives up what is not acknowledged by then.
    async fn close(self, limit: Duration) {
        self.world.recorder.note(Note::FlushStart { client: self.name.clone() });
        let closed = self.producer.clone().close(limit).await;
        self.note_flushed(closed.map_err(|error| error.failed_records).err());
        self.join().await;
    }

    /// Waits for everything, looks whether all memory is given back, and closes.
    pub(crate) async fn finish(self) {
        self.flush().await;
        let (name, producer, total) = (&self.name, &self.producer, self.config.buffer_memory);
        let is_free = || producer.buffer_available_bytes() == total;
        // A request that was given up holds its bytes until its connection is.
        self.world.wait_until(CLOSE_LIMIT, is_free).await;
        let used = (total - producer.buffer_available_bytes()) as u64;
        let what = format!("the buffer of {name}, after everything was resolved");
        self.world.recorder.note(Note::Gauge { what, used, limit: 0 });
        self.close(CLOSE_LIMIT).await;
    }

    async fn join(self) {
        for task in self.awaiting {
            task.join().await;
        }
    }

    fn note_flushed(&self, failed: Option<u64>) {
        let (client, failed) = (self.name.clone(), failed.unwrap_or(0));
        self.world.recorder.note(Note::Flushed { client, failed });
    }
}

/// A record to send.
pub(crate) struct What {
    pub(crate) topic: Name,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<Name>,
    pub(crate) bytes: usize,
}

/// Notes what became of a record.
struct OutcomeOf {
    recorder: Recorder,
    client: Name,
    id: RecordId,
}

impl OutcomeOf {
    fn note(self, result: &Result<Acknowledgement, DeliveryError>) {
        let Self { recorder, client, id } = self;
        recorder.event(match result {
            Ok(ack) => Event::Ack {
                client,
                id,
                topic: ack.topic_partition.topic.clone(),
                partition: ack.partition(),
                offset: ack.offset.unwrap_or(-1),
            },
            Err(error) => {
                Event::Fail { client, id, error: error.to_string(), definite: !error.possibly_written() }
            }
        });
    }
}
