//! `cargo xtask tidy`: what the style asks for and a program can see.
//!
//! Looks at every file that git knows or would add. Rules about text are in [`text`], about dependencies in
//! [`manifests`], about links between documents in [`links`].

mod links;
mod manifests;
mod text;

use std::error::Error;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{process, workspace};

/// A rule that a file breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    file: PathBuf,
    /// From 1; `None` for the file as a whole.
    line: Option<usize>,
    what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.what),
            None => write!(f, "{}: {}", self.file.display(), self.what),
        }
    }
}

/// A text file; its path is relative to the workspace.
#[derive(Clone, Debug)]
pub(crate) struct File {
    path: PathBuf,
    text: String,
}

impl File {
    fn breach(&self, line: Option<usize>, what: impl Into<String>) -> Breach {
        Breach { file: self.path.clone(), line, what: what.into() }
    }

    fn has_extension(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|own| own == extension)
    }

    /// The lines with their numbers.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    if let Some(argument) = arguments.first() {
        return Err(format!("unknown option `{argument}`; there is none").into());
    }
    let root = workspace::root();
    let files = text_files(&root)?;
    let breaches = breaches(&files);
    for breach in &breaches {
        println!("  {breach}");
    }
    match breaches.len() {
        0 => {
            println!("tidy: {} files", files.len());
            Ok(())
        }
        count => Err(format!("{count} breaches of style in {} files", files.len()).into()),
    }
}

fn breaches(files: &[File]) -> Vec<Breach> {
    let mut breaches: Vec<Breach> = files.iter().flat_map(text::breaches).collect();
    breaches.extend(files.iter().flat_map(manifests::breaches));
    breaches.extend(links::breaches(files));
    breaches
}

/// What is in git or would be added; files that are not UTF-8 are not text.
fn text_files(root: &Path) -> Result<Vec<File>, Box<dyn Error>> {
    let mut list = Command::new("git");
    list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let list = process::stdout_of(&mut list)?;
    let mut files = Vec::new();
    for path in list.split_terminator('\0') {
        // A file that was removed and not yet committed is still in the list.
        if let Ok(bytes) = fs::read(root.join(path))
            && let Ok(text) = String::from_utf8(bytes)
        {
            files.push(File { path: PathBuf::from(path), text });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
