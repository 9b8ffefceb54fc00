//! Time and allocations.

use std::time::{Duration, Instant};

use allocation_counter::AllocationInfo;

use crate::case::{Case, Work};

/// What a step costs for a record.
pub(crate) struct Measured {
    pub(crate) step: String,
    pub(crate) size: usize,
    pub(crate) with_headers: bool,
    pub(crate) nanoseconds: f64,
    pub(crate) allocations: f64,
    /// `None` where they cannot be counted.
    pub(crate) instructions: Option<f64>,
}

impl Measured {
    /// Measures the time in samples of about this length, and takes the instructions of a whole batch as they were counted.
    pub(crate) fn of(
        case: &mut Case<'_>,
        samples: usize,
        sample: Duration,
        instructions: Option<u64>,
    ) -> Self {
        let records = case.records as f64;
        let allocations = allocations(&mut *case.work).count_total;
        Self {
            step: case.step.clone(),
            size: case.corpus.size,
            with_headers: case.corpus.with_headers,
            nanoseconds: median_time(&mut *case.work, samples, sample) / records,
            allocations: allocations as f64 / records,
            instructions: instructions.map(|count| count as f64 / records),
        }
    }
}

/// What the work allocates when it is done for the third time: tables and buffers are kept from the first, and what has grown is as large
/// as it needs to be after the second.
pub(crate) fn allocations(work: &mut dyn Work) -> AllocationInfo {
    let mut counted = AllocationInfo::default();
    for _ in 0..3 {
        work.once(&mut |run| counted = allocation_counter::measure(run));
    }
    counted
}

/// The nanoseconds that one run takes: the median of samples, each the mean of as many runs as take its time.
fn median_time(work: &mut dyn Work, samples: usize, sample: Duration) -> f64 {
    let mut means: Vec<f64> = (0..samples.max(1)).map(|_| mean_time(work, sample)).collect();
    means.sort_by(f64::total_cmp);
    means[means.len() / 2]
}

fn mean_time(work: &mut dyn Work, sample: Duration) -> f64 {
    let (mut total, mut runs) = (Duration::ZERO, 0_u32);
    while runs == 0 || total < sample {
        work.once(&mut |run| {
            let started = now();
            run();
            total += started.elapsed();
        });
        runs += 1;
    }
    total.as_secs_f64() * 1e9 / f64::from(runs)
}

#[expect(clippy::disallowed_methods, reason = "what is measured here is time by the real clock")]
fn now() -> Instant {
    Instant::now()
}
