//! Metadata and coordinators, end to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use milena_client::metadata::{LeaderHint, TopicError};
use milena_client::{Client, Env, MetadataRecovery, RequestError, Target};
use milena_protocol::messages::find_coordinator_response::Coordinator;
use milena_protocol::messages::metadata_response::MetadataResponseTopic;
use milena_protocol::messages::{
    FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest, MetadataResponse,
};
use milena_protocol::{ApiKey, ErrorCode, VersionRange};

use crate::peer::{Action, Cluster, Network, Received, config};

const SEEDS: &str = "seed:9092";

fn deadline(env: &Env, seconds: u64) -> std::time::Instant {
    env.now() + Duration::from_secs(seconds)
}

fn node_of(client: &Client, topic: &str, partition: i32) -> Option<i32> {
    client.metadata().current().leader(topic, partition).map(|broker| broker.node_id)
}

#[tokio::test(start_paused = true)]
async fn connecting_learns_the_cluster() {
    let network = Network::default();
    Cluster::start(&network, 3);
    let client = Client::connect(config("nowhere:9092,broker-2:9092"), network.env()).await.unwrap();
    let metadata = client.metadata().current();
    let addresses: Vec<_> = metadata.brokers.values().map(|broker| broker.address.to_string()).collect();
    assert_eq!(addresses, ["broker-1:9092", "broker-2:9092", "broker-3:9092"]);
    assert_eq!(metadata.cluster_id.as_deref(), Some("cluster"));
    assert_eq!(metadata.controller_id, Some(1));
}

#[tokio::test(start_paused = true)]
async fn connecting_to_nobody_says_why() {
    let network = Network::default();
    network.serve_greeting("web:9092", b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let error = Client::connect(config("web:9092"), network.env()).await.map(drop).unwrap_err();
    assert!(error.to_string().starts_with("web:9092: an HTTP server"), "{error}");
    let error = Client::connect(config("nowhere:9092"), network.env()).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("is a broker listening there"), "{error}");
    network.serve("starting:9092", |request| match request.api() {
        ApiKey::ApiVersions => request.answer_api_versions(),
        _ => request.answer::<MetadataRequest>(&MetadataResponse::default()),
    });
    let error = Client::connect(config("starting:9092"), network.env()).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("does not know any broker yet"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_client_in_the_background_keeps_trying() {
    let network = Network::default();
    let env = network.env();
    let client = Client::new(config("broker-1:9092"), env.clone());
    env.sleep(Duration::from_secs(30)).await;
    assert_eq!(client.metadata().version(), 0);
    Cluster::start(&network, 1);
    let metadata = env.timeout_at(deadline(&env, 2), client.metadata().changed_since(0)).await;
    assert_eq!(metadata.expect("within the longest back-off").brokers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_moved_is_found_again_through_the_bootstrap_names() {
    // KIP-899: all known brokers are gone, and the bootstrap name means other machines by now.
    let network = Network::default();
    let old = Cluster::start(&network, 2);
    old.serve(SEEDS, |_| None);
    let env = network.env();
    let client = Client::connect(config(SEEDS), env.clone()).await.unwrap();
    let moved = Cluster::new(&network, 2);
    moved.change(|metadata| {
        for broker in &mut metadata.brokers {
            broker.host = format!("moved-{}", broker.node_id).into();
        }
    });
    moved.serve(SEEDS, |_| None);
    network.refuse("broker-1:9092");
    network.refuse("broker-2:9092");
    network.close_streams();
    client.metadata().request_update();
    let version = client.metadata().version();
    let changed = env.timeout_at(deadline(&env, 5), client.metadata().changed_since(version)).await;
    let metadata = changed.expect("a few back-offs at most");
    assert_eq!(metadata.brokers[&1].address.host, "moved-1");
}

#[tokio::test(start_paused = true)]
async fn rebootstrap_required_leads_to_where_the_bootstrap_names_lead_now() {
    // librdkafka#5605: without effect. The old broker stays up and reachable, and keeps the connection that was opened to it by
    // the bootstrap name: only a new connection finds the new one.
    let network = Network::default();
    let old = Cluster::new(&network, 1);
    old.change(|metadata| metadata.brokers[0].host = "seed".into());
    old.serve(SEEDS, |_| None);
    let env = network.env();
    let client = Client::connect(config(SEEDS), env.clone()).await.unwrap();
    old.change(|metadata| metadata.error_code = ErrorCode::RebootstrapRequired);
    let new = Cluster::start(&network, 3);
    new.change(|metadata| metadata.cluster_id = Some("new".into()));
    new.serve(SEEDS, |_| None);
    let version = client.metadata().version();
    client.metadata().request_update();
    let changed = env.timeout_at(deadline(&env, 5), client.metadata().changed_since(version)).await;
    let metadata = changed.expect("a few back-offs at most");
    assert_eq!(metadata.cluster_id.as_deref(), Some("new"));
    assert_eq!(metadata.brokers.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn brokers_that_hang_for_the_trigger_time_lead_back_to_the_bootstrap_names() {
    // KIP-1102. The bootstrap name still has an open connection to a hung broker.
    let network = Network::default();
    let hung = Arc::new(AtomicBool::new(false));
    let old = Cluster::new(&network, 1);
    let is_hung = hung.clone();
    old.change(|metadata| metadata.brokers[0].host = "seed".into());
    old.serve(SEEDS, move |_| is_hung.load(Ordering::SeqCst).then_some(Action::Silence));
    let env = network.env();
    let mut config = config(SEEDS);
    config.metadata_recovery = MetadataRecovery::Rebootstrap { trigger: Duration::from_secs(20) };
    config.connection.request_timeout = Duration::from_secs(8);
    let client = Client::connect(config, env.clone()).await.unwrap();
    hung.store(true, Ordering::SeqCst);
    client.metadata().request_update();
    env.sleep(Duration::from_secs(10)).await;
    Cluster::start(&network, 3).serve(SEEDS, |_| None);
    let version = client.metadata().version();
    let changed = env.timeout_at(deadline(&env, 30), client.metadata().changed_since(version)).await;
    assert_eq!(changed.expect("soon after the trigger").brokers.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn every_attempt_resolves_the_name_again() {
    // kafka-python#1683, aiokafka#456: old addresses were retried for ever. What connects is asked for the name each time.
    let network = Network::default();
    let env = network.env();
    let client = Client::new(config("moving:9092"), env.clone());
    env.sleep(Duration::from_secs(10)).await;
    let attempts = network.connects().len();
    assert!((8..=14).contains(&attempts), "{attempts} attempts");
    assert!(network.connects().iter().all(|name| name == "moving:9092"), "by name, not by an address");
    Cluster::start(&network, 1).serve("moving:9092", |_| None);
    env.timeout_at(deadline(&env, 2), client.metadata().changed_since(0)).await.expect("found");
}

#[tokio::test(start_paused = true)]
async fn a_hung_broker_does_not_keep_metadata_from_another() {
    for silent in [true, false] {
        let network = Network::default();
        let cluster = Cluster::start(&network, 3);
        cluster.topic("orders", &[(3, 0)]);
        let env = network.env();
        let client = Client::connect(config("broker-3:9092"), env.clone()).await.unwrap();
        for node in ["broker-1:9092", "broker-2:9092"] {
            match silent {
                true => cluster.serve(node, |_| Some(Action::Silence)),
                false => network.black_hole(node),
            }
        }
        // Both are asked first: the connection to the third one was lost.
        network.refuse("broker-3:9092");
        network.close_streams();
        env.sleep(Duration::from_millis(1)).await;
        cluster.serve("broker-3:9092", |_| None);
        let started = env.now();
        let _interest = client.metadata().interest("orders".into(), false);
        client.metadata().wait_for_topic("orders", deadline(&env, 60)).await.unwrap();
        assert!(env.now() - started <= Duration::from_secs(4), "{:?}", env.now() - started);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_broker_is_waited_for_when_there_is_no_other() {
    // A cluster that needs six seconds for each answer must not be given up again and again.
    let network = Network::default();
    let cluster = Cluster::new(&network, 2);
    for node in ["broker-1:9092", "broker-2:9092"] {
        let slow = cluster.clone();
        cluster.serve(node, move |request| match request.api() {
            ApiKey::Metadata => match slow.answer_metadata(request) {
                Action::Answer(answer) => Some(Action::AnswerLater(Duration::from_secs(6), answer)),
                other => Some(other),
            },
            _ => None,
        });
    }
    let env = network.env();
    let started = env.now();
    Client::connect(config("broker-1:9092,broker-2:9092"), env.clone()).await.unwrap();
    assert_eq!(env.now() - started, Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_created_later_is_waited_for() {
    let network = Network::default();
    let cluster = Cluster::start(&network, 1);
    let env = network.env();
    let client = Client::connect(config("broker-1:9092"), env.clone()).await.unwrap();
    let _interest = client.metadata().interest("orders".into(), false);
    let created = async {
        env.sleep(Duration::from_secs(5)).await;
        cluster.topic("orders", &[(1, 0), (1, 0)]);
    };
    let (known, ()) = tokio::join!(client.metadata().wait_for_topic("orders", deadline(&env, 60)), created);
    assert_eq!(known.unwrap().partitions.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_does_not_come_is_an_error_that_says_so() {
    let network = Network::default();
    Cluster::start(&network, 1);
    let env = network.env();
    let client = Client::connect(config("broker-1:9092"), env.clone()).await.unwrap();
    let _interest = client.metadata().interest("orders".into(), false);
    let error = client.metadata().wait_for_topic("orders", deadline(&env, 5)).await.unwrap_err();
    let code = Some(ErrorCode::UnknownTopicOrPartition);
    assert_eq!(error, TopicError::Timeout { topic: "orders".to_owned(), code, failure: None });
    assert!(error.to_string().contains("it does not exist: create it"), "{error}");
    assert!(error.is_retriable());

    network.refuse("broker-1:9092");
    network.close_streams();
    let _interest = client.metadata().interest("users".into(), false);
    let error = client.metadata().wait_for_topic("users", deadline(&env, 5)).await.unwrap_err();
    assert!(error.to_string().contains("the last attempt to ask failed: broker-1:9092"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_reported_at_once_and_asked_about_again_at_the_next_try() {
    let network = Network::default();
    let cluster = Cluster::start(&network, 1);
    let refuse = |metadata: &mut MetadataResponse| {
        metadata.topics = vec![MetadataResponseTopic {
            error_code: ErrorCode::TopicAuthorizationFailed,
            name: Some("secret".into()),
            ..Default::default()
        }];
    };
    cluster.change(refuse);
    let env = network.env();
    let client = Client::connect(config("broker-1:9092"), env.clone()).await.unwrap();
    let _interest = client.metadata().interest("secret".into(), false);
    let started = env.now();
    for _ in 0..2 {
        let error = client.metadata().wait_for_topic("secret", deadline(&env, 60)).await.unwrap_err();
        assert!(matches!(error, TopicError::Refused { code: ErrorCode::TopicAuthorizationFailed, .. }));
        assert!(!error.is_retriable());
    }
    assert!(env.now() - started < Duration::from_secs(1));
    cluster.topic("secret", &[(1, 0)]);
    client.metadata().wait_for_topic("secret", deadline(&env, 60)).await.unwrap();
    assert!(env.now() - started < Duration::from_secs(2), "not only when the metadata is too old");
}

#[tokio::test(start_paused = true)]
async fn topics_are_created_only_for_those_who_want_that() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    let (creating, asked) = (cluster.clone(), Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    cluster.serve("broker-1:9092", move |request| {
        if request.api() != ApiKey::Metadata {
            return None;
        }
        let asked: MetadataRequest = request.peek();
        for topic in asked.topics.iter().flatten().filter(|_| asked.allow_auto_topic_creation) {
            count.fetch_add(1, Ordering::SeqCst);
            creating.topic(topic.name.as_deref().unwrap(), &[(1, 0)]);
        }
        None
    });
    let env = network.env();
    let client = Client::connect(config("broker-1:9092"), env.clone()).await.unwrap();
    let metadata = client.metadata();
    let _reader = metadata.interest("read".into(), false);
    let _everything = metadata.interest_in_all();
    let _writer = metadata.interest("written".into(), true);
    metadata.wait_for_topic("written", deadline(&env, 60)).await.unwrap();
    let error = metadata.wait_for_topic("read", deadline(&env, 5)).await;
    assert!(error.is_err(), "it was created: {error:?}");
    env.sleep(Duration::from_secs(600)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1, "and no more once it is there");
}

#[tokio::test(start_paused = true)]
async fn a_leader_told_by_its_predecessor_is_used_without_asking() {
    let network = Network::default();
    let cluster = Cluster::start(&network, 2);
    cluster.topic("orders", &[(1, 4)]);
    let env = network.env();
    let client = Client::connect(config("broker-1:9092"), env.clone()).await.unwrap();
    let _interest = client.metadata().interest("orders".into(), false);
    client.metadata().wait_for_topic("orders", deadline(&env, 60)).await.unwrap();
    let asked = network.count(ApiKey::Metadata);
    let version = client.metadata().version();
    let hint = LeaderHint { topic: "orders".into(), partition: 0, leader_id: 2, leader_epoch: 5 };
    client.metadata().apply_leader_hints(std::slice::from_ref(&hint), &[]);
    assert_eq!(node_of(&client, "orders", 0), Some(2));
    assert_eq!(client.metadata().version(), version + 1);
    client.metadata().apply_leader_hints(&[hint], &[]);
    assert_eq!(client.metadata().version(), version + 1, "known already");
    assert_eq!(network.count(ApiKey::Metadata), asked);
}

#[tokio::test(start_paused = true)]
async fn a_leaderless_partition_gets_its_leader() {
    // vector#25375, end to end.
    let network = Network::default();
    let cluster = Cluster::start(&network, 2);
    cluster.topic("orders", &[(-1, 4)]);
    let env = network.env();
    let client = Client::connect(config("broker-1:9092"), env.clone()).await.unwrap();
    let _interest = client.metadata().interest("orders".into(), false);
    env.sleep(Duration::from_secs(600)).await;
    assert_eq!(node_of(&client, "orders", 0), None);
    cluster.topic("orders", &[(2, 5)]);
    env.sleep(Duration::from_millis(1_300)).await;
    assert_eq!(node_of(&client, "orders", 0), Some(2));
}

/// Answers FindCoordinator in the form of its version; `answer` makes code, node and port.
fn coordinator(request: &mut Received, code: ErrorCode, host: &str) -> Option<Action> {
    if request.api() != ApiKey::FindCoordinator {
        return None;
    }
    let asked: FindCoordinatorRequest = request.decode();
    let (host, port) = (host.to_owned().into(), 9092);
    let response = if request.version() >= 4 {
        assert_eq!(asked.coordinator_keys.len(), 1);
        let found = Coordinator {
            key: asked.coordinator_keys[0].clone(),
            error_code: code,
            host,
            port,
            ..Default::default()
        };
        FindCoordinatorResponse { coordinators: vec![found], ..Default::default() }
    } else {
        assert!(!asked.key.is_empty());
        FindCoordinatorResponse { error_code: code, host, port, ..Default::default() }
    };
    Some(request.answer::<FindCoordinatorRequest>(&response))
}

#[tokio::test(start_paused = true)]
async fn coordinators_are_found_in_both_forms_of_the_request() {
    for max in [2, 3, 4, 6] {
        let network = Network::default();
        let cluster = Cluster::new(&network, 1);
        cluster.serve("broker-1:9092", move |request| match request.api() {
            ApiKey::ApiVersions => Some(request.answer_api_versions_with(|key, versions| match key {
                ApiKey::FindCoordinator => Some(VersionRange { min: 0, max }),
                _ => Some(versions),
            })),
            _ => coordinator(request, ErrorCode::None, "broker-7"),
        });
        let client = Client::connect(config("broker-1:9092"), network.env()).await.unwrap();
        for target in [
            Target::GroupCoordinator("billing".to_owned()),
            Target::TransactionCoordinator("billing-1".to_owned()),
        ] {
            let found = client.resolve(&target).await.unwrap();
            assert_eq!(found.to_string(), "broker-7:9092");
        }
        assert!(network.requests().iter().any(|seen| seen.version == max));
    }
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_is_not_there_yet_is_looked_up_again() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    let asked = AtomicUsize::new(0);
    cluster.serve("broker-1:9092", move |request| match request.api() {
        ApiKey::FindCoordinator => {
            let code = match asked.fetch_add(1, Ordering::SeqCst) {
                0 | 1 => ErrorCode::CoordinatorNotAvailable,
                _ => ErrorCode::None,
            };
            coordinator(request, code, "broker-1")
        }
        _ => None,
    });
    let client = Client::connect(config("broker-1:9092"), network.env()).await.unwrap();
    let target = Target::GroupCoordinator("billing".to_owned());
    let timeout = Duration::from_secs(60);
    let found = client.retry("look-up", timeout, || client.resolve(&target)).await.unwrap();
    assert_eq!(found.to_string(), "broker-1:9092");
    assert_eq!(network.count(ApiKey::FindCoordinator), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refused_look_up_names_the_group() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    cluster.serve("broker-1:9092", |request| coordinator(request, ErrorCode::GroupAuthorizationFailed, ""));
    let client = Client::connect(config("broker-1:9092"), network.env()).await.unwrap();
    let error = client.resolve(&Target::GroupCoordinator("billing".to_owned())).await.unwrap_err();
    assert!(matches!(error, RequestError::Broker { code: ErrorCode::GroupAuthorizationFailed, .. }));
    assert!(error.to_string().contains("billing"), "{error}");
}
