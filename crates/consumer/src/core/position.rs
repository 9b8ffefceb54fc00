//! Places in a log.

use std::fmt;

/// A place in a partition's log: the offset of the next record, and the leader epoch of the record before it (KIP-320).
///
/// The epoch lets a broker notice that the log was cut off and written differently since: without it, a position beyond the cut
/// silently reads other records. Store it beside the offset and give it back to `seek`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Offset of the next record.
    pub offset: i64,
    /// Leader epoch of the record before it, where one is known.
    pub leader_epoch: Option<i32>,
}

impl Position {
    /// A position without a leader epoch: nothing is checked there.
    pub const fn new(offset: i64) -> Self {
        Self { offset, leader_epoch: None }
    }

    /// The same with a leader epoch; one below zero, which Kafka writes for "unknown", is none.
    pub const fn with_leader_epoch(self, leader_epoch: i32) -> Self {
        let leader_epoch = if leader_epoch < 0 { None } else { Some(leader_epoch) };
        Self { leader_epoch, ..self }
    }
}

impl From<i64> for Position {
    fn from(offset: i64) -> Self {
        Self::new(offset)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.leader_epoch {
            Some(leader_epoch) => write!(f, "{} (leader epoch {leader_epoch})", self.offset),
            None => write!(f, "{}", self.offset),
        }
    }
}
