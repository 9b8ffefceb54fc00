//! Questions to leaders: where logs begin and end, which offset belongs to a time, where an epoch ended.

mod query;
mod wire;

pub(crate) use query::{OffsetQuery, query};
pub(crate) use wire::Listed;

use std::collections::BTreeMap;
use std::time::Duration;

use milena_client::{Address, RequestError, TopicPartition};
use milena_protocol::ErrorCode;

use crate::core::{Answer, Asked, OffsetLookup, Question};
use crate::shared::Shared;

/// What ListOffsets takes in place of a timestamp (Java: `ListOffsetsRequest`).
pub(crate) const EARLIEST_TIMESTAMP: i64 = -2;
pub(crate) const LATEST_TIMESTAMP: i64 = -1;
pub(crate) const MAX_TIMESTAMP: i64 = -3;

/// Asks one leader for the offsets that resets and seeks need.
pub(crate) async fn ask_offsets(
    shared: &Shared,
    node_id: i32,
    questions: &[(TopicPartition, Asked)],
) -> BTreeMap<TopicPartition, Answer> {
    let now_ms = shared.client.env().timestamp_ms();
    let lookups = questions.iter().filter_map(|(partition, asked)| match asked.question {
        Question::Offset(lookup) => Some(wire::Lookup {
            partition: partition.clone(),
            current_leader_epoch: asked.leader.leader_epoch,
            timestamp: timestamp(lookup, now_ms),
        }),
        Question::EpochEnd(_) => None,
    });
    let answered = match address(shared, node_id) {
        Ok(address) => wire::list_offsets(shared, &address, lookups.collect()).await,
        Err(error) => Err(error),
    };
    let answer = |result: Result<wire::Listed, ErrorCode>| match result {
        Ok(listed) => Answer::Offset(listed.offset),
        Err(code) => Answer::Error(code),
    };
    answers(answered, questions, answer)
}

/// Asks one leader where its log ends for the epochs of these positions.
pub(crate) async fn ask_epoch_ends(
    shared: &Shared,
    node_id: i32,
    questions: &[(TopicPartition, Asked)],
) -> BTreeMap<TopicPartition, Answer> {
    let lookups = questions.iter().filter_map(|(partition, asked)| match asked.question {
        Question::EpochEnd(position) => Some(wire::EpochLookup {
            partition: partition.clone(),
            current_leader_epoch: asked.leader.leader_epoch,
            leader_epoch: position.leader_epoch?,
        }),
        Question::Offset(_) => None,
    });
    let answered = match address(shared, node_id) {
        Ok(address) => wire::epoch_ends(shared, &address, lookups.collect()).await,
        Err(error) => Err(error),
    };
    let answer = |result| match result {
        Ok(end) => Answer::EpochEnd(end),
        Err(code) => Answer::Error(code),
    };
    answers(answered, questions, answer)
}

fn answers<T>(
    answered: wire::Answered<T>,
    questions: &[(TopicPartition, Asked)],
    answer: impl Fn(Result<T, ErrorCode>) -> Answer,
) -> BTreeMap<TopicPartition, Answer> {
    match answered {
        Ok(answered) => answered.into_iter().map(|(partition, result)| (partition, answer(result))).collect(),
        // Asking again will not help; whatever else went wrong is tried again.
        Err(RequestError::UnsupportedVersion(_)) => {
            let refused = Answer::Error(ErrorCode::UnsupportedVersion);
            questions.iter().map(|(partition, _)| (partition.clone(), refused)).collect()
        }
        Err(error) => {
            tracing::debug!(%error, "a leader did not answer");
            BTreeMap::new()
        }
    }
}

fn address(shared: &Shared, node_id: i32) -> Result<Address, RequestError> {
    let metadata = shared.client.metadata().current();
    let broker = metadata.brokers.get(&node_id);
    broker
        .map(|broker| broker.address.clone())
        .ok_or_else(|| RequestError::NoBroker(format!("node {node_id} is not in the metadata")))
}

fn timestamp(lookup: OffsetLookup, now_ms: i64) -> i64 {
    match lookup {
        OffsetLookup::Earliest => EARLIEST_TIMESTAMP,
        OffsetLookup::Latest => LATEST_TIMESTAMP,
        OffsetLookup::Timestamp(timestamp) => timestamp.max(0),
        OffsetLookup::Ago(duration) => now_ms.saturating_sub(millis(duration)).max(0),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookups_become_the_timestamps_of_list_offsets() {
        assert_eq!(timestamp(OffsetLookup::Earliest, 1_000), -2);
        assert_eq!(timestamp(OffsetLookup::Latest, 1_000), -1);
        assert_eq!(timestamp(OffsetLookup::Timestamp(500), 1_000), 500);
        assert_eq!(timestamp(OffsetLookup::Ago(Duration::from_millis(300)), 1_000), 700);
        // A negative number would mean something else.
        assert_eq!(timestamp(OffsetLookup::Timestamp(-2), 1_000), 0);
        assert_eq!(timestamp(OffsetLookup::Ago(Duration::MAX), 1_000), 0);
    }
}
