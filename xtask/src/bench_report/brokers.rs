//! The brokers that clients are measured with.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use milena_testcontainers::{KafkaCluster, KafkaVersion};

use super::cell::{Broker, Cell};
use super::clients::Programs;
use super::options::Options;
use super::{Result, process};

/// The null broker's core; the clients have another.
const NULL_CORE: &str = "0";

/// They run until this is dropped.
pub(super) struct Brokers {
    null: NullBroker,
    /// `None` where no cell needs it.
    real: Option<Kafka>,
}

struct NullBroker {
    process: Child,
    bootstrap: String,
}

enum Kafka {
    Given(String),
    Started(KafkaCluster),
}

impl Brokers {
    pub(super) fn start(options: &Options, programs: &Programs) -> Result<Self> {
        let real = match &options.real {
            _ if !options.needs(Broker::Real) => None,
            Some(bootstrap) => Some(Kafka::Given(bootstrap.clone())),
            None => Some(Kafka::Started(start_kafka()?)),
        };
        let brokers = Self { null: NullBroker::start(&programs.nullbroker)?, real };
        for cell in options.cells.iter().filter(|cell| cell.broker == Broker::Real) {
            create_topic(&programs.milena, brokers.bootstrap(cell)?, cell)?;
        }
        Ok(brokers)
    }

    pub(super) fn bootstrap(&self, cell: &Cell) -> Result<&str> {
        match (cell.broker, &self.real) {
            (Broker::Null, _) => Ok(&self.null.bootstrap),
            (Broker::Real, Some(Kafka::Given(bootstrap))) => Ok(bootstrap),
            (Broker::Real, Some(Kafka::Started(cluster))) => Ok(cluster.bootstrap()),
            (Broker::Real, None) => Err("a cell on a Kafka that was not started".into()),
        }
    }

    /// What is known of the real one; not its address.
    pub(super) fn real(&self) -> Option<String> {
        let version = match self.real.as_ref()? {
            Kafka::Given(_) => None,
            Kafka::Started(cluster) => cluster.version(),
        };
        Some(version.map_or("one that was there already".to_owned(), |version| {
            format!("{}, one node, started on this machine for this", version.as_str())
        }))
    }
}

fn start_kafka() -> Result<KafkaCluster> {
    println!("starting Kafka {}", KafkaVersion::LATEST.as_str());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let started = runtime.block_on(KafkaCluster::builder().version(KafkaVersion::LATEST).nodes(1).start());
    Ok(started.map_err(|error| {
        format!("no Kafka starts: {error}\ngive one with --real HOST:PORT, or leave it out with --cells")
    })?)
}

/// Most clients would have it created with the broker's number of partitions. Our `bench` creates it where it is not there, and fails
/// where no broker answers.
fn create_topic(milena: &str, bootstrap: &str, cell: &Cell) -> Result<()> {
    let mut first = Command::new(milena);
    first.args(["bench", "first", "--bootstrap", bootstrap, "--topic", &cell.topic(), "--partitions", "6"]);
    process::stdout_of(&mut first).map(drop)
}

impl NullBroker {
    fn start(program: &str) -> Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", NULL_CORE, program]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| format!("taskset does not start: {error}"))?;
        let stdout = process.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let bootstrap = line.trim().strip_prefix("bootstrap=").map(str::to_owned);
        match bootstrap {
            Some(bootstrap) => Ok(Self { process, bootstrap }),
            None => {
                process.kill()?;
                Err("the null broker does not say where it listens".into())
            }
        }
    }
}

impl Drop for NullBroker {
    fn drop(&mut self) {
        // It has nothing to lose; if it has ended already, so much the better.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}
