//! milena

mod builder;
pub mod config;
#[cfg(feature = "broker")]
mod embedded;
mod error;
mod kafka;
mod producer;
mod settings;
pub mod typed;

#[cfg(feature = "broker")]
pub use milena_broker as broker;
pub use milena_producer::{Record, Compression};
pub use milena_serdes as serdes;
pub use builder::KafkaBuilder;
#[cfg(feature = "broker")]
pub use embedded::ClusterConnector;
pub use error::{BuildError, ConnectError, Unsupported};
pub use kafka::Kafka;
pub use producer::ProducerBuilder;
