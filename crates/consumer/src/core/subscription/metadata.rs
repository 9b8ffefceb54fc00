//! Which broker leads what.

use std::sync::Arc;

use milena_client::{Metadata, TopicPartition};
use milena_protocol::ErrorCode;

use super::Subscription;
use crate::core::partition::Leader;
use crate::core::reset::OffsetLookup;
use crate::error::RecvError;

impl Subscription {
    /// Takes over a picture of the cluster, unless it or a newer one was shown before: leaders that changed, topics that grew or were
    /// created anew.
    pub(crate) fn handle_metadata(&mut self, metadata: Arc<Metadata>) {
        if metadata.version <= self.metadata_followed || metadata.version < self.metadata.version {
            return;
        }
        let version = metadata.version;
        self.metadata = metadata;
        self.add_new_partitions();
        let names: Vec<_> = self.partitions.keys().cloned().collect();
        for name in names {
            self.follow_leader(&name);
            self.tell_of_topic(&name.topic);
        }
        self.metadata_followed = version;
    }

    pub(super) fn follow_leader(&mut self, name: &TopicPartition) {
        let metadata = self.metadata.clone();
        // A topic that is missing from an answer is not gone: what was known of it stays.
        let Some(topic) = metadata.topic(&name.topic) else { return };
        let leader = metadata.partition(&name.topic, name.partition).and_then(|partition| {
            let node_id = partition.leader.filter(|node_id| metadata.brokers.contains_key(node_id))?;
            Some(Leader { node_id, leader_epoch: partition.leader_epoch })
        });
        let generation = self.next_generation();
        let Some(partition) = self.partitions.get_mut(name) else { return };
        let before = partition.fetch_node();
        let created_anew = partition.is_created_anew(topic.topic_id);
        let changed = partition.set_leader(leader, topic.topic_id);
        if created_anew {
            let paused = partition.is_paused();
            let buffers = partition.truncated(None, generation);
            self.drop_buffers(buffers, paused);
        }
        if changed || created_anew {
            self.follow_node(name, before);
            self.after_transition(name);
        }
    }

    /// Says once what is wrong with a topic: otherwise nothing would come of it, and nobody would know why. (Java:
    /// `Metadata.maybeThrowAnyException`.)
    fn tell_of_topic(&mut self, topic: &Arc<str>) {
        let Some(code) = self.metadata.topic(topic).map(|known| known.error) else { return };
        if code.is_ok() {
            self.topic_errors.remove(topic);
            return;
        }
        let is_told = self.topic_errors.insert(topic.clone(), code) == Some(code);
        if is_told {
            return;
        }
        if !code.is_retriable() {
            self.tell(RecvError::Topic { topic: topic.to_string(), code });
        } else if code == ErrorCode::UnknownTopicOrPartition {
            tracing::warn!(%topic, "an assigned topic does not exist; it is read once it does");
        }
    }

    /// Partitions that a followed topic has grown are read from their beginning: everything in them is newer than the assignment.
    fn add_new_partitions(&mut self) {
        let topics: Vec<Arc<str>> = self.followed_topics.iter().cloned().collect();
        for topic in topics {
            let count = self.metadata.topic(&topic).map_or(0, |topic| topic.partitions.len());
            for partition in 0..i32::try_from(count).unwrap_or(i32::MAX) {
                let name = TopicPartition { topic: topic.clone(), partition };
                if !self.partitions.contains_key(&name) {
                    tracing::info!(partition = %name, "new partition of a followed topic");
                    self.add(name, Some(OffsetLookup::Earliest));
                }
            }
        }
    }
}
