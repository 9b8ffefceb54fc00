//! The result of a benchmark, as JSON for programs and as a table for people. Pure.

use std::time::Duration;

use serde::Serialize;

use super::meter::Used;

/// One line of JSON; the fields are those of all clients that are compared.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    client: &'static str,
    op: String,
    records: u64,
    size: usize,
    compression: String,
    wall_s: f64,
    rps: f64,
    mbps: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_user_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_sys_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us_per_record: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_rss_mb: Option<f64>,
    #[serde(flatten)]
    latencies: Option<Quantiles>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_ack_ms: Option<f64>,
}

/// What a benchmark measured.
pub(super) struct Measured {
    pub(super) records: u64,
    /// Of keys and values.
    pub(super) bytes: u64,
    pub(super) used: Used,
    pub(super) latencies: Option<Quantiles>,
    pub(super) first_ack: Option<Duration>,
}

/// Latencies in microseconds, as the fraction of records that needed no more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Quantiles {
    p50_us: f64,
    p90_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
}

impl Quantiles {
    /// `None` without a latency.
    pub(super) fn of(mut latencies: Vec<Duration>) -> Option<Self> {
        latencies.sort_unstable();
        let last = latencies.len().checked_sub(1)?;
        let quantile = |fraction: f64| {
            let latency = latencies[(last as f64 * fraction) as usize];
            round(latency.as_secs_f64() * 1e6, 1)
        };
        Some(Self {
            p50_us: quantile(0.5),
            p90_us: quantile(0.9),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            max_us: quantile(1.0),
        })
    }
}

impl Report {
    pub(super) fn new(op: String, size: usize, compression: String, measured: &Measured) -> Self {
        let Measured { records, bytes, used, latencies, first_ack } = measured;
        let wall = used.wall.as_secs_f64();
        let cpu = used.cpu.map(|cpu| (cpu.user.as_secs_f64(), cpu.system.as_secs_f64()));
        Self {
            client: "milena",
            op,
            records: *records,
            size,
            compression,
            wall_s: round(wall, 4),
            rps: round(*records as f64 / wall, 0),
            mbps: round(*bytes as f64 / wall / 1e6, 1),
            cpu_user_s: cpu.map(|(user, _)| round(user, 3)),
            cpu_sys_s: cpu.map(|(_, system)| round(system, 3)),
            cpu_us_per_record: cpu.map(|(user, system)| round((user + system) * 1e6 / *records as f64, 4)),
            max_rss_mb: used.max_rss_bytes.map(|bytes| round(bytes as f64 / f64::from(1 << 20), 1)),
            latencies: *latencies,
            first_ack_ms: first_ack.map(|first| round(first.as_secs_f64() * 1e3, 2)),
        }
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text have a JSON form")
    }

    /// Several lines.
    pub(super) fn table(&self) -> String {
        let mut table =
            format!("{}, {} records of {} bytes, {}\n", self.op, self.records, self.size, self.compression);
        let mut row = |name: &str, value: String| table += &format!("  {name:<12}{value}\n");
        row("time", format!("{:.3} s", self.wall_s));
        row("throughput", format!("{:.0} records/s, {:.1} MB/s", self.rps, self.mbps));
        if let (Some(user), Some(system), Some(each)) =
            (self.cpu_user_s, self.cpu_sys_s, self.cpu_us_per_record)
        {
            row("processor", format!("{user:.3} s user, {system:.3} s system, {each:.3} us a record"));
        }
        if let Some(mebibytes) = self.max_rss_mb {
            row("memory", format!("{mebibytes:.1} MiB at most"));
        }
        if let Some(Quantiles { p50_us, p90_us, p99_us, p999_us, max_us }) = self.latencies {
            row(
                "latency",
                format!("p50 {p50_us} us, p90 {p90_us}, p99 {p99_us}, p99.9 {p999_us}, max {max_us}"),
            );
        }
        if let Some(milliseconds) = self.first_ack_ms {
            row("first ack", format!("{milliseconds:.2} ms after the beginning to connect"));
        }
        table
    }
}

fn round(value: f64, decimals: i32) -> f64 {
    let unit = 10_f64.powi(decimals);
    (value * unit).round() / unit
}

#[cfg(test)]
mod tests {
    use super::super::meter::CpuTime;
    use super::*;

    fn measured() -> Measured {
        let cpu = CpuTime { user: Duration::from_millis(250), system: Duration::from_millis(50) };
        Measured {
            records: 1_000_000,
            bytes: 116_000_000,
            used: Used { wall: Duration::from_millis(500), cpu: Some(cpu), max_rss_bytes: Some(12 << 20) },
            latencies: None,
            first_ack: None,
        }
    }

    #[test]
    fn json_has_the_fields_that_clients_are_compared_by() {
        let report = Report::new("produce".to_owned(), 100, "lz4".to_owned(), &measured());
        assert_eq!(
            report.json(),
            r#"{"client":"milena","op":"produce","records":1000000,"size":100,"compression":"lz4","wall_s":0.5,"#
                .to_owned()
                + r#""rps":2000000.0,"mbps":232.0,"cpu_user_s":0.25,"cpu_sys_s":0.05,"cpu_us_per_record":0.3,"#
                + r#""max_rss_mb":12.0}"#
        );
    }

    #[test]
    fn latencies_are_added_flat() {
        let latencies = Quantiles::of((1..=1_000).rev().map(Duration::from_micros).collect());
        let measured = Measured { latencies, first_ack: Some(Duration::from_micros(1_234)), ..measured() };
        let json = Report::new("latency".to_owned(), 100, "none".to_owned(), &measured).json();
        let expected = r#""p50_us":500.0,"p90_us":900.0,"p99_us":990.0,"p999_us":999.0,"max_us":1000.0,"first_ack_ms":1.23}"#;
        assert!(json.ends_with(expected), "{json}");
        assert_eq!(Quantiles::of(Vec::new()), None);
    }
}
