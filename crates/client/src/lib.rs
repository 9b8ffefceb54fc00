//! What every kind of Kafka client needs: connections, metadata, routing, retries, and the [`Env`] door to the outside world.
//!
//! Producers, consumers and administration stand on this crate. A newcomer reads [`mod@env`], then [`connection`], then
//! [`metadata`], then [`Client`].

mod address;
mod backoff;
mod client;
mod config;
pub mod connection;
pub mod env;
pub mod metadata;
pub mod metrics;
mod pool;

pub use address::{Address, AddressError, DEFAULT_PORT};
pub use backoff::Backoff;
pub use client::{Client, Target};
pub use config::{ClientConfig, MetadataRecovery};
pub use connection::{Connection, ConnectionConfig, ConnectionError, RequestError};
pub use env::Env;
pub use metadata::{Metadata, MetadataHandle, TopicMetadata, TopicPartition};
