//! ListOffsets and OffsetForLeaderEpoch in the broker's version.

use std::collections::BTreeMap;

use milena_client::connection::{RequestError, UnsupportedVersion};
use milena_client::{Address, TopicPartition};
use milena_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use milena_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use milena_protocol::messages::{ListOffsetsRequest, OffsetForLeaderEpochRequest};
use milena_protocol::{ByteStr, ErrorCode};

use super::MAX_TIMESTAMP;
use crate::core::Position;
use crate::shared::Shared;

/// The id of those who are no replica.
const CONSUMER: i32 = -1;
/// From this version on there is a search for the largest timestamp (KIP-734).
const MAX_TIMESTAMP_SINCE: i16 = 7;

/// A search in one partition.
pub(super) struct Lookup {
    pub(super) partition: TopicPartition,
    pub(super) current_leader_epoch: Option<i32>,
    pub(super) timestamp: i64,
}

/// What it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// None if no record fits.
    pub(crate) offset: Option<i64>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) leader_epoch: Option<i32>,
}

/// An answer for each partition that the broker answered for.
pub(super) type Answered<T> = Result<Vec<(TopicPartition, Result<T, ErrorCode>)>, RequestError>;

/// Asks one leader for offsets.
pub(super) async fn list_offsets(
    shared: &Shared,
    address: &Address,
    lookups: Vec<Lookup>,
) -> Answered<Listed> {
    let partitions: Vec<_> = lookups.iter().map(|lookup| lookup.partition.clone()).collect();
    let isolation_level = shared.config.isolation_level.code();
    let timeout = shared.client.config().connection.request_timeout;
    let request = shared.client.request_prepared::<ListOffsetsRequest>(address, move |versions| {
        let version = versions.choose::<ListOffsetsRequest>()?;
        if version < MAX_TIMESTAMP_SINCE && lookups.iter().any(|lookup| lookup.timestamp == MAX_TIMESTAMP) {
            return Err(no_max_timestamp(versions).into());
        }
        let topics = by_topic(
            lookups,
            |lookup| &lookup.partition,
            |lookup| ListOffsetsPartition {
                partition_index: lookup.partition.partition,
                current_leader_epoch: lookup.current_leader_epoch.unwrap_or(-1),
                timestamp: lookup.timestamp,
                ..Default::default()
            },
        );
        let topics = topics.into_iter().map(|(name, partitions)| ListOffsetsTopic {
            name,
            partitions,
            ..Default::default()
        });
        let request = ListOffsetsRequest {
            replica_id: CONSUMER,
            isolation_level,
            topics: topics.collect(),
            timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
            ..Default::default()
        };
        Ok((request, version))
    });
    let response = request.await?;
    let answers = response.topics.into_iter().flat_map(|topic| {
        let name = topic.name;
        topic.partitions.into_iter().map(move |partition| (name.clone(), partition))
    });
    let answers = answers.filter_map(|(topic, answer)| {
        let partition = requested(&partitions, &topic, answer.partition_index)?;
        let known = |number: i64| (number >= 0).then_some(number);
        let listed = Listed {
            offset: known(answer.offset),
            timestamp: known(answer.timestamp),
            leader_epoch: (answer.leader_epoch >= 0).then_some(answer.leader_epoch),
        };
        Some((partition, if answer.error_code.is_ok() { Ok(listed) } else { Err(answer.error_code) }))
    });
    Ok(answers.collect())
}

fn no_max_timestamp(versions: &milena_client::connection::ApiVersions) -> UnsupportedVersion {
    let mut ours = milena_protocol::ApiKey::ListOffsets.versions();
    ours.min = MAX_TIMESTAMP_SINCE;
    let theirs = versions.range(milena_protocol::ApiKey::ListOffsets);
    UnsupportedVersion { api: milena_protocol::ApiKey::ListOffsets.name(), ours, theirs }
}

/// A question where an epoch ended.
pub(super) struct EpochLookup {
    pub(super) partition: TopicPartition,
    pub(super) current_leader_epoch: Option<i32>,
    pub(super) leader_epoch: i32,
}

/// Asks one leader where epochs ended: the largest epoch that is not greater, and the offset after its last record; `None` when
/// the leader knows none.
pub(super) async fn epoch_ends(
    shared: &Shared,
    address: &Address,
    lookups: Vec<EpochLookup>,
) -> Answered<Option<Position>> {
    let partitions: Vec<_> = lookups.iter().map(|lookup| lookup.partition.clone()).collect();
    let request = shared.client.request_prepared::<OffsetForLeaderEpochRequest>(address, move |versions| {
        let version = versions.choose::<OffsetForLeaderEpochRequest>()?;
        let topics = by_topic(
            lookups,
            |lookup| &lookup.partition,
            |lookup| OffsetForLeaderPartition {
                partition: lookup.partition.partition,
                current_leader_epoch: lookup.current_leader_epoch.unwrap_or(-1),
                leader_epoch: lookup.leader_epoch,
                ..Default::default()
            },
        );
        let topics = topics.into_iter().map(|(topic, partitions)| OffsetForLeaderTopic {
            topic,
            partitions,
            ..Default::default()
        });
        let request = OffsetForLeaderEpochRequest {
            replica_id: CONSUMER,
            topics: topics.collect(),
            ..Default::default()
        };
        Ok((request, version))
    });
    let response = request.await?;
    let answers = response.topics.into_iter().flat_map(|topic| {
        let name = topic.topic;
        topic.partitions.into_iter().map(move |partition| (name.clone(), partition))
    });
    let answers = answers.filter_map(|(topic, answer)| {
        let partition = requested(&partitions, &topic, answer.partition)?;
        let end = (answer.end_offset >= 0 && answer.leader_epoch >= 0)
            .then(|| Position::new(answer.end_offset).with_leader_epoch(answer.leader_epoch));
        Some((partition, if answer.error_code.is_ok() { Ok(end) } else { Err(answer.error_code) }))
    });
    Ok(answers.collect())
}

fn by_topic<L, P>(
    lookups: Vec<L>,
    name: impl Fn(&L) -> &TopicPartition,
    partition: impl Fn(&L) -> P,
) -> BTreeMap<ByteStr, Vec<P>> {
    let mut topics: BTreeMap<ByteStr, Vec<P>> = BTreeMap::new();
    for lookup in &lookups {
        let topic = ByteStr::from(&*name(lookup).topic);
        topics.entry(topic).or_default().push(partition(lookup));
    }
    topics
}

fn requested(partitions: &[TopicPartition], topic: &str, partition: i32) -> Option<TopicPartition> {
    partitions.iter().find(|known| known.partition == partition && *known.topic == *topic).cloned()
}
