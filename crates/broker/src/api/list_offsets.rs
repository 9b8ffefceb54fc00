//! ListOffsets (KIP-79, 207, 320, 405, 734, 1005, 1023; Java: `ReplicaManager.fetchOffset`,
//! `UnifiedLog.fetchOffsetByTimestamp`).

use std::collections::BTreeSet;

use milena_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use milena_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use milena_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::Api;
use crate::node::{Reply, RequestContext};
use crate::state::{Partition, PartitionState, Topic};

const READ_COMMITTED: i8 = 1;

/// The first version that knows this error.
const OFFSET_NOT_AVAILABLE_SINCE_VERSION: i16 = 5;

/// The timestamps that stand for something else (Java: `ListOffsetsRequest`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Latest,
    Earliest,
    MaxTimestamp,
    EarliestLocal,
    LatestTiered,
    EarliestPendingUpload,
    At(i64),
}

impl Wanted {
    /// What a timestamp means in a version of the request, if anything.
    fn from_timestamp(timestamp: i64, version: i16) -> Option<Self> {
        let (wanted, since_version) = match timestamp {
            -1 => (Self::Latest, 1),
            -2 => (Self::Earliest, 1),
            -3 => (Self::MaxTimestamp, 7),
            -4 => (Self::EarliestLocal, 8),
            -5 => (Self::LatestTiered, 9),
            -6 => (Self::EarliestPendingUpload, 11),
            0.. => (Self::At(timestamp), 1),
            _ => return None,
        };
        (version >= since_version).then_some(wanted)
    }
}

/// An offset that was found; -1 stands for none.
#[derive(Debug, Clone, Copy)]
struct Found {
    timestamp: i64,
    offset: i64,
    leader_epoch: i32,
}

const NOTHING: Found = Found { timestamp: -1, offset: -1, leader_epoch: -1 };

impl Api for ListOffsetsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<ListOffsetsResponse> {
        let duplicates = duplicates(&self.topics);
        let read_committed = self.isolation_level == READ_COMMITTED;
        let partition_of =
            |name: &ByteStr, topic: Option<&std::sync::Arc<Topic>>, asked: &ListOffsetsPartition| {
                if duplicates.contains(&(name.clone(), asked.partition_index)) {
                    return failed(asked, ErrorCode::InvalidRequest);
                }
                let Some(wanted) = Wanted::from_timestamp(asked.timestamp, context.version) else {
                    return failed(asked, ErrorCode::UnsupportedVersion);
                };
                let found = context.partition(topic, asked.partition_index).and_then(|partition| {
                    find(context, &partition, wanted, asked.current_leader_epoch, read_committed)
                });
                match found {
                    Err(ErrorCode::OffsetNotAvailable)
                        if context.version < OFFSET_NOT_AVAILABLE_SINCE_VERSION =>
                    {
                        failed(asked, ErrorCode::LeaderNotAvailable)
                    }
                    Ok(found) => ListOffsetsPartitionResponse {
                        partition_index: asked.partition_index,
                        timestamp: found.timestamp,
                        offset: found.offset,
                        // Older answers have no such field.
                        leader_epoch: if context.version >= 4 { found.leader_epoch } else { -1 },
                        ..Default::default()
                    },
                    Err(error) => failed(asked, error),
                }
            };
        let topics = self.topics.iter().map(|asked| {
            let topic = context.shared.state().topic(&asked.name).cloned();
            ListOffsetsTopicResponse {
                name: asked.name.clone(),
                partitions: asked
                    .partitions
                    .iter()
                    .map(|partition| partition_of(&asked.name, topic.as_ref(), partition))
                    .collect(),
                ..Default::default()
            }
        });
        ListOffsetsResponse { topics: topics.collect(), ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error: ErrorCode) -> Reply<ListOffsetsResponse> {
        let topics = self.topics.iter().map(|topic| ListOffsetsTopicResponse {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(|asked| failed(asked, error)).collect(),
            ..Default::default()
        });
        ListOffsetsResponse { topics: topics.collect(), ..Default::default() }.into()
    }
}

fn find(
    context: &RequestContext<'_>,
    partition: &Partition,
    wanted: Wanted,
    known_leader_epoch: i32,
    read_committed: bool,
) -> Result<Found, ErrorCode> {
    let state = partition.lock();
    state.check_readable(context.node.id, known_leader_epoch)?;
    let PartitionState { log, leadership, .. } = &*state;
    let end = if read_committed { log.last_stable_offset() } else { log.high_watermark() };
    let record = |found: crate::log::TimestampedOffset| Found {
        timestamp: found.timestamp_ms,
        offset: found.offset,
        leader_epoch: found.leader_epoch,
    };
    let found = match wanted {
        Wanted::Latest if log.lags_behind_its_leader() => None,
        Wanted::Latest => Some(Found { timestamp: -1, offset: end, leader_epoch: leadership.leader_epoch }),
        Wanted::Earliest | Wanted::EarliestLocal => Some(Found {
            timestamp: -1,
            offset: log.log_start_offset(),
            leader_epoch: log.earliest_leader_epoch().unwrap_or(-1),
        }),
        // There is no remote storage, whoever leads.
        Wanted::LatestTiered | Wanted::EarliestPendingUpload => return Ok(NOTHING),
        Wanted::MaxTimestamp => log
            .offset_of_max_timestamp(&mut context.workspace())
            .map(record)
            .filter(|found| found.offset < end),
        Wanted::At(timestamp) => log
            .offset_for_timestamp(timestamp, &mut context.workspace())
            .map(record)
            .filter(|found| found.offset < end),
    };
    match found {
        // A new leader that too few follow does not know yet what its log will be.
        None if log.lags_behind_its_leader() => Err(ErrorCode::OffsetNotAvailable),
        found => Ok(found.unwrap_or(NOTHING)),
    }
}

fn failed(asked: &ListOffsetsPartition, error_code: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        error_code,
        timestamp: NOTHING.timestamp,
        offset: NOTHING.offset,
        leader_epoch: NOTHING.leader_epoch,
        ..Default::default()
    }
}

/// The partitions that are asked for more than once.
fn duplicates(topics: &[ListOffsetsTopic]) -> BTreeSet<(ByteStr, i32)> {
    let mut seen = BTreeSet::new();
    let all = topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.clone(), partition.partition_index))
    });
    all.filter(|partition| !seen.insert(partition.clone())).collect()
}
