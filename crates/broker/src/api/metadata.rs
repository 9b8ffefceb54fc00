//! Metadata (KIP-4, 320, 430, 516, 1102; Java: `KafkaApis.handleTopicMetadataRequest`).

use milena_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use milena_protocol::messages::{MetadataRequest, MetadataResponse};
use milena_protocol::{ByteStr, ErrorCode, Uuid};

use super::{Api, CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED, TOPIC_OPERATIONS};
use crate::node::{PartitionDescription, Reply, RequestContext, TopicDescription};
use crate::state::{ClusterState, is_internal, validate_topic_name};

/// Topics may be asked for by id, and named by nothing else, from this version on.
const TOPIC_IDS_SINCE_VERSION: i16 = 12;

impl Api for MetadataRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<MetadataResponse> {
        if context.version < TOPIC_IDS_SINCE_VERSION && self.asks_by_id() {
            return self.refuse(context, ErrorCode::InvalidRequest);
        }
        let topics = match &self.topics {
            None => all_topics(context),
            Some(topics) if topics.is_empty() && context.version == 0 => all_topics(context),
            Some(_) if self.asks_by_id() => self.topics_by_id(context),
            Some(_) => self.topics_by_name(context),
        };
        let mut response = MetadataResponse { topics, ..describe_cluster(context) };
        if self.include_topic_authorized_operations {
            response.topics.iter_mut().for_each(|topic| topic.topic_authorized_operations = TOPIC_OPERATIONS);
        }
        if self.include_cluster_authorized_operations {
            response.cluster_authorized_operations = CLUSTER_OPERATIONS;
        }
        response.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<MetadataResponse> {
        let refused = self.topics.unwrap_or_default().into_iter().map(|topic| MetadataResponseTopic {
            error_code,
            // Before version 12 a name may not be missing.
            name: Some(topic.name.unwrap_or_default()),
            topic_id: topic.topic_id,
            topic_authorized_operations: OPERATIONS_NOT_ASKED,
            ..Default::default()
        });
        MetadataResponse {
            topics: refused.collect(),
            error_code,
            controller_id: -1,
            cluster_authorized_operations: OPERATIONS_NOT_ASKED,
            ..Default::default()
        }
        .into()
    }
}

/// Helpers of the handler.
trait Asked {
    fn asks_by_id(&self) -> bool;
    fn topics_by_id(&self, context: &RequestContext<'_>) -> Vec<MetadataResponseTopic>;
    fn topics_by_name(&self, context: &RequestContext<'_>) -> Vec<MetadataResponseTopic>;
}

impl Asked for MetadataRequest {
    fn asks_by_id(&self) -> bool {
        self.topics.iter().flatten().any(|topic| !topic.topic_id.is_zero() || topic.name.is_none())
    }

    fn topics_by_id(&self, context: &RequestContext<'_>) -> Vec<MetadataResponseTopic> {
        let state = context.shared.state();
        let asked = self.topics.iter().flatten().filter(|topic| !topic.topic_id.is_zero());
        let by_id = |id: Uuid| {
            let described = state.topic_by_id(&id).and_then(|topic| context.describe(&state, topic));
            match described {
                Some(topic) => found(context, topic),
                None => {
                    MetadataResponseTopic { topic_id: id, name: None, ..missing(ErrorCode::UnknownTopicId) }
                }
            }
        };
        asked.map(|topic| by_id(topic.topic_id)).collect()
    }

    fn topics_by_name(&self, context: &RequestContext<'_>) -> Vec<MetadataResponseTopic> {
        let mut names: Vec<&ByteStr> =
            self.topics.iter().flatten().filter_map(|topic| topic.name.as_ref()).collect();
        names.sort();
        names.dedup();
        let state = context.shared.state();
        let mut to_create = Vec::new();
        let mut by_name = |name: &ByteStr| {
            let described = state.topic(name).and_then(|topic| context.describe(&state, topic));
            match described {
                Some(topic) => found(context, topic),
                None => {
                    let error = match validate_topic_name(name) {
                        Ok(()) => ErrorCode::UnknownTopicOrPartition,
                        Err(_) => ErrorCode::InvalidTopicException,
                    };
                    to_create.extend((error == ErrorCode::UnknownTopicOrPartition).then(|| name.clone()));
                    let is_internal = is_internal(name);
                    MetadataResponseTopic { name: Some(name.clone()), is_internal, ..missing(error) }
                }
            }
        };
        let topics = names.into_iter().map(&mut by_name).collect();
        let creates = self.allow_auto_topic_creation && state.settings().auto_create_topics;
        drop(state);
        if creates {
            create_automatically(context, &to_create);
        }
        topics
    }
}

/// Creates what is missing. As with Kafka, this answer still says that it is unknown, and the next one has it.
fn create_automatically(context: &RequestContext<'_>, names: &[ByteStr]) {
    for name in names {
        let charge = |partitions| context.charge_automatic_mutations(partitions);
        let created = context.shared.state_mut().create_topic_automatically(name, context.now_ms(), charge);
        if let Err(error) = created {
            tracing::warn!(topic = %name, %error, "topic not created automatically");
        }
    }
}

fn all_topics(context: &RequestContext<'_>) -> Vec<MetadataResponseTopic> {
    let state = context.shared.state();
    let described = state.topics().filter_map(|topic| context.describe(&state, topic));
    described.map(|topic| found(context, topic)).collect()
}

/// The answer without topics.
fn describe_cluster(context: &RequestContext<'_>) -> MetadataResponse {
    let state = context.shared.state();
    let broker = |info: &crate::state::NodeInfo| MetadataResponseBroker {
        node_id: info.node,
        host: info.host.clone(),
        port: i32::from(info.port),
        rack: info.rack.clone(),
        ..Default::default()
    };
    MetadataResponse {
        brokers: ClusterState::nodes(&state).filter(|info| info.alive).map(broker).collect(),
        cluster_id: Some(state.cluster_id.clone()),
        controller_id: state.controller(),
        cluster_authorized_operations: OPERATIONS_NOT_ASKED,
        ..Default::default()
    }
}

fn missing(error_code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code,
        topic_authorized_operations: OPERATIONS_NOT_ASKED,
        ..Default::default()
    }
}

fn found(context: &RequestContext<'_>, topic: TopicDescription) -> MetadataResponseTopic {
    MetadataResponseTopic {
        name: Some(topic.name),
        topic_id: topic.id,
        is_internal: topic.is_internal,
        partitions: topic.partitions.into_iter().map(|partition| describe(context, partition)).collect(),
        topic_authorized_operations: OPERATIONS_NOT_ASKED,
        ..Default::default()
    }
}

fn describe(context: &RequestContext<'_>, partition: PartitionDescription) -> MetadataResponsePartition {
    let PartitionDescription { index, leader, leader_epoch, mut replicas, mut isr, offline, .. } = partition;
    let mut error_code = match leader {
        Some(_) => ErrorCode::None,
        None => ErrorCode::LeaderNotAvailable,
    };
    if context.version == 0 && !offline.is_empty() {
        // The oldest clients cannot look for a replica that is not in the list of brokers.
        replicas.retain(|node| !offline.contains(node));
        isr.retain(|node| !offline.contains(node));
        error_code = if error_code.is_ok() { ErrorCode::ReplicaNotAvailable } else { error_code };
    }
    MetadataResponsePartition {
        error_code,
        partition_index: index,
        leader_id: leader.unwrap_or(-1),
        leader_epoch,
        replica_nodes: replicas,
        isr_nodes: isr,
        offline_replicas: offline,
        ..Default::default()
    }
}
