//! What holds when nothing is said.

use super::*;

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
