//! What clients ask of groups, whatever kind they are of (Java: `GroupMetadataManager`). Pure.

use milena_protocol::messages::describe_groups_response::DescribedGroup;
use milena_protocol::messages::leave_group_request::MemberIdentity;
use milena_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use milena_protocol::{ByteStr, ErrorCode};

use super::classic::{join_refused, sync_refused};
use super::consumer::{Settings, Surroundings, Topics};
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
        topics: &dyn Topics,
    ) {
        let has_room = self.has_room();
        self.update(&request.group_id, |group, rng| {
            // An empty group changes its kind with the next member.
            if matches!(group, Some(Group::Consumer(group)) if group.is_empty()) {
                *group = None;
            }
            if group.is_none() {
                let error_code = match request.member_id.is_empty() {
                    false => ErrorCode::UnknownMemberId,
                    true if !has_room => ErrorCode::CoordinatorNotAvailable,
                    true => ErrorCode::None,
                };
                if !error_code.is_ok() {
                    let _ = slot.send(join_refused(request.member_id.detached(), error_code));
                    return;
                }
            }
            match group.get_or_insert_with(|| Group::Classic(ClassicGroup::new(now))) {
                Group::Classic(classic) => classic.handle_join(request, client, slot, rng, now, settings),
                Group::Consumer(consumers) => {
                    let own = Settings::of_broker(&settings.consumer);
                    let around = Surroundings { now_ms: now.elapsed_ms, settings: &own, topics };
                    let new_member_id = rng.uuid().to_string().into();
                    let _ = slot.send(consumers.join_classic(request, new_member_id, client, &around));
                    group.iter_mut().for_each(|group| group.maybe_downgrade(now, settings));
                }
            }
        });
    }

    /// A member of the classic protocol wants its assignment.
    pub(crate) fn sync(
        &mut self,
        request: &SyncGroupRequest,
        slot: Slot<SyncGroupResponse>,
        now: Moment,
        settings: &GroupSettings,
        topics: &dyn Topics,
    ) {
        self.update(&request.group_id, |group, _| match group {
            Some(Group::Classic(group)) => group.handle_sync(request, slot, now),
            Some(Group::Consumer(group)) => {
                let own = Settings::of_broker(&settings.consumer);
                let around = Surroundings { now_ms: now.elapsed_ms, settings: &own, topics };
                let _ = slot.send(group.sync_classic(request, &around).unwrap_or_else(sync_refused));
            }
            None => {
                let _ = slot.send(sync_refused(ErrorCode::UnknownMemberId));
            }
        });
    }

    /// Whether this brings the assignment that members of the classic protocol wait for.
    pub(crate) fn is_assignment(&self, request: &SyncGroupRequest) -> bool {
        match self.get(&request.group_id) {
            Some(Group::Classic(group)) => group.is_assignment(request),
            Some(Group::Consumer(_)) | None => false,
        }
    }

    /// Refuses that assignment: who waits for it is told why, and all are to join again.
    pub(crate) fn refuse_assignment(
        &mut self,
        request: &SyncGroupRequest,
        error_code: ErrorCode,
        now: Moment,
        settings: &GroupSettings,
    ) {
        self.update(&request.group_id, |group, _| {
            if let Some(Group::Classic(group)) = group {
                group.refuse_assignment(request, error_code, now, settings);
            }
        });
    }

    /// A member of the classic protocol shows that it is alive.
    pub(crate) fn heartbeat(&mut self, request: &HeartbeatRequest, now: Moment) -> Result<(), ErrorCode> {
        self.update(&request.group_id, |group, _| match group {
            Some(Group::Classic(group)) => group.handle_heartbeat(request, now),
            Some(Group::Consumer(group)) => group.heartbeat_classic(request, now.elapsed_ms),
            None => Err(ErrorCode::UnknownMemberId),
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
            Some(Group::Consumer(consumers)) => {
                let removed = consumers.remove_members(members);
                group.iter_mut().for_each(|group| group.maybe_downgrade(now, settings));
                removed
            }
            None => vec![Err(ErrorCode::UnknownMemberId); members.len()],
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
