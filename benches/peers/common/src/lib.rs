//! What the programs in Rust share: the command line, the records, the meter, and the line of JSON that is the result.

mod args;
mod meter;

pub use args::{Args, Operation};
pub use meter::{Latencies, Meter};
pub use milena_bench_events::{COUNT, Event, pool};

use std::time::{Duration, Instant};

/// Records that wait for their acknowledgement at once, where a client does not bound them itself.
pub const PENDING_MAX: usize = 100_000;
/// How much memory a producer may use for records that wait, in bytes.
pub const BUFFER_BYTES: usize = 64 << 20;
/// How long a consumer has to find the end of its partitions before `e2e` begins.
pub const SETTLING: Duration = Duration::from_secs(2);
/// How long a broker may wait for records before it answers a fetch.
pub const FETCH_WAIT: Duration = Duration::from_millis(100);
/// The most that a fetch returns for a partition, in bytes.
pub const PARTITION_FETCH_BYTES: usize = 1 << 20;

/// The key of a record of `e2e`: when it was sent, in nanoseconds after `origin`.
pub fn key_of_now(origin: Instant) -> String {
    format!("{:016x}", origin.elapsed().as_nanos())
}

/// How long a record was under way, by its key.
pub fn age(origin: Instant, key: &[u8]) -> Option<Duration> {
    let nanoseconds = u64::from_str_radix(std::str::from_utf8(key).ok()?, 16).ok()?;
    Some(origin.elapsed().saturating_sub(Duration::from_nanos(nanoseconds)))
}

/// How long to wait until the record with this number is due, at so many records per second.
pub fn until_due(started: Instant, number: usize, rate: usize) -> Option<Duration> {
    let due = Duration::from_nanos(number as u64 * 1_000_000_000 / rate as u64);
    due.checked_sub(started.elapsed()).filter(|wait| !wait.is_zero())
}
