//! Metadata, DescribeTopicPartitions, DescribeCluster, FindCoordinator.

use std::collections::BTreeSet;

use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    DescribeClusterRequest, DescribeTopicPartitionsRequest, FindCoordinatorRequest, MetadataRequest,
};
use milena_protocol::{ApiKey, ErrorCode};
use uuid::Uuid;

use crate::support::*;

cases! {
    metadata_describes_topics_in_every_version,
    no_topics_all_topics_and_the_oldest_way_to_ask_for_all,
    topics_are_found_by_id_from_version_12_on,
    missing_topics_are_created_only_when_asked_and_appear_in_the_next_answer,
    invalid_names_are_not_created,
    allowed_operations_are_told_when_asked,
    topic_partitions_come_in_pages,
    topic_partitions_of_missing_topics_and_wrong_cursors,
    describe_cluster_names_the_brokers,
    coordinators_are_found_in_every_version,
}

async fn metadata_describes_topics_in_every_version(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("metadata");
    connection.create_topic_with(&topic, 3, &[]).await;
    for version in broker.versions(ApiKey::Metadata, 0..=13) {
        let mut request = metadata_of(&topic);
        request.allow_auto_topic_creation = true;
        let response = connection.call(version, &request).await;
        let described = &response.topics[0];
        assert_eq!((described.error_code, described.name.as_deref().map(|name| &**name)), (0, Some(&*topic)));
        assert_eq!(described.topic_id.is_nil(), version < 10, "version {version}");
        // In no certain order.
        let partitions: BTreeSet<_> =
            described.partitions.iter().map(|p| (p.partition_index, p.error_code)).collect();
        assert_eq!(partitions, BTreeSet::from([(0, 0), (1, 0), (2, 0)]));
        let leader = described.partitions[0].leader_id;
        assert_eq!(described.partitions[0].replica_nodes, [leader]);
        assert_eq!(described.partitions[0].isr_nodes, [leader]);
        assert_eq!(
            described.partitions[0].leader_epoch,
            if version >= 7 { 0 } else { -1 },
            "version {version}"
        );
        assert!(response.brokers.iter().any(|broker| broker.node_id == leader && broker.port > 0));
        assert_eq!(response.cluster_id.is_some(), version >= 2);
    }
}

async fn no_topics_all_topics_and_the_oldest_way_to_ask_for_all(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("metadata-all");
    connection.create_topic(&topic, &[]).await;
    let has = |response: &kafka_protocol::messages::MetadataResponse| {
        response.topics.iter().any(|described| described.name.as_deref().is_some_and(|name| **name == *topic))
    };
    let all = MetadataRequest::default().with_topics(None);
    let none = MetadataRequest::default().with_topics(Some(vec![]));
    assert!(has(&connection.call(12, &all).await));
    assert!(connection.call(12, &none).await.topics.is_empty());
    assert!(has(&connection.call(0, &none.with_allow_auto_topic_creation(true)).await));
}

async fn topics_are_found_by_id_from_version_12_on(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("metadata-id");
    connection.create_topic(&topic, &[]).await;
    let id = connection.topic_id(&topic).await;
    let by_id = |id| MetadataRequestTopic::default().with_topic_id(id).with_name(None);
    let unknown = Uuid::from_bytes([9; 16]);
    let request = MetadataRequest::default().with_topics(Some(vec![by_id(id), by_id(unknown)]));
    let response = connection.call(12, &request).await;
    let find =
        |id: Uuid| response.topics.iter().find(|described| described.topic_id == id).expect("answered");
    assert_eq!(find(id).name.as_deref().map(|name| name.to_string()), Some(topic));
    assert_eq!(ErrorCode::from(find(unknown).error_code), ErrorCode::UnknownTopicId);
    assert_eq!(find(unknown).name, None);
}

async fn missing_topics_are_created_only_when_asked_and_appear_in_the_next_answer(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("metadata-auto");
    let request = metadata_of(&topic);
    for _ in 0..2 {
        let response = connection.call(12, &request).await;
        assert_eq!(ErrorCode::from(response.topics[0].error_code), ErrorCode::UnknownTopicOrPartition);
    }
    let create = request.with_allow_auto_topic_creation(true);
    let response = connection.call(12, &create).await;
    assert_eq!(ErrorCode::from(response.topics[0].error_code), ErrorCode::UnknownTopicOrPartition);
    let partitions = connection.default_partitions().await;
    connection.await_leaders(&topic, partitions).await;
}

async fn invalid_names_are_not_created(broker: &Broker) {
    let mut connection = broker.connect().await;
    for topic in ["a b", "..", "ä"] {
        let request = metadata_of(topic).with_allow_auto_topic_creation(true);
        let response = connection.call(12, &request).await;
        assert_eq!(
            ErrorCode::from(response.topics[0].error_code),
            ErrorCode::InvalidTopicException,
            "{topic}"
        );
    }
}

async fn allowed_operations_are_told_when_asked(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("metadata-operations");
    connection.create_topic(&topic, &[]).await;
    let asked = metadata_of(&topic)
        .with_include_topic_authorized_operations(true)
        .with_include_cluster_authorized_operations(true);
    let response = connection.call(10, &asked).await;
    assert_eq!(response.topics[0].topic_authorized_operations, 0b1101_1111_1000);
    assert_eq!(response.cluster_authorized_operations, 0b1_1111_1010_0000);
    let response = connection.call(10, &metadata_of(&topic)).await;
    assert_eq!(response.topics[0].topic_authorized_operations, i32::MIN);
    assert_eq!(response.cluster_authorized_operations, i32::MIN);
}

async fn topic_partitions_come_in_pages(broker: &Broker) {
    let mut connection = broker.connect().await;
    let (one, two) = (unique("pages-a"), unique("pages-b"));
    connection.create_topic_with(&one, 3, &[]).await;
    connection.create_topic_with(&two, 2, &[]).await;
    let topics = [&two, &one].map(|topic| TopicRequest::default().with_name(name(topic)));
    let mut request = DescribeTopicPartitionsRequest::default()
        .with_topics(topics.to_vec())
        .with_response_partition_limit(2)
        .with_cursor(None);
    let mut pages = Vec::new();
    loop {
        let response = connection.call(0, &request).await;
        let partitions = response.topics.iter().flat_map(|topic| {
            let name = topic.name.as_ref().expect("named").to_string();
            topic.partitions.iter().map(move |partition| (name.clone(), partition.partition_index))
        });
        pages.push(partitions.collect::<Vec<_>>());
        let Some(next) = response.next_cursor else { break };
        let cursor =
            Cursor::default().with_topic_name(next.topic_name).with_partition_index(next.partition_index);
        request.cursor = Some(cursor);
    }
    let at = |topic: &String, partition| (topic.clone(), partition);
    assert_eq!(pages, [vec![at(&one, 0), at(&one, 1)], vec![at(&one, 2), at(&two, 0)], vec![at(&two, 1)]]);
}

async fn topic_partitions_of_missing_topics_and_wrong_cursors(broker: &Broker) {
    let mut connection = broker.connect().await;
    let missing = unique("pages-missing");
    let request = DescribeTopicPartitionsRequest::default()
        .with_topics(vec![TopicRequest::default().with_name(name(&missing))])
        .with_response_partition_limit(10)
        .with_cursor(None);
    let response = connection.call(0, &request).await;
    assert_eq!(ErrorCode::from(response.topics[0].error_code), ErrorCode::UnknownTopicOrPartition);
    let cursor = Cursor::default().with_topic_name(name("elsewhere")).with_partition_index(0);
    let response = connection.call(0, &request.with_cursor(Some(cursor))).await;
    assert_eq!(ErrorCode::from(response.topics[0].error_code), ErrorCode::InvalidRequest);
}

async fn describe_cluster_names_the_brokers(broker: &Broker) {
    let mut connection = broker.connect().await;
    for version in broker.versions(ApiKey::DescribeCluster, 0..=2) {
        let request = DescribeClusterRequest::default()
            .with_endpoint_type(1)
            .with_include_cluster_authorized_operations(true);
        let response = connection.call(version, &request).await;
        assert_eq!((response.error_code, response.brokers.len()), (0, 1), "version {version}");
        assert_eq!(response.controller_id, response.brokers[0].broker_id);
        assert_eq!(response.cluster_authorized_operations, 0b1_1111_1010_0000);
        assert!(!response.cluster_id.is_empty());
    }
    let controllers = DescribeClusterRequest::default().with_endpoint_type(2);
    let response = connection.call(1, &controllers).await;
    assert_eq!(ErrorCode::from(response.error_code), ErrorCode::MismatchedEndpointType);
}

async fn coordinators_are_found_in_every_version(broker: &Broker) {
    let mut connection = broker.connect().await;
    let found = async {
        // A real Kafka creates the topic of groups on the first question.
        let request = FindCoordinatorRequest::default().with_key(text("g"));
        while ErrorCode::from(connection.call(3, &request).await.error_code)
            == ErrorCode::CoordinatorNotAvailable
        {}
    };
    tokio::time::timeout(PATIENCE, found).await.expect("a coordinator in time");
    for version in broker.versions(ApiKey::FindCoordinator, 0..=3) {
        let request = FindCoordinatorRequest::default().with_key(text("g"));
        let response = connection.call(version, &request).await;
        assert_eq!((response.error_code, response.node_id.0), (0, 1), "version {version}");
        assert!(response.port > 0 && !response.host.is_empty());
    }
    for version in broker.versions(ApiKey::FindCoordinator, 4..=6) {
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g"), text("h")]);
        let response = connection.call(version, &request).await;
        let found: Vec<_> =
            response.coordinators.iter().map(|c| (&*c.key, c.error_code, c.node_id.0)).collect();
        assert_eq!(found, [("g", 0, 1), ("h", 0, 1)], "version {version}");
    }
}
