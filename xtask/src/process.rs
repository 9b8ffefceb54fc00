//! Running other programs.

use std::error::Error;
use std::process::{Command, Stdio};

/// Runs a program whose output a person reads; it has to succeed.
pub(crate) fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let line = line_of(command);
    let status = command.status().map_err(|error| format!("`{line}` cannot be run: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` failed: {status}").into()) }
}

/// Runs a program for what it writes to standard output; it has to succeed.
pub(crate) fn stdout_of(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let line = line_of(command);
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("`{line}` cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    Err(format!("`{line}` failed: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}

/// The command line, for people: with the program's name in place of its path.
pub(crate) fn line_of(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
