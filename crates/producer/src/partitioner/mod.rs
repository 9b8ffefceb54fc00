//! Which partition a record goes to.
//!
//! Three questions, answered in this order:
//!
//! 1. Did the record name its partition? Then that one; nothing here is asked.
//! 2. What does the [`Partitioning`] say to its key? A hash of the key makes a partition
//!    ([`KeyHash`]), a [`Partitioner`] of the user's own may say anything.
//! 3. If it says [`Placement::Sticky`], the topic's [`StickyPartition`] takes the record: one
//!    partition until about a batch of bytes went there, then another, chosen at random, fuller
//!    queues less often (KIP-480, KIP-794).
//!
//! Everything here is pure: random numbers, queue sizes and time are given to it.

mod fnv1a;
mod key_hash;
mod load;
mod md5;
mod murmur2;
mod partitioning;
mod round_robin;
mod sticky;
#[cfg(test)]
mod tests;

pub use key_hash::KeyHash;
pub use load::PartitionLoad;
pub use murmur2::murmur2;
pub use partitioning::{
    Keyless, Partitioner, Partitioning, PartitioningInput, Placement, TopicPartitions, UnknownPartitioner,
};
pub use round_robin::RoundRobin;
pub use sticky::StickyPartition;
