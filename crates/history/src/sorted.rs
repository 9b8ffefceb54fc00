//! A map for numbers that come in nearly sorted and nearly without gaps: ids of records, and offsets of a partition.

use std::ops::Range;

/// A key whose place can be guessed.
pub(crate) trait Number: Copy + Ord {
    /// How far it is from `first`, which is not greater.
    fn distance(self, first: Self) -> usize;
}

impl Number for u64 {
    fn distance(self, first: Self) -> usize {
        usize::try_from(self - first).unwrap_or(usize::MAX)
    }
}

impl Number for i64 {
    fn distance(self, first: Self) -> usize {
        usize::try_from(self.abs_diff(first)).unwrap_or(usize::MAX)
    }
}

/// Sorted by key, in one piece of memory.
#[derive(Debug)]
pub(crate) struct Sorted<K, V> {
    entries: Vec<(K, V)>,
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<K: Number, V> FromIterator<(K, V)> for Sorted<K, V> {
    /// In any order; of those with the same key the last one stays.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.reverse();
        entries.sort_by_key(|(key, _)| *key);
        entries.dedup_by_key(|(key, _)| *key);
        Self { entries }
    }
}

impl<K: Number, V> Sorted<K, V> {
    /// Quick where the key is greater than all others, or there already.
    /// Returns what was there.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        if self.entries.last().is_none_or(|(last, _)| *last < key) {
            self.entries.push((key, value));
            return None;
        }
        match self.search(key) {
            Ok(at) => Some(std::mem::replace(&mut self.entries[at].1, value)),
            Err(at) => {
                self.entries.insert(at, (key, value));
                None
            }
        }
    }

    pub(crate) fn get(&self, key: K) -> Option<&V> {
        self.index(key).map(|at| &self.entries[at].1)
    }

    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.index(key).map(|at| &mut self.entries[at].1)
    }

    /// Which of all it is; valid until the next insertion.
    pub(crate) fn index(&self, key: K) -> Option<usize> {
        self.search(key).ok()
    }

    /// The first within `range`.
    pub(crate) fn first_in(&self, range: Range<K>) -> Option<(K, &V)> {
        let at = self.search(range.start).unwrap_or_else(|at| at);
        let (key, value) = self.entries.get(at)?;
        (*key < range.end).then_some((*key, value))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.entries.iter().map(|(key, value)| (*key, value))
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Where it is, or where it would be: first where it is if there are no gaps.
    fn search(&self, key: K) -> Result<usize, usize> {
        if let Some((first, _)) = self.entries.first()
            && *first <= key
        {
            let guess = key.distance(*first);
            if self.entries.get(guess).is_some_and(|(there, _)| *there == key) {
                return Ok(guess);
            }
        }
        self.entries.binary_search_by_key(&key, |(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_is_a_map_whatever_the_order_and_the_gaps() {
        for keys in [&[1, 2, 3, 4][..], &[7, 3, 9, 3, 1, 12], &[-5, -4, -1, 0, i64::MIN, i64::MAX], &[]] {
            let (mut sorted, mut map) = (Sorted::default(), BTreeMap::new());
            for (value, key) in keys.iter().enumerate() {
                assert_eq!(sorted.insert(*key, value), map.insert(*key, value));
            }
            assert_eq!(
                sorted.iter().collect::<Vec<_>>(),
                map.iter().map(|(key, value)| (*key, value)).collect::<Vec<_>>()
            );
            let collected: Sorted<_, _> = keys.iter().enumerate().map(|(value, key)| (*key, value)).collect();
            assert_eq!(collected.entries, sorted.entries);
            for key in [i64::MIN, -5, -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, i64::MAX] {
                assert_eq!(sorted.get(key), map.get(&key), "{key}");
                let first = map.range(key..i64::MAX).next().map(|(key, value)| (*key, value));
                assert_eq!(sorted.first_in(key..i64::MAX), first, "{key}");
            }
        }
    }
}
