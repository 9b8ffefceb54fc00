use std::io::{IoSlice, Read, Write};
use std::net::TcpStream;

use bytes::{Bytes, BytesMut};
use milena_protocol::Frame;
use peer_common::Result;

/// A connection whose answers are read into a buffer that is used again.
pub(crate) struct Socket {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Socket {
    pub(crate) fn connect(bootstrap: &str) -> Result<Self> {
        let stream = TcpStream::connect(bootstrap)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::new() })
    }

    pub(crate) fn write(&mut self, frame: &Frame) -> Result<()> {
        let mut slices: Vec<IoSlice<'_>> =
            frame.segments().iter().map(|segment| IoSlice::new(segment)).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let written = self.stream.write_vectored(rest)?;
            IoSlice::advance_slices(&mut rest, written);
        }
        Ok(())
    }

    /// The next answer, without its length.
    pub(crate) fn read(&mut self) -> Result<Bytes> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len)?;
        let len = u32::from_be_bytes(len) as usize;
        let mut buffer = std::mem::take(&mut self.buffer);
        // Only what was never used is zeroed.
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        self.stream.read_exact(&mut buffer[..len])?;
        Ok(buffer.freeze().slice(..len))
    }

    /// Takes the answer's buffer back, if nothing of it is held any more.
    pub(crate) fn give_back(&mut self, answer: Bytes) {
        if let Ok(buffer) = answer.try_into_mut() {
            self.buffer = buffer;
        }
    }
}
