//! Who sends to one broker: lists of partitions that have something to send, and a connection of the producer's own.
//!
//! A sender is a state with one poll function ([`BrokerSender::poll`]). Its task polls it when the socket, a timer or a new batch
//! wakes it; a caller whose batch should go at once (`linger` zero) polls it in place of a wake-up if nobody else does. Whoever polls
//! takes the state out for that turn, and no lock is held meanwhile: answers are told to user code there.

mod answer;
mod connect;
mod lists;
mod request;
mod split;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use milena_client::Connection;
use milena_client::env::Timer;

use crate::shared::Shared;
pub(crate) use answer::describe;
use connect::{Link, Step};
use lists::Lists;
pub(crate) use request::InFlightRequest;

/// Requests on one connection whose answers are awaited. The bound in practice is the number of batches per partition; this one keeps
/// the memory for requests bounded when thousands of partitions send tiny batches.
const REQUESTS_IN_FLIGHT_MAX: usize = 256;

/// What an error says of a panic here.
pub(crate) const TASK_NAME: &str = "sender";

/// Sends to the partitions that one broker leads.
pub(crate) struct BrokerSender {
    pub(crate) node_id: i32,
    lists: Mutex<Lists>,
    turn: Mutex<Turn>,
    /// New metadata may tell another address.
    is_address_unchecked: AtomicBool,
    waker: Mutex<Option<Waker>>,
    /// Since when the broker has taken nothing and answered nothing, although it should.
    stalled_since: Mutex<Option<Instant>>,
}

/// Who moves the sender's state.
enum Turn {
    /// Nobody.
    Free(Box<SenderState>),
    /// Somebody, who has it; `again` asks them to wake the task when they are done. A turn that ends by a panic never ends: the
    /// producer fails.
    Taken { again: bool },
}

struct SenderState {
    link: Link,
    timer: Timer,
    /// Attempts to connect that failed, in a row.
    failures: u32,
    /// Requests with `acks=0` whose bytes have not all gone to the socket.
    unacknowledged: Vec<InFlightRequest>,
}

impl BrokerSender {
    pub(crate) fn new(node_id: i32, shared: &Shared) -> Self {
        Self {
            node_id,
            lists: Mutex::default(),
            turn: Mutex::new(Turn::Free(Box::new(SenderState {
                link: Link::Idle,
                timer: shared.env().timer(),
                failures: 0,
                unacknowledged: Vec::new(),
            }))),
            is_address_unchecked: AtomicBool::new(false),
            waker: Mutex::default(),
            stalled_since: Mutex::default(),
        }
    }

    /// There is a producer id now.
    pub(crate) fn handle_identity(&self) {
        self.ready_with_identity();
        self.wake();
    }

    /// There are new metadata.
    pub(crate) fn handle_metadata(&self) {
        self.is_address_unchecked.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn wake(&self) {
        // Before the task's first poll there is no waker; that poll looks at the lists.
        let waker = lock(&self.waker).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Sends at once, on the caller's thread, if nobody else is at it; has the sender's task woken otherwise. The socket's readiness goes
    /// to the task in any case.
    ///
    /// The caller has listed a partition. If the turn is free, this poll finds it. If it is not, whoever has it may have looked at the
    /// lists already; but the task, which they wake, looks again after that.
    pub(crate) fn send_now(&self, shared: &Arc<Shared>) {
        // The task's first poll looks at the lists.
        let Some(task) = lock(&self.waker).clone() else { return };
        let Some(mut state) = self.take_turn() else { return };
        if !matches!(state.link, Link::Open { .. }) {
            self.end_turn(state);
            return task.wake();
        }
        // What is still to be done when this returns was registered with the task's waker.
        let poll = || self.poll_in_turn(&mut Context::from_waker(&task), shared, &mut state);
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(_) => self.end_turn(state),
            Err(panic) => shared.fail_after_panic(TASK_NAME, &*panic),
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
        if let Some(mut state) = self.take_turn() {
            let _ = self.poll_in_turn(cx, shared, &mut state);
            self.end_turn(state);
        }
        Poll::Pending
    }

    /// Whether requests wait for their answers, as far as can be told: while somebody moves the state, they may.
    pub(crate) fn has_requests(&self) -> bool {
        match &*lock(&self.turn) {
            Turn::Free(state) => state.has_requests(),
            Turn::Taken { .. } => true,
        }
    }

    /// The state, if nobody else has it; otherwise the task will be woken when they are done.
    fn take_turn(&self) -> Option<Box<SenderState>> {
        let mut turn = lock(&self.turn);
        match std::mem::replace(&mut *turn, Turn::Taken { again: false }) {
            Turn::Free(state) => Some(state),
            Turn::Taken { .. } => {
                *turn = Turn::Taken { again: true };
                None
            }
        }
    }

    fn end_turn(&self, state: Box<SenderState>) {
        let before = std::mem::replace(&mut *lock(&self.turn), Turn::Free(state));
        if matches!(before, Turn::Taken { again: true }) {
            self.wake();
        }
    }

    fn poll_in_turn(&self, cx: &mut Context<'_>, shared: &Arc<Shared>, state: &mut SenderState) -> Poll<()> {
        let mut transferred = false;
        loop {
            let now = shared.env().now();
            self.list_due(now, shared);
            if self.is_address_unchecked.load(Ordering::Acquire) {
                self.is_address_unchecked.store(false, Ordering::Release);
                state.check_address(self, shared);
            }
            let step = state.link_step(self, cx, shared, now);
            transferred |= step == Step::Transferred;
            if step != Step::Rest {
                continue;
            }
            self.note_progress(state, transferred, now);
            let deadline =
                [state.link_timeout(self, shared, now), self.next_due()].into_iter().flatten().min();
            match state.timer.poll_until(cx, deadline) {
                Poll::Ready(()) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether the broker takes data (KIP-794): it has not stalled for longer than `timeout`. Java asks whether it could have been
    /// sent to (`RecordAccumulator.NodeLatencyStats`), which takes longer to see that it hangs.
    pub(crate) fn is_available(&self, now: Instant, timeout: Duration) -> bool {
        lock(&self.stalled_since).is_none_or(|since| now.saturating_duration_since(since) <= timeout)
    }

    fn note_progress(&self, state: &SenderState, transferred: bool, now: Instant) {
        let is_busy = self.ready_len() > 0 || state.has_requests();
        let mut stalled_since = lock(&self.stalled_since);
        *stalled_since = match *stalled_since {
            _ if !is_busy => None,
            Some(since) if !transferred => Some(since),
            _ => Some(now),
        };
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        lock(&self.lists)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type ProducerConnection = Connection<InFlightRequest>;
