//! From what a member has to what it should have (Java: `CurrentAssignmentBuilder`).
//!
//! A partition is given to a member only when nobody else holds it, and a member holds it until it has said that it no
//! longer owns it, or is thrown out. So no partition has two owners, in whatever order members come to know of a new
//! target assignment.

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::Uuid;

use super::assignor::Partitions;
use super::member::{HeldPartitions, Member, MemberState};

/// What a member's next step depends on.
pub(crate) struct Reconciliation<'a> {
    pub(crate) target_epoch: i32,
    pub(crate) target: &'a Partitions,
    /// The existing topics that the member is subscribed to now.
    pub(crate) subscribed: &'a BTreeSet<Uuid>,
    /// Whether the subscription has changed with this request.
    pub(crate) has_subscription_changed: bool,
    /// What the member says it owns; `None` when it does not say.
    pub(crate) owned: Option<&'a Partitions>,
    /// Whether a member other than this one holds a partition.
    pub(crate) is_held_by_another: &'a dyn Fn(Uuid, i32) -> bool,
}

impl Reconciliation<'_> {
    /// The member after its next step, which may be none.
    pub(crate) fn advance(&self, member: &Member) -> Member {
        match &member.state {
            MemberState::Stable if member.member_epoch != self.target_epoch => self.towards_target(member),
            MemberState::Stable if self.has_subscription_changed => self.without_unsubscribed(member),
            MemberState::Stable => member.clone(),
            MemberState::UnrevokedPartitions { pending_revocation } => {
                match (self.owns_any_of(pending_revocation), self.has_subscription_changed) {
                    (false, _) => self.towards_target(member),
                    (true, true) => self.without_unsubscribed(member),
                    (true, false) => member.clone(),
                }
            }
            MemberState::UnreleasedPartitions => self.towards_target(member),
        }
    }

    /// Whether the member may still own one of these: it says so, or says nothing.
    fn owns_any_of(&self, partitions: &HeldPartitions) -> bool {
        let Some(owned) = self.owned else { return true };
        owned.iter().any(|(topic, owned)| {
            partitions
                .get(topic)
                .is_some_and(|held| owned.iter().any(|partition| held.contains_key(partition)))
        })
    }

    /// Takes away the topics that the member is no longer subscribed to, without waiting for the next target.
    fn without_unsubscribed(&self, member: &Member) -> Member {
        let (kept, dropped): (HeldPartitions, HeldPartitions) =
            member.assigned.clone().into_iter().partition(|(topic, _)| self.subscribed.contains(topic));
        if dropped.is_empty() {
            return member.clone();
        }
        let mut pending_revocation = member.pending_revocation().clone();
        for (topic, partitions) in dropped {
            pending_revocation.entry(topic).or_default().extend(partitions);
        }
        let mut next = entering(member, member.member_epoch);
        next.assigned = kept;
        if self.owns_any_of(&pending_revocation) {
            next.state = MemberState::UnrevokedPartitions { pending_revocation };
        }
        next
    }

    fn towards_target(&self, member: &Member) -> Member {
        let step = self.step(member);
        if !step.to_revoke.is_empty() && self.owns_any_of(&step.to_revoke) {
            // It stays in its epoch until it has given these back.
            let mut next = entering(member, member.member_epoch);
            next.assigned = step.kept;
            next.state = MemberState::UnrevokedPartitions { pending_revocation: step.to_revoke };
            return next;
        }
        let mut next = entering(member, self.target_epoch);
        next.assigned = step.kept;
        for (topic, partition) in step.to_assign {
            next.assigned.entry(topic).or_default().insert(partition, self.target_epoch);
        }
        next.state = match step.has_unreleased {
            true => MemberState::UnreleasedPartitions,
            false => MemberState::Stable,
        };
        next
    }

    /// The difference between what the member is assigned and its target.
    fn step(&self, member: &Member) -> Step {
        let mut step = Step::default();
        let is_target = |topic: &Uuid, partition: &i32| {
            self.subscribed.contains(topic)
                && self.target.get(topic).is_some_and(|partitions| partitions.contains(partition))
        };
        for (topic, partitions) in &member.assigned {
            let (kept, to_revoke): (BTreeMap<i32, i32>, BTreeMap<i32, i32>) =
                partitions.iter().partition(|(partition, _)| is_target(topic, partition));
            for (into, partitions) in [(&mut step.kept, kept), (&mut step.to_revoke, to_revoke)] {
                if !partitions.is_empty() {
                    into.insert(*topic, partitions);
                }
            }
        }
        for (topic, partitions) in self.target.iter().filter(|(topic, _)| self.subscribed.contains(*topic)) {
            let kept = step.kept.get(topic);
            for partition in partitions {
                if kept.is_some_and(|kept| kept.contains_key(partition)) {
                    continue;
                }
                // What the member itself has still to give back is not held by another: it may just keep it.
                if (self.is_held_by_another)(*topic, *partition) {
                    step.has_unreleased = true;
                } else {
                    step.to_assign.push((*topic, *partition));
                }
            }
        }
        step
    }
}

#[derive(Default)]
struct Step {
    kept: HeldPartitions,
    to_revoke: HeldPartitions,
    to_assign: Vec<(Uuid, i32)>,
    has_unreleased: bool,
}

/// The member with its present epoch as its previous one.
fn entering(member: &Member, member_epoch: i32) -> Member {
    Member { previous_member_epoch: member.member_epoch, member_epoch, ..member.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::consumer::member::with_epoch;

    const TOPIC: Uuid = Uuid([1; 16]);
    const TARGET_EPOCH: i32 = 5;

    fn partitions(partitions: &[i32]) -> Partitions {
        match partitions {
            [] => Partitions::new(),
            _ => Partitions::from([(TOPIC, partitions.iter().copied().collect())]),
        }
    }

    fn member(member_epoch: i32, state: MemberState, assigned: &[i32]) -> Member {
        let assigned = with_epoch(&partitions(assigned), member_epoch);
        Member { member_epoch, previous_member_epoch: member_epoch - 1, state, assigned, ..Member::default() }
    }

    /// The epoch, state, assigned and pending partitions after a step towards a target. Others hold partition 9.
    fn step(member: &Member, target: &[i32], owned: Option<&[i32]>) -> String {
        let next = Reconciliation {
            target_epoch: TARGET_EPOCH,
            target: &partitions(target),
            subscribed: &BTreeSet::from([TOPIC]),
            has_subscription_changed: false,
            owned: owned.map(partitions).as_ref(),
            is_held_by_another: &|_, partition| partition == 9,
        }
        .advance(member);
        let numbers =
            |held: &HeldPartitions| -> Vec<i32> { held.values().flat_map(|p| p.keys()).copied().collect() };
        let state = match &next.state {
            MemberState::Stable => "stable".to_owned(),
            MemberState::UnrevokedPartitions { pending_revocation } => {
                format!("unrevoked {:?}", numbers(pending_revocation))
            }
            MemberState::UnreleasedPartitions => "unreleased".to_owned(),
        };
        format!("{} {state} {:?}", next.member_epoch, numbers(&next.assigned))
    }

    #[test]
    fn transitions() {
        let revoking = |pending: &[i32]| MemberState::UnrevokedPartitions {
            pending_revocation: with_epoch(&partitions(pending), 4),
        };
        let stable = member(4, MemberState::Stable, &[1, 2]);
        let unrevoked = member(4, revoking(&[2]), &[1]);
        let unreleased = member(4, MemberState::UnreleasedPartitions, &[1]);
        type Case<'a> = (&'a Member, &'a [i32], Option<&'a [i32]>, &'a str);
        let table: [Case<'_>; 16] = [
            // Member, target, what it says it owns: epoch, state, assigned afterwards.
            (&stable, &[1, 2], None, "5 stable [1, 2]"),
            (&stable, &[1, 2, 3], None, "5 stable [1, 2, 3]"),
            (&stable, &[1], None, "4 unrevoked [2] [1]"),
            (&stable, &[1], Some(&[1, 2]), "4 unrevoked [2] [1]"),
            (&stable, &[1], Some(&[1]), "5 stable [1]"),
            (&stable, &[1, 3], Some(&[1, 2]), "4 unrevoked [2] [1]"),
            (&stable, &[1, 2, 9], None, "5 unreleased [1, 2]"),
            (&stable, &[1, 2, 3, 9], None, "5 unreleased [1, 2, 3]"),
            (&unrevoked, &[1], None, "4 unrevoked [2] [1]"),
            (&unrevoked, &[1], Some(&[1, 2]), "4 unrevoked [2] [1]"),
            (&unrevoked, &[1], Some(&[1]), "5 stable [1]"),
            (&unrevoked, &[1, 9], Some(&[1]), "5 unreleased [1]"),
            // It is to have back what it has just given back.
            (&unrevoked, &[1, 2], Some(&[1]), "5 stable [1, 2]"),
            (&unreleased, &[1, 3], None, "5 stable [1, 3]"),
            (&unreleased, &[1, 9], None, "5 unreleased [1]"),
            (&unreleased, &[3], None, "4 unrevoked [1] []"),
        ];
        for (member, target, owned, expected) in table {
            assert_eq!(
                step(member, target, owned),
                expected,
                "{:?} to {target:?}, owns {owned:?}",
                member.state
            );
        }
        let settled = member(TARGET_EPOCH, MemberState::Stable, &[1]);
        assert_eq!(step(&settled, &[1, 2], None), "5 stable [1]", "a target is reached only once");
    }
}
