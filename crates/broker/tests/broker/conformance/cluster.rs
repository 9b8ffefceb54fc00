//! Log directories, elections, reassignments, features, the quorum.

use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::{
    AddRaftVoterRequest, AlterPartitionReassignmentsRequest, AlterReplicaLogDirsRequest,
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeQuorumRequest, ElectLeadersRequest,
    ListPartitionReassignmentsRequest, RemoveRaftVoterRequest, UnregisterBrokerRequest,
    UpdateFeaturesRequest,
};
use milena_protocol::{ApiKey, ErrorCode};
use milena_testcontainers::KafkaVersion;

use crate::support::*;

cases! {
    log_directories_are_described_in_every_version,
    replicas_can_stay_in_their_directory_and_go_nowhere_else,
    a_preferred_leader_needs_no_election,
    elections_that_make_no_sense_have_each_their_error,
    reassignments_to_the_same_replicas_are_done_at_once,
    reassignments_that_make_no_sense_have_each_their_error,
    features_change_together_or_not_at_all,
    the_quorum_is_described_in_every_version,
    only_brokers_that_are_there_are_unregistered_and_voters_of_other_clusters_refused,
}

fn code(error: i16) -> &'static str {
    ErrorCode::from(error).name()
}

async fn log_dirs(
    connection: &mut Connection,
    version: i16,
    topics: Option<Vec<(&str, Vec<i32>)>>,
) -> DescribeLogDirsResponse {
    let topic = |(topic, partitions): (&str, Vec<i32>)| {
        DescribableLogDirTopic::default().with_topic(name(topic)).with_partitions(partitions)
    };
    let topics = topics.map(|topics| topics.into_iter().map(topic).collect());
    let response = connection.call(version, &DescribeLogDirsRequest::default().with_topics(topics)).await;
    assert_eq!((response.error_code, response.results.len()), (0, 1), "version {version}");
    assert_eq!(response.results[0].error_code, 0);
    response
}

async fn log_directories_are_described_in_every_version(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("log-dirs");
    connection.create_topic_with(&topic, 2, &[]).await;
    let batch = BatchOf::records(3).bytes();
    assert_eq!(connection.produce(9, &topic, batch.clone()).await.error_code, 0);
    for version in broker.versions(ApiKey::DescribeLogDirs, 1..=4) {
        for asked in [None, Some(vec![(&*topic, vec![0, 1])])] {
            let response = log_dirs(&mut connection, version, asked).await;
            assert!(response.results[0].log_dir.starts_with('/'), "{:?}", response.results[0].log_dir);
            let described = response.results[0].topics.iter().find(|described| *described.name.0 == *topic);
            let mut partitions: Vec<_> = described
                .expect("the topic")
                .partitions
                .iter()
                .map(|partition| (partition.partition_index, partition.partition_size, partition.offset_lag))
                .collect();
            partitions.sort_unstable();
            assert_eq!(partitions, [(0, batch.len() as i64, 0), (1, 0, 0)], "version {version}");
        }
        let missing = log_dirs(&mut connection, version, Some(vec![(&unique("none"), vec![0])])).await;
        assert!(missing.results[0].topics.is_empty());
    }
}

async fn replicas_can_stay_in_their_directory_and_go_nowhere_else(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("alter-dirs");
    connection.create_topic(&topic, &[]).await;
    let here = log_dirs(&mut connection, 1, None).await.results.remove(0).log_dir;
    let missing = unique("none");
    for version in broker.versions(ApiKey::AlterReplicaLogDirs, 1..=2) {
        for (path, topic, expected) in [
            (here.clone(), &topic, "NONE"),
            (here.clone(), &missing, "UNKNOWN_TOPIC_OR_PARTITION"),
            (text("/no/such/directory"), &topic, "LOG_DIR_NOT_FOUND"),
        ] {
            let topics = AlterReplicaLogDirTopic::default().with_name(name(topic)).with_partitions(vec![0]);
            let dir = AlterReplicaLogDir::default().with_path(path).with_topics(vec![topics]);
            let request = AlterReplicaLogDirsRequest::default().with_dirs(vec![dir]);
            let response = connection.call(version, &request).await;
            assert_eq!(*response.results[0].topic_name.0, **topic);
            assert_eq!(code(response.results[0].partitions[0].error_code), expected, "version {version}");
        }
    }
}

async fn elect(
    connection: &mut Connection,
    version: i16,
    election_type: i8,
    topic: &str,
    partition: i32,
) -> (&'static str, bool) {
    let topic = TopicPartitions::default().with_topic(name(topic)).with_partitions(vec![partition]);
    let request = ElectLeadersRequest::default()
        .with_election_type(if version >= 1 { election_type } else { 0 })
        .with_topic_partitions(Some(vec![topic]))
        .with_timeout_ms(10_000);
    let response = connection.call(version, &request).await;
    assert_eq!(response.error_code, 0);
    let result = &response.replica_election_results[0].partition_result[0];
    assert_eq!(result.partition_id, partition);
    (code(result.error_code), result.error_message.is_some())
}

async fn a_preferred_leader_needs_no_election(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("elect");
    connection.create_topic(&topic, &[]).await;
    for version in broker.versions(ApiKey::ElectLeaders, 0..=2) {
        for election_type in [0, 1] {
            let elected = elect(&mut connection, version, election_type, &topic, 0).await;
            assert_eq!(elected, ("ELECTION_NOT_NEEDED", true), "version {version}");
        }
        let all = ElectLeadersRequest::default().with_topic_partitions(None).with_timeout_ms(10_000);
        let response = connection.call(version, &all).await;
        assert_eq!(response.error_code, 0);
        let of_topic = response.replica_election_results.iter().filter(|result| *result.topic.0 == *topic);
        assert_eq!(of_topic.map(|result| result.partition_result.len()).sum::<usize>(), 0);
    }
}

async fn elections_that_make_no_sense_have_each_their_error(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("elect-wrong");
    connection.create_topic(&topic, &[]).await;
    let unknown = ("UNKNOWN_TOPIC_OR_PARTITION", true);
    assert_eq!(elect(&mut connection, 2, 0, &unique("none"), 0).await, unknown);
    assert_eq!(elect(&mut connection, 2, 0, &topic, 1).await, unknown);
    let wrong = ElectLeadersRequest::default().with_election_type(5).with_topic_partitions(None);
    assert_eq!(code(connection.call(2, &wrong).await.error_code), "INVALID_REQUEST");
}

async fn reassign(
    connection: &mut Connection,
    version: i16,
    topic: &str,
    partition: i32,
    replicas: Option<Vec<i32>>,
) -> &'static str {
    let replicas = replicas.map(|replicas| replicas.into_iter().map(Into::into).collect());
    let partition = ReassignablePartition::default().with_partition_index(partition).with_replicas(replicas);
    let topic = ReassignableTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = AlterPartitionReassignmentsRequest::default()
        .with_timeout_ms(10_000)
        .with_allow_replication_factor_change(true)
        .with_topics(vec![topic]);
    let response = connection.call(version, &request).await;
    assert_eq!((response.error_code, response.responses.len()), (0, 1));
    code(response.responses[0].partitions[0].error_code)
}

async fn reassignments_to_the_same_replicas_are_done_at_once(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("reassign");
    connection.create_topic(&topic, &[]).await;
    for version in broker.versions(ApiKey::AlterPartitionReassignments, 0..=1) {
        assert_eq!(reassign(&mut connection, version, &topic, 0, Some(vec![1])).await, "NONE");
    }
    for topics in [None, Some(vec![topic.clone()]), Some(vec![unique("none")])] {
        let topics = topics.map(|names| {
            let asked = |topic: &String| {
                ListPartitionReassignmentsTopics::default()
                    .with_name(name(topic))
                    .with_partition_indexes(vec![0])
            };
            names.iter().map(asked).collect()
        });
        let request =
            ListPartitionReassignmentsRequest::default().with_timeout_ms(10_000).with_topics(topics);
        let response = connection.call(0, &request).await;
        assert_eq!((response.error_code, response.topics.len()), (0, 0));
    }
}

async fn reassignments_that_make_no_sense_have_each_their_error(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = &*unique("reassign-wrong");
    connection.create_topic(topic, &[]).await;
    let missing = &*unique("none");
    for (topic, partition, replicas, expected) in [
        (missing, 0, Some(vec![1]), "UNKNOWN_TOPIC_OR_PARTITION"),
        (topic, 1, Some(vec![1]), "UNKNOWN_TOPIC_OR_PARTITION"),
        (topic, 0, None, "NO_REASSIGNMENT_IN_PROGRESS"),
        (topic, 0, Some(vec![99]), "INVALID_REPLICA_ASSIGNMENT"),
        (topic, 0, Some(vec![1, 1]), "INVALID_REPLICA_ASSIGNMENT"),
        (topic, 0, Some(vec![]), "INVALID_REPLICA_ASSIGNMENT"),
    ] {
        let error = reassign(&mut connection, 0, topic, partition, replicas.clone()).await;
        assert_eq!(error, expected, "{topic}-{partition} to {replicas:?}");
    }
}

async fn features_change_together_or_not_at_all(broker: &Broker) {
    if !broker.is_at_least(KafkaVersion::V4_3_1) {
        // Which features and levels there are depends on the release.
        return;
    }
    let mut connection = broker.connect().await;
    for version in 0..=2 {
        for (feature, level, upgrade_type, expected) in [
            ("transaction.version", 2, 1, "NONE"),
            ("transaction.version", 1, 2, "NONE"),
            ("transaction.version", 1, 1, "INVALID_UPDATE_VERSION"),
            ("transaction.version", 9, 1, "INVALID_UPDATE_VERSION"),
            ("no.version", 1, 1, "INVALID_UPDATE_VERSION"),
            ("metadata.version", 25, 2, "INVALID_UPDATE_VERSION"),
            ("metadata.version", 31, 1, "INVALID_UPDATE_VERSION"),
        ] {
            let update =
                FeatureUpdateKey::default().with_feature(text(feature)).with_max_version_level(level);
            let update = match version {
                0 => update.with_allow_downgrade(upgrade_type == 2),
                _ => update.with_upgrade_type(upgrade_type),
            };
            // The older request cannot ask for validation only, and so must not change anything.
            if version == 0 && level == 1 && expected == "NONE" {
                continue;
            }
            let request = UpdateFeaturesRequest::default()
                .with_timeout_ms(10_000)
                .with_feature_updates(vec![update])
                .with_validate_only(version >= 1);
            let response = connection.call(version, &request).await;
            let message = response.error_message.map(|message| message.to_string()).unwrap_or_default();
            assert_eq!(code(response.error_code), expected, "{feature}={level}: {message}");
            let results = if version <= 1 && expected == "NONE" { 1 } else { 0 };
            assert_eq!(response.results.len(), results, "version {version}");
            assert!(expected == "NONE" || message.contains(feature), "{message}");
        }
    }
}

async fn the_quorum_is_described_in_every_version(broker: &Broker) {
    let mut connection = broker.connect().await;
    let request = |topic: &str| {
        let topic = TopicData::default()
            .with_topic_name(name(topic))
            .with_partitions(vec![PartitionData::default().with_partition_index(0)]);
        DescribeQuorumRequest::default().with_topics(vec![topic])
    };
    for version in broker.versions(ApiKey::DescribeQuorum, 0..=2) {
        let response = connection.call(version, &request("__cluster_metadata")).await;
        let metadata = &response.topics[0].partitions[0];
        assert_eq!((response.error_code, metadata.error_code, metadata.leader_id.0), (0, 0, 1));
        assert!(metadata.leader_epoch >= 0 && metadata.high_watermark >= 0);
        let voters: Vec<_> = metadata.current_voters.iter().map(|voter| voter.replica_id.0).collect();
        assert_eq!((voters, metadata.observers.len()), (vec![1], 0));
        assert_eq!(metadata.current_voters[0].last_caught_up_timestamp > 0, version >= 1);
        let nodes: Vec<_> = response.nodes.iter().map(|node| node.node_id.0).collect();
        assert_eq!(nodes, if version >= 2 { vec![1] } else { vec![] });
        let other = connection.call(version, &request("other")).await;
        assert_eq!(code(other.topics[0].partitions[0].error_code), "UNKNOWN_TOPIC_OR_PARTITION");
    }
}

async fn only_brokers_that_are_there_are_unregistered_and_voters_of_other_clusters_refused(broker: &Broker) {
    let mut connection = broker.connect().await;
    let request = UnregisterBrokerRequest::default().with_broker_id(77.into());
    let response = connection.call(0, &request).await;
    assert_eq!(code(response.error_code), "BROKER_ID_NOT_REGISTERED");
    for version in broker.versions(ApiKey::AddRaftVoter, 0..=0) {
        let add = AddRaftVoterRequest::default().with_cluster_id(Some(text("other"))).with_timeout_ms(1000);
        assert_eq!(code(connection.call(version, &add).await.error_code), "INCONSISTENT_CLUSTER_ID");
    }
    for version in broker.versions(ApiKey::RemoveRaftVoter, 0..=0) {
        let remove = RemoveRaftVoterRequest::default().with_cluster_id(Some(text("other")));
        assert_eq!(code(connection.call(version, &remove).await.error_code), "INCONSISTENT_CLUSTER_ID");
    }
}
