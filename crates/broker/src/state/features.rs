//! The features of the cluster and the levels in force (KIP-584; Java: `Feature`, `FinalizedFeatures`).

use std::collections::BTreeMap;

use milena_protocol::ErrorCode;

use super::AdminError;
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

/// Keeps who may lead although too few are in sync, and sets how many must be for the cluster as a whole (KIP-966).
pub(crate) const ELIGIBLE_LEADER_REPLICAS: &str = "eligible.leader.replicas.version";

/// All features, in alphabetical order, with the levels of a new cluster of Kafka 4.3.
pub(crate) static FEATURES: &[Feature] = &[
    feature(ELIGIBLE_LEADER_REPLICAS, 0, 1, 1),
    feature(GROUP_VERSION, 0, 1, 1),
    feature("kraft.version", 0, 1, 0),
    feature("metadata.version", 7, 30, 30),
    feature(TRANSACTION_VERSION, 0, 2, 2),
];

/// The level that decides on the format of the metadata; it never goes back.
const METADATA_VERSION: &str = "metadata.version";

/// A change of a level.
#[derive(Debug)]
pub(crate) struct FeatureUpdate {
    pub(crate) feature: String,
    pub(crate) level: i16,
    /// `None` where the request names none that exists.
    pub(crate) upgrade_type: Option<UpgradeType>,
}

/// In which direction a level may change (Java: `FeatureUpdate.UpgradeType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpgradeType {
    Upgrade,
    SafeDowngrade,
    UnsafeDowngrade,
}

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

    /// Whether replicas can be eligible to lead; then `min.insync.replicas` is the cluster's, and no broker has one of
    /// its own.
    pub(crate) fn has_eligible_leaders(&self) -> bool {
        self.level(ELIGIBLE_LEADER_REPLICAS) > 0
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

    /// Changes levels, all or none of them.
    pub(crate) fn update(
        &mut self,
        updates: &[FeatureUpdate],
        validate_only: bool,
    ) -> Result<(), AdminError> {
        let mut levels = self.levels.clone();
        for update in updates {
            let feature = self.check(update).map_err(|why| {
                let message = format!(
                    "The update failed for all features since the following feature had an error: {why}"
                );
                AdminError::new(ErrorCode::InvalidUpdateVersion, message)
            })?;
            levels.insert(feature.name, update.level);
        }
        if !validate_only {
            self.levels = levels;
        }
        Ok(())
    }

    fn check(&self, update: &FeatureUpdate) -> Result<&'static Feature, String> {
        let (name, level) = (update.feature.as_str(), update.level);
        let refused = |why: &str| Err(format!("Invalid update version {level} for feature {name}. {why}"));
        let Some(upgrade_type) = update.upgrade_type else {
            return refused("The controller does not support the given upgrade type.");
        };
        if level < 0 {
            return refused("A feature version cannot be less than 0.");
        }
        let Some(feature) = FEATURES.iter().find(|feature| feature.name == name) else {
            return refused("Local controller 1 does not support this feature.");
        };
        if !(feature.min..=feature.max).contains(&level) && level != 0
            || level == 0 && name == METADATA_VERSION
        {
            let (min, max) = (feature.min, feature.max);
            return refused(&format!("Local controller 1 only supports versions {min}-{max}"));
        }
        let current = self.level(name);
        match upgrade_type {
            UpgradeType::Upgrade if level < current => refused(
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or \
                 unsafe downgrade.",
            ),
            UpgradeType::SafeDowngrade | UpgradeType::UnsafeDowngrade if level > current => {
                refused("Can't downgrade to a newer version.")
            }
            UpgradeType::SafeDowngrade if name == METADATA_VERSION && level < current => Err(format!(
                "Unsupported metadata.version downgrade from {current} to {level}. Refusing to perform the \
                 requested downgrade because it might delete metadata information."
            )),
            UpgradeType::UnsafeDowngrade if name == METADATA_VERSION && level < current => Err(format!(
                "Unsupported metadata.version downgrade from {current} to {level}. Unsafe metadata downgrade is \
                 not supported in this version."
            )),
            _ => Ok(feature),
        }
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

    #[test]
    fn updates_change_all_levels_or_none() {
        let update = |feature: &str, level, upgrade_type| FeatureUpdate {
            feature: feature.to_owned(),
            level,
            upgrade_type: Some(upgrade_type),
        };
        let down = || update(TRANSACTION_VERSION, 1, UpgradeType::SafeDowngrade);
        let mut features = Features::default();
        assert_eq!(features.update(&[down()], true), Ok(()));
        assert_eq!(features.level(TRANSACTION_VERSION), 2, "validated only");
        for (bad, says) in [
            (update("no.version", 1, UpgradeType::Upgrade), "does not support this feature"),
            (update(TRANSACTION_VERSION, 9, UpgradeType::Upgrade), "only supports versions 0-2"),
            (update(TRANSACTION_VERSION, -1, UpgradeType::Upgrade), "less than 0"),
            (update(TRANSACTION_VERSION, 1, UpgradeType::Upgrade), "Can't downgrade"),
            (update(METADATA_VERSION, 25, UpgradeType::SafeDowngrade), "might delete metadata"),
            (FeatureUpdate { upgrade_type: None, ..down() }, "given upgrade type"),
        ] {
            let error = features.update(&[down(), bad], false).expect_err(says);
            assert!(error.message.contains(says), "{error}");
            assert_eq!(features.level(TRANSACTION_VERSION), 2, "none is changed");
        }
        assert_eq!(features.update(&[down()], false), Ok(()));
        assert_eq!(features.level(TRANSACTION_VERSION), 1);
    }
}
