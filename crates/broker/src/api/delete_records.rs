//! DeleteRecords (KIP-107; Java: `Partition.deleteRecordsOnLeader`).

use milena_protocol::ErrorCode;
use milena_protocol::messages::delete_records_request::DeleteRecordsPartition;
use milena_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use milena_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::Api;
use crate::node::{Reply, RequestContext};
use crate::state::{Partition, is_internal};

/// The offset that stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;
/// A client that does not say which leader epoch it knows.
const ANY_LEADER_EPOCH: i32 = -1;

impl Api for DeleteRecordsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DeleteRecordsResponse> {
        let topics = self.topics.into_iter().map(|asked| {
            let topic = context.shared.state().topic(&asked.name).cloned();
            let delete = |partition: &DeleteRecordsPartition| {
                let found = context.partition(topic.as_ref(), partition.partition_index);
                match found.and_then(|found| delete_before(context, &found, partition.offset)) {
                    Ok(low_watermark) => DeleteRecordsPartitionResult {
                        partition_index: partition.partition_index,
                        low_watermark,
                        ..Default::default()
                    },
                    Err(error) => failed(partition, error),
                }
            };
            DeleteRecordsTopicResult {
                partitions: asked.partitions.iter().map(delete).collect(),
                name: asked.name,
                ..Default::default()
            }
        });
        DeleteRecordsResponse { topics: topics.collect(), ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error: ErrorCode) -> Reply<DeleteRecordsResponse> {
        let topics = self.topics.into_iter().map(|topic| DeleteRecordsTopicResult {
            partitions: topic.partitions.iter().map(|partition| failed(partition, error)).collect(),
            name: topic.name,
            ..Default::default()
        });
        DeleteRecordsResponse { topics: topics.collect(), ..Default::default() }.into()
    }
}

/// Deletes, and returns the new log start offset.
fn delete_before(context: &RequestContext<'_>, partition: &Partition, offset: i64) -> Result<i64, ErrorCode> {
    if is_internal(&partition.topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let mut state = partition.lock();
    state.check_readable(context.node.id, ANY_LEADER_EPOCH)?;
    if !state.log.config().delete && state.log.config().compact {
        return Err(ErrorCode::PolicyViolation);
    }
    let offset = if offset == HIGH_WATERMARK { state.log.high_watermark() } else { offset };
    state.log.delete_before(offset).map_err(|_| ErrorCode::OffsetOutOfRange)?;
    Ok(state.log.log_start_offset())
}

fn failed(asked: &DeleteRecordsPartition, error_code: ErrorCode) -> DeleteRecordsPartitionResult {
    DeleteRecordsPartitionResult {
        partition_index: asked.partition_index,
        low_watermark: -1,
        error_code,
        ..Default::default()
    }
}
