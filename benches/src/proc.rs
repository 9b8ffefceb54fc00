//! What Linux tells of a process.

use std::fs;
use std::time::Duration;

use crate::Result;

/// Ticks in a second, in all that `/proc` says (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// Processor time that a process has used, in user and system mode, those of its threads that have ended included. In steps of 10 ms.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; the fields are numbered from 1, and the third follows the name.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<u64>().ok());
    let (user, system) =
        ticks(14).zip(ticks(15)).ok_or_else(|| format!("/proc/{pid}/stat is malformed: {stat}"))?;
    Ok(Duration::from_millis((user + system) * 1_000 / TICKS_PER_SECOND))
}

/// The same of the threads that run now, in steps of a nanosecond: for what is too short to be measured in ticks.
pub(crate) fn fine_cpu_time(pid: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let schedstat = read(&format!("{}/schedstat", thread?.path().display()))?;
        let on_cpu = schedstat.split_whitespace().next().and_then(|field| field.parse::<u64>().ok());
        nanoseconds += on_cpu.ok_or("schedstat is malformed")?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// A line of `/proc/PID/status` in KiB, such as `VmRSS`.
pub(crate) fn memory_kib(pid: u32, name: &str) -> Result<u64> {
    let status = read(&format!("/proc/{pid}/status"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib =
        value.and_then(|value| value.trim().strip_suffix(" kB")).and_then(|kib| kib.trim().parse().ok());
    kib.ok_or_else(|| format!("/proc/{pid}/status tells no {name}").into())
}

/// The process that listens on a TCP port of this machine.
pub(crate) fn listener(port: u16) -> Result<u32> {
    let sockets =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let inode = sockets.iter().flat_map(|table| table.lines()).find_map(|line| {
        const LISTENING: &str = "0A";
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
        let is_it = u16::from_str_radix(local_port, 16).ok()? == port && *fields.get(3)? == LISTENING;
        is_it.then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
    });
    let inode = inode.ok_or_else(|| format!("nobody listens on port {port}"))?;
    for process in fs::read_dir("/proc")?.flatten() {
        let Ok(pid) = process.file_name().to_string_lossy().parse::<u32>() else { continue };
        // Of other users' processes nothing is told.
        let files = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        let mut targets = files.filter_map(|file| fs::read_link(file.path()).ok());
        if targets.any(|target| target.to_string_lossy() == inode) {
            return Ok(pid);
        }
    }
    Err(format!("the process that listens on port {port} is not one of ours").into())
}

/// The machine, in a line.
pub(crate) fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}

/// The load averages over 1, 5 and 15 minutes.
pub(crate) fn load_averages() -> String {
    let loads = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    loads.split_whitespace().take(3).collect::<Vec<_>>().join(", ")
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}; this needs Linux's /proc").into())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_what_it_uses_itself() {
        let me = std::process::id();
        let before = fine_cpu_time(me).unwrap();
        let mut sum = 0_u64;
        while fine_cpu_time(me).unwrap() - before < Duration::from_millis(40) {
            sum = std::hint::black_box((0..100_000_u64).fold(sum, u64::wrapping_add));
        }
        assert!(cpu_time(me).unwrap() >= Duration::from_millis(20));
        assert!(memory_kib(me, "VmRSS").unwrap() > 500);
    }

    #[test]
    fn who_listens_is_found_by_the_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(super::listener(port).unwrap(), std::process::id());
        drop(listener);
        assert!(super::listener(port).is_err());
    }
}
