//! Who sends to one broker: a list of partitions that have something to send, and a connection of the producer's own.
//!
//! A sender is a state behind a lock with one poll function ([`BrokerSender::poll`]). Its task polls it when the socket, a timer or a
//! new batch wakes it; a caller whose batch should go at once (`linger` zero) polls it in place of a wake-up if nobody else does.
//! No partition is scanned: those with something to do are listed.

mod answer;
mod connect;
mod request;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use milena_client::Connection;
use milena_client::env::Timer;

use crate::core::queue::Idle;
use crate::partition::{Partition, PartitionState};
use crate::shared::Shared;
use connect::Link;
pub(crate) use request::InFlightRequest;

/// Requests on one connection whose answers are awaited. The bound in practice is the number of batches per partition; this one keeps
/// the memory for requests bounded when thousands of partitions send tiny batches.
const REQUESTS_IN_FLIGHT_MAX: usize = 256;

/// Sends to the partitions that one broker leads.
pub(crate) struct BrokerSender {
    pub(crate) node_id: i32,
    lists: Mutex<Lists>,
    state: Mutex<SenderState>,
    waker: Mutex<Option<Waker>>,
}

/// Partitions that the sender is to look at.
#[derive(Default)]
struct Lists {
    /// Now.
    ready: VecDeque<Arc<Partition>>,
    /// When the linger of the batch that begins at this record is over; in the order of time, as the linger is the same for all.
    lingering: VecDeque<(Instant, Arc<Partition>, u64)>,
    /// When their back-off is over.
    backing_off: Vec<(Instant, Arc<Partition>)>,
    /// When there is a producer id.
    without_identity: Vec<Arc<Partition>>,
}

struct SenderState {
    link: Link,
    timer: Timer,
    /// Consecutive failures to connect.
    failures: u32,
    /// Requests with `acks=0` whose bytes have not all gone to the socket.
    unacknowledged: Vec<InFlightRequest>,
}

impl BrokerSender {
    pub(crate) fn new(node_id: i32, shared: &Shared) -> Self {
        Self {
            node_id,
            lists: Mutex::default(),
            state: Mutex::new(SenderState {
                link: Link::Idle,
                timer: shared.env().timer(),
                failures: 0,
                unacknowledged: Vec::new(),
            }),
            waker: Mutex::default(),
        }
    }

    /// The partition has something to send. `state` is its locked state. Returns whether the sender is to be woken for it.
    #[must_use = "wake the sender after the partition's lock is released"]
    pub(crate) fn list_ready(&self, partition: &Arc<Partition>, state: &mut PartitionState) -> bool {
        if std::mem::replace(&mut state.is_listed, true) {
            return false;
        }
        self.lists().ready.push_back(partition.clone());
        true
    }

    /// The partition has begun a batch whose linger is over at `until`. Returns whether the sender's timer must be armed for it.
    #[must_use = "wake the sender after the partition's lock is released"]
    pub(crate) fn list_lingering(
        &self,
        partition: &Arc<Partition>,
        first_record: u64,
        until: Instant,
    ) -> bool {
        let mut lists = self.lists();
        lists.lingering.push_back((until, partition.clone(), first_record));
        lists.lingering.len() == 1
    }

    /// There is a producer id now.
    pub(crate) fn handle_identity(&self) {
        let waiting = std::mem::take(&mut self.lists().without_identity);
        for partition in waiting {
            let mut state = partition.lock();
            // Whether woken or not, the sender is woken below.
            let _ = self.list_ready(&partition, &mut state);
        }
        self.wake();
    }

    pub(crate) fn wake(&self) {
        let waker = lock(&self.waker).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Sends at once, on the caller's thread, if nobody else is at it; wakes the sender's task otherwise. The socket's readiness goes to
    /// the task in any case.
    pub(crate) fn send_now(&self, shared: &Arc<Shared>) {
        let task = lock(&self.waker).clone();
        let state = match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        match (task, state) {
            (Some(task), Some(mut state)) if matches!(state.link, Link::Open(_)) => {
                // What is still to be done when this returns was registered with the task's waker.
                let _ = self.poll_locked(&mut Context::from_waker(&task), shared, &mut state);
            }
            (Some(task), _) => task.wake(),
            (None, _) => {}
        }
    }

    /// Does what can be done now. Never ready: the task ends with its producer.
    pub(crate) fn poll(&self, cx: &mut Context<'_>, shared: &Arc<Shared>) -> Poll<()> {
        {
            let mut waker = lock(&self.waker);
            if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
        }
        let mut state = lock(&self.state);
        self.poll_locked(cx, shared, &mut state)
    }

    fn poll_locked(&self, cx: &mut Context<'_>, shared: &Arc<Shared>, state: &mut SenderState) -> Poll<()> {
        loop {
            let now = shared.env().now();
            self.list_due(now);
            let progressed = state.link_progress(self, cx, shared, now);
            if progressed {
                continue;
            }
            let deadline =
                [state.link_timeout(self, shared, now), self.next_due()].into_iter().flatten().min();
            match state.timer.poll_until(cx, deadline) {
                Poll::Ready(()) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Moves what has waited long enough to the ready list.
    fn list_due(&self, now: Instant) {
        loop {
            let due = {
                let mut lists = self.lists();
                match lists.lingering.front() {
                    Some((until, _, _)) if *until <= now => lists.lingering.pop_front(),
                    _ => None,
                }
            };
            let Some((_, partition, first_record)) = due else { break };
            let mut state = partition.lock();
            if state.open.as_ref().is_some_and(|open| open.first_record == first_record) {
                let _ = self.list_ready(&partition, &mut state);
            }
        }
        let due: Vec<_> = {
            let mut lists = self.lists();
            if lists.backing_off.is_empty() {
                return;
            }
            lists.backing_off.extract_if(.., |(until, _)| *until <= now).collect()
        };
        for (_, partition) in due {
            let mut state = partition.lock();
            let _ = self.list_ready(&partition, &mut state);
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let lists = self.lists();
        let lingering = lists.lingering.front().map(|(until, _, _)| *until);
        let backing_off = lists.backing_off.iter().map(|(until, _)| *until).min();
        [lingering, backing_off].into_iter().flatten().min()
    }

    fn has_ready(&self) -> bool {
        !self.lists().ready.is_empty()
    }

    /// Whether there is something to send now or soon: time to connect.
    fn has_work(&self) -> bool {
        let lists = self.lists();
        !lists.ready.is_empty() || !lists.lingering.is_empty()
    }

    /// Notes why a partition that was looked at sends nothing now.
    fn list_idle(&self, partition: &Arc<Partition>, idle: Idle, shared: &Shared) {
        match idle {
            Idle::Waiting => {}
            Idle::Backoff(until) => self.lists().backing_off.push((until, partition.clone())),
            Idle::NeedsProducerId(needs) => {
                self.lists().without_identity.push(partition.clone());
                // If it came between the question and the listing, nobody else would say so.
                if shared.identity.request(needs.exhausted) {
                    self.handle_identity();
                }
            }
        }
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        lock(&self.lists)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type ProducerConnection = Connection<InFlightRequest>;
