//! A real Apache Kafka for tests: started, broken and thrown away from Rust.
//!
//! ```no_run
//! # async fn example() -> Result<(), milena_testcontainers::Error> {
//! use milena_testcontainers::{KafkaCluster, KafkaVersion};
//!
//! let kafka = KafkaCluster::builder().version(KafkaVersion::V4_3_1).nodes(3).start().await?;
//! println!("clients connect to {}", kafka.bootstrap());
//!
//! kafka.kill(2).await?;       // kill -9
//! kafka.start_node(2).await?; // at the same address, with its data
//! kafka.pause(3).await?;      // hung: connections stay open, nothing is answered
//! kafka.resume(3).await?;
//!
//! let tool = kafka.tool("org.apache.kafka.tools.TopicCommand");
//! let topics = tool.args(["--bootstrap-server", kafka.bootstrap(), "--list"]).run().await?;
//! println!("{}", topics.text());
//! # Ok(()) } // stopped, data removed
//! ```
//!
//! # Where it comes from
//!
//! | | needs | nodes can be controlled |
//! |---|---|---|
//! | an address | [`BOOTSTRAP_VARIABLE`] set to `host:port` | no |
//! | the JVM | Java 17 or later; Maven, which fetches Kafka's jars once ([`CACHE_VARIABLE`]) | yes |
//! | Docker | the cargo feature `docker`, an engine on this machine, Linux | yes |
//!
//! [`KafkaClusterBuilder::source`] tells the order and how to choose; [`Availability`] tells what there is, and makes
//! sure that a test suite does not leave out its tests silently. Brokers listen on 127.0.0.1 only, on ports that the
//! system gives, so any number of clusters run side by side.
//!
//! A broker starts in seconds, so tests that leave the nodes alone share one: [`KafkaCluster::shared`].
//!
//! # Nothing is left behind
//!
//! Brokers end and their data is removed when the [`KafkaCluster`] is dropped, when a test panics, and when the test's
//! process is killed, because a small shell stands over each broker and waits for the end of a pipe that we hold.
//! That is why brokers can be started on Linux and macOS only.

mod archive;
mod availability;
mod builder;
mod cluster;
mod config;
#[cfg(feature = "docker")]
mod docker;
mod error;
mod jars;
mod java;
mod jvm;
mod ports;
mod probe;
mod reaper;
mod runtime;
mod scratch;
mod started;
mod supervisor;
mod version;

pub use availability::{Availability, BOOTSTRAP_VARIABLE, Decision, Need};
pub use builder::{KafkaClusterBuilder, Source};
pub use cluster::{KafkaCluster, NodeAddress};
pub use error::Error;
pub use jars::CACHE_VARIABLE;
pub use java::{Java, JavaCommand, JavaOutput, JavaProcess, JavaProgram};
pub use version::KafkaVersion;
