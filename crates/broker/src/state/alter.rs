//! Configuration changed while running (Java: `ConfigurationControlManager`, `ConfigAdminManager`; KIP-226, KIP-339).

use std::sync::Arc;

use milena_protocol::ErrorCode;

use super::{AdminError, ClusterState, validate_topic_name};
use crate::NodeId;
use crate::config::{Kind, Values, broker_key, check_topic_overrides, split_list, topic_key};

/// What is configured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Topic(String),
    /// One broker, or all of them.
    Broker(Option<NodeId>),
}

/// A change to one key.
#[derive(Debug, Clone)]
pub(crate) struct Alteration {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    pub(crate) operation: AlterOperation,
}

/// What is done to the key (Java: `AlterConfigOp.OpType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AlterOperation {
    Set,
    Delete,
    /// Adds to a list.
    Append,
    /// Takes from a list.
    Subtract,
}

impl TryFrom<i8> for AlterOperation {
    type Error = AdminError;

    fn try_from(code: i8) -> Result<Self, AdminError> {
        match code {
            0 => Ok(Self::Set),
            1 => Ok(Self::Delete),
            2 => Ok(Self::Append),
            3 => Ok(Self::Subtract),
            _ => Err(AdminError::new(
                ErrorCode::InvalidRequest,
                format!("unknown operation {code}; it is 0 to 3"),
            )),
        }
    }
}

impl ClusterState {
    /// Changes some keys of a resource and leaves the others.
    pub(crate) fn alter_incrementally(
        &mut self,
        resource: &Resource,
        alterations: &[Alteration],
        validate_only: bool,
    ) -> Result<(), AdminError> {
        check_alterations(alterations)?;
        let mut values = match resource {
            Resource::Topic(topic) => self.configs.topic_overrides(topic).clone(),
            Resource::Broker(node) => self.configs.dynamic(*node).clone(),
        };
        for alteration in alterations {
            self.apply(resource, &mut values, alteration)?;
        }
        self.replace_values(resource, values, validate_only)
    }

    /// Replaces all keys of a resource (the older `AlterConfigs`).
    pub(crate) fn alter_all(
        &mut self,
        resource: &Resource,
        alterations: &[Alteration],
        validate_only: bool,
    ) -> Result<(), AdminError> {
        check_alterations(alterations)?;
        let values =
            alterations.iter().filter_map(|change| Some((change.name.clone(), change.value.clone()?)));
        self.replace_values(resource, values.collect(), validate_only)
    }

    fn apply(&self, resource: &Resource, values: &mut Values, change: &Alteration) -> Result<(), AdminError> {
        let given = change.value.as_deref().unwrap_or_default();
        match change.operation {
            AlterOperation::Set => drop(values.insert(change.name.clone(), given.to_owned())),
            AlterOperation::Delete => drop(values.remove(&change.name)),
            AlterOperation::Append | AlterOperation::Subtract => {
                if !is_list(resource, &change.name) {
                    let message = format!("{} is not a list: set it instead", change.name);
                    return Err(AdminError::new(ErrorCode::InvalidConfig, message));
                }
                let current = self.current_value(resource, values, &change.name);
                let mut list = split_list(&current);
                for part in split_list(given) {
                    match change.operation {
                        AlterOperation::Append if list.contains(&part) => {}
                        AlterOperation::Append => list.push(part),
                        _ => list.retain(|other| *other != part),
                    }
                }
                values.insert(change.name.clone(), list.join(","));
            }
        }
        Ok(())
    }

    /// The value that a list operation starts from: the one set, or else the default.
    fn current_value(&self, resource: &Resource, values: &Values, name: &str) -> String {
        if let Some(value) = values.get(name) {
            return value.clone();
        }
        match resource {
            Resource::Topic(_) => {
                topic_key(name).map(|key| self.configs.topic_value(values, key)).unwrap_or_default()
            }
            Resource::Broker(node) => {
                let in_force = self.configs.broker_layers(*node, name).into_iter().next();
                in_force.map(|layer| layer.value).unwrap_or_default()
            }
        }
    }

    fn replace_values(
        &mut self,
        resource: &Resource,
        values: Values,
        validate_only: bool,
    ) -> Result<(), AdminError> {
        match resource {
            Resource::Topic(topic) => {
                validate_topic_name(topic)
                    .map_err(|message| AdminError::new(ErrorCode::InvalidTopicException, message))?;
                check_topic_overrides(&values)
                    .map_err(|message| AdminError::new(ErrorCode::InvalidConfig, message))?;
                if self.topic(topic).is_none() {
                    let message = format!("there is no topic {topic}");
                    return Err(AdminError::new(ErrorCode::UnknownTopicOrPartition, message));
                }
                if !validate_only {
                    self.configs.set_topic_overrides(topic, values);
                }
            }
            Resource::Broker(node) => {
                check_dynamic(&values)?;
                if !validate_only {
                    self.configs.set_dynamic(*node, values);
                }
            }
        }
        if !validate_only {
            self.reload();
        }
        Ok(())
    }

    /// Brings changed configuration into force.
    fn reload(&mut self) {
        self.settings = Arc::new(self.configs.broker_settings());
        for topic in self.topics.values() {
            let config = Arc::new(self.configs.topic_config(self.configs.topic_overrides(&topic.name)));
            topic.partitions.iter().for_each(|partition| partition.lock().log.set_config(config.clone()));
        }
    }
}

fn check_alterations(alterations: &[Alteration]) -> Result<(), AdminError> {
    let invalid = |message: String| Err(AdminError::new(ErrorCode::InvalidRequest, message));
    let is_repeated =
        |index: usize| alterations[..index].iter().any(|before| before.name == alterations[index].name);
    if (1..alterations.len()).any(is_repeated) {
        return invalid("a config key is given more than once".to_owned());
    }
    let is_null = |change: &&Alteration| change.operation != AlterOperation::Delete && change.value.is_none();
    let nulls: Vec<_> = alterations.iter().filter(is_null).map(|change| change.name.as_str()).collect();
    if nulls.is_empty() { Ok(()) } else { invalid(format!("configs without a value: {}", nulls.join(", "))) }
}

fn check_dynamic(values: &Values) -> Result<(), AdminError> {
    let invalid = |message: String| Err(AdminError::new(ErrorCode::InvalidRequest, message));
    for (name, value) in values {
        match broker_key(name) {
            Some(key) if key.dynamic => key
                .definition
                .check(value)
                .map_err(|message| AdminError::new(ErrorCode::InvalidRequest, message))?,
            Some(_) => return invalid(format!("{name} cannot be changed while the broker runs")),
            // Kafka takes names that it does not know: they may be meant for plugins.
            None => {}
        }
    }
    Ok(())
}

fn is_list(resource: &Resource, name: &str) -> bool {
    let kind = match resource {
        Resource::Topic(_) => topic_key(name).map(|key| key.definition.kind),
        Resource::Broker(_) => broker_key(name).map(|key| key.definition.kind),
    };
    kind == Some(Kind::List)
}
