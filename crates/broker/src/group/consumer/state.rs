//! A group's state, and the changes that keep its parts in step.

use std::collections::BTreeMap;
use std::fmt;

use milena_protocol::{ByteStr, ErrorCode, Uuid};

use super::GroupError;
use super::assignor::{Partitions, Targets};
use super::member::Member;
use super::regex::Resolved;
use crate::group::Timers;

/// The first group and assignment epoch (Java: `ModernGroup`, `TargetAssignmentMetadata.INITIAL`).
pub(super) const FIRST_EPOCH: i32 = 1;

/// A consumer group.
#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    pub(super) group_id: ByteStr,
    pub(super) group_epoch: i32,
    pub(super) members: BTreeMap<ByteStr, Member>,
    /// Member ids by instance id.
    pub(super) static_members: BTreeMap<ByteStr, ByteStr>,
    /// Which member holds each partition that is held.
    holders: BTreeMap<(Uuid, i32), ByteStr>,
    pub(super) target: Target,
    /// What the members' expressions matched, by expression.
    pub(super) resolved: BTreeMap<ByteStr, Resolved>,
    pub(super) seen: SeenTopics,
    pub(super) timers: Timers<Timer>,
    /// The session timeout of the last heartbeat.
    pub(super) session_timeout_ms: i64,
}

/// The target assignment.
#[derive(Debug)]
pub(super) struct Target {
    /// The assignment epoch.
    pub(super) epoch: i32,
    /// `None` before the first one was worked out.
    pub(super) computed_at_ms: Option<i64>,
    pub(super) by_member: Targets,
}

/// The subscribed topics as they were when the group epoch was last decided on.
#[derive(Debug, Default)]
pub(super) struct SeenTopics {
    pub(super) version: Option<u64>,
    pub(super) topics: BTreeMap<ByteStr, (Uuid, i32)>,
}

/// What the member of this id must do in time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Send a heartbeat.
    Session(ByteStr),
    /// Give back partitions.
    Revocation(ByteStr),
    /// In the classic protocol: join again, as it was told to.
    Join(ByteStr),
    /// In the classic protocol: fetch its assignment after it has joined.
    Sync(ByteStr),
}

impl Timer {
    pub(super) fn member_id(&self) -> &ByteStr {
        match self {
            Self::Session(member_id)
            | Self::Revocation(member_id)
            | Self::Join(member_id)
            | Self::Sync(member_id) => member_id,
        }
    }
}

/// What a group is doing (Java: `ConsumerGroup.ConsumerGroupState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConsumerGroupState {
    /// It has no members.
    Empty,
    /// The target assignment is behind.
    Assigning,
    /// Members are behind.
    Reconciling,
    Stable,
}

impl ConsumerGroupState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

impl fmt::Display for ConsumerGroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ConsumerGroup {
    pub(crate) fn new(group_id: ByteStr) -> Self {
        Self {
            group_id,
            group_epoch: FIRST_EPOCH,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            holders: BTreeMap::new(),
            target: Target { epoch: FIRST_EPOCH, computed_at_ms: None, by_member: Targets::new() },
            resolved: BTreeMap::new(),
            seen: SeenTopics::default(),
            timers: Timers::default(),
            session_timeout_ms: 0,
        }
    }

    pub(crate) fn state(&self) -> ConsumerGroupState {
        if self.members.is_empty() {
            ConsumerGroupState::Empty
        } else if self.group_epoch > self.target.epoch {
            ConsumerGroupState::Assigning
        } else if self.members.values().all(|member| member.is_reconciled_to(self.target.epoch)) {
            ConsumerGroupState::Stable
        } else {
            ConsumerGroupState::Reconciling
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a member is subscribed to a topic, by name or by expression.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.members.values().any(|member| member.subscribed_names.contains(topic))
            || self.resolved.values().any(|resolved| resolved.topics.contains(topic))
    }

    /// The member, or the refusal of a request that names one that does not exist.
    pub(super) fn member(&self, member_id: &str) -> Result<&Member, GroupError> {
        self.members.get(member_id).ok_or_else(|| {
            let message = format!("Member {member_id} is not a member of group {}.", self.group_id);
            GroupError::new(ErrorCode::UnknownMemberId, message)
        })
    }

    pub(super) fn static_member(&self, instance_id: &str) -> Option<&Member> {
        self.members.get(self.static_members.get(instance_id)?)
    }

    pub(super) fn target_of(&self, member_id: &str) -> &Partitions {
        static NONE: Partitions = Partitions::new();
        self.target.by_member.get(member_id).unwrap_or(&NONE)
    }

    pub(super) fn is_held_by_another(&self, member_id: &str, topic: Uuid, partition: i32) -> bool {
        self.holders.get(&(topic, partition)).is_some_and(|holder| *holder != *member_id)
    }

    /// Adds a member, or changes it.
    pub(super) fn put(&mut self, member: Member) {
        let member_id = member.member_id.clone();
        let before = self.members.remove(&member_id);
        let same = before.as_ref().is_some_and(|before| {
            before.assigned == member.assigned && before.pending_revocation() == member.pending_revocation()
        });
        if !same {
            self.release(before.as_ref());
            for held in member.held() {
                let other = self.holders.insert(held, member_id.clone());
                debug_assert!(other.is_none(), "{held:?} is given to {member_id} while {other:?} holds it");
            }
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        self.members.insert(member_id, member);
    }

    /// Removes a member with all that it holds.
    pub(super) fn remove(&mut self, member_id: &str) -> Option<Member> {
        let member = self.members.remove(member_id)?;
        self.release(Some(&member));
        if let Some(instance_id) = &member.instance_id {
            self.static_members.remove(instance_id);
        }
        self.target.by_member.remove(member_id);
        for timer in [Timer::Session, Timer::Revocation, Timer::Join, Timer::Sync] {
            self.timers.cancel(&timer(member.member_id.clone()));
        }
        Some(member)
    }

    /// Puts a static member that has come back under another member id in its own place.
    pub(super) fn replace(&mut self, old_member_id: &str, new: Member) {
        let target = self.target_of(old_member_id).clone();
        self.remove(old_member_id);
        self.target.by_member.insert(new.member_id.clone(), target);
        self.put(new);
    }

    fn release(&mut self, member: Option<&Member>) {
        for held in member.into_iter().flat_map(Member::held) {
            self.holders.remove(&held);
        }
    }
}
