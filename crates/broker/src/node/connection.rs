//! One connection: requests in, answers out, in order.
//!
//! ```text
//!   bytes -> FrameReader -> queue (bounded) -> one request at a time -> answer -> bytes
//! ```
//! Reading runs ahead of the work by a bounded queue, so that a client's pipelining is seen as it is. As with Kafka,
//! requests of one connection are worked on one after the other: a fetch that waits holds up what follows it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use milena_protocol::{ByteStr, Decoder, Frame, RequestHeader, decode_request_header};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Node;
use super::dispatch::{self, Outcome, Served};
use super::frame::{FrameError, FrameReader, write_frame};
use crate::log::Workspace;
use crate::shared::Shared;
use crate::sync::Switch;

/// How many requests of a connection may wait behind the one that is worked on.
const QUEUED_REQUESTS_MAX: usize = 32;
/// How many bytes they may have together; the first one may always wait.
const QUEUED_BYTES_MAX: usize = 32 * 1024 * 1024;

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

/// A connection and what it works with.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    node: Arc<Node>,
    peer: Peer,
    state: ConnectionState,
}

/// What the work on a connection's requests shares.
pub(crate) struct ConnectionState {
    /// On when the client has closed its end: do not make it wait for anything.
    pub(crate) hangup: Switch,
    pub(crate) workspace: Mutex<Workspace>,
    /// Where the client is, as Java prints an address: with a slash before it.
    pub(crate) client_host: String,
}

/// A request that was received.
struct Inbound {
    header: RequestHeader,
    body: Decoder,
    /// The length of its frame.
    bytes: usize,
    /// Counts its batches until it is answered.
    _batches: BatchesInFlight,
    /// Its share of the queue's bytes.
    _room: OwnedSemaphorePermit,
    /// Its share of the node's memory.
    _share: Option<OwnedSemaphorePermit>,
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Hangup {
    #[error("closed by the client")]
    Client,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("malformed request: {0}")]
    Malformed(String),
    #[error("{0}")]
    Refused(String),
    /// The client wants no answer, and can only learn of the failure by losing its connection.
    #[error("{0}")]
    Unanswered(String),
    #[error("cannot write: {0}")]
    Write(std::io::Error),
    #[error("on request")]
    Fault,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>, node: Arc<Node>, peer: Peer) -> Self {
        let client_host = match peer {
            Peer::Tcp(address) => format!("/{}", address.ip()),
            Peer::Memory => format!("/{}", node.address.ip()),
        };
        let state = ConnectionState { hangup: Switch::off(), workspace: Mutex::default(), client_host };
        Self { shared, node, peer, state }
    }

    /// Serves requests until either end closes the connection.
    pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) {
        let _counted = Counted::new(&self.shared, &self.node);
        let (reading, writing) = tokio::io::split(stream);
        let (queue, inbound) = mpsc::channel(QUEUED_REQUESTS_MAX);
        let mut work = std::pin::pin!(self.work(inbound, writing));
        let read = select! {
            biased;
            hangup = &mut work => return self.report(&hangup),
            hangup = self.read(reading, queue) => hangup,
        };
        // What was received whole is still worked on, but nothing waits any longer for a client that is gone.
        self.state.hangup.set(true);
        let worked = work.await;
        self.report(if matches!(worked, Hangup::Client) { &read } else { &worked });
    }

    /// Puts requests into the queue until there are no more.
    async fn read<R: AsyncRead + Unpin>(&self, stream: ReadHalf<R>, queue: mpsc::Sender<Inbound>) -> Hangup {
        let settings = self.shared.state().settings().clone();
        let idle_limit = u64::try_from(settings.connection_idle_ms).ok().map(Duration::from_millis);
        let mut frames =
            FrameReader::new(stream, settings.request_bytes_max, idle_limit).within(self.node.budget.clone());
        let room = Arc::new(Semaphore::new(QUEUED_BYTES_MAX));
        loop {
            let frame = match frames.next(&self.node.deaf).await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Hangup::Client,
                // A client that waits for an answer is not idle.
                Err(FrameError::Idle) if room.available_permits() < QUEUED_BYTES_MAX => continue,
                Err(error) => return error.into(),
            };
            let share = frame.len().min(QUEUED_BYTES_MAX) as u32;
            let Ok(room) = room.clone().acquire_many_owned(share).await else { return Hangup::Client };
            match self.parse(frame, room, frames.take_share()) {
                Ok(request) => {
                    frames.trust();
                    if queue.send(request).await.is_err() {
                        return Hangup::Client;
                    }
                }
                Err(hangup) => return hangup,
            }
        }
    }

    fn parse(
        &self,
        frame: Bytes,
        room: OwnedSemaphorePermit,
        share: Option<OwnedSemaphorePermit>,
    ) -> Result<Inbound, Hangup> {
        let batches = BatchesInFlight::received(&self.shared, &frame);
        let bytes = frame.len();
        let (header, body) =
            decode_request_header(frame).map_err(|error| Hangup::Malformed(error.to_string()))?;
        Ok(Inbound { header, body, bytes, _batches: batches, _room: room, _share: share })
    }

    /// Works on the queue's requests one after the other.
    async fn work<W: AsyncWrite + Unpin>(
        &self,
        mut inbound: mpsc::Receiver<Inbound>,
        mut stream: WriteHalf<W>,
    ) -> Hangup {
        while let Some(Inbound { header, body, bytes, _batches, _room, _share }) = inbound.recv().await {
            self.node.frozen.until_off().await;
            let Served { outcome, mute } =
                dispatch::serve(&self.shared, &self.node, &self.state, header, body, bytes).await;
            let muted_until = self.shared.clock.instant() + mute;
            self.node.frozen.until_off().await;
            let answered = match outcome {
                Outcome::Answer(frame) => write_frame(&mut stream, &frame).await.map_err(Hangup::Write),
                Outcome::Truncated(frame) => self.write_half(&mut stream, frame).await,
                Outcome::Silence => Ok(()),
                Outcome::HangUp(hangup) => Err(hangup),
            };
            if let Err(hangup) = answered {
                return hangup;
            }
            if !mute.is_zero() {
                // A client that is gone is not made to wait.
                select! {
                    biased;
                    () = self.state.hangup.on() => {}
                    () = tokio::time::sleep_until(muted_until) => {}
                }
            }
        }
        Hangup::Client
    }

    async fn write_half<W: AsyncWrite + Unpin>(
        &self,
        stream: &mut WriteHalf<W>,
        frame: Frame,
    ) -> Result<(), Hangup> {
        use tokio::io::AsyncWriteExt;
        let bytes = frame.to_bytes();
        stream.write_all(&bytes[..bytes.len() / 2]).await.map_err(Hangup::Write)?;
        stream.flush().await.map_err(Hangup::Write)?;
        Err(Hangup::Fault)
    }

    /// One line for a connection that ended other than it should.
    fn report(&self, hangup: &Hangup) {
        let (node, peer) = (self.node.id, self.peer);
        match hangup {
            Hangup::Frame(error) if error.is_hostile() => {
                self.shared.seen.refused_frame();
                tracing::warn!(node, %peer, reason = %hangup, "connection closed");
            }
            Hangup::Malformed(_) | Hangup::Refused(_) => {
                self.shared.seen.refused_frame();
                tracing::warn!(node, %peer, reason = %hangup, "connection closed");
            }
            _ => tracing::debug!(node, %peer, reason = %hangup, "connection closed"),
        }
    }
}

/// The partitions of a produce request, counted as in flight as long as this exists.
struct BatchesInFlight {
    shared: Arc<Shared>,
    partitions: Vec<(ByteStr, i32)>,
}

impl BatchesInFlight {
    /// Counts the batches of a frame, if it is a produce request and somebody wants to know.
    fn received(shared: &Arc<Shared>, frame: &Bytes) -> Self {
        let partitions = match shared.seen.is_tracking_batches() {
            true => dispatch::produced_partitions(shared, frame.clone()),
            false => Vec::new(),
        };
        if !partitions.is_empty() {
            shared.seen.batches_received(&partitions);
        }
        Self { shared: shared.clone(), partitions }
    }
}

impl Drop for BatchesInFlight {
    fn drop(&mut self) {
        if !self.partitions.is_empty() {
            self.shared.seen.batches_answered(&self.partitions);
        }
    }
}

/// Counts a connection as long as it exists, however it ends.
struct Counted<'a> {
    shared: &'a Shared,
    node: &'a Node,
}

impl<'a> Counted<'a> {
    fn new(shared: &'a Shared, node: &'a Node) -> Self {
        shared.seen.connected(node.id);
        Self { shared, node }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.shared.seen.disconnected(self.node.id);
    }
}
