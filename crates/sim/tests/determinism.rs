//! One seed gives one trace, byte for byte: within a process, on other threads, and in another process.

use std::process::Command;

use milena_sim::run;

const SEEDS: [u64; 4] = [1, 2, 3, 4];

#[test]
fn one_seed_gives_one_trace_within_a_process() {
    for seed in SEEDS {
        let (one, other) = (run(seed, true), run(seed, true));
        assert!(one.trace.len() > 100_000, "seed {seed} has a trace");
        assert!(one.trace == other.trace, "seed {seed}: {}", first_difference(&one.trace, &other.trace));
        assert_eq!(one.history, other.history);
    }
}

#[test]
fn seeds_that_run_beside_one_another_do_not_disturb_each_other() {
    let alone = run(SEEDS[0], true).trace;
    let threads: Vec<_> = SEEDS.map(|seed| std::thread::spawn(move || run(seed, true))).into_iter().collect();
    let runs: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(runs[0].trace == alone, "{}", first_difference(&runs[0].trace, &alone));
    assert_ne!(runs[0].trace, runs[1].trace);
}

#[test]
fn one_seed_gives_one_trace_in_another_process() {
    let file = std::env::temp_dir().join(format!("milena-sim-{}.trace", std::process::id()));
    for seed in SEEDS {
        let program = env!("CARGO_BIN_EXE_milena-sim");
        let status =
            Command::new(program).args(["--seed", &seed.to_string(), "--trace"]).arg(&file).status().unwrap();
        let (there, here) = (std::fs::read_to_string(&file).unwrap(), run(seed, true).trace);
        std::fs::remove_file(&file).unwrap();
        assert!(there == here, "seed {seed}: {}", first_difference(&there, &here));
        assert!(status.success(), "seed {seed}");
    }
}

#[test]
fn a_trace_does_not_change_what_happens() {
    let (with, without) = (run(5, true), run(5, false));
    assert_eq!(with.history, without.history);
    assert!(without.trace.is_empty());
}

#[test]
fn a_history_that_was_written_is_judged_as_the_run_was() {
    let run = run(6, false);
    let mut written = Vec::new();
    run.history.write(&mut written).unwrap();
    let read = milena_history::History::read(&*written).unwrap();
    assert_eq!(milena_history::check(&read), run.violations);
}

fn first_difference(one: &str, other: &str) -> String {
    let mut lines = one.lines().zip(other.lines()).enumerate();
    match lines.find(|(_, (one, other))| one != other) {
        Some((number, (one, other))) => format!("line {}:\n{one}\n{other}", number + 1),
        None => "one is longer".to_owned(),
    }
}
