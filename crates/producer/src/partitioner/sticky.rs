use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use super::load::LoadTable;
use super::{PartitionLoad, TopicPartitions};

/// The partition of a topic that keyless records go to now.
///
/// Java: `BuiltInPartitioner` (KIP-480, KIP-794). It stays until `sticky_bytes` bytes were appended to
/// it, so that batches fill, and then moves: to a partition drawn by the weights of
/// [`update_load`](Self::update_load), else to any available one with equal chance. So partitions that
/// take bytes more quickly get more of them.
///
/// For each record: [`peek`](Self::peek), lock that partition's queue, append,
/// [`record_appended`](Self::record_appended). Shared by all senders to the topic without a lock: the
/// former is one atomic load, the latter one compare-and-swap. Senders that race append to a partition
/// that has just stopped being the sticky one; that costs a fuller batch elsewhere and nothing more.
#[derive(Debug)]
pub struct StickyPartition {
    /// A [`Sticky`], packed.
    state: AtomicU64,
    sticky_bytes: u32,
    load: RwLock<Option<LoadTable>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sticky {
    /// Negative before the first choice.
    partition: i32,
    /// Appended to it since it was chosen.
    appended_bytes: u32,
}

impl Sticky {
    const UNCHOSEN: Self = Self { partition: -1, appended_bytes: 0 };

    const fn pack(self) -> u64 {
        ((self.partition as u32 as u64) << 32) | self.appended_bytes as u64
    }

    const fn unpack(packed: u64) -> Self {
        Self { partition: (packed >> 32) as u32 as i32, appended_bytes: packed as u32 }
    }
}

impl StickyPartition {
    /// Moves on after `sticky_bytes` bytes; Kafka: `batch.size`. Zero counts as one: every record moves.
    pub fn new(sticky_bytes: u32) -> Self {
        Self {
            state: AtomicU64::new(Sticky::UNCHOSEN.pack()),
            sticky_bytes: sticky_bytes.max(1),
            load: RwLock::new(None),
        }
    }

    /// The partition for the next record. `random` is called only where one must be chosen: for the
    /// first record, and when the topic was made anew with fewer partitions.
    pub fn peek(&self, partitions: &TopicPartitions<'_>, random: impl FnOnce() -> u32) -> i32 {
        let packed = self.state.load(Ordering::Relaxed);
        let current = Sticky::unpack(packed).partition;
        if (0..partitions.count).contains(&current) {
            return current;
        }
        let chosen = Sticky { partition: self.choose(partitions, random()), appended_bytes: 0 };
        match self.state.compare_exchange(packed, chosen.pack(), Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => chosen.partition,
            Err(others) => Sticky::unpack(others).partition,
        }
    }

    /// Counts `bytes` appended to `partition`, which [`peek`](Self::peek) gave, and moves on when that
    /// was enough. Returns whether it moved.
    ///
    /// `batch_is_ready` says that the partition's last batch is full or was just closed. While it is
    /// not, moving on would leave a fraction of a batch behind, so the partition stays, up to twice the
    /// bytes. `random` is called only when moving.
    pub fn record_appended(
        &self,
        partition: i32,
        bytes: usize,
        batch_is_ready: bool,
        partitions: &TopicPartitions<'_>,
        random: impl FnOnce() -> u32,
    ) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let add = |packed| {
            let Sticky { partition: current, appended_bytes } = Sticky::unpack(packed);
            let appended_bytes = appended_bytes.saturating_add(bytes);
            (current == partition).then_some(Sticky { partition, appended_bytes }.pack())
        };
        let Ok(before) = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) else {
            return false;
        };
        let appended_bytes = Sticky::unpack(before).appended_bytes.saturating_add(bytes);
        let enough = appended_bytes >= self.sticky_bytes;
        let too_much = appended_bytes >= self.sticky_bytes.saturating_mul(2);
        if !(too_much || (enough && batch_is_ready)) {
            return false;
        }
        let moved = Sticky { partition: self.choose(partitions, random()), appended_bytes: 0 };
        // If this fails, another sender appended in between, and moves in our stead.
        let here = Sticky { partition, appended_bytes };
        self.state.compare_exchange(here.pack(), moved.pack(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Weighs the next choices by the queues of *all* the topic's partitions; Kafka:
    /// `partitioner.adaptive.partitioning.enable`.
    ///
    /// With fewer than two partitions, none available, or all available and equally loaded, the choice
    /// is even. Call it whenever the queues are looked over for sending.
    pub fn update_load(&self, loads: &[PartitionLoad]) {
        *self.load.write().unwrap_or_else(PoisonError::into_inner) = LoadTable::new(loads);
    }

    fn choose(&self, partitions: &TopicPartitions<'_>, random: u32) -> i32 {
        let load = self.load.read().unwrap_or_else(PoisonError::into_inner);
        let weighed = load.as_ref().map(|table| table.pick(random));
        // The table may be of a topic that has since been made anew with fewer partitions.
        weighed
            .filter(|partition| (0..partitions.count).contains(partition))
            .unwrap_or_else(|| partitions.nth_modulo(random))
    }
}
