use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;

use bytes::{Buf, Bytes};
use milena_protocol::{ApiKey, Frame};
use rustix::net::{RecvFlags, recv};

use crate::{Broker, Result, answers, produce};

/// A connection whose requests are read bit by bit, so that what nobody looks at is never copied.
pub(crate) struct Connection {
    socket: TcpStream,
    buffer: Box<[u8]>,
    /// What of the buffer is not used yet.
    begin: usize,
    end: usize,
    /// Where nothing is ever written: the kernel wants to be told of a place.
    nowhere: Box<[u8]>,
}

/// Enough for a request without records.
const BUFFER_LEN: usize = 8 << 10;
const NOWHERE_LEN: usize = 1 << 20;
const FRAME_LEN_MAX: usize = 128 << 20;

/// Answers requests one after another until the client leaves.
pub(crate) fn serve(broker: &Broker, socket: TcpStream) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut connection = Connection {
        socket,
        buffer: vec![0; BUFFER_LEN].into(),
        begin: 0,
        end: 0,
        nowhere: vec![0; NOWHERE_LEN].into(),
    };
    while let Some(len) = connection.next_frame()? {
        let key: [u8; 2] = connection.take()?;
        let frame = match i16::from_be_bytes(key) {
            key if key == ApiKey::Produce.code() => {
                produce::answer(&broker.ends, &mut connection, len - key_len())?
            }
            _ => {
                let mut request = vec![0; len];
                request[..key_len()].copy_from_slice(&key);
                connection.read(&mut request[key_len()..])?;
                Some(answers::answer(broker, Bytes::from(request))?)
            }
        };
        if let Some(frame) = frame {
            connection.write(&frame)?;
        }
    }
    Ok(())
}

const fn key_len() -> usize {
    size_of::<i16>()
}

impl Connection {
    /// The length of the next request; `None` when the client has left.
    fn next_frame(&mut self) -> Result<Option<usize>> {
        if self.begin == self.end && self.fill()? == 0 {
            return Ok(None);
        }
        let len = usize::try_from(i32::from_be_bytes(self.take()?))?;
        if !(key_len()..=FRAME_LEN_MAX).contains(&len) {
            return Err(format!("a request of {len} bytes").into());
        }
        Ok(Some(len))
    }

    pub(crate) fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    fn read(&mut self, mut out: &mut [u8]) -> io::Result<()> {
        while !out.is_empty() {
            if self.begin == self.end && self.fill()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let len = out.len().min(self.end - self.begin);
            out[..len].copy_from_slice(&self.buffer[self.begin..self.begin + len]);
            self.begin += len;
            out = &mut out[len..];
        }
        Ok(())
    }

    /// Passes over so many bytes; those that are still in the kernel are thrown away there.
    pub(crate) fn skip(&mut self, len: usize) -> io::Result<()> {
        let buffered = len.min(self.end - self.begin);
        self.begin += buffered;
        let mut rest = len - buffered;
        while rest > 0 {
            let part = rest.min(NOWHERE_LEN);
            let (_, thrown_away) = recv(&self.socket, &mut self.nowhere[..part], RecvFlags::TRUNC)?;
            if thrown_away == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            rest -= thrown_away;
        }
        Ok(())
    }

    /// Reads what is there into the empty buffer; 0 at the end.
    fn fill(&mut self) -> io::Result<usize> {
        (self.begin, self.end) = (0, self.socket.read(&mut self.buffer)?);
        Ok(self.end)
    }

    fn write(&mut self, frame: &Frame) -> io::Result<()> {
        /// As many as Linux takes at once.
        const SLICES_MAX: usize = 1024;
        let mut segments = frame.segments().to_vec();
        let mut rest = &mut segments[..];
        while !rest.is_empty() {
            let slices: Vec<IoSlice<'_>> =
                rest.iter().take(SLICES_MAX).map(|segment| IoSlice::new(segment)).collect();
            let mut written = self.socket.write_vectored(&slices)?;
            while written > 0 {
                let part = written.min(rest[0].len());
                rest[0].advance(part);
                written -= part;
                if rest[0].is_empty() {
                    rest = &mut rest[1..];
                }
            }
        }
        Ok(())
    }
}
