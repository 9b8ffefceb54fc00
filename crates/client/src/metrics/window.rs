//! Statistics over the last samples of time, with the arithmetic of Java's `SampledStat` and `Rate`.

use std::time::Duration;

/// Over how much time averages, extremes and rates go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Length of one sample. Default 30 s; Kafka: `metrics.sample.window.ms`.
    pub window: Duration,
    /// Number of samples kept, at least 1. Default 2; Kafka: `metrics.num.samples`.
    pub samples: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { window: Duration::from_secs(30), samples: 2 }
    }
}

/// What was recorded in one stretch of time.
#[derive(Debug, Clone, Copy)]
struct Sample {
    start: Duration,
    last_event: Duration,
    events: u64,
    sum: f64,
    max: f64,
    min: f64,
}

impl Sample {
    fn starting(now: Duration) -> Self {
        Self { start: now, last_event: now, events: 0, sum: 0.0, max: f64::NEG_INFINITY, min: f64::INFINITY }
    }
}

/// The last samples of one sensor.
///
/// A sample is closed by the first event after its time is up, not by the clock, so the oldest of them
/// may reach back beyond the window; it counts until its last event is out of it. Java keeps one such
/// ring per statistic; all statistics of a sensor see the same events, so here they share one.
#[derive(Debug)]
pub(super) struct Window {
    sampling: Sampling,
    /// One more than `sampling.samples`, for the sample that overlaps the start of the window.
    ring: Vec<Sample>,
    current: usize,
}

impl Window {
    pub(super) fn new(sampling: Sampling) -> Self {
        let sampling = Sampling {
            window: sampling.window.max(Duration::from_millis(1)),
            samples: sampling.samples.max(1),
        };
        Self { sampling, ring: Vec::new(), current: 0 }
    }

    pub(super) fn record(&mut self, now: Duration, value: f64) {
        if self.ring.is_empty() {
            self.ring.push(Sample::starting(now));
        } else if now.saturating_sub(self.ring[self.current].start) >= self.sampling.window {
            self.advance(now);
        }
        let sample = &mut self.ring[self.current];
        sample.events += 1;
        sample.last_event = now;
        sample.sum += value;
        sample.max = sample.max.max(value);
        sample.min = sample.min.min(value);
    }

    fn advance(&mut self, now: Duration) {
        self.current = (self.current + 1) % (self.sampling.samples as usize + 1);
        match self.ring.get_mut(self.current) {
            Some(oldest) => *oldest = Sample::starting(now),
            None => self.ring.push(Sample::starting(now)),
        }
    }

    /// The statistics at `now`.
    pub(super) fn measure(&mut self, now: Duration) -> Measured {
        self.forget_outdated(now);
        let mut all = Sample::starting(now);
        for sample in &self.ring {
            all.start = all.start.min(sample.start);
            all.events += sample.events;
            all.sum += sample.sum;
            all.max = all.max.max(sample.max);
            all.min = all.min.min(sample.min);
        }
        let or_nan = |value| if all.events == 0 { f64::NAN } else { value };
        Measured {
            events: all.events as f64,
            sum: all.sum,
            avg: or_nan(all.sum / all.events as f64),
            max: or_nan(all.max),
            min: or_nan(all.min),
            seconds: self.length(now.saturating_sub(all.start)).as_secs_f64(),
        }
    }

    fn forget_outdated(&mut self, now: Duration) {
        let age = self.sampling.window * self.sampling.samples;
        for sample in &mut self.ring {
            if now.saturating_sub(sample.last_event) >= age {
                *sample = Sample::starting(now);
            }
        }
    }

    /// The time that a rate is taken over, when the oldest sample began `elapsed` ago.
    ///
    /// A young sensor would show absurd rates: its missing full samples count as if they had passed, all
    /// but the current one.
    fn length(&self, elapsed: Duration) -> Duration {
        let full = elapsed.as_nanos() / self.sampling.window.as_nanos();
        let missing = u128::from(self.sampling.samples - 1).saturating_sub(full);
        // Fits: at most `samples - 1`.
        let length = elapsed + self.sampling.window * missing as u32;
        length.max(Duration::from_millis(1))
    }
}

/// The statistics of a [`Window`] at one moment. `NaN` where nothing was recorded, as in Java.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) events: f64,
    pub(super) sum: f64,
    pub(super) avg: f64,
    pub(super) max: f64,
    pub(super) min: f64,
    /// The time that rates are taken over.
    pub(super) seconds: f64,
}
