//! Where and with what it was measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use milena_testcontainers::KafkaVersion;

use super::Result;
use super::brokers::Brokers;
use super::clients::Programs;
use super::options::Options;
use crate::sim;

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
        let version = match client.name.as_str() {
            "franz-go" => module_version(&go_mod, "github.com/twmb/franz-go")
                .map(|version| with(version, "go", "version")),
            "java" => Some(with(KafkaVersion::LATEST.as_str().to_owned(), "java", "-version")),
            "librdkafka" => {
                locked_version(&lock, "rdkafka-sys").map(|version| format!("rdkafka-sys {version}"))
            }
            name => locked_version(&lock, name),
        };
        facts.extend(version.map(|version| (client.name.clone(), version)));
    }
    facts.extend(programs.not_built.iter().map(|name| (name.clone(), "could not be built here".to_owned())));
    facts.extend(brokers.real().map(|kafka| ("Kafka".to_owned(), kafka)));
    facts.push(("Rust".to_owned(), first_line("rustc", "--version")));
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

fn with(version: String, program: &str, option: &str) -> String {
    format!("{version}, {}", first_line(program, option))
}

/// What a program says of itself, on whichever output.
fn first_line(program: &str, option: &str) -> String {
    let output = Command::new(program).arg(option).output();
    let said = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).into_owned();
    said.lines().next().unwrap_or("version unknown").to_owned()
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
