//! Properties whose values are names.

use std::fmt;
use std::str::FromStr;

// The consumer's own: their names are read there.
pub use milena_consumer::{IsolationLevel, OffsetReset};

/// Text that is none of a property's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("none of the names")]
pub struct UnknownName;

/// An enum with a name for each of its values, read in upper or lower case.
macro_rules! choice {
    (
        $(#[$doc:meta])*
        $choice:ident { $( $(#[$variant_doc:meta])* $variant:ident = $name:literal ),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $choice {
            $( $(#[$variant_doc])* $variant, )+
        }

        impl $choice {
            /// Every name, as Kafka writes it.
            pub const NAMES: &'static [&'static str] = &[$( $name ),+];

            /// The name, as Kafka writes it.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )+
                }
            }
        }

        impl FromStr for $choice {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                $( if name.eq_ignore_ascii_case($name) { return Ok(Self::$variant); } )+
                Err(UnknownName)
            }
        }

        impl fmt::Display for $choice {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

choice! {
    /// How names of brokers become addresses. Kafka: `client.dns.lookup` (KIP-302, KIP-602).
    DnsLookup {
        /// All addresses of a name are tried.
        UseAllDnsIps = "use_all_dns_ips",
        /// Bootstrap names are replaced by the canonical names of their addresses.
        ResolveCanonicalBootstrapServersOnly = "resolve_canonical_bootstrap_servers_only",
    }
}

choice! {
    /// Which IP addresses of a name are used. librdkafka: `broker.address.family`.
    AddressFamily {
        /// All of them.
        Any = "any",
        /// IPv4 only.
        V4 = "v4",
        /// IPv6 only.
        V6 = "v6",
    }
}

choice! {
    /// What to do when no known broker answers. Kafka: `metadata.recovery.strategy` (KIP-899).
    MetadataRecoveryStrategy {
        /// Start again with the bootstrap servers.
        Rebootstrap = "rebootstrap",
        /// Keep trying the known ones.
        None = "none",
    }
}

choice! {
    /// How connections are protected. Kafka: `security.protocol`.
    SecurityProtocol {
        /// Neither encrypted nor authenticated.
        Plaintext = "PLAINTEXT",
        /// TLS, which may authenticate by certificate.
        Ssl = "SSL",
        /// Authenticated by SASL, not encrypted.
        SaslPlaintext = "SASL_PLAINTEXT",
        /// Authenticated by SASL over TLS.
        SaslSsl = "SASL_SSL",
    }
}

impl SecurityProtocol {
    /// Whether it authenticates by SASL.
    pub fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// Whether it encrypts by TLS.
    pub fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
}

choice! {
    /// How SASL authenticates. Kafka: `sasl.mechanism`.
    SaslMechanism {
        /// User and password in the clear (KIP-43).
        Plain = "PLAIN",
        /// Salted challenge and response (KIP-84).
        ScramSha256 = "SCRAM-SHA-256",
        /// Salted challenge and response (KIP-84).
        ScramSha512 = "SCRAM-SHA-512",
        /// A token (KIP-255, KIP-768).
        OauthBearer = "OAUTHBEARER",
        /// Kerberos. Kafka's default, which is not implemented here.
        Gssapi = "GSSAPI",
    }
}

choice! {
    /// Where OAuth tokens come from. librdkafka: `sasl.oauthbearer.method`.
    OauthMethod {
        /// The program gives them.
        Default = "default",
        /// An OpenID Connect provider gives them.
        Oidc = "oidc",
    }
}

choice! {
    /// Which protocol a consumer group speaks. Kafka: `group.protocol` (KIP-848).
    GroupProtocol {
        /// The members' leader assigns partitions.
        Classic = "classic",
        /// The broker does.
        Consumer = "consumer",
    }
}

choice! {
    /// How a group's leader assigns partitions. Kafka: `partition.assignment.strategy`.
    Assignor {
        /// Ranges of each topic's partitions.
        Range = "range",
        /// All partitions in turn.
        RoundRobin = "roundrobin",
        /// Evenly, with as few moves as possible.
        Sticky = "sticky",
        /// As `sticky`, while the partitions that stay are read on (KIP-429).
        CooperativeSticky = "cooperative-sticky",
    }
}

impl Assignor {
    /// By name, or by the name of Java's class.
    pub fn find(name: &str) -> Option<Self> {
        let class = name.strip_prefix("org.apache.kafka.clients.consumer.");
        match class.and_then(|class| class.strip_suffix("Assignor")) {
            None => name.parse().ok(),
            Some("Range") => Some(Self::Range),
            Some("RoundRobin") => Some(Self::RoundRobin),
            Some("Sticky") => Some(Self::Sticky),
            Some("CooperativeSticky") => Some(Self::CooperativeSticky),
            Some(_) => None,
        }
    }
}

choice! {
    /// How a share group's records are acknowledged. Kafka: `share.acknowledgement.mode` (KIP-932).
    ShareAcknowledgementMode {
        /// By the next poll.
        Implicit = "implicit",
        /// One by one.
        Explicit = "explicit",
    }
}

choice! {
    /// How a share group's records are acquired. Kafka: `share.acquire.mode` (KIP-1206).
    ShareAcquireMode {
        /// Whole batches, even beyond `max.poll.records`.
        BatchOptimized = "batch_optimized",
        /// At most `max.poll.records`.
        RecordLimit = "record_limit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignors_are_known_by_name_and_by_javas_class() {
        assert_eq!(Assignor::find("cooperative-sticky"), Some(Assignor::CooperativeSticky));
        assert_eq!(
            Assignor::find("org.apache.kafka.clients.consumer.CooperativeStickyAssignor"),
            Some(Assignor::CooperativeSticky)
        );
        assert_eq!(Assignor::find("org.apache.kafka.clients.consumer.OtherAssignor"), None);
        assert_eq!(Assignor::find("com.example.RangeAssignor"), None);
    }
}
