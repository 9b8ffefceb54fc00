use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sub-buckets of each power of two, as a power of two: values keep this many bits after the first,
/// so that a quantile is at most 1/32 too high.
const PRECISION_BITS: u32 = 5;
const SUB_BUCKETS: usize = 1 << PRECISION_BITS;
/// Values below `SUB_BUCKETS` are exact; each of the other powers of two has its sub-buckets.
const BUCKETS: usize = SUB_BUCKETS * (u64::BITS - PRECISION_BITS + 1) as usize;

/// The distribution of a number, such as a latency, since the start.
///
/// Recording is one atomic addition to a bucket and one to the sum; nothing is locked. 15 KiB.
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
    max: AtomicU64,
}

impl Histogram {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            buckets: std::iter::repeat_with(AtomicU64::default).take(BUCKETS).collect(),
            sum: AtomicU64::new(0),
            max: AtomicU64::new(0),
        }
    }

    /// Counts `value`.
    pub fn record(&self, value: u64) {
        self.buckets[bucket_of(value)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
        self.max.fetch_max(value, Ordering::Relaxed);
    }

    /// What was counted so far. Values recorded meanwhile may be in it or not.
    pub fn snapshot(&self) -> HistogramSnapshot {
        HistogramSnapshot {
            buckets: self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
            max: self.max.load(Ordering::Relaxed),
        }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.snapshot(), f)
    }
}

/// A [`Histogram`] at one moment.
#[derive(Clone, PartialEq, Eq)]
pub struct HistogramSnapshot {
    buckets: Box<[u64]>,
    sum: u64,
    max: u64,
}

impl HistogramSnapshot {
    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The largest value, exactly; 0 without any.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The mean; NaN without values.
    pub fn mean(&self) -> f64 {
        self.sum as f64 / self.count() as f64
    }

    /// The value that the share `quantile` of all values (0.99 for the 99th percentile) is not above:
    /// at most 1/32 too high, and never above [`max`](Self::max). 0 without values.
    pub fn quantile(&self, quantile: f64) -> u64 {
        let rank = (self.count() as f64 * quantile.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0;
        let reached = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        reached.map_or(0, |bucket| upper_bound_of(bucket).min(self.max))
    }

    /// What was counted since an earlier snapshot of the same histogram. The largest value stays that
    /// of all time.
    pub fn since(&self, earlier: &Self) -> Self {
        let less = |(now, then): (&u64, &u64)| now.saturating_sub(*then);
        Self {
            buckets: self.buckets.iter().zip(&earlier.buckets).map(less).collect(),
            sum: self.sum.wrapping_sub(earlier.sum),
            max: self.max,
        }
    }
}

impl fmt::Debug for HistogramSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("max", &self.max)
            .finish()
    }
}

/// Small values have a bucket each. Of the others count the position of the first bit and the
/// `PRECISION_BITS` after it.
fn bucket_of(value: u64) -> usize {
    let Some(shift) = value.checked_ilog2().and_then(|first| first.checked_sub(PRECISION_BITS)) else {
        return value as usize;
    };
    let after_first = (value >> shift) as usize - SUB_BUCKETS;
    SUB_BUCKETS * (shift as usize + 1) + after_first
}

/// The largest value of a bucket.
fn upper_bound_of(bucket: usize) -> u64 {
    let (row, column) = (bucket / SUB_BUCKETS, bucket % SUB_BUCKETS);
    match row.checked_sub(1) {
        None => column as u64,
        // The last bucket ends with u64::MAX, one more does not exist: hence the sum, not a product.
        Some(shift) => (((SUB_BUCKETS + column) as u64) << shift) + ((1 << shift) - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another_without_gap_and_end_with_the_largest_number() {
        assert_eq!(bucket_of(0), 0);
        assert_eq!(upper_bound_of(0), 0);
        for bucket in 1..BUCKETS {
            let first = upper_bound_of(bucket - 1) + 1;
            assert_eq!(bucket_of(first), bucket);
            assert_eq!(bucket_of(upper_bound_of(bucket)), bucket);
        }
        assert_eq!(upper_bound_of(BUCKETS - 1), u64::MAX);
    }

    #[test]
    fn quantiles_are_at_most_a_thirty_second_too_high_and_never_too_low() {
        let histogram = Histogram::new();
        (1..=100_000).for_each(|value| histogram.record(value));
        let snapshot = histogram.snapshot();
        for (quantile, exact) in [(0.0, 1), (0.01, 1_000), (0.5, 50_000), (0.999, 99_900), (1.0, 100_000)] {
            let value = snapshot.quantile(quantile);
            assert!((exact..=exact + exact / 32).contains(&value), "{quantile}: {value}");
        }
        assert_eq!((snapshot.count(), snapshot.max()), (100_000, 100_000));
        assert_eq!(snapshot.mean(), 50_000.5);
    }

    #[test]
    fn an_empty_histogram_has_no_mean_and_zero_quantiles() {
        let snapshot = Histogram::new().snapshot();
        assert_eq!((snapshot.count(), snapshot.quantile(0.99), snapshot.max()), (0, 0, 0));
        assert!(snapshot.mean().is_nan());
    }

    #[test]
    fn the_difference_of_two_snapshots_is_what_came_between() {
        let histogram = Histogram::new();
        histogram.record(1_000_000);
        let before = histogram.snapshot();
        (0..10).for_each(|_| histogram.record(7));
        let between = histogram.snapshot().since(&before);
        assert_eq!((between.count(), between.quantile(1.0), between.mean()), (10, 7, 7.0));
    }
}
