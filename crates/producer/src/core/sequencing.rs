//! Producer id, epoch and sequence numbers of one partition.
//!
//! ```text
//!               first numbers           first acknowledgement
//!   Unassigned ───────────────▶ Introducing ─────────────▶ Assigned
//!                                ▲   ▲  │                   │   │
//!                                │   └──┼─── a long pause ──┘   │
//!                                │      │ a gap                 │ a gap
//!                                │      ▼                       ▼
//!                                └───────────── Draining ◀──────┘
//!                     all that was sent is known:
//!                     next epoch, sequence 0
//! ```
//!
//! The epoch is bumped per partition and without asking anyone (KIP-360): brokers keep the state of a producer by partition, and
//! accept the next epoch if it begins at sequence 0. A gap is a sequence number that was given and will not be used, or may not
//! have been. In `Draining` only batches whose fate is unknown are sent, under the numbers that they have; a batch gets new
//! numbers only when it is certain that it is not in the log and does not come there any more.
//!
//! In `Introducing` one batch is in flight at a time: a partition that does not know the producer accepts any sequence number, so
//! that the second batch could be written although the first one was refused, and the first one never (KAFKA-14359).

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
    /// Numbers go on at `next_sequence`, but the partition may not know `identity` yet, or no longer.
    Introducing { identity: ProducerIdentity, next_sequence: i32 },
    /// Numbers go on at `next_sequence`.
    Assigned { identity: ProducerIdentity, next_sequence: i32 },
    /// Waiting for certainty about all that was sent under `identity`, to go on under the next epoch.
    Draining { identity: ProducerIdentity },
}

/// A producer id must be fetched first; one other than `exhausted`, if that is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeedsProducerId {
    pub(crate) exhausted: Option<i64>,
}

impl Sequencing {
    /// Numbers for a batch of `record_count` records, under `current`, the producer's identity, where this partition has none.
    pub(crate) fn assign(
        &mut self,
        record_count: u32,
        current: Option<ProducerIdentity>,
    ) -> Result<Option<Stamp>, NeedsProducerId> {
        if *self == Self::Unassigned {
            let identity = current.ok_or(NeedsProducerId { exhausted: None })?;
            *self = Self::Introducing { identity, next_sequence: 0 };
        }
        match self {
            Self::Introducing { identity, next_sequence } | Self::Assigned { identity, next_sequence } => {
                let stamp = Stamp { identity: *identity, base_sequence: *next_sequence };
                *next_sequence = add_sequence(*next_sequence, record_count);
                Ok(Some(stamp))
            }
            Self::Off => Ok(None),
            Self::Unassigned | Self::Draining { .. } => unreachable!("nothing is numbered before the reset"),
        }
    }

    /// The partition has taken a batch with these numbers: it knows the producer.
    pub(crate) fn handle_acknowledged(&mut self, stamp: Stamp) {
        if let Self::Introducing { identity, next_sequence } = *self
            && identity == stamp.identity
        {
            *self = Self::Assigned { identity, next_sequence };
        }
    }

    /// So much time has passed that the partition may have forgotten the producer.
    pub(crate) fn handle_pause(&mut self) {
        if let Self::Assigned { identity, next_sequence } = *self {
            *self = Self::Introducing { identity, next_sequence };
        }
    }

    /// A gap is certain or possible: go on under another epoch once all is known.
    pub(crate) fn drain(&mut self) {
        if let Self::Introducing { identity, .. } | Self::Assigned { identity, .. } = *self {
            *self = Self::Draining { identity };
        }
    }

    /// Goes on under the next epoch, or under a new producer id when the epochs are used up. Call it when the fate of all that was
    /// sent is known.
    pub(crate) fn reset(&mut self, current: Option<ProducerIdentity>) -> Result<(), NeedsProducerId> {
        let Self::Draining { identity } = *self else { return Ok(()) };
        let exhausted = identity.producer_id;
        let next = match identity.producer_epoch.checked_add(1) {
            Some(producer_epoch) => ProducerIdentity { producer_epoch, ..identity },
            None => current
                .filter(|current| current.producer_id != exhausted)
                .ok_or(NeedsProducerId { exhausted: Some(exhausted) })?,
        };
        *self = Self::Introducing { identity: next, next_sequence: 0 };
        Ok(())
    }

    pub(crate) fn is_draining(self) -> bool {
        matches!(self, Self::Draining { .. })
    }

    /// Whether several batches may be in flight.
    pub(crate) fn may_pipeline(self) -> bool {
        matches!(self, Self::Off | Self::Assigned { .. })
    }

    /// Whether a broker may remember numbers that were given here.
    pub(crate) fn was_used(self) -> bool {
        !matches!(self, Self::Off | Self::Unassigned)
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

    fn identity(producer_id: i64, producer_epoch: i16) -> ProducerIdentity {
        ProducerIdentity { producer_id, producer_epoch }
    }

    #[test]
    fn sequences_wrap_to_zero_after_the_largest() {
        assert_eq!(add_sequence(i32::MAX, 1), 0);
        assert_eq!(add_sequence(i32::MAX - 1, 1), i32::MAX);
        assert_eq!(add_sequence(i32::MAX - 1, 5), 3);
        assert_eq!(add_sequence(0, u32::try_from(i32::MAX).unwrap()), i32::MAX);
    }

    #[test]
    fn nothing_is_numbered_without_a_producer_id() {
        let mut sequencing = Sequencing::Unassigned;
        assert_eq!(sequencing.assign(3, None), Err(NeedsProducerId { exhausted: None }));
        assert_eq!(sequencing, Sequencing::Unassigned);
    }

    #[test]
    fn used_up_epochs_need_another_producer_id() {
        let mut sequencing = Sequencing::Draining { identity: identity(7, i16::MAX) };
        let needed = Err(NeedsProducerId { exhausted: Some(7) });
        assert_eq!(sequencing.reset(None), needed);
        assert_eq!(sequencing.reset(Some(identity(7, 0))), needed);
        assert_eq!(sequencing.reset(Some(identity(8, 0))), Ok(()));
        assert_eq!(sequencing, Sequencing::Introducing { identity: identity(8, 0), next_sequence: 0 });
    }

    #[test]
    fn the_transitions_are_these() {
        let stamp = Stamp { identity: identity(7, 2), base_sequence: 40 };
        let states = [
            Sequencing::Off,
            Sequencing::Unassigned,
            Sequencing::Introducing { identity: identity(7, 2), next_sequence: 50 },
            Sequencing::Assigned { identity: identity(7, 2), next_sequence: 50 },
            Sequencing::Draining { identity: identity(7, 2) },
        ];
        type Event = fn(&mut Sequencing, Stamp);
        let events: [(&str, Event); 5] = [
            ("assign 5", |state, _| {
                if !state.is_draining() {
                    state.assign(5, Some(identity(9, 0))).unwrap();
                }
            }),
            ("acknowledged", |state, stamp| state.handle_acknowledged(stamp)),
            ("pause", |state, _| state.handle_pause()),
            ("gap", |state, _| state.drain()),
            ("all known", |state, _| state.reset(Some(identity(9, 0))).unwrap()),
        ];
        let mut table = String::new();
        for state in states {
            table += &format!("{}\n", show(state));
            for (name, event) in events {
                let mut after = state;
                event(&mut after, stamp);
                if after != state {
                    table += &format!("  {name:<12} {}\n", show(after));
                }
            }
        }
        assert_eq!(
            table,
            "\
Off
Unassigned
  assign 5     Introducing 9/0 next 5
Introducing 7/2 next 50
  assign 5     Introducing 7/2 next 55
  acknowledged Assigned 7/2 next 50
  gap          Draining 7/2
Assigned 7/2 next 50
  assign 5     Assigned 7/2 next 55
  pause        Introducing 7/2 next 50
  gap          Draining 7/2
Draining 7/2
  all known    Introducing 7/3 next 0
"
        );
    }

    fn show(state: Sequencing) -> String {
        let name =
            |identity: ProducerIdentity| format!("{}/{}", identity.producer_id, identity.producer_epoch);
        match state {
            Sequencing::Off => "Off".to_owned(),
            Sequencing::Unassigned => "Unassigned".to_owned(),
            Sequencing::Introducing { identity, next_sequence } => {
                format!("Introducing {} next {next_sequence}", name(identity))
            }
            Sequencing::Assigned { identity, next_sequence } => {
                format!("Assigned {} next {next_sequence}", name(identity))
            }
            Sequencing::Draining { identity } => format!("Draining {}", name(identity)),
        }
    }
}
