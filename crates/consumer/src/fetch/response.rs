//! Fetch responses, taken apart without decoding a record.

use std::sync::Arc;

use milena_client::Address;
use milena_client::metadata::{Broker, LeaderHint};
use milena_protocol::ErrorCode;
use milena_protocol::messages::FetchResponse;
use milena_protocol::messages::fetch_response::PartitionData;
use milena_records::Batches;

use crate::config::IsolationLevel;
use crate::core::session::FetchSession;
use crate::core::{
    AbortedFilter, AbortedTransaction, Fetched, FetchedData, Outline, PartitionAnswer, Position, Watermarks,
    outline,
};
use crate::pool::FrameLease;

/// What an answer says.
pub(super) struct Taken {
    pub(super) answers: Vec<PartitionAnswer>,
    /// Partitions that were not asked for, or are named twice.
    pub(super) strangers: usize,
}

/// Takes an answer apart.
pub(super) fn take(
    answer: FetchResponse,
    session: &FetchSession,
    isolation_level: IsolationLevel,
    frame: &Arc<FrameLease>,
) -> Taken {
    let mut taken = Taken { answers: Vec::new(), strangers: 0 };
    for topic in answer.responses {
        for data in topic.partitions {
            match session.resolve(&topic.topic, topic.topic_id, data.partition_index) {
                None => taken.strangers += 1,
                Some(partition) => {
                    let error = data.error_code;
                    taken.answers.push(PartitionAnswer {
                        partition,
                        error,
                        watermarks: watermarks(&data),
                        diverging: (data.diverging_epoch.end_offset >= 0).then(|| {
                            Position::new(data.diverging_epoch.end_offset)
                                .with_leader_epoch(data.diverging_epoch.epoch)
                        }),
                        preferred_read_replica: known(data.preferred_read_replica),
                        data: if error.is_ok() { fetched(data, isolation_level, frame) } else { None },
                    });
                }
            }
        }
    }
    taken.strangers += repeated(&taken.answers);
    taken
}

/// How many answers are about a partition of which there is one already. (The first one counts: nobody waits for the others.)
fn repeated(answers: &[PartitionAnswer]) -> usize {
    let mut names: Vec<_> = answers.iter().map(|answer| &answer.partition).collect();
    names.sort_unstable();
    names.dedup();
    answers.len() - names.len()
}

fn watermarks(data: &PartitionData) -> Watermarks {
    let known = |offset: i64| (offset >= 0).then_some(offset);
    Watermarks {
        log_start_offset: known(data.log_start_offset),
        high_watermark: known(data.high_watermark),
        last_stable_offset: known(data.last_stable_offset),
    }
}

fn fetched(
    data: PartitionData,
    isolation_level: IsolationLevel,
    frame: &Arc<FrameLease>,
) -> Option<FetchedData> {
    let records = data.records?.into_bytes();
    if records.is_empty() {
        return None;
    }
    let filter = (isolation_level == IsolationLevel::ReadCommitted).then(|| {
        let transactions = data.aborted_transactions.unwrap_or_default().into_iter();
        let transactions = transactions.map(|transaction| AbortedTransaction {
            producer_id: transaction.producer_id,
            first_offset: transaction.first_offset,
        });
        AbortedFilter::new(transactions.collect())
    });
    let Outline { end, disorder } = outline(&records);
    let size_bytes = records.len();
    let batches = Batches::new(records);
    // Where the fetch began is known to the partition.
    let (next, fetch_offset) = (Position::new(0), 0);
    Some(FetchedData {
        fetched: Fetched { batches, filter, disorder, next, fetch_offset, frame: frame.clone() },
        end,
        size_bytes,
    })
}

/// The leaders that a former leader tells, with their addresses (KIP-951).
pub(super) fn leader_hints(
    answer: &FetchResponse,
    session: &FetchSession,
) -> Option<(Vec<LeaderHint>, Vec<Broker>)> {
    let mut hints = Vec::new();
    for topic in &answer.responses {
        for data in &topic.partitions {
            let moved =
                matches!(data.error_code, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch);
            let leader = &data.current_leader;
            if !moved || leader.leader_id < 0 || leader.leader_epoch < 0 {
                continue;
            }
            if let Some(partition) = session.resolve(&topic.topic, topic.topic_id, data.partition_index) {
                hints.push(LeaderHint {
                    topic: partition.topic,
                    partition: partition.partition,
                    leader_id: leader.leader_id,
                    leader_epoch: leader.leader_epoch,
                });
            }
        }
    }
    let endpoints = answer.node_endpoints.iter().filter_map(|node| {
        let address = Address::new(&*node.host, u16::try_from(node.port).ok()?);
        let rack = node.rack.as_ref().map(ToString::to_string);
        Some(Broker { node_id: node.node_id, address, rack })
    });
    (!hints.is_empty()).then(|| (hints, endpoints.collect()))
}

fn known(node_id: i32) -> Option<i32> {
    (node_id >= 0).then_some(node_id)
}
