//! What holds when nothing is said.

use milena_client::{ClientConfig, MetadataRecovery};
use milena_producer::ProducerConfig;

use super::*;
use crate::settings;

#[test]
fn everything_can_be_read_with_all_defaults() {
    let client = resolved([]);
    let producer = client.producer().unwrap();
    assert_eq!(producer.acks, Acks::All);
    assert!(producer.enable_idempotence);
    assert_eq!(producer.linger, Duration::from_millis(5));
    assert_eq!((producer.batch_size, producer.buffer_memory), (16_384, 32 << 20));
    assert_eq!(producer.delivery_timeout, Duration::from_secs(120));
    assert_eq!(producer.compression, Codec::NONE);
    assert!(matches!(producer.partitioning, Partitioning::Key { hash: KeyHash::Murmur2, .. }));
    assert_eq!(producer.common.receive_buffer_bytes, Some(32 * 1024));
    assert_eq!(warned(&producer.warnings), [""; 0]);

    let consumer = client.consumer().unwrap();
    assert_eq!(consumer.auto_offset_reset, OffsetReset::Latest);
    assert_eq!(consumer.isolation_level, IsolationLevel::ReadUncommitted);
    assert_eq!(consumer.group_protocol, GroupProtocol::Classic);
    assert_eq!(consumer.assignors, [Assignor::Range, Assignor::CooperativeSticky]);
    assert!(!consumer.enable_auto_commit, "there is no group to commit to");
    assert_eq!(consumer.common.receive_buffer_bytes, Some(64 * 1024));
    assert_eq!(consumer.common.connections_max_idle, Some(Duration::from_secs(540)));

    let admin = client.admin().unwrap();
    assert_eq!(admin.common.connections_max_idle, Some(Duration::from_secs(300)));
    assert!(!admin.common.enable_metrics_push);

    let common = client.common().unwrap();
    assert_eq!(common.security.protocol, SecurityProtocol::Plaintext);
    assert!(common.security.tls.verify_hostname && common.security.tls.verify_certificate);
    assert_eq!(common.retry_backoff.max, Duration::from_secs(1));
    assert_eq!(common.bootstrap_servers, []);
    assert_eq!(warned(&common.warnings), [""; 0]);
}

#[test]
fn a_property_that_applies_can_be_given_its_default() {
    for definition in catalog::definitions().filter(|definition| definition.effect == Effect::Applies) {
        if let Some(default) = definition.default {
            let client = resolved([(definition.name, default)]);
            assert!(client.is_set(definition.name), "{}", definition.name);
            assert_eq!(warned(client.warnings()), [""; 0]);
        }
    }
}

#[test]
fn the_defaults_of_the_properties_are_the_defaults_of_the_clients() {
    let producer = resolved([]).producer().unwrap();
    let mut ours = ProducerConfig::default();
    // Java's largest int here, the largest number there: both are no bound.
    ours.retries = i32::MAX as u32;
    let common = settings::client_config(&producer.common).unwrap();
    let given = settings::producer_config(producer).unwrap();
    assert_eq!(format!("{given:?}"), format!("{ours:?}"));
    assert!(given.validate().is_ok());
    assert_eq!(format!("{common:?}"), format!("{:?}", ClientConfig::new(Vec::new())));
}

#[test]
fn a_client_is_made_of_what_was_given() {
    let common = resolved([
        ("bootstrap.servers", "a:1"),
        ("client.id", "app"),
        ("request.timeout.ms", "7"),
        ("metadata.recovery.strategy", "none"),
        ("connections.max.idle.ms", "-1"),
    ]);
    let config = settings::client_config(&common.common().unwrap()).unwrap();
    assert_eq!(config.bootstrap[0].to_string(), "a:1");
    assert_eq!(config.connection.client_id.as_deref(), Some("app"));
    assert_eq!(config.connection.request_timeout, Duration::from_millis(7));
    assert_eq!(config.metadata_recovery, MetadataRecovery::None);
    assert!(config.connections_max_idle > Duration::from_secs(10 * 365 * 24 * 60 * 60));
}

#[test]
fn a_producer_is_made_of_what_was_given() {
    let producer = resolved([
        ("acks", "1"),
        ("linger.ms", "10"),
        ("batch.size", "32768"),
        ("compression.type", "lz4"),
        ("partitioner", "md5_random"),
        ("delivery.timeout.ms", "60000"),
    ]);
    let config = settings::producer_config(producer.producer().unwrap()).unwrap();
    assert_eq!((config.acks, config.enable_idempotence), (Acks::Leader, false));
    assert_eq!((config.linger, config.batch_size), (Duration::from_millis(10), 32_768));
    assert_eq!(config.compression.compression(), Compression::Lz4);
    assert!(matches!(config.partitioning, Partitioning::Key { hash: KeyHash::Md5, .. }));
    assert_eq!(config.delivery_timeout, Duration::from_secs(60));
}
