//! Which batches a `read_committed` consumer hides. Pure.

use milena_records::{BatchHeader, ControlType};

/// An aborted transaction that overlaps with what was fetched, as the broker lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AbortedTransaction {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
}

/// Follows one partition's fetched batches in order and tells which belong to aborted transactions (KIP-98).
///
/// A transaction of the list is open from its first offset on, and ends with its producer's abort marker. Brokers have sent
/// lists that were not sorted by offset (and a client that believed them showed aborted records), so they are sorted here.
#[derive(Debug, Default)]
pub(crate) struct AbortedFilter {
    /// Not reached yet; the next one is last.
    ahead: Vec<AbortedTransaction>,
    /// Producers whose aborted transaction is open here. Few: a list is searched faster than a tree.
    open: Vec<i64>,
}

impl AbortedFilter {
    pub(crate) fn new(mut transactions: Vec<AbortedTransaction>) -> Self {
        transactions.sort_unstable_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Self { ahead: transactions, open: Vec::new() }
    }

    /// Whether the records of the next batch were aborted; `control` is what it says if it is a control batch.
    pub(crate) fn hides(&mut self, header: &BatchHeader, control: Option<ControlType>) -> bool {
        if header.producer_id < 0 {
            return false;
        }
        while let Some(next) = self.ahead.pop_if(|next| next.first_offset <= header.last_offset()) {
            if !self.open.contains(&next.producer_id) {
                self.open.push(next.producer_id);
            }
        }
        if control == Some(ControlType::Abort) {
            self.open.retain(|producer_id| *producer_id != header.producer_id);
            return false;
        }
        header.is_transactional() && self.open.contains(&header.producer_id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;

    fn header(offset: i64, producer_id: i64, attributes: i16) -> BatchHeader {
        BatchHeader {
            base_offset: offset,
            batch_length: 0,
            partition_leader_epoch: 0,
            magic: 2,
            crc: 0,
            attributes,
            last_offset_delta: 0,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id,
            producer_epoch: 0,
            base_sequence: 0,
            records_count: 1,
        }
    }

    /// One batch of a log as a broker would write it.
    #[derive(Clone, Copy, Debug)]
    enum Entry {
        Data(i64),
        Plain,
        Marker(i64, ControlType),
    }

    /// What a broker knows of a log: its aborted transactions, and which batches belong to them.
    fn reference(log: &[Entry]) -> (Vec<AbortedTransaction>, Vec<bool>) {
        let mut aborted = Vec::new();
        let mut hidden = vec![false; log.len()];
        for (at, entry) in log.iter().enumerate() {
            let Entry::Marker(producer, ControlType::Abort) = entry else { continue };
            let begin = log[..at]
                .iter()
                .rposition(|earlier| matches!(earlier, Entry::Marker(p, _) if p == producer))
                .map_or(0, |marker| marker + 1);
            let members: Vec<_> =
                (begin..at).filter(|i| matches!(log[*i], Entry::Data(p) if p == *producer)).collect();
            for member in &members {
                hidden[*member] = true;
            }
            if let Some(first) = members.first() {
                aborted.push(AbortedTransaction { producer_id: *producer, first_offset: *first as i64 });
            }
        }
        (aborted, hidden)
    }

    fn filtered(log: &[Entry], aborted: Vec<AbortedTransaction>) -> Vec<bool> {
        let mut filter = AbortedFilter::new(aborted);
        let hides = |(at, entry): (usize, &Entry)| match *entry {
            Entry::Data(producer) => filter.hides(&header(at as i64, producer, TRANSACTIONAL), None),
            Entry::Plain => filter.hides(&header(at as i64, -1, 0), None),
            Entry::Marker(producer, control) => {
                filter.hides(&header(at as i64, producer, TRANSACTIONAL | CONTROL), Some(control))
            }
        };
        log.iter().enumerate().map(hides).collect()
    }

    #[test]
    fn an_aborted_transaction_is_hidden_and_the_next_of_its_producer_is_not() {
        let log = [
            Entry::Data(7),
            Entry::Data(8),
            Entry::Plain,
            Entry::Data(7),
            Entry::Marker(7, ControlType::Abort),
            Entry::Data(7),
            Entry::Marker(8, ControlType::Commit),
            Entry::Marker(7, ControlType::Commit),
        ];
        let (aborted, _) = reference(&log);
        assert_eq!(filtered(&log, aborted), [true, false, false, true, false, false, false, false]);
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let producer = 0..4i64;
        prop_oneof![
            4 => producer.clone().prop_map(Entry::Data),
            1 => Just(Entry::Plain),
            1 => producer.clone().prop_map(|p| Entry::Marker(p, ControlType::Abort)),
            1 => producer.prop_map(|p| Entry::Marker(p, ControlType::Commit)),
        ]
    }

    proptest! {
        #[test]
        fn the_order_of_the_brokers_list_does_not_matter(
            log in proptest::collection::vec(entry(), 0..60),
            order in any::<u64>(),
        ) {
            let (mut aborted, hidden) = reference(&log);
            let mut random = order;
            for at in (1..aborted.len()).rev() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                aborted.swap(at, (random >> 33) as usize % (at + 1));
            }
            prop_assert_eq!(filtered(&log, aborted), hidden);
        }
    }
}
