//! A node: where connections come in and requests are worked on.

mod connection;
mod context;
mod dispatch;
mod frame;
mod link;
mod listener;
mod memory;
mod outbox;
mod throttle;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::sync::{mpsc, oneshot};

pub(crate) use context::{PartitionDescription, RequestContext, TopicDescription};
pub(crate) use dispatch::{OFFERED, Reply};
use frame::Budget;
pub(crate) use link::{Breakage, Link, Peer};
pub(crate) use listener::{Listener, Order};
pub(crate) use memory::MemorySocket;
pub use memory::MemoryStream;
use throttle::Rates;

use crate::NodeId;
use crate::config::BrokerSettings;
use crate::fetch::FetchSessions;
use crate::rng::Rng;
use crate::sync::{Switch, lock};
use crate::task::Task;

/// How many in-memory connections may wait to be accepted, as the backlog of a TCP listener.
pub(crate) const BACKLOG: usize = 128;

/// One node of the cluster. It exists as long as the cluster does, whether it runs or not.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    /// Where clients find it; the same after a restart.
    pub(crate) address: SocketAddr,
    pub(crate) sessions: Mutex<FetchSessions>,
    /// Accepts connections and bytes, and answers nothing.
    pub(crate) frozen: Switch,
    /// Accepts connections, and reads nothing.
    pub(crate) deaf: Switch,
    /// For the requests of all its connections.
    pub(crate) budget: Budget,
    /// What clients with quotas have used.
    pub(crate) rates: Mutex<Rates>,
    running: Mutex<Option<Running>>,
    /// How often it has been started.
    starts: AtomicU32,
    /// How it went down last.
    has_crashed: AtomicBool,
}

/// How a node goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What it had is safe.
    InOrder,
    /// Nobody knows what of it was written.
    Crash,
}

/// What a running node consists of.
#[derive(Debug)]
pub(crate) struct Running {
    /// Takes connections in memory.
    pub(crate) inbox: mpsc::Sender<MemorySocket>,
    /// Tells the listener what to do with its connections.
    pub(crate) orders: mpsc::Sender<Order>,
    /// Accepts connections and owns them.
    pub(crate) listener: Task,
    pub(crate) stop: std::sync::Arc<Switch>,
}

impl Node {
    pub(crate) fn new(id: NodeId, address: SocketAddr, settings: &BrokerSettings, rng: Rng) -> Self {
        Self {
            id,
            address,
            sessions: Mutex::new(FetchSessions::new(settings.fetch_sessions_max, rng)),
            frozen: Switch::off(),
            deaf: Switch::off(),
            budget: Budget::new(settings.buffered_bytes_max),
            rates: Mutex::new(Rates::new(settings.quota_windows)),
            running: Mutex::new(None),
            starts: AtomicU32::new(0),
            has_crashed: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        lock(&self.running).is_some()
    }

    /// Which life this is, counted from 1; `None` while the node is down.
    pub(crate) fn incarnation(&self) -> Option<u32> {
        self.is_running().then(|| self.starts.load(Ordering::Acquire))
    }

    /// Notes how it is about to go down.
    pub(crate) fn note_exit(&self, exit: Exit) {
        self.has_crashed.store(exit == Exit::Crash, Ordering::Release);
    }

    /// Whether it crashed when it went down last.
    pub(crate) fn has_crashed(&self) -> bool {
        self.has_crashed.load(Ordering::Acquire)
    }

    /// Whether it does what other nodes ask of it.
    pub(crate) fn serves(&self) -> bool {
        self.is_running() && !self.frozen.is_on()
    }

    pub(crate) fn set_running(&self, running: Running) {
        self.starts.fetch_add(1, Ordering::AcqRel);
        *lock(&self.running) = Some(running);
    }

    /// Hands a connection in memory to the listener; gives it back when the node is down or its backlog is full.
    pub(crate) fn accept(&self, socket: MemorySocket) -> Result<(), MemorySocket> {
        match &*lock(&self.running) {
            Some(running) => running.inbox.try_send(socket).map_err(|refused| refused.into_inner()),
            None => Err(socket),
        }
    }

    /// Closes all connections; new ones are accepted.
    pub(crate) async fn hang_up(&self) {
        self.order(Order::HangUp).await;
    }

    /// Has rules strike the connections that exist, and returns when they have.
    pub(crate) async fn review_connections(&self) {
        let (done, reviewed) = oneshot::channel();
        self.order(Order::Review(done)).await;
        // A listener that is gone has no connections.
        let _ = reviewed.await;
    }

    async fn order(&self, order: Order) {
        let orders = lock(&self.running).as_ref().map(|running| running.orders.clone());
        if let Some(orders) = orders {
            // A listener that is gone has closed its connections.
            let _ = orders.send(order).await;
        }
    }

    /// Stops without waiting: the tasks end when they are next polled.
    pub(crate) fn abandon(&self) {
        drop(lock(&self.running).take());
    }

    /// Stops listening and closes all connections; what they were working on is dropped.
    pub(crate) async fn stop(&self) {
        let running = lock(&self.running).take();
        if let Some(running) = running {
            running.stop.set(true);
            running.listener.ended().await;
        }
        lock(&self.sessions).clear();
        lock(&self.rates).clear();
    }
}
