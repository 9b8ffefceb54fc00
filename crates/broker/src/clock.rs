//! The broker's only door to time.
//!
//! Wall-clock milliseconds are derived from the runtime's monotonic clock and one reading taken at the start, so
//! that a paused or simulated runtime clock moves timestamps, retention and timeouts together.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Monotonic time of the runtime, and the wall clock that follows from it.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    wall_at_start_ms: i64,
    turned_ms: AtomicI64,
}

/// What both clocks say at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Milliseconds of the runtime's clock since the cluster started: for deadlines.
    pub(crate) elapsed_ms: i64,
    /// Milliseconds since the epoch: for timestamps.
    pub(crate) wall_ms: i64,
}

impl Clock {
    /// A clock that reads the machine's wall clock once, now.
    pub(crate) fn from_system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this module is the door to time")]
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let wall_ms = since_epoch.map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX));
        Self::starting_at(wall_ms)
    }

    /// A clock whose wall time is `wall_ms` (milliseconds since the epoch) now.
    pub(crate) fn starting_at(wall_ms: i64) -> Self {
        Self { started: monotonic_now(), wall_at_start_ms: wall_ms, turned_ms: AtomicI64::new(0) }
    }

    /// Wall-clock milliseconds since the epoch.
    pub(crate) fn now_ms(&self) -> i64 {
        let elapsed_ms = i64::try_from(self.started_ago().as_millis()).unwrap_or(i64::MAX);
        self.wall_at_start_ms
            .saturating_add(elapsed_ms)
            .saturating_add(self.turned_ms.load(Ordering::Relaxed))
    }

    /// Monotonic time, for deadlines.
    pub(crate) fn instant(&self) -> Instant {
        monotonic_now()
    }

    /// Both clocks, for a core that has deadlines and writes timestamps.
    pub(crate) fn moment(&self) -> Moment {
        let elapsed_ms = i64::try_from(self.started_ago().as_millis()).unwrap_or(i64::MAX);
        Moment { elapsed_ms, wall_ms: self.now_ms() }
    }

    /// When [`Moment::elapsed_ms`] will be this; `None` when that is too far away to be a time.
    pub(crate) fn instant_at(&self, elapsed_ms: i64) -> Option<Instant> {
        self.started.checked_add(Duration::from_millis(u64::try_from(elapsed_ms).unwrap_or(0)))
    }

    /// Moves the wall clock; deadlines that are already running do not move with it.
    pub(crate) fn turn(&self, by_ms: i64) {
        self.turned_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    fn started_ago(&self) -> Duration {
        monotonic_now().saturating_duration_since(self.started)
    }
}

/// So much after a moment; as far away as makes no difference, where that is no time.
pub(crate) fn later(instant: Instant, by: Duration) -> Instant {
    const FAR_AWAY: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    instant.checked_add(by.min(FAR_AWAY)).unwrap_or(instant)
}

fn monotonic_now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "this module is the door to time")]
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_moment_that_is_no_time_is_far_away() {
        let now = monotonic_now();
        assert_eq!(later(now, Duration::from_secs(1)) - now, Duration::from_secs(1));
        assert!(later(now, Duration::MAX) - now > Duration::from_secs(1_000_000));
    }

    #[tokio::test(start_paused = true)]
    async fn wall_clock_follows_the_runtime_clock() {
        let clock = Clock::starting_at(1_000);
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(clock.now_ms(), 1_250);
        clock.turn(-1_000);
        assert_eq!(clock.now_ms(), 250);
    }
}
