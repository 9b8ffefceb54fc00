//! OffsetForLeaderEpoch (KIP-101, KIP-320; Java: `Partition.lastOffsetForLeaderEpoch`).

use milena_protocol::ErrorCode;
use milena_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use milena_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use milena_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::Api;
use crate::node::{Reply, RequestContext};
use crate::state::Partition;

impl Api for OffsetForLeaderEpochRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<OffsetForLeaderEpochResponse> {
        let topics = self.topics.into_iter().map(|asked| {
            let topic = context.shared.state().topic(&asked.topic).cloned();
            let end_of = |partition: &OffsetForLeaderPartition| {
                let found = context.partition(topic.as_ref(), partition.partition);
                found
                    .and_then(|found| end_offset(context, &found, partition))
                    .unwrap_or_else(|error| unknown(partition, error))
            };
            OffsetForLeaderTopicResult {
                partitions: asked.partitions.iter().map(end_of).collect(),
                topic: asked.topic,
                ..Default::default()
            }
        });
        OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error: ErrorCode) -> Reply<OffsetForLeaderEpochResponse> {
        let topics = self.topics.into_iter().map(|topic| OffsetForLeaderTopicResult {
            partitions: topic.partitions.iter().map(|partition| unknown(partition, error)).collect(),
            topic: topic.topic,
            ..Default::default()
        });
        OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }.into()
    }
}

fn end_offset(
    context: &RequestContext<'_>,
    partition: &Partition,
    asked: &OffsetForLeaderPartition,
) -> Result<EpochEndOffset, ErrorCode> {
    let state = partition.lock();
    state.check_readable(context.node.id, asked.current_leader_epoch)?;
    let unknown = unknown(asked, ErrorCode::None);
    Ok(match state.log.end_of_leader_epoch(asked.leader_epoch) {
        Some(end) => EpochEndOffset { leader_epoch: end.leader_epoch, end_offset: end.end_offset, ..unknown },
        None => unknown,
    })
}

fn unknown(asked: &OffsetForLeaderPartition, error_code: ErrorCode) -> EpochEndOffset {
    EpochEndOffset {
        error_code,
        partition: asked.partition,
        leader_epoch: -1,
        end_offset: -1,
        ..Default::default()
    }
}
