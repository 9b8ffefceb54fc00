//! Producer id, epoch and sequence numbers of one partition.
//!
//! ```text
//!               first batch sent            a sequence is unresolved, or the log lacks one
//!   Unassigned ─────────────────▶ Assigned ───────────────────────────────────────────────▶ Draining
//!                                    ▲                                                        │
//!                                    │ nothing in flight, nothing possibly written:           │
//!                                    └──────────── next epoch, sequence 0 ────────────────────┘
//! ```
//!
//! The epoch is bumped per partition and without asking anyone (KIP-360): brokers keep the state of a producer by partition, and
//! accept the next epoch if it begins at sequence 0. In `Draining` only batches whose fate is unknown are sent, under the numbers
//! that they have; a batch gets new numbers only when it is certain that it is not in the log.

/// A producer id and its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerIdentity {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
}

/// The numbers under which a batch was first sent; they stay with it through retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) identity: ProducerIdentity,
    pub(crate) base_sequence: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequencing {
    /// Without idempotence there are no numbers.
    Off,
    /// Nothing was sent yet.
    Unassigned,
    /// Numbers go on at `next_sequence`.
    Assigned { identity: ProducerIdentity, next_sequence: i32 },
    /// Waiting for certainty about all that was sent under `identity`, to go on under the next epoch.
    Draining { identity: ProducerIdentity },
}

/// What is needed to number the next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbering {
    /// Its numbers.
    Stamp(Option<Stamp>),
    /// A producer id must be fetched first; one other than `exhausted`, if that is given.
    NeedsProducerId { exhausted: Option<i64> },
}

impl Sequencing {
    /// Numbers for a batch of `record_count` records, taken from `current`, the producer's identity, where this partition has none.
    pub(crate) fn assign(&mut self, record_count: u32, current: Option<ProducerIdentity>) -> Numbering {
        let (identity, base_sequence) = match *self {
            Self::Off => return Numbering::Stamp(None),
            Self::Unassigned => match current {
                Some(identity) => (identity, 0),
                None => return Numbering::NeedsProducerId { exhausted: None },
            },
            Self::Assigned { identity, next_sequence } => (identity, next_sequence),
            Self::Draining { .. } => unreachable!("nothing new is numbered before the reset"),
        };
        let next_sequence = add_sequence(base_sequence, record_count);
        *self = Self::Assigned { identity, next_sequence };
        Numbering::Stamp(Some(Stamp { identity, base_sequence }))
    }

    /// Goes on under the next epoch, or under a new producer id when the epochs are used up. Call it when the fate of all that was
    /// sent is known.
    pub(crate) fn reset(&mut self, current: Option<ProducerIdentity>) -> Result<(), Numbering> {
        let Self::Draining { identity } = *self else { return Ok(()) };
        let next = match identity.producer_epoch.checked_add(1) {
            // i16::MAX itself is left out, as Java does: a coordinator could not fence it.
            Some(producer_epoch) if producer_epoch < i16::MAX => {
                ProducerIdentity { producer_epoch, ..identity }
            }
            _ => match current {
                Some(current) if current.producer_id != identity.producer_id => current,
                _ => {
                    let exhausted = Some(identity.producer_id);
                    return Err(Numbering::NeedsProducerId { exhausted });
                }
            },
        };
        *self = Self::Assigned { identity: next, next_sequence: 0 };
        Ok(())
    }

    /// A gap is certain or possible: go on under another epoch once all is known.
    pub(crate) fn drain(&mut self) {
        if let Self::Assigned { identity, .. } = *self {
            *self = Self::Draining { identity };
        }
    }

    /// The last numbers given were not used after all.
    pub(crate) fn give_back(&mut self, stamp: Stamp) {
        if let Self::Assigned { identity, next_sequence } = self
            && *identity == stamp.identity
        {
            *next_sequence = stamp.base_sequence;
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        matches!(self, Self::Draining { .. })
    }
}

/// Sequence numbers wrap from `i32::MAX` to 0 (Kafka: `DefaultRecordBatch.incrementSequence`).
pub(crate) fn add_sequence(sequence: i32, record_count: u32) -> i32 {
    const NUMBERS: i64 = 1 << 31;
    let sum = (i64::from(sequence) + i64::from(record_count)) % NUMBERS;
    i32::try_from(sum).expect("a remainder by 2^31 fits")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: ProducerIdentity = ProducerIdentity { producer_id: 7, producer_epoch: 0 };

    #[test]
    fn sequences_wrap_to_zero_after_the_largest() {
        assert_eq!(add_sequence(i32::MAX, 1), 0);
        assert_eq!(add_sequence(i32::MAX - 1, 1), i32::MAX);
        assert_eq!(add_sequence(i32::MAX - 1, 5), 3);
        assert_eq!(add_sequence(0, u32::try_from(i32::MAX).unwrap()), i32::MAX);
    }

    #[test]
    fn numbers_follow_each_other() {
        let mut sequencing = Sequencing::Unassigned;
        assert_eq!(sequencing.assign(3, None), Numbering::NeedsProducerId { exhausted: None });
        let stamp = |base_sequence| Numbering::Stamp(Some(Stamp { identity: FIRST, base_sequence }));
        assert_eq!(sequencing.assign(3, Some(FIRST)), stamp(0));
        assert_eq!(sequencing.assign(2, None), stamp(3));
        sequencing.give_back(Stamp { identity: FIRST, base_sequence: 3 });
        assert_eq!(sequencing.assign(1, None), stamp(3));
    }

    #[test]
    fn a_reset_begins_the_next_epoch_at_zero() {
        let mut sequencing = Sequencing::Assigned { identity: FIRST, next_sequence: 9 };
        sequencing.drain();
        assert_eq!(sequencing.reset(None), Ok(()));
        let identity = ProducerIdentity { producer_epoch: 1, ..FIRST };
        assert_eq!(sequencing, Sequencing::Assigned { identity, next_sequence: 0 });
    }

    #[test]
    fn used_up_epochs_need_another_producer_id() {
        let last = ProducerIdentity { producer_id: 7, producer_epoch: i16::MAX - 1 };
        let mut sequencing = Sequencing::Draining { identity: last };
        let needed = Err(Numbering::NeedsProducerId { exhausted: Some(7) });
        assert_eq!(sequencing.reset(Some(FIRST)), needed);
        let other = ProducerIdentity { producer_id: 8, producer_epoch: 0 };
        assert_eq!(sequencing.reset(Some(other)), Ok(()));
        assert_eq!(sequencing, Sequencing::Assigned { identity: other, next_sequence: 0 });
    }
}
