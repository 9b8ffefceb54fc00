//! The configuration of a topic (Java: `LogConfig`, `TopicConfig`, `ServerTopicConfigSynonyms`).

use std::collections::BTreeMap;

use milena_records::{Codec, Compression, TimestampType};

use super::definition::{Definition, Kind, Valid, nearest, parse_boolean, split_list};

/// A topic's key, and the broker's keys that give its default, the first one that is set.
pub(crate) struct TopicKey {
    pub(crate) definition: Definition,
    pub(crate) synonyms: &'static [Synonym],
}

/// A broker's key, and what its unit is worth in the topic's.
pub(crate) struct Synonym {
    pub(crate) name: &'static str,
    pub(crate) factor: i64,
}

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    valid: Valid,
    synonyms: &'static [Synonym],
) -> TopicKey {
    TopicKey { definition: Definition::new(name, kind, default, valid), synonyms }
}

const fn same(name: &'static str) -> Synonym {
    Synonym { name, factor: 1 }
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

const CLEANUP_POLICIES: &[&str] = &["compact", "delete"];
const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];
/// The values of a topic's or broker's `compression.type` (Java: `BrokerCompressionType`).
const COMPRESSION_TYPES: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

/// Every key of a topic, in alphabetical order, as Kafka 4.3 defines it.
pub(crate) static TOPIC_KEYS: &[TopicKey] = &[
    key(
        "cleanup.policy",
        Kind::List,
        "delete",
        Valid::SomeOf(CLEANUP_POLICIES),
        &[same("log.cleanup.policy")],
    ),
    key(
        "compression.gzip.level",
        Kind::Int,
        "-1",
        Valid::Level(Compression::Gzip),
        &[same("compression.gzip.level")],
    ),
    key(
        "compression.lz4.level",
        Kind::Int,
        "9",
        Valid::Level(Compression::Lz4),
        &[same("compression.lz4.level")],
    ),
    key(
        "compression.type",
        Kind::String,
        "producer",
        Valid::OneOf(COMPRESSION_TYPES),
        &[same("compression.type")],
    ),
    key(
        "compression.zstd.level",
        Kind::Int,
        "3",
        Valid::Level(Compression::Zstd),
        &[same("compression.zstd.level")],
    ),
    key(
        "delete.retention.ms",
        Kind::Long,
        "86400000",
        Valid::AtLeast(0),
        &[same("log.cleaner.delete.retention.ms")],
    ),
    key(
        "file.delete.delay.ms",
        Kind::Long,
        "60000",
        Valid::AtLeast(0),
        &[same("log.segment.delete.delay.ms")],
    ),
    key(
        "flush.messages",
        Kind::Long,
        "9223372036854775807",
        Valid::AtLeast(1),
        &[same("log.flush.interval.messages")],
    ),
    key(
        "flush.ms",
        Kind::Long,
        "9223372036854775807",
        Valid::AtLeast(0),
        &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")],
    ),
    key("follower.replication.throttled.replicas", Kind::List, "", Valid::ThrottledReplicas, &[]),
    key("index.interval.bytes", Kind::Int, "4096", Valid::AtLeast(0), &[same("log.index.interval.bytes")]),
    key("internal.segment.bytes", Kind::Int, "", Valid::Any, &[]),
    key("leader.replication.throttled.replicas", Kind::List, "", Valid::ThrottledReplicas, &[]),
    key("local.retention.bytes", Kind::Long, "-2", Valid::AtLeast(-2), &[same("log.local.retention.bytes")]),
    key("local.retention.ms", Kind::Long, "-2", Valid::AtLeast(-2), &[same("log.local.retention.ms")]),
    key(
        "max.compaction.lag.ms",
        Kind::Long,
        "9223372036854775807",
        Valid::AtLeast(1),
        &[same("log.cleaner.max.compaction.lag.ms")],
    ),
    key("max.message.bytes", Kind::Int, "1048588", Valid::AtLeast(0), &[same("message.max.bytes")]),
    key(
        "message.timestamp.after.max.ms",
        Kind::Long,
        "3600000",
        Valid::AtLeast(0),
        &[same("log.message.timestamp.after.max.ms")],
    ),
    key(
        "message.timestamp.before.max.ms",
        Kind::Long,
        "9223372036854775807",
        Valid::AtLeast(0),
        &[same("log.message.timestamp.before.max.ms")],
    ),
    key(
        "message.timestamp.type",
        Kind::String,
        "CreateTime",
        Valid::OneOf(TIMESTAMP_TYPES),
        &[same("log.message.timestamp.type")],
    ),
    key(
        "min.cleanable.dirty.ratio",
        Kind::Double,
        "0.5",
        Valid::Fraction(1.0),
        &[same("log.cleaner.min.cleanable.ratio")],
    ),
    key(
        "min.compaction.lag.ms",
        Kind::Long,
        "0",
        Valid::AtLeast(0),
        &[same("log.cleaner.min.compaction.lag.ms")],
    ),
    key("min.insync.replicas", Kind::Int, "1", Valid::AtLeast(1), &[same("min.insync.replicas")]),
    key("preallocate", Kind::Boolean, "false", Valid::Any, &[same("log.preallocate")]),
    key("remote.log.copy.disable", Kind::Boolean, "false", Valid::Any, &[]),
    key("remote.log.delete.on.disable", Kind::Boolean, "false", Valid::Any, &[]),
    key("remote.storage.enable", Kind::Boolean, "false", Valid::Any, &[]),
    key("retention.bytes", Kind::Long, "-1", Valid::Any, &[same("log.retention.bytes")]),
    key(
        "retention.ms",
        Kind::Long,
        "604800000",
        Valid::AtLeast(-1),
        &[
            same("log.retention.ms"),
            Synonym { name: "log.retention.minutes", factor: MINUTE_MS },
            Synonym { name: "log.retention.hours", factor: HOUR_MS },
        ],
    ),
    key("segment.bytes", Kind::Int, "1073741824", Valid::AtLeast(1024 * 1024), &[same("log.segment.bytes")]),
    key("segment.index.bytes", Kind::Int, "10485760", Valid::AtLeast(4), &[same("log.index.size.max.bytes")]),
    key(
        "segment.jitter.ms",
        Kind::Long,
        "0",
        Valid::AtLeast(0),
        &[same("log.roll.jitter.ms"), Synonym { name: "log.roll.jitter.hours", factor: HOUR_MS }],
    ),
    key(
        "segment.ms",
        Kind::Long,
        "604800000",
        Valid::AtLeast(1),
        &[same("log.roll.ms"), Synonym { name: "log.roll.hours", factor: HOUR_MS }],
    ),
    key(
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        Valid::Any,
        &[same("unclean.leader.election.enable")],
    ),
];

/// Keys that Kafka defines as internal: accepted, and not listed.
const INTERNAL_TOPIC_KEYS: &[&str] = &["internal.segment.bytes"];

impl TopicKey {
    /// Whether the key is left out of listings.
    pub(crate) fn is_internal(&self) -> bool {
        INTERNAL_TOPIC_KEYS.contains(&self.definition.name)
    }
}

/// The definition of a topic's key.
pub(crate) fn topic_key(name: &str) -> Option<&'static TopicKey> {
    TOPIC_KEYS.binary_search_by(|key| key.definition.name.cmp(name)).ok().map(|index| &TOPIC_KEYS[index])
}

/// Checks the overrides of a topic: known names, valid values, no contradiction.
pub(crate) fn check_topic_overrides(overrides: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in overrides {
        let key = topic_key(name).ok_or_else(|| unknown(name))?;
        key.definition.check(value)?;
    }
    let number =
        |name: &str, default: i64| overrides.get(name).and_then(|v| v.trim().parse().ok()).unwrap_or(default);
    let (min_lag, max_lag) = (number("min.compaction.lag.ms", 0), number("max.compaction.lag.ms", i64::MAX));
    if min_lag > max_lag {
        return Err(format!(
            "min.compaction.lag.ms={min_lag} exceeds max.compaction.lag.ms={max_lag}; lower the one or raise the other"
        ));
    }
    Ok(())
}

fn unknown(name: &str) -> String {
    let known = TOPIC_KEYS.iter().filter(|key| !key.is_internal()).map(|key| key.definition.name);
    let hint = nearest(name, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    format!("unknown topic config {name}{hint}")
}

/// A topic's effective configuration, as far as the broker acts on it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TopicConfig {
    /// `cleanup.policy` contains `delete`.
    pub(crate) delete: bool,
    /// `cleanup.policy` contains `compact`.
    pub(crate) compact: bool,
    /// What batches are stored in; `None` keeps the producer's compression.
    pub(crate) compression: Option<Codec>,
    pub(crate) max_message_bytes: usize,
    pub(crate) min_insync_replicas: usize,
    /// `index.interval.bytes`: as far as it shows in which aborted transactions a fetch is told.
    pub(crate) index_interval_bytes: usize,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) timestamp_before_max_ms: i64,
    pub(crate) timestamp_after_max_ms: i64,
    /// `None` keeps records for ever.
    pub(crate) retention_ms: Option<i64>,
    /// `None` has no limit.
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) segment_bytes: usize,
    pub(crate) segment_ms: i64,
    pub(crate) segment_jitter_ms: i64,
    pub(crate) unclean_leader_election: bool,
    pub(crate) compaction: CompactionConfig,
}

/// When and how a compacted log is cleaned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CompactionConfig {
    pub(crate) min_cleanable_ratio: f64,
    pub(crate) delete_retention_ms: i64,
    pub(crate) min_lag_ms: i64,
    pub(crate) max_lag_ms: i64,
}

impl TopicConfig {
    /// Reads the effective values; `value_of` must return checked values for every key of a topic.
    pub(crate) fn from_values(value_of: impl Fn(&TopicKey) -> String) -> Self {
        let text = |name: &str| value_of(topic_key(name).expect("a key of the table above"));
        let number = |name: &str| text(name).trim().parse::<i64>().unwrap_or_default();
        let size = |name: &str| usize::try_from(number(name)).unwrap_or_default();
        let policies = text("cleanup.policy");
        let policies = split_list(&policies);
        let segment_bytes = match text("internal.segment.bytes").trim().parse() {
            Ok(internal) => internal,
            Err(_) => size("segment.bytes"),
        };
        Self {
            delete: policies.contains(&"delete"),
            compact: policies.contains(&"compact"),
            compression: compression(&text("compression.type"), |name| number(name) as i32),
            max_message_bytes: size("max.message.bytes"),
            min_insync_replicas: size("min.insync.replicas"),
            index_interval_bytes: size("index.interval.bytes"),
            timestamp_type: match text("message.timestamp.type").as_str() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            retention_ms: Some(number("retention.ms")).filter(|ms| *ms >= 0),
            retention_bytes: u64::try_from(number("retention.bytes")).ok(),
            segment_bytes,
            segment_ms: number("segment.ms"),
            segment_jitter_ms: number("segment.jitter.ms"),
            unclean_leader_election: is_true(&text("unclean.leader.election.enable")),
            compaction: CompactionConfig {
                min_cleanable_ratio: text("min.cleanable.dirty.ratio").trim().parse().unwrap_or_default(),
                delete_retention_ms: number("delete.retention.ms"),
                min_lag_ms: number("min.compaction.lag.ms"),
                max_lag_ms: number("max.compaction.lag.ms"),
            },
        }
    }

    /// The configuration of a topic without overrides on a broker without settings.
    #[cfg(test)]
    pub(crate) fn defaults() -> Self {
        Self::from_values(|key| key.definition.default.unwrap_or_default().to_owned())
    }
}

fn compression(name: &str, level: impl Fn(&str) -> i32) -> Option<Codec> {
    let with_level = |compression, key| Codec::with_level(compression, level(key)).ok();
    match name {
        "uncompressed" => Some(Codec::NONE),
        "gzip" => with_level(Compression::Gzip, "compression.gzip.level"),
        "lz4" => with_level(Compression::Lz4, "compression.lz4.level"),
        "zstd" => with_level(Compression::Zstd, "compression.zstd.level"),
        "snappy" => Some(Codec::new(Compression::Snappy)),
        _ => None,
    }
}

/// Whether a key's value is true; a checked value always is one or the other.
pub(crate) fn is_true(value: &str) -> bool {
    parse_boolean(value.trim()).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_their_defaults_are_valid() {
        assert!(TOPIC_KEYS.is_sorted_by(|one, other| one.definition.name < other.definition.name));
        for key in TOPIC_KEYS {
            let default = key.definition.default.expect("every key of a topic has one");
            if !default.is_empty() {
                assert_eq!(key.definition.check(default), Ok(()), "{}", key.definition.name);
            }
        }
    }

    #[test]
    fn defaults_are_kafkas() {
        let config = TopicConfig::defaults();
        assert!(config.delete && !config.compact);
        assert_eq!(config.compression, None);
        assert_eq!((config.max_message_bytes, config.min_insync_replicas), (1_048_588, 1));
        assert_eq!((config.retention_ms, config.retention_bytes), (Some(604_800_000), None));
        assert_eq!((config.segment_bytes, config.segment_ms), (1 << 30, 604_800_000));
    }

    #[test]
    fn unknown_names_and_contradictions_are_refused() {
        let overrides = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect::<BTreeMap<_, _>>()
        };
        assert_eq!(
            check_topic_overrides(&overrides(&[("retention", "1")])),
            Err("unknown topic config retention; did you mean retention.ms?".to_owned())
        );
        let lags = overrides(&[("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "4")]);
        assert!(
            check_topic_overrides(&lags)
                .is_err_and(|message| message.starts_with("min.compaction.lag.ms=5 exceeds"))
        );
    }
}
