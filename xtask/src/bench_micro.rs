//! `cargo xtask bench-micro [ARGUMENTS]`: what each step of the record road costs, as a table.
//!
//! Arguments are those of `bench-micro` in `benches/`; `--help` tells them.

use std::error::Error;

use crate::{process, workspace};

pub(crate) fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let mut bench = workspace::cargo();
    bench.args([
        "run",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "milena-benches",
        "--bin",
        "bench-micro",
        "--",
    ]);
    process::run(bench.args(arguments).current_dir(workspace::root()))
}
