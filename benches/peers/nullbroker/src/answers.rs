//! Everything but Produce.

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use milena_protocol::messages::api_versions_response::ApiVersion;
use milena_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use milena_protocol::messages::find_coordinator_response::Coordinator;
use milena_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use milena_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use milena_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use milena_protocol::messages::*;
use milena_protocol::{
    ApiKey, ByteStr, Decoder, Frame, Request, decode_request_header, encode_response,
    unsupported_api_versions_response,
};

use crate::canned::END_OFFSET;
use crate::topics::partition_count;
use crate::{Broker, Result};

/// What is answered.
const OFFERED: [ApiKey; 8] = [
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::ApiVersions,
    ApiKey::InitProducerId,
];

const NODE_ID: i32 = 1;
const HOST: &str = "127.0.0.1";
const PRODUCER_ID: i64 = 4_242;
/// `ListOffsetsRequest.LATEST_TIMESTAMP`.
const LATEST: i64 = -1;

/// The answer to a request, which comes without its length.
pub(crate) fn answer(broker: &Broker, request: Bytes) -> Result<Frame> {
    let (header, body) = decode_request_header(request)?;
    let (version, correlation_id) = (header.api_version, header.correlation_id);
    let key = ApiKey::try_from(header.api_key)?;
    if !header.is_supported() || !OFFERED.contains(&key) {
        return match key {
            ApiKey::ApiVersions => Ok(unsupported_api_versions_response(correlation_id)?),
            _ => Err(format!("{key} in version {version} was not offered").into()),
        };
    }
    let call = Call { body, version, correlation_id };
    match key {
        ApiKey::ApiVersions => call.answer(|_: ApiVersionsRequest| api_versions()),
        ApiKey::Metadata => call.answer(|request| metadata(broker, &request)),
        ApiKey::InitProducerId => call.answer(|_: InitProducerIdRequest| InitProducerIdResponse {
            producer_id: PRODUCER_ID,
            producer_epoch: 0,
            ..Default::default()
        }),
        ApiKey::Fetch => call.answer(|request| fetch(broker, version, &request)),
        ApiKey::ListOffsets => call.answer(|request| list_offsets(broker, version, &request)),
        ApiKey::FindCoordinator => call.answer(|request| find_coordinator(broker, version, &request)),
        ApiKey::OffsetFetch => call.answer(|request| offset_fetch(version, &request)),
        _ => Err(format!("{key} is offered and not answered").into()),
    }
}

/// A request to be decoded.
struct Call {
    body: Decoder,
    version: i16,
    correlation_id: i32,
}

impl Call {
    fn answer<R: Request>(mut self, answer: impl FnOnce(R) -> R::Response) -> Result<Frame> {
        let request = R::decode(&mut self.body, self.version)?;
        Ok(encode_response::<R>(self.correlation_id, self.version, &answer(request))?)
    }
}

fn api_versions() -> ApiVersionsResponse {
    let version = |key: ApiKey| {
        let versions = key.versions();
        ApiVersion {
            api_key: key.code(),
            min_version: versions.min,
            max_version: versions.max,
            ..Default::default()
        }
    };
    ApiVersionsResponse { api_keys: OFFERED.map(version).into(), ..Default::default() }
}

fn metadata(broker: &Broker, request: &MetadataRequest) -> MetadataResponse {
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: NODE_ID,
        leader_epoch: 0,
        replica_nodes: vec![NODE_ID],
        isr_nodes: vec![NODE_ID],
        ..Default::default()
    };
    let topic = |name: ByteStr| MetadataResponseTopic {
        topic_id: broker.topics.id(&name),
        partitions: (0..partition_count(&name)).map(partition).collect(),
        name: Some(name),
        ..Default::default()
    };
    let names = match &request.topics {
        Some(topics) => {
            let name = |topic: &metadata_request::MetadataRequestTopic| {
                topic.name.clone().unwrap_or_else(|| broker.topics.name(&topic.topic_id))
            };
            topics.iter().map(name).collect()
        }
        None => broker.topics.names(),
    };
    let node = MetadataResponseBroker {
        node_id: NODE_ID,
        host: HOST.into(),
        port: broker.port.into(),
        ..Default::default()
    };
    MetadataResponse {
        brokers: vec![node],
        cluster_id: Some("nullbroker".into()),
        controller_id: NODE_ID,
        topics: names.into_iter().map(topic).collect(),
        ..Default::default()
    }
}

fn fetch(broker: &Broker, version: i16, request: &FetchRequest) -> FetchResponse {
    let mut left = usize::try_from(request.max_bytes).unwrap_or(0);
    let mut is_empty = true;
    let mut response = FetchResponse::default();
    for topic in &request.topics {
        let name = if version >= 13 { broker.topics.name(&topic.topic_id) } else { topic.topic.clone() };
        let canned = broker.topics.canned(&name);
        let end = if canned.is_some() { END_OFFSET } else { 0 };
        let mut answer = FetchableTopicResponse {
            topic: topic.topic.clone(),
            topic_id: topic.topic_id,
            ..Default::default()
        };
        for partition in &topic.partitions {
            let bytes_max = usize::try_from(partition.partition_max_bytes).unwrap_or(0).min(left);
            let records =
                canned.as_ref().map(|canned| canned.fetch(partition.fetch_offset, bytes_max, is_empty));
            let records = records.unwrap_or_default();
            left = left.saturating_sub(records.len());
            is_empty &= records.is_empty();
            answer.partitions.push(PartitionData {
                partition_index: partition.partition,
                high_watermark: end,
                last_stable_offset: end,
                log_start_offset: 0,
                records: Some(records),
                ..Default::default()
            });
        }
        response.responses.push(answer);
    }
    if is_empty {
        // There will never be any; a client that asks again at once would burn its core.
        thread::sleep(Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)));
    }
    response
}

fn list_offsets(broker: &Broker, version: i16, request: &ListOffsetsRequest) -> ListOffsetsResponse {
    let topic = |topic: &list_offsets_request::ListOffsetsTopic| {
        let end = broker.topics.canned(&topic.name).map_or(0, |_| END_OFFSET);
        let partition =
            |partition: &list_offsets_request::ListOffsetsPartition| ListOffsetsPartitionResponse {
                partition_index: partition.partition_index,
                offset: if partition.timestamp == LATEST { end } else { 0 },
                leader_epoch: if version >= 4 { 0 } else { -1 },
                ..Default::default()
            };
        let partitions = topic.partitions.iter().map(partition).collect();
        ListOffsetsTopicResponse { name: topic.name.clone(), partitions, ..Default::default() }
    };
    ListOffsetsResponse { topics: request.topics.iter().map(topic).collect(), ..Default::default() }
}

/// This broker, whoever asks.
fn find_coordinator(
    broker: &Broker,
    version: i16,
    request: &FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let port = broker.port.into();
    if version < 4 {
        return FindCoordinatorResponse { node_id: NODE_ID, host: HOST.into(), port, ..Default::default() };
    }
    let coordinator = |key: &ByteStr| Coordinator {
        key: key.clone(),
        node_id: NODE_ID,
        host: HOST.into(),
        port,
        ..Default::default()
    };
    let coordinators = request.coordinator_keys.iter().map(coordinator).collect();
    FindCoordinatorResponse { coordinators, ..Default::default() }
}

/// Nothing was ever committed.
fn offset_fetch(version: i16, request: &OffsetFetchRequest) -> OffsetFetchResponse {
    if version < 8 {
        let topic = |topic: &offset_fetch_request::OffsetFetchRequestTopic| {
            let partition = |index: &i32| OffsetFetchResponsePartition {
                partition_index: *index,
                committed_offset: -1,
                ..Default::default()
            };
            let partitions = topic.partition_indexes.iter().map(partition).collect();
            OffsetFetchResponseTopic { name: topic.name.clone(), partitions, ..Default::default() }
        };
        let topics = request.topics.iter().flatten().map(topic).collect();
        return OffsetFetchResponse { topics, ..Default::default() };
    }
    let topic = |topic: &offset_fetch_request::OffsetFetchRequestTopics| {
        let partition = |index: &i32| OffsetFetchResponsePartitions {
            partition_index: *index,
            committed_offset: -1,
            ..Default::default()
        };
        let partitions = topic.partition_indexes.iter().map(partition).collect();
        let (name, topic_id) = (topic.name.clone(), topic.topic_id);
        OffsetFetchResponseTopics { name, topic_id, partitions, ..Default::default() }
    };
    let group = |group: &offset_fetch_request::OffsetFetchRequestGroup| {
        let topics = group.topics.iter().flatten().map(topic).collect();
        OffsetFetchResponseGroup { group_id: group.group_id.clone(), topics, ..Default::default() }
    };
    OffsetFetchResponse { groups: request.groups.iter().map(group).collect(), ..Default::default() }
}
