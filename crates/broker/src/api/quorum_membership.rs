//! UnregisterBroker (KIP-730), AddRaftVoter and RemoveRaftVoter (KIP-853).

use milena_protocol::ErrorCode;
use milena_protocol::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse,
    UnregisterBrokerRequest, UnregisterBrokerResponse,
};

use super::{Api, message};
use crate::node::{Reply, RequestContext};
use crate::state::AdminError;

impl Api for UnregisterBrokerRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<UnregisterBrokerResponse> {
        let node = self.broker_id;
        // One that runs registers again only when it is started again.
        let error_code = match context.shared.unregister(node) {
            true => ErrorCode::None,
            false => ErrorCode::BrokerIdNotRegistered,
        };
        let error_message =
            (!error_code.is_ok()).then(|| format!("Broker ID {node} is not currently registered").into());
        UnregisterBrokerResponse { error_code, error_message, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<UnregisterBrokerResponse> {
        UnregisterBrokerResponse { error_code, error_message: message(error_code), ..Default::default() }
            .into()
    }
}

impl Api for AddRaftVoterRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<AddRaftVoterResponse> {
        let error = fixed_voters(context, self.cluster_id.as_deref(), "adding");
        AddRaftVoterResponse {
            error_code: error.code,
            error_message: Some(error.message.into()),
            ..Default::default()
        }
        .into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<AddRaftVoterResponse> {
        AddRaftVoterResponse { error_code, error_message: message(error_code), ..Default::default() }.into()
    }
}

impl Api for RemoveRaftVoterRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<RemoveRaftVoterResponse> {
        let error = fixed_voters(context, self.cluster_id.as_deref(), "removing");
        RemoveRaftVoterResponse {
            error_code: error.code,
            error_message: Some(error.message.into()),
            ..Default::default()
        }
        .into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<RemoveRaftVoterResponse> {
        RemoveRaftVoterResponse { error_code, error_message: message(error_code), ..Default::default() }
            .into()
    }
}

/// The nodes are the voters, and stay what they are.
fn fixed_voters(context: &RequestContext<'_>, cluster_id: Option<&str>, what: &str) -> AdminError {
    let own = context.shared.state().cluster_id.clone();
    match cluster_id {
        Some(given) if own != given => AdminError::new(
            ErrorCode::InconsistentClusterId,
            format!("The given id \"{given}\" doesn't match the cluster id \"{own}\""),
        ),
        _ => AdminError::new(
            ErrorCode::UnsupportedVersion,
            format!("Cluster doesn't support {what} voter because the kraft.version feature is 0"),
        ),
    }
}
