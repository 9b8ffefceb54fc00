//! Other clients, run as programs.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use milena_testcontainers::{Java, JavaProgram, KafkaVersion};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::WireRecord;

/// What runs on the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerKind {
    /// Kafka's Java client.
    Java,
    /// librdkafka.
    Librdkafka,
    /// kafka-python.
    KafkaPython,
}

/// Another client; see `tests/peers/README.md`.
pub struct Peer {
    kind: PeerKind,
    program: Program,
}

enum Program {
    Java(&'static JavaProgram),
    Python { script: PathBuf },
}

/// Time for one run, the start of an interpreter or a JVM included.
const RUN_TIMEOUT: Duration = Duration::from_secs(120);

impl Peer {
    /// The peer, made ready: compiled, or installed into a virtual environment under the target directory.
    pub async fn new(kind: PeerKind) -> Self {
        let script = |name: &str| Program::Python { script: peers_dir().join(name) };
        let program = match kind {
            PeerKind::Java => Program::Java(java_peer().await),
            PeerKind::Librdkafka => script("peer_librdkafka.py"),
            PeerKind::KafkaPython => script("peer_kafka_python.py"),
        };
        Self { kind, program }
    }

    /// Whether the peer's interface can express the record: kafka-python refuses headers whose value is null, and records with
    /// neither key nor value.
    pub fn can_write(&self, record: &WireRecord) -> bool {
        let has_data = record.key.is_some() || record.value.is_some();
        self.kind != PeerKind::KafkaPython
            || has_data && record.headers.iter().all(|(_, value)| value.is_some())
    }

    /// Lets the peer write `records` with compression `codec`.
    pub async fn produce(&self, bootstrap: &str, topic: &str, codec: &str, records: &[WireRecord]) {
        let lines: String = records.iter().map(|record| record.to_line() + "\n").collect();
        self.run(&["produce", bootstrap, topic, codec], lines.into_bytes()).await;
    }

    /// Lets the peer read `count` records: offsets and records, in the order of partition and offset.
    pub async fn consume(&self, bootstrap: &str, topic: &str, count: usize) -> Vec<(i64, WireRecord)> {
        let output = self.run(&["consume", bootstrap, topic, &count.to_string()], Vec::new()).await;
        let mut records: Vec<_> = output
            .lines()
            .map(|line| {
                WireRecord::from_consumed_line(line).unwrap_or_else(|| panic!("a peer printed {line:?}"))
            })
            .collect();
        records.sort_by_key(|(offset, record)| (record.partition, *offset));
        records
    }

    async fn run(&self, arguments: &[&str], stdin: Vec<u8>) -> String {
        match &self.program {
            Program::Java(program) => {
                let command =
                    program.command().args(arguments.iter().copied()).stdin(stdin).timeout(RUN_TIMEOUT);
                command.run().await.expect("the Java peer runs").text().into_owned()
            }
            Program::Python { script } => run_python(script, arguments, &stdin).await,
        }
    }
}

async fn java_peer() -> &'static JavaProgram {
    static PROGRAM: OnceCell<JavaProgram> = OnceCell::const_new();
    let source = include_str!("../peers/Peer.java");
    PROGRAM
        .get_or_init(|| async {
            Java::of(KafkaVersion::LATEST).compile("Peer", source).await.expect("the Java peer compiles")
        })
        .await
}

async fn run_python(script: &Path, arguments: &[&str], stdin: &[u8]) -> String {
    let mut command = Command::new(python().await);
    command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().expect("Python starts");
    let mut pipe = child.stdin.take().expect("piped above");
    let run = async {
        // A peer that ends early says why on its standard error.
        let _ = pipe.write_all(stdin).await;
        drop(pipe);
        child.wait_with_output().await.expect("the peer ends")
    };
    let output = tokio::time::timeout(RUN_TIMEOUT, run).await.expect("the peer ends in time");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {}: {stderr}", script.display(), output.status);
    String::from_utf8(output.stdout).expect("peers print ASCII")
}

/// What the Python peers are made of.
const PYTHON_PACKAGES: &[&str] = &[
    "confluent-kafka==2.16.1",
    "kafka-python==3.0.12",
    "lz4==4.4.5",
    "python-snappy==0.7.3",
    "zstandard==0.25.0",
];

/// The interpreter of a virtual environment that has the packages, made when it is first needed.
async fn python() -> &'static Path {
    static PYTHON: OnceCell<PathBuf> = OnceCell::const_new();
    PYTHON
        .get_or_init(|| async {
            tokio::task::spawn_blocking(make_environment)
                .await
                .expect("making the environment does not panic")
        })
        .await
}

fn make_environment() -> PathBuf {
    let directory = target_dir().join("python-peers");
    let python = directory.join("bin/python");
    let stamp = directory.join("packages.txt");
    let wanted = PYTHON_PACKAGES.join("\n");
    let lock = std::fs::File::create(target_dir().join("python-peers.lock"))
        .expect("the target directory is writable");
    // Two test processes may get here at the same time; the file is unlocked when it is closed.
    lock.lock().expect("the lock file can be locked");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    let run = |program: &Path, arguments: &[&str]| {
        let output = std::process::Command::new(program).args(arguments).output();
        let output = output.unwrap_or_else(|error| {
            panic!("{} is needed for the Python peers and does not start: {error}", program.display())
        });
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let directory = directory.to_str().expect("the target directory has a UTF-8 name");
    run(Path::new("python3"), &["-m", "venv", "--clear", directory]);
    let mut install = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    install.extend(PYTHON_PACKAGES);
    run(&python, &install);
    std::fs::write(&stamp, wanted).expect("the environment is writable");
    python
}

fn peers_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// Cargo's target directory: the test's executable is in `<target>/<profile>/deps`.
fn target_dir() -> &'static Path {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    TARGET.get_or_init(|| {
        let executable = std::env::current_exe().expect("a running test has an executable");
        let target = executable.ancestors().nth(3).expect("executables are in <target>/<profile>/deps");
        target.to_owned()
    })
}
