//! What real brokers do rarely or no more: controllers that move, answers that are lost, old versions, hung leaders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use milena_admin::{
    Admin, AdminErrorReason, ConfigChange, ConfigResource, NewPartitions, OffsetSpec, TopicSpec,
};
use milena_client::{Client, TopicPartition};
use milena_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use milena_protocol::messages::create_topics_response::CreatableTopicResult;
use milena_protocol::messages::delete_topics_response::DeletableTopicResult;
use milena_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use milena_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use milena_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, CreatePartitionsRequest, CreatePartitionsResponse,
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    DescribeConfigsRequest, DescribeConfigsResponse, ListOffsetsRequest, ListOffsetsResponse,
};
use milena_protocol::{ApiKey, ErrorCode, VersionRange};

use crate::peer::{Action, Cluster, Network, Received, config};

async fn admin(network: &Network) -> Admin {
    Admin::new(Client::connect(config("broker-1:9092"), network.env()).await.unwrap())
}

/// The ranges of Kafka 2.1 for the APIs that matter here.
fn kafka_2_1(key: ApiKey, versions: VersionRange) -> Option<VersionRange> {
    let max = match key {
        ApiKey::Metadata => 7,
        ApiKey::CreateTopics | ApiKey::DeleteTopics => 3,
        ApiKey::CreatePartitions | ApiKey::AlterConfigs | ApiKey::DeleteRecords => 1,
        ApiKey::DescribeConfigs => 2,
        ApiKey::ListOffsets => 4,
        ApiKey::IncrementalAlterConfigs => return None,
        _ => versions.max,
    };
    Some(VersionRange { min: 0, max })
}

/// Answers CreateTopics with `code` for each topic.
fn create_topics(request: &mut Received, code: impl Fn(&str) -> ErrorCode) -> Action {
    let asked: CreateTopicsRequest = request.decode();
    let topic = |name: milena_protocol::ByteStr| CreatableTopicResult {
        error_code: code(&name),
        name,
        num_partitions: 1,
        ..Default::default()
    };
    let topics = asked.topics.into_iter().map(|asked| topic(asked.name)).collect();
    request.answer::<CreateTopicsRequest>(&CreateTopicsResponse { topics, ..Default::default() })
}

#[tokio::test(start_paused = true)]
async fn changes_follow_the_controller() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 2);
    let moved = cluster.clone();
    cluster.serve("broker-1:9092", move |request| match request.api() {
        ApiKey::CreateTopics => {
            // It has just been replaced, and knows by whom.
            moved.change(|metadata| metadata.controller_id = 2);
            Some(create_topics(request, |_| ErrorCode::NotController))
        }
        _ => None,
    });
    cluster.serve("broker-2:9092", |request| match request.api() {
        ApiKey::CreateTopics => Some(create_topics(request, |_| ErrorCode::None)),
        _ => None,
    });
    admin(&network).await.create_topic(TopicSpec::new("orders")).await.unwrap();
    let asked: Vec<_> =
        network.requests().into_iter().filter(|seen| seen.api == ApiKey::CreateTopics).collect();
    assert_eq!(asked.first().unwrap().address, "broker-1:9092");
    assert_eq!(asked.last().unwrap().address, "broker-2:9092");
    assert!(asked.len() <= 4, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn only_what_is_open_is_asked_again() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    cluster.serve("broker-1:9092", move |request| match request.api() {
        ApiKey::CreateTopics => {
            let round = count.fetch_add(1, Ordering::SeqCst);
            let names: CreateTopicsRequest = request.peek();
            assert_eq!(names.topics.len(), if round == 0 { 3 } else { 1 });
            Some(create_topics(request, |name| match (name, round) {
                ("exists", _) => ErrorCode::TopicAlreadyExists,
                ("later", 0 | 1) => ErrorCode::ThrottlingQuotaExceeded,
                _ => ErrorCode::None,
            }))
        }
        _ => None,
    });
    let topics = ["fine", "later", "exists"].map(TopicSpec::new);
    let results = admin(&network).await.create_topics(topics).await;
    let errors: BTreeMap<_, _> =
        results.errors().map(|(name, error)| (name.as_str(), error.code())).collect();
    assert_eq!(errors, BTreeMap::from([("exists", Some(ErrorCode::TopicAlreadyExists))]));
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_lost_answer_says_that_it_may_be_the_operations_own_effect() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    let asked = AtomicUsize::new(0);
    cluster.serve("broker-1:9092", move |request| match (request.api(), asked.load(Ordering::SeqCst)) {
        (ApiKey::CreateTopics, 0) => {
            asked.fetch_add(1, Ordering::SeqCst);
            Some(Action::Close)
        }
        (ApiKey::CreateTopics, _) => Some(create_topics(request, |_| ErrorCode::TopicAlreadyExists)),
        _ => None,
    });
    let error = admin(&network).await.create_topic(TopicSpec::new("orders")).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TopicAlreadyExists));
    assert!(error.possibly_done());
    assert!(error.to_string().contains("the answer to an earlier attempt was lost"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_makes_no_later_refusal_doubtful() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    let exists = |request: &mut Received| match request.api() {
        ApiKey::CreateTopics => Some(create_topics(request, |_| ErrorCode::TopicAlreadyExists)),
        _ => None,
    };
    cluster.serve("broker-1:9092", exists);
    let admin = admin(&network).await;
    network.refuse("broker-1:9092");
    network.close_streams();
    let env = network.env();
    let returns = async {
        env.sleep(Duration::from_secs(2)).await;
        cluster.serve("broker-1:9092", exists);
    };
    let (result, ()) = tokio::join!(admin.create_topic(TopicSpec::new("orders")), returns);
    let error = result.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TopicAlreadyExists));
    assert!(!error.possibly_done());
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_gone_for_good_is_given_up_in_time() {
    let network = Network::default();
    Cluster::start(&network, 1);
    let admin = admin(&network).await.timeout(Duration::from_secs(10));
    network.refuse("broker-1:9092");
    network.close_streams();
    let env = network.env();
    let started = env.now();
    let error = admin.delete_topic("orders").await.unwrap_err();
    assert!(env.now() - started <= Duration::from_secs(10));
    let text = error.to_string();
    assert!(
        text.starts_with("topic orders: gave up after 10000 ms; last: broker-1:9092: cannot connect"),
        "{text}"
    );
    assert!(!error.possibly_done() && error.is_retriable());
    let error = admin.list_topics().await.unwrap_err().to_string();
    assert!(
        error.starts_with("list topics: list topics: gave up") || error.starts_with("list topics: gave up"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hung_controller_leaves_the_outcome_open() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    cluster
        .serve("broker-1:9092", |request| (request.api() == ApiKey::DeleteTopics).then_some(Action::Silence));
    let admin = admin(&network).await.timeout(Duration::from_secs(10));
    let error = admin.delete_topic("orders").await.unwrap_err();
    assert!(matches!(error.reason, AdminErrorReason::TimedOut { possibly_done: true, .. }), "{error}");
    assert!(error.possibly_done());
}

#[tokio::test(start_paused = true)]
async fn what_the_answer_leaves_out_is_an_error() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    cluster.serve("broker-1:9092", |request| match request.api() {
        ApiKey::CreatePartitions => {
            Some(request.answer::<CreatePartitionsRequest>(&CreatePartitionsResponse::default()))
        }
        _ => None,
    });
    let results = admin(&network).await.create_partitions([NewPartitions::new("orders", 2)]).await;
    assert_eq!(results.all().unwrap_err().reason, AdminErrorReason::LeftOut);
}

#[tokio::test(start_paused = true)]
async fn an_old_broker_that_knows_no_defaults_says_what_to_give() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    cluster.serve("broker-1:9092", |request| match request.api() {
        ApiKey::ApiVersions => Some(request.answer_api_versions_with(kafka_2_1)),
        ApiKey::CreateTopics => {
            let asked: CreateTopicsRequest = request.peek();
            let is_full = |topic: &str| {
                asked.topics.iter().any(|asked| asked.name == *topic && asked.num_partitions > 0)
            };
            Some(create_topics(request, |topic| match is_full(topic) {
                true => ErrorCode::None,
                false => ErrorCode::InvalidPartitions,
            }))
        }
        _ => None,
    });
    let topics = [
        TopicSpec::new("defaults"),
        TopicSpec::new("full").partitions(1).replication_factor(1),
        TopicSpec::new("none").partitions(0).replication_factor(1),
    ];
    let results = admin(&network).await.create_topics(topics).await;
    let error = results.get("defaults").unwrap().unwrap_err();
    assert!(matches!(error.reason, AdminErrorReason::NotSupported(_)));
    let text = error.to_string();
    assert!(
        text.contains("topic defaults: ") && text.contains("KIP-464") && text.contains("give both"),
        "{text}"
    );
    let created = results.get("full").unwrap().unwrap();
    assert_eq!(created.topic_id, None);
    assert_eq!(results.get("none").unwrap().unwrap_err().code(), Some(ErrorCode::InvalidPartitions));
}

#[tokio::test(start_paused = true)]
async fn topics_are_deleted_in_both_forms_of_the_request() {
    for old in [true, false] {
        let network = Network::default();
        let cluster = Cluster::new(&network, 1);
        cluster.serve("broker-1:9092", move |request| match request.api() {
            ApiKey::ApiVersions if old => Some(request.answer_api_versions_with(kafka_2_1)),
            ApiKey::DeleteTopics => {
                let asked: DeleteTopicsRequest = request.decode();
                let structs = asked.topics.into_iter().filter_map(|topic| topic.name);
                let name = asked.topic_names.into_iter().chain(structs).next();
                let deleted = DeletableTopicResult { name, ..Default::default() };
                let response = DeleteTopicsResponse { responses: vec![deleted], ..Default::default() };
                Some(request.answer::<DeleteTopicsRequest>(&response))
            }
            _ => None,
        });
        admin(&network).await.delete_topic("orders").await.unwrap();
    }
}

/// A broker of Kafka 2.1 whose topic has these configurations of its own; what is written comes out of the returned cell.
fn serve_old_configs(
    network: &Network,
    own: &'static [(&'static str, Option<&'static str>)],
) -> Arc<std::sync::Mutex<BTreeMap<String, String>>> {
    let written = Arc::new(std::sync::Mutex::new(BTreeMap::new()));
    let cell = written.clone();
    Cluster::new(network, 1).serve("broker-1:9092", move |request| match request.api() {
        ApiKey::ApiVersions => Some(request.answer_api_versions_with(kafka_2_1)),
        ApiKey::DescribeConfigs => {
            let asked: DescribeConfigsRequest = request.decode();
            let config =
                |(name, value, config_source): (&str, Option<&str>, i8)| DescribeConfigsResourceResult {
                    name: name.into(),
                    value: value.map(Into::into),
                    config_source,
                    ..Default::default()
                };
            let own = own.iter().map(|(name, value)| (*name, *value, 1));
            let default = ("cleanup.policy", Some("delete"), 5);
            let result = DescribeConfigsResult {
                resource_type: asked.resources[0].resource_type,
                resource_name: asked.resources[0].resource_name.clone(),
                configs: own.chain([default]).map(config).collect(),
                ..Default::default()
            };
            let response = DescribeConfigsResponse { results: vec![result], ..Default::default() };
            Some(request.answer::<DescribeConfigsRequest>(&response))
        }
        ApiKey::AlterConfigs => {
            let asked: AlterConfigsRequest = request.decode();
            let resource = asked.resources.into_iter().next().unwrap();
            let configs = resource.configs.into_iter();
            *cell.lock().unwrap() =
                configs.map(|config| (config.name.to_string(), config.value.unwrap().to_string())).collect();
            let answer = AlterConfigsResourceResponse {
                resource_type: resource.resource_type,
                resource_name: resource.resource_name,
                ..Default::default()
            };
            let response = AlterConfigsResponse { responses: vec![answer], ..Default::default() };
            Some(request.answer::<AlterConfigsRequest>(&response))
        }
        _ => None,
    });
    written
}

#[tokio::test(start_paused = true)]
async fn before_2_3_all_that_is_set_is_written_back_with_the_changes() {
    let network = Network::default();
    let own = &[
        ("leader.replication.throttled.replicas", Some("0:1,1:2")),
        ("max.message.bytes", Some("1")),
        ("retention.ms", Some("5000")),
        ("segment.ms", Some("7")),
    ];
    let written = serve_old_configs(&network, own);
    let changes = vec![
        ConfigChange::set("retention.ms", "6000"),
        ConfigChange::delete("segment.ms"),
        ConfigChange::append("cleanup.policy", "compact"),
        ConfigChange::subtract("leader.replication.throttled.replicas", "0:1"),
    ];
    let topic = ConfigResource::Topic("orders".to_owned());
    admin(&network).await.alter_configs([(topic, changes)]).await.all().unwrap();
    let expected = [
        ("cleanup.policy", "delete,compact"),
        ("leader.replication.throttled.replicas", "1:2"),
        ("max.message.bytes", "1"),
        ("retention.ms", "6000"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(*written.lock().unwrap(), BTreeMap::from(expected));
}

#[tokio::test(start_paused = true)]
async fn before_2_3_what_holds_secrets_is_left_alone() {
    let network = Network::default();
    let written = serve_old_configs(&network, &[("ssl.keystore.password", None)]);
    let topic = ConfigResource::Topic("orders".to_owned());
    let change = vec![ConfigChange::set("retention.ms", "6000")];
    let error = admin(&network).await.alter_configs([(topic, change)]).await.all().unwrap_err();
    assert!(matches!(error.reason, AdminErrorReason::NotSupported(_)), "{error}");
    assert!(written.lock().unwrap().is_empty());
    assert_eq!(network.count(ApiKey::AlterConfigs), 0);
}

/// Answers ListOffsets with `code`, and with the partition's number times ten.
fn list_offsets(request: &mut Received, code: ErrorCode) -> Action {
    let asked: ListOffsetsRequest = request.decode();
    let topics = asked.topics.into_iter().map(|topic| ListOffsetsTopicResponse {
        partitions: topic
            .partitions
            .iter()
            .map(|partition| ListOffsetsPartitionResponse {
                partition_index: partition.partition_index,
                error_code: code,
                offset: i64::from(partition.partition_index) * 10,
                ..Default::default()
            })
            .collect(),
        name: topic.name,
        ..Default::default()
    });
    request
        .answer::<ListOffsetsRequest>(&ListOffsetsResponse { topics: topics.collect(), ..Default::default() })
}

fn latest(partitions: std::ops::Range<i32>) -> impl Iterator<Item = (TopicPartition, OffsetSpec)> {
    partitions.map(|partition| (TopicPartition::new("orders", partition), OffsetSpec::Latest))
}

#[tokio::test(start_paused = true)]
async fn leaders_are_asked_side_by_side_and_looked_up_again_when_they_moved() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 3);
    cluster.topic("orders", &[(1, 0), (2, 0), (3, 0)]);
    let moved = cluster.clone();
    cluster.serve("broker-1:9092", |request| {
        (request.api() == ApiKey::ListOffsets).then(|| list_offsets(request, ErrorCode::None))
    });
    cluster.serve("broker-2:9092", move |request| {
        (request.api() == ApiKey::ListOffsets).then(|| {
            moved.topic("orders", &[(1, 0), (1, 1), (3, 0)]);
            list_offsets(request, ErrorCode::NotLeaderOrFollower)
        })
    });
    cluster.serve("broker-3:9092", |request| {
        (request.api() == ApiKey::ListOffsets).then(|| match list_offsets(request, ErrorCode::None) {
            Action::Answer(answer) => Action::AnswerLater(Duration::from_secs(1), answer),
            other => other,
        })
    });
    let offsets = admin(&network).await.list_offsets(latest(0..3)).await.all().unwrap();
    let offsets: Vec<_> = offsets.values().map(|listed| listed.offset.unwrap()).collect();
    assert_eq!(offsets, [0, 10, 20]);
    assert_eq!(network.count(ApiKey::ListOffsets), 4, "three leaders, and the new one of partition 1");
}

#[tokio::test(start_paused = true)]
async fn a_hung_leader_costs_only_its_own_partitions() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 2);
    cluster.topic("orders", &[(1, 0), (2, 0)]);
    cluster.serve("broker-1:9092", |request| {
        (request.api() == ApiKey::ListOffsets).then(|| list_offsets(request, ErrorCode::None))
    });
    network.black_hole("broker-2:9092");
    let admin = admin(&network).await.timeout(Duration::from_secs(15));
    let results = admin.list_offsets(latest(0..2)).await;
    assert!(results.get(&TopicPartition::new("orders", 0)).unwrap().is_ok());
    let error = results.get(&TopicPartition::new("orders", 1)).unwrap().unwrap_err();
    assert!(error.to_string().starts_with("orders-1: gave up after 15000 ms"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_highest_timestamp_needs_a_newer_broker_than_2_1() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    cluster.topic("orders", &[(1, 5), (1, 5)]);
    cluster.serve("broker-1:9092", |request| match request.api() {
        ApiKey::ApiVersions => Some(request.answer_api_versions_with(kafka_2_1)),
        ApiKey::ListOffsets => {
            let asked: ListOffsetsRequest = request.peek();
            let epochs = asked.topics[0].partitions.iter().map(|partition| partition.current_leader_epoch);
            assert!(epochs.into_iter().all(|epoch| epoch == -1), "metadata before 2.4 may lag in them");
            assert_eq!(asked.isolation_level, 1, "read_committed: the last stable offset");
            Some(list_offsets(request, ErrorCode::None))
        }
        _ => None,
    });
    let wanted = [
        (TopicPartition::new("orders", 0), OffsetSpec::MaxTimestamp),
        (TopicPartition::new("orders", 1), OffsetSpec::LatestStable),
    ];
    let results = admin(&network).await.list_offsets(wanted).await;
    let error = results.get(&TopicPartition::new("orders", 0)).unwrap().unwrap_err();
    assert!(error.to_string().contains("needs Kafka 3.0"), "{error}");
    assert!(results.get(&TopicPartition::new("orders", 1)).unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_ready_when_every_broker_knows_all_of_it() {
    let network = Network::default();
    let cluster = Cluster::start(&network, 2);
    let behind = Cluster::new(&network, 2);
    let lagging = behind.clone();
    cluster.serve("broker-2:9092", move |request| {
        (request.api() == ApiKey::Metadata).then(|| lagging.answer_metadata(request))
    });
    let admin = admin(&network).await;
    cluster.topic("orders", &[(1, 0), (2, 0)]);
    let env = network.env();
    let catches_up = async {
        env.sleep(Duration::from_secs(1)).await;
        behind.topic("orders", &[(1, 0)]);
        env.sleep(Duration::from_secs(1)).await;
        behind.topic("orders", &[(1, 0), (-1, 0)]);
        env.sleep(Duration::from_secs(1)).await;
        behind.topic("orders", &[(1, 0), (2, 0)]);
    };
    let started = env.now();
    let (ready, ()) = tokio::join!(admin.wait_until_ready("orders"), catches_up);
    assert_eq!(ready.unwrap().partitions.len(), 2);
    let waited = env.now() - started;
    assert!((3_000..=4_300).contains(&waited.as_millis()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_may_not_be_seen_is_not_waited_for() {
    let network = Network::default();
    let cluster = Cluster::start(&network, 1);
    cluster.topic("secret", &[]);
    cluster.change(|metadata| metadata.topics[0].error_code = ErrorCode::TopicAuthorizationFailed);
    let env = network.env();
    let started = env.now();
    let error = admin(&network).await.wait_until_ready("secret").await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TopicAuthorizationFailed));
    assert!(env.now() - started < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn describing_a_topic_creates_none() {
    let network = Network::default();
    let cluster = Cluster::new(&network, 1);
    cluster.serve("broker-1:9092", |request| {
        if request.api() == ApiKey::Metadata {
            let asked: milena_protocol::messages::MetadataRequest = request.peek();
            assert!(!asked.allow_auto_topic_creation);
        }
        None
    });
    let error = admin(&network).await.describe_topic("typo").await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
}
