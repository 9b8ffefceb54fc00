//! FindCoordinator (KIP-699; Java: `KafkaApis.getCoordinator`).

use milena_protocol::messages::find_coordinator_response::Coordinator;
use milena_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::throttled::Throttled;
use super::{Api, message};
use crate::node::{Reply, RequestContext};
use crate::state::InternalTopic;

/// From this version on many keys may be asked for at once.
const BATCHES_SINCE_VERSION: i16 = 4;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// A share group's, of which there are none yet.
const SHARE: i8 = 2;

impl Api for FindCoordinatorRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<FindCoordinatorResponse> {
        if !matches!(self.key_type, GROUP | TRANSACTION | SHARE) {
            return self.refuse(context, ErrorCode::InvalidRequest);
        }
        if context.version >= BATCHES_SINCE_VERSION {
            let coordinators =
                self.coordinator_keys.iter().map(|key| coordinator(context, self.key_type, key));
            return FindCoordinatorResponse { coordinators: coordinators.collect(), ..Default::default() }
                .into();
        }
        let found = coordinator(context, self.key_type, &self.key);
        if !found.error_code.is_ok() {
            return self.refuse(context, found.error_code);
        }
        FindCoordinatorResponse {
            error_message: Some(ByteStr::from_static("NONE")),
            node_id: found.node_id,
            host: found.host,
            port: found.port,
            ..Default::default()
        }
        .into()
    }

    fn refuse(self, context: &RequestContext<'_>, error_code: ErrorCode) -> Reply<FindCoordinatorResponse> {
        if context.version >= BATCHES_SINCE_VERSION {
            let refused = |key| Coordinator { error_message: message(error_code), ..nobody(key, error_code) };
            let coordinators = self.coordinator_keys.into_iter().map(refused);
            return FindCoordinatorResponse { coordinators: coordinators.collect(), ..Default::default() }
                .into();
        }
        FindCoordinatorResponse {
            error_code,
            error_message: message(error_code),
            node_id: -1,
            port: -1,
            ..Default::default()
        }
        .into()
    }
}

/// Finds who coordinates a key. The topic that says so is created by the first question, and unlike Kafka's answer this
/// one does not ask to come back for it.
fn coordinator(context: &RequestContext<'_>, key_type: i8, key: &ByteStr) -> Coordinator {
    let topic = match key_type {
        GROUP => InternalTopic::Offsets,
        TRANSACTION => InternalTopic::Transactions,
        _ => return nobody(key.clone(), ErrorCode::InvalidRequest),
    };
    if context.shared.state().topic(topic.name()).is_none() {
        let created = context.shared.state_mut().ensure_internal_topic(topic, context.now_ms());
        if let Err(error) = created {
            tracing::warn!(topic = topic.name(), %error, "no coordinators: their topic cannot be created");
        }
    }
    let state = context.shared.state();
    match state.coordinator(topic, key) {
        Some(info) => Coordinator {
            key: key.clone(),
            node_id: info.node,
            host: info.host.clone(),
            port: i32::from(info.port),
            ..Default::default()
        },
        None => nobody(key.clone(), ErrorCode::CoordinatorNotAvailable),
    }
}

/// Unlike a request that is refused as a whole, a key that is has no message.
fn nobody(key: ByteStr, error_code: ErrorCode) -> Coordinator {
    Coordinator { key, node_id: -1, port: -1, error_code, ..Default::default() }
}

impl Throttled for FindCoordinatorResponse {
    /// A request that is refused is not told (Java: `FindCoordinatorRequest.getErrorResponse`), although its client is
    /// muted like any other.
    fn set_throttle_time_ms(&mut self, throttle_time_ms: i32) {
        let is_refused = |key: &Coordinator| {
            !key.error_code.is_ok() && key.error_message.as_ref().is_some_and(|message| !message.is_empty())
        };
        if self.error_code.is_ok() && !self.coordinators.iter().any(is_refused) {
            self.throttle_time_ms = throttle_time_ms;
        }
    }
}
