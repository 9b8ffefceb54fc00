//! OffsetFetch (KIP-447, 709, 848; Java: `KafkaApis.handleOffsetFetchRequest`, `OffsetMetadataManager.fetchOffsets`,
//! `OffsetFetchResponse`).

use milena_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use milena_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use milena_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::Api;
use crate::group::{CommittedOffset, Groups};
use crate::node::{Reply, RequestContext};
use crate::state::{ClusterState, Hold, InternalTopic};

/// From this version on an error that concerns a group is told of the group, and before of each of its partitions.
const GROUP_ERRORS_SINCE_VERSION: i16 = 2;
/// From this version on several groups may be asked for.
const BATCHES_SINCE_VERSION: i16 = 8;
/// From this version on topics are named by id only.
const TOPIC_IDS_SINCE_VERSION: i16 = 10;

impl Api for OffsetFetchRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<OffsetFetchResponse> {
        let require_stable = self.require_stable;
        let asked = self.into_groups(context.version);
        let mut groups: Vec<_> =
            asked.iter().map(|group| fetch_group(context, group, require_stable)).collect();
        if require_stable {
            wait_for_writes(context, &asked, &mut groups).await;
        }
        in_version(context, groups)
    }

    fn refuse(self, context: &RequestContext<'_>, error_code: ErrorCode) -> Reply<OffsetFetchResponse> {
        let groups = self.into_groups(context.version);
        let groups = groups.iter().map(|group| failed_group(context, group, error_code)).collect();
        in_version(context, groups)
    }
}

trait Asked {
    /// The groups as the newer versions name them.
    fn into_groups(self, version: i16) -> Vec<OffsetFetchRequestGroup>;
}

impl Asked for OffsetFetchRequest {
    fn into_groups(self, version: i16) -> Vec<OffsetFetchRequestGroup> {
        if version >= BATCHES_SINCE_VERSION {
            return self.groups;
        }
        let topics = self.topics.map(|topics| {
            let topics = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
                name: topic.name,
                partition_indexes: topic.partition_indexes,
                ..Default::default()
            });
            topics.collect()
        });
        vec![OffsetFetchRequestGroup { group_id: self.group_id, topics, ..Default::default() }]
    }
}

/// The answer as older versions have it: of one group, without a list of groups.
fn in_version(
    context: &RequestContext<'_>,
    groups: Vec<OffsetFetchResponseGroup>,
) -> Reply<OffsetFetchResponse> {
    if context.version >= BATCHES_SINCE_VERSION {
        return OffsetFetchResponse { groups, ..Default::default() }.into();
    }
    let group = groups.into_iter().next().unwrap_or_default();
    let partition = |own: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: own.partition_index,
        committed_offset: own.committed_offset,
        committed_leader_epoch: own.committed_leader_epoch,
        metadata: own.metadata,
        error_code: own.error_code,
        ..Default::default()
    };
    let topic = |own: OffsetFetchResponseTopics| OffsetFetchResponseTopic {
        name: own.name,
        partitions: own.partitions.into_iter().map(partition).collect(),
        ..Default::default()
    };
    let topics = group.topics.into_iter().map(topic).collect();
    OffsetFetchResponse { topics, error_code: group.error_code, ..Default::default() }.into()
}

/// Offsets that are to be stable are told when what was written before can be seen, each group's for itself.
async fn wait_for_writes(
    context: &RequestContext<'_>,
    asked: &[OffsetFetchRequestGroup],
    groups: &mut [OffsetFetchResponseGroup],
) {
    let deadline = context.group_write_deadline();
    let fetched = asked.iter().zip(groups).filter(|(_, group)| group.error_code.is_ok());
    let held: Vec<_> = fetched
        .filter_map(|(asked, group)| Some((asked, group, context.held_for(&asked.group_id)?)))
        .collect();
    for (asked, group, (partition, hold)) in held {
        if context.let_go(&partition, hold, deadline).await.is_err() {
            // Older consumers do not know what others are told at the deadline (Java: `handleOffsetFetchException`).
            *group = failed_group(context, asked, ErrorCode::NotCoordinator);
        }
    }
}

fn fetch_group(
    context: &RequestContext<'_>,
    group: &OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let state = context.shared.state();
    let groups = match context.groups(&state, &group.group_id) {
        Ok(groups) => groups,
        Err(error) => return failed_group(context, group, error),
    };
    // A group that is not there has no offsets, and that is no error.
    let checked = groups
        .get(&group.group_id)
        .map_or(Ok(()), |found| found.check_offset_fetch(group.member_id.as_deref(), group.member_epoch));
    if let Err(error) = checked {
        return failed_group(context, group, error);
    }
    let hold = match require_stable {
        true => None,
        false => state
            .coordinator_partition(InternalTopic::Offsets, &group.group_id)
            .and_then(|partition| partition.lock().hold()),
    };
    let fetch =
        Fetch { context, state: &state, groups: &groups, group_id: &group.group_id, require_stable, hold };
    let topics = match &group.topics {
        Some(topics) => fetch.named(topics),
        None => fetch.all(),
    };
    OffsetFetchResponseGroup { group_id: group.group_id.clone(), topics, ..Default::default() }
}

/// What reading a group's offsets takes.
struct Fetch<'a> {
    context: &'a RequestContext<'a>,
    state: &'a ClusterState,
    groups: &'a Groups,
    group_id: &'a str,
    require_stable: bool,
    /// Whether the newest offsets are held back from this reader.
    hold: Option<Hold>,
}

impl Fetch<'_> {
    fn by_id(&self) -> bool {
        self.context.version >= TOPIC_IDS_SINCE_VERSION
    }

    /// The offsets that are asked for; topics with unknown ids come last.
    fn named(&self, topics: &[OffsetFetchRequestTopics]) -> Vec<OffsetFetchResponseTopics> {
        let mut answered = Vec::new();
        let mut unknown = Vec::new();
        for topic in topics {
            let name = match self.by_id() {
                true => self.state.topic_by_id(&topic.topic_id).map(|found| &found.name),
                false => Some(&topic.name),
            };
            let Some(name) = name else {
                unknown.push(failed_topic(topic, ErrorCode::UnknownTopicId));
                continue;
            };
            let fetch = |&partition: &i32| self.partition(name, topic, partition);
            answered.push(OffsetFetchResponseTopics {
                name: name.clone(),
                topic_id: topic.topic_id,
                partitions: topic.partition_indexes.iter().map(fetch).collect(),
                ..Default::default()
            });
        }
        answered.extend(unknown);
        answered
    }

    fn partition(
        &self,
        name: &ByteStr,
        topic: &OffsetFetchRequestTopics,
        partition: i32,
    ) -> OffsetFetchResponsePartitions {
        if let Err(error) = self.context.strike_partition(name, partition) {
            return failed_partition(partition, error);
        }
        let ids_differ = |offset: &CommittedOffset| {
            !offset.topic_id.is_zero() && !topic.topic_id.is_zero() && offset.topic_id != topic.topic_id
        };
        let offset = self.groups.offsets.get_seen(self.group_id, name, partition, self.hold);
        self.answer(name, partition, offset.filter(|offset| !ids_differ(offset)))
    }

    /// All offsets of the group; where topics are named by id, without topics that are gone.
    fn all(&self) -> Vec<OffsetFetchResponseTopics> {
        let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
        for (name, partition, offset) in self.groups.offsets.seen_of_group(self.group_id, self.hold) {
            let partition = self.answer(name, partition, Some(offset));
            match topics.last_mut() {
                Some(last) if last.name == *name => last.partitions.push(partition),
                _ => topics.push(OffsetFetchResponseTopics {
                    name: name.clone(),
                    topic_id: self.state.topic(name).map(|topic| topic.id).unwrap_or_default(),
                    partitions: vec![partition],
                    ..Default::default()
                }),
            }
        }
        topics.retain(|topic| !self.by_id() || !topic.topic_id.is_zero());
        topics
    }

    fn answer(
        &self,
        topic: &str,
        partition_index: i32,
        offset: Option<&CommittedOffset>,
    ) -> OffsetFetchResponsePartitions {
        let is_pending = || self.groups.offsets.is_pending(self.group_id, topic, partition_index);
        if self.require_stable && is_pending() {
            return failed_partition(partition_index, ErrorCode::UnstableOffsetCommit);
        }
        match offset {
            None => failed_partition(partition_index, ErrorCode::None),
            Some(offset) => OffsetFetchResponsePartitions {
                partition_index,
                committed_offset: offset.offset,
                committed_leader_epoch: offset.leader_epoch,
                metadata: Some(offset.metadata.clone()),
                ..Default::default()
            },
        }
    }
}

fn failed_group(
    context: &RequestContext<'_>,
    group: &OffsetFetchRequestGroup,
    error_code: ErrorCode,
) -> OffsetFetchResponseGroup {
    let group_id = group.group_id.clone();
    if context.version >= GROUP_ERRORS_SINCE_VERSION {
        return OffsetFetchResponseGroup { group_id, error_code, ..Default::default() };
    }
    let topics = group.topics.iter().flatten().map(|topic| failed_topic(topic, error_code)).collect();
    OffsetFetchResponseGroup { group_id, topics, ..Default::default() }
}

fn failed_topic(topic: &OffsetFetchRequestTopics, error_code: ErrorCode) -> OffsetFetchResponseTopics {
    let partitions = topic.partition_indexes.iter().map(|&index| failed_partition(index, error_code));
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
        ..Default::default()
    }
}

/// No offset, because of an error or because there is none.
fn failed_partition(partition_index: i32, error_code: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        error_code,
        ..Default::default()
    }
}
