//! The connection's life.
//!
//! ```text
//!   Idle ──something to send──▶ Opening ──▶ Open ──broken, timed out──▶ BackingOff ──▶ Idle
//!    ▲                          │  └───────── failed ───────────────────────▲
//!    ├── the broker has moved ──┘
//!    └── unused for too long; the broker has moved, and all is answered ── Open
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use milena_client::connection::ConnectionErrorReason;
use milena_client::{Address, ConnectionError};

use super::answer::handle_response;
use super::{BrokerSender, InFlightRequest, ProducerConnection, REQUESTS_IN_FLIGHT_MAX, SenderState};
use crate::shared::Shared;

type Opening = Pin<Box<dyn Future<Output = Result<ProducerConnection, ConnectionError>> + Send>>;

pub(super) enum Link {
    Idle,
    Opening {
        address: Address,
        opening: Opening,
    },
    Open {
        connection: Box<ProducerConnection>,
        /// The broker listens elsewhere by now: what is under way is waited for, and nothing more is sent here, where another broker
        /// may have taken its place.
        has_moved: bool,
    },
    BackingOff {
        until: Instant,
    },
}

/// What one look at the link came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing can be done now.
    Rest,
    /// The link's state has changed: look again.
    Changed,
    /// Requests were written, or answers read: look again.
    Transferred,
}

impl SenderState {
    pub(super) fn link_step(
        &mut self,
        sender: &BrokerSender,
        cx: &mut Context<'_>,
        shared: &Arc<Shared>,
        now: Instant,
    ) -> Step {
        match &mut self.link {
            Link::Idle => self.leave_idle(sender, shared, now),
            Link::BackingOff { until } if *until > now => Step::Rest,
            Link::BackingOff { .. } => {
                self.link = Link::Idle;
                Step::Changed
            }
            Link::Opening { opening, .. } => {
                match opening.as_mut().poll(cx) {
                    Poll::Pending => return Step::Rest,
                    Poll::Ready(Ok(connection)) => {
                        self.failures = 0;
                        self.link = Link::Open { connection: Box::new(connection), has_moved: false };
                    }
                    Poll::Ready(Err(error)) => self.back_off(sender, shared, &error, now),
                }
                Step::Changed
            }
            Link::Open { connection, has_moved } => {
                let unacknowledged = &mut self.unacknowledged;
                match poll_open(sender, connection, *has_moved, unacknowledged, cx, shared, now) {
                    Ok(true) => return Step::Transferred,
                    Ok(false) => return Step::Rest,
                    Err(Ended::Idle) => self.link = Link::Idle,
                    // A broker closes what is unused, too: no failure.
                    Err(Ended::Broken(ConnectionError {
                        reason: ConnectionErrorReason::Closed { .. },
                        ..
                    })) if is_unused(sender, connection) => {
                        self.link = Link::Idle;
                    }
                    Err(Ended::Broken(error)) => self.give_up(sender, shared, &error, now),
                }
                Step::Changed
            }
        }
    }

    /// When the link must be looked at again if nothing happens.
    pub(super) fn link_timeout(
        &self,
        sender: &BrokerSender,
        shared: &Shared,
        now: Instant,
    ) -> Option<Instant> {
        match &self.link {
            Link::Idle | Link::Opening { .. } => None,
            Link::BackingOff { until } => Some(*until),
            Link::Open { connection, .. } => {
                let end_at = if is_unused(sender, connection) {
                    Some(idle_at(connection, shared))
                } else {
                    [connection.poll_timeout(), write_timeout(connection, shared)].into_iter().flatten().min()
                };
                [end_at, connection.throttled_until(now)].into_iter().flatten().min()
            }
        }
    }

    /// Whether requests wait for their answers, or for the socket.
    pub(super) fn has_requests(&self) -> bool {
        match &self.link {
            Link::Open { connection, .. } => connection.in_flight_count() > 0 || !connection.is_flushed(),
            Link::Idle | Link::Opening { .. } | Link::BackingOff { .. } => false,
        }
    }

    /// Lets go of an address at which the broker is not to be found any more.
    pub(super) fn check_address(&mut self, sender: &BrokerSender, shared: &Shared) {
        let metadata = shared.client.metadata().current();
        let Some(broker) = metadata.brokers.get(&sender.node_id) else { return };
        match &mut self.link {
            Link::Opening { address, .. } if *address != broker.address => self.link = Link::Idle,
            Link::Open { connection, has_moved } => *has_moved = *connection.address() != broker.address,
            Link::Idle | Link::Opening { .. } | Link::BackingOff { .. } => {}
        }
    }

    fn leave_idle(&mut self, sender: &BrokerSender, shared: &Arc<Shared>, now: Instant) -> Step {
        if !sender.has_work() {
            return Step::Rest;
        }
        sender.drop_departed();
        if !sender.has_work() {
            return Step::Rest;
        }
        let metadata = shared.client.metadata().current();
        match metadata.brokers.get(&sender.node_id).cloned() {
            Some(broker) => {
                let (client, watch, failures) = (shared.client.clone(), shared.watch.clone(), self.failures);
                let address = broker.address.clone();
                let opening = Box::pin(async move { client.open_watched(&watch, &broker, failures).await });
                self.link = Link::Opening { address, opening };
            }
            None => {
                // Gone from the metadata: its partitions are about to get another sender.
                shared.client.metadata().request_update();
                let until = now + shared.client.config().reconnect_backoff.max;
                self.link = Link::BackingOff { until };
            }
        }
        Step::Changed
    }

    fn back_off(
        &mut self,
        sender: &BrokerSender,
        shared: &Arc<Shared>,
        error: &ConnectionError,
        now: Instant,
    ) {
        tracing::warn!(node_id = sender.node_id, %error, "producer connection");
        self.failures = self.failures.saturating_add(1);
        let wait = shared.client.config().reconnect_backoff.delay(self.failures, shared.env().random_unit());
        self.link = Link::BackingOff { until: now + wait };
        shared.note_connection_error(error);
        shared.client.metadata().request_update();
    }

    fn give_up(
        &mut self,
        sender: &BrokerSender,
        shared: &Arc<Shared>,
        error: &ConnectionError,
        now: Instant,
    ) {
        let link = std::mem::replace(&mut self.link, Link::Idle);
        self.back_off(sender, shared, error, now);
        if let Link::Open { connection, .. } = link {
            for mut unanswered in connection.into_unanswered() {
                unanswered.context.handle_disconnect(sender, shared, unanswered.possibly_sent, now);
            }
        }
        for mut request in self.unacknowledged.drain(..) {
            request.handle_disconnect(sender, shared, true, now);
        }
    }
}

enum Ended {
    /// Nobody needs the connection any more.
    Idle,
    Broken(ConnectionError),
}

/// Reads answers, writes requests. True when there was something to read or to write.
fn poll_open(
    sender: &BrokerSender,
    connection: &mut ProducerConnection,
    has_moved: bool,
    unacknowledged: &mut Vec<InFlightRequest>,
    cx: &mut Context<'_>,
    shared: &Arc<Shared>,
    now: Instant,
) -> Result<bool, Ended> {
    let mut transferred = false;
    while let Poll::Ready(response) = connection.poll_response(cx) {
        let response = response.map_err(Ended::Broken)?;
        let throttle_time_ms = handle_response(sender, shared, response, connection.address(), now)?;
        connection.throttle(throttle_time_ms);
        transferred = true;
    }
    // What is written in one go is bounded by what the socket takes: more is gathered while it is full.
    while !has_moved
        && connection.is_flushed()
        && connection.in_flight_count() < REQUESTS_IN_FLIGHT_MAX
        && connection.throttled_until(now).is_none()
    {
        if !sender.submit_ready(connection, unacknowledged, shared, now) {
            break;
        }
        transferred = true;
        if let Poll::Ready(Err(error)) = connection.poll_flush(cx) {
            return Err(Ended::Broken(error));
        }
    }
    match connection.poll_flush(cx) {
        Poll::Ready(Ok(())) => {
            for mut request in unacknowledged.drain(..) {
                request.handle_unacknowledged(sender, shared, now);
                // Its partitions may have been listed again.
                transferred = true;
            }
        }
        Poll::Ready(Err(error)) => return Err(Ended::Broken(error)),
        Poll::Pending => {}
    }
    if let Some(error) = connection.timed_out(now) {
        return Err(Ended::Broken(error));
    }
    if write_timeout(connection, shared).is_some_and(|timeout| timeout <= now) {
        let reason =
            ConnectionErrorReason::RequestTimeout { api: "Produce", after: shared.config.request_timeout };
        return Err(Ended::Broken(ConnectionError { address: connection.address().clone(), reason }));
    }
    if has_moved && connection.in_flight_count() == 0 && connection.is_flushed() {
        return Err(Ended::Idle);
    }
    if is_unused(sender, connection) && idle_at(connection, shared) <= now {
        return Err(Ended::Idle);
    }
    Ok(transferred)
}

fn is_unused(sender: &BrokerSender, connection: &ProducerConnection) -> bool {
    connection.in_flight_count() == 0 && connection.is_flushed() && sender.ready_len() == 0
}

fn idle_at(connection: &ProducerConnection, shared: &Shared) -> Instant {
    connection.last_used() + shared.client.config().connections_max_idle
}

/// When a socket that takes nothing is given up although no answer is awaited (`acks=0`).
fn write_timeout(connection: &ProducerConnection, shared: &Shared) -> Option<Instant> {
    let is_stalled = !connection.is_flushed() && connection.in_flight_count() == 0;
    is_stalled.then(|| connection.last_used() + shared.config.request_timeout)
}

impl From<ConnectionError> for Ended {
    fn from(error: ConnectionError) -> Self {
        Self::Broken(error)
    }
}
