//! Offsets committed in transactions: AddOffsetsToTxn and TxnOffsetCommit.

use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, GroupId, OffsetFetchRequest, TxnOffsetCommitRequest, WriteTxnMarkersRequest,
};
use milena_protocol::{ApiKey, ErrorCode, messages as own};
use milena_testcontainers::KafkaVersion;

use super::newest::call;
use crate::support::*;
use crate::transactional::*;

cases! {
    every_version_adds_the_offsets_of_a_group,
    every_version_commits_offsets_in_a_transaction,
    older_producers_must_add_the_offsets_of_the_group,
    newer_producers_add_them_by_committing,
    commits_are_checked_by_partition_metadata_and_group,
    offsets_show_when_their_transaction_commits,
    offsets_of_an_aborted_transaction_never_show,
    a_marker_ends_a_transaction_for_the_groups_of_its_partition_only,
    markers_for_offsets_are_fenced_by_both_epochs,
    a_late_marker_does_not_publish_the_offsets_of_the_next_transaction,
}

struct Committer {
    client: Transactional,
    topic: String,
    group: String,
}

impl Committer {
    async fn start(broker: &Broker) -> Self {
        let mut client = Transactional::start(broker).await;
        let (topic, group) = (unique("transaction-offsets"), unique("group"));
        client.connection.create_topic(&topic, &[]).await;
        find_coordinator(&mut client.connection, 0, &group).await;
        Self { client, topic, group }
    }

    async fn add(&mut self, version: i16) -> ErrorCode {
        let added = async {
            loop {
                let request = AddOffsetsToTxnRequest::default()
                    .with_transactional_id(transactional_id(&self.client.id))
                    .with_producer_id(self.client.producer.0.into())
                    .with_producer_epoch(self.client.producer.1)
                    .with_group_id(GroupId(text(&self.group)));
                let response = self.client.connection.call(version, &request).await;
                let error = ErrorCode::from(response.error_code);
                if !is_transient(error) {
                    return error;
                }
            }
        };
        tokio::time::timeout(PATIENCE, added).await.expect("an answer in time")
    }

    fn request(&self, offset: i64) -> TxnOffsetCommitRequest {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text("where I was")));
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(name(&self.topic))
            .with_partitions(vec![partition]);
        TxnOffsetCommitRequest::default()
            .with_transactional_id(transactional_id(&self.client.id))
            .with_group_id(GroupId(text(&self.group)))
            .with_producer_id(self.client.producer.0.into())
            .with_producer_epoch(self.client.producer.1)
            .with_generation_id(-1)
            .with_topics(vec![topic])
    }

    async fn send(&mut self, version: i16, request: TxnOffsetCommitRequest) -> ErrorCode {
        let committed = async {
            loop {
                let response = self.client.connection.call(version, &request).await;
                let error = ErrorCode::from(response.topics[0].partitions[0].error_code);
                if !is_transient(error) {
                    return error;
                }
            }
        };
        tokio::time::timeout(PATIENCE, committed).await.expect("an answer in time")
    }

    /// The group's offset, or why there is none to tell.
    async fn fetch(&mut self, require_stable: bool) -> Result<i64, ErrorCode> {
        let topic =
            OffsetFetchRequestTopic::default().with_name(name(&self.topic)).with_partition_indexes(vec![0]);
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_require_stable(require_stable)
            .with_topics(Some(vec![topic]));
        let mut response = self.client.connection.call(7, &request).await;
        assert_eq!(response.error_code, 0);
        let partition = response.topics.remove(0).partitions.remove(0);
        match ErrorCode::from(partition.error_code) {
            ErrorCode::None => Ok(partition.committed_offset),
            error => Err(error),
        }
    }

    async fn commit(&mut self, version: i16, offset: i64) -> ErrorCode {
        let request = self.request(offset);
        self.send(version, request).await
    }
}

async fn every_version_adds_the_offsets_of_a_group(broker: &Broker) {
    for version in broker.versions(ApiKey::AddOffsetsToTxn, 0..=4) {
        let mut committer = Committer::start(broker).await;
        assert_eq!(committer.add(version).await, ErrorCode::None, "version {version}");
        let described = committer.client.describe().await;
        assert_eq!(
            (&*described.transaction_state, &*described.topics[0].topic.0),
            ("Ongoing", "__consumer_offsets")
        );
        committer.client.producer.1 += 1;
        let fenced = if version < 2 { ErrorCode::InvalidProducerEpoch } else { ErrorCode::ProducerFenced };
        assert_eq!(committer.add(version).await, fenced, "version {version}");
        committer.client.producer.0 += 1_000_000;
        assert_eq!(committer.add(version).await, ErrorCode::InvalidProducerIdMapping, "version {version}");
    }
}

async fn every_version_commits_offsets_in_a_transaction(broker: &Broker) {
    for version in broker.versions(ApiKey::TxnOffsetCommit, 0..=5) {
        let mut committer = Committer::start(broker).await;
        assert_eq!(committer.add(3).await, ErrorCode::None);
        assert_eq!(committer.commit(version, 5).await, ErrorCode::None, "version {version}");
        committer.client.end(if version >= 5 { 5 } else { 3 }, version % 2 == 0).await;
    }
}

async fn older_producers_must_add_the_offsets_of_the_group(broker: &Broker) {
    let mut committer = Committer::start(broker).await;
    for version in broker.versions(ApiKey::TxnOffsetCommit, 0..=4) {
        let refused = if version < 4 { ErrorCode::InvalidTxnState } else { ErrorCode::TransactionAbortable };
        assert_eq!(committer.commit(version, 5).await, refused, "version {version}");
    }
    assert_eq!(committer.add(3).await, ErrorCode::None);
    committer.client.producer.1 += 1;
    assert_eq!(committer.commit(3, 5).await, ErrorCode::InvalidProducerEpoch);
    committer.client.producer.0 += 1_000_000;
    assert_eq!(committer.commit(3, 5).await, ErrorCode::InvalidProducerIdMapping);
}

async fn newer_producers_add_them_by_committing(broker: &Broker) {
    if !broker.offers(ApiKey::TxnOffsetCommit, 5) {
        return;
    }
    let mut committer = Committer::start(broker).await;
    assert_eq!(committer.commit(5, 5).await, ErrorCode::None);
    let described = committer.client.describe().await;
    assert_eq!(
        (&*described.transaction_state, &*described.topics[0].topic.0),
        ("Ongoing", "__consumer_offsets")
    );
    committer.client.end(5, true).await;
    committer.client.producer.1 -= 1;
    assert_eq!(committer.commit(5, 6).await, ErrorCode::InvalidProducerEpoch);
}

async fn commits_are_checked_by_partition_metadata_and_group(broker: &Broker) {
    let mut committer = Committer::start(broker).await;
    assert_eq!(committer.add(3).await, ErrorCode::None);
    let mut missing = committer.request(5);
    missing.topics[0].partitions[0].partition_index = 7;
    assert_eq!(committer.send(3, missing).await, ErrorCode::UnknownTopicOrPartition);
    let member = committer.request(5).with_generation_id(3).with_member_id(text("nobody"));
    // The coordinator of groups before 4.0 made the group first, and then missed its member.
    if broker.is_at_least(KafkaVersion::V4_1_2) {
        let refused = committer.send(3, member.clone()).await;
        assert_eq!(refused, ErrorCode::IllegalGeneration, "there is no group");
    }
    let nameless = committer.request(5).with_group_id(GroupId(text("")));
    assert_eq!(committer.send(3, nameless).await, ErrorCode::InvalidGroupId);
    let mut talkative = committer.request(5);
    talkative.topics[0].partitions[0].committed_metadata = Some(text(&"x".repeat(4_097)));
    assert_eq!(committer.send(3, talkative).await, ErrorCode::OffsetMetadataTooLarge);
    assert_eq!(committer.commit(3, 5).await, ErrorCode::None);
    assert_eq!(committer.send(3, member).await, ErrorCode::UnknownMemberId, "there is one, without members");
}

async fn offsets_show_when_their_transaction_commits(broker: &Broker) {
    let mut committer = Committer::start(broker).await;
    assert_eq!(committer.add(3).await, ErrorCode::None);
    assert_eq!(committer.commit(3, 5).await, ErrorCode::None);
    assert_eq!(committer.fetch(false).await, Ok(-1));
    assert_eq!(committer.fetch(true).await, Err(ErrorCode::UnstableOffsetCommit));
    committer.client.end(3, true).await;
    assert_eq!((committer.fetch(false).await, committer.fetch(true).await), (Ok(5), Ok(5)));
    if broker.offers(ApiKey::TxnOffsetCommit, 5) {
        assert_eq!(committer.commit(5, 6).await, ErrorCode::None);
        assert_eq!(committer.fetch(false).await, Ok(5));
        committer.client.end(5, true).await;
        assert_eq!(committer.fetch(true).await, Ok(6));
    }
}

async fn offsets_of_an_aborted_transaction_never_show(broker: &Broker) {
    let mut committer = Committer::start(broker).await;
    assert_eq!(committer.add(3).await, ErrorCode::None);
    assert_eq!(committer.commit(3, 5).await, ErrorCode::None);
    committer.client.end(3, false).await;
    assert_eq!((committer.fetch(false).await, committer.fetch(true).await), (Ok(-1), Ok(-1)));
}

async fn a_marker_ends_a_transaction_for_the_groups_of_its_partition_only(broker: &Broker) {
    let mut committer = Committer::start(broker).await;
    assert_eq!(committer.add(3).await, ErrorCode::None);
    assert_eq!(committer.commit(3, 5).await, ErrorCode::None);
    let coordinated_by = async |committer: &mut Committer| {
        let described = committer.client.describe().await;
        described.topics[0].partitions.clone()
    };
    let here = coordinated_by(&mut committer).await;
    let first_group = committer.group.clone();
    while coordinated_by(&mut committer).await.len() == 1 {
        committer.group = unique("group-elsewhere");
        assert_eq!(committer.add(3).await, ErrorCode::None);
    }
    assert_eq!(committer.commit(3, 6).await, ErrorCode::None);
    let topic = WritableTxnMarkerTopic::default()
        .with_name(name("__consumer_offsets"))
        .with_partition_indexes(here.clone());
    let marker = WritableTxnMarker::default()
        .with_producer_id(committer.client.producer.0.into())
        .with_producer_epoch(committer.client.producer.1)
        .with_transaction_result(true)
        .with_topics(vec![topic]);
    let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
    let written = committer.client.connection.call(1, &request).await;
    assert_eq!(written.markers[0].topics[0].partitions[0].error_code, 0);
    assert_eq!(
        committer.fetch(true).await,
        Err(ErrorCode::UnstableOffsetCommit),
        "its coordinator has no marker"
    );
    let elsewhere = std::mem::replace(&mut committer.group, first_group);
    assert_eq!(committer.fetch(true).await, Ok(5));
    committer.group = elsewhere;
    committer.client.end(3, true).await;
    assert_eq!(committer.fetch(true).await, Ok(6));
}

async fn markers_for_offsets_are_fenced_by_both_epochs(broker: &Broker) {
    let mut committer = Committer::start(broker).await;
    let producer_id = committer.client.producer.0;
    let mut write = async |producer_epoch: i16, coordinator_epoch: i32| {
        let topic = WritableTxnMarkerTopic::default()
            .with_name(name("__consumer_offsets"))
            .with_partition_indexes(vec![0]);
        let marker = WritableTxnMarker::default()
            .with_producer_id(producer_id.into())
            .with_producer_epoch(producer_epoch)
            .with_coordinator_epoch(coordinator_epoch)
            .with_topics(vec![topic]);
        let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
        let written = async {
            loop {
                let response = committer.client.connection.call(1, &request).await;
                let error = ErrorCode::from(response.markers[0].topics[0].partitions[0].error_code);
                if !is_transient(error) {
                    return error;
                }
            }
        };
        tokio::time::timeout(PATIENCE, written).await.expect("an answer in time")
    };
    assert_eq!(write(3, 5).await, ErrorCode::None);
    assert_eq!(write(3, 4).await, ErrorCode::TransactionCoordinatorFenced);
    assert_eq!(write(2, 5).await, ErrorCode::InvalidProducerEpoch);
    assert_eq!(write(3, 5).await, ErrorCode::None, "again");
    assert_eq!(write(4, 6).await, ErrorCode::None);
}

/// From its second version on a transaction ends with the epoch in which the next one begins (KIP-890), and brokers say to
/// each other by which version a marker goes (KIP-1228).
async fn a_late_marker_does_not_publish_the_offsets_of_the_next_transaction(broker: &Broker) {
    if !broker.offers(ApiKey::WriteTxnMarkers, 2) {
        return;
    }
    let mut committer = Committer::start(broker).await;
    assert_eq!(committer.commit(5, 7).await, ErrorCode::None);
    let partition_indexes = committer.client.describe().await.topics[0].partitions.clone();
    committer.client.end(5, true).await;
    assert_eq!(committer.fetch(true).await, Ok(7));

    let (producer_id, producer_epoch) = committer.client.producer;
    let topic = own::write_txn_markers_request::WritableTxnMarkerTopic {
        name: "__consumer_offsets".into(),
        partition_indexes,
        ..Default::default()
    };
    let marker = own::write_txn_markers_request::WritableTxnMarker {
        producer_id,
        producer_epoch,
        transaction_result: true,
        topics: vec![topic],
        coordinator_epoch: 1_000_000,
        transaction_version: 2,
        ..Default::default()
    };
    let late = own::WriteTxnMarkersRequest { markers: vec![marker], ..Default::default() };
    let end_again = async |committer: &mut Committer| {
        let response = call(&mut committer.client.connection, 2, &late).await;
        response.markers[0].topics[0].partitions[0].error_code
    };
    assert_eq!(end_again(&mut committer).await, ErrorCode::None, "nothing is open");
    assert_eq!(committer.commit(5, 9).await, ErrorCode::None);
    assert_eq!(end_again(&mut committer).await, ErrorCode::InvalidProducerEpoch);
    assert_eq!(committer.fetch(false).await, Ok(7));
    assert_eq!(committer.fetch(true).await, Err(ErrorCode::UnstableOffsetCommit));
}
