//! From members that join to a new generation, and what time does to a group (Java: `GroupMetadataManager`'s
//! `prepareRebalance`, `completeClassicGroupJoin`, `expireClassicGroupMemberHeartbeat`, `expirePendingSync`). Pure.

use std::collections::BTreeSet;

use bytes::Bytes;
use milena_protocol::messages::SyncGroupResponse;
use milena_protocol::{ByteStr, ErrorCode};

use super::subscription::read_topics;
use super::{ClassicGroup, InitialDelay, State, Timer, join_refused, sync_refused};
use crate::clock::Moment;
use crate::config::GroupSettings;

impl ClassicGroup {
    /// Does what time demands.
    pub(in crate::group) fn handle_timeout(&mut self, now: Moment, settings: &GroupSettings) {
        while let Some(timer) = self.timers.pop_due(now.elapsed_ms) {
            match timer {
                Timer::Join => self.end_of_join(now, settings),
                Timer::Sync => self.end_of_sync(now, settings),
                Timer::Session(member_id) => self.end_of_session(&member_id, now, settings),
            }
        }
    }

    /// Ends the sessions of all members, and of those that are about to join.
    pub(in crate::group) fn expire_sessions(&mut self, now: Moment, settings: &GroupSettings) {
        let member_ids: Vec<_> = self.members.keys().chain(&self.pending_joins).cloned().collect();
        for member_id in member_ids {
            self.end_of_session(&member_id, now, settings);
        }
    }

    /// After a member has come, changed or gone: a rebalance begins, or the one that goes on may be over.
    pub(super) fn rebalance_or_complete_join(&mut self, now: Moment, settings: &GroupSettings) {
        match self.state {
            State::PreparingRebalance { .. } => self.maybe_complete_join(now),
            State::Empty | State::CompletingRebalance | State::Stable => {
                self.prepare_rebalance(now, settings)
            }
        }
    }

    /// Members are to join again. Those that wait for an assignment are told; others hear it with their heartbeat.
    pub(super) fn prepare_rebalance(&mut self, now: Moment, settings: &GroupSettings) {
        if self.state == State::CompletingRebalance {
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
            }
            self.answer_syncs(now, |_| sync_refused(ErrorCode::RebalanceInProgress));
        }
        self.pending_syncs.clear();
        self.timers.cancel(&Timer::Sync);
        if self.state == State::Empty {
            let delay_ms = settings.initial_rebalance_delay_ms.max(0);
            let remaining_ms = (self.rebalance_timeout_ms() - delay_ms).max(0);
            let initial = Some(InitialDelay { delay_ms, remaining_ms, has_new_member: false });
            self.timers.schedule(Timer::Join, now.elapsed_ms + delay_ms);
            self.enter_state(State::PreparingRebalance { initial }, now);
            return;
        }
        self.enter_state(State::PreparingRebalance { initial: None }, now);
        if self.have_all_joined() {
            self.complete_join(now);
        } else {
            self.timers.schedule(Timer::Join, now.elapsed_ms + self.rebalance_timeout_ms());
        }
    }

    /// Ends the joining when nobody is missing, unless a new group still waits for its first members.
    pub(super) fn maybe_complete_join(&mut self, now: Moment) {
        if self.state == (State::PreparingRebalance { initial: None }) && self.have_all_joined() {
            self.complete_join(now);
        }
    }

    /// Ends the joining when nobody is missing.
    pub(super) fn complete_join_if_all_joined(&mut self, now: Moment) {
        if matches!(self.state, State::PreparingRebalance { .. }) && self.have_all_joined() {
            self.complete_join(now);
        }
    }

    /// A member is gone by no will of its own.
    fn end_of_session(&mut self, member_id: &ByteStr, now: Moment, settings: &GroupSettings) {
        if self.pending_joins.contains(member_id) {
            self.remove(member_id);
            return self.complete_join_if_all_joined(now);
        }
        if self.members.get(member_id).is_none_or(|member| member.is_excused()) {
            return;
        }
        tracing::debug!(%member_id, "a member's session has expired");
        self.expel(member_id);
        match self.state {
            State::Stable | State::CompletingRebalance => self.rebalance_or_complete_join(now, settings),
            State::PreparingRebalance { .. } => self.complete_join_if_all_joined(now),
            State::Empty => {}
        }
    }

    /// Takes a member out whose client may wait for the answer to its join.
    pub(super) fn expel(&mut self, member_id: &str) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.answer_join(|| join_refused(ByteStr::new(), ErrorCode::UnknownMemberId));
        }
        self.remove(member_id);
    }

    /// The initial delay, or the rebalance timeout, is over.
    fn end_of_join(&mut self, now: Moment, settings: &GroupSettings) {
        match &mut self.state {
            State::PreparingRebalance { initial: Some(initial) }
                if initial.has_new_member && initial.remaining_ms > 0 =>
            {
                let delay_ms = settings.initial_rebalance_delay_ms.min(initial.remaining_ms);
                let remaining_ms = (initial.remaining_ms - initial.delay_ms).max(0);
                *initial = InitialDelay { delay_ms, remaining_ms, has_new_member: false };
                self.timers.schedule(Timer::Join, now.elapsed_ms + delay_ms);
            }
            State::PreparingRebalance { .. } => self.complete_join(now),
            State::Empty | State::CompletingRebalance | State::Stable => {}
        }
    }

    /// Members that have not asked for their assignment are gone.
    fn end_of_sync(&mut self, now: Moment, settings: &GroupSettings) {
        let is_over = matches!(self.state, State::CompletingRebalance | State::Stable);
        if !is_over || self.pending_syncs.is_empty() {
            return;
        }
        for member_id in std::mem::take(&mut self.pending_syncs) {
            tracing::debug!(%member_id, "a member has not synced in time");
            self.remove(&member_id);
        }
        self.prepare_rebalance(now, settings);
    }

    /// The next generation begins with those that have joined, and static members, which may be restarting.
    fn complete_join(&mut self, now: Moment) {
        self.timers.cancel(&Timer::Join);
        let missing: Vec<_> = self
            .members
            .iter()
            .filter(|(_, member)| !member.is_joining() && !member.is_static())
            .map(|(member_id, _)| member_id.clone())
            .collect();
        for member_id in missing {
            tracing::debug!(%member_id, "a member has not joined in time");
            self.remove(&member_id);
        }
        if !self.elect_leader() && !self.members.is_empty() {
            // Only static members, and none is back: wait until one is, or their sessions expire.
            self.timers.schedule(Timer::Join, now.elapsed_ms + self.rebalance_timeout_ms());
            return;
        }
        self.generation_id += 1;
        self.pending_syncs.clear();
        self.protocol_name = self.select_protocol();
        self.subscribed_topics = self.find_subscribed_topics();
        if self.members.is_empty() {
            self.enter_state(State::Empty, now);
            return;
        }
        self.enter_state(State::CompletingRebalance, now);
        self.answer_joins(now);
        self.timers.schedule(Timer::Sync, now.elapsed_ms + self.rebalance_timeout_ms());
    }

    fn answer_joins(&mut self, now: Moment) {
        let member_ids: Vec<_> = self.members.keys().cloned().collect();
        for member_id in member_ids {
            let answer = self.joined(&member_id);
            if let Some(member) = self.members.get_mut(&member_id) {
                member.answer_join(|| answer);
                member.is_new = false;
            }
            self.extend_session(&member_id, now);
            self.pending_syncs.insert(member_id);
        }
    }

    /// Answers the syncs of members that wait; their sessions begin anew, because waiting they showed no life.
    pub(super) fn answer_syncs(&mut self, now: Moment, answer: impl Fn(Bytes) -> SyncGroupResponse) {
        let mut answered = Vec::new();
        for (member_id, member) in &mut self.members {
            let assignment = member.assignment.clone();
            if member.answer_sync(|| answer(assignment)) {
                answered.push(member_id.clone());
            }
        }
        answered.iter().for_each(|member_id| self.extend_session(member_id, now));
    }

    fn have_all_joined(&self) -> bool {
        self.pending_joins.is_empty() && self.members.values().all(|member| member.is_joining())
    }

    /// Keeps a leader that has joined, or makes one of those that have. False if there is none.
    fn elect_leader(&mut self) -> bool {
        let Some(leader) = &self.leader else { return false };
        if self.members.get(leader).is_some_and(|member| member.is_joining()) {
            return true;
        }
        let joined = self.members.iter().find(|(_, member)| member.is_joining());
        let Some((member_id, _)) = joined else { return false };
        self.leader = Some(member_id.clone());
        true
    }

    /// Java: `computeSubscribedTopics`.
    fn find_subscribed_topics(&self) -> Option<BTreeSet<ByteStr>> {
        if !self.is_of_consumers() {
            return None;
        }
        let mut topics = BTreeSet::new();
        if let Some(protocol_name) = &self.protocol_name {
            for member in self.members.values() {
                read_topics(&member.metadata(protocol_name), &mut topics)?;
            }
        }
        Some(topics)
    }
}
