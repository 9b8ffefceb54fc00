//! Where the workspace is and what it is made of, as cargo tells it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The directory that holds all packages.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("this package is in a folder of the workspace").to_owned()
}

/// The cargo that runs us, so that a toolchain chosen with `cargo +name` stays chosen.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The facts of packages that some target could need, by `cargo metadata`.
pub(crate) fn metadata(workspace: &Path, arguments: &[&str]) -> Result<Value, Box<dyn Error>> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--locked"]).args(arguments).current_dir(workspace);
    let json = crate::process::stdout_of(&mut command)?;
    Ok(serde_json::from_str(&json)?)
}

/// The names of the packages that users get: those in `crates/` and `testcontainers/`.
pub(crate) fn shipped(workspace: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let metadata = metadata(workspace, &["--no-deps"])?;
    let is_shipped = |package: &&Value| {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let folder = manifest.strip_prefix(workspace).ok().and_then(Path::parent);
        folder.is_some_and(|folder| folder.starts_with("crates") || folder == Path::new("testcontainers"))
    };
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let names = packages.iter().filter(is_shipped).filter_map(|package| package["name"].as_str());
    let names: Vec<String> = names.map(str::to_owned).collect();
    if names.is_empty() {
        return Err(format!("no package in {} is in crates/ or testcontainers/", workspace.display()).into());
    }
    Ok(names)
}
