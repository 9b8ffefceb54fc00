//! What Kafka is wanted, and where it comes from.

use std::time::Duration;

use crate::archive;
use crate::availability::{self, Availability, BOOTSTRAP_VARIABLE};
use crate::config::{self, Properties};
use crate::jvm::Jvm;
use crate::probe;
use crate::runtime::Runtime;
use crate::started::{Plan, Started};
use crate::{Error, KafkaCluster, KafkaVersion};

/// More would not start on the machines that tests run on.
const NODES_MAX: usize = 9;

/// Where a Kafka comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// It runs already; [`BOOTSTRAP_VARIABLE`] says where.
    Address,
    /// A container for each node, with the host's network. Needs the cargo feature `docker` and Linux.
    Docker,
    /// This machine's Java, with jars that Maven fetched.
    Jvm,
}

/// Describes the cluster to start; made by [`KafkaCluster::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing is started before start()"]
pub struct KafkaClusterBuilder {
    version: Option<KafkaVersion>,
    nodes: Option<usize>,
    heap_mib: u32,
    configs: Properties,
    java_options: Vec<String>,
    source: Option<Source>,
    image: Option<String>,
    start_timeout: Duration,
}

impl KafkaClusterBuilder {
    pub(crate) fn new() -> Self {
        Self {
            version: None,
            nodes: None,
            heap_mib: 512,
            configs: Properties::new(),
            java_options: Vec::new(),
            source: None,
            image: None,
            start_timeout: Duration::from_secs(120),
        }
    }

    /// Which release. Default: [`KafkaVersion::LATEST`].
    pub fn version(mut self, version: KafkaVersion) -> Self {
        self.version = Some(version);
        self
    }

    /// How many nodes, 1 to 9; they are numbered from 1. Default: 1.
    ///
    /// With three or more, topics have three replicas by default and want two of them in sync.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = Some(nodes);
        self
    }

    /// The heap of each broker, in MiB. Default: 512.
    pub fn heap_mib(mut self, heap_mib: u32) -> Self {
        self.heap_mib = heap_mib;
        self
    }

    /// Sets a broker's configuration, under Kafka's name, on every node.
    ///
    /// Kafka's own defaults hold, but for replication factors that fit the number of nodes, internal topics of four
    /// partitions, `group.initial.rebalance.delay.ms=0`, `broker.rack=rack-<node>`, and sessions of 6 s
    /// (`broker.session.timeout.ms`, `zookeeper.session.timeout.ms`): so long are a killed node's partitions without
    /// a leader.
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(name.into(), value.into());
        self
    }

    /// Adds an option for the brokers' JVM, such as `-XX:+UseG1GC`.
    ///
    /// By default they start fast and run slower: without the optimising compiler and with the serial collector. For
    /// measurements give `-XX:TieredStopAtLevel=4` and `-XX:+UseG1GC -XX:-UseSerialGC`.
    pub fn java_option(mut self, option: impl Into<String>) -> Self {
        self.java_options.push(option.into());
        self
    }

    /// Where it has to come from.
    ///
    /// Default: from the address in the environment, if there is one and the builder asks for nothing of its own (no
    /// version, nodes or configuration, which somebody else's cluster cannot be given); otherwise from the JVM, or
    /// else from Docker, whichever is there.
    pub fn source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// The image for [`Source::Docker`], `name:tag`. Default: what `MILENA_KAFKA_IMAGE_<version>` in the environment
    /// says, with the version's dots as underscores (`MILENA_KAFKA_IMAGE_4_3_1`), or else `apache/kafka:<version>`,
    /// which exists from 3.7.0 on.
    ///
    /// It has Kafka's jars in `/opt/kafka/libs`, and `java` and `bash` on its `PATH`. That it is of the version asked
    /// for is the caller's business.
    pub fn image(mut self, image: impl Into<String>) -> Self {
        self.image = Some(image.into());
        self
    }

    /// How long the brokers may take until all of them answer. Default: 120 s.
    ///
    /// The fetching of jars or images is not counted.
    pub fn start_timeout(mut self, start_timeout: Duration) -> Self {
        self.start_timeout = start_timeout;
        self
    }

    /// Starts the cluster, and waits until every broker answers and knows all others.
    ///
    /// On two cores one node takes some 3 s and three take some 6 s. The first use of a version fetches its jars
    /// (60 MB, some 15 s) and has the JVM keep their classes for quick starts (some 8 s).
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when nothing here can run it; [`Error::Ended`] and [`Error::NotReady`] with the end of
    /// the brokers' logs; [`Error::Fetch`] when Maven fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops whatever it had started.
    pub async fn start(self) -> Result<KafkaCluster, Error> {
        config::check_custom(&self.configs)?;
        let nodes = self.nodes.unwrap_or(1);
        if !(1..=NODES_MAX).contains(&nodes) {
            let what = format!("a cluster of {nodes} nodes cannot be started");
            return Err(Error::Unsuitable { what, hint: "ask for 1 to 9, usually 1 or 3" });
        }
        let version = self.version.unwrap_or_default();
        let runtime = match self.choose_source()? {
            Source::Address => return given().await,
            Source::Jvm => {
                let jvm = Jvm::find(version).await?;
                archive::make(&jvm).await?;
                Runtime::Jvm(jvm)
            }
            Source::Docker => docker(version, self.image.as_deref())?,
        };
        let plan = Plan {
            version,
            runtime,
            nodes,
            heap_mib: self.heap_mib,
            configs: self.configs,
            java_options: self.java_options,
            start_timeout: self.start_timeout,
        };
        Started::start(plan).await.map(KafkaCluster::from_started)
    }

    fn choose_source(&self) -> Result<Source, Error> {
        if let Some(source) = self.source {
            return Ok(source);
        }
        let asks_for_nothing = self.version.is_none() && self.nodes.is_none() && self.configs.is_empty();
        if asks_for_nothing && availability::bootstrap_from_environment().is_some() {
            return Ok(Source::Address);
        }
        let availability = Availability::detect();
        if availability.jvm().is_ok() {
            Ok(Source::Jvm)
        } else if availability.docker().is_ok() {
            Ok(Source::Docker)
        } else {
            Err(Error::Unavailable { reasons: availability.reasons() })
        }
    }
}

/// The cluster that the environment names, if it answers.
async fn given() -> Result<KafkaCluster, Error> {
    let unavailable = |why: String| Error::Unavailable { reasons: why };
    let bootstrap = availability::bootstrap_from_environment()
        .ok_or_else(|| unavailable(format!("{BOOTSTRAP_VARIABLE} is not set; set it to host:port")))?;
    let mut failures = Vec::new();
    for address in bootstrap.split(',').map(str::trim) {
        match probe::brokers_known_at(address).await {
            Ok(brokers) => return Ok(KafkaCluster::from_address(bootstrap.clone(), &brokers)),
            Err(error) => failures.push(format!("{address}: {error}")),
        }
    }
    Err(unavailable(format!("{BOOTSTRAP_VARIABLE} gives {bootstrap}, but {}", failures.join("; "))))
}

#[cfg(feature = "docker")]
fn docker(version: KafkaVersion, image: Option<&str>) -> Result<Runtime, Error> {
    crate::docker::Image::new(version, image).map(Runtime::Docker)
}

#[cfg(not(feature = "docker"))]
fn docker(_version: KafkaVersion, _image: Option<&str>) -> Result<Runtime, Error> {
    Err(Error::Unavailable { reasons: "docker: this build is without the cargo feature `docker`".to_owned() })
}
