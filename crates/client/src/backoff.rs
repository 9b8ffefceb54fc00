//! Exponential back-off with jitter (KIP-580).

use std::time::Duration;

/// How long to wait before the n-th attempt: doubling from `initial` to `max`, spread by ±20 %.
///
/// Kafka: `retry.backoff.ms` and `retry.backoff.max.ms`, or `reconnect.backoff.ms` and `reconnect.backoff.max.ms`; factor and
/// jitter as in `CommonClientConfigs`, the bound after the jitter as in `ExponentialBackoff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Backoff {
    const JITTER: f64 = 0.2;

    /// A back-off from `initial` to `max`; a `max` below `initial` means a constant wait of `max`, as in Java.
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max }
    }

    /// The wait after `failures` failed attempts (1 = the first wait); `unit_random` is in `0.0..1.0`.
    pub fn delay(&self, failures: u32, unit_random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        let base = self.initial.saturating_mul(1 << doublings).min(self.max);
        let spread = 1.0 - Self::JITTER + 2.0 * Self::JITTER * unit_random.clamp(0.0, 1.0);
        Duration::try_from_secs_f64(base.as_secs_f64() * spread).map_or(self.max, |wait| wait.min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(1_000));

    #[test]
    fn waits_double_up_to_the_maximum() {
        let waits: Vec<_> = (1..=6).map(|n| BACKOFF.delay(n, 0.5).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn jitter_spreads_by_a_fifth_to_both_sides() {
        assert_eq!(BACKOFF.delay(1, 0.0).as_millis(), 80);
        assert_eq!(BACKOFF.delay(1, 1.0).as_millis(), 120);
    }

    #[test]
    fn any_number_of_failures_is_bounded() {
        assert_eq!(BACKOFF.delay(u32::MAX, 0.5).as_millis(), 1_000);
        assert_eq!(BACKOFF.delay(u32::MAX, 1.0).as_millis(), 1_000);
        assert_eq!(Backoff::new(Duration::MAX, Duration::MAX).delay(9, 1.0), Duration::MAX);
        assert_eq!(BACKOFF.delay(0, 0.5).as_millis(), 100);
    }
}
