//! The value of a `records` field.

use std::fmt;
use std::slice;

use bytes::{Bytes, BytesMut};

/// Record batches as they are on the wire: bytes in one or several segments, which count as one sequence.
///
/// Encoding puts the segments into the frame as they are; only short ones are copied, which is cheaper than one
/// more segment in a vectored write.
#[derive(Clone, Default)]
pub struct Records {
    segments: Segments,
}

#[derive(Clone)]
enum Segments {
    One(Bytes),
    Many(Vec<Bytes>),
}

impl Records {
    /// No bytes.
    pub const fn new() -> Self {
        Records { segments: Segments::One(Bytes::new()) }
    }

    /// Several segments that follow one another, such as batch headers and their sections.
    pub fn from_segments(segments: impl IntoIterator<Item = Bytes>) -> Self {
        Records { segments: Segments::Many(segments.into_iter().filter(|bytes| !bytes.is_empty()).collect()) }
    }

    /// Bytes in all segments.
    pub fn len(&self) -> usize {
        self.segments().iter().map(Bytes::len).sum()
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.segments().iter().all(Bytes::is_empty)
    }

    /// The segments, in order.
    pub fn segments(&self) -> &[Bytes] {
        match &self.segments {
            Segments::One(bytes) => slice::from_ref(bytes),
            Segments::Many(segments) => segments,
        }
    }

    /// All bytes in one piece; copies only where there are several segments.
    pub fn into_bytes(self) -> Bytes {
        match self.segments {
            Segments::One(bytes) => bytes,
            Segments::Many(mut segments) if segments.len() == 1 => segments.remove(0),
            Segments::Many(segments) => join(&segments),
        }
    }
}

/// Copies segments into one.
pub(crate) fn join(segments: &[Bytes]) -> Bytes {
    let mut joined = BytesMut::with_capacity(segments.iter().map(Bytes::len).sum());
    for segment in segments {
        joined.extend_from_slice(segment);
    }
    joined.freeze()
}

impl Default for Segments {
    fn default() -> Self {
        Segments::One(Bytes::new())
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Records { segments: Segments::One(bytes) }
    }
}

/// Equal when the bytes are; how they are cut does not matter.
impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        self.segments().iter().flatten().eq(other.segments().iter().flatten())
    }
}

impl Eq for Records {}

/// Tells the length only: the bytes are the application's.
impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Records({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_equal_however_they_are_cut() {
        let whole = Records::from(Bytes::from_static(b"abcdef"));
        let cut = Records::from_segments([&b"ab"[..], b"", b"cdef"].map(Bytes::from_static));
        assert_eq!(whole, cut);
        assert_eq!((cut.len(), cut.segments().len()), (6, 2));
        assert_ne!(cut, Records::from(Bytes::from_static(b"abcdeg")));
        assert_eq!(cut.into_bytes(), "abcdef");
    }

    #[test]
    fn one_segment_is_given_back_without_a_copy() {
        let bytes = Bytes::from(vec![1, 2, 3]);
        assert_eq!(Records::from(bytes.clone()).into_bytes().as_ptr(), bytes.as_ptr());
        assert_eq!(Records::from_segments([bytes.clone()]).into_bytes().as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn no_records_are_empty() {
        assert!(Records::new().is_empty());
        assert!(Records::from_segments([]).is_empty());
        assert_eq!(Records::new(), Records::from_segments([]));
    }
}
