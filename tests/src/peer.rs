//! Other clients behind one command line.

use milena_testcontainers::{Java, JavaProgram, KafkaVersion};
use tokio::sync::OnceCell;

use crate::WireRecord;
use crate::programs::{RUN_TIMEOUT, run_python_with_stdin};

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
    Python { script: &'static str },
}

impl Peer {
    /// The peer, made ready: compiled, or installed into a virtual environment under the target directory.
    pub async fn new(kind: PeerKind) -> Self {
        let program = match kind {
            PeerKind::Java => Program::Java(java_peer().await),
            PeerKind::Librdkafka => Program::Python { script: "peer_librdkafka.py" },
            PeerKind::KafkaPython => Program::Python { script: "peer_kafka_python.py" },
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
            Program::Python { script } => run_python_with_stdin(script, arguments, &stdin).await,
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
