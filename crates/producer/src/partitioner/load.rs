use std::time::Duration;

/// How loaded one partition of a topic is, for adaptive partitioning (KIP-794).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionLoad {
    /// The partition.
    pub partition: i32,
    /// Batches waiting to be sent to it.
    pub queued_batches: u32,
    /// False while it has no leader, or its leader takes no data ([`NodeAvailability`]): nothing more is
    /// queued for it then.
    pub available: bool,
}

/// Partitions with weights: the emptier a partition's queue, the likelier it is drawn.
///
/// Queues of 0, 3 and 1 batches get the weights 4, 1 and 3 (the longest queue's length plus one, less
/// the own length), kept as running sums 4, 5 and 8. A random number below 8 falls to the first
/// partition whose sum is above it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoadTable {
    /// (running sum of weights, partition), sums strictly ascending; not empty.
    sums: Box<[(u64, i32)]>,
}

impl LoadTable {
    /// `None` when weighing is pointless: with fewer than two partitions, with none available, or when
    /// all are available with queues of one length.
    pub(super) fn new(loads: &[PartitionLoad]) -> Option<Self> {
        let available = || loads.iter().filter(|load| load.available);
        let longest = u64::from(available().map(|load| load.queued_batches).max()?);
        let equal = available().all(|load| u64::from(load.queued_batches) == longest);
        if loads.len() < 2 || (equal && available().count() == loads.len()) {
            return None;
        }
        let sums = available().scan(0, |sum, load| {
            *sum += longest + 1 - u64::from(load.queued_batches);
            Some((*sum, load.partition))
        });
        Some(Self { sums: sums.collect() })
    }

    /// The partition that `random` falls to.
    pub(super) fn pick(&self, random: u32) -> i32 {
        let (total, _) = self.sums[self.sums.len() - 1];
        // Java draws from the non-negative integers.
        let target = u64::from(random & 0x7fff_ffff) % total;
        let index = self.sums.partition_point(|&(sum, _)| sum <= target);
        self.sums[index].1
    }
}

/// Whether a broker takes data, told by when it last had something to take and when it last took it.
///
/// Java: `RecordAccumulator.NodeLatencyStats`. Times are durations since one arbitrary moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeAvailability {
    ready_at: Duration,
    drained_at: Duration,
}

impl NodeAvailability {
    /// For a broker that has something to take for the first time.
    pub fn new(now: Duration) -> Self {
        Self { ready_at: now, drained_at: now }
    }

    /// Batches for the broker are ready at `now`; `can_drain` says whether it can take one (it is
    /// connected and has room for a request in flight).
    pub fn record_ready(&mut self, now: Duration, can_drain: bool) {
        self.ready_at = now;
        if can_drain {
            self.drained_at = now;
        }
    }

    /// False when the broker could have taken data, but did not, for longer than `timeout`.
    ///
    /// `timeout` zero, Kafka's default for `partitioner.availability.timeout.ms`, means: always true.
    pub fn is_available(&self, timeout: Duration) -> bool {
        timeout.is_zero() || self.ready_at.saturating_sub(self.drained_at) <= timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loads(queues: &[(u32, bool)]) -> Vec<PartitionLoad> {
        let load = |(partition, &(queued_batches, available))| PartitionLoad {
            partition: partition as i32,
            queued_batches,
            available,
        };
        queues.iter().enumerate().map(load).collect()
    }

    #[test]
    fn emptier_queues_are_drawn_in_proportion() {
        let table = LoadTable::new(&loads(&[(0, true), (3, true), (1, true)])).unwrap();
        let drawn: Vec<i32> = (0..9).map(|random| table.pick(random)).collect();
        assert_eq!(drawn, [0, 0, 0, 0, 1, 2, 2, 2, 0]);
    }

    #[test]
    fn an_unavailable_partition_is_never_drawn_even_from_equal_queues() {
        let table = LoadTable::new(&loads(&[(2, true), (2, false), (2, true)])).unwrap();
        let drawn: Vec<i32> = (0..4).map(|random| table.pick(random)).collect();
        assert_eq!(drawn, [0, 2, 0, 2]);
    }

    #[test]
    fn nothing_is_weighed_where_weights_say_nothing() {
        assert_eq!(LoadTable::new(&[]), None);
        assert_eq!(LoadTable::new(&loads(&[(5, true)])), None);
        assert_eq!(LoadTable::new(&loads(&[(5, false), (1, false)])), None);
        assert_eq!(LoadTable::new(&loads(&[(5, true), (5, true)])), None);
    }

    #[test]
    fn the_longest_queues_possible_do_not_overflow() {
        let table = LoadTable::new(&loads(&[(u32::MAX, true), (0, true), (0, true)])).unwrap();
        assert_eq!(table.pick(0), 0);
        assert_eq!(table.pick(u32::MAX), 1);
    }

    #[test]
    fn a_broker_is_unavailable_once_it_took_nothing_for_longer_than_the_timeout() {
        let ms = Duration::from_millis;
        let mut node = NodeAvailability::new(ms(100));
        node.record_ready(ms(150), false);
        assert!(node.is_available(ms(50)));
        node.record_ready(ms(151), false);
        assert!(!node.is_available(ms(50)));
        assert!(node.is_available(Duration::ZERO), "zero turns the check off");
        node.record_ready(ms(152), true);
        assert!(node.is_available(ms(50)));
    }

    #[test]
    fn a_broker_with_nothing_to_take_stays_available() {
        let mut node = NodeAvailability::new(Duration::ZERO);
        node.record_ready(Duration::from_secs(1), true);
        assert!(node.is_available(Duration::from_millis(1)), "long after, with no record_ready since");
    }
}
