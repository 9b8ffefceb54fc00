//! One connection, driven by its owner.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use milena_client::connection::{CloseContext, ConnectionErrorReason, Response, Unanswered, open};
use milena_client::{Connection, ConnectionConfig, ConnectionError, Env};
use milena_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use milena_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, MetadataRequest, MetadataResponse, ProduceRequest,
};
use milena_protocol::{ApiKey, encode_response};
use tokio::io::AsyncWriteExt;

use crate::peer::{Action, Network, Received, address, read_frame};

const TIMEOUT: Duration = Duration::from_secs(30);

async fn connect(env: &Env) -> Connection<u32> {
    open(env, &ConnectionConfig::default(), &address("broker:9092")).await.unwrap()
}

/// Answers each Heartbeat with its generation id in the throttle field of a version that is not throttled by it.
fn echo(request: &mut Received) -> Action {
    match request.api() {
        ApiKey::ApiVersions => request.answer_api_versions(),
        _ => {
            let asked: HeartbeatRequest = request.decode();
            let throttle_time_ms = asked.generation_id;
            request.answer::<HeartbeatRequest>(&HeartbeatResponse { throttle_time_ms, ..Default::default() })
        }
    }
}

fn heartbeat(generation_id: i32) -> HeartbeatRequest {
    HeartbeatRequest { group_id: "group".into(), generation_id, ..Default::default() }
}

/// A version in which the broker itself has waited.
const NOT_THROTTLING: i16 = 1;

async fn response(connection: &mut Connection<u32>) -> Result<Response<u32>, ConnectionError> {
    poll_fn(|cx| {
        if let Poll::Ready(Err(error)) = connection.poll_flush(cx) {
            return Poll::Ready(Err(error));
        }
        connection.poll_response(cx)
    })
    .await
}

/// The errors of what was in flight when the connection was given up.
fn unanswered(connection: Connection<u32>) -> Vec<(u32, bool)> {
    connection
        .into_unanswered()
        .map(|Unanswered { context, possibly_sent }| (context, possibly_sent))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn answers_come_back_to_their_requests_in_order() {
    let network = Network::default();
    network.serve("broker:9092", echo);
    let mut connection = connect(&network.env()).await;
    for n in 0..20u32 {
        let generation_id = i32::try_from(n).unwrap();
        connection.submit(&heartbeat(generation_id), NOT_THROTTLING, TIMEOUT, n).unwrap();
    }
    assert_eq!(connection.in_flight_count(), 20);
    for n in 0..20u32 {
        let answer = response(&mut connection).await.unwrap();
        assert_eq!(answer.context, n);
        let decoded = answer.decode::<HeartbeatRequest>().unwrap();
        assert_eq!(u32::try_from(decoded.throttle_time_ms).unwrap(), n);
    }
    assert_eq!(connection.in_flight_count(), 0);
    assert!(connection.is_flushed());
}

#[tokio::test(start_paused = true)]
async fn requests_without_an_answer_leave_gaps_in_the_correlation_ids() {
    let network = Network::default();
    network.serve("broker:9092", |request| match request.api() {
        ApiKey::Produce => Action::Silence,
        _ => echo(request),
    });
    let mut connection = connect(&network.env()).await;
    for n in 0..3 {
        connection.submit_unanswered(&ProduceRequest::default(), 9).unwrap();
        connection.submit(&heartbeat(0), NOT_THROTTLING, TIMEOUT, n).unwrap();
    }
    for n in 0..3 {
        assert_eq!(response(&mut connection).await.unwrap().context, n);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_its_version_cannot_carry_is_handed_back_and_leaves_nothing() {
    let network = Network::default();
    network.serve("broker:9092", echo);
    let mut connection = connect(&network.env()).await;
    let with_instance = HeartbeatRequest { group_instance_id: Some("static".into()), ..heartbeat(1) };
    let (_, context) = connection.submit(&with_instance, 0, TIMEOUT, 9).unwrap_err();
    assert_eq!(context, 9);
    assert_eq!(connection.in_flight_count(), 0);
    connection.submit(&heartbeat(2), NOT_THROTTLING, TIMEOUT, 10).unwrap();
    assert_eq!(response(&mut connection).await.unwrap().context, 10);
}

/// Answers the handshake, then writes `bytes` after the first request, and closes or hangs.
fn serve_bytes(network: &Network, bytes: Vec<u8>, close: bool) {
    network.serve_raw("broker:9092", 4096, move |mut stream| {
        let bytes = bytes.clone();
        async move {
            handshake(&mut stream).await;
            read_frame(&mut stream).await;
            stream.write_all(&bytes).await.unwrap();
            if !close {
                std::future::pending().await
            }
        }
    });
}

async fn handshake(stream: &mut tokio::io::DuplexStream) {
    let frame = read_frame(stream).await.unwrap();
    let (header, _) = milena_protocol::decode_request_header(frame).unwrap();
    let api_versions = milena_protocol::messages::ApiVersionsResponse::default();
    let answer = encode_response::<milena_protocol::messages::ApiVersionsRequest>(
        header.correlation_id,
        header.api_version,
        &api_versions,
    );
    stream.write_all(&answer.unwrap().to_bytes()).await.unwrap();
}

/// What the answer `bytes` to the first request leads to.
async fn error_after(bytes: Vec<u8>, close: bool) -> ConnectionErrorReason {
    let network = Network::default();
    serve_bytes(&network, bytes, close);
    let mut connection = connect(&network.env()).await;
    connection.submit(&heartbeat(1), NOT_THROTTLING, TIMEOUT, 0).unwrap();
    response(&mut connection).await.expect_err("no good answer").reason
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_no_answers_break_the_connection() {
    let protocol = |text: &str| ConnectionErrorReason::Protocol(text.to_owned());
    let other_id = vec![0, 0, 0, 4, 0, 0, 0, 77];
    let reason = error_after(other_id, false).await;
    assert_eq!(reason, protocol("a response carries correlation id 77, not 1"));
    let reason = error_after(vec![0, 0, 0, 1, 9], false).await;
    assert_eq!(reason, protocol("a response of 1 bytes has no correlation id"));
    let reason = error_after(vec![0xff, 0, 0, 0], false).await;
    assert_eq!(reason, protocol("a response of negative length -16777216"));
    let limit = ConnectionConfig::default().response_bytes_max;
    let reason = error_after(vec![0x7f, 0, 0, 0], false).await;
    assert_eq!(reason, ConnectionErrorReason::ResponseTooLarge { length: 0x7f00_0000, limit });
    assert!(reason.to_string().contains("raise response_bytes_max"), "{reason}");
    let reason = error_after(vec![0, 0, 0, 9, 0, 0], true).await;
    assert_eq!(reason, ConnectionErrorReason::Closed { context: CloseContext::MidResponse });
    let reason = error_after(vec![], true).await;
    assert_eq!(reason, ConnectionErrorReason::Closed { context: CloseContext::Idle });
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_asked_for_breaks_the_connection() {
    let network = Network::default();
    network.serve_raw("broker:9092", 4096, |mut stream| async move {
        handshake(&mut stream).await;
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0]).await.unwrap();
        std::future::pending().await
    });
    let mut connection = connect(&network.env()).await;
    let reason = response(&mut connection).await.unwrap_err().reason;
    assert_eq!(
        reason,
        ConnectionErrorReason::Protocol("a response (correlation id 0) to no request".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn the_oldest_request_times_out_first() {
    let network = Network::default();
    network.serve("broker:9092", |request| match request.api() {
        ApiKey::ApiVersions => request.answer_api_versions(),
        _ => Action::Silence,
    });
    let env = network.env();
    let mut connection = connect(&env).await;
    assert_eq!(connection.poll_timeout(), None);
    let started = env.now();
    connection.submit(&heartbeat(0), 1, TIMEOUT, 0).unwrap();
    env.sleep(Duration::from_secs(5)).await;
    connection.submit(&heartbeat(1), 1, Duration::from_secs(60), 1).unwrap();
    connection.submit(&heartbeat(2), 1, Duration::MAX, 2).unwrap();
    let due = connection.poll_timeout().unwrap();
    assert_eq!(due - started, TIMEOUT);
    assert_eq!(connection.timed_out(due - Duration::from_nanos(1)), None);
    let error = connection.timed_out(due).unwrap();
    assert_eq!(error.reason, ConnectionErrorReason::RequestTimeout { api: "Heartbeat", after: TIMEOUT });
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_behind_others_time_out_only_when_nothing_comes() {
    const WORK: Duration = Duration::from_secs(20);
    let network = Network::default();
    network.serve("broker:9092", |request| match (echo(request), request.api()) {
        (Action::Answer(frame), ApiKey::Heartbeat) => Action::AnswerLater(WORK, frame),
        (answer, _) => answer,
    });
    let env = network.env();
    let mut connection = connect(&env).await;
    let started = env.now();
    for n in 0..4 {
        connection.submit(&heartbeat(0), NOT_THROTTLING, TIMEOUT, n).unwrap();
    }
    for n in 1..=3 {
        response(&mut connection).await.unwrap();
        assert_eq!(env.now() - started, WORK * n);
        assert_eq!(connection.timed_out(env.now()), None);
    }
    let due = connection.poll_timeout().unwrap();
    assert_eq!(due - env.now(), TIMEOUT);
    assert!(connection.timed_out(due).is_some());
}

/// A record set whose memory can be recognised: all bytes are the same.
fn produce(fill: u8, bytes: &Bytes) -> ProduceRequest {
    assert!(bytes.iter().all(|byte| *byte == fill));
    let partition = PartitionProduceData { records: Some(bytes.clone().into()), ..Default::default() };
    let topic = TopicProduceData { name: "t".into(), partition_data: vec![partition], ..Default::default() };
    ProduceRequest { topic_data: vec![topic], ..Default::default() }
}

/// A peer that reads the first `taken` bytes after the handshake, and then no more until the connection ends.
fn serve_stalling(network: &Network, buffer: usize, taken: usize) -> Arc<AtomicUsize> {
    let stalled = Arc::new(AtomicUsize::new(0));
    let signal = stalled.clone();
    network.serve_raw("broker:9092", buffer, move |mut stream| {
        let signal = signal.clone();
        async move {
            handshake(&mut stream).await;
            let mut bytes = vec![0; taken];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut bytes).await.unwrap();
            signal.store(1, Ordering::SeqCst);
            std::future::pending().await
        }
    });
    stalled
}

#[tokio::test(start_paused = true)]
async fn a_request_was_possibly_sent_only_when_all_of_it_left() {
    let network = Network::default();
    // The stream takes 1,000 bytes: the first request and a part of the second.
    serve_stalling(&network, 1_000, 0);
    let env = network.env();
    let mut connection = connect(&env).await;
    let payload = Bytes::from(vec![7; 600]);
    for n in 0..3 {
        connection.submit(&produce(7, &payload), 9, TIMEOUT, n).unwrap();
    }
    let soon = env.now() + Duration::from_secs(1);
    assert!(env.timeout_at(soon, response(&mut connection)).await.is_none());
    assert!(connection.pending_bytes() > 0);
    assert!(!connection.is_flushed());
    assert_eq!(unanswered(connection), [(0, true), (1, false), (2, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_write_keeps_its_bytes() {
    // KAFKA-19012: a pooled buffer was reused while it was being sent.
    let network = Network::default();
    serve_stalling(&network, 1_000, 500);
    let env = network.env();
    let mut connection = connect(&env).await;
    let payload = Bytes::from(vec![7; 10_000]);
    connection.submit(&produce(7, &payload), 9, TIMEOUT, 0).unwrap();
    let soon = env.now() + Duration::from_secs(1);
    assert!(env.timeout_at(soon, response(&mut connection)).await.is_none());
    // The batch expires: whoever made it lets it go and wants its memory back.
    let payload = payload.try_into_mut().expect_err("the connection still owns what it is writing");
    let abandoned = unanswered(connection);
    assert_eq!(abandoned, [(0, false)]);
    payload.try_into_mut().expect("nothing is written any more");
}

#[tokio::test(start_paused = true)]
async fn what_is_written_in_pieces_arrives_whole() {
    let network = Network::default();
    let received = Arc::new(AtomicUsize::new(0));
    let count = received.clone();
    network.serve_raw("broker:9092", 37, move |mut stream| {
        let count = count.clone();
        async move {
            handshake(&mut stream).await;
            while let Some(frame) = read_frame(&mut stream).await {
                let (header, mut body) = milena_protocol::decode_request_header(frame).unwrap();
                let asked: ProduceRequest =
                    milena_protocol::Message::decode(&mut body, header.api_version).unwrap();
                let records = asked.topic_data[0].partition_data[0].records.clone().unwrap().into_bytes();
                assert!(records.iter().all(|byte| *byte == 7));
                count.fetch_add(records.len(), Ordering::SeqCst);
            }
        }
    });
    let env = network.env();
    let mut connection = connect(&env).await;
    let payload = Bytes::from(vec![7; 3_000]);
    for _ in 0..20 {
        connection.submit_unanswered(&produce(7, &payload), 9).unwrap();
    }
    poll_fn(|cx| connection.poll_flush(cx)).await.unwrap();
    assert!(connection.is_flushed());
    drop(connection);
    while received.load(Ordering::SeqCst) < 60_000 {
        env.sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(received.load(Ordering::SeqCst), 60_000);
}

#[tokio::test(start_paused = true)]
async fn a_throttle_time_in_an_answer_is_kept_to_but_not_beyond_its_version() {
    let network = Network::default();
    network.serve("broker:9092", |request| match request.api() {
        ApiKey::ApiVersions => request.answer_api_versions(),
        _ => {
            let throttle_time_ms = 500;
            request.answer::<MetadataRequest>(&MetadataResponse { throttle_time_ms, ..Default::default() })
        }
    });
    let env = network.env();
    let mut connection = connect(&env).await;
    connection.submit(&MetadataRequest::default(), 5, TIMEOUT, 0).unwrap();
    response(&mut connection).await.unwrap();
    assert_eq!(connection.throttled_until(env.now()), None, "before version 6 the broker has waited");
    connection.submit(&MetadataRequest::default(), 12, TIMEOUT, 0).unwrap();
    response(&mut connection).await.unwrap();
    let until = connection.throttled_until(env.now()).unwrap();
    assert_eq!(until - env.now(), Duration::from_millis(500));
    connection.throttle(100);
    assert_eq!(connection.throttled_until(env.now()), Some(until), "never shortened");
    connection.throttle(i32::MAX);
    connection.throttle(-1);
    assert!(connection.throttled_until(until).is_some());
}

#[tokio::test(start_paused = true)]
async fn bytes_both_ways_are_counted() {
    let network = Network::default();
    network.serve("broker:9092", echo);
    let mut connection = connect(&network.env()).await;
    let (written_before, received_before) = connection.transferred_bytes();
    connection.submit(&heartbeat(1), 1, TIMEOUT, 0).unwrap();
    response(&mut connection).await.unwrap();
    let (written, received) = connection.transferred_bytes();
    let frame = milena_protocol::encode_request(1, None, 1, &heartbeat(1)).unwrap();
    assert_eq!(written - written_before, frame.len() as u64);
    assert_eq!(
        received - received_before,
        4 + 4 + 4 + 2,
        "length, correlation id, throttle time, error code"
    );
}
