//! Produce (KIP-98, 467, 516, 890, 951; Java: `KafkaApis.handleProduceRequest`, `ReplicaManager.appendRecords`).

use std::sync::Arc;

use milena_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use milena_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use milena_protocol::messages::{ProduceRequest, ProduceResponse};
use milena_protocol::{ByteStr, ErrorCode};
use milena_records::Batch;

use super::Api;
use super::leaders::LeaderHints;
use crate::log::{AppendError, Verified, only_batch};
use crate::node::{Reply, RequestContext};
use crate::state::{Partition, ProduceError, ProduceTerms, Produced, Topic, is_internal};
use crate::txn::{Admission, Refusal, admit};

/// The first version that tells who leads when this node does not.
const LEADER_HINTS_SINCE_VERSION: i16 = 10;
/// From this version on topics are named by id only.
const TOPIC_IDS_SINCE_VERSION: i16 = 13;
/// The client that may write to internal topics.
const ADMIN_CLIENT_ID: &str = "__admin_client";

impl Api for ProduceRequest {
    async fn handle(mut self, context: &RequestContext<'_>) -> Reply<ProduceResponse> {
        let batches = take_batches(&mut self.topic_data, context.version);
        if let Err(error) = check_transaction(self.transactional_id.as_deref(), &batches) {
            return self.refuse(context, error);
        }
        let acks = self.acks;
        let terms = ProduceTerms {
            node: context.node.id,
            all_in_sync: acks == -1,
            version: context.version,
            now_ms: context.now_ms(),
        };
        let mut work =
            Work { context, terms, has_valid_acks: matches!(acks, -1..=1), hints: LeaderHints::default() };
        let mut parts = work.parts(&self.topic_data, batches);
        if let Some(transactional_id) = &self.transactional_id {
            work.admit(transactional_id, &mut parts).await;
        }
        let mut parts = parts.into_iter();
        let topic = |topic: TopicProduceData| TopicProduceResponse {
            partition_responses: parts
                .by_ref()
                .take(topic.partition_data.len())
                .map(|part| work.produce(part))
                .collect(),
            name: topic.name,
            topic_id: topic.topic_id,
            ..Default::default()
        };
        let responses = self.topic_data.into_iter().map(topic).collect();
        let endpoints = work.hints.into_endpoints().map(|endpoint| NodeEndpoint {
            node_id: endpoint.node_id,
            host: endpoint.host,
            port: endpoint.port,
            rack: endpoint.rack,
            ..Default::default()
        });
        let node_endpoints = endpoints.collect();
        context.charge_produced();
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

/// The batches of a request, in its order; they leave it.
fn take_batches(topics: &mut [TopicProduceData], version: i16) -> Vec<Result<Batch, AppendError>> {
    let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partition_data);
    let records = partitions.map(|partition| partition.records.take().unwrap_or_default().into_bytes());
    records.map(|records| only_batch(records, version)).collect()
}

/// What concerns the request as a whole: a transactional batch needs a transactional id, and one request is of one
/// producer.
fn check_transaction(
    transactional_id: Option<&str>,
    batches: &[Result<Batch, AppendError>],
) -> Result<(), ErrorCode> {
    let headers = batches.iter().filter_map(|batch| batch.as_ref().ok()).map(Batch::header);
    let mut producers = headers
        .filter(|header| header.is_transactional())
        .map(|header| (header.producer_id, header.producer_epoch));
    let Some(first) = producers.next() else { return Ok(()) };
    if transactional_id.is_none() {
        return Err(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    match producers.all(|producer| producer == first) {
        true => Ok(()),
        false => Err(ErrorCode::InvalidProducerIdMapping),
    }
}

struct Work<'a> {
    context: &'a RequestContext<'a>,
    terms: ProduceTerms,
    has_valid_acks: bool,
    hints: LeaderHints,
}

/// What a request has for one partition.
enum Part {
    Ready { partition: Arc<Partition>, batch: Batch, verified: Verified },
    Refused(PartitionProduceResponse),
}

impl Work<'_> {
    fn parts(&mut self, topics: &[TopicProduceData], batches: Vec<Result<Batch, AppendError>>) -> Vec<Part> {
        let mut batches = batches.into_iter();
        let mut parts = Vec::new();
        for data in topics {
            let topic = {
                let state = self.context.shared.state();
                let by_name = || state.topic(&data.name);
                let found =
                    if data.topic_id.is_zero() { by_name() } else { state.topic_by_id(&data.topic_id) };
                found.cloned()
            };
            for (asked, batch) in data.partition_data.iter().zip(batches.by_ref()) {
                parts.push(self.part(topic.as_ref(), asked.index, batch));
            }
        }
        parts
    }

    fn part(&mut self, topic: Option<&Arc<Topic>>, index: i32, batch: Result<Batch, AppendError>) -> Part {
        let partition = match self.context.partition(topic, index) {
            Ok(partition) => partition,
            Err(_) if topic.is_none() && self.terms.version >= TOPIC_IDS_SINCE_VERSION => {
                return Part::Refused(failed(index, ErrorCode::UnknownTopicId));
            }
            Err(error) => return Part::Refused(self.failed_at(topic, index, error)),
        };
        if is_internal(&partition.topic) && self.context.client_id != ADMIN_CLIENT_ID {
            return Part::Refused(failed(index, ErrorCode::InvalidTopicException));
        }
        if !self.has_valid_acks {
            return Part::Refused(failed(index, ErrorCode::InvalidRequiredAcks));
        }
        match batch {
            Ok(batch) => Part::Ready { partition, batch, verified: Verified::No },
            Err(error) => {
                let refused = ProduceError::Refused { error, log_start_offset: -1 };
                Part::Refused(self.refused(&partition, refused))
            }
        }
    }

    /// Asks the transaction's coordinator about the transactional batches.
    async fn admit(&self, transactional_id: &str, parts: &mut [Part]) {
        let mut candidates = Vec::new();
        let mut transactional = Vec::new();
        for part in parts {
            if let Part::Ready { partition, batch, .. } = part
                && batch.header().is_transactional()
            {
                candidates.push((partition.clone(), *batch.header()));
                transactional.push(part);
            }
        }
        if candidates.is_empty() {
            return;
        }
        let admission = Admission::of_produce(self.terms.version);
        let admitted = admit(self.context, transactional_id, admission, &candidates, &self.terms).await;
        for ((part, (partition, batch)), admitted) in transactional.into_iter().zip(candidates).zip(admitted)
        {
            match (admitted, part) {
                (Ok(is_verified), Part::Ready { verified, .. }) => *verified = is_verified,
                (Err(Refusal { code, message }), part) => {
                    tracing::debug!(transactional_id, %partition.topic, partition.index, ?batch, %code, "batch refused");
                    let answer = failed(partition.index, code);
                    *part = Part::Refused(PartitionProduceResponse { error_message: message, ..answer });
                }
                (Ok(_), Part::Refused(_)) => {}
            }
        }
    }

    fn produce(&mut self, part: Part) -> PartitionProduceResponse {
        match part {
            Part::Refused(answer) => answer,
            Part::Ready { partition, batch, verified } => {
                let workspace = &mut self.context.workspace();
                match partition.produce(&batch, verified, &self.terms, workspace) {
                    Ok(produced) => succeeded(partition.index, &produced),
                    Err(error) => self.refused(&partition, error),
                }
            }
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
