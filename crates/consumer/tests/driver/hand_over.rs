//! What comes first when an answer has come: the application, or the next request.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use milena_broker::{Cluster, Dialer, TopicSpec};
use milena_client::Address;
use milena_client::env::{Connecting, Connector, Stream};
use milena_consumer::Consumer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::support::*;

/// Connects without sockets, and counts the fetches that a client sends.
struct Counting {
    dialer: Dialer,
    fetches: Arc<AtomicU64>,
}

struct Counted<S> {
    stream: S,
    fetches: Arc<AtomicU64>,
}

impl Connector for Counting {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        let stream = self.dialer.connect(&address.to_string());
        let fetches = self.fetches.clone();
        Box::pin(async move { stream.map(|stream| Box::new(Counted { stream, fetches }) as Box<dyn Stream>) })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // After the length comes the API's key: 1. The fetches of these tests are written whole.
        if buf.get(4..6) == Some(&[0, 1]) {
            self.fetches.fetch_add(1, Ordering::Relaxed);
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, first.map_or(&[], |buf| &**buf))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A consumer of `t`-0 that waits at its end, and how many fetches it has sent by now.
async fn reader(world: &World) -> (Consumer, Arc<AtomicU64>) {
    let fetches = Arc::<AtomicU64>::default();
    let connector = Counting { dialer: world.cluster.dialer(), fetches: fetches.clone() };
    let client = client_over(connector, &world.cluster, |_| {}).await;
    let mut consumer = consumer_of(&client, strict(), &[tp("t", 0)]);
    let nothing = consumer.poll(Duration::from_millis(200), 1).await.expect("no error");
    assert!(nothing.is_empty());
    (consumer, fetches)
}

/// Has a consumer at the log's end read answers of so many records, and checks how many fetches it has sent when it is handed one.
async fn check(records: u64, sent_by_then: u64) {
    let mut world = World::start(Cluster::builder().topic(TopicSpec::new("t"))).await;
    let (mut consumer, fetches) = reader(&world).await;
    for _ in 0..20 {
        let sent = fetches.load(Ordering::Relaxed);
        world.produce(&tp("t", 0), records).await;
        let batch = patiently(consumer.next()).await.expect("no error").expect("it is not closed");
        assert_eq!((batch.len() as u64, fetches.load(Ordering::Relaxed)), (records, sent + sent_by_then));
        patiently(world.client.env().sleep(Duration::from_millis(1))).await;
        assert_eq!(fetches.load(Ordering::Relaxed), sent + 1, "then it is sent at once");
    }
}

#[tokio::test(start_paused = true)]
async fn who_keeps_up_with_the_log_has_a_record_before_the_next_fetch_is_sent() {
    check(1, 0).await;
}

#[tokio::test(start_paused = true)]
async fn while_a_long_answer_is_read_the_next_fetch_is_on_its_way() {
    check(3_000, 1).await;
}
