//! Accepts connections, over TCP and in memory, and owns them.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::connection::{Connection, Peer};
use super::{BACKLOG, Node, Running};
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
    inbox: mpsc::Receiver<DuplexStream>,
    hang_up: mpsc::Receiver<()>,
    stop: Arc<Switch>,
    connections: JoinSet<()>,
    by_ip: ByIp,
    /// How often addresses with a quota connect.
    rates: Meters<IpAddr, Rate>,
}

impl Listener {
    /// Begins to accept connections for `node`: from `tcp`, if there is one, and in memory.
    pub(crate) fn start(shared: &Arc<Shared>, node: &Arc<Node>, tcp: Option<TcpListener>) {
        let (inbox_sender, inbox) = mpsc::channel(BACKLOG);
        let (hang_up_sender, hang_up) = mpsc::channel(1);
        let stop = Arc::new(Switch::off());
        let listener = Self {
            shared: shared.clone(),
            node: node.clone(),
            tcp,
            inbox,
            hang_up,
            stop: stop.clone(),
            connections: JoinSet::new(),
            by_ip: ByIp::default(),
            rates: Meters::new(shared.state().settings().quota_windows),
        };
        node.set_running(Running {
            inbox: inbox_sender,
            hang_up: hang_up_sender,
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
                Some(()) = self.hang_up.recv() => self.connections.shutdown().await,
                Some(_) = self.connections.join_next(), if !self.connections.is_empty() => {}
                Some(stream) = self.inbox.recv() => self.serve(stream, Peer::Memory),
                accepted = accept(self.tcp.as_ref()) => match accepted {
                    Ok((stream, peer)) => self.serve(stream, peer),
                    Err(error) => {
                        tracing::warn!(node = self.node.id, %error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                },
            }
        }
        self.connections.shutdown().await;
    }

    fn serve(&mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer) {
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
        let connection = Connection::new(self.shared.clone(), self.node.clone(), peer);
        self.connections.spawn(async move {
            let _place = place;
            connection.serve(stream).await;
        });
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
