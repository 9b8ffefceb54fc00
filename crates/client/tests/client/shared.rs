//! Shared connections: opened on demand, kept busy, given up, closed when idle; retries on top of them.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use milena_client::connection::ConnectionErrorReason;
use milena_client::env::{Connecting, Connector, Stream};
use milena_client::{Address, Client, Env, RequestError, Target};
use milena_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, ListGroupsRequest, ListGroupsResponse, MetadataRequest,
    MetadataResponse,
};
use milena_protocol::{ApiKey, ErrorCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::peer::{Action, Cluster, Network, Received, address, config};

/// A client of a cluster of one broker, which answers Heartbeat with `answer`.
async fn client(
    network: &Network,
    answer: impl Fn(&mut Received) -> Action + Send + Sync + 'static,
) -> (Client, Env) {
    let cluster = Cluster::new(network, 1);
    cluster.serve("broker-1:9092", move |request| match request.api() {
        ApiKey::Heartbeat => Some(answer(request)),
        _ => None,
    });
    let env = network.env();
    (Client::connect(config("broker-1:9092"), env.clone()).await.unwrap(), env)
}

fn ok(request: &mut Received) -> Action {
    request.answer::<HeartbeatRequest>(&HeartbeatResponse::default())
}

async fn heartbeat(client: &Client) -> Result<HeartbeatResponse, RequestError> {
    client.request_to(&address("broker-1:9092"), HeartbeatRequest::default()).await
}

/// Lets everything happen that does not need time to pass.
async fn settle(env: &Env) {
    env.sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_share_one_connection() {
    let network = Network::default();
    let (client, _) = client(&network, ok).await;
    let requests: Vec<_> = (0..50).map(|_| Box::pin(heartbeat(&client))).collect();
    for request in requests {
        request.await.unwrap();
    }
    assert_eq!(network.connects(), ["broker-1:9092"]);
    assert_eq!(network.count(ApiKey::Heartbeat), 50);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_and_opened_again_when_needed() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    cluster.serve("broker-1:9092", |request| (request.api() == ApiKey::Heartbeat).then(|| ok(request)));
    let env = network.env();
    let mut config = config("broker-1:9092");
    config.metadata_max_age = Duration::from_secs(3_600);
    let client = Client::connect(config, env.clone()).await.unwrap();
    heartbeat(&client).await.unwrap();
    env.sleep(Duration::from_secs(9 * 60 - 1)).await;
    assert_eq!(network.open_streams(), 1);
    env.sleep(Duration::from_secs(2)).await;
    assert_eq!(network.open_streams(), 0);
    heartbeat(&client).await.unwrap();
    assert_eq!(network.connects().len(), 2);
    // The task behind it ends too, some idle time later, and is started again when needed.
    env.sleep(Duration::from_secs(30 * 60)).await;
    heartbeat(&client).await.unwrap();
    assert_eq!(network.connects().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_broker_closes_while_idle_is_no_failure() {
    let network = Network::default();
    let closing = Arc::new(AtomicUsize::new(0));
    let heartbeats = closing.clone();
    let cluster = Cluster::new(&network, 1);
    let handler = move |request: &mut Received| {
        (request.api() == ApiKey::Heartbeat).then(|| {
            heartbeats.fetch_add(1, Ordering::SeqCst);
            ok(request)
        })
    };
    cluster.serve("broker-1:9092", handler);
    let env = network.env();
    let client = Client::connect(config("broker-1:9092"), env.clone()).await.unwrap();
    for round in 1..=5 {
        // The broker hangs up as soon as it has answered; nobody waits for anything then.
        let mut opened = network.connects().len();
        heartbeat(&client).await.unwrap();
        network.close_streams();
        settle(&env).await;
        assert_eq!(network.open_streams(), 0, "round {round}");
        heartbeat(&client).await.expect("without a back-off, and without an error");
        opened += 1;
        assert_eq!(network.connects().len(), opened);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_timeout_gives_up_the_connection_and_all_that_waits_on_it() {
    let network = Network::default();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let (client, env) = client(&network, move |request| match count.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Action::Silence,
        _ => ok(request),
    })
    .await;
    let started = env.now();
    let (first, second) = tokio::join!(heartbeat(&client), async {
        env.sleep(Duration::from_secs(10)).await;
        heartbeat(&client).await
    });
    assert_eq!(env.now() - started, Duration::from_secs(30));
    for result in [first, second] {
        let Err(RequestError::Connection { error, possibly_sent: true }) = result else {
            panic!("unexpected: {result:?}")
        };
        let after = Duration::from_secs(30);
        assert_eq!(error.reason, ConnectionErrorReason::RequestTimeout { api: "Heartbeat", after });
    }
    env.sleep(Duration::from_secs(1)).await;
    heartbeat(&client).await.unwrap();
    assert_eq!(network.connects().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn during_the_back_off_requests_are_refused_at_once() {
    let network = Network::default();
    let (client, env) = client(&network, ok).await;
    network.refuse("broker-1:9092");
    network.close_streams();
    settle(&env).await;
    let connects_before = network.connects().len();
    let started = env.now();
    let mut refused = 0;
    while env.now() - started < Duration::from_secs(10) {
        let error = heartbeat(&client).await.unwrap_err();
        assert!(error.is_retriable());
        let RequestError::Connection { error, possibly_sent: false } = error else { panic!("{error}") };
        assert!(matches!(error.reason, ConnectionErrorReason::Connect { .. }), "the reason is known");
        refused += 1;
        env.sleep(Duration::from_millis(5)).await;
    }
    let attempts = network.connects().len() - connects_before;
    // 50, 100, 200, 400, 800 ms, then 1 s each, with jitter; the metadata task asks too.
    assert!((10..=20).contains(&attempts), "{attempts} attempts for {refused} requests");
    assert!(refused > 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_accepts_and_hangs_up_is_not_asked_in_a_loop() {
    let network = Network::default();
    let (client, env) = client(&network, |_| Action::Close).await;
    let connects_before = network.connects().len();
    let started = env.now();
    while env.now() - started < Duration::from_secs(10) {
        heartbeat(&client).await.unwrap_err();
        env.sleep(Duration::from_millis(5)).await;
    }
    let attempts = network.connects().len() - connects_before;
    assert!((10..=20).contains(&attempts), "{attempts} attempts");
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_the_series_of_failures() {
    let network = Network::default();
    let asked = AtomicUsize::new(0);
    // Every third request is answered; the others lose the connection.
    let (client, env) = client(&network, move |request| match asked.fetch_add(1, Ordering::SeqCst) % 3 {
        2 => ok(request),
        _ => Action::Close,
    })
    .await;
    for _ in 0..10 {
        for answered in [false, false, true] {
            let result = heartbeat(&client).await;
            assert_eq!(result.is_ok(), answered, "{result:?}");
            // Longer than the first two waits, 50 and 100 ms, and shorter than the fourth.
            env.sleep(Duration::from_millis(150)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttling_broker_is_left_alone_for_that_long() {
    let network = Network::default();
    let (client, env) = client(&network, |request| {
        let throttle_time_ms = 700;
        request.answer::<HeartbeatRequest>(&HeartbeatResponse { throttle_time_ms, ..Default::default() })
    })
    .await;
    let started = env.now();
    let mut answered_after = Vec::new();
    for _ in 0..4 {
        heartbeat(&client).await.unwrap();
        answered_after.push((env.now() - started).as_millis());
    }
    assert_eq!(answered_after, [0, 700, 1_400, 2_100]);
}

/// A network on which reading takes `reading_takes`, once, when that is set.
struct SlowReads {
    network: Network,
    reading_takes: Arc<Mutex<Option<Duration>>>,
}

struct SlowStream {
    stream: Box<dyn Stream>,
    reading_takes: Arc<Mutex<Option<Duration>>>,
}

impl Connector for SlowReads {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        let reading_takes = self.reading_takes.clone();
        Box::pin(async move {
            let stream = self.network.connect(address).await?;
            Ok(Box::new(SlowStream { stream, reading_takes }) as Box<dyn Stream>)
        })
    }
}

impl AsyncRead for SlowStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(time) = self.reading_takes.lock().unwrap().take() {
            // The first poll moves the clock.
            let _ = pin!(tokio::time::advance(time)).poll(&mut Context::from_waker(Waker::noop()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for SlowStream {
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

/// The request is held back at the beginning of a turn, and the silence is over at its end.
#[tokio::test(start_paused = true)]
async fn a_request_is_sent_although_the_silence_ends_in_the_turn_that_held_it_back() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    cluster.serve("broker-1:9092", |request| match request.api() {
        ApiKey::Heartbeat => {
            let response = HeartbeatResponse { throttle_time_ms: 700, ..Default::default() };
            Some(request.answer::<HeartbeatRequest>(&response))
        }
        _ => None,
    });
    let reading_takes = Arc::new(Mutex::new(None));
    let connector = SlowReads { network: network.clone(), reading_takes: reading_takes.clone() };
    let env = Env::builder().seed(7).connector(connector).build();
    let client = Client::connect(config("broker-1:9092"), env.clone()).await.unwrap();
    heartbeat(&client).await.unwrap();
    *reading_takes.lock().unwrap() = Some(Duration::from_millis(800));
    let deadline = env.deadline_after(Duration::from_secs(2));
    env.timeout_at(deadline, heartbeat(&client)).await.expect("it is not forgotten").unwrap();
    assert_eq!(*reading_takes.lock().unwrap(), None, "the clock moved within the turn");
}

#[tokio::test(start_paused = true)]
async fn a_request_held_back_by_throttling_for_too_long_fails_unsent() {
    let network = Network::default();
    let (client, env) = client(&network, |request| {
        let throttle_time_ms = i32::MAX;
        request.answer::<HeartbeatRequest>(&HeartbeatResponse { throttle_time_ms, ..Default::default() })
    })
    .await;
    heartbeat(&client).await.unwrap();
    let started = env.now();
    let error = heartbeat(&client).await.unwrap_err();
    assert_eq!(env.now() - started, Duration::from_secs(30));
    assert!(matches!(error, RequestError::Connection { possibly_sent: false, .. }), "{error}");
    assert_eq!(network.count(ApiKey::Heartbeat), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_is_not_sent_once_its_connection_opens() {
    let network = Network::default();
    let (client, env) = client(&network, ok).await;
    // From now on the broker takes two seconds for the handshake.
    Cluster::new(&network, 1).serve("broker-1:9092", |request| match request.api() {
        ApiKey::Heartbeat => Some(ok(request)),
        ApiKey::ApiVersions => match request.answer_api_versions() {
            Action::Answer(answer) => Some(Action::AnswerLater(Duration::from_secs(2), answer)),
            other => Some(other),
        },
        _ => None,
    });
    network.close_streams();
    settle(&env).await;
    let soon = env.now() + Duration::from_secs(1);
    assert!(env.timeout_at(soon, heartbeat(&client)).await.is_none());
    env.sleep(Duration::from_secs(30)).await;
    assert_eq!(network.connects().len(), 2, "the connection was opened all the same");
    assert_eq!(network.count(ApiKey::Heartbeat), 0);
    heartbeat(&client).await.unwrap();
    assert_eq!(network.count(ApiKey::Heartbeat), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_dropped_while_it_waits_leaves_the_connection_in_order() {
    let network = Network::default();
    let (client, env) = client(&network, |request| {
        let answer = request.encode::<HeartbeatRequest>(&HeartbeatResponse::default());
        Action::AnswerLater(Duration::from_secs(2), answer)
    })
    .await;
    let soon = env.now() + Duration::from_secs(1);
    assert!(env.timeout_at(soon, heartbeat(&client)).await.is_none());
    heartbeat(&client).await.unwrap();
    assert_eq!(network.connects().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_hardly_wakes() {
    let network = Network::default();
    let cluster = Cluster::start(&network, 3);
    cluster.topic("orders", &[(1, 0), (2, 0), (3, 0)]);
    let env = network.env();
    let client = Client::connect(config("broker-1:9092"), env.clone()).await.unwrap();
    let _interest = client.metadata().interest("orders".into(), false);
    settle(&env).await;
    let (reads_before, asked_before) = (network.reads(), network.count(ApiKey::Metadata));
    env.sleep(Duration::from_secs(3_600)).await;
    assert_eq!(network.count(ApiKey::Metadata) - asked_before, 12, "metadata.max.age is 5 min");
    let reads = network.reads() - reads_before;
    // Each refresh is a handful of polls: the request, the answer's arrival, and sometimes a connection opened or closed.
    assert!(reads < 12 * 10, "{reads} reads in an hour");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_client_leaves_nothing_behind() {
    let network = Network::default();
    let (client, env) = client(&network, |_| Action::Silence).await;
    let soon = env.now() + Duration::from_secs(1);
    assert!(env.timeout_at(soon, heartbeat(&client)).await.is_none());
    assert_eq!(network.open_streams(), 1);
    drop(client);
    settle(&env).await;
    assert_eq!(network.open_streams(), 0);
    let seen = network.requests().len();
    env.sleep(Duration::from_secs(3_600)).await;
    assert_eq!(network.requests().len(), seen);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_the_broker_does_not_offer_is_named() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    cluster.serve("broker-1:9092", |request| {
        (request.api() == ApiKey::ApiVersions).then(|| {
            request.answer_api_versions_with(|key, versions| (key != ApiKey::Heartbeat).then_some(versions))
        })
    });
    let client = Client::connect(config("broker-1:9092"), network.env()).await.unwrap();
    let error = heartbeat(&client).await.unwrap_err();
    assert!(!error.is_retriable());
    assert!(error.to_string().contains("Heartbeat"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_decode_is_an_error_with_its_place() {
    let network = Network::default();
    let (client, _) = client(&network, |request| {
        let good = request.encode::<HeartbeatRequest>(&HeartbeatResponse::default());
        let mut cut = good[..good.len() - 2].to_vec();
        let length = i32::try_from(cut.len() - 4).unwrap();
        cut[..4].copy_from_slice(&length.to_be_bytes());
        Action::Answer(cut.into())
    })
    .await;
    let error = heartbeat(&client).await.unwrap_err();
    assert!(matches!(error, RequestError::Decode { .. }), "{error}");
    assert!(error.to_string().starts_with("broker-1:9092: "), "{error}");
}

fn judge(response: &HeartbeatResponse) -> Result<(), RequestError> {
    match response.error_code {
        ErrorCode::None => Ok(()),
        code => Err(RequestError::Broker { api: "Heartbeat", code, message: None }),
    }
}

/// A client whose broker answers Heartbeats with these codes in turn, the last one from then on.
async fn client_with_codes(network: &Network, codes: Vec<ErrorCode>) -> (Client, Env) {
    let asked = AtomicUsize::new(0);
    client(network, move |request| {
        let at = asked.fetch_add(1, Ordering::SeqCst).min(codes.len() - 1);
        request.answer::<HeartbeatRequest>(&HeartbeatResponse { error_code: codes[at], ..Default::default() })
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn retriable_errors_are_retried_after_a_growing_back_off() {
    let network = Network::default();
    let busy = ErrorCode::CoordinatorLoadInProgress;
    let (client, env) = client_with_codes(&network, vec![busy, busy, busy, ErrorCode::None]).await;
    let started = env.now();
    let timeout = Duration::from_secs(60);
    client.call(Target::Node(1), HeartbeatRequest::default(), timeout, judge).await.unwrap();
    assert_eq!(network.count(ApiKey::Heartbeat), 4);
    let waited = (env.now() - started).as_millis();
    assert!((560..=840).contains(&waited), "100 + 200 + 400 ms, give or take a fifth: {waited}");
}

#[tokio::test(start_paused = true)]
async fn other_errors_end_the_call() {
    let network = Network::default();
    let (client, _) = client_with_codes(&network, vec![ErrorCode::GroupAuthorizationFailed]).await;
    let call = client.call(Target::Any, HeartbeatRequest::default(), Duration::from_secs(60), judge);
    let error = call.await.unwrap_err();
    assert!(matches!(error, RequestError::Broker { code: ErrorCode::GroupAuthorizationFailed, .. }));
    assert_eq!(network.count(ApiKey::Heartbeat), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_runs_out_of_time_says_what_it_met_last() {
    let network = Network::default();
    let (client, env) = client_with_codes(&network, vec![ErrorCode::CoordinatorLoadInProgress]).await;
    let started = env.now();
    let timeout = Duration::from_secs(5);
    let call = client.call(Target::Controller, HeartbeatRequest::default(), timeout, judge);
    let error = call.await.unwrap_err();
    assert!(env.now() - started <= timeout);
    let text = error.to_string();
    assert!(
        text.starts_with("Heartbeat: gave up after 5000 ms; last: Heartbeat: COORDINATOR_LOAD"),
        "{text}"
    );
    assert!(!error.is_retriable());
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_time_limit_does_not_overflow() {
    let network = Network::default();
    let busy = ErrorCode::CoordinatorLoadInProgress;
    let (client, _) = client_with_codes(&network, vec![busy, ErrorCode::None]).await;
    client.call(Target::Any, HeartbeatRequest::default(), Duration::MAX, judge).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_known_is_waited_for() {
    let network = Network::default();
    let cluster = Cluster::start(&network, 1);
    let env = network.env();
    let client = Client::connect(config("broker-1:9092"), env.clone()).await.unwrap();
    cluster.serve("broker-2:9092", |request| (request.api() == ApiKey::Heartbeat).then(|| ok(request)));
    let joins = async {
        env.sleep(Duration::from_secs(3)).await;
        cluster.change(|metadata| {
            let mut second = metadata.brokers[0].clone();
            second.node_id = 2;
            second.host = "broker-2".into();
            metadata.brokers.push(second);
        });
    };
    let call = client.call(Target::Node(2), HeartbeatRequest::default(), Duration::from_secs(60), judge);
    let (result, ()) = tokio::join!(call, joins);
    result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_for_any_broker_goes_to_one_that_answers() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 3);
    // Brokers 1 and 2 are hung: one accepts connections and never answers, one does not even accept them.
    cluster.serve("broker-1:9092", |request| match request.api() {
        ApiKey::ApiVersions => None,
        _ => Some(Action::Silence),
    });
    network.black_hole("broker-2:9092");
    cluster.serve("broker-3:9092", |request| match request.api() {
        ApiKey::ListGroups => Some(request.answer::<ListGroupsRequest>(&ListGroupsResponse::default())),
        _ => None,
    });
    let env = network.env();
    let client = Client::connect(config("broker-3:9092"), env.clone()).await.unwrap();
    // Somebody is waiting for each of them.
    let addresses = ["broker-1:9092", "broker-2:9092"].map(address);
    let waiting = addresses.each_ref().map(|hung| {
        let client = client.clone();
        env.spawn({
            let hung = hung.clone();
            async move { drop(client.request_to(&hung, ListGroupsRequest::default()).await) }
        })
    });
    settle(&env).await;
    let started = env.now();
    for _ in 0..20 {
        let any = client.resolve(&Target::Any).await.unwrap();
        client.request_to(&any, ListGroupsRequest::default()).await.unwrap();
    }
    assert!(env.now() - started < Duration::from_millis(100));
    drop(waiting);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_trace() {
    async fn trace() -> (Vec<String>, Vec<crate::peer::Seen>, Duration) {
        let network = Network::default();
        let cluster = Cluster::start(&network, 3);
        cluster.topic("orders", &[(1, 0), (-1, 0), (3, 0)]);
        let env = network.env();
        let started = env.now();
        let client =
            Client::connect(config("broker-1:9092,broker-2:9092,broker-3:9092"), env.clone()).await.unwrap();
        let _interest = client.metadata().interest("orders".into(), true);
        for node in [2, 1, 3] {
            network.refuse(&format!("broker-{node}:9092"));
            network.close_streams();
            let any = client.resolve(&Target::Any).await.unwrap();
            let _ = client.request_to(&any, MetadataRequest::default()).await;
            env.sleep(Duration::from_secs(7)).await;
        }
        cluster.serve("broker-1:9092", |_| None);
        let timeout = Duration::from_secs(60);
        let fine = |_: &MetadataResponse| Ok(());
        client.call(Target::Any, MetadataRequest::default(), timeout, fine).await.unwrap();
        (network.connects(), network.requests(), env.now() - started)
    }
    let first = trace().await;
    assert!(first.0.len() > 20, "something happened: {:?}", first.0);
    assert_eq!(trace().await, first);
}
