//! ListConfigResources (KIP-1142; Java: `KafkaApis.handleListConfigResources`).

use milena_protocol::messages::list_config_resources_response::ConfigResource;
use milena_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::Api;
use super::configs::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::node::{Reply, RequestContext};
use crate::state::ClusterState;

/// Every type, in the order of the answer.
const ALL: [i8; 5] = [GROUP, CLIENT_METRICS, BROKER_LOGGER, BROKER, TOPIC];
/// Version 0 could ask for nothing else.
const TYPES_SINCE_VERSION: i16 = 1;

impl Api for ListConfigResourcesRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<ListConfigResourcesResponse> {
        let asked = match self.resource_types.as_slice() {
            _ if context.version < TYPES_SINCE_VERSION => &[CLIENT_METRICS],
            [] => &ALL[..],
            types => types,
        };
        if asked.iter().any(|kind| !ALL.contains(kind)) {
            return self.refuse(context, ErrorCode::UnsupportedVersion);
        }
        let state = context.shared.state();
        let wanted = ALL.into_iter().filter(|kind| asked.contains(kind));
        let config_resources = wanted.flat_map(|kind| resources(&state, kind)).collect();
        ListConfigResourcesResponse { config_resources, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<ListConfigResourcesResponse> {
        ListConfigResourcesResponse { error_code, ..Default::default() }.into()
    }
}

fn resources(state: &ClusterState, resource_type: i8) -> Vec<ConfigResource> {
    let names: Vec<ByteStr> = match resource_type {
        TOPIC => state.topics().map(|topic| topic.name.clone()).collect(),
        CLIENT_METRICS => state.configs().subscriptions().map(ByteStr::from).collect(),
        GROUP => state.configs().configured_groups().map(ByteStr::from).collect(),
        _ => {
            state.nodes().filter(|info| info.alive).map(|info| ByteStr::from(info.node.to_string())).collect()
        }
    };
    let resource = |resource_name| ConfigResource { resource_name, resource_type, ..Default::default() };
    names.into_iter().map(resource).collect()
}
