/// How loaded one partition of a topic is, for adaptive partitioning (KIP-794).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionLoad {
    /// The partition.
    pub partition: i32,
    /// Batches waiting to be sent to it.
    pub queued_batches: u32,
    /// False while it has no leader, or its leader takes no data: nothing more is queued for it then.
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
}
