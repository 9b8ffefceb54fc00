//! IncrementalAlterConfigs, and what stands in for it on brokers before 2.3.

use std::collections::BTreeMap;
use std::fmt;

use milena_client::{RequestError, Target};
use milena_protocol::messages::alter_configs_request::{
    AlterConfigsResource as ReplacedResource, AlterableConfig as ReplacedConfig,
};
use milena_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use milena_protocol::messages::{AlterConfigsRequest, IncrementalAlterConfigsRequest};
use milena_protocol::{ByteStr, ErrorCode};

use super::describe::{by_target, entry};
use super::{ConfigEntry, ConfigResource, ConfigSource};
use crate::rounds::{Retried, Verdict};
use crate::routing::join_all;
use crate::{Admin, AdminErrorReason, Results};

/// A change to one configuration. `Debug` does not show values whose names look like secrets.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigChange {
    /// The configuration gets this value.
    Set {
        /// Its name.
        name: String,
        /// Its new value.
        value: String,
    },
    /// The configuration goes back to its default.
    Delete {
        /// Its name.
        name: String,
    },
    /// The values, separated by commas, are added to a list.
    Append {
        /// The list's name.
        name: String,
        /// The values.
        value: String,
    },
    /// The values, separated by commas, are removed from a list.
    Subtract {
        /// The list's name.
        name: String,
        /// The values.
        value: String,
    },
}

impl ConfigChange {
    /// The configuration `name` gets `value`.
    pub fn set(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Set { name: name.into(), value: value.into() }
    }

    /// The configuration `name` goes back to its default.
    pub fn delete(name: impl Into<String>) -> Self {
        Self::Delete { name: name.into() }
    }

    /// The values, separated by commas, are added to the list `name`.
    pub fn append(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Append { name: name.into(), value: value.into() }
    }

    /// The values, separated by commas, are removed from the list `name`.
    pub fn subtract(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Subtract { name: name.into(), value: value.into() }
    }

    /// Operation, name and value as they are written (`AlterConfigOp.OpType`).
    fn parts(&self) -> (i8, &str, Option<&str>) {
        match self {
            Self::Set { name, value } => (0, name, Some(value)),
            Self::Delete { name } => (1, name, None),
            Self::Append { name, value } => (2, name, Some(value)),
            Self::Subtract { name, value } => (3, name, Some(value)),
        }
    }

    /// Applies the change to a set of configurations.
    fn apply(&self, configs: &mut BTreeMap<String, String>) {
        match self {
            Self::Set { name, value } => {
                configs.insert(name.clone(), value.clone());
            }
            Self::Delete { name } => {
                configs.remove(name);
            }
            Self::Append { name, value } => {
                let list = configs.entry(name.clone()).or_default();
                let mut items: Vec<&str> = items(list).collect();
                for item in items_not_in(value, &items) {
                    items.push(item);
                }
                *list = items.join(",");
            }
            Self::Subtract { name, value } => {
                if let Some(list) = configs.get_mut(name) {
                    let removed: Vec<&str> = items(value).collect();
                    *list = items_not_in(list, &removed).join(",");
                }
            }
        }
    }
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn items_not_in<'a>(list: &'a str, others: &[&str]) -> Vec<&'a str> {
    items(list).filter(|item| !others.contains(item)).collect()
}

impl fmt::Debug for ConfigChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = match self {
            Self::Set { .. } => "Set",
            Self::Delete { .. } => "Delete",
            Self::Append { .. } => "Append",
            Self::Subtract { .. } => "Subtract",
        };
        let (_, name, value) = self.parts();
        let mut shown = f.debug_struct(operation);
        shown.field("name", &name);
        match value {
            Some(_) if looks_secret(name) => shown.field("value", &"(hidden)"),
            Some(value) => shown.field("value", &value),
            None => &mut shown,
        };
        shown.finish()
    }
}

fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "secret", "jaas", "credential", "token", "ssl.", "key"]
        .iter()
        .any(|word| name.contains(word))
}

impl Admin {
    /// Changes configurations; those that are not named stay as they are. Of several entries for a resource the last one counts.
    /// With KRaft, brokers follow a change, and show it, a moment after this returns.
    ///
    /// On brokers before 2.3, which cannot change some and leave others, all that is set is read and written back with the
    /// changes: of two such changes at the same time one may be lost, and a resource with secrets cannot be changed, as they
    /// cannot be read.
    ///
    /// # Errors
    /// For each resource, above all `INVALID_CONFIG`, `INVALID_REQUEST`, `TOPIC_AUTHORIZATION_FAILED`,
    /// `CLUSTER_AUTHORIZATION_FAILED`, `POLICY_VIOLATION`, and a time-out for a broker that is not there.
    ///
    /// # Cancel safety
    /// A dropped future may have changed configurations.
    pub async fn alter_configs(
        &self,
        changes: impl IntoIterator<Item = (ConfigResource, Vec<ConfigChange>)>,
    ) -> Results<ConfigResource, ()> {
        self.alter(changes, false).await
    }

    /// Checks whether configurations could be changed, without changing them (`validate_only`).
    ///
    /// # Errors
    /// What [`Self::alter_configs`] would give.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn validate_configs(
        &self,
        changes: impl IntoIterator<Item = (ConfigResource, Vec<ConfigChange>)>,
    ) -> Results<ConfigResource, ()> {
        self.alter(changes, true).await
    }

    async fn alter(
        &self,
        changes: impl IntoIterator<Item = (ConfigResource, Vec<ConfigChange>)>,
        validate_only: bool,
    ) -> Results<ConfigResource, ()> {
        let changes: Changes = changes.into_iter().collect();
        let resources: Vec<_> = changes.keys().cloned().collect();
        let attempt = |open: Vec<ConfigResource>| {
            let changes = &changes;
            async move {
                let asked = by_target(open)
                    .into_iter()
                    .map(|(target, group)| self.alter_at(target, group, changes, validate_only));
                join_all(asked).await.into_iter().flatten().collect()
            }
        };
        self.settle_each("IncrementalAlterConfigs", Retried::NoOther, resources, attempt).await
    }

    async fn alter_at(
        &self,
        target: Target,
        resources: Vec<ConfigResource>,
        changes: &Changes,
        validate_only: bool,
    ) -> Vec<(ConfigResource, Verdict<()>)> {
        let request = IncrementalAlterConfigsRequest {
            resources: resources.iter().map(|resource| incremental(resource, &changes[resource])).collect(),
            validate_only,
            ..Default::default()
        };
        match self.ask::<IncrementalAlterConfigsRequest>(&target, request).await {
            Ok((_, response)) => {
                let responses = response.responses.into_iter();
                responses
                    .filter_map(|answer| {
                        let resource =
                            ConfigResource::from_wire(answer.resource_type, &answer.resource_name)?;
                        Some((resource, Verdict::of(answer.error_code, answer.error_message, ())))
                    })
                    .collect()
            }
            Err(RequestError::UnsupportedVersion(_)) => {
                self.replace_at(target, resources, changes, validate_only).await
            }
            Err(error) => Verdict::lost(resources, &error),
        }
    }

    /// Reads what is set, applies the changes, and writes all of it.
    async fn replace_at(
        &self,
        target: Target,
        resources: Vec<ConfigResource>,
        changes: &Changes,
        validate_only: bool,
    ) -> Vec<(ConfigResource, Verdict<()>)> {
        let described = match self.ask_configs(&target, &resources).await {
            Ok(response) => response.results,
            // Nothing was changed yet.
            Err(RequestError::Connection { error, .. }) => {
                return Verdict::lost(resources, &RequestError::Connection { error, possibly_sent: false });
            }
            Err(error) => return Verdict::lost(resources, &error),
        };
        let mut verdicts = Vec::new();
        let (mut replaced, mut written) = (Vec::new(), Vec::new());
        for result in described {
            let known = ConfigResource::from_wire(result.resource_type, &result.resource_name);
            let Some(resource) = known.filter(|resource| changes.contains_key(resource)) else { continue };
            if result.error_code != ErrorCode::None {
                verdicts.push((resource, Verdict::of(result.error_code, result.error_message, ())));
                continue;
            }
            match changed(result.configs.into_iter().map(entry), &resource, &changes[&resource]) {
                Some(configs) => {
                    replaced.push(replacement(&resource, configs));
                    written.push(resource);
                }
                None => {
                    let problem = "before Kafka 2.3 it can only replace all that is set here, and secrets are, \
                                   which cannot be read; use its own tools";
                    verdicts.push((resource, Verdict::Failed(AdminErrorReason::NotSupported(problem))));
                }
            }
        }
        if written.is_empty() {
            return verdicts;
        }
        let request = AlterConfigsRequest { resources: replaced, validate_only, ..Default::default() };
        match self.ask::<AlterConfigsRequest>(&target, request).await {
            Ok((_, response)) => verdicts.extend(response.responses.into_iter().filter_map(|answer| {
                let resource = ConfigResource::from_wire(answer.resource_type, &answer.resource_name)?;
                Some((resource, Verdict::of(answer.error_code, answer.error_message, ())))
            })),
            Err(error) => verdicts.extend(Verdict::lost(written, &error)),
        }
        verdicts
    }
}

type Changes = BTreeMap<ConfigResource, Vec<ConfigChange>>;

/// What is set on the resource itself, with the changes; `None` when a part of it is secret.
fn changed(
    entries: impl Iterator<Item = ConfigEntry>,
    resource: &ConfigResource,
    changes: &[ConfigChange],
) -> Option<BTreeMap<String, String>> {
    let own = match resource {
        ConfigResource::Topic(_) => ConfigSource::Topic,
        ConfigResource::BrokerDefault => ConfigSource::DynamicDefaultBroker,
        _ => ConfigSource::DynamicBroker,
    };
    let mut configs = BTreeMap::new();
    let mut effective = BTreeMap::new();
    for entry in entries {
        match entry.value {
            Some(value) if entry.source == own => {
                configs.insert(entry.name, value);
            }
            Some(value) => {
                effective.insert(entry.name, value);
            }
            None if entry.source == own => return None,
            None => {}
        }
    }
    for change in changes {
        // A list is changed as it is, wherever its value comes from.
        if let ConfigChange::Append { name, .. } | ConfigChange::Subtract { name, .. } = change
            && !configs.contains_key(name)
            && let Some(value) = effective.get(name)
        {
            configs.insert(name.clone(), value.clone());
        }
        change.apply(&mut configs);
    }
    Some(configs)
}

fn incremental(resource: &ConfigResource, changes: &[ConfigChange]) -> AlterConfigsResource {
    let config = |change: &ConfigChange| {
        let (config_operation, name, value) = change.parts();
        let (name, value) = (ByteStr::from(name), value.map(ByteStr::from));
        AlterableConfig { name, config_operation, value, ..Default::default() }
    };
    AlterConfigsResource {
        resource_type: resource.wire_type(),
        resource_name: resource.wire_name().into(),
        configs: changes.iter().map(config).collect(),
        ..Default::default()
    }
}

fn replacement(resource: &ConfigResource, configs: BTreeMap<String, String>) -> ReplacedResource {
    let config = |(name, value): (String, String)| ReplacedConfig {
        name: name.into(),
        value: Some(value.into()),
        ..Default::default()
    };
    ReplacedResource {
        resource_type: resource.wire_type(),
        resource_name: resource.wire_name().into(),
        configs: configs.into_iter().map(config).collect(),
        ..Default::default()
    }
}
