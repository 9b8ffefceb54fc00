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
        *self.lock() = State::Wanted { previous: None };
        self.wanted.notify_one();
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

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: ProducerIdentity = ProducerIdentity { producer_id: 7, producer_epoch: 0 };
    const SECOND: ProducerIdentity = ProducerIdentity { producer_id: 8, producer_epoch: 0 };

    #[test]
    fn one_is_wanted_from_the_beginning() {
        let cell = IdentityCell::new();
        assert_eq!(cell.current(), None);
        assert!(!cell.request(None));
        cell.set(FIRST);
        assert!(cell.request(None), "there is one already");
        assert_eq!(cell.current(), Some(FIRST));
    }

    #[test]
    fn an_exhausted_one_serves_others_until_the_next_comes() {
        let cell = IdentityCell::new();
        cell.set(FIRST);
        assert!(!cell.request(Some(FIRST.producer_id)));
        assert_eq!(cell.current(), Some(FIRST));
        cell.set(SECOND);
        assert!(cell.request(Some(FIRST.producer_id)));
        assert_eq!(cell.current(), Some(SECOND));
    }

    #[test]
    fn one_that_is_renewed_while_the_next_is_fetched_serves_nobody_new_either() {
        let cell = IdentityCell::new();
        cell.set(FIRST);
        assert!(!cell.request(Some(FIRST.producer_id)));
        cell.renew();
        assert_eq!(cell.current(), None);
    }

    #[test]
    fn a_renewed_one_serves_nobody_new() {
        let cell = IdentityCell::new();
        cell.set(FIRST);
        cell.renew();
        assert_eq!(cell.current(), None);
        cell.set(SECOND);
        assert_eq!(cell.current(), Some(SECOND));
    }
}
