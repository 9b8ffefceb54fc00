//! A value whose changes tasks wait for.

use std::pin::pin;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::Notify;

/// A value whose changes tasks wait for.
///
/// Those who wait are woken in the order in which they began to. That is why this is not tokio's `watch`, which spreads them over
/// several lists at random, so that no two runs would be alike.
#[derive(Debug, Default)]
pub struct Watch<T> {
    state: RwLock<State<T>>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State<T> {
    value: T,
    /// How often it was changed.
    changes: u64,
}

/// What [`Watch::next`] has shown last; the default is nothing yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    changes: Option<u64>,
}

impl<T> Watch<T> {
    /// Begins with `value`.
    pub fn new(value: T) -> Self {
        Self { state: RwLock::new(State { value, changes: 0 }), changed: Notify::new() }
    }

    /// Looks at the value. It must not be changed meanwhile by the same thread.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.state().value)
    }

    /// Changes the value, and wakes everybody who waits.
    pub fn modify(&self, change: impl FnOnce(&mut T)) {
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            change(&mut state.value);
            state.changes += 1;
        }
        self.changed.notify_waiters();
    }

    /// Waits until `look` finds what it looks for; it looks at once, and after every change.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn wait_until<R>(&self, mut look: impl FnMut(&T) -> Option<R>) -> R {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before the look, so that a change right after it is not missed.
            changed.as_mut().enable();
            if let Some(found) = self.read(&mut look) {
                return found;
            }
            changed.await;
        }
    }

    /// Waits for a change since what `seen` has seen; at once if it has seen nothing yet.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn next<R>(&self, seen: &mut Seen, look: impl FnOnce(&T) -> R) -> R {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let state = self.state();
                if seen.changes != Some(state.changes) {
                    seen.changes = Some(state.changes);
                    return look(&state.value);
                }
            }
            changed.await;
        }
    }

    fn state(&self) -> RwLockReadGuard<'_, State<T>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::env::Env;

    #[tokio::test]
    async fn those_who_wait_are_woken_in_the_order_in_which_they_began_to() {
        let watch = Arc::new(Watch::new(false));
        let woken = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..50)
            .map(|number| {
                let (watch, woken) = (watch.clone(), woken.clone());
                Env::system().spawn(async move {
                    watch.wait_until(|value| value.then_some(())).await;
                    woken.lock().unwrap().push(number);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        watch.modify(|value| *value = true);
        for task in waiting {
            task.join().await;
        }
        assert_eq!(*woken.lock().unwrap(), (0..50).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_next_value_is_one_that_was_not_seen() {
        let watch = Watch::new(1);
        let mut seen = Seen::default();
        assert_eq!(watch.next(&mut seen, |value| *value).await, 1);
        let (next, ()) =
            tokio::join!(watch.next(&mut seen, |value| *value), async { watch.modify(|value| *value = 1) });
        assert_eq!(next, 1);
    }
}
