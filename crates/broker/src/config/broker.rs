//! The configuration of a broker, by Kafka's names (Java: `KafkaConfig`, `DynamicBrokerConfig`).

use milena_records::Compression;

use super::definition::{Definition, Kind, Valid};

/// A broker's key.
pub(crate) struct BrokerKey {
    pub(crate) definition: Definition,
    /// Whether it may be changed while the broker runs (KIP-226).
    pub(crate) dynamic: bool,
}

const fn fixed(name: &'static str, kind: Kind, default: &'static str, valid: Valid) -> BrokerKey {
    BrokerKey { definition: Definition::new(name, kind, default, valid), dynamic: false }
}

const fn dynamic(name: &'static str, kind: Kind, default: &'static str, valid: Valid) -> BrokerKey {
    BrokerKey { definition: Definition::new(name, kind, default, valid), dynamic: true }
}

const fn unset(name: &'static str, kind: Kind, valid: Valid, dynamic: bool) -> BrokerKey {
    BrokerKey { definition: Definition::without_default(name, kind, valid), dynamic }
}

const CLEANUP_POLICIES: &[&str] = &["compact", "delete"];
const COMPRESSION_TYPES: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
const ASSIGNORS: &[&str] = &["uniform", "range"];
const MIGRATION_POLICIES: &[&str] = &["bidirectional", "upgrade", "downgrade", "disabled"];
const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];

/// The keys that the embedded broker knows, in alphabetical order, with Kafka 4.3's defaults.
#[rustfmt::skip] // A table: one key per line.
pub(crate) static BROKER_KEYS: &[BrokerKey] = &[
    fixed("add.partitions.to.txn.retry.backoff.max.ms", Kind::Int, "100", Valid::AtLeast(0)),
    fixed("add.partitions.to.txn.retry.backoff.ms", Kind::Int, "20", Valid::AtLeast(1)),
    unset("advertised.listeners", Kind::List, Valid::Any, false),
    fixed("auto.create.topics.enable", Kind::Boolean, "true", Valid::Any),
    fixed("broker.id", Kind::Int, "-1", Valid::Any),
    unset("broker.rack", Kind::String, Valid::Any, false),
    dynamic("compression.gzip.level", Kind::Int, "-1", Valid::Level(Compression::Gzip)),
    dynamic("compression.lz4.level", Kind::Int, "9", Valid::Level(Compression::Lz4)),
    dynamic("compression.type", Kind::String, "producer", Valid::OneOf(COMPRESSION_TYPES)),
    dynamic("compression.zstd.level", Kind::Int, "3", Valid::Level(Compression::Zstd)),
    fixed("connections.max.idle.ms", Kind::Long, "600000", Valid::Any),
    fixed("default.replication.factor", Kind::Int, "1", Valid::AtLeast(1)),
    fixed("delete.topic.enable", Kind::Boolean, "true", Valid::Any),
    fixed("fetch.max.bytes", Kind::Int, "57671680", Valid::AtLeast(1024)),
    dynamic("group.consumer.assignment.interval.ms", Kind::Int, "1000", Valid::AtLeast(0)),
    fixed("group.consumer.assignors", Kind::List, "uniform,range", Valid::SomeOf(ASSIGNORS)),
    fixed("group.consumer.heartbeat.interval.ms", Kind::Int, "5000", Valid::AtLeast(1)),
    fixed("group.consumer.max.size", Kind::Int, "2147483647", Valid::AtLeast(1)),
    fixed("group.consumer.migration.policy", Kind::String, "bidirectional", Valid::OneOf(MIGRATION_POLICIES)),
    fixed("group.consumer.regex.refresh.interval.ms", Kind::Int, "600000", Valid::AtLeast(10_000)),
    fixed("group.consumer.session.timeout.ms", Kind::Int, "45000", Valid::AtLeast(1)),
    fixed("group.initial.rebalance.delay.ms", Kind::Int, "3000", Valid::Any),
    fixed("group.max.session.timeout.ms", Kind::Int, "1800000", Valid::Any),
    fixed("group.max.size", Kind::Int, "2147483647", Valid::AtLeast(1)),
    fixed("group.min.session.timeout.ms", Kind::Int, "6000", Valid::Any),
    unset("listeners", Kind::List, Valid::Any, false),
    dynamic("log.cleaner.delete.retention.ms", Kind::Long, "86400000", Valid::AtLeast(0)),
    dynamic("log.cleaner.max.compaction.lag.ms", Kind::Long, "9223372036854775807", Valid::AtLeast(1)),
    dynamic("log.cleaner.min.cleanable.ratio", Kind::Double, "0.5", Valid::ZeroToOne),
    dynamic("log.cleaner.min.compaction.lag.ms", Kind::Long, "0", Valid::AtLeast(0)),
    dynamic("log.cleanup.policy", Kind::List, "delete", Valid::SomeOf(CLEANUP_POLICIES)),
    dynamic("log.flush.interval.messages", Kind::Long, "9223372036854775807", Valid::AtLeast(1)),
    dynamic("log.index.interval.bytes", Kind::Int, "4096", Valid::AtLeast(0)),
    dynamic("log.index.size.max.bytes", Kind::Int, "10485760", Valid::AtLeast(4)),
    dynamic("log.local.retention.bytes", Kind::Long, "-2", Valid::AtLeast(-2)),
    dynamic("log.local.retention.ms", Kind::Long, "-2", Valid::AtLeast(-2)),
    dynamic("log.message.timestamp.after.max.ms", Kind::Long, "3600000", Valid::AtLeast(0)),
    dynamic("log.message.timestamp.before.max.ms", Kind::Long, "9223372036854775807", Valid::AtLeast(0)),
    dynamic("log.message.timestamp.type", Kind::String, "CreateTime", Valid::OneOf(TIMESTAMP_TYPES)),
    dynamic("log.preallocate", Kind::Boolean, "false", Valid::Any),
    dynamic("log.retention.bytes", Kind::Long, "-1", Valid::Any),
    fixed("log.retention.check.interval.ms", Kind::Long, "300000", Valid::AtLeast(1)),
    fixed("log.retention.hours", Kind::Int, "168", Valid::Any),
    unset("log.retention.minutes", Kind::Int, Valid::Any, false),
    unset("log.retention.ms", Kind::Long, Valid::Any, true),
    fixed("log.roll.hours", Kind::Int, "168", Valid::AtLeast(1)),
    fixed("log.roll.jitter.hours", Kind::Int, "0", Valid::AtLeast(0)),
    unset("log.roll.jitter.ms", Kind::Long, Valid::Any, true),
    unset("log.roll.ms", Kind::Long, Valid::Any, true),
    dynamic("log.segment.bytes", Kind::Int, "1073741824", Valid::AtLeast(1024 * 1024)),
    dynamic("log.segment.delete.delay.ms", Kind::Long, "60000", Valid::AtLeast(0)),
    dynamic("max.connections", Kind::Int, "2147483647", Valid::AtLeast(0)),
    fixed("max.incremental.fetch.session.cache.slots", Kind::Int, "1000", Valid::AtLeast(0)),
    fixed("max.request.partition.size.limit", Kind::Int, "2000", Valid::AtLeast(1)),
    dynamic("message.max.bytes", Kind::Int, "1048588", Valid::AtLeast(0)),
    dynamic("min.insync.replicas", Kind::Int, "1", Valid::AtLeast(1)),
    unset("node.id", Kind::Int, Valid::AtLeast(0), false),
    fixed("num.partitions", Kind::Int, "1", Valid::AtLeast(1)),
    fixed("offset.metadata.max.bytes", Kind::Int, "4096", Valid::Any),
    fixed("offsets.retention.check.interval.ms", Kind::Long, "600000", Valid::AtLeast(1)),
    fixed("offsets.retention.minutes", Kind::Int, "10080", Valid::AtLeast(1)),
    fixed("offsets.topic.num.partitions", Kind::Int, "50", Valid::AtLeast(1)),
    fixed("offsets.topic.replication.factor", Kind::Int, "3", Valid::AtLeast(1)),
    fixed("offsets.topic.segment.bytes", Kind::Int, "104857600", Valid::AtLeast(1)),
    fixed("producer.id.expiration.check.interval.ms", Kind::Int, "600000", Valid::AtLeast(1)),
    dynamic("producer.id.expiration.ms", Kind::Int, "86400000", Valid::AtLeast(1)),
    fixed("queued.max.requests", Kind::Int, "500", Valid::AtLeast(1)),
    fixed("socket.request.max.bytes", Kind::Int, "104857600", Valid::AtLeast(1)),
    fixed("transaction.abort.timed.out.transaction.cleanup.interval.ms", Kind::Int, "10000", Valid::AtLeast(1)),
    fixed("transaction.max.timeout.ms", Kind::Int, "900000", Valid::AtLeast(1)),
    dynamic("transaction.partition.verification.enable", Kind::Boolean, "true", Valid::Any),
    fixed("transaction.remove.expired.transaction.cleanup.interval.ms", Kind::Int, "3600000", Valid::AtLeast(1)),
    fixed("transaction.state.log.num.partitions", Kind::Int, "50", Valid::AtLeast(1)),
    fixed("transaction.state.log.replication.factor", Kind::Int, "3", Valid::AtLeast(1)),
    fixed("transaction.state.log.segment.bytes", Kind::Int, "104857600", Valid::AtLeast(1)),
    fixed("transactional.id.expiration.ms", Kind::Int, "604800000", Valid::AtLeast(1)),
    dynamic("unclean.leader.election.enable", Kind::Boolean, "false", Valid::Any),
];

/// The definition of a broker's key.
pub(crate) fn broker_key(name: &str) -> Option<&'static BrokerKey> {
    BROKER_KEYS.binary_search_by(|key| key.definition.name.cmp(name)).ok().map(|index| &BROKER_KEYS[index])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::topic::TOPIC_KEYS;

    #[test]
    fn keys_are_sorted_and_their_defaults_are_valid() {
        assert!(BROKER_KEYS.is_sorted_by(|one, other| one.definition.name < other.definition.name));
        for key in BROKER_KEYS {
            if let Some(default) = key.definition.default {
                assert_eq!(key.definition.check(default), Ok(()), "{}", key.definition.name);
            }
        }
    }

    #[test]
    fn every_synonym_of_a_topics_key_is_a_key_with_the_same_default() {
        for topic_key in TOPIC_KEYS {
            for synonym in topic_key.synonyms {
                let key = broker_key(synonym.name).unwrap_or_else(|| panic!("{} is missing", synonym.name));
                let scaled = key.definition.default.map(|value| match synonym.factor {
                    1 => value.to_owned(),
                    factor => (value.parse::<i64>().expect("a number") * factor).to_string(),
                });
                if let Some(scaled) = scaled {
                    assert_eq!(Some(scaled.as_str()), topic_key.definition.default, "{}", synonym.name);
                }
            }
        }
    }
}
