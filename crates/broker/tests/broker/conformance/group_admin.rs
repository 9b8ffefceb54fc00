//! DescribeGroups, ListGroups, DeleteGroups, and the topic that groups are kept in.

use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest, MetadataRequest, OffsetCommitRequest,
};
use milena_protocol::{ApiKey, ErrorCode};
use milena_testcontainers::KafkaVersion;

use super::group_client::*;
use crate::support::*;

cases! {
    a_stable_group_is_described_in_every_version,
    a_group_that_is_not_there_is_dead_or_an_error,
    a_group_is_described_in_each_of_its_states,
    groups_are_listed_in_every_version_by_state_and_type,
    a_group_with_members_cannot_be_deleted,
    a_deleted_group_takes_its_offsets_along,
    the_topic_of_groups_is_internal,
}

fn code(code: i16) -> ErrorCode {
    ErrorCode::from(code)
}

async fn describe(client: &mut GroupClient, version: i16, group: &str) -> DescribedGroup {
    let request = DescribeGroupsRequest::default()
        .with_groups(vec![group_id(group)])
        .with_include_authorized_operations(version >= 3);
    client.connection.call(version, &request).await.groups.remove(0)
}

/// Read, delete, describe.
const OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;
/// Describe and alter configs, which groups have since 4.0.
const CONFIG_OPERATIONS: i32 = 1 << 10 | 1 << 11;

async fn a_stable_group_is_described_in_every_version(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("describe")).await;
    let request = client.join_request("").with_group_instance_id(Some(text("web-1")));
    let member = joined(&client.join(JOIN, &request).await);
    client.sync(&member, &[(&member.member_id, b"mine")]).await;
    let group = client.group.clone();
    let has_configs = broker.is_at_least(KafkaVersion::V4_1_2);
    let all_operations = OPERATIONS | if has_configs { CONFIG_OPERATIONS } else { 0 };
    for version in broker.versions(ApiKey::DescribeGroups, 0..=6) {
        let described = describe(&mut client, version, &group).await;
        assert_eq!((described.error_code, &described.error_message), (0, &None), "version {version}");
        assert_eq!((&*described.group_id.0, &*described.group_state), (&*group, "Stable"));
        assert_eq!((&*described.protocol_type, &*described.protocol_data), ("consumer", "range"));
        let operations = if version >= 3 { all_operations } else { i32::MIN };
        assert_eq!(described.authorized_operations, operations, "version {version}");
        let told = &described.members[0];
        assert_eq!((described.members.len(), &*told.member_id), (1, &*member.member_id));
        assert_eq!(told.group_instance_id.as_deref(), (version >= 4).then_some("web-1"));
        assert_eq!((&*told.client_id, &*told.client_host), ("oracle", "/127.0.0.1"));
        assert_eq!(&told.member_metadata[..], subscription(&["first", "second"]));
        assert_eq!(&told.member_assignment[..], b"mine");
    }
}

async fn a_group_that_is_not_there_is_dead_or_an_error(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("describe-missing")).await;
    for version in broker.versions(ApiKey::DescribeGroups, 0..=6) {
        for missing in [unique("missing"), String::new()] {
            let described = describe(&mut client, version, &missing).await;
            let (error, message) = match version {
                6 => (ErrorCode::GroupIdNotFound, Some(format!("Group {missing} not found."))),
                _ => (ErrorCode::None, None),
            };
            assert_eq!(code(described.error_code), error, "version {version}");
            assert_eq!(described.error_message.as_deref(), message.as_deref());
            assert_eq!((&*described.group_state, &*described.protocol_type), ("Dead", ""));
            assert_eq!((&*described.protocol_data, described.members.len()), ("", 0));
        }
    }
}

async fn a_group_is_described_in_each_of_its_states(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("states")).await;
    let mut second = GroupClient::new(broker, &client.group).await;
    let group = client.group.clone();
    let asked = client.join(JOIN, &client.join_request("")).await;
    let created = async {
        // A real Kafka tells of a group once it is written down.
        loop {
            let described = describe(&mut client, 5, &group).await;
            if &*described.group_state != "Dead" {
                break described;
            }
        }
    };
    let described = tokio::time::timeout(PATIENCE, created).await.expect("created in time");
    assert_eq!(
        (&*described.group_state, &*described.protocol_type, described.members.len()),
        ("Empty", "", 0)
    );
    let request = client.join_request(&asked.member_id);
    let member = joined(&client.join(JOIN, &request).await);
    let described = describe(&mut client, 5, &group).await;
    assert_eq!(&*described.group_state, "CompletingRebalance");
    let told = &described.members[0];
    assert_eq!(
        (&*described.protocol_data, told.member_metadata.len(), told.member_assignment.len()),
        ("", 0, 0)
    );
    client.sync(&member, &[(&member.member_id, b"mine")]).await;
    second.send_join_anew().await;
    client.await_rebalance(&member).await;
    let described = describe(&mut client, 5, &group).await;
    assert_eq!((&*described.group_state, &*described.protocol_data), ("PreparingRebalance", ""));
    assert_eq!(described.members.len(), 2);
    let left: Vec<_> = described.members.iter().map(|told| identity(&told.member_id, None)).collect();
    client.leave(left).await;
    let described = describe(&mut client, 5, &group).await;
    assert_eq!((&*described.group_state, &*described.protocol_type), ("Empty", "consumer"));
}

async fn list(
    client: &mut GroupClient,
    version: i16,
    states: &[&str],
    types: &[&str],
) -> Option<[String; 3]> {
    let request = ListGroupsRequest::default()
        .with_states_filter(states.iter().map(|state| text(state)).collect())
        .with_types_filter(types.iter().map(|kind| text(kind)).collect());
    let response = client.connection.call(version, &request).await;
    assert_eq!(response.error_code, 0);
    let found = response.groups.iter().find(|listed| *listed.group_id.0 == client.group)?;
    Some([&found.protocol_type, &found.group_state, &found.group_type].map(|text| text.to_string()))
}

async fn groups_are_listed_in_every_version_by_state_and_type(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("list")).await;
    assert_eq!(list(&mut client, 4, &[], &[]).await, None);
    client.settle().await;
    for version in broker.versions(ApiKey::ListGroups, 0..=5) {
        let state = if version >= 4 { "Stable" } else { "" };
        let kind = if version >= 5 { "classic" } else { "" };
        let expected = Some(["consumer", state, kind].map(str::to_owned));
        assert_eq!(list(&mut client, version, &[], &[]).await, expected, "version {version}");
        if version >= 4 {
            assert!(list(&mut client, version, &["Empty", "stable"], &[]).await.is_some());
            assert!(list(&mut client, version, &["Empty", "nonsense"], &[]).await.is_none());
        }
        if version >= 5 {
            assert!(list(&mut client, version, &[], &["consumer", "Classic"]).await.is_some());
            assert!(list(&mut client, version, &[], &["consumer"]).await.is_none());
            assert!(list(&mut client, version, &["Empty"], &["classic"]).await.is_none());
            assert!(list(&mut client, version, &[], &["nonsense"]).await.is_none());
        }
    }
}

async fn delete(client: &mut GroupClient, version: i16, groups: &[&str]) -> Vec<(String, ErrorCode)> {
    let groups = groups.iter().map(|group| group_id(group)).collect();
    let request = DeleteGroupsRequest::default().with_groups_names(groups);
    let response = client.connection.call(version, &request).await;
    response.results.iter().map(|result| (result.group_id.to_string(), code(result.error_code))).collect()
}

async fn a_group_with_members_cannot_be_deleted(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("delete")).await;
    let group = client.group.clone();
    for version in broker.versions(ApiKey::DeleteGroups, 0..=2) {
        let member = client.settle().await;
        let refused = delete(&mut client, version, &[&group]).await;
        assert_eq!(refused, [(group.clone(), ErrorCode::NonEmptyGroup)], "version {version}");
        client.leave(vec![identity(&member.member_id, None)]).await;
        let missing = unique("missing");
        let mut results = delete(&mut client, version, &[&group, &missing, &group]).await;
        results.sort();
        let mut expected = [(group.clone(), ErrorCode::None), (missing.clone(), ErrorCode::GroupIdNotFound)];
        expected.sort();
        assert_eq!(results, expected, "version {version}");
        assert_eq!(list(&mut client, 4, &[], &[]).await, None);
    }
}

async fn a_deleted_group_takes_its_offsets_along(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("delete-offsets")).await;
    let topic = unique("delete-offsets");
    client.connection.create_topic(&topic, &[]).await;
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(5);
    let of_topic =
        OffsetCommitRequestTopic::default().with_name(name(&topic)).with_partitions(vec![partition]);
    let commit = OffsetCommitRequest::default()
        .with_group_id(group_id(&client.group))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![of_topic]);
    client.connection.call(9, &commit).await;
    let listed = list(&mut client, 4, &["Empty"], &[]).await;
    assert_eq!(listed, Some(["", "Empty", ""].map(str::to_owned)), "a group that only has offsets");
    let group = client.group.clone();
    assert_eq!(delete(&mut client, 2, &[&group]).await, [(group.clone(), ErrorCode::None)]);
    assert_eq!(list(&mut client, 4, &[], &[]).await, None);
    assert_eq!(delete(&mut client, 2, &[&group]).await, [(group, ErrorCode::GroupIdNotFound)]);
}

async fn the_topic_of_groups_is_internal(broker: &Broker) {
    let mut client = GroupClient::new(broker, &unique("internal")).await;
    let request = MetadataRequest::default().with_topics(None);
    let response = client.connection.call(12, &request).await;
    let listed = |name: &str| {
        let found =
            response.topics.iter().find(|topic| topic.name.as_ref().is_some_and(|own| &*own.0 == name));
        found.map(|topic| topic.is_internal)
    };
    assert_eq!(listed("__consumer_offsets"), Some(true));
}
