//! Transactions when things go wrong, and what only the embedded cluster can be asked for.

use std::time::Duration;

use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::{ApiVersionsRequest, WriteTxnMarkersRequest};
use milena_broker::{Cluster, ClusterBuilder, TopicSpec};
use milena_protocol::{ApiKey, ErrorCode};

use crate::support::*;
use crate::transactional::*;

const TOPIC: &str = "orders";

async fn start(builder: ClusterBuilder) -> Broker {
    let topic = TopicSpec::new(TOPIC).assignments([vec![1]]);
    Broker::over(builder.topic(topic).start().await.expect("starts")).await
}

/// A client that talks to its coordinator, whichever node that is.
async fn client_of(broker: &Broker, id: String) -> (Transactional, i32) {
    let mut client = Transactional::of(broker, id).await;
    let node = find_coordinator(&mut client.connection, 1, &client.id).await;
    client.connection = connect_to(broker, node).await;
    (client, node)
}

async fn connect_to(broker: &Broker, node: i32) -> Connection {
    Connection::open(&broker.cluster().address(node).expect("there is such a node")).await
}

fn last_stable_offset(broker: &Broker) -> i64 {
    broker.cluster().log(TOPIC, 0).expect("there is such a partition").last_stable_offset
}

async fn state_of(client: &mut Transactional) -> String {
    client.describe().await.transaction_state.to_string()
}

#[tokio::test]
async fn held_markers_keep_the_transaction_decided_and_open() {
    let broker = start(Cluster::builder()).await;
    let mut client = Transactional::start(&broker).await;
    client.begin_with_bump(TOPIC).await;
    let faults = broker.cluster().faults();
    faults.hold_transaction_markers(1);
    let next = client.try_end(5, client.producer, true).await.expect("the outcome is decided");
    assert_eq!((state_of(&mut client).await.as_str(), last_stable_offset(&broker)), ("PrepareCommit", 0));
    let concurrent = ErrorCode::ConcurrentTransactions;
    assert_eq!(client.try_end(5, client.producer, true).await, Err(concurrent));
    assert_eq!(client.try_init(4, (-1, -1), 60_000).await, Err(concurrent));
    client.producer = next;
    assert_eq!(client.add(3, TOPIC, &[0]).await, [concurrent]);
    assert_eq!(client.outcome(12, TOPIC, 0).await, Err("CONCURRENT_TRANSACTIONS"), "after it has waited");
    assert_eq!(client.outcome(11, TOPIC, 0).await, Err("NOT_ENOUGH_REPLICAS"), "which older clients retry");
    faults.release_transaction_markers(1);
    assert_eq!((state_of(&mut client).await.as_str(), last_stable_offset(&broker)), ("CompleteCommit", 2));
    assert_eq!(client.outcome(12, TOPIC, 0).await, Ok(2));
}

#[tokio::test]
async fn a_batch_waits_a_moment_for_the_markers_of_the_transaction_before() {
    let broker =
        start(Cluster::builder().config("add.partitions.to.txn.retry.backoff.max.ms", "20000")).await;
    let mut client = Transactional::start(&broker).await;
    client.begin_with_bump(TOPIC).await;
    let faults = broker.cluster().faults();
    faults.hold_transaction_markers(1);
    client.producer = client.try_end(5, client.producer, true).await.expect("the outcome is decided");
    let released = async {
        broker.cluster().until(|cluster| cluster.requests(ApiKey::Produce) == 2).await;
        faults.release_transaction_markers(1);
    };
    let (outcome, ()) = tokio::join!(client.outcome(12, TOPIC, 0), released);
    assert_eq!(outcome, Ok(2));
}

#[tokio::test]
async fn markers_wait_for_a_leader() {
    let hourly = ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "3600000");
    let broker = start(Cluster::builder().config(hourly.0, hourly.1)).await;
    let mut client = Transactional::start(&broker).await;
    client.begin_with_bump(TOPIC).await;
    broker.cluster().faults().lose_leader(TOPIC, 0);
    client.try_end(5, client.producer, false).await.expect("the outcome is decided");
    assert_eq!(state_of(&mut client).await, "PrepareAbort");
    broker.cluster().faults().move_leader(TOPIC, 0, 1);
    client.settle().await;
    assert_eq!((state_of(&mut client).await.as_str(), last_stable_offset(&broker)), ("CompleteAbort", 2));
}

#[tokio::test]
async fn a_deleted_topic_needs_no_marker() {
    let broker = start(Cluster::builder()).await;
    let mut client = Transactional::start(&broker).await;
    client.begin_with_bump(TOPIC).await;
    assert!(broker.cluster().delete_topic(TOPIC));
    client.end(5, true).await;
    assert_eq!(state_of(&mut client).await, "CompleteCommit");
}

#[tokio::test]
async fn a_partition_that_has_seen_a_later_epoch_leaves_the_transaction_decided() {
    let broker = start(Cluster::builder()).await;
    let mut client = Transactional::start(&broker).await;
    client.begin(TOPIC).await;
    let later = BatchOf::records(1).by(client.producer.0, client.producer.1 + 1, 0);
    client.connection.produce(9, TOPIC, later.bytes()).await;
    assert_eq!(client.try_end(4, client.producer, true).await, Ok((-1, -1)));
    assert_eq!(state_of(&mut client).await, "PrepareCommit", "as in Kafka, for ever");
}

#[tokio::test]
async fn only_the_coordinator_answers_and_another_node_takes_over() {
    let broker = start(Cluster::builder().nodes(3)).await;
    // One that node 1, which leads the topic, does not coordinate.
    let (mut client, coordinator) = loop {
        let (client, node) = client_of(&broker, unique("transaction")).await;
        if node != 1 {
            break (client, node);
        }
    };
    client.init().await;
    let mut at_leader = connect_to(&broker, 1).await;
    std::mem::swap(&mut client.connection, &mut at_leader);
    assert_eq!(client.try_init(4, (-1, -1), 60_000).await, Err(ErrorCode::NotCoordinator));
    assert_eq!(client.try_end(5, client.producer, true).await, Err(ErrorCode::NotCoordinator));
    assert_eq!(client.add(3, TOPIC, &[0]).await, [ErrorCode::NotCoordinator]);
    assert_eq!(ErrorCode::from(client.describe().await.error_code), ErrorCode::NotCoordinator);
    client.begin_with_bump(TOPIC).await;

    broker.cluster().faults().kill(coordinator).await;
    let (successor, node) = client_of(&broker, client.id.clone()).await;
    assert_ne!(node, coordinator);
    client.connection = successor.connection;
    client.end(5, true).await;
    assert_eq!(state_of(&mut client).await, "CompleteCommit");
    let mut leader = connect_to(&broker, 1).await;
    let described = producer_state(&mut leader, TOPIC, client.producer.0).await.expect("it has written");
    assert_eq!((described.producer_epoch, described.coordinator_epoch), (1, 1));
}

#[tokio::test]
async fn a_coordinator_that_does_not_answer_holds_batches_up() {
    let broker = start(Cluster::builder().nodes(2)).await;
    let (mut client, coordinator) = loop {
        let (client, node) = client_of(&broker, unique("transaction")).await;
        if node != 1 {
            break (client, node);
        }
    };
    client.init().await;
    client.connection = connect_to(&broker, 1).await;
    broker.cluster().faults().freeze(coordinator);
    assert_eq!(client.outcome(12, TOPIC, 0).await, Err("NOT_ENOUGH_REPLICAS"));
    broker.cluster().faults().unfreeze(coordinator);
    assert_eq!(client.outcome(12, TOPIC, 0).await, Ok(0));
}

#[tokio::test]
async fn the_level_of_transactions_is_told() {
    for (level, told) in [(2, Some(2)), (1, Some(1)), (0, None)] {
        let broker = start(Cluster::builder().feature("transaction.version", level)).await;
        let response = broker.connect().await.call(4, &ApiVersionsRequest::default()).await;
        let response = match response.error_code {
            0 => response,
            _ => {
                let named = ApiVersionsRequest::default()
                    .with_client_software_name(text("oracle"))
                    .with_client_software_version(text("1"));
                broker.connect().await.call(4, &named).await
            }
        };
        let finalized = response.finalized_features.iter().find(|it| &*it.name == "transaction.version");
        assert_eq!(finalized.map(|feature| feature.max_version_level), told);
    }
    let refused = Cluster::builder().feature("transaction.version", 3).start().await;
    assert!(refused.is_err_and(|error| error.to_string().contains("give a level from 0 to 2")));
}

#[tokio::test]
async fn without_an_epoch_bump_a_fence_and_older_clients_do_as_they_always_did() {
    let broker = start(Cluster::builder().feature("transaction.version", 0)).await;
    let mut client = Transactional::start(&broker).await;
    client.begin(TOPIC).await;
    assert_eq!(client.outcome(9, TOPIC, 0).await, Ok(0));
    client.end(4, true).await;
    assert_eq!(client.describe().await.producer_epoch, 0);
    client.begin(TOPIC).await;
    let mut rival = client.rival(&broker).await;
    rival.init().await;
    assert_eq!(rival.producer, (client.producer.0, 2));
}

#[tokio::test]
async fn transactional_ids_that_are_not_used_are_forgotten() {
    let broker = start(Cluster::builder()).await;
    let mut idle = Transactional::start(&broker).await;
    let mut busy = Transactional::start(&broker).await;
    busy.begin_with_bump(TOPIC).await;
    let faults = broker.cluster().faults();
    faults.hold_transaction_markers(1);
    faults.turn_clock(8 * 24 * 60 * 60 * 1000);
    faults.expire_transactions();
    assert_eq!(ErrorCode::from(idle.describe().await.error_code), ErrorCode::TransactionalIdNotFound);
    assert_eq!(state_of(&mut busy).await, "PrepareAbort", "it was open, and is aborted first");
    assert_eq!(idle.try_end(5, idle.producer, false).await, Err(ErrorCode::InvalidProducerIdMapping));
}

/// A node that comes back has its logs and its transactions, as one does that has loaded them.
#[tokio::test]
async fn a_restarted_node_goes_on_where_it_was() {
    let broker = start(Cluster::builder()).await;
    let mut client = Transactional::start(&broker).await;
    client.begin_with_bump(TOPIC).await;
    broker.cluster().faults().kill(1).await;
    broker.cluster().faults().restart(1).await.expect("its port is free");
    client.connection = connect_to(&broker, 1).await;
    client.end(5, true).await;
    assert_eq!(last_stable_offset(&broker), 2);
    assert!(tokio::time::timeout(Duration::from_secs(1), client.describe()).await.is_ok());
}

#[tokio::test]
async fn without_verification_a_transaction_can_hang_and_its_marker_be_written_by_hand() {
    let broker = start(Cluster::builder().config("transaction.partition.verification.enable", "false")).await;
    let mut client = Transactional::start(&broker).await;
    assert_eq!(client.outcome(9, TOPIC, 0).await, Ok(0), "nobody knows of it");
    assert_eq!((state_of(&mut client).await.as_str(), last_stable_offset(&broker)), ("Empty", 0));
    let asked = WritableTxnMarkerTopic::default().with_name(name(TOPIC)).with_partition_indexes(vec![0]);
    let marker = WritableTxnMarker::default()
        .with_producer_id(client.producer.0.into())
        .with_producer_epoch(client.producer.1)
        .with_topics(vec![asked]);
    client.connection.call(1, &WriteTxnMarkersRequest::default().with_markers(vec![marker])).await;
    let log = broker.cluster().log(TOPIC, 0).expect("there is such a partition");
    assert_eq!((log.last_stable_offset, log.records().len(), log.committed_records().len()), (2, 1, 0));
}
