//! Shared connections, one per broker, for requests that do not wait in line behind long polls: metadata and administration.

mod job;
mod link;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milena_protocol::Request;
use tokio::sync::{mpsc, oneshot};

use crate::Address;
use crate::config::ClientConfig;
use crate::connection::{ApiVersions, ConnectionErrorReason, ConnectionWatch, RequestError};
use crate::env::{Env, Task};
use crate::metadata::Broker;
use job::{Job, TypedJob};
use link::BrokerLink;

/// Requests that may wait for one broker.
const INBOX_REQUESTS_MAX: usize = 256;

/// The shared connections of a client, opened on demand.
pub(crate) struct BrokerPool {
    env: Env,
    config: Arc<ClientConfig>,
    watch: ConnectionWatch,
    node_ids: Arc<NodeIds>,
    links: Mutex<BTreeMap<Address, Link>>,
}

/// Which node listens where, for the metrics; a bootstrap address may be nobody's own.
#[derive(Default)]
struct NodeIds(Mutex<BTreeMap<Address, i32>>);

struct Link {
    inbox: mpsc::Sender<Box<dyn Job>>,
    standing: Arc<SharedStanding>,
    _task: Task,
}

/// How promising it is to ask a broker, the most promising first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// The connection is open, and that many requests wait for their answers.
    Open { waiting: usize },
    /// Nothing is known against it.
    Untried,
    /// A connection is being opened.
    Connecting,
    /// The last attempt failed.
    Failing,
}

/// A link's standing, written by its task.
struct SharedStanding(Mutex<Standing>);

impl BrokerPool {
    pub(crate) fn new(env: Env, config: Arc<ClientConfig>, watch: ConnectionWatch) -> Self {
        Self { env, config, watch, node_ids: Arc::default(), links: Mutex::default() }
    }

    /// Takes note of the cluster's brokers.
    pub(crate) fn learn_nodes(&self, brokers: &BTreeMap<i32, Broker>) {
        let now = brokers.values().map(|broker| (broker.address.clone(), broker.node_id)).collect();
        let before = std::mem::replace(&mut *self.node_ids.lock(), now);
        for gone in before.values().filter(|node_id| !brokers.contains_key(node_id)) {
            self.watch.forget_node(*gone);
        }
    }

    /// Sends the request that `prepare` makes for the broker's versions, and waits for the answer; tells its version too.
    ///
    /// Cancel safe: a dropped future's request is not sent, or its answer is dropped.
    pub(crate) async fn request<R: Request>(
        &self,
        address: &Address,
        prepare: impl FnOnce(&ApiVersions) -> Result<(R, i16), RequestError> + Send + 'static,
    ) -> Result<(i16, R::Response), RequestError> {
        let (reply, answer) = oneshot::channel();
        let mut job: Box<dyn Job> = Box::new(TypedJob::<R> { prepare: Box::new(prepare), reply });
        // A link that has been idle for long ends; a request that comes at that moment comes back and goes to a new one.
        while let Err(mpsc::error::SendError(returned)) = self.inbox(address).send(job).await {
            job = returned;
        }
        let response = match answer.await {
            Ok(result) => result?,
            // The link was let go by `forget`.
            Err(_) => {
                let error = ConnectionErrorReason::ClosedLocally.at(address);
                return Err(RequestError::Connection { error, possibly_sent: true });
            }
        };
        match response.decode::<R>() {
            Ok(decoded) => Ok((response.version, decoded)),
            Err(error) => Err(RequestError::Decode { address: address.clone(), error }),
        }
    }

    /// The most promising address first; among equals, another one at each call.
    pub(crate) fn most_promising_first(&self, mut addresses: Vec<Address>) -> Vec<Address> {
        if addresses.len() > 1 {
            let first = self.env.random_u64() % addresses.len() as u64;
            addresses.rotate_left(usize::try_from(first).unwrap_or(0));
            let links = self.lock();
            addresses.sort_by_key(|address| match links.get(address) {
                Some(link) if !link.inbox.is_closed() => link.standing.get(),
                _ => Standing::Untried,
            });
        }
        addresses
    }

    /// Closes the connections to `addresses`, so that their names are resolved again for the next requests.
    pub(crate) fn forget(&self, addresses: &[Address]) {
        let mut links = self.lock();
        for address in addresses {
            links.remove(address);
        }
    }

    fn inbox(&self, address: &Address) -> mpsc::Sender<Box<dyn Job>> {
        let mut links = self.lock();
        match links.get(address) {
            Some(link) if !link.inbox.is_closed() => link.inbox.clone(),
            _ => {
                links.retain(|_, link| !link.inbox.is_closed());
                let link = self.start_link(address);
                let inbox = link.inbox.clone();
                links.insert(address.clone(), link);
                inbox
            }
        }
    }

    fn start_link(&self, address: &Address) -> Link {
        let (inbox, jobs) = mpsc::channel(INBOX_REQUESTS_MAX);
        let standing = Arc::new(SharedStanding(Mutex::new(Standing::Untried)));
        let link = BrokerLink {
            env: self.env.clone(),
            config: self.config.clone(),
            address: address.clone(),
            jobs,
            standing: standing.clone(),
            watch: self.watch.clone(),
            node_ids: self.node_ids.clone(),
        };
        Link { inbox, standing, _task: self.env.spawn(link.run()) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodeIds {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, i32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, address: &Address) -> Option<i32> {
        self.lock().get(address).copied()
    }
}

impl SharedStanding {
    fn get(&self) -> Standing {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, standing: Standing) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }
}
