//! What coordinators do whose own topics have fewer replicas in sync than `min.insync.replicas` says: that of groups takes
//! what it is asked, and answers COORDINATOR_NOT_AVAILABLE unless there are enough in time (`offsets.commit.timeout.ms`);
//! that of transactions refuses at once.

use bytes::Bytes;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, ConsumerGroupHeartbeatRequest, DeleteTopicsRequest,
    IncrementalAlterConfigsRequest, JoinGroupRequest, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetFetchRequest, SyncGroupRequest, TxnOffsetCommitRequest, WriteTxnMarkersRequest,
};
use milena_protocol::ErrorCode;

use super::group_client::{group_id, heartbeat_request, subscription};
use super::nodes::{Nodes, nodes_cases, until};
use crate::support::*;
use crate::transactional::*;

nodes_cases! {
    what_groups_write_without_enough_replicas_is_not_told_as_written_and_seen_later,
    stable_offsets_are_told_when_what_was_written_before_is_seen,
    who_waits_for_replicas_of_a_topic_hears_that_it_is_deleted,
    a_step_of_a_transaction_without_enough_replicas_is_not_taken,
}

const OFFSETS: &str = "__consumer_offsets";
const TRANSACTIONS: &str = "__transaction_state";

/// A unique name whose coordinator is the first node, of groups (0) or transactions (1).
async fn coordinated_by_first(connection: &mut Connection, key_type: i8) -> String {
    let found = async {
        loop {
            let key = unique("coordinated");
            if find_coordinator(connection, key_type, &key).await == 1 {
                return key;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("one of them in time")
}

/// Has an internal topic need all three nodes, and kills the third.
async fn run_short(nodes: &Nodes, connection: &mut Connection, topic: &str) {
    until(connection, topic, |partition| partition.isr_nodes.len() == 3).await;
    let config =
        AlterableConfig::default().with_name(text("min.insync.replicas")).with_value(Some(text("3")));
    let resource = AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text(topic))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    assert_eq!(connection.call(1, &request).await.responses[0].error_code, 0);
    nodes.kill(3).await;
    until(connection, topic, |partition| partition.isr_nodes.len() == 2).await;
}

async fn commit(connection: &mut Connection, group: &str, topic: &str, offset: i64) -> ErrorCode {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let asked = OffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![asked]);
    let response = connection.call(8, &request).await;
    ErrorCode::from(response.topics[0].partitions[0].error_code)
}

async fn delete(connection: &mut Connection, group: &str, topic: &str) -> ErrorCode {
    let partitions = vec![OffsetDeleteRequestPartition::default()];
    let asked = OffsetDeleteRequestTopic::default().with_name(name(topic)).with_partitions(partitions);
    let request = OffsetDeleteRequest::default().with_group_id(group_id(group)).with_topics(vec![asked]);
    ErrorCode::from(connection.call(0, &request).await.error_code)
}

async fn committed(connection: &mut Connection, group: &str, topic: &str) -> i64 {
    let asked = OffsetFetchRequestTopic::default().with_name(name(topic)).with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default().with_group_id(group_id(group)).with_topics(Some(vec![asked]));
    let response = connection.call(7, &request).await;
    assert_eq!(response.error_code, 0);
    response.topics[0].partitions[0].committed_offset
}

/// What is answered of a group's stable offset: its error, or the offset.
async fn stable(
    connection: &mut Connection,
    group: &str,
    topic: &str,
    version: i16,
) -> Result<i64, ErrorCode> {
    let request = OffsetFetchRequest::default().with_require_stable(true);
    let (error, offset) = if version < 8 {
        let asked = OffsetFetchRequestTopic::default().with_name(name(topic)).with_partition_indexes(vec![0]);
        let request = request.with_group_id(group_id(group)).with_topics(Some(vec![asked]));
        let response = connection.call(version, &request).await;
        (response.error_code, response.topics.first().map(|topic| topic.partitions[0].committed_offset))
    } else {
        let asked =
            OffsetFetchRequestTopics::default().with_name(name(topic)).with_partition_indexes(vec![0]);
        let asked =
            OffsetFetchRequestGroup::default().with_group_id(group_id(group)).with_topics(Some(vec![asked]));
        let response = connection.call(version, &request.with_groups(vec![asked])).await;
        let group = &response.groups[0];
        (group.error_code, group.topics.first().map(|topic| topic.partitions[0].committed_offset))
    };
    match ErrorCode::from(error) {
        ErrorCode::None => Ok(offset.expect("an offset where there is no error")),
        error => Err(error),
    }
}

/// The only member of its group, which has not assigned anything yet: its id and generation.
async fn joined(connection: &mut Connection, group: &str) -> (String, i32) {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from(subscription(&["any"])));
    let request = JoinGroupRequest::default()
        .with_group_id(group_id(group))
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(30_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    let response = connection.call(3, &request).await;
    assert_eq!(ErrorCode::from(response.error_code), ErrorCode::None);
    (response.member_id.to_string(), response.generation_id)
}

async fn sync(connection: &mut Connection, group: &str, member: &(String, i32)) -> ErrorCode {
    let assignment = SyncGroupRequestAssignment::default().with_member_id(text(&member.0));
    let request = SyncGroupRequest::default()
        .with_group_id(group_id(group))
        .with_member_id(text(&member.0))
        .with_generation_id(member.1)
        .with_assignments(vec![assignment]);
    ErrorCode::from(connection.call(3, &request).await.error_code)
}

/// Commits an offset in the transaction of a client whose coordinator knows of the group.
async fn commit_in_transaction(client: &mut Transactional, group: &str, topic: &str) -> ErrorCode {
    let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(6);
    let asked =
        TxnOffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = TxnOffsetCommitRequest::default()
        .with_transactional_id(transactional_id(&client.id))
        .with_group_id(group_id(group))
        .with_producer_id(client.producer.0.into())
        .with_producer_epoch(client.producer.1)
        .with_generation_id(-1)
        .with_topics(vec![asked]);
    let response = client.connection.call(3, &request).await;
    ErrorCode::from(response.topics[0].partitions[0].error_code)
}

async fn add_offsets(client: &mut Transactional, group: &str) {
    let request = AddOffsetsToTxnRequest::default()
        .with_transactional_id(transactional_id(&client.id))
        .with_producer_id(client.producer.0.into())
        .with_producer_epoch(client.producer.1)
        .with_group_id(group_id(group));
    let added = async { while client.connection.call(3, &request).await.error_code != 0 {} };
    tokio::time::timeout(PATIENCE, added).await.expect("added in time");
}

/// Has markers of these epochs written for an offset that nobody has committed.
async fn write_markers(connection: &mut Connection, partition: i32, epochs: &[i16]) -> ErrorCode {
    let topic =
        WritableTxnMarkerTopic::default().with_name(name(OFFSETS)).with_partition_indexes(vec![partition]);
    let marker = |&epoch| {
        let marker = WritableTxnMarker::default().with_producer_id(1_000_000.into());
        marker.with_producer_epoch(epoch).with_topics(vec![topic.clone()])
    };
    let request = WriteTxnMarkersRequest::default().with_markers(epochs.iter().map(marker).collect());
    let response = connection.call(1, &request).await;
    ErrorCode::from(response.markers[0].topics[0].partitions[0].error_code)
}

async fn join_as_consumer(connection: &mut Connection, group: &str, topic: &str) -> ErrorCode {
    let request = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group_id(group))
        .with_member_id(text("a-member"))
        .with_rebalance_timeout_ms(30_000)
        .with_subscribed_topic_names(Some(vec![name(topic)]))
        .with_topic_partitions(Some(vec![]));
    ErrorCode::from(connection.call(1, &request).await.error_code)
}

async fn what_groups_write_without_enough_replicas_is_not_told_as_written_and_seen_later(nodes: &Nodes) {
    let mut connections = Vec::new();
    for _ in 0..6 {
        connections.push(nodes.connect(1).await);
    }
    let [one, two, three, four, five, six] = &mut connections[..] else { unreachable!("six of them") };
    let topic = unique("short-of-replicas");
    nodes.create(one, &topic, &[1, 2], &[]).await;
    let mut groups = Vec::new();
    for _ in 0..5 {
        groups.push(coordinated_by_first(one, 0).await);
    }
    let [with_offset, without, classic, consumer, other] = &groups[..] else { unreachable!("five of them") };
    for group in &groups {
        // A real coordinator may still be loading its groups.
        let committed = async { while is_transient(commit(one, group, &topic, 5).await) {} };
        tokio::time::timeout(PATIENCE, committed).await.expect("committed in time");
    }
    let member = joined(three, classic).await;
    let id = coordinated_by_first(one, 1).await;
    let mut client = Transactional { connection: nodes.connect(1).await, id, producer: (-1, -1) };
    client.init().await;
    add_offsets(&mut client, other).await;
    let partition = client.describe().await.topics[0].partitions[0];

    run_short(nodes, one, OFFSETS).await;
    let short = tokio::join!(
        commit(one, with_offset, &topic, 6),
        delete(two, without, &topic),
        sync(three, classic, &member),
        join_as_consumer(four, consumer, &topic),
        commit_in_transaction(&mut client, other, &topic),
        // The second one is refused at once, and the first one's outcome is told, which is known last.
        write_markers(six, partition, &[1, 0]),
        async {
            // Readers see what was written before, and do not wait.
            let seen = (committed(five, with_offset, &topic).await, committed(five, without, &topic).await);
            assert_eq!(seen, (5, 5));
        },
    );
    const REFUSED: ErrorCode = ErrorCode::CoordinatorNotAvailable;
    const IN_VAIN: ErrorCode = ErrorCode::RequestTimedOut;
    assert_eq!(short, (REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, IN_VAIN, ()));
    let seen = (committed(one, with_offset, &topic).await, committed(one, without, &topic).await);
    assert_eq!(seen, (5, 5));
    let request = heartbeat_request(classic, &member.0, member.1, None);
    let told = ErrorCode::from(three.call(3, &request).await.error_code);
    assert_eq!(told, REFUSED, "whatever is asked waits for what was written before");

    nodes.start(3).await;
    until(one, OFFSETS, |partition| partition.isr_nodes.len() == 3).await;
    let seen = async {
        while (committed(one, with_offset, &topic).await, committed(one, without, &topic).await) != (6, -1) {}
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("seen in time, though nothing was tried again");
    let told = ErrorCode::from(three.call(3, &request).await.error_code);
    assert_eq!(told, ErrorCode::RebalanceInProgress, "the assignment was not taken");
    assert_eq!(commit(one, with_offset, &topic, 7).await, ErrorCode::None);
    assert_eq!(committed(one, with_offset, &topic).await, 7);
}

async fn stable_offsets_are_told_when_what_was_written_before_is_seen(nodes: &Nodes) {
    let (mut one, mut two) = (nodes.connect(1).await, nodes.connect(1).await);
    let topic = unique("stable");
    nodes.create(&mut one, &topic, &[1, 2], &[]).await;
    let group = coordinated_by_first(&mut one, 0).await;
    let committed_once = async { while is_transient(commit(&mut one, &group, &topic, 5).await) {} };
    tokio::time::timeout(PATIENCE, committed_once).await.expect("committed in time");

    run_short(nodes, &mut one, OFFSETS).await;
    let before = stable(&mut one, &group, &topic, 8).await;
    assert_eq!(before, Ok(5), "nothing is written that could not be seen");
    assert_eq!(commit(&mut one, &group, &topic, 6).await, ErrorCode::CoordinatorNotAvailable);
    let waited = tokio::join!(stable(&mut one, &group, &topic, 7), stable(&mut two, &group, &topic, 8));
    const REFUSED: Result<i64, ErrorCode> = Err(ErrorCode::NotCoordinator);
    assert_eq!(waited, (REFUSED, REFUSED));
    assert_eq!(committed(&mut one, &group, &topic).await, 5, "others do not wait");

    nodes.start(3).await;
    until(&mut one, OFFSETS, |partition| partition.isr_nodes.len() == 3).await;
    let seen = async { while stable(&mut one, &group, &topic, 8).await != Ok(6) {} };
    tokio::time::timeout(PATIENCE, seen).await.expect("seen in time");
}

async fn who_waits_for_replicas_of_a_topic_hears_that_it_is_deleted(nodes: &Nodes) {
    let (mut one, mut two) = (nodes.connect(1).await, nodes.connect(1).await);
    let topic = unique("deleted-meanwhile");
    nodes.create(&mut one, &topic, &[1, 2], &[]).await;
    let group = coordinated_by_first(&mut one, 0).await;
    let committed_once = async { while is_transient(commit(&mut one, &group, &topic, 5).await) {} };
    tokio::time::timeout(PATIENCE, committed_once).await.expect("committed in time");

    run_short(nodes, &mut one, OFFSETS).await;
    let (told, ()) = tokio::join!(commit(&mut one, &group, &topic, 6), async {
        assert_eq!(committed(&mut two, &group, &topic).await, 5);
        let deleted = DeleteTopicState::default().with_name(Some(name(OFFSETS)));
        let request = DeleteTopicsRequest::default().with_topics(vec![deleted]).with_timeout_ms(10_000);
        assert_eq!(two.call(6, &request).await.responses[0].error_code, 0);
    });
    assert_eq!(told, ErrorCode::NotCoordinator);
}

async fn a_step_of_a_transaction_without_enough_replicas_is_not_taken(nodes: &Nodes) {
    let mut connection = nodes.connect(1).await;
    let (topic, other) = (unique("transaction"), unique("transaction"));
    for topic in [&topic, &other] {
        nodes.create(&mut connection, topic, &[1, 2], &[]).await;
    }
    let mut clients = Vec::new();
    for _ in 0..3 {
        let id = coordinated_by_first(&mut connection, 1).await;
        clients.push(Transactional { connection: nodes.connect(1).await, id, producer: (-1, -1) });
    }
    let [open, newer, unknown] = &mut clients[..] else { unreachable!("three of them") };
    open.init().await;
    newer.init().await;
    open.begin(&topic).await;

    run_short(nodes, &mut connection, TRANSACTIONS).await;
    const REFUSED: ErrorCode = ErrorCode::CoordinatorNotAvailable;
    // A leader that has not heard of the loss yet writes, and then waits for its replicas as long as a transaction may take.
    assert_eq!(unknown.try_init(3, (-1, -1), 5_000).await, Err(REFUSED));
    assert_eq!(open.add(3, &other, &[0]).await, [REFUSED]);
    assert_eq!(open.add(3, &topic, &[0]).await, [ErrorCode::None], "there is nothing to write");
    assert_eq!(open.try_end(4, open.producer, true).await, Err(REFUSED));
    assert_eq!(newer.outcome(PRODUCE_ADDS_PARTITIONS, &topic, 0).await, Err("NOT_ENOUGH_REPLICAS"));
    let described = open.describe().await;
    let partitions: Vec<_> = described.topics.iter().map(|topic| topic.topic.as_str()).collect();
    assert_eq!((&*described.transaction_state, partitions), ("Ongoing", vec![&*topic]));

    nodes.start(3).await;
    until(&mut connection, TRANSACTIONS, |partition| partition.isr_nodes.len() == 3).await;
    let ended = async { while open.try_end(4, open.producer, true).await.is_err() {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("ended in time");
    open.settle().await;
    assert_eq!(&*open.describe().await.transaction_state, "CompleteCommit");
    unknown.init().await;
}
