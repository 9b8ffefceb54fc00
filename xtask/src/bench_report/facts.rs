//! Where and with what it was measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use milena_testcontainers::KafkaVersion;

use super::Result;
use super::clients::Programs;
use crate::sim;

/// Names and what is said of them, in the order of the document.
pub(super) fn gather(
    root: &Path,
    arguments: &[String],
    programs: &Programs,
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
    facts.extend(programs.left_out.iter().map(|(name, why)| (name.clone(), format!("left out: {why}"))));
    facts.push(("Rust".to_owned(), first_line("rustc", "--version")));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    facts.push(("Load averages at the beginning".to_owned(), load.join(", ")));
    // Where it was saved is nobody's business.
    let is_of_one_machine = |argument: &str| argument.contains('/');
    let shown = arguments.iter().map(|argument| if is_of_one_machine(argument) { "..." } else { argument });
    let command = ["cargo xtask bench-report"].into_iter().chain(shown).collect::<Vec<_>>().join(" ");
    facts.push(("Command".to_owned(), format!("`{command}`")));
    Ok(facts)
}

fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
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
