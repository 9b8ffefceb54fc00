//! DescribeCluster (KIP-700, 919, 1073; Java: `KafkaApis.handleDescribeCluster`).

use milena_protocol::ErrorCode;
use milena_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use milena_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::{Api, CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED, message};
use crate::node::{Reply, RequestContext};
use crate::state::NodeInfo;

/// The kind of endpoint that a broker's listener describes; the other kind is controllers.
const BROKERS: i8 = 1;

impl Api for DescribeClusterRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DescribeClusterResponse> {
        if self.endpoint_type != BROKERS {
            return self.refuse(context, ErrorCode::MismatchedEndpointType);
        }
        let state = context.shared.state();
        let broker = |info: &NodeInfo| DescribeClusterBroker {
            broker_id: info.node,
            host: info.host.clone(),
            port: i32::from(info.port),
            rack: info.rack.clone(),
            is_fenced: !info.alive,
            ..Default::default()
        };
        let brokers = state.nodes().filter(|info| info.alive || self.include_fenced_brokers);
        DescribeClusterResponse {
            cluster_id: state.cluster_id.clone(),
            controller_id: state.controller(),
            brokers: brokers.map(broker).collect(),
            cluster_authorized_operations: match self.include_cluster_authorized_operations {
                true => CLUSTER_OPERATIONS,
                false => OPERATIONS_NOT_ASKED,
            },
            ..Default::default()
        }
        .into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<DescribeClusterResponse> {
        DescribeClusterResponse {
            error_code,
            error_message: message(error_code),
            controller_id: -1,
            ..Default::default()
        }
        .into()
    }
}
