//! What is told of a group (Java: `ConsumerGroup.asDescribedGroup`).

use std::collections::BTreeSet;

use milena_protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member as DescribedMember, TopicPartitions,
};
use milena_protocol::{ByteStr, Uuid};

use super::Topics;
use super::assignor::{Assignor, Partitions};
use super::member::Member;
use super::state::ConsumerGroup;
use crate::group::GroupListing;

/// The type of all groups of consumers, whatever protocol they speak.
const PROTOCOL_TYPE: &str = "consumer";

impl ConsumerGroup {
    pub(crate) fn listing(&self) -> GroupListing {
        GroupListing {
            protocol_type: ByteStr::from_static(PROTOCOL_TYPE),
            state: self.state().name(),
            kind: "consumer",
        }
    }

    pub(crate) fn describe(&self, assignors: &[Assignor], topics: &dyn Topics) -> DescribedGroup {
        let member = |member: &Member| describe(member, self.target_of(&member.member_id), topics);
        DescribedGroup {
            group_id: self.group_id.clone(),
            group_state: ByteStr::from_static(self.state().name()),
            group_epoch: self.group_epoch,
            assignment_epoch: self.target.epoch,
            assignor_name: ByteStr::from_static(self.preferred_assignor(assignors).name()),
            members: self.members.values().map(member).collect(),
            ..Default::default()
        }
    }
}

/// A member answers for what it has still to give back, so that is told as assigned.
fn describe(member: &Member, target: &Partitions, topics: &dyn Topics) -> DescribedMember {
    let mut held = Partitions::new();
    for (topic, partition) in member.held() {
        held.entry(topic).or_default().insert(partition);
    }
    DescribedMember {
        member_id: member.member_id.clone(),
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        member_epoch: member.member_epoch,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.subscribed_names.iter().cloned().collect(),
        subscribed_topic_regex: Some(member.subscribed_regex.clone()),
        assignment: assignment(&held, topics),
        target_assignment: assignment(target, topics),
        member_type: if member.is_classic() { 0 } else { 1 },
        ..Default::default()
    }
}

fn assignment(partitions: &Partitions, topics: &dyn Topics) -> Assignment {
    let existing = |(topic_id, partitions): (&Uuid, &BTreeSet<i32>)| {
        Some(TopicPartitions {
            topic_id: *topic_id,
            topic_name: topics.name_of(topic_id)?,
            partitions: partitions.iter().copied().collect(),
            ..Default::default()
        })
    };
    Assignment { topic_partitions: partitions.iter().filter_map(existing).collect(), ..Default::default() }
}
