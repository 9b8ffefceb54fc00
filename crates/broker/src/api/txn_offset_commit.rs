//! TxnOffsetCommit (KIP-98, KIP-447, KIP-890; Java: `KafkaApis.handleTxnOffsetCommitRequest`,
//! `OffsetMetadataManager.commitTransactionalOffset`).

use std::collections::BTreeSet;

use milena_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use milena_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use milena_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use milena_protocol::{ByteStr, ErrorCode, Uuid};

use super::Api;
use crate::group::{CommittedOffset, Committer};
use crate::node::{Reply, RequestContext};
use crate::state::InternalTopic;
use crate::txn::{Admission, Producer, TopicPartition, while_admitted};

/// The first version that knows `COORDINATOR_LOAD_IN_PROGRESS`.
const LOADING_SINCE_VERSION: i16 = 2;

impl Api for TxnOffsetCommitRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<TxnOffsetCommitResponse> {
        let exists = existing(context, &self.topics);
        let verdict = match exists.is_empty() {
            true => Ok(()),
            false => commit(context, &self, &exists).await,
        };
        let metadata_max = context.shared.state().settings().groups.offset_metadata_max;
        let error = |topic: &TxnOffsetCommitRequestTopic, partition: &TxnOffsetCommitRequestPartition| match (
            exists.contains(&place(topic, partition)),
            verdict,
        ) {
            (false, _) => ErrorCode::UnknownTopicOrPartition,
            (true, Err(error)) => error,
            (true, Ok(())) if !has_valid_metadata(partition, metadata_max) => {
                ErrorCode::OffsetMetadataTooLarge
            }
            (true, Ok(())) => ErrorCode::None,
        };
        respond(&self.topics, error).into()
    }

    fn refuse(self, _: &RequestContext<'_>, error: ErrorCode) -> Reply<TxnOffsetCommitResponse> {
        respond(&self.topics, |_, _| error).into()
    }
}

/// Stores the offsets of the partitions that exist, until the transaction ends.
async fn commit(
    context: &RequestContext<'_>,
    request: &TxnOffsetCommitRequest,
    exists: &BTreeSet<TopicPartition>,
) -> Result<(), ErrorCode> {
    let group_id = &request.group_id;
    if group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let shared = context.shared;
    let offsets_partition = {
        let state = shared.state();
        drop(context.groups(&state, group_id)?);
        let partition = state.coordinator_partition(InternalTopic::Offsets, group_id);
        let partition = partition.ok_or(ErrorCode::NotCoordinator)?;
        (partition.topic.clone(), partition.index)
    };
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let admission = Admission::of_txn_offset_commit(context.version);
    let committed =
        while_admitted(shared, &request.transactional_id, producer, admission, offsets_partition, || {
            commit_pending(context, request, exists)
        });
    committed.and_then(|committed| committed).map_err(|error| as_told(error, context.version))?;
    context.group_written(group_id).await
}

fn commit_pending(
    context: &RequestContext<'_>,
    request: &TxnOffsetCommitRequest,
    exists: &BTreeSet<TopicPartition>,
) -> Result<(), ErrorCode> {
    let state = context.shared.state();
    let mut groups = context.groups(&state, &request.group_id)?;
    let now = context.shared.clock.moment();
    let by = Committer {
        member_id: &request.member_id,
        group_instance_id: request.group_instance_id.as_deref(),
        generation_or_epoch: request.generation_id,
        is_transactional: true,
        api_version: context.version,
    };
    let as_generation = |error| match error {
        ErrorCode::StaleMemberEpoch => ErrorCode::IllegalGeneration,
        error => error,
    };
    let check = groups.begin_offset_commit(&request.group_id, by, now).map_err(as_generation)?;
    // What is kept must not pin the frame in which it came.
    let group_id = request.group_id.detached();
    let metadata_max = state.settings().groups.offset_metadata_max;
    let is_valid = |topic: &TxnOffsetCommitRequestTopic, partition: &TxnOffsetCommitRequestPartition| {
        exists.contains(&place(topic, partition)) && has_valid_metadata(partition, metadata_max)
    };
    for topic in &request.topics {
        let topic_id = state.topic(&topic.name).map_or(Uuid::ZERO, |topic| topic.id);
        for partition in topic.partitions.iter().filter(|partition| is_valid(topic, partition)) {
            check.partition(&topic_id, partition.partition_index).map_err(as_generation)?;
        }
    }
    if request.topics.iter().any(|topic| topic.partitions.iter().any(|it| is_valid(topic, it))) {
        let producer = (request.producer_id, request.producer_epoch);
        let partition = state.coordinator_partition(InternalTopic::Offsets, &group_id);
        let partition = partition.ok_or(ErrorCode::NotCoordinator)?;
        partition.note_transaction(context.node.id, producer, now.wall_ms)?;
        context.begin_group_write(&state, &mut groups, &group_id);
    }
    for topic in &request.topics {
        let name = topic.name.detached();
        for partition in topic.partitions.iter().filter(|partition| is_valid(topic, partition)) {
            let metadata = partition.committed_metadata.as_ref().map(ByteStr::detached);
            let offset = CommittedOffset {
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: metadata.unwrap_or_default(),
                topic_id: Uuid::default(),
                commit_timestamp_ms: now.wall_ms,
                expire_timestamp_ms: None,
            };
            let producer = (request.producer_id, request.producer_epoch);
            groups.offsets.commit_pending(producer, &group_id, &name, partition.partition_index, offset)?;
        }
    }
    Ok(())
}

/// The partitions that offsets can be committed for.
fn existing(
    context: &RequestContext<'_>,
    topics: &[TxnOffsetCommitRequestTopic],
) -> BTreeSet<TopicPartition> {
    let state = context.shared.state();
    let asked = topics.iter().flat_map(|topic| topic.partitions.iter().map(move |it| place(topic, it)));
    asked
        .filter(|(topic, index)| state.topic(topic).is_some_and(|it| it.partition(*index).is_some()))
        .collect()
}

fn place(topic: &TxnOffsetCommitRequestTopic, partition: &TxnOffsetCommitRequestPartition) -> TopicPartition {
    (topic.name.clone(), partition.partition_index)
}

/// Java counts the length of a text in units of UTF-16.
fn has_valid_metadata(partition: &TxnOffsetCommitRequestPartition, max: usize) -> bool {
    partition.committed_metadata.as_ref().is_none_or(|metadata| metadata.encode_utf16().count() <= max)
}

/// Errors of the log and of the transaction's coordinator, as clients of a group's coordinator know them
/// (Java: `CoordinatorOperationExceptionHelper.handleOperationException`).
fn as_told(error: ErrorCode, version: i16) -> ErrorCode {
    match error {
        ErrorCode::NetworkException | ErrorCode::CoordinatorLoadInProgress => match version {
            LOADING_SINCE_VERSION.. => ErrorCode::CoordinatorLoadInProgress,
            _ => ErrorCode::CoordinatorNotAvailable,
        },
        ErrorCode::UnknownTopicOrPartition | ErrorCode::NotEnoughReplicas | ErrorCode::RequestTimedOut => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::NotLeaderOrFollower => ErrorCode::NotCoordinator,
        error => error,
    }
}

fn respond(
    topics: &[TxnOffsetCommitRequestTopic],
    error: impl Fn(&TxnOffsetCommitRequestTopic, &TxnOffsetCommitRequestPartition) -> ErrorCode,
) -> TxnOffsetCommitResponse {
    let of_topic = |topic: &TxnOffsetCommitRequestTopic| TxnOffsetCommitResponseTopic {
        name: topic.name.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|partition| TxnOffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: error(topic, partition),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    TxnOffsetCommitResponse { topics: topics.iter().map(of_topic).collect(), ..Default::default() }
}
