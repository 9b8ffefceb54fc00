//! Administration of a Kafka cluster: topics, configurations, records, offsets.
//!
//! Everything is a method of [`Admin`], one file per family of operations. Operations on several things (topics, partitions,
//! resources) return [`Results`]: what became of each, as one may succeed and another fail. Each is tried again while it may
//! still succeed, for as long as [`Admin::timeout`] says.
//!
//! ```no_run
//! # async fn example(client: milena_client::Client) -> Result<(), milena_admin::AdminError> {
//! use milena_admin::{Admin, TopicSpec};
//!
//! let admin = Admin::new(client);
//! admin.create_topic(TopicSpec::new("orders").partitions(6).config("cleanup.policy", "compact")).await?;
//! admin.wait_until_ready("orders").await?;
//! # Ok(())
//! # }
//! ```

mod admin;
mod cluster;
mod configs;
mod error;
mod offsets;
mod partitions;
mod ready;
mod records;
mod results;
mod rounds;
mod routing;
mod topics;

pub use admin::Admin;
pub use cluster::ClusterDescription;
pub use configs::{ConfigChange, ConfigEntry, ConfigResource, ConfigSource, ConfigSynonym};
pub use error::{AdminError, AdminErrorReason};
pub use offsets::{ListedOffset, OffsetSpec};
pub use partitions::NewPartitions;
pub use records::DeleteBefore;
pub use results::Results;
pub use topics::{CreatedTopic, PartitionDescription, TopicDescription, TopicListing, TopicSpec};
