//! OffsetCommit, OffsetFetch, OffsetDelete.

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    DeleteTopicsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
};
use milena_protocol::messages as own;
use milena_protocol::messages::{offset_commit_request, offset_fetch_request};
use milena_protocol::{ApiKey, ErrorCode, Uuid};
use milena_testcontainers::KafkaVersion;

use super::group_client::*;
use super::newest::call;
use crate::support::*;

cases! {
    offsets_are_committed_and_fetched_in_every_version,
    offsets_are_committed_and_fetched_by_topic_id,
    what_was_not_committed_is_minus_one,
    all_offsets_of_a_group_are_fetched_at_once,
    several_groups_are_fetched_at_once,
    commits_for_what_is_not_there_are_refused_alone,
    metadata_may_not_be_too_long,
    members_commit_in_their_generation,
    members_do_not_commit_before_they_have_synced,
    strangers_commit_only_to_empty_groups,
    a_group_that_is_not_there_has_no_generation,
    a_deleted_offset_is_gone,
    offsets_of_subscribed_topics_stay,
    offsets_of_a_deleted_topic_are_forgotten,
}

const COMMIT: i16 = 9;

fn code(code: i16) -> ErrorCode {
    ErrorCode::from(code)
}

fn partition(index: i32, offset: i64, metadata: &str) -> OffsetCommitRequestPartition {
    OffsetCommitRequestPartition::default()
        .with_partition_index(index)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(Some(text(metadata)))
}

fn commit_request(
    group: &str,
    topic: &str,
    partitions: Vec<OffsetCommitRequestPartition>,
) -> OffsetCommitRequest {
    let topic = OffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(partitions);
    OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(-1)
        .with_retention_time_ms(-1)
        .with_topics(vec![topic])
}

/// The errors in the order of the partitions, which older brokers mix up.
async fn commit(client: &mut GroupClient, version: i16, request: &OffsetCommitRequest) -> Vec<ErrorCode> {
    let response = client.connection.call(version, request).await;
    let mut partitions: Vec<_> = response.topics.iter().flat_map(|topic| &topic.partitions).collect();
    partitions.sort_by_key(|partition| partition.partition_index);
    partitions.into_iter().map(|partition| code(partition.error_code)).collect()
}

/// Partition, offset, leader epoch, metadata, and error.
type Fetched = (i32, i64, i32, String, ErrorCode);

/// The offsets of one group, in any version, and the error of the group.
async fn fetch(
    client: &mut GroupClient,
    version: i16,
    topics: Option<&[(&str, &[i32])]>,
) -> (ErrorCode, Vec<(String, Vec<Fetched>)>) {
    let group = group_id(&client.group);
    let mut request = OffsetFetchRequest::default();
    if version < 8 {
        let topic = |&(topic, partitions): &(&str, &[i32])| {
            OffsetFetchRequestTopic::default()
                .with_name(name(topic))
                .with_partition_indexes(partitions.to_vec())
        };
        let topics = topics.map(|topics| topics.iter().map(topic).collect());
        request = request.with_group_id(group).with_topics(topics);
    } else {
        let topic = |&(topic, partitions): &(&str, &[i32])| {
            OffsetFetchRequestTopics::default()
                .with_name(name(topic))
                .with_partition_indexes(partitions.to_vec())
        };
        let topics = topics.map(|topics| topics.iter().map(topic).collect());
        let group = OffsetFetchRequestGroup::default().with_group_id(group).with_member_epoch(-1);
        request = request.with_groups(vec![group.with_topics(topics)]);
    }
    let response = client.connection.call(version, &request).await;
    if version >= 8 {
        let group = &response.groups[0];
        let topic = |topic: &kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseTopics| {
            let partitions = topic.partitions.iter().map(|found| {
                let metadata = found.metadata.as_deref().unwrap_or("null").to_owned();
                let (offset, leader_epoch) = (found.committed_offset, found.committed_leader_epoch);
                (found.partition_index, offset, leader_epoch, metadata, code(found.error_code))
            });
            (topic.name.to_string(), partitions.collect())
        };
        return (code(group.error_code), group.topics.iter().map(topic).collect());
    }
    let topic = |topic: &kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseTopic| {
        let partitions = topic.partitions.iter().map(|found| {
            let metadata = found.metadata.as_deref().unwrap_or("null").to_owned();
            let (offset, leader_epoch) = (found.committed_offset, found.committed_leader_epoch);
            (found.partition_index, offset, leader_epoch, metadata, code(found.error_code))
        });
        (topic.name.to_string(), partitions.collect())
    };
    (code(response.error_code), response.topics.iter().map(topic).collect())
}

fn none(partition: i32) -> Fetched {
    (partition, -1, -1, String::new(), ErrorCode::None)
}

async fn client_and_topic(broker: &Broker, what: &str) -> (GroupClient, String) {
    let mut client = GroupClient::new(broker, &unique(what)).await;
    let topic = unique(what);
    client.connection.create_topic_with(&topic, 3, &[]).await;
    (client, topic)
}

async fn offsets_are_committed_and_fetched_in_every_version(broker: &Broker) {
    let (mut client, topic) = client_and_topic(broker, "offsets").await;
    for version in broker.versions(ApiKey::OffsetCommit, 2..=9) {
        let offset = 100 + i64::from(version);
        let mut committed = partition(0, offset, &format!("by {version}"));
        if version >= 6 {
            committed = committed.with_committed_leader_epoch(3);
        }
        let without = partition(1, offset, "").with_committed_metadata(None);
        let request = commit_request(&client.group, &topic, vec![committed, without]);
        assert_eq!(commit(&mut client, version, &request).await, [ErrorCode::None; 2], "version {version}");
        for fetch_version in broker.versions(ApiKey::OffsetFetch, 1..=9) {
            let leader_epoch = if version >= 6 && fetch_version >= 5 { 3 } else { -1 };
            let expected = vec![
                (0, offset, leader_epoch, format!("by {version}"), ErrorCode::None),
                (1, offset, -1, String::new(), ErrorCode::None),
            ];
            let fetched = fetch(&mut client, fetch_version, Some(&[(&topic, &[0, 1])])).await;
            assert_eq!(
                fetched,
                (ErrorCode::None, vec![(topic.clone(), expected)]),
                "versions {version} and {fetch_version}"
            );
        }
    }
}

async fn offsets_are_committed_and_fetched_by_topic_id(broker: &Broker) {
    if !broker.offers(ApiKey::OffsetCommit, 10) {
        return;
    }
    let (mut client, topic) = client_and_topic(broker, "offsets-id").await;
    let topic_id = Uuid(client.connection.topic_id(&topic).await.into_bytes());
    let missing = Uuid([7; 16]);
    let partition = |partition_index| offset_commit_request::OffsetCommitRequestPartition {
        partition_index,
        committed_offset: 42,
        committed_leader_epoch: 5,
        ..Default::default()
    };
    let of_topic = |topic_id, partitions: &[i32]| offset_commit_request::OffsetCommitRequestTopic {
        topic_id,
        partitions: partitions.iter().map(|index| partition(*index)).collect(),
        ..Default::default()
    };
    let request = own::OffsetCommitRequest {
        group_id: client.group.as_str().into(),
        generation_id_or_member_epoch: -1,
        topics: vec![of_topic(topic_id, &[0, 9]), of_topic(missing, &[0]), of_topic(Uuid::ZERO, &[0])],
        ..Default::default()
    };
    let response = call(&mut client.connection, 10, &request).await;
    let mut answered = Vec::new();
    for topic in &response.topics {
        for partition in &topic.partitions {
            answered.push((topic.topic_id, partition.partition_index, partition.error_code));
        }
    }
    let expected = [
        (topic_id, 9, ErrorCode::UnknownTopicOrPartition),
        (topic_id, 0, ErrorCode::None),
        (missing, 0, ErrorCode::UnknownTopicId),
        (Uuid::ZERO, 0, ErrorCode::UnknownTopicId),
    ];
    assert_eq!(answered, expected);

    let fetch = |topics: Option<Vec<Uuid>>| {
        let topic = |topic_id| offset_fetch_request::OffsetFetchRequestTopics {
            topic_id,
            partition_indexes: vec![0, 1],
            ..Default::default()
        };
        let group = offset_fetch_request::OffsetFetchRequestGroup {
            group_id: client.group.as_str().into(),
            topics: topics.map(|topics| topics.into_iter().map(topic).collect()),
            ..Default::default()
        };
        own::OffsetFetchRequest { groups: vec![group], ..Default::default() }
    };
    let named = fetch(Some(vec![missing, topic_id]));
    let all = fetch(None);
    let mut ask = async |request: &own::OffsetFetchRequest| {
        let response = call(&mut client.connection, 10, request).await;
        let mut answered = Vec::new();
        for topic in &response.groups[0].topics {
            for found in &topic.partitions {
                let metadata = found.metadata.as_deref().map(str::to_owned);
                let offset = (found.committed_offset, found.committed_leader_epoch, metadata);
                answered.push((topic.topic_id, found.partition_index, offset, found.error_code));
            }
        }
        answered
    };
    let empty = || Some(String::new());
    assert_eq!(
        ask(&named).await,
        [
            (topic_id, 0, (42, 5, empty()), ErrorCode::None),
            (topic_id, 1, (-1, -1, empty()), ErrorCode::None),
            (missing, 0, (-1, -1, empty()), ErrorCode::UnknownTopicId),
            (missing, 1, (-1, -1, empty()), ErrorCode::UnknownTopicId),
        ]
    );
    assert_eq!(ask(&all).await, [(topic_id, 0, (42, 5, empty()), ErrorCode::None)]);
}

async fn what_was_not_committed_is_minus_one(broker: &Broker) {
    let (mut client, topic) = client_and_topic(broker, "no-offsets").await;
    for version in broker.versions(ApiKey::OffsetFetch, 1..=9) {
        // Neither the group nor the other topic is there.
        let fetched = fetch(&mut client, version, Some(&[(&topic, &[0, 2, 77]), ("missing", &[1])])).await;
        let expected =
            vec![(topic.clone(), vec![none(0), none(2), none(77)]), ("missing".to_owned(), vec![none(1)])];
        assert_eq!(fetched, (ErrorCode::None, expected), "version {version}");
        if version >= 2 {
            assert_eq!(fetch(&mut client, version, None).await, (ErrorCode::None, vec![]));
        }
    }
}

async fn all_offsets_of_a_group_are_fetched_at_once(broker: &Broker) {
    let (mut client, topic) = client_and_topic(broker, "all-offsets").await;
    let other = unique("all-offsets");
    client.connection.create_topic(&other, &[]).await;
    let request = commit_request(&client.group, &topic, vec![partition(2, 5, "m"), partition(0, 4, "")]);
    commit(&mut client, COMMIT, &request).await;
    let request = commit_request(&client.group, &other, vec![partition(0, 6, "")]);
    commit(&mut client, COMMIT, &request).await;
    for version in broker.versions(ApiKey::OffsetFetch, 2..=9) {
        let (error, mut topics) = fetch(&mut client, version, None).await;
        topics.sort();
        topics.iter_mut().for_each(|(_, partitions)| partitions.sort_by_key(|found| found.0));
        let of_topic =
            vec![(0, 4, -1, String::new(), ErrorCode::None), (2, 5, -1, "m".to_owned(), ErrorCode::None)];
        let of_other = vec![(0, 6, -1, String::new(), ErrorCode::None)];
        let mut expected = vec![(topic.clone(), of_topic), (other.clone(), of_other)];
        expected.sort();
        assert_eq!((error, topics), (ErrorCode::None, expected), "version {version}");
    }
}

async fn several_groups_are_fetched_at_once(broker: &Broker) {
    let (mut client, topic) = client_and_topic(broker, "several").await;
    let request = commit_request(&client.group, &topic, vec![partition(0, 5, "")]);
    commit(&mut client, COMMIT, &request).await;
    let other = unique("several");
    let mut of_other = GroupClient::new(broker, &other).await;
    let request = commit_request(&other, &topic, vec![partition(0, 6, "")]);
    commit(&mut of_other, COMMIT, &request).await;
    let group = |group: &str| {
        OffsetFetchRequestGroup::default()
            .with_group_id(group_id(group))
            .with_member_epoch(-1)
            .with_topics(None)
    };
    let groups = vec![group(&client.group), group(&other), group("")];
    let request = OffsetFetchRequest::default().with_groups(groups).with_require_stable(true);
    for version in 8..=9 {
        let response = client.connection.call(version, &request).await;
        let found: Vec<_> = response
            .groups
            .iter()
            .map(|group| {
                let offsets = group.topics.iter().flat_map(|topic| &topic.partitions);
                let offsets: Vec<_> = offsets.map(|found| found.committed_offset).collect();
                (group.group_id.to_string(), code(group.error_code), offsets)
            })
            .collect();
        assert_eq!(found[0], (client.group.clone(), ErrorCode::None, vec![5]));
        assert_eq!(found[1], (other.clone(), ErrorCode::None, vec![6]));
        // The group without a name may have offsets, too, from the oldest clients.
        assert_eq!((&*found[2].0, found[2].1), ("", ErrorCode::None));
    }
}

async fn commits_for_what_is_not_there_are_refused_alone(broker: &Broker) {
    let (mut client, topic) = client_and_topic(broker, "partly").await;
    let missing = unique("missing");
    let mut request = commit_request(
        &client.group,
        &topic,
        vec![partition(0, 1, ""), partition(3, 1, ""), partition(-1, 1, "")],
    );
    let of_missing = OffsetCommitRequestTopic::default()
        .with_name(name(&missing))
        .with_partitions(vec![partition(0, 1, "")]);
    request.topics.push(of_missing);
    let response = client.connection.call(COMMIT, &request).await;
    let mut answered = Vec::new();
    for topic in &response.topics {
        for partition in &topic.partitions {
            answered.push((topic.name.to_string(), partition.partition_index, code(partition.error_code)));
        }
    }
    let unknown = ErrorCode::UnknownTopicOrPartition;
    let expected = [
        (topic.clone(), 3, unknown),
        (topic.clone(), -1, unknown),
        (topic.clone(), 0, ErrorCode::None),
        (missing, 0, unknown),
    ];
    answered.sort_by_key(|(name, partition, _)| (*name != topic, *partition == 0, -partition));
    assert_eq!(answered, expected);
    let nothing = OffsetCommitRequest::default()
        .with_group_id(group_id(&client.group))
        .with_generation_id_or_member_epoch(5);
    assert_eq!(commit(&mut client, COMMIT, &nothing).await, []);
}

async fn metadata_may_not_be_too_long(broker: &Broker) {
    let (mut client, topic) = client_and_topic(broker, "metadata").await;
    let (longest, longer) = ("x".repeat(4096), "x".repeat(4097));
    let partitions = vec![partition(0, 1, &longest), partition(1, 1, &longer), partition(2, 1, "é")];
    let request = commit_request(&client.group, &topic, partitions);
    let errors = commit(&mut client, COMMIT, &request).await;
    assert_eq!(errors, [ErrorCode::None, ErrorCode::OffsetMetadataTooLarge, ErrorCode::None]);
    let (_, fetched) = fetch(&mut client, 9, Some(&[(&topic, &[0, 1, 2])])).await;
    let lengths: Vec<_> = fetched[0].1.iter().map(|found| (found.1, found.3.len())).collect();
    assert_eq!(lengths, [(1, 4096), (-1, 0), (1, 2)]);
}

async fn members_commit_in_their_generation(broker: &Broker) {
    let (mut client, topic) = client_and_topic(broker, "member-commits").await;
    let member = client.settle().await;
    let good = commit_request(&client.group, &topic, vec![partition(0, 8, "")])
        .with_member_id(text(&member.member_id))
        .with_generation_id_or_member_epoch(1);
    let cases = [
        (good.clone(), ErrorCode::None),
        (good.clone().with_generation_id_or_member_epoch(2), ErrorCode::IllegalGeneration),
        (good.clone().with_generation_id_or_member_epoch(-1), ErrorCode::IllegalGeneration),
        (good.clone().with_member_id(text("stranger")), ErrorCode::UnknownMemberId),
        (good.clone().with_member_id(text("")), ErrorCode::UnknownMemberId),
        (good.clone().with_group_instance_id(Some(text("nobody"))), ErrorCode::UnknownMemberId),
    ];
    for (request, expected) in cases {
        assert_eq!(commit(&mut client, COMMIT, &request).await, [expected], "{request:?}");
    }
}

async fn members_do_not_commit_before_they_have_synced(broker: &Broker) {
    let (mut client, topic) = client_and_topic(broker, "early-commit").await;
    let member = client.join_anew().await;
    let request = commit_request(&client.group, &topic, vec![partition(0, 8, "")])
        .with_member_id(text(&member.member_id))
        .with_generation_id_or_member_epoch(1);
    assert_eq!(commit(&mut client, COMMIT, &request).await, [ErrorCode::RebalanceInProgress]);
    client.sync(&member, &[]).await;
    assert_eq!(commit(&mut client, COMMIT, &request).await, [ErrorCode::None]);
    // While others join, it can still commit what it has done.
    let mut other = GroupClient::new(broker, &client.group).await;
    other.send_join_anew().await;
    client.await_rebalance(&member).await;
    assert_eq!(commit(&mut client, COMMIT, &request).await, [ErrorCode::None]);
}

async fn strangers_commit_only_to_empty_groups(broker: &Broker) {
    let (mut client, topic) = client_and_topic(broker, "strangers").await;
    let request = commit_request(&client.group, &topic, vec![partition(0, 8, "")]);
    for version in broker.versions(ApiKey::OffsetCommit, 2..=9) {
        assert_eq!(commit(&mut client, version, &request).await, [ErrorCode::None], "version {version}");
    }
    let member = client.settle().await;
    for version in broker.versions(ApiKey::OffsetCommit, 2..=9) {
        let errors = commit(&mut client, version, &request).await;
        assert_eq!(errors, [ErrorCode::UnknownMemberId], "version {version}");
    }
    client.leave(vec![identity(&member.member_id, None)]).await;
    assert_eq!(commit(&mut client, COMMIT, &request).await, [ErrorCode::None]);
    let late = request.with_member_id(text(&member.member_id)).with_generation_id_or_member_epoch(1);
    assert_eq!(commit(&mut client, COMMIT, &late).await, [ErrorCode::UnknownMemberId]);
}

async fn a_group_that_is_not_there_has_no_generation(broker: &Broker) {
    let (mut client, topic) = client_and_topic(broker, "no-group").await;
    let request = commit_request(&client.group, &topic, vec![partition(0, 8, "")])
        .with_member_id(text("somebody"))
        .with_generation_id_or_member_epoch(3);
    for version in broker.versions(ApiKey::OffsetCommit, 2..=9) {
        let errors = commit(&mut client, version, &request).await;
        // The coordinator before 4.0 did not know the newer error.
        let knows = version >= 9 && broker.is_at_least(KafkaVersion::V4_1_2);
        let expected = if knows { ErrorCode::GroupIdNotFound } else { ErrorCode::IllegalGeneration };
        assert_eq!(errors, [expected], "version {version}");
    }
    assert_eq!(fetch(&mut client, 9, None).await, (ErrorCode::None, vec![]));
}

async fn delete(
    client: &mut GroupClient,
    group: &str,
    topics: &[(&str, i32)],
) -> (ErrorCode, Vec<ErrorCode>) {
    let topic = |&(topic, partition): &(&str, i32)| {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(partition);
        OffsetDeleteRequestTopic::default().with_name(name(topic)).with_partitions(vec![partition])
    };
    let request = OffsetDeleteRequest::default()
        .with_group_id(group_id(group))
        .with_topics(topics.iter().map(topic).collect());
    let response = client.connection.call(0, &request).await;
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    (code(response.error_code), partitions.map(|partition| code(partition.error_code)).collect())
}

async fn a_deleted_offset_is_gone(broker: &Broker) {
    let (mut client, topic) = client_and_topic(broker, "delete-offset").await;
    let group = client.group.clone();
    let not_found = (ErrorCode::GroupIdNotFound, vec![]);
    assert_eq!(delete(&mut client, &group, &[(&topic, 0)]).await, not_found);
    assert_eq!(delete(&mut client, "", &[(&topic, 0)]).await, (ErrorCode::InvalidGroupId, vec![]));
    let request = commit_request(&group, &topic, vec![partition(0, 8, ""), partition(1, 9, "")]);
    commit(&mut client, COMMIT, &request).await;
    let done = (ErrorCode::None, vec![ErrorCode::None]);
    assert_eq!(delete(&mut client, &group, &[(&topic, 0)]).await, done);
    assert_eq!(delete(&mut client, &group, &[(&topic, 2)]).await, done, "there was none");
    let unknown = (ErrorCode::None, vec![ErrorCode::UnknownTopicOrPartition]);
    assert_eq!(delete(&mut client, &group, &[(&topic, 7)]).await, unknown);
    assert_eq!(delete(&mut client, &group, &[(&unique("missing"), 0)]).await, unknown);
    let (_, fetched) = fetch(&mut client, 9, Some(&[(&topic, &[0, 1])])).await;
    assert_eq!(fetched[0].1, [none(0), (1, 9, -1, String::new(), ErrorCode::None)]);
}

async fn offsets_of_subscribed_topics_stay(broker: &Broker) {
    let (mut client, topic) = client_and_topic(broker, "delete-subscribed").await;
    let wanted = subscription(&[&topic]);
    let request = client.join_request("").with_protocols(vec![protocol("range", &wanted)]);
    let member = joined(&client.join(3, &request).await);
    client.sync(&member, &[]).await;
    let other = unique("delete-other");
    client.connection.create_topic(&other, &[]).await;
    let group = client.group.clone();
    let errors = delete(&mut client, &group, &[(&topic, 0), (&other, 0)]).await;
    assert_eq!(errors, (ErrorCode::None, vec![ErrorCode::GroupSubscribedToTopic, ErrorCode::None]));

    // What members of other types of groups want is not known.
    let mut connect = GroupClient::new(broker, &unique("connect")).await;
    let request = connect.join_request("").with_protocol_type(text("connect"));
    joined(&connect.join(3, &request).await);
    let group = connect.group.clone();
    assert_eq!(delete(&mut connect, &group, &[(&topic, 0)]).await, (ErrorCode::NonEmptyGroup, vec![]));
}

async fn offsets_of_a_deleted_topic_are_forgotten(broker: &Broker) {
    let (mut client, topic) = client_and_topic(broker, "gone").await;
    let request = commit_request(&client.group, &topic, vec![partition(0, 8, "")]);
    assert_eq!(commit(&mut client, COMMIT, &request).await, [ErrorCode::None]);
    let deletion =
        DeleteTopicsRequest::default().with_topic_names(vec![name(&topic)]).with_timeout_ms(10_000);
    assert_eq!(client.connection.call(5, &deletion).await.responses[0].error_code, 0);
    let forgotten = async {
        // A real Kafka does it after the topic is gone.
        while fetch(&mut client, 9, None).await != (ErrorCode::None, vec![]) {}
    };
    tokio::time::timeout(PATIENCE, forgotten).await.expect("forgotten in time");
}
