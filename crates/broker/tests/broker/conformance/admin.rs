//! CreateTopics, DeleteTopics, CreatePartitions.

use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest};
use kafka_protocol::protocol::StrBytes;
use milena_protocol::{ApiKey, ErrorCode};
use uuid::Uuid;

use crate::support::*;

cases! {
    topics_are_created_in_every_version,
    defaults_are_taken_for_minus_one,
    invalid_topics_have_each_their_error,
    a_topic_named_twice_is_not_created,
    validate_only_creates_nothing,
    topics_are_deleted_by_name_in_every_version_and_by_id,
    deletions_that_make_no_sense_have_each_their_error,
    a_topic_can_be_created_again_under_a_new_id,
    partitions_are_added_and_never_taken,
}

fn topic(topic: &str) -> CreatableTopic {
    CreatableTopic::default().with_name(name(topic)).with_num_partitions(1).with_replication_factor(1)
}

async fn create(
    connection: &mut Connection,
    version: i16,
    topics: Vec<CreatableTopic>,
) -> Vec<CreatableTopicResult> {
    let request = CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(10_000);
    connection.call(version, &request).await.topics
}

fn assert_error(code: i16, message: &Option<StrBytes>, expected: &str, names: &str) {
    let message = message.as_deref().unwrap_or_default();
    assert_eq!(ErrorCode::from(code).name(), expected, "{message}");
    assert!(message.contains(names), "{message}");
}

async fn topics_are_created_in_every_version(broker: &Broker) {
    let mut connection = broker.connect().await;
    for version in broker.versions(ApiKey::CreateTopics, 2..=7) {
        let wanted = unique("create");
        let results = create(&mut connection, version, vec![topic(&wanted).with_num_partitions(3)]).await;
        assert_eq!((results[0].error_code, &*results[0].name.0), (0, &*wanted), "version {version}");
        if version >= 5 {
            assert_eq!((results[0].num_partitions, results[0].replication_factor), (3, 1));
            let configs = results[0].configs.as_ref().expect("its configuration");
            let retention = configs.iter().find(|config| &*config.name == "retention.ms").expect("listed");
            assert_eq!(retention.value.as_deref(), Some("604800000"));
        }
        assert_eq!(results[0].topic_id.is_nil(), version < 7);
        connection.await_leaders(&wanted, 3).await;
    }
}

async fn defaults_are_taken_for_minus_one(broker: &Broker) {
    let mut connection = broker.connect().await;
    let wanted = unique("create-defaults");
    let asked = topic(&wanted).with_num_partitions(-1).with_replication_factor(-1);
    let results = create(&mut connection, 7, vec![asked]).await;
    let partitions = connection.default_partitions().await;
    assert_eq!(
        (results[0].error_code, results[0].num_partitions, results[0].replication_factor),
        (0, partitions, 1)
    );
}

async fn invalid_topics_have_each_their_error(broker: &Broker) {
    let mut connection = broker.connect().await;
    let existing = unique("create_existing.");
    connection.create_topic(&existing, &[]).await;
    let with = |key: &str, value: Option<&str>| {
        let config = CreatableTopicConfig::default().with_name(text(key)).with_value(value.map(text));
        topic(&unique("create-invalid")).with_configs(vec![config])
    };
    let assigned = |partition: i32, brokers: &[i32]| {
        let brokers = brokers.iter().map(|id| (*id).into()).collect();
        let assignment =
            CreatableReplicaAssignment::default().with_partition_index(partition).with_broker_ids(brokers);
        topic(&unique("create-assigned"))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments(vec![assignment])
    };
    let fresh = || topic(&unique("create-invalid"));
    // The error, and what its message names.
    let cases: Vec<(CreatableTopic, &str, &str)> = vec![
        (topic(&existing), "TOPIC_ALREADY_EXISTS", &existing),
        (topic(&existing.replace('.', "_")), "INVALID_TOPIC_EXCEPTION", &existing),
        (topic("a b"), "INVALID_TOPIC_EXCEPTION", "a b"),
        (topic(""), "INVALID_TOPIC_EXCEPTION", "empty"),
        (topic(".."), "INVALID_TOPIC_EXCEPTION", ".."),
        (fresh().with_num_partitions(0), "INVALID_PARTITIONS", "partitions"),
        (fresh().with_replication_factor(0), "INVALID_REPLICATION_FACTOR", "eplication factor"),
        (fresh().with_replication_factor(3), "INVALID_REPLICATION_FACTOR", "1 broker"),
        (with("no.such.key", Some("1")), "INVALID_CONFIG", "no.such.key"),
        (with("retention.ms", Some("soon")), "INVALID_CONFIG", "retention.ms"),
        (with("retention.ms", None), "INVALID_CONFIG", "retention.ms"),
        (assigned(0, &[99]), "INVALID_REPLICA_ASSIGNMENT", "99"),
        (assigned(0, &[1, 1]), "INVALID_REPLICA_ASSIGNMENT", "once"),
        (assigned(0, &[]), "INVALID_REPLICA_ASSIGNMENT", "empty"),
        (assigned(1, &[1]), "INVALID_REPLICA_ASSIGNMENT", "consecutive"),
        (assigned(0, &[1]).with_num_partitions(2), "INVALID_REQUEST", "artitions"),
        (assigned(0, &[1]).with_replication_factor(2), "INVALID_REQUEST", "replication"),
    ];
    for (asked, code, names) in cases {
        let results = create(&mut connection, 7, vec![asked]).await;
        assert_error(results[0].error_code, &results[0].error_message, code, names);
    }
}

async fn a_topic_named_twice_is_not_created(broker: &Broker) {
    let mut connection = broker.connect().await;
    let wanted = unique("create-twice");
    let results = create(&mut connection, 7, vec![topic(&wanted), topic(&wanted)]).await;
    assert_eq!(results.len(), 1);
    assert_error(results[0].error_code, &results[0].error_message, "INVALID_REQUEST", "uplicate");
}

async fn validate_only_creates_nothing(broker: &Broker) {
    let mut connection = broker.connect().await;
    let wanted = unique("create-validate");
    let request = CreateTopicsRequest::default().with_topics(vec![topic(&wanted)]).with_validate_only(true);
    assert_eq!(connection.call(7, &request).await.topics[0].error_code, 0);
    let described = connection.call(12, &metadata_of(&wanted)).await;
    assert_eq!(ErrorCode::from(described.topics[0].error_code), ErrorCode::UnknownTopicOrPartition);
}

async fn topics_are_deleted_by_name_in_every_version_and_by_id(broker: &Broker) {
    let mut connection = broker.connect().await;
    for version in broker.versions(ApiKey::DeleteTopics, 1..=6) {
        let doomed = unique("delete");
        connection.create_topic(&doomed, &[]).await;
        let mut request = DeleteTopicsRequest::default().with_timeout_ms(10_000);
        if version < 6 {
            request.topic_names = vec![name(&doomed)];
        } else {
            request.topics = vec![DeleteTopicState::default().with_name(Some(name(&doomed)))];
        }
        let response = connection.call(version, &request).await;
        assert_eq!(response.responses[0].error_code, 0, "version {version}");
    }
    let doomed = unique("delete-by-id");
    connection.create_topic(&doomed, &[]).await;
    let id = connection.topic_id(&doomed).await;
    let by_id = DeleteTopicState::default().with_topic_id(id).with_name(None);
    let request = DeleteTopicsRequest::default().with_timeout_ms(10_000).with_topics(vec![by_id]);
    let response = connection.call(6, &request).await;
    assert_eq!((response.responses[0].error_code, response.responses[0].topic_id), (0, id));
    assert_eq!(response.responses[0].name.as_ref().map(|name| name.to_string()), Some(doomed));
}

async fn deletions_that_make_no_sense_have_each_their_error(broker: &Broker) {
    let mut connection = broker.connect().await;
    let state = |topic: Option<&str>, id: [u8; 16]| {
        DeleteTopicState::default().with_name(topic.map(name)).with_topic_id(Uuid::from_bytes(id))
    };
    let missing = unique("delete-missing");
    for (asked, code) in [
        (state(Some(&missing), [0; 16]), "UNKNOWN_TOPIC_OR_PARTITION"),
        (state(None, [5; 16]), "UNKNOWN_TOPIC_ID"),
        (state(None, [0; 16]), "INVALID_REQUEST"),
        (state(Some(&missing), [5; 16]), "INVALID_REQUEST"),
    ] {
        let request = DeleteTopicsRequest::default().with_timeout_ms(10_000).with_topics(vec![asked]);
        let response = connection.call(6, &request).await;
        assert_eq!(ErrorCode::from(response.responses[0].error_code).name(), code);
    }
}

async fn a_topic_can_be_created_again_under_a_new_id(broker: &Broker) {
    let mut connection = broker.connect().await;
    let phoenix = unique("delete-create");
    connection.create_topic(&phoenix, &[]).await;
    connection.produce(9, &phoenix, BatchOf::records(3).bytes()).await;
    let first = connection.topic_id(&phoenix).await;
    let request =
        DeleteTopicsRequest::default().with_timeout_ms(10_000).with_topic_names(vec![name(&phoenix)]);
    assert_eq!(connection.call(5, &request).await.responses[0].error_code, 0);
    connection.create_topic(&phoenix, &[]).await;
    assert_ne!(connection.topic_id(&phoenix).await, first);
    let produced = async {
        // A real Kafka may still be deleting the old log.
        loop {
            let answer = connection.produce(9, &phoenix, BatchOf::records(1).bytes()).await;
            if answer.error_code == 0 {
                return answer.base_offset;
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, produced).await, Ok(0));
}

async fn partitions_are_added_and_never_taken(broker: &Broker) {
    let mut connection = broker.connect().await;
    let grows = unique("partitions");
    connection.create_topic(&grows, &[]).await;
    let asked = |count| {
        CreatePartitionsTopic::default().with_name(name(&grows)).with_count(count).with_assignments(None)
    };
    let request = |topic| CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    for (version, count) in [(0, 2), (1, 3), (2, 4), (3, 5)] {
        let response = connection.call(version, &request(asked(count))).await;
        assert_eq!(response.results[0].error_code, 0, "version {version}");
        connection.await_leaders(&grows, count).await;
    }
    let on_nobody = CreatePartitionsAssignment::default().with_broker_ids(vec![99.into()]);
    let two = vec![CreatePartitionsAssignment::default().with_broker_ids(vec![1.into()]); 2];
    let missing = unique("partitions-missing");
    let cases = [
        (asked(5), "INVALID_PARTITIONS", "5"),
        (asked(4), "INVALID_PARTITIONS", "4"),
        (asked(6).with_assignments(Some(vec![on_nobody])), "INVALID_REPLICA_ASSIGNMENT", "99"),
        (asked(6).with_assignments(Some(two)), "INVALID_REPLICA_ASSIGNMENT", "2 assignment"),
        (asked(6).with_name(name(&missing)), "UNKNOWN_TOPIC_OR_PARTITION", ""),
    ];
    for (topic, code, names) in cases {
        let response = connection.call(3, &request(topic)).await;
        let result = &response.results[0];
        assert_error(result.error_code, &result.error_message, code, names);
    }
}
