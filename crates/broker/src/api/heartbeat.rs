//! Heartbeat of the classic protocol (KIP-345; Java: `GroupCoordinatorService.heartbeat`).

use milena_protocol::ErrorCode;
use milena_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::Api;
use crate::node::{Reply, RequestContext};

impl Api for HeartbeatRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<HeartbeatResponse> {
        if self.group_id.is_empty() {
            return self.refuse(context, ErrorCode::InvalidGroupId);
        }
        let beaten = {
            let state = context.shared.state();
            context
                .groups(&state, &self.group_id)
                .and_then(|mut groups| groups.heartbeat(&self, context.shared.clock.moment()))
        };
        let written = match beaten {
            Ok(()) | Err(ErrorCode::RebalanceInProgress) => context.group_written(&self.group_id).await,
            Err(_) => Ok(()),
        };
        let beaten = written.and(beaten);
        HeartbeatResponse { error_code: beaten.err().unwrap_or(ErrorCode::None), ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<HeartbeatResponse> {
        HeartbeatResponse { error_code, ..Default::default() }.into()
    }
}
