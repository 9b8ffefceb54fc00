//! Links in documents lead somewhere.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::{Breach, File};

/// Relative links in Markdown files whose file or heading does not exist.
pub(super) fn breaches(files: &[File]) -> Vec<Breach> {
    let by_path: BTreeMap<&Path, &File> = files.iter().map(|file| (file.path.as_path(), file)).collect();
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.has_extension("md")) {
        let links = file.lines().flat_map(|(number, line)| targets(line).map(move |target| (number, target)));
        for (number, target) in
            links.filter(|(_, target)| !target.contains("://") && !target.starts_with("mailto:"))
        {
            if let Some(what) = complaint(file, target, &by_path) {
                breaches.push(file.breach(Some(number), what));
            }
        }
    }
    breaches
}

/// What `[text](target)` and `[name]: target` lead to.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let reference = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
    inline.chain(reference).map(|target| target.split_whitespace().next().unwrap_or_default())
}

fn complaint(file: &File, target: &str, files: &BTreeMap<&Path, &File>) -> Option<String> {
    let (path, heading) =
        target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
    let path = match path {
        "" => file.path.clone(),
        _ => resolved(&file.path.parent().unwrap_or(Path::new("")).join(path)),
    };
    let is_folder = || files.keys().any(|other| other.starts_with(&path));
    let Some(linked) = files.get(path.as_path()) else {
        return (!is_folder()).then(|| format!("a link to {}, which does not exist", path.display()));
    };
    let heading = heading.filter(|_| linked.has_extension("md"))?;
    let has_heading =
        linked.text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading);
    (!has_heading).then(|| format!("a link to #{heading}, which is no heading of {}", path.display()))
}

/// Without `.` and `..`.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(resolved.pop()),
            Component::CurDir => {}
            other => resolved.push(other),
        }
    }
    resolved
}

/// `## How it's trusted: P1` is `how-its-trusted-p1` in a link, as GitHub has it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let keep = |letter: char| match letter {
        ' ' => Some('-'),
        letter if letter.is_alphanumeric() || letter == '-' || letter == '_' => Some(letter),
        _ => None,
    };
    text.chars().filter_map(keep).collect()
}
