//! The consumers of a run: each reads all partitions, and goes back now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use milena::env::Task;
use milena::{Consumer, Env, OffsetReset, TopicPartition};
use milena_history::{Event, Isolation, Name};

use super::Stress;
use super::load;
use super::recorder::Recorder;
use crate::failure::Failure;
use crate::random::SplitMix64;

/// How long a consumer reads before it thinks of going back.
const STRETCH: Duration = Duration::from_secs(2);
/// After an error, before it asks again.
const PAUSE: Duration = Duration::from_millis(100);

/// The consumers, while they read.
pub(super) struct Consumers {
    tasks: Vec<Task>,
    is_over: Arc<AtomicBool>,
}

/// Starts so many consumers from the beginning of all partitions.
pub(super) async fn start(stress: &Stress, count: usize) -> Result<Consumers, Failure> {
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for number in 0..count {
        let consumer = stress.kafka.consumer().auto_offset_reset(OffsetReset::Earliest).build().await?;
        let reader = Reader {
            name: format!("consumer-{number}").into(),
            topic: stress.topic.as_str().into(),
            partitions: stress.partitions,
            consumer,
            env: stress.env.clone(),
            recorder: stress.recorder.clone(),
            random: stress.random(1 << 32 | number as u64),
        };
        tasks.push(stress.env.spawn(reader.run(is_over.clone())));
    }
    Ok(Consumers { tasks, is_over })
}

impl Consumers {
    pub(super) async fn finish(self) {
        self.is_over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.join().await;
        }
    }
}

struct Reader {
    name: Name,
    topic: Name,
    partitions: i32,
    consumer: Consumer,
    env: Env,
    recorder: Recorder,
    random: SplitMix64,
}

impl Reader {
    async fn run(mut self, is_over: Arc<AtomicBool>) {
        let partitions = (0..self.partitions).map(|partition| self.place(partition)).collect::<Vec<_>>();
        self.consumer.assign(partitions);
        for partition in 0..self.partitions {
            let (client, topic) = (self.name.clone(), self.topic.clone());
            self.recorder.event(Event::Assign { client, group: "".into(), topic, partition });
            self.seek(partition, 0);
        }
        while !is_over.load(Ordering::Relaxed) {
            let until = self.env.now() + STRETCH;
            while self.env.now() < until && !is_over.load(Ordering::Relaxed) {
                self.read().await;
            }
            self.maybe_go_back();
        }
        self.consumer.close().await;
    }

    async fn read(&mut self) {
        let next = self.env.timeout_at(self.env.now() + PAUSE, self.consumer.next()).await;
        match next {
            Some(Ok(Some(batch))) => {
                let partition = batch.partition();
                for record in &batch {
                    poll(&self.recorder, &self.name, &self.topic, partition, record.offset, record.value);
                }
            }
            Some(Err(error)) => {
                tracing::warn!(%error, consumer = &*self.name, "an error while reading; it goes on");
                self.env.sleep_until(self.env.now() + PAUSE).await;
            }
            Some(Ok(None)) | None => {}
        }
    }

    /// One time in three, to a place before the position.
    fn maybe_go_back(&mut self) {
        if self.random.below(3) > 0 {
            return;
        }
        let partition = self.random.below(u64::from(self.partitions.unsigned_abs())) as i32;
        let position = self.consumer.position(&self.place(partition));
        let Ok(Some(position)) = position else { return };
        let back = self.random.below(1_000) as i64;
        self.seek(partition, (position.offset - back).max(0));
    }

    fn seek(&mut self, partition: i32, offset: i64) {
        if self.consumer.seek(&self.place(partition), offset).is_ok() {
            let (client, topic) = (self.name.clone(), self.topic.clone());
            self.recorder.event(Event::Seek { client, topic, partition, offset });
        }
    }

    fn place(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(self.topic.clone(), partition)
    }
}

/// Takes down a record that was handed over. What is not ours has a number that nobody sent.
pub(super) fn poll(
    recorder: &Recorder,
    client: &Name,
    topic: &Name,
    partition: i32,
    offset: i64,
    value: Option<&[u8]>,
) {
    recorder.event(Event::Poll {
        client: client.clone(),
        topic: topic.clone(),
        partition,
        offset,
        id: load::id_in(value).unwrap_or(u64::MAX),
        isolation: Isolation::ReadUncommitted,
    });
}
