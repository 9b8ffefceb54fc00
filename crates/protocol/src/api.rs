//! What is known of each API: its name and its versions.

use std::fmt;

use thiserror::Error;

use crate::ApiKey;

/// A closed range of versions of an API or of a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct VersionRange {
    /// The oldest version.
    pub min: i16,
    /// The newest version.
    pub max: i16,
}

/// The facts behind an [`ApiKey`].
pub(crate) struct ApiSpec {
    pub(crate) name: &'static str,
    pub(crate) versions: VersionRange,
    pub(crate) flexible_since: Option<i16>,
}

/// A number that is no [`ApiKey`], or one that is only used between brokers and controllers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("unknown API key {0}")]
pub struct UnknownApiKey(pub i16);

impl VersionRange {
    /// Whether the version is in the range.
    pub fn contains(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    /// The versions that both have, or `None` where there are none (KIP-35).
    pub fn intersect(self, other: VersionRange) -> Option<VersionRange> {
        let common = VersionRange { min: self.min.max(other.min), max: self.max.min(other.max) };
        (common.min <= common.max).then_some(common)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { write!(f, "{}", self.min) } else { write!(f, "{}-{}", self.min, self.max) }
    }
}

impl ApiKey {
    /// The number on the wire.
    pub fn code(self) -> i16 {
        self as i16
    }

    /// Kafka's name, as in `OffsetForLeaderEpoch`.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The versions that Kafka 4.3.1 supports; one that may still change (`latestVersionUnstable`) is left out.
    pub fn versions(self) -> VersionRange {
        self.spec().versions
    }

    /// Whether strings, arrays and tagged fields of this version are written compactly (KIP-482).
    pub fn is_flexible(self, version: i16) -> bool {
        self.spec().flexible_since.is_some_and(|first| version >= first)
    }

    /// The version of the header before a request: 2 in flexible versions, else 1.
    pub fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the header before a response: 1 in flexible versions, else 0.
    ///
    /// Always 0 for ApiVersions: a client must be able to read the answer before it knows the broker (KIP-511).
    pub fn response_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) && self != ApiKey::ApiVersions { 1 } else { 0 }
    }
}

impl TryFrom<i16> for ApiKey {
    type Error = UnknownApiKey;

    fn try_from(code: i16) -> Result<Self, UnknownApiKey> {
        ApiKey::from_code(code).ok_or(UnknownApiKey(code))
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_intersect_in_what_both_have() {
        let range = |min, max| VersionRange { min, max };
        assert_eq!(range(3, 13).intersect(range(0, 9)), Some(range(3, 9)));
        assert_eq!(range(3, 13).intersect(range(0, 3)), Some(range(3, 3)));
        assert_eq!(range(3, 13).intersect(range(0, 2)), None);
        assert_eq!((range(3, 3).to_string(), range(3, 9).to_string()), ("3".into(), "3-9".into()));
    }

    #[test]
    fn a_version_that_may_still_change_is_not_offered() {
        use crate::Message;
        assert_eq!(ApiKey::InitProducerId.versions().max, 5);
        assert_eq!(crate::messages::InitProducerIdRequest::VERSIONS.max, 6);
    }
}
