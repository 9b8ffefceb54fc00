//! DescribeConfigs, IncrementalAlterConfigs, AlterConfigs.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, FindCoordinatorRequest, IncrementalAlterConfigsRequest,
    ListConfigResourcesRequest, alter_configs_request, incremental_alter_configs_request,
};
use milena_protocol::{ApiKey, ErrorCode};
use milena_testcontainers::KafkaVersion;

use crate::support::*;

cases! {
    a_topics_configuration_in_every_version,
    only_the_keys_asked_for_are_described,
    resources_that_are_not_there,
    keys_are_set_deleted_appended_and_subtracted,
    invalid_alterations_have_each_their_error,
    a_changed_limit_is_in_force,
    the_older_way_to_alter_replaces_everything,
    a_brokers_configuration_has_its_identity_and_what_is_read_only,
    every_key_of_a_broker_has_kafkas_type_default_and_mutability,
    keys_that_stand_in_for_each_other_are_synonyms,
    documentation_is_told_when_asked,
    a_brokers_keys_change_while_it_runs,
    changes_that_a_broker_refuses_have_each_their_error,
    all_brokers_share_one_min_insync_replicas,
    topics_of_kafkas_own_have_a_configuration_of_their_own,
    groups_have_a_configuration,
    subscriptions_to_metrics_have_a_configuration,
    resources_that_cannot_be_configured,
    resources_are_listed,
}

const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

pub(super) async fn describe(
    connection: &mut Connection,
    version: i16,
    kind: i8,
    resource: &str,
) -> Result<BTreeMap<String, DescribeConfigsResourceResult>, &'static str> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(resource))
        .with_configuration_keys(None);
    let request =
        DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true);
    let result = connection.call(version, &request).await.results.remove(0);
    match ErrorCode::from(result.error_code) {
        ErrorCode::None => {
            Ok(result.configs.into_iter().map(|config| (config.name.to_string(), config)).collect())
        }
        error => Err(error.name()),
    }
}

/// Sets (0), deletes (1), appends to (2) or subtracts from (3) a topic's key.
async fn alter(
    connection: &mut Connection,
    topic: &str,
    operation: i8,
    key: &str,
    value: Option<&str>,
) -> (&'static str, String) {
    alter_resource(connection, (TOPIC, topic), operation, key, value, false).await
}

pub(super) async fn alter_resource(
    connection: &mut Connection,
    (kind, resource): (i8, &str),
    operation: i8,
    key: &str,
    value: Option<&str>,
    validate_only: bool,
) -> (&'static str, String) {
    let config = incremental_alter_configs_request::AlterableConfig::default()
        .with_name(text(key))
        .with_config_operation(operation)
        .with_value(value.map(text));
    let resource = incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(resource))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default()
        .with_resources(vec![resource])
        .with_validate_only(validate_only);
    let response = connection.call(1, &request).await.responses.remove(0);
    (ErrorCode::from(response.error_code).name(), response.error_message.unwrap_or_default().to_string())
}

fn value<'a>(configs: &'a BTreeMap<String, DescribeConfigsResourceResult>, key: &str) -> (&'a str, i8) {
    let config = &configs[key];
    (config.value.as_deref().unwrap_or("null"), config.config_source)
}

const OVERRIDE: i8 = 1;
const DEFAULT: i8 = 5;

async fn a_topics_configuration_in_every_version(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("configs");
    connection.create_topic(&topic, &[("retention.ms", "1000000")]).await;
    for version in broker.versions(ApiKey::DescribeConfigs, 1..=4) {
        let configs = describe(&mut connection, version, TOPIC, &topic).await.expect("described");
        if broker.is_at_least(KafkaVersion::V4_1_2) {
            // 4.0 took three keys away.
            assert_eq!(configs.len(), 33, "version {version}");
        }
        assert_eq!(value(&configs, "retention.ms"), ("1000000", OVERRIDE));
        assert_eq!(value(&configs, "max.message.bytes"), ("1048588", DEFAULT));
        assert_eq!(value(&configs, "flush.ms"), ("9223372036854775807", DEFAULT));
        let synonyms: Vec<_> =
            configs["max.message.bytes"].synonyms.iter().map(|s| (&*s.name, s.source)).collect();
        assert_eq!(synonyms, [("message.max.bytes", DEFAULT)]);
        if version >= 3 {
            let types = ["preallocate", "cleanup.policy", "segment.ms", "segment.bytes", "compression.type"];
            assert_eq!(types.map(|key| configs[key].config_type), [1, 7, 5, 3, 2]);
        }
    }
}

async fn only_the_keys_asked_for_are_described(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("configs-keys");
    connection.create_topic(&topic, &[]).await;
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(&topic))
        .with_configuration_keys(Some(vec![text("segment.ms"), text("no.such.key")]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let result = connection.call(4, &request).await.results.remove(0);
    let names: Vec<_> = result.configs.iter().map(|config| &*config.name).collect();
    assert_eq!((result.error_code, names), (0, vec!["segment.ms"]));
}

async fn resources_that_are_not_there(broker: &Broker) {
    let mut connection = broker.connect().await;
    let missing = unique("configs-missing");
    assert_eq!(describe(&mut connection, 4, TOPIC, &missing).await, Err("UNKNOWN_TOPIC_OR_PARTITION"));
    assert_eq!(describe(&mut connection, 4, TOPIC, "a b").await, Err("INVALID_TOPIC_EXCEPTION"));
    assert_eq!(describe(&mut connection, 4, BROKER, "77").await, Err("INVALID_REQUEST"));
    let (error, message) = alter(&mut connection, &missing, 0, "segment.ms", Some("1000")).await;
    assert_eq!((error, message.contains(&missing)), ("UNKNOWN_TOPIC_OR_PARTITION", true), "{message}");
}

async fn keys_are_set_deleted_appended_and_subtracted(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("configs-alter");
    connection.create_topic(&topic, &[]).await;
    let steps = [
        (0, "retention.ms", Some("5000000"), ("5000000", OVERRIDE)),
        (1, "retention.ms", None, ("604800000", DEFAULT)),
        (2, "cleanup.policy", Some("compact"), ("delete,compact", OVERRIDE)),
        (3, "cleanup.policy", Some("delete"), ("compact", OVERRIDE)),
    ];
    for (operation, key, given, expected) in steps {
        assert_eq!(alter(&mut connection, &topic, operation, key, given).await, ("NONE", String::new()));
        let in_force = async {
            // A real Kafka takes a moment to apply it.
            while value(&describe(&mut connection, 4, TOPIC, &topic).await.expect("described"), key)
                != expected
            {}
        };
        tokio::time::timeout(PATIENCE, in_force)
            .await
            .unwrap_or_else(|_| panic!("{key} never is {expected:?}"));
    }
}

async fn invalid_alterations_have_each_their_error(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("configs-invalid");
    connection.create_topic(&topic, &[]).await;
    let mut attempt =
        async |operation, key, value| alter(&mut connection, &topic, operation, key, value).await;
    // The error, and what its message names.
    for (operation, key, value, code) in [
        (0, "segment.bytes", Some("5"), "INVALID_CONFIG"),
        (0, "no.such.key", Some("5"), "INVALID_CONFIG"),
        (2, "segment.bytes", Some("5"), "INVALID_CONFIG"),
        (0, "segment.bytes", None, "INVALID_REQUEST"),
    ] {
        let (error, message) = attempt(operation, key, value).await;
        assert_eq!(error, code, "{message}");
        assert!(message.contains(key), "{message}");
    }
}

async fn a_changed_limit_is_in_force(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("configs-force");
    connection.create_topic(&topic, &[]).await;
    let batch = BatchOf::records(3).bytes();
    assert_eq!(connection.produce(9, &topic, batch.clone()).await.error_code, 0);
    alter(&mut connection, &topic, 0, "max.message.bytes", Some("50")).await;
    let refused = async {
        while ErrorCode::from(connection.produce(9, &topic, batch.clone()).await.error_code)
            != ErrorCode::MessageTooLarge
        {}
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("the limit comes into force");
}

async fn the_older_way_to_alter_replaces_everything(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("configs-replace");
    connection.create_topic(&topic, &[("retention.ms", "1000000")]).await;
    for version in broker.versions(ApiKey::AlterConfigs, 0..=2) {
        let bytes = (2_000_000 + i32::from(version)).to_string();
        let config = alter_configs_request::AlterableConfig::default()
            .with_name(text("segment.bytes"))
            .with_value(Some(text(&bytes)));
        let resource = alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(&topic))
            .with_configs(vec![config]);
        let request = AlterConfigsRequest::default().with_resources(vec![resource]);
        assert_eq!(connection.call(version, &request).await.responses[0].error_code, 0, "version {version}");
        let in_force = async {
            loop {
                let configs = describe(&mut connection, 4, TOPIC, &topic).await.expect("described");
                if value(&configs, "segment.bytes") == (&bytes, OVERRIDE) {
                    return value(&configs, "retention.ms").1;
                }
            }
        };
        assert_eq!(tokio::time::timeout(PATIENCE, in_force).await, Ok(DEFAULT));
    }
}

async fn a_brokers_configuration_has_its_identity_and_what_is_read_only(broker: &Broker) {
    let mut connection = broker.connect().await;
    let configs = describe(&mut connection, 4, BROKER, "1").await.expect("described");
    assert_eq!(value(&configs, "node.id").0, "1");
    assert!(configs["num.partitions"].read_only && !configs["message.max.bytes"].read_only);
    assert_eq!(value(&configs, "socket.request.max.bytes"), ("104857600", DEFAULT));
}

async fn every_key_of_a_broker_has_kafkas_type_default_and_mutability(broker: &Broker) {
    if !broker.is_at_least(KafkaVersion::V4_3_1) {
        // Each release has its own keys.
        return;
    }
    let expected = include_str!("broker_configs_4_3_1.txt").lines().filter(|line| !line.starts_with('#'));
    let mut connection = broker.connect().await;
    let mut configs = describe(&mut connection, 4, BROKER, "1").await.expect("described");
    for line in expected {
        let [key, kind, read_only, default] =
            line.split('\t').collect::<Vec<_>>().try_into().expect("four columns");
        let config = configs.remove(key).unwrap_or_else(|| panic!("{key} is missing"));
        let last =
            config.synonyms.last().filter(|synonym| synonym.source == DEFAULT && &*synonym.name == key);
        let told = last.and_then(|synonym| synonym.value.as_deref()).unwrap_or("null");
        assert_eq!(told, default, "{key}");
        assert_eq!(config.config_type.to_string(), kind, "{key}");
        assert_eq!(config.read_only, read_only == "read-only", "{key}");
        assert_eq!(config.is_sensitive, kind == "9", "{key}");
    }
    assert_eq!(configs.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "keys that Kafka does not have");
}

async fn keys_that_stand_in_for_each_other_are_synonyms(broker: &Broker) {
    let mut connection = broker.connect().await;
    let configs = describe(&mut connection, 4, BROKER, "1").await.expect("described");
    let synonyms = |key: &str| -> Vec<String> {
        configs[key].synonyms.iter().map(|synonym| synonym.name.to_string()).collect()
    };
    // A key without a value hides those that stand in for it.
    assert_eq!(synonyms("log.roll.ms"), Vec::<String>::new());
    assert_eq!(synonyms("log.roll.hours"), ["log.roll.hours"]);
    assert_eq!(value(&configs, "log.retention.minutes"), ("null", DEFAULT));
    assert_eq!(value(&configs, "log.retention.hours"), ("168", DEFAULT));
    let topic = unique("configs-synonyms");
    connection.create_topic(&topic, &[]).await;
    let configs = describe(&mut connection, 4, TOPIC, &topic).await.expect("described");
    assert_eq!(value(&configs, "retention.ms"), ("604800000", DEFAULT));
    assert!(configs["retention.ms"].synonyms.is_empty());
}

async fn documentation_is_told_when_asked(broker: &Broker) {
    let mut connection = broker.connect().await;
    for version in broker.versions(ApiKey::DescribeConfigs, 3..=4) {
        for is_asked in [true, false] {
            let resource = DescribeConfigsResource::default()
                .with_resource_type(BROKER)
                .with_resource_name(text("1"))
                .with_configuration_keys(None);
            let request = DescribeConfigsRequest::default()
                .with_resources(vec![resource])
                .with_include_documentation(is_asked);
            let result = connection.call(version, &request).await.results.remove(0);
            let is_told = |config: &DescribeConfigsResourceResult| {
                config.documentation.as_ref().is_some_and(|documentation| !documentation.is_empty())
            };
            assert!(result.configs.iter().all(|config| is_told(config) == is_asked), "version {version}");
        }
    }
}

pub(super) const DYNAMIC_BROKER: i8 = 2;
pub(super) const DYNAMIC_DEFAULT_BROKER: i8 = 3;

/// Of these keys no other case takes notice, so that the shared brokers can be changed.
async fn a_brokers_keys_change_while_it_runs(broker: &Broker) {
    let mut connection = broker.connect().await;
    let key = "background.threads";
    let mut expect = async |resource: &str, expected: Option<(&str, i8)>| {
        let in_force = async {
            loop {
                let configs = describe(&mut connection, 4, BROKER, resource).await.expect("described");
                let told = configs.contains_key(key).then(|| value(&configs, key));
                if told == expected {
                    break;
                }
            }
        };
        // A real Kafka takes a moment to apply it.
        tokio::time::timeout(PATIENCE, in_force)
            .await
            .unwrap_or_else(|_| panic!("{key} of {resource:?} never is {expected:?}"));
    };
    let mut other = broker.connect().await;
    let none = ("NONE", String::new());
    expect("1", Some(("10", DEFAULT))).await;
    expect("", None).await;
    assert_eq!(alter_resource(&mut other, (BROKER, ""), 0, key, Some("9"), true).await, none);
    assert_eq!(alter_resource(&mut other, (BROKER, ""), 0, key, Some("11"), false).await, none);
    expect("", Some(("11", DYNAMIC_DEFAULT_BROKER))).await;
    expect("1", Some(("11", DYNAMIC_DEFAULT_BROKER))).await;
    assert_eq!(alter_resource(&mut other, (BROKER, "1"), 0, key, Some("12"), false).await, none);
    expect("1", Some(("12", DYNAMIC_BROKER))).await;
    expect("", Some(("11", DYNAMIC_DEFAULT_BROKER))).await;
    for resource in ["1", ""] {
        assert_eq!(alter_resource(&mut other, (BROKER, resource), 1, key, None, false).await, none);
    }
    expect("1", Some(("10", DEFAULT))).await;
}

async fn changes_that_a_broker_refuses_have_each_their_error(broker: &Broker) {
    let mut connection = broker.connect().await;
    for (resource, operation, key, given, expected) in [
        ("1", 0, "num.partitions", Some("5"), "INVALID_REQUEST"),
        ("1", 0, "log.cleaner.threads", Some("many"), "INVALID_REQUEST"),
        ("1", 0, "log.retention.bytes", None, "INVALID_REQUEST"),
        ("", 0, "listeners", Some("PLAINTEXT://127.0.0.1:1"), "INVALID_REQUEST"),
        ("77", 0, "log.cleaner.threads", Some("2"), "INVALID_REQUEST"),
        ("one", 0, "log.cleaner.threads", Some("2"), "INVALID_REQUEST"),
        ("1", 2, "log.cleaner.threads", Some("2"), "INVALID_CONFIG"),
        ("1", 9, "log.cleaner.threads", Some("2"), "INVALID_REQUEST"),
    ] {
        let (error, message) =
            alter_resource(&mut connection, (BROKER, resource), operation, key, given, true).await;
        assert_eq!(error, expected, "{resource:?} {key}: {message}");
    }
}

async fn all_brokers_share_one_min_insync_replicas(broker: &Broker) {
    if !broker.is_at_least(KafkaVersion::V4_1_2) {
        // `eligible.leader.replicas.version` is on in new clusters from 4.1 on.
        return;
    }
    let key = "min.insync.replicas";
    let mut connection = broker.connect().await;
    let topic = unique("configs-min-isr");
    connection.create_topic(&topic, &[]).await;
    for (kind, resource) in [(BROKER, ""), (BROKER, "1"), (TOPIC, &topic)] {
        let configs = describe(&mut connection, 4, kind, resource).await.expect("described");
        assert_eq!(value(&configs, key).1, DYNAMIC_DEFAULT_BROKER, "{resource:?}");
    }
    for (resource, operation, given, expected) in [
        ("1", 0, Some("1"), "INVALID_CONFIG"),
        ("1", 1, None, "INVALID_CONFIG"),
        ("1", 0, Some("none"), "INVALID_REQUEST"),
        ("", 1, None, "INVALID_CONFIG"),
        ("", 0, Some("1"), "NONE"),
    ] {
        let (error, message) =
            alter_resource(&mut connection, (BROKER, resource), operation, key, given, true).await;
        assert_eq!(error, expected, "{resource:?} {operation}: {message}");
    }
    // The older way to alter would remove it.
    for (resource, expected) in [("", ErrorCode::InvalidConfig), ("1", ErrorCode::None)] {
        let resource = alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(BROKER)
            .with_resource_name(text(resource));
        let request = AlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(true);
        let response = connection.call(2, &request).await.responses.remove(0);
        assert_eq!(ErrorCode::from(response.error_code), expected, "{:?}", response.resource_name);
    }
}

async fn topics_of_kafkas_own_have_a_configuration_of_their_own(broker: &Broker) {
    let mut connection = broker.connect().await;
    let of_broker = describe(&mut connection, 4, BROKER, "1").await.expect("described");
    let [min_isr, segment] = ["transaction.state.log.min.isr", "transaction.state.log.segment.bytes"]
        .map(|key| value(&of_broker, key).0);
    let segment_of_offsets = value(&of_broker, "offsets.topic.segment.bytes").0;
    let of_transactions = [
        ("cleanup.policy", "compact"),
        ("compression.type", "uncompressed"),
        ("min.insync.replicas", min_isr),
        ("segment.bytes", segment),
        ("unclean.leader.election.enable", "false"),
    ];
    let of_offsets = [
        ("cleanup.policy", "compact"),
        ("compression.type", "producer"),
        ("segment.bytes", segment_of_offsets),
    ];
    for (topic, coordinates, expected) in
        [("__transaction_state", 1, &of_transactions[..]), ("__consumer_offsets", 0, &of_offsets)]
    {
        let described = async {
            loop {
                let request = FindCoordinatorRequest::default()
                    .with_key_type(coordinates)
                    .with_coordinator_keys(vec![text(&unique("configs-internal"))]);
                connection.call(4, &request).await;
                if let Ok(configs) = describe(&mut connection, 4, TOPIC, topic).await {
                    break configs;
                }
            }
        };
        // A real Kafka takes a moment to create it.
        let configs = tokio::time::timeout(PATIENCE, described).await.expect("it is created");
        let overridden: Vec<_> = configs
            .iter()
            .filter(|(_, config)| config.config_source == OVERRIDE)
            .map(|(key, _)| (key.as_str(), value(&configs, key).0))
            .collect();
        assert_eq!(overridden, expected, "{topic}");
    }
}

async fn groups_have_a_configuration(broker: &Broker) {
    if !broker.is_at_least(KafkaVersion::V4_3_1) {
        // Groups have keys from 4.0 on, and each release others.
        return;
    }
    const GROUP_CONFIG: i8 = 8;
    let mut connection = broker.connect().await;
    let group = &*unique("configs-group");
    let configs = describe(&mut connection, 4, GROUP, group).await.expect("described");
    assert_eq!(configs.len(), 17);
    assert_eq!(value(&configs, "consumer.session.timeout.ms"), ("45000", DEFAULT));
    assert_eq!(
        &*configs["consumer.session.timeout.ms"].synonyms[0].name,
        "group.consumer.session.timeout.ms"
    );
    assert_eq!(&*configs["share.auto.offset.reset"].synonyms[0].name, "share.auto.offset.reset");
    let mut set = async |key: &str, value: &str| {
        alter_resource(&mut connection, (GROUP, group), 0, key, Some(value), false).await.0
    };
    for (key, value, expected) in [
        ("consumer.session.timeout.ms", "50000", "NONE"),
        ("consumer.session.timeout.ms", "44999", "INVALID_CONFIG"),
        ("consumer.session.timeout.ms", "60001", "INVALID_CONFIG"),
        ("consumer.session.timeout.ms", "soon", "INVALID_CONFIG"),
        ("share.auto.offset.reset", "never", "INVALID_CONFIG"),
        ("share.auto.offset.reset", "by_duration:PT1H", "NONE"),
        ("no.such.key", "1", "INVALID_CONFIG"),
    ] {
        assert_eq!(set(key, value).await, expected, "{key}={value}");
    }
    let in_force = async {
        loop {
            let configs = describe(&mut connection, 4, GROUP, group).await.expect("described");
            if value(&configs, "consumer.session.timeout.ms") == ("50000", GROUP_CONFIG) {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, in_force).await.expect("in force");
    assert_eq!(describe(&mut connection, 4, GROUP, "").await, Err("INVALID_REQUEST"));
    let nameless = alter_resource(&mut connection, (GROUP, ""), 0, "x", Some("1"), false).await;
    assert_eq!(nameless.0, "INVALID_REQUEST");
}

async fn subscriptions_to_metrics_have_a_configuration(broker: &Broker) {
    const CLIENT_METRICS_CONFIG: i8 = 7;
    let mut connection = broker.connect().await;
    let name = &*unique("configs-metrics");
    if broker.is_at_least(KafkaVersion::V4_3_1) {
        // Before, a subscription that is not there has no keys.
        let configs = describe(&mut connection, 4, CLIENT_METRICS, name).await.expect("described");
        assert_eq!(value(&configs, "interval.ms"), ("300000", DEFAULT));
        assert_eq!((configs.len(), value(&configs, "metrics")), (3, ("", DEFAULT)));
    }
    let mut set = async |key: &str, value: &str| {
        alter_resource(&mut connection, (CLIENT_METRICS, name), 0, key, Some(value), false).await.0
    };
    for (key, value, expected) in [
        ("interval.ms", "500", "NONE"),
        ("interval.ms", "99", "INVALID_REQUEST"),
        ("match", "client_id=a.*", "NONE"),
        ("match", "planet=earth", "INVALID_CONFIG"),
        ("no.such.key", "1", "INVALID_REQUEST"),
    ] {
        assert_eq!(set(key, value).await, expected, "{key}={value}");
    }
    let in_force = async {
        loop {
            let configs = describe(&mut connection, 4, CLIENT_METRICS, name).await.expect("described");
            if configs.contains_key("interval.ms")
                && value(&configs, "interval.ms") == ("500", CLIENT_METRICS_CONFIG)
            {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, in_force).await.expect("in force");
}

async fn resources_that_cannot_be_configured(broker: &Broker) {
    let mut connection = broker.connect().await;
    for kind in [0, 1, 3, 99] {
        assert_eq!(describe(&mut connection, 4, kind, "x").await, Err("INVALID_REQUEST"), "type {kind}");
        let altered = alter_resource(&mut connection, (kind, "x"), 0, "k", Some("v"), true).await;
        assert_eq!(altered.0, "INVALID_REQUEST", "type {kind}");
    }
}

async fn resources_are_listed(broker: &Broker) {
    if !broker.offers(ApiKey::ListConfigResources, 1) {
        return;
    }
    let mut connection = broker.connect().await;
    let topic = unique("configs-list");
    connection.create_topic(&topic, &[]).await;
    let mut list = async |version, types: &[i8]| {
        let request = ListConfigResourcesRequest::default().with_resource_types(types.to_vec());
        let response = connection.call(version, &request).await;
        let found = response
            .config_resources
            .iter()
            .map(|found| (found.resource_type, found.resource_name.to_string()));
        (ErrorCode::from(response.error_code).name(), found.collect::<Vec<_>>())
    };
    let (error, all) = list(1, &[]).await;
    assert_eq!(error, "NONE");
    for expected in [(TOPIC, topic.clone()), (BROKER, "1".to_owned()), (8, "1".to_owned())] {
        assert!(all.contains(&expected), "{expected:?}");
    }
    let (_, topics) = list(1, &[TOPIC]).await;
    assert!(topics.contains(&(TOPIC, topic)) && topics.iter().all(|(kind, _)| *kind == TOPIC));
    assert_eq!(list(1, &[99]).await, ("UNSUPPORTED_VERSION", vec![]));
    let (error, subscriptions) = list(0, &[]).await;
    assert!(error == "NONE" && subscriptions.iter().all(|(kind, _)| *kind == CLIENT_METRICS));
}
