//! One broker's fetch loop: always one fetch ahead, whatever other brokers and the application do.
//!
//! ```text
//!            ┌────────────── nothing to fetch, no room ──────────────┐
//!            ▼                                                       │
//!   connect ──▶ plan ──▶ send ──▶ read the answer's headers ──▶ hand the batches on
//!      ▲          ▲                                                  │
//!      │          └──────────────────────────────────────────────────┘
//!      └── back-off ◀── connection broken, answer of no use
//! ```
//!
//! The answer's batches are not decoded here: their headers tell where the log goes on, and the next fetch is sent at once. Only
//! a short answer goes to the application first: it is decoded sooner than a request is sent.
//!
//! A broker works on one request of a connection after the other, and holds an answer back while there are no records. A partition
//! that is to be fetched meanwhile (after a seek, a resume, another assignment) would wait for that. It takes a detour: a second
//! loop for the same broker, with a connection of its own, made when it is first needed, whose fetches are answered at once and
//! belong to no session. When the long poll is over, the main loop takes the partition over.

mod request;
mod response;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use milena_client::connection::Response;
use milena_client::env::{Env, Timer};
use milena_client::metrics::RecordsFetched;
use milena_client::{Backoff, Connection, RequestError};
use milena_protocol::ErrorCode;
use milena_protocol::messages::{FetchRequest, FetchResponse};

use crate::core::session::FetchSession;
use crate::core::{Arrival, FetchDecision, FetchId, FetchPlan, LoopId, PartitionAnswer};
use crate::panics;
use crate::pool::{FrameLease, FrameReturn, occupied_bytes};
use crate::shared::{LoopBell, Shared};

/// An answer of up to so many bytes is short: an application that keeps up with the log gets many of them.
const SHORT_ANSWER_BYTES: usize = 16 * 1024;

/// How long a consumer that is being closed waits for a broker to forget its session.
const SESSION_CLOSE_GRACE: Duration = Duration::from_millis(100);

/// The task that fetches from one broker, on one of its lanes: until the consumer is closed, through panics.
pub(crate) async fn run(shared: Arc<Shared>, id: LoopId, bell: Arc<LoopBell>) {
    let mut panics = 0;
    let fetch = || panics::catch(FetchLoop::new(shared.clone(), id, bell.clone()).run());
    while let Err(message) = fetch().await {
        shared.tell_panic(format!("fetching from broker {}", id.node_id), message);
        panics += 1;
        shared.pause_after_panic(panics).await;
    }
}

struct FetchLoop {
    shared: Arc<Shared>,
    env: Env,
    id: LoopId,
    bell: Arc<LoopBell>,
    session: FetchSession,
    frames: Arc<FrameReturn>,
    timer: Timer,
    /// Attempts to connect or to fetch in a row that failed.
    failures: u32,
    /// The fetch whose answer is waited for.
    in_flight: Option<FetchId>,
}

/// Why a connection is left without an error.
enum Leave {
    /// It has not been used for long.
    Idle,
    /// The consumer is being closed.
    Closing,
}

impl FetchLoop {
    fn new(shared: Arc<Shared>, id: LoopId, bell: Arc<LoopBell>) -> Self {
        let env = shared.client.env().clone();
        Self {
            timer: env.timer(),
            env,
            shared,
            id,
            bell,
            session: FetchSession::new(),
            frames: Arc::default(),
            failures: 0,
            in_flight: None,
        }
    }

    async fn run(mut self) {
        while !self.shared.is_closing() {
            let connected = tokio::select! {
                biased;
                () = self.shared.closing() => return,
                connected = self.connect() => connected,
            };
            let error = match connected {
                Ok(mut connection) => {
                    let left = self.serve(&mut connection).await;
                    self.give_up(connection);
                    match left {
                        Ok(Leave::Closing) => return,
                        Ok(Leave::Idle) => None,
                        Err(error) => Some(error),
                    }
                }
                Err(error) => Some(error),
            };
            if let Some(error) = error {
                self.back_off(error).await;
            }
            while !self.shared.is_closing()
                && !self.shared.with(|subscription| subscription.has_work(self.id))
            {
                self.wait(None).await;
            }
        }
    }

    async fn connect(&self) -> Result<Connection<FetchPlan>, RequestError> {
        let metadata = self.shared.client.metadata().current();
        let broker = metadata.brokers.get(&self.id.node_id);
        let broker = broker.ok_or_else(|| {
            RequestError::NoBroker(format!("node {} is not in the metadata", self.id.node_id))
        })?;
        let opened = self.shared.client.open_watched(&self.shared.connections, broker, self.failures).await;
        opened.map_err(|error| RequestError::Connection { error, possibly_sent: false })
    }

    /// Tells of a failure, and waits before the next attempt.
    async fn back_off(&mut self, error: RequestError) {
        self.failures = self.failures.saturating_add(1);
        match self.failures {
            1 => tracing::warn!(node_id = self.id.node_id, %error, "fetching failed; it is tried again"),
            failures => tracing::debug!(node_id = self.id.node_id, failures, %error, "fetching failed"),
        }
        let (now, unit_random) = (self.env.now(), self.env.random_unit());
        self.shared.with(|subscription| {
            subscription.handle_broker_failure(self.id.node_id, &error, now, unit_random);
        });
        let backoff = self.shared.client.config().reconnect_backoff;
        self.pause(backoff).await;
    }

    /// Waits for as long as the failures in a row demand.
    async fn pause(&mut self, backoff: Backoff) {
        let until = self.env.deadline_after(backoff.delay(self.failures, self.env.random_unit()));
        while self.env.now() < until && !self.shared.is_closing() {
            self.wait(Some(until)).await;
        }
    }

    /// Ends a connection; what it was asked for may be asked for again.
    fn give_up(&mut self, connection: Connection<FetchPlan>) {
        self.session.handle_failure();
        self.in_flight = None;
        for unanswered in connection.into_unanswered() {
            self.fail(&unanswered.context);
        }
    }

    /// A plan gets no answer that is of use.
    fn fail(&self, plan: &FetchPlan) {
        let (now, unit_random) = (self.env.now(), self.env.random_unit());
        self.shared.with(|subscription| {
            subscription.handle_fetch_failure(self.id.node_id, plan, now, unit_random);
        });
    }

    async fn serve(&mut self, connection: &mut Connection<FetchPlan>) -> Result<Leave, RequestError> {
        let checks = request::epoch_checks(connection.versions());
        loop {
            if self.shared.is_closing() {
                self.close_session(connection).await;
                return Ok(Leave::Closing);
            }
            let now = self.env.now();
            if let Some(until) = connection.throttled_until(now) {
                self.idle(connection, until).await?;
                continue;
            }
            match self.shared.with(|subscription| subscription.poll_fetch(self.id, checks, now)) {
                FetchDecision::Send(plan) => {
                    self.in_flight = Some(plan.fetch_id);
                    self.send(connection, plan)?;
                    let Some((response, first_byte_at)) = self.receive(connection).await? else { continue };
                    let is_short = response.frame.len() <= SHORT_ANSWER_BYTES;
                    self.handle(connection, response, first_byte_at).await?;
                    self.in_flight = None;
                    if is_short {
                        // The application, which has read all that there was, need not wait until the next request is sent.
                        self.env.yield_now().await;
                    }
                }
                FetchDecision::Wait(until) => {
                    let unused_until =
                        connection.last_used() + self.shared.client.config().connections_max_idle;
                    if unused_until <= now {
                        return Ok(Leave::Idle);
                    }
                    let until = until.map_or(unused_until, |until| until.min(unused_until));
                    self.idle(connection, until).await?;
                }
            }
        }
    }

    fn send(&mut self, connection: &mut Connection<FetchPlan>, plan: FetchPlan) -> Result<(), RequestError> {
        while let Some(frame) = self.frames.pop() {
            connection.recycle(frame);
        }
        let prepared = request::prepare(&mut self.session, connection.versions(), &self.shared.config, &plan);
        let submitted = match prepared {
            Ok((request, version)) => {
                // A broker may hold an answer back for that long before it begins to be late.
                let config = &self.shared.client.config().connection;
                let timeout = config.request_timeout.saturating_add(plan.max_wait);
                connection
                    .submit(&request, version, timeout, plan)
                    .map_err(|(error, plan)| (error.into(), plan))
            }
            Err(error) => Err((error, plan)),
        };
        submitted.map_err(|(error, plan)| {
            self.session.handle_failure();
            self.fail(&plan);
            error
        })
    }

    /// The answer to what is in flight, and when it began to come; `None` when the consumer is being closed meanwhile.
    async fn receive(
        &mut self,
        connection: &mut Connection<FetchPlan>,
    ) -> Result<Option<(Response<FetchPlan>, Instant)>, RequestError> {
        let env = &self.env;
        let timer = &mut self.timer;
        let mut closing = pin!(self.shared.closing());
        let mut first_byte_at = None;
        poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = connection.poll_flush(cx) {
                return Poll::Ready(Err(broken(error)));
            }
            // Before reading: that takes its time, too.
            let polled_at = env.now();
            let polled = connection.poll_response(cx);
            if polled.is_ready() || connection.is_receiving() {
                first_byte_at.get_or_insert(polled_at);
            }
            if let Poll::Ready(response) = polled {
                let response = response.map_err(broken);
                return Poll::Ready(
                    response.map(|response| Some((response, first_byte_at.unwrap_or(polled_at)))),
                );
            }
            if closing.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(None));
            }
            while timer.poll_until(cx, connection.poll_timeout()).is_ready() {
                if let Some(error) = connection.timed_out(env.now()) {
                    return Poll::Ready(Err(broken(error)));
                }
            }
            Poll::Pending
        })
        .await
    }

    async fn handle(
        &mut self,
        connection: &mut Connection<FetchPlan>,
        mut response: Response<FetchPlan>,
        first_byte_at: Instant,
    ) -> Result<(), RequestError> {
        let arrival = Arrival {
            frame_bytes: response.frame.len(),
            occupied_bytes: occupied_bytes(&mut response.frame),
            first_byte_at,
        };
        let decoded = response.decode::<FetchRequest>();
        let Response { context: plan, latency, frame, .. } = response;
        let answer = match decoded {
            Ok(answer) => answer,
            Err(error) => {
                self.session.handle_failure();
                self.fail(&plan);
                return Err(RequestError::Decode { address: connection.address().clone(), error });
            }
        };
        self.shared.record_fetch(latency, answer.throttle_time_ms);
        match answer.error_code {
            ErrorCode::None => {
                self.failures = 0;
                self.take(plan, answer, frame, arrival);
                Ok(())
            }
            code => {
                self.session.handle_response(code, answer.session_id, 0, 0);
                self.fail(&plan);
                self.refuse(code).await;
                Ok(())
            }
        }
    }

    /// Hands the batches of an answer on.
    fn take(&mut self, plan: FetchPlan, answer: FetchResponse, frame: Bytes, arrival: Arrival) {
        let lease = FrameLease::new(frame, self.frames.clone());
        let isolation_level = self.shared.config.isolation_level;
        let hints = response::leader_hints(&answer, &self.session);
        let session_id = answer.session_id;
        let taken = response::take(answer, &self.session, isolation_level, &lease);
        self.tell_observer(&plan, &taken.answers);
        self.session.handle_response(ErrorCode::None, session_id, taken.answers.len(), taken.strangers);
        if taken.strangers > 0 {
            tracing::warn!(
                node_id = self.id.node_id,
                partitions = taken.strangers,
                "the broker sent partitions that it was not asked for, or twice"
            );
        }
        let (now, unit_random) = (self.env.now(), self.env.random_unit());
        self.shared.with(|subscription| {
            subscription.handle_fetched(self.id.node_id, &plan, taken.answers, arrival, now, unit_random);
        });
        if let Some((hints, endpoints)) = hints {
            self.shared.client.metadata().apply_leader_hints(&hints, &endpoints);
        }
    }

    fn tell_observer(&self, plan: &FetchPlan, answers: &[PartitionAnswer]) {
        let Some(observer) = &self.shared.client.config().observer else { return };
        for answer in answers {
            let Some(data) = &answer.data else { continue };
            let target = plan.targets.iter().find(|(partition, _)| *partition == answer.partition);
            observer.on_records_fetched(&RecordsFetched {
                topic: &answer.partition.topic,
                partition: answer.partition.partition,
                fetch_offset: target.map_or(-1, |(_, target)| target.fetch_offset),
                bytes: data.size_bytes,
                high_watermark: answer.watermarks.high_watermark.unwrap_or(-1),
            });
        }
    }

    /// The broker refused the whole request. A lost session is opened again at once; but not for ever without a pause.
    async fn refuse(&mut self, code: ErrorCode) {
        tracing::debug!(node_id = self.id.node_id, %code, "fetch refused");
        if code == ErrorCode::FetchSessionTopicIdError {
            self.shared.client.metadata().request_update();
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures > 1 || !is_session_error(code) {
            self.pause(self.shared.client.config().retry_backoff).await;
        }
    }

    /// Waits with an open connection until woken, until an instant, or for the consumer to be closed; notices when the broker closes
    /// the connection.
    async fn idle(
        &mut self,
        connection: &mut Connection<FetchPlan>,
        until: Instant,
    ) -> Result<(), RequestError> {
        let mut waiting = pin!(self.wait(Some(until)));
        poll_fn(|cx| match connection.poll_response(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(broken(error))),
            // To no request comes no answer.
            Poll::Ready(Ok(_)) | Poll::Pending => waiting.as_mut().poll(cx).map(Ok),
        })
        .await
    }

    /// Waits until woken, until an instant, or for the consumer to be closed.
    async fn wait(&mut self, until: Option<Instant>) {
        let timer = &mut self.timer;
        let mut woken = pin!(self.bell.notify.notified());
        let mut closing = pin!(self.shared.closing());
        poll_fn(|cx| {
            let is_over = closing.as_mut().poll(cx).is_ready()
                || woken.as_mut().poll(cx).is_ready()
                || timer.poll_until(cx, until).is_ready();
            if is_over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Lets the broker forget the session, so that it keeps its place for others. It may be busy with a fetch: it is given a
    /// moment, and forgets by itself in the end.
    async fn close_session(&mut self, connection: &mut Connection<FetchPlan>) {
        let Some((request, version)) = request::close(&mut self.session, connection.versions()) else {
            return;
        };
        let plan = FetchPlan::nothing(self.env.now());
        if connection.submit(&request, version, SESSION_CLOSE_GRACE, plan).is_err() {
            return;
        }
        let until = self.env.deadline_after(SESSION_CLOSE_GRACE);
        let answered = poll_fn(|cx| {
            while connection.in_flight_count() > 0 {
                if let Poll::Ready(Err(_)) = connection.poll_flush(cx) {
                    return Poll::Ready(());
                }
                match connection.poll_response(cx) {
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(())
        });
        let _ = self.env.timeout_at(until, answered).await;
    }
}

/// Wherever the task was cancelled or panicked, what it waited for can be fetched by another.
impl Drop for FetchLoop {
    fn drop(&mut self) {
        if let Some(fetch_id) = self.in_flight {
            self.shared.with(|subscription| subscription.abandon_fetch(self.id.node_id, fetch_id));
        }
    }
}

fn broken(error: milena_client::ConnectionError) -> RequestError {
    RequestError::Connection { error, possibly_sent: true }
}

fn is_session_error(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::FetchSessionIdNotFound
            | ErrorCode::InvalidFetchSessionEpoch
            | ErrorCode::FetchSessionTopicIdError
    )
}
