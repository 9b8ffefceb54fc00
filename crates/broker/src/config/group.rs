//! The configuration of a group (KIP-848, 932, 1071; Java: `GroupConfig`).

use std::collections::BTreeMap;

use super::Values;
use super::definition::{Definition, Kind, Valid};

/// A group's key, and the broker's key that gives its default.
#[derive(Debug)]
pub(crate) struct GroupKey {
    pub(crate) definition: Definition,
    pub(crate) synonym: Option<&'static str>,
    /// The broker's keys for the least and the greatest value that a group may have.
    limits: Limits,
}

type Limits = (Option<&'static str>, Option<&'static str>);

const NO_LIMITS: Limits = (None, None);

const fn key(
    name: &'static str,
    default: &'static str,
    min: i64,
    synonym: &'static str,
    limits: Limits,
) -> GroupKey {
    let definition = Definition::new(name, Kind::Int, default, Valid::AtLeast(min));
    GroupKey { definition, synonym: Some(synonym), limits }
}

const fn own(name: &'static str, kind: Kind, default: &'static str, valid: Valid) -> GroupKey {
    GroupKey { definition: Definition::new(name, kind, default, valid), synonym: None, limits: NO_LIMITS }
}

const fn between(min: &'static str, max: &'static str) -> Limits {
    (Some(min), Some(max))
}

const ISOLATION_LEVELS: &[&str] = &["read_committed", "read_uncommitted"];

/// In alphabetical order, as Kafka 4.3 defines them.
#[rustfmt::skip] // A table: one key per line or two.
pub(crate) static GROUP_KEYS: &[GroupKey] = &[
    key("consumer.assignment.interval.ms", "1000", 0, "group.consumer.assignment.interval.ms",
        between("group.consumer.min.assignment.interval.ms", "group.consumer.max.assignment.interval.ms")),
    key("consumer.heartbeat.interval.ms", "5000", 1, "group.consumer.heartbeat.interval.ms",
        between("group.consumer.min.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms")),
    key("consumer.session.timeout.ms", "45000", 1, "group.consumer.session.timeout.ms",
        between("group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms")),
    key("share.assignment.interval.ms", "1000", 0, "group.share.assignment.interval.ms",
        between("group.share.min.assignment.interval.ms", "group.share.max.assignment.interval.ms")),
    own("share.auto.offset.reset", Kind::String, "latest", Valid::OffsetReset),
    key("share.delivery.count.limit", "5", 2, "group.share.delivery.count.limit",
        between("group.share.min.delivery.count.limit", "group.share.max.delivery.count.limit")),
    key("share.heartbeat.interval.ms", "5000", 1, "group.share.heartbeat.interval.ms",
        between("group.share.min.heartbeat.interval.ms", "group.share.max.heartbeat.interval.ms")),
    own("share.isolation.level", Kind::String, "read_uncommitted", Valid::OneOf(ISOLATION_LEVELS)),
    key("share.partition.max.record.locks", "2000", 100, "group.share.partition.max.record.locks",
        between("group.share.min.partition.max.record.locks", "group.share.max.partition.max.record.locks")),
    key("share.record.lock.duration.ms", "30000", 1000, "group.share.record.lock.duration.ms",
        between("group.share.min.record.lock.duration.ms", "group.share.max.record.lock.duration.ms")),
    own("share.renew.acknowledge.enable", Kind::Boolean, "true", Valid::Any),
    key("share.session.timeout.ms", "45000", 1, "group.share.session.timeout.ms",
        between("group.share.min.session.timeout.ms", "group.share.max.session.timeout.ms")),
    key("streams.assignment.interval.ms", "1000", 0, "group.streams.assignment.interval.ms",
        between("group.streams.min.assignment.interval.ms", "group.streams.max.assignment.interval.ms")),
    key("streams.heartbeat.interval.ms", "5000", 1, "group.streams.heartbeat.interval.ms",
        between("group.streams.min.heartbeat.interval.ms", "group.streams.max.heartbeat.interval.ms")),
    key("streams.initial.rebalance.delay.ms", "3000", 0, "group.streams.initial.rebalance.delay.ms", NO_LIMITS),
    key("streams.num.standby.replicas", "0", 0, "group.streams.num.standby.replicas",
        (None, Some("group.streams.max.standby.replicas"))),
    key("streams.session.timeout.ms", "45000", 1, "group.streams.session.timeout.ms",
        between("group.streams.min.session.timeout.ms", "group.streams.max.session.timeout.ms")),
];

/// The definition of a group's key.
pub(crate) fn group_key(name: &str) -> Option<&'static GroupKey> {
    GROUP_KEYS.binary_search_by(|key| key.definition.name.cmp(name)).ok().map(|index| &GROUP_KEYS[index])
}

/// Checks the values of a group: known names, valid values within the broker's limits, no contradiction.
///
/// `broker` gives the broker's number by key.
pub(crate) fn check_group_overrides(
    overrides: &Values,
    broker: impl Fn(&str) -> Option<i64>,
) -> Result<(), String> {
    let mut numbers = BTreeMap::new();
    for (name, value) in overrides {
        let key = group_key(name).ok_or_else(|| format!("unknown group config {name}"))?;
        key.definition.check(value)?;
        let Ok(number) = value.trim().parse::<i64>() else { continue };
        numbers.insert(name.as_str(), number);
        let (min, max) = key.limits;
        if let Some((limit, least)) = min.and_then(|limit| Some((limit, broker(limit)?)))
            && number < least
        {
            return Err(format!("{name}={number} is below {limit}={least}"));
        }
        if let Some((limit, most)) = max.and_then(|limit| Some((limit, broker(limit)?)))
            && number > most
        {
            return Err(format!("{name}={number} is above {limit}={most}"));
        }
    }
    let in_force = |name: &'static str| {
        let from_broker = || broker(group_key(name)?.synonym?);
        numbers.get(name).copied().or_else(from_broker)
    };
    for (session, heartbeat) in [
        ("consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"),
        ("share.session.timeout.ms", "share.heartbeat.interval.ms"),
        ("streams.session.timeout.ms", "streams.heartbeat.interval.ms"),
    ] {
        if let (Some(timeout), Some(interval)) = (in_force(session), in_force(heartbeat))
            && timeout <= interval
        {
            return Err(format!("{session}={timeout} must be greater than {heartbeat}={interval}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::broker_key;

    fn default_of(name: &str) -> Option<i64> {
        broker_key(name)?.definition.default?.parse().ok()
    }

    fn check(name: &str, value: &str) -> Result<(), String> {
        check_group_overrides(&Values::from([(name.to_owned(), value.to_owned())]), default_of)
    }

    #[test]
    fn keys_are_sorted_and_so_is_every_limit_and_synonym_a_brokers_key() {
        assert!(GROUP_KEYS.is_sorted_by(|one, other| one.definition.name < other.definition.name));
        for key in GROUP_KEYS {
            let names = [key.synonym, key.limits.0, key.limits.1];
            for name in names.into_iter().flatten() {
                assert!(broker_key(name).is_some(), "{name}");
            }
            let default = key.synonym.and_then(|name| broker_key(name)?.definition.default);
            assert!(default.is_none() || default == key.definition.default, "{}", key.definition.name);
        }
    }

    #[test]
    fn values_keep_to_the_brokers_limits() {
        assert_eq!(check("consumer.session.timeout.ms", "50000"), Ok(()));
        for (value, says) in [("44999", "is below"), ("60001", "is above"), ("soon", "whole number")] {
            let error = check("consumer.session.timeout.ms", value).expect_err(value);
            assert!(error.contains(says), "{error}");
        }
        assert!(check("no.such.key", "1").is_err_and(|error| error.contains("no.such.key")));
    }

    #[test]
    fn a_session_outlasts_a_heartbeat() {
        let wide = |name: &str| match name {
            "group.consumer.min.session.timeout.ms" => Some(1),
            other => default_of(other),
        };
        let short = Values::from([("consumer.session.timeout.ms".to_owned(), "5000".to_owned())]);
        let error = check_group_overrides(&short, wide).expect_err("as short as a heartbeat");
        assert!(error.contains("must be greater than consumer.heartbeat.interval.ms=5000"), "{error}");
    }
}
