//! The network between clients and nodes: everything that can happen to bytes on their way.
//!
//! ```text
//!   client ── SimStream ──▶ lane up   ──▶ pump ──▶ node's in-memory stream
//!          ◀───────────────  lane down ◀── pump ◀──
//! ```
//! A lane holds what was sent until its time has come. [`Rule`]s say what goes wrong between which client and which node.

mod link;
mod rules;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use milena_broker::Dialer;
use milena_client::Address;
use milena_client::env::{Connecting, Connector, Env, Stream, Task};
use tokio::sync::Notify;

use crate::clock;
use crate::recorder::Recorder;
use crate::rng::Rng;
use link::{Link, SimStream};
use rules::Rules;
pub(crate) use rules::{Direction, Effect, Rule, RuleId, Scope};

/// The network of one run; cheap to clone.
#[derive(Clone)]
pub(crate) struct Network {
    shared: Arc<Shared>,
}

struct Shared {
    dialer: Dialer,
    /// Addresses of the nodes, from node 1 on.
    nodes: Vec<String>,
    /// Each way, at least and at most.
    latency_ms: (u64, u64),
    recorder: Recorder,
    /// Runs the pumps.
    env: Env,
    state: Mutex<State>,
    /// Rules have changed.
    changed: Notify,
}

struct State {
    rules: Rules,
    rng: Rng,
    links: Vec<Weak<Link>>,
    /// Pumps whose clients are gone, and which have something to deliver still.
    detached: Vec<Task>,
    links_opened: u64,
    /// Bytes that clients have read, by their names.
    received_bytes: Vec<(String, u64)>,
}

impl Network {
    pub(crate) fn new(
        dialer: Dialer,
        bootstrap: &str,
        latency_ms: (u64, u64),
        rng: Rng,
        recorder: Recorder,
    ) -> Self {
        let state = State {
            rules: Rules::default(),
            rng,
            links: Vec::new(),
            detached: Vec::new(),
            links_opened: 0,
            received_bytes: Vec::new(),
        };
        let shared = Shared {
            dialer,
            nodes: bootstrap.split(',').map(str::to_owned).collect(),
            latency_ms,
            recorder,
            env: Env::builder().seed(0).build(),
            state: Mutex::new(state),
            changed: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The way into the network for the client with this name.
    pub(crate) fn connector(&self, client: &str) -> impl Connector + use<> {
        SimConnector { network: self.clone(), client: client.to_owned() }
    }

    /// Puts a rule into force.
    pub(crate) fn impose(&self, rule: Rule) -> RuleId {
        let id = self.state().rules.add(rule);
        self.wake_all();
        id
    }

    /// Ends a rule; returns how often it took effect.
    pub(crate) fn lift(&self, id: RuleId) -> u64 {
        let fired = self.state().rules.remove(id);
        self.wake_all();
        fired
    }

    /// Ends all rules.
    pub(crate) fn heal(&self) {
        self.state().rules.clear();
        for link in self.links(&Scope::default()) {
            link.end_if_half_open();
        }
        self.wake_all();
    }

    /// Breaks the connections that exist; returns how many.
    pub(crate) fn reset(&self, scope: &Scope) -> u64 {
        let links = self.links(scope);
        links.iter().for_each(|link| link.reset("reset"));
        links.len() as u64
    }

    /// Nodes forget the connections that exist, and clients do not learn of it; returns how many.
    pub(crate) fn half_open(&self, scope: &Scope) -> u64 {
        let links = self.links(scope);
        links.iter().for_each(|link| link.half_open());
        links.len() as u64
    }

    /// Cuts the next bytes of each connection short, and breaks it; returns how many connections that will be.
    pub(crate) fn truncate(&self, scope: &Scope, direction: Direction, keep_bytes: usize) -> u64 {
        let links = self.links(scope);
        links.iter().for_each(|link| link.truncate(direction, keep_bytes));
        links.len() as u64
    }

    /// How many bytes a client has read.
    pub(crate) fn received_bytes(&self, client: &str) -> u64 {
        let state = self.state();
        state.received_bytes.iter().find(|(name, _)| name == client).map_or(0, |(_, bytes)| *bytes)
    }

    fn count_received(&self, client: &str, bytes: u64) {
        let mut state = self.state();
        match state.received_bytes.iter_mut().find(|(name, _)| name == client) {
            Some((_, sum)) => *sum += bytes,
            None => state.received_bytes.push((client.to_owned(), bytes)),
        }
    }

    fn links(&self, scope: &Scope) -> Vec<Arc<Link>> {
        let mut state = self.state();
        state.links.retain(|link| link.strong_count() > 0);
        let links = state.links.iter().filter_map(Weak::upgrade);
        links.filter(|link| link.is_open() && scope.matches(&link.client, link.node)).collect()
    }

    fn wake_all(&self) {
        self.links(&Scope::default()).iter().for_each(|link| link.wake_pump());
        self.shared.changed.notify_waiters();
    }

    fn latency(&self) -> Duration {
        let (low, high) = self.shared.latency_ms;
        if high == 0 {
            return Duration::ZERO;
        }
        clock::ms(self.state().rng.between(low, high))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, client: &str, address: &Address) -> io::Result<Box<dyn Stream>> {
        let address = address.to_string();
        let index = self.shared.nodes.iter().position(|node| *node == address);
        let node = index.map_or(0, |index| index as i32 + 1);
        let trip = self.latency() + self.latency();
        if !trip.is_zero() {
            clock::sleep(trip).await;
        }
        self.pass(client, node).await?;
        let stream = self.shared.dialer.connect(&address).inspect_err(|_| {
            self.shared.recorder.trace(|| format!("net {client} -> {node}: nobody listens"));
        })?;
        let number = {
            let mut state = self.state();
            state.links_opened += 1;
            state.links_opened
        };
        self.shared.recorder.trace(|| format!("net {client} -> {node}: connection {number}"));
        let link = Link::new(self.clone(), client, node, number);
        self.state().links.push(Arc::downgrade(&link));
        let pump = self.shared.env.spawn(link::pump(link.clone(), stream));
        Ok(Box::new(SimStream::new(link, pump)))
    }

    /// Waits as long as the network swallows attempts to connect; an error when it refuses them.
    async fn pass(&self, client: &str, node: i32) -> io::Result<()> {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            let (refused, silent) = {
                let mut state = self.state();
                (state.rules.refuses(client, node), state.rules.is_silent(client, node))
            };
            if refused {
                self.shared.recorder.trace(|| format!("net {client} -> {node}: refused"));
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            if !silent {
                return Ok(());
            }
            changed.await;
        }
    }
}

struct SimConnector {
    network: Network,
    client: String,
}

impl Connector for SimConnector {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        Box::pin(self.network.connect(&self.client, address))
    }
}

#[cfg(test)]
mod tests;
