//! DescribeConfigs (KIP-133, 226, 569; Java: `ConfigHelper`).

use std::borrow::Cow;

use milena_protocol::messages::describe_configs_request::DescribeConfigsResource;
use milena_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use milena_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::configs::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC, broker_named};
use super::{Api, message};
use crate::NodeId;
use crate::config::{
    BrokerKey, CLIENT_METRICS_KEYS, GROUP_KEYS, GroupKey, Kind, Layer, Source, TOPIC_KEYS, TopicKey,
    described_broker_keys, documentation,
};
use crate::node::{Reply, RequestContext};
use crate::state::{AdminError, ClusterState, validate_topic_name};

/// The type of a key that nobody knows.
const UNKNOWN_TYPE: i8 = 0;

impl Api for DescribeConfigsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DescribeConfigsResponse> {
        // A type that the broker does not describe spoils the whole request.
        let is_described = |kind: i8| matches!(kind, TOPIC | BROKER | BROKER_LOGGER | CLIENT_METRICS | GROUP);
        if self.resources.iter().any(|resource| !is_described(resource.resource_type)) {
            return self.refuse(context, ErrorCode::InvalidRequest);
        }
        let state = context.shared.state();
        let node = context.node.id;
        let results = self.resources.iter().map(|resource| {
            let name = &resource.resource_name;
            let described = match resource.resource_type {
                TOPIC => describe_topic(node, &state, name),
                BROKER => describe_broker(node, &state, name),
                GROUP => describe_group(node, &state, name),
                CLIENT_METRICS => describe_client_metrics(&state, name),
                _ => describe_loggers(node, name),
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
    name: Cow<'static, str>,
    value: Option<String>,
    layers: Vec<Layer>,
    read_only: bool,
    /// `None` where nobody knows the key.
    kind: Option<Kind>,
}

impl Entry {
    fn is_sensitive(&self) -> bool {
        // What may be a password is taken for one (Java: `KafkaConfig.maybeSensitive`).
        self.kind.is_none_or(|kind| kind == Kind::Password)
    }
}

trait Asked {
    fn result(&self, resource: &DescribeConfigsResource, entries: Vec<Entry>) -> DescribeConfigsResult;
}

impl Asked for DescribeConfigsRequest {
    fn result(&self, resource: &DescribeConfigsResource, entries: Vec<Entry>) -> DescribeConfigsResult {
        let asked = resource.configuration_keys.as_deref().unwrap_or_default();
        let is_wanted = |entry: &Entry| asked.is_empty() || asked.iter().any(|name| **name == *entry.name);
        let describe = |entry: Entry| {
            let is_sensitive = entry.is_sensitive();
            let told = |value: String| (!is_sensitive).then(|| ByteStr::from(value));
            let synonym = |layer: &Layer| DescribeConfigsSynonym {
                name: told_name(layer.name.clone()),
                value: told(layer.value.clone()),
                source: layer.source as i8,
                ..Default::default()
            };
            DescribeConfigsResourceResult {
                name: told_name(entry.name.clone()),
                value: entry.value.and_then(told),
                read_only: entry.read_only,
                config_source: entry.layers.first().map_or(Source::Default, |layer| layer.source) as i8,
                is_sensitive,
                synonyms: match self.include_synonyms {
                    true => entry.layers.iter().map(synonym).collect(),
                    false => Vec::new(),
                },
                config_type: entry.kind.map_or(UNKNOWN_TYPE, |kind| kind as i8),
                documentation: entry
                    .kind
                    .filter(|_| self.include_documentation)
                    .map(|_| ByteStr::from_static(documentation(&entry.name))),
                ..Default::default()
            }
        };
        let described = entries.into_iter().filter(is_wanted).map(describe);
        DescribeConfigsResult {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            configs: described.collect(),
            ..Default::default()
        }
    }
}

fn told_name(name: Cow<'static, str>) -> ByteStr {
    match name {
        Cow::Borrowed(name) => ByteStr::from_static(name),
        Cow::Owned(name) => name.into(),
    }
}

fn describe_topic(node: NodeId, state: &ClusterState, name: &str) -> Result<Vec<Entry>, AdminError> {
    validate_topic_name(name)
        .map_err(|message| AdminError::new(ErrorCode::InvalidTopicException, message))?;
    if state.topic(name).is_none() {
        return Err(AdminError::new(ErrorCode::UnknownTopicOrPartition, ""));
    }
    let configs = state.configs();
    let entry = |key: &TopicKey| Entry {
        name: key.definition.name.into(),
        value: Some(configs.topic_value(Some(node), configs.topic_overrides(name), key)),
        layers: configs.topic_layers(node, name, key),
        read_only: false,
        kind: Some(key.definition.kind),
    };
    Ok(TOPIC_KEYS.iter().filter(|key| !key.is_internal()).map(entry).collect())
}

fn describe_broker(this: NodeId, state: &ClusterState, name: &str) -> Result<Vec<Entry>, AdminError> {
    let node = broker_named(this, name)?;
    let entry = |key: &BrokerKey| {
        let mut layers = state.configs().broker_layers(Some(this), key.definition.name);
        if node.is_none() {
            // The resource of all brokers has only what was changed for all of them.
            layers.retain(|layer| layer.source == Source::DynamicDefaultBroker);
        }
        Entry {
            name: key.definition.name.into(),
            value: layers.first().map(|layer| layer.value.clone()),
            layers,
            read_only: key.is_read_only(),
            kind: Some(key.definition.kind),
        }
    };
    let unknown = |(name, layers): (&str, Vec<Layer>)| Entry {
        name: name.to_owned().into(),
        value: layers.first().map(|layer| layer.value.clone()),
        layers,
        read_only: true,
        kind: None,
    };
    let known = described_broker_keys().map(entry);
    let known = known.filter(|entry| node.is_some() || !entry.layers.is_empty());
    Ok(known.chain(state.configs().unknown_broker_layers(node).into_iter().map(unknown)).collect())
}

fn describe_group(node: NodeId, state: &ClusterState, group: &str) -> Result<Vec<Entry>, AdminError> {
    if group.is_empty() {
        return Err(AdminError::new(ErrorCode::InvalidRequest, "the group's name must not be empty"));
    }
    let configs = state.configs();
    let overrides = configs.group_overrides(group);
    let entry = |key: &GroupKey| {
        let name = key.definition.name;
        let layer = |value: &str, source| Layer { name: name.into(), value: value.to_owned(), source };
        let overridden = overrides.get(name).map(|value| layer(value, Source::Group));
        let from_broker = match key.synonym {
            Some(synonym) => configs.broker_layers(Some(node), synonym),
            None => key.definition.default.map(|value| layer(value, Source::Default)).into_iter().collect(),
        };
        Entry {
            name: name.into(),
            value: Some(configs.group_value(Some(node), group, key)),
            layers: overridden.into_iter().chain(from_broker).collect(),
            read_only: false,
            kind: Some(key.definition.kind),
        }
    };
    Ok(GROUP_KEYS.iter().map(entry).collect())
}

fn describe_client_metrics(state: &ClusterState, subscription: &str) -> Result<Vec<Entry>, AdminError> {
    if subscription.is_empty() {
        return Err(AdminError::new(ErrorCode::InvalidRequest, "the subscription's name must not be empty"));
    }
    let values = state.configs().client_metrics(subscription);
    let entries = CLIENT_METRICS_KEYS.iter().map(|key| {
        let given = values.get(key.name).cloned();
        let layer = |value: &String| Layer {
            name: key.name.into(),
            value: value.clone(),
            source: Source::ClientMetrics,
        };
        Entry {
            name: key.name.into(),
            layers: given.iter().map(layer).collect(),
            value: given.or(key.default.map(str::to_owned)),
            read_only: false,
            kind: Some(key.kind),
        }
    });
    Ok(entries.collect())
}

/// There are no loggers whose level could be told: the application that holds the cluster has them.
fn describe_loggers(this: NodeId, name: &str) -> Result<Vec<Entry>, AdminError> {
    match broker_named(this, name)? {
        Some(_) => Ok(Vec::new()),
        None => Err(AdminError::new(ErrorCode::InvalidRequest, "loggers are those of a broker: give its id")),
    }
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
