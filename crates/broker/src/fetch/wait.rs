//! How a fetch waits for bytes without being woken by every append.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A fetch that waits until its partitions together have gained enough bytes (`fetch.min.bytes`).
///
/// Appends only add to a counter; the fetch is woken once, when the counter reaches what it misses, or when something
/// happened that it must answer at once.
#[derive(Debug)]
pub(crate) struct FetchWait {
    missing: usize,
    gained: AtomicUsize,
    must_answer: AtomicBool,
    wake: Notify,
}

impl FetchWait {
    pub(crate) fn for_bytes(missing: usize) -> Self {
        Self {
            missing,
            gained: AtomicUsize::new(0),
            must_answer: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    /// One of the partitions has so many bytes more.
    pub(crate) fn gained(&self, bytes: usize) {
        let before = self.gained.fetch_add(bytes, Ordering::AcqRel);
        // Only the append that crosses the line wakes; a notification without a waiter is kept for it.
        if before < self.missing && before + bytes >= self.missing {
            self.wake.notify_one();
        }
    }

    /// Something changed that the fetch must report, such as a new leader.
    pub(crate) fn wake(&self) {
        self.must_answer.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// There may be enough bytes now, though none were added: those of a transaction that has ended.
    pub(crate) fn look_again(&self) {
        self.wake.notify_one();
    }

    /// Whether the fetch must be answered even if it does not have enough bytes.
    pub(crate) fn must_answer(&self) -> bool {
        self.must_answer.load(Ordering::Acquire)
    }

    /// Returns when there may be enough bytes, or something to report.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;

    async fn is_woken(wait: &FetchWait) -> bool {
        let mut woken = std::pin::pin!(wait.woken());
        std::future::poll_fn(|context| Poll::Ready(woken.as_mut().poll(context).is_ready())).await
    }

    #[tokio::test]
    async fn only_the_append_that_reaches_the_minimum_wakes() {
        let wait = FetchWait::for_bytes(10);
        wait.gained(9);
        assert!(!is_woken(&wait).await);
        wait.gained(1);
        assert!(is_woken(&wait).await && !wait.must_answer());
        wait.gained(100);
        assert!(!is_woken(&wait).await);
    }

    #[tokio::test]
    async fn the_end_of_a_transaction_wakes_without_having_it_answered() {
        let wait = FetchWait::for_bytes(10);
        wait.look_again();
        assert!(is_woken(&wait).await && !wait.must_answer());
    }

    #[tokio::test]
    async fn a_change_wakes_whatever_the_bytes() {
        let wait = FetchWait::for_bytes(10);
        wait.wake();
        assert!(is_woken(&wait).await && wait.must_answer());
    }
}
