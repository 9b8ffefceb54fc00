//! OffsetCommit (KIP-211, 320, 345, 848; Java: `KafkaApis.handleOffsetCommitRequest`,
//! `OffsetMetadataManager.commitOffset`).

use std::sync::Arc;

use milena_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use milena_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use milena_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use milena_protocol::{ErrorCode, Uuid};

use super::Api;
use crate::clock::Moment;
use crate::group::{CommittedOffset, Committer};
use crate::node::{Reply, RequestContext};
use crate::state::{ClusterState, Topic};

/// From this version on topics are named by id only.
const TOPIC_IDS_SINCE_VERSION: i16 = 10;

impl Api for OffsetCommitRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<OffsetCommitResponse> {
        let (mut answer, valid) = self.sort(context);
        let committed = match valid.is_empty() {
            true => Ok(Vec::new()),
            false => self.commit(context, &valid),
        };
        let committed = match committed {
            Ok(errors) if !valid.is_empty() => context.group_written(&self.group_id).await.map(|()| errors),
            committed => committed,
        };
        let committed = committed.unwrap_or_else(|error| {
            valid.iter().map(|commits| vec![error; commits.partitions.len()]).collect()
        });
        for (commits, errors) in valid.iter().zip(committed) {
            answer.add(commits.topic, commits.partitions.iter().copied().zip(errors));
        }
        OffsetCommitResponse { topics: answer.topics, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<OffsetCommitResponse> {
        let refused = |topic: &OffsetCommitRequestTopic| OffsetCommitResponseTopic {
            partitions: topic.partitions.iter().map(|partition| failed(partition, error_code)).collect(),
            ..of_topic(topic)
        };
        let topics = self.topics.iter().map(refused).collect();
        OffsetCommitResponse { topics, ..Default::default() }.into()
    }
}

/// What is committed for a topic that exists, in partitions that exist.
struct Commits<'a> {
    topic: &'a OffsetCommitRequestTopic,
    found: Arc<Topic>,
    partitions: Vec<&'a OffsetCommitRequestPartition>,
}

trait Work {
    /// What can be committed, and the answer so far: what cannot.
    fn sort(&self, context: &RequestContext<'_>) -> (Answer, Vec<Commits<'_>>);

    /// Commits, and tells of each partition how it went; or why nothing is committed at all.
    fn commit(
        &self,
        context: &RequestContext<'_>,
        commits: &[Commits<'_>],
    ) -> Result<Vec<Vec<ErrorCode>>, ErrorCode>;

    fn offset(
        &self,
        partition: &OffsetCommitRequestPartition,
        topic_id: Uuid,
        now: Moment,
    ) -> CommittedOffset;
}

impl Work for OffsetCommitRequest {
    fn sort(&self, context: &RequestContext<'_>) -> (Answer, Vec<Commits<'_>>) {
        let state = context.shared.state();
        let mut answer = Answer { by_id: context.version >= TOPIC_IDS_SINCE_VERSION, topics: Vec::new() };
        let mut valid = Vec::new();
        for topic in &self.topics {
            match find_topic(&state, topic, answer.by_id) {
                Err(error) => {
                    let errors = topic.partitions.iter().map(|partition| (partition, error));
                    answer.add(topic, errors);
                }
                Ok(found) => {
                    let mut commits = Vec::new();
                    for partition in &topic.partitions {
                        match context.partition(Some(found), partition.partition_index) {
                            Ok(_) => commits.push(partition),
                            Err(error) => answer.add(topic, std::iter::once((partition, error))),
                        }
                    }
                    if !commits.is_empty() {
                        valid.push(Commits { topic, found: found.clone(), partitions: commits });
                    }
                }
            }
        }
        (answer, valid)
    }

    fn commit(
        &self,
        context: &RequestContext<'_>,
        commits: &[Commits<'_>],
    ) -> Result<Vec<Vec<ErrorCode>>, ErrorCode> {
        let state = context.shared.state();
        let metadata_max = state.settings().groups.offset_metadata_max;
        let now = context.shared.clock.moment();
        let mut groups = context.groups(&state, &self.group_id)?;
        let committer = Committer {
            member_id: &self.member_id,
            group_instance_id: self.group_instance_id.as_deref(),
            generation_or_epoch: self.generation_id_or_member_epoch,
            is_transactional: false,
            api_version: context.version,
        };
        let check = groups.begin_offset_commit(&self.group_id, committer, now)?;
        let group_id = self.group_id.detached();
        let mut committed = Vec::new();
        let mut errors = Vec::new();
        for commits in commits {
            let mut of_topic = Vec::new();
            for partition in &commits.partitions {
                let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
                if metadata.encode_utf16().count() > metadata_max {
                    of_topic.push(ErrorCode::OffsetMetadataTooLarge);
                    continue;
                }
                check.partition(&commits.found.id, partition.partition_index)?;
                committed.push((commits, *partition));
                of_topic.push(ErrorCode::None);
            }
            errors.push(of_topic);
        }
        if !committed.is_empty() {
            context.begin_group_write(&state, &mut groups, &self.group_id);
        }
        for (commits, partition) in committed {
            let offset = self.offset(partition, commits.found.id, now);
            groups.offsets.commit(&group_id, &commits.found.name, partition.partition_index, offset);
        }
        Ok(errors)
    }

    fn offset(
        &self,
        partition: &OffsetCommitRequestPartition,
        topic_id: Uuid,
        now: Moment,
    ) -> CommittedOffset {
        CommittedOffset {
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata: partition.committed_metadata.as_ref().map(|text| text.detached()).unwrap_or_default(),
            topic_id,
            commit_timestamp_ms: now.wall_ms,
            expire_timestamp_ms: (self.retention_time_ms != -1)
                .then(|| now.wall_ms.saturating_add(self.retention_time_ms)),
        }
    }
}

fn find_topic<'s>(
    state: &'s ClusterState,
    topic: &OffsetCommitRequestTopic,
    by_id: bool,
) -> Result<&'s Arc<Topic>, ErrorCode> {
    match by_id {
        true => state.topic_by_id(&topic.topic_id).ok_or(ErrorCode::UnknownTopicId),
        false => state.topic(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition),
    }
}

/// The answer in the making; what is told of one topic at different times is put together.
struct Answer {
    by_id: bool,
    topics: Vec<OffsetCommitResponseTopic>,
}

impl Answer {
    fn add<'a>(
        &mut self,
        topic: &OffsetCommitRequestTopic,
        partitions: impl Iterator<Item = (&'a OffsetCommitRequestPartition, ErrorCode)>,
    ) {
        let is_same = |other: &OffsetCommitResponseTopic| match self.by_id {
            true => other.topic_id == topic.topic_id,
            false => other.name == topic.name,
        };
        let index = self.topics.iter().position(is_same).unwrap_or_else(|| {
            self.topics.push(of_topic(topic));
            self.topics.len() - 1
        });
        self.topics[index].partitions.extend(partitions.map(|(partition, error)| failed(partition, error)));
    }
}

fn of_topic(topic: &OffsetCommitRequestTopic) -> OffsetCommitResponseTopic {
    OffsetCommitResponseTopic { name: topic.name.clone(), topic_id: topic.topic_id, ..Default::default() }
}

fn failed(partition: &OffsetCommitRequestPartition, error_code: ErrorCode) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code,
        ..Default::default()
    }
}
