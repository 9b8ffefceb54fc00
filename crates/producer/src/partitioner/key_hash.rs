use super::fnv1a::fnv1a;
use super::md5::md5_modulo;
use super::murmur2::murmur2;

/// How a key becomes a partition. The same key, hash and number of partitions always give the same
/// partition, in every client that has the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeyHash {
    /// Java's default, and librdkafka's `murmur2`: `toPositive(murmur2(key)) % n`.
    #[default]
    Murmur2,
    /// librdkafka's default (`consistent`): `crc32(key) % n`, with the CRC-32 of zlib.
    Crc32,
    /// librdkafka's `fnv1a`, and Sarama's default.
    Fnv1a,
    /// `int(hashlib.md5(key).hexdigest(), 16) % n` over all 128 bits, a recipe of Python programs.
    Md5,
}

impl KeyHash {
    /// The partition of `key` among `partitions` of them, those without a leader included.
    ///
    /// # Panics
    /// When `partitions` is not positive: a topic has at least one partition.
    pub fn partition(self, key: &[u8], partitions: i32) -> i32 {
        let n = u32::try_from(partitions).ok().filter(|&n| n > 0).expect("a topic has partitions");
        let partition = match self {
            // Java's toPositive drops the sign bit; it does not take the absolute value.
            KeyHash::Murmur2 => (murmur2(key) & 0x7fff_ffff) % n,
            KeyHash::Crc32 => crc32fast::hash(key) % n,
            KeyHash::Fnv1a => fnv1a(key) % n,
            KeyHash::Md5 => md5_modulo(key, n),
        };
        // Fits: below `partitions`.
        partition as i32
    }
}
