//! Shared connections, one per broker, for requests that do not wait in line behind long polls: metadata and administration.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use milena_protocol::Request;
use tokio::sync::{mpsc, oneshot};

use crate::Address;
use crate::config::ClientConfig;
use crate::connection::{self, ApiVersions, Connection, ConnectionError, RequestError, Response};
use crate::env::{Env, Task, Timer};

/// Requests that may wait for one broker.
const INBOX_REQUESTS_MAX: usize = 256;

/// The shared connections of a client, opened on demand.
pub(crate) struct BrokerPool {
    env: Env,
    config: Arc<ClientConfig>,
    links: Mutex<BTreeMap<Address, Link>>,
}

struct Link {
    inbox: mpsc::Sender<Box<dyn Job>>,
    _task: Task,
}

impl BrokerPool {
    pub(crate) fn new(env: Env, config: Arc<ClientConfig>) -> Self {
        Self { env, config, links: Mutex::default() }
    }

    /// Sends the request that `prepare` makes for the broker's versions, and waits for the answer.
    ///
    /// Cancel safe: a dropped future's request is not sent, or its answer is dropped.
    pub(crate) async fn request<R: Request>(
        &self,
        address: &Address,
        prepare: impl FnOnce(&ApiVersions) -> Result<(R, i16), RequestError> + Send + 'static,
    ) -> Result<R::Response, RequestError> {
        let (reply, answer) = oneshot::channel();
        let job = TypedJob::<R> { prepare: Box::new(prepare), reply };
        let inbox = self.inbox(address);
        if inbox.send(Box::new(job)).await.is_err() {
            return Err(RequestError::ClientClosed);
        }
        let response = answer.await.unwrap_or(Err(RequestError::ClientClosed))?;
        response.decode::<R>().map_err(|error| RequestError::Decode { address: address.clone(), error })
    }

    fn inbox(&self, address: &Address) -> mpsc::Sender<Box<dyn Job>> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links.entry(address.clone()).or_insert_with(|| {
            let (inbox, jobs) = mpsc::channel(INBOX_REQUESTS_MAX);
            let link = BrokerLink::new(self.env.clone(), self.config.clone(), address.clone(), jobs);
            Link { inbox, _task: self.env.spawn(link.run()) }
        });
        link.inbox.clone()
    }
}

type Reply = oneshot::Sender<Result<Response<()>, RequestError>>;
type Prepare<R> = Box<dyn FnOnce(&ApiVersions) -> Result<(R, i16), RequestError> + Send>;

/// A request whose type is forgotten until a connection tells which version to write.
trait Job: Send {
    /// Whether somebody still waits for the answer.
    fn is_wanted(&self) -> bool;
    fn submit(self: Box<Self>, connection: &mut Connection<Reply>, config: &ClientConfig);
    fn fail(self: Box<Self>, error: RequestError);
}

struct TypedJob<R> {
    prepare: Prepare<R>,
    reply: Reply,
}

impl<R: Request> Job for TypedJob<R> {
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn submit(self: Box<Self>, connection: &mut Connection<Reply>, config: &ClientConfig) {
        let (request, version) = match (self.prepare)(connection.versions()) {
            Ok(prepared) => prepared,
            Err(error) => return answer(self.reply, Err(error)),
        };
        let timeout = config.connection.request_timeout;
        if let Err((error, reply)) = connection.submit(&request, version, timeout, self.reply) {
            answer(reply, Err(error.into()));
        }
    }

    fn fail(self: Box<Self>, error: RequestError) {
        answer(self.reply, Err(error));
    }
}

fn answer(reply: Reply, result: Result<Response<()>, RequestError>) {
    // Whoever asked may have stopped waiting: that is no error.
    let _ = reply.send(result);
}

/// The task behind one shared connection.
struct BrokerLink {
    env: Env,
    config: Arc<ClientConfig>,
    address: Address,
    jobs: mpsc::Receiver<Box<dyn Job>>,
}

/// Why a connected link stops polling its connection.
enum LinkEvent {
    Broken(ConnectionError),
    Idle,
    ClientClosed,
}

impl BrokerLink {
    fn new(
        env: Env,
        config: Arc<ClientConfig>,
        address: Address,
        jobs: mpsc::Receiver<Box<dyn Job>>,
    ) -> Self {
        Self { env, config, address, jobs }
    }

    /// Connects whenever there is a request, at most once per back-off, and serves requests until the connection breaks or
    /// idles.
    async fn run(mut self) {
        let mut failures = 0;
        while let Some(job) = self.next_job().await {
            let opened = connection::open::<Reply>(&self.env, &self.config.connection, &self.address).await;
            let error = match opened {
                Ok(connection) => {
                    failures = 0;
                    match self.serve(connection, job).await {
                        LinkEvent::ClientClosed => return,
                        LinkEvent::Idle => continue,
                        LinkEvent::Broken(error) => error,
                    }
                }
                Err(error) => {
                    job.fail(unsent(&error));
                    error
                }
            };
            tracing::debug!(%error, "shared connection");
            failures += 1;
            self.refuse_during_backoff(&error, failures).await;
        }
    }

    /// The next request that is still wanted; `None` when the client is closed.
    async fn next_job(&mut self) -> Option<Box<dyn Job>> {
        loop {
            let job = self.jobs.recv().await?;
            if job.is_wanted() {
                return Some(job);
            }
        }
    }

    /// Answers requests with the error that is known already until it is time for the next attempt, so that their callers can
    /// turn to another broker instead of waiting for this one.
    async fn refuse_during_backoff(&mut self, error: &ConnectionError, failures: u32) {
        let until = self.env.now() + self.config.reconnect_backoff.delay(failures, self.env.random_unit());
        while let Some(Some(job)) = self.env.timeout_at(until, self.jobs.recv()).await {
            job.fail(unsent(error));
        }
    }

    async fn serve(&mut self, mut connection: Connection<Reply>, first: Box<dyn Job>) -> LinkEvent {
        first.submit(&mut connection, &self.config);
        let mut timer = self.env.timer();
        let mut waiting = VecDeque::new();
        let event = poll_fn(|cx| self.poll_serve(cx, &mut connection, &mut timer, &mut waiting)).await;
        let error = match &event {
            LinkEvent::Broken(error) => error.clone(),
            LinkEvent::Idle | LinkEvent::ClientClosed => {
                connection::ConnectionErrorReason::ClosedLocally.at(&self.address)
            }
        };
        for unanswered in connection.into_unanswered() {
            let possibly_sent = unanswered.possibly_sent;
            answer(unanswered.context, Err(RequestError::Connection { error: error.clone(), possibly_sent }));
        }
        for job in waiting {
            Job::fail(job, unsent(&error));
        }
        event
    }

    fn poll_serve(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection<Reply>,
        timer: &mut Timer,
        waiting: &mut VecDeque<Box<dyn Job>>,
    ) -> Poll<LinkEvent> {
        loop {
            if let Some(event) = self.take_jobs(cx, connection, waiting) {
                return Poll::Ready(event);
            }
            if let Poll::Ready(Err(error)) = connection.poll_flush(cx) {
                return Poll::Ready(LinkEvent::Broken(error));
            }
            match connection.poll_response(cx) {
                Poll::Ready(Ok(Response { context: reply, version, latency, frame })) => {
                    answer(reply, Ok(Response { context: (), version, latency, frame }));
                    continue;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(LinkEvent::Broken(error)),
                Poll::Pending => {}
            }
            let now = self.env.now();
            if let Some(error) = connection.timed_out(now) {
                return Poll::Ready(LinkEvent::Broken(error));
            }
            let idle_at = connection.last_used() + self.config.connections_max_idle;
            if connection.in_flight_count() == 0 && idle_at <= now {
                return Poll::Ready(LinkEvent::Idle);
            }
            let deadline = connection.poll_timeout().unwrap_or(idle_at);
            let deadline = connection.throttled_until(now).map_or(deadline, |until| until.min(deadline));
            match timer.poll_until(cx, Some(deadline)) {
                Poll::Ready(()) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Submits what is asked for, unless the broker asked for silence.
    fn take_jobs(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection<Reply>,
        waiting: &mut VecDeque<Box<dyn Job>>,
    ) -> Option<LinkEvent> {
        while waiting.len() < INBOX_REQUESTS_MAX {
            match self.jobs.poll_recv(cx) {
                Poll::Ready(Some(job)) => waiting.push_back(job),
                Poll::Ready(None) => return Some(LinkEvent::ClientClosed),
                Poll::Pending => break,
            }
        }
        if connection.throttled_until(self.env.now()).is_none() {
            for job in waiting.drain(..) {
                if job.is_wanted() {
                    job.submit(connection, &self.config);
                }
            }
        }
        None
    }
}

fn unsent(error: &ConnectionError) -> RequestError {
    RequestError::Connection { error: error.clone(), possibly_sent: false }
}
