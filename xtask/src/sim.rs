//! `cargo xtask sim [--seeds N] [--from S] [--threads T]`, or `--seed S --trace FILE`: the simulation, built to be fast.
//!
//! A failure prints its seed and commit, and leaves its history and trace in `target/sim`; with that commit and that seed it is
//! there again. `--defects` builds the simulation with the planted defects, and proves that seeds find each of them; with
//! `--defect NAME` one of them is in force for the seeds that are run.

use std::error::Error;
use std::process::Command;

use crate::{process, workspace};

/// What CI runs.
const SEEDS_IN_CI: &str = "2000";

pub(crate) fn run_in_ci() -> Result<(), Box<dyn Error>> {
    run(&["--seeds".to_owned(), SEEDS_IN_CI.to_owned()])
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let chosen = arguments.iter().position(|argument| argument == "--defect");
    let has_defects = chosen.is_some() || arguments.iter().any(|argument| argument == "--defects");
    let commit = commit()?;
    let mut simulation = workspace::cargo();
    simulation.args(["run", "--quiet", "--locked", "--profile", "sim", "--package", "milena-sim"]);
    if has_defects {
        // A folder of its own, so that nothing else is ever built from these objects.
        simulation.args(["--target-dir", "target/defects"]).env("RUSTFLAGS", "--cfg milena_defects");
    }
    simulation.args(["--", "--commit", &commit]).current_dir(workspace::root());
    match chosen {
        None => simulation.args(arguments),
        Some(at) => {
            let name = arguments.get(at + 1).ok_or("--defect is followed by a name")?;
            simulation.env("MILENA_DEFECT", name).args(&arguments[..at]).args(&arguments[at + 2..])
        }
    };
    process::run(&mut simulation)
}

/// The commit, and whether the tree differs from it.
pub(crate) fn commit() -> Result<String, Box<dyn Error>> {
    let mut describe = Command::new("git");
    describe.args(["describe", "--always", "--dirty", "--abbrev=12"]).current_dir(workspace::root());
    Ok(process::stdout_of(&mut describe)?.trim().to_owned())
}
