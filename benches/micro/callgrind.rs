//! Instructions, counted by callgrind: this program runs itself once more, in valgrind, where the work of each step is done in one
//! function that callgrind is told to look at.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Result;
use crate::case::Work;

/// Parts of the name of the function below, mangled or not. Two of them, because callgrind heeds one option for each pattern only.
const COUNTED: &str = "*instructions_are_counted_in_here*";
const DUMPED: &str = "*counted_in_here*";

/// Does the work a few times, the last of which counts: what is made at first use is there by then.
pub(crate) fn run_once(work: &mut dyn Work) {
    work.once(&mut |run| run());
    work.once(&mut |run| run());
    work.once(&mut instructions_are_counted_in_here);
}

#[inline(never)]
fn instructions_are_counted_in_here(run: &mut dyn FnMut()) {
    run();
}

/// The instructions of each case whose step contains `filter`, for a whole batch; there are `cases` of them.
///
/// # Errors
/// When valgrind is not there or does not run this program, with the reason as the end of a sentence.
pub(crate) fn count(filter: &str, cases: usize) -> Result<Vec<u64>> {
    let directory = std::env::temp_dir().join(format!("milena-bench-micro-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let counted = count_in(&directory, filter, cases);
    fs::remove_dir_all(&directory)?;
    counted
}

fn count_in(directory: &Path, filter: &str, cases: usize) -> Result<Vec<u64>> {
    let out = directory.join("counts");
    let mut valgrind = Command::new("valgrind");
    valgrind.args([
        "--tool=callgrind",
        &format!("--toggle-collect={COUNTED}"),
        &format!("--dump-after={DUMPED}"),
    ]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display())).arg(std::env::current_exe()?);
    valgrind.args(["--under-callgrind", "--filter", filter]).stdin(Stdio::null());
    let output = valgrind.output().map_err(|error| format!("valgrind does not start ({error})"))?;
    if !output.status.success() {
        return Err(format!("valgrind fails: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let dump = |number: usize| total(&fs::read_to_string(directory.join(format!("counts.{number}"))).ok()?);
    let counts: Option<Vec<u64>> = (1..=cases).map(dump).collect();
    Ok(counts.ok_or("callgrind does not write what it should")?)
}

/// The number of instructions in one of callgrind's files.
pub(crate) fn total(dump: &str) -> Option<u64> {
    let totals = dump.lines().find_map(|line| line.strip_prefix("totals:"))?;
    totals.trim().parse().ok()
}
