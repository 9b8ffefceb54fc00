//! The releases of Apache Kafka that can be started.

use std::env;
use std::fmt;
use std::str::FromStr;

use crate::Error;

/// A release of Apache Kafka that is known to start here.
///
/// The newest three run with KRaft, the others with a ZooKeeper of their own beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KafkaVersion {
    /// 2.1.1: the oldest that Kafka 4's own clients still speak to (KIP-896).
    V2_1_1,
    /// 2.8.2: the last of the 2.x line.
    V2_8_2,
    /// 3.9.1: the last line that can run with ZooKeeper; started with KRaft here.
    V3_9_1,
    /// 4.1.2.
    V4_1_2,
    /// 4.3.1: the newest, and the default.
    V4_3_1,
}

/// How a release keeps its cluster's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quorum {
    /// Every node is broker and controller at once.
    Kraft,
    /// One ZooKeeper serves all brokers.
    ZooKeeper,
}

impl KafkaVersion {
    /// All of them, oldest first.
    pub const ALL: &[Self] = &[Self::V2_1_1, Self::V2_8_2, Self::V3_9_1, Self::V4_1_2, Self::V4_3_1];

    /// What is started when nothing else is asked for.
    pub const LATEST: Self = Self::V4_3_1;

    /// The release's number as Kafka writes it: `"4.3.1"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2_1_1 => "2.1.1",
            Self::V2_8_2 => "2.8.2",
            Self::V3_9_1 => "3.9.1",
            Self::V4_1_2 => "4.1.2",
            Self::V4_3_1 => "4.3.1",
        }
    }

    pub(crate) fn quorum(self) -> Quorum {
        if self >= Self::V3_9_1 { Quorum::Kraft } else { Quorum::ZooKeeper }
    }

    /// The broker's artifact carries the version of Scala that it was built with.
    pub(crate) fn broker_artifact(self) -> &'static str {
        if self == Self::V2_1_1 { "kafka_2.12" } else { "kafka_2.13" }
    }

    /// The Docker image, `name:tag`: the one that the environment names for this release, or else Kafka's own, which
    /// begins with 3.7.0.
    pub(crate) fn image(self) -> Option<String> {
        let named = env::var(self.image_variable()).ok().filter(|image| !image.is_empty());
        named.or_else(|| (self.quorum() == Quorum::Kraft).then(|| format!("apache/kafka:{self}")))
    }

    /// The variable that names the release's image: `MILENA_KAFKA_IMAGE_4_3_1`.
    pub(crate) fn image_variable(self) -> String {
        format!("MILENA_KAFKA_IMAGE_{}", self.as_str().replace('.', "_"))
    }
}

impl Default for KafkaVersion {
    fn default() -> Self {
        Self::LATEST
    }
}

impl fmt::Display for KafkaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KafkaVersion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .iter()
            .copied()
            .find(|version| version.as_str() == text)
            .ok_or_else(|| Error::UnknownVersion { version: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_parses_back() {
        for version in KafkaVersion::ALL {
            assert_eq!(version.to_string().parse::<KafkaVersion>().unwrap(), *version);
        }
    }

    #[test]
    fn unknown_version_names_those_that_are_known() {
        let error = "4.9.9".parse::<KafkaVersion>().unwrap_err().to_string();
        assert!(error.contains("4.9.9") && error.contains("2.1.1, 2.8.2, 3.9.1, 4.1.2, 4.3.1"), "{error}");
    }
}
