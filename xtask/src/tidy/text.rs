//! Rules about the text of one file.

use super::{Breach, File};

/// A file that is longer says why in a comment that begins with [`LONG_FILE_REASON`].
const LINES_MAX: usize = 600;
const LONG_FILE_REASON: &str = "// long file: ";

const README_LINES_MAX: usize = 200;

/// What this machine or another one is called has no place in the project. Written in halves, as this file is looked
/// at as well.
const MACHINE_WORDS: [[&str; 2]; 11] = [
    ["/ro", "ot/"],
    ["/wo", "rk/"],
    ["/ho", "me/"],
    ["/Use", "rs/"],
    ["index.cra", "tes.io"],
    ["static.cra", "tes.io"],
    ["repo.ma", "ven.apache.org"],
    ["repo1.ma", "ven.org"],
    ["registry-1.do", "cker.io"],
    ["registry.np", "mjs.org"],
    ["files.python", "hosted.org"],
];

pub(super) fn breaches(file: &File) -> Vec<Breach> {
    let mut breaches = Vec::new();
    if file.has_extension("rs") {
        breaches.extend(length(file));
        breaches.extend(unfinished(file));
    }
    if file.path.ends_with("README.md") && file.text.lines().count() > README_LINES_MAX {
        breaches.push(
            file.breach(None, format!("more than {README_LINES_MAX} lines; move the rest to a document")),
        );
    }
    if !file.path.ends_with("Cargo.lock") {
        breaches.extend(machine_words(file));
    }
    breaches
}

/// Generated files are as long as what they are generated from.
fn length(file: &File) -> Option<Breach> {
    let lines = file.text.lines().count();
    let is_generated = file.path.iter().any(|folder| folder == "generated");
    if lines <= LINES_MAX || is_generated || file.text.lines().any(|line| line.starts_with(LONG_FILE_REASON))
    {
        return None;
    }
    let advice = format!("split it, or say why not in a line `{LONG_FILE_REASON}...`");
    Some(file.breach(None, format!("{lines} lines, more than {LINES_MAX}; {advice}")))
}

/// Tests that do not run, lints that are silenced without a reason, and code that is not there yet.
fn unfinished(file: &File) -> Vec<Breach> {
    let reason = |line: &str| {
        let line = line.trim_start();
        if line.starts_with("//") {
            return None;
        }
        let is_attribute = line.starts_with("#[") || line.starts_with("#![");
        if is_attribute && line.contains("ignore") && !line.contains("do_not_recommend") {
            return Some("a test that is not run");
        }
        if is_attribute && line.contains(concat!("all", "ow(")) {
            return Some("a lint is silenced; expect it, with a reason");
        }
        let is_open =
            [concat!("to", "do!("), concat!("unim", "plemented!(")].iter().any(|open| line.contains(open));
        is_open.then_some("code that is not there yet")
    };
    file.lines().filter_map(|(number, line)| Some(file.breach(Some(number), reason(line)?))).collect()
}

fn machine_words(file: &File) -> Vec<Breach> {
    let words = MACHINE_WORDS.map(|halves| halves.concat());
    let found = |line: &str| words.iter().find(|word| line.contains(word.as_str()));
    let breach =
        |(number, line)| Some(file.breach(Some(number), format!("`{}` is of one machine", found(line)?)));
    file.lines().filter_map(breach).collect()
}
