//! The uniform assignor for members that are all subscribed to the same topics
//! (Java: `UniformHomogeneousAssignmentBuilder`).

use std::collections::BTreeSet;

use milena_protocol::Uuid;

use super::{Partitions, Spec, Targets};

/// Gives every member as many partitions as any other, or one more; who has partitions keeps them up to that.
pub(super) fn assign(spec: &Spec) -> Targets {
    let Some(topics) = spec.members.values().next().map(|member| &member.topics) else {
        return Targets::new();
    };
    let mut unassigned = never_assigned(spec, topics);
    let total: usize = topics.iter().map(|topic| spec.partition_count(topic).max(0) as usize).sum();
    let member_count = spec.members.len();
    let quota_min = total / member_count;
    let mut extras_left = total % member_count;

    let mut targets = Targets::new();
    let mut unfilled = Vec::new();
    for (index, (member_id, member)) in spec.members.iter().enumerate() {
        let members_left = member_count - index;
        let offers_extra = extras_left > 0;
        let mut quota = quota_min + usize::from(offers_extra);
        let kept = keep(&member.assigned, topics, &mut quota, &mut unassigned);
        // An extra partition that this member does not have yet is left to one that may have it already, unless all
        // that follow must take theirs.
        let gives_up_extra = offers_extra && quota > 0 && members_left > extras_left;
        if gives_up_extra {
            quota -= 1;
        } else if offers_extra {
            extras_left -= 1;
        }
        if quota > 0 {
            unfilled.push((member_id.clone(), quota));
        }
        targets.insert(member_id.clone(), kept);
    }

    let mut unassigned = unassigned.into_iter();
    for (member_id, quota) in unfilled {
        let target = targets.entry(member_id).or_default();
        for (topic, partition) in unassigned.by_ref().take(quota) {
            target.entry(topic).or_default().insert(partition);
        }
    }
    debug_assert!(unassigned.next().is_none(), "the quotas sum up to the number of partitions");
    targets
}

/// The partitions that no member was assigned.
fn never_assigned(spec: &Spec, topics: &BTreeSet<Uuid>) -> Vec<(Uuid, i32)> {
    let assigned: BTreeSet<(Uuid, i32)> = spec
        .members
        .values()
        .flat_map(|member| &member.assigned)
        .flat_map(|(topic, partitions)| partitions.iter().map(|partition| (*topic, *partition)))
        .collect();
    let of_topic = |topic: &Uuid| {
        let topic = *topic;
        (0..spec.partition_count(&topic)).map(move |partition| (topic, partition))
    };
    topics.iter().flat_map(of_topic).filter(|partition| !assigned.contains(partition)).collect()
}

/// What of the assigned partitions fits into the quota, which it lowers; the rest becomes unassigned.
fn keep(
    assigned: &Partitions,
    topics: &BTreeSet<Uuid>,
    quota: &mut usize,
    unassigned: &mut Vec<(Uuid, i32)>,
) -> Partitions {
    let mut kept = Partitions::new();
    for (topic, partitions) in assigned.iter().filter(|(topic, _)| topics.contains(*topic)) {
        for partition in partitions {
            if *quota > 0 {
                *quota -= 1;
                kept.entry(*topic).or_default().insert(*partition);
            } else {
                unassigned.push((*topic, *partition));
            }
        }
    }
    kept
}
