//! What the embedded broker costs, beside a real Kafka: start, memory at rest, processor time for a record.
//!
//! `cargo xtask bench-broker` builds what it needs and runs it. It needs Linux, and what tests on a real Kafka need. Processor time is
//! that of the broker's process alone, whatever the client uses; rounds alternate between the brokers, so that what else happens on
//! the machine happens to both.

mod load;
mod proc;
mod report;
mod rest;
mod subject;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use load::{Load, Tool};
use report::{Report, Row};
use subject::Subject;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Debug, Parser)]
struct Args {
    /// The command `milena`, built for release.
    #[arg(long)]
    milena: PathBuf,

    /// A broker that does nothing but send, built for release: `nullbroker` of `benches/peers`.
    #[arg(long)]
    floor: PathBuf,

    /// What was built, for the report.
    #[arg(long, default_value = "unknown")]
    commit: String,

    /// Where the report goes.
    #[arg(long)]
    out: PathBuf,

    /// Rounds that are measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// Rounds before them, in which the JVM compiles what it will need.
    #[arg(long, default_value_t = 1)]
    warmup_rounds: usize,

    /// Records that each client writes and reads in a round.
    #[arg(long, default_value_t = 2_000_000)]
    records: u64,

    /// How often what was written is read in a round: a broker spends so little on it that one time is hard to measure.
    #[arg(long, default_value_t = 5)]
    reads: u32,

    /// Bytes of a record's value.
    #[arg(long, default_value_t = 100)]
    size: usize,

    /// How often a cluster of three nodes is started to see how long that takes.
    #[arg(long, default_value_t = 30)]
    starts: usize,
}

impl Args {
    /// Records per second of processor time, of a load that took so much.
    fn rate(&self, cpu: Duration) -> f64 {
        self.records as f64 / cpu.as_secs_f64()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let rest = rest::measure(&args.milena, args.starts).await?;
    println!("{rest}");
    let subjects = [Subject::milena(&args.milena).await?, Subject::kafka().await?];
    let floor = Subject::floor(&args.floor).await?;
    let mut rows: Vec<Row> = Load::ALL.iter().map(|load| Row::new(*load)).collect();
    let mut floor_rates = Vec::new();
    for round in 0..args.warmup_rounds + args.rounds {
        for tool in [Tool::Milena, Tool::Java] {
            // Who goes first alternates, too.
            for turn in 0..subjects.len() {
                let which = (round + turn) % subjects.len();
                let costs = measure(&args, &subjects[which], tool, round).await?;
                if round < args.warmup_rounds {
                    continue;
                }
                for (load, cpu) in costs {
                    let per_cpu_second = args.rate(cpu);
                    println!(
                        "round {round}: {load} on {}: {per_cpu_second:.0} records per CPU-second",
                        subjects[which].name
                    );
                    let row = rows.iter_mut().find(|row| row.load == load).expect("all loads have a row");
                    row.rates[which].push(per_cpu_second);
                }
            }
        }
        let cpu = cost(&args, &floor, Load::FLOOR, &format!("fetch-{}-none", args.size)).await?;
        if round >= args.warmup_rounds {
            println!("round {round}: {} on {}: {:.0}", Load::FLOOR, floor.name, args.rate(cpu));
            floor_rates.push(args.rate(cpu));
        }
    }
    let report = Report::new(&args, rest, &subjects, rows, floor_rates);
    std::fs::write(&args.out, report.markdown())
        .map_err(|error| format!("{}: {error}", args.out.display()))?;
    println!("{}", report.markdown());
    for subject in subjects.into_iter().chain([floor]) {
        subject.stop().await;
    }
    Ok(())
}

/// One tool writes and reads a topic of its own; gives what the broker used for each.
async fn measure(args: &Args, subject: &Subject, tool: Tool, round: usize) -> Result<Vec<(Load, Duration)>> {
    let topic = format!("bench-{tool:?}-{round}").to_lowercase();
    subject.topic(&args.milena, &["create", &topic, "--partitions", "6"]).await?;
    let mut costs = Vec::new();
    for load in Load::ALL.into_iter().filter(|load| load.tool == tool) {
        costs.push((load, cost(args, subject, load, &topic).await?));
    }
    subject.topic(&args.milena, &["delete", &topic]).await?;
    Ok(costs)
}

/// What the broker uses for a load, done once.
async fn cost(args: &Args, subject: &Subject, load: Load, topic: &str) -> Result<Duration> {
    let times = load.times(args);
    let before = proc::cpu_time(subject.pid)?;
    for _ in 0..times {
        load.run(args, &subject.bootstrap, topic).await?;
    }
    Ok(proc::cpu_time(subject.pid)?.saturating_sub(before) / times)
}
