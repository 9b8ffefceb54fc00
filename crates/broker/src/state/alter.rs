//! Configuration changed while running (Java: `ConfigurationControlManager`, `ConfigAdminManager`; KIP-226, KIP-339).

use std::sync::Arc;

use milena_protocol::ErrorCode;

use super::features::ELIGIBLE_LEADER_REPLICAS;
use super::{AdminError, ClusterState, Leadership, Topic, validate_topic_name};
use crate::NodeId;
use crate::config::{
    CLIENT_METRICS_KEYS, Kind, MIN_ISR, TopicConfig, Update, Values, broker_key, check_client_metrics,
    check_group_overrides, check_topic_overrides, group_key, split_list, topic_key,
};

/// The longest value (Java: `ConfigurationControlManager`).
const VALUE_BYTES_MAX: usize = i16::MAX as usize;

/// What is configured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Topic(String),
    /// One broker, or all of them.
    Broker(Option<NodeId>),
    Group(String),
    /// A subscription to clients' metrics.
    ClientMetrics(String),
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
            Resource::Group(group) => self.configs.group_overrides(group).clone(),
            Resource::ClientMetrics(subscription) => self.configs.client_metrics(subscription).clone(),
        };
        for alteration in alterations {
            apply(resource, &mut values, alteration)?;
        }
        self.replace_values(resource, values, alterations, validate_only)
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
        self.replace_values(resource, values.collect(), alterations, validate_only)
    }

    fn replace_values(
        &mut self,
        resource: &Resource,
        values: Values,
        alterations: &[Alteration],
        validate_only: bool,
    ) -> Result<(), AdminError> {
        let min_isr = self.min_isr_of(resource);
        match resource {
            Resource::Topic(topic) => {
                if topic.is_empty() {
                    let message = "a topic's config needs the topic's name; there are no defaults of topics";
                    return Err(AdminError::new(ErrorCode::InvalidRequest, message));
                }
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
                check_dynamic(*node, &values)?;
                if self.features.has_eligible_leaders() {
                    check_min_isr(*node, &values, alterations)?;
                }
                // Names that nobody knows are taken, because they may be meant for plugins, and have no effect.
                if !validate_only {
                    let before = bytes_of("", self.configs.dynamic(*node));
                    self.configs_room.replace(before, bytes_of("", &values))?;
                    self.configs.set_dynamic(*node, values);
                }
            }
            Resource::Group(group) => {
                if group.is_empty() {
                    let message = "a group's config needs the group's name; there are no defaults of groups";
                    return Err(AdminError::new(ErrorCode::InvalidRequest, message));
                }
                check_group_overrides(&values, |name| self.broker_number(name))
                    .map_err(|message| AdminError::new(ErrorCode::InvalidConfig, message))?;
                if !validate_only {
                    let before = bytes_of(group, self.configs.group_overrides(group));
                    self.configs_room.replace(before, bytes_of(group, &values))?;
                    self.configs.set_group_overrides(group, values);
                }
            }
            Resource::ClientMetrics(subscription) => {
                if subscription.is_empty() {
                    let message = "a subscription to clients' metrics needs a name";
                    return Err(AdminError::new(ErrorCode::InvalidRequest, message));
                }
                check_client_metrics(&values).map_err(|(code, message)| AdminError::new(code, message))?;
                if !validate_only {
                    let before = bytes_of(subscription, self.configs.client_metrics(subscription));
                    self.configs_room.replace(before, bytes_of(subscription, &values))?;
                    self.configs.set_client_metrics(subscription, values);
                }
            }
        }
        // What groups and subscriptions have of their own is read when it is needed.
        if !validate_only && matches!(resource, Resource::Topic(_) | Resource::Broker(_)) {
            self.reload();
        }
        if self.features.has_eligible_leaders() && self.min_isr_of(resource) != min_isr {
            self.forget_eligible(resource);
        }
        Ok(())
    }

    /// The `min.insync.replicas` that a resource has of its own.
    fn min_isr_of(&self, resource: &Resource) -> Option<String> {
        let values = match resource {
            Resource::Topic(topic) => self.configs.topic_overrides(topic),
            Resource::Broker(node) => self.configs.dynamic(*node),
            Resource::Group(_) | Resource::ClientMetrics(_) => return None,
        };
        values.get(MIN_ISR).cloned()
    }

    /// Forgets who is eligible to lead what `min.insync.replicas` of this resource is about
    /// (Java: `ConfigurationControlManager.createClearElrRecordsAsNeeded`).
    fn forget_eligible(&self, resource: &Resource) {
        let topics = self.topics().filter(|topic| match resource {
            Resource::Topic(name) => topic.name == *name,
            _ => true,
        });
        for partition in topics.flat_map(|topic| &topic.partitions) {
            partition.lock().change_leadership(Leadership::forget_eligible);
        }
    }

    fn broker_number(&self, name: &str) -> Option<i64> {
        let layers = self.configs.broker_layers(self.only_node(), name);
        layers.first()?.value.trim().parse().ok()
    }

    /// The node, where there is only one: then its own dynamic values are those of the cluster.
    pub(super) fn only_node(&self) -> Option<NodeId> {
        match self.voters()[..] {
            [only] => Some(only.node),
            _ => None,
        }
    }

    /// Brings changed configuration into force.
    pub(super) fn reload(&mut self) {
        self.settings = Arc::new(self.configs.broker_settings(self.only_node()));
        self.topics.values().for_each(|topic| self.reload_topic(topic));
        self.partitions().for_each(|partition| self.elect_uncleanly(partition));
    }

    /// Brings brokers' own values into force where leaders have changed.
    pub(crate) fn reload_led(&self) {
        if self.configs.has_own_values() {
            self.topics.values().for_each(|topic| self.reload_topic(topic));
        }
    }

    fn reload_topic(&self, topic: &Topic) {
        if !self.configs.has_own_values() {
            let config = self.topic_config(None, &topic.name);
            topic.partitions.iter().for_each(|partition| partition.lock().log.set_config(config.clone()));
            return;
        }
        for partition in &topic.partitions {
            let mut state = partition.lock();
            let config = self.topic_config(state.leadership.leader, &topic.name);
            state.log.set_config(config);
        }
    }

    /// The effective configuration of a topic on its leader.
    pub(super) fn topic_config(&self, leader: Option<NodeId>, topic: &str) -> Arc<TopicConfig> {
        Arc::new(self.configs.topic_config(leader, self.configs.topic_overrides(topic)))
    }
}

/// Changes a key (Java: `ConfigurationControlManager.incrementalAlterConfigResource`): lists start from the value
/// that the resource has, or else from Kafka's default, whatever brokers were started with.
fn apply(resource: &Resource, values: &mut Values, change: &Alteration) -> Result<(), AdminError> {
    let given = change.value.as_deref().unwrap_or_default();
    match change.operation {
        AlterOperation::Set => drop(values.insert(change.name.clone(), given.to_owned())),
        AlterOperation::Delete => drop(values.remove(&change.name)),
        AlterOperation::Append | AlterOperation::Subtract => {
            let (kind, default) = definition_of(resource, &change.name)?;
            if kind != Kind::List {
                let message = format!("{} is not a list: set it instead", change.name);
                return Err(AdminError::new(ErrorCode::InvalidConfig, message));
            }
            let current = values.get(&change.name).cloned().or(default).unwrap_or_default();
            let mut list = split_list(&current);
            for part in given.split(',') {
                match change.operation {
                    AlterOperation::Append if list.contains(&part) => {}
                    AlterOperation::Append => list.push(part),
                    _ => list.retain(|other| *other != part),
                }
            }
            values.insert(change.name.clone(), list.join(","));
        }
    }
    if values.get(&change.name).is_some_and(|value| value.len() > VALUE_BYTES_MAX) {
        let message = format!("{}: the value is longer than {VALUE_BYTES_MAX} bytes", change.name);
        return Err(AdminError::new(ErrorCode::InvalidConfig, message));
    }
    Ok(())
}

/// What the values of a resource take, if it has any.
fn bytes_of(resource: &str, values: &Values) -> Option<usize> {
    let taken = values.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    (!values.is_empty()).then_some(resource.len() + taken)
}

/// What holds for every resource: no key twice, and a value for all but those to delete.
pub(crate) fn check_alterations(alterations: &[Alteration]) -> Result<(), AdminError> {
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

/// What a change to a broker's values must satisfy (Java: `DynamicBrokerConfig.validateConfigs`).
fn check_dynamic(node: Option<NodeId>, values: &Values) -> Result<(), AdminError> {
    let invalid = |message: String| Err(AdminError::new(ErrorCode::InvalidRequest, message));
    let known = || values.iter().filter_map(|(name, value)| Some((name, value, broker_key(name)?)));
    if let Some((name, ..)) = known().find(|(.., key)| key.is_read_only()) {
        return invalid(format!("{name} cannot be changed while the broker runs"));
    }
    for (_, value, key) in known() {
        key.definition.check(value).map_err(|message| AdminError::new(ErrorCode::InvalidRequest, message))?;
    }
    match known().find(|(.., key)| node.is_none() && key.update == Update::PerBroker) {
        Some((name, ..)) => invalid(format!("{name} cannot be the same for all brokers: name one by its id")),
        None => Ok(()),
    }
}

/// While leaders can be eligible, there is one `min.insync.replicas` for all brokers (KIP-966; Java:
/// `ConfigurationControlManager.isDisallowedBrokerMinIsrTransition`, `isDisallowedClusterMinIsrTransition`).
fn check_min_isr(
    node: Option<NodeId>,
    values: &Values,
    alterations: &[Alteration],
) -> Result<(), AdminError> {
    let refused = |what: &str| {
        let message = format!("{what} {MIN_ISR} while {ELIGIBLE_LEADER_REPLICAS} is on");
        Err(AdminError::new(ErrorCode::InvalidConfig, message))
    };
    match node {
        Some(_) if alterations.iter().any(|change| change.name == MIN_ISR) => refused("a broker has no"),
        None if !values.contains_key(MIN_ISR) => refused("the cluster cannot be without"),
        _ => Ok(()),
    }
}

/// The type of a key and its default.
fn definition_of(resource: &Resource, name: &str) -> Result<(Kind, Option<String>), AdminError> {
    let definition = match resource {
        Resource::Topic(_) => topic_key(name).map(|key| &key.definition),
        Resource::Broker(_) => broker_key(name).map(|key| &key.definition),
        Resource::Group(_) => group_key(name).map(|key| &key.definition),
        Resource::ClientMetrics(_) => CLIENT_METRICS_KEYS.iter().find(|key| key.name == name),
    };
    match definition {
        Some(definition) => Ok((definition.kind, definition.default.map(str::to_owned))),
        None => Err(AdminError::new(ErrorCode::InvalidConfig, format!("unknown config {name}"))),
    }
}
