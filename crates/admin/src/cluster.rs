//! The cluster's brokers.

use milena_client::metadata::Broker;
use milena_client::{Address, Target};
use milena_protocol::messages::MetadataRequest;

use crate::admin::{metadata_request, usable};
use crate::{Admin, AdminError};

/// The brokers of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterDescription {
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// The node that administrative changes go to: the controller with ZooKeeper, any live broker, which passes them on, with
    /// KRaft.
    pub controller_id: Option<i32>,
    /// The live brokers, by node id.
    pub brokers: Vec<Broker>,
}

impl Admin {
    /// The live brokers, as a broker sees them now.
    ///
    /// # Errors
    /// No broker answered in time.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, AdminError> {
        let attempt = || async {
            let request = metadata_request(Some(std::iter::empty()));
            let (_, response) = self.ask::<MetadataRequest>(&Target::Any, request).await?;
            usable(response)
        };
        let response = self.settle("describe cluster", attempt).await?;
        let mut brokers: Vec<_> = response
            .brokers
            .into_iter()
            .filter_map(|broker| {
                let address = Address::new(&*broker.host, u16::try_from(broker.port).ok()?);
                let rack = broker.rack.map(|rack| rack.to_string());
                Some(Broker { node_id: broker.node_id, address, rack })
            })
            .collect();
        brokers.sort_unstable_by_key(|broker| broker.node_id);
        Ok(ClusterDescription {
            cluster_id: response.cluster_id.map(|id| id.to_string()),
            controller_id: (response.controller_id >= 0).then_some(response.controller_id),
            brokers,
        })
    }
}
