//! What the cluster has seen: counters that tests read, and a way to wait for them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use milena_protocol::{ApiKey, ByteStr};
use tokio::sync::Notify;

use crate::NodeId;
use crate::sync::lock;

/// Counters of the whole cluster.
#[derive(Debug, Default)]
pub(crate) struct Observations {
    /// Requests by node and API, counted when their work begins.
    requests: Mutex<BTreeMap<(NodeId, ApiKeyCode), u64>>,
    connections: Mutex<BTreeMap<NodeId, usize>>,
    connections_accepted: AtomicU64,
    refused_frames: AtomicU64,
    is_tracking_batches: AtomicBool,
    batches: Mutex<BTreeMap<(ByteStr, i32), InFlight>>,
    changed: Notify,
    watcher: OnceLock<Watcher>,
}

/// A request as a node begins to work on it; see [`Cluster::watch_requests`](crate::Cluster::watch_requests).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RequestSeen<'a> {
    /// The node that was asked.
    pub node: NodeId,
    /// What it was asked.
    pub api: ApiKey,
    /// The version of the request.
    pub version: i16,
    /// What the client calls itself; empty without a name.
    pub client_id: &'a str,
    /// The client's number for the request.
    pub correlation_id: i32,
}

/// Who wants to see requests.
struct Watcher(Box<dyn Fn(&RequestSeen<'_>) + Send + Sync>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

type ApiKeyCode = i16;

/// Produced batches of one partition that were received and not answered yet.
#[derive(Debug, Default, Clone, Copy)]
struct InFlight {
    now: usize,
    max: usize,
}

impl Observations {
    pub(crate) fn request(&self, node: NodeId, api: ApiKey) {
        *lock(&self.requests).entry((node, api.code())).or_default() += 1;
        self.changed.notify_waiters();
    }

    /// Has `watcher` see all requests from now on. False if there is one already.
    pub(crate) fn watch(&self, watcher: impl Fn(&RequestSeen<'_>) + Send + Sync + 'static) -> bool {
        self.watcher.set(Watcher(Box::new(watcher))).is_ok()
    }

    pub(crate) fn show(&self, request: &RequestSeen<'_>) {
        if let Some(Watcher(watcher)) = self.watcher.get() {
            watcher(request);
        }
    }

    pub(crate) fn requests(&self, node: Option<NodeId>, api: Option<ApiKey>) -> u64 {
        let wanted = |(key, _): &(&(NodeId, ApiKeyCode), &u64)| {
            node.is_none_or(|node| node == key.0) && api.is_none_or(|api| api.code() == key.1)
        };
        lock(&self.requests).iter().filter(wanted).map(|(_, count)| count).sum()
    }

    pub(crate) fn connected(&self, node: NodeId) {
        *lock(&self.connections).entry(node).or_default() += 1;
        self.connections_accepted.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    pub(crate) fn disconnected(&self, node: NodeId) {
        if let Some(count) = lock(&self.connections).get_mut(&node) {
            *count = count.saturating_sub(1);
        }
        self.changed.notify_waiters();
    }

    pub(crate) fn connections(&self, node: NodeId) -> usize {
        lock(&self.connections).get(&node).copied().unwrap_or_default()
    }

    pub(crate) fn connections_accepted(&self) -> u64 {
        self.connections_accepted.load(Ordering::Acquire)
    }

    pub(crate) fn refused_frame(&self) {
        self.refused_frames.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    pub(crate) fn refused_frames(&self) -> u64 {
        self.refused_frames.load(Ordering::Acquire)
    }

    pub(crate) fn track_batches(&self) {
        self.is_tracking_batches.store(true, Ordering::Release);
    }

    pub(crate) fn is_tracking_batches(&self) -> bool {
        self.is_tracking_batches.load(Ordering::Acquire)
    }

    pub(crate) fn batches_received(&self, partitions: &[(ByteStr, i32)]) {
        let mut batches = lock(&self.batches);
        for partition in partitions {
            let in_flight = batches.entry(partition.clone()).or_default();
            in_flight.now += 1;
            in_flight.max = in_flight.max.max(in_flight.now);
        }
        self.changed.notify_waiters();
    }

    pub(crate) fn batches_answered(&self, partitions: &[(ByteStr, i32)]) {
        let mut batches = lock(&self.batches);
        for partition in partitions {
            if let Some(in_flight) = batches.get_mut(partition) {
                in_flight.now = in_flight.now.saturating_sub(1);
            }
        }
        self.changed.notify_waiters();
    }

    /// Unanswered batches of a partition: now, and the most there ever were.
    pub(crate) fn batches_in_flight(&self, topic: &str, partition: i32) -> (usize, usize) {
        let in_flight = lock(&self.batches).get(&(topic.into(), partition)).copied().unwrap_or_default();
        (in_flight.now, in_flight.max)
    }

    /// Something that tests look at changed.
    pub(crate) fn changed(&self) {
        self.changed.notify_waiters();
    }

    /// Returns when `condition` holds; it is asked again after every change.
    pub(crate) async fn until(&self, mut condition: impl FnMut() -> bool) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // Enabled before the condition is read, so that a change between the two is not missed.
            changed.as_mut().enable();
            if condition() {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_waiting_test_sees_what_comes_later() {
        let seen = Observations::default();
        let count = || seen.requests(None, Some(ApiKey::Fetch));
        let requests = async {
            seen.request(1, ApiKey::Fetch);
            tokio::task::yield_now().await;
            seen.request(2, ApiKey::Fetch);
        };
        tokio::join!(seen.until(|| count() == 2), requests);
        assert_eq!((seen.requests(Some(2), None), seen.requests(Some(3), None)), (1, 0));
    }

    #[test]
    fn the_most_batches_in_flight_are_remembered() {
        let seen = Observations::default();
        let partitions = [(ByteStr::from("t"), 0), (ByteStr::from("t"), 1)];
        seen.batches_received(&partitions);
        seen.batches_received(&partitions[..1]);
        seen.batches_answered(&partitions);
        assert_eq!(seen.batches_in_flight("t", 0), (1, 2));
        assert_eq!(seen.batches_in_flight("t", 1), (0, 1));
        assert_eq!(seen.batches_in_flight("u", 0), (0, 0));
    }
}
