//! Configuration of what is not there: brokers' keys that nobody knows, and loggers.

use kafka_protocol::messages::{AlterConfigsRequest, alter_configs_request};
use milena_protocol::ErrorCode;

use super::configs::{BROKER, DYNAMIC_BROKER, DYNAMIC_DEFAULT_BROKER, alter_resource, describe};
use crate::support::*;

cases! {
    a_brokers_key_that_nobody_knows_is_taken_for_a_secret,
    loggers_that_are_not_there_have_no_level,
}

const BROKER_LOGGER: i8 = 8;

async fn a_brokers_key_that_nobody_knows_is_taken_for_a_secret(broker: &Broker) {
    let mut connection = broker.connect().await;
    let key = &*unique("nobodys.key");
    let told = async |resource: &str| {
        let configs = describe(&mut broker.connect().await, 4, BROKER, resource).await.expect("described");
        configs.get(key).cloned()
    };
    let until = async |resource: &str, sources: &[i8]| {
        let in_force = async {
            loop {
                let found = told(resource).await;
                let synonyms = found.iter().flat_map(|config| &config.synonyms);
                if synonyms.map(|synonym| synonym.source).eq(sources.iter().copied()) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, in_force).await.expect("in force in time")
    };
    let mut alter = async |resource: &str, operation: i8, value: Option<&str>| {
        let altered = alter_resource(&mut connection, (BROKER, resource), operation, key, value, false).await;
        assert_eq!(altered.0, "NONE", "{}", altered.1);
    };
    assert_eq!(told("1").await, None);
    alter("", 0, Some("for all")).await;
    until("1", &[DYNAMIC_DEFAULT_BROKER]).await;
    alter("1", 0, Some("for one")).await;
    let of_all = until("", &[DYNAMIC_DEFAULT_BROKER]).await.expect("it is there");
    let of_one = until("1", &[DYNAMIC_BROKER, DYNAMIC_DEFAULT_BROKER]).await.expect("it is there");
    for (config, source) in [(of_all, DYNAMIC_DEFAULT_BROKER), (of_one, DYNAMIC_BROKER)] {
        assert_eq!((config.value, config.config_source, config.config_type), (None, source, 0));
        assert!(config.is_sensitive && config.read_only);
        assert!(config.synonyms.iter().all(|synonym| *synonym.name == *key && synonym.value.is_none()));
    }
    for resource in ["1", ""] {
        alter(resource, 1, None).await;
    }
    // For a moment a real broker shows it without anybody who has set it.
    let forgotten = async { while told("1").await.is_some() {} };
    tokio::time::timeout(PATIENCE, forgotten).await.expect("forgotten in time");
}

async fn loggers_that_are_not_there_have_no_level(broker: &Broker) {
    let mut connection = broker.connect().await;
    let logger = "no.such.logger";
    for (resource, operation, given, expected) in [
        ("1", 0, Some("DEBUG"), "INVALID_CONFIG"),
        ("1", 0, Some("LOUD"), "INVALID_CONFIG"),
        ("1", 1, None, "INVALID_CONFIG"),
        ("1", 0, None, "INVALID_REQUEST"),
        ("1", 2, Some("DEBUG"), "INVALID_REQUEST"),
        ("1", 3, Some("DEBUG"), "INVALID_REQUEST"),
        ("1", 9, Some("DEBUG"), "UNKNOWN_SERVER_ERROR"),
        ("2", 0, Some("DEBUG"), "INVALID_REQUEST"),
        ("", 0, Some("DEBUG"), "INVALID_REQUEST"),
        ("one", 0, Some("DEBUG"), "INVALID_REQUEST"),
    ] {
        let resource = (BROKER_LOGGER, resource);
        let (error, message) =
            alter_resource(&mut connection, resource, operation, logger, given, true).await;
        assert_eq!(error, expected, "{resource:?} {operation} {given:?}: {message}");
    }
    assert!(describe(&mut connection, 4, BROKER_LOGGER, "1").await.is_ok_and(|it| !it.contains_key(logger)));
    for resource in ["", "2", "one"] {
        assert_eq!(describe(&mut connection, 4, BROKER_LOGGER, resource).await, Err("INVALID_REQUEST"));
    }
    let resource = alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(BROKER_LOGGER)
        .with_resource_name(text("1"));
    let request = AlterConfigsRequest::default().with_resources(vec![resource]);
    let replaced = connection.call(1, &request).await.responses.remove(0);
    assert_eq!(ErrorCode::from(replaced.error_code), ErrorCode::InvalidRequest, "levels are not replaced");
}
