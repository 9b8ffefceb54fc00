//! DescribeConfigs.

use milena_client::{RequestError, Target};
use milena_protocol::messages::describe_configs_request::DescribeConfigsResource;
use milena_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use milena_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::ConfigResource;
use crate::rounds::{Retried, Verdict};
use crate::routing::join_all;
use crate::{Admin, Results};

/// A configuration and where its value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value; `None` for a secret, and where none is set.
    pub value: Option<String>,
    /// Where the value was set.
    pub source: ConfigSource,
    /// Whether it can be changed only by restarting the broker.
    pub is_read_only: bool,
    /// Whether it is a secret, which brokers do not tell.
    pub is_sensitive: bool,
    /// All values that are set for it, the one that counts first.
    pub synonyms: Vec<ConfigSynonym>,
}

/// A value that is set for a configuration somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigSynonym {
    /// The name there, such as `log.retention.ms` for the topic's `retention.ms`.
    pub name: String,
    /// The value; `None` for a secret.
    pub value: Option<String>,
    /// Where it was set.
    pub source: ConfigSource,
}

/// Where a value was set (`DescribeConfigsResponse.ConfigSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigSource {
    /// On the topic.
    Topic,
    /// On this broker, at run time.
    DynamicBroker,
    /// For all brokers, at run time.
    DynamicDefaultBroker,
    /// In the broker's file.
    StaticBroker,
    /// Nowhere: Kafka's default.
    Default,
    /// On the broker's loggers.
    BrokerLogger,
    /// On the client metrics subscription.
    ClientMetrics,
    /// On the group.
    Group,
    /// A source that this client does not know.
    Unknown,
}

impl ConfigSource {
    fn from_wire(source: i8) -> Self {
        match source {
            1 => Self::Topic,
            2 => Self::DynamicBroker,
            3 => Self::DynamicDefaultBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            6 => Self::BrokerLogger,
            7 => Self::ClientMetrics,
            8 => Self::Group,
            _ => Self::Unknown,
        }
    }
}

impl Admin {
    /// The configurations of resources, with the value that counts and those behind it.
    ///
    /// # Errors
    /// For each resource, above all `UNKNOWN_TOPIC_OR_PARTITION`, `TOPIC_AUTHORIZATION_FAILED`,
    /// `CLUSTER_AUTHORIZATION_FAILED`, and a time-out for a broker that is not there.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn describe_configs(
        &self,
        resources: impl IntoIterator<Item = ConfigResource>,
    ) -> Results<ConfigResource, Vec<ConfigEntry>> {
        let attempt = |open: Vec<ConfigResource>| async move {
            let asked = by_target(open).into_iter().map(|(target, group)| self.describe_at(target, group));
            join_all(asked).await.into_iter().flatten().collect()
        };
        self.settle_each("DescribeConfigs", Retried::NoOther, resources, attempt).await
    }

    async fn describe_at(
        &self,
        target: Target,
        resources: Vec<ConfigResource>,
    ) -> Vec<(ConfigResource, Verdict<Vec<ConfigEntry>>)> {
        match self.ask_configs(&target, &resources).await {
            Ok(response) => {
                let results = response.results.into_iter();
                results
                    .filter_map(|result| {
                        let resource =
                            ConfigResource::from_wire(result.resource_type, &result.resource_name)?;
                        Some((resource, verdict(result)))
                    })
                    .collect()
            }
            Err(error) => Verdict::lost(resources, &error),
        }
    }

    pub(super) async fn ask_configs(
        &self,
        target: &Target,
        resources: &[ConfigResource],
    ) -> Result<DescribeConfigsResponse, RequestError> {
        let resource = |resource: &ConfigResource| DescribeConfigsResource {
            resource_type: resource.wire_type(),
            resource_name: resource.wire_name().into(),
            configuration_keys: None,
            ..Default::default()
        };
        let request = DescribeConfigsRequest {
            resources: resources.iter().map(resource).collect(),
            include_synonyms: true,
            ..Default::default()
        };
        self.ask::<DescribeConfigsRequest>(target, request).await.map(|(_, response)| response)
    }
}

/// Resources that go in one request.
pub(super) fn by_target(resources: Vec<ConfigResource>) -> Vec<(Target, Vec<ConfigResource>)> {
    let mut groups: Vec<(Target, Vec<ConfigResource>)> = Vec::new();
    for resource in resources {
        let target = resource.target();
        match groups.iter_mut().find(|(known, _)| *known == target) {
            Some((_, group)) => group.push(resource),
            None => groups.push((target, vec![resource])),
        }
    }
    groups
}

fn verdict(result: DescribeConfigsResult) -> Verdict<Vec<ConfigEntry>> {
    let mut entries: Vec<_> = result.configs.into_iter().map(entry).collect();
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Verdict::of(result.error_code, result.error_message, entries)
}

pub(super) fn entry(config: DescribeConfigsResourceResult) -> ConfigEntry {
    let synonyms = config.synonyms.into_iter().map(|synonym| ConfigSynonym {
        name: synonym.name.to_string(),
        value: synonym.value.map(|value| value.to_string()),
        source: ConfigSource::from_wire(synonym.source),
    });
    ConfigEntry {
        name: config.name.to_string(),
        value: config.value.map(|value| value.to_string()),
        source: ConfigSource::from_wire(config.config_source),
        is_read_only: config.read_only,
        is_sensitive: config.is_sensitive,
        synonyms: synonyms.collect(),
    }
}
