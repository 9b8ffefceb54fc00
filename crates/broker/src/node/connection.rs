//! One connection: requests in, answers out, in order.
//!
//! ```text
//!   bytes -> FrameReader -> queue (bounded) -> one request at a time -> answer -> bytes
//! ```
//! Reading runs ahead of the work by a bounded queue, so that a client's pipelining is seen as it is. As with Kafka,
//! requests of one connection are worked on one after the other: a fetch that waits holds up what follows it.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use milena_protocol::{ApiKey, ByteStr, Decoder, RequestHeader, decode_request_header};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};

use super::Node;
use super::dispatch::{self, Outcome, Served};
use super::frame::{FrameError, FrameReader};
use super::link::{Link, Peer};
use super::outbox::Outbox;
use crate::fault::{ConnectionEvent, Direction};
use crate::log::Workspace;
use crate::shared::Shared;
use crate::sync::Switch;

/// How many requests of a connection may wait behind the one that is worked on.
const QUEUED_REQUESTS_MAX: usize = 32;
/// How many bytes they may have together; the first one may always wait.
const QUEUED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A connection and what it works with.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    node: Arc<Node>,
    link: Arc<Link>,
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
    /// When it is here, if a fault makes it late.
    arrives_at: Option<Instant>,
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
    /// As `Fault`, and the client sees a reset.
    #[error("reset on request")]
    Reset,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>, node: Arc<Node>, link: Arc<Link>) -> Self {
        let client_host = match link.peer {
            Peer::Tcp(address) => format!("/{}", address.ip()),
            Peer::Memory => format!("/{}", node.address.ip()),
        };
        let state = ConnectionState { hangup: Switch::off(), workspace: Mutex::default(), client_host };
        Self { shared, node, link, state }
    }

    /// Serves requests until either end closes the connection.
    pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) {
        let _counted = Counted::new(&self.shared, &self.node);
        let (reading, writing) = tokio::io::split(stream);
        let (queue, inbound) = mpsc::channel(QUEUED_REQUESTS_MAX);
        let mut work = pin!(self.work(inbound, writing));
        let read = select! {
            biased;
            hangup = &mut work => return self.report(&hangup),
            hangup = self.read(reading, queue) => hangup,
        };
        if matches!(read, Hangup::Reset) {
            return self.report(&read);
        }
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
        let mut last_arrival = None;
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
                Ok(mut request) => {
                    frames.trust();
                    if let Err(hangup) = self.arrive(&mut request, &mut last_arrival).await {
                        return hangup;
                    }
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
        Ok(Inbound { header, body, bytes, arrives_at: None, _batches: batches, _room: room, _share: share })
    }

    /// Has happen to a request what the rules for connections say, on its way here.
    async fn arrive(&self, request: &mut Inbound, last_arrival: &mut Option<Instant>) -> Result<(), Hangup> {
        let api = ApiKey::try_from(request.header.api_key).ok();
        let is_first = self.link.introduce(request.header.client_id.as_deref());
        let subject = self.link.subject(api);
        if is_first && self.shared.breaks(subject, ConnectionEvent::Introduction) {
            return Err(self.link.reset());
        }
        let Some(passage) = self.shared.passage(subject, Direction::Up) else { return Ok(()) };
        // Nothing is read meanwhile, so that the client's writes stall in the end.
        self.shared.faults.removed(&passage.held_by).await;
        if passage.is_reset {
            return Err(self.link.reset());
        }
        if passage.keep_bytes.is_some() {
            return Err(FrameError::Truncated.into());
        }
        *last_arrival = Some(passage.arrival(self.shared.clock.instant(), *last_arrival, request.bytes));
        request.arrives_at = *last_arrival;
        Ok(())
    }

    /// Works on the queue's requests one after the other.
    async fn work<W: AsyncWrite + Unpin>(
        &self,
        mut inbound: mpsc::Receiver<Inbound>,
        stream: WriteHalf<W>,
    ) -> Hangup {
        let mut outbox = Outbox::new(&self.shared, &self.link, stream);
        match self.work_through(&mut inbound, &mut outbox).await {
            Ok(()) => Hangup::Client,
            Err(hangup) => hangup,
        }
    }

    async fn work_through<W: AsyncWrite + Unpin>(
        &self,
        inbound: &mut mpsc::Receiver<Inbound>,
        outbox: &mut Outbox<'_, W>,
    ) -> Result<(), Hangup> {
        loop {
            let Some(request) = outbox.during(pin!(inbound.recv())).await? else {
                return outbox.flush().await;
            };
            let Inbound { header, body, bytes, arrives_at, _batches, _room, _share } = request;
            if let Some(at) = arrives_at {
                outbox.during(pin!(sleep_until(at))).await?;
            }
            outbox.during(pin!(self.node.frozen.until_off())).await?;
            let api = ApiKey::try_from(header.api_key).ok();
            let serving = pin!(dispatch::serve(&self.shared, &self.node, &self.state, header, body, bytes));
            let Served { outcome, mute } = outbox.during(serving).await?;
            let muted_until = (!mute.is_zero()).then(|| self.shared.clock.instant() + mute);
            outbox.during(pin!(self.node.frozen.until_off())).await?;
            match outcome {
                Outcome::Answer(frame) => outbox.send(api, &frame).await?,
                Outcome::Truncated(frame) => {
                    outbox.send_half(&frame).await?;
                    return Err(Hangup::Fault);
                }
                Outcome::Silence => {}
                Outcome::HangUp(hangup) => {
                    outbox.flush().await?;
                    return Err(hangup);
                }
            }
            if let Some(muted_until) = muted_until {
                // A client that is gone is not made to wait.
                let muted = async {
                    select! {
                        biased;
                        () = self.state.hangup.on() => {}
                        () = sleep_until(muted_until) => {}
                    }
                };
                outbox.during(pin!(muted)).await?;
            }
        }
    }

    /// One line for a connection that ended other than it should.
    fn report(&self, hangup: &Hangup) {
        let Link { node, peer, .. } = &*self.link;
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
