//! The range assignor (Java: `RangeAssignor`).

use std::collections::BTreeMap;

use milena_protocol::{ByteStr, Uuid};

use super::{MemberSpec, Spec, Targets};

/// Gives each subscriber of a topic the next range of its partitions; the first ones get one more where it does not
/// come out even.
pub(super) fn assign(spec: &Spec) -> Targets {
    let mut ranges: BTreeMap<Uuid, Ranges> = BTreeMap::new();
    for topic in spec.members.values().flat_map(|member| &member.topics) {
        ranges.entry(*topic).or_insert_with(|| Ranges::of(spec.partition_count(topic))).subscribers += 1;
    }
    let mut members: Vec<(&ByteStr, &MemberSpec)> = spec.members.iter().collect();
    // Static members come first: their place does not depend on a member id that changes with every start.
    members.sort_by_key(|(member_id, member)| {
        (member.instance_id.is_none(), member.instance_id.clone(), (*member_id).clone())
    });
    let mut targets = Targets::new();
    for (member_id, member) in members {
        let target = targets.entry(member_id.clone()).or_default();
        for topic in &member.topics {
            let Some(range) = ranges.get_mut(topic).map(Ranges::next) else { continue };
            if !range.is_empty() {
                target.insert(*topic, range.collect());
            }
        }
    }
    targets
}

/// How a topic is cut.
struct Ranges {
    partitions: i32,
    subscribers: i32,
    /// How many have got their range.
    served: i32,
    next_partition: i32,
}

impl Ranges {
    fn of(partitions: i32) -> Self {
        Self { partitions, subscribers: 0, served: 0, next_partition: 0 }
    }

    fn next(&mut self) -> std::ops::Range<i32> {
        let extra = i32::from(self.served < self.partitions % self.subscribers);
        let start = self.next_partition;
        self.next_partition += self.partitions / self.subscribers + extra;
        self.served += 1;
        start..self.next_partition
    }
}
