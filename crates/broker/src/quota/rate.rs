//! A rate over the last few windows (Java: `Rate`, `SampledStat`, `QuotaUtils`).

use super::Windows;

/// How much of something there was in a second, lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rate {
    /// As a ring, once there is one more than the windows that count: that one still overlaps with them.
    samples: Vec<Sample>,
    current: usize,
}

#[derive(Debug, Clone)]
struct Sample {
    sum: f64,
    started_ms: i64,
    last_ms: i64,
}

impl Sample {
    fn new(now_ms: i64) -> Self {
        Self { sum: 0.0, started_ms: now_ms, last_ms: now_ms }
    }
}

impl Rate {
    /// Adds to the rate; a negative value takes back what was added.
    pub(crate) fn record(&mut self, windows: Windows, value: f64, now_ms: i64) {
        if let Some(current) = self.samples.get(self.current)
            && now_ms - current.started_ms >= windows.window_ms
        {
            self.current = (self.current + 1) % (windows.samples as usize + 1);
            if let Some(oldest) = self.samples.get_mut(self.current) {
                *oldest = Sample::new(now_ms);
            }
        }
        if self.current >= self.samples.len() {
            self.current = self.samples.len();
            self.samples.push(Sample::new(now_ms));
        }
        let current = &mut self.samples[self.current];
        current.sum += value;
        current.last_ms = now_ms;
    }

    /// How long nothing may be added until the rate is down to `bound` a second; 0 if it is.
    pub(crate) fn excess_ms(&mut self, windows: Windows, bound: f64, now_ms: i64) -> i64 {
        let span_ms = self.span_ms(windows, now_ms) as f64;
        let sum: f64 = self.samples.iter().map(|sample| sample.sum).sum();
        let rate = sum / (span_ms / 1000.0);
        if rate <= bound {
            return 0;
        }
        // To bring rate * span down to bound * (span + x): x = (rate - bound) / bound * span.
        ((rate - bound) / bound * span_ms).round() as i64
    }

    /// The time that the rate is taken over: that since the oldest sample, and never less than all windows but one, so that
    /// the first to come does not make a rate that nobody has kept up.
    fn span_ms(&mut self, windows: Windows, now_ms: i64) -> i64 {
        let Windows { samples, window_ms } = windows;
        for sample in &mut self.samples {
            if now_ms - sample.last_ms >= samples.saturating_mul(window_ms) {
                *sample = Sample::new(now_ms);
            }
        }
        let oldest_ms = self.samples.iter().map(|sample| sample.started_ms).min().unwrap_or(now_ms);
        let elapsed_ms = now_ms - oldest_ms;
        let missing = (samples - 1 - elapsed_ms / window_ms).max(0);
        elapsed_ms.saturating_add(missing.saturating_mul(window_ms)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows { samples: 11, window_ms: 1000 };

    fn with(records: &[(i64, f64)]) -> Rate {
        let mut rate = Rate::default();
        records.iter().for_each(|(now_ms, value)| rate.record(WINDOWS, *value, *now_ms));
        rate
    }

    #[test]
    fn a_burst_is_paid_for_with_what_it_exceeds_ten_windows() {
        assert_eq!(with(&[(0, 10_000.0)]).excess_ms(WINDOWS, 1000.0, 0), 0);
        assert_eq!(with(&[(0, 12_000.0)]).excess_ms(WINDOWS, 1000.0, 0), 2000);
        assert_eq!(with(&[(0, 12_000.0)]).excess_ms(WINDOWS, 1000.0, 500), 1500);
        assert_eq!(
            with(&[(0, 12_000.0)]).excess_ms(WINDOWS, 1000.0, 2000),
            2000,
            "whole windows are not added"
        );
        assert_eq!(with(&[(0, 12_000.0)]).excess_ms(WINDOWS, 1000.0, 10_999), 1001);
        assert_eq!(
            with(&[(0, 12_000.0)]).excess_ms(WINDOWS, 1000.0, 11_000),
            0,
            "it is no longer in any window"
        );
    }

    #[test]
    fn what_is_taken_back_does_not_count() {
        assert_eq!(with(&[(0, 9000.0), (5, 9000.0), (5, -9000.0)]).excess_ms(WINDOWS, 1000.0, 5), 0);
    }

    #[test]
    fn a_steady_rate_is_measured_over_all_windows() {
        let steady: Vec<_> = (0..60).map(|second| (second * 1000, 1500.0)).collect();
        let mut rate = with(&steady);
        assert_eq!(rate.samples.len(), 12);
        // The eleven samples since second 49, over ten seconds.
        assert_eq!(rate.excess_ms(WINDOWS, 1000.0, 59_000), 6500);
    }

    #[test]
    fn one_window_is_enough() {
        let one = Windows { samples: 1, window_ms: 1000 };
        let mut rate = Rate::default();
        rate.record(one, 1000.0, 0);
        assert_eq!(rate.excess_ms(one, 1000.0, 0), 999, "no time has passed yet: it counts as a millisecond");
        assert_eq!(rate.excess_ms(one, 1000.0, 1000), 0);
    }
}
