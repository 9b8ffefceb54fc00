//! What a group needs to know of the cluster's topics.

use milena_protocol::{ByteStr, Uuid};

use crate::state::ClusterState;

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

impl Topics for ClusterState {
    fn find(&self, name: &str) -> Option<(Uuid, i32)> {
        self.topic(name).map(|topic| (topic.id, topic.partitions.len() as i32))
    }

    fn name_of(&self, id: &Uuid) -> Option<ByteStr> {
        self.topic_by_id(id).map(|topic| topic.name.clone())
    }

    fn names(&self) -> Vec<ByteStr> {
        self.topics().map(|topic| topic.name.clone()).collect()
    }

    fn version(&self) -> u64 {
        self.topics_version()
    }

    fn version_of_newest(&self) -> u64 {
        self.newest_topic_version()
    }
}
