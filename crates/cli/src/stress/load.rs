//! What is sent: keys, partitions and values by the seed. Pure.

use milena_history::RecordId;

use crate::random::SplitMix64;

/// How a record finds its partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Key(String),
    Partition(i32),
    Anywhere,
}

/// Different keys, each of which has to stay in one partition.
const KEYS: u64 = 100;

pub(super) fn place(random: &mut SplitMix64, partitions: i32) -> Place {
    match random.below(4) {
        0 | 1 => Place::Key(format!("key-{}", random.below(KEYS))),
        2 => Place::Partition(random.below(u64::from(partitions.unsigned_abs())) as i32),
        _ => Place::Anywhere,
    }
}

/// The record's number, and after it enough to make a value of many sizes.
pub(super) fn value(random: &mut SplitMix64, id: RecordId) -> Vec<u8> {
    let len = match random.below(20) {
        0 => random.below(50_000),
        _ => random.below(500),
    };
    let mut value = format!("{id} ").into_bytes();
    value.resize(value.len().max(len as usize), b'.');
    value
}

/// The number in a value, if it is one of ours.
pub(super) fn id_in(value: Option<&[u8]>) -> Option<RecordId> {
    let (id, _) = std::str::from_utf8(value?).ok()?.split_once(' ')?;
    id.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_tells_its_record() {
        let mut random = SplitMix64::new(1);
        for id in [0, 7, u64::MAX] {
            assert_eq!(id_in(Some(&value(&mut random, id))), Some(id));
        }
        for foreign in [None, Some(&b""[..]), Some(b"x 1"), Some(b"12"), Some(b"\xff ")] {
            assert_eq!(id_in(foreign), None);
        }
    }

    #[test]
    fn a_seed_makes_the_same_load_again() {
        let draw = |seed| {
            let mut random = SplitMix64::new(seed);
            (0..100).map(|_| place(&mut random, 6)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let is_valid =
            |place: &Place| !matches!(place, Place::Partition(partition) if !(0..6).contains(partition));
        assert!(draw(1).iter().all(is_valid));
    }
}
