//! What clients ask of groups, whatever kind they are of (Java: `GroupMetadataManager`). Pure.

use milena_protocol::messages::describe_groups_response::DescribedGroup;
use milena_protocol::messages::leave_group_request::MemberIdentity;
use milena_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use milena_protocol::{ByteStr, ErrorCode};

use super::classic::{join_refused, sync_refused};
use super::{ClassicGroup, Group, Groups, JoiningClient, Slot};
use crate::clock::Moment;
use crate::config::GroupSettings;

impl Groups {
    /// A client joins. A group that does not exist is made for somebody who is not a member yet.
    pub(crate) fn join(
        &mut self,
        request: &JoinGroupRequest,
        client: JoiningClient<'_>,
        slot: Slot<JoinGroupResponse>,
        now: Moment,
        settings: &GroupSettings,
    ) {
        let has_room = self.has_room();
        self.update(&request.group_id, |group, rng| {
            // An empty group of the other protocol is as good as none.
            let is_new = match group {
                Some(Group::Classic(_)) => false,
                Some(Group::Consumer(group)) => group.is_empty(),
                None => true,
            };
            if is_new {
                let error_code = match request.member_id.is_empty() {
                    false => ErrorCode::UnknownMemberId,
                    true if !has_room => ErrorCode::CoordinatorNotAvailable,
                    true => ErrorCode::None,
                };
                if !error_code.is_ok() {
                    let _ = slot.send(join_refused(request.member_id.detached(), error_code));
                    return;
                }
                *group = Some(Group::Classic(ClassicGroup::new(now)));
            }
            if let Some(Group::Classic(group)) = group {
                group.handle_join(request, client, slot, rng, now, settings);
            } else {
                let _ = slot.send(join_refused(ByteStr::new(), ErrorCode::InconsistentGroupProtocol));
            }
        });
    }

    /// A member of the classic protocol wants its assignment.
    pub(crate) fn sync(&mut self, request: &SyncGroupRequest, slot: Slot<SyncGroupResponse>, now: Moment) {
        self.update(&request.group_id, |group, _| match group {
            Some(Group::Classic(group)) => group.handle_sync(request, slot, now),
            Some(Group::Consumer(_)) | None => {
                let _ = slot.send(sync_refused(ErrorCode::UnknownMemberId));
            }
        });
    }

    /// A member of the classic protocol shows that it is alive.
    pub(crate) fn heartbeat(&mut self, request: &HeartbeatRequest, now: Moment) -> Result<(), ErrorCode> {
        self.update(&request.group_id, |group, _| match group {
            Some(Group::Classic(group)) => group.handle_heartbeat(request, now),
            Some(Group::Consumer(_)) | None => Err(ErrorCode::UnknownMemberId),
        })
    }

    /// Members leave. Says of each whether it has.
    pub(crate) fn leave(
        &mut self,
        group_id: &str,
        members: &[MemberIdentity],
        now: Moment,
        settings: &GroupSettings,
    ) -> Vec<Result<(), ErrorCode>> {
        self.update(group_id, |group, _| match group {
            Some(Group::Classic(group)) => group.handle_leave(members, now, settings),
            Some(Group::Consumer(_)) | None => vec![Err(ErrorCode::UnknownMemberId); members.len()],
        })
    }

    /// A group of the classic protocol, as clients are told of it.
    ///
    /// # Errors
    /// What is wrong, when there is no such group, or it is of another kind.
    pub(crate) fn describe_classic(&self, group_id: &ByteStr) -> Result<DescribedGroup, String> {
        match self.get(group_id) {
            Some(Group::Classic(group)) => Ok(group.describe(group_id)),
            Some(Group::Consumer(_)) => Err(format!("Group {group_id} is not a classic group.")),
            None => Err(format!("Group {group_id} not found.")),
        }
    }
}
