//! For the tests of programs that use Milena: a Kafka cluster in the process, what can go wrong with it, and a virtual clock. Feature
//! `testing`.
//!
//! ```
//! # milena::testing::run(async {
//! use std::time::Duration;
//!
//! use milena::Record;
//! use milena::testing::{Cluster, TopicSpec};
//!
//! // #[tokio::test(start_paused = true)]
//! // async fn an_order_survives_the_loss_of_its_leader() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::builder().nodes(3).topic(TopicSpec::new("orders")).start().await?;
//! let producer = cluster.kafka().connect().await?.producer().build().await?;
//!
//! let leader = cluster.leader("orders", 0).ok_or("no leader")?;
//! cluster.faults().kill_unnoticed(leader).await; // it is gone, and still said to lead
//! let delivery = producer.send(Record::to("orders").value("o1")).await?;
//! cluster.clock().advance(Duration::from_secs(20)).await; // takes no time
//! cluster.faults().notice(leader); // another node leads now
//! delivery.await?;
//!
//! assert_eq!(cluster.records("orders", 0).len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! In `Cargo.toml`, so that nothing of it is in what you ship:
//!
//! ```toml
//! [dev-dependencies]
//! milena = { version = "0.1", features = ["testing"] }
//! tokio = { version = "1", features = ["macros", "rt"] }
//! ```
//!
//! The example `order_service` (`cargo run --example order_service`, `cargo test --example order_service`) is a service with its tests:
//! a leader that dies, an answer that is lost, a cluster that hangs for longer than anybody waits, each in milliseconds.
//!
//! # What is under test
//!
//! Code that takes a [`Kafka`](crate::Kafka) handle, or a [`KafkaBuilder`](crate::KafkaBuilder), gets one from [`Cluster::kafka`].
//! Code that is configured by text takes the [`Env`](crate::Env) of [`Cluster::env`] beside it:
//! `Kafka::from_properties(&properties)?.env(cluster.env())`. Such handles reach the cluster in memory. Code in another process, or
//! another client, connects to [`Cluster::bootstrap`] of a cluster with sockets ([`ClusterBuilder::tcp`]).
//!
//! Timeouts, retries and their pauses are those of production: the point of a virtual clock is that nobody waits for them. What a
//! test arranges goes wrong by [`Cluster::faults`]: nodes die, hang and come back, leaders move, the network is cut, slow or broken,
//! answers are errors, late or lost, requests come twice, stored batches are damaged, the wall clock is turned.
//!
//! # The virtual clock
//!
//! In a test with `start_paused = true`, and in [`run`], time stands still while anybody has something to do. When all wait, it jumps
//! to the moment that the first of them waits for. The two minutes of `delivery.timeout.ms` go by in microseconds, and a machine
//! that is slow today does not make a timeout pass.
//!
//! The clock belongs to tokio, so your own `tokio::time::sleep`, `timeout` and `interval` are on it, and so is the wall clock of the
//! cluster and of its clients: timestamps, retention and expiry move along. `SystemTime::now` is not. Prefer [`Clock::advance`] to
//! `tokio::time::advance`, which jumps over what should have happened on the way. Sockets and threads do not know of a virtual clock:
//! while something comes from there, all seem to wait, and timeouts pass at once.
//!
//! # Seeds
//!
//! Whatever is random, in the cluster, in its faults' probabilities and in its clients, comes from [`ClusterBuilder::seed`]. On the
//! virtual clock, the same seed gives the same run, as long as the code under test takes no other randomness (`tokio::select!`
//! without `biased` does). Try many: a hundred seeds of a small scenario are a matter of seconds.
//!
//! ```
//! use milena::Record;
//! use milena::testing::{ApiKey, Cluster, run};
//!
//! for seed in 0..20 {
//!     run(async {
//!         let cluster = Cluster::builder().nodes(3).seed(seed).start().await?;
//!         cluster.faults().on(ApiKey::Produce).always().with_probability(0.3).lose_answer();
//!         let producer = cluster.kafka().connect().await?.producer().build().await?;
//!         for order in ["o1", "o2", "o3"] {
//!             producer.send(Record::to("orders").value(order)).await?.await?;
//!         }
//!         assert_eq!(cluster.records("orders", 0).len(), 3, "seed {seed}");
//!         Ok::<(), Box<dyn std::error::Error>>(())
//!     })
//!     .unwrap();
//! }
//! ```
//!
//! # Stability
//!
//! Tests live longer than what they test, so this module, with the types that it shows, follows semantic versioning to the letter:
//! what compiles against it goes on to compile, and to mean the same, until the version's major number changes, or before 1.0 the
//! minor one. That holds for names and methods; the moment and order of requests within a run may differ between any two versions.

mod builder;
mod clock;
mod cluster;

pub use builder::ClusterBuilder;
pub use clock::{Clock, run};
pub use cluster::Cluster;

pub use milena_broker::{
    ApiKey, ConnectionFaultBuilder, ErrorCode, Fault, FaultBuilder, FaultGuard, Faults, NodeId,
    PartFaultBuilder, StartError, StoredRecord, TopicError, TopicSpec, Uuid,
};
