//! Every operation on the embedded broker.

use std::collections::BTreeMap;

use milena_admin::{
    Admin, AdminErrorReason, ConfigChange, ConfigEntry, ConfigResource, ConfigSource, DeleteBefore,
    NewPartitions, OffsetSpec, TopicSpec,
};
use milena_broker::{Cluster, Dialer};
use milena_client::env::{Connecting, Connector, Stream};
use milena_client::{Address, Client, ClientConfig, Env, TopicPartition};
use milena_protocol::ErrorCode;

/// Connects to the embedded broker in memory.
struct InMemory(Dialer);

impl Connector for InMemory {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        Box::pin(async move {
            let stream = self.0.connect(&address.to_string())?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

async fn cluster_of(nodes: usize) -> (Cluster, Admin) {
    let cluster = Cluster::builder().in_memory().nodes(nodes).start().await.unwrap();
    let env = Env::builder().seed(1).connector(InMemory(cluster.dialer())).build();
    let config = ClientConfig::new(Address::parse_list(&cluster.bootstrap()).unwrap());
    let client = Client::connect(config, env).await.unwrap();
    (cluster, Admin::new(client))
}

fn value<'a>(entries: &'a [ConfigEntry], name: &str) -> (Option<&'a str>, ConfigSource) {
    let entry = entries.iter().find(|entry| entry.name == name).expect("the configuration is known");
    (entry.value.as_deref(), entry.source)
}

#[tokio::test(start_paused = true)]
async fn a_topic_lives_its_life() {
    let (_cluster, admin) = cluster_of(3).await;
    let spec =
        TopicSpec::new("orders").partitions(6).replication_factor(3).config("cleanup.policy", "compact");
    let created = admin.create_topic(spec).await.unwrap();
    assert_eq!((created.partitions, created.replication_factor), (Some(6), Some(3)));
    let ready = admin.wait_until_ready("orders").await.unwrap();
    assert_eq!(ready.topic_id, created.topic_id);
    assert_eq!(ready.partitions.len(), 6);
    assert!(ready.partitions.iter().all(|partition| partition.replicas.len() == 3));
    assert_eq!(admin.describe_topic("orders").await.unwrap(), ready);

    admin.create_partitions([NewPartitions::new("orders", 8)]).await.all().unwrap();
    assert_eq!(admin.wait_until_ready("orders").await.unwrap().partitions.len(), 8);
    let listed = admin.list_topics().await.unwrap();
    let orders = listed.iter().find(|topic| topic.name == "orders").unwrap();
    assert_eq!((orders.partitions, orders.is_internal), (8, false));

    admin.delete_topic("orders").await.unwrap();
    assert!(admin.list_topics().await.unwrap().iter().all(|topic| topic.name != "orders"));
    let gone = admin.delete_topic("orders").await.unwrap_err();
    assert_eq!(gone.code(), Some(ErrorCode::UnknownTopicOrPartition));
    assert!(gone.to_string().starts_with("topic orders: UNKNOWN_TOPIC_OR_PARTITION"), "{gone}");
}

#[tokio::test(start_paused = true)]
async fn each_topic_has_its_own_outcome() {
    let (_cluster, admin) = cluster_of(1).await;
    let results = admin
        .create_topics([
            TopicSpec::new("defaults"),
            TopicSpec::new("bad name!"),
            TopicSpec::new("many-replicas").partitions(1).replication_factor(3),
            TopicSpec::new("bad-config").config("no.such.config", "1"),
            TopicSpec::new("twice"),
            TopicSpec::new("twice"),
            TopicSpec::new("both").partitions(1).assignments([[1]]),
            TopicSpec::new("assigned").assignments([[1], [1]]),
        ])
        .await;
    let codes: BTreeMap<_, _> = results.errors().map(|(name, error)| (name.as_str(), error.code())).collect();
    assert_eq!(
        codes,
        BTreeMap::from([
            ("bad name!", Some(ErrorCode::InvalidTopicException)),
            ("many-replicas", Some(ErrorCode::InvalidReplicationFactor)),
            ("bad-config", Some(ErrorCode::InvalidConfig)),
            ("twice", None),
            ("both", None),
        ])
    );
    assert_eq!(results.len(), 7);
    assert_eq!(results.get("assigned").unwrap().unwrap().partitions, Some(2));
    assert!(results.get("defaults").unwrap().is_ok());
    assert!(results.get("unnamed").is_none());
    let exists = admin.create_topic(TopicSpec::new("assigned")).await.unwrap_err();
    assert_eq!(exists.code(), Some(ErrorCode::TopicAlreadyExists));
    assert!(!exists.possibly_done() && !exists.is_retriable());
}

#[tokio::test(start_paused = true)]
async fn validating_changes_nothing() {
    let (cluster, admin) = cluster_of(1).await;
    admin.validate_topics([TopicSpec::new("orders").partitions(2)]).await.all().unwrap();
    assert!(cluster.topics().is_empty());
    admin.create_topic(TopicSpec::new("orders").partitions(2)).await.unwrap();
    admin.validate_partitions([NewPartitions::new("orders", 4)]).await.all().unwrap();
    assert_eq!(cluster.partitions("orders"), 2);
    let fewer = admin.validate_partitions([NewPartitions::new("orders", 1)]).await.all().unwrap_err();
    assert_eq!(fewer.code(), Some(ErrorCode::InvalidPartitions));
    let topic = ConfigResource::Topic("orders".to_owned());
    let change = || vec![ConfigChange::set("retention.ms", "1000")];
    admin.validate_configs([(topic.clone(), change())]).await.all().unwrap();
    let configs = admin.describe_configs([topic.clone()]).await.all().unwrap();
    assert_eq!(value(&configs[&topic], "retention.ms").1, ConfigSource::Default);
}

#[tokio::test(start_paused = true)]
async fn configurations_are_changed_one_by_one() {
    let (_cluster, admin) = cluster_of(1).await;
    admin.create_topic(TopicSpec::new("orders").config("retention.ms", "5000")).await.unwrap();
    let topic = ConfigResource::Topic("orders".to_owned());
    let changes = vec![
        ConfigChange::set("max.message.bytes", "2000000"),
        ConfigChange::delete("retention.ms"),
        ConfigChange::append("cleanup.policy", "compact"),
    ];
    admin.alter_configs([(topic.clone(), changes)]).await.all().unwrap();
    let configs = admin.describe_configs([topic.clone()]).await.all().unwrap();
    let entries = &configs[&topic];
    assert_eq!(value(entries, "max.message.bytes"), (Some("2000000"), ConfigSource::Topic));
    assert_eq!(value(entries, "retention.ms").1, ConfigSource::Default);
    assert_eq!(value(entries, "cleanup.policy").0, Some("delete,compact"));

    let bad = vec![ConfigChange::set("retention.ms", "soon")];
    let error = admin.alter_configs([(topic, bad)]).await.all().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::InvalidConfig));
    assert!(error.to_string().starts_with("topic orders: INVALID_CONFIG"), "{error}");
    let unknown = ConfigResource::Topic("unknown".to_owned());
    let error = admin.describe_configs([unknown]).await.all().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
}

#[tokio::test(start_paused = true)]
async fn a_brokers_configuration_comes_from_that_broker() {
    let (_cluster, admin) = cluster_of(3).await;
    let brokers: Vec<_> = (1..=3).map(ConfigResource::Broker).collect();
    let configs = admin.describe_configs(brokers.clone()).await.all().unwrap();
    assert_eq!(configs.len(), 3);
    assert!(configs.values().all(|entries| !entries.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn the_cluster_is_described() {
    let (cluster, admin) = cluster_of(3).await;
    let described = admin.describe_cluster().await.unwrap();
    let addresses: Vec<_> = described.brokers.iter().map(|broker| broker.address.to_string()).collect();
    assert_eq!(addresses.join(","), cluster.bootstrap());
    assert!(described.cluster_id.is_some() && described.controller_id.is_some());
}

#[tokio::test(start_paused = true)]
async fn offsets_of_all_partitions_are_listed() {
    let (_cluster, admin) = cluster_of(3).await;
    admin.create_topic(TopicSpec::new("orders").partitions(6)).await.unwrap();
    admin.wait_until_ready("orders").await.unwrap();
    for spec in [OffsetSpec::Earliest, OffsetSpec::Latest, OffsetSpec::LatestStable] {
        let partitions = (0..6).map(|partition| (TopicPartition::new("orders", partition), spec));
        let offsets = admin.list_offsets(partitions).await.all().unwrap();
        assert_eq!(offsets.len(), 6);
        assert!(offsets.values().all(|listed| listed.offset == Some(0)), "{spec:?}: {offsets:?}");
    }
    let timestamps = [OffsetSpec::Timestamp(1), OffsetSpec::MaxTimestamp];
    for spec in timestamps {
        let listed = admin.list_offsets([(TopicPartition::new("orders", 0), spec)]).await.all().unwrap();
        assert!(listed.values().all(|listed| listed.offset.is_none()), "there are no records: {listed:?}");
    }
    let missing = [
        (TopicPartition::new("orders", 6), OffsetSpec::Latest),
        (TopicPartition::new("unknown", 0), OffsetSpec::Latest),
        (TopicPartition::new("orders", 5), OffsetSpec::Latest),
    ];
    let (env, started) = (admin.client().env(), admin.client().env().now());
    let results = admin.list_offsets(missing).await;
    let waited = env.now() - started;
    assert!(
        (4..8).contains(&waited.as_secs()),
        "a topic that was just created may be on its way: {waited:?}"
    );
    let codes: Vec<_> =
        results.errors().map(|(name, error)| (name.to_string(), error.code().unwrap())).collect();
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(codes, [("orders-6".to_owned(), unknown), ("unknown-0".to_owned(), unknown)]);
}

#[tokio::test(start_paused = true)]
async fn records_are_deleted_at_their_leaders() {
    let (_cluster, admin) = cluster_of(3).await;
    admin.create_topic(TopicSpec::new("orders").partitions(6)).await.unwrap();
    admin.wait_until_ready("orders").await.unwrap();
    let partitions = (0..6).map(|n| (TopicPartition::new("orders", n), DeleteBefore::HighWatermark));
    let left = admin.delete_records(partitions).await.all().unwrap();
    assert!(left.len() == 6 && left.values().all(|low_watermark| *low_watermark == 0));
    let beyond = [(TopicPartition::new("orders", 0), DeleteBefore::Offset(7))];
    let error = admin.delete_records(beyond).await.all().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::OffsetOutOfRange));
    assert!(error.to_string().starts_with("orders-0: OFFSET_OUT_OF_RANGE"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_nobody_creates_does_not_get_ready() {
    let (_cluster, admin) = cluster_of(1).await;
    let admin = admin.timeout(std::time::Duration::from_secs(3));
    let error = admin.wait_until_ready("orders").await.unwrap_err();
    assert!(matches!(error.reason, AdminErrorReason::NotReady(_)));
    let text = error.to_string();
    assert!(text.starts_with("topic orders: not ready in time: broker 1 answers UNKNOWN_TOPIC"), "{text}");
    assert!(error.is_retriable());
}

#[tokio::test(start_paused = true)]
async fn secrets_are_not_shown() {
    let change = ConfigChange::set("ssl.keystore.password", "hunter2");
    assert!(!format!("{change:?}").contains("hunter2"));
    let change = ConfigChange::set("retention.ms", "1000");
    assert_eq!(format!("{change:?}"), r#"Set { name: "retention.ms", value: "1000" }"#);
}

#[tokio::test(start_paused = true)]
async fn a_client_learns_of_new_partitions_with_the_next_refresh() {
    let (_cluster, admin) = cluster_of(1).await;
    admin.create_topic(TopicSpec::new("orders").partitions(1)).await.unwrap();
    let (metadata, env) = (admin.client().metadata(), admin.client().env());
    let _interest = metadata.interest("orders".into(), false);
    let deadline = env.now() + std::time::Duration::from_secs(5);
    assert_eq!(metadata.wait_for_topic("orders", deadline).await.unwrap().partitions.len(), 1);
    admin.create_partitions([NewPartitions::new("orders", 2)]).await.all().unwrap();
    env.sleep(std::time::Duration::from_secs(301)).await;
    assert_eq!(metadata.current().topic("orders").unwrap().partitions.len(), 2);
}
