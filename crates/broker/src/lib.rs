//! A Kafka-compatible broker in this process: to develop and test against, with nothing to install.
//!
//! It speaks the protocol of Kafka 4.3 over TCP on 127.0.0.1 and in memory, starts in milliseconds, and runs as a
//! cluster of several nodes. It keeps records in memory only. It shares no code with the client beyond the protocol
//! and the record format, and goes wrong on request ([`Faults`]).
//!
//! Where it differs from Kafka, beside what the documentation of each configuration key says: elections lose no record but on
//! request, since the replicas of a partition are one log. And while `__consumer_offsets` has fewer replicas in sync than
//! `min.insync.replicas`:
//!
//! - Groups, but not their offsets, are told to readers as they become once there are enough (Kafka: as they were).
//! - Answered at once, although Kafka has them wait for what they write: a static member that replaces itself, some of
//!   several members that leave a group of the newer protocol, and a member of the classic protocol that joins such a group.
//! - What coordinators do of their own accord is not held back: to members that time out, and to offsets that expire or whose
//!   topic is deleted.
//! - The SyncGroup of a group's leader counts only when what it writes can be seen, so that a member who joins meanwhile
//!   waits for that (Kafka: the leader is told of the rebalance at once).
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
