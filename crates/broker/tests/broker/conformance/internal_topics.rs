//! Kafka's own topics, deleted: whoever led a partition resigns as a coordinator, and its successor begins with nothing
//! (Java: `BrokerMetadataPublisher.updateCoordinator`, `GroupCoordinatorService.onResignation`).

use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{
    DeleteTopicsRequest, DescribeTransactionsRequest, GroupId, HeartbeatRequest, ListGroupsRequest,
    OffsetCommitRequest, OffsetFetchRequest,
};
use milena_protocol::ErrorCode;

use super::group_client::*;
use crate::support::*;
use crate::transactional::*;

cases! {
    brisk:
    groups_are_forgotten_with_their_topic,
    transactional_ids_are_forgotten_with_their_topic,
}

async fn delete(connection: &mut Connection, topic: &str) {
    let topic = DeleteTopicState::default().with_name(Some(name(topic)));
    let request = DeleteTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let deleted = connection.call(6, &request).await;
    assert_eq!(deleted.responses[0].error_code, 0, "{:?}", deleted.responses[0].error_message);
}

struct Forgetful {
    client: GroupClient,
    topic: String,
}

impl Forgetful {
    fn group(&self) -> GroupId {
        GroupId(text(&self.client.group))
    }

    async fn commit(&mut self, offset: i64) -> ErrorCode {
        let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(name(&self.topic))
            .with_partitions(vec![partition.with_committed_metadata(Some(text("")))]);
        let request = OffsetCommitRequest::default()
            .with_group_id(self.group())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        let response = self.client.connection.call(8, &request).await;
        ErrorCode::from(response.topics[0].partitions[0].error_code)
    }

    async fn committed(&mut self) -> (ErrorCode, Option<i64>) {
        let topic =
            OffsetFetchRequestTopic::default().with_name(name(&self.topic)).with_partition_indexes(vec![0]);
        let request =
            OffsetFetchRequest::default().with_group_id(self.group()).with_topics(Some(vec![topic]));
        let response = self.client.connection.call(7, &request).await;
        let offset = response.topics.first().map(|topic| topic.partitions[0].committed_offset);
        (ErrorCode::from(response.error_code), offset)
    }

    async fn beat(&mut self, request: &HeartbeatRequest) -> ErrorCode {
        ErrorCode::from(self.client.connection.call(HEARTBEAT, request).await.error_code)
    }

    async fn is_listed(&mut self) -> bool {
        let listed = self.client.connection.call(4, &ListGroupsRequest::default()).await.groups;
        listed.iter().any(|listed| listed.group_id == self.group())
    }
}

async fn groups_are_forgotten_with_their_topic(broker: &Broker) {
    let topic = unique("forgotten");
    broker.connect().await.create_topic(&topic, &[]).await;
    let idle = GroupClient::new(broker, &unique("forgotten")).await;
    let mut idle = Forgetful { client: idle, topic: topic.clone() };
    assert_eq!(idle.commit(5).await, ErrorCode::None);
    assert_eq!(idle.committed().await, (ErrorCode::None, Some(5)));

    let mut client = GroupClient::new(broker, &unique("forgotten-busy")).await;
    let member = client.settle().await;
    let beat = heartbeat_request(&client.group, &member.member_id, member.generation_id, None);
    let mut busy = Forgetful { client, topic };
    assert_eq!(busy.beat(&beat).await, ErrorCode::None);
    assert!(busy.is_listed().await);

    delete(&mut broker.connect().await, "__consumer_offsets").await;
    let resigned = async {
        // A real Kafka takes a moment to hear of it. The coordinator before 4.0 gives up the partition first and its groups one after
        // another then; a heartbeat let in before the one finds a dead group after the other, and is told that nobody coordinates it
        // (`GroupCoordinator.validateCurrentMember`).
        let is_kafka = broker.is_real();
        loop {
            match busy.beat(&beat).await {
                ErrorCode::None => {}
                ErrorCode::CoordinatorNotAvailable if is_kafka => {}
                error => break error,
            }
        }
    };
    let resigned = tokio::time::timeout(PATIENCE, resigned).await.expect("resigned in time");
    assert_eq!(resigned, ErrorCode::NotCoordinator);
    assert!(!busy.is_listed().await);

    // Whoever asks for a coordinator has the topic made anew.
    drop(GroupClient::new(broker, &busy.client.group).await);
    drop(GroupClient::new(broker, &idle.client.group).await);
    assert_eq!(busy.beat(&beat).await, ErrorCode::UnknownMemberId);
    assert_eq!(idle.committed().await, (ErrorCode::None, Some(-1)));
    assert!(!idle.is_listed().await);
    assert_eq!(idle.commit(7).await, ErrorCode::None);
    assert_eq!(idle.committed().await, (ErrorCode::None, Some(7)));
}

async fn transactional_ids_are_forgotten_with_their_topic(broker: &Broker) {
    let mut client = Transactional::start(broker).await;
    client.init().await;
    assert_eq!(client.producer.1, 1, "it has initialised twice");
    delete(&mut broker.connect().await, "__transaction_state").await;
    let describe =
        DescribeTransactionsRequest::default().with_transactional_ids(vec![transactional_id(&client.id)]);
    let forgotten = async {
        find_coordinator(&mut client.connection, 1, &client.id).await;
        loop {
            let described = client.connection.call(0, &describe).await;
            let error = ErrorCode::from(described.transaction_states[0].error_code);
            if error == ErrorCode::TransactionalIdNotFound {
                break;
            }
            assert!(error == ErrorCode::None || is_transient(error), "{error}");
            // The coordinator may have been found before it heard of it.
            find_coordinator(&mut client.connection, 1, &client.id).await;
        }
    };
    tokio::time::timeout(PATIENCE, forgotten).await.expect("forgotten in time");
    let before = client.producer.0;
    client.init().await;
    assert!(client.producer.1 == 0 && client.producer.0 != before, "{:?} after {before}", client.producer);
}
