//! The partitions that a sender is to look at, now or later. No partition is scanned: those with something to do are listed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::BrokerSender;
use crate::core::listing::Stay;
use crate::core::queue::Idle;
use crate::partition::{Partition, PartitionState};
use crate::shared::Shared;

/// A partition is on these lists as its [`Listing`](crate::core::listing::Listing) says: in line on one of `ready`, `backing_off` and
/// `without_identity`, and on `lingering` besides. When the leader changes the new sender lists it at once; what the old one still has
/// on its lists is passed over.
#[derive(Default)]
pub(super) struct Lists {
    /// Now.
    ready: VecDeque<Entry>,
    /// When the linger of their open batch is over, at the earliest.
    lingering: BinaryHeap<Reverse<Lingering>>,
    /// When their back-off is over.
    backing_off: Vec<(Instant, Entry)>,
    /// When there is a producer id.
    without_identity: Vec<Entry>,
}

/// A partition on a list. It counts as long as its stay lasts.
pub(super) struct Entry {
    pub(super) partition: Arc<Partition>,
    pub(super) stay: Stay,
}

impl Entry {
    fn is_current(&self) -> bool {
        self.partition.lock().listing.is_current(self.stay)
    }
}

struct Lingering {
    until: Instant,
    entry: Entry,
}

impl Ord for Lingering {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.until.cmp(&other.until)
    }
}

impl PartialOrd for Lingering {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Lingering {
    fn eq(&self, other: &Self) -> bool {
        self.until == other.until
    }
}

impl Eq for Lingering {}

impl BrokerSender {
    /// The partition has something to send. `state` is its locked state. Returns whether the sender is to be woken for it.
    #[must_use = "wake the sender after the partition's lock is released"]
    pub(crate) fn list_ready(&self, partition: &Arc<Partition>, state: &mut PartitionState) -> bool {
        let Some(stay) = state.listing.join_line() else { return false };
        self.lists().ready.push_back(Entry { partition: partition.clone(), stay });
        true
    }

    /// The partition has begun a batch whose linger is over at `until`. Returns whether the sender is to be woken, to arm its timer.
    #[must_use = "wake the sender after the partition's lock is released"]
    pub(crate) fn list_lingering(
        &self,
        partition: &Arc<Partition>,
        state: &mut PartitionState,
        until: Instant,
    ) -> bool {
        let Some(stay) = state.listing.linger() else { return false };
        let entry = Entry { partition: partition.clone(), stay };
        let mut lists = self.lists();
        let is_first = lists.lingering.peek().is_none_or(|Reverse(first)| until < first.until);
        lists.lingering.push(Reverse(Lingering { until, entry }));
        is_first
    }

    /// Notes why a partition that was looked at sends nothing now.
    pub(super) fn list_idle(
        &self,
        partition: &Arc<Partition>,
        state: &mut PartitionState,
        idle: Idle,
        shared: &Shared,
    ) {
        if idle == Idle::Waiting {
            return;
        }
        let Some(stay) = state.listing.join_line() else { return };
        let entry = Entry { partition: partition.clone(), stay };
        match idle {
            Idle::Waiting => {}
            Idle::Backoff(until) => self.lists().backing_off.push((until, entry)),
            Idle::NeedsProducerId(needs) => {
                self.lists().without_identity.push(entry);
                // If it came between the question and the listing, nobody else would say so.
                if shared.identity.request(needs.exhausted) {
                    self.handle_identity();
                }
            }
        }
    }

    /// There is a producer id now.
    pub(super) fn ready_with_identity(&self) {
        let mut lists = self.lists();
        let waiting = std::mem::take(&mut lists.without_identity);
        lists.ready.extend(waiting);
    }

    /// Moves what has waited long enough to the ready list.
    pub(super) fn list_due(&self, now: Instant, shared: &Shared) {
        {
            let mut lists = self.lists();
            let Lists { ready, backing_off, .. } = &mut *lists;
            ready.extend(backing_off.extract_if(.., |(until, _)| *until <= now).map(|(_, entry)| entry));
        }
        while let Some(Entry { partition, stay }) = self.pop_lingered(now) {
            let mut state = partition.lock();
            if !state.listing.end_linger(stay) {
                continue;
            }
            // The batch that was listed may have been sent, and another one begun.
            let Some(open) = &state.open else { continue };
            let until = open.opened_at + shared.config.linger;
            // Whoever calls this goes on to look at both lists.
            let _ = match until <= now {
                true => self.list_ready(&partition, &mut state),
                false => self.list_lingering(&partition, &mut state, until),
            };
        }
    }

    fn pop_lingered(&self, now: Instant) -> Option<Entry> {
        let mut lists = self.lists();
        match lists.lingering.peek() {
            Some(Reverse(first)) if first.until <= now => {
                lists.lingering.pop().map(|Reverse(lingering)| lingering.entry)
            }
            _ => None,
        }
    }

    pub(super) fn pop_ready(&self) -> Option<Entry> {
        self.lists().ready.pop_front()
    }

    pub(super) fn ready_len(&self) -> usize {
        self.lists().ready.len()
    }

    /// When to call [`Self::list_due`] next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let lists = self.lists();
        let lingering = lists.lingering.peek().map(|Reverse(first)| first.until);
        let backing_off = lists.backing_off.iter().map(|(until, _)| *until).min();
        [lingering, backing_off].into_iter().flatten().min()
    }

    /// Whether there is something to send now or soon: time to connect.
    pub(super) fn has_work(&self) -> bool {
        let lists = self.lists();
        !lists.ready.is_empty() || !lists.lingering.is_empty()
    }

    /// Passes over what belongs to other senders by now, so that nobody connects to a broker for nothing.
    pub(super) fn drop_departed(&self) {
        let (ready, lingering) = {
            let mut lists = self.lists();
            (std::mem::take(&mut lists.ready), std::mem::take(&mut lists.lingering))
        };
        let mut ready: VecDeque<_> = ready.into_iter().filter(Entry::is_current).collect();
        let lingering = lingering.into_iter().filter(|Reverse(lingering)| lingering.entry.is_current());
        let lingering: Vec<_> = lingering.collect();
        let mut lists = self.lists();
        ready.append(&mut lists.ready);
        lists.ready = ready;
        lists.lingering.extend(lingering);
    }
}
