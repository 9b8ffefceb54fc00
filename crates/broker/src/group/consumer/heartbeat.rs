//! Joining, staying, leaving, and running out of time (Java: `GroupMetadataManager.consumerGroupHeartbeat`).

use std::collections::BTreeSet;

use milena_protocol::messages::consumer_group_heartbeat_request as request;
use milena_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use milena_protocol::messages::leave_group_request::MemberIdentity;
use milena_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::assignor::{Assignor, Partitions};
use super::member::{HeldPartitions, LEFT_STATIC_MEMBER_EPOCH, Member, MemberState, Protocol};
use super::reconcile::Reconciliation;
use super::state::{ConsumerGroup, Timer};
use super::subscription::RegexChange;
use super::{GroupError, Surroundings};

/// The member epoch of a member that leaves for good.
const LEAVE_EPOCH: i32 = -1;

/// The first version whose members choose their own ids (KIP-1082).
const MEMBER_CHOOSES_ID_SINCE_VERSION: i16 = 1;

/// Who sends a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client<'a> {
    pub(crate) client_id: &'a str,
    /// Its address, as Java writes it: `/127.0.0.1`.
    pub(crate) host: &'a str,
}

/// Refuses what no group would accept (Java: `GroupCoordinatorService.throwIfConsumerGroupHeartbeatRequestIsInvalid`).
pub(crate) fn check_heartbeat(
    request: &ConsumerGroupHeartbeatRequest,
    version: i16,
    assignors: &[Assignor],
) -> Result<(), GroupError> {
    let invalid = |message: &str| Err(GroupError::new(ErrorCode::InvalidRequest, message));
    let is_blank = |text: &str| text.trim().is_empty();
    let is_blank_or_absent = |text: &Option<ByteStr>| text.as_deref().is_none_or(|text| !is_blank(text));
    let needs_id = version >= MEMBER_CHOOSES_ID_SINCE_VERSION
        || request.member_epoch > 0
        || request.member_epoch == LEAVE_EPOCH;
    if needs_id && is_blank(&request.member_id) {
        return invalid("MemberId can't be empty.");
    }
    if is_blank(&request.group_id) {
        return invalid("GroupId can't be empty.");
    }
    if !is_blank_or_absent(&request.instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if !is_blank_or_absent(&request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    match request.member_epoch {
        0 if request.rebalance_timeout_ms == -1 => {
            return invalid("RebalanceTimeoutMs must be provided in first request.");
        }
        0 if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) => {
            return invalid("TopicPartitions must be empty when (re-)joining.");
        }
        0 if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() => {
            return invalid(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
            );
        }
        LEFT_STATIC_MEMBER_EPOCH if request.instance_id.is_none() => {
            return invalid("InstanceId can't be null.");
        }
        epoch if epoch < LEFT_STATIC_MEMBER_EPOCH => return invalid("MemberEpoch is invalid."),
        _ => {}
    }
    let unsupported = request
        .server_assignor
        .as_deref()
        .filter(|name| !assignors.iter().any(|assignor| assignor.name() == *name));
    if let Some(name) = unsupported {
        let supported: Vec<_> = assignors.iter().map(|assignor| assignor.name()).collect();
        let message =
            format!("ServerAssignor {name} is not supported. Supported assignors: {}.", supported.join(", "));
        return Err(GroupError::new(ErrorCode::UnsupportedAssignor, message));
    }
    Ok(())
}

/// Whether the request joins, or joins again, and so makes a group that does not exist.
pub(crate) fn joins(request: &ConsumerGroupHeartbeatRequest) -> bool {
    request.member_epoch == 0
}

/// Whether the request leaves, for good or for a while.
pub(crate) fn leaves(request: &ConsumerGroupHeartbeatRequest) -> bool {
    matches!(request.member_epoch, LEAVE_EPOCH | LEFT_STATIC_MEMBER_EPOCH)
}

/// The member that a request is about, before the request.
struct Found {
    member: Member,
    /// The member that it takes the place of: the same instance under another id.
    replaces: Option<ByteStr>,
}

impl ConsumerGroup {
    /// Works on a heartbeat that does not leave. Refused, it leaves the group as it was.
    pub(crate) fn heartbeat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        new_member_id: ByteStr,
        client: Client<'_>,
        around: &Surroundings<'_>,
    ) -> Result<ConsumerGroupHeartbeatResponse, GroupError> {
        let owned = request.topic_partitions.as_deref().map(partitions);
        self.check_room(&request.member_id, around.settings.members_max)?;
        let member_id =
            if request.member_id.is_empty() { new_member_id } else { request.member_id.detached() };
        let Found { member: before, replaces } = self.find(request, member_id, owned.as_ref())?;
        let updated = updated(&before, request, client);
        let after = self.take_in(before.clone(), replaces, updated, owned.as_ref(), around)?;
        Ok(answer(request, &before, &after, around.settings.heartbeat_interval_ms))
    }

    /// Takes in what a member says of itself, and takes it a step towards its target. Refused, it leaves the group as
    /// it was.
    pub(super) fn take_in(
        &mut self,
        before: Member,
        replaces: Option<ByteStr>,
        updated: Member,
        owned: Option<&Partitions>,
        around: &Surroundings<'_>,
    ) -> Result<Member, GroupError> {
        let (regex_change, resolution_is_due) = self.regex_change(&before, &updated, around)?;

        if let Some(old_member_id) = replaces {
            self.replace(&old_member_id, before.clone());
        }
        let names_changed = updated.subscribed_names != before.subscribed_names;
        self.put(updated.clone());
        if regex_change != RegexChange::None {
            self.forget_unused_regexes();
        }
        // An expression that is not resolved yet waits for its topics: the epoch rises when they are known.
        self.look_at_topics(names_changed || regex_change == RegexChange::ChangedAndResolved, around.topics);
        self.update_target(around);
        let subscription_changed = names_changed || regex_change != RegexChange::None;
        let after = self.reconcile(updated, subscription_changed, owned, around);
        self.session_timeout_ms = around.settings.session_timeout_ms;
        self.schedule_session(&after, around.now_ms);
        if resolution_is_due {
            self.resolve_regexes(around);
        }
        Ok(after)
    }

    /// Works on a heartbeat that leaves.
    pub(crate) fn leave(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, GroupError> {
        let member = match &request.instance_id {
            None => self.member(&request.member_id)?,
            Some(instance_id) => self.known_instance(instance_id, &request.member_id)?,
        };
        let member_id = member.member_id.clone();
        if request.instance_id.is_some() && request.member_epoch == LEFT_STATIC_MEMBER_EPOCH {
            // Its session goes on: if it is not back by then, its partitions go to others.
            self.put(member.left_for_a_while());
            self.timers.cancel(&Timer::Revocation(member_id));
        } else {
            self.fence(&[member_id]);
        }
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(request.member_id.detached()),
            member_epoch: request.member_epoch,
            ..Default::default()
        })
    }

    /// Removes members as LeaveGroup asks for: an administrator may name an instance without its member id
    /// (Java: `classicGroupLeaveToConsumerGroup`). Says of each whether it is removed.
    pub(crate) fn remove_members(&mut self, members: &[MemberIdentity]) -> Vec<Result<(), ErrorCode>> {
        let find = |identity: &MemberIdentity| match &identity.group_instance_id {
            None => self.member(&identity.member_id).map(|member| member.member_id.clone()),
            Some(instance_id) if identity.member_id.is_empty() => {
                let member = self.static_member(instance_id).map(|member| member.member_id.clone());
                member.ok_or_else(|| GroupError::of(ErrorCode::UnknownMemberId))
            }
            Some(instance_id) => {
                self.known_instance(instance_id, &identity.member_id).map(|member| member.member_id.clone())
            }
        };
        let found: Vec<Result<ByteStr, GroupError>> = members.iter().map(find).collect();
        let member_ids: Vec<ByteStr> = found.iter().flatten().cloned().collect();
        self.fence(&member_ids);
        found.into_iter().map(|found| found.map(drop).map_err(|error| error.code)).collect()
    }

    /// When time will do something next.
    pub(crate) fn next_deadline(&self) -> Option<i64> {
        self.timers.next()
    }

    /// Begins all time anew, as a coordinator does that has just loaded the group
    /// (Java: `GroupMetadataManager.onLoaded`).
    pub(crate) fn handle_moved(&mut self, now_ms: i64) {
        let members: Vec<Member> = self.members.values().cloned().collect();
        for member in &members {
            self.schedule_session(member, now_ms);
            self.schedule_revocation(member, now_ms);
        }
    }

    /// Throws out the members whose time is up.
    pub(crate) fn handle_timeout(&mut self, now_ms: i64) {
        while let Some(timer) = self.timers.pop_due(now_ms) {
            self.fence(&[timer.member_id().clone()]);
        }
    }

    /// Removes members; the group epoch rises (Java: `consumerGroupFenceMembers`).
    pub(super) fn fence(&mut self, member_ids: &[ByteStr]) {
        let removed = member_ids.iter().filter_map(|member_id| self.remove(member_id)).count();
        if removed > 0 {
            self.forget_unused_regexes();
            self.group_epoch += 1;
            self.forget_unused_topics();
        }
    }

    pub(super) fn check_room(&self, member_id: &str, members_max: usize) -> Result<(), GroupError> {
        if self.members.len() >= members_max && !self.members.contains_key(member_id) {
            let message =
                format!("The consumer group has reached its maximum capacity of {members_max} members.");
            return Err(GroupError::new(ErrorCode::GroupMaxSizeReached, message));
        }
        Ok(())
    }

    fn find(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
        member_id: ByteStr,
        owned: Option<&Partitions>,
    ) -> Result<Found, GroupError> {
        let joins = joins(request);
        let found = |member: Member| Ok(Found { member, replaces: None });
        let Some(instance_id) = &request.instance_id else {
            let member = match self.members.get(&member_id) {
                None if joins => Member::new(member_id),
                _ => self.member(&member_id)?.clone(),
            };
            check_epoch(&member, request.member_epoch, owned)?;
            return found(member);
        };
        if !joins {
            let member = self.known_instance(instance_id, &member_id)?;
            check_epoch(member, request.member_epoch, owned)?;
            return found(member.clone());
        }
        let Some(existing) = self.static_member(instance_id) else {
            let known = self.members.get(&member_id);
            return found(known.cloned().unwrap_or_else(|| Member::new(member_id)));
        };
        if !existing.is_classic() && existing.member_epoch != LEFT_STATIC_MEMBER_EPOCH {
            let message = format!(
                "Static member {member_id} with instance id {instance_id} cannot join the group because the \
                 instance id is owned by {} member.",
                existing.member_id
            );
            return Err(GroupError::new(ErrorCode::UnreleasedInstanceId, message));
        }
        Ok(Found { member: existing.successor(member_id), replaces: Some(existing.member_id.clone()) })
    }

    /// The static member of this instance id, which must have this member id.
    pub(super) fn known_instance(&self, instance_id: &str, member_id: &str) -> Result<&Member, GroupError> {
        let Some(member) = self.static_member(instance_id) else {
            let message = format!("Instance id {instance_id} is unknown.");
            return Err(GroupError::new(ErrorCode::UnknownMemberId, message));
        };
        if member.member_id != *member_id {
            let message = format!(
                "Static member {member_id} with instance id {instance_id} was fenced by member {}.",
                member.member_id
            );
            return Err(GroupError::new(ErrorCode::FencedInstanceId, message));
        }
        Ok(member)
    }

    /// Takes the member a step towards its target (Java: `maybeReconcile`).
    pub(super) fn reconcile(
        &mut self,
        member: Member,
        has_subscription_changed: bool,
        owned: Option<&Partitions>,
        around: &Surroundings<'_>,
    ) -> Member {
        if !has_subscription_changed && member.is_reconciled_to(self.target.epoch) {
            return member;
        }
        let next = Reconciliation {
            target_epoch: self.target.epoch,
            target: self.target_of(&member.member_id),
            subscribed: &self.subscription_of(&member, around.topics),
            has_subscription_changed,
            owned,
            is_held_by_another: &|topic, partition| {
                self.is_held_by_another(&member.member_id, topic, partition)
            },
        }
        .advance(&member);
        if next != member {
            self.put(next.clone());
            self.schedule_revocation(&next, around.now_ms);
        }
        next
    }

    pub(super) fn schedule_session(&mut self, member: &Member, now_ms: i64) {
        let timeout_ms = match &member.protocol {
            Protocol::Consumer => self.session_timeout_ms,
            Protocol::Classic { session_timeout_ms, .. } => *session_timeout_ms,
        };
        self.timers.schedule(Timer::Session(member.member_id.clone()), now_ms.saturating_add(timeout_ms));
    }

    /// Members of the classic protocol have timers of their own.
    fn schedule_revocation(&mut self, member: &Member, now_ms: i64) {
        let timer = Timer::Revocation(member.member_id.clone());
        if matches!(member.state, MemberState::UnrevokedPartitions { .. }) && !member.is_classic() {
            self.timers.schedule(timer, now_ms + i64::from(member.rebalance_timeout_ms));
        } else {
            self.timers.cancel(&timer);
        }
    }
}

/// The member with what the request says of it. What a request leaves out stays as it is.
fn updated(before: &Member, request: &ConsumerGroupHeartbeatRequest, client: Client<'_>) -> Member {
    let mut member = before.clone();
    let detached = |text: &ByteStr| text.detached();
    if let Some(instance_id) = &request.instance_id {
        member.instance_id = Some(instance_id.detached());
    }
    if let Some(rack_id) = &request.rack_id {
        member.rack_id = Some(rack_id.detached());
    }
    if request.rebalance_timeout_ms != -1 {
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    if let Some(assignor) = request.server_assignor.as_deref().and_then(Assignor::by_name) {
        member.assignor = Some(assignor);
    }
    if let Some(names) = &request.subscribed_topic_names {
        member.subscribed_names = names.iter().map(detached).collect::<BTreeSet<_>>();
    }
    if let Some(regex) = &request.subscribed_topic_regex {
        member.subscribed_regex = regex.detached();
    }
    member.client_id = client.client_id.into();
    member.client_host = client.host.into();
    member.protocol = Protocol::Consumer;
    member
}

/// Refuses a member epoch that is not the member's own, unless the answer that told it the new one may have been lost
/// (Java: `throwIfConsumerGroupMemberEpochIsInvalid`).
fn check_epoch(member: &Member, received: i32, owned: Option<&Partitions>) -> Result<(), GroupError> {
    let known = member.member_epoch;
    let missed_answer = || {
        received == member.previous_member_epoch
            && owned.is_some_and(|owned| is_within(owned, &member.assigned))
    };
    let comparison = match received {
        0 => return Ok(()),
        _ if received > known => "greater",
        _ if received < known && !missed_answer() => "smaller",
        _ => return Ok(()),
    };
    let message = format!(
        "The consumer group member has a {comparison} member epoch ({received}) than the one known by the group \
         coordinator ({known}). The member must abandon all its partitions and rejoin."
    );
    Err(GroupError::new(ErrorCode::FencedMemberEpoch, message))
}

fn is_within(owned: &Partitions, assigned: &HeldPartitions) -> bool {
    owned.iter().all(|(topic, owned)| {
        let assigned = assigned.get(topic);
        owned.iter().all(|partition| assigned.is_some_and(|assigned| assigned.contains_key(partition)))
    })
}

fn answer(
    request: &ConsumerGroupHeartbeatRequest,
    before: &Member,
    after: &Member,
    heartbeat_interval_ms: i32,
) -> ConsumerGroupHeartbeatResponse {
    let has_subscription =
        request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
    let is_full =
        request.rebalance_timeout_ms != -1 && has_subscription && request.topic_partitions.is_some();
    let tells_assignment = joins(request) || is_full || before.assigned != after.assigned;
    ConsumerGroupHeartbeatResponse {
        member_id: Some(after.member_id.clone()),
        member_epoch: after.member_epoch,
        heartbeat_interval_ms,
        assignment: tells_assignment.then(|| assignment(&after.assigned)),
        ..Default::default()
    }
}

fn assignment(assigned: &HeldPartitions) -> Assignment {
    let topic_partitions = assigned.iter().map(|(topic_id, partitions)| TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.keys().copied().collect(),
        ..Default::default()
    });
    Assignment { topic_partitions: topic_partitions.collect(), ..Default::default() }
}

fn partitions(topics: &[request::TopicPartitions]) -> Partitions {
    let mut partitions = Partitions::new();
    for topic in topics {
        partitions.entry(topic.topic_id).or_default().extend(&topic.partitions);
    }
    partitions
}

#[cfg(test)]
mod tests;
