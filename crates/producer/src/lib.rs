//! The producer: from [`Producer::send`] to an acknowledged offset, batched, compressed, idempotent and in order.
//!
//! A record is encoded once, by the caller (`send`), into its partition's open batch (`partition`). A sealed batch waits in the
//! partition's queue (`core::queue`, pure: the rules that keep order and write once) until the sender of the partition's leader
//! (`sender`) takes it into a request. One delivery state per batch (`delivery`) resolves all its records at once. Metadata decide
//! which sender that is (`routing`), the byte budget (`memory`) how much may wait.
//!
//! Words: a batch is *open* while records are appended, and *sealed* when that is over and it is compressed. An open batch is *due*
//! when it is to go now: its linger is over, somebody flushes, or memory is *short*, which is when somebody waits for it. The backlog
//! of sealed batches is *crowded* when it is so long that a send lets the senders run first. Where a partition stands on its sender's
//! lists has words of its own (`core::listing`).
//!
//! Locks are taken in this order: routing, a partition, what a partition's state leads to (a sender's lists, a batch's deliveries,
//! memory, metrics). User code (callbacks, interceptors, observers) runs under none of them.

mod config;
mod core;
mod delivery;
mod error;
mod flush;
mod hash;
mod identity;
mod interceptor;
mod memory;
mod numbers;
mod panics;
mod partition;
pub mod partitioner;
mod producer;
mod record;
mod resolve;
mod routing;
mod send;
mod sender;
mod shared;
mod tasks;
mod topic;

pub use config::{Acks, ProducerConfig};
pub use delivery::Delivery;
pub use error::{ConfigError, DeliveryError, DeliveryErrorKind, FlushError, SendError};
pub use interceptor::{AddedHeaders, ProducerInterceptor};
pub use milena_records::{Codec, Compression, HeaderRef};
pub use producer::{Producer, TopicProducer};
pub use record::{Acknowledgement, Record};
