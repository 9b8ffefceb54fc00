//! Response frames, cut from the stream.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use crate::env::Stream;

/// What small frames share: one read may bring many of them, and the beginning of a large one.
const CHUNK_BYTES: usize = 8 * 1024;
/// Less room than this at the end of the chunk is not worth a read.
const CHUNK_ROOM_MIN: usize = 1024;
/// Given-back buffers that are kept: one for the frame that is being received, one for the next.
const SPARES_MAX: usize = 2;
/// Frames in a row that find no use for the spares after which the spares are let go.
const SPARES_UNUSED_MAX: u32 = 64;
const LENGTH_BYTES: usize = 4;

/// Cuts a stream into frames.
///
/// A frame's announced length is never trusted with memory: its buffer at most doubles with what has arrived. A frame larger
/// than a chunk has a buffer of its own that ends where the frame ends, so that its reader can give it back
/// ([`Incoming::recycle`]); a steady stream of large frames is then received without allocating, growing or copying, and
/// whoever keeps a slice of a frame pins at most twice that frame.
pub(super) struct Incoming {
    chunk: BytesMut,
    large: Option<LargeFrame>,
    spares: Spares,
    frame_bytes_max: usize,
    received_bytes: u64,
}

/// A frame that does not fit into a chunk, as far as it has arrived.
struct LargeFrame {
    body: BytesMut,
    length: usize,
}

/// Why no frame came.
#[derive(Debug)]
pub(super) enum IncomingError {
    /// The peer closed the stream; `mid_frame` when in the middle of a frame.
    Closed {
        mid_frame: bool,
    },
    /// A frame longer than allowed, or of negative length; the first bytes tell what it may have been.
    Length {
        length: i32,
        first_bytes: Vec<u8>,
    },
    Io(io::Error),
}

impl Incoming {
    pub(super) fn new(frame_bytes_max: usize) -> Self {
        Self {
            chunk: BytesMut::new(),
            large: None,
            spares: Spares::default(),
            frame_bytes_max,
            received_bytes: 0,
        }
    }

    /// From the next frame on, frames may have that length.
    pub(super) fn set_frame_bytes_max(&mut self, frame_bytes_max: usize) {
        self.frame_bytes_max = frame_bytes_max;
    }

    /// The next frame, without its length prefix.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut dyn Stream,
    ) -> Poll<Result<Bytes, IncomingError>> {
        loop {
            if let Some(frame) = self.cut()? {
                return Poll::Ready(Ok(frame));
            }
            match ready!(self.poll_read(cx, stream)) {
                Ok(0) => return Poll::Ready(Err(IncomingError::Closed { mid_frame: self.is_mid_frame() })),
                Ok(count) => self.received_bytes += count as u64,
                Err(error) => return Poll::Ready(Err(IncomingError::Io(error))),
            }
        }
    }

    /// Gives a frame's buffer back for a later frame; kept if nobody else holds a part of it.
    pub(super) fn recycle(&mut self, frame: Bytes) {
        if let Ok(buffer) = frame.try_into_mut() {
            self.spares.put(buffer);
        }
    }

    /// Whether a part of a frame has arrived.
    pub(super) fn is_mid_frame(&self) -> bool {
        self.large.is_some() || !self.chunk.is_empty()
    }

    /// Bytes received so far.
    pub(super) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// The next frame, if it has arrived.
    fn cut(&mut self) -> Result<Option<Bytes>, IncomingError> {
        if let Some(large) = self.large.take_if(|large| large.body.len() == large.length) {
            return Ok(Some(large.body.freeze()));
        }
        if self.large.is_some() {
            return Ok(None);
        }
        let Some(length) = self.announced_length()? else { return Ok(None) };
        let complete = LENGTH_BYTES + length;
        if self.chunk.len() >= complete {
            self.spares.count_unused();
            let mut frame = self.chunk.split_to(complete).freeze();
            frame.advance(LENGTH_BYTES);
            return Ok(Some(frame));
        }
        if complete > CHUNK_BYTES {
            // All that is left in the chunk belongs to this frame.
            let mut body =
                self.spares.take(length).unwrap_or_else(|| BytesMut::with_capacity(length.min(CHUNK_BYTES)));
            body.extend_from_slice(&self.chunk[LENGTH_BYTES..]);
            self.chunk.clear();
            self.large = Some(LargeFrame { body, length });
        }
        Ok(None)
    }

    fn announced_length(&self) -> Result<Option<usize>, IncomingError> {
        let Some(prefix) = self.chunk.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = i32::from_be_bytes(*prefix);
        match usize::try_from(length) {
            Ok(length) if length <= self.frame_bytes_max => Ok(Some(length)),
            _ => Err(IncomingError::Length {
                length,
                first_bytes: self.chunk[..self.chunk.len().min(64)].to_vec(),
            }),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, stream: &mut dyn Stream) -> Poll<io::Result<usize>> {
        // A fresh future at each poll: read_buf keeps no state of its own between polls.
        match &mut self.large {
            Some(large) => {
                large.make_room();
                let missing = large.length - large.body.len();
                pin!(stream.read_buf(&mut (&mut large.body).limit(missing))).poll(cx)
            }
            None => {
                if self.chunk.capacity() - self.chunk.len() < CHUNK_ROOM_MIN {
                    self.chunk.reserve(CHUNK_BYTES);
                }
                pin!(stream.read_buf(&mut self.chunk)).poll(cx)
            }
        }
    }
}

impl LargeFrame {
    /// Doubles the buffer when it is full, to the frame's exact length at most.
    fn make_room(&mut self) {
        if self.body.len() == self.body.capacity() {
            let mut grown = BytesMut::with_capacity(self.length.min(2 * self.body.len()));
            grown.extend_from_slice(&self.body);
            self.body = grown;
        }
    }
}

/// Buffers that were given back.
#[derive(Default)]
struct Spares {
    buffers: Vec<BytesMut>,
    /// Frames received since a spare was last of use.
    unused: u32,
}

impl Spares {
    /// Keeps the largest buffers.
    fn put(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        if buffer.capacity() < CHUNK_BYTES {
            return;
        }
        if self.buffers.len() < SPARES_MAX {
            self.buffers.push(buffer);
        } else if let Some(smallest) = self.buffers.iter_mut().min_by_key(|spare| spare.capacity())
            && smallest.capacity() < buffer.capacity()
        {
            *smallest = buffer;
        }
    }

    /// The largest spare that a frame of `length` fills by half at least: who keeps a slice of the frame pins all of the buffer.
    fn take(&mut self, length: usize) -> Option<BytesMut> {
        let fitting = self.buffers.iter().enumerate().filter(|(_, spare)| spare.capacity() / 2 <= length);
        match fitting.max_by_key(|(_, spare)| spare.capacity()) {
            Some((at, _)) => {
                self.unused = 0;
                Some(self.buffers.swap_remove(at))
            }
            None => {
                self.count_unused();
                None
            }
        }
    }

    /// Another frame had no use for the spares: lets them go when that has lasted.
    fn count_unused(&mut self) {
        if self.buffers.is_empty() {
            return;
        }
        self.unused += 1;
        if self.unused > SPARES_UNUSED_MAX {
            self.unused = 0;
            self.buffers.clear();
        }
    }
}

#[cfg(test)]
mod tests;
