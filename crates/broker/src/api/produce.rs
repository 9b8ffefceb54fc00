//! Produce (KIP-98, 467, 516, 951; Java: `KafkaApis.handleProduceRequest`, `ReplicaManager.appendRecords`).

use std::sync::Arc;

use milena_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use milena_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use milena_protocol::messages::{ProduceRequest, ProduceResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::Api;
use super::leaders::LeaderHints;
use crate::log::AppendError;
use crate::node::{Reply, RequestContext};
use crate::state::{Partition, ProduceError, ProduceTerms, Produced, Topic, is_internal};

/// The first version that tells who leads when this node does not.
const LEADER_HINTS_SINCE_VERSION: i16 = 10;
/// From this version on topics are named by id only.
const TOPIC_IDS_SINCE_VERSION: i16 = 13;
/// The client that may write to internal topics.
const ADMIN_CLIENT_ID: &str = "__admin_client";

impl Api for ProduceRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<ProduceResponse> {
        let terms = ProduceTerms {
            node: context.node.id,
            all_in_sync: self.acks == -1,
            version: context.version,
            now_ms: context.now_ms(),
        };
        let mut work = Work {
            context,
            terms,
            has_valid_acks: matches!(self.acks, -1..=1),
            hints: LeaderHints::default(),
        };
        let acks = self.acks;
        let responses = self.topic_data.into_iter().map(|topic| work.topic(topic)).collect();
        let endpoints = work.hints.into_endpoints().map(|endpoint| NodeEndpoint {
            node_id: endpoint.node_id,
            host: endpoint.host,
            port: endpoint.port,
            rack: endpoint.rack,
            ..Default::default()
        });
        let node_endpoints = endpoints.collect();
        reply(acks, ProduceResponse { responses, node_endpoints, ..Default::default() })
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<ProduceResponse> {
        let refused = |partition: &PartitionProduceData| PartitionProduceResponse {
            index: partition.index,
            error_code,
            base_offset: -1,
            ..Default::default()
        };
        let topics = self.topic_data.iter().map(|topic| TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses: topic.partition_data.iter().map(refused).collect(),
            ..Default::default()
        });
        reply(self.acks, ProduceResponse { responses: topics.collect(), ..Default::default() })
    }
}

/// With acks=0 there is no answer; if anything failed, the connection is closed so that the client looks for the
/// leader again.
fn reply(acks: i16, response: ProduceResponse) -> Reply<ProduceResponse> {
    if acks != 0 {
        return response.into();
    }
    let mut partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    match partitions.find(|partition| !partition.error_code.is_ok()) {
        None => Reply::Silence,
        Some(failed) => Reply::HangUp(format!("produce with acks=0 failed: {}", failed.error_code)),
    }
}

struct Work<'a> {
    context: &'a RequestContext<'a>,
    terms: ProduceTerms,
    has_valid_acks: bool,
    hints: LeaderHints,
}

impl Work<'_> {
    fn topic(&mut self, data: TopicProduceData) -> TopicProduceResponse {
        let topic = {
            let state = self.context.shared.state();
            let by_name = || state.topic(&data.name);
            let found = if data.topic_id.is_zero() { by_name() } else { state.topic_by_id(&data.topic_id) };
            found.cloned()
        };
        let partitions = data.partition_data.into_iter();
        TopicProduceResponse {
            partition_responses: partitions
                .map(|partition| self.partition(topic.as_ref(), partition))
                .collect(),
            name: data.name,
            topic_id: data.topic_id,
            ..Default::default()
        }
    }

    fn partition(
        &mut self,
        topic: Option<&Arc<Topic>>,
        data: PartitionProduceData,
    ) -> PartitionProduceResponse {
        let index = data.index;
        let partition = match self.context.partition(topic, index) {
            Ok(partition) => partition,
            Err(_) if topic.is_none() && self.terms.version >= TOPIC_IDS_SINCE_VERSION => {
                return failed(index, ErrorCode::UnknownTopicId);
            }
            Err(error) => return self.failed_at(topic, index, error),
        };
        if is_internal(&partition.topic) && self.context.client_id != ADMIN_CLIENT_ID {
            return failed(index, ErrorCode::InvalidTopicException);
        }
        if !self.has_valid_acks {
            return failed(index, ErrorCode::InvalidRequiredAcks);
        }
        let records = data.records.unwrap_or_default().into_bytes();
        let produced = partition.produce(records, &self.terms, &mut self.context.workspace());
        match produced {
            Ok(produced) => succeeded(index, &produced),
            Err(error) => self.refused(&partition, error),
        }
    }

    fn refused(&mut self, partition: &Arc<Partition>, error: ProduceError) -> PartitionProduceResponse {
        let index = partition.index;
        let (node, topic) = (self.terms.node, &partition.topic);
        tracing::debug!(node, %topic, partition = index, %error, "batch refused");
        match error {
            ProduceError::NotLeader => self.not_leader(partition, ErrorCode::NotLeaderOrFollower),
            ProduceError::Deleted => failed(index, ErrorCode::UnknownTopicOrPartition),
            ProduceError::NotEnoughReplicas { log_start_offset, .. } => {
                PartitionProduceResponse { log_start_offset, ..failed(index, ErrorCode::NotEnoughReplicas) }
            }
            ProduceError::Refused { error, log_start_offset } => {
                let answer = PartitionProduceResponse { log_start_offset, ..failed(index, error.code()) };
                with_record_errors(answer, error)
            }
        }
    }

    /// An error from before the work; if it is about the leader, with a hint.
    fn failed_at(
        &mut self,
        topic: Option<&Arc<Topic>>,
        index: i32,
        error: ErrorCode,
    ) -> PartitionProduceResponse {
        match topic.and_then(|topic| topic.partition(index)) {
            Some(partition) => self.not_leader(partition, error),
            None => failed(index, error),
        }
    }

    fn not_leader(&mut self, partition: &Arc<Partition>, error: ErrorCode) -> PartitionProduceResponse {
        let mut answer = failed(partition.index, error);
        if error == ErrorCode::NotLeaderOrFollower && self.terms.version >= LEADER_HINTS_SINCE_VERSION {
            let hint = self.hints.point_to(self.context, partition);
            answer.current_leader = LeaderIdAndEpoch {
                leader_id: hint.leader_id,
                leader_epoch: hint.leader_epoch,
                ..Default::default()
            };
        }
        answer
    }
}

fn succeeded(index: i32, produced: &Produced) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        base_offset: produced.appended.base_offset,
        log_append_time_ms: produced.appended.log_append_time_ms.unwrap_or(-1),
        log_start_offset: produced.log_start_offset,
        ..Default::default()
    }
}

fn failed(index: i32, error_code: ErrorCode) -> PartitionProduceResponse {
    PartitionProduceResponse { index, error_code, base_offset: -1, ..Default::default() }
}

fn with_record_errors(answer: PartitionProduceResponse, error: AppendError) -> PartitionProduceResponse {
    let AppendError::InvalidRecords { message, errors, .. } = error else { return answer };
    let record_errors = errors.into_iter().map(|error| BatchIndexAndErrorMessage {
        batch_index: error.index,
        batch_index_error_message: Some(ByteStr::from(error.message)),
        ..Default::default()
    });
    PartitionProduceResponse {
        record_errors: record_errors.collect(),
        error_message: Some(ByteStr::from(message)),
        ..answer
    }
}
