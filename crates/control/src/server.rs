//! The listener and its limits.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use milena_broker::Cluster;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::answer::{Answer, Refusal};
use crate::routes;
use crate::rules::Rules;

/// How long a request's headers may take, and how long a connection may be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// More than any request here needs.
const BODY_BYTES_MAX: usize = 64 * 1024;
const CONNECTIONS_MAX: usize = 64;

/// A running control port. Dropping it closes the port and its connections; the cluster goes on.
#[derive(Debug)]
pub struct ControlPort {
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// What every request can reach.
#[derive(Debug)]
pub(crate) struct Controlled {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) rules: Rules,
}

impl ControlPort {
    /// Listens on 127.0.0.1 for commands to `cluster`; port 0 takes a free one.
    ///
    /// There is no authentication: whoever can connect from this machine can break the cluster, and nothing else.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn open(cluster: Arc<Cluster>, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let controlled = Arc::new(Controlled { cluster, rules: Rules::default() });
        #[expect(clippy::disallowed_methods, reason = "the control port is beside the cluster, not in it")]
        let task = tokio::spawn(accept(listener, controlled));
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ControlPort {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, controlled: Arc<Controlled>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let controlled = controlled.clone();
                connections.spawn(async move {
                    serve(stream, controlled).await;
                    drop(place);
                });
            }
            // Too many open files, most likely.
            Err(error) => {
                tracing::warn!(%error, "the control port cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, controlled: Arc<Controlled>) {
    let service = service_fn(|request| answer(&controlled, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the control port ended early");
    }
}

async fn answer(
    controlled: &Controlled,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let answer = match read(body).await {
        Ok(body) => routes::answer(controlled, &head.method, head.uri.path(), &body).await,
        Err(refusal) => Err(refusal),
    };
    Ok(answer.unwrap_or_else(Answer::from).into_response())
}

async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    let read = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Refusal::too_large(format!("a body may have {BODY_BYTES_MAX} bytes")))
        }
        Ok(Err(error)) => Err(Refusal::malformed(error)),
        Err(_) => {
            Err(Refusal::malformed(format!("the body did not come within {} s", BODY_TIMEOUT.as_secs())))
        }
    }
}
