//! A queue in which each partition stands at most once.

use std::collections::{BTreeSet, VecDeque};

use milena_client::TopicPartition;

/// Partitions that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Turns {
    queue: VecDeque<TopicPartition>,
    members: BTreeSet<TopicPartition>,
}

impl Turns {
    /// Queues a partition; true if it was not queued yet.
    pub(super) fn push(&mut self, name: &TopicPartition) -> bool {
        let new = self.members.insert(name.clone());
        if new {
            self.queue.push_back(name.clone());
        }
        new
    }

    /// Queues a partition before all others.
    pub(super) fn push_front(&mut self, name: &TopicPartition) {
        self.remove(name);
        self.members.insert(name.clone());
        self.queue.push_front(name.clone());
    }

    pub(super) fn pop(&mut self) -> Option<TopicPartition> {
        let name = self.queue.pop_front()?;
        self.members.remove(&name);
        Some(name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn remove(&mut self, name: &TopicPartition) {
        if self.members.remove(name) {
            self.queue.retain(|queued| queued != name);
        }
    }
}
