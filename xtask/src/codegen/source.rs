//! Where definitions come from, and how generated text becomes formatted files.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::KAFKA_VERSION;
use super::spec::Message;

/// Fetches the sources of `kafka-clients` with Maven's client and unpacks their definitions below `target`.
pub(crate) fn from_maven(workspace: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let unpacked = workspace.join("target/kafka-messages").join(KAFKA_VERSION);
    let definitions = unpacked.join("common/message");
    if definitions.is_dir() {
        return Ok(definitions);
    }
    fs::create_dir_all(&unpacked)?;
    let artifact = format!("org.apache.kafka:kafka-clients:{KAFKA_VERSION}:jar:sources");
    succeed(
        Command::new("mvn")
            .args(["--quiet", "--batch-mode", "dependency:copy", "-Dmdep.useBaseVersion=true"])
            .arg(format!("-Dartifact={artifact}"))
            .arg(format!("-DoutputDirectory={}", unpacked.display()))
            .current_dir(&unpacked),
    )?;
    let jar = format!("kafka-clients-{KAFKA_VERSION}-sources.jar");
    succeed(
        Command::new("jar").args(["--extract", "--file", &jar, "common/message"]).current_dir(&unpacked),
    )?;
    Ok(definitions)
}

/// Reads all definitions of a directory, in the order of their names.
pub(crate) fn load(directory: &Path) -> Result<Vec<Message>, Box<dyn Error>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut messages = Vec::new();
    for path in paths {
        let json = serde_json::from_str(&without_comments(&fs::read_to_string(&path)?));
        let json = json.map_err(|error| format!("{}: {error}", path.display()))?;
        messages.extend(Message::parse(&json).map_err(|error| format!("{}: {error}", path.display()))?);
    }
    if messages.is_empty() {
        return Err(format!("{}: no message definitions here", directory.display()).into());
    }
    Ok(messages)
}

/// Kafka's definitions carry comments, each on lines of its own.
fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Runs rustfmt over all the files at once, in a scratch directory.
pub(crate) fn formatted(
    workspace: &Path,
    files: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let scratch = workspace.join("target/codegen");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    fs::create_dir_all(&scratch)?;
    for (name, content) in &files {
        fs::write(scratch.join(name), content)?;
    }
    let config = format!("--config-path={}", workspace.join("rustfmt.toml").display());
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2024", &config]).args(files.keys()).current_dir(&scratch);
    succeed(&mut rustfmt)?;
    let read = |name: String| Ok((name.clone(), fs::read_to_string(scratch.join(name))?));
    files.into_keys().map(read).collect()
}

fn succeed(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| format!("cannot run {program}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{program} failed: {status}").into()) }
}
