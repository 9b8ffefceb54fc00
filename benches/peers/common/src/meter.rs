use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use crate::Args;

/// Measures the process from its making on.
pub struct Meter {
    started: Instant,
    user_s: f64,
    system_s: f64,
}

/// How long each record took, and how long the first after connecting.
#[derive(Debug, Default)]
pub struct Latencies {
    /// In any order.
    pub each: Vec<Duration>,
    pub first_ack: Option<Duration>,
}

impl Meter {
    pub fn start() -> Self {
        let (user_s, system_s) = cpu_seconds();
        Self { started: Instant::now(), user_s, system_s }
    }

    /// Prints the result: so many records, and bytes in their keys and values.
    pub fn report(self, client: &str, args: &Args, records: usize, bytes: usize, latencies: Latencies) {
        let wall_s = self.started.elapsed().as_secs_f64();
        let (user_s, system_s) = cpu_seconds();
        let (user_s, system_s) = (user_s - self.user_s, system_s - self.system_s);
        let Args { operation, size, compression, .. } = args;
        println!(
            r#"{{"client":"{client}","op":"{}","records":{records},"size":{size},"compression":"{compression}","wall_s":{wall_s:.4},"rps":{:.0},"mbps":{:.1},"cpu_user_s":{user_s:.3},"cpu_sys_s":{system_s:.3},"cpu_us_per_record":{:.4},"max_rss_mb":{:.1}{}}}"#,
            operation.name(),
            records as f64 / wall_s,
            bytes as f64 / wall_s / 1e6,
            (user_s + system_s) * 1e6 / records as f64,
            max_rss_mb(),
            latencies.json(),
        );
    }
}

impl Latencies {
    fn json(mut self) -> String {
        let mut json = String::new();
        self.each.sort_unstable();
        if let Some(last) = self.each.len().checked_sub(1).filter(|last| *last > 0) {
            for (name, fraction) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)]
            {
                let latency = self.each[(last as f64 * fraction) as usize];
                json += &format!(r#","{name}_us":{:.1}"#, latency.as_secs_f64() * 1e6);
            }
        }
        if let Some(first) = self.first_ack {
            json += &format!(r#","first_ack_ms":{:.2}"#, first.as_secs_f64() * 1e3);
        }
        json
    }
}

/// In user and in system mode, of all threads.
fn cpu_seconds() -> (f64, f64) {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask for itself");
    let (user, system) = (usage.user_time(), usage.system_time());
    let seconds = |whole: i64, micro: i64| whole as f64 + micro as f64 / 1e6;
    (seconds(user.tv_sec(), user.tv_usec()), seconds(system.tv_sec(), system.tv_usec()))
}

/// The most that was ever held. Not getrusage's: that counts what the parent held before it became this process.
fn max_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kibibytes.unwrap_or_default() / 1024.0
}
