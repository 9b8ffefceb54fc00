//! What other APIs make of consumer groups: offsets with member epochs, and what administrators see and do.

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest, OffsetCommitRequest, OffsetFetchRequest,
};
use milena_protocol::ErrorCode;
use milena_testcontainers::KafkaVersion;

use super::consumer_groups::*;
use crate::support::*;

cases! {
    commits_need_the_members_epoch,
    a_member_commits_what_it_has_held_since_an_earlier_epoch,
    fetches_need_the_members_epoch_if_they_name_a_member,
    groups_are_listed_by_type_and_state,
    the_classic_description_does_not_find_a_consumer_group,
    only_empty_groups_are_deleted,
}

impl Scene {
    async fn commit(&mut self, version: i16, topic: &str, member_id: &str, member_epoch: i32) -> ErrorCode {
        let partition =
            OffsetCommitRequestPartition::default().with_committed_offset(7).with_committed_leader_epoch(-1);
        let topic =
            OffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(group_id(&self.group))
            .with_member_id(text(member_id))
            .with_generation_id_or_member_epoch(member_epoch)
            .with_topics(vec![topic]);
        let response = self.connection.call(version, &request).await;
        ErrorCode::from(response.topics[0].partitions[0].error_code)
    }

    async fn fetch(&mut self, topic: &str, member_id: Option<&str>, member_epoch: i32) -> (ErrorCode, i64) {
        let topic =
            OffsetFetchRequestTopics::default().with_name(name(topic)).with_partition_indexes(vec![0]);
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(group_id(&self.group))
            .with_member_id(member_id.map(text))
            .with_member_epoch(member_epoch)
            .with_topics(Some(vec![topic]));
        let request = OffsetFetchRequest::default().with_groups(vec![group]);
        let group = self.connection.call(9, &request).await.groups.remove(0);
        let offset = group.topics.first().map_or(-1, |topic| topic.partitions[0].committed_offset);
        (ErrorCode::from(group.error_code), offset)
    }

    async fn list(&mut self, types: &[&str], states: &[&str]) -> Option<(String, String)> {
        let texts = |texts: &[&str]| texts.iter().map(|own| text(own)).collect();
        let request =
            ListGroupsRequest::default().with_types_filter(texts(types)).with_states_filter(texts(states));
        let groups = self.connection.call(5, &request).await.groups;
        let found = groups.iter().find(|group| group.group_id.as_str() == self.group)?;
        assert_eq!(found.protocol_type.as_str(), "consumer");
        Some((found.group_type.to_string(), found.group_state.to_string()))
    }

    async fn delete(&mut self) -> ErrorCode {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(&self.group)]);
        ErrorCode::from(self.connection.call(2, &request).await.results[0].error_code)
    }
}

async fn commits_need_the_members_epoch(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let topic = unique("consumed");
    scene.create_topic(&topic, 1).await;
    let a = scene.join("a", &[&topic]).await;
    let epoch = a.member_epoch;
    assert_eq!(scene.commit(9, &topic, "a", epoch).await, ErrorCode::None);
    assert_eq!(scene.commit(9, &topic, "a", epoch + 1).await, ErrorCode::StaleMemberEpoch);
    assert_eq!(scene.commit(8, &topic, "a", epoch).await, ErrorCode::UnsupportedVersion);
    assert_eq!(scene.commit(9, &topic, "b", epoch).await, ErrorCode::UnknownMemberId);
    assert_eq!(scene.commit(9, &topic, "", -1).await, ErrorCode::UnknownMemberId);
    let leaving = heartbeat(&scene.group, "a", -1);
    assert_eq!(scene.code(&leaving).await, ErrorCode::None);
    assert_eq!(scene.commit(9, &topic, "", -1).await, ErrorCode::None);
    assert_eq!(scene.commit(2, &topic, "", -1).await, ErrorCode::None);
}

async fn a_member_commits_what_it_has_held_since_an_earlier_epoch(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let topic = unique("consumed");
    scene.create_topic(&topic, 1).await;
    let mut a = scene.join("a", &[&topic]).await;
    let before = a.member_epoch;
    let mut b = scene.join("b", &[&topic]).await;
    scene.settle(&mut [&mut a, &mut b], |members| members[0].member_epoch > before).await;
    assert_eq!((a.load(), b.load()), (1, 0));
    // Kafka 4.1 asks for the present epoch.
    let expected = match broker.is_at_least(KafkaVersion::LATEST) {
        true => ErrorCode::None,
        false => ErrorCode::StaleMemberEpoch,
    };
    assert_eq!(scene.commit(9, &topic, "a", before).await, expected);
    assert_eq!(scene.commit(9, &topic, "a", before - 1).await, ErrorCode::StaleMemberEpoch);
    assert_eq!(scene.commit(9, &topic, "b", b.member_epoch - 1).await, ErrorCode::StaleMemberEpoch);
}

async fn fetches_need_the_members_epoch_if_they_name_a_member(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let topic = unique("consumed");
    scene.create_topic(&topic, 1).await;
    let a = scene.join("a", &[&topic]).await;
    let epoch = a.member_epoch;
    assert_eq!(scene.commit(9, &topic, "a", epoch).await, ErrorCode::None);
    assert_eq!(scene.fetch(&topic, Some("a"), epoch).await, (ErrorCode::None, 7));
    assert_eq!(scene.fetch(&topic, None, -1).await, (ErrorCode::None, 7));
    assert_eq!(scene.fetch(&topic, Some("a"), epoch + 1).await, (ErrorCode::StaleMemberEpoch, -1));
    assert_eq!(scene.fetch(&topic, Some("a"), epoch - 1).await, (ErrorCode::StaleMemberEpoch, -1));
    assert_eq!(scene.fetch(&topic, Some("b"), epoch).await, (ErrorCode::UnknownMemberId, -1));
}

async fn groups_are_listed_by_type_and_state(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    let topic = unique("consumed");
    scene.create_topic(&topic, 1).await;
    scene.join("a", &[&topic]).await;
    let stable = Some(("consumer".to_owned(), "Stable".to_owned()));
    assert_eq!(scene.list(&[], &[]).await, stable);
    assert_eq!(scene.list(&["Consumer"], &["stable"]).await, stable);
    assert_eq!(scene.list(&["classic"], &[]).await, None);
    assert_eq!(scene.list(&[], &["Empty"]).await, None);
    let leaving = heartbeat(&scene.group, "a", -1);
    assert_eq!(scene.code(&leaving).await, ErrorCode::None);
    let empty = Some(("consumer".to_owned(), "Empty".to_owned()));
    assert_eq!(scene.list(&[], &["Empty"]).await, empty);
}

async fn the_classic_description_does_not_find_a_consumer_group(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    scene.join("a", &["no-such-topic"]).await;
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(&scene.group)]);
    for (version, code) in [(5, ErrorCode::None), (6, ErrorCode::GroupIdNotFound)] {
        let group = scene.connection.call(version, &request).await.groups.remove(0);
        assert_eq!((ErrorCode::from(group.error_code), group.group_state.as_str()), (code, "Dead"));
        let expected = (version == 6).then(|| format!("Group {} is not a classic group.", scene.group));
        assert_eq!(group.error_message.map(|message| message.to_string()), expected);
    }
}

async fn only_empty_groups_are_deleted(broker: &Broker) {
    let Some(mut scene) = Scene::open(broker).await else { return };
    scene.join("a", &["no-such-topic"]).await;
    assert_eq!(scene.delete().await, ErrorCode::NonEmptyGroup);
    let leaving = heartbeat(&scene.group, "a", -1);
    assert_eq!(scene.code(&leaving).await, ErrorCode::None);
    assert_eq!(scene.delete().await, ErrorCode::None);
    assert_eq!(scene.delete().await, ErrorCode::GroupIdNotFound);
    assert_eq!(ErrorCode::from(scene.describe(0).await.error_code), ErrorCode::GroupIdNotFound);
}
