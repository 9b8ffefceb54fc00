//! DescribeProducers (KIP-664; Java: `KafkaApis.handleDescribeProducersRequest`, `UnifiedLog.activeProducers`).

use std::sync::Arc;

use milena_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use milena_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::{Api, message};
use crate::log::ProducerEntry;
use crate::node::{Reply, RequestContext};
use crate::state::{Topic, validate_topic_name};

impl Api for DescribeProducersRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DescribeProducersResponse> {
        let topics = self.topics.into_iter().map(|asked| {
            let topic = topic(context, &asked.name);
            let describe = |index: i32| match &topic {
                Ok(topic) => partition(context, topic, index),
                Err((error_code, error_message)) => {
                    PartitionResponse { error_message: error_message.clone(), ..failed(index, *error_code) }
                }
            };
            TopicResponse {
                partitions: asked.partition_indexes.into_iter().map(describe).collect(),
                name: asked.name,
                ..Default::default()
            }
        });
        DescribeProducersResponse { topics: topics.collect(), ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<DescribeProducersResponse> {
        let refused = |index: i32| PartitionResponse {
            error_message: message(error_code),
            ..failed(index, error_code)
        };
        let topics = self.topics.into_iter().map(|asked| TopicResponse {
            partitions: asked.partition_indexes.into_iter().map(refused).collect(),
            name: asked.name,
            ..Default::default()
        });
        DescribeProducersResponse { topics: topics.collect(), ..Default::default() }.into()
    }
}

fn topic(context: &RequestContext<'_>, name: &str) -> Result<Arc<Topic>, (ErrorCode, Option<ByteStr>)> {
    if let Err(why) = validate_topic_name(name) {
        return Err((ErrorCode::InvalidTopicException, Some(ByteStr::from(why))));
    }
    let unknown = ErrorCode::UnknownTopicOrPartition;
    context.shared.state().topic(name).cloned().ok_or_else(|| (unknown, message(unknown)))
}

/// What a replica knows; it need not be the leader.
fn partition(context: &RequestContext<'_>, topic: &Arc<Topic>, index: i32) -> PartitionResponse {
    let partition = match context.partition(Some(topic), index) {
        Ok(partition) => partition,
        Err(error) => return failed(index, error),
    };
    let state = partition.lock();
    if !state.leadership.replicas.contains(&context.node.id) {
        return failed(index, ErrorCode::NotLeaderOrFollower);
    }
    let active_producers = state.log.producers().iter().map(describe).collect();
    PartitionResponse { partition_index: index, active_producers, ..Default::default() }
}

fn describe((producer_id, entry): (i64, &ProducerEntry)) -> ProducerState {
    ProducerState {
        producer_id,
        producer_epoch: i32::from(entry.producer_epoch),
        last_sequence: entry.last_sequence(),
        last_timestamp: entry.last_timestamp_ms,
        coordinator_epoch: entry.coordinator_epoch,
        current_txn_start_offset: entry.transaction_start.unwrap_or(-1),
        ..Default::default()
    }
}

fn failed(partition_index: i32, error_code: ErrorCode) -> PartitionResponse {
    PartitionResponse { partition_index, error_code, ..Default::default() }
}
