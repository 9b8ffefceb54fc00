//! DescribeTopicPartitions (KIP-966; Java: `DescribeTopicPartitionsRequestHandler`): metadata in pages.

use std::collections::BTreeSet;

use milena_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use milena_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::{Api, TOPIC_OPERATIONS};
use crate::node::{PartitionDescription, Reply, RequestContext};
use crate::state::{is_internal, validate_topic_name};

impl Api for DescribeTopicPartitionsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DescribeTopicPartitionsResponse> {
        let state = context.shared.state();
        let asks_for_all = self.topics.is_empty();
        let asked: BTreeSet<ByteStr> = match asks_for_all {
            true => state.topics().map(|topic| topic.name.clone()).collect(),
            false => self.topics.iter().map(|topic| topic.name.clone()).collect(),
        };
        let (first_topic, first_partition) = match &self.cursor {
            Some(cursor) => (cursor.topic_name.clone(), cursor.partition_index),
            None => (ByteStr::new(), 0),
        };
        let is_valid_cursor =
            first_partition >= 0 && (asks_for_all || self.cursor.is_none() || asked.contains(&first_topic));
        if !is_valid_cursor {
            drop(state);
            return self.refuse(context, ErrorCode::InvalidRequest);
        }
        let page = state.settings().request_partitions_max.min(self.response_partition_limit).max(1);
        let mut left = page as usize;
        let mut response = DescribeTopicPartitionsResponse::default();
        for name in asked.range(first_topic.clone()..) {
            if left == 0 {
                response.next_cursor = Some(cursor(name, 0));
                break;
            }
            let Some(topic) = state.topic(name).and_then(|topic| context.describe(&state, topic)) else {
                response.topics.extend((!asks_for_all).then(|| missing(name)));
                continue;
            };
            let start = if *name == first_topic { first_partition as usize } else { 0 };
            let count = topic.partitions.len();
            let partitions: Vec<_> =
                topic.partitions.into_iter().skip(start).take(left).map(describe).collect();
            let end = start.saturating_add(partitions.len());
            left -= partitions.len();
            response.topics.push(DescribeTopicPartitionsResponseTopic {
                name: Some(topic.name),
                topic_id: topic.id,
                is_internal: topic.is_internal,
                partitions,
                topic_authorized_operations: TOPIC_OPERATIONS,
                ..Default::default()
            });
            if end < count {
                response.next_cursor = Some(cursor(name, end as i32));
                break;
            }
        }
        response.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<DescribeTopicPartitionsResponse> {
        let refused = self.topics.into_iter().map(|topic| DescribeTopicPartitionsResponseTopic {
            error_code,
            name: Some(topic.name),
            ..Default::default()
        });
        DescribeTopicPartitionsResponse { topics: refused.collect(), ..Default::default() }.into()
    }
}

fn cursor(topic: &ByteStr, partition_index: i32) -> Cursor {
    Cursor { topic_name: topic.clone(), partition_index, ..Default::default() }
}

fn missing(name: &ByteStr) -> DescribeTopicPartitionsResponseTopic {
    let error_code = match validate_topic_name(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic {
        error_code,
        name: Some(name.clone()),
        is_internal: is_internal(name),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}

fn describe(partition: PartitionDescription) -> DescribeTopicPartitionsResponsePartition {
    DescribeTopicPartitionsResponsePartition {
        partition_index: partition.index,
        leader_id: partition.leader.unwrap_or(-1),
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas,
        isr_nodes: partition.isr,
        eligible_leader_replicas: Some(partition.eligible),
        // Kafka keeps the last leader there, and nobody else (`PartitionChangeBuilder.maybeUpdateLastKnownLeader`).
        last_known_elr: Some(partition.last_leader.into_iter().collect()),
        offline_replicas: partition.offline,
        ..Default::default()
    }
}
