//! SyncGroup (KIP-345, 559; Java: `KafkaApis.handleSyncGroupRequest`, `GroupCoordinatorService.syncGroup`).

use milena_protocol::ErrorCode;
use milena_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use tokio::select;
use tokio::sync::oneshot;

use super::Api;
use crate::node::{Reply, RequestContext};

/// From this version on the member says which protocol it believes to be chosen.
const PROTOCOL_SINCE_VERSION: i16 = 5;

impl Api for SyncGroupRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<SyncGroupResponse> {
        let names_protocol = self.protocol_type.is_some() && self.protocol_name.is_some();
        if context.version >= PROTOCOL_SINCE_VERSION && !names_protocol {
            return self.refuse(context, ErrorCode::InconsistentGroupProtocol);
        }
        if self.group_id.is_empty() {
            return self.refuse(context, ErrorCode::InvalidGroupId);
        }
        if let Err(error) = write_assignment(context, &self).await {
            return self.refuse(context, error);
        }
        let (slot, answer) = oneshot::channel();
        {
            let state = context.shared.state();
            match context.groups(&state, &self.group_id) {
                Ok(mut groups) => {
                    let settings = &state.settings().groups;
                    groups.sync(&self, slot, context.shared.clock.moment(), settings, &*state);
                }
                Err(error) => return SyncGroupResponse { error_code: error, ..Default::default() }.into(),
            }
        }
        context.shared.seen.changed();
        select! {
            biased;
            response = context.answer_of_group(&self.group_id, answer) => match response {
                Some(response) => response.into(),
                None => Reply::Silence,
            },
            error = context.group_unwritten(&self.group_id) => self.refuse(context, error),
        }
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<SyncGroupResponse> {
        SyncGroupResponse { error_code, ..Default::default() }.into()
    }
}

/// Has the leader's assignment wait until enough replicas are in sync; should there not be in time, members join again.
async fn write_assignment(context: &RequestContext<'_>, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
    let group_id = &request.group_id;
    {
        let state = context.shared.state();
        if !context.is_short_of_replicas(&state, group_id) {
            return Ok(());
        }
        let mut groups = context.groups(&state, group_id)?;
        if !groups.is_assignment(request) {
            return Ok(());
        }
        context.begin_group_write(&state, &mut groups, group_id);
    }
    let written = context.group_written(group_id).await;
    if let Err(error) = written {
        let state = context.shared.state();
        let now = context.shared.clock.moment();
        context.groups(&state, group_id)?.refuse_assignment(request, error, now, &state.settings().groups);
        context.shared.seen.changed();
    }
    written
}
