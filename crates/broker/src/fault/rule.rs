//! What rules of every kind have in common: how often they strike, and the handle by which they are followed and removed.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::rng::Rng;
use crate::shared::Shared;
use crate::sync::lock;

/// A rule that is in force. Dropping this leaves it in force; [`remove`](Self::remove) ends it, and so does dropping a
/// [`guard`](Self::guard).
#[derive(Debug, Clone)]
pub struct Fault {
    shared: Arc<Shared>,
    record: Arc<FaultRecord>,
}

/// A rule that is in force until this is dropped.
#[derive(Debug)]
#[must_use = "the rule ends when this is dropped"]
pub struct FaultGuard {
    fault: Fault,
}

impl Fault {
    pub(super) fn new(shared: Arc<Shared>, record: Arc<FaultRecord>) -> Self {
        Self { shared, record }
    }

    /// How often it has happened.
    pub fn fired(&self) -> u64 {
        self.record.fired()
    }

    /// Returns when it has happened at least so often.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost.
    pub async fn fired_times(&self, times: u64) {
        self.shared.seen.until(|| self.fired() >= times).await;
    }

    /// Ends the rule; what it holds back is let go.
    pub fn remove(&self) {
        self.shared.faults.remove(&self.record);
    }

    /// Ends the rule when the guard is dropped.
    pub fn guard(self) -> FaultGuard {
        FaultGuard { fault: self }
    }
}

impl Deref for FaultGuard {
    type Target = Fault;

    fn deref(&self) -> &Fault {
        &self.fault
    }
}

impl Drop for FaultGuard {
    fn drop(&mut self) {
        self.fault.remove();
    }
}

/// What became of a rule.
#[derive(Debug, Default)]
pub(crate) struct FaultRecord {
    fired: AtomicU64,
    removed: AtomicBool,
}

impl FaultRecord {
    pub(super) fn fired(&self) -> u64 {
        self.fired.load(Ordering::Acquire)
    }

    pub(super) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    pub(super) fn remove(&self) {
        self.removed.store(true, Ordering::Release);
    }
}

/// How often a rule strikes what it is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frequency {
    /// How many matches pass before it begins.
    pub(super) skip: u32,
    /// How often it happens; `None` is for ever.
    pub(super) left: Option<u32>,
    /// How likely it is to happen to a match.
    pub(super) probability: f64,
}

impl Frequency {
    pub(super) fn once() -> Self {
        Self { left: Some(1), ..Self::always() }
    }

    pub(super) fn always() -> Self {
        Self { skip: 0, left: None, probability: 1.0 }
    }

    fn strikes(&mut self, rng: &mut Rng) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if self.left == Some(0) || !rng.chance(self.probability) {
            return false;
        }
        self.left = self.left.map(|left| left - 1);
        true
    }
}

/// The rules of one kind, in the order in which they were asked for. Pure: it says what goes wrong, others make it so.
#[derive(Debug)]
pub(super) struct Table<S, E> {
    rules: Mutex<Rules<S, E>>,
    /// Whether there are any rules, so that the common case takes no lock.
    is_armed: AtomicBool,
}

#[derive(Debug)]
struct Rules<S, E> {
    rules: Vec<Rule<S, E>>,
    rng: Rng,
}

#[derive(Debug)]
struct Rule<S, E> {
    scope: S,
    frequency: Frequency,
    effect: E,
    record: Arc<FaultRecord>,
}

impl<S, E> Table<S, E> {
    pub(super) fn new(rng: Rng) -> Self {
        Self { rules: Mutex::new(Rules { rules: Vec::new(), rng }), is_armed: AtomicBool::new(false) }
    }

    pub(super) fn add(&self, scope: S, frequency: Frequency, effect: E) -> Arc<FaultRecord> {
        let record = Arc::new(FaultRecord::default());
        let mut rules = lock(&self.rules);
        rules.rules.push(Rule { scope, frequency, effect, record: record.clone() });
        self.is_armed.store(true, Ordering::Release);
        record
    }

    pub(super) fn clear(&self) {
        let mut rules = lock(&self.rules);
        rules.rules.drain(..).for_each(|rule| rule.record.remove());
        self.is_armed.store(false, Ordering::Release);
    }

    /// What the rules make of something that happens: `take` of every rule that is meant and whose turn it is, each counted as fired.
    pub(super) fn strike<T>(
        &self,
        is_meant: impl Fn(&S, &E) -> bool,
        take: impl Fn(&E, &Arc<FaultRecord>) -> T,
    ) -> Vec<T> {
        if !self.is_armed.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut guard = lock(&self.rules);
        let Rules { rules, rng } = &mut *guard;
        rules.retain(|rule| !rule.is_over());
        self.is_armed.store(!rules.is_empty(), Ordering::Release);
        let mut struck = Vec::new();
        for rule in rules.iter_mut() {
            if is_meant(&rule.scope, &rule.effect) && rule.frequency.strikes(rng) {
                rule.record.fired.fetch_add(1, Ordering::AcqRel);
                struck.push(take(&rule.effect, &rule.record));
            }
        }
        struck
    }
}

impl<S, E> Rule<S, E> {
    /// Whether it can be forgotten. One that has struck as often as it was to stays as long as something is held back by it, so that
    /// clearing the table lets that go.
    fn is_over(&self) -> bool {
        let is_exhausted = self.frequency.left == Some(0) && Arc::strong_count(&self.record) == 1;
        self.record.is_removed() || is_exhausted
    }
}
