//! Consumers: they read, seek, pause and stall, and note what they are handed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use milena_client::TopicPartition;
use milena_consumer::{Consumer, RecvError, SeekError};
use milena_history::{Event, Isolation, Name, Note, RecordId};

use super::id_in;
use crate::clock::{self, ms, within};
use crate::plan::{ConsumerPlan, Reading};
use crate::rng::Rng;
use crate::world::World;

/// How long a consumer may take to reach the end once nothing is written any more and all faults are healed.
const FINISH_LIMIT: Duration = Duration::from_secs(60);
/// How long one call waits for records.
const STEP: Duration = Duration::from_millis(300);
/// What arrives at a stalled consumer beside the records that its budget counts: headers, and answers about metadata.
const STALL_OVERHEAD_BYTES: u64 = 64 * 1024;

/// Reads all topics until `no_more` is said and everything was read.
pub(crate) async fn run(world: Arc<World>, plan: ConsumerPlan, no_more: Arc<AtomicBool>) {
    let mut reader = Reader::start(&world, &plan);
    reader.assign().await;
    let mut finish_by = None;
    loop {
        let is_over = no_more.load(Ordering::Relaxed);
        if is_over {
            let finish_by = *finish_by.get_or_insert_with(|| {
                reader.resume_all();
                clock::now() + FINISH_LIMIT
            });
            if reader.is_at_the_end() {
                break;
            }
            if clock::now() > finish_by {
                reader.stuck();
                break;
            }
        } else if reader.rng.percent(plan.restless_percent) {
            reader.do_something().await;
        }
        reader.read().await;
    }
    reader.consumer.close().await;
}

struct Reader {
    world: Arc<World>,
    plan: ConsumerPlan,
    name: Name,
    consumer: Consumer,
    rng: Rng,
}

impl Reader {
    fn start(world: &Arc<World>, plan: &ConsumerPlan) -> Self {
        let client = world.client(&plan.name, plan.request_timeout);
        let consumer = Consumer::new(client, plan.config()).expect("plans are valid");
        let name = plan.name.as_str().into();
        Self { world: world.clone(), plan: plan.clone(), name, consumer, rng: plan.rng.clone() }
    }

    /// Assigns all topics, however long that takes.
    async fn assign(&mut self) {
        for index in 0..self.world.plan.topics.len() {
            let topic = self.world.plan.topics[index].name.clone();
            while self.consumer.assign_topic(topic.clone()).await.is_err() {
                clock::sleep(ms(100)).await;
            }
            let assigned = self.consumer.assignment().into_iter().filter(|it| it.topic == topic);
            let count = assigned.count() as i32;
            for partition in 0..self.world.plan.partitions_in_the_end(index) {
                let (client, topic) = (self.name.clone(), topic.clone());
                self.world.recorder.event(Event::Assign {
                    client,
                    group: "".into(),
                    topic: topic.clone(),
                    partition,
                });
                // Nothing is ever deleted; and partitions that come later are read from their beginning.
                if self.plan.from_the_start || partition >= count {
                    self.note_seek(&TopicPartition::new(topic, partition), 0);
                }
            }
        }
    }

    /// One call for records.
    async fn read(&mut self) {
        let (name, isolation) = (self.name.clone(), self.plan.isolation());
        let recorder = self.world.recorder.clone();
        let note = |topic: &Name, partition: i32, offset: i64, id: RecordId, isolation: Isolation| {
            let (client, topic) = (name.clone(), topic.clone());
            recorder.event(Event::Poll { client, topic, partition, offset, id, isolation });
        };
        let result = match self.plan.reading {
            Reading::Next => match within(STEP, self.consumer.next()).await {
                Some(Ok(Some(batch))) => {
                    let TopicPartition { topic, partition } = batch.topic_partition().clone();
                    for record in &batch {
                        note(&topic, partition, record.offset, id_in(record.value), isolation);
                    }
                    Ok(())
                }
                Some(Err(error)) => Err(error),
                Some(Ok(None)) | None => Ok(()),
            },
            Reading::Recv => self.read_one_by_one(&note).await,
            Reading::Poll => {
                let records_max = self.rng.between(1, 200) as usize;
                self.consumer.poll(STEP, records_max).await.map(|polled| {
                    for (place, record) in polled.iter() {
                        note(&place.topic, place.partition, record.offset, id_in(record.value), isolation);
                    }
                })
            }
        };
        if let Err(error) = result {
            self.handle(&error);
            // An error must not become a busy loop.
            clock::sleep(ms(50)).await;
        }
    }

    async fn read_one_by_one(
        &mut self,
        note: &impl Fn(&Name, i32, i64, RecordId, Isolation),
    ) -> Result<(), RecvError> {
        let isolation = self.plan.isolation();
        for _ in 0..100 {
            match within(STEP, self.consumer.recv()).await {
                Some(Ok(Some(record))) => {
                    let id = id_in(record.value.as_deref());
                    note(&record.topic, record.partition, record.offset, id, isolation);
                }
                Some(Err(error)) => return Err(error),
                Some(Ok(None)) | None => break,
            }
        }
        Ok(())
    }

    /// What an application does that wants to go on.
    fn handle(&mut self, error: &RecvError) {
        self.world.recorder.trace(|| format!("{} is told: {error}", self.name));
        let Some(partition) = error.partition().cloned() else { return };
        let moved = match error {
            RecvError::Corrupt { next_offset: Some(next), offset, .. } => {
                self.note_damage(&partition, *offset, *next);
                self.note_seek(&partition, *next);
                self.consumer.seek(&partition, *next)
            }
            _ => self.consumer.resume([&partition]).map_err(SeekError::from),
        };
        if let Err(error) = moved {
            self.world.recorder.note(Note::Stuck { what: format!("{}: {error}", self.name) });
        }
    }

    /// A damaged batch is expected where one was damaged.
    fn note_damage(&self, partition: &TopicPartition, from: i64, to: i64) {
        let is_damaged = self.world.cluster.log(&partition.topic, partition.partition).is_some_and(|log| {
            log.batches.iter().any(|batch| batch.last_offset + 1 == to && batch.records().is_err())
        });
        if !is_damaged {
            let what = format!("{} was told that {partition} is damaged from {from} to {to}", self.name);
            self.world.recorder.note(Note::Stuck { what });
        }
    }

    /// Everything that is not reading.
    async fn do_something(&mut self) {
        let assignment = self.consumer.assignment();
        if assignment.is_empty() {
            return;
        }
        let partition = assignment[self.rng.below(assignment.len() as u64) as usize].clone();
        let some: Vec<_> = assignment.iter().filter(|_| self.rng.percent(50)).collect();
        let done = match self.rng.below(8) {
            0..3 => {
                let end = self.world.end_offset(&partition.topic, partition.partition);
                let to = self.rng.below(end as u64 + 1) as i64;
                self.note_seek(&partition, to);
                self.consumer.seek(&partition, to)
            }
            3 => {
                self.note_seek(&partition, 0);
                self.consumer.seek_to_beginning([&partition]).map_err(SeekError::from)
            }
            4 => {
                self.note_seek(&partition, -1);
                self.consumer.seek_to_end([&partition]).map_err(SeekError::from)
            }
            5 => self.consumer.pause(some).map_err(SeekError::from),
            6 => self.consumer.resume(some).map_err(SeekError::from),
            _ => {
                self.stall().await;
                Ok(())
            }
        };
        if let Err(error) = done {
            self.world.recorder.note(Note::Stuck { what: format!("{}: {error}", self.name) });
        }
    }

    /// Reads nothing for a while. What arrives meanwhile has a bound.
    async fn stall(&mut self) {
        let before = self.world.network.received_bytes(&self.plan.name);
        clock::sleep(ms(self.rng.pick(&[200, 1_000]))).await;
        let used = self.world.network.received_bytes(&self.plan.name) - before;
        let limit = self.plan.prefetch_bytes as u64 + STALL_OVERHEAD_BYTES;
        let what = format!("what {} received while it stood still", self.name);
        self.world.recorder.note(Note::Gauge { what, used, limit });
    }

    fn resume_all(&mut self) {
        let assignment = self.consumer.assignment();
        self.consumer.resume(&assignment).expect("what is resumed was just told to be assigned");
    }

    fn is_at_the_end(&self) -> bool {
        self.world.partitions().into_iter().all(|(topic, partition)| {
            let end = self.world.end_offset(&topic, partition);
            let position = self.consumer.position(&TopicPartition::new(topic, partition));
            position.is_ok_and(|position| position.is_some_and(|position| position.offset >= end))
        })
    }

    fn stuck(&self) {
        let positions = self.world.partitions().into_iter().map(|(topic, partition)| {
            let end = self.world.end_offset(&topic, partition);
            let place = TopicPartition::new(topic, partition);
            let position = self.consumer.position(&place);
            format!("{place}: {position:?} of {end}")
        });
        let what =
            format!("{} does not reach the end: {}", self.name, positions.collect::<Vec<_>>().join(", "));
        self.world.recorder.note(Note::Stuck { what });
    }

    fn note_seek(&self, partition: &TopicPartition, offset: i64) {
        let TopicPartition { topic, partition } = partition.clone();
        self.world.recorder.event(Event::Seek { client: self.name.clone(), topic, partition, offset });
    }
}
