//! What goes out over a connection: at once, or late where faults say so.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use milena_protocol::{ApiKey, Frame};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::select;
use tokio::time::{Instant, sleep_until};

use super::connection::Hangup;
use super::frame::write_frame;
use super::link::Link;
use crate::clock::later;
use crate::fault::{Direction, FaultRecord, Passage, passing_time};
use crate::shared::Shared;

/// How many late bytes there may be before no more requests are worked on, as the buffers of a socket.
const LATE_BYTES_MAX: usize = 256 * 1024;

/// How often in a second slow bytes are written.
const WRITES_PER_SECOND: u64 = 10;

/// The way to the client. Without faults everything is written at once, and nothing is kept here.
pub(crate) struct Outbox<'a, W> {
    shared: &'a Shared,
    link: &'a Link,
    stream: W,
    late: VecDeque<Late>,
    late_bytes: usize,
}

/// An answer that is not written at once.
struct Late {
    bytes: Bytes,
    held_by: Vec<Arc<FaultRecord>>,
    begins_at: Instant,
    bytes_per_second: Option<u64>,
    /// When its next bytes have got through, if they are slow and have begun to.
    next_at: Option<Instant>,
    end: Option<End>,
}

/// How the connection ends after an answer.
enum End {
    Close,
    Reset,
}

impl<'a, W: AsyncWrite + Unpin> Outbox<'a, W> {
    pub(crate) fn new(shared: &'a Shared, link: &'a Link, stream: W) -> Self {
        Self { shared, link, stream, late: VecDeque::new(), late_bytes: 0 }
    }

    /// Sends an answer, or has it sent later, as the rules for connections say.
    pub(crate) async fn send(&mut self, api: Option<ApiKey>, frame: &Frame) -> Result<(), Hangup> {
        let passage = self.shared.passage(self.link.subject(api), Direction::Down);
        if passage.is_none() && self.late.is_empty() {
            return write_frame(&mut self.stream, frame).await.map_err(Hangup::Write);
        }
        let late = Late::new(frame.to_bytes(), passage.unwrap_or_default(), self.shared.clock.instant());
        self.late_bytes += late.bytes.len();
        self.late.push_back(late);
        while self.late_bytes > LATE_BYTES_MAX {
            self.advance().await?;
        }
        Ok(())
    }

    /// Sends half of an answer, after all that is late.
    pub(crate) async fn send_half(&mut self, frame: &Frame) -> Result<(), Hangup> {
        self.flush().await?;
        let bytes = frame.to_bytes();
        self.stream.write_all(&bytes[..bytes.len() / 2]).await.map_err(Hangup::Write)?;
        self.stream.flush().await.map_err(Hangup::Write)
    }

    /// Returns when nothing is late any more.
    pub(crate) async fn flush(&mut self) -> Result<(), Hangup> {
        while !self.late.is_empty() {
            self.advance().await?;
        }
        Ok(())
    }

    /// Returns what `work` does, and goes on sending meanwhile.
    pub(crate) async fn during<F: Future>(&mut self, mut work: Pin<&mut F>) -> Result<F::Output, Hangup> {
        while !self.late.is_empty() {
            select! {
                biased;
                advanced = self.advance() => advanced?,
                done = &mut work => return Ok(done),
            }
        }
        Ok(work.await)
    }

    /// Waits for the first of what is late, and sends some of it.
    ///
    /// # Cancel safety
    /// Safe: what was sent is no longer here.
    async fn advance(&mut self) -> Result<(), Hangup> {
        let Some(late) = self.late.front_mut() else { return Ok(()) };
        self.shared.faults.removed(&late.held_by).await;
        late.held_by.clear();
        sleep_until(late.begins_at).await;
        if !late.bytes.is_empty() {
            let due = late.due(self.shared.clock.instant()).await;
            let written = self.stream.write(&late.bytes[..due]).await.map_err(Hangup::Write)?;
            if written == 0 {
                return Err(Hangup::Write(std::io::ErrorKind::WriteZero.into()));
            }
            late.bytes.advance(written);
            late.next_at = None;
            self.late_bytes -= written;
            self.stream.flush().await.map_err(Hangup::Write)?;
        }
        if late.bytes.is_empty() {
            match self.late.pop_front().and_then(|late| late.end) {
                Some(End::Close) => return Err(Hangup::Fault),
                Some(End::Reset) => return Err(self.link.reset()),
                None => {}
            }
        }
        Ok(())
    }
}

impl Late {
    fn new(frame: Bytes, passage: Passage, now: Instant) -> Self {
        let Passage { held_by, delay, bytes_per_second, keep_bytes, is_reset } = passage;
        let whole = frame.len();
        let keep = match (keep_bytes, is_reset) {
            (Some(keep), _) => keep.min(whole.saturating_sub(1)),
            (None, true) => 0,
            (None, false) => whole,
        };
        let end = match (is_reset, keep < whole) {
            (true, _) => Some(End::Reset),
            (false, true) => Some(End::Close),
            (false, false) => None,
        };
        Self {
            bytes: frame.slice(..keep),
            held_by,
            begins_at: later(now, delay),
            bytes_per_second,
            next_at: None,
            end,
        }
    }

    /// Returns how many bytes get through, once they have.
    async fn due(&mut self, now: Instant) -> usize {
        let Some(rate) = self.bytes_per_second else { return self.bytes.len() };
        let some = usize::try_from(rate / WRITES_PER_SECOND).unwrap_or(usize::MAX).clamp(1, self.bytes.len());
        sleep_until(*self.next_at.get_or_insert_with(|| later(now, passing_time(some, rate)))).await;
        some
    }
}
