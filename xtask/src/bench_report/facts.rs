//! Where and with what it was measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use milena_testcontainers::KafkaVersion;

use super::Result;
use super::brokers::Brokers;
use super::clients::{JAVA_VARIABLES, NAMES, Programs};
use super::options::Options;
use crate::sim;

const UNKNOWN: &str = "version unknown";

/// Names and what is said of them, in the order of the document. What tells this machine from others of its kind is not among them: no
/// names, addresses or paths.
pub(super) fn gather(
    root: &Path,
    options: &Options,
    programs: &Programs,
    brokers: &Brokers,
) -> Result<Vec<(String, String)>> {
    let mut facts = vec![("Machine".to_owned(), machine()), ("Milena".to_owned(), sim::commit()?)];
    let peers = root.join("benches/peers");
    let read = |file: &str| fs::read_to_string(peers.join(file)).unwrap_or_default();
    let (lock, go_mod) = (read("Cargo.lock"), read("franz/go.mod"));
    for client in &programs.clients {
        let versions = [client_version(&client.name, &lock, &go_mod), runtime_version(&client.name)];
        let versions: Vec<String> = versions.into_iter().flatten().collect();
        if !versions.is_empty() {
            facts.push((client.name.clone(), versions.join(", ")));
        }
    }
    facts.extend(programs.not_built.iter().map(|name| (name.clone(), "could not be built here".to_owned())));
    facts.extend(brokers.real().map(|kafka| ("Kafka".to_owned(), kafka)));
    facts.push(("Rust".to_owned(), first_line(Command::new("rustc").arg("--version"))));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    facts.push(("Load averages at the beginning".to_owned(), load.join(", ")));
    facts.push(("Command".to_owned(), format!("`{}`", options.shown())));
    Ok(facts)
}

fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel_version(&release))
}

/// MAJOR.MINOR: what follows may name who built the kernel, and for what.
pub(super) fn kernel_version(release: &str) -> String {
    let numbers = release.trim().splitn(3, '.').take(2);
    let digits = |number: &str| number.chars().take_while(char::is_ascii_digit).collect::<String>();
    numbers.map(digits).collect::<Vec<_>>().join(".")
}

/// Of a client that is built here. A `--peer` has none: its name says nothing, not even where a package that is locked has the same.
pub(super) fn client_version(client: &str, lock: &str, go_mod: &str) -> Option<String> {
    match client {
        "franz-go" => module_version(go_mod, "github.com/twmb/franz-go"),
        "java" => Some(KafkaVersion::LATEST.as_str().to_owned()),
        "librdkafka" => locked_version(lock, "rdkafka-sys").map(|version| format!("rdkafka-sys {version}")),
        name if NAMES.contains(&name) => locked_version(lock, name),
        _ => None,
    }
}

/// Of what a client that is not in Rust is compiled by, or runs on.
fn runtime_version(client: &str) -> Option<String> {
    match client {
        "franz-go" => Some(first_line(Command::new("go").arg("version"))),
        "java" => {
            let mut java = Command::new("java");
            for variable in JAVA_VARIABLES {
                java.env_remove(variable);
            }
            Some(java_version(&said(java.arg("-version"))))
        }
        _ => None,
    }
}

/// What a program says of itself, on whichever output.
fn said(command: &mut Command) -> String {
    let output = command.output();
    let said = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&said).into_owned()
}

fn first_line(command: &mut Command) -> String {
    said(command).lines().next().unwrap_or(UNKNOWN).to_owned()
}

/// From what `java -version` says: lines before that tell of options, warnings, and the paths in them.
pub(super) fn java_version(said: &str) -> String {
    said.lines().find(|line| line.contains(" version \"")).unwrap_or(UNKNOWN).to_owned()
}

/// Of a package in a `Cargo.lock`.
pub(super) fn locked_version(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    let version = lines.nth(1)?.strip_prefix("version = \"")?;
    Some(version.trim_end_matches('"').to_owned())
}

/// Of a module in a `go.mod`.
pub(super) fn module_version(go_mod: &str, module: &str) -> Option<String> {
    let words = go_mod.lines().map(|line| line.trim_start_matches("require ").split_whitespace());
    words
        .into_iter()
        .find_map(|mut words| (words.next()? == module).then(|| words.next().map(str::to_owned))?)
}
