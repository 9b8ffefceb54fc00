//! Named deadlines (Java: `CoordinatorTimer`). Pure.

use std::collections::{BTreeMap, BTreeSet};

/// Deadlines by name, each at most once. Times are [`Moment::elapsed_ms`](crate::clock::Moment).
///
/// Those of one time come up in the order of their names, so that one seed gives one history.
#[derive(Debug, Clone)]
pub(crate) struct Timers<K> {
    deadlines: BTreeMap<K, i64>,
    queue: BTreeSet<(i64, K)>,
}

impl<K: Ord + Clone> Default for Timers<K> {
    fn default() -> Self {
        Self { deadlines: BTreeMap::new(), queue: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Timers<K> {
    /// Sets a deadline, in place of one of the same name.
    pub(crate) fn schedule(&mut self, key: K, deadline_ms: i64) {
        self.cancel(&key);
        self.deadlines.insert(key.clone(), deadline_ms);
        self.queue.insert((deadline_ms, key));
    }

    pub(crate) fn cancel(&mut self, key: &K) {
        if let Some((key, deadline_ms)) = self.deadlines.remove_entry(key) {
            self.queue.remove(&(deadline_ms, key));
        }
    }

    pub(crate) fn is_scheduled(&self, key: &K) -> bool {
        self.deadlines.contains_key(key)
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<i64> {
        self.queue.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// Takes one deadline that has come.
    pub(crate) fn pop_due(&mut self, elapsed_ms: i64) -> Option<K> {
        if self.next()? > elapsed_ms {
            return None;
        }
        let (_, key) = self.queue.pop_first()?;
        self.deadlines.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_order_and_only_when_due() {
        let mut timers = Timers::default();
        timers.schedule("late", 30);
        timers.schedule("b", 10);
        timers.schedule("a", 10);
        assert_eq!(timers.next(), Some(10));
        assert_eq!(timers.pop_due(9), None);
        let due: Vec<_> = std::iter::from_fn(|| timers.pop_due(29)).collect();
        assert_eq!((due, timers.next()), (vec!["a", "b"], Some(30)));
    }

    #[test]
    fn a_deadline_replaces_the_one_of_its_name() {
        let mut timers = Timers::default();
        timers.schedule("a", 10);
        timers.schedule("a", 50);
        assert_eq!((timers.pop_due(49), timers.next()), (None, Some(50)));
        timers.cancel(&"a");
        assert!(!timers.is_scheduled(&"a") && timers.next().is_none());
    }
}
