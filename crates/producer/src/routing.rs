//! Topics, and which sender their partitions go to.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use milena_client::TopicPartition;
use milena_client::env::Task;

use crate::core::queue::QueueConfig;
use crate::hash::TopicNameHash;
use crate::panics::supervised;
use crate::partition::Partition;
use crate::sender::{self, BrokerSender};
use crate::shared::Shared;
use crate::topic::Topic;

/// The topics and senders of one producer.
#[derive(Default)]
pub(crate) struct Routing {
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>, TopicNameHash>>,
    /// Held while partitions are made and given to senders. So the last to do so has looked at the newest metadata: an older
    /// picture, shown late, would otherwise stay until the metadata change again.
    senders: Mutex<Senders>,
}

#[derive(Default)]
struct Senders {
    by_node: BTreeMap<i32, Sending>,
    /// Nothing is routed any more.
    is_ended: bool,
}

/// What became of an attempt to route a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routed {
    /// Its partitions are made, and have their senders.
    Done,
    /// The metadata do not know it, or no longer.
    TopicUnknown,
    /// The producer has ended: no partition is made any more.
    Ended,
}

/// A sender and its task.
struct Sending {
    sender: Arc<BrokerSender>,
    _task: Task,
}

impl Shared {
    pub(crate) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.routing.topics.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The topic, known or not; its partitions come with the metadata.
    pub(crate) fn topic_or_insert(&self, name: &str) -> Arc<Topic> {
        let mut topics = self.routing.topics.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.get(name) {
            return topic.clone();
        }
        let name: Arc<str> = name.into();
        let interest = self.client.metadata().interest(name.clone(), true);
        let topic = Arc::new(Topic::new(name.clone(), interest, self.config.batch_size, self.env().now()));
        topics.insert(name, topic.clone());
        topic
    }

    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        self.routing.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Forgets a topic that turned out not to be usable, unless others wait for it: they would go on with a topic that nobody
    /// routes, expires or flushes.
    pub(crate) fn forget_unusable(&self, topic: &Arc<Topic>) {
        let mut topics = self.routing.topics.write().unwrap_or_else(PoisonError::into_inner);
        // The map's reference and the caller's; further ones are only made from one of these, or under the map's lock.
        if topic.partition_count() == 0 && Arc::strong_count(topic) == 2 {
            topics.remove(&topic.name);
        }
    }

    /// Forgets topics that were not used for `idle` (Kafka: `metadata.max.idle.ms`), so that they are not asked for any more.
    ///
    /// With them goes what they know of sequence numbers, and brokers remember it: under the same producer id their partitions
    /// would begin with numbers that were used before, and a batch could be taken for an old one, acknowledged and not written. So
    /// partitions that come later get another id.
    pub(crate) fn forget_idle(&self, idle: Duration, now: Instant) {
        let mut numbers_forgotten = false;
        let mut topics = self.routing.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.retain(|name, topic| {
            let is_in_use = Arc::strong_count(topic) > 1 || !topic.is_idle(idle, now);
            if !is_in_use {
                tracing::debug!(topic = %name, "not used for long: forgotten");
                numbers_forgotten |=
                    topic.partitions().any(|partition| partition.lock().queue.has_used_numbers());
                self.numbers.forget_topic(name);
            }
            is_in_use
        });
        // Before the map's lock is released: a topic that comes back at once must not get the old id.
        if numbers_forgotten {
            self.identity.renew();
        }
    }

    /// Gives every partition of `topic` to the sender of its leader, by the newest metadata.
    pub(crate) fn route(self: &Arc<Self>, topic: &Topic) -> Routed {
        let mut senders = self.routing.senders();
        if senders.is_ended {
            return Routed::Ended;
        }
        let metadata = self.client.metadata().current();
        let Some(known) = metadata.topic(&topic.name).filter(|known| !known.partitions.is_empty()) else {
            return Routed::TopicUnknown;
        };
        let queue_config = QueueConfig {
            idempotent: self.config.enable_idempotence,
            in_flight_max: self.config.max_in_flight,
            retries_max: self.config.retries,
            retry_backoff: self.config.retry_backoff,
        };
        let is_new = topic.note_id(known.topic_id);
        let available = (0..).zip(&known.partitions).filter(|(_, partition)| partition.leader.is_some());
        let available = available.map(|(index, _)| index).collect();
        topic.resize(known.partitions.len(), available, |index| {
            let name = TopicPartition::new(topic.name.clone(), index);
            Arc::new(Partition::new(name, topic.wire_name.clone(), queue_config))
        });
        // Those that a topic created anew does not have any more are among them: should they come back, then in another log.
        for (index, partition) in topic.partitions().enumerate() {
            let leader = known.partitions.get(index).and_then(|known| known.leader);
            if is_new {
                partition.lock().queue.handle_new_log();
            }
            let leader = leader.filter(|leader| metadata.brokers.contains_key(leader));
            self.route_partition(&mut senders, partition, leader);
        }
        Routed::Done
    }

    fn route_partition(
        self: &Arc<Self>,
        senders: &mut Senders,
        partition: &Arc<Partition>,
        leader: Option<i32>,
    ) {
        let mut state = partition.lock();
        if state.sender().map(|sender| sender.node_id) == leader {
            return;
        }
        state.change_sender(leader.map(|node_id| self.sender(senders, node_id)));
        state.queue.handle_new_leader();
        let Some(sender) = state.sender().cloned() else { return };
        if let Some(open) = &state.open {
            let until = open.opened_at + self.config.linger;
            let _ = sender.list_lingering(partition, &mut state, until);
        }
        let _ = sender.list_ready(partition, &mut state);
        drop(state);
        sender.wake();
    }

    fn sender(self: &Arc<Self>, senders: &mut Senders, node_id: i32) -> Arc<BrokerSender> {
        if let Some(sending) = senders.by_node.get(&node_id) {
            return sending.sender.clone();
        }
        let sender = Arc::new(BrokerSender::new(node_id, self));
        let (polled, shared) = (sender.clone(), self.clone());
        let sending = std::future::poll_fn(move |cx| polled.poll(cx, &shared));
        let task = self.env().spawn(supervised(self.clone(), sender::TASK_NAME, sending));
        senders.by_node.insert(node_id, Sending { sender: sender.clone(), _task: task });
        self.backlog.set_senders(senders.by_node.len());
        sender
    }

    /// Ends the senders of brokers that are gone from the metadata, once they lead nothing and nobody waits for their answers: brokers
    /// that are replaced get new ids, and a producer may live for years.
    pub(crate) fn end_departed_senders(&self) {
        let metadata = self.client.metadata().current();
        let mut senders = self.routing.senders();
        let before = senders.by_node.len();
        senders.by_node.retain(|node_id, sending| {
            // Referred to from here and from its task; more references are only made under this lock, or from one of a partition's.
            let is_needed = metadata.brokers.contains_key(node_id)
                || Arc::strong_count(&sending.sender) > 2
                || sending.sender.has_requests();
            if !is_needed {
                self.watch.forget_node(*node_id);
            }
            is_needed
        });
        if senders.by_node.len() < before {
            self.backlog.set_senders(senders.by_node.len());
        }
    }

    pub(crate) fn senders(&self) -> Vec<Arc<BrokerSender>> {
        self.routing.senders().by_node.values().map(|sending| sending.sender.clone()).collect()
    }

    /// From here on no partition is made, and none changes its sender.
    pub(crate) fn end_routing(&self) {
        self.routing.senders().is_ended = true;
    }

    /// Ends the senders' tasks and connections.
    pub(crate) fn stop_senders(&self) {
        let senders = std::mem::take(&mut self.routing.senders().by_node);
        for topic in self.topics() {
            for partition in topic.partitions() {
                partition.lock().change_sender(None);
            }
        }
        // Tasks and partitions hold each other through their sender.
        drop(senders);
        self.routing.topics.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Routing {
    fn senders(&self) -> MutexGuard<'_, Senders> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
