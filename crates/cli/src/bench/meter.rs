//! What the process used between two moments.

use std::time::{Duration, Instant};

use milena::Env;

/// Measures from its making on.
pub(super) struct Meter {
    env: Env,
    started: Instant,
    cpu: Option<CpuTime>,
}

/// What was used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    pub(super) wall: Duration,
    /// Of the whole process, all threads; `None` where the system does not tell.
    pub(super) cpu: Option<CpuTime>,
    /// The most memory that the process ever held, in bytes.
    pub(super) max_rss_bytes: Option<u64>,
}

/// Processor time of the whole process.
#[derive(Debug, Clone, Copy)]
pub(super) struct CpuTime {
    pub(super) user: Duration,
    pub(super) system: Duration,
}

impl Meter {
    pub(super) fn start(env: &Env) -> Self {
        Self { env: env.clone(), cpu: cpu_time(), started: env.now() }
    }

    pub(super) fn stop(&self) -> Used {
        let wall = self.env.now().saturating_duration_since(self.started);
        let cpu = self.cpu.zip(cpu_time()).map(|(before, after)| CpuTime {
            user: after.user.saturating_sub(before.user),
            system: after.system.saturating_sub(before.system),
        });
        Used { wall, cpu, max_rss_bytes: max_rss_bytes() }
    }
}

#[cfg(unix)]
fn cpu_time() -> Option<CpuTime> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeVal;

    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let duration = |time: TimeVal| {
        let (seconds, microseconds) = (u64::try_from(time.tv_sec()), u32::try_from(time.tv_usec()));
        Some(Duration::new(seconds.ok()?, microseconds.ok()? * 1_000))
    };
    Some(CpuTime { user: duration(usage.user_time())?, system: duration(usage.system_time())? })
}

#[cfg(not(unix))]
fn cpu_time() -> Option<CpuTime> {
    None
}

/// Linux: not getrusage's `ru_maxrss`, which counts what the parent held before it became this process.
#[cfg(target_os = "linux")]
fn max_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The BSDs tell kibibytes, macOS bytes.
#[cfg(all(unix, not(target_os = "linux")))]
fn max_rss_bytes() -> Option<u64> {
    use nix::sys::resource::{UsageWho, getrusage};

    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    Some(u64::try_from(usage.max_rss()).ok()? * unit)
}

#[cfg(not(unix))]
fn max_rss_bytes() -> Option<u64> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_shows_as_processor_time_and_memory() {
        let meter = Meter::start(&Env::system());
        let mut sum = 0_u64;
        let used = loop {
            sum = (0..1_000_000_u64).fold(sum, |sum, number| std::hint::black_box(sum ^ number));
            let used = meter.stop();
            let cpu = used.cpu.expect("Linux tells");
            if cpu.user + cpu.system >= Duration::from_millis(10) {
                break used;
            }
        };
        assert!(used.wall >= Duration::from_millis(1), "{used:?}");
        assert!(used.max_rss_bytes.is_some_and(|bytes| bytes > 1 << 20), "{used:?}");
    }
}
