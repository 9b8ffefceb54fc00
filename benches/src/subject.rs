//! The brokers that are compared: one node each, on 127.0.0.1.

use std::path::Path;
use std::process::Stdio;

use milena_testcontainers::{KafkaCluster, KafkaVersion};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::{Result, proc};

/// A broker that runs.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) bootstrap: String,
    pub(crate) pid: u32,
    process: Process,
}

enum Process {
    Own(Child),
    Kafka(KafkaCluster),
}

impl Subject {
    pub(crate) async fn milena(program: &Path) -> Result<Self> {
        let (process, bootstrap) = start(program, 1).await?;
        let pid = process.id().ok_or("milena broker has ended")?;
        Ok(Self { name: "Milena", bootstrap, pid, process: Process::Own(process) })
    }

    /// What does nothing but send.
    pub(crate) async fn floor(program: &Path) -> Result<Self> {
        let (process, bootstrap) = listening(Command::new(program)).await?;
        let pid = process.id().ok_or("the floor has ended")?;
        Ok(Self { name: "the floor", bootstrap, pid, process: Process::Own(process) })
    }

    pub(crate) async fn kafka() -> Result<Self> {
        let cluster = KafkaCluster::builder().version(KafkaVersion::LATEST).nodes(1).start().await?;
        let port = cluster.nodes().first().ok_or("a cluster without nodes")?.port;
        let bootstrap = cluster.bootstrap().to_owned();
        Ok(Self { name: "Kafka", bootstrap, pid: proc::listener(port)?, process: Process::Kafka(cluster) })
    }

    /// `milena topic ARGUMENTS` on this broker.
    pub(crate) async fn topic(&self, program: &Path, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(program);
        command.arg("topic").args(arguments).args(["--bootstrap", &self.bootstrap]);
        output(command).await.map(drop)
    }

    pub(crate) async fn stop(self) {
        match self.process {
            // Killed when it is dropped.
            Process::Own(process) => drop(process),
            Process::Kafka(cluster) => cluster.stop().await,
        }
    }
}

/// `milena broker` with so many nodes, and its address as soon as it says it.
pub(crate) async fn start(program: &Path, nodes: usize) -> Result<(Child, String)> {
    let mut command = Command::new(program);
    command.args(["broker", "--listen", "0", "--nodes", &nodes.to_string()]);
    listening(command).await
}

/// Starts a broker that says where it listens on its first line.
async fn listening(mut command: Command) -> Result<(Child, String)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut process = command.spawn()?;
    let stdout = process.stdout.take().expect("stdout is piped");
    let line = BufReader::new(stdout).lines().next_line().await?;
    let bootstrap = line.as_deref().and_then(|line| line.strip_prefix("bootstrap="));
    Ok((process, bootstrap.ok_or_else(|| format!("{command:?} does not say where it listens"))?.to_owned()))
}

/// What a program writes to standard output; it has to succeed.
pub(crate) async fn output(mut command: Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(format!("{command:?}: {}{}", text(&output.stdout), text(&output.stderr)).into()),
    }
}
