//! What happens to partitions and topics.

use std::sync::Arc;

use milena_protocol::Uuid;

use super::Faults;
use crate::NodeId;
use crate::state::{ClusterState, Leadership, NewTopic, Partition, PartitionState, Rules};

impl Faults {
    /// Makes `node` the leader of a partition, in a higher leader epoch. False if there is no such partition.
    pub fn move_leader(&self, topic: &str, partition: i32, node: NodeId) -> bool {
        self.lead(topic, partition, |leadership, rules| leadership.elect(node, rules))
    }

    /// Takes the leader from a partition; nobody leads until [`move_leader`](Self::move_leader), or until a node comes
    /// back and the controller elects a leader.
    pub fn lose_leader(&self, topic: &str, partition: i32) -> bool {
        self.lead(topic, partition, |leadership, _| leadership.resign())
    }

    /// Sets which replicas of a partition are in sync, for `min.insync.replicas`. While there are fewer, `acks=all` is
    /// refused, and what is written with less is not seen until there are enough.
    pub fn set_isr(&self, topic: &str, partition: i32, isr: &[NodeId]) -> bool {
        self.lead(topic, partition, |leadership, rules| leadership.set_isr(isr, rules))
    }

    /// Makes `node` the leader although it lacks the records from `offset` on: they are lost (an unclean election).
    ///
    /// Whole batches are lost: the one that contains `offset`, and all after it.
    pub fn move_leader_and_lose_records(
        &self,
        topic: &str,
        partition: i32,
        node: NodeId,
        offset: i64,
    ) -> bool {
        self.with_rules(topic, partition, |cluster, state| {
            state.log.truncate(offset);
            cluster.lead_locked(state, |leadership, rules| leadership.elect(node, rules));
        })
    }

    /// Has a partition forget all idempotent producers, as when their state has expired.
    pub fn forget_producers(&self, topic: &str, partition: i32) -> bool {
        self.with(topic, partition, |partition| partition.lock().log.producers_mut().clear())
    }

    /// Has a partition forget one idempotent producer.
    pub fn forget_producer(&self, topic: &str, partition: i32, producer_id: i64) -> bool {
        self.with(topic, partition, |partition| partition.lock().log.producers_mut().forget(producer_id))
    }

    /// Has a partition believe that a producer's last record had this sequence number, to come near its wrap.
    pub fn set_last_sequence(
        &self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        producer_epoch: i16,
        last_sequence: i32,
    ) -> bool {
        self.with(topic, partition, |partition| {
            let mut state = partition.lock();
            state.log.producers_mut().set_last_sequence(producer_id, producer_epoch, last_sequence);
        })
    }

    /// Flips a bit of the stored batch that contains `offset`, so that its checksum is wrong. False if there is none.
    pub fn corrupt_batch(&self, topic: &str, partition: i32, offset: i64) -> bool {
        let mut is_corrupt = false;
        self.with(topic, partition, |partition| is_corrupt = partition.lock().log.corrupt(offset));
        is_corrupt
    }

    /// Deletes records before `offset`, as retention does. False if there is no such partition or offset.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) -> bool {
        let mut is_deleted = false;
        self.with(topic, partition, |partition| {
            is_deleted = partition.lock().log.delete_before(offset).is_ok()
        });
        is_deleted
    }

    /// Deletes a topic and creates it again, empty, with as many partitions on the same nodes and a new id.
    ///
    /// Returns the new id, or `None` if there is no such topic.
    pub fn recreate_topic(&self, topic: &str) -> Option<Uuid> {
        let mut state = self.shared.state_mut();
        let configs = state.configs().topic_overrides(topic).clone();
        let old = state.delete_topic(topic)?;
        self.shared.forget_offsets(&old.name, old.id);
        let replicas =
            |partition: &Arc<Partition>| (partition.index, partition.lock().leadership.replicas.clone());
        let new = NewTopic {
            name: old.name.clone(),
            partitions: -1,
            replication_factor: -1,
            assignments: old.partitions.iter().map(replicas).collect(),
            configs: configs
                .iter()
                .map(|(name, value)| (name.as_str().into(), Some(value.as_str().into())))
                .collect(),
        };
        let created = state.create_topic(&new, false, self.shared.clock.now_ms());
        drop(state);
        self.shared.forget_transactions_of(&old.name);
        created.ok().map(|created| created.id)
    }

    fn lead(&self, topic: &str, partition: i32, change: impl FnOnce(&mut Leadership, &Rules<'_>)) -> bool {
        self.with_rules(topic, partition, |cluster, state| cluster.lead_locked(state, change))
    }

    fn with_rules(
        &self,
        topic: &str,
        partition: i32,
        act: impl FnOnce(&ClusterState, &mut PartitionState),
    ) -> bool {
        let cluster = self.shared.state();
        let found = cluster.topic(topic).and_then(|topic| topic.partition(partition));
        let is_found = found.map(|partition| act(&cluster, &mut partition.lock())).is_some();
        drop(cluster);
        self.shared.seen.changed();
        is_found
    }

    fn with(&self, topic: &str, partition: i32, act: impl FnOnce(&Partition)) -> bool {
        let found = self.shared.partition(topic, partition);
        let is_found = found.as_deref().map(act).is_some();
        self.shared.seen.changed();
        is_found
    }
}
