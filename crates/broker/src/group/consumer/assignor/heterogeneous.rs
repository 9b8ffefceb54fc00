//! The uniform assignor for members with different subscriptions
//! (Java: `UniformHeterogeneousAssignmentBuilder`).
//!
//! First everybody keeps what it has of the topics it is subscribed to; then what nobody has goes, topic by topic, to
//! the least loaded subscribers; at last partitions move from the most to the least loaded subscribers of a topic
//! until no move makes the load more even. Balance comes before stickiness.

use std::collections::BTreeMap;

use milena_protocol::{ByteStr, Uuid};

use super::{Spec, Targets};

/// How often all topics are balanced. Members whose subscriptions overlap only in part can take long to converge, each
/// round about halves the imbalance.
const BALANCE_ROUNDS_MAX: usize = 16;

pub(super) fn assign(spec: &Spec) -> Targets {
    let mut assignment = Assignment::kept(spec);
    assignment.assign_unowned();
    assignment.balance();
    assignment.into_targets()
}

/// An assignment in the making; members and topics are numbered.
struct Assignment<'a> {
    members: Vec<&'a ByteStr>,
    /// How many partitions each member has.
    loads: Vec<usize>,
    topics: Vec<Topic>,
}

struct Topic {
    id: Uuid,
    /// In ascending order.
    subscribers: Vec<usize>,
    /// Who has each partition.
    owners: Vec<Option<usize>>,
}

impl<'a> Assignment<'a> {
    /// What members keep of their last assignment. The topics with the most partitions for each subscriber come first,
    /// because they leave the least choice.
    fn kept(spec: &'a Spec) -> Self {
        let mut subscribers: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
        for (index, member) in spec.members.values().enumerate() {
            for topic in &member.topics {
                subscribers.entry(*topic).or_default().push(index);
            }
        }
        let topic = |(id, subscribers)| {
            let owners = vec![None; spec.partition_count(&id).max(0) as usize];
            Topic { id, subscribers, owners }
        };
        let mut topics: Vec<Topic> = subscribers.into_iter().map(topic).collect();
        topics.sort_by(|one, other| {
            let by_density = other.density().total_cmp(&one.density());
            by_density.then_with(|| (one.subscribers.len(), one.id).cmp(&(other.subscribers.len(), other.id)))
        });
        let mut loads = vec![0; spec.members.len()];
        for topic in &mut topics {
            for (index, member) in spec.members.values().enumerate() {
                let kept = member.assigned.get(&topic.id).filter(|_| member.topics.contains(&topic.id));
                for partition in kept.into_iter().flatten() {
                    if let Some(owner) = topic.owners.get_mut(*partition as usize) {
                        *owner = Some(index);
                        loads[index] += 1;
                    }
                }
            }
        }
        Self { members: spec.members.keys().collect(), loads, topics }
    }

    fn assign_unowned(&mut self) {
        for topic in 0..self.topics.len() {
            let mut balancer = Balancer::new(&self.topics[topic].subscribers, &self.loads);
            for partition in 0..self.topics[topic].owners.len() {
                if self.topics[topic].owners[partition].is_none() {
                    let taker = balancer.next_least_loaded(&self.loads);
                    self.give(topic, partition, taker);
                }
            }
        }
    }

    fn balance(&mut self) {
        let movable: Vec<usize> =
            (0..self.topics.len()).filter(|topic| self.topics[*topic].subscribers.len() > 1).collect();
        // The topic at which, if nothing moves until it comes round again, nothing will move any more.
        let mut last_changed = None;
        for _ in 0..BALANCE_ROUNDS_MAX {
            for topic in &movable {
                if last_changed == Some(*topic) {
                    return;
                }
                if self.balance_topic(*topic) || last_changed.is_none() {
                    last_changed = Some(*topic);
                }
            }
        }
    }

    /// Moves partitions of a topic from its most to its least loaded subscribers; tells whether any moved.
    fn balance_topic(&mut self, topic: usize) -> bool {
        let mut balancer = Balancer::new(&self.topics[topic].subscribers, &self.loads);
        if balancer.imbalance(&self.loads) <= 1 {
            return false;
        }
        let mut owned: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (partition, owner) in self.topics[topic].owners.iter().enumerate() {
            owned
                .entry(owner.expect("all partitions are assigned before they are balanced"))
                .or_default()
                .push(partition);
        }
        let mut has_moved = false;
        while !balancer.is_balanced() {
            let partition = loop {
                let Some(giver) = balancer.next_most_loaded(&self.loads) else { return has_moved };
                match owned.get_mut(&giver).and_then(Vec::pop) {
                    Some(partition) => break partition,
                    None => balancer.exclude_most_loaded(),
                }
            };
            let taker = balancer.next_least_loaded(&self.loads);
            if balancer.is_balanced() {
                break;
            }
            self.give(topic, partition, taker);
            has_moved = true;
        }
        has_moved
    }

    fn give(&mut self, topic: usize, partition: usize, taker: usize) {
        if let Some(giver) = self.topics[topic].owners[partition].replace(taker) {
            self.loads[giver] -= 1;
        }
        self.loads[taker] += 1;
    }

    fn into_targets(self) -> Targets {
        let mut targets: Targets =
            self.members.iter().map(|member_id| ((*member_id).clone(), BTreeMap::new())).collect();
        for topic in self.topics {
            for (partition, owner) in topic.owners.into_iter().enumerate() {
                let target = owner.and_then(|owner| targets.get_mut(self.members[owner]));
                if let Some(target) = target {
                    target.entry(topic.id).or_default().insert(partition as i32);
                }
            }
        }
        targets
    }
}

impl Topic {
    /// Partitions for each subscriber.
    fn density(&self) -> f64 {
        self.owners.len() as f64 / self.subscribers.len() as f64
    }
}

/// Serves a topic's subscribers from the least loaded up and from the most loaded down.
///
/// The members are in the order of their loads at the start. The least loaded ones form a range at the front, which all
/// have the same load; when each of them was served once, their load is one higher and the range takes in those that
/// had that load from the start. The most loaded ones form such a range at the back.
struct Balancer {
    sorted: Vec<usize>,
    /// Exclusive.
    least_end: usize,
    least_load: isize,
    least_next: usize,
    /// Inclusive.
    most_start: usize,
    /// Exclusive: members behind it have nothing to give.
    most_end: usize,
    most_load: isize,
    /// How many of those in front of `most_end` are still to be served.
    most_next: usize,
}

impl Balancer {
    /// Of a topic's subscribers, of whom there is at least one.
    fn new(subscribers: &[usize], loads: &[usize]) -> Self {
        let mut sorted = subscribers.to_vec();
        sorted.sort_by_key(|member| (loads[*member], *member));
        let load = |member: Option<&usize>| member.map_or(0, |member| loads[*member] as isize);
        Self {
            least_end: 0,
            least_load: load(sorted.first()) - 1,
            least_next: 0,
            most_start: sorted.len(),
            most_end: sorted.len(),
            most_load: load(sorted.last()) + 1,
            most_next: sorted.len(),
            sorted,
        }
    }

    /// The difference between the highest and the lowest load, before anything has moved.
    fn imbalance(&self, loads: &[usize]) -> usize {
        let load = |member: Option<&usize>| member.map_or(0, |member| loads[*member]);
        load(self.sorted.last()) - load(self.sorted.first())
    }

    fn next_least_loaded(&mut self, loads: &[usize]) -> usize {
        if self.least_next >= self.least_end {
            self.least_load += 1;
            while self.load_at(self.least_end, loads) == Some(self.least_load) {
                self.least_end += 1;
            }
            self.least_next = 0;
        }
        let member = self.sorted[self.least_next];
        self.least_next += 1;
        member
    }

    /// `None` when nobody is left who could give.
    fn next_most_loaded(&mut self, loads: &[usize]) -> Option<usize> {
        if self.most_next <= self.most_start {
            match self.most_start.checked_sub(1) {
                // All of the range were excluded: go on with the load of those in front of it.
                Some(before) if self.most_end <= self.most_start => {
                    self.most_load = self.load_at(before, loads).expect("a place in front of another exists");
                }
                _ => self.most_load -= 1,
            }
            while let Some(before) = self.most_start.checked_sub(1)
                && self.load_at(before, loads) == Some(self.most_load)
            {
                self.most_start = before;
            }
            self.most_next = self.most_end;
        }
        self.most_next = self.most_next.checked_sub(1)?;
        Some(self.sorted[self.most_next])
    }

    /// Takes the member that was served last as most loaded out of the range.
    fn exclude_most_loaded(&mut self) {
        self.most_end -= 1;
        self.sorted.swap(self.most_next, self.most_end);
    }

    fn is_balanced(&self) -> bool {
        self.most_load - self.least_load <= 1
    }

    fn load_at(&self, place: usize, loads: &[usize]) -> Option<isize> {
        self.sorted.get(place).map(|member| loads[*member] as isize)
    }
}
