//! Rules about dependencies: each is named once, in the workspace's manifest, with a reason beside it.

use super::{Breach, File};

pub(super) fn breaches(file: &File) -> Vec<Breach> {
    if !file.path.ends_with("Cargo.toml") {
        return Vec::new();
    }
    let mut section = String::new();
    let mut line_before = "";
    let mut breaches = Vec::new();
    for (number, line) in file.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned();
        } else if let Some(what) = complaint(&section, line, line_before) {
            breaches.push(file.breach(Some(number), what));
        }
        line_before = line;
    }
    breaches
}

fn complaint(section: &str, line: &str, line_before: &str) -> Option<&'static str> {
    let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
    if section == "workspace.dependencies" {
        let is_own = value.contains("path =");
        let has_reason = line.contains('#') || line_before.starts_with('#');
        return (!is_own && !has_reason).then_some("a dependency without a reason in a comment beside it");
    }
    // `[target.'cfg(unix)'.dependencies]` as well.
    let lists_dependencies =
        section == "dependencies" || section.ends_with("-dependencies") || section.ends_with(".dependencies");
    let is_inherited = name.trim().ends_with(".workspace") || value.contains("workspace = true");
    let is_own = value.contains("path =");
    (lists_dependencies && !is_inherited && !is_own)
        .then_some("a version of its own; name it in the workspace's manifest")
}
