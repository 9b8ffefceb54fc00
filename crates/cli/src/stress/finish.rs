//! After the load: everything is read from start to end, and judged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use milena::producer::ProducerConfig;
use milena::{Consumer, Kafka, OffsetReset, TopicPartition};
use milena_history::{Event, Name, Violation};

use super::Stress;
use super::consume::{Consumers, poll};
use crate::failure::Failure;

/// The final reader's name.
const NAME: &str = "final";
/// After an error, before it asks again.
const PAUSE: Duration = Duration::from_millis(200);

/// The first line of the history.
pub(super) fn meta(producer: &ProducerConfig) -> Event {
    Event::Meta {
        final_committed: Vec::new(),
        final_uncommitted: vec![NAME.into()],
        eos: Vec::new(),
        idempotent: producer.enable_idempotence,
        partitions_added: false,
    }
}

/// What others have written could not be told from what was lost.
pub(super) async fn check_empty(kafka: &Kafka, topic: &str) -> Result<(), Failure> {
    let mut consumer = kafka.consumer().build().await?;
    consumer.assign_topic(topic).await.map_err(Failure::operation)?;
    let ends = consumer.end_offsets(&consumer.assignment()).await.map_err(Failure::operation)?;
    consumer.close().await;
    match ends.values().any(|end| *end > 0) {
        true => Err(Failure::Usage(format!(
            "--topic {topic}: it has records already; leave --topic out for a new one"
        ))),
        false => Ok(()),
    }
}

/// Reads everything and returns the promises that were broken.
pub(super) async fn run(
    stress: &Stress,
    consumers: Consumers,
    patience: Duration,
) -> Result<Vec<Violation>, Failure> {
    consumers.finish().await;
    let deadline = stress.env.now() + patience;
    let mut consumer = stress.kafka.consumer().auto_offset_reset(OffsetReset::Earliest).build().await?;
    let places: Vec<_> =
        (0..stress.partitions).map(|partition| TopicPartition::new(&*stress.topic, partition)).collect();
    consumer.assign(places.clone());
    let ends = ends(stress, &consumer, &places, deadline).await?;
    let open = ends.iter().filter(|(_, end)| **end > 0).map(|(place, _)| place.clone()).collect();
    read_all(stress, &mut consumer, &ends, open, deadline).await?;
    consumer.close().await;
    Ok(stress.recorder.peek(milena_history::check))
}

/// Where the partitions end, once the cluster is healthy enough to tell.
async fn ends(
    stress: &Stress,
    consumer: &Consumer,
    places: &[TopicPartition],
    deadline: Instant,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    loop {
        match consumer.end_offsets(places).await {
            Ok(ends) => return Ok(ends.into_iter().collect()),
            Err(error) if error.is_retriable() && stress.env.now() < deadline => {
                stress.env.sleep_until(stress.env.now() + PAUSE).await;
            }
            Err(error) => return Err(unhealthy(error)),
        }
    }
}

async fn read_all(
    stress: &Stress,
    consumer: &mut Consumer,
    ends: &BTreeMap<TopicPartition, i64>,
    mut open: BTreeSet<TopicPartition>,
    deadline: Instant,
) -> Result<(), Failure> {
    let (name, topic): (Name, Name) = (NAME.into(), stress.topic.as_str().into());
    while !open.is_empty() {
        match stress.env.timeout_at(deadline, consumer.next()).await {
            Some(Ok(Some(batch))) => {
                for record in &batch {
                    poll(&stress.recorder, &name, &topic, batch.partition(), record.offset, record.value);
                }
                let place = batch.topic_partition();
                if ends.get(place).is_some_and(|end| batch.next_offset() >= *end) {
                    open.remove(place);
                }
            }
            Some(Err(error)) if error.is_retriable() => {
                stress.env.sleep_until(stress.env.now() + PAUSE).await;
            }
            Some(Err(error)) => return Err(unhealthy(error)),
            Some(Ok(None)) | None => {
                let open: Vec<String> = open.iter().map(ToString::to_string).collect();
                return Err(unhealthy(format!("no end is reached of {}", open.join(", "))));
            }
        }
    }
    Ok(())
}

fn unhealthy(error: impl std::fmt::Display) -> Failure {
    Failure::Operation(format!(
        "the run cannot be judged, because not everything can be read again: {error}; is the cluster healthy again? \
         --patience gives it more time"
    ))
}
