//! A Kafka-compatible broker in this process: to develop and test against, with nothing to install.
//!
//! It speaks the protocol of Kafka 4.3 over TCP on 127.0.0.1 and in memory, starts in milliseconds, and runs as a
//! cluster of several nodes. It keeps records in memory only. It shares no code with the client beyond the protocol
//! and the record format, and goes wrong on request ([`Faults`]).
//!
//! Where it differs from Kafka, beside what the documentation of each configuration key says: elections lose no record but on
//! request, since the replicas of a partition are one log; and while `__consumer_offsets` has fewer replicas in sync than
//! `min.insync.replicas`, groups are described as they become once there are enough (Kafka: as they were).
//!
//! | where | what |
//! | --- | --- |
//! | `cluster`, `builder`, `inspect` | what users hold |
//! | `node` | listener, connection, frames, dispatch, what a request knows |
//! | `api` | one file for each API |
//! | `log` | a partition's log; pure |
//! | `fetch` | fetch sessions and waiting; pure |
//! | `group` | groups and committed offsets: their coordinator; pure but for its driver |
//! | `txn` | transactions: their coordinator; pure but for its driver |
//! | `quota` | limits of clients in force, and what they have used; pure |
//! | `state` | topics, leadership, placement, configuration changes; pure |
//! | `config` | Kafka's keys, defaults and checks; pure |
//! | `fault` | what goes wrong on request: rules, and what happens at once |
//! | `observe` | counters that tests read and wait for |
//! | `clock`, `task`, `rng` | the only doors to time, tasks and randomness |

mod api;
mod builder;
mod clock;
mod cluster;
mod config;
mod fault;
mod fetch;
mod group;
mod inspect;
mod log;
mod node;
mod observe;
mod quota;
mod rng;
mod shared;
mod state;
mod sync;
mod task;
mod txn;

pub use builder::{ClusterBuilder, TopicSpec};
pub use cluster::{Cluster, Dialer, NodeId, StartError, TopicError};
pub use config::ConfigError;
pub use fault::{ConnectionFaultBuilder, Fault, FaultBuilder, FaultGuard, Faults, PartFaultBuilder};
pub use inspect::{DamagedBatch, LogView, StoredBatch, StoredProducer, StoredRecord};
pub use milena_protocol::{ApiKey, ErrorCode, Uuid};
pub use node::MemoryStream;
pub use observe::RequestSeen;
