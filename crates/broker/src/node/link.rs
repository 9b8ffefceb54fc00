//! What is known of a connection beside its bytes, and how it breaks.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use milena_protocol::ApiKey;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::connection::Hangup;
use crate::NodeId;
use crate::fault::ConnectionSubject;

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Peer {
    Tcp(SocketAddr),
    Memory,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Memory => f.write_str("in memory"),
        }
    }
}

/// A connection as its node and the faults know it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) node: NodeId,
    pub(crate) peer: Peer,
    /// What the first request says; empty if it says nothing.
    client_id: OnceLock<Box<str>>,
    breakage: Breakage,
}

/// Whether the end of a connection is a reset. Both ends of one in memory share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breakage {
    is_reset: Arc<AtomicBool>,
}

impl Breakage {
    pub(crate) fn is_reset(&self) -> bool {
        self.is_reset.load(Ordering::Acquire)
    }
}

impl Link {
    pub(crate) fn new(node: NodeId, peer: Peer, breakage: Breakage) -> Self {
        Self { node, peer, client_id: OnceLock::new(), breakage }
    }

    /// Notes whose connection it is. True if that was not known.
    pub(crate) fn introduce(&self, client_id: Option<&str>) -> bool {
        self.client_id.get().is_none() && self.client_id.set(client_id.unwrap_or_default().into()).is_ok()
    }

    /// Has the other end see a reset once the stream is dropped, and says that it must be.
    pub(super) fn reset(&self) -> Hangup {
        self.breakage.is_reset.store(true, Ordering::Release);
        Hangup::Reset
    }

    /// The connection as rules see it, while something of this API is on its way.
    pub(crate) fn subject(&self, api: Option<ApiKey>) -> ConnectionSubject<'_> {
        let peer = match self.peer {
            Peer::Tcp(address) => Some(address),
            Peer::Memory => None,
        };
        let client_id = self.client_id.get().map(|client_id| &**client_id);
        ConnectionSubject { node: self.node, peer, client_id, api }
    }
}

/// A TCP stream that ends with an RST, if it is to be reset.
#[derive(Debug)]
pub(crate) struct TcpSocket {
    stream: TcpStream,
    breakage: Breakage,
}

impl TcpSocket {
    pub(crate) fn new(stream: TcpStream, breakage: Breakage) -> Self {
        Self { stream, breakage }
    }
}

impl Drop for TcpSocket {
    fn drop(&mut self) {
        if self.breakage.is_reset() {
            // Without it the client sees an end rather than a reset, which is no reason to fail.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for TcpSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for TcpSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
