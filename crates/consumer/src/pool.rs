//! Buffers on their way back to where they are filled again.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Bytes of decompression buffers that are kept for reuse.
const POOL_BYTES_MAX: usize = 4 << 20;
/// How many buffers are kept at most.
const POOL_BUFFERS_MAX: usize = 64;
/// Frames that wait to be received into again; a connection keeps as many.
const FRAMES_MAX: usize = 2;

/// Decompression buffers that nobody uses just now.
#[derive(Debug)]
pub(crate) struct BufferPool {
    buffers: Mutex<Pooled>,
}

#[derive(Debug)]
struct Pooled {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Default for BufferPool {
    fn default() -> Self {
        Self { buffers: Mutex::new(Pooled { buffers: Vec::with_capacity(POOL_BUFFERS_MAX), bytes: 0 }) }
    }
}

impl BufferPool {
    /// An empty buffer, with room from an earlier use if there is one.
    pub(crate) fn take(&self) -> Vec<u8> {
        let mut pooled = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = pooled.buffers.pop().unwrap_or_default();
        pooled.bytes -= buffer.capacity();
        buffer
    }

    /// Keeps a buffer, unless enough are kept.
    pub(crate) fn put(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut pooled = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room =
            pooled.buffers.len() < POOL_BUFFERS_MAX && pooled.bytes + buffer.capacity() <= POOL_BYTES_MAX;
        if buffer.capacity() > 0 && has_room {
            pooled.bytes += buffer.capacity();
            pooled.buffers.push(buffer);
        }
    }
}

/// Frames whose last slice is gone, on their way back to the connection that receives into them again.
#[derive(Debug)]
pub(crate) struct FrameReturn {
    frames: Mutex<Vec<Bytes>>,
}

impl Default for FrameReturn {
    fn default() -> Self {
        Self { frames: Mutex::new(Vec::with_capacity(FRAMES_MAX)) }
    }
}

impl FrameReturn {
    /// The next frame that came back.
    pub(crate) fn pop(&self) -> Option<Bytes> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// What a frame that nobody slices yet occupies: all of the buffer that it was received into, which may have been that of a larger
/// one before.
pub(crate) fn occupied_bytes(frame: &mut Bytes) -> usize {
    match std::mem::take(frame).try_into_mut() {
        Ok(buffer) => {
            let capacity = buffer.capacity();
            *frame = buffer.freeze();
            capacity
        }
        // It has only a part of a buffer, which small frames share.
        Err(part) => {
            *frame = part;
            frame.len()
        }
    }
}

/// Held by everything that slices one frame; the last one to let go sends the frame back.
///
/// Whoever has slices drops them before the lease.
#[derive(Debug)]
pub(crate) struct FrameLease {
    frame: Bytes,
    home: Arc<FrameReturn>,
}

impl FrameLease {
    pub(crate) fn new(frame: Bytes, home: Arc<FrameReturn>) -> Arc<Self> {
        Arc::new(Self { frame, home })
    }
}

impl Drop for FrameLease {
    fn drop(&mut self) {
        let mut frames = self.home.frames.lock().unwrap_or_else(PoisonError::into_inner);
        if frames.len() < FRAMES_MAX {
            frames.push(std::mem::take(&mut self.frame));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Failure 1: a pooled buffer reused while somebody still used it.
    #[test]
    fn a_frame_comes_back_alone_when_its_last_slice_is_gone() {
        let home = Arc::new(FrameReturn::default());
        let frame = Bytes::from(vec![1; 100]);
        let slice = frame.slice(10..20);
        let lease = FrameLease::new(frame, home.clone());
        let other = lease.clone();
        drop(lease);
        assert!(home.pop().is_none());
        drop(slice);
        drop(other);
        assert!(home.pop().is_some_and(|frame| frame.try_into_mut().is_ok()));
    }

    #[test]
    fn a_frame_occupies_all_of_the_buffer_that_it_is_in_and_is_not_copied() {
        let mut buffer = bytes::BytesMut::with_capacity(10_000);
        buffer.extend_from_slice(b"frame");
        let mut frame = buffer.freeze();
        let address = frame.as_ptr();
        assert!(occupied_bytes(&mut frame) >= 10_000);
        assert_eq!((frame.as_ptr(), &frame[..]), (address, &b"frame"[..]));
        let _slice = frame.slice(..2);
        assert_eq!(occupied_bytes(&mut frame), 5);
    }

    #[test]
    fn the_pool_keeps_a_bounded_number_of_bytes() {
        let pool = BufferPool::default();
        pool.put(Vec::with_capacity(POOL_BYTES_MAX));
        pool.put(Vec::with_capacity(1));
        assert!(pool.take().capacity() >= POOL_BYTES_MAX);
        assert_eq!(pool.take().capacity(), 0);
    }
}
