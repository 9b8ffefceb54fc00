//! `cargo xtask no-c`: nothing that users get compiles or links third-party C, shown in two ways.
//!
//! For each target, every crate that a shipped package can need, with all features, is looked at: its name, its
//! `links` key and its build script ([`policy`]). And all shipped packages are built for this machine with compilers
//! that fail when they are called ([`hidden`]).

mod hidden;
mod policy;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use policy::{Dependency, Offence};
use serde_json::Value;

use crate::{process, workspace};

const TARGETS: [&str; 9] = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
    "x86_64-pc-windows-gnu",
];

pub(crate) fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    if let Some(argument) = arguments.first() {
        return Err(format!("unknown option `{argument}`; there is none").into());
    }
    let root = workspace::root();
    let shipped = workspace::shipped(&root)?;
    println!("no C in {} packages, all features: {}", shipped.len(), shipped.join(" "));

    let packages = all_packages(&root)?;
    let mut found = false;
    for target in TARGETS {
        let dependencies = needed(&root, &shipped, target, &packages)?;
        let build_scripts =
            dependencies.iter().filter(|dependency| dependency.build_script.is_some()).count();
        println!("  {target:<28} {:>4} crates, {build_scripts} build scripts", dependencies.len());
        for offence in policy::offences(&dependencies) {
            found = true;
            report(&root, &shipped, target, &offence)?;
        }
    }
    if found {
        return Err("the crates above compile or link C; leave them out, or give a reason in xtask/src/no_c/policy.rs".into());
    }
    hidden::build(&root, &shipped)
}

fn report(root: &Path, shipped: &[String], target: &str, offence: &Offence) -> Result<(), Box<dyn Error>> {
    println!("    {offence}; it is needed by:");
    let mut tree = tree(root, shipped, target);
    tree.args(["--invert", &format!("{}@{}", offence.name, offence.version)]);
    for line in process::stdout_of(&mut tree)?.lines() {
        println!("      {line}");
    }
    Ok(())
}

/// Packages by name and version.
type Packages = BTreeMap<(String, String), Dependency>;

/// Every package that some target, feature or test could need.
fn all_packages(root: &Path) -> Result<Packages, Box<dyn Error>> {
    let metadata = workspace::metadata(root, &["--all-features"])?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let by_name = |package| {
        let dependency = dependency(package)?;
        Ok(((dependency.name.clone(), dependency.version.clone()), dependency))
    };
    packages.iter().map(by_name).collect()
}

/// What the shipped packages need on a target, and their build scripts and macros on the machine that builds.
fn needed(
    root: &Path,
    shipped: &[String],
    target: &str,
    packages: &Packages,
) -> Result<Vec<Dependency>, Box<dyn Error>> {
    let mut list = tree(root, shipped, target);
    let list = process::stdout_of(list.args(["--prefix", "none", "--format", "{p}"]))?;
    let used: BTreeSet<(&str, &str)> = list.lines().filter_map(name_and_version).collect();
    let find = |(name, version): &(&str, &str)| {
        let found = packages.get(&((*name).to_owned(), (*version).to_owned())).cloned();
        found.ok_or_else(|| {
            format!("cargo tree lists {name} {version}, which cargo metadata does not know").into()
        })
    };
    used.iter().map(find).collect()
}

fn tree(root: &Path, shipped: &[String], target: &str) -> std::process::Command {
    let mut command = workspace::cargo();
    command.args(["tree", "--locked", "--edges", "normal,build", "--all-features", "--target", target]);
    command.args(shipped.iter().flat_map(|name| ["--package", name])).current_dir(root);
    command
}

/// `bytes v1.12.2`, also with `(proc-macro)`, a path or `(*)` behind it.
fn name_and_version(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    Some((words.next()?, words.next()?.strip_prefix('v')?))
}

fn dependency(package: &Value) -> Result<Dependency, Box<dyn Error>> {
    let text = |key: &str| package[key].as_str().map(str::to_owned);
    let targets = package["targets"].as_array().ok_or("a package without targets")?;
    let is_build_script = |target: &&Value| {
        target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "custom-build"))
    };
    let script = targets.iter().find(is_build_script).and_then(|target| target["src_path"].as_str());
    Ok(Dependency {
        name: text("name").ok_or("a package without a name")?,
        version: text("version").ok_or("a package without a version")?,
        links: text("links"),
        build_script: script.map(|path| read_script(Path::new(path))).transpose()?,
    })
}

/// A build script; with the modules beside it where it has a folder of its own, `build/main.rs`.
fn read_script(path: &Path) -> Result<String, Box<dyn Error>> {
    let folder = path.parent().filter(|folder| folder.ends_with("build"));
    let mut paths = vec![path.to_owned()];
    for entry in folder.map(fs::read_dir).transpose()?.into_iter().flatten() {
        let other = entry?.path();
        if other != path && other.extension().is_some_and(|extension| extension == "rs") {
            paths.push(other);
        }
    }
    let read = |path: &PathBuf| {
        fs::read_to_string(path).map_err(|error| format!("reading {}: {error}", path.display()))
    };
    Ok(paths.iter().map(read).collect::<Result<Vec<_>, _>>()?.join("\n"))
}

#[cfg(test)]
mod tests;
