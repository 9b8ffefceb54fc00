//! Programs of `benches/peers`, a workspace of its own.

use std::error::Error;
use std::path::{Path, PathBuf};

use crate::{process, workspace};

/// Builds a program in Rust for release, with its artifacts under `out`; returns where it is.
pub(crate) fn build(root: &Path, out: &Path, package: &str) -> Result<PathBuf, Box<dyn Error>> {
    let mut build = workspace::cargo();
    build.args(["build", "--quiet", "--locked", "--release", "--package", package, "--target-dir"]).arg(out);
    process::run(build.current_dir(root.join("benches/peers")))?;
    Ok(out.join("release").join(package))
}
