//! A message ready for the wire.

use bytes::Bytes;

use crate::records::join;

/// A whole frame, its 4-byte length included, in segments for a vectored write.
#[derive(Clone, Debug)]
pub struct Frame {
    segments: Vec<Bytes>,
    len: usize,
}

impl Frame {
    pub(crate) fn new(segments: Vec<Bytes>) -> Self {
        let len = segments.iter().map(Bytes::len).sum();
        Frame { segments, len }
    }

    /// The segments to write one after another; none is empty.
    pub fn segments(&self) -> &[Bytes] {
        &self.segments
    }

    /// Gives the segments away.
    pub fn into_segments(self) -> Vec<Bytes> {
        self.segments
    }

    /// Bytes in all segments, the length prefix included.
    #[expect(clippy::len_without_is_empty, reason = "a frame has at least its length prefix")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The frame in one piece; copies only where there are several segments.
    pub fn to_bytes(&self) -> Bytes {
        match self.segments.as_slice() {
            [only] => only.clone(),
            segments => join(segments),
        }
    }
}
