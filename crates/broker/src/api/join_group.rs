//! JoinGroup (KIP-62, 345, 394, 559, 800, 814; Java: `GroupCoordinatorService.joinGroup`).

use milena_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use milena_protocol::{ByteStr, ErrorCode};
use tokio::select;
use tokio::sync::oneshot;

use super::Api;
use crate::group::JoiningClient;
use crate::node::{Reply, RequestContext};

/// From this version on a missing protocol name is null, and before it is empty.
const NULL_PROTOCOL_SINCE_VERSION: i16 = 7;

impl Api for JoinGroupRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<JoinGroupResponse> {
        let settings = context.shared.state().settings().clone();
        let settings = &settings.groups;
        let session_timeouts = settings.session_timeout_min_ms..=settings.session_timeout_max_ms;
        if self.group_id.is_empty() {
            return refused(context, self.member_id, ErrorCode::InvalidGroupId);
        }
        if !session_timeouts.contains(&self.session_timeout_ms.into()) {
            return refused(context, self.member_id, ErrorCode::InvalidSessionTimeout);
        }
        let (slot, answer) = oneshot::channel();
        {
            let state = context.shared.state();
            let mut groups = match context.groups(&state, &self.group_id) {
                Ok(groups) => groups,
                Err(error) => return refused(context, ByteStr::new(), error),
            };
            let client = JoiningClient {
                client_id: context.client_id,
                client_host: context.client_host,
                api_version: context.version,
            };
            let is_new = groups.get(&self.group_id).is_none();
            groups.join(&self, client, slot, context.shared.clock.moment(), settings, &*state);
            if is_new && groups.get(&self.group_id).is_some() {
                context.begin_group_write(&state, &mut groups, &self.group_id);
            }
        }
        context.shared.seen.changed();
        select! {
            biased;
            response = context.answer_of_group(&self.group_id, answer) => match response {
                Some(response) => Reply::Answer(in_version(context, response)),
                None => Reply::Silence,
            },
            error = context.group_unwritten(&self.group_id) => refused(context, ByteStr::new(), error),
        }
    }

    fn refuse(self, context: &RequestContext<'_>, error_code: ErrorCode) -> Reply<JoinGroupResponse> {
        refused(context, ByteStr::new(), error_code)
    }
}

fn refused(
    context: &RequestContext<'_>,
    member_id: ByteStr,
    error_code: ErrorCode,
) -> Reply<JoinGroupResponse> {
    in_version(context, JoinGroupResponse { error_code, member_id, ..Default::default() }).into()
}

fn in_version(context: &RequestContext<'_>, mut response: JoinGroupResponse) -> JoinGroupResponse {
    let name = response.protocol_name.take().unwrap_or_default();
    let is_nullable = context.version >= NULL_PROTOCOL_SINCE_VERSION;
    response.protocol_name = if name.is_empty() && is_nullable { None } else { Some(name) };
    response
}
