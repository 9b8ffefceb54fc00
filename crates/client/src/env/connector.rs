//! How streams to brokers are opened.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, lookup_host};

use crate::Address;

/// A byte stream to a broker: TCP, TLS over it, or memory.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static> Stream for T {}

/// Opens streams to brokers.
///
/// Names are resolved again at every call, so that a broker that moved to another address is found
/// ([kafka-python#1683](https://github.com/dpkp/kafka-python/issues/1683) is what happens otherwise).
pub trait Connector: Send + Sync + 'static {
    /// Opens one stream to `address`. The caller bounds the time and drops the future when it is up.
    fn connect<'a>(
        &'a self,
        address: &'a Address,
    ) -> Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;
}

/// Connects over TCP with `TCP_NODELAY`, trying all addresses of a name in turn.
#[derive(Debug, Default)]
pub struct TcpConnector {
    send_buffer_bytes: Option<u32>,
    receive_buffer_bytes: Option<u32>,
    /// Which of a name's addresses comes first: another one at each attempt, so that one dead address behind a name costs
    /// every other attempt at most.
    rotation: AtomicUsize,
}

impl TcpConnector {
    /// Sets the size of the kernel's send buffer (`SO_SNDBUF`); by default the kernel adapts it. Kafka: `send.buffer.bytes`.
    pub fn send_buffer_bytes(mut self, bytes: u32) -> Self {
        self.send_buffer_bytes = Some(bytes);
        self
    }

    /// Sets the size of the kernel's receive buffer (`SO_RCVBUF`); by default the kernel adapts it. Kafka:
    /// `receive.buffer.bytes`.
    pub fn receive_buffer_bytes(mut self, bytes: u32) -> Self {
        self.receive_buffer_bytes = Some(bytes);
        self
    }

    async fn open(&self, address: std::net::SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(bytes) = self.send_buffer_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.set_keepalive(true)?;
        socket.set_nodelay(true)?;
        socket.connect(address).await
    }
}

impl Connector for TcpConnector {
    fn connect<'a>(
        &'a self,
        address: &'a Address,
    ) -> Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>> {
        Box::pin(async move {
            let mut candidates: Vec<_> = lookup_host((address.host.as_str(), address.port)).await?.collect();
            if candidates.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
            }
            let first = self.rotation.fetch_add(1, Ordering::Relaxed) % candidates.len();
            candidates.rotate_left(first);
            let mut last_error = None;
            for candidate in candidates {
                match self.open(candidate).await {
                    Ok(stream) => return Ok(Box::new(stream) as Box<dyn Stream>),
                    Err(error) => last_error = Some(error),
                }
            }
            Err(last_error.expect("there was at least one candidate"))
        })
    }
}
