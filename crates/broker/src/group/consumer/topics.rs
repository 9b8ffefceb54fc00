//! What a group needs to know of the cluster's topics.

use milena_protocol::{ByteStr, Uuid};

/// The topics as they are now (Java: `CoordinatorMetadataImage`).
pub(crate) trait Topics {
    /// Id and number of partitions of a topic.
    fn find(&self, name: &str) -> Option<(Uuid, i32)>;

    fn name_of(&self, id: &Uuid) -> Option<ByteStr>;

    fn names(&self) -> Vec<ByteStr>;

    /// Higher after every change of the topics or of their partitions.
    fn version(&self) -> u64;

    /// The version in which a topic was created last.
    fn version_of_newest(&self) -> u64;
}
