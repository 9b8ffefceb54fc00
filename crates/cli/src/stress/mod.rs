//! `milena stress`: a checked load on any cluster, to qualify it, or to see what it does while it is being broken.

mod consume;
mod finish;
mod load;
mod produce;
mod recorder;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use milena::{Env, Kafka};
use milena_history::Violation;

use crate::args::{self, Verbosity};
use crate::cluster::{ClusterArgs, Own};
use crate::ensure_topic::ensure_topic;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::print_line;
use crate::progress::Progress;

use crate::random::SplitMix64;
use recorder::Recorder;

#[derive(Args, Debug, Clone)]
#[command(after_long_help = args::examples(EXAMPLES))]
pub(crate) struct StressArgs {
    /// How long to produce, in seconds. Then whatever is under way is finished, and everything is read again and judged.
    #[arg(short, long, default_value_t = 30)]
    seconds: u64,

    /// Writes what happened: JSON lines, one event each.
    #[arg(long, value_name = "FILE")]
    history: PathBuf,

    /// How many producers.
    #[arg(long, default_value_t = 3)]
    producers: usize,

    /// How many consumers, each of all partitions.
    #[arg(long, default_value_t = 2)]
    consumers: usize,

    /// What is sent when, and where consumers seek to, comes from this number. It is chosen and told if none is given.
    #[arg(long)]
    seed: Option<u64>,

    /// Records per second of each producer.
    #[arg(long, default_value_t = 500)]
    rate: u64,

    /// How many partitions the topic has, which is made for the run.
    #[arg(long, default_value_t = 6)]
    partitions: i32,

    /// The topic's name. It is to be empty. One with a name of its own is made if none is given.
    #[arg(long)]
    topic: Option<String>,

    /// How long the cluster has, once the load is over, to be healthy again and let everything be read, in seconds.
    #[arg(long, default_value_t = 120)]
    patience: u64,

    #[command(flatten)]
    cluster: ClusterArgs,
}

const EXAMPLES: &[(&str, &str)] = &[
    (
        "A minute of load on a cluster; kill brokers meanwhile",
        "milena stress -b HOST:PORT -s 60 --history run.jsonl",
    ),
    ("The same load again", "milena stress -b HOST:PORT -s 60 --history again.jsonl --seed 7"),
];

/// The properties of every client here; -X wins.
const DEFAULTS: &[(&str, &str)] = &[("client.id", "milena-stress"), ("acks", "all")];

/// What all parts of a run know.
struct Stress {
    kafka: Kafka,
    env: Env,
    recorder: Recorder,
    topic: String,
    partitions: i32,
    seed: u64,
}

/// Runs the load and judges it: a broken promise is an error.
pub(crate) async fn run(
    args: StressArgs,
    verbosity: Verbosity,
    interrupt: &mut Interrupt,
) -> Result<(), Failure> {
    let args = &args;
    check(args)?;
    let stress = interrupt.cuts_off(prepare(args)).await?;
    let producers = produce::Producers::start(&stress, args).await?;
    let consumers = consume::start(&stress, args.consumers).await?;
    let mut progress = Progress::seconds(args.seconds, !verbosity.quiet);
    let until = stress.env.now() + Duration::from_secs(args.seconds);
    let stopped = tokio::select! {
        biased;
        signal = interrupt.wait() => Some(signal),
        () = pass(&stress.env, until, &mut progress) => None,
    };
    progress.finish();
    // A signal ends the load; a second one ends the judging.
    let sent = interrupt.cuts_off(producers.finish(&stress)).await?;
    let judged = finish::run(&stress, consumers, Duration::from_secs(args.patience));
    let violations = interrupt.cuts_off(judged).await?;
    report(&stress, args, sent, &violations)?;
    match stopped {
        Some(signal) => Err(Failure::Interrupted(signal)),
        None => Ok(()),
    }
}

fn check(args: &StressArgs) -> Result<(), Failure> {
    let none = [
        ("--producers", args.producers),
        ("--rate", args.rate as usize),
        ("--seconds", args.seconds as usize),
    ];
    if let Some((option, _)) = none.iter().find(|(_, number)| *number == 0) {
        return Err(Failure::Usage(format!("{option} 0: there would be nothing to check")));
    }
    if args.partitions < 1 {
        return Err(Failure::Usage(format!("--partitions {}: a topic has one at least", args.partitions)));
    }
    Ok(())
}

async fn prepare(args: &StressArgs) -> Result<Stress, Failure> {
    let own = Own { defaults: DEFAULTS, ..Own::default() };
    let kafka = args.cluster.connect(own).await?;
    // What all producers will be like; and settings that contradict each other are told before a topic is made.
    let promised = kafka.producer().build().await?.config().clone();
    let env = kafka.env().clone();
    let seed = args.seed.unwrap_or_else(|| env.random_u64() >> 32);
    let named = || format!("stress-{seed}-{:08x}", env.random_u64() as u32);
    let topic = args.topic.clone().unwrap_or_else(named);
    let partitions = ensure_topic(&kafka.admin(), &topic, args.partitions).await?;
    let partitions = i32::try_from(partitions).map_err(Failure::operation)?;
    finish::check_empty(&kafka, &topic).await?;
    let recorder = Recorder::create(&args.history, env.clone())
        .map_err(|error| Failure::Operation(format!("{}: {error}", args.history.display())))?;
    let stress = Stress { kafka, env, recorder, topic, partitions, seed };
    stress.recorder.event(finish::meta(&promised));
    Ok(stress)
}

async fn pass(env: &Env, until: std::time::Instant, progress: &mut Progress) {
    while env.now() < until {
        env.sleep_until(until.min(env.now() + Duration::from_secs(1))).await;
        progress.advance(1);
    }
}

fn report(
    stress: &Stress,
    args: &StressArgs,
    sent: produce::Sent,
    violations: &[Violation],
) -> Result<(), Failure> {
    stress
        .recorder
        .close()
        .map_err(|error| Failure::Operation(format!("{}: {error}", args.history.display())))?;
    print_line(&format!(
        "seed={} topic={} partitions={} sent={} acknowledged={} failed={} violations={}",
        stress.seed,
        stress.topic,
        stress.partitions,
        sent.records,
        sent.acknowledged,
        sent.failed,
        violations.len()
    ))?;
    if violations.is_empty() {
        return Ok(());
    }
    const SHOWN: usize = 20;
    let shown =
        violations.iter().take(SHOWN).map(|violation| format!("{:?}: {}", violation.kind, violation.what));
    let mut text: Vec<String> = shown.collect();
    if violations.len() > SHOWN {
        text.push(format!("and {} more", violations.len() - SHOWN));
    }
    text.push(format!("everything that happened is in {}", args.history.display()));
    Err(Failure::Operation(text.join("\n")))
}

impl Stress {
    /// Numbers of one part's own, the same whenever the seed is.
    fn random(&self, part: u64) -> SplitMix64 {
        SplitMix64::new(self.seed ^ part.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}
