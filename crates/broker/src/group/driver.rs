//! The lock around the groups, the task that wakes them, and how handlers wait for them.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};

use milena_protocol::{ByteStr, ErrorCode};
use tokio::select;
use tokio::sync::{Notify, oneshot};

use super::{GroupListing, Groups, Tenure};
use crate::fetch::FetchWait;
use crate::node::RequestContext;
use crate::rng::Rng;
use crate::shared::Shared;
use crate::state::{ClusterState, InternalTopic, Partition};
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
        let coordination = Coordination::watch(self, group_id)?;
        loop {
            select! {
                biased;
                answer = &mut answer => return answer.ok(),
                () = self.hangup.on() => return None,
                () = coordination.leader_change.woken() => {
                    let state = self.shared.state();
                    let tenure = tenure(self.shared, &state, group_id);
                    self.shared.groups.lock().enter(group_id, tenure, self.shared.clock.moment());
                }
            }
        }
    }
}

/// Hears of another leader of a group's partition, as long as this exists.
struct Coordination {
    partition: Arc<Partition>,
    leader_change: Arc<FetchWait>,
}

impl Coordination {
    fn watch(context: &RequestContext<'_>, group_id: &str) -> Option<Self> {
        let state = context.shared.state();
        let partition = state.coordinator_partition(InternalTopic::Offsets, group_id)?.clone();
        let leader_change = Arc::new(FetchWait::for_bytes(usize::MAX));
        partition.lock().wait(leader_change.clone());
        // What changed since the group was asked must not be missed: look once.
        leader_change.wake();
        Some(Self { partition, leader_change })
    }
}

impl Drop for Coordination {
    fn drop(&mut self) {
        self.partition.lock().stop_waiting(&self.leader_change);
    }
}
