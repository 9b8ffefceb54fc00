//! Tests of the frame cutter.

use std::future::poll_fn;
use std::io::Cursor;

use super::*;

async fn frame(incoming: &mut Incoming, stream: &mut dyn Stream) -> Result<Bytes, IncomingError> {
    poll_fn(|cx| incoming.poll_frame(cx, stream)).await
}

fn wire(frames: &[&[u8]]) -> Cursor<Vec<u8>> {
    let mut bytes = Vec::new();
    for frame in frames {
        bytes.extend((frame.len() as i32).to_be_bytes());
        bytes.extend_from_slice(frame);
    }
    Cursor::new(bytes)
}

/// A stream that gives at most `step` bytes at each read.
struct Trickle {
    bytes: Cursor<Vec<u8>>,
    step: usize,
}

impl tokio::io::AsyncRead for Trickle {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.step.min(buffer.remaining()).min(self.bytes.remaining());
        let mut piece = vec![0; count];
        self.bytes.copy_to_slice(&mut piece);
        buffer.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncWrite for Trickle {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn frames_are_cut_whatever_their_sizes_and_wherever_reads_end() {
    let sizes =
        [3, 0, 300_000, 4, CHUNK_BYTES - LENGTH_BYTES, CHUNK_BYTES, 1, 20_000, CHUNK_BYTES - 7, 2, 70_000];
    let frames: Vec<Vec<u8>> =
        sizes.iter().enumerate().map(|(index, size)| vec![index as u8; *size]).collect();
    let all: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    for step in [1, 2, 3, 5, 1_000, CHUNK_BYTES - 1, CHUNK_BYTES, 1 << 20] {
        let mut stream = Trickle { bytes: wire(&all), step };
        let mut incoming = Incoming::new(1 << 20);
        for (index, expected) in frames.iter().enumerate() {
            let frame = frame(&mut incoming, &mut stream).await.unwrap();
            assert!(frame == *expected, "frame {index} at reads of {step} bytes");
            if index % 2 == 0 {
                incoming.recycle(frame);
            }
        }
        let end = frame(&mut incoming, &mut stream).await;
        assert!(matches!(end, Err(IncomingError::Closed { mid_frame: false })));
        let total: usize = sizes.iter().map(|size| size + LENGTH_BYTES).sum();
        assert_eq!(incoming.received_bytes(), total as u64);
    }
}

#[tokio::test]
async fn an_announced_length_is_not_trusted_with_memory() {
    for arrived in [0, 1_000, 100_000] {
        let mut bytes = 1_000_000_000i32.to_be_bytes().to_vec();
        bytes.extend(vec![0; arrived]);
        let mut incoming = Incoming::new(usize::MAX);
        let end = frame(&mut incoming, &mut Cursor::new(bytes)).await;
        assert!(matches!(end, Err(IncomingError::Closed { mid_frame: true })));
        let capacity = incoming.large.unwrap().body.capacity();
        assert!(capacity <= CHUNK_BYTES.max(2 * arrived), "{capacity} for {arrived} bytes");
    }
}

#[tokio::test]
async fn impossible_lengths_are_errors() {
    for length in [-1, i32::MIN, 101] {
        let mut stream = Cursor::new(length.to_be_bytes().to_vec());
        let end = frame(&mut Incoming::new(100), &mut stream).await;
        assert!(matches!(end, Err(IncomingError::Length { length: l, .. }) if l == length));
    }
}

#[tokio::test]
async fn large_frames_that_are_given_back_are_received_without_growing() {
    // As a fetch loop does that is one fetch ahead: one frame is read while the one before it is in use.
    let mut incoming = Incoming::new(1 << 20);
    let mut in_use: Option<Bytes> = None;
    let mut buffers = std::collections::BTreeSet::new();
    for round in 0..50usize {
        let body = vec![round as u8; 300_000 - 1_000 * (round % 7)];
        let received = frame(&mut incoming, &mut wire(&[&body])).await.unwrap();
        assert!(received == body);
        if round >= 10 {
            buffers.insert(received.as_ptr() as usize);
        }
        if let Some(before) = in_use.replace(received) {
            incoming.recycle(before);
        }
    }
    assert_eq!(buffers.len(), 2, "two buffers take turns once they have their size");
}

#[tokio::test]
async fn a_large_frame_has_its_buffer_for_itself_even_between_small_ones() {
    let large = vec![7; 100_000];
    let mut stream = wire(&[b"before", &large, b"behind"]);
    let mut incoming = Incoming::new(1 << 20);
    let before = frame(&mut incoming, &mut stream).await.unwrap();
    let received = frame(&mut incoming, &mut stream).await.unwrap();
    let behind = frame(&mut incoming, &mut stream).await.unwrap();
    assert_eq!(received.len(), large.len());
    let buffer = received.try_into_mut().expect("no other frame shares the buffer");
    assert_eq!(buffer.capacity(), large.len(), "no larger than the frame");
    assert_eq!((&before[..], &behind[..]), (&b"before"[..], &b"behind"[..]));
}

#[tokio::test]
async fn a_spare_larger_than_its_frame_takes_nothing_of_the_next_one() {
    let mut incoming = Incoming::new(1 << 20);
    let first = frame(&mut incoming, &mut wire(&[&vec![1; 300_000]])).await.unwrap();
    incoming.recycle(first);
    let mut stream = wire(&[&vec![2; 200_000], b"next", &vec![3; 250_000]]);
    assert!(frame(&mut incoming, &mut stream).await.unwrap() == vec![2; 200_000]);
    assert!(frame(&mut incoming, &mut stream).await.unwrap() == "next");
    assert!(frame(&mut incoming, &mut stream).await.unwrap() == vec![3; 250_000]);
}

#[tokio::test]
async fn a_small_frame_does_not_pin_a_large_buffer() {
    let mut incoming = Incoming::new(1 << 20);
    let large = frame(&mut incoming, &mut wire(&[&vec![1; 1_000_000]])).await.unwrap();
    incoming.recycle(large);
    for length in [10, 10_000, 100_000] {
        let small = frame(&mut incoming, &mut wire(&[&vec![2; length]])).await.unwrap();
        let pinned = small.try_into_mut().map_or(CHUNK_BYTES, |buffer| buffer.capacity());
        assert!(pinned <= CHUNK_BYTES.max(2 * length), "{length} bytes pin {pinned}");
    }
}

#[tokio::test]
async fn spares_are_let_go_when_frames_have_become_small() {
    let mut incoming = Incoming::new(1 << 20);
    let large = frame(&mut incoming, &mut wire(&[&vec![1; 1_000_000]])).await.unwrap();
    incoming.recycle(large);
    for _ in 0..=SPARES_UNUSED_MAX {
        assert_eq!(incoming.spares.buffers.len(), 1);
        frame(&mut incoming, &mut wire(&[b"small"])).await.unwrap();
    }
    assert!(incoming.spares.buffers.is_empty());
}
