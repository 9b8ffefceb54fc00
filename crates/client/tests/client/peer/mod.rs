//! A network in memory and brokers that answer as a test tells them.
//!
//! The brokers share no code with the client but the message codec. Other crates' tests include this module by its path.

mod cluster;

pub(crate) use cluster::Cluster;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use milena_client::env::{Connecting, Connector, Stream};
use milena_client::{Address, ClientConfig, Env};
use milena_protocol::messages::api_versions_response::ApiVersion;
use milena_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use milena_protocol::{
    ApiKey, Decoder, Request, RequestHeader, VersionRange, decode_request_header, encode_response,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

/// Addresses and what listens there; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Network {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    listeners: Mutex<BTreeMap<String, Listener>>,
    connects: Mutex<Vec<String>>,
    requests: Mutex<Vec<Seen>>,
    open_streams: AtomicUsize,
    /// Bumped to close all streams from the brokers' side.
    generation: tokio::sync::watch::Sender<u64>,
    reads: Arc<AtomicUsize>,
}

/// A request that a broker received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) address: String,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
}

type Serve = Arc<dyn Fn(DuplexStream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

#[derive(Clone)]
enum Listener {
    /// Packets are lost: connecting neither succeeds nor fails.
    BlackHole,
    Serving {
        serve: Serve,
        /// Bytes that the stream holds in each direction.
        buffer: usize,
    },
}

/// What a broker does with a request.
pub(crate) enum Action {
    Answer(Bytes),
    AnswerLater(Duration, Bytes),
    Silence,
    Close,
}

/// A request as a broker sees it.
pub(crate) struct Received {
    pub(crate) header: RequestHeader,
    body: Decoder,
    frame: Bytes,
}

const STREAM_BYTES: usize = 64 * 1024;

impl Network {
    /// Has requests to `address` answered by `handler`; ApiVersions with [`all_versions`] unless the handler takes it.
    pub(crate) fn serve(
        &self,
        address: &str,
        handler: impl Fn(&mut Received) -> Action + Send + Sync + 'static,
    ) {
        let (handler, network, name) = (Arc::new(handler), self.clone(), address.to_owned());
        self.serve_raw(address, STREAM_BYTES, move |stream| {
            answer_requests(stream, network.clone(), name.clone(), handler.clone())
        });
    }

    /// Gives the other end of each stream to `serve`; it is closed when that ends.
    pub(crate) fn serve_raw<F>(
        &self,
        address: &str,
        buffer: usize,
        serve: impl Fn(DuplexStream) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let serve: Serve = Arc::new(move |stream| Box::pin(serve(stream)));
        self.listen(address, Listener::Serving { serve, buffer });
    }

    /// Sends `greeting` as soon as bytes arrive, and closes.
    pub(crate) fn serve_greeting(&self, address: &str, greeting: &'static [u8]) {
        self.serve_raw(address, STREAM_BYTES, move |mut stream| async move {
            let _ = stream.read(&mut [0; 64]).await;
            let _ = stream.write_all(greeting).await;
        });
    }

    /// Loses all packets to `address`.
    pub(crate) fn black_hole(&self, address: &str) {
        self.listen(address, Listener::BlackHole);
    }

    /// Refuses connections to `address` from now on; open ones stay.
    pub(crate) fn refuse(&self, address: &str) {
        self.inner.listeners.lock().unwrap().remove(address);
    }

    fn listen(&self, address: &str, listener: Listener) {
        self.inner.listeners.lock().unwrap().insert(address.to_owned(), listener);
    }

    /// Closes all open streams from the brokers' side.
    pub(crate) fn close_streams(&self) {
        self.inner.generation.send_modify(|generation| *generation += 1);
    }

    /// Addresses to which connections were attempted, in order.
    pub(crate) fn connects(&self) -> Vec<String> {
        self.inner.connects.lock().unwrap().clone()
    }

    /// Requests that brokers received, in order; without ApiVersions.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.inner.requests.lock().unwrap().clone()
    }

    /// How many of the requests were of `api`.
    pub(crate) fn count(&self, api: ApiKey) -> usize {
        self.requests().iter().filter(|seen| seen.api == api).count()
    }

    /// Streams that the client holds open.
    pub(crate) fn open_streams(&self) -> usize {
        self.inner.open_streams.load(Ordering::SeqCst)
    }

    /// How often the client polled a stream for bytes.
    pub(crate) fn reads(&self) -> usize {
        self.inner.reads.load(Ordering::SeqCst)
    }

    /// An environment on this network, with a virtual clock if the runtime's is paused.
    pub(crate) fn env(&self) -> Env {
        Env::builder().seed(7).connector(self.clone()).virtual_wall_clock(1_700_000_000_000).build()
    }
}

impl Connector for Network {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        let name = address.to_string();
        self.inner.connects.lock().unwrap().push(name.clone());
        let listener = self.inner.listeners.lock().unwrap().get(&name).cloned();
        Box::pin(async move {
            match listener {
                None => Err(io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused")),
                Some(Listener::BlackHole) => std::future::pending().await,
                Some(Listener::Serving { serve, buffer }) => {
                    let (near, far) = tokio::io::duplex(buffer);
                    let mut closing = self.inner.generation.subscribe();
                    let served = serve(far);
                    let until_closed = async move {
                        tokio::select! {
                            biased;
                            _ = closing.changed() => {}
                            () = served => {}
                        }
                    };
                    #[expect(clippy::disallowed_methods, reason = "the peer is no part of the client")]
                    tokio::spawn(until_closed);
                    self.inner.open_streams.fetch_add(1, Ordering::SeqCst);
                    Ok(Box::new(Observed { stream: near, network: self.inner.clone() }) as Box<dyn Stream>)
                }
            }
        })
    }
}

/// The client's end of a stream.
struct Observed {
    stream: DuplexStream,
    network: Arc<Inner>,
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.network.open_streams.fetch_sub(1, Ordering::SeqCst);
    }
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.network.reads.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Observed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

async fn answer_requests(
    mut stream: DuplexStream,
    network: Network,
    address: String,
    handler: Arc<impl Fn(&mut Received) -> Action + Send + Sync>,
) {
    while let Some(frame) = read_frame(&mut stream).await {
        let (header, body) = decode_request_header(frame.clone()).expect("the client's headers are valid");
        let api = ApiKey::try_from(header.api_key).expect("the client asks known APIs");
        if api != ApiKey::ApiVersions {
            let seen = Seen { address: address.clone(), api, version: header.api_version };
            network.inner.requests.lock().unwrap().push(seen);
        }
        let mut received = Received { header, body, frame };
        let answer = match handler(&mut received) {
            Action::Answer(answer) => answer,
            Action::AnswerLater(after, answer) => {
                tokio::time::sleep(after).await;
                answer
            }
            Action::Silence => continue,
            Action::Close => return,
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// The next frame without its length; `None` at the end of the stream.
pub(crate) async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<Bytes> {
    let length = stream.read_i32().await.ok()?;
    let mut frame = vec![0; usize::try_from(length).expect("the client's lengths are positive")];
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame.into())
}

impl Received {
    pub(crate) fn api(&self) -> ApiKey {
        ApiKey::try_from(self.header.api_key).expect("checked on arrival")
    }

    pub(crate) fn version(&self) -> i16 {
        self.header.api_version
    }

    pub(crate) fn decode<R: Request>(&mut self) -> R {
        R::decode(&mut self.body, self.header.api_version).expect("the client's requests are valid")
    }

    /// Decodes the request and leaves it to be decoded again.
    pub(crate) fn peek<R: Request>(&self) -> R {
        let (_, mut body) = decode_request_header(self.frame.clone()).expect("decoded before");
        R::decode(&mut body, self.header.api_version).expect("the client's requests are valid")
    }

    pub(crate) fn answer<R: Request>(&self, response: &R::Response) -> Action {
        Action::Answer(self.encode::<R>(response))
    }

    pub(crate) fn encode<R: Request>(&self, response: &R::Response) -> Bytes {
        encode_response::<R>(self.header.correlation_id, self.header.api_version, response)
            .expect("the test's answers are valid")
            .to_bytes()
    }

    /// Answers ApiVersions with what Kafka 4.3 announces.
    pub(crate) fn answer_api_versions(&self) -> Action {
        self.answer_api_versions_with(|_, versions| Some(versions))
    }

    /// Answers ApiVersions with those ranges that `limit` leaves.
    pub(crate) fn answer_api_versions_with(
        &self,
        limit: impl Fn(ApiKey, VersionRange) -> Option<VersionRange>,
    ) -> Action {
        let ranges = ApiKey::ALL.iter().filter_map(|key| Some((*key, limit(*key, key.versions())?)));
        let api_keys = ranges.map(|(key, versions)| ApiVersion {
            api_key: key.code(),
            min_version: versions.min,
            max_version: versions.max,
            ..Default::default()
        });
        let response = ApiVersionsResponse { api_keys: api_keys.collect(), ..Default::default() };
        self.answer::<ApiVersionsRequest>(&response)
    }
}

/// A client's configuration for these bootstrap servers.
pub(crate) fn config(bootstrap: &str) -> ClientConfig {
    ClientConfig::new(Address::parse_list(bootstrap).unwrap())
}

pub(crate) fn address(name: &str) -> Address {
    name.parse().unwrap()
}
