//! AlterPartitionReassignments, ListPartitionReassignments (KIP-455, 860).
//!
//! Replicas share one log, so a reassignment is complete at once, and none is ever under way.

use milena_protocol::ErrorCode;
use milena_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use milena_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::{Api, message};
use crate::node::{Reply, RequestContext};

/// Before this version the number of replicas could always change.
const FIXED_FACTOR_SINCE_VERSION: i16 = 1;

impl Api for AlterPartitionReassignmentsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<AlterPartitionReassignmentsResponse> {
        let may_change_factor =
            context.version < FIXED_FACTOR_SINCE_VERSION || self.allow_replication_factor_change;
        let state = context.shared.state_mut();
        let responses = self.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let replicas = asked.replicas.as_deref();
                let index = asked.partition_index;
                let error = state.reassign(&topic.name, index, replicas, may_change_factor).err();
                ReassignablePartitionResponse {
                    partition_index: index,
                    error_code: error.as_ref().map_or(ErrorCode::None, |error| error.code),
                    error_message: error.map(|error| error.message.into()),
                    ..Default::default()
                }
            });
            ReassignableTopicResponse {
                partitions: partitions.collect(),
                name: topic.name,
                ..Default::default()
            }
        });
        let responses = responses.collect();
        state.reload_led();
        AlterPartitionReassignmentsResponse {
            allow_replication_factor_change: self.allow_replication_factor_change,
            responses,
            error_message: None,
            ..Default::default()
        }
        .into()
    }

    fn refuse(
        self,
        _: &RequestContext<'_>,
        error_code: ErrorCode,
    ) -> Reply<AlterPartitionReassignmentsResponse> {
        let error_message = message(error_code);
        AlterPartitionReassignmentsResponse { error_code, error_message, ..Default::default() }.into()
    }
}

impl Api for ListPartitionReassignmentsRequest {
    async fn handle(self, _: &RequestContext<'_>) -> Reply<ListPartitionReassignmentsResponse> {
        ListPartitionReassignmentsResponse { error_message: None, ..Default::default() }.into()
    }

    fn refuse(
        self,
        _: &RequestContext<'_>,
        error_code: ErrorCode,
    ) -> Reply<ListPartitionReassignmentsResponse> {
        let error_message = message(error_code);
        ListPartitionReassignmentsResponse { error_code, error_message, ..Default::default() }.into()
    }
}
