//! ListOffsets: where partitions begin and end, and which offset a time stands for.

use std::collections::BTreeMap;

use milena_client::{Address, RequestError, TopicPartition};
use milena_protocol::ByteStr;
use milena_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use milena_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use milena_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use crate::rounds::{Retried, Verdict};
use crate::routing::{Led, join_all};
use crate::{Admin, AdminErrorReason, Results};

/// Which offset of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum OffsetSpec {
    /// That of the first record that is left.
    Earliest,
    /// The high watermark: the offset that follows the last record that all in-sync replicas have.
    Latest,
    /// The last stable offset, up to which a reader with `isolation.level=read_committed` reads.
    LatestStable,
    /// That of the first record whose timestamp, in milliseconds since 1970, is at least this.
    Timestamp(i64),
    /// That of the record with the highest timestamp (KIP-734, brokers from 3.0 on).
    MaxTimestamp,
}

/// An offset that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedOffset {
    /// The offset; `None` when no record is that late, or when there is none at all.
    pub offset: Option<i64>,
    /// The record's timestamp in milliseconds since 1970, where a record was looked for.
    pub timestamp_ms: Option<i64>,
    /// The epoch of the leader that wrote the record (KIP-320), where the broker tells it.
    pub leader_epoch: Option<i32>,
}

const ISOLATION_LEVEL_SINCE: i16 = 2;
const MAX_TIMESTAMP_SINCE: i16 = 7;

impl OffsetSpec {
    /// The timestamp that stands for it (`ListOffsetsRequest`).
    fn wire(self) -> i64 {
        match self {
            Self::Timestamp(timestamp_ms) => timestamp_ms,
            Self::Latest | Self::LatestStable => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
        }
    }

    fn isolation_level(self) -> i8 {
        const READ_UNCOMMITTED: i8 = 0;
        const READ_COMMITTED: i8 = 1;
        if self == Self::LatestStable { READ_COMMITTED } else { READ_UNCOMMITTED }
    }

    fn since(self) -> i16 {
        match self {
            Self::MaxTimestamp => MAX_TIMESTAMP_SINCE,
            Self::LatestStable => ISOLATION_LEVEL_SINCE,
            Self::Earliest | Self::Latest | Self::Timestamp(_) => 0,
        }
    }
}

impl Admin {
    /// Looks up offsets of partitions; of several entries for a partition the last one counts.
    ///
    /// # Errors
    /// For each partition, above all `UNKNOWN_TOPIC_OR_PARTITION`, `TOPIC_AUTHORIZATION_FAILED`, and
    /// [`AdminErrorReason::NotSupported`].
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn list_offsets(
        &self,
        partitions: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
    ) -> Results<TopicPartition, ListedOffset> {
        let wanted: BTreeMap<TopicPartition, OffsetSpec> = partitions.into_iter().collect();
        let names: Vec<_> = wanted.keys().cloned().collect();
        let attempt = |open: Vec<TopicPartition>| {
            let wanted = &wanted;
            self.ask_leaders(open, move |leader, led| self.list_at(leader, led, wanted))
        };
        self.settle_each("ListOffsets", Retried::AllRetriable, names, attempt).await
    }

    /// Asks one leader: a request for each isolation level, and one for what old brokers do not know, so that their refusal
    /// concerns nothing else.
    async fn list_at(
        &self,
        leader: Address,
        led: Vec<Led>,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> Vec<(TopicPartition, Verdict<ListedOffset>)> {
        let mut groups: BTreeMap<(i8, i16), Vec<Led>> = BTreeMap::new();
        for (partition, leader_epoch) in led {
            let spec = wanted[&partition];
            groups.entry((spec.isolation_level(), spec.since())).or_default().push((partition, leader_epoch));
        }
        let asked = groups.into_iter().map(|((isolation_level, since), led)| {
            let request = request(isolation_level, &led, wanted, self.broker_timeout_ms());
            self.list_group(&leader, since, request, led)
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    async fn list_group(
        &self,
        leader: &Address,
        since: i16,
        request: ListOffsetsRequest,
        led: Vec<Led>,
    ) -> Vec<(TopicPartition, Verdict<ListedOffset>)> {
        let answer = self.client().request_prepared::<ListOffsetsRequest>(leader, move |versions| {
            Ok((request, versions.choose_from::<ListOffsetsRequest>(since)?))
        });
        let partitions = |led: Vec<Led>| led.into_iter().map(|(partition, _)| partition);
        match answer.await {
            Ok(response) => verdicts(response),
            Err(RequestError::UnsupportedVersion(_)) if since == MAX_TIMESTAMP_SINCE => {
                let problem = "it cannot look for the highest timestamp; that needs Kafka 3.0 (KIP-734)";
                partitions(led)
                    .map(|partition| (partition, Verdict::Failed(AdminErrorReason::NotSupported(problem))))
                    .collect()
            }
            Err(error) => Verdict::lost(partitions(led).collect(), &error),
        }
    }
}

fn request(
    isolation_level: i8,
    led: &[Led],
    wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    timeout_ms: i32,
) -> ListOffsetsRequest {
    const CONSUMER: i32 = -1;
    let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (partition, leader_epoch) in led {
        topics.entry(&partition.topic).or_default().push(ListOffsetsPartition {
            partition_index: partition.partition,
            current_leader_epoch: *leader_epoch,
            timestamp: wanted[partition].wire(),
            ..Default::default()
        });
    }
    let topics = topics.into_iter().map(|(name, partitions)| ListOffsetsTopic {
        name: ByteStr::from(name),
        partitions,
        ..Default::default()
    });
    ListOffsetsRequest {
        replica_id: CONSUMER,
        isolation_level,
        topics: topics.collect(),
        timeout_ms,
        ..Default::default()
    }
}

fn verdicts(response: ListOffsetsResponse) -> Vec<(TopicPartition, Verdict<ListedOffset>)> {
    let listed = |partition: &ListOffsetsPartitionResponse| ListedOffset {
        offset: (partition.offset >= 0).then_some(partition.offset),
        timestamp_ms: (partition.timestamp >= 0).then_some(partition.timestamp),
        leader_epoch: (partition.leader_epoch >= 0).then_some(partition.leader_epoch),
    };
    let topics = response.topics.into_iter();
    topics
        .flat_map(|topic| {
            topic.partitions.into_iter().map(move |partition| {
                let verdict = Verdict::of(partition.error_code, None, listed(&partition));
                (TopicPartition::new(&*topic.name, partition.partition_index), verdict)
            })
        })
        .collect()
}
