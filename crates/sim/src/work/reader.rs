//! The final reader: once everything is healed and written, it reads every partition from start to end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use milena_client::TopicPartition;
use milena_consumer::{Consumer, ConsumerConfig, OffsetReset, RecvError};
use milena_history::{Event, Isolation, Name, Note};

use super::id_in;
use crate::clock::{ms, within};
use crate::world::World;

const LIMIT: Duration = Duration::from_secs(30);
/// The name of the final reader.
pub(crate) const NAME: &str = "final";

pub(crate) async fn run(world: &Arc<World>) {
    let mut config = ConsumerConfig::default();
    config.auto_offset_reset = OffsetReset::Earliest;
    let client = world.client(NAME, ms(5_000));
    let mut consumer = Consumer::new(client, config).expect("the configuration is valid");
    let partitions = world.partitions();
    consumer
        .assign(partitions.iter().map(|(topic, partition)| TopicPartition::new(topic.clone(), *partition)));
    let name: Name = NAME.into();
    let mut open: BTreeSet<_> =
        partitions.into_iter().filter(|(topic, partition)| world.end_offset(topic, *partition) > 0).collect();
    let reading = async {
        while !open.is_empty() {
            match consumer.next().await {
                Ok(Some(batch)) => {
                    let TopicPartition { topic, partition } = batch.topic_partition().clone();
                    for record in &batch {
                        world.recorder.event(Event::Poll {
                            client: name.clone(),
                            topic: topic.clone(),
                            partition,
                            offset: record.offset,
                            id: id_in(record.value),
                            isolation: Isolation::ReadUncommitted,
                        });
                    }
                    if batch.next_offset() >= world.end_offset(&topic, partition) {
                        open.remove(&(topic, partition));
                    }
                }
                Ok(None) => break,
                Err(RecvError::Corrupt { partition, next_offset: Some(next), .. }) => {
                    if next >= world.end_offset(&partition.topic, partition.partition) {
                        open.remove(&(partition.topic.clone(), partition.partition));
                    }
                    // A partition that fails is assigned.
                    let _ = consumer.seek(&partition, next);
                }
                Err(error) => {
                    world.recorder.note(Note::Stuck { what: format!("the final reader: {error}") });
                    break;
                }
            }
        }
    };
    if within(LIMIT, reading).await.is_none() {
        let what = format!("the final reader does not reach the end of {open:?}");
        world.recorder.note(Note::Stuck { what });
    }
    compare(world);
    consumer.close().await;
}

/// What the final reader was handed is what the cluster has.
fn compare(world: &World) {
    let counts = world.recorder.peek(|history| {
        let mut counts: BTreeMap<(Name, i32), Counts> = BTreeMap::new();
        for entry in &history.entries {
            match &entry.event {
                Event::Poll { client, topic, partition, .. } if **client == *NAME => {
                    counts.entry((topic.clone(), *partition)).or_default().read += 1;
                }
                Event::Note(Note::Unreadable { topic, partition, from, to }) => {
                    counts.entry((topic.clone(), *partition)).or_default().damaged += to - from;
                }
                _ => {}
            }
        }
        counts
    });
    for place in world.partitions() {
        let (topic, partition) = &place;
        // Nothing is compacted or deleted: offsets have no holes but where a batch was damaged.
        let Counts { read, damaged } = counts.get(&place).copied().unwrap_or_default();
        let stored = world.end_offset(topic, *partition) - damaged;
        if stored != read {
            let what =
                format!("the final reader was handed {read} of {stored} records of {topic}-{partition}");
            world.recorder.note(Note::Stuck { what });
        }
    }
}

/// How many records of a partition the final reader was handed, and how many cannot be read.
#[derive(Clone, Copy, Default)]
struct Counts {
    read: i64,
    damaged: i64,
}
