//! Runs seeds; `cargo xtask sim` builds and calls this.

use std::path::PathBuf;
use std::process::ExitCode;

use milena_sim::{Report, Seeds, prove, run_caught, write};

const USAGE: &str = "milena-sim --seeds N [--from S] [--threads T] [--commit C] [--out FOLDER]
milena-sim --seed S [--trace FILE] [--history FILE]
milena-sim --defects [--threads T], built with --cfg milena_defects";

/// How many violations of one seed are shown.
const SHOWN_MAX: usize = 8;

/// What was asked for.
#[derive(Debug)]
struct Options {
    from: u64,
    seeds: u64,
    threads: usize,
    one: Option<u64>,
    trace: Option<PathBuf>,
    history: Option<PathBuf>,
    out: PathBuf,
    commit: String,
    is_first_enough: bool,
    has_to_prove: bool,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match options.one {
        _ if options.has_to_prove => prove_all(&options),
        Some(seed) => replay(seed, &options),
        None => many(&options),
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    let mut options = Options {
        from: 0,
        seeds: 100,
        threads,
        one: None,
        trace: None,
        history: None,
        out: PathBuf::from("target/sim"),
        commit: String::new(),
        is_first_enough: false,
        has_to_prove: false,
    };
    while let Some(argument) = arguments.next() {
        if argument == "--first" {
            options.is_first_enough = true;
            continue;
        }
        if argument == "--defects" {
            options.has_to_prove = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{argument} wants a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{argument}: `{value}` is no number"));
        match &*argument {
            "--seeds" => options.seeds = number()?,
            "--from" => options.from = number()?,
            "--threads" => options.threads = (number()? as usize).max(1),
            "--seed" => options.one = Some(number()?),
            "--trace" => options.trace = Some(value.into()),
            "--history" => options.history = Some(value.into()),
            "--out" => options.out = value.into(),
            "--commit" => options.commit = value,
            _ => return Err(format!("unknown option `{argument}`")),
        }
    }
    Ok(options)
}

/// Shows that seeds find every defect.
fn prove_all(options: &Options) -> ExitCode {
    if !cfg!(milena_defects) {
        eprintln!(
            "there are no defects in this program; `cargo xtask sim --defects` builds one that has them"
        );
        return ExitCode::from(2);
    }
    let verdicts = std::env::current_exe().and_then(|program| {
        prove(&program, options.threads, |verdict| {
            let (name, within) = (verdict.defect.name, verdict.defect.seeds);
            match &verdict.found {
                Some(found) => println!("found   {name}: {found}"),
                None => println!("MISSED  {name}: {within} seeds do not show that {}", verdict.defect.what),
            }
        })
    });
    match verdicts {
        Ok(verdicts) => {
            let missed = verdicts.iter().filter(|verdict| verdict.found.is_none()).count();
            println!("{} defects, {missed} missed", verdicts.len());
            if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("cannot run the simulation: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one seed, and says what happened.
fn replay(seed: u64, options: &Options) -> ExitCode {
    let run = match run_caught(seed, options.trace.is_some()) {
        Ok(run) => run,
        Err(panic) => {
            println!("seed {seed}: {panic}");
            return ExitCode::FAILURE;
        }
    };
    let written =
        options.trace.as_ref().map_or(Ok(()), |path| std::fs::write(path, &run.trace)).and_then(|()| {
            options.history.as_ref().map_or(Ok(()), |path| run.history.write(std::fs::File::create(path)?))
        });
    if let Err(error) = written {
        println!("cannot write: {error}");
        return ExitCode::FAILURE;
    }
    let (records, faults, lasted) = (run.records, run.faults, run.lasted);
    println!("seed {seed}: {records} records, {faults} faults, {lasted:?} of virtual time");
    show(&run.violations);
    if run.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn many(options: &Options) -> ExitCode {
    let Options { from, seeds, threads, commit, .. } = options;
    let seeds =
        Seeds { from: *from, count: *seeds, threads: *threads, is_first_enough: options.is_first_enough };
    let report = seeds.run(|seed, failure| {
        println!("FAILED: seed {seed} commit {commit}");
        show(failure);
        if let Ok(run) = run_caught(seed, true)
            && let Ok((history, trace)) = write(&run, &options.out)
        {
            println!("  history: {}\n  trace: {}", history.display(), trace.display());
        }
    });
    print(&report);
    if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One cause has many effects: the first ones, and how many there are.
fn show(violations: &[impl std::fmt::Display]) {
    violations.iter().take(SHOWN_MAX).for_each(|violation| println!("  {violation}"));
    if violations.len() > SHOWN_MAX {
        println!("  ... {} in all", violations.len());
    }
}

fn print(report: &Report) {
    let Report { seeds, records, faults, lasted, took, failures } = report;
    let count = (*seeds).max(1);
    println!(
        "{seeds} seeds, {} failed; {:.0} seeds per second and core; per seed {} records (at least {}), {} faults that took \
         effect (at least {}), {} s of virtual time",
        failures.len(),
        *seeds as f64 / took.as_secs_f64().max(f64::EPSILON),
        records.0 / count,
        records.1,
        faults.0 / count,
        faults.1,
        lasted.as_secs() / count,
    );
}
