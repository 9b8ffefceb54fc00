//! Members that still speak the classic protocol in a consumer group (Java:
//! `GroupMetadataManager.classicGroupJoinToConsumerGroup`, `classicGroupSyncToConsumerGroup`,
//! `classicGroupHeartbeatToConsumerGroup`).
//!
//! A join takes such a member a step towards its target, as a heartbeat does others, and is answered at once; its
//! generation is its member epoch. It brings back its assignment with a sync. The coordinator assigns, so nobody leads.

use bytes::{Buf, Bytes};
use milena_protocol::messages::consumer_protocol_assignment::TopicPartition;
use milena_protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use milena_protocol::{ByteStr, ErrorCode, decode_prefixed, encode_prefixed};

use super::assignor::Partitions;
use super::member::{HeldPartitions, Member, MemberState, Protocol};
use super::state::Timer;
use super::{ConsumerGroup, GroupError, Surroundings, Topics};
use crate::group::JoiningClient;
use crate::group::classic::join_refused;

const PROTOCOL_TYPE: &str = "consumer";

/// From this version on a client joins with an id that it was given before (KIP-394).
const MEMBER_ID_REQUIRED_SINCE_VERSION: i16 = 4;

impl ConsumerGroup {
    /// A client joins that speaks the classic protocol.
    pub(crate) fn join_classic(
        &mut self,
        request: &JoinGroupRequest,
        new_member_id: ByteStr,
        client: JoiningClient<'_>,
        around: &Surroundings<'_>,
    ) -> JoinGroupResponse {
        let must_come_back = request.member_id.is_empty()
            && request.group_instance_id.is_none()
            && client.api_version >= MEMBER_ID_REQUIRED_SINCE_VERSION;
        if let Err(error) = self.check_joining(request, around) {
            return join_refused(ByteStr::new(), error);
        }
        if must_come_back {
            return join_refused(new_member_id, ErrorCode::MemberIdRequired);
        }
        self.admit_classic(request, new_member_id, client, around)
            .unwrap_or_else(|error| join_refused(ByteStr::new(), error.code))
    }

    fn check_joining(&self, request: &JoinGroupRequest, around: &Surroundings<'_>) -> Result<(), ErrorCode> {
        let migration = around.settings.migration;
        if !migration.upgrades && !migration.downgrades {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        self.check_room(&request.member_id, around.settings.members_max).map_err(|error| error.code)?;
        let is_known_to_all = |name: &str| {
            self.members.values().all(|member| match &member.protocol {
                Protocol::Consumer => true,
                Protocol::Classic { protocols, .. } => protocols.iter().any(|(own, _)| own == name),
            })
        };
        let is_supported = request.protocols.iter().any(|protocol| is_known_to_all(&protocol.name));
        match request.protocol_type == PROTOCOL_TYPE && is_supported {
            true => Ok(()),
            false => Err(ErrorCode::InconsistentGroupProtocol),
        }
    }

    fn admit_classic(
        &mut self,
        request: &JoinGroupRequest,
        new_member_id: ByteStr,
        client: JoiningClient<'_>,
        around: &Surroundings<'_>,
    ) -> Result<JoinGroupResponse, GroupError> {
        let is_unknown = request.member_id.is_empty();
        let member_id = if is_unknown { new_member_id } else { request.member_id.detached() };
        let mut replaces = None;
        let before = match &request.group_instance_id {
            None => self.members.get(&member_id).cloned().unwrap_or_else(|| Member::new(member_id)),
            Some(instance_id) if is_unknown => match self.static_member(instance_id) {
                None => Member::new(member_id),
                Some(existing) => {
                    replaces = Some(existing.member_id.clone());
                    existing.successor(member_id)
                }
            },
            Some(instance_id) => self.known_instance(instance_id, &member_id)?.clone(),
        };
        let subscription = request.protocols.first().map(|protocol| protocol.metadata.clone());
        let (_, subscription) =
            decode_prefixed::<ConsumerProtocolSubscription>(subscription.unwrap_or_default())
                .map_err(|_| GroupError::of(ErrorCode::UnknownServerError))?;
        let updated = updated(&before, request, &subscription, client);
        let owned = owned(&subscription, around.topics);
        let after = self.take_in(before, replaces, updated, Some(&owned), around)?;
        let member_id = after.member_id.clone();
        self.timers.cancel(&Timer::Join(member_id.clone()));
        let sync_deadline_ms = around.now_ms + i64::from(after.rebalance_timeout_ms);
        self.timers.schedule(Timer::Sync(member_id.clone()), sync_deadline_ms);
        Ok(JoinGroupResponse {
            generation_id: after.member_epoch,
            protocol_type: Some(ByteStr::from_static(PROTOCOL_TYPE)),
            protocol_name: after.chosen_protocol().map(|(name, _)| name.clone()),
            member_id,
            ..Default::default()
        })
    }

    /// A member of the classic protocol wants its assignment.
    pub(crate) fn sync_classic(
        &mut self,
        request: &SyncGroupRequest,
        around: &Surroundings<'_>,
    ) -> Result<SyncGroupResponse, ErrorCode> {
        let member = self.classic_member(
            &request.member_id,
            request.group_instance_id.as_deref(),
            request.generation_id,
        )?;
        let (name, metadata) = member.chosen_protocol().ok_or(ErrorCode::UnknownServerError)?;
        let differs = |given: &Option<ByteStr>, own: &str| given.as_ref().is_some_and(|given| given != own);
        if differs(&request.protocol_type, PROTOCOL_TYPE) || differs(&request.protocol_name, name) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        // A member that is giving back partitions has joined already: it is to finish that first.
        let is_revoking = matches!(member.state, MemberState::UnrevokedPartitions { .. });
        if self.target.epoch > member.member_epoch && !is_revoking {
            let member = member.clone();
            self.schedule_join(&member, around.now_ms);
            return Err(ErrorCode::RebalanceInProgress);
        }
        let assignment = encode_assignment(&member.assigned, metadata, around.topics)?;
        let member = member.clone();
        self.timers.cancel(&Timer::Sync(member.member_id.clone()));
        self.schedule_session(&member, around.now_ms);
        Ok(SyncGroupResponse {
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment,
            ..Default::default()
        })
    }

    /// A member of the classic protocol shows that it is alive, and hears whether it is to join again.
    pub(crate) fn heartbeat_classic(
        &mut self,
        request: &HeartbeatRequest,
        now_ms: i64,
    ) -> Result<(), ErrorCode> {
        let instance_id = request.group_instance_id.as_deref();
        let member = self.classic_member(&request.member_id, instance_id, request.generation_id)?.clone();
        self.schedule_session(&member, now_ms);
        let is_to_join = match member.state {
            _ if member.member_epoch < self.target.epoch => true,
            MemberState::Stable => false,
            MemberState::UnrevokedPartitions { .. } => true,
            MemberState::UnreleasedPartitions => !self.waits_for_others(&member),
        };
        if is_to_join {
            self.schedule_join(&member, now_ms);
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    fn classic_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation_id: i32,
    ) -> Result<&Member, ErrorCode> {
        let member = match instance_id {
            None => self.member(member_id),
            Some(instance_id) => self.known_instance(instance_id, member_id),
        };
        let member = member.map_err(|error| error.code)?;
        if !member.is_classic() {
            return Err(ErrorCode::UnknownMemberId);
        }
        if member.member_epoch != generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        Ok(member)
    }

    /// It was told to join again. The time for it does not begin anew when it is told so again.
    fn schedule_join(&mut self, member: &Member, now_ms: i64) {
        let timer = Timer::Join(member.member_id.clone());
        if !self.timers.is_scheduled(&timer) {
            self.timers.schedule(timer, now_ms + i64::from(member.rebalance_timeout_ms));
        }
    }

    /// Whether a partition of its target is still held by another member.
    fn waits_for_others(&self, member: &Member) -> bool {
        self.target_of(&member.member_id).iter().any(|(topic, partitions)| {
            partitions.iter().any(|partition| self.is_held_by_another(&member.member_id, *topic, *partition))
        })
    }
}

fn updated(
    before: &Member,
    request: &JoinGroupRequest,
    subscription: &ConsumerProtocolSubscription,
    client: JoiningClient<'_>,
) -> Member {
    let mut member = before.clone();
    if let Some(instance_id) = &request.group_instance_id {
        member.instance_id = Some(instance_id.detached());
    }
    if let Some(rack_id) = subscription.rack_id.as_ref().filter(|rack_id| !rack_id.is_empty()) {
        member.rack_id = Some(rack_id.detached());
    }
    // Version 0 has no rebalance timeout of its own.
    member.rebalance_timeout_ms = match client.api_version {
        0 => request.session_timeout_ms,
        _ => request.rebalance_timeout_ms,
    };
    member.subscribed_names = subscription.topics.iter().map(ByteStr::detached).collect();
    member.subscribed_regex = ByteStr::new();
    member.client_id = client.client_id.into();
    member.client_host = client.client_host.into();
    let kept = request.protocols.iter();
    member.protocol = Protocol::Classic {
        session_timeout_ms: request.session_timeout_ms.into(),
        protocols: kept.map(|own| (own.name.detached(), Bytes::copy_from_slice(&own.metadata))).collect(),
    };
    member
}

fn owned(subscription: &ConsumerProtocolSubscription, topics: &dyn Topics) -> Partitions {
    let mut owned = Partitions::new();
    for topic in &subscription.owned_partitions {
        if let Some((topic_id, _)) = topics.find(&topic.topic) {
            owned.entry(topic_id).or_default().extend(&topic.partitions);
        }
    }
    owned
}

/// In the version of the member's subscription, which is what it begins with.
fn encode_assignment(
    assigned: &HeldPartitions,
    mut subscription: &[u8],
    topics: &dyn Topics,
) -> Result<Bytes, ErrorCode> {
    let version = subscription.try_get_i16().map_err(|_| ErrorCode::UnknownServerError)?;
    let existing = assigned.iter().filter_map(|(topic_id, partitions)| {
        let topic = topics.name_of(topic_id)?;
        Some(TopicPartition { topic, partitions: partitions.keys().copied().collect() })
    });
    let assignment =
        ConsumerProtocolAssignment { assigned_partitions: existing.collect(), ..Default::default() };
    encode_prefixed(version.min(ASSIGNMENT_VERSION_MAX), &assignment)
        .map_err(|_| ErrorCode::UnknownServerError)
}

/// The newest version of the assignment.
const ASSIGNMENT_VERSION_MAX: i16 = 3;
