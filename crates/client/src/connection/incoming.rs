//! Response frames, cut from the stream.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use crate::env::Stream;

/// Room that a read finds at least: holds many small responses.
const READ_BYTES_MIN: usize = 8 * 1024;
/// Given-back buffers that are kept.
const SPARES_MAX: usize = 2;
const LENGTH_BYTES: usize = 4;

/// Cuts a stream into frames.
///
/// A frame's announced length is never trusted with memory: the buffer at most doubles with what has arrived. Buffers that
/// their reader gives back by [`Incoming::recycle`] have their full size already, so a steady stream of large frames is
/// received without growing or copying.
pub(super) struct Incoming {
    buffer: BytesMut,
    spares: Vec<BytesMut>,
    frame_bytes_max: usize,
    received_bytes: u64,
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
        Self { buffer: BytesMut::new(), spares: Vec::new(), frame_bytes_max, received_bytes: 0 }
    }

    /// The next frame, without its length prefix.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut dyn Stream,
    ) -> Poll<Result<Bytes, IncomingError>> {
        loop {
            let frame_bytes = match self.announced_length()? {
                Some(length) if self.buffer.len() >= LENGTH_BYTES + length => {
                    return Poll::Ready(Ok(self.take_frame(length)));
                }
                Some(length) => Some(LENGTH_BYTES + length),
                None => None,
            };
            self.make_room(frame_bytes);
            // A fresh future at each poll: read_buf keeps no state of its own between polls.
            let read = ready!(pin!(stream.read_buf(&mut self.buffer)).poll(cx));
            match read {
                Ok(0) => {
                    let mid_frame = !self.buffer.is_empty();
                    return Poll::Ready(Err(IncomingError::Closed { mid_frame }));
                }
                Ok(count) => self.received_bytes += count as u64,
                Err(error) => return Poll::Ready(Err(IncomingError::Io(error))),
            }
        }
    }

    /// Gives a frame's buffer back for a later frame; kept if nobody else holds a part of it.
    pub(super) fn recycle(&mut self, frame: Bytes) {
        if self.spares.len() < SPARES_MAX
            && let Ok(mut buffer) = frame.try_into_mut()
        {
            buffer.clear();
            self.spares.push(buffer);
        }
    }

    /// Bytes received so far.
    pub(super) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    fn announced_length(&self) -> Result<Option<usize>, IncomingError> {
        let Some(prefix) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = i32::from_be_bytes(*prefix);
        match usize::try_from(length) {
            Ok(length) if length <= self.frame_bytes_max => Ok(Some(length)),
            _ => Err(IncomingError::Length {
                length,
                first_bytes: self.buffer[..self.buffer.len().min(64)].to_vec(),
            }),
        }
    }

    fn take_frame(&mut self, length: usize) -> Bytes {
        let mut frame = if self.buffer.len() == LENGTH_BYTES + length {
            // The whole buffer goes with the frame, so that it can come back whole.
            std::mem::take(&mut self.buffer).freeze()
        } else {
            self.buffer.split_to(LENGTH_BYTES + length).freeze()
        };
        frame.advance(LENGTH_BYTES);
        frame
    }

    fn make_room(&mut self, frame_bytes: Option<usize>) {
        if self.buffer.is_empty()
            && self.buffer.capacity() == 0
            && let Some(spare) = self.spares.pop()
        {
            self.buffer = spare;
        }
        let room = self.buffer.capacity() - self.buffer.len();
        let missing = frame_bytes.map_or(0, |bytes| bytes - self.buffer.len());
        let wanted = match missing {
            0 => READ_BYTES_MIN,
            missing => missing.min(self.buffer.len().max(READ_BYTES_MIN)),
        };
        if room == 0 || (missing > room && room < READ_BYTES_MIN) {
            self.buffer.reserve(wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn frame(incoming: &mut Incoming, stream: &mut dyn Stream) -> Result<Bytes, IncomingError> {
        poll_fn(|cx| incoming.poll_frame(cx, stream)).await
    }

    fn wire(frames: &[&[u8]]) -> std::io::Cursor<Vec<u8>> {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend((frame.len() as i32).to_be_bytes());
            bytes.extend_from_slice(frame);
        }
        std::io::Cursor::new(bytes)
    }

    #[tokio::test]
    async fn frames_are_cut_whatever_their_sizes() {
        let large = vec![7u8; 300_000];
        let mut stream = wire(&[b"one", b"", &large, b"four"]);
        let mut incoming = Incoming::new(1 << 20);
        assert_eq!(frame(&mut incoming, &mut stream).await.unwrap(), "one");
        assert_eq!(frame(&mut incoming, &mut stream).await.unwrap(), "");
        assert_eq!(frame(&mut incoming, &mut stream).await.unwrap(), large);
        assert_eq!(frame(&mut incoming, &mut stream).await.unwrap(), "four");
        let end = frame(&mut incoming, &mut stream).await;
        assert!(matches!(end, Err(IncomingError::Closed { mid_frame: false })));
    }

    #[tokio::test]
    async fn an_announced_length_is_not_trusted_with_memory() {
        let mut bytes = 1_000_000_000i32.to_be_bytes().to_vec();
        bytes.extend([0; 1_000]);
        let mut stream = std::io::Cursor::new(bytes);
        let mut incoming = Incoming::new(usize::MAX);
        let end = frame(&mut incoming, &mut stream).await;
        assert!(matches!(end, Err(IncomingError::Closed { mid_frame: true })));
        assert!(incoming.buffer.capacity() <= 4 * READ_BYTES_MIN, "{}", incoming.buffer.capacity());
    }

    #[tokio::test]
    async fn impossible_lengths_are_errors() {
        for length in [-1, i32::MIN, 101] {
            let mut stream = std::io::Cursor::new(length.to_be_bytes().to_vec());
            let end = frame(&mut Incoming::new(100), &mut stream).await;
            assert!(matches!(end, Err(IncomingError::Length { length: l, .. }) if l == length));
        }
    }

    #[tokio::test]
    async fn a_recycled_buffer_receives_the_next_frame_without_growing() {
        let large = vec![7u8; 300_000];
        let mut stream = wire(&[&large, &large]);
        let mut incoming = Incoming::new(1 << 20);
        // Read by exact frames, as one long poll at a time does.
        let first_half = stream.get_ref().len() / 2;
        let second = stream.get_mut().split_off(first_half);
        let first = frame(&mut incoming, &mut stream).await.unwrap();
        let address = first.as_ptr();
        incoming.recycle(first);
        let mut stream = std::io::Cursor::new(second);
        let again = frame(&mut incoming, &mut stream).await.unwrap();
        assert_eq!(again.as_ptr(), address);
        assert_eq!(again, large);
    }
}
