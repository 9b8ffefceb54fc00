//! Committed offsets, of groups of every kind (Java: `OffsetMetadataManager`, `OffsetAndMetadata`). Pure.
//!
//! Offsets that a transaction commits are pending, by producer id, until the transaction ends. Commits are numbered in
//! the order in which they arrive, as records of `__consumer_offsets` are: the later one stays, even when the earlier
//! one was pending and is published afterwards.

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::{ByteStr, ErrorCode, Uuid};

use crate::state::Hold;

/// One committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    pub(crate) offset: i64,
    /// -1 when the client did not tell.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: ByteStr,
    /// The topic's id when it was committed; zero when it was committed by name in a transaction.
    pub(crate) topic_id: Uuid,
    /// Wall clock, as the next one.
    pub(crate) commit_timestamp_ms: i64,
    /// Set by the oldest commits, which ask for a retention of their own.
    pub(crate) expire_timestamp_ms: Option<i64>,
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionEnd {
    Commit,
    Abort,
}

/// A partition that offsets are committed for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    group: ByteStr,
    topic: ByteStr,
    partition: i32,
}

type Partitions = BTreeMap<i32, Numbered>;
type Topics = BTreeMap<ByteStr, Partitions>;

/// A commit and its place in the order of all commits.
#[derive(Debug, Clone)]
struct Numbered {
    number: u64,
    offset: CommittedOffset,
}

/// What one producer's open transaction has committed.
#[derive(Debug, Default)]
struct Pending {
    producer_epoch: i16,
    offsets: BTreeMap<Place, Numbered>,
}

/// All committed offsets of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    groups: BTreeMap<ByteStr, Topics>,
    /// By producer id.
    pending: BTreeMap<i64, Pending>,
    /// Whose transactions have something pending for a partition.
    open: BTreeMap<Place, BTreeSet<i64>>,
    /// What readers see of groups whose newest offsets are held back.
    seen: BTreeMap<ByteStr, Seen>,
    commits: u64,
}

/// Offsets of a group as they were before something was held back.
#[derive(Debug)]
struct Seen {
    since: Hold,
    topics: Topics,
}

impl Offsets {
    /// Call before offsets of a group change: while that is held back, readers see them as they are now.
    pub(crate) fn begin_write(&mut self, group: &str, hold: Option<Hold>) {
        let Some(since) = hold else {
            self.seen.remove(group);
            return;
        };
        if self.seen.get(group).is_none_or(|seen| seen.since != since) {
            let topics = self.groups.get(group).cloned().unwrap_or_default();
            self.seen.insert(group.into(), Seen { since, topics });
        }
    }

    /// Stores an offset. Names are kept: they must not share a received frame.
    pub(crate) fn commit(
        &mut self,
        group: &ByteStr,
        topic: &ByteStr,
        partition: i32,
        offset: CommittedOffset,
    ) {
        let numbered = self.number(offset);
        self.store(group, topic, partition, numbered);
    }

    /// Stores an offset that is published when the producer's transaction commits, and dropped when it aborts.
    ///
    /// # Errors
    /// `InvalidProducerEpoch` when the transaction is already one of a higher epoch.
    pub(crate) fn commit_pending(
        &mut self,
        (producer_id, producer_epoch): (i64, i16),
        group: &ByteStr,
        topic: &ByteStr,
        partition: i32,
        offset: CommittedOffset,
    ) -> Result<(), ErrorCode> {
        let numbered = self.number(offset);
        let pending = self.pending.entry(producer_id).or_default();
        if producer_epoch < pending.producer_epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        pending.producer_epoch = producer_epoch;
        let place = Place { group: group.clone(), topic: topic.clone(), partition };
        self.open.entry(place.clone()).or_default().insert(producer_id);
        pending.offsets.insert(place, numbered);
        Ok(())
    }

    /// Ends a producer's transaction for the groups that are meant, those of one coordinator: publishes what is pending
    /// for them, or drops it.
    pub(crate) fn complete(
        &mut self,
        producer_id: i64,
        end: TransactionEnd,
        hold: Option<Hold>,
        is_meant: impl Fn(&str) -> bool,
    ) {
        if hold.is_some() {
            let places =
                self.pending.get(&producer_id).into_iter().flat_map(|pending| pending.offsets.keys());
            let groups: BTreeSet<_> = places.map(|place| place.group.clone()).collect();
            groups.iter().filter(|group| is_meant(group)).for_each(|group| self.begin_write(group, hold));
        }
        let Some(pending) = self.pending.get_mut(&producer_id) else { return };
        let ended: Vec<_> = pending.offsets.extract_if(.., |place, _| is_meant(&place.group)).collect();
        if pending.offsets.is_empty() {
            self.pending.remove(&producer_id);
        }
        for (place, numbered) in ended {
            self.close(&place, producer_id);
            let Place { group, topic, partition } = place;
            let present = self.groups.get(&group).and_then(|topics| topics.get(&topic)?.get(&partition));
            let is_latest = present.is_none_or(|present| present.number < numbered.number);
            if end == TransactionEnd::Commit && is_latest {
                self.store(&group, &topic, partition, numbered);
            }
        }
    }

    pub(crate) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.get_seen(group, topic, partition, None)
    }

    /// A group's offsets, by topic and partition.
    pub(crate) fn of_group(&self, group: &str) -> impl Iterator<Item = (&ByteStr, i32, &CommittedOffset)> {
        self.seen_of_group(group, None)
    }

    /// An offset as readers see it, where the group's offsets may be held back.
    pub(crate) fn get_seen(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        hold: Option<Hold>,
    ) -> Option<&CommittedOffset> {
        self.seen_of(group, hold)?.get(topic)?.get(&partition).map(|numbered| &numbered.offset)
    }

    /// A group's offsets as readers see them, by topic and partition.
    pub(crate) fn seen_of_group(
        &self,
        group: &str,
        hold: Option<Hold>,
    ) -> impl Iterator<Item = (&ByteStr, i32, &CommittedOffset)> {
        let topics = self.seen_of(group, hold).into_iter().flatten();
        topics.flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(partition, numbered)| (topic, *partition, &numbered.offset))
        })
    }

    /// Whether an open transaction has an offset for this partition.
    pub(crate) fn is_pending(&self, group: &str, topic: &str, partition: i32) -> bool {
        let place = Place { group: group.into(), topic: topic.into(), partition };
        self.open.contains_key(&place)
    }

    /// Whether an open transaction has an offset for this group.
    pub(crate) fn has_pending(&self, group: &str) -> bool {
        self.open_places(group).next().is_some()
    }

    /// Forgets a partition's offset, pending ones included. Whether there was any.
    pub(crate) fn delete(&mut self, group: &str, topic: &str, partition: i32) -> bool {
        let place = Place { group: group.into(), topic: topic.into(), partition };
        let was_pending = self.open.remove(&place);
        for producer_id in was_pending.iter().flatten() {
            if let Some(pending) = self.pending.get_mut(producer_id) {
                pending.offsets.remove(&place);
            }
        }
        self.remove(group, topic, partition) || was_pending.is_some()
    }

    /// Forgets all offsets of a group, pending ones included.
    pub(crate) fn delete_group(&mut self, group: &str) {
        let places: Vec<_> = self.open_places(group).cloned().collect();
        for place in places {
            self.delete(group, &place.topic, place.partition);
        }
        self.groups.remove(group);
    }

    /// Forgets the offsets of a topic that was deleted.
    pub(crate) fn topic_deleted(&mut self, topic: &str, topic_id: Uuid) {
        let of_topic = |offset: &CommittedOffset| offset.topic_id.is_zero() || offset.topic_id == topic_id;
        let mut gone = BTreeSet::new();
        for (group, topics) in &self.groups {
            for (partition, numbered) in topics.get(topic).into_iter().flatten() {
                if of_topic(&numbered.offset) {
                    gone.insert((group.clone(), *partition));
                }
            }
        }
        for pending in self.pending.values() {
            for (place, numbered) in &pending.offsets {
                if place.topic == topic && of_topic(&numbered.offset) {
                    gone.insert((place.group.clone(), place.partition));
                }
            }
        }
        for (group, partition) in gone {
            self.delete(&group, topic, partition);
        }
    }

    /// Forgets the offsets of a group for which `is_expired` holds, unless a transaction has one for the same
    /// partition. Whether nothing at all is left of the group, pending offsets included.
    pub(crate) fn expire(
        &mut self,
        group: &str,
        is_expired: impl Fn(&str, &CommittedOffset) -> bool,
    ) -> bool {
        let due = |(topic, partition, offset): &(&ByteStr, i32, &CommittedOffset)| {
            is_expired(topic, offset) && !self.is_pending(group, topic, *partition)
        };
        let expired = self.of_group(group).filter(due);
        let expired: Vec<_> = expired.map(|(topic, partition, _)| (topic.clone(), partition)).collect();
        for (topic, partition) in expired {
            self.remove(group, &topic, partition);
        }
        !self.groups.contains_key(group) && !self.has_pending(group)
    }

    fn seen_of(&self, group: &str, hold: Option<Hold>) -> Option<&Topics> {
        match self.held_back(group, hold) {
            Some(seen) => Some(&seen.topics),
            None => self.groups.get(group),
        }
    }

    fn held_back(&self, group: &str, hold: Option<Hold>) -> Option<&Seen> {
        self.seen.get(group).filter(|seen| hold == Some(seen.since))
    }

    fn number(&mut self, offset: CommittedOffset) -> Numbered {
        self.commits += 1;
        Numbered { number: self.commits, offset }
    }

    fn store(&mut self, group: &ByteStr, topic: &ByteStr, partition: i32, numbered: Numbered) {
        let topics = self.groups.entry(group.clone()).or_default();
        topics.entry(topic.clone()).or_default().insert(partition, numbered);
    }

    fn remove(&mut self, group: &str, topic: &str, partition: i32) -> bool {
        let Some(topics) = self.groups.get_mut(group) else { return false };
        let Some(partitions) = topics.get_mut(topic) else { return false };
        let was_there = partitions.remove(&partition).is_some();
        if partitions.is_empty() {
            topics.remove(topic);
        }
        if topics.is_empty() {
            self.groups.remove(group);
        }
        was_there
    }

    fn close(&mut self, place: &Place, producer_id: i64) {
        if let Some(producers) = self.open.get_mut(place) {
            producers.remove(&producer_id);
            if producers.is_empty() {
                self.open.remove(place);
            }
        }
    }

    fn open_places(&self, group: &str) -> impl Iterator<Item = &Place> {
        let first = Place { group: group.into(), topic: ByteStr::new(), partition: i32::MIN };
        self.open
            .range(first.clone()..)
            .map(|(place, _)| place)
            .take_while(move |place| place.group == first.group)
    }
}

#[cfg(test)]
mod tests;
