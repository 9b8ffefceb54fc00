//! SyncGroup, Heartbeat and LeaveGroup (Java: `GroupMetadataManager`'s `classicGroupSyncToClassicGroup`,
//! `classicGroupHeartbeatToClassicGroup`, `classicGroupLeaveToClassicGroup`). Pure.

use bytes::Bytes;
use milena_protocol::messages::leave_group_request::MemberIdentity;
use milena_protocol::messages::{HeartbeatRequest, SyncGroupRequest, SyncGroupResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::{ClassicGroup, Slot, State, Timer, fill, sync_refused};
use crate::clock::Moment;
use crate::config::GroupSettings;

impl ClassicGroup {
    /// A member wants its assignment; the leader brings everybody's. The slot is filled now, or when the leader syncs.
    pub(in crate::group) fn handle_sync(
        &mut self,
        request: &SyncGroupRequest,
        slot: Slot<SyncGroupResponse>,
        now: Moment,
    ) {
        let member_id = &request.member_id;
        if let Err(error_code) = self.check_sync(request) {
            return fill(slot, sync_refused(error_code));
        }
        match self.state {
            State::Empty => fill(slot, sync_refused(ErrorCode::UnknownMemberId)),
            State::PreparingRebalance { .. } => fill(slot, sync_refused(ErrorCode::RebalanceInProgress)),
            State::CompletingRebalance => {
                if let Some(member) = self.members.get_mut(member_id) {
                    member.sync = Some(slot);
                }
                self.has_synced(member_id);
                if self.is_leader(member_id) {
                    self.assign(request, now);
                }
            }
            State::Stable => {
                self.has_synced(member_id);
                let assignment = self.members.get(member_id).map(|member| member.assignment.clone());
                fill(slot, self.synced(assignment.unwrap_or_default()));
            }
        }
    }

    /// Whether this brings the assignment that the members wait for.
    pub(in crate::group) fn is_assignment(&self, request: &SyncGroupRequest) -> bool {
        let is_awaited = self.state == State::CompletingRebalance && self.check_sync(request).is_ok();
        is_awaited && self.is_leader(&request.member_id)
    }

    /// The assignment could not be kept: who waits for it is told why, and all are to join again.
    pub(in crate::group) fn refuse_assignment(
        &mut self,
        request: &SyncGroupRequest,
        error_code: ErrorCode,
        now: Moment,
        settings: &GroupSettings,
    ) {
        if self.is_assignment(request) {
            self.answer_syncs(now, |_| sync_refused(error_code));
            self.prepare_rebalance(now, settings);
        }
    }

    fn check_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        let instance = request.group_instance_id.as_deref();
        // Java asks for an empty group first, too: whoever syncs is not a member of it.
        self.check_member(&request.member_id, instance)?;
        if request.generation_id != self.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |given: &Option<ByteStr>, own: &Option<ByteStr>| given.is_some() && given != own;
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol_name)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    /// The leader has assigned: everybody who waits is told, and others are when they ask.
    fn assign(&mut self, request: &SyncGroupRequest, now: Moment) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        for given in &request.assignments {
            if let Some(member) = self.members.get_mut(&given.member_id) {
                member.assignment = Bytes::copy_from_slice(&given.assignment);
            }
        }
        let template = self.synced(Bytes::new());
        self.answer_syncs(now, |assignment| SyncGroupResponse { assignment, ..template.clone() });
        self.enter_state(State::Stable, now);
    }

    fn synced(&self, assignment: Bytes) -> SyncGroupResponse {
        SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment,
            ..Default::default()
        }
    }

    fn has_synced(&mut self, member_id: &str) {
        self.pending_syncs.remove(member_id);
        if self.pending_syncs.is_empty() {
            self.timers.cancel(&Timer::Sync);
        }
    }

    /// A member shows that it is alive, and hears whether it is to join again.
    pub(in crate::group) fn handle_heartbeat(
        &mut self,
        request: &HeartbeatRequest,
        now: Moment,
    ) -> Result<(), ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        self.extend_session(&request.member_id, now);
        match self.state {
            State::PreparingRebalance { .. } => Err(ErrorCode::RebalanceInProgress),
            State::Empty | State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    /// Members leave, or are taken out by the name of their instance. Says of each whether it has.
    pub(in crate::group) fn handle_leave(
        &mut self,
        members: &[MemberIdentity],
        now: Moment,
        settings: &GroupSettings,
    ) -> Vec<Result<(), ErrorCode>> {
        let left: Vec<_> = members.iter().map(|member| self.leave(member)).collect();
        if left.iter().any(Result::is_ok) && self.state != State::Empty {
            self.rebalance_or_complete_join(now, settings);
        }
        left
    }

    fn leave(&mut self, member: &MemberIdentity) -> Result<(), ErrorCode> {
        let instance = member.group_instance_id.as_deref();
        let member_id = if member.member_id.is_empty() {
            // An administrator names the instance only.
            let owner = instance.and_then(|instance| self.static_members.get(instance));
            owner.cloned().ok_or(ErrorCode::UnknownMemberId)?
        } else {
            member.member_id.clone()
        };
        if !self.pending_joins.contains(&member_id) {
            let named = instance.filter(|_| !member.member_id.is_empty());
            self.check_member(&member_id, named)?;
        }
        tracing::debug!(%member_id, reason = member.reason.as_deref(), "a member leaves its group");
        self.expel(&member_id);
        Ok(())
    }
}
