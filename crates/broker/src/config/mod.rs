//! Configuration by Kafka's names: what the keys are, where a value comes from, and what it is.
//!
//! A value has layers (KIP-226): a topic's override, the broker's dynamic value, the cluster-wide dynamic value, the
//! value that the broker was started with, and Kafka's default.

mod broker;
mod broker_keys;
mod client_metrics;
mod definition;
mod documentation;
mod group;
mod topic;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(crate) use broker::{BrokerKey, Update, broker_key, described_broker_keys};
pub(crate) use client_metrics::{CLIENT_METRICS_KEYS, check_client_metrics};
pub(crate) use definition::{Kind, split_list};
pub(crate) use documentation::documentation;
pub(crate) use group::{GROUP_KEYS, GroupKey, check_group_overrides, group_key};
pub(crate) use topic::{TOPIC_KEYS, TopicConfig, TopicKey, check_topic_overrides, topic_key};

use crate::NodeId;
use crate::quota::Windows;
use broker::{broker_synonyms, nearest_broker_key};

/// How many replicas must be in sync for a write with `acks=all`: a key of brokers and of topics.
pub(crate) const MIN_ISR: &str = "min.insync.replicas";

/// Values by name, in the order of the names.
pub(crate) type Values = BTreeMap<String, String>;

/// All configuration of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Configs {
    /// What the brokers were started with.
    started_with: Values,
    /// Changed while running, for every broker.
    dynamic_default: Values,
    /// Changed while running, for one broker.
    dynamic: BTreeMap<NodeId, Values>,
    /// What brokers are told by their place in the cluster.
    identities: BTreeMap<NodeId, Values>,
    /// Overrides by topic name.
    topics: BTreeMap<String, Values>,
    /// Overrides by group.
    groups: BTreeMap<String, Values>,
    /// By name of the subscription.
    client_metrics: BTreeMap<String, Values>,
}

/// Where a value comes from; the numbers are those of `DescribeConfigsResponse.ConfigSource`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum Source {
    Topic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    ClientMetrics = 7,
    Group = 8,
}

/// One layer's value of a key, or of a key that stands in for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) name: Cow<'static, str>,
    pub(crate) value: String,
    pub(crate) source: Source,
}

/// A key or value that cannot be configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    message: String,
}

impl ConfigError {
    pub(crate) fn new(message: String) -> Self {
        Self { message }
    }
}

impl Configs {
    /// Sets a value that the brokers start with.
    pub(crate) fn start_with(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let Some(key) = broker_key(name) else {
            let hint =
                nearest_broker_key(name).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return Err(ConfigError::new(format!("unknown broker config {name}{hint}")));
        };
        key.definition.check(value).map_err(ConfigError::new)?;
        self.started_with.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Sets a value that a broker has by its place in the cluster.
    pub(crate) fn identify(&mut self, node: NodeId, name: &'static str, value: String) {
        self.identities.entry(node).or_default().insert(name.to_owned(), value);
    }

    /// The layers of a broker's value and of those that stand in for it, the one in force first; of the cluster as a
    /// whole where there is no `node` (Java: `ConfigHelper.configSynonyms`).
    pub(crate) fn broker_layers(&self, node: Option<NodeId>, name: &str) -> Vec<Layer> {
        let Some(key) = broker_key(name) else { return Vec::new() };
        let name = key.definition.name;
        let names = match broker_synonyms(name) {
            [] => &[name][..],
            synonyms => synonyms,
        };
        let layers = [
            (Source::DynamicBroker, node.and_then(|node| self.dynamic.get(&node))),
            (Source::DynamicDefaultBroker, Some(&self.dynamic_default)),
            (Source::StaticBroker, node.and_then(|node| self.identities.get(&node))),
            (Source::StaticBroker, Some(&self.started_with)),
        ];
        let given = layers.into_iter().flat_map(|(source, values)| {
            let value_of = move |name: &&'static str| Some((*name, values?.get(*name)?.clone()));
            names.iter().filter_map(value_of).map(move |(name, value)| Layer {
                name: name.into(),
                value,
                source,
            })
        });
        let defaults = names.iter().filter_map(|name| {
            let value = broker_key(name)?.definition.default?.to_owned();
            Some(Layer { name: Cow::Borrowed(*name), value, source: Source::Default })
        });
        given.chain(defaults).skip_while(|layer| layer.name != name).collect()
    }

    /// The names that nobody knows and that were set while running, for a broker and for all, or for all alone; with
    /// their layers.
    pub(crate) fn unknown_broker_layers(&self, node: Option<NodeId>) -> BTreeMap<&str, Vec<Layer>> {
        let layers = [
            (Source::DynamicBroker, node.and_then(|node| self.dynamic.get(&node))),
            (Source::DynamicDefaultBroker, Some(&self.dynamic_default)),
        ];
        let mut unknown: BTreeMap<&str, Vec<Layer>> = BTreeMap::new();
        for (source, values) in layers {
            let values = values.into_iter().flatten().filter(|(name, _)| broker_key(name).is_none());
            for (name, value) in values {
                let layer = Layer { name: name.clone().into(), value: value.clone(), source };
                unknown.entry(name).or_default().push(layer);
            }
        }
        unknown
    }

    /// The layers of a topic's value as `DescribeConfigs` lists them, the one in force first.
    ///
    /// Only the first of a key's synonyms is listed, even where another one is in force (Java: `ConfigHelper`).
    pub(crate) fn topic_layers(&self, node: NodeId, topic: &str, key: &TopicKey) -> Vec<Layer> {
        let overridden = self.topic_overrides(topic).get(key.definition.name).map(|value| Layer {
            name: key.definition.name.into(),
            value: value.clone(),
            source: Source::Topic,
        });
        let synonym = key.synonyms.first().map(|synonym| self.broker_layers(Some(node), synonym.name));
        overridden.into_iter().chain(synonym.into_iter().flatten()).collect()
    }

    /// A topic's value that is in force on a broker.
    pub(crate) fn topic_value(&self, node: Option<NodeId>, overrides: &Values, key: &TopicKey) -> String {
        if let Some(value) = overrides.get(key.definition.name) {
            return value.clone();
        }
        let own = node.and_then(|node| self.dynamic.get(&node));
        let layers = [own, Some(&self.dynamic_default), Some(&self.started_with)];
        let from_broker = layers.into_iter().flatten().find_map(|values| {
            key.synonyms.iter().find_map(|synonym| {
                let value = values.get(synonym.name)?;
                match synonym.factor {
                    1 => Some(value.clone()),
                    factor => Some(value.trim().parse::<i64>().ok()?.saturating_mul(factor).to_string()),
                }
            })
        });
        from_broker.or_else(|| key.definition.default.map(str::to_owned)).unwrap_or_default()
    }

    /// A topic's effective configuration on a broker under these overrides.
    pub(crate) fn topic_config(&self, node: Option<NodeId>, overrides: &Values) -> TopicConfig {
        TopicConfig::from_values(|key| self.topic_value(node, overrides, key))
    }

    /// Whether a broker has dynamic values of its own.
    pub(crate) fn has_own_values(&self) -> bool {
        self.dynamic.values().any(|values| !values.is_empty())
    }

    /// A group's overrides.
    pub(crate) fn group_overrides(&self, group: &str) -> &Values {
        static NONE: Values = Values::new();
        self.groups.get(group).unwrap_or(&NONE)
    }

    /// A group's value that is in force.
    pub(crate) fn group_value(&self, node: Option<NodeId>, group: &str, key: &GroupKey) -> String {
        let overridden = self.group_overrides(group).get(key.definition.name).cloned();
        let from_broker = || {
            let layers = self.broker_layers(node, key.synonym?);
            layers.into_iter().next().map(|layer| layer.value)
        };
        overridden.or_else(from_broker).or(key.definition.default.map(str::to_owned)).unwrap_or_default()
    }

    pub(crate) fn set_group_overrides(&mut self, group: &str, overrides: Values) {
        set_or_remove(&mut self.groups, group, overrides);
    }

    /// The groups that have overrides.
    pub(crate) fn configured_groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    pub(crate) fn client_metrics(&self, subscription: &str) -> &Values {
        static NONE: Values = Values::new();
        self.client_metrics.get(subscription).unwrap_or(&NONE)
    }

    pub(crate) fn set_client_metrics(&mut self, subscription: &str, values: Values) {
        set_or_remove(&mut self.client_metrics, subscription, values);
    }

    /// The subscriptions to clients' metrics.
    pub(crate) fn subscriptions(&self) -> impl Iterator<Item = &str> {
        self.client_metrics.keys().map(String::as_str)
    }

    pub(crate) fn topic_overrides(&self, topic: &str) -> &Values {
        static NONE: Values = Values::new();
        self.topics.get(topic).unwrap_or(&NONE)
    }

    pub(crate) fn set_topic_overrides(&mut self, topic: &str, overrides: Values) {
        set_or_remove(&mut self.topics, topic, overrides);
    }

    /// The dynamic values of one broker, or those of all.
    pub(crate) fn dynamic(&self, node: Option<NodeId>) -> &Values {
        static NONE: Values = Values::new();
        match node {
            Some(node) => self.dynamic.get(&node).unwrap_or(&NONE),
            None => &self.dynamic_default,
        }
    }

    pub(crate) fn set_dynamic(&mut self, node: Option<NodeId>, values: Values) {
        match node {
            Some(node) => *self.dynamic.entry(node).or_default() = values,
            None => self.dynamic_default = values,
        }
    }

    /// Has all brokers share one `min.insync.replicas`: the cluster's, or the one that they were started with (Java:
    /// `ConfigurationControlManager.maybeGenerateElrSafetyRecords`).
    pub(crate) fn unify_min_isr(&mut self) {
        if !self.dynamic_default.contains_key(MIN_ISR)
            && let Some(layer) = self.broker_layers(None, MIN_ISR).into_iter().next()
        {
            self.dynamic_default.insert(MIN_ISR.to_owned(), layer.value);
        }
        self.dynamic.values_mut().for_each(|values| drop(values.remove(MIN_ISR)));
    }

    /// The broker's settings that the code reads often.
    pub(crate) fn broker_settings(&self, node: Option<NodeId>) -> BrokerSettings {
        let text = |name: &str| self.broker_layers(node, name).into_iter().next().map(|layer| layer.value);
        let number =
            |name: &str| text(name).and_then(|value| value.trim().parse::<i64>().ok()).unwrap_or_default();
        let size = |name: &str| usize::try_from(number(name)).unwrap_or_default();
        let flag = |name: &str| text(name).is_some_and(|value| topic::is_true(&value));
        BrokerSettings {
            auto_create_topics: flag("auto.create.topics.enable"),
            delete_topics: flag("delete.topic.enable"),
            num_partitions: number("num.partitions") as i32,
            default_replication_factor: number("default.replication.factor") as i16,
            fetch_max_bytes: size("fetch.max.bytes"),
            request_bytes_max: size("socket.request.max.bytes"),
            connections_max: size("max.connections"),
            connection_creation_rate: Some(number("max.connection.creation.rate"))
                .filter(|rate| *rate < i64::from(i32::MAX)),
            connection_idle_ms: number("connections.max.idle.ms"),
            connections_per_ip: ConnectionLimits::parse(
                size("max.connections.per.ip"),
                &text("max.connections.per.ip.overrides").unwrap_or_default(),
            ),
            buffered_bytes_max: usize::try_from(number("queued.max.request.bytes")).ok(),
            fetch_sessions_max: size("max.incremental.fetch.session.cache.slots"),
            request_partitions_max: number("max.request.partition.size.limit") as i32,
            transactions: TransactionSettings {
                max_timeout_ms: number("transaction.max.timeout.ms") as i32,
                id_expiration_ms: number("transactional.id.expiration.ms"),
                abort_check_ms: number("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
                expiry_check_ms: number("transaction.remove.expired.transaction.cleanup.interval.ms"),
                verify_partitions: flag("transaction.partition.verification.enable"),
                add_partitions_retry_ms: number("add.partitions.to.txn.retry.backoff.ms"),
                add_partitions_retry_max_ms: number("add.partitions.to.txn.retry.backoff.max.ms"),
            },
            offsets_topic: InternalTopicSettings {
                partitions: number("offsets.topic.num.partitions") as i32,
                replication_factor: number("offsets.topic.replication.factor") as i16,
                segment_bytes: number("offsets.topic.segment.bytes"),
                min_isr: None,
            },
            transaction_topic: InternalTopicSettings {
                partitions: number("transaction.state.log.num.partitions") as i32,
                replication_factor: number("transaction.state.log.replication.factor") as i16,
                segment_bytes: number("transaction.state.log.segment.bytes"),
                min_isr: Some(number("transaction.state.log.min.isr")),
            },
            groups: GroupSettings {
                initial_rebalance_delay_ms: number("group.initial.rebalance.delay.ms"),
                session_timeout_min_ms: number("group.min.session.timeout.ms"),
                session_timeout_max_ms: number("group.max.session.timeout.ms"),
                members_max: size("group.max.size"),
                offset_metadata_max: size("offset.metadata.max.bytes"),
                offsets_commit_timeout_ms: number("offsets.commit.timeout.ms"),
                offsets_retention_ms: number("offsets.retention.minutes").saturating_mul(60_000),
                offsets_retention_check_ms: number("offsets.retention.check.interval.ms"),
                consumer: ConsumerGroupSettings {
                    session_timeout_ms: number("group.consumer.session.timeout.ms"),
                    heartbeat_interval_ms: number("group.consumer.heartbeat.interval.ms"),
                    members_max: size("group.consumer.max.size"),
                    assignors: split_list(&text("group.consumer.assignors").unwrap_or_default())
                        .into_iter()
                        .map(str::to_owned)
                        .collect(),
                    assignment_interval_ms: number("group.consumer.assignment.interval.ms"),
                    regex_refresh_interval_ms: number("group.consumer.regex.refresh.interval.ms"),
                    migration: Migration::by_name(
                        &text("group.consumer.migration.policy").unwrap_or_default(),
                    ),
                },
            },
            producer_id_expiration_ms: number("producer.id.expiration.ms"),
            producer_id_expiration_check_ms: number("producer.id.expiration.check.interval.ms"),
            retention_check_ms: number("log.retention.check.interval.ms"),
            cleaner_backoff_ms: number("log.cleaner.backoff.ms"),
            quota_windows: Windows {
                samples: number("quota.window.num"),
                window_ms: number("quota.window.size.seconds").saturating_mul(1000),
            },
            mutation_windows: Windows {
                samples: number("controller.quota.window.num"),
                window_ms: number("controller.quota.window.size.seconds").saturating_mul(1000),
            },
            stores_acls: text("authorizer.class.name").is_some_and(|class| !class.is_empty()),
            log_dir: text("log.dirs")
                .or_else(|| text("log.dir"))
                .and_then(|dirs| Some(split_list(&dirs).first()?.to_string()))
                .unwrap_or_default(),
        }
    }
}

fn set_or_remove(resources: &mut BTreeMap<String, Values>, name: &str, values: Values) {
    if values.is_empty() {
        resources.remove(name);
    } else {
        resources.insert(name.to_owned(), values);
    }
}

/// The values of a broker that are in force, typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerSettings {
    pub(crate) auto_create_topics: bool,
    pub(crate) delete_topics: bool,
    pub(crate) num_partitions: i32,
    pub(crate) default_replication_factor: i16,
    pub(crate) fetch_max_bytes: usize,
    /// `socket.request.max.bytes`: the largest frame.
    pub(crate) request_bytes_max: usize,
    pub(crate) connections_max: usize,
    /// `max.connection.creation.rate`: so many in a second; none where it is the largest number.
    pub(crate) connection_creation_rate: Option<i64>,
    /// `connections.max.idle.ms`; negative never closes.
    pub(crate) connection_idle_ms: i64,
    pub(crate) connections_per_ip: ConnectionLimits,
    /// `queued.max.request.bytes`; none where it is negative.
    pub(crate) buffered_bytes_max: Option<usize>,
    pub(crate) fetch_sessions_max: usize,
    pub(crate) request_partitions_max: i32,
    pub(crate) transactions: TransactionSettings,
    pub(crate) offsets_topic: InternalTopicSettings,
    pub(crate) transaction_topic: InternalTopicSettings,
    pub(crate) groups: GroupSettings,
    pub(crate) producer_id_expiration_ms: i64,
    pub(crate) producer_id_expiration_check_ms: i64,
    pub(crate) retention_check_ms: i64,
    /// `log.cleaner.backoff.ms`: how often compacted logs are looked at.
    pub(crate) cleaner_backoff_ms: i64,
    /// How use is measured that quotas limit, but for mutations.
    pub(crate) quota_windows: Windows,
    /// `controller.quota.window.num`, `controller.quota.window.size.seconds`
    pub(crate) mutation_windows: Windows,
    /// Whether ACLs are stored: an authorizer is configured.
    pub(crate) stores_acls: bool,
    /// Where logs are said to be.
    pub(crate) log_dir: String,
}

/// How many connections one address may have (`max.connections.per.ip` and its overrides).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionLimits {
    default: usize,
    overrides: BTreeMap<IpAddr, usize>,
}

impl ConnectionLimits {
    /// Overrides are `address:count`, separated by commas; what is no address is left out, as names are not looked up.
    fn parse(default: usize, overrides: &str) -> Self {
        let parse = |part: &str| {
            let (address, count) = part.rsplit_once(':')?;
            Some((address.trim().parse().ok()?, count.trim().parse().ok()?))
        };
        Self { default, overrides: split_list(overrides).into_iter().filter_map(parse).collect() }
    }

    pub(crate) fn of(&self, address: IpAddr) -> usize {
        self.overrides.get(&address).copied().unwrap_or(self.default)
    }
}

/// The values that transactions depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransactionSettings {
    /// `transaction.max.timeout.ms`: the longest timeout that a producer may ask for.
    pub(crate) max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`
    pub(crate) id_expiration_ms: i64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    pub(crate) abort_check_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub(crate) expiry_check_ms: i64,
    /// `transaction.partition.verification.enable`: a transactional batch is refused unless the coordinator knows of
    /// its partition.
    pub(crate) verify_partitions: bool,
    /// `add.partitions.to.txn.retry.backoff.ms`
    pub(crate) add_partitions_retry_ms: i64,
    /// `add.partitions.to.txn.retry.backoff.max.ms`
    pub(crate) add_partitions_retry_max_ms: i64,
}

/// How a topic of Kafka's own is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InternalTopicSettings {
    pub(crate) partitions: i32,
    pub(crate) replication_factor: i16,
    pub(crate) segment_bytes: i64,
    /// Its own `min.insync.replicas`, where it has one.
    pub(crate) min_isr: Option<i64>,
}

/// What the group coordinator goes by (Java: `GroupCoordinatorConfig`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupSettings {
    /// `group.initial.rebalance.delay.ms`: how long a new group waits for more members.
    pub(crate) initial_rebalance_delay_ms: i64,
    pub(crate) session_timeout_min_ms: i64,
    pub(crate) session_timeout_max_ms: i64,
    /// `group.max.size`
    pub(crate) members_max: usize,
    /// `offset.metadata.max.bytes`; Kafka counts characters of UTF-16.
    pub(crate) offset_metadata_max: usize,
    /// `offsets.commit.timeout.ms`: how long whoever changes a group waits for enough replicas in sync.
    pub(crate) offsets_commit_timeout_ms: i64,
    pub(crate) offsets_retention_ms: i64,
    pub(crate) offsets_retention_check_ms: i64,
    pub(crate) consumer: ConsumerGroupSettings,
}

/// What groups of the new consumer protocol go by. A group can have values of its own for some of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConsumerGroupSettings {
    /// `group.consumer.session.timeout.ms`
    pub(crate) session_timeout_ms: i64,
    /// `group.consumer.heartbeat.interval.ms`: told to the members.
    pub(crate) heartbeat_interval_ms: i64,
    /// `group.consumer.max.size`
    pub(crate) members_max: usize,
    /// `group.consumer.assignors`; the first is the default.
    pub(crate) assignors: Vec<String>,
    /// `group.consumer.assignment.interval.ms`: the target assignment is worked out no more often.
    pub(crate) assignment_interval_ms: i64,
    /// `group.consumer.regex.refresh.interval.ms`
    pub(crate) regex_refresh_interval_ms: i64,
    /// `group.consumer.migration.policy`
    pub(crate) migration: Migration,
}

/// Which groups with members change their protocol (Java: `ConsumerGroupMigrationPolicy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Migration {
    /// A classic group that a member of the new protocol joins becomes a consumer group.
    pub(crate) upgrades: bool,
    /// A consumer group that the last member of the new protocol leaves becomes a classic one.
    pub(crate) downgrades: bool,
}

impl Migration {
    fn by_name(policy: &str) -> Self {
        let (upgrades, downgrades) = match policy.to_ascii_lowercase().as_str() {
            "disabled" => (false, false),
            "upgrade" => (true, false),
            "downgrade" => (false, true),
            _ => (true, true),
        };
        Self { upgrades, downgrades }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> &'static TopicKey {
        topic_key(name).expect("a key of a topic")
    }

    fn configs(started_with: &[(&str, &str)]) -> Configs {
        let mut configs = Configs::default();
        for (name, value) in started_with {
            configs.start_with(name, value).expect("valid");
        }
        configs
    }

    #[test]
    fn addresses_have_their_own_limits_of_connections() {
        let limits = ConnectionLimits::parse(9, "127.0.0.1:2, ::1:3,somewhere:4,nonsense");
        let of = |address: &str| limits.of(address.parse().expect("an address"));
        assert_eq!((of("127.0.0.1"), of("::1"), of("10.0.0.1")), (2, 3, 9));
    }

    #[test]
    fn a_misspelt_key_is_refused_with_the_nearest_name() {
        let error = Configs::default().start_with("num.partition", "3").expect_err("unknown");
        assert_eq!(error.to_string(), "unknown broker config num.partition; did you mean num.partitions?");
    }

    #[test]
    fn a_topics_value_comes_from_the_nearest_layer() {
        let mut configs = configs(&[("message.max.bytes", "500")]);
        let in_force = |configs: &Configs, topic: &str| {
            configs.topic_config(None, configs.topic_overrides(topic)).max_message_bytes
        };
        assert_eq!(in_force(&configs, "t"), 500);
        configs.set_dynamic(None, Values::from([("message.max.bytes".to_owned(), "600".to_owned())]));
        assert_eq!(in_force(&configs, "t"), 600);
        configs.set_topic_overrides("t", Values::from([("max.message.bytes".to_owned(), "700".to_owned())]));
        assert_eq!((in_force(&configs, "t"), in_force(&configs, "u")), (700, 600));
        let sources: Vec<_> =
            configs.topic_layers(1, "t", key("max.message.bytes")).iter().map(|layer| layer.source).collect();
        assert_eq!(
            sources,
            [Source::Topic, Source::DynamicDefaultBroker, Source::StaticBroker, Source::Default]
        );
    }

    #[test]
    fn hours_and_minutes_stand_in_for_milliseconds() {
        let hours = configs(&[("log.retention.hours", "2")]);
        assert_eq!(hours.topic_config(None, &Values::new()).retention_ms, Some(7_200_000));
        let both = configs(&[("log.retention.hours", "2"), ("log.retention.minutes", "3")]);
        assert_eq!(both.topic_config(None, &Values::new()).retention_ms, Some(180_000));
    }
}
