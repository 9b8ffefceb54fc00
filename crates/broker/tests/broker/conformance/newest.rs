//! The versions that the oracle does not know yet, asked with our own codec.

use bytes::Buf;
use milena_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use milena_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use milena_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use milena_protocol::messages::{
    AddRaftVoterRequest, DescribeLogDirsRequest, FetchRequest, ListOffsetsRequest, WriteTxnMarkersRequest,
};
use milena_protocol::{ApiKey, ErrorCode, Request, Uuid, decode_response, encode_request};

use crate::support::*;
use crate::transactional::*;

cases! {
    add_raft_voter_1,
    describe_log_dirs_5,
    fetch_18,
    list_offsets_11,
    write_txn_markers_2,
}

pub(super) async fn call<R: Request>(connection: &mut Connection, version: i16, request: &R) -> R::Response {
    let frame = encode_request(77, Some("own"), version, request).expect("encodes");
    connection.send_raw(&frame.to_bytes()).await;
    let answer = connection.receive_frame().await.expect("an answer");
    let (correlation_id, response) = decode_response::<R>(answer, version).expect("decodes");
    assert_eq!(correlation_id, 77);
    response
}

/// It can be answered before the new voter is committed.
async fn add_raft_voter_1(broker: &Broker) {
    if !broker.offers(ApiKey::AddRaftVoter, 1) {
        return;
    }
    let mut connection = broker.connect().await;
    for ack_when_committed in [true, false] {
        let request = AddRaftVoterRequest {
            cluster_id: Some("other".into()),
            timeout_ms: 1000,
            ack_when_committed,
            ..Default::default()
        };
        let response = call(&mut connection, 1, &request).await;
        assert_eq!(response.error_code, ErrorCode::InconsistentClusterId);
    }
}

/// It tells which directories are cordoned.
async fn describe_log_dirs_5(broker: &Broker) {
    if !broker.offers(ApiKey::DescribeLogDirs, 5) {
        return;
    }
    let mut connection = broker.connect().await;
    let topic = unique("newest-dirs");
    connection.create_topic(&topic, &[]).await;
    let batch = BatchOf::records(2).bytes();
    connection.produce(9, &topic, batch.clone()).await;
    let request = DescribeLogDirsRequest { topics: None, ..Default::default() };
    let response = call(&mut connection, 5, &request).await;
    assert_eq!((response.error_code, response.results.len()), (ErrorCode::None, 1));
    let directory = &response.results[0];
    assert_eq!((directory.error_code, directory.is_cordoned), (ErrorCode::None, false));
    let described = directory.topics.iter().find(|described| described.name == topic).expect("the topic");
    assert_eq!(described.partitions[0].partition_size, batch.len() as i64);
    assert!(!described.partitions[0].is_future_key);
}

async fn fetch_18(broker: &Broker) {
    if !broker.offers(ApiKey::Fetch, 18) {
        return;
    }
    let mut connection = broker.connect().await;
    let topic = unique("newest-fetch");
    connection.create_topic(&topic, &[]).await;
    connection.produce(9, &topic, BatchOf::records(2).bytes()).await;
    let partition = FetchPartition { partition_max_bytes: 1 << 20, ..Default::default() };
    let topic_id = Uuid(connection.topic_id(&topic).await.into_bytes());
    let topic = FetchTopic { topic_id, partitions: vec![partition], ..Default::default() };
    let request =
        FetchRequest { max_bytes: 1 << 20, session_epoch: -1, topics: vec![topic], ..Default::default() };
    let response = call(&mut connection, 18, &request).await;
    let answer = &response.responses[0].partitions[0];
    assert_eq!(
        (response.error_code, answer.error_code, answer.high_watermark),
        (ErrorCode::None, ErrorCode::None, 2)
    );
    let records = answer.records.clone().unwrap_or_default().into_bytes();
    assert_eq!((&records[..8]).get_i64(), 0);
}

async fn list_offsets_11(broker: &Broker) {
    if !broker.offers(ApiKey::ListOffsets, 11) {
        return;
    }
    let mut connection = broker.connect().await;
    let topic = unique("newest-offsets");
    connection.create_topic(&topic, &[]).await;
    connection.produce(9, &topic, BatchOf::records(2).bytes()).await;
    for (timestamp, expected) in [(-1, 2), (-2, 0), (-4, 0), (-5, -1), (-6, -1)] {
        let partition = ListOffsetsPartition { current_leader_epoch: -1, timestamp, ..Default::default() };
        let asked = ListOffsetsTopic {
            name: topic.as_str().into(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![asked], ..Default::default() };
        let response = call(&mut connection, 11, &request).await;
        let answer = &response.topics[0].partitions[0];
        assert_eq!((answer.error_code, answer.offset), (ErrorCode::None, expected), "{timestamp}");
    }
}

/// Its markers say by which version of transactions they are written: with an epoch bump at every end, one of the
/// producer's own epoch is late, and must not end the transaction that is open.
async fn write_txn_markers_2(broker: &Broker) {
    if !broker.offers(ApiKey::WriteTxnMarkers, 2) {
        return;
    }
    let mut client = Transactional::start(broker).await;
    let topic = unique("newest-markers");
    client.connection.create_topic(&topic, &[]).await;
    client.begin_with_bump(&topic).await;
    let mut write = async |producer_epoch, transaction_version| {
        let asked = WritableTxnMarkerTopic {
            name: topic.as_str().into(),
            partition_indexes: vec![0],
            ..Default::default()
        };
        let marker = WritableTxnMarker {
            producer_id: client.producer.0,
            producer_epoch,
            topics: vec![asked],
            transaction_version,
            ..Default::default()
        };
        let request = WriteTxnMarkersRequest { markers: vec![marker], ..Default::default() };
        let response = call(&mut client.connection, 2, &request).await;
        response.markers[0].topics[0].partitions[0].error_code
    };
    assert_eq!(write(0, 2).await, ErrorCode::InvalidProducerEpoch);
    assert_eq!(write(1, 2).await, ErrorCode::None);
    assert_eq!(write(1, 2).await, ErrorCode::None, "again: nothing is open");
    assert_eq!(write(0, 0).await, ErrorCode::InvalidProducerEpoch);
}
