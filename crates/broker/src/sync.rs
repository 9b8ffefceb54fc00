//! Small helpers around locks and signals.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::Notify;

/// Locks; a panic elsewhere while it was held does not spread, because every change is made whole or not at all.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn read<T>(shared: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    shared.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(shared: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    shared.write().unwrap_or_else(PoisonError::into_inner)
}

/// A condition that tasks can wait for.
///
/// Those who wait are woken in the order in which they began to; tokio's `watch` spreads them over several lists at random, so that
/// no two runs would be alike.
#[derive(Debug)]
pub(crate) struct Switch {
    is_on: AtomicBool,
    changed: Notify,
}

impl Switch {
    pub(crate) fn off() -> Self {
        Self { is_on: AtomicBool::new(false), changed: Notify::new() }
    }

    pub(crate) fn set(&self, on: bool) {
        if self.is_on.swap(on, Ordering::AcqRel) != on {
            self.changed.notify_waiters();
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// Returns once it is on; at once if it is already.
    pub(crate) async fn on(&self) {
        self.wait_for(true).await;
    }

    /// Returns once it is off; at once if it is already.
    pub(crate) async fn until_off(&self) {
        self.wait_for(false).await;
    }

    async fn wait_for(&self, wanted: bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Before the look, so that a change right after it is not missed.
            changed.as_mut().enable();
            if self.is_on.load(Ordering::Acquire) == wanted {
                return;
            }
            changed.await;
        }
    }
}
