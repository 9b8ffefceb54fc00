//! The configuration of a broker, by Kafka's names (Java: `KafkaConfig`, `DynamicBrokerConfig`).

use super::broker_keys::BROKER_KEYS;
use super::definition::{Definition, nearest};

/// A broker's key.
#[derive(Debug)]
pub(crate) struct BrokerKey {
    pub(crate) definition: Definition,
    pub(crate) update: Update,
}

/// Whether a key may be changed while the broker runs (KIP-226).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Update {
    ReadOnly,
    /// For a broker, and not for all of them at once.
    PerBroker,
    /// For a broker or for all of them.
    ClusterWide,
    /// Read-only, and not described.
    Internal,
}

impl BrokerKey {
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self.update, Update::ReadOnly | Update::Internal)
    }
}

/// The keys that are described, in alphabetical order.
pub(crate) fn described_broker_keys() -> impl Iterator<Item = &'static BrokerKey> {
    BROKER_KEYS.iter().filter(|key| key.update != Update::Internal)
}

/// The names of a key and of those that stand in for it, the strongest first
/// (Java: `DynamicBrokerConfig.brokerConfigSynonyms`).
pub(crate) fn broker_synonyms(name: &'static str) -> &'static [&'static str] {
    const GROUPS: [&[&str]; 4] = [
        &["log.roll.ms", "log.roll.hours"],
        &["log.roll.jitter.ms", "log.roll.jitter.hours"],
        &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
        &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
    ];
    GROUPS.into_iter().find(|group| group.contains(&name)).unwrap_or(&[])
}

/// The definition of a broker's key.
pub(crate) fn broker_key(name: &str) -> Option<&'static BrokerKey> {
    BROKER_KEYS.binary_search_by(|key| key.definition.name.cmp(name)).ok().map(|index| &BROKER_KEYS[index])
}

/// The name in the table that is most like `name`.
pub(crate) fn nearest_broker_key(name: &str) -> Option<&'static str> {
    nearest(name, BROKER_KEYS.iter().map(|key| key.definition.name))
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
