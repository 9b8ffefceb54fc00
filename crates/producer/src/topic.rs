//! A topic as the producer sees it: partitions that are looked up without a lock.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use milena_client::metadata::TopicInterest;
use milena_protocol::{ByteStr, Uuid};

use crate::partition::Partition;
use crate::partitioner::{PartitionLoad, StickyPartition, TopicPartitions};

/// A topic that is produced to.
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) wire_name: ByteStr,
    pub(crate) sticky: StickyPartition,
    partitions: PartitionTable,
    /// How many partitions the topic has now. It shrinks when a topic is made anew.
    count: AtomicI32,
    /// Partitions that have a leader.
    available: RwLock<Arc<[i32]>>,
    /// Zero until it is known.
    topic_id: Mutex<Uuid>,
    known_since: Instant,
    _interest: TopicInterest,
}

impl Topic {
    pub(crate) fn new(name: Arc<str>, interest: TopicInterest, batch_size: usize, now: Instant) -> Self {
        Self {
            wire_name: ByteStr::from(&*name),
            name,
            sticky: StickyPartition::new(u32::try_from(batch_size).unwrap_or(u32::MAX)),
            partitions: PartitionTable::default(),
            count: AtomicI32::new(0),
            available: RwLock::new(Arc::from([])),
            topic_id: Mutex::new(Uuid::ZERO),
            known_since: now,
            _interest: interest,
        }
    }

    /// How many partitions there are; 0 before metadata came.
    pub(crate) fn partition_count(&self) -> i32 {
        self.count.load(Ordering::Acquire)
    }

    pub(crate) fn partition(&self, partition: i32) -> Option<&Arc<Partition>> {
        if partition >= self.partition_count() {
            return None;
        }
        self.partitions.get(usize::try_from(partition).ok()?)
    }

    /// All partitions that ever were, beyond the present count too: they may hold batches.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        (0..).map_while(|index| self.partitions.get(index))
    }

    /// Takes over a new number of partitions and the list of those with a leader.
    pub(crate) fn resize(&self, count: usize, available: Vec<i32>, make: impl Fn(i32) -> Arc<Partition>) {
        for index in 0..count {
            self.partitions.get_or_make(index, || make(i32::try_from(index).unwrap_or(i32::MAX)));
        }
        *self.available.write().unwrap_or_else(PoisonError::into_inner) = available.into();
        self.count.store(i32::try_from(count).unwrap_or(i32::MAX), Ordering::Release);
    }

    /// Calls `look` with what a partitioner may see.
    pub(crate) fn with_partitions<T>(&self, look: impl FnOnce(&TopicPartitions<'_>) -> T) -> T {
        let available = self.available.read().unwrap_or_else(PoisonError::into_inner).clone();
        look(&TopicPartitions { count: self.partition_count(), available: &available })
    }

    /// Takes over the topic's id; true when it is another one than before: the topic was created anew.
    pub(crate) fn note_id(&self, topic_id: Uuid) -> bool {
        let mut known = self.topic_id.lock().unwrap_or_else(PoisonError::into_inner);
        if topic_id.is_zero() {
            return false;
        }
        let before = std::mem::replace(&mut *known, topic_id);
        !before.is_zero() && before != topic_id
    }

    /// Whether nothing was appended for `idle`, and everything is resolved.
    pub(crate) fn is_idle(&self, idle: Duration, now: Instant) -> bool {
        let is_long_ago = |instant: Instant| now.saturating_duration_since(instant) >= idle;
        is_long_ago(self.known_since)
            && self.partitions().all(|partition| {
                let state = partition.lock();
                state.open.is_none() && state.queue.is_empty() && state.used_at.is_none_or(is_long_ago)
            })
    }

    /// Weighs the sticky partition's next choices by the queues (KIP-794). `takes_data` says of a partition that has a leader
    /// whether its broker takes data.
    pub(crate) fn update_load(&self, takes_data: impl Fn(&Partition) -> bool) {
        let available = self.available.read().unwrap_or_else(PoisonError::into_inner).clone();
        let count = usize::try_from(self.partition_count()).unwrap_or(0);
        let loads: Vec<_> = (0..)
            .zip(self.partitions().take(count))
            .map(|(index, partition)| PartitionLoad {
                partition: index,
                queued_batches: partition.queued_batches(),
                available: available.binary_search(&index).is_ok() && takes_data(partition),
            })
            .collect();
        self.sticky.update_load(&loads);
    }
}

/// Grows, never moves, and is read without a lock: chunks of 1, 2, 4, ... partitions, each made once.
struct PartitionTable {
    chunks: [OnceLock<Chunk>; CHUNKS],
}

type Chunk = Box<[OnceLock<Arc<Partition>>]>;

/// Enough for 2^31 partitions.
const CHUNKS: usize = 31;

impl Default for PartitionTable {
    fn default() -> Self {
        Self { chunks: [const { OnceLock::new() }; CHUNKS] }
    }
}

impl PartitionTable {
    /// The chunk of an index, and the place in it: index + 1 has its highest bit at the chunk's number.
    fn place(index: usize) -> (usize, usize) {
        let number = index + 1;
        let chunk = number.ilog2() as usize;
        (chunk, number - (1 << chunk))
    }

    fn get(&self, index: usize) -> Option<&Arc<Partition>> {
        let (chunk, at) = Self::place(index);
        self.chunks.get(chunk)?.get()?.get(at)?.get()
    }

    fn get_or_make(&self, index: usize, make: impl FnOnce() -> Arc<Partition>) {
        let (chunk, at) = Self::place(index);
        if let Some(chunk_slots) = self.chunks.get(chunk) {
            let slots = chunk_slots.get_or_init(|| (0..1 << chunk).map(|_| OnceLock::new()).collect());
            slots[at].get_or_init(make);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_fill_chunks_without_gap_or_overlap() {
        let places: Vec<_> = (0..7).map(PartitionTable::place).collect();
        assert_eq!(places, [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (2, 3)]);
    }
}
