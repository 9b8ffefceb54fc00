//! JoinGroup (KIP-62, 345, 394, 814; Java: `GroupMetadataManager.classicGroupJoinToClassicGroup`). Pure.

use bytes::Bytes;
use milena_protocol::messages::{JoinGroupRequest, JoinGroupResponse, SyncGroupResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::member::Member;
use super::{ClassicGroup, MEMBERS_MAX, Slot, State, Timer, fill, join_refused};
use crate::clock::Moment;
use crate::config::GroupSettings;
use crate::rng::Rng;

/// From this version on a client joins with an id that it was given before (KIP-394).
const MEMBER_ID_REQUIRED_SINCE_VERSION: i16 = 4;
/// From this version on a leader can be told not to assign (KIP-814).
const SKIPS_ASSIGNMENT_SINCE_VERSION: i16 = 9;

/// How long a new member's join may wait before its client is taken to be gone; clients ask again before
/// (Java: `GroupCoordinatorConfig.CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS`).
const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1000;

/// Who joins, beside what the request says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JoiningClient<'a> {
    pub(crate) client_id: &'a str,
    /// As Java prints an address: with a slash before it.
    pub(crate) client_host: &'a str,
    pub(crate) api_version: i16,
}

/// A join on its way through the rules.
pub(super) struct Join<'a> {
    client: JoiningClient<'a>,
    group_instance_id: Option<&'a ByteStr>,
    protocol_type: &'a ByteStr,
    protocols: Vec<(ByteStr, Bytes)>,
    rebalance_timeout_ms: i64,
    session_timeout_ms: i64,
    reason: &'a str,
    slot: Slot<JoinGroupResponse>,
}

impl<'a> Join<'a> {
    fn new(request: &'a JoinGroupRequest, client: JoiningClient<'a>, slot: Slot<JoinGroupResponse>) -> Self {
        let kept = request.protocols.iter();
        let kept = kept.map(|own| (own.name.detached(), Bytes::copy_from_slice(&own.metadata)));
        // Version 0 has no rebalance timeout of its own.
        let rebalance_timeout_ms = match client.api_version {
            0 => request.session_timeout_ms,
            _ => request.rebalance_timeout_ms,
        };
        Self {
            client,
            group_instance_id: request.group_instance_id.as_ref(),
            protocol_type: &request.protocol_type,
            protocols: kept.collect(),
            rebalance_timeout_ms: rebalance_timeout_ms.into(),
            session_timeout_ms: request.session_timeout_ms.into(),
            reason: request.reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or("not provided"),
            slot,
        }
    }

    fn refuse(self, member_id: ByteStr, error_code: ErrorCode) {
        fill(self.slot, join_refused(member_id, error_code));
    }

    /// The id of a new member: its instance's or client's name, and a random UUID.
    fn new_member_id(&self, rng: &mut Rng) -> ByteStr {
        let name = self.group_instance_id.map_or(self.client.client_id, |id| id.as_str());
        ByteStr::from(format!("{name}-{}", hyphenated(rng.uuid().0)))
    }
}

impl ClassicGroup {
    /// A client joins. Its slot is filled now, or when the rebalance is over.
    pub(in crate::group) fn handle_join(
        &mut self,
        request: &JoinGroupRequest,
        client: JoiningClient<'_>,
        slot: Slot<JoinGroupResponse>,
        rng: &mut Rng,
        now: Moment,
        settings: &GroupSettings,
    ) {
        let join = Join::new(request, client, slot);
        let member_id = &request.member_id;
        if !self.has_room_for(member_id, settings) {
            self.remove(member_id);
            return join.refuse(ByteStr::new(), ErrorCode::GroupMaxSizeReached);
        }
        if !self.supports(&request.protocol_type, &join.protocols) {
            return join.refuse(member_id.detached(), ErrorCode::InconsistentGroupProtocol);
        }
        if member_id.is_empty() {
            self.join_anew(join, rng, now, settings);
        } else {
            self.join_again(member_id.detached(), join, now, settings);
        }
    }

    /// Java: `acceptJoiningMember`. While members are joining, those that have are counted, so that the last ones
    /// are turned away when the limit has been lowered.
    fn has_room_for(&self, member_id: &str, settings: &GroupSettings) -> bool {
        let members_max = settings.members_max.min(MEMBERS_MAX);
        match self.state {
            State::Empty => self.pending_joins.len() < MEMBERS_MAX,
            State::PreparingRebalance { .. } => {
                let is_joining = self.members.get(member_id).is_some_and(Member::is_joining);
                let joining = self.members.values().filter(|member| member.is_joining()).count();
                is_joining || joining < members_max && self.pending_joins.len() < MEMBERS_MAX
            }
            State::CompletingRebalance | State::Stable => {
                self.members.contains_key(member_id)
                    || self.members.len() < members_max && self.pending_joins.len() < MEMBERS_MAX
            }
        }
    }

    /// Somebody without a member id joins.
    fn join_anew(&mut self, join: Join<'_>, rng: &mut Rng, now: Moment, settings: &GroupSettings) {
        let new_member_id = join.new_member_id(rng);
        if let Some(group_instance_id) = join.group_instance_id {
            match self.static_members.get(group_instance_id).cloned() {
                Some(old_member_id) => {
                    self.replace_static_member(&old_member_id, new_member_id, join, now, settings);
                }
                None => self.add_member(new_member_id, join, now, settings),
            }
        } else if join.client.api_version >= MEMBER_ID_REQUIRED_SINCE_VERSION {
            self.pending_joins.insert(new_member_id.clone());
            let deadline_ms = now.elapsed_ms + join.session_timeout_ms;
            self.timers.schedule(Timer::Session(new_member_id.clone()), deadline_ms);
            join.refuse(new_member_id, ErrorCode::MemberIdRequired);
        } else {
            self.add_member(new_member_id, join, now, settings);
        }
    }

    /// Somebody with a member id joins.
    fn join_again(&mut self, member_id: ByteStr, join: Join<'_>, now: Moment, settings: &GroupSettings) {
        if self.pending_joins.contains(&member_id) {
            // Only dynamic members are given an id before they join; Java's coordinator fails.
            return match join.group_instance_id {
                None => self.add_member(member_id, join, now, settings),
                Some(_) => join.refuse(ByteStr::new(), ErrorCode::UnknownServerError),
            };
        }
        let checked = self.check_member(&member_id, join.group_instance_id.map(|id| id.as_str()));
        if let Err(error_code) = checked {
            return join.refuse(member_id, error_code);
        }
        let has_changed =
            self.members.get(&member_id).is_some_and(|member| member.protocols != join.protocols);
        match self.state {
            State::Empty => join.refuse(member_id, ErrorCode::UnknownMemberId),
            State::PreparingRebalance { .. } => self.update_member(&member_id, join, now, settings),
            // The answer to its earlier join was lost: it gets it again. As before a sync the leader, too, can be told
            // again who the members are.
            State::CompletingRebalance if !has_changed => {
                let answer = self.joined(&member_id);
                fill(join.slot, answer);
            }
            // The leader joins to have partitions assigned anew, because it has seen something in metadata.
            State::Stable if !has_changed && !self.is_leader(&member_id) => {
                let answer = self.joined(&member_id);
                fill(join.slot, answer);
            }
            State::CompletingRebalance | State::Stable => self.update_member(&member_id, join, now, settings),
        }
    }

    fn add_member(&mut self, member_id: ByteStr, join: Join<'_>, now: Moment, settings: &GroupSettings) {
        if let State::PreparingRebalance { initial: Some(initial) } = &mut self.state {
            initial.has_new_member = true;
        }
        let group_instance_id = join.group_instance_id.map(ByteStr::detached);
        if let Some(group_instance_id) = &group_instance_id {
            self.static_members.insert(group_instance_id.clone(), member_id.clone());
        }
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.detached());
        }
        if self.leader.is_none() {
            self.leader = Some(member_id.clone());
        }
        self.pending_joins.remove(&member_id);
        tracing::debug!(%member_id, reason = join.reason, "a member is added to a group");
        let member = Member {
            group_instance_id,
            client_id: join.client.client_id.into(),
            client_host: join.client.client_host.into(),
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            session_timeout_ms: join.session_timeout_ms,
            protocols: join.protocols,
            assignment: Bytes::new(),
            join: Some(join.slot),
            sync: None,
            is_new: true,
        };
        self.members.insert(member_id.clone(), member);
        self.timers.schedule(Timer::Session(member_id), now.elapsed_ms + NEW_MEMBER_JOIN_TIMEOUT_MS);
        self.rebalance_or_complete_join(now, settings);
    }

    fn update_member(&mut self, member_id: &str, join: Join<'_>, now: Moment, settings: &GroupSettings) {
        tracing::debug!(member_id, reason = join.reason, "a member joins its group again");
        self.set_joining(member_id, join);
        self.rebalance_or_complete_join(now, settings);
    }

    fn set_joining(&mut self, member_id: &str, join: Join<'_>) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.protocols = join.protocols;
            member.rebalance_timeout_ms = join.rebalance_timeout_ms;
            member.session_timeout_ms = join.session_timeout_ms;
            member.join = Some(join.slot);
        }
    }

    /// An instance has restarted and joins without its member id: it takes its own place (KIP-345). Unless the
    /// protocol changes, nobody else hears of it.
    fn replace_static_member(
        &mut self,
        old_member_id: &str,
        new_member_id: ByteStr,
        join: Join<'_>,
        now: Moment,
        settings: &GroupSettings,
    ) {
        let api_version = join.client.api_version;
        let old_leader = self.leader.clone();
        self.rename_static_member(old_member_id, &new_member_id);
        // Java schedules the session with the timeout that the instance had before.
        self.extend_session(&new_member_id, now);
        self.set_joining(&new_member_id, join);
        match self.state {
            State::Stable if self.select_protocol() == self.protocol_name => {
                let is_leader = self.is_leader(&new_member_id);
                let answer = match api_version >= SKIPS_ASSIGNMENT_SINCE_VERSION {
                    true => JoinGroupResponse { skip_assignment: is_leader, ..self.joined(&new_member_id) },
                    // Without being able to skip, it must not know that it leads, or it would assign.
                    false => JoinGroupResponse {
                        leader: old_leader.unwrap_or_default(),
                        members: Vec::new(),
                        ..self.joined(&new_member_id)
                    },
                };
                if let Some(member) = self.members.get_mut(&new_member_id) {
                    member.answer_join(|| answer);
                }
            }
            State::Stable => self.rebalance_or_complete_join(now, settings),
            // The leader may already be assigning to the old id.
            State::CompletingRebalance => self.prepare_rebalance(now, settings),
            State::PreparingRebalance { .. } | State::Empty => self.maybe_complete_join(now),
        }
    }

    /// Gives a static member another id, and turns away whoever waits under the old one.
    fn rename_static_member(&mut self, old_member_id: &str, new_member_id: &ByteStr) {
        let Some((old_member_id, mut member)) = self.members.remove_entry(old_member_id) else { return };
        member.answer_join(|| join_refused(old_member_id.clone(), ErrorCode::FencedInstanceId));
        member.answer_sync(|| SyncGroupResponse {
            error_code: ErrorCode::FencedInstanceId,
            ..Default::default()
        });
        member.is_new = false;
        self.timers.cancel(&Timer::Session(old_member_id.clone()));
        if self.is_leader(&old_member_id) {
            self.leader = Some(new_member_id.clone());
        }
        if let Some(group_instance_id) = member.group_instance_id.clone() {
            self.static_members.insert(group_instance_id, new_member_id.clone());
        }
        self.members.insert(new_member_id.clone(), member);
    }
}

/// A UUID as Java prints it.
fn hyphenated(id: [u8; 16]) -> String {
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
