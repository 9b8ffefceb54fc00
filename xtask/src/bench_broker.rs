//! `cargo xtask bench-broker [ARGUMENTS]`: what the embedded broker costs beside a real Kafka, into `docs/broker-figures.md`.
//!
//! Arguments are those of the package in `benches/`; `--help` tells them. It takes some ten minutes and is best run on a machine that
//! does nothing else.

use std::error::Error;
use std::path::Path;

use crate::{process, sim, workspace};

pub(crate) fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let root = workspace::root();
    let mut build = workspace::cargo();
    build.args(["build", "--locked", "--release", "--package", "milena-cli"]).current_dir(&root);
    process::run(&mut build)?;

    let metadata = workspace::metadata(&root, &["--no-deps"])?;
    let target = metadata["target_directory"].as_str().ok_or("cargo metadata names no target directory")?;
    let peers = Path::new(target).join("peers");
    let mut floor = workspace::cargo();
    floor
        .args(["build", "--quiet", "--locked", "--release", "--package", "nullbroker", "--target-dir"])
        .arg(&peers);
    process::run(floor.current_dir(root.join("benches/peers")))?;

    let mut bench = workspace::cargo();
    bench.args(["run", "--quiet", "--locked", "--package", "milena-benches", "--"]);
    bench.args(["--milena", &format!("{target}/release/milena"), "--commit", &sim::commit()?]);
    bench.arg("--floor").arg(peers.join("release/nullbroker"));
    bench.args(["--out", "docs/broker-figures.md"]).args(arguments).current_dir(&root);
    process::run(&mut bench)
}
