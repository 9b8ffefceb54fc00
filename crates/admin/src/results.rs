//! What became of each of several things.

use std::collections::BTreeMap;
use std::collections::btree_map;

use crate::AdminError;

/// An outcome for each of the things that were named, in their order.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "each outcome may be an error; `all` gives the first one"]
pub struct Results<K, T> {
    outcomes: BTreeMap<K, Result<T, AdminError>>,
}

impl<K: Ord, T> Results<K, T> {
    pub(crate) fn new() -> Self {
        Self { outcomes: BTreeMap::new() }
    }

    pub(crate) fn insert(&mut self, key: K, outcome: Result<T, AdminError>) {
        self.outcomes.insert(key, outcome);
    }

    /// All successes, if there was no failure.
    ///
    /// # Errors
    /// The first failure, in the order of the things.
    pub fn all(self) -> Result<BTreeMap<K, T>, AdminError> {
        self.outcomes.into_iter().map(|(key, outcome)| Ok((key, outcome?))).collect()
    }

    /// The outcome for one thing; `None` if it was not asked about.
    pub fn get<Q>(&self, key: &Q) -> Option<Result<&T, &AdminError>>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.outcomes.get(key).map(Result::as_ref)
    }

    /// The failures.
    pub fn errors(&self) -> impl Iterator<Item = (&K, &AdminError)> {
        self.outcomes.iter().filter_map(|(key, outcome)| Some((key, outcome.as_ref().err()?)))
    }

    /// All outcomes.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Result<T, AdminError>)> {
        self.outcomes.iter()
    }

    /// How many things there were.
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Whether nothing was asked about.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    /// The outcome of an operation on one thing.
    pub(crate) fn only(self) -> Result<T, AdminError> {
        self.outcomes.into_values().next().expect("there is an outcome for each thing named")
    }
}

impl<K, T> IntoIterator for Results<K, T> {
    type Item = (K, Result<T, AdminError>);
    type IntoIter = btree_map::IntoIter<K, Result<T, AdminError>>;

    fn into_iter(self) -> Self::IntoIter {
        self.outcomes.into_iter()
    }
}
