//! What can go wrong, each with what to do about it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use crate::KafkaVersion;

/// Why a Kafka was not started, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A release that this crate does not know.
    #[error("Kafka {version} is not among those that can be started: {}", known_versions())]
    UnknownVersion {
        /// As it was given.
        version: String,
    },

    /// A builder was given something that cannot be started.
    #[error("{what}; {hint}")]
    Unsuitable {
        /// What was asked.
        what: String,
        /// What can be asked instead.
        hint: &'static str,
    },

    /// Nothing on this machine can run Kafka in the way that was asked.
    #[error("no real Kafka can be used here: {reasons}")]
    Unavailable {
        /// What is missing for each way, and how to get it.
        reasons: String,
    },

    /// The node is not of this cluster.
    #[error("there is no node {node_id}; this cluster has nodes 1 to {nodes}")]
    UnknownNode {
        /// As it was asked for.
        node_id: i32,
        /// How many there are.
        nodes: usize,
    },

    /// The cluster came from an address: its nodes belong to somebody else.
    #[error(
        "the Kafka at {bootstrap} was not started here, so its nodes cannot be controlled; unset {variable}"
    )]
    NotOurs {
        /// The address.
        bootstrap: String,
        /// The environment's variable that gave it.
        variable: &'static str,
    },

    /// A node is not in the state that the operation needs.
    #[error("node {node_id} is {state}")]
    NodeState {
        /// The node.
        node_id: i32,
        /// `"running"` or `"not running"`.
        state: &'static str,
    },

    /// Maven did not bring Kafka's jars.
    #[error("mvn did not fetch Kafka {version} ({status}):\n{output}")]
    Fetch {
        /// The release.
        version: KafkaVersion,
        /// How Maven ended.
        status: String,
        /// What Maven said.
        output: String,
    },

    /// A process of the cluster ended while it was starting.
    #[error("{process} ended with status {status} while starting; the end of its log:\n{log}")]
    Ended {
        /// Which one: `"node 2"`, `"zookeeper"`, ...
        process: String,
        /// Its exit status; above 128: ended by signal (status - 128).
        status: i32,
        /// The last lines that it logged.
        log: String,
    },

    /// The cluster runs but did not come to answer in time.
    #[error("Kafka was not ready after {waited:?}: {state}; the end of the logs:\n{log}")]
    NotReady {
        /// How long it was given.
        waited: Duration,
        /// What was missing.
        state: String,
        /// The last lines that its nodes logged.
        log: String,
    },

    /// A Java program ended with an error.
    #[error("{program} ended with {status}:\n{stderr}")]
    Java {
        /// The class that was run, or the source that was compiled.
        program: String,
        /// How it ended.
        status: String,
        /// What it said.
        stderr: String,
    },

    /// A Java program did not end in time; it was killed.
    #[error("{program} did not end within {waited:?}; raise it with timeout(..)")]
    JavaTimeout {
        /// The class that was run.
        program: String,
        /// How long it was given.
        waited: Duration,
    },

    /// Docker refused.
    #[cfg(feature = "docker")]
    #[error("docker: {0}")]
    Docker(String),

    /// The shared cluster did not start when it was first asked for.
    #[error("the shared Kafka did not start: {0}")]
    Shared(String),

    /// The operating system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, to what.
        doing: String,
        /// Its answer.
        source: io::Error,
    },
}

fn known_versions() -> String {
    KafkaVersion::ALL.iter().map(|version| version.as_str()).collect::<Vec<_>>().join(", ")
}

/// Says what was being done when the operating system refused.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { doing: what(), source })
    }
}

/// The end of a file, for error messages: at most `lines` lines of its last 64 KiB.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    const WINDOW: u64 = 64 * 1024;
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let start = file.metadata()?.len().saturating_sub(WINDOW);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(WINDOW).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
