//! What strangers send: the connection ends, and nothing else happens.

use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::ApiVersionsRequest;
use milena_broker::{ApiKey, Cluster, MemoryStream, TopicSpec};
use milena_protocol::encode_request;
use milena_protocol::messages::FetchRequest;
use milena_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::log::Log;
use crate::support::*;

/// A connection that is closed for what it sent, with one line in the log, on a broker that goes on: over TCP and in memory.
async fn is_refused(bytes: &[u8], reason: &str) {
    let cluster = Cluster::builder().start().await.expect("starts");
    is_refused_on(&cluster, Connection::open(&cluster.bootstrap()).await, bytes, reason).await;
    let in_memory = cluster.connect(&cluster.bootstrap()).expect("connects");
    is_refused_on(&cluster, Connection::over(in_memory), bytes, reason).await;
}

async fn is_refused_on(cluster: &Cluster, mut stranger: Connection, bytes: &[u8], reason: &str) {
    let (refused, requests) = (cluster.connections_refused(), cluster.requests(ApiKey::ApiVersions));
    let mut neighbour = Connection::open(&cluster.bootstrap()).await;
    eventually(cluster, |cluster| cluster.connections(1) == 2).await;
    let log = Log::capture();
    stranger.send_raw(bytes).await;
    assert!(stranger.is_closed().await);
    eventually(cluster, |cluster| cluster.connections(1) == 1).await;
    has_one_line(&log, reason);
    assert_eq!(cluster.connections_refused() - refused, 1);
    assert_eq!(cluster.requests(ApiKey::ApiVersions), requests);
    asks(&mut neighbour).await;
    drop(neighbour);
    eventually(cluster, |cluster| cluster.connections(1) == 0).await;
}

/// One line that names the node, the peer and the reason, as a warning.
fn has_one_line(log: &Log, reason: &str) {
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let wanted = ["WARN", "node=1", "peer=", "connection closed", reason];
    assert!(wanted.iter().all(|part| lines[0].contains(part)), "{}", lines[0]);
}

async fn serves(cluster: &Cluster) {
    asks(&mut Connection::open(&cluster.bootstrap()).await).await;
}

async fn asks(client: &mut Connection) {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(text("oracle"))
        .with_client_software_version(text("1"));
    assert_eq!(client.call(3, &request).await.error_code, 0);
}

fn framed(body: &[u8]) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_u32(body.len() as u32);
    frame.put(body);
    frame
}

#[tokio::test]
async fn http_is_refused() {
    is_refused(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "this is HTTP").await;
}

#[tokio::test]
async fn tls_is_refused() {
    is_refused(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC], "this is TLS").await;
}

#[tokio::test]
async fn a_negative_length_is_refused() {
    is_refused(&[0xFF, 0xFF, 0xFF, 0xFF], "frame of -1 bytes").await;
}

#[tokio::test]
async fn a_length_beyond_the_limit_is_refused() {
    is_refused(&[0x7F, 0xFF, 0xFF, 0xFF, 0, 0], "frame of 2147483647 bytes").await;
}

#[tokio::test]
async fn a_large_first_frame_is_refused() {
    is_refused(&[0x00, 0x10, 0x00, 0x00], "exceeds the limit of 262144").await;
}

#[tokio::test]
async fn an_unknown_api_is_refused() {
    is_refused(&framed(b"\x03\xE7\x00\x00\x00\x00\x00\x01\x00\x01c"), "unknown API key 999").await;
}

#[tokio::test]
async fn an_api_that_is_not_offered_is_refused() {
    // ShareGroupHeartbeat version 1.
    is_refused(&framed(b"\x00\x4C\x00\x01\x00\x00\x00\x01\x00\x01c\x00"), "API key 76 is not offered").await;
}

#[tokio::test]
async fn a_version_that_is_not_offered_is_refused() {
    // Metadata version 99.
    is_refused(
        &framed(b"\x00\x03\x00\x63\x00\x00\x00\x01\x00\x01c\x00"),
        "Metadata version 99 is not supported",
    )
    .await;
}

#[tokio::test]
async fn a_body_that_ends_early_is_refused() {
    // Metadata version 1 with an array of a thousand million topics.
    is_refused(&framed(b"\x00\x03\x00\x01\x00\x00\x00\x01\x00\x01c\x3B\x9A\xCA\x00"), "malformed request")
        .await;
}

#[tokio::test]
async fn an_empty_frame_is_refused() {
    is_refused(&framed(b""), "malformed request").await;
}

#[tokio::test]
async fn a_frame_that_ends_early_is_told_of_once() {
    let cluster = Cluster::builder().start().await.expect("starts");
    for bytes in [&[0, 0][..], &framed(b"\x00\x12\x00\x00")[..6]] {
        let mut stranger = Connection::open(&cluster.bootstrap()).await;
        eventually(&cluster, |cluster| cluster.connections(1) == 1).await;
        let log = Log::capture();
        stranger.send_raw(bytes).await;
        drop(stranger);
        eventually(&cluster, |cluster| cluster.connections(1) == 0).await;
        has_one_line(&log, "connection ended within a frame");
    }
    assert_eq!(cluster.connections_refused(), 2);
    serves(&cluster).await;
}

/// Sends a frame byte by byte, one in ten seconds, until the broker has had enough; returns how long that took.
async fn drip(cluster: &Cluster, client: &mut MemoryStream) -> Duration {
    let begun = tokio::time::Instant::now();
    let drip = async {
        for byte in framed(&[0; 1_000]).iter() {
            // The other end may be gone by now.
            let _ = client.write_all(&[*byte]).await;
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    };
    tokio::select! {
        biased;
        () = cluster.until(|cluster| cluster.connections_refused() == 1) => begun.elapsed(),
        () = drip => panic!("it may say all"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_drips_is_told_of_once() {
    let cluster = Cluster::builder().in_memory().start().await.expect("starts");
    let mut stranger = cluster.connect(&cluster.bootstrap()).expect("connects");
    let log = Log::capture();
    assert_eq!(drip(&cluster, &mut stranger).await, Duration::from_secs(30));
    eventually(&cluster, |cluster| cluster.connections(1) == 0).await;
    has_one_line(&log, "no whole frame within 30s");
}

#[tokio::test(start_paused = true)]
async fn a_known_client_that_drips_is_told_of_once() {
    let builder = Cluster::builder().config("connections.max.idle.ms", "60000");
    let cluster = builder.in_memory().start().await.expect("starts");
    let mut client = cluster.connect(&cluster.bootstrap()).expect("connects");
    client.write_all(&framed(b"\x00\x12\x00\x00\x00\x00\x00\x05\x00\x01c")).await.expect("written");
    let len = client.read_u32().await.expect("an answer");
    client.read_exact(&mut vec![0; len as usize]).await.expect("the whole answer");
    let log = Log::capture();
    // The length, and a minute.
    assert_eq!(drip(&cluster, &mut client).await, Duration::from_secs(30 + 60));
    eventually(&cluster, |cluster| cluster.connections(1) == 0).await;
    has_one_line(&log, "no whole frame within 60s");
}

#[tokio::test]
async fn a_client_that_vanishes_in_the_middle_of_a_frame_leaves_nothing() {
    let cluster = Cluster::builder().start().await.expect("starts");
    let mut client = cluster.connect(&cluster.bootstrap()).expect("connects");
    client.write_all(&[0, 0, 1, 0, 0, 3]).await.expect("written");
    eventually(&cluster, |cluster| cluster.connections(1) == 1).await;
    drop(client);
    eventually(&cluster, |cluster| cluster.connections(1) == 0).await;
    serves(&cluster).await;
}

#[tokio::test]
async fn a_client_that_vanishes_while_its_fetch_waits_leaves_nothing() {
    let cluster = Cluster::builder().start().await.expect("starts");
    let mut client = Connection::open(&cluster.bootstrap()).await;
    client.create_topic("t", &[]).await;
    let partition = kafka_protocol::messages::fetch_request::FetchPartition::default()
        .with_current_leader_epoch(-1)
        .with_partition_max_bytes(1);
    client.send(12, &fetch_request("t", vec![partition]).with_max_wait_ms(i32::MAX)).await;
    eventually(&cluster, |cluster| cluster.requests(ApiKey::Fetch) == 1).await;
    drop(client);
    eventually(&cluster, |cluster| cluster.connections(1) == 0).await;
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let cluster = Cluster::builder().config("connections.max.idle.ms", "50").start().await.expect("starts");
    let mut silent = Connection::open(&cluster.bootstrap()).await;
    assert!(silent.is_closed().await);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed() {
    let cluster = Cluster::builder().config("max.connections", "2").start().await.expect("starts");
    let first = Connection::open(&cluster.bootstrap()).await;
    let _second = Connection::open(&cluster.bootstrap()).await;
    eventually(&cluster, |cluster| cluster.connections(1) == 2).await;
    assert!(Connection::open(&cluster.bootstrap()).await.is_closed().await);
    drop(first);
    eventually(&cluster, |cluster| cluster.connections(1) == 1).await;
    serves(&cluster).await;
}

#[tokio::test]
async fn connections_beyond_the_rate_wait() {
    let cluster =
        Cluster::builder().config("max.connection.creation.rate", "1").start().await.expect("starts");
    let begun = Instant::now();
    // So many come in no time where a second has one, and it is taken over ten of them.
    for _ in 0..10 {
        serves(&cluster).await;
    }
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "one by one they would take nine: {:?}",
        begun.elapsed()
    );
    serves(&cluster).await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn connections_of_one_address_beyond_its_limit_are_closed() {
    let cluster = Cluster::builder()
        .config("max.connections.per.ip", "100")
        .config("max.connections.per.ip.overrides", "127.0.0.1:1")
        .start()
        .await
        .expect("starts");
    let first = Connection::open(&cluster.bootstrap()).await;
    eventually(&cluster, |cluster| cluster.connections(1) == 1).await;
    assert!(Connection::open(&cluster.bootstrap()).await.is_closed().await);
    cluster.connect(&cluster.bootstrap()).expect("connections in memory have no address");
    drop(first);
    eventually(&cluster, |cluster| cluster.connections(1) == 0).await;
    serves(&cluster).await;
}

#[tokio::test]
async fn the_same_broker_is_there_without_a_socket() {
    let cluster = Cluster::builder().in_memory().nodes(2).start().await.expect("starts");
    assert_eq!(cluster.bootstrap(), "127.0.0.1:9092,127.0.0.1:9093");
    let mut client = cluster.connect("127.0.0.1:9093").expect("connects");
    client.write_all(&framed(b"\x00\x12\x00\x00\x00\x00\x00\x05\x00\x01c")).await.expect("written");
    let len = client.read_u32().await.expect("an answer");
    let mut answer = vec![0; len as usize];
    client.read_exact(&mut answer).await.expect("the whole answer");
    assert_eq!(answer[..6], [0, 0, 0, 5, 0, 0]);
    let refused = cluster.connect("127.0.0.1:9094").expect_err("nobody listens there");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn without_sockets_an_hour_of_waiting_takes_no_time() {
    let cluster = Cluster::builder()
        .in_memory()
        .topic(TopicSpec::new("t"))
        .start_time_ms(1_000_000)
        .start()
        .await
        .expect("starts");
    let mut client = cluster.connect(&cluster.bootstrap()).expect("connects");
    let partition = FetchPartition { partition_max_bytes: 1, current_leader_epoch: -1, ..Default::default() };
    let topic = FetchTopic { topic: "t".into(), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest {
        max_wait_ms: 3_600_000,
        min_bytes: 1,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    let begun = tokio::time::Instant::now();
    let frame = encode_request(1, None, 12, &request).expect("encodes");
    client.write_all(&frame.to_bytes()).await.expect("written");
    client.read_u32().await.expect("an answer");
    assert_eq!(begun.elapsed(), Duration::from_hours(1));
}

#[tokio::test]
async fn a_dropped_cluster_closes_its_connections_and_ports() {
    let cluster = Cluster::builder().start().await.expect("starts");
    let address = cluster.bootstrap();
    let mut client = Connection::open(&address).await;
    eventually(&cluster, |cluster| cluster.connections(1) == 1).await;
    drop(cluster);
    assert!(client.is_closed().await);
    let refused = async { while tokio::net::TcpStream::connect(&address).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused).await.expect("the port is closed");
}

#[tokio::test]
async fn a_stopped_cluster_has_freed_its_ports() {
    let cluster = Cluster::builder().start().await.expect("starts");
    let address = cluster.bootstrap();
    cluster.shutdown().await;
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let again = Cluster::builder().port(port).start().await.expect("the port is free");
    assert_eq!(again.bootstrap(), address);
}

#[tokio::test]
async fn three_nodes_are_ready_in_no_time() {
    let begun = std::time::Instant::now();
    let cluster = Cluster::builder().nodes(3).start().await.expect("starts");
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(cluster.nodes().collect::<Vec<_>>(), [1, 2, 3]);
}
