//! Opening a connection: versions, foreign peers, time limits.

use std::time::Duration;

use milena_client::connection::{CloseContext, ConnectionErrorReason, ForeignPeer, open, open_after};
use milena_client::{Connection, ConnectionConfig, ConnectionError};
use milena_protocol::messages::api_versions_response::ApiVersion;
use milena_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, FetchRequest, MetadataRequest};
use milena_protocol::{ApiKey, ErrorCode, VersionRange, encode_response, unsupported_api_versions_response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::peer::{Action, Network, address, read_frame};

async fn connect(network: &Network) -> Result<Connection<()>, ConnectionError> {
    open(&network.env(), &ConnectionConfig::default(), &address("broker:9092")).await
}

async fn reason(network: &Network) -> ConnectionErrorReason {
    connect(network).await.map(drop).expect_err("the handshake fails").reason
}

#[tokio::test(start_paused = true)]
async fn the_newest_version_is_agreed_on() {
    let network = Network::default();
    network.serve("broker:9092", |request| {
        assert_eq!(request.version(), ApiKey::ApiVersions.versions().max);
        let asked: ApiVersionsRequest = request.decode();
        assert_eq!(asked.client_software_name, "milena");
        request.answer_api_versions_with(|key, versions| match key {
            ApiKey::Fetch => None,
            ApiKey::Metadata => Some(VersionRange { min: 0, max: 7 }),
            _ => Some(versions),
        })
    });
    let connection = connect(&network).await.unwrap();
    assert_eq!(connection.versions().choose::<MetadataRequest>(), Ok(7));
    assert_eq!(connection.versions().choose_up_to::<MetadataRequest>(5), Ok(5));
    let missing = connection.versions().choose::<FetchRequest>().unwrap_err().to_string();
    assert!(missing.contains("Fetch") && missing.contains("does not offer it"), "{missing}");
}

/// A broker that knows ApiVersions up to version 2 only, and says so or not.
fn serve_old_broker(network: &Network, says_range: bool) {
    network.serve("broker:9092", move |request| {
        if request.version() <= 2 {
            return request.answer_api_versions_with(|_, versions| Some(versions));
        }
        let range = ApiVersion { api_key: 18, min_version: 0, max_version: 2, ..Default::default() };
        let refusal = ApiVersionsResponse {
            error_code: ErrorCode::UnsupportedVersion,
            api_keys: if says_range { vec![range] } else { vec![] },
            ..Default::default()
        };
        let correlation_id = request.header.correlation_id;
        let frame = encode_response::<ApiVersionsRequest>(correlation_id, 0, &refusal).unwrap();
        Action::Answer(frame.to_bytes())
    });
}

#[tokio::test(start_paused = true)]
async fn an_old_broker_is_asked_again_in_a_version_that_it_knows() {
    for says_range in [true, false] {
        let network = Network::default();
        serve_old_broker(&network, says_range);
        let connection = connect(&network).await.unwrap();
        assert_eq!(network.connects().len(), 1, "over the same connection");
        assert!(connection.versions().choose::<MetadataRequest>().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_refuses_every_version_is_not_asked_for_ever() {
    let network = Network::default();
    network.serve("broker:9092", |request| {
        let refusal = unsupported_api_versions_response(request.header.correlation_id).unwrap();
        Action::Answer(refusal.to_bytes())
    });
    assert_eq!(reason(&network).await, ConnectionErrorReason::Refused(ErrorCode::UnsupportedVersion));
}

#[tokio::test(start_paused = true)]
async fn foreign_peers_are_named() {
    let cases: [(&'static [u8], ForeignPeer, &str); 6] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ForeignPeer::Http, "HTTP server"),
        // A TLS alert: fatal, unexpected_message.
        (&[21, 3, 1, 0, 2, 2, 10], ForeignPeer::Tls, "security.protocol"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ForeignPeer::Unknown(*b"SSH-2.0-"), "SSH-2.0-"),
        (b"220 mail ESMTP\r\n", ForeignPeer::Unknown(*b"220 mail"), "220 mail"),
        // Frames by chance: a good length, and then no correlation id, another one, or no ApiVersions.
        (
            &[0, 0, 0, 2, 7, 7],
            ForeignPeer::Unknown([0, 0, 0, 2, 7, 7, 0, 0]),
            "does not speak Kafka's protocol",
        ),
        (
            &[0, 0, 0, 6, 0, 0, 9, 9, 1, 2],
            ForeignPeer::Unknown([0, 0, 0, 6, 0, 0, 9, 9]),
            "does not speak Kafka's protocol",
        ),
    ];
    for (greeting, peer, hint) in cases {
        let network = Network::default();
        network.serve_greeting("broker:9092", greeting);
        let error = connect(&network).await.map(drop).unwrap_err();
        assert_eq!(error.reason, ConnectionErrorReason::NotKafka(peer));
        let text = error.to_string();
        assert!(text.starts_with("broker:9092: ") && text.contains(hint), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_foreign_length_is_not_waited_for() {
    // 1 MiB and a bit: a length that a response may have later, but no answer to the first request.
    let network = Network::default();
    network.serve_raw("broker:9092", 1024, |mut stream| async move {
        let _ = stream.write_all(&[0, 0x10, 0, 1, b'x', b'y']).await;
        std::future::pending().await
    });
    assert!(matches!(reason(&network).await, ConnectionErrorReason::NotKafka(_)));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hangs_up_may_expect_tls() {
    let network = Network::default();
    network.serve_raw("broker:9092", 1024, |_| async {});
    let closed = ConnectionErrorReason::Closed { context: CloseContext::Handshake };
    assert_eq!(reason(&network).await, closed);
    network.serve_raw("broker:9092", 1024, |mut stream| async move {
        let _ = stream.read(&mut [0; 64]).await;
    });
    assert_eq!(reason(&network).await, closed);
    assert!(closed.to_string().contains("TLS or SASL"), "{closed}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_resets_the_connection_may_expect_tls() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = async move {
        let (stream, _) = listener.accept().await.unwrap();
        // Closing with unread bytes in the buffer resets the connection.
        stream.readable().await.unwrap();
    };
    let env = milena_client::Env::system();
    let (config, address) = (ConnectionConfig::default(), address(&format!("127.0.0.1:{port}")));
    let (opened, ()) = tokio::join!(open::<()>(&env, &config, &address), peer);
    let reason = opened.map(drop).unwrap_err().reason;
    assert_eq!(reason, ConnectionErrorReason::Closed { context: CloseContext::Handshake });
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_come_about_is_given_up() {
    let network = Network::default();
    network.black_hole("broker:9092");
    let env = network.env();
    let started = env.now();
    assert_eq!(
        reason(&network).await,
        ConnectionErrorReason::SetupTimeout { after: Duration::from_secs(10) }
    );
    assert_eq!(env.now() - started, Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn each_failed_attempt_gives_the_next_one_more_time() {
    // KIP-601.
    let network = Network::default();
    network.black_hole("broker:9092");
    let (env, config) = (network.env(), ConnectionConfig::default());
    let mut waited = Vec::new();
    for failures in 0..4 {
        let started = env.now();
        open_after::<()>(&env, &config, &address("broker:9092"), failures).await.map(drop).unwrap_err();
        waited.push((env.now() - started).as_secs_f64());
    }
    assert_eq!(waited[0], 10.0);
    assert!((16.0..=24.0).contains(&waited[1]), "{waited:?}");
    assert!(waited[2..].iter().all(|waited| (24.0..=30.0).contains(waited)), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_within_the_setup_timeout_and_said_not_to_answer_as_kafka_does() {
    let network = Network::default();
    network.serve("broker:9092", |_| Action::Silence);
    let started = network.env().now();
    let expected = ConnectionErrorReason::HandshakeTimeout { after: Duration::from_secs(10) };
    assert_eq!(reason(&network).await, expected);
    assert_eq!(network.env().now() - started, Duration::from_secs(10));
    let text = expected.to_string();
    for words in
        ["connected, but", "ApiVersions", "does not answer as a Kafka broker", "HTTP server", "TLS port"]
    {
        assert!(text.contains(words), "{words} is missing: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shorter_request_timeout_counts_for_a_silent_peer_too() {
    let network = Network::default();
    network.serve("broker:9092", |_| Action::Silence);
    let mut config = ConnectionConfig::default();
    config.request_timeout = Duration::from_secs(2);
    let opened = open::<()>(&network.env(), &config, &address("broker:9092")).await;
    let reason = opened.map(drop).unwrap_err().reason;
    assert_eq!(reason, ConnectionErrorReason::HandshakeTimeout { after: Duration::from_secs(2) });
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_says_where_and_what_to_check() {
    let network = Network::default();
    let error = connect(&network).await.map(drop).unwrap_err();
    assert!(matches!(error.reason, ConnectionErrorReason::Connect { .. }));
    let text = error.to_string();
    assert!(text.contains("broker:9092: cannot connect: connection refused; is a broker"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_attempt_closes_the_stream() {
    let network = Network::default();
    network.serve("broker:9092", |_| Action::Silence);
    let env = network.env();
    let soon = env.now() + Duration::from_secs(1);
    assert!(env.timeout_at(soon, connect(&network)).await.is_none());
    assert_eq!(network.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn hostile_answers_to_the_first_request_are_errors() {
    // A valid frame cut off, or with any one byte changed, must not panic, hang or be taken for a handshake in a wrong version.
    let answer = ApiVersionsResponse {
        api_keys: vec![ApiVersion { api_key: 3, min_version: 0, max_version: 9, ..Default::default() }],
        ..Default::default()
    };
    let good = encode_response::<ApiVersionsRequest>(0, 4, &answer).unwrap().to_bytes();
    for at in 0..good.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = good.to_vec();
            bytes[at] ^= flip;
            let network = Network::default();
            network.serve_raw("broker:9092", 1024, move |mut stream| {
                let bytes = bytes.clone();
                async move {
                    read_frame(&mut stream).await;
                    let _ = stream.write_all(&bytes).await;
                }
            });
            // Any outcome but a panic or a hang will do: some bytes carry nothing that can be checked.
            let _ = connect(&network).await.map(drop);
        }
    }
}
