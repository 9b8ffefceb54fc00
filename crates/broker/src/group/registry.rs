//! All groups of a cluster (Java: `GroupMetadataManager`, `GroupCoordinatorShard`). Pure.

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::{ByteStr, ErrorCode};

use super::consumer::CommitCheck;
use super::{ClassicGroup, CommittedOffset, Committer, Group, OffsetExpiry, Offsets};
use crate::NodeId;
use crate::clock::Moment;
use crate::config::GroupSettings;
use crate::rng::Rng;

/// The most groups there may be. Kafka has no such limit.
const GROUPS_MAX: usize = 100_000;

/// A node's time as the coordinator of some groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tenure {
    pub(crate) node: NodeId,
    /// Of the partition of `__consumer_offsets`.
    pub(crate) leader_epoch: i32,
    /// Changes when the node restarts.
    pub(crate) incarnation: u32,
}

/// All groups and their offsets.
#[derive(Debug)]
pub(crate) struct Groups {
    entries: BTreeMap<ByteStr, Entry>,
    /// When each group wants to be woken.
    wakeups: BTreeSet<(i64, ByteStr)>,
    pub(crate) offsets: Offsets,
    rng: Rng,
}

#[derive(Debug)]
struct Entry {
    group: Group,
    /// Who coordinated it when it was last looked at.
    tenure: Option<Tenure>,
    /// As it is in `wakeups`.
    wakeup: Option<i64>,
}

impl Groups {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { entries: BTreeMap::new(), wakeups: BTreeSet::new(), offsets: Offsets::default(), rng }
    }

    pub(crate) fn get(&self, group_id: &str) -> Option<&Group> {
        self.entries.get(group_id).map(|entry| &entry.group)
    }

    /// All groups, in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ByteStr, &Group)> {
        self.entries.iter().map(|(group_id, entry)| (group_id, &entry.group))
    }

    /// Whether there may be more groups; ask before making one in [`update`](Self::update).
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < GROUPS_MAX
    }

    /// Changes a group: the only way to do so. Assign `None` to delete it, or `Some` to make it or to change its kind.
    pub(crate) fn update<R>(
        &mut self,
        group_id: &str,
        work: impl FnOnce(&mut Option<Group>, &mut Rng) -> R,
    ) -> R {
        let (group_id, entry) = match self.entries.remove_entry(group_id) {
            Some((group_id, entry)) => (group_id, Some(entry)),
            // Kept from here on, so it must not share the frame that it came in.
            None => (ByteStr::from(group_id), None),
        };
        let (mut group, tenure, wakeup) = match entry {
            Some(Entry { group, tenure, wakeup }) => (Some(group), tenure, wakeup),
            None => (None, None, None),
        };
        let result = work(&mut group, &mut self.rng);
        let next = group.as_ref().and_then(Group::next_deadline);
        if next != wakeup {
            if let Some(wakeup) = wakeup {
                self.wakeups.remove(&(wakeup, group_id.clone()));
            }
            if let Some(next) = next {
                self.wakeups.insert((next, group_id.clone()));
            }
        }
        if let Some(group) = group {
            self.entries.insert(group_id, Entry { group, tenure, wakeup: next });
        }
        result
    }

    /// Takes note of who coordinates a group now, `None` if nobody does; call before anything else is done with it.
    pub(crate) fn enter(&mut self, group_id: &str, tenure: Option<Tenure>, now: Moment) {
        let Some(entry) = self.entries.get_mut(group_id) else { return };
        let has_moved = match (entry.tenure, tenure) {
            // A new group, or one that was told when it lost its coordinator.
            (None, Some(_)) => false,
            (_, None) => true,
            (Some(before), Some(now)) => before != now,
        };
        entry.tenure = tenure;
        if has_moved {
            self.update(group_id, |group, _| group.iter_mut().for_each(|group| group.handle_moved(now)));
        }
    }

    /// When the next group wants to be woken.
    pub(crate) fn poll_timeout(&self) -> Option<i64> {
        self.wakeups.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// A group that is to be woken now; [`handle_timeout`](Self::handle_timeout) does it.
    pub(crate) fn next_due(&self, now: Moment) -> Option<ByteStr> {
        let (deadline_ms, group_id) = self.wakeups.first()?;
        (*deadline_ms <= now.elapsed_ms).then(|| group_id.clone())
    }

    /// Wakes a group. Without a coordinator its timers begin anew instead: nobody is there to expire members.
    pub(crate) fn handle_timeout(
        &mut self,
        group_id: &str,
        tenure: Option<Tenure>,
        now: Moment,
        settings: &GroupSettings,
    ) {
        self.enter(group_id, tenure, now);
        if tenure.is_some() {
            self.update(group_id, |group, _| {
                group.iter_mut().for_each(|group| group.handle_timeout(now, settings));
            });
        }
    }

    /// Ends the sessions of a group's members.
    pub(crate) fn expire_sessions(&mut self, group_id: &str, now: Moment, settings: &GroupSettings) {
        self.update(group_id, |group, _| {
            group.iter_mut().for_each(|group| group.expire_sessions(now, settings));
        });
    }

    /// Asks whether offsets may be committed, and of which partitions. A group that does not exist is made for a client
    /// that is not a member.
    pub(crate) fn begin_offset_commit(
        &mut self,
        group_id: &str,
        by: Committer<'_>,
        now: Moment,
    ) -> Result<CommitCheck, ErrorCode> {
        let has_room = self.has_room();
        self.update(group_id, |slot, _| match slot {
            Some(group) => group.handle_offset_commit(by, now),
            None if by.generation_or_epoch >= 0 => Err(match by.is_transactional || by.api_version < 9 {
                true => ErrorCode::IllegalGeneration,
                false => ErrorCode::GroupIdNotFound,
            }),
            None if !has_room => Err(ErrorCode::CoordinatorNotAvailable),
            None => {
                // Only kept when the commit is allowed, as in Kafka, where an error takes back what was written.
                let mut group = Group::Classic(ClassicGroup::new(now));
                let check = group.handle_offset_commit(by, now)?;
                *slot = Some(group);
                Ok(check)
            }
        })
    }

    /// Deletes a group and its offsets.
    pub(crate) fn delete(&mut self, group_id: &str) -> Result<(), ErrorCode> {
        self.get(group_id).ok_or(ErrorCode::GroupIdNotFound)?.check_delete()?;
        self.update(group_id, |group, _| *group = None);
        self.offsets.delete_group(group_id);
        Ok(())
    }

    /// Forgets all groups and their offsets, as when the topic is deleted that holds them: nobody coordinates them any
    /// more, and whoever will begins with none (Java: `GroupMetadataManager.onUnloaded`).
    pub(crate) fn unload(&mut self, now: Moment) {
        let group_ids: Vec<_> = self.entries.keys().cloned().collect();
        for group_id in group_ids {
            // Who waits for an answer gets it from a coordinator that resigns.
            self.enter(&group_id, None, now);
        }
        self.entries.clear();
        self.wakeups.clear();
        self.offsets = Offsets::default();
    }

    /// Expires offsets, and with them groups that are empty and have no others.
    pub(crate) fn expire_offsets(&mut self, now: Moment, settings: &GroupSettings) {
        let retention_ms = settings.offsets_retention_ms;
        let group_ids: Vec<_> = self.entries.keys().cloned().collect();
        for group_id in group_ids {
            let Some(group) = self.entries.get(&group_id).map(|entry| &entry.group) else { continue };
            let expiry = group.offset_expiry();
            let is_over = |base_ms: i64| now.wall_ms.saturating_sub(base_ms) >= retention_ms;
            let is_expired = |topic: &str, offset: &CommittedOffset| {
                !group.is_subscribed_to(topic)
                    && match (expiry, offset.expire_timestamp_ms) {
                        (OffsetExpiry::Never, _) => false,
                        (_, Some(expire_timestamp_ms)) => now.wall_ms >= expire_timestamp_ms,
                        (OffsetExpiry::SinceCommit, None) => is_over(offset.commit_timestamp_ms),
                        (OffsetExpiry::Since { wall_ms }, None) => is_over(wall_ms),
                    }
            };
            let has_nothing_left = self.offsets.expire(&group_id, is_expired);
            if has_nothing_left && group.is_empty() {
                self.update(&group_id, |group, _| *group = None);
            }
        }
    }
}

#[cfg(test)]
mod tests;
