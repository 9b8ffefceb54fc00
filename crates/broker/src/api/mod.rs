//! What each API does, one file for each. Semantics are those of Kafka 4.3's `KafkaApis` and `ControllerApis`.

mod acls;
mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod api_versions;
mod client_quotas;
mod configs;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delegation_tokens;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod elect_leaders;
mod end_txn;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod init_producer_id;
mod join_group;
mod leaders;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_transactions;
mod log_dirs;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod partition_reassignments;
mod produce;
mod quorum_membership;
mod sasl;
mod sync_group;
mod throttled;
mod txn_offset_commit;
mod update_features;
mod user_scram_credentials;
mod write_txn_markers;

use milena_protocol::{ByteStr, ErrorCode, Request};

use crate::node::{Reply, RequestContext};
pub(crate) use throttled::Throttled;

/// The work behind a request.
pub(crate) trait Api: Request<Response: Throttled> {
    /// Does it.
    fn handle(self, context: &RequestContext<'_>) -> impl Future<Output = Reply<Self::Response>> + Send;

    /// Answers everything that is asked with an error (Java: `AbstractRequest.getErrorResponse`).
    fn refuse(self, context: &RequestContext<'_>, error: ErrorCode) -> Reply<Self::Response>;
}

/// The text that goes with an error where a message is optional.
fn message(error: ErrorCode) -> Option<ByteStr> {
    (!error.is_ok()).then(|| ByteStr::from(error.description()))
}

/// Whether this node coordinates a transactional id, which must not be empty.
fn check_coordinates(context: &RequestContext<'_>, transactional_id: &str) -> Result<(), ErrorCode> {
    if transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    match context.shared.transaction_coordinator(transactional_id) {
        Some(node) if node == context.node.id => Ok(()),
        _ => Err(ErrorCode::NotCoordinator),
    }
}

/// `PRODUCER_FENCED`, where the version of a request knows it; older clients are told of an invalid epoch.
fn fenced_since(since_version: i16, version: i16, error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::ProducerFenced if version < since_version => ErrorCode::InvalidProducerEpoch,
        error => error,
    }
}

/// What an answer says when nobody asked which operations are allowed.
const OPERATIONS_NOT_ASKED: i32 = i32::MIN;

/// Bits of the operations that everybody may do on a topic, since there are no ACLs: read, write, create, delete,
/// alter, describe, describe and alter configs (Java: `AclOperation`, `ResourceType.TOPIC`).
const TOPIC_OPERATIONS: i32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;

/// The same on the cluster: create, alter, describe, cluster action, describe and alter configs, idempotent write.
const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

/// The same on a group: read, delete, describe, describe and alter configs.
const GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;
