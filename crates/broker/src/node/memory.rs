//! Connections without sockets.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::link::Breakage;

/// How many bytes each direction holds before the writer waits, as the buffers of a socket do.
pub(crate) const STREAM_BUFFER_BYTES: usize = 256 * 1024;

/// The client's end of a connection to a node in the same process.
///
/// It behaves like a TCP stream: the writer waits while the buffer is full, and the other end's close is an end of
/// stream for the reader and a broken pipe for the writer. Once a fault has reset it, both see that, the reader after what arrived
/// before.
#[derive(Debug)]
pub struct MemoryStream {
    inner: DuplexStream,
    breakage: Breakage,
}

/// The node's end.
#[derive(Debug)]
pub(crate) struct MemorySocket {
    pub(crate) stream: DuplexStream,
    pub(crate) breakage: Breakage,
}

impl MemoryStream {
    pub(crate) fn pair() -> (Self, MemorySocket) {
        let (inner, stream) = tokio::io::duplex(STREAM_BUFFER_BYTES);
        let breakage = Breakage::default();
        (Self { inner, breakage: breakage.clone() }, MemorySocket { stream, breakage })
    }

    /// What a write comes to: that the other end is gone means less than how it went.
    fn written(&self, result: io::Result<usize>) -> io::Result<usize> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && self.breakage.is_reset() => {
                Err(io::ErrorKind::ConnectionReset.into())
            }
            result => result,
        }
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, has_room) = (buffer.filled().len(), buffer.remaining() > 0);
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        let is_end = matches!(read, Poll::Ready(Ok(()))) && has_room && buffer.filled().len() == before;
        if is_end && self.breakage.is_reset() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        read
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes).map(|result| self.written(result))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices).map(|result| self.written(result))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
