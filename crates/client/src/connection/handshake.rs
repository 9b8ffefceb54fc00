//! Opening a connection: stream, security, versions.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use milena_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use milena_protocol::{ApiKey, ByteStr, ErrorCode};

use super::error::{ConnectionError, ConnectionErrorReason, ForeignPeer};
use super::{ApiVersions, Connection, ConnectionWatch, Response};
use crate::env::Env;
use crate::{Address, Backoff};

/// How connections are opened and kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionConfig {
    /// Sent with every request; appears in broker logs, quotas and metrics. Kafka: `client.id`.
    pub client_id: Option<ByteStr>,
    /// How long opening a connection may take at the first attempt, from the stream to what the broker speaks; doubled at each
    /// failed one (KIP-601). Default 10 s. Kafka: `socket.connection.setup.timeout.ms`, which ends with the stream there.
    pub setup_timeout: Duration,
    /// How long opening a connection may take at most. Default 30 s. Kafka: `socket.connection.setup.timeout.max.ms`.
    pub setup_timeout_max: Duration,
    /// How long an answer may take. Default 30 s. Kafka: `request.timeout.ms`.
    pub request_timeout: Duration,
    /// The longest response that is accepted. Default 100,000,000 bytes, as librdkafka's `receive.message.max.bytes`.
    pub response_bytes_max: usize,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            client_id: None,
            setup_timeout: Duration::from_secs(10),
            setup_timeout_max: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            response_bytes_max: 100_000_000,
        }
    }
}

/// The name under which brokers count this client software (KIP-511).
const SOFTWARE_NAME: &str = "milena";
const SOFTWARE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Opens a connection to `address` and learns what the broker speaks.
///
/// # Errors
/// The stream cannot be opened in time, the peer does not speak Kafka, or it refuses the handshake.
///
/// # Cancel safety
/// Dropping the future closes the stream.
pub async fn open<T>(
    env: &Env,
    config: &ConnectionConfig,
    address: &Address,
) -> Result<Connection<T>, ConnectionError> {
    open_after(env, config, address, 0).await
}

/// As [`open`], after `failures` attempts in a row that failed: each of them gives the next one more time, from `setup_timeout`
/// to `setup_timeout_max` (KIP-601).
///
/// # Errors
/// As [`open`].
///
/// # Cancel safety
/// Dropping the future closes the stream.
pub async fn open_after<T>(
    env: &Env,
    config: &ConnectionConfig,
    address: &Address,
    failures: u32,
) -> Result<Connection<T>, ConnectionError> {
    let timeout = match failures {
        0 => config.setup_timeout.min(config.setup_timeout_max),
        _ => Backoff::new(config.setup_timeout, config.setup_timeout_max)
            .delay(failures.saturating_add(1), env.random_unit()),
    };
    let (began, deadline) = (env.now(), env.deadline_after(timeout));
    let opened = env.timeout_at(deadline, env.connector().connect(address)).await;
    let stream = match opened {
        Some(Ok(stream)) => stream,
        Some(Err(error)) => {
            let reason = ConnectionErrorReason::Connect { kind: error.kind(), message: error.to_string() };
            return Err(reason.at(address));
        }
        None => {
            return Err(ConnectionErrorReason::SetupTimeout { after: timeout }.at(address));
        }
    };
    // TLS wraps the stream here, and SASL speaks before the first other request.
    let mut connection = Connection::<()>::new(env.clone(), stream, address.clone(), config);
    let deadline = deadline.min(env.deadline_after(config.request_timeout));
    let versions = env.timeout_at(deadline, learn_versions(&mut connection, config)).await;
    match versions {
        Some(versions) => Ok(connection.into_established(versions?)),
        // The peer took the connection and is silent, as a server that waits for a line or for a TLS hello is.
        None => Err(ConnectionErrorReason::HandshakeTimeout { after: deadline - began }.at(address)),
    }
}

/// As [`open_after`], telling `watch` of it; `node_id` is the broker's, unless it is not known yet.
///
/// # Errors
/// As [`open`].
///
/// # Cancel safety
/// Dropping the future closes the stream.
pub(crate) async fn open_watched<T>(
    watch: &ConnectionWatch,
    node_id: Option<i32>,
    env: &Env,
    config: &ConnectionConfig,
    address: &Address,
    failures: u32,
) -> Result<Connection<T>, ConnectionError> {
    let began = env.now();
    let mut connection = open_after(env, config, address, failures).await?;
    connection.watched = Some(watch.connected(address, node_id, env.now() - began));
    Ok(connection)
}

/// Asks for ApiVersions in the newest version, and again in the broker's own when it does not know that one: it then answers in
/// version 0 with UNSUPPORTED_VERSION, and since KIP-511 with the range that it does know.
async fn learn_versions(
    connection: &mut Connection<()>,
    config: &ConnectionConfig,
) -> Result<ApiVersions, ConnectionError> {
    let mut version = ApiKey::ApiVersions.versions().max;
    loop {
        let request = ApiVersionsRequest {
            client_software_name: ByteStr::from_static(SOFTWARE_NAME),
            client_software_version: ByteStr::from_static(SOFTWARE_VERSION),
            ..Default::default()
        };
        connection.submit(&request, version, config.request_timeout, ()).map_err(|(error, ())| {
            ConnectionErrorReason::Protocol(error.to_string()).at(connection.address())
        })?;
        let answer = exchange(connection).await?;
        let response = decode(connection, &answer)?;
        match response.error_code {
            ErrorCode::None => return Ok(ApiVersions::from_response(&response)),
            ErrorCode::UnsupportedVersion if version > 0 => {
                let announced = ApiVersions::from_response(&response).range(ApiKey::ApiVersions);
                version = announced.map_or(0, |range| range.max.clamp(0, version - 1));
            }
            code => return Err(ConnectionErrorReason::Refused(code).at(connection.address())),
        }
    }
}

async fn exchange(connection: &mut Connection<()>) -> Result<Response<()>, ConnectionError> {
    poll_fn(|cx| {
        ready!(connection.poll_flush(cx))?;
        connection.poll_response(cx)
    })
    .await
}

/// Decodes the answer in the request's version, or in version 0 when that is how the broker refuses an unknown version.
fn decode(
    connection: &Connection<()>,
    answer: &Response<()>,
) -> Result<ApiVersionsResponse, ConnectionError> {
    // A refusal first: the error code is at the same place in all versions, and only version 0 can be read as one.
    let refusal = milena_protocol::decode_response::<ApiVersionsRequest>(answer.frame.clone(), 0)
        .ok()
        .filter(|(_, response)| response.error_code == ErrorCode::UnsupportedVersion);
    if let Some((_, response)) = refusal {
        return Ok(response);
    }
    answer.decode::<ApiVersionsRequest>().map_err(|_| {
        ConnectionErrorReason::NotKafka(ForeignPeer::of_frame(&answer.frame)).at(connection.address())
    })
}

impl Connection<()> {
    /// The handshake is over: the connection goes to its owner.
    fn into_established<T>(mut self, versions: ApiVersions) -> Connection<T> {
        debug_assert!(self.in_flight.is_empty(), "the handshake waited for its answer");
        self.incoming.set_frame_bytes_max(self.response_bytes_max);
        Connection {
            env: self.env,
            stream: self.stream,
            address: self.address,
            client_id: self.client_id,
            versions: Arc::new(versions),
            outgoing: self.outgoing,
            incoming: self.incoming,
            in_flight: VecDeque::new(),
            next_correlation_id: self.next_correlation_id,
            response_bytes_max: self.response_bytes_max,
            handshaking: false,
            last_used: self.last_used,
            answered_at: self.answered_at,
            throttled_until: self.throttled_until,
            unannounced: None,
            watched: None,
        }
    }
}
