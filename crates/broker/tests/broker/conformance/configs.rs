//! DescribeConfigs, IncrementalAlterConfigs, AlterConfigs.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest, alter_configs_request,
    incremental_alter_configs_request,
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
}

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

async fn describe(
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
    let config = incremental_alter_configs_request::AlterableConfig::default()
        .with_name(text(key))
        .with_config_operation(operation)
        .with_value(value.map(text));
    let resource = incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(topic))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
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
