//! The processes of a cluster that we started.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::config::{self, Coordination, Layout, Properties};
use crate::error::{Doing, tail};
use crate::jvm::JavaRun;
use crate::ports::ReservedPort;
use crate::probe;
use crate::runtime::Runtime;
use crate::scratch::Scratch;
use crate::supervisor::{Launch, Signal, Supervised};
use crate::version::Quorum;
use crate::{Error, KafkaVersion};

/// How often a cluster is started on fresh ports when somebody took one from it.
const PORT_ATTEMPTS: u32 = 3;

/// Between two looks at a cluster that is starting.
const POLL: Duration = Duration::from_millis(50);

/// How long a broker may take to shut down when asked to.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);

/// With ZooKeeper a broker gives up at once while its killed predecessor's session lasts. With KRaft it waits itself.
const SESSION_EXISTS: &str = "NodeExistsException";
const SESSION_ATTEMPTS: u32 = 20;
const SESSION_PAUSE: Duration = Duration::from_millis(500);

/// How many lines of each log an error shows.
const LOG_LINES: usize = 25;

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) version: KafkaVersion,
    pub(crate) runtime: Runtime,
    pub(crate) nodes: usize,
    pub(crate) heap_mib: u32,
    pub(crate) configs: Properties,
    pub(crate) java_options: Vec<String>,
    pub(crate) start_timeout: Duration,
}

/// A cluster's processes and what they hold. Fields are dropped in order: the processes before their directory.
pub(crate) struct Started {
    plan: Plan,
    nodes: Vec<Node>,
    zookeeper: Option<Supervised>,
    _ports: Vec<ReservedPort>,
    _directory: Scratch,
}

struct Node {
    node_id: i32,
    address: SocketAddr,
    launch: Launch,
    /// Locked across an operation on the node, so that a `kill` and a `start_node` follow each other.
    state: Mutex<State>,
}

/// ```text
///            start_node            pause
///    Down ---------------> Up <------------> Paused
///     ^                    |      resume        |
///     +--------------------+--------------------+
///          kill, stop_node          kill
/// ```
enum State {
    Down,
    Up(Supervised),
    Paused(Supervised),
}

impl Started {
    pub(crate) async fn start(plan: Plan) -> Result<Self, Error> {
        let mut attempt = 1;
        loop {
            match Self::try_start(plan.clone()).await {
                Err(Error::Ended { log, .. })
                    if attempt < PORT_ATTEMPTS && log.contains("Address already in use") =>
                {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn try_start(plan: Plan) -> Result<Self, Error> {
        let directory = Scratch::new().doing(|| "creating a directory for Kafka's data".to_owned())?;
        let (layout, ports) = reserve(&plan).doing(|| "taking ports on 127.0.0.1".to_owned())?;
        let zookeeper = match layout.coordination {
            Coordination::Kraft { .. } => None,
            Coordination::ZooKeeper { address } => Some(start_zookeeper(&plan, address, &directory).await?),
        };
        let nodes = (0..plan.nodes)
            .map(|index| Node::new(&plan, &layout, index, &directory))
            .collect::<Result<_, _>>()?;
        let started = Self { plan, nodes, zookeeper, _ports: ports, _directory: directory };
        if started.plan.version.quorum() == Quorum::Kraft {
            started.format_storage().await?;
        }
        for node in &started.nodes {
            node.start(&started.plan.runtime).await?;
        }
        started.wait_until_ready().await?;
        Ok(started)
    }

    /// Gives every node's directory the cluster's id and the release's metadata version, all at once.
    async fn format_storage(&self) -> Result<(), Error> {
        let cluster_id = new_cluster_id();
        let mut formats = Vec::new();
        for node in &self.nodes {
            let properties = node.launch.directory.join(PROPERTIES).display().to_string();
            let run = JavaRun { class: "kafka.tools.StorageTool", heap_mib: 128, options: &[] };
            let command = self.plan.runtime.command(&run, &["format", "-t", &cluster_id, "-c", &properties]);
            let launch = Launch { command, ..node.launch.clone() };
            formats.push((node, self.plan.runtime.start(&launch).await?));
        }
        for (node, format) in formats {
            let status = format.ended().await;
            if status != 0 {
                return Err(node.ended(status));
            }
        }
        Ok(())
    }

    /// Waits until each node that runs answers, and knows each other one that runs.
    async fn wait_until_ready(&self) -> Result<(), Error> {
        let waited = self.plan.start_timeout;
        let mut state = "no node has answered yet".to_owned();
        let ready = async {
            loop {
                match self.first_obstacle().await? {
                    None => return Ok(()),
                    Some(obstacle) => state = obstacle,
                }
                tokio::time::sleep(POLL).await;
            }
        };
        match tokio::time::timeout(waited, ready).await {
            Ok(result) => result,
            Err(_) => Err(Error::NotReady { waited, state, log: self.logs() }),
        }
    }

    /// What keeps the cluster from being ready; a process that has ended is an error, as it will not come back.
    async fn first_obstacle(&self) -> Result<Option<String>, Error> {
        if let Some(status) = self.zookeeper.as_ref().and_then(Supervised::exit_status) {
            let log = tail(&self._directory.path().join(ZOOKEEPER).join(LOG), LOG_LINES);
            return Err(Error::Ended { process: ZOOKEEPER.to_owned(), status, log });
        }
        let mut running = Vec::new();
        for node in &self.nodes {
            match &*node.state.lock().await {
                State::Up(process) => match process.exit_status() {
                    None => running.push(node),
                    Some(status) => return Err(node.ended(status)),
                },
                State::Down | State::Paused(_) => {}
            }
        }
        for node in &running {
            let known = match probe::brokers_known_at(&node.address.to_string()).await {
                Ok(known) => known,
                Err(error) => return Ok(Some(format!("node {} at {}: {error}", node.node_id, node.address))),
            };
            let unknown =
                running.iter().find(|other| !known.iter().any(|broker| broker.node_id == other.node_id));
            if let Some(other) = unknown {
                return Ok(Some(format!("node {} does not know node {} yet", node.node_id, other.node_id)));
            }
        }
        Ok(None)
    }

    fn logs(&self) -> String {
        let of = |node: &Node| format!("node {}:\n{}", node.node_id, tail(&node.launch.log, LOG_LINES));
        self.nodes.iter().map(of).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn version(&self) -> KafkaVersion {
        self.plan.version
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = (i32, SocketAddr)> {
        self.nodes.iter().map(|node| (node.node_id, node.address))
    }

    pub(crate) fn log_path(&self, node_id: i32) -> Result<PathBuf, Error> {
        self.node(node_id).map(|node| node.launch.log.clone())
    }

    fn node(&self, node_id: i32) -> Result<&Node, Error> {
        let unknown = || Error::UnknownNode { node_id, nodes: self.nodes.len() };
        self.nodes.iter().find(|node| node.node_id == node_id).ok_or_else(unknown)
    }

    pub(crate) async fn kill(&self, node_id: i32) -> Result<(), Error> {
        self.node(node_id)?.end(Signal::Kill).await
    }

    pub(crate) async fn stop_node(&self, node_id: i32) -> Result<(), Error> {
        self.node(node_id)?.end(Signal::Term).await
    }

    pub(crate) async fn start_node(&self, node_id: i32) -> Result<(), Error> {
        let node = self.node(node_id)?;
        let mut attempt = 1;
        loop {
            node.start(&self.plan.runtime).await?;
            match self.wait_until_ready().await {
                Err(Error::Ended { log, .. })
                    if attempt < SESSION_ATTEMPTS && log.contains(SESSION_EXISTS) =>
                {
                    attempt += 1;
                    node.forget_if_ended().await;
                    tokio::time::sleep(SESSION_PAUSE).await;
                }
                result => return result,
            }
        }
    }

    pub(crate) async fn pause(&self, node_id: i32) -> Result<(), Error> {
        self.node(node_id)?.pause().await
    }

    pub(crate) async fn resume(&self, node_id: i32) -> Result<(), Error> {
        self.node(node_id)?.resume().await
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Kills all of them before the first is waited for.
        let processes = self.nodes.iter_mut().filter_map(|node| match node.state.get_mut() {
            State::Up(process) | State::Paused(process) => Some(process),
            State::Down => None,
        });
        processes.chain(&mut self.zookeeper).for_each(Supervised::hang_up);
    }
}

impl Node {
    fn new(plan: &Plan, layout: &Layout, index: usize, cluster: &Scratch) -> Result<Self, Error> {
        let node_id = i32::try_from(index + 1).expect("a builder allows few nodes");
        let directory = cluster.path().join(format!("node-{node_id}"));
        let properties = config::server_properties(plan.version, layout, index, &directory, &plan.configs);
        let path = write_properties(&directory, &properties)?;
        let run = JavaRun { class: "kafka.Kafka", heap_mib: plan.heap_mib, options: &plan.java_options };
        let launch =
            Launch { command: plan.runtime.command(&run, &[&path]), log: directory.join(LOG), directory };
        Ok(Self { node_id, address: layout.brokers[index], launch, state: Mutex::new(State::Down) })
    }

    async fn start(&self, runtime: &Runtime) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        if !matches!(*state, State::Down) {
            return Err(Error::NodeState { node_id: self.node_id, state: "running already" });
        }
        *state = State::Up(runtime.start(&self.launch).await?);
        Ok(())
    }

    async fn forget_if_ended(&self) {
        let mut state = self.state.lock().await;
        if matches!(&*state, State::Up(process) if process.exit_status().is_some()) {
            *state = State::Down;
        }
    }

    async fn end(&self, signal: Signal) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        let (State::Up(process) | State::Paused(process)) = &mut *state else {
            return Err(self.not_running());
        };
        process.signal(signal).await.doing(|| format!("ending node {}", self.node_id))?;
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, process.ended()).await.is_err() {
            let state = format!("node {} did not shut down", self.node_id);
            return Err(Error::NotReady {
                waited: SHUTDOWN_TIMEOUT,
                state,
                log: tail(&self.launch.log, LOG_LINES),
            });
        }
        *state = State::Down;
        Ok(())
    }

    async fn pause(&self) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        let State::Up(process) = &mut *state else { return Err(self.not_running()) };
        process.signal(Signal::Stop).await.doing(|| format!("pausing node {}", self.node_id))?;
        if let State::Up(process) = mem::replace(&mut *state, State::Down) {
            *state = State::Paused(process);
        }
        Ok(())
    }

    async fn resume(&self) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        let State::Paused(process) = &mut *state else {
            return Err(Error::NodeState { node_id: self.node_id, state: "not paused" });
        };
        process.signal(Signal::Cont).await.doing(|| format!("resuming node {}", self.node_id))?;
        if let State::Paused(process) = mem::replace(&mut *state, State::Down) {
            *state = State::Up(process);
        }
        Ok(())
    }

    fn not_running(&self) -> Error {
        Error::NodeState { node_id: self.node_id, state: "not running" }
    }

    fn ended(&self, status: i32) -> Error {
        let process = format!("node {}", self.node_id);
        Error::Ended { process, status, log: tail(&self.launch.log, LOG_LINES) }
    }
}

/// Files in a process's directory.
const LOG: &str = "log";
const PROPERTIES: &str = "properties";

const ZOOKEEPER: &str = "zookeeper";

async fn start_zookeeper(plan: &Plan, address: SocketAddr, cluster: &Scratch) -> Result<Supervised, Error> {
    let directory = cluster.path().join(ZOOKEEPER);
    let path = write_properties(&directory, &config::zookeeper_properties(address, &directory))?;
    let class = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
    let options = ["-Dzookeeper.admin.enableServer=false".to_owned()];
    let command = plan.runtime.command(&JavaRun { class, heap_mib: 128, options: &options }, &[&path]);
    plan.runtime.start(&Launch { command, log: directory.join(LOG), directory }).await
}

/// Makes a process's directory with its properties in it; the file's path.
fn write_properties(directory: &Path, properties: &Properties) -> Result<String, Error> {
    let path = directory.join(PROPERTIES);
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, config::to_file(properties)))
        .doing(|| format!("writing {}", path.display()))?;
    Ok(path.display().to_string())
}

/// The ports of a cluster, and what keeps them ours.
fn reserve(plan: &Plan) -> io::Result<(Layout, Vec<ReservedPort>)> {
    let mut ports = Vec::new();
    let mut take = || {
        let port = ReservedPort::take()?;
        let address = port.address();
        ports.push(port);
        Ok::<_, io::Error>(address)
    };
    let brokers = (0..plan.nodes).map(|_| take()).collect::<Result<_, _>>()?;
    let coordination = match plan.version.quorum() {
        Quorum::Kraft => {
            Coordination::Kraft { controllers: (0..plan.nodes).map(|_| take()).collect::<Result<_, _>>()? }
        }
        Quorum::ZooKeeper => Coordination::ZooKeeper { address: take()? },
    };
    Ok((Layout { brokers, coordination }, ports))
}

/// Sixteen bytes in Kafka's base64 (`org.apache.kafka.common.Uuid`), different for each cluster.
///
/// Hexadecimal digits are letters of that alphabet too; the last one, `A`, fills the bits that are left over.
fn new_cluster_id() -> String {
    format!("milen{:016x}A", RandomState::new().build_hasher().finish())
}
