//! `cargo xtask features`: what users can leave out, left out; nothing may warn, and what remains works.

use std::error::Error;

use crate::{process, workspace};

/// The package whose features users choose.
const FACADE: &str = "milena";
/// The feature that is for users' tests, and may bring what a program should not have.
const FOR_TESTS: &str = "testing";

pub(crate) fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    if !arguments.is_empty() {
        return Err("features takes no arguments".into());
    }
    clippy("")?;
    let features = features()?;
    for feature in &features {
        clippy(feature)?;
    }
    clock_is_real(features.iter().map(String::as_str).filter(|feature| *feature != FOR_TESTS).collect())?;
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

/// With these features, tokio has no clock that stands still: reading it would cost every program more.
fn clock_is_real(features: Vec<&str>) -> Result<(), Box<dyn Error>> {
    let mut tree = workspace::cargo();
    tree.args(["tree", "--locked", "--package", FACADE, "--edges", "normal,build", "--prefix", "none"]);
    tree.args(["--format", "{p} {f}", "--features", &features.join(",")]).current_dir(workspace::root());
    let tree = process::stdout_of(&mut tree)?;
    let tokio = tree.lines().find(|line| line.starts_with("tokio v")).ok_or("the facade has no tokio")?;
    match tokio.contains("test-util") {
        true => Err(format!("a feature other than `{FOR_TESTS}` brings tokio's test-util: {tokio}").into()),
        false => Ok(()),
    }
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
