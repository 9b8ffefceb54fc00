//! ConsumerGroupHeartbeat (KIP-848, 1082; Java: `KafkaApis.handleConsumerGroupHeartbeat`,
//! `GroupCoordinatorService.consumerGroupHeartbeat`).

use milena_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::Api;
use crate::group::consumer::{Client, GroupError, Settings, Surroundings, check_heartbeat};
use crate::node::{Reply, RequestContext};
use crate::state::GROUP_VERSION;

impl Api for ConsumerGroupHeartbeatRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<ConsumerGroupHeartbeatResponse> {
        heartbeat(&self, context).unwrap_or_else(refused).into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<ConsumerGroupHeartbeatResponse> {
        ConsumerGroupHeartbeatResponse { error_code, ..Default::default() }.into()
    }
}

fn heartbeat(
    request: &ConsumerGroupHeartbeatRequest,
    context: &RequestContext<'_>,
) -> Result<ConsumerGroupHeartbeatResponse, GroupError> {
    let state = context.shared.state();
    if state.features().level(GROUP_VERSION) < 1 {
        return Err(GroupError::of(ErrorCode::UnsupportedVersion));
    }
    let overrides = state.configs().group_overrides(&request.group_id);
    let settings = Settings::of_group(&state.settings().groups.consumer, overrides);
    check_heartbeat(request, context.version, &settings.assignors)?;
    let mut groups = context.groups(&state, &request.group_id).map_err(GroupError::of)?;
    let client = Client { client_id: context.client_id, host: context.client_host };
    let now = context.shared.clock.moment();
    let around = Surroundings { now_ms: now.elapsed_ms, settings: &settings, topics: &*state };
    groups.consumer_heartbeat(request, client, &around, now, &state.settings().groups)
}

fn refused(error: GroupError) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code: error.code,
        error_message: Some(ByteStr::from(error.message)),
        ..Default::default()
    }
}
