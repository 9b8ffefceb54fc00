//! A member of a consumer group (Java: `ConsumerGroupMember`).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use milena_protocol::{ByteStr, Uuid};

use super::assignor::{Assignor, Partitions};

/// Partitions by topic, each with the epoch in which the member got it.
pub(crate) type HeldPartitions = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// The member epoch of a static member that is away and means to come back.
pub(crate) const LEFT_STATIC_MEMBER_EPOCH: i32 = -2;

/// What the coordinator knows of a member, but for its target assignment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Member {
    pub(crate) member_id: ByteStr,
    pub(crate) instance_id: Option<ByteStr>,
    pub(crate) rack_id: Option<ByteStr>,
    pub(crate) client_id: ByteStr,
    pub(crate) client_host: ByteStr,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) subscribed_names: BTreeSet<ByteStr>,
    /// Empty when there is none.
    pub(crate) subscribed_regex: ByteStr,
    pub(crate) assignor: Option<Assignor>,
    pub(crate) protocol: Protocol,
    pub(crate) member_epoch: i32,
    pub(crate) previous_member_epoch: i32,
    pub(crate) state: MemberState,
    /// What it was told to own. What it has still to give back is not among it.
    pub(crate) assigned: HeldPartitions,
}

/// How far a member is from its target assignment.
///
/// ```text
///             new target, something to give back
///   Stable ----------------------------------------> UnrevokedPartitions
///    ^  |                                               |            |
///    |  | new target, something that others still hold  | gave back  |
///    |  v                                               v            |
///    |  UnreleasedPartitions <--------------------------+            |
///    |   |                       others hold                         |
///    +---+-----------------------------------------------------------+
///      others gave back                       nobody holds anything
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum MemberState {
    /// It has what it should have in its member epoch.
    #[default]
    Stable,
    /// It must give back partitions before it can enter the next epoch.
    UnrevokedPartitions { pending_revocation: HeldPartitions },
    /// It waits for partitions that other members still hold.
    UnreleasedPartitions,
}

/// The protocol that a member speaks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Protocol {
    /// ConsumerGroupHeartbeat.
    #[default]
    Consumer,
    /// JoinGroup and SyncGroup: a member that has not been upgraded yet.
    Classic {
        session_timeout_ms: i64,
        /// Its client-side assignors and its subscription for each, the preferred first.
        protocols: Vec<(ByteStr, Bytes)>,
    },
}

impl Member {
    pub(crate) fn new(member_id: ByteStr) -> Self {
        Self { member_id, previous_member_epoch: -1, rebalance_timeout_ms: -1, ..Self::default() }
    }

    /// Who comes in the place of this static member, with what it holds.
    pub(crate) fn successor(&self, member_id: ByteStr) -> Self {
        Self { member_id, member_epoch: 0, previous_member_epoch: 0, ..self.clone() }
    }

    /// The assignor that it is told was chosen, and its subscription. Nobody asks it to assign.
    pub(crate) fn chosen_protocol(&self) -> Option<&(ByteStr, Bytes)> {
        match &self.protocol {
            Protocol::Consumer => None,
            Protocol::Classic { protocols, .. } => protocols.first(),
        }
    }

    /// Whether it has what the target assignment of this epoch gives it.
    pub(crate) fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.member_epoch == target_epoch
    }

    /// What it has to give back.
    pub(crate) fn pending_revocation(&self) -> &HeldPartitions {
        static NONE: HeldPartitions = HeldPartitions::new();
        match &self.state {
            MemberState::UnrevokedPartitions { pending_revocation } => pending_revocation,
            MemberState::Stable | MemberState::UnreleasedPartitions => &NONE,
        }
    }

    /// All partitions that nobody else may have.
    pub(crate) fn held(&self) -> impl Iterator<Item = (Uuid, i32)> {
        let both = self.assigned.iter().chain(self.pending_revocation());
        both.flat_map(|(topic, partitions)| partitions.keys().map(|partition| (*topic, *partition)))
    }

    /// The same with the epochs in which it got them.
    pub(crate) fn all_held(&self) -> HeldPartitions {
        let mut held = self.assigned.clone();
        for (topic, partitions) in self.pending_revocation() {
            held.entry(*topic).or_default().extend(partitions);
        }
        held
    }

    pub(crate) fn is_classic(&self) -> bool {
        matches!(self.protocol, Protocol::Classic { .. })
    }

    /// The same member on its way out for a while: its partitions stay its own, as if they had been assigned before
    /// any epoch, so that its successor may commit for them in any epoch.
    pub(crate) fn left_for_a_while(&self) -> Self {
        let mut left = self.clone();
        left.member_epoch = LEFT_STATIC_MEMBER_EPOCH;
        if let MemberState::UnrevokedPartitions { pending_revocation } = &mut left.state {
            pending_revocation.clear();
        }
        for epoch in left.assigned.values_mut().flat_map(BTreeMap::values_mut) {
            *epoch = 0;
        }
        left
    }
}

/// All with one epoch.
pub(crate) fn with_epoch(partitions: &Partitions, epoch: i32) -> HeldPartitions {
    let of_topic =
        |partitions: &BTreeSet<i32>| partitions.iter().map(|partition| (*partition, epoch)).collect();
    partitions.iter().map(|(topic, partitions)| (*topic, of_topic(partitions))).collect()
}
