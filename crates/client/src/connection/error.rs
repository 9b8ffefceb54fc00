//! What goes wrong between us and one broker.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use milena_protocol::{DecodeError, EncodeError, ErrorCode};

use super::UnsupportedVersion;
use crate::Address;

/// A connection that could not be opened, or broke.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{address}: {reason}")]
pub struct ConnectionError {
    /// The broker's address.
    pub address: Address,
    /// What happened.
    pub reason: ConnectionErrorReason,
}

/// What happened to a connection.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionErrorReason {
    /// The stream could not be opened.
    #[error("cannot connect: {message}; is a broker listening there, and does the name resolve?")]
    Connect {
        /// The kind of the input/output error.
        kind: std::io::ErrorKind,
        /// Its text.
        message: String,
    },
    /// No connection within `socket.connection.setup.timeout.ms`.
    #[error("no connection within {}; raise connection_setup_timeout if the network is slow", millis(.after))]
    SetupTimeout {
        /// How long was waited.
        after: Duration,
    },
    /// What listens there is no Kafka broker's plain listener.
    #[error("{0}")]
    NotKafka(ForeignPeer),
    /// The peer closed the connection.
    #[error("the broker closed the connection{}", .context.hint())]
    Closed {
        /// In which state.
        context: CloseContext,
    },
    /// Reading or writing failed.
    #[error("{message}")]
    Io {
        /// The kind of the input/output error.
        kind: std::io::ErrorKind,
        /// Its text.
        message: String,
    },
    /// The stream was opened, but the first request was not answered within `socket.connection.setup.timeout.ms` or
    /// `request.timeout.ms`.
    #[error(
        "connected, but there was no answer to the first request (ApiVersions) within {}: the peer does not answer as a \
         Kafka broker does; perhaps it is an HTTP server or a TLS port (security.protocol), or a broker that hangs",
        millis(.after)
    )]
    HandshakeTimeout {
        /// How long was waited.
        after: Duration,
    },
    /// No answer within the request's timeout; the connection is given up, as its answers are in order.
    #[error("no answer to {api} within {}; the broker hangs or is overloaded (request_timeout)", millis(.after))]
    RequestTimeout {
        /// The API that was waited for.
        api: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// A response longer than the client accepts.
    #[error("a response of {length} bytes exceeds the limit of {limit}; raise response_bytes_max")]
    ResponseTooLarge {
        /// The announced length.
        length: i32,
        /// The configured limit.
        limit: usize,
    },
    /// A response that answers no request of ours, or that does not decode.
    #[error("the broker broke the protocol: {0}")]
    Protocol(String),
    /// The broker refused the handshake.
    #[error("the broker refused the handshake: {0}")]
    Refused(ErrorCode),
    /// The connection was closed by this client (idle, shutdown, or a metadata change).
    #[error("closed by this client")]
    ClosedLocally,
}

impl ConnectionErrorReason {
    pub(crate) fn at(self, address: &Address) -> ConnectionError {
        ConnectionError { address: address.clone(), reason: self }
    }

    pub(crate) fn io(error: &std::io::Error) -> Self {
        Self::Io { kind: error.kind(), message: error.to_string() }
    }
}

/// In which state of the conversation the peer hung up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseContext {
    /// Before it answered the first request.
    Handshake,
    /// Between responses.
    Idle,
    /// In the middle of a response.
    MidResponse,
}

impl CloseContext {
    fn hint(self) -> &'static str {
        match self {
            Self::Handshake => {
                " before it answered the first request; does this listener expect TLS or SASL (security.protocol)?"
            }
            Self::Idle => "",
            Self::MidResponse => " in the middle of a response",
        }
    }
}

/// A peer that answered in another protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignPeer {
    /// An HTTP server.
    Http,
    /// A TLS listener.
    Tls,
    /// Something else: its first bytes.
    Unknown([u8; 8]),
}

impl ForeignPeer {
    /// Judges by a frame that is no answer of Kafka's; its first bytes were read as its length.
    pub(super) fn of_frame(frame: &Bytes) -> Self {
        let mut first_bytes = i32::try_from(frame.len()).unwrap_or(i32::MAX).to_be_bytes().to_vec();
        first_bytes.extend(frame.iter().take(8));
        Self::recognise(&first_bytes)
    }

    /// Judges by the first bytes that the peer sent.
    pub(super) fn recognise(first_bytes: &[u8]) -> Self {
        // RFC 8446, section 5.1: content type handshake (22) or alert (21), then version 3.x.
        if matches!(first_bytes, [21 | 22, 3, 0..=4, ..]) {
            return Self::Tls;
        }
        if first_bytes.starts_with(b"HTTP") {
            return Self::Http;
        }
        let mut start = [0; 8];
        for (slot, byte) in start.iter_mut().zip(first_bytes) {
            *slot = *byte;
        }
        Self::Unknown(start)
    }
}

impl fmt::Display for ForeignPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http => f.write_str(
                "an HTTP server answers there, not a Kafka broker; check the port (9092 is Kafka's usual one)",
            ),
            Self::Tls => f.write_str(
                "a TLS listener answers there; connect with security.protocol SSL or SASL_SSL, or use the plaintext port",
            ),
            Self::Unknown(start) => write!(
                f,
                "what answers there does not speak Kafka's protocol (it began with {:?}); check host and port",
                String::from_utf8_lossy(start).trim_end_matches('\0')
            ),
        }
    }
}

/// A request that got no usable answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The connection failed before the answer came. The broker may have carried the request out if `possibly_sent`.
    #[error("{error}")]
    Connection {
        /// What happened.
        error: ConnectionError,
        /// Whether the whole request may have left.
        possibly_sent: bool,
    },
    /// No version in common.
    #[error(transparent)]
    UnsupportedVersion(#[from] UnsupportedVersion),
    /// The request cannot be expressed in the negotiated version.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The answer does not decode.
    #[error("{address}: {error}")]
    Decode {
        /// The broker's address.
        address: Address,
        /// What is wrong with the answer.
        error: DecodeError,
    },
    /// The broker to ask is not known, or none is.
    #[error("no broker to ask: {0}")]
    NoBroker(String),
    /// The answer carries an error code.
    #[error("{api}: {code}{}", .message.as_deref().map(|m| format!(" ({m})")).unwrap_or_default())]
    Broker {
        /// The API.
        api: &'static str,
        /// The code.
        code: ErrorCode,
        /// The broker's explanation, if it gave one.
        message: Option<String>,
    },
    /// The operation's own deadline passed; `last` is what the last attempt met.
    #[error("{api}: gave up after {}{}", millis(.after), .last.as_ref().map(|e| format!("; last: {e}")).unwrap_or_default())]
    Timeout {
        /// The API or operation.
        api: &'static str,
        /// How long was tried.
        after: Duration,
        /// What the last attempt met.
        last: Option<Box<RequestError>>,
    },
    /// The client was closed.
    #[error("the client is closed")]
    ClientClosed,
}

impl RequestError {
    /// Whether another attempt, perhaps at another broker, may succeed.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connection { error, .. } => !matches!(
                error.reason,
                ConnectionErrorReason::NotKafka(_)
                    | ConnectionErrorReason::Refused(_)
                    | ConnectionErrorReason::ResponseTooLarge { .. }
            ),
            Self::Broker { code, .. } => code.is_retriable(),
            Self::NoBroker(_) => true,
            Self::UnsupportedVersion(_)
            | Self::Encode(_)
            | Self::Decode { .. }
            | Self::Timeout { .. }
            | Self::ClientClosed => false,
        }
    }
}

fn millis(duration: &Duration) -> String {
    format!("{} ms", duration.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_peers_are_named_by_their_first_bytes() {
        assert_eq!(ForeignPeer::recognise(b"HTTP/1.1 400 Bad"), ForeignPeer::Http);
        assert_eq!(ForeignPeer::recognise(&[21, 3, 3, 0, 2, 2, 70]), ForeignPeer::Tls);
        assert_eq!(ForeignPeer::recognise(b"SSH-2.0-x"), ForeignPeer::Unknown(*b"SSH-2.0-"));
        let text = ForeignPeer::Unknown(*b"SSH-2.0-").to_string();
        assert!(text.contains("SSH-2.0-"), "{text}");
    }
}
