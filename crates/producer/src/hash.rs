//! A hash for topic names, which the application chooses: quick, and the same in every run.

use std::hash::{BuildHasher, Hasher};

/// Builds [`TopicNameHasher`]s.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TopicNameHash;

/// FNV-1a over eight bytes at a time.
#[derive(Debug)]
pub(crate) struct TopicNameHasher(u64);

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

impl BuildHasher for TopicNameHash {
    type Hasher = TopicNameHasher;

    fn build_hasher(&self) -> TopicNameHasher {
        TopicNameHasher(OFFSET_BASIS)
    }
}

impl Hasher for TopicNameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.0 = (self.0 ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME);
        }
        for byte in rest {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }

    fn finish(&self) -> u64 {
        // The upper bits of a product are the well-mixed ones; hash tables look at the lower ones too.
        self.0 ^ (self.0 >> 32)
    }
}
