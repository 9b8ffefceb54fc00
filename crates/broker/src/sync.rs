//! Small helpers around locks and signals.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

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
#[derive(Debug)]
pub(crate) struct Switch {
    state: watch::Sender<bool>,
}

impl Switch {
    pub(crate) fn off() -> Self {
        Self { state: watch::Sender::new(false) }
    }

    pub(crate) fn set(&self, on: bool) {
        self.state.send_if_modified(|state| std::mem::replace(state, on) != on);
    }

    pub(crate) fn is_on(&self) -> bool {
        *self.state.borrow()
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
        let mut watcher = self.state.subscribe();
        // The sender lives as long as `self`, so this cannot fail.
        let _ = watcher.wait_for(|state| *state == wanted).await;
    }
}
