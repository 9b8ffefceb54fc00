//! How streams to brokers are opened.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, lookup_host};

use crate::Address;

/// A byte stream to a broker: TCP, TLS over it, or memory.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static> Stream for T {}

/// A stream that is being opened.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// Opens streams to brokers.
///
/// Names are resolved again at every call, so that a broker that moved to another address is found
/// ([kafka-python#1683](https://github.com/dpkp/kafka-python/issues/1683) is what happens otherwise).
pub trait Connector: Send + Sync + 'static {
    /// Opens one stream to `address`. The caller bounds the time and drops the future when it is up.
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a>;
}

/// Names whose attempts are counted; more than any cluster has brokers.
const ROTATIONS_MAX: usize = 4_096;

/// Connects over TCP with `TCP_NODELAY`, trying all addresses of a name in turn.
///
/// As `client.dns.lookup=use_all_dns_ips`, Java's default, with two differences. The name is resolved at each attempt, not once
/// all its addresses were used up: what was resolved earlier may be out of date. And all of the name's addresses count, where
/// Java keeps to the family (IPv4 or IPv6) of the first: a broker may listen on one of them only.
#[derive(Debug, Default)]
pub struct TcpConnector {
    send_buffer_bytes: Option<u32>,
    receive_buffer_bytes: Option<u32>,
    /// Attempts at each name that has several addresses: each attempt begins with another one, so that a dead one does not
    /// use up the time of every attempt.
    attempts: Mutex<BTreeMap<Address, usize>>,
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

    /// The addresses in the order in which to try them now.
    fn rotate(&self, name: &Address, candidates: &mut [SocketAddr]) {
        if candidates.len() < 2 {
            return;
        }
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= ROTATIONS_MAX {
            attempts.clear();
        }
        let attempt = attempts.entry(name.clone()).or_default();
        candidates.rotate_left(*attempt % candidates.len());
        *attempt = attempt.wrapping_add(1);
    }

    async fn open(&self, address: SocketAddr) -> io::Result<TcpStream> {
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
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        Box::pin(async move {
            let mut candidates: Vec<_> = lookup_host((address.host.as_str(), address.port)).await?.collect();
            if candidates.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
            }
            self.rotate(address, &mut candidates);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_begins_with_another_address_of_the_same_name() {
        let connector = TcpConnector::default();
        let resolved: Vec<SocketAddr> =
            vec!["10.0.0.1:9092".parse().unwrap(), "10.0.0.2:9092".parse().unwrap()];
        let first_of = |host: &str| {
            let mut candidates = resolved.clone();
            connector.rotate(&Address::new(host, 9092), &mut candidates);
            candidates[0].to_string()
        };
        // Attempts at another name in between must not bring the same address to the front again and again.
        let firsts: Vec<_> = (0..4).map(|_| (first_of("a"), first_of("b")).0).collect();
        assert_eq!(firsts, ["10.0.0.1:9092", "10.0.0.2:9092", "10.0.0.1:9092", "10.0.0.2:9092"]);
    }

    #[tokio::test]
    async fn connects_to_a_listener_and_tells_when_there_is_none() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
        let connector = TcpConnector::default().send_buffer_bytes(64 * 1024).receive_buffer_bytes(64 * 1024);
        connector.connect(&address).await.unwrap();
        drop(listener);
        let error = connector.connect(&address).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
