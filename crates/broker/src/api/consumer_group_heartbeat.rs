//! ConsumerGroupHeartbeat (KIP-848, 1082; Java: `KafkaApis.handleConsumerGroupHeartbeat`,
//! `GroupCoordinatorService.consumerGroupHeartbeat`).

use milena_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::Api;
use crate::group::Groups;
use crate::group::consumer::{Client, GroupError, Settings, Surroundings, check_heartbeat};
use crate::node::{Reply, RequestContext};
use crate::state::GROUP_VERSION;

impl Api for ConsumerGroupHeartbeatRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<ConsumerGroupHeartbeatResponse> {
        let beaten = match heartbeat(&self, context) {
            Ok(response) => {
                let written = context.group_written(&self.group_id).await;
                written.map(|()| response).map_err(GroupError::of)
            }
            refused => refused,
        };
        beaten.unwrap_or_else(refused).into()
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
    // What a group is described as is what Kafka has records of.
    let describe =
        |groups: &mut Groups| groups.describe_consumer(&request.group_id, &settings.assignors, &*state).ok();
    let is_short = context.is_short_of_replicas(&state, &request.group_id);
    let before = if is_short { describe(&mut groups) } else { None };
    let response = groups.consumer_heartbeat(request, client, &around, now, &state.settings().groups)?;
    if is_short && describe(&mut groups) != before {
        context.begin_group_write(&state, &mut groups, &request.group_id);
    }
    Ok(response)
}

fn refused(error: GroupError) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code: error.code,
        error_message: Some(ByteStr::from(error.message)),
        ..Default::default()
    }
}
