use std::ops::Range;
use std::time::{Duration, Instant};

use crate::{Args, Latencies, Meter};

/// The sending half of `e2e`: when each record is due, and its key, which says when it was sent.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    origin: Instant,
    total: usize,
    rate: usize,
}

/// The receiving half: how long each record was under way.
pub struct Arrivals<'a> {
    args: &'a Args,
    pace: Pace,
    meter: Meter,
    received: usize,
    latencies: Latencies,
}

impl Pace {
    pub fn start(args: &Args) -> Self {
        Self { origin: Instant::now(), total: args.warmup + args.records, rate: args.rate }
    }

    /// Those of all records.
    pub fn numbers(self) -> Range<usize> {
        0..self.total
    }

    /// How long to wait before this record is sent; `None` if it is due.
    pub fn until_due(self, number: usize) -> Option<Duration> {
        let due = Duration::from_nanos(number as u64 * 1_000_000_000 / self.rate as u64);
        due.checked_sub(self.origin.elapsed()).filter(|wait| !wait.is_zero())
    }

    /// Waits until this record is due; gives the key of a record that is sent now.
    pub async fn key_when_due(self, number: usize) -> String {
        if let Some(wait) = self.until_due(number) {
            tokio::time::sleep(wait).await;
        }
        self.key_of_now()
    }

    /// When it is, in nanoseconds.
    pub fn key_of_now(self) -> String {
        format!("{:016x}", self.origin.elapsed().as_nanos())
    }

    /// How long the record with this key was under way.
    fn age(self, key: &[u8]) -> Option<Duration> {
        let nanoseconds = u64::from_str_radix(std::str::from_utf8(key).ok()?, 16).ok()?;
        Some(self.origin.elapsed().saturating_sub(Duration::from_nanos(nanoseconds)))
    }
}

impl<'a> Arrivals<'a> {
    pub fn start(args: &'a Args, pace: Pace) -> Self {
        Self { args, pace, meter: Meter::start(), received: 0, latencies: Latencies::default() }
    }

    pub fn are_complete(&self) -> bool {
        self.received >= self.pace.total
    }

    /// A record with this key is here.
    pub fn add(&mut self, key: Option<&[u8]>) {
        self.received += 1;
        if self.received > self.args.warmup {
            self.latencies.each.extend(key.and_then(|key| self.pace.age(key)));
        } else if self.received == self.args.warmup {
            self.meter = Meter::start();
        }
    }

    pub fn report(self, client: &str) {
        let records = self.latencies.each.len();
        self.meter.report(client, self.args, records, self.args.bytes_of(records), self.latencies);
    }
}
