//! DescribeQuorum (KIP-595, 836, 853; Java: `KafkaRaftClient.handleDescribeQuorumRequest`).
//!
//! Every node is a controller, too; the first one that is alive leads them, and all have the whole metadata.

use milena_protocol::messages::describe_quorum_request::TopicData as AskedTopic;
use milena_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use milena_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::{Api, message};
use crate::node::{Reply, RequestContext};
use crate::state::{ClusterState, NodeInfo};

const METADATA_TOPIC: &str = "__cluster_metadata";
const CONTROLLER_LISTENER: &str = "CONTROLLER";
/// The first version that tells of nodes and of errors in words.
const NODES_SINCE_VERSION: i16 = 2;
/// The epoch of the only leader that there has been.
const LEADER_EPOCH: i32 = 1;

impl Api for DescribeQuorumRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DescribeQuorumResponse> {
        let state = context.shared.state();
        let is_metadata = |topic: &AskedTopic| {
            topic.topic_name == METADATA_TOPIC
                && matches!(topic.partitions.as_slice(), [only] if only.partition_index == 0)
        };
        if self.topics.len() != 1 || !is_metadata(&self.topics[0]) {
            return self.unknown(context);
        }
        let metadata = TopicData {
            topic_name: ByteStr::from_static(METADATA_TOPIC),
            partitions: vec![describe(&state, context.now_ms())],
            ..Default::default()
        };
        let node = |info: &NodeInfo| Node {
            node_id: info.node,
            listeners: vec![Listener {
                name: ByteStr::from_static(CONTROLLER_LISTENER),
                host: info.host.clone(),
                port: info.port,
                ..Default::default()
            }],
            ..Default::default()
        };
        let nodes = match context.version >= NODES_SINCE_VERSION {
            true => state.voters().into_iter().map(node).collect(),
            false => Vec::new(),
        };
        DescribeQuorumResponse { topics: vec![metadata], nodes, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<DescribeQuorumResponse> {
        DescribeQuorumResponse { error_code, error_message: message(error_code), ..Default::default() }.into()
    }
}

trait Unknown {
    fn unknown(self, context: &RequestContext<'_>) -> Reply<DescribeQuorumResponse>;
}

impl Unknown for DescribeQuorumRequest {
    /// Whatever is asked for beside the metadata is not kept by the quorum.
    fn unknown(self, context: &RequestContext<'_>) -> Reply<DescribeQuorumResponse> {
        let error_code = ErrorCode::UnknownTopicOrPartition;
        let error_message = if context.version >= NODES_SINCE_VERSION { message(error_code) } else { None };
        let topics = self.topics.into_iter().map(|topic| TopicData {
            topic_name: topic.topic_name,
            partitions: topic
                .partitions
                .into_iter()
                .map(|partition| PartitionData {
                    partition_index: partition.partition_index,
                    error_code,
                    error_message: error_message.clone(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        DescribeQuorumResponse { topics: topics.collect(), ..Default::default() }.into()
    }
}

fn describe(state: &ClusterState, now_ms: i64) -> PartitionData {
    let offset = state.metadata_offset();
    let voter = |info: &NodeInfo| ReplicaState {
        replica_id: info.node,
        log_end_offset: offset,
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
        ..Default::default()
    };
    PartitionData {
        leader_id: state.controller(),
        leader_epoch: LEADER_EPOCH,
        high_watermark: offset,
        current_voters: state.voters().into_iter().map(voter).collect(),
        ..Default::default()
    }
}
