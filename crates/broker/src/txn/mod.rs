//! Transactions (KIP-98, 360, 447, 890).
//!
//! | where | what |
//! | --- | --- |
//! | `transaction` | one transactional id: its producer, its state, and what each step makes of them; pure |
//! | `coordinator` | all transactional ids, and what a coordinator answers; pure |
//! | `admission` | whether the coordinator lets transactional batches into partitions |
//! | `driver` | writes markers, aborts what took too long, forgets what is not used |
//!
//! Kafka writes each step to a log before it takes effect; here it takes effect at once, and so the states in between
//! (`PrepareEpochFence`, `Dead`) are never seen. Markers are written at once too, as long as their partitions have
//! leaders that work; else the transaction stays in `PrepareCommit` or `PrepareAbort`, and they are tried again.

mod admission;
mod coordinator;
mod driver;
mod transaction;

pub(crate) use admission::{Admission, Refusal, admit, while_admitted};
pub(crate) use coordinator::{Coordinator, Filter, InitTerms};
pub(crate) use driver::{Transactions, keep_transactions};
pub(crate) use transaction::{Level, Outcome, Producer, State, TopicPartition, Transaction};
