//! `cargo xtask test [ARGUMENTS OF CARGO TEST]`: all tests, on a real Kafka too where one can be had.
//!
//! Tests that need more than this repository say so by the name of a module they are in ([`SUITES`]). Those whose
//! need is not met here are left out, and named; where `CI` is set, that is an error.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};

use milena_testcontainers::{Availability, Decision, KafkaVersion, Need};

use crate::{process, workspace};

/// What the tests in a module need.
#[derive(Clone, Copy)]
enum Needs {
    /// A real Kafka, or what comes with it.
    Kafka(Need),
    /// A command that succeeds.
    Command(&'static [&'static str]),
}

/// Modules by what the tests in them need. A module `real_kafka_java` is also a `real_kafka`: what is left out is chosen by a part of
/// the name. Modules of a release are in one of those.
const SUITES: [(&str, Needs, &str); 7] = [
    ("real_kafka", Needs::Kafka(Need::Any), "tests on a real Kafka"),
    ("real_kafka_control", Needs::Kafka(Need::Control), "tests that start and kill real brokers"),
    ("kafka_2_8_2", Needs::Kafka(Need::Version(KafkaVersion::V2_8_2)), "tests on Kafka 2.8.2"),
    ("kafka_2_1_1", Needs::Kafka(Need::Version(KafkaVersion::V2_1_1)), "tests on Kafka 2.1.1"),
    ("real_kafka_java", Needs::Kafka(Need::Java), "tests beside Java programs"),
    // Some distributions have a Python that cannot make virtual environments: the modules are a package of their own there.
    (
        "with_python",
        Needs::Command(&["python3", "-c", "import venv, ensurepip"]),
        "tests beside Python programs",
    ),
    ("with_go", Needs::Command(&["go", "version"]), "tests beside Go programs"),
];

pub(crate) fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let availability = Availability::detect();
    println!("A real Kafka can come from:\n{availability}");
    let left_out = left_out(&availability)?;

    let mut test = workspace::cargo();
    test.args(["test", "--locked", "--no-fail-fast"]).current_dir(workspace::root());
    if arguments.is_empty() {
        test.arg("--workspace");
    }
    // The feature brings an HTTP client of 150 crates, so it is for machines that have no other way.
    let with_docker = availability.jvm().is_err() && availability.docker().is_ok();
    if with_docker {
        test.args(["--features", "milena-testcontainers/docker"]);
    }
    test.args(arguments).arg("--");
    test.args(left_out.iter().flat_map(|(module, _, _)| ["--skip", module]));
    let (status, totals) = run_counting(&mut test)?;

    for (_, what, why) in &left_out {
        println!("Left out: {what}, because {why}");
    }
    if !with_docker {
        println!(
            "Left out: Kafka in Docker; `cargo test -p milena-testcontainers --features docker` tries it"
        );
    }
    println!("{} passed, {} failed", totals.passed, totals.failed);
    if status.success() { Ok(()) } else { Err(format!("cargo test: {status}").into()) }
}

/// Module, what is in it, and why it cannot run here.
type LeftOut = (&'static str, &'static str, String);

fn left_out(availability: &Availability) -> Result<Vec<LeftOut>, Box<dyn Error>> {
    let mut left_out = Vec::new();
    for (module, needs, what) in SUITES {
        let decision = match needs {
            Needs::Kafka(need) => availability.decide(need),
            Needs::Command(command) => decide_command(command, availability.in_ci()),
        };
        match decision {
            Decision::Run => {}
            Decision::LeaveOut(why) => {
                println!("Left out: {what}, because {why}");
                left_out.push((module, what, why));
            }
            Decision::Refuse(why) => {
                return Err(format!("CI is set, so {what} must not be left out, but {why}").into());
            }
        }
    }
    Ok(left_out)
}

/// As [`Availability::decide`]: where `CI` is set, nothing may be left out.
fn decide_command(command: &[&str], in_ci: bool) -> Decision {
    let line = command.join(" ");
    let met = match Command::new(command[0]).args(&command[1..]).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            Err(format!("`{line}` fails: {}", stderr.lines().last().unwrap_or("it does not say why")))
        }
        Err(error) => Err(format!("`{line}` does not start: {error}")),
    };
    Decision::of(met, in_ci)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
}

impl Totals {
    /// Adds what `test result: ok. 3 passed; 0 failed; ...` says; other lines say nothing.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            match count.split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse::<u64>().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse::<u64>().unwrap_or(0),
                _ => {}
            }
        }
    }
}

/// Runs the tests, passes on each line as it comes, and adds up the summaries among them.
fn run_counting(command: &mut Command) -> Result<(ExitStatus, Totals), Box<dyn Error>> {
    println!("{}", process::line_of(command));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().expect("stdout was piped above");
    let mut totals = Totals::default();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line?;
        let mut out = std::io::stdout().lock();
        out.write_all(&line)?;
        out.write_all(b"\n")?;
        totals.add(&String::from_utf8_lossy(&line));
    }
    Ok((child.wait()?, totals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_all_test_programs_are_added_up() {
        let mut totals = Totals::default();
        totals.add(
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.05s",
        );
        totals.add("test a::b ... ok");
        totals.add(
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s",
        );
        assert_eq!(totals, Totals { passed: 13, failed: 2 });
    }

    #[test]
    fn leaving_out_the_general_need_leaves_out_the_special_ones() {
        let (general, ..) = SUITES[0];
        let special = SUITES
            .iter()
            .filter(|(_, needs, _)| matches!(needs, Needs::Kafka(need) if !matches!(need, Need::Version(_))));
        assert!(special.into_iter().all(|(module, ..)| module.starts_with(general)));
    }

    #[test]
    fn a_program_that_is_there_but_cannot_do_it_is_not_enough() {
        assert_eq!(decide_command(&["cargo", "--version"], true), Decision::Run);
        let why = "`cargo --no-such-option` fails: ";
        assert!(
            matches!(decide_command(&["cargo", "--no-such-option"], false), Decision::LeaveOut(w) if w.starts_with(why))
        );
        let missing = decide_command(&["no-such-program"], true);
        assert!(matches!(missing, Decision::Refuse(w) if w.contains("does not start")));
    }
}
