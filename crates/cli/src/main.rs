//! The `milena` command: one module per command, and what they share.

mod args;
mod bench;
mod broker;
mod cluster;
mod completions;
mod consume;
mod demo;
mod ensure_topic;
mod escape;
mod failure;
mod interrupt;
mod output;
mod produce;
mod progress;
mod random;
mod record_json;
mod senders;
mod stress;
mod timestamp;
mod topic;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};
use tracing::level_filters::LevelFilter;

use args::{Cli, Command, Verbosity};
use failure::Failure;
use interrupt::Interrupt;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbosity);
    let runtime = match runtime(&cli.command) {
        Ok(runtime) => runtime,
        Err(error) => return Failure::Operation(format!("cannot start: {error}")).report(),
    };
    let result = runtime.block_on(run(cli));
    // What is left over (a name being resolved) is not worth waiting for.
    runtime.shutdown_background();
    result.map_or_else(|failure| failure.report(), |()| ExitCode::SUCCESS)
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let mut interrupt = Interrupt::install().map_err(Failure::operation)?;
    let verbosity = cli.verbosity;
    match cli.command {
        Command::Broker(args) => broker::run(args, &mut interrupt).await,
        Command::Produce(args) => produce::run(args, verbosity, &mut interrupt).await,
        Command::Consume(args) => interrupt.cuts_off(consume::run(args)).await,
        Command::Demo(args) => demo::run(args, verbosity, &mut interrupt).await,
        Command::Topic(command) => interrupt.cuts_off(topic::run(command)).await,
        Command::Bench(args) => bench::run(args, verbosity, &mut interrupt).await,
        Command::Stress(args) => stress::run(args, verbosity, &mut interrupt).await,
        Command::Completions(args) => completions::run(&args),
    }
}

/// Benchmarks run on one thread, so that they measure the client and not the way between threads; other commands may block
/// the main thread when they print, and have others for their clients.
fn runtime(command: &Command) -> io::Result<Runtime> {
    const THREADS: usize = 2;
    match command {
        Command::Bench(_) => Builder::new_current_thread().enable_all().build(),
        _ => Builder::new_multi_thread().worker_threads(THREADS).enable_all().build(),
    }
}

fn log_to_stderr(verbosity: Verbosity) {
    let level = match (verbosity.quiet, verbosity.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(console::colors_enabled_stderr())
        .init();
}
