use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{KeyHash, RoundRobin};

/// A partitioner of the user's own.
///
/// Called once per record that does not name its partition, on the sending task: it should be quick,
/// and it must not block.
///
/// ```
/// use milena_producer::partitioner::{KeyHash, Partitioner, PartitioningInput, Placement};
///
/// struct VipFirst;
///
/// impl Partitioner for VipFirst {
///     fn place(&self, input: &PartitioningInput<'_>) -> Placement {
///         match input.key {
///             Some(key) if key.starts_with(b"vip-") => Placement::Partition(0),
///             Some(key) => Placement::Partition(KeyHash::Murmur2.partition(key, input.partitions.count)),
///             None => Placement::Sticky,
///         }
///     }
/// }
/// ```
pub trait Partitioner: Send + Sync {
    /// Chooses the partition of one record.
    ///
    /// A partition that the topic does not have fails the send.
    fn place(&self, input: &PartitioningInput<'_>) -> Placement;
}

/// What a partitioner knows of a record.
#[derive(Debug, Clone, Copy)]
pub struct PartitioningInput<'a> {
    /// The topic that the record goes to.
    pub topic: &'a str,
    /// The serialized key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The serialized value; `None` is null.
    pub value: Option<&'a [u8]>,
    /// The topic's partitions.
    pub partitions: TopicPartitions<'a>,
}

/// The partitions of a topic, as the client's metadata have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicPartitions<'a> {
    /// How many there are, at least 1: their ids are `0..count`.
    pub count: i32,
    /// The ids of those that have a leader, in ascending order.
    pub available: &'a [i32],
}

impl TopicPartitions<'_> {
    /// The partition that number `n` stands for: among the available ones if there are any, else among
    /// all.
    pub(super) fn nth_modulo(&self, n: u32) -> i32 {
        // Java's toPositive: what wraps goes on at zero.
        let n = n & 0x7fff_ffff;
        match self.available {
            [] => (n % self.count.max(1) as u32) as i32,
            available => available[n as usize % available.len()],
        }
    }
}

/// Where a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// To this partition.
    Partition(i32),
    /// To whichever is best now: the topic's sticky partition.
    Sticky,
}

/// What is done with records whose key says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Keyless {
    /// A null key goes to the sticky partition; the empty key is a key (Java, librdkafka's `*_random`).
    #[default]
    Sticky,
    /// Null and empty keys go to the sticky partition (librdkafka's `consistent_random`).
    StickyIfEmpty,
    /// A null key is hashed like the empty one, so that all go to one partition (librdkafka's
    /// `consistent`, `murmur2`, `fnv1a`).
    Hashed,
}

/// How a producer chooses partitions.
///
/// Default: [`KeyHash::Murmur2`] for keys and the sticky partition without one, as Java. By name
/// (`partitioner`, librdkafka's property, and `partitioner.class`): `murmur2_random` (the default),
/// `murmur2`, `consistent_random`, `consistent`, `fnv1a_random`, `fnv1a`, `random`, and here besides
/// `md5_random` and `md5`, `round_robin`; of Java's classes `RoundRobinPartitioner`,
/// `DefaultPartitioner` and `UniformStickyPartitioner`.
#[derive(Clone)]
pub enum Partitioning {
    /// By a hash of the key.
    Key {
        /// The hash.
        hash: KeyHash,
        /// What goes for keys that say nothing.
        keyless: Keyless,
    },
    /// Always the sticky partition, keys or not. Kafka: `partitioner.ignore.keys=true`.
    IgnoreKeys,
    /// As the user's own says.
    Custom(Arc<dyn Partitioner>),
}

impl Partitioning {
    /// A partitioner of the user's own.
    pub fn custom(partitioner: impl Partitioner + 'static) -> Self {
        Self::Custom(Arc::new(partitioner))
    }

    /// By `hash` for records with a key, the sticky partition for those without.
    pub const fn by_key(hash: KeyHash) -> Self {
        Self::Key { hash, keyless: Keyless::Sticky }
    }

    /// Chooses the partition of one record.
    pub fn place(&self, input: &PartitioningInput<'_>) -> Placement {
        match self {
            Partitioning::Key { hash, keyless } => {
                let key = match (input.key, keyless) {
                    (Some([]), Keyless::StickyIfEmpty) => None,
                    (None, Keyless::Hashed) => Some(&[][..]),
                    (key, _) => key,
                };
                match key {
                    Some(key) => Placement::Partition(hash.partition(key, input.partitions.count)),
                    None => Placement::Sticky,
                }
            }
            Partitioning::IgnoreKeys => Placement::Sticky,
            Partitioning::Custom(partitioner) => partitioner.place(input),
        }
    }
}

impl Default for Partitioning {
    fn default() -> Self {
        Self::by_key(KeyHash::default())
    }
}

impl fmt::Debug for Partitioning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Partitioning::Key { hash, keyless } => {
                f.debug_struct("Key").field("hash", hash).field("keyless", keyless).finish()
            }
            Partitioning::IgnoreKeys => f.write_str("IgnoreKeys"),
            Partitioning::Custom(_) => f.write_str("Custom(..)"),
        }
    }
}

impl FromStr for Partitioning {
    type Err = UnknownPartitioner;

    fn from_str(name: &str) -> Result<Self, UnknownPartitioner> {
        let key = |hash, keyless| Ok(Self::Key { hash, keyless });
        match name {
            "murmur2_random" | "org.apache.kafka.clients.producer.internals.DefaultPartitioner" => {
                Ok(Self::default())
            }
            "murmur2" => key(KeyHash::Murmur2, Keyless::Hashed),
            "consistent_random" => key(KeyHash::Crc32, Keyless::StickyIfEmpty),
            "consistent" => key(KeyHash::Crc32, Keyless::Hashed),
            "fnv1a_random" => key(KeyHash::Fnv1a, Keyless::Sticky),
            "fnv1a" => key(KeyHash::Fnv1a, Keyless::Hashed),
            "md5_random" => key(KeyHash::Md5, Keyless::Sticky),
            "md5" => key(KeyHash::Md5, Keyless::Hashed),
            "random" | "org.apache.kafka.clients.producer.UniformStickyPartitioner" => Ok(Self::IgnoreKeys),
            "round_robin" | "org.apache.kafka.clients.producer.RoundRobinPartitioner" => {
                Ok(Self::custom(RoundRobin::new()))
            }
            _ => Err(UnknownPartitioner { name: name.to_owned() }),
        }
    }
}

/// A name that no built-in partitioner has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no partitioner is named {name:?}; there are murmur2_random (Java's default), murmur2, \
     consistent_random (librdkafka's default), consistent, fnv1a_random, fnv1a, md5_random, md5, random \
     and round_robin; your own is given in code"
)]
pub struct UnknownPartitioner {
    /// The name.
    pub name: String,
}
