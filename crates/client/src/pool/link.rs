//! The task behind one shared connection.
//!
//! ```text
//!             a request                 opened
//!   Waiting ────────────▶ Connecting ────────────▶ Serving
//!    │   ▲ ▲                  │ failed                │
//!    │   │ └──── Backing off ◀┴───────────────────────┤ broken
//!    │   └────────────────────────────────────────────┘ idle for long, or closed by the broker while idle
//!    ▼ no request for long
//!   (ends)
//! ```

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::mpsc;

use super::job::{Job, Reply, answer};
use super::{INBOX_REQUESTS_MAX, NodeIds, SharedStanding, Standing};
use crate::Address;
use crate::config::ClientConfig;
use crate::connection::{
    self, Connection, ConnectionError, ConnectionErrorReason, ConnectionWatch, RequestError, Response,
};
use crate::env::{Env, Timer, later};

/// Requests that wait for their answers on one connection; more wait in the inbox.
const IN_FLIGHT_MAX: usize = 256;

pub(super) struct BrokerLink {
    pub(super) env: Env,
    pub(super) config: Arc<ClientConfig>,
    pub(super) address: Address,
    pub(super) jobs: mpsc::Receiver<Box<dyn Job>>,
    pub(super) standing: Arc<SharedStanding>,
    pub(super) watch: ConnectionWatch,
    pub(super) node_ids: Arc<NodeIds>,
}

/// An open connection and what waits for it.
struct Serving {
    connection: Connection<Reply>,
    timer: Timer,
    /// Requests that a throttled connection may not send yet, each with the instant at which it has waited too long.
    held_back: VecDeque<(Instant, Box<dyn Job>)>,
}

/// Why a connection is given up.
enum End {
    Broken(ConnectionError),
    /// Nobody needs it.
    Idle,
}

impl BrokerLink {
    /// Connects whenever there is a request, at most once per back-off, and serves requests until the connection breaks or
    /// idles. Ends when there was no request for as long as an idle connection is kept.
    pub(super) async fn run(mut self) {
        let mut failures = 0;
        let mut failed_opens = 0;
        while let Some(job) = self.next_job().await {
            self.standing.set(Standing::Connecting);
            let error = match self.open(failed_opens).await {
                Ok(connection) => {
                    failed_opens = 0;
                    match self.serve(connection, job, &mut failures).await {
                        End::Idle => {
                            self.standing.set(Standing::Untried);
                            continue;
                        }
                        End::Broken(error) => error,
                    }
                }
                Err(error) => {
                    failed_opens += 1;
                    job.fail(unsent(&error));
                    error
                }
            };
            tracing::debug!(%error, "shared connection");
            self.standing.set(Standing::Failing);
            failures += 1;
            self.refuse_during_backoff(&error, failures).await;
        }
    }

    async fn open(&self, failures: u32) -> Result<Connection<Reply>, ConnectionError> {
        let node_id = self.node_ids.of(&self.address);
        let config = &self.config.connection;
        connection::open_watched(&self.watch, node_id, &self.env, config, &self.address, failures).await
    }

    /// The next request that is still wanted; `None` when it is time to end.
    async fn next_job(&mut self) -> Option<Box<dyn Job>> {
        let idle_at = self.env.deadline_after(self.config.connections_max_idle);
        loop {
            match self.env.timeout_at(idle_at, self.jobs.recv()).await {
                Some(Some(job)) if job.is_wanted() => return Some(job),
                Some(Some(_)) => {}
                Some(None) => return None,
                // From now on requests go to a new link, and `recv` brings those that came at the last moment, then `None`.
                None => self.jobs.close(),
            }
        }
    }

    /// Answers requests with the error that is known already until it is time for the next attempt, so that their callers can
    /// turn to another broker instead of waiting for this one.
    async fn refuse_during_backoff(&mut self, error: &ConnectionError, failures: u32) {
        let wait = self.config.reconnect_backoff.delay(failures, self.env.random_unit());
        let until = self.env.deadline_after(wait);
        while let Some(Some(job)) = self.env.timeout_at(until, self.jobs.recv()).await {
            job.fail(unsent(error));
        }
    }

    async fn serve(&mut self, connection: Connection<Reply>, first: Box<dyn Job>, failures: &mut u32) -> End {
        let timer = self.env.timer();
        let mut serving = Serving { connection, timer, held_back: VecDeque::new() };
        if first.is_wanted() {
            first.submit(&mut serving.connection, &self.config);
        }
        let end = poll_fn(|cx| self.poll_serve(cx, &mut serving, failures)).await;
        let error = match &end {
            End::Broken(error) => error.clone(),
            End::Idle => ConnectionErrorReason::ClosedLocally.at(&self.address),
        };
        for unanswered in serving.connection.into_unanswered() {
            let possibly_sent = unanswered.possibly_sent;
            answer(unanswered.context, Err(RequestError::Connection { error: error.clone(), possibly_sent }));
        }
        for (_, job) in serving.held_back {
            job.fail(unsent(&error));
        }
        end
    }

    fn poll_serve(&mut self, cx: &mut Context<'_>, serving: &mut Serving, failures: &mut u32) -> Poll<End> {
        loop {
            // Read once per pass. A silence that ends between two readings would be over when it is to be waited for, after what is
            // held back was passed over because of it: nothing would bring it up again.
            let now = self.env.now();
            self.take_jobs(cx, serving, now);
            let connection = &mut serving.connection;
            if let Poll::Ready(Err(error)) = connection.poll_flush(cx) {
                return Poll::Ready(ended(connection, error));
            }
            match connection.poll_response(cx) {
                Poll::Ready(Ok(Response { context: reply, version, latency, frame })) => {
                    *failures = 0;
                    answer(reply, Ok(Response { context: (), version, latency, frame }));
                    continue;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(ended(connection, error)),
                Poll::Pending => {}
            }
            if let Some(error) = connection.timed_out(now) {
                return Poll::Ready(End::Broken(error));
            }
            let unused = connection.in_flight_count() == 0 && serving.held_back.is_empty();
            let idle_at = later(connection.last_used(), self.config.connections_max_idle);
            if unused && (idle_at <= now || self.jobs.is_closed()) {
                return Poll::Ready(End::Idle);
            }
            self.standing.set(Standing::Open { waiting: connection.in_flight_count() });
            let held_until = serving.held_back.front().map(|(overdue_at, _)| {
                connection
                    .throttled_until(now)
                    .map_or(now, |throttled_until| throttled_until.min(*overdue_at))
            });
            let deadline = connection.poll_timeout().or(unused.then_some(idle_at));
            let deadline = [deadline, held_until].into_iter().flatten().min();
            if serving.timer.poll_until(cx, deadline).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Submits what is asked for, unless the broker asked for silence (KIP-219).
    fn take_jobs(&mut self, cx: &mut Context<'_>, serving: &mut Serving, now: Instant) {
        let Serving { connection, held_back, .. } = serving;
        if connection.throttled_until(now).is_none() {
            for (_, job) in held_back.drain(..) {
                if job.is_wanted() {
                    job.submit(connection, &self.config);
                }
            }
            while connection.in_flight_count() < IN_FLIGHT_MAX
                && let Poll::Ready(Some(job)) = self.jobs.poll_recv(cx)
            {
                if job.is_wanted() {
                    job.submit(connection, &self.config);
                }
            }
            return;
        }
        let patience = self.config.connection.request_timeout;
        while held_back.len() < INBOX_REQUESTS_MAX
            && let Poll::Ready(Some(job)) = self.jobs.poll_recv(cx)
        {
            held_back.push_back((later(now, patience), job));
        }
        while let Some((_, job)) = held_back.pop_front_if(|(overdue_at, _)| *overdue_at <= now) {
            let reason = ConnectionErrorReason::RequestTimeout { api: job.api(), after: patience };
            job.fail(unsent(&reason.at(&self.address)));
        }
    }
}

/// A broker may close a connection that nobody has used for long, and a new one is opened when it is needed: no failure.
fn ended(connection: &Connection<Reply>, error: ConnectionError) -> End {
    match error.reason {
        ConnectionErrorReason::Closed { .. } if connection.in_flight_count() == 0 => End::Idle,
        _ => End::Broken(error),
    }
}

fn unsent(error: &ConnectionError) -> RequestError {
    RequestError::Connection { error: error.clone(), possibly_sent: false }
}
