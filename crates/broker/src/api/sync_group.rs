//! SyncGroup (KIP-345, 559; Java: `KafkaApis.handleSyncGroupRequest`, `GroupCoordinatorService.syncGroup`).

use milena_protocol::ErrorCode;
use milena_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
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
        match context.answer_of_group(&self.group_id, answer).await {
            Some(response) => response.into(),
            None => Reply::Silence,
        }
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<SyncGroupResponse> {
        SyncGroupResponse { error_code, ..Default::default() }.into()
    }
}
