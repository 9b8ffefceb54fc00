//! LeaveGroup (KIP-345, 800; Java: `GroupCoordinatorService.leaveGroup`, `LeaveGroupResponse`).

use milena_protocol::ErrorCode;
use milena_protocol::messages::leave_group_request::MemberIdentity;
use milena_protocol::messages::leave_group_response::MemberResponse;
use milena_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::Api;
use crate::group::{Group, Groups};
use crate::node::{Reply, RequestContext};

/// From this version on several members may leave at once.
const BATCHES_SINCE_VERSION: i16 = 3;

impl Api for LeaveGroupRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<LeaveGroupResponse> {
        if self.group_id.is_empty() {
            return self.refuse(context, ErrorCode::InvalidGroupId);
        }
        let is_batch = context.version >= BATCHES_SINCE_VERSION;
        let members = match is_batch {
            true => self.members.clone(),
            false => vec![MemberIdentity { member_id: self.member_id.clone(), ..Default::default() }],
        };
        let left = {
            let state = context.shared.state();
            let settings = &state.settings().groups;
            match context.groups(&state, &self.group_id) {
                Ok(mut groups) => {
                    let is_empty = |groups: &Groups| groups.get(&self.group_id).is_none_or(Group::is_empty);
                    let was_empty = is_empty(&groups);
                    let now = context.shared.clock.moment();
                    let left = groups.leave(&self.group_id, &members, now, settings);
                    if !was_empty && is_empty(&groups) {
                        context.begin_group_write(&state, &mut groups, &self.group_id);
                    }
                    left
                }
                Err(error) => return self.refuse(context, error),
            }
        };
        if let Err(error) = context.group_written(&self.group_id).await {
            return self.refuse(context, error);
        }
        let answer = |(member, left): (MemberIdentity, Result<(), ErrorCode>)| MemberResponse {
            member_id: member.member_id,
            group_instance_id: member.group_instance_id,
            error_code: left.err().unwrap_or(ErrorCode::None),
            ..Default::default()
        };
        let members: Vec<_> = members.into_iter().zip(left).map(answer).collect();
        match (is_batch, members.first()) {
            (false, Some(member)) => self.refuse(context, member.error_code),
            _ => LeaveGroupResponse { members, ..Default::default() }.into(),
        }
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<LeaveGroupResponse> {
        LeaveGroupResponse { error_code, ..Default::default() }.into()
    }
}
