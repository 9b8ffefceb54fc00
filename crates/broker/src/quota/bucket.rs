//! A bucket of tokens: bursts are free as long as it is not empty (KIP-599; Java: `TokenBucket`).

use super::Windows;

/// What is left of what may be done.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    tokens: f64,
    updated_ms: i64,
}

impl Default for Bucket {
    /// A full one, whatever that is.
    fn default() -> Self {
        Self { tokens: f64::INFINITY, updated_ms: 0 }
    }
}

impl Bucket {
    /// Takes tokens; there may be fewer than none afterwards.
    pub(crate) fn take(&mut self, windows: Windows, bound: f64, tokens: f64, now_ms: i64) {
        self.refill(windows, bound, now_ms);
        self.tokens -= tokens;
    }

    /// How long until there are no fewer than none; 0 if that is so.
    pub(crate) fn debt_ms(&mut self, windows: Windows, bound: f64, now_ms: i64) -> i64 {
        self.refill(windows, bound, now_ms);
        (-self.tokens.min(0.0) / bound * 1000.0).round() as i64
    }

    fn refill(&mut self, windows: Windows, bound: f64, now_ms: i64) {
        let burst = windows.samples as f64 * windows.seconds() * bound;
        let gained = bound * (now_ms - self.updated_ms) as f64 / 1000.0;
        self.tokens = (self.tokens + gained).min(burst);
        self.updated_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows { samples: 11, window_ms: 1000 };

    #[test]
    fn the_last_token_may_be_followed_by_any_number_and_the_debt_is_paid_by_time() {
        let mut bucket = Bucket::default();
        bucket.take(WINDOWS, 2.0, 22.0, 0);
        assert_eq!(bucket.debt_ms(WINDOWS, 2.0, 0), 0);
        bucket.take(WINDOWS, 2.0, 5.0, 0);
        assert_eq!(bucket.debt_ms(WINDOWS, 2.0, 0), 2500);
        assert_eq!(bucket.debt_ms(WINDOWS, 2.0, 1000), 1500);
        assert_eq!(bucket.debt_ms(WINDOWS, 2.0, 2500), 0);
    }

    #[test]
    fn it_never_holds_more_than_its_windows_do() {
        let mut bucket = Bucket::default();
        bucket.take(WINDOWS, 1.0, 0.0, 0);
        bucket.take(WINDOWS, 1.0, 12.0, 1_000_000);
        assert_eq!(bucket.debt_ms(WINDOWS, 1.0, 1_000_000), 1000);
    }
}
