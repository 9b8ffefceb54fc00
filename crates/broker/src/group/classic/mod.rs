//! Groups of the classic protocol (Java: `ClassicGroup`, and what `GroupMetadataManager` does with it). Pure.
//!
//! ```text
//!                    first member joins                     all joined, or time is up
//!   Empty ------------------------------> PreparingRebalance --------------------------> CompletingRebalance
//!     ^                                     ^     |      ^                                  |            |
//!     |     all left, or none joined again  |     |      |  a member joins or leaves,       |            | the leader
//!     +-------------------------------------|-----+      |  or does not sync in time        |            | has synced
//!                                           |            +----------------------------------+            v
//!                                           +--------------------------------------------------------- Stable
//!                                             a member joins anew, leaves or expires; the leader joins
//! ```
//! A group that is gone (Java: `Dead`) is not in the registry any more.

mod join;
mod member;
mod migrate;
mod rebalance;
mod requests;
mod subscription;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use milena_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use milena_protocol::messages::join_group_response::JoinGroupResponseMember;
use milena_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use milena_protocol::{ByteStr, ErrorCode};

pub(crate) use join::JoiningClient;
pub(in crate::group) use migrate::Migrant;

use super::{Committer, GroupListing, OffsetExpiry, Slot, Timers};
use crate::clock::Moment;
use member::Member;

/// The type of groups of consumers; other types, such as Connect's, have other subscriptions and assignments.
const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// The most members a group may have, whatever `group.max.size` allows, and the most that may be about to join.
const MEMBERS_MAX: usize = 10_000;

/// A group whose members, if any, agree by joining and syncing.
#[derive(Debug)]
pub(crate) struct ClassicGroup {
    state: State,
    /// Wall clock.
    state_since_ms: i64,
    /// `None` for a group that only ever had offsets.
    protocol_type: Option<ByteStr>,
    protocol_name: Option<ByteStr>,
    generation_id: i32,
    leader: Option<ByteStr>,
    members: BTreeMap<ByteStr, Member>,
    /// Member ids by group instance id.
    static_members: BTreeMap<ByteStr, ByteStr>,
    /// Ids that were given out, and whose owners have not joined with them yet (KIP-394).
    pending_joins: BTreeSet<ByteStr>,
    /// Members of this generation that have not asked for their assignment yet.
    pending_syncs: BTreeSet<ByteStr>,
    /// Topics that any member wants; `None` when that cannot be known.
    subscribed_topics: Option<BTreeSet<ByteStr>>,
    timers: Timers<Timer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No members; there may be offsets.
    Empty,
    /// Members are joining.
    PreparingRebalance {
        /// The group was empty, and waits for more members than the first (`group.initial.rebalance.delay.ms`).
        initial: Option<InitialDelay>,
    },
    /// All have joined; the leader is assigning.
    CompletingRebalance,
    /// Everybody has an assignment, or can ask for it.
    Stable,
}

/// The wait of a new group. It is prolonged as long as members join, up to their rebalance timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InitialDelay {
    delay_ms: i64,
    remaining_ms: i64,
    has_new_member: bool,
}

/// What a group waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The end of the initial delay, or of the rebalance timeout.
    Join,
    /// Members must ask for their assignment within the rebalance timeout.
    Sync,
    /// A member must show that it is alive.
    Session(ByteStr),
}

impl ClassicGroup {
    /// An empty group.
    pub(crate) fn new(now: Moment) -> Self {
        Self {
            state: State::Empty,
            state_since_ms: now.wall_ms,
            protocol_type: None,
            protocol_name: None,
            generation_id: 0,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_joins: BTreeSet::new(),
            pending_syncs: BTreeSet::new(),
            subscribed_topics: None,
            timers: Timers::default(),
        }
    }

    pub(super) fn listing(&self) -> GroupListing {
        GroupListing {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state.name(),
            kind: "classic",
        }
    }

    /// The group as DescribeGroups tells of it; what members want is only told of a stable group.
    pub(super) fn describe(&self, group_id: &ByteStr) -> DescribedGroup {
        let protocol = self.protocol_name.clone().filter(|_| self.state == State::Stable);
        let describe = |(member_id, member): (&ByteStr, &Member)| DescribedGroupMember {
            member_id: member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            member_metadata: protocol.as_deref().map(|name| member.metadata(name)).unwrap_or_default(),
            member_assignment: member.assignment.clone(),
            ..Default::default()
        };
        DescribedGroup {
            group_id: group_id.clone(),
            group_state: ByteStr::from_static(self.state.name()),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            members: self.members.iter().map(describe).collect(),
            protocol_data: protocol.unwrap_or_default(),
            ..Default::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state == State::Empty
    }

    pub(super) fn next_deadline(&self) -> Option<i64> {
        self.timers.next()
    }

    /// Whether these offsets may be committed (Java: `ClassicGroup.validateOffsetCommit`).
    pub(super) fn handle_offset_commit(&mut self, by: Committer<'_>, now: Moment) -> Result<(), ErrorCode> {
        if by.generation_or_epoch < 0 && self.state == State::Empty {
            return Ok(());
        }
        if by.generation_or_epoch >= 0 || !by.member_id.is_empty() || by.group_instance_id.is_some() {
            self.check_member(by.member_id, by.group_instance_id)?;
            if by.generation_or_epoch != self.generation_id {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else if !by.is_transactional && self.state != State::Empty {
            return Err(ErrorCode::UnknownMemberId);
        }
        if by.is_transactional {
            return Ok(());
        }
        match self.state {
            // The member knows the generation, so it has its answer to the join, and is to come with its sync first.
            State::CompletingRebalance => Err(ErrorCode::RebalanceInProgress),
            State::Empty => Ok(()),
            State::PreparingRebalance { .. } | State::Stable => {
                self.extend_session(by.member_id, now);
                Ok(())
            }
        }
    }

    pub(super) fn check_offset_delete(&self) -> Result<(), ErrorCode> {
        match self.state {
            State::Empty => Ok(()),
            _ if self.is_of_consumers() => Ok(()),
            _ => Err(ErrorCode::NonEmptyGroup),
        }
    }

    /// Whether a member wants a topic; when that cannot be known, a group of consumers might.
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    pub(super) fn offset_expiry(&self) -> OffsetExpiry {
        match (&self.protocol_type, self.state) {
            (None, _) => OffsetExpiry::SinceCommit,
            (Some(_), State::Empty) => OffsetExpiry::Since { wall_ms: self.state_since_ms },
            (Some(_), State::Stable) if self.is_of_consumers() && self.subscribed_topics.is_some() => {
                OffsetExpiry::SinceCommit
            }
            _ => OffsetExpiry::Never,
        }
    }

    /// The coordinator has moved. Members that never were told that they are members are not: their next join says so.
    pub(super) fn handle_moved(&mut self, now: Moment) {
        let mut strangers = Vec::new();
        for (member_id, member) in &mut self.members {
            member.answer_join(|| join_refused(member_id.clone(), ErrorCode::NotCoordinator));
            member.answer_sync(|| sync_refused(ErrorCode::NotCoordinator));
            if member.is_new {
                strangers.push(member_id.clone());
            }
        }
        for member_id in strangers {
            self.remove(&member_id);
        }
        let sessions: Vec<_> =
            self.members.iter().map(|(id, member)| (id.clone(), member.session_timeout_ms)).collect();
        for (member_id, session_timeout_ms) in sessions {
            self.timers.schedule(Timer::Session(member_id), now.elapsed_ms + session_timeout_ms);
        }
        let rebalance_deadline_ms = now.elapsed_ms + self.rebalance_timeout_ms();
        for timer in [Timer::Join, Timer::Sync] {
            if self.timers.is_scheduled(&timer) {
                self.timers.schedule(timer, rebalance_deadline_ms);
            }
        }
    }

    fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Checks that somebody is a member, and not one that another instance of the same name has replaced.
    fn check_member(&self, member_id: &str, group_instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(group_instance_id) = group_instance_id {
            match self.static_members.get(group_instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(owner) if owner != member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        match self.members.contains_key(member_id) {
            true => Ok(()),
            false => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// Whether a client with these protocols can be a member along with the present ones.
    fn supports(&self, protocol_type: &str, protocols: &[(ByteStr, Bytes)]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let is_known_to_all = |name: &ByteStr| self.members.values().all(|member| member.supports(name));
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|(name, _)| is_known_to_all(name))
    }

    /// The protocol that most members prefer among those that all support; of equals the first by name.
    fn select_protocol(&self) -> Option<ByteStr> {
        let is_known_to_all = |name: &str| self.members.values().all(|member| member.supports(name));
        let mut votes: BTreeMap<&ByteStr, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| is_known_to_all(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().max().copied()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    /// The longest that any member may take to join again.
    fn rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0).max(0)
    }

    fn enter_state(&mut self, state: State, now: Moment) {
        self.state = state;
        self.state_since_ms = now.wall_ms;
    }

    fn extend_session(&mut self, member_id: &str, now: Moment) {
        if let Some((member_id, member)) = self.members.get_key_value(member_id) {
            let deadline_ms = now.elapsed_ms + member.session_timeout_ms;
            self.timers.schedule(Timer::Session(member_id.clone()), deadline_ms);
        }
    }

    /// Takes a member out, or the id of one that was about to join; whoever is left may lead.
    fn remove(&mut self, member_id: &str) {
        if let Some(member) = self.members.remove(member_id)
            && let Some(group_instance_id) = member.group_instance_id
        {
            self.static_members.remove(&group_instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_joins.remove(member_id);
        self.pending_syncs.remove(member_id);
        self.timers.cancel(&Timer::Session(member_id.into()));
    }

    /// A successful answer to a member's join, in the present generation; the leader hears of all members.
    fn joined(&self, member_id: &ByteStr) -> JoinGroupResponse {
        let members = self.is_leader(member_id).then(|| self.members_for_leader());
        JoinGroupResponse {
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: member_id.clone(),
            members: members.unwrap_or_default(),
            ..Default::default()
        }
    }

    fn members_for_leader(&self) -> Vec<JoinGroupResponseMember> {
        let protocol_name = self.protocol_name.as_deref().unwrap_or_default();
        let describe = |(member_id, member): (&ByteStr, &Member)| JoinGroupResponseMember {
            member_id: member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            metadata: member.metadata(protocol_name),
            ..Default::default()
        };
        self.members.iter().map(describe).collect()
    }
}

impl State {
    /// As clients know it.
    fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance { .. } => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A join that has failed.
pub(super) fn join_refused(member_id: ByteStr, error_code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse { error_code, member_id, generation_id: -1, ..Default::default() }
}

/// A sync that has failed.
pub(super) fn sync_refused(error_code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code, ..Default::default() }
}

/// Fills a slot. Nobody may be waiting any more; then nobody hears it.
fn fill<T>(slot: Slot<T>, answer: T) {
    let _ = slot.send(answer);
}

#[cfg(test)]
mod tests;
