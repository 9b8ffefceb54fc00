//! Topics: what is there, created, deleted.

mod create;
mod delete;
mod describe;
mod spec;

pub use create::CreatedTopic;
pub use describe::{PartitionDescription, TopicDescription, TopicListing};
pub use spec::TopicSpec;

pub(crate) use describe::description;
