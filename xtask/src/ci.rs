//! `cargo xtask ci [--without STEP]... [STEP...]`: everything that CI runs.
//!
//! All steps run, also after one that failed; the end tells how long each took.

use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{codegen, deny, features, no_c, process, sim, test, tidy, workspace};

type Step = (&'static str, fn() -> Result<(), Box<dyn Error>>);

/// Quick ones first.
const STEPS: [Step; 10] = [
    ("fmt", || process::run(&mut cargo(&["fmt", "--all", "--check"]))),
    ("tidy", || tidy::run(&[])),
    ("codegen", || codegen::run(&["--check".to_owned()])),
    ("clippy", || process::run(&mut cargo(&CLIPPY))),
    ("doc", || process::run(cargo(&DOC).env("RUSTDOCFLAGS", "--deny warnings"))),
    ("features", || features::run(&[])),
    ("deny", || deny::run(&[])),
    ("no-c", || no_c::run(&[])),
    ("test", || test::run(&[])),
    ("sim", sim::run_in_ci),
];

const CLIPPY: [&str; 8] =
    ["clippy", "--locked", "--workspace", "--all-targets", "--all-features", "--", "--deny", "warnings"];
const DOC: [&str; 5] = ["doc", "--locked", "--workspace", "--no-deps", "--all-features"];

pub(crate) fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let mut report = Vec::new();
    for (name, step) in chosen(arguments)? {
        println!("\n=== {name}");
        let started = now();
        let outcome = step();
        if let Err(error) = &outcome {
            println!("{name}: {error}");
        }
        report.push((name, outcome.is_ok(), started.elapsed()));
    }
    println!("\n=== all");
    for (name, is_ok, took) in &report {
        println!("  {name:<8} {:<6} {}", if *is_ok { "ok" } else { "FAILED" }, seconds(*took));
    }
    let failed: Vec<&str> = report.iter().filter(|(_, is_ok, _)| !is_ok).map(|(name, ..)| *name).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}

fn chosen(arguments: &[String]) -> Result<Vec<Step>, Box<dyn Error>> {
    let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        match argument {
            "--without" => unwanted.push(arguments.next().ok_or("--without is followed by a step")?),
            step => wanted.push(step),
        }
    }
    let names = STEPS.map(|(name, _)| name);
    if let Some(unknown) = wanted.iter().chain(&unwanted).find(|name| !names.contains(name)) {
        return Err(format!("unknown step `{unknown}`; there are: {}", names.join(", ")).into());
    }
    let is_chosen =
        |(name, _): &Step| (wanted.is_empty() || wanted.contains(name)) && !unwanted.contains(name);
    Ok(STEPS.into_iter().filter(is_chosen).collect())
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = workspace::cargo();
    command.args(arguments).current_dir(workspace::root());
    command
}

#[expect(clippy::disallowed_methods, reason = "what is measured here are other programs, by the real clock")]
fn now() -> Instant {
    Instant::now()
}

fn seconds(duration: Duration) -> String {
    format!("{:>4}.{} s", duration.as_secs(), duration.subsec_millis() / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str]) -> Result<Vec<&'static str>, String> {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let chosen = chosen(&arguments).map_err(|error| error.to_string())?;
        Ok(chosen.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn steps_are_chosen_or_left_out_by_name() {
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        assert_eq!(names(&["tidy", "fmt"]).unwrap(), ["fmt", "tidy"]);
        assert!(!names(&["--without", "test"]).unwrap().contains(&"test"));
        assert!(names(&["tests"]).unwrap_err().contains("unknown step `tests`; there are: fmt,"));
    }
}
