//! Wall clocks: the system's, and one derived from the monotonic clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where wall-clock time comes from.
pub(super) enum WallClock {
    /// The operating system.
    System,
    /// `epoch_ms` at `start`, advancing with the monotonic clock.
    Virtual { start: Instant, epoch_ms: i64 },
}

impl WallClock {
    pub(super) fn exact_ms(&self, now: Instant) -> i64 {
        match self {
            Self::System => system_ms(),
            Self::Virtual { start, epoch_ms } => epoch_ms + millis(now.saturating_duration_since(*start)),
        }
    }

    pub(super) fn coarse_ms(&self, now: impl FnOnce() -> Instant) -> i64 {
        match self {
            Self::System => system_coarse_ms(),
            Self::Virtual { .. } => self.exact_ms(now()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn system_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    }
}

/// The kernel's cached time: no reading of the time-stamp counter, one tick (1 to 4 ms) of granularity.
#[cfg(target_os = "linux")]
fn system_coarse_ms() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

#[cfg(not(target_os = "linux"))]
fn system_coarse_ms() -> i64 {
    system_ms()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coarse_time_is_within_a_few_ticks_of_exact_time() {
        let coarse = system_coarse_ms();
        let exact = system_ms();
        assert!((exact - coarse).abs() < 1_000, "coarse {coarse}, exact {exact}");
    }
}
