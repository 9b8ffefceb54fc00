//! Rules for connections: whether, when and how requests and answers get to the other end.

mod effects;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use milena_protocol::ApiKey;

use super::rule::Frequency;
use super::{Fault, Faults};
use crate::NodeId;
use crate::shared::Shared;
pub(crate) use effects::{ConnectionEvent, ConnectionSubject, Direction, Passage, passing_time};
pub(super) use effects::{Effect, Scope};

/// A rule about connections in the making: which ones, which of their traffic, how often; one of the last methods says what happens.
///
/// What it strikes are single requests on their way to a node and single answers on their way back, and [`refuse`](Self::refuse) new
/// connections; [`times`](Self::times) and [`Fault::fired`] count those. It is in force until it is removed, unless `times` says
/// otherwise. It works alike over TCP and in memory.
///
/// ```
/// # use milena_broker::{ApiKey, Cluster};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cluster = Cluster::builder().nodes(3).in_memory().start().await?;
/// let faults = cluster.faults();
/// // Node 2 hears everything, and nobody hears node 2, until this is dropped.
/// let one_way = faults.connections().node(2).down().silence().guard();
/// // Every tenth answer to a fetch, by the cluster's seed, ends after 100 bytes, and the connection with it.
/// faults.connections().down().api(ApiKey::Fetch).with_probability(0.1).truncate(100);
/// # drop(one_way);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "say what happens: end with a method such as `silence`"]
pub struct ConnectionFaultBuilder {
    shared: Arc<Shared>,
    scope: Scope,
    frequency: Frequency,
}

impl Faults {
    /// Begins a rule for connections: all of them, in both directions, unless more is said.
    pub fn connections(&self) -> ConnectionFaultBuilder {
        ConnectionFaultBuilder {
            shared: self.shared.clone(),
            scope: Scope::default(),
            frequency: Frequency::always(),
        }
    }
}

impl ConnectionFaultBuilder {
    /// Only connections to this node.
    pub fn node(mut self, node: NodeId) -> Self {
        self.scope.node = Some(node);
        self
    }

    /// Only connections of clients that call themselves this, in the first request of the connection.
    pub fn client_id(mut self, client_id: &str) -> Self {
        self.scope.client_id = Some(client_id.to_owned());
        self
    }

    /// Only connections from this address over TCP; port 0 is any port of it. Those in memory have no address.
    pub fn peer(mut self, address: SocketAddr) -> Self {
        self.scope.peer = Some(address);
        self
    }

    /// Only what clients send.
    pub fn up(mut self) -> Self {
        self.scope.direction = Some(Direction::Up);
        self
    }

    /// Only what nodes send.
    pub fn down(mut self) -> Self {
        self.scope.direction = Some(Direction::Down);
        self
    }

    /// Only requests of this API, and answers to them.
    pub fn api(mut self, api: ApiKey) -> Self {
        self.scope.api = Some(api);
        self
    }

    /// How often it happens, rather than until the rule is removed.
    pub fn times(mut self, times: u32) -> Self {
        self.frequency.left = Some(times);
        self
    }

    /// It happens until the rule is removed, unless this is followed by [`times`](Self::times).
    pub fn always(mut self) -> Self {
        self.frequency.left = None;
        self
    }

    /// How many matches pass before it begins.
    pub fn skip(mut self, matches: u32) -> Self {
        self.frequency.skip = matches;
        self
    }

    /// How likely it is to happen to a match, from 0 to 1, by the cluster's seed.
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.frequency.probability = probability;
        self
    }

    /// The way is cut: requests or answers do not arrive as long as the rule is in force, nor does what comes behind them on the same
    /// connection; then they arrive, in order. Nobody is told, and writers stall once buffers are full.
    ///
    /// Connections are still made: it is the first request that goes unheard.
    pub fn silence(self) -> Fault {
        self.add(Effect::Silence)
    }

    /// New connections are refused.
    ///
    /// In memory that is `ConnectionRefused`. Over TCP the connection is reset as soon as the system has made it, for the port stays
    /// open; with [`Faults::kill_unnoticed`] it is closed. A rule that names a client or an API resets a new connection at the first
    /// request, which tells whose it is. The direction does not matter.
    pub fn refuse(self) -> Fault {
        self.add(Effect::Refuse)
    }

    /// Requests or answers arrive so much later, as over a long line: what is behind them is not held up longer.
    pub fn delay(self, delay: Duration) -> Fault {
        self.add(Effect::Delay(delay))
    }

    /// Only so many bytes of a connection get through in a second and direction; zero counts as one. The slowest of several rules holds.
    pub fn slow(self, bytes_per_second: u64) -> Fault {
        self.add(Effect::Slow { bytes_per_second })
    }

    /// The connection is reset when a request or an answer is on its way, which does not arrive: a request is not worked on, and what
    /// an answer tells has been done.
    ///
    /// The client sees `ConnectionReset`, over TCP by an RST.
    pub fn reset(self) -> Fault {
        self.add(Effect::Reset)
    }

    /// Only the first bytes of a request or an answer arrive, its length of four bytes among them, and at least one byte less than it
    /// has; then the connection is closed, and what is behind them is lost.
    ///
    /// The node takes a request that ends early for what it is, and closes the connection without working on it.
    pub fn truncate(self, keep_bytes: usize) -> Fault {
        self.add(Effect::Truncate { keep_bytes })
    }

    /// Resets the connections that exist now, in the middle of what they were doing, those of lower nodes and older ones first; returns
    /// how many. [`Faults::disconnect`] closes them in order instead.
    ///
    /// The direction does not matter, and with an API there is none.
    ///
    /// # Cancel safety
    /// Not safe: only some of the connections may have been reset.
    pub async fn reset_now(self) -> u64 {
        let shared = self.shared.clone();
        let rule = self.add(Effect::ResetNow).guard();
        for node in shared.nodes() {
            node.review_connections().await;
        }
        rule.fired()
    }

    fn add(self, effect: Effect) -> Fault {
        let Self { shared, scope, frequency } = self;
        let record = shared.faults.connections.add(scope, frequency, effect);
        Fault::new(shared, record)
    }
}
