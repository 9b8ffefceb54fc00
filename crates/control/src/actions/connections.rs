//! What can be done to connections.

use milena_broker::Cluster;
use serde_json::json;

use super::parse;
use crate::answer::{Answer, Refusal};
use crate::spec::ConnectionsSpec;

/// Resets the connections that exist, and tells how many.
pub(crate) async fn reset_connections(cluster: &Cluster, body: &[u8]) -> Result<Answer, Refusal> {
    let connections = parse::<ConnectionsSpec>(body)?.rule(&cluster.faults())?;
    Ok(Answer::json(&json!({ "connections": connections.reset_now().await })))
}
