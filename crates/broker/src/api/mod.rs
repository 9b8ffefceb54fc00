//! What each API does, one file for each. Semantics are those of Kafka 4.3's `KafkaApis` and `ControllerApis`.
//!
//! Groups and transactions have no handlers yet, and so their APIs are not offered.

mod api_versions;
mod configs;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_topic_partitions;
mod fetch;
mod find_coordinator;
mod init_producer_id;
mod leaders;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
mod produce;

use milena_protocol::{ByteStr, ErrorCode, Request};

use crate::node::{Reply, RequestContext};

/// The work behind a request.
pub(crate) trait Api: Request {
    /// Does it.
    fn handle(self, context: &RequestContext<'_>) -> impl Future<Output = Reply<Self::Response>> + Send;

    /// Answers everything that is asked with an error (Java: `AbstractRequest.getErrorResponse`).
    fn refuse(self, context: &RequestContext<'_>, error: ErrorCode) -> Reply<Self::Response>;
}

/// The text that goes with an error where a message is optional.
fn message(error: ErrorCode) -> Option<ByteStr> {
    (!error.is_ok()).then(|| ByteStr::from(error.description()))
}

/// What an answer says when nobody asked which operations are allowed.
const OPERATIONS_NOT_ASKED: i32 = i32::MIN;

/// Bits of the operations that everybody may do on a topic, since there are no ACLs: read, write, create, delete,
/// alter, describe, describe and alter configs (Java: `AclOperation`, `ResourceType.TOPIC`).
const TOPIC_OPERATIONS: i32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;

/// The same on the cluster: create, alter, describe, cluster action, describe and alter configs, idempotent write.
const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;
