//! What members are subscribed to, and the target assignment that follows from it.

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::{ByteStr, Uuid};

use super::assignor::{Assignor, MemberSpec, Spec};
use super::member::Member;
use super::regex::{self, REFRESH_INTERVAL_MIN_MS};
use super::state::ConsumerGroup;
use super::{GroupError, Surroundings, Topics};

/// What a request changes about the expressions of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RegexChange {
    None,
    /// The member has another expression, and it is not known yet which topics match.
    Changed,
    /// The member has another expression that was resolved before, or none any more.
    ChangedAndResolved,
}

impl ConsumerGroup {
    /// What a member's new subscription changes, and whether the expressions of the group are to be resolved after the
    /// request. Nothing is changed yet (Java: `maybeUpdateRegularExpressions`).
    pub(super) fn regex_change(
        &self,
        before: &Member,
        after: &Member,
        around: &Surroundings<'_>,
    ) -> Result<(RegexChange, bool), GroupError> {
        let (old, new) = (&before.subscribed_regex, &after.subscribed_regex);
        let is_used = |regex: &ByteStr| self.members.values().any(|member| member.subscribed_regex == *regex);
        let mut change = RegexChange::None;
        let mut is_new = false;
        if old != new {
            change = RegexChange::Changed;
            if new.is_empty() || self.resolved.contains_key(new) && is_used(new) {
                change = RegexChange::ChangedAndResolved;
            } else if !is_used(new) {
                regex::check(new)?;
                is_new = true;
            }
        }
        Ok((change, self.is_resolution_due(after, is_new, around)))
    }

    fn is_resolution_due(&self, after: &Member, is_new: bool, around: &Surroundings<'_>) -> bool {
        let others = self.members.values().filter(|member| {
            member.member_id != after.member_id
                && (member.instance_id.is_none() || member.instance_id != after.instance_id)
        });
        let used: BTreeSet<&ByteStr> = others
            .chain([after])
            .map(|member| &member.subscribed_regex)
            .filter(|regex| !regex.is_empty())
            .collect();
        if used.is_empty() {
            return false;
        }
        // All were resolved at the same time.
        let Some(last) = self.resolved.values().next() else { return true };
        let age_ms = around.now_ms.saturating_sub(last.resolved_at_ms);
        age_ms > REFRESH_INTERVAL_MIN_MS
            && (is_new
                || used.len() != self.resolved.len()
                || last.version < around.topics.version_of_newest()
                || age_ms > around.settings.regex_refresh_interval_ms)
    }

    /// Resolves all expressions; the group epoch rises if that changes what anybody is subscribed to
    /// (Java: `handleRegularExpressionsResult`).
    pub(super) fn resolve_regexes(&mut self, around: &Surroundings<'_>) {
        let regexes: BTreeSet<ByteStr> = self
            .members
            .values()
            .map(|member| member.subscribed_regex.clone())
            .filter(|regex| !regex.is_empty())
            .collect();
        let mut has_changed = false;
        for regex in regexes {
            let resolved = regex::resolve(&regex, around.topics, around.now_ms);
            let before = self.resolved.get(&regex);
            has_changed |=
                before.map_or(!resolved.topics.is_empty(), |before| before.topics != resolved.topics);
            self.resolved.insert(regex, resolved);
        }
        self.look_at_topics(has_changed, around.topics);
    }

    /// Forgets what the expressions that nobody uses any more have matched.
    pub(super) fn forget_unused_regexes(&mut self) {
        let members = &self.members;
        let is_used = |regex: &ByteStr| members.values().any(|member| member.subscribed_regex == *regex);
        self.resolved.retain(|regex, _| is_used(regex));
    }

    /// Looks at the subscribed topics again if they may have changed; the group epoch rises if they have, and in any
    /// case if `has_subscription_changed` (Java: `updateSubscriptionMetadata`).
    pub(super) fn look_at_topics(&mut self, has_subscription_changed: bool, topics: &dyn Topics) {
        if !has_subscription_changed && self.seen.version == Some(topics.version()) {
            return;
        }
        let seen = self.subscribed_topics(topics);
        if has_subscription_changed || seen != self.seen.topics {
            self.group_epoch += 1;
        }
        self.seen.version = Some(topics.version());
        self.seen.topics = seen;
    }

    /// Forgets the topics that nobody is subscribed to any more.
    pub(super) fn forget_unused_topics(&mut self) {
        let mut topics = std::mem::take(&mut self.seen.topics);
        topics.retain(|topic, _| self.is_subscribed_to(topic));
        self.seen.topics = topics;
    }

    /// The topics that exist and that a member is subscribed to.
    pub(super) fn subscribed_topics(&self, topics: &dyn Topics) -> BTreeMap<ByteStr, (Uuid, i32)> {
        let by_name = self.members.values().flat_map(|member| &member.subscribed_names);
        let by_regex = self.resolved.values().flat_map(|resolved| &resolved.topics);
        by_name.chain(by_regex).filter_map(|name| Some((name.clone(), topics.find(name)?))).collect()
    }

    /// The ids of the existing topics that a member is subscribed to.
    pub(super) fn subscription_of(&self, member: &Member, topics: &dyn Topics) -> BTreeSet<Uuid> {
        let by_regex = self.resolved.get(&member.subscribed_regex).map(|resolved| &resolved.topics);
        let names = member.subscribed_names.iter().chain(by_regex.into_iter().flatten());
        names.filter_map(|name| topics.find(name)).map(|(id, _)| id).collect()
    }

    /// Works out the target assignment if it is behind the group, but not too soon after the last time
    /// (Java: `maybeUpdateTargetAssignment`).
    pub(super) fn update_target(&mut self, around: &Surroundings<'_>) {
        let interval_ms = around.settings.assignment_interval_ms;
        let is_too_soon = |computed_at_ms: i64| around.now_ms < computed_at_ms.saturating_add(interval_ms);
        let is_up_to_date = self.target.epoch >= self.group_epoch;
        if is_up_to_date || interval_ms > 0 && self.target.computed_at_ms.is_some_and(is_too_soon) {
            return;
        }
        let mut spec = Spec::default();
        for (member_id, member) in &self.members {
            let topics = self.subscription_of(member, around.topics);
            let instance_id = member.instance_id.clone();
            let assigned = self.target_of(member_id).clone();
            spec.members.insert(member_id.clone(), MemberSpec { instance_id, topics, assigned });
        }
        spec.partition_counts = self.subscribed_topics(around.topics).into_values().collect();
        self.target.by_member = self.preferred_assignor(&around.settings.assignors).assign(&spec);
        self.target.epoch = self.group_epoch;
        self.target.computed_at_ms = Some(around.now_ms);
    }

    /// The assignor that most members ask for.
    pub(super) fn preferred_assignor(&self, supported: &[Assignor]) -> Assignor {
        let votes = |assignor: &Assignor| {
            self.members.values().filter(|member| member.assignor == Some(*assignor)).count()
        };
        // Of two with as many votes, the one that comes first in the configuration.
        let by_votes = |one: &&Assignor, other: &&Assignor| votes(one).cmp(&votes(other));
        supported.iter().rev().max_by(by_votes).copied().unwrap_or(Assignor::Uniform)
    }
}
