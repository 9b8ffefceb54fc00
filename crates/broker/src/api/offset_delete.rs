//! OffsetDelete (KIP-496; Java: `KafkaApis.handleOffsetDeleteRequest`, `OffsetMetadataManager.deleteOffsets`).

use milena_protocol::ErrorCode;
use milena_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use milena_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use milena_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::Api;
use crate::group::Groups;
use crate::node::{Reply, RequestContext};
use crate::state::ClusterState;

impl Api for OffsetDeleteRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<OffsetDeleteResponse> {
        if self.group_id.is_empty() {
            return self.refuse(context, ErrorCode::InvalidGroupId);
        }
        let topics = match delete(context, &self) {
            Ok(topics) => topics,
            Err(error) => return self.refuse(context, error),
        };
        match context.group_written(&self.group_id).await {
            Ok(()) => OffsetDeleteResponse { topics, ..Default::default() }.into(),
            Err(error) => self.refuse(context, error),
        }
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<OffsetDeleteResponse> {
        OffsetDeleteResponse { error_code, ..Default::default() }.into()
    }
}

fn delete(
    context: &RequestContext<'_>,
    request: &OffsetDeleteRequest,
) -> Result<Vec<OffsetDeleteResponseTopic>, ErrorCode> {
    let state = context.shared.state();
    let group_id = &request.group_id;
    let mut groups = context.groups(&state, group_id)?;
    groups.get(group_id).ok_or(ErrorCode::GroupIdNotFound)?.check_offset_delete()?;
    let mut work = Deletion { context, state: &state, groups: &mut groups, group_id };
    Ok(request.topics.iter().map(|topic| work.delete(topic)).collect())
}

struct Deletion<'a> {
    context: &'a RequestContext<'a>,
    state: &'a ClusterState,
    groups: &'a mut Groups,
    group_id: &'a str,
}

impl Deletion<'_> {
    fn delete(&mut self, topic: &OffsetDeleteRequestTopic) -> OffsetDeleteResponseTopic {
        let is_subscribed =
            self.groups.get(self.group_id).is_some_and(|group| group.is_subscribed_to(&topic.name));
        let answer = |partition: &OffsetDeleteRequestPartition| OffsetDeleteResponsePartition {
            partition_index: partition.partition_index,
            error_code: self
                .delete_partition(&topic.name, partition.partition_index, is_subscribed)
                .err()
                .unwrap_or(ErrorCode::None),
        };
        OffsetDeleteResponseTopic {
            name: topic.name.clone(),
            partitions: topic.partitions.iter().map(answer).collect(),
        }
    }

    fn delete_partition(
        &mut self,
        topic: &str,
        partition: i32,
        is_subscribed: bool,
    ) -> Result<(), ErrorCode> {
        self.context.partition(self.state.topic(topic), partition)?;
        if is_subscribed {
            return Err(ErrorCode::GroupSubscribedToTopic);
        }
        self.context.begin_group_write(self.state, self.groups, self.group_id);
        self.groups.offsets.delete(self.group_id, topic, partition);
        Ok(())
    }
}
