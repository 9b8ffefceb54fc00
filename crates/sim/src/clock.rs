//! The virtual clock.

use std::time::{Duration, Instant};

/// What the wall clock shows when a run begins, in milliseconds since 1970.
pub(crate) const WALL_CLOCK_MS: i64 = 1_700_000_000_000;

#[expect(clippy::disallowed_methods, reason = "this is the simulation's door to time, which is virtual")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Runs `future` for at most so long.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}
