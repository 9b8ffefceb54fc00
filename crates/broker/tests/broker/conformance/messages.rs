//! The messages that go with errors, where there was none: null, or empty where Kafka does not set them.

use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::describe_user_scram_credentials_request::UserName;
use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterConfigsRequest, AlterPartitionReassignmentsRequest,
    AlterUserScramCredentialsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    DescribeClientQuotasRequest, DescribeConfigsRequest, DescribeQuorumRequest,
    DescribeUserScramCredentialsRequest, FindCoordinatorRequest, IncrementalAlterConfigsRequest,
    ListPartitionReassignmentsRequest, UpdateFeaturesRequest, incremental_alter_configs_request,
};
use kafka_protocol::protocol::StrBytes;
use milena_testcontainers::KafkaVersion;

use crate::support::*;
use crate::transactional::find_coordinator;

cases! {
    what_succeeds_has_no_message_or_an_empty_one,
}

/// What was asked, and the messages in its answer.
type Told = Vec<(&'static str, Option<String>)>;

fn note(told: &mut Told, what: &'static str, error_code: i16, message: &Option<StrBytes>) {
    assert_eq!(error_code, 0, "{what}: {message:?}");
    told.push((what, message.as_ref().map(|message| message.to_string())));
}

async fn what_succeeds_has_no_message_or_an_empty_one(broker: &Broker) {
    let mut connection = broker.connect().await;
    let told = &mut Told::new();
    of_topics(&mut connection, told).await;
    of_configs(&mut connection, told).await;
    of_partitions(&mut connection, told).await;
    of_users(&mut connection, told).await;
    of_the_cluster(&mut connection, told).await;
    let text = told.iter().map(|(what, message)| match message.as_deref() {
        None => format!("{what}: null"),
        Some(message) => format!("{what}: {message:?}"),
    });
    let features = if broker.is_at_least(KafkaVersion::V4_1_2) { "null" } else { "\"\"" };
    let expected = [
        "CreateTopics: null",
        "CreatePartitions: null",
        "DeleteTopics: null",
        "DescribeConfigs: \"\"",
        "AlterConfigs: null",
        "IncrementalAlterConfigs: null",
        "AlterPartitionReassignments: null",
        "AlterPartitionReassignments partition: null",
        "ListPartitionReassignments: null",
        "AlterClientQuotas: null",
        "DescribeClientQuotas: \"\"",
        "AlterUserScramCredentials: null",
        "DescribeUserScramCredentials: \"\"",
        "DescribeUserScramCredentials user: \"\"",
        "FindCoordinator 3: \"NONE\"",
        "FindCoordinator 4: \"\"",
        "DescribeQuorum: \"\"",
        "DescribeQuorum partition: \"\"",
        &format!("UpdateFeatures: {features}"),
    ];
    assert_eq!(text.collect::<Vec<_>>(), expected);
}

async fn of_topics(connection: &mut Connection, told: &mut Told) {
    let topic = unique("messages");
    let new = CreatableTopic::default().with_name(name(&topic)).with_num_partitions(1);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![new.with_replication_factor(1)])
        .with_timeout_ms(10_000);
    let created = connection.call(7, &request).await;
    note(told, "CreateTopics", created.topics[0].error_code, &created.topics[0].error_message);
    connection.await_leaders(&topic, 1).await;
    let more = CreatePartitionsTopic::default().with_name(name(&topic)).with_count(2).with_assignments(None);
    let request = CreatePartitionsRequest::default().with_topics(vec![more]).with_timeout_ms(10_000);
    let extended = connection.call(3, &request).await;
    note(told, "CreatePartitions", extended.results[0].error_code, &extended.results[0].error_message);
    let state = DeleteTopicState::default().with_name(Some(name(&topic)));
    let request = DeleteTopicsRequest::default().with_topics(vec![state]).with_timeout_ms(10_000);
    let deleted = connection.call(6, &request).await;
    note(told, "DeleteTopics", deleted.responses[0].error_code, &deleted.responses[0].error_message);
}

async fn of_configs(connection: &mut Connection, told: &mut Told) {
    let topic = unique("messages-configs");
    connection.create_topic(&topic, &[]).await;
    let resource = DescribeConfigsResource::default().with_resource_type(2).with_resource_name(text(&topic));
    let request =
        DescribeConfigsRequest::default().with_resources(vec![resource.with_configuration_keys(None)]);
    let described = connection.call(4, &request).await;
    note(told, "DescribeConfigs", described.results[0].error_code, &described.results[0].error_message);
    let resource = AlterConfigsResource::default().with_resource_type(2).with_resource_name(text(&topic));
    let altered = connection.call(2, &AlterConfigsRequest::default().with_resources(vec![resource])).await;
    note(told, "AlterConfigs", altered.responses[0].error_code, &altered.responses[0].error_message);
    let config = incremental_alter_configs_request::AlterableConfig::default()
        .with_name(text("retention.ms"))
        .with_value(Some(text("1000")));
    let resource = incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text(&topic))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let altered = connection.call(1, &request).await;
    note(
        told,
        "IncrementalAlterConfigs",
        altered.responses[0].error_code,
        &altered.responses[0].error_message,
    );
}

async fn of_partitions(connection: &mut Connection, told: &mut Told) {
    let topic = unique("messages-partitions");
    connection.create_topic(&topic, &[]).await;
    let partition = ReassignablePartition::default().with_replicas(Some(vec![1.into()]));
    let asked = ReassignableTopic::default().with_name(name(&topic)).with_partitions(vec![partition]);
    let request =
        AlterPartitionReassignmentsRequest::default().with_topics(vec![asked]).with_timeout_ms(10_000);
    let altered = connection.call(0, &request).await;
    note(told, "AlterPartitionReassignments", altered.error_code, &altered.error_message);
    let partition = &altered.responses[0].partitions[0];
    note(told, "AlterPartitionReassignments partition", partition.error_code, &partition.error_message);
    let request = ListPartitionReassignmentsRequest::default().with_topics(None).with_timeout_ms(10_000);
    let listed = connection.call(0, &request).await;
    note(told, "ListPartitionReassignments", listed.error_code, &listed.error_message);
}

async fn of_users(connection: &mut Connection, told: &mut Told) {
    let user = unique("messages-user");
    let entity =
        EntityData::default().with_entity_type(text("client-id")).with_entity_name(Some(text(&user)));
    let op = OpData::default().with_key(text("producer_byte_rate")).with_value(1e12);
    let entry = EntryData::default().with_entity(vec![entity]).with_ops(vec![op]);
    let request = AlterClientQuotasRequest::default().with_entries(vec![entry]).with_validate_only(true);
    let altered = connection.call(1, &request).await;
    note(told, "AlterClientQuotas", altered.entries[0].error_code, &altered.entries[0].error_message);
    let described = connection.call(1, &DescribeClientQuotasRequest::default()).await;
    note(told, "DescribeClientQuotas", described.error_code, &described.error_message);
    let upsertion = ScramCredentialUpsertion::default()
        .with_name(text(&user))
        .with_mechanism(1)
        .with_iterations(4096)
        .with_salt("salt".into())
        .with_salted_password("password".into());
    let request = AlterUserScramCredentialsRequest::default().with_upsertions(vec![upsertion]);
    let altered = connection.call(0, &request).await;
    note(told, "AlterUserScramCredentials", altered.results[0].error_code, &altered.results[0].error_message);
    let users = vec![UserName::default().with_name(text(&user))];
    let request = DescribeUserScramCredentialsRequest::default().with_users(Some(users));
    let described = async {
        loop {
            let described = connection.call(0, &request).await;
            if described.results[0].error_code == 0 {
                return described;
            }
        }
    };
    let described = tokio::time::timeout(PATIENCE, described).await.expect("described in time");
    note(told, "DescribeUserScramCredentials", described.error_code, &described.error_message);
    let result = &described.results[0];
    note(told, "DescribeUserScramCredentials user", result.error_code, &result.error_message);
}

async fn of_the_cluster(connection: &mut Connection, told: &mut Told) {
    find_coordinator(connection, 0, "any").await;
    let found = connection.call(3, &FindCoordinatorRequest::default().with_key(text("any"))).await;
    note(told, "FindCoordinator 3", found.error_code, &found.error_message);
    let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("any")]);
    let found = connection.call(4, &request).await;
    note(told, "FindCoordinator 4", found.coordinators[0].error_code, &found.coordinators[0].error_message);
    let topic = TopicData::default()
        .with_topic_name(name("__cluster_metadata"))
        .with_partitions(vec![PartitionData::default()]);
    let described = connection.call(2, &DescribeQuorumRequest::default().with_topics(vec![topic])).await;
    note(told, "DescribeQuorum", described.error_code, &described.error_message);
    let partition = &described.topics[0].partitions[0];
    note(told, "DescribeQuorum partition", partition.error_code, &partition.error_message);
    let request = UpdateFeaturesRequest::default().with_timeout_ms(10_000).with_validate_only(true);
    let updated = connection.call(1, &request).await;
    note(told, "UpdateFeatures", updated.error_code, &updated.error_message);
}
