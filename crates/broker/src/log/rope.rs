//! The bytes of a segment: a file in memory, made of shared slices.
//!
//! Large record sections stay slices of the frame in which they came, so storing them copies nothing; small batches
//! are gathered, so that reading many of them needs few slices and a small batch does not pin a large frame.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Batches below this many bytes are copied together; a slice of their own costs more than the copy.
const GATHER_BELOW: usize = 16 * 1024;

/// A gathered part grows to this many bytes, then a new one begins.
const PART_BYTES_MAX: usize = 1024 * 1024;

/// Append-only bytes with positions, readable as shared slices.
#[derive(Debug, Default)]
pub(crate) struct Rope {
    parts: VecDeque<Part>,
    len: usize,
}

#[derive(Debug)]
struct Part {
    start: usize,
    bytes: Bytes,
}

impl Part {
    fn end(&self) -> usize {
        self.start + self.bytes.len()
    }
}

impl Rope {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Appends `head` (copied) and `tail` (shared, unless both together are small).
    pub(crate) fn append(&mut self, head: &[u8], tail: Bytes) {
        if head.len() + tail.len() < GATHER_BELOW {
            self.gather(head, &tail);
        } else {
            self.push(Bytes::copy_from_slice(head));
            self.push(tail);
        }
    }

    /// The bytes from `from` up to `to`, as slices in order.
    ///
    /// Both must lie within the rope.
    pub(crate) fn slices(&self, from: usize, to: usize) -> impl Iterator<Item = Bytes> + '_ {
        let first = self.parts.partition_point(|part| part.end() <= from);
        self.parts.range(first..).take_while(move |part| part.start < to).map(move |part| {
            let begin = from.max(part.start) - part.start;
            let end = to.min(part.end()) - part.start;
            part.bytes.slice(begin..end)
        })
    }

    /// The bytes from `from` up to `to` in one piece; copies when they lie in several parts.
    pub(crate) fn contiguous(&self, from: usize, to: usize) -> Bytes {
        let mut slices = self.slices(from, to);
        let Some(first) = slices.next() else { return Bytes::new() };
        if first.len() == to - from {
            return first;
        }
        let mut joined = BytesMut::with_capacity(to - from);
        joined.extend_from_slice(&first);
        slices.for_each(|slice| joined.extend_from_slice(&slice));
        joined.freeze()
    }

    /// Drops everything from position `len` on.
    pub(crate) fn truncate(&mut self, len: usize) {
        while let Some(last) = self.parts.back_mut() {
            if last.end() <= len {
                break;
            }
            if last.start >= len {
                self.parts.pop_back();
            } else {
                last.bytes.truncate(len - last.start);
            }
        }
        self.len = self.len.min(len);
    }

    /// Replaces the byte at `position`; whoever reads already keeps what it has.
    pub(crate) fn replace(&mut self, position: usize, change: impl FnOnce(u8) -> u8) {
        let index = self.parts.partition_point(|part| part.end() <= position);
        if let Some(part) = self.parts.get_mut(index) {
            let mut copy = BytesMut::from(&part.bytes[..]);
            copy[position - part.start] = change(copy[position - part.start]);
            part.bytes = copy.freeze();
        }
    }

    fn push(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let start = self.len;
        self.len += bytes.len();
        self.parts.push_back(Part { start, bytes });
    }

    /// Extends the last part in place where nobody else reads it, else begins another.
    fn gather(&mut self, head: &[u8], tail: &[u8]) {
        let size = head.len() + tail.len();
        if let Some(last) = self.parts.back_mut()
            && last.bytes.len() + size <= PART_BYTES_MAX
        {
            match std::mem::take(&mut last.bytes).try_into_mut() {
                Ok(mut open) => {
                    open.extend_from_slice(head);
                    open.extend_from_slice(tail);
                    last.bytes = open.freeze();
                    self.len += size;
                    return;
                }
                Err(shared) => last.bytes = shared,
            }
        }
        let mut joined = BytesMut::with_capacity(size);
        joined.extend_from_slice(head);
        joined.extend_from_slice(tail);
        self.push(joined.freeze());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(rope: &Rope) -> Vec<u8> {
        rope.slices(0, rope.len()).flatten().collect()
    }

    #[test]
    fn small_batches_are_gathered_into_one_part() {
        let mut rope = Rope::default();
        for index in 0..100u8 {
            rope.append(&[index; 3], Bytes::from(vec![index; 5]));
        }
        assert_eq!(rope.len(), 800);
        assert_eq!(rope.slices(0, 800).count(), 1);
        assert_eq!(all(&rope), (0..100u8).flat_map(|index| [index; 8]).collect::<Vec<_>>());
    }

    #[test]
    fn a_part_that_is_being_read_is_never_changed() {
        let mut rope = Rope::default();
        rope.append(b"head", Bytes::from_static(b"tail"));
        let held: Vec<Bytes> = rope.slices(0, 8).collect();
        rope.append(b"more", Bytes::new());
        assert_eq!(held, [Bytes::from_static(b"headtail")]);
        assert_eq!(all(&rope), b"headtailmore");
    }

    #[test]
    fn a_large_tail_is_not_copied() {
        let mut rope = Rope::default();
        let tail = Bytes::from(vec![7; GATHER_BELOW]);
        rope.append(b"head", tail.clone());
        let stored = rope.slices(4, rope.len()).next().expect("the tail is there");
        assert_eq!(stored.as_ptr(), tail.as_ptr());
    }

    #[test]
    fn slices_cross_parts_and_truncate_cuts_within_one() {
        let mut rope = Rope::default();
        rope.append(b"abc", Bytes::from(vec![b'x'; GATHER_BELOW]));
        rope.append(b"def", Bytes::new());
        assert_eq!(rope.contiguous(1, 5), Bytes::from_static(b"bcxx"));
        assert_eq!(rope.contiguous(rope.len() - 4, rope.len()), Bytes::from_static(b"xdef"));
        rope.truncate(5);
        assert_eq!(all(&rope), b"abcxx");
        rope.append(b"!", Bytes::new());
        assert_eq!(all(&rope), b"abcxx!");
        rope.truncate(0);
        assert_eq!((rope.len(), all(&rope)), (0, vec![]));
    }

    #[test]
    fn replace_changes_one_byte() {
        let mut rope = Rope::default();
        rope.append(b"abc", Bytes::from_static(b"def"));
        rope.replace(4, |byte| byte ^ 1);
        assert_eq!(all(&rope), b"abcddf");
    }
}
