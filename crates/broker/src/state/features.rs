//! The features of the cluster and the levels in force (KIP-584; Java: `Feature`, `FinalizedFeatures`).

use std::collections::BTreeMap;

use crate::config::ConfigError;

/// A feature that brokers negotiate with each other and tell to clients.
#[derive(Debug)]
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    /// Lowest level that is supported.
    pub(crate) min: i16,
    /// Highest level that is supported.
    pub(crate) max: i16,
    /// The level of a new cluster; 0 means that the feature is off.
    default: i16,
}

const fn feature(name: &'static str, min: i16, max: i16, default: i16) -> Feature {
    Feature { name, min, max, default }
}

/// Decides whether transactions bump the producer epoch at every end (KIP-890).
pub(crate) const TRANSACTION_VERSION: &str = "transaction.version";

/// Offers the new consumer protocol (KIP-848).
pub(crate) const GROUP_VERSION: &str = "group.version";

/// All features, in alphabetical order, with the levels of a new cluster of Kafka 4.3.
pub(crate) static FEATURES: &[Feature] = &[
    feature(GROUP_VERSION, 0, 1, 1),
    feature("kraft.version", 0, 1, 0),
    feature("metadata.version", 7, 30, 30),
    feature(TRANSACTION_VERSION, 0, 2, 2),
];

/// The levels in force.
#[derive(Debug, Clone)]
pub(crate) struct Features {
    levels: BTreeMap<&'static str, i16>,
}

impl Default for Features {
    fn default() -> Self {
        Self { levels: FEATURES.iter().map(|feature| (feature.name, feature.default)).collect() }
    }
}

impl Features {
    /// The level of a feature; 0 if it is off or not known.
    pub(crate) fn level(&self, name: &str) -> i16 {
        self.levels.get(name).copied().unwrap_or(0)
    }

    /// Has the cluster start with another level.
    pub(crate) fn start_with(&mut self, name: &str, level: i16) -> Result<(), ConfigError> {
        let Some(feature) = FEATURES.iter().find(|feature| feature.name == name) else {
            let known: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
            return Err(ConfigError::new(format!("unknown feature {name}; there are {}", known.join(", "))));
        };
        if !(feature.min..=feature.max).contains(&level) {
            let (min, max) = (feature.min, feature.max);
            return Err(ConfigError::new(format!("{name}={level}: give a level from {min} to {max}")));
        }
        self.levels.insert(feature.name, level);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_within_what_is_supported() {
        assert!(FEATURES.is_sorted_by(|one, other| one.name < other.name));
        let mut features = Features::default();
        assert_eq!(features.level(TRANSACTION_VERSION), 2);
        assert_eq!(features.start_with(TRANSACTION_VERSION, 0), Ok(()));
        assert_eq!(features.level(TRANSACTION_VERSION), 0);
        let error = features.start_with(TRANSACTION_VERSION, 3).expect_err("there is no such level");
        assert_eq!(error.to_string(), "transaction.version=3: give a level from 0 to 2");
        assert!(features.start_with("transaction.versions", 1).is_err());
    }
}
