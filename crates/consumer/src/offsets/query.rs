//! Offsets that the application asks for: of many leaders at once, through metadata that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use milena_client::{Metadata, TopicPartition};
use milena_protocol::ErrorCode;
use tokio::sync::mpsc;

use super::wire::{self, Listed, Lookup};
use crate::error::OffsetsError;
use crate::panics;
use crate::shared::Shared;

/// What is asked: a timestamp, or a number that stands for something else, by partition.
pub(crate) type OffsetQuery = BTreeMap<TopicPartition, i64>;

/// What one leader answered.
type Answer = Result<Vec<(TopicPartition, Result<Listed, ErrorCode>)>, OffsetsError>;

/// Asks the leaders, each by a task of its own, until all partitions have an answer or the time is over.
pub(crate) async fn query(
    shared: &Arc<Shared>,
    wanted: OffsetQuery,
    timeout: Duration,
) -> Result<BTreeMap<TopicPartition, Listed>, OffsetsError> {
    let metadata = shared.client.metadata();
    let topics: BTreeSet<_> = wanted.keys().map(|partition| partition.topic.clone()).collect();
    let _interests: Vec<_> = topics.into_iter().map(|topic| metadata.interest(topic, false)).collect();
    let env = shared.client.env();
    let version_before = metadata.version();
    let deadline = env.deadline_after(timeout);
    let mut found = BTreeMap::new();
    let mut last = None;
    let complete = async {
        let mut failures = 0;
        while found.len() < wanted.len() {
            let current = metadata.current();
            let version = current.version;
            // What was known before may be out of date: rights may have been granted since.
            if version > version_before
                && let Some(refused) = refused_topic(&current, wanted.keys())
            {
                return Err(refused);
            }
            match round(shared, &wanted, &mut found).await? {
                None => {}
                Some(error) => last = Some(error),
            }
            if found.len() == wanted.len() {
                break;
            }
            failures += 1;
            let backoff = shared.client.config().retry_backoff.delay(failures, env.random_unit());
            metadata.request_update();
            // New metadata may name other leaders; the back-off bounds the rate whatever it says.
            env.sleep(backoff).await;
            if last.is_none() {
                metadata.changed_since(version).await;
            }
        }
        Ok(())
    };
    match env.timeout_at(deadline, complete).await {
        Some(Ok(())) => Ok(found),
        Some(Err(error)) => Err(error),
        None => {
            let missing: Vec<_> = wanted.keys().filter(|partition| !found.contains_key(*partition)).collect();
            let partition =
                missing.first().map_or_else(|| TopicPartition::new("", -1), |name| (*name).clone());
            let last = last.map(Box::new);
            Err(OffsetsError::Timeout { partition, missing: missing.len(), after: timeout, last })
        }
    }
}

/// A partition whose topic cannot be asked about, and will not by waiting.
fn refused_topic<'a>(
    metadata: &Metadata,
    mut wanted: impl Iterator<Item = &'a TopicPartition>,
) -> Option<OffsetsError> {
    wanted.find_map(|partition| {
        let topic = metadata.topic(&partition.topic)?;
        let is_refused = !topic.error.is_ok() && !topic.error.is_retriable() && topic.partitions.is_empty();
        is_refused.then(|| OffsetsError::Refused { partition: partition.clone(), code: topic.error })
    })
}

/// Asks the present leaders of what is not found yet. Returns an error that another round may not meet.
async fn round(
    shared: &Arc<Shared>,
    wanted: &OffsetQuery,
    found: &mut BTreeMap<TopicPartition, Listed>,
) -> Result<Option<OffsetsError>, OffsetsError> {
    let metadata = shared.client.metadata().current();
    let mut by_leader: BTreeMap<_, Vec<Lookup>> = BTreeMap::new();
    for (partition, timestamp) in wanted.iter().filter(|(partition, _)| !found.contains_key(*partition)) {
        let Some(leader) = metadata.leader(&partition.topic, partition.partition) else { continue };
        let known = metadata.partition(&partition.topic, partition.partition);
        let lookup = Lookup {
            partition: partition.clone(),
            current_leader_epoch: known.and_then(|known| known.leader_epoch),
            timestamp: *timestamp,
        };
        by_leader.entry(leader.address.clone()).or_default().push(lookup);
    }
    let (answers, mut answered) = mpsc::channel::<Answer>(by_leader.len().max(1));
    let ask = |(address, lookups)| {
        let (shared, answers) = (shared.clone(), answers.clone());
        shared.client.env().clone().spawn(async move {
            let answer = match panics::catch(wire::list_offsets(&shared, &address, lookups)).await {
                Ok(answer) => answer.map_err(OffsetsError::from),
                Err(message) => Err(OffsetsError::Panicked(message)),
            };
            // The query may have been dropped: then nobody listens.
            let _ = answers.send(answer).await;
        })
    };
    let _asking: Vec<_> = by_leader.into_iter().map(ask).collect();
    drop(answers);
    let mut last = None;
    while let Some(answer) = answered.recv().await {
        match answer {
            Ok(partitions) => {
                for (partition, result) in partitions {
                    match result {
                        Ok(listed) => drop(found.insert(partition, listed)),
                        // Written in the format of 0.9, without timestamps: Java takes it for "no record found".
                        Err(ErrorCode::UnsupportedForMessageFormat) => {
                            let nothing = Listed { offset: None, timestamp: None, leader_epoch: None };
                            found.insert(partition, nothing);
                        }
                        Err(code) => {
                            let error = OffsetsError::Refused { partition, code };
                            // As Java, try again after anything but a missing permission.
                            if code == ErrorCode::TopicAuthorizationFailed {
                                return Err(error);
                            }
                            last = Some(error);
                        }
                    }
                }
            }
            Err(error) if error.is_retriable() => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Ok(last)
}
