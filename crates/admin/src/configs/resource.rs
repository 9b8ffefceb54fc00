//! What has a configuration.

use std::fmt;

use milena_client::Target;

/// Something that has a configuration (`ConfigResource.Type`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConfigResource {
    /// A topic, by name.
    Topic(String),
    /// A broker, by node id. What is set here outweighs [`Self::BrokerDefault`].
    Broker(i32),
    /// All brokers.
    BrokerDefault,
    /// The log levels of a broker (KIP-412, brokers from 2.4 on).
    BrokerLogger(i32),
    /// A subscription to client metrics, by name (KIP-714, brokers from 3.7 on).
    ClientMetrics(String),
    /// A group, by id (KIP-848, brokers from 4.0 on).
    Group(String),
}

impl ConfigResource {
    pub(super) fn wire_type(&self) -> i8 {
        match self {
            Self::Topic(_) => TOPIC,
            Self::Broker(_) | Self::BrokerDefault => BROKER,
            Self::BrokerLogger(_) => BROKER_LOGGER,
            Self::ClientMetrics(_) => CLIENT_METRICS,
            Self::Group(_) => GROUP,
        }
    }

    pub(super) fn wire_name(&self) -> String {
        match self {
            Self::Topic(name) | Self::ClientMetrics(name) | Self::Group(name) => name.clone(),
            Self::Broker(node_id) | Self::BrokerLogger(node_id) => node_id.to_string(),
            Self::BrokerDefault => String::new(),
        }
    }

    pub(super) fn from_wire(wire_type: i8, name: &str) -> Option<Self> {
        Some(match wire_type {
            TOPIC => Self::Topic(name.to_owned()),
            BROKER if name.is_empty() => Self::BrokerDefault,
            BROKER => Self::Broker(name.parse().ok()?),
            BROKER_LOGGER => Self::BrokerLogger(name.parse().ok()?),
            CLIENT_METRICS => Self::ClientMetrics(name.to_owned()),
            GROUP => Self::Group(name.to_owned()),
            _ => return None,
        })
    }

    /// Who knows and changes it: a broker's own configuration that broker, all others any broker
    /// (`KafkaAdminClient.nodeFor`).
    pub(super) fn target(&self) -> Target {
        match self {
            Self::Broker(node_id) | Self::BrokerLogger(node_id) => Target::Node(*node_id),
            _ => Target::Any,
        }
    }
}

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(name) => write!(f, "topic {name}"),
            Self::Broker(node_id) => write!(f, "broker {node_id}"),
            Self::BrokerDefault => f.write_str("default of all brokers"),
            Self::BrokerLogger(node_id) => write!(f, "loggers of broker {node_id}"),
            Self::ClientMetrics(name) => write!(f, "client metrics {name}"),
            Self::Group(id) => write!(f, "group {id}"),
        }
    }
}
