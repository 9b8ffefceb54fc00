//! Many seeds, on many threads; each seed on one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, panic, thread};

use crate::run::{Run, run};

/// Which seeds to run, and how.
#[derive(Clone, Debug)]
pub struct Seeds {
    /// The first.
    pub from: u64,
    /// How many.
    pub count: u64,
    /// On how many threads.
    pub threads: usize,
    /// Ends at the first failure.
    pub is_first_enough: bool,
}

/// What came of many seeds.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many were run.
    pub seeds: u64,
    /// Records, over all seeds; and the fewest of one.
    pub records: (u64, u64),
    /// Faults that took effect, over all seeds; and the fewest of one.
    pub faults: (u64, u64),
    /// Virtual time, over all seeds.
    pub lasted: Duration,
    /// Processor time, over all seeds: what one core would have taken, had it nothing else to do.
    pub took: Duration,
    /// Seeds that failed, and how.
    pub failures: BTreeMap<u64, Vec<String>>,
}

/// Real time that one seed may take: far more than any does, unless it never ends.
const SEED_LIMIT: Duration = Duration::from_secs(60);

impl Seeds {
    /// Runs all of them. `show` is called for each failure, as it happens.
    pub fn run(&self, show: impl Fn(u64, &[String]) + Sync) -> Report {
        let next = AtomicU64::new(self.from);
        let is_over = AtomicBool::new(false);
        let report = Mutex::new(Report::default());
        let running: Vec<Mutex<Option<(u64, Instant)>>> =
            (0..self.threads).map(|_| Mutex::default()).collect();
        thread::scope(|scope| {
            let workers: Vec<_> = running
                .iter()
                .map(|current| {
                    let work = || {
                        while !is_over.load(Ordering::Relaxed) {
                            let seed = next.fetch_add(1, Ordering::Relaxed);
                            if seed >= self.from + self.count {
                                break;
                            }
                            *lock(current) = Some((seed, now()));
                            let started = thread_time();
                            let outcome = run_caught(seed, false);
                            let took = thread_time().saturating_sub(started);
                            *lock(current) = None;
                            let failure = lock(&report).add(seed, &outcome, took);
                            if let Some(failure) = failure {
                                show(seed, &failure);
                                is_over.fetch_or(self.is_first_enough, Ordering::Relaxed);
                            }
                        }
                    };
                    scope.spawn(work)
                })
                .collect();
            watch(&running, || workers.iter().all(|worker| worker.is_finished()));
        });
        report.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    fn add(&mut self, seed: u64, outcome: &Result<Run, String>, took: Duration) -> Option<Vec<String>> {
        self.took += took;
        let failure = match outcome {
            Ok(run) => {
                let least = |least: u64, this: u64| if self.seeds == 0 { this } else { least.min(this) };
                self.records = (self.records.0 + run.records, least(self.records.1, run.records));
                self.faults = (self.faults.0 + run.faults, least(self.faults.1, run.faults));
                self.lasted += run.lasted;
                run.violations.iter().map(|violation| violation.to_string()).collect()
            }
            Err(panic) => vec![panic.clone()],
        };
        self.seeds += 1;
        if failure.is_empty() {
            return None;
        }
        self.failures.insert(seed, failure.clone());
        Some(failure)
    }
}

/// Runs a seed; a panic is told as a failure.
pub fn run_caught(seed: u64, has_trace: bool) -> Result<Run, String> {
    panic::catch_unwind(|| run(seed, has_trace)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("panic: {}", text.unwrap_or_default())
    })
}

/// Writes a run's history and trace into `folder`; returns the paths.
///
/// # Errors
/// The files cannot be written.
pub fn write(run: &Run, folder: &Path) -> io::Result<(PathBuf, PathBuf)> {
    fs::create_dir_all(folder)?;
    let history = folder.join(format!("seed-{}.history.jsonl", run.seed));
    let trace = folder.join(format!("seed-{}.trace.txt", run.seed));
    run.history.write(io::BufWriter::new(fs::File::create(&history)?))?;
    fs::write(&trace, &run.trace)?;
    Ok((history, trace))
}

/// A seed that never ends cannot be stopped from outside; the process can.
fn watch(running: &[Mutex<Option<(u64, Instant)>>], is_over: impl Fn() -> bool) {
    while !is_over() {
        thread::sleep(Duration::from_millis(20));
        for current in running {
            if let Some((seed, started)) = *lock(current)
                && started.elapsed() > SEED_LIMIT
            {
                eprintln!("seed {seed} does not end: it has taken {SEED_LIMIT:?}");
                std::process::exit(2);
            }
        }
    }
}

/// Processor time that this thread has had.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[expect(clippy::disallowed_methods, reason = "how long a seed takes is measured by the real clock")]
fn now() -> Instant {
    Instant::now()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
