//! Three nodes that have nothing to do: how soon they are there, and what they hold.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::report::median;
use crate::{Result, proc, subject};

const NODES: usize = 3;
/// How long a cluster is left alone before it is at rest.
const SETTLES_IN: Duration = Duration::from_secs(2);

/// What was measured.
pub(crate) struct Rest {
    pub(crate) starts: usize,
    /// From the beginning of the process to its saying where it listens.
    pub(crate) ready_min: Duration,
    pub(crate) ready_median: Duration,
    pub(crate) ready_max: Duration,
    /// Processor time that the process had used by then.
    pub(crate) cpu_median: Duration,
    pub(crate) rss_kib: u64,
    /// The part of it that no other process could share.
    pub(crate) anonymous_kib: u64,
}

pub(crate) async fn measure(milena: &Path, starts: usize) -> Result<Rest> {
    let starts = starts.max(1);
    let (mut ready, mut cpu) = (Vec::new(), Vec::new());
    let (mut rss_kib, mut anonymous_kib) = (0, 0);
    for start in 1..=starts {
        let began = now();
        let (mut process, _bootstrap) = subject::start(milena, NODES).await?;
        ready.push(began.elapsed());
        let pid = process.id().ok_or("milena broker has ended")?;
        cpu.push(proc::fine_cpu_time(pid)?);
        if start == starts {
            tokio::time::sleep(SETTLES_IN).await;
            rss_kib = proc::memory_kib(pid, "VmRSS")?;
            anonymous_kib = proc::memory_kib(pid, "RssAnon")?;
        }
        process.kill().await?;
    }
    ready.sort_unstable();
    cpu.sort_unstable();
    Ok(Rest {
        starts,
        ready_min: ready[0],
        ready_median: median(&ready),
        ready_max: ready[ready.len() - 1],
        cpu_median: median(&cpu),
        rss_kib,
        anonymous_kib,
    })
}

#[expect(clippy::disallowed_methods, reason = "what is measured here are other programs, by the real clock")]
fn now() -> Instant {
    Instant::now()
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { starts, ready_min, ready_median, ready_max, cpu_median, rss_kib, anonymous_kib } = self;
        let ms = |duration: &Duration| duration.as_secs_f64() * 1e3;
        writeln!(
            f,
            "{NODES} nodes are ready {:.1} ms after the process began (median of {starts}; at best {:.1}, at worst {:.1}), of which {:.1} ms \
             are processor time.",
            ms(ready_median),
            ms(ready_min),
            ms(ready_max),
            ms(cpu_median)
        )?;
        let mib = |kib: &u64| *kib as f64 / 1024.0;
        write!(
            f,
            "At rest they hold {:.1} MiB (RSS), {:.1} MiB of it their own (the rest is the program's file).",
            mib(rss_kib),
            mib(anonymous_kib)
        )
    }
}
