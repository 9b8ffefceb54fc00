//! Accepts connections, over TCP and in memory, and owns them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::connection::{Connection, Peer};
use super::{BACKLOG, Node, Running};
use crate::shared::Shared;
use crate::sync::Switch;
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
        let connection = Connection::new(self.shared.clone(), self.node.clone(), peer);
        self.connections.spawn(connection.serve(stream));
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
