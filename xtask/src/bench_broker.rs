//! `cargo xtask bench-broker [ARGUMENTS]`: what the embedded broker costs beside a real Kafka, into `docs/broker-figures.md`.
//!
//! Arguments are those of the package in `benches/`; `--help` tells them. It takes some ten minutes and is best run on a machine that
//! does nothing else.

use std::error::Error;
use std::path::Path;

use crate::{peers, process, sim, workspace};

pub(crate) fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let root = workspace::root();
    let mut build = workspace::cargo();
    build.args(["build", "--locked", "--release", "--package", "milena-cli"]).current_dir(&root);
    process::run(&mut build)?;

    let metadata = workspace::metadata(&root, &["--no-deps"])?;
    let target = metadata["target_directory"].as_str().ok_or("cargo metadata names no target directory")?;
    let floor = peers::build(&root, &Path::new(target).join("peers"), "nullbroker")?;

    let mut bench = workspace::cargo();
    bench.args(["run", "--quiet", "--locked", "--package", "milena-benches", "--"]);
    bench.args(["--milena", &format!("{target}/release/milena"), "--commit", &sim::commit()?]);
    bench.arg("--floor").arg(floor);
    bench.args(["--out", "docs/broker-figures.md"]).args(arguments).current_dir(&root);
    process::run(&mut bench)
}
