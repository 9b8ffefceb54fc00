//! The lock around the groups, the task that wakes them, and how handlers wait for them.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use milena_protocol::{ByteStr, ErrorCode};
use tokio::select;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::{GroupListing, Groups, Tenure};
use crate::fetch::FetchWait;
use crate::node::RequestContext;
use crate::rng::Rng;
use crate::shared::Shared;
use crate::state::{ClusterState, Hold, InternalTopic, Partition};
use crate::sync::lock;

/// The groups, and the alarm of the task that wakes them.
#[derive(Debug)]
pub(crate) struct Coordinator {
    clockwork: Mutex<Clockwork>,
    /// The alarm is set too late.
    rearm: Notify,
}

#[derive(Debug)]
struct Clockwork {
    groups: Groups,
    /// Until when the task sleeps; `None` if it waits to be notified.
    alarm_ms: Option<i64>,
}

/// The groups, locked. When this is dropped, the task that wakes them hears of an earlier deadline.
pub(crate) struct GroupsGuard<'a> {
    clockwork: MutexGuard<'a, Clockwork>,
    rearm: &'a Notify,
}

impl Coordinator {
    pub(crate) fn new(rng: Rng) -> Self {
        let clockwork = Clockwork { groups: Groups::new(rng), alarm_ms: None };
        Self { clockwork: Mutex::new(clockwork), rearm: Notify::new() }
    }

    pub(crate) fn lock(&self) -> GroupsGuard<'_> {
        GroupsGuard { clockwork: lock(&self.clockwork), rearm: &self.rearm }
    }
}

impl Deref for GroupsGuard<'_> {
    type Target = Groups;

    fn deref(&self) -> &Groups {
        &self.clockwork.groups
    }
}

impl DerefMut for GroupsGuard<'_> {
    fn deref_mut(&mut self) -> &mut Groups {
        &mut self.clockwork.groups
    }
}

impl Drop for GroupsGuard<'_> {
    fn drop(&mut self) {
        let Clockwork { groups, alarm_ms } = &*self.clockwork;
        let is_late = match (groups.poll_timeout(), alarm_ms) {
            (Some(next), Some(alarm)) => next < *alarm,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_late {
            self.rearm.notify_one();
        }
    }
}

/// Wakes groups at their deadlines, as long as the cluster runs.
pub(crate) async fn keep_groups(shared: Arc<Shared>) {
    loop {
        let alarm = wake_groups(&shared).and_then(|alarm_ms| shared.clock.instant_at(alarm_ms));
        let sleep = async {
            match alarm {
                Some(alarm) => tokio::time::sleep_until(alarm).await,
                None => std::future::pending().await,
            }
        };
        select! {
            biased;
            () = shared.groups.rearm.notified() => {}
            () = sleep => {}
        }
    }
}

/// Wakes the groups whose time has come, and sets the alarm.
fn wake_groups(shared: &Shared) -> Option<i64> {
    let state = shared.state();
    let mut groups = shared.groups.lock();
    let now = shared.clock.moment();
    let mut has_woken = false;
    while let Some(group_id) = groups.next_due(now) {
        let tenure = tenure(shared, &state, &group_id);
        groups.handle_timeout(&group_id, tenure, now, &state.settings().groups);
        has_woken = true;
    }
    let alarm_ms = groups.poll_timeout();
    groups.clockwork.alarm_ms = alarm_ms;
    drop(groups);
    if has_woken {
        shared.seen.changed();
    }
    alarm_ms
}

/// Who coordinates a group now: nobody when its partition has no leader, or the leader is down.
fn tenure(shared: &Shared, state: &ClusterState, group_id: &str) -> Option<Tenure> {
    let partition = state.coordinator_partition(InternalTopic::Offsets, group_id)?;
    let (leader, leader_epoch) = {
        let partition = partition.lock();
        (partition.leadership.leader?, partition.leadership.leader_epoch)
    };
    let incarnation = shared.node(leader)?.incarnation()?;
    Some(Tenure { node: leader, leader_epoch, incarnation })
}

impl<'a> RequestContext<'a> {
    /// The groups, locked, if this node coordinates `group_id`.
    ///
    /// # Errors
    /// `NotCoordinator` if another node does, or nobody.
    pub(crate) fn groups(&self, state: &ClusterState, group_id: &str) -> Result<GroupsGuard<'a>, ErrorCode> {
        let tenure = tenure(self.shared, state, group_id).filter(|tenure| tenure.node == self.node.id);
        let tenure = tenure.ok_or(ErrorCode::NotCoordinator)?;
        let mut groups = self.shared.groups.lock();
        groups.enter(group_id, Some(tenure), self.shared.clock.moment());
        Ok(groups)
    }

    /// Call before a group or its offsets change, with the groups locked: what the partition of the group is without
    /// enough replicas in sync for is held back.
    pub(crate) fn begin_group_write(&self, state: &ClusterState, groups: &mut Groups, group_id: &str) {
        if let Some(partition) = state.coordinator_partition(InternalTopic::Offsets, group_id) {
            let hold = partition.lock().write_outside_log();
            groups.offsets.begin_write(group_id, hold);
        }
    }

    /// Whether what changes in a group now would be held back.
    pub(crate) fn is_short_of_replicas(&self, state: &ClusterState, group_id: &str) -> bool {
        let partition = state.coordinator_partition(InternalTopic::Offsets, group_id);
        partition.is_some_and(|partition| partition.lock().is_short_of_replicas())
    }

    /// Until when somebody who changes a group now waits for enough replicas in sync.
    pub(crate) fn group_write_deadline(&self) -> Instant {
        let timeout_ms = self.shared.state().settings().groups.offsets_commit_timeout_ms;
        self.shared.clock.instant() + Duration::from_millis(u64::try_from(timeout_ms).unwrap_or_default())
    }

    /// Returns when nothing is held back any more that was written before for any group of this one's partition; at once as
    /// long as enough replicas are in sync (Java: `CoordinatorRuntime`'s deferred events).
    ///
    /// # Errors
    /// `CoordinatorNotAvailable` at the deadline: nothing is taken back, and all will be seen when there are enough replicas.
    /// `NotCoordinator` when this node ceases to coordinate the group before, or the partition is deleted.
    pub(crate) async fn group_written(&self, group_id: &str) -> Result<(), ErrorCode> {
        match self.held_for(group_id) {
            Some((partition, hold)) => self.let_go(&partition, hold, self.group_write_deadline()).await,
            None => Ok(()),
        }
    }

    /// Why what was written before will not be told as written; does not return as long as it may be.
    pub(crate) async fn group_unwritten(&self, group_id: &str) -> ErrorCode {
        match self.group_written(group_id).await {
            Ok(()) => std::future::pending().await,
            Err(error) => error,
        }
    }

    /// A group's partition, if it holds something back.
    pub(crate) fn held_for(&self, group_id: &str) -> Option<(Arc<Partition>, Hold)> {
        let state = self.shared.state();
        let partition = state.coordinator_partition(InternalTopic::Offsets, group_id)?;
        let hold = partition.lock().hold()?;
        Some((partition.clone(), hold))
    }

    /// Returns when a partition lets go what it has held back since then.
    ///
    /// # Errors
    /// As [`group_written`](Self::group_written).
    pub(crate) async fn let_go(
        &self,
        partition: &Arc<Partition>,
        since: Hold,
        deadline: Instant,
    ) -> Result<(), ErrorCode> {
        let change = PartitionChange::watch(partition.clone());
        loop {
            {
                let partition = partition.lock();
                if partition.hold() != Some(since) {
                    return Ok(());
                }
                if partition.is_deleted() || partition.leadership.leader != Some(self.node.id) {
                    return Err(ErrorCode::NotCoordinator);
                }
            }
            select! {
                biased;
                () = change.woken.woken() => {}
                () = self.hangup.on() => return Err(ErrorCode::CoordinatorNotAvailable),
                () = tokio::time::sleep_until(deadline) => return Err(ErrorCode::CoordinatorNotAvailable),
            }
        }
    }

    /// The groups that this node coordinates, in the order of their ids.
    pub(crate) fn listed_groups(&self) -> Vec<(ByteStr, GroupListing)> {
        let state = self.shared.state();
        let is_own = |group_id: &str| {
            tenure(self.shared, &state, group_id).is_some_and(|tenure| tenure.node == self.node.id)
        };
        let groups = self.shared.groups.lock();
        let own = groups.iter().filter(|(group_id, _)| is_own(group_id));
        own.map(|(group_id, group)| (group_id.clone(), group.listing())).collect()
    }

    /// Waits for a group to fill a slot. `None` when the client has hung up, or the group is gone without an answer.
    ///
    /// When this node ceases to coordinate the group meanwhile, the group hears of it and answers.
    pub(crate) async fn answer_of_group<T>(
        &self,
        group_id: &str,
        mut answer: oneshot::Receiver<T>,
    ) -> Option<T> {
        let partition = {
            let state = self.shared.state();
            state.coordinator_partition(InternalTopic::Offsets, group_id)?.clone()
        };
        let leader_change = PartitionChange::watch(partition);
        loop {
            select! {
                biased;
                answer = &mut answer => return answer.ok(),
                () = self.hangup.on() => return None,
                () = leader_change.woken.woken() => {
                    let state = self.shared.state();
                    let tenure = tenure(self.shared, &state, group_id);
                    self.shared.groups.lock().enter(group_id, tenure, self.shared.clock.moment());
                }
            }
        }
    }
}

/// Hears of another leader of a partition, and of what it lets go, as long as this exists.
struct PartitionChange {
    partition: Arc<Partition>,
    woken: Arc<FetchWait>,
}

impl PartitionChange {
    fn watch(partition: Arc<Partition>) -> Self {
        let woken = Arc::new(FetchWait::for_bytes(usize::MAX));
        partition.lock().wait(woken.clone());
        // What changed before must not be missed: look once.
        woken.wake();
        Self { partition, woken }
    }
}

impl Drop for PartitionChange {
    fn drop(&mut self) {
        self.partition.lock().stop_waiting(&self.woken);
    }
}
