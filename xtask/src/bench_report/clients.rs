//! The clients, and the broker that they are measured with: built from this repository.

use std::fs;
use std::path::Path;
use std::process::Command;

use milena_testcontainers::{Java, KafkaVersion};

use super::options::Options;
use super::{Result, process, workspace};
use crate::peers;

/// Everyone that is measured, in the order in which tables show them.
pub(super) const NAMES: [&str; 8] =
    [OURS, REFERENCE, "librdkafka", "java", "krafka", "kacrab", "rskafka", FLOOR];
/// Who we are.
pub(super) const OURS: &str = "milena";
/// Whom the others are compared with.
pub(super) const REFERENCE: &str = "franz-go";
/// Not a client: the least that one could do.
pub(super) const FLOOR: &str = "floor";

/// Clients that are programs in Rust: the client, and the package in `benches/peers`.
const RUST: [(&str, &str); 5] = [
    ("librdkafka", "peer-librdkafka"),
    ("krafka", "peer-krafka"),
    ("kacrab", "peer-kacrab"),
    ("rskafka", "peer-rskafka"),
    ("floor", "peer-floor"),
];

/// Variables that give every Java options of this machine, which neither the document nor who repeats a run knows of.
pub(super) const JAVA_VARIABLES: [&str; 3] = ["JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS"];

/// A client that can be run.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) command: Vec<String>,
}

pub(super) struct Programs {
    pub(super) clients: Vec<Client>,
    /// Which prepares a real Kafka, too.
    pub(super) milena: String,
    pub(super) nullbroker: String,
    /// Those that could not be built here.
    pub(super) not_built: Vec<String>,
}

impl Programs {
    pub(super) fn add(&mut self, name: &str, built: Result<Vec<String>>) {
        match built {
            Ok(command) => self.clients.push(Client { name: name.to_owned(), command }),
            // Why is for who runs this: the command line is full of this machine's paths.
            Err(error) => {
                println!("not built: {name}: {error}");
                self.not_built.push(name.to_owned());
            }
        }
    }
}

/// Builds Milena and the null broker, without which there is nothing to measure, and what else can be built.
pub(super) fn build(root: &Path, options: &Options) -> Result<Programs> {
    let metadata = workspace::metadata(root, &["--no-deps"])?;
    let target = metadata["target_directory"].as_str().ok_or("cargo metadata names no target directory")?;
    let folder = root.join("benches/peers");
    let out = Path::new(target).join("peers");

    let mut build = workspace::cargo();
    build.args(["build", "--locked", "--release", "--package", "milena-cli"]).current_dir(root);
    process::run(&mut build)?;
    let mut programs = Programs {
        clients: Vec::new(),
        milena: format!("{target}/release/milena"),
        nullbroker: rust(root, &out, "nullbroker")?,
        not_built: Vec::new(),
    };
    if options.wants(OURS) {
        programs.add(OURS, Ok(vec![programs.milena.clone(), "bench".to_owned()]));
    }
    if options.wants(REFERENCE) {
        programs.add(REFERENCE, go(&folder, &out));
    }
    if options.wants("java") {
        programs.add("java", java(&folder, &out));
    }
    for (client, package) in RUST.into_iter().filter(|(client, _)| options.wants(client)) {
        programs.add(client, rust(root, &out, package).map(|program| vec![program]));
    }
    for (name, command) in options.peers.iter().filter(|(name, _)| options.wants(name)) {
        programs.add(name, Ok(command.clone()));
    }
    Ok(programs)
}

fn rust(root: &Path, out: &Path, package: &str) -> Result<String> {
    Ok(peers::build(root, out, package)?.display().to_string())
}

fn go(peers: &Path, out: &Path) -> Result<Vec<String>> {
    fs::create_dir_all(out)?;
    let program = out.join("peer-franz");
    let mut build = Command::new("go");
    build.args(["build", "-trimpath", "-o"]).arg(&program).arg(".").current_dir(peers.join("franz"));
    process::run(&mut build)?;
    Ok(vec![program.display().to_string()])
}

/// Compiled against the jars that the tests have.
fn java(peers: &Path, out: &Path) -> Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let jars = runtime.block_on(class_path())?;
    let classes = out.join("java");
    fs::create_dir_all(&classes)?;
    let mut compile = Command::new("javac");
    compile.arg("-cp").arg(&jars).arg("-d").arg(&classes).arg("Peer.java").current_dir(peers.join("java"));
    process::run(&mut compile)?;
    let class_path = format!("{}:{jars}", classes.display());
    let words = ["java", "-Xms512m", "-Xmx512m", "-cp", &class_path, "Peer"];
    Ok(words.map(str::to_owned).into())
}

/// Where the jars are, as a program that runs with them sees it.
async fn class_path() -> Result<String> {
    let source = r#"
        public class ClassPath {
            public static void main(String[] args) { System.out.println(System.getProperty("java.class.path")); }
        }"#;
    let program = Java::of(KafkaVersion::LATEST).compile("ClassPath", source).await?;
    let output = program.command().run().await?;
    Ok(output.text().trim().to_owned())
}
