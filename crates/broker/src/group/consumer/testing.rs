//! Topics for tests.

use std::collections::BTreeMap;

use milena_protocol::{ByteStr, Uuid};

use super::topics::Topics;

/// Topics by name.
#[derive(Debug, Default, Clone)]
pub(crate) struct TopicTable {
    topics: BTreeMap<ByteStr, (Uuid, i32)>,
    created: u8,
    version: u64,
    version_of_newest: u64,
}

impl TopicTable {
    pub(crate) fn of(topics: &[(&str, i32)]) -> Self {
        let mut table = Self::default();
        for (name, partitions) in topics {
            table.create(name, *partitions);
        }
        table
    }

    pub(crate) fn create(&mut self, name: &str, partitions: i32) -> Uuid {
        self.created += 1;
        self.version += 1;
        self.version_of_newest = self.version;
        let id = Uuid([self.created; 16]);
        self.topics.insert(name.into(), (id, partitions));
        id
    }

    pub(crate) fn add_partition(&mut self, name: &str) {
        self.version += 1;
        self.topics.get_mut(name).expect("a topic that exists").1 += 1;
    }

    pub(crate) fn delete(&mut self, name: &str) {
        self.version += 1;
        self.topics.remove(name);
    }

    pub(crate) fn id(&self, name: &str) -> Uuid {
        self.topics[name].0
    }
}

impl Topics for TopicTable {
    fn find(&self, name: &str) -> Option<(Uuid, i32)> {
        self.topics.get(name).copied()
    }

    fn name_of(&self, id: &Uuid) -> Option<ByteStr> {
        self.topics.iter().find(|(_, (known, _))| known == id).map(|(name, _)| name.clone())
    }

    fn names(&self) -> Vec<ByteStr> {
        self.topics.keys().cloned().collect()
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn version_of_newest(&self) -> u64 {
        self.version_of_newest
    }
}
