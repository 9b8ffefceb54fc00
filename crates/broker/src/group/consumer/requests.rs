//! What members of the new protocol ask of groups, whether these exist already and of which kind they are
//! (Java: `GroupMetadataManager.getOrMaybeCreateConsumerGroup`).

use milena_protocol::messages::consumer_group_describe_response::DescribedGroup;
use milena_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::heartbeat::{Client, joins, leaves};
use super::{Assignor, ConsumerGroup, GroupError, Surroundings, Topics};
use crate::clock::Moment;
use crate::config::GroupSettings;
use crate::group::{Group, Groups};

impl Groups {
    /// A member joins, stays or leaves. An empty group of the classic protocol becomes one of the new protocol.
    pub(crate) fn consumer_heartbeat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        client: Client<'_>,
        around: &Surroundings<'_>,
        now: Moment,
        settings: &GroupSettings,
    ) -> Result<ConsumerGroupHeartbeatResponse, GroupError> {
        let has_room = self.has_room();
        self.update(&request.group_id, |group, rng| {
            if leaves(request) {
                let response = consumer_group(group.as_mut(), &request.group_id)?.leave(request)?;
                group.iter_mut().for_each(|group| group.maybe_downgrade(now, settings));
                return Ok(response);
            }
            if !joins(request) {
                if group.is_none() {
                    let message = format!("Consumer group {} not found.", request.group_id);
                    return Err(GroupError::new(ErrorCode::GroupIdNotFound, message));
                }
                let group = consumer_group(group.as_mut(), &request.group_id)?;
                return group.heartbeat(request, ByteStr::new(), client, around);
            }
            let new_member_id = rng.uuid().to_string().into();
            if let Some(Group::Consumer(group)) = group {
                return group.heartbeat(request, new_member_id, client, around);
            }
            if let Some(Group::Classic(classic)) = group
                && !classic.is_empty()
            {
                let mut new = ConsumerGroup::of_classic(&request.group_id, classic, around)?;
                let response = new.heartbeat(request, new_member_id, client, around)?;
                classic.dismiss();
                *group = Some(Group::Consumer(new));
                return Ok(response);
            }
            if group.is_none() && !has_room {
                return Err(GroupError::of(ErrorCode::CoordinatorNotAvailable));
            }
            // Only kept when the member may join.
            let mut new = ConsumerGroup::new(request.group_id.detached());
            let response = new.heartbeat(request, new_member_id, client, around)?;
            *group = Some(Group::Consumer(new));
            Ok(response)
        })
    }

    /// A group of the new protocol, as clients are told of it.
    pub(crate) fn describe_consumer(
        &mut self,
        group_id: &ByteStr,
        assignors: &[Assignor],
        topics: &dyn Topics,
    ) -> Result<DescribedGroup, GroupError> {
        self.update(group_id, |group, _| {
            consumer_group(group.as_mut(), group_id).map(|group| group.describe(assignors, topics))
        })
    }
}

fn consumer_group<'g>(
    group: Option<&'g mut Group>,
    group_id: &str,
) -> Result<&'g mut ConsumerGroup, GroupError> {
    match group {
        Some(Group::Consumer(group)) => Ok(group),
        Some(Group::Classic(_)) => Err(not_a_consumer_group(group_id)),
        None => {
            let message = format!("Group {group_id} not found.");
            Err(GroupError::new(ErrorCode::GroupIdNotFound, message))
        }
    }
}

fn not_a_consumer_group(group_id: &str) -> GroupError {
    GroupError::new(ErrorCode::GroupIdNotFound, format!("Group {group_id} is not a consumer group."))
}
