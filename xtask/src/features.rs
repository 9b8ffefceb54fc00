//! `cargo xtask features`: what users can leave out, left out; nothing may warn, and what remains works.

use std::error::Error;

use crate::{process, workspace};

/// The package whose features users choose.
const FACADE: &str = "milena";

pub(crate) fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    if !arguments.is_empty() {
        return Err("features takes no arguments".into());
    }
    clippy("")?;
    for feature in features()? {
        clippy(&feature)?;
    }
    // Without any codec: a compressed batch has to be an error that names the missing feature.
    cargo(&["test", "--locked", "--package", "milena-records", "--no-default-features", "--lib"])
}

/// All features of the facade but the default ones as a whole.
fn features() -> Result<Vec<String>, Box<dyn Error>> {
    let metadata = workspace::metadata(&workspace::root(), &["--no-deps"])?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let facade = packages.iter().find(|package| package["name"] == FACADE);
    let features = facade.and_then(|facade| facade["features"].as_object());
    let names = features.ok_or("cargo metadata does not list the facade's features")?.keys();
    Ok(names.filter(|name| *name != "default").cloned().collect())
}

fn clippy(features: &str) -> Result<(), Box<dyn Error>> {
    let chosen = ["--no-default-features", "--features", features];
    cargo(
        &[&["clippy", "--locked", "--package", FACADE, "--lib"], &chosen[..], &["--", "--deny", "warnings"]]
            .concat(),
    )
}

fn cargo(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut command = workspace::cargo();
    println!("cargo {}", arguments.join(" "));
    process::run(command.args(arguments).current_dir(workspace::root()))
}
