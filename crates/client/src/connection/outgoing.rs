//! Request frames on their way out.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use milena_protocol::Frame;

use crate::env::Stream;

/// Segments handed to the kernel in one call. Linux takes up to 1,024; beyond a few dozen nothing is gained.
const SEGMENTS_PER_WRITE: usize = 64;

/// Bytes that wait for the socket, in order, each segment owned here until the kernel has copied it.
///
/// A buffer that is on its way cannot be reused by anyone (KAFKA-19012 was a pooled buffer reused while being sent).
#[derive(Default)]
pub(super) struct Outgoing {
    segments: VecDeque<Bytes>,
    queued_bytes: u64,
    written_bytes: u64,
    unflushed: bool,
}

impl Outgoing {
    /// Queues a frame and returns the position in the stream at which it ends.
    pub(super) fn push(&mut self, frame: Frame) -> u64 {
        for segment in frame.into_segments() {
            if !segment.is_empty() {
                self.queued_bytes += segment.len() as u64;
                self.segments.push_back(segment);
            }
        }
        self.queued_bytes
    }

    /// Whether everything queued was written and flushed.
    pub(super) fn is_flushed(&self) -> bool {
        self.segments.is_empty() && !self.unflushed
    }

    /// Bytes queued and not written.
    pub(super) fn pending_bytes(&self) -> u64 {
        self.queued_bytes - self.written_bytes
    }

    /// Whether the stream has taken everything before `end`; if not, a frame that ends there has not left as a whole.
    pub(super) fn has_written(&self, end: u64) -> bool {
        self.written_bytes >= end
    }

    /// Bytes written so far.
    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Writes as much as the socket takes; ready when all is written and flushed.
    pub(super) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut dyn Stream,
    ) -> Poll<io::Result<()>> {
        while !self.segments.is_empty() {
            let written = {
                let mut slices = [IoSlice::new(&[]); SEGMENTS_PER_WRITE];
                let mut count = 0;
                for (slice, segment) in slices.iter_mut().zip(&self.segments) {
                    *slice = IoSlice::new(segment);
                    count += 1;
                }
                ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.advance(written);
        }
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        self.written_bytes += written as u64;
        while let Some(segment) = self.segments.front_mut() {
            if written < segment.len() {
                segment.advance(written);
                return;
            }
            written -= segment.len();
            self.segments.pop_front();
        }
    }
}
