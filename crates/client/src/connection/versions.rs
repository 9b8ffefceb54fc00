//! What a broker speaks, and which version of it we choose (KIP-35, KIP-511).

use milena_protocol::messages::ApiVersionsResponse;
use milena_protocol::{ApiKey, Request, VersionRange};

/// The version ranges that a broker announced, and its finalized features.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApiVersions {
    ranges: Vec<(i16, VersionRange)>,
    finalized_features: Vec<(String, i16)>,
    finalized_features_epoch: i64,
}

/// No version of an API that both sides speak.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{api}: this client speaks versions {}..={}, the broker {}",
    ours.min, ours.max, describe(theirs)
)]
pub struct UnsupportedVersion {
    /// The API.
    pub api: &'static str,
    /// What this client speaks or is willing to use here.
    pub ours: VersionRange,
    /// What the broker announced; `None` when it does not offer the API at all.
    pub theirs: Option<VersionRange>,
}

fn describe(range: &Option<VersionRange>) -> String {
    match range {
        Some(range) => format!("{}..={}; use a broker or client of a closer release", range.min, range.max),
        None => "does not offer it; it is too old for this operation, or it is turned off there".to_owned(),
    }
}

impl ApiVersions {
    pub(super) fn from_response(response: &ApiVersionsResponse) -> Self {
        let mut ranges: Vec<_> = response
            .api_keys
            .iter()
            .map(|api| (api.api_key, VersionRange { min: api.min_version, max: api.max_version }))
            .collect();
        ranges.sort_unstable_by_key(|(key, _)| *key);
        Self {
            ranges,
            finalized_features: response
                .finalized_features
                .iter()
                .map(|feature| (feature.name.to_string(), feature.max_version_level))
                .collect(),
            finalized_features_epoch: response.finalized_features_epoch,
        }
    }

    /// The range announced for an API.
    pub fn range(&self, api: ApiKey) -> Option<VersionRange> {
        let at = self.ranges.binary_search_by_key(&(api as i16), |(key, _)| *key).ok()?;
        Some(self.ranges[at].1)
    }

    /// The highest version of `R` that both sides speak.
    ///
    /// # Errors
    /// There is none.
    pub fn choose<R: Request>(&self) -> Result<i16, UnsupportedVersion> {
        self.choose_up_to::<R>(i16::MAX)
    }

    /// The highest version of `R` that both sides speak and that is at most `cap`: some versions ask for state that the client
    /// does not have (Produce 13 needs topic ids) or belong to brokers among themselves (AddPartitionsToTxn 4).
    ///
    /// # Errors
    /// There is none.
    pub fn choose_up_to<R: Request>(&self, cap: i16) -> Result<i16, UnsupportedVersion> {
        self.choose_within::<R>(VersionRange { min: i16::MIN, max: cap })
    }

    /// The highest version of `R` that both sides speak and that is at least `floor`, before which the API cannot express what
    /// is wanted.
    ///
    /// # Errors
    /// There is none.
    pub fn choose_from<R: Request>(&self, floor: i16) -> Result<i16, UnsupportedVersion> {
        self.choose_within::<R>(VersionRange { min: floor, max: i16::MAX })
    }

    fn choose_within<R: Request>(&self, willing: VersionRange) -> Result<i16, UnsupportedVersion> {
        let known = R::KEY.versions();
        let ours = VersionRange {
            min: known.min.max(R::VERSIONS.min).max(willing.min),
            max: known.max.min(willing.max),
        };
        let theirs = self.range(R::KEY);
        theirs.and_then(|theirs| ours.intersect(theirs)).map(|common| common.max).ok_or(UnsupportedVersion {
            api: R::KEY.name(),
            ours,
            theirs,
        })
    }

    /// The level at which the cluster has finalized a feature (KIP-584), for example `transaction.version`.
    pub fn finalized_feature(&self, name: &str) -> Option<i16> {
        self.finalized_features.iter().find(|(known, _)| known == name).map(|(_, level)| *level)
    }

    /// The epoch of the finalized features; -1 when the broker sent none.
    pub fn finalized_features_epoch(&self) -> i64 {
        self.finalized_features_epoch
    }
}
