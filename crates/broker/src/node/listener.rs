//! Accepts connections, over TCP and in memory, and owns them.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;

use super::connection::Connection;
use super::link::{Breakage, Link, Peer, TcpSocket};
use super::memory::MemorySocket;
use super::{BACKLOG, Node, Running};
use crate::fault::ConnectionEvent;
use crate::quota::{Meters, Rate};
use crate::shared::Shared;
use crate::sync::{Switch, lock};
use crate::task::Task;

/// How long to wait after the system refused to accept, as when it is out of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Where a node takes connections from.
pub(crate) struct Listener {
    shared: Arc<Shared>,
    node: Arc<Node>,
    tcp: Option<TcpListener>,
    inbox: mpsc::Receiver<MemorySocket>,
    orders: mpsc::Receiver<Order>,
    stop: Arc<Switch>,
    connections: JoinSet<()>,
    /// Those that are served; later ones have higher ids.
    links: BTreeMap<Id, (Arc<Link>, AbortHandle)>,
    by_ip: ByIp,
    /// How often addresses with a quota connect.
    rates: Meters<IpAddr, Rate>,
    /// How often anybody does, where that is limited.
    rate: Rate,
    /// A connection that came too soon, and when it is served; no other is accepted meanwhile.
    held: Option<(Instant, TcpStream, Peer)>,
}

/// What a listener is to do with its connections.
#[derive(Debug)]
pub(crate) enum Order {
    /// Close them all.
    HangUp,
    /// Reset those that a rule strikes; then say so.
    Review(oneshot::Sender<()>),
}

impl Listener {
    /// Begins to accept connections for `node`: from `tcp`, if there is one, and in memory.
    pub(crate) fn start(shared: &Arc<Shared>, node: &Arc<Node>, tcp: Option<TcpListener>) {
        let (inbox_sender, inbox) = mpsc::channel(BACKLOG);
        let (order_sender, orders) = mpsc::channel(1);
        let stop = Arc::new(Switch::off());
        let listener = Self {
            shared: shared.clone(),
            node: node.clone(),
            tcp,
            inbox,
            orders,
            stop: stop.clone(),
            connections: JoinSet::new(),
            links: BTreeMap::new(),
            by_ip: ByIp::default(),
            rates: Meters::new(shared.state().settings().quota_windows),
            rate: Rate::default(),
            held: None,
        };
        node.set_running(Running {
            inbox: inbox_sender,
            orders: order_sender,
            listener: Task::spawn(listener.run()),
            stop,
        });
    }

    async fn run(mut self) {
        let stop = self.stop.clone();
        loop {
            select! {
                biased;
                () = stop.on() => break,
                Some(order) = self.orders.recv() => self.obey(order).await,
                Some(ended) = self.connections.join_next_with_id(), if !self.connections.is_empty() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    self.links.remove(&id);
                }
                Some(MemorySocket { stream, breakage }) = self.inbox.recv() => {
                    self.serve(stream, Link::new(self.node.id, Peer::Memory, breakage));
                }
                () = until(self.held.as_ref()), if self.held.is_some() => {
                    if let Some((_, stream, peer)) = self.held.take() {
                        self.serve_tcp(stream, peer);
                    }
                }
                accepted = accept(self.tcp.as_ref()), if self.held.is_none() => match accepted {
                    Ok((stream, peer)) => match self.delay() {
                        None => self.serve_tcp(stream, peer),
                        Some(delay) => {
                            tracing::debug!(node = self.node.id, %peer, ?delay, "connection held: max.connection.creation.rate");
                            self.held = Some((self.shared.clock.instant() + delay, stream, peer));
                        }
                    },
                    Err(error) => {
                        tracing::warn!(node = self.node.id, %error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                },
            }
        }
        self.connections.shutdown().await;
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::HangUp => {
                self.connections.shutdown().await;
                self.links.clear();
            }
            Order::Review(done) => {
                let shared = &self.shared;
                self.links.retain(|_, (link, task)| {
                    let is_struck =
                        !task.is_finished() && shared.breaks(link.subject(None), ConnectionEvent::Review);
                    if is_struck {
                        link.reset();
                        task.abort();
                    }
                    !is_struck
                });
                // Nobody waits any longer, if this fails.
                let _ = done.send(());
            }
        }
    }

    fn serve_tcp(&mut self, stream: TcpStream, peer: Peer) {
        let breakage = Breakage::default();
        let link = Link::new(self.node.id, peer, breakage.clone());
        if self.shared.breaks(link.subject(None), ConnectionEvent::Opening) {
            link.reset();
            drop(TcpSocket::new(stream, breakage));
            return;
        }
        self.serve(TcpSocket::new(stream, breakage), link);
    }

    fn serve(&mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, link: Link) {
        let peer = link.peer;
        let limit = self.shared.state().settings().connections_max;
        if self.connections.len() >= limit {
            tracing::warn!(node = self.node.id, %peer, limit, "connection refused: max.connections reached");
            return;
        }
        if let Some(throttle) = self.throttle(peer) {
            tracing::debug!(node = self.node.id, %peer, ?throttle, "connection refused: connection_creation_rate");
            // Closed at once, it would only come back sooner.
            self.connections.spawn(async move {
                tokio::time::sleep(throttle).await;
                drop(stream);
            });
            return;
        }
        let Some(place) = self.place_for(peer) else { return };
        let link = Arc::new(link);
        let connection = Connection::new(self.shared.clone(), self.node.clone(), link.clone());
        // Its future has room for every API's: it is not moved about.
        let task = self.connections.spawn(Box::pin(async move {
            let _place = place;
            connection.serve(stream).await;
        }));
        self.links.insert(task.id(), (link, task));
    }

    /// Counts a connection over TCP against the broker's rate; for how long it is to wait, if that is too high (Java:
    /// `ConnectionQuotas.waitForConnectionSlot`).
    fn delay(&mut self) -> Option<Duration> {
        let settings = self.shared.state().settings().clone();
        let bound = settings.connection_creation_rate? as f64;
        let now_ms = self.shared.clock.moment().elapsed_ms;
        let windows = settings.quota_windows;
        self.rate.record(windows, 1.0, now_ms);
        let excess_ms = self.rate.excess_ms(windows, bound, now_ms).min(windows.window_ms);
        (excess_ms > 0).then(|| Duration::from_millis(excess_ms.unsigned_abs()))
    }

    /// Counts a connection against the rate of its address; for how long the address is to wait, if that is too high
    /// (KIP-612; Java: `ConnectionQuotas.recordIpConnectionMaybeThrottle`).
    fn throttle(&mut self, peer: Peer) -> Option<Duration> {
        let Peer::Tcp(address) = peer else { return None };
        let bound = self.shared.state().client_quotas().limits().connections_of(address.ip())?;
        let now_ms = self.shared.clock.moment().elapsed_ms;
        let windows = self.rates.windows;
        let rate = self.rates.of(address.ip(), now_ms);
        rate.record(windows, 1.0, now_ms);
        let excess_ms = rate.excess_ms(windows, bound, now_ms).min(windows.window_ms);
        if excess_ms <= 0 {
            return None;
        }
        rate.record(windows, -1.0, now_ms);
        Some(Duration::from_millis(excess_ms.unsigned_abs()))
    }

    /// Counts a connection of its address; none when the address has too many.
    fn place_for(&self, peer: Peer) -> Option<Place> {
        let Peer::Tcp(address) = peer else { return Some(Place { of: None }) };
        let ip = address.ip();
        let limit = self.shared.state().settings().connections_per_ip.of(ip);
        let mut places = lock(&self.by_ip);
        let taken = places.entry(ip).or_default();
        if *taken >= limit {
            tracing::warn!(node = self.node.id, %peer, limit, "connection refused: max.connections.per.ip reached");
            return None;
        }
        *taken += 1;
        Some(Place { of: Some((self.by_ip.clone(), ip)) })
    }
}

/// How many connections each address has.
type ByIp = Arc<Mutex<BTreeMap<IpAddr, usize>>>;

/// A connection's place among those of its address, free again once this is dropped.
struct Place {
    /// None in memory, where there is no address.
    of: Option<(ByIp, IpAddr)>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((by_ip, ip)) = &self.of {
            let mut places = lock(by_ip);
            if let Some(taken) = places.get_mut(ip) {
                *taken -= 1;
                if *taken == 0 {
                    places.remove(ip);
                }
            }
        }
    }
}

/// When a connection that is held is to be served.
async fn until(held: Option<&(Instant, TcpStream, Peer)>) {
    match held {
        None => std::future::pending().await,
        Some((when, ..)) => tokio::time::sleep_until(*when).await,
    }
}

/// The next TCP connection; never, without a listener.
async fn accept(tcp: Option<&TcpListener>) -> io::Result<(TcpStream, Peer)> {
    match tcp {
        None => std::future::pending().await,
        Some(tcp) => {
            let (stream, address) = tcp.accept().await?;
            // Answers are written whole, so waiting for more only delays them.
            stream.set_nodelay(true)?;
            Ok((stream, Peer::Tcp(address)))
        }
    }
}
