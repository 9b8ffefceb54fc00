//! Frames: a length in four bytes, and as many bytes.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use milena_protocol::Frame;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::sync::Switch;

/// The largest frame before a connection has sent a valid request: enough for any first request of a client, and
/// little for a stranger.
const FIRST_FRAME_BYTES_MAX: usize = 256 * 1024;

/// How long a stranger may take to send its first request: whoever speaks Kafka says something at once.
const FIRST_FRAME_LIMIT: Duration = Duration::from_secs(30);

/// How much is set aside at once for a frame that has been announced but not received; more follows as it comes.
const RESERVED_BYTES_MAX: usize = 1024 * 1024;

/// What a read asks for beside the frame that it waits for.
const READ_AHEAD_BYTES: usize = 32 * 1024;

/// Slices in one vectored write; systems limit them to 1024.
const SLICES_PER_WRITE: usize = 256;

const LENGTH_BYTES: usize = 4;

/// What the connections of a node may have in memory together, in requests that are read or wait to be worked on,
/// where `queued.max.request.bytes` says nothing.
const BUFFERED_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Takes frames from a stream.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
    /// `socket.request.max.bytes`, once the peer has shown that it speaks Kafka.
    bytes_max: usize,
    is_trusted: bool,
    idle_limit: Option<Duration>,
    budget: Option<Budget>,
    /// The share of it that the frame being read has.
    share: Option<OwnedSemaphorePermit>,
}

/// What all connections of a node may have in memory together, one permit for each byte.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    permits: Arc<Semaphore>,
    bytes_max: usize,
}

impl Budget {
    /// So many bytes; a limit of our own without (`queued.max.request.bytes`).
    pub(crate) fn new(bytes_max: Option<usize>) -> Self {
        let bytes_max = bytes_max.unwrap_or(BUFFERED_BYTES_MAX).min(u32::MAX as usize);
        Self { permits: Arc::new(Semaphore::new(bytes_max)), bytes_max }
    }

    /// Waits for a share; a frame larger than all of it takes all.
    async fn acquire(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = bytes.min(self.bytes_max) as u32;
        self.permits.clone().acquire_many_owned(permits).await.ok()
    }
}

/// Why there is no next frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("frame of {len} bytes exceeds the limit of {limit}{}", guess(*.head))]
    TooLong { len: i64, limit: usize, head: [u8; LENGTH_BYTES] },
    #[error("connection ended within a frame")]
    Truncated,
    #[error("idle for longer than connections.max.idle.ms")]
    Idle,
    #[error("no whole frame within {0:?}")]
    TooSlow(Duration),
}

impl FrameError {
    /// Whether the peer broke the protocol, rather than the connection.
    pub(crate) fn is_hostile(&self) -> bool {
        matches!(self, Self::TooLong { .. } | Self::Truncated | Self::TooSlow(_))
    }
}

/// What else the first four bytes look like.
fn guess(head: [u8; LENGTH_BYTES]) -> &'static str {
    match &head {
        b"GET " | b"POST" | b"HEAD" | b"PUT " | b"OPTI" | b"DELE" | b"PATC" | b"CONN" => ": this is HTTP",
        [0x16, 0x03, ..] => ": this is TLS",
        _ => "",
    }
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(stream: R, bytes_max: usize, idle_limit: Option<Duration>) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            bytes_max,
            is_trusted: false,
            idle_limit,
            budget: None,
            share: None,
        }
    }

    /// Has every frame wait for a share of this budget before it is read.
    pub(crate) fn within(self, budget: Budget) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// The last frame's share of the budget.
    pub(crate) fn take_share(&mut self) -> Option<OwnedSemaphorePermit> {
        self.share.take()
    }

    /// The peer has sent a valid request: frames may be as long as configured.
    pub(crate) fn trust(&mut self) {
        self.is_trusted = true;
    }

    /// The next frame without its length, or `None` at the end of the stream. Nothing is read while `deaf` is on.
    ///
    /// A stranger must send its first frame in time, and whoever has begun a frame must end it before it would count
    /// as idle, however often it sends a byte.
    ///
    /// # Cancel safety
    /// Safe: what was read is kept.
    pub(crate) async fn next(&mut self, deaf: &Switch) -> Result<Option<Bytes>, FrameError> {
        deaf.until_off().await;
        match self.is_trusted {
            true => self.read(deaf).await,
            false => timeout(FIRST_FRAME_LIMIT, self.read(deaf))
                .await
                .map_err(|_| FrameError::TooSlow(FIRST_FRAME_LIMIT))?,
        }
    }

    async fn read(&mut self, deaf: &Switch) -> Result<Option<Bytes>, FrameError> {
        if !self.fill(LENGTH_BYTES, deaf).await? {
            return if self.buffer.is_empty() { Ok(None) } else { Err(FrameError::Truncated) };
        }
        let head: [u8; LENGTH_BYTES] = self.buffer[..LENGTH_BYTES].try_into().expect("four bytes are there");
        let limit = if self.is_trusted { self.bytes_max } else { self.bytes_max.min(FIRST_FRAME_BYTES_MAX) };
        let len = match usize::try_from(i32::from_be_bytes(head)) {
            Ok(len) if len <= limit => len,
            _ => return Err(FrameError::TooLong { len: i32::from_be_bytes(head).into(), limit, head }),
        };
        if let Some(budget) = &self.budget
            && self.share.is_none()
        {
            self.share = budget.acquire(len).await;
        }
        let whole = match self.idle_limit {
            Some(limit) => timeout(limit, self.fill(LENGTH_BYTES + len, deaf))
                .await
                .map_err(|_| FrameError::TooSlow(limit))??,
            None => self.fill(LENGTH_BYTES + len, deaf).await?,
        };
        if !whole {
            return Err(FrameError::Truncated);
        }
        self.buffer.advance(LENGTH_BYTES);
        Ok(Some(self.buffer.split_to(len).freeze()))
    }

    /// Reads until there are `len` bytes; false when the stream ends before.
    async fn fill(&mut self, len: usize, deaf: &Switch) -> Result<bool, FrameError> {
        while self.buffer.len() < len {
            deaf.until_off().await;
            let missing = len - self.buffer.len();
            self.buffer.reserve(missing.max(READ_AHEAD_BYTES).min(self.buffer.len().max(RESERVED_BYTES_MAX)));
            let read = self.stream.read_buf(&mut self.buffer);
            let received = match self.idle_limit {
                Some(limit) => tokio::time::timeout(limit, read).await.map_err(|_| FrameError::Idle)??,
                None => read.await?,
            };
            if received == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Writes a whole frame, many slices at a time.
pub(crate) async fn write_frame<W: AsyncWrite + Unpin>(stream: &mut W, frame: &Frame) -> io::Result<()> {
    let mut segments = frame.segments();
    let mut written_of_first = 0;
    while let Some(first) = segments.first() {
        let slices: Vec<IoSlice<'_>> = std::iter::once(&first[written_of_first..])
            .chain(segments[1..].iter().map(|segment| &segment[..]))
            .take(SLICES_PER_WRITE)
            .map(IoSlice::new)
            .collect();
        let mut written = written_of_first + stream.write_vectored(&slices).await?;
        if written == written_of_first && slices.iter().any(|slice| !slice.is_empty()) {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while let Some(first) = segments.first()
            && written >= first.len()
        {
            written -= first.len();
            segments = &segments[1..];
        }
        written_of_first = written;
    }
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use milena_protocol::messages::{ProduceRequest, produce_request::*};
    use milena_protocol::{Records, encode_request};

    async fn read_all(bytes: &[u8], trusted: bool) -> (Vec<Bytes>, Option<FrameError>) {
        let mut reader = FrameReader::new(bytes, 1 << 20, None);
        reader.is_trusted = trusted;
        let mut frames = Vec::new();
        loop {
            match reader.next(&Switch::off()).await {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, None),
                Err(error) => return (frames, Some(error)),
            }
        }
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32).to_be_bytes()[..], body].concat()
    }

    /// What comes of a frame of `len` bytes, of which one arrives every 10 s.
    async fn read_dripping(
        reader: &mut FrameReader<tokio::io::DuplexStream>,
        client: &mut tokio::io::DuplexStream,
        len: usize,
    ) -> Result<Option<Bytes>, FrameError> {
        let drip = async {
            client.write_all(&framed(&vec![0; len])[..4]).await.expect("written");
            loop {
                tokio::time::sleep(Duration::from_secs(10)).await;
                client.write_all(&[0]).await.expect("written");
            }
        };
        let hears = Switch::off();
        tokio::select! {
            biased;
            read = reader.next(&hears) => read,
            () = drip => unreachable!("it never ends"),
        }
    }

    #[tokio::test]
    async fn frames_are_split_wherever_reads_end() {
        let bytes = [framed(b"one"), framed(b""), framed(&[7; 100_000])].concat();
        let (mut client, server) = tokio::io::duplex(97);
        let mut reader = FrameReader::new(server, 1 << 20, None);
        let write = async {
            client.write_all(&bytes).await.expect("written");
            drop(client);
        };
        let read = async {
            let mut lens = Vec::new();
            while let Some(frame) = reader.next(&Switch::off()).await.expect("well-formed") {
                lens.push(frame.len());
            }
            lens
        };
        assert_eq!(tokio::join!(write, read).1, [3, 0, 100_000]);
    }

    #[tokio::test]
    async fn lengths_beyond_the_limit_are_refused_before_they_are_read() {
        for (head, says) in
            [(*b"GET ", "this is HTTP"), ([0x16, 3, 1, 2], "this is TLS"), ([0xFF; 4], "of -1 bytes")]
        {
            let (_, error) = read_all(&head, true).await;
            let error = error.expect("refused");
            assert!(error.to_string().contains(says), "{error}");
            assert!(error.is_hostile());
        }
    }

    #[tokio::test]
    async fn the_first_frame_must_be_small() {
        let large = framed(&vec![0; FIRST_FRAME_BYTES_MAX + 1]);
        assert!(matches!(read_all(&large, false).await.1, Some(FrameError::TooLong { .. })));
        assert_eq!(read_all(&large, true).await.0.len(), 1);
    }

    #[tokio::test]
    async fn an_end_within_a_frame_is_told_from_an_end() {
        assert!(matches!(read_all(&framed(b"abc")[..5], true).await.1, Some(FrameError::Truncated)));
        assert!(matches!(read_all(&[0, 0], true).await.1, Some(FrameError::Truncated)));
        assert!(read_all(&[], true).await.1.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_idle_in_the_end() {
        let (_client, server) = tokio::io::duplex(16);
        let mut reader = FrameReader::new(server, 1 << 20, Some(Duration::from_secs(600)));
        reader.trust();
        assert!(matches!(reader.next(&Switch::off()).await, Err(FrameError::Idle)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_must_say_something_in_time_however_often_it_sends_a_byte() {
        let (mut client, server) = tokio::io::duplex(16);
        let mut reader = FrameReader::new(server, 1 << 20, Some(Duration::from_secs(600)));
        let read = read_dripping(&mut reader, &mut client, 100).await;
        assert!(matches!(read, Err(FrameError::TooSlow(FIRST_FRAME_LIMIT))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_comes_byte_by_byte_ends_with_the_idle_limit() {
        let (mut client, server) = tokio::io::duplex(16);
        let limit = Duration::from_secs(600);
        let mut reader = FrameReader::new(server, 1 << 20, Some(limit));
        reader.trust();
        let read = read_dripping(&mut reader, &mut client, 10_000).await;
        assert!(matches!(read, Err(FrameError::TooSlow(within)) if within == limit));
    }

    #[tokio::test]
    async fn a_frame_waits_for_its_share_of_the_budget() {
        let budget = Budget::new(Some(10));
        let bytes = [framed(&[1; 6]), framed(&[2; 6])].concat();
        let mut reader = FrameReader::new(&bytes[..], 1 << 20, None).within(budget.clone());
        let hears = Switch::off();
        reader.next(&hears).await.expect("read").expect("a frame");
        let share = reader.take_share().expect("it has one");
        assert_eq!((share.num_permits(), budget.permits.available_permits()), (6, 4));
        let mut second = std::pin::pin!(reader.next(&hears));
        assert!(is_pending(second.as_mut()).await, "there is no room for it");
        drop(share);
        second.await.expect("read").expect("a frame");
    }

    /// Whether a future is not done when it is asked once.
    async fn is_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending()))
            .await
    }

    #[tokio::test]
    async fn a_frame_of_many_segments_is_written_whole() {
        let segments = (0..1000u32).map(|index| Bytes::from(vec![index as u8; 1 + index as usize % 7]));
        let records = Some(Records::from_segments(segments));
        let partition_data = vec![PartitionProduceData { records, ..Default::default() }];
        let topic_data = vec![TopicProduceData { partition_data, ..Default::default() }];
        let request = ProduceRequest { topic_data, ..Default::default() };
        let frame = encode_request(1, None, 9, &request).expect("encodes");
        let (mut client, server) = tokio::io::duplex(64);
        let mut reader = FrameReader::new(server, 1 << 20, None);
        let hears = Switch::off();
        let (written, read) = tokio::join!(write_frame(&mut client, &frame), reader.next(&hears));
        written.expect("written");
        assert_eq!(read.expect("read").expect("a frame"), frame.to_bytes().slice(4..));
    }
}
