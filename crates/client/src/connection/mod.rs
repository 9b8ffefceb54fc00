//! One connection to one broker: pipelined, passive, and owned by whoever polls it.
//!
//! A broker serves the requests of a connection one after another, so a connection that carries a long poll delays everything
//! behind it. Therefore connections are not shared by default: each owner (a producer's sender, a consumer's fetch loop) has
//! its own and drives it from its own poll function, without a task or a channel between. `crate::pool` wraps one in a task for
//! the requests that may share: metadata and administration.

mod error;
mod handshake;
mod incoming;
mod outgoing;
mod throttle;
mod versions;
mod watch;

pub use error::{CloseContext, ConnectionError, ConnectionErrorReason, ForeignPeer, RequestError};
pub(crate) use handshake::open_watched;
pub use handshake::{ConnectionConfig, open, open_after};
pub use versions::{ApiVersions, UnsupportedVersion};
pub use watch::ConnectionWatch;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use milena_protocol::{
    ApiKey, ByteStr, DecodeError, EncodeError, Request, decode_response, encode_request, planted,
};

use crate::Address;
use crate::env::{Env, Stream};
use incoming::{Incoming, IncomingError};
use outgoing::Outgoing;
use watch::{Watched, WatchedRequest};

/// An open connection after its handshake. `T` is what the owner keeps beside each request until its answer.
pub struct Connection<T> {
    env: Env,
    stream: Box<dyn Stream>,
    address: Address,
    client_id: Option<ByteStr>,
    versions: Arc<ApiVersions>,
    outgoing: Outgoing,
    incoming: Incoming,
    in_flight: VecDeque<InFlight<T>>,
    next_correlation_id: i32,
    response_bytes_max: usize,
    handshaking: bool,
    last_used: Instant,
    /// When the last answer came.
    answered_at: Option<Instant>,
    throttled_until: Option<Instant>,
    /// The API of the last answer, as long as nobody was told whether it throttles.
    unannounced: Option<ApiKey>,
    watched: Option<Watched>,
}

struct InFlight<T> {
    correlation_id: i32,
    request: WatchedRequest,
    span: tracing::Span,
    sent_at: Instant,
    timeout: Duration,
    deadline: Instant,
    /// Where the request ends in the outgoing stream.
    end: u64,
    context: T,
}

/// An answer, not decoded yet.
#[derive(Debug)]
pub struct Response<T> {
    /// What the owner kept beside the request.
    pub context: T,
    /// The version in which request and response are written.
    pub version: i16,
    /// From handing the request to the connection until its answer was read.
    pub latency: Duration,
    /// The frame without its length.
    pub frame: Bytes,
}

impl<T> Response<T> {
    /// Decodes the answer to an `R`.
    ///
    /// # Errors
    /// The bytes are no such response.
    pub fn decode<R: Request>(&self) -> Result<R::Response, DecodeError> {
        decode_response::<R>(self.frame.clone(), self.version).map(|(_, response)| response)
    }
}

/// A request that will get no answer because its connection is gone.
#[derive(Debug)]
pub struct Unanswered<T> {
    /// What the owner kept beside the request.
    pub context: T,
    /// Whether the whole request may have left: if not, the broker certainly did not carry it out.
    pub possibly_sent: bool,
}

impl<T> Connection<T> {
    fn new(env: Env, stream: Box<dyn Stream>, address: Address, config: &ConnectionConfig) -> Self {
        let last_used = env.now();
        Self {
            env,
            stream,
            address,
            client_id: config.client_id.clone(),
            versions: Arc::default(),
            outgoing: Outgoing::default(),
            incoming: Incoming::new(config.response_bytes_max.min(HANDSHAKE_RESPONSE_BYTES_MAX)),
            in_flight: VecDeque::new(),
            next_correlation_id: 0,
            response_bytes_max: config.response_bytes_max,
            handshaking: true,
            last_used,
            answered_at: None,
            throttled_until: None,
            unannounced: None,
            watched: None,
        }
    }

    /// The broker's address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What the broker speaks.
    pub fn versions(&self) -> &Arc<ApiVersions> {
        &self.versions
    }

    /// Requests that wait for their answers.
    pub fn in_flight_count(&self) -> usize {
        self.in_flight.len()
    }

    /// Bytes that wait for the socket to take them.
    pub fn pending_bytes(&self) -> u64 {
        self.outgoing.pending_bytes()
    }

    /// Bytes written to and read from the socket so far.
    pub fn transferred_bytes(&self) -> (u64, u64) {
        (self.outgoing.written_bytes(), self.incoming.received_bytes())
    }

    /// Queues `request` in `version`, to be written by [`Self::poll_flush`].
    ///
    /// # Errors
    /// The request cannot be expressed in that version: nothing was queued, and the context comes back.
    pub fn submit<R: Request>(
        &mut self,
        request: &R,
        version: i16,
        timeout: Duration,
        context: T,
    ) -> Result<(), (EncodeError, T)> {
        let (end, bytes) = match self.push(request, version) {
            Ok(pushed) => pushed,
            Err(error) => return Err((error, context)),
        };
        let correlation_id = self.next_correlation_id.wrapping_sub(1);
        if let Some(watched) = &mut self.watched {
            watched.expects_answer();
        }
        let span = tracing::debug_span!(
            "request", broker = %self.address, api = R::KEY.name(), version, correlation_id, bytes
        );
        self.in_flight.push_back(InFlight {
            correlation_id,
            request: WatchedRequest { api: R::KEY, version, bytes },
            span,
            sent_at: self.last_used,
            timeout,
            deadline: self.env.deadline_after(timeout),
            end,
            context,
        });
        Ok(())
    }

    /// Queues a request to which no answer comes (Produce with `acks=0`).
    ///
    /// # Errors
    /// The request cannot be expressed in that version; nothing was queued.
    pub fn submit_unanswered<R: Request>(&mut self, request: &R, version: i16) -> Result<(), EncodeError> {
        self.push(request, version).map(|_| ())
    }

    /// Queues a frame, and tells where it ends in the outgoing stream and how long it is.
    fn push<R: Request>(&mut self, request: &R, version: i16) -> Result<(u64, usize), EncodeError> {
        let frame = encode_request(self.next_correlation_id, self.client_id.as_deref(), version, request)?;
        let bytes = frame.len();
        self.next_correlation_id = self.next_correlation_id.wrapping_add(1);
        self.last_used = self.env.now();
        if let Some(watched) = &mut self.watched {
            watched.sent(bytes);
        }
        Ok((self.outgoing.push(frame), bytes))
    }

    /// Writes what is queued; ready when the socket has taken all of it.
    ///
    /// # Errors
    /// The connection is broken: drop it, after [`Self::into_unanswered`].
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        let flushed = ready!(self.outgoing.poll_flush(cx, &mut *self.stream));
        Poll::Ready(flushed.map_err(|error| self.break_off(self.explain(IncomingError::Io(error)))))
    }

    /// Whether everything queued was handed to the kernel, and flushed through what may lie before it.
    pub fn is_flushed(&self) -> bool {
        self.outgoing.is_flushed()
    }

    /// The next answer, in the order of the requests.
    ///
    /// # Errors
    /// The connection is broken: drop it, after [`Self::into_unanswered`].
    pub fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<T>, ConnectionError>> {
        let frame = match ready!(self.incoming.poll_frame(cx, &mut *self.stream)) {
            Ok(frame) => frame,
            Err(error) => return Poll::Ready(Err(self.break_off(self.explain(error)))),
        };
        let now = self.env.now();
        self.last_used = now;
        let Some(correlation_id) = milena_protocol::peek_correlation_id(&frame) else {
            let text = format!("a response of {} bytes has no correlation id", frame.len());
            return Poll::Ready(Err(self.break_off(self.no_answer(&frame, text))));
        };
        let expected = self.in_flight.front().map(|request| request.correlation_id);
        if planted("answer_goes_to_another_request") && self.in_flight.len() > 1 {
            let mut other = self.in_flight.remove(1).expect("there are two");
            std::mem::swap(&mut other.correlation_id, &mut self.in_flight[0].correlation_id);
            self.in_flight.push_front(other);
        }
        // A request without an answer (acks=0) takes an id too: the ids that come back ascend with gaps.
        let Some(request) = self.in_flight.pop_front_if(|request| request.correlation_id == correlation_id)
        else {
            let text = match expected {
                Some(expected) => {
                    format!("a response carries correlation id {correlation_id}, not {expected}")
                }
                None => format!("a response (correlation id {correlation_id}) to no request"),
            };
            return Poll::Ready(Err(self.break_off(self.no_answer(&frame, text))));
        };
        Poll::Ready(Ok(self.answered(request, frame, now)))
    }

    fn answered(&mut self, request: InFlight<T>, frame: Bytes, now: Instant) -> Response<T> {
        self.answered_at = Some(now);
        let WatchedRequest { api, version, .. } = request.request;
        let latency = now.saturating_duration_since(request.sent_at);
        request.span.in_scope(|| tracing::trace!(bytes = frame.len(), ?latency, "answered"));
        if let Some(watched) = &mut self.watched {
            watched.answered(request.request, frame.len() + LENGTH_BYTES, latency);
        }
        // What the owner may say later of an answer whose throttling is found here is no news.
        self.unannounced = Some(api);
        if let Some(throttle_time_ms) = throttle::asked_for(api, version, &frame) {
            self.throttle(throttle_time_ms);
            self.unannounced = None;
        }
        Response { context: request.context, version, latency, frame }
    }

    /// Whether an answer has begun to come that is not complete yet.
    pub fn is_receiving(&self) -> bool {
        self.incoming.is_mid_frame()
    }

    /// Takes note of what ends the connection.
    fn break_off(&self, error: ConnectionError) -> ConnectionError {
        if let Some(watched) = &self.watched {
            watched.broken(&error.reason);
        }
        error
    }

    /// Gives the memory of a response back, to receive a later one; has an effect if nobody holds a slice of it any more.
    pub fn recycle(&mut self, frame: Bytes) {
        self.incoming.recycle(frame);
    }

    /// When the first unanswered request times out.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.in_flight.iter().map(|request| self.overdue_at(request)).min()
    }

    /// The error of a request that has timed out at `now`, if one has: the connection is to be given up.
    pub fn timed_out(&self, now: Instant) -> Option<ConnectionError> {
        let request = self.in_flight.iter().find(|request| self.overdue_at(request) <= now)?;
        let (api, after) = (request.request.api.name(), request.timeout);
        let error = ConnectionErrorReason::RequestTimeout { api, after }.at(&self.address);
        Some(self.break_off(error))
    }

    /// A broker works on one request of a connection after the other, so that every answer gives those that wait behind it the whole of
    /// their time: many requests in flight are no reason to break off a connection that gets on.
    fn overdue_at(&self, request: &InFlight<T>) -> Instant {
        let since_answer = self.answered_at.and_then(|answered_at| answered_at.checked_add(request.timeout));
        since_answer.map_or(request.deadline, |overdue_at| overdue_at.max(request.deadline))
    }

    /// When something was last sent or received.
    pub fn last_used(&self) -> Instant {
        self.last_used
    }

    /// Takes note of a `throttle_time_ms` in a response: nothing is to be sent to this broker for that long (KIP-219).
    ///
    /// [`Self::poll_response`] does so itself where the field is easily found, that is, for every API but Produce. The owner
    /// asks [`Self::throttled_until`] before it submits.
    pub fn throttle(&mut self, throttle_time_ms: i32) {
        if let Ok(throttle_time_ms @ 1..) = u64::try_from(throttle_time_ms) {
            let throttle_time = Duration::from_millis(throttle_time_ms);
            let until = self.env.deadline_after(throttle_time);
            self.throttled_until = Some(self.throttled_until.map_or(until, |old| old.max(until)));
            if let (Some(api), Some(watched)) = (self.unannounced.take(), &self.watched) {
                watched.throttled(api, throttle_time);
            }
        }
    }

    /// Until when nothing is to be sent, if that is after `now`.
    pub fn throttled_until(&self, now: Instant) -> Option<Instant> {
        self.throttled_until.filter(|until| *until > now)
    }

    /// Ends the connection and hands back what was not answered, oldest first.
    pub fn into_unanswered(self) -> impl Iterator<Item = Unanswered<T>> {
        let (outgoing, watched, now) = (self.outgoing, self.watched, self.env.now());
        self.in_flight.into_iter().map(move |request| {
            if let Some(watched) = &watched {
                watched.lost(request.request, now.saturating_duration_since(request.sent_at));
            }
            Unanswered { possibly_sent: outgoing.has_written(request.end), context: request.context }
        })
    }

    fn explain(&self, error: IncomingError) -> ConnectionError {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        let reason = match error {
            // A listener that expects TLS, or no Kafka at all, may reset the connection instead of closing it.
            IncomingError::Io(error)
                if self.handshaking
                    && matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset) =>
            {
                ConnectionErrorReason::Closed { context: CloseContext::Handshake }
            }
            IncomingError::Io(error) => ConnectionErrorReason::io(&error),
            IncomingError::Closed { mid_frame } => ConnectionErrorReason::Closed {
                context: match (self.handshaking, mid_frame) {
                    (true, _) => CloseContext::Handshake,
                    (false, true) => CloseContext::MidResponse,
                    (false, false) => CloseContext::Idle,
                },
            },
            IncomingError::Length { first_bytes, .. } if self.handshaking => {
                ConnectionErrorReason::NotKafka(ForeignPeer::recognise(&first_bytes))
            }
            IncomingError::Length { length, .. } if length >= 0 => {
                ConnectionErrorReason::ResponseTooLarge { length, limit: self.response_bytes_max }
            }
            IncomingError::Length { length, .. } => {
                ConnectionErrorReason::Protocol(format!("a response of negative length {length}"))
            }
        };
        reason.at(&self.address)
    }

    /// The error for a frame that is not the answer that was to come.
    fn no_answer(&self, frame: &Bytes, text: String) -> ConnectionError {
        let reason = match self.handshaking {
            true => ConnectionErrorReason::NotKafka(ForeignPeer::of_frame(frame)),
            false => ConnectionErrorReason::Protocol(text),
        };
        reason.at(&self.address)
    }
}

const LENGTH_BYTES: usize = 4;

/// The longest answer to the first request. Real ones have about a kilobyte; the text of other protocols, read as a length, is
/// far beyond.
const HANDSHAKE_RESPONSE_BYTES_MAX: usize = 1024 * 1024;
