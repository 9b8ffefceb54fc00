//! One cluster, one network, and clients of both.

use std::time::Duration;

use milena_broker::{Cluster, StartError, TopicSpec};
use milena_client::{Address, Backoff, Client, ClientConfig, Env};
use milena_history::Name;

use crate::clock::{self, WALL_CLOCK_MS, ms};
use crate::net::Network;
use crate::plan::{NODES, Plan};
use crate::recorder::Recorder;
use crate::rng::Rng;

/// What all parts of a run share.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) network: Network,
    pub(crate) recorder: Recorder,
    /// Runs the simulation's own tasks.
    pub(crate) env: Env,
    pub(crate) plan: Plan,
}

impl World {
    pub(crate) async fn start(plan: Plan, recorder: Recorder) -> Result<Self, StartError> {
        let mut rng = Rng::new(plan.seed);
        let mut builder = Cluster::builder()
            .nodes(NODES)
            .in_memory()
            .seed(rng.next())
            .start_time_ms(WALL_CLOCK_MS)
            .config("default.replication.factor", "3")
            .config("log.retention.ms", "-1");
        for topic in plan.topics.iter().filter(|topic| !topic.by_admin) {
            let mut spec = TopicSpec::new(&*topic.name).partitions(topic.partitions).replication_factor(3);
            for (name, value) in &topic.configs {
                spec = spec.config(*name, *value);
            }
            builder = builder.topic(spec);
        }
        let cluster = builder.start().await?;
        let requests = recorder.clone();
        cluster.watch_requests(move |request| {
            requests.trace(|| {
                let (node, api, version) = (request.node, request.api, request.version);
                format!("node {node}: {api} v{version} #{} of {}", request.correlation_id, request.client_id)
            });
        });
        let network = Network::new(
            cluster.dialer(),
            &cluster.bootstrap(),
            plan.latency_ms,
            rng.fork(),
            recorder.clone(),
        );
        let env = Env::builder().seed(rng.next()).virtual_wall_clock(WALL_CLOCK_MS).build();
        Ok(Self { cluster, network, recorder, env, plan })
    }

    /// A client with this name, which connects in the background.
    pub(crate) fn client(&self, name: &str, request_timeout: Duration) -> Client {
        // One seed for each name, whenever the client is made.
        let seed = name.bytes().fold(self.plan.seed, |seed, byte| Rng::new(seed ^ u64::from(byte)).next());
        let wall_ms = WALL_CLOCK_MS + (self.recorder.at_us() / 1_000) as i64;
        let connector = self.network.connector(name);
        let env = Env::builder().connector(connector).seed(seed).virtual_wall_clock(wall_ms).build();
        let bootstrap =
            Address::parse_list(&self.cluster.bootstrap()).expect("the cluster lists its addresses");
        let mut config = ClientConfig::new(bootstrap);
        config.connection.client_id = Some(name.into());
        config.connection.request_timeout = request_timeout;
        config.connection.setup_timeout = ms(1_000);
        config.connection.setup_timeout_max = ms(3_000);
        config.retry_backoff = Backoff::new(ms(50), ms(500));
        config.reconnect_backoff = Backoff::new(ms(50), ms(500));
        config.default_api_timeout = ms(20_000);
        config.metadata_max_age = ms(30_000);
        Client::new(config, env)
    }

    /// A partition of a topic, by a number that may be too large.
    pub(crate) fn partition(&self, topic: usize, number: u64) -> Option<(Name, i32)> {
        let topic = &self.plan.topics[topic % self.plan.topics.len()].name;
        let count = self.cluster.partitions(topic);
        (count > 0).then(|| (topic.clone(), (number % count as u64) as i32))
    }

    /// All partitions that there are.
    pub(crate) fn partitions(&self) -> Vec<(Name, i32)> {
        let of_topic = |topic: &Name| {
            let topic = topic.clone();
            (0..self.cluster.partitions(&topic)).map(move |partition| (topic.clone(), partition))
        };
        self.plan.topics.iter().flat_map(|topic| of_topic(&topic.name)).collect()
    }

    pub(crate) fn end_offset(&self, topic: &str, partition: i32) -> i64 {
        self.cluster.log_end_offset(topic, partition).unwrap_or(0)
    }

    /// Waits until `is_done`, at most for `limit`. False if it was in vain.
    pub(crate) async fn wait_until(&self, limit: Duration, mut is_done: impl FnMut() -> bool) -> bool {
        let deadline = clock::now() + limit;
        while !is_done() {
            if clock::now() >= deadline {
                return false;
            }
            clock::sleep(ms(20)).await;
        }
        true
    }
}
