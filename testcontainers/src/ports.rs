//! Ports that stay ours for as long as a cluster lives.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port on 127.0.0.1 that the system gave us.
///
/// A port that is merely looked up and released belongs to whoever comes first: another test, or, as such ports are
/// the ones that outgoing connections get, a client that keeps on connecting to the very broker that is down, and is
/// connected to itself. So the socket that got the port stays bound to it, without listening. Linux then keeps it
/// out of the hands of everybody who takes any port, refuses connections to it, and still lets the broker bind it by
/// its number, because both sockets set `SO_REUSEADDR` (Java does so for each server socket) and ours never listens.
///
/// Elsewhere two sockets cannot share a port in that way: there it is released at once, and a cluster that finds it
/// taken starts again on other ports.
#[derive(Debug)]
pub(crate) struct ReservedPort {
    address: SocketAddr,
    _held: Option<TcpSocket>,
}

impl ReservedPort {
    pub(crate) fn take() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = socket.local_addr()?;
        Ok(Self { address, _held: cfg!(target_os = "linux").then_some(socket) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn reserved_port_refuses_connections_until_somebody_listens_there() {
        let port = ReservedPort::take().unwrap();
        let refused = TcpStream::connect(port.address()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);

        // The standard library sets SO_REUSEADDR on Unix, as Java does.
        let listener = std::net::TcpListener::bind(port.address()).unwrap();
        TcpStream::connect(port.address()).unwrap();
        drop(listener);
        // And again: a node that is killed gets its port back.
        std::net::TcpListener::bind(port.address()).unwrap();
    }

    #[test]
    fn reserved_port_is_not_given_to_others() {
        let port = ReservedPort::take().unwrap();
        let other = TcpSocket::new_v4().unwrap();
        assert_eq!(other.bind(port.address()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn no_two_reservations_share_a_port() {
        let ports: Vec<ReservedPort> = (0..200).map(|_| ReservedPort::take().unwrap()).collect();
        let distinct: std::collections::HashSet<_> = ports.iter().map(ReservedPort::address).collect();
        assert_eq!(distinct.len(), ports.len());
    }
}
