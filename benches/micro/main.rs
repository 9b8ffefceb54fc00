//! What each step of the record road costs: time, allocations and instructions for a record.
//!
//! `cargo xtask bench-micro` builds it for release and runs it; it prints a table in Markdown. Time is the median of several samples.
//! Allocations are counted in the allocator, exactly. Instructions are counted by callgrind, where valgrind is installed: a
//! number that does not depend on what else the machine does, so that a change of one in a hundred shows.

mod callgrind;
mod case;
mod measure;
mod reading;
mod table;
#[cfg(test)]
mod tests;
mod writing;

use std::error::Error;
use std::time::Duration;

use clap::Parser;

use case::Corpus;
use measure::Measured;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Debug, Parser)]
struct Args {
    /// Only steps whose name contains this.
    #[arg(long, default_value = "")]
    filter: String,

    /// How many samples of time are taken of each step; the median is shown.
    #[arg(long, default_value_t = 9)]
    samples: usize,

    /// How long a sample takes, in milliseconds.
    #[arg(long, default_value_t = 20)]
    sample_ms: u64,

    /// Leaves the count of instructions out.
    #[arg(long)]
    no_instructions: bool,

    /// Runs each step once, where callgrind looks. For this program's own use.
    #[arg(long, hide = true)]
    under_callgrind: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let corpora = Corpus::all();
    let mut cases: Vec<_> = corpora.iter().flat_map(case::all).collect();
    cases.retain(|case| case.step.contains(&args.filter));
    if args.under_callgrind {
        cases.iter_mut().for_each(|case| callgrind::run_once(&mut *case.work));
        return Ok(());
    }
    let (instructions, note) = match args.no_instructions {
        true => (None, "Instructions were not asked for.".to_owned()),
        false => match callgrind::count(&args.filter, cases.len()) {
            Ok(counts) => (Some(counts), "Instructions are callgrind's.".to_owned()),
            Err(error) => (None, format!("Instructions are left out: {error}.")),
        },
    };
    let sample = Duration::from_millis(args.sample_ms);
    let rows = cases.iter_mut().enumerate().map(|(index, case)| {
        let instructions = instructions.as_ref().map(|counts| counts[index]);
        Measured::of(case, args.samples, sample, instructions)
    });
    println!("{}\n{note}", table::markdown(&rows.collect::<Vec<_>>()));
    Ok(())
}
