//! DescribeConfigs (KIP-133, 226, 569; Java: `ConfigHelper`).

use milena_protocol::messages::describe_configs_request::DescribeConfigsResource;
use milena_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use milena_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::configs::{BROKER, TOPIC, broker_named};
use super::{Api, message};
use crate::config::{BROKER_KEYS, BrokerKey, Layer, Source, TOPIC_KEYS, TopicKey};
use crate::node::{Reply, RequestContext};
use crate::state::{AdminError, ClusterState, validate_topic_name};

impl Api for DescribeConfigsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DescribeConfigsResponse> {
        let state = context.shared.state();
        let results = self.resources.iter().map(|resource| {
            let described = match resource.resource_type {
                TOPIC => describe_topic(&state, &resource.resource_name),
                BROKER => describe_broker(context, &state, &resource.resource_name),
                other => Err(AdminError::new(
                    ErrorCode::InvalidRequest,
                    format!("{}: unknown resource type {other}", resource.resource_name),
                )),
            };
            match described {
                Ok(entries) => self.result(resource, entries),
                Err(error) => failed(resource, error.code, Some(error.message.into())),
            }
        });
        DescribeConfigsResponse { results: results.collect(), ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error: ErrorCode) -> Reply<DescribeConfigsResponse> {
        let results = self.resources.iter().map(|resource| failed(resource, error, message(error)));
        DescribeConfigsResponse { results: results.collect(), ..Default::default() }.into()
    }
}

/// A key with its value and where that comes from.
struct Entry {
    name: &'static str,
    value: Option<String>,
    layers: Vec<Layer>,
    read_only: bool,
    kind: i8,
}

trait Asked {
    fn result(&self, resource: &DescribeConfigsResource, entries: Vec<Entry>) -> DescribeConfigsResult;
}

impl Asked for DescribeConfigsRequest {
    fn result(&self, resource: &DescribeConfigsResource, entries: Vec<Entry>) -> DescribeConfigsResult {
        let asked = resource.configuration_keys.as_deref().unwrap_or_default();
        let is_wanted = |entry: &Entry| asked.is_empty() || asked.iter().any(|name| *name == entry.name);
        let synonym = |layer: &Layer| DescribeConfigsSynonym {
            name: ByteStr::from_static(layer.name),
            value: Some(layer.value.as_str().into()),
            source: layer.source as i8,
            ..Default::default()
        };
        let described = entries.into_iter().filter(is_wanted).map(|entry| DescribeConfigsResourceResult {
            name: ByteStr::from_static(entry.name),
            value: entry.value.map(ByteStr::from),
            read_only: entry.read_only,
            config_source: entry.layers.first().map_or(Source::Default, |layer| layer.source) as i8,
            synonyms: match self.include_synonyms {
                true => entry.layers.iter().map(synonym).collect(),
                false => Vec::new(),
            },
            config_type: entry.kind,
            ..Default::default()
        });
        DescribeConfigsResult {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            configs: described.collect(),
            ..Default::default()
        }
    }
}

fn describe_topic(state: &ClusterState, name: &str) -> Result<Vec<Entry>, AdminError> {
    validate_topic_name(name)
        .map_err(|message| AdminError::new(ErrorCode::InvalidTopicException, message))?;
    if state.topic(name).is_none() {
        return Err(AdminError::new(ErrorCode::UnknownTopicOrPartition, ""));
    }
    let configs = state.configs();
    let entry = |key: &TopicKey| Entry {
        name: key.definition.name,
        value: Some(configs.topic_value(configs.topic_overrides(name), key)),
        layers: configs.topic_layers(name, key),
        read_only: false,
        kind: key.definition.kind as i8,
    };
    Ok(TOPIC_KEYS.iter().filter(|key| !key.is_internal()).map(entry).collect())
}

fn describe_broker(
    context: &RequestContext<'_>,
    state: &ClusterState,
    name: &str,
) -> Result<Vec<Entry>, AdminError> {
    let configs = state.configs();
    let node = broker_named(context.node.id, name)?;
    let entry = |key: &BrokerKey| {
        let layers = configs.broker_layers(node, key.definition.name);
        Entry {
            name: key.definition.name,
            value: layers.first().map(|layer| layer.value.clone()),
            layers,
            read_only: !key.dynamic,
            kind: key.definition.kind as i8,
        }
    };
    let entries = BROKER_KEYS.iter().map(entry);
    Ok(match node {
        Some(_) => entries.map(|entry| with_identity(context, state, entry)).collect(),
        // The cluster-wide resource has only what was changed for all brokers.
        None => entries
            .filter(|entry| {
                entry.layers.first().is_some_and(|layer| layer.source == Source::DynamicDefaultBroker)
            })
            .collect(),
    })
}

/// What a broker is told by its place in the cluster rather than by its configuration.
fn with_identity(context: &RequestContext<'_>, state: &ClusterState, entry: Entry) -> Entry {
    let Some(info) = state.node(context.node.id) else { return entry };
    let value = match entry.name {
        "broker.id" | "node.id" => Some(info.node.to_string()),
        "broker.rack" => info.rack.as_ref().map(ByteStr::to_string),
        "advertised.listeners" | "listeners" => Some(format!("PLAINTEXT://{}:{}", info.host, info.port)),
        _ => None,
    };
    let Some(value) = value else { return entry };
    let layer = Layer { name: entry.name, value: value.clone(), source: Source::StaticBroker };
    Entry { value: Some(value), layers: vec![layer], ..entry }
}

fn failed(
    resource: &DescribeConfigsResource,
    error_code: ErrorCode,
    error_message: Option<ByteStr>,
) -> DescribeConfigsResult {
    DescribeConfigsResult {
        error_code,
        error_message: error_message.filter(|message| !message.is_empty()),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    }
}
