//! The producer id, fetched from any broker when the producer begins, and when another one is needed.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::core::sequencing::ProducerIdentity;

/// Where the producer's identity is kept.
pub(crate) struct IdentityCell {
    state: Mutex<State>,
    wanted: Notify,
}

#[derive(Clone, Copy)]
enum State {
    /// `previous` will do for partitions that have not used up its epochs.
    Wanted {
        previous: Option<ProducerIdentity>,
    },
    Known(ProducerIdentity),
}

impl IdentityCell {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State::Wanted { previous: None }), wanted: Notify::new() }
    }

    pub(crate) fn current(&self) -> Option<ProducerIdentity> {
        match *self.lock() {
            State::Known(identity) => Some(identity),
            State::Wanted { previous } => previous,
        }
    }

    /// Asks for an identity other than that of the `exhausted` id. True when there is one already.
    pub(crate) fn request(&self, exhausted: Option<i64>) -> bool {
        let mut state = self.lock();
        match *state {
            State::Known(identity) if exhausted != Some(identity.producer_id) => true,
            State::Known(identity) => {
                *state = State::Wanted { previous: Some(identity) };
                self.wanted.notify_one();
                false
            }
            State::Wanted { .. } => {
                self.wanted.notify_one();
                false
            }
        }
    }

    /// What was known under the present id is forgotten: partitions that come new get another one.
    pub(crate) fn renew(&self) {
        let mut state = self.lock();
        if let State::Known(_) = *state {
            *state = State::Wanted { previous: None };
            self.wanted.notify_one();
        }
    }

    /// Waits until an identity is wanted.
    pub(crate) async fn wait_until_wanted(&self) {
        loop {
            if matches!(*self.lock(), State::Wanted { .. }) {
                return;
            }
            self.wanted.notified().await;
        }
    }

    pub(crate) fn set(&self, identity: ProducerIdentity) {
        *self.lock() = State::Known(identity);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
