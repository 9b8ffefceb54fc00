//! `cargo xtask deny`: licenses, sources and bans of the whole tree, by cargo-deny with `deny.toml`.
//!
//! Advisories are not asked for: their database is fetched from the network, and a build that was right yesterday
//! should not fail by it. `cargo deny check advisories` asks for them by hand.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{process, workspace};

const VERSION: &str = "0.20.2";

pub(crate) fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    if let Some(argument) = arguments.first() {
        return Err(format!("unknown option `{argument}`; there is none").into());
    }
    let root = workspace::root();
    let program = match installed() {
        Some(program) => program,
        None => install(&root)?,
    };
    let mut check = Command::new(program);
    process::run(check.args(["--locked", "check", "bans", "licenses", "sources"]).current_dir(root))?;
    println!("advisories are not checked here: `cargo deny check advisories` fetches their database");
    Ok(())
}

/// A cargo-deny that can be called already.
fn installed() -> Option<PathBuf> {
    let version = Command::new("cargo-deny").arg("--version").output().ok()?;
    version.status.success().then(|| PathBuf::from("cargo-deny"))
}

/// Builds it into `target/`, once for as long as that directory is kept.
///
/// Without optimisation, which makes it ready in a quarter of the time, and still done with this tree in seconds.
fn install(root: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let tools = root.join("target/tools");
    let program = tools.join("bin").join("cargo-deny").with_extension(std::env::consts::EXE_EXTENSION);
    if !program.exists() {
        println!("installing cargo-deny {VERSION} into target/tools");
        let mut install = workspace::cargo();
        install.args(["install", "--quiet", "--locked", "--debug", "--root"]).arg(&tools);
        install.arg("--target-dir").arg(tools.join("build")).arg(format!("cargo-deny@{VERSION}"));
        process::run(install.env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
        std::fs::remove_dir_all(tools.join("build"))?;
    }
    Ok(program)
}
