//! A group with members changes its protocol (KIP-848, "Upgrading and Downgrading"; Java:
//! `GroupMetadataManager.convertToConsumerGroup`, `convertToClassicGroup`, `ConsumerGroup.fromClassicGroup`).

use milena_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use milena_protocol::{ByteStr, ErrorCode, decode_prefixed};

use super::assignor::Partitions;
use super::member::{Member, Protocol, with_epoch};
use super::{ConsumerGroup, GroupError, Surroundings, Topics};
use crate::clock::Moment;
use crate::config::GroupSettings;
use crate::group::classic::Migrant;
use crate::group::{ClassicGroup, Group};

impl ConsumerGroup {
    /// A consumer group with the members of a classic group, which keep what they were assigned, and which stays as it
    /// is.
    pub(super) fn of_classic(
        group_id: &ByteStr,
        classic: &ClassicGroup,
        around: &Surroundings<'_>,
    ) -> Result<Self, GroupError> {
        let refused = |why: &str| {
            let message = format!("Cannot upgrade classic group {group_id} to consumer group because {why}.");
            GroupError::new(ErrorCode::GroupIdNotFound, message)
        };
        let migrants = classic.migrants();
        if !around.settings.migration.upgrades {
            return Err(refused("online upgrade is disabled"));
        }
        if !classic.is_consumers() {
            return Err(refused("the group does not use the consumer embedded protocol"));
        }
        if migrants.len() > around.settings.members_max {
            return Err(refused("the group size exceeds the consumer group maximum size"));
        }
        let mut group = Self::new(group_id.detached());
        group.group_epoch = classic.generation_id();
        group.target.epoch = classic.generation_id();
        for migrant in migrants {
            let mut assigned = read_assignment(&migrant, around.topics).map_err(&refused)?;
            // A leader may have assigned a partition twice: then the first member has it.
            for (topic, partitions) in &mut assigned {
                partitions
                    .retain(|partition| !group.is_held_by_another(&migrant.member_id, *topic, *partition));
            }
            assigned.retain(|_, partitions| !partitions.is_empty());
            let subscription = read_subscription(&migrant).map_err(&refused)?;
            let member = Member {
                member_id: migrant.member_id,
                instance_id: migrant.group_instance_id,
                rack_id: subscription.rack_id.filter(|rack_id| !rack_id.is_empty()),
                client_id: migrant.client_id,
                client_host: migrant.client_host,
                rebalance_timeout_ms: i32::try_from(migrant.rebalance_timeout_ms).unwrap_or(i32::MAX),
                subscribed_names: subscription.topics.iter().map(ByteStr::detached).collect(),
                protocol: Protocol::Classic {
                    session_timeout_ms: migrant.session_timeout_ms,
                    protocols: migrant.protocols,
                },
                member_epoch: group.group_epoch,
                previous_member_epoch: group.group_epoch,
                assigned: with_epoch(&assigned, group.group_epoch),
                ..Member::default()
            };
            group.target.by_member.insert(member.member_id.clone(), assigned);
            group.schedule_session(&member, around.now_ms);
            group.put(member);
        }
        group.seen.topics = group.subscribed_topics(around.topics);
        Ok(group)
    }

    /// The members, if all of them still speak the classic protocol, and the group could as well be a classic one.
    fn migrants(&self) -> Option<Vec<Migrant>> {
        let migrant = |member: &Member| match &member.protocol {
            Protocol::Consumer => None,
            Protocol::Classic { session_timeout_ms, protocols } => Some(Migrant {
                member_id: member.member_id.clone(),
                group_instance_id: member.instance_id.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                rebalance_timeout_ms: member.rebalance_timeout_ms.into(),
                session_timeout_ms: *session_timeout_ms,
                protocols: protocols.clone(),
                // They join anew at once, and so nobody asks for it.
                assignment: bytes::Bytes::new(),
            }),
        };
        self.members.values().map(migrant).collect()
    }
}

impl Group {
    /// A consumer group that has only members of the classic protocol left becomes a classic group.
    pub(in crate::group) fn maybe_downgrade(&mut self, now: Moment, settings: &GroupSettings) {
        let Self::Consumer(group) = self else { return };
        if group.is_empty() || !settings.consumer.migration.downgrades {
            return;
        }
        let migrants = group.migrants().filter(|migrants| migrants.len() <= settings.members_max);
        if let Some(migrants) = migrants {
            // In the generation that members know, so that they hear of the rebalance, and are not fenced.
            let generation_id = group.target.epoch;
            *self = Self::Classic(ClassicGroup::of_migrants(migrants, generation_id, now, settings));
        }
    }
}

/// What the leader assigned to a member. A custom assignor's own data would be lost.
fn read_assignment(migrant: &Migrant, topics: &dyn Topics) -> Result<Partitions, &'static str> {
    if migrant.assignment.is_empty() {
        return Ok(Partitions::new());
    }
    let (_, assignment) = decode_prefixed::<ConsumerProtocolAssignment>(migrant.assignment.clone())
        .map_err(|_| "the embedded consumer protocol is malformed")?;
    if assignment.user_data.is_some_and(|data| !data.is_empty()) {
        return Err(
            "an unsupported custom assignor is in use. Please refer to the documentation or switch to a \
                    default assignor before re-attempting the upgrade",
        );
    }
    let mut assigned = Partitions::new();
    for topic in &assignment.assigned_partitions {
        if let Some((topic_id, count)) = topics.find(&topic.topic) {
            let existing = topic.partitions.iter().filter(|partition| (0..count).contains(*partition));
            assigned.entry(topic_id).or_default().extend(existing);
        }
    }
    Ok(assigned)
}

/// What a member wants. It says the same to all protocols, as far as this is concerned.
fn read_subscription(migrant: &Migrant) -> Result<ConsumerProtocolSubscription, &'static str> {
    let metadata = migrant.protocols.first().map(|(_, metadata)| metadata.clone()).unwrap_or_default();
    let subscription = decode_prefixed::<ConsumerProtocolSubscription>(metadata);
    subscription
        .map(|(_, subscription)| subscription)
        .map_err(|_| "the embedded consumer protocol is malformed")
}

#[cfg(test)]
mod tests;
