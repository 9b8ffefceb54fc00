//! One connection: two lanes, and the pump that moves bytes along them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use milena_broker::MemoryStream;
use milena_client::env::{Task, Timer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Direction, Network};
use crate::clock;

/// How many bytes a lane holds before the writer waits, as the buffers of sockets and routers do.
const LANE_BYTES_MAX: usize = 256 * 1024;
/// Few answers have more.
const READ_BYTES: usize = 4 * 1024;

pub(super) struct Link {
    network: Network,
    pub(super) client: String,
    pub(super) node: i32,
    number: u64,
    state: Mutex<LinkState>,
}

struct LinkState {
    up: Lane,
    down: Lane,
    end: End,
    /// What has arrived and the client has not read.
    arrived: VecDeque<Bytes>,
    arrived_bytes: usize,
    /// The node has closed its end, and the client has been told.
    is_eof: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    pump: Option<Waker>,
}

/// Whether a connection still is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// The client has closed it; what it sent before is still on its way.
    ClosedByClient,
    /// The node has forgotten it, and the client waits.
    HalfOpen,
    /// Broken for both.
    Reset,
}

/// What is on its way in one direction.
#[derive(Default)]
struct Lane {
    queue: VecDeque<(Instant, Parcel)>,
    bytes: usize,
    last_at: Option<Instant>,
    /// The next parcel is cut after so many bytes, and the connection broken.
    truncate: Option<usize>,
}

enum Parcel {
    Data(Bytes),
    /// The sender has closed its end.
    End,
    /// The connection breaks here.
    Break,
}

impl Lane {
    fn has_room(&self) -> bool {
        self.bytes < LANE_BYTES_MAX
    }

    fn send(&mut self, parcel: Parcel, now: Instant, latency: Duration, passage: super::rules::Passage) {
        let mut parcel = parcel;
        let mut breaks = false;
        if let (Parcel::Data(data), Some(keep)) = (&mut parcel, self.truncate.take()) {
            // At least one byte is missing.
            data.truncate(keep.min(data.len() - 1));
            breaks = true;
        }
        let bytes = match &parcel {
            Parcel::Data(data) => data.len(),
            Parcel::End | Parcel::Break => 0,
        };
        let passing = passage
            .bytes_per_second
            .map_or(Duration::ZERO, |rate| Duration::from_micros(bytes as u64 * 1_000_000 / rate.max(1)));
        let earliest = now + latency + passage.delay;
        let at = self.last_at.map_or(earliest, |last| earliest.max(last)) + passing;
        self.last_at = Some(at);
        self.bytes += bytes;
        self.queue.push_back((at, parcel));
        if breaks {
            self.queue.push_back((at, Parcel::Break));
        }
    }

    fn due_at(&self) -> Option<Instant> {
        self.queue.front().map(|(at, _)| *at)
    }
}

impl Link {
    pub(super) fn new(network: Network, client: &str, node: i32, number: u64) -> Arc<Self> {
        let state = LinkState {
            up: Lane::default(),
            down: Lane::default(),
            end: End::Open,
            arrived: VecDeque::new(),
            arrived_bytes: 0,
            is_eof: false,
            reader: None,
            writer: None,
            pump: None,
        };
        Arc::new(Self { network, client: client.to_owned(), node, number, state: Mutex::new(state) })
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state().end, End::Open | End::HalfOpen)
    }

    pub(super) fn reset(&self, why: &str) {
        let mut state = self.state();
        if state.end == End::Reset {
            return;
        }
        self.trace(why);
        state.end = End::Reset;
        // What arrived and was not read is lost with it.
        state.arrived.clear();
        state.arrived_bytes = 0;
        state.wake_client();
        state.wake_pump();
    }

    pub(super) fn half_open(&self) {
        let mut state = self.state();
        if state.end == End::Open {
            self.trace("half open");
            state.end = End::HalfOpen;
            state.wake_pump();
        }
    }

    /// The first packet that gets through again is answered with a reset.
    pub(super) fn end_if_half_open(&self) {
        if self.state().end == End::HalfOpen {
            self.reset("reset, having been half open");
        }
    }

    pub(super) fn truncate(&self, direction: Direction, keep_bytes: usize) {
        let mut state = self.state();
        let lane = match direction {
            Direction::Up => &mut state.up,
            Direction::Down => &mut state.down,
        };
        lane.truncate = Some(keep_bytes);
    }

    pub(super) fn wake_pump(&self) {
        self.state().wake_pump();
    }

    fn close_by_client(&self) {
        let mut state = self.state();
        if state.end == End::Open {
            self.trace("closed by the client");
            state.end = End::ClosedByClient;
            let (latency, now) = (self.network.latency(), clock::now());
            let passage = self.passage();
            state.up.send(Parcel::End, now, latency, passage);
        }
        state.wake_pump();
    }

    fn passage(&self) -> super::rules::Passage {
        self.network.state().rules.passage(&self.client, self.node)
    }

    fn holds(&self, direction: Direction) -> bool {
        self.network.state().rules.holds(&self.client, self.node, direction)
    }

    fn trace(&self, what: &str) {
        let (client, node, number) = (&self.client, self.node, self.number);
        self.network.shared.recorder.trace(|| format!("net {client} -> {node}: connection {number} {what}"));
    }

    fn state(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LinkState {
    fn wake_client(&mut self) {
        self.reader.take().inspect(|waker| waker.wake_by_ref());
        self.writer.take().inspect(|waker| waker.wake_by_ref());
    }

    fn wake_pump(&mut self) {
        self.pump.take().inspect(|waker| waker.wake_by_ref());
    }
}

/// Moves bytes until the connection has ended; then the node's end is dropped.
pub(super) async fn pump(link: Arc<Link>, mut stream: MemoryStream) {
    let mut timer = link.network.shared.env.timer();
    let mut buffer = BytesMut::new();
    poll_fn(|cx| link.poll_pump(cx, &mut stream, &mut timer, &mut buffer)).await;
    drop(stream);
    if link.state().end == End::HalfOpen {
        // What the client sends is swallowed; it ends when the client gives up, or the network heals.
        std::future::pending::<()>().await;
    }
}

impl Link {
    fn poll_pump(
        &self,
        cx: &mut Context<'_>,
        stream: &mut MemoryStream,
        timer: &mut Timer,
        buffer: &mut BytesMut,
    ) -> Poll<()> {
        loop {
            let now = clock::now();
            let mut state = self.state();
            match state.end {
                End::Reset | End::HalfOpen => return Poll::Ready(()),
                End::Open | End::ClosedByClient => {}
            }
            if self.deliver_up(cx, &mut state, stream, now).is_break()
                || self.collect_down(cx, &mut state, stream, buffer, now).is_break()
            {
                return Poll::Ready(());
            }
            self.deliver_down(&mut state, now);
            if state.end == End::Reset {
                return Poll::Ready(());
            }
            state.pump = Some(cx.waker().clone());
            let up_at = state.up.due_at().filter(|at| *at > now);
            let down_at = state.down.due_at().filter(|at| *at > now);
            drop(state);
            let due_at = [up_at, down_at].into_iter().flatten().min();
            if timer.poll_until(cx, due_at).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Gives the node what has arrived there; breaks off when the node's end is to be closed.
    fn deliver_up(
        &self,
        cx: &mut Context<'_>,
        state: &mut LinkState,
        stream: &mut MemoryStream,
        now: Instant,
    ) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow::{Break, Continue};
        while state.up.due_at().is_some_and(|at| at <= now) {
            if self.holds(Direction::Up) {
                break;
            }
            let Some((_, parcel)) = state.up.queue.front_mut() else { break };
            let data = match parcel {
                Parcel::Data(data) => data,
                Parcel::End => return Break(()),
                Parcel::Break => {
                    self.trace("cut short on the way up");
                    state.end = End::Reset;
                    state.wake_client();
                    return Break(());
                }
            };
            if data.is_empty() {
                state.up.queue.pop_front();
                continue;
            }
            match Pin::new(&mut *stream).poll_write(cx, data) {
                Poll::Pending => break,
                Poll::Ready(Ok(count)) => {
                    data.advance(count);
                    state.up.bytes -= count;
                    state.writer.take().inspect(|waker| waker.wake_by_ref());
                }
                // The node has closed its end: what is written now goes nowhere, and the client is about to be told.
                Poll::Ready(Err(_)) => {
                    state.up.queue.pop_front();
                    if state.end == End::ClosedByClient {
                        return Break(());
                    }
                }
            }
        }
        Continue(())
    }

    /// Takes what the node has sent.
    fn collect_down(
        &self,
        cx: &mut Context<'_>,
        state: &mut LinkState,
        stream: &mut MemoryStream,
        buffer: &mut BytesMut,
        now: Instant,
    ) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow::{Break, Continue};
        let has_ended = matches!(state.down.queue.back(), Some((_, Parcel::End))) || state.is_eof;
        if has_ended {
            return if state.end == End::ClosedByClient { Break(()) } else { Continue(()) };
        }
        while state.down.bytes + state.arrived_bytes < LANE_BYTES_MAX {
            buffer.resize(READ_BYTES, 0);
            let mut read = ReadBuf::new(buffer);
            match Pin::new(&mut *stream).poll_read(cx, &mut read) {
                Poll::Pending => break,
                Poll::Ready(result) => {
                    let count = read.filled().len();
                    let (latency, passage) = (self.network.latency(), self.passage());
                    if result.is_err() || count == 0 {
                        state.down.send(Parcel::End, now, latency, passage);
                        break;
                    }
                    let data = Bytes::copy_from_slice(&buffer[..count]);
                    state.down.send(Parcel::Data(data), now, latency, passage);
                }
            }
        }
        Continue(())
    }

    /// Lets the client have what has arrived.
    fn deliver_down(&self, state: &mut LinkState, now: Instant) {
        let mut has_arrived = false;
        while state.down.due_at().is_some_and(|at| at <= now) {
            if self.holds(Direction::Down) {
                break;
            }
            match state.down.queue.pop_front() {
                Some((_, Parcel::Data(data))) => {
                    state.down.bytes -= data.len();
                    state.arrived_bytes += data.len();
                    if !data.is_empty() {
                        state.arrived.push_back(data);
                    }
                }
                Some((_, Parcel::End)) => state.is_eof = true,
                Some((_, Parcel::Break)) => {
                    self.trace("cut short on the way down");
                    state.end = End::Reset;
                }
                None => break,
            }
            has_arrived = true;
        }
        if has_arrived {
            state.wake_client();
        }
    }
}

/// The client's end.
pub(super) struct SimStream {
    link: Arc<Link>,
    _pump: PumpHandle,
}

/// Lets the pump end by itself after the client has closed: what was sent before still arrives.
struct PumpHandle {
    pump: Option<Task>,
    link: Arc<Link>,
}

impl SimStream {
    pub(super) fn new(link: Arc<Link>, pump: Task) -> Self {
        Self { _pump: PumpHandle { pump: Some(pump), link: link.clone() }, link }
    }
}

impl Drop for PumpHandle {
    fn drop(&mut self) {
        self.link.close_by_client();
        let is_over = !matches!(self.link.state().end, End::ClosedByClient);
        if let Some(pump) = self.pump.take().filter(|_| !is_over) {
            self.link.network.detach(pump);
        }
    }
}

impl Network {
    /// Keeps a pump whose client is gone.
    fn detach(&self, pump: Task) {
        let mut state = self.state();
        state.detached.retain(|task| !task.is_finished());
        state.detached.push(pump);
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.link.state();
        if state.end == End::Reset && state.arrived.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if state.arrived.is_empty() && !state.is_eof {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        while let Some(data) = state.arrived.front_mut().filter(|_| buffer.remaining() > 0) {
            let count = data.len().min(buffer.remaining());
            buffer.put_slice(&data[..count]);
            data.advance(count);
            if data.is_empty() {
                state.arrived.pop_front();
            }
        }
        let count = buffer.filled().len() - before;
        let was_full = state.down.bytes + state.arrived_bytes >= LANE_BYTES_MAX;
        state.arrived_bytes -= count;
        if was_full {
            state.wake_pump();
        }
        drop(state);
        self.link.network.count_received(&self.link.client, count as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let link = &self.link;
        let mut state = link.state();
        if state.end == End::Reset || state.is_eof {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if !state.up.has_room() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut data = BytesMut::with_capacity(slices.iter().map(|slice| slice.len()).sum());
        slices.iter().for_each(|slice| data.extend_from_slice(slice));
        let count = data.len();
        if state.end == End::Open && count > 0 {
            let (latency, passage) = (link.network.latency(), link.passage());
            state.up.send(Parcel::Data(data.freeze()), clock::now(), latency, passage);
            state.wake_pump();
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.close_by_client();
        Poll::Ready(Ok(()))
    }
}
