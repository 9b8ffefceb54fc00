//! From a request's key to the work, and from its result to a frame. All faults of requests take place here.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milena_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddRaftVoterRequest, AlterClientQuotasRequest,
    AlterConfigsRequest, AlterPartitionReassignmentsRequest, AlterReplicaLogDirsRequest,
    AlterUserScramCredentialsRequest, ApiVersionsRequest, ConsumerGroupDescribeRequest,
    ConsumerGroupHeartbeatRequest, CreateAclsRequest, CreateDelegationTokenRequest, CreatePartitionsRequest,
    CreateTopicsRequest, DeleteAclsRequest, DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeAclsRequest, DescribeClientQuotasRequest, DescribeClusterRequest, DescribeConfigsRequest,
    DescribeDelegationTokenRequest, DescribeGroupsRequest, DescribeLogDirsRequest, DescribeProducersRequest,
    DescribeQuorumRequest, DescribeTopicPartitionsRequest, DescribeTransactionsRequest,
    DescribeUserScramCredentialsRequest, ElectLeadersRequest, EndTxnRequest, ExpireDelegationTokenRequest,
    FetchRequest, FindCoordinatorRequest, HeartbeatRequest, IncrementalAlterConfigsRequest,
    InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest, ListConfigResourcesRequest,
    ListGroupsRequest, ListOffsetsRequest, ListPartitionReassignmentsRequest, ListTransactionsRequest,
    MetadataRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
    OffsetForLeaderEpochRequest, ProduceRequest, RemoveRaftVoterRequest, RenewDelegationTokenRequest,
    SaslAuthenticateRequest, SaslHandshakeRequest, SyncGroupRequest, TxnOffsetCommitRequest,
    UnregisterBrokerRequest, UpdateFeaturesRequest, WriteTxnMarkersRequest,
};
use milena_protocol::{
    ApiKey, ByteStr, Decoder, ErrorCode, Frame, Message, RequestHeader, decode_request_header,
    encode_response, unsupported_api_versions_response,
};

use super::connection::{ConnectionState, Hangup};
use super::{Node, RequestContext};
use crate::api::{Api, Throttled};
use crate::fault::{Effect, Stage};
use crate::observe::RequestSeen;
use crate::shared::Shared;

/// The APIs that are offered, each in every version of Kafka 4.3.
pub(crate) const OFFERED: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::SyncGroup,
    ApiKey::DescribeGroups,
    ApiKey::ListGroups,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::DeleteTopics,
    ApiKey::DeleteRecords,
    ApiKey::InitProducerId,
    ApiKey::OffsetForLeaderEpoch,
    ApiKey::AddPartitionsToTxn,
    ApiKey::AddOffsetsToTxn,
    ApiKey::EndTxn,
    ApiKey::WriteTxnMarkers,
    ApiKey::TxnOffsetCommit,
    ApiKey::DescribeConfigs,
    ApiKey::AlterConfigs,
    ApiKey::CreatePartitions,
    ApiKey::DeleteGroups,
    ApiKey::IncrementalAlterConfigs,
    ApiKey::OffsetDelete,
    ApiKey::DescribeCluster,
    ApiKey::DescribeProducers,
    ApiKey::DescribeTransactions,
    ApiKey::ListTransactions,
    ApiKey::DescribeTopicPartitions,
    ApiKey::ConsumerGroupHeartbeat,
    ApiKey::ConsumerGroupDescribe,
    ApiKey::DescribeAcls,
    ApiKey::CreateAcls,
    ApiKey::DeleteAcls,
    ApiKey::AlterReplicaLogDirs,
    ApiKey::DescribeLogDirs,
    ApiKey::SaslHandshake,
    ApiKey::SaslAuthenticate,
    ApiKey::CreateDelegationToken,
    ApiKey::RenewDelegationToken,
    ApiKey::ExpireDelegationToken,
    ApiKey::DescribeDelegationToken,
    ApiKey::ElectLeaders,
    ApiKey::AlterPartitionReassignments,
    ApiKey::ListPartitionReassignments,
    ApiKey::DescribeClientQuotas,
    ApiKey::AlterClientQuotas,
    ApiKey::DescribeUserScramCredentials,
    ApiKey::AlterUserScramCredentials,
    ApiKey::DescribeQuorum,
    ApiKey::UpdateFeatures,
    ApiKey::UnregisterBroker,
    ApiKey::AddRaftVoter,
    ApiKey::RemoveRaftVoter,
    ApiKey::ListConfigResources,
];

/// What an API makes of a request.
#[derive(Debug)]
pub(crate) enum Reply<R> {
    Answer(R),
    /// The client expects no answer (acks=0).
    Silence,
    /// The client expects no answer, or Kafka gives none, and it must learn of a failure by losing its connection.
    HangUp(String),
}

impl<R> From<R> for Reply<R> {
    fn from(response: R) -> Self {
        Self::Answer(response)
    }
}

/// What goes back over the connection.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answer(Frame),
    /// Half of the frame, and then the connection is closed.
    Truncated(Frame),
    Silence,
    HangUp(Hangup),
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) outcome: Outcome,
    /// For how long the connection is not heard afterwards.
    pub(crate) mute: Duration,
}

impl From<Outcome> for Served {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, mute: Duration::ZERO }
    }
}

/// Works on one request, whose frame had so many bytes.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    node: &Arc<Node>,
    connection: &ConnectionState,
    header: RequestHeader,
    body: Decoder,
    request_bytes: usize,
) -> Served {
    let Some(api) = ApiKey::try_from(header.api_key).ok().filter(|api| OFFERED.contains(api)) else {
        return refuse(format!("API key {} is not offered", header.api_key)).into();
    };
    let version = header.api_version;
    if !api.versions().contains(version) {
        return match api {
            ApiKey::ApiVersions => {
                shared.seen.request(node.id, api);
                encoded(unsupported_api_versions_response(header.correlation_id)).into()
            }
            _ => refuse(format!("{api} version {version} is not supported, only {}", api.versions())).into(),
        };
    }
    let client_id = header.client_id.as_deref().unwrap_or_default();
    let context = RequestContext::new(shared, node, api, version, client_id, request_bytes, connection);
    let id = header.correlation_id;
    match api {
        ApiKey::Produce => run::<ProduceRequest>(&context, id, body).await,
        ApiKey::Fetch => run::<FetchRequest>(&context, id, body).await,
        ApiKey::ListOffsets => run::<ListOffsetsRequest>(&context, id, body).await,
        ApiKey::Metadata => run::<MetadataRequest>(&context, id, body).await,
        ApiKey::FindCoordinator => run::<FindCoordinatorRequest>(&context, id, body).await,
        ApiKey::ApiVersions => run::<ApiVersionsRequest>(&context, id, body).await,
        ApiKey::CreateTopics => run::<CreateTopicsRequest>(&context, id, body).await,
        ApiKey::DeleteTopics => run::<DeleteTopicsRequest>(&context, id, body).await,
        ApiKey::DeleteRecords => run::<DeleteRecordsRequest>(&context, id, body).await,
        ApiKey::InitProducerId => run::<InitProducerIdRequest>(&context, id, body).await,
        ApiKey::OffsetForLeaderEpoch => run::<OffsetForLeaderEpochRequest>(&context, id, body).await,
        ApiKey::AddPartitionsToTxn => run::<AddPartitionsToTxnRequest>(&context, id, body).await,
        ApiKey::AddOffsetsToTxn => run::<AddOffsetsToTxnRequest>(&context, id, body).await,
        ApiKey::EndTxn => run::<EndTxnRequest>(&context, id, body).await,
        ApiKey::WriteTxnMarkers => run::<WriteTxnMarkersRequest>(&context, id, body).await,
        ApiKey::TxnOffsetCommit => run::<TxnOffsetCommitRequest>(&context, id, body).await,
        ApiKey::DescribeConfigs => run::<DescribeConfigsRequest>(&context, id, body).await,
        ApiKey::AlterConfigs => run::<AlterConfigsRequest>(&context, id, body).await,
        ApiKey::CreatePartitions => run::<CreatePartitionsRequest>(&context, id, body).await,
        ApiKey::IncrementalAlterConfigs => run::<IncrementalAlterConfigsRequest>(&context, id, body).await,
        ApiKey::OffsetCommit => run::<OffsetCommitRequest>(&context, id, body).await,
        ApiKey::OffsetFetch => run::<OffsetFetchRequest>(&context, id, body).await,
        ApiKey::JoinGroup => run::<JoinGroupRequest>(&context, id, body).await,
        ApiKey::Heartbeat => run::<HeartbeatRequest>(&context, id, body).await,
        ApiKey::LeaveGroup => run::<LeaveGroupRequest>(&context, id, body).await,
        ApiKey::SyncGroup => run::<SyncGroupRequest>(&context, id, body).await,
        ApiKey::DescribeGroups => run::<DescribeGroupsRequest>(&context, id, body).await,
        ApiKey::ListGroups => run::<ListGroupsRequest>(&context, id, body).await,
        ApiKey::DeleteGroups => run::<DeleteGroupsRequest>(&context, id, body).await,
        ApiKey::OffsetDelete => run::<OffsetDeleteRequest>(&context, id, body).await,
        ApiKey::DescribeCluster => run::<DescribeClusterRequest>(&context, id, body).await,
        ApiKey::DescribeProducers => run::<DescribeProducersRequest>(&context, id, body).await,
        ApiKey::DescribeTransactions => run::<DescribeTransactionsRequest>(&context, id, body).await,
        ApiKey::ListTransactions => run::<ListTransactionsRequest>(&context, id, body).await,
        ApiKey::DescribeTopicPartitions => run::<DescribeTopicPartitionsRequest>(&context, id, body).await,
        ApiKey::ConsumerGroupHeartbeat => run::<ConsumerGroupHeartbeatRequest>(&context, id, body).await,
        ApiKey::ConsumerGroupDescribe => run::<ConsumerGroupDescribeRequest>(&context, id, body).await,
        ApiKey::DescribeAcls => run::<DescribeAclsRequest>(&context, id, body).await,
        ApiKey::CreateAcls => run::<CreateAclsRequest>(&context, id, body).await,
        ApiKey::DeleteAcls => run::<DeleteAclsRequest>(&context, id, body).await,
        ApiKey::AlterReplicaLogDirs => run::<AlterReplicaLogDirsRequest>(&context, id, body).await,
        ApiKey::DescribeLogDirs => run::<DescribeLogDirsRequest>(&context, id, body).await,
        ApiKey::SaslHandshake => run::<SaslHandshakeRequest>(&context, id, body).await,
        ApiKey::SaslAuthenticate => run::<SaslAuthenticateRequest>(&context, id, body).await,
        ApiKey::CreateDelegationToken => run::<CreateDelegationTokenRequest>(&context, id, body).await,
        ApiKey::RenewDelegationToken => run::<RenewDelegationTokenRequest>(&context, id, body).await,
        ApiKey::ExpireDelegationToken => run::<ExpireDelegationTokenRequest>(&context, id, body).await,
        ApiKey::DescribeDelegationToken => run::<DescribeDelegationTokenRequest>(&context, id, body).await,
        ApiKey::ElectLeaders => run::<ElectLeadersRequest>(&context, id, body).await,
        ApiKey::AlterPartitionReassignments => {
            run::<AlterPartitionReassignmentsRequest>(&context, id, body).await
        }
        ApiKey::ListPartitionReassignments => {
            run::<ListPartitionReassignmentsRequest>(&context, id, body).await
        }
        ApiKey::DescribeClientQuotas => run::<DescribeClientQuotasRequest>(&context, id, body).await,
        ApiKey::AlterClientQuotas => run::<AlterClientQuotasRequest>(&context, id, body).await,
        ApiKey::DescribeUserScramCredentials => {
            run::<DescribeUserScramCredentialsRequest>(&context, id, body).await
        }
        ApiKey::AlterUserScramCredentials => {
            run::<AlterUserScramCredentialsRequest>(&context, id, body).await
        }
        ApiKey::DescribeQuorum => run::<DescribeQuorumRequest>(&context, id, body).await,
        ApiKey::UpdateFeatures => run::<UpdateFeaturesRequest>(&context, id, body).await,
        ApiKey::UnregisterBroker => run::<UnregisterBrokerRequest>(&context, id, body).await,
        ApiKey::AddRaftVoter => run::<AddRaftVoterRequest>(&context, id, body).await,
        ApiKey::RemoveRaftVoter => run::<RemoveRaftVoterRequest>(&context, id, body).await,
        ApiKey::ListConfigResources => run::<ListConfigResourcesRequest>(&context, id, body).await,
        _ => refuse(format!("{api} is not offered")).into(),
    }
}

/// Decodes, works, encodes; with the faults of the request before the work and after it.
async fn run<R: Api>(context: &RequestContext<'_>, correlation_id: i32, mut body: Decoder) -> Served {
    let request = match R::decode(&mut body, context.version) {
        Ok(request) => request,
        Err(error) => return Outcome::HangUp(Hangup::Malformed(error.to_string())).into(),
    };
    context.shared.seen.request(context.node.id, R::KEY);
    context.shared.seen.show(&RequestSeen {
        node: context.node.id,
        api: R::KEY,
        version: context.version,
        client_id: context.client_id,
        correlation_id,
    });
    let effects = context.shared.strike(context.subject(None), &[Stage::Work, Stage::Answer]);
    let reply = match before_work(&effects).await {
        BeforeWork::Do if effects.contains(&Effect::WorkTwice) => {
            let first = work(context, request.clone()).await;
            context.repeat();
            // Its answer goes nowhere.
            let _ = work(context, request).await;
            first
        }
        BeforeWork::Do => work(context, request).await,
        BeforeWork::Refuse(error) => request.refuse(context, error),
        BeforeWork::HangUp => return Outcome::HangUp(Hangup::Fault).into(),
    };
    context.shared.seen.changed();
    let throttle_time_ms = context.throttle_time_ms(matches!(reply, Reply::Answer(_)));
    let outcome = match reply {
        Reply::Answer(mut response) => {
            if throttle_time_ms > 0 {
                response.set_throttle_time_ms(throttle_time_ms);
            }
            encoded(encode_response::<R>(correlation_id, context.version, &response))
        }
        Reply::Silence => Outcome::Silence,
        Reply::HangUp(why) => Outcome::HangUp(Hangup::Unanswered(why)),
    };
    let of_partitions = context.take_answer_effects();
    let outcome = after_work(outcome, effects.iter().chain(&of_partitions)).await;
    Served { outcome, mute: Duration::from_millis(u64::try_from(throttle_time_ms).unwrap_or_default()) }
}

/// Has the request's API work on it, and measures how long that takes.
async fn work<R: Api>(context: &RequestContext<'_>, request: R) -> Reply<R::Response> {
    let mut work = pin!(request.handle(context));
    std::future::poll_fn(|task| context.timed(|| work.as_mut().poll(task))).await
}

enum BeforeWork {
    Do,
    Refuse(ErrorCode),
    HangUp,
}

async fn before_work(effects: &[Effect]) -> BeforeWork {
    let mut work = BeforeWork::Do;
    for effect in effects {
        match effect {
            Effect::DelayWork(delay) => tokio::time::sleep(*delay).await,
            Effect::CloseBeforeWork => return BeforeWork::HangUp,
            Effect::Answer(error) if matches!(work, BeforeWork::Do) => work = BeforeWork::Refuse(*error),
            _ => {}
        }
    }
    work
}

async fn after_work(mut outcome: Outcome, effects: impl Iterator<Item = &Effect>) -> Outcome {
    for effect in effects {
        match (effect, outcome) {
            (Effect::DelayAnswer(delay), unchanged) => {
                tokio::time::sleep(*delay).await;
                outcome = unchanged;
            }
            (Effect::LoseAnswer, _) => return Outcome::HangUp(Hangup::Fault),
            (Effect::TruncateAnswer, Outcome::Answer(frame)) => outcome = Outcome::Truncated(frame),
            (_, unchanged) => outcome = unchanged,
        }
    }
    outcome
}

fn refuse(why: String) -> Outcome {
    Outcome::HangUp(Hangup::Refused(why))
}

fn encoded(frame: Result<Frame, milena_protocol::EncodeError>) -> Outcome {
    match frame {
        Ok(frame) => Outcome::Answer(frame),
        Err(error) => refuse(format!("answer cannot be encoded: {error}")),
    }
}

/// The partitions that a frame has batches for, if it is a produce request.
pub(crate) fn produced_partitions(shared: &Shared, frame: Bytes) -> Vec<(ByteStr, i32)> {
    let produce =
        decode_request_header(frame).ok().filter(|(header, _)| header.api_key == ApiKey::Produce.code());
    let Some((header, mut body)) = produce else { return Vec::new() };
    let Ok(request) = ProduceRequest::decode(&mut body, header.api_version) else { return Vec::new() };
    let state = shared.state();
    let mut partitions = Vec::new();
    for topic in request.topic_data {
        let by_id = state.topic_by_id(&topic.topic_id).map(|topic| topic.name.clone());
        let name = by_id.unwrap_or_else(|| topic.name.detached());
        partitions.extend(topic.partition_data.iter().map(|partition| (name.clone(), partition.index)));
    }
    partitions
}
