//! Things that go wrong on request, as a client sees them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::{FetchRequest, MetadataRequest, ProduceRequest, ProduceResponse};
use milena_broker::{ApiKey, Cluster, ErrorCode, TopicSpec};

use crate::support::*;

/// Three nodes, and a topic with one partition on all of them.
async fn three_nodes() -> Cluster {
    let topic = TopicSpec::new("t").assignments([vec![1, 2, 3]]);
    Cluster::builder().nodes(3).topic(topic).start().await.expect("starts")
}

async fn connect(cluster: &Cluster, node: i32) -> Connection {
    Connection::open(&cluster.address(node).expect("a node")).await
}

fn produce() -> ProduceRequest {
    produce_request("t", 0, -1, BatchOf::records(1).bytes())
}

fn outcome(response: &ProduceResponse) -> &'static str {
    ErrorCode::from(response.responses[0].partition_responses[0].error_code).name()
}

fn fetch(offset: i64, current_leader_epoch: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_current_leader_epoch(current_leader_epoch)
        .with_last_fetched_epoch(-1)
        .with_partition_max_bytes(1 << 20);
    fetch_request("t", vec![partition])
}

async fn metadata(connection: &mut Connection) -> kafka_protocol::messages::MetadataResponse {
    connection.call(13, &metadata_of("t")).await
}

fn end_offset(cluster: &Cluster) -> i64 {
    cluster.log("t", 0).expect("a log").log_end_offset
}

#[tokio::test]
async fn an_api_is_answered_with_an_error_so_many_times_and_nothing_is_done() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    let fault = cluster.faults().on(ApiKey::Produce).times(2).answer_with(ErrorCode::RequestTimedOut);
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(outcome(&client.call(9, &produce()).await));
    }
    assert_eq!(outcomes, ["REQUEST_TIMED_OUT", "REQUEST_TIMED_OUT", "NONE"]);
    assert_eq!((fault.fired(), end_offset(&cluster)), (2, 1));
}

#[tokio::test]
async fn one_partition_fails_and_the_others_do_not() {
    let topic = TopicSpec::new("t").partitions(2);
    let cluster = Cluster::builder().topic(topic).start().await.expect("starts");
    let mut client = connect(&cluster, 1).await;
    cluster.faults().on(ApiKey::Produce).partition("t", 1).answer_with(ErrorCode::KafkaStorageError);
    let mut request = produce();
    let second = produce_request("t", 1, -1, BatchOf::records(1).bytes())
        .topic_data
        .remove(0)
        .partition_data
        .remove(0);
    request.topic_data[0].partition_data.push(second);
    let response = client.call(9, &request).await;
    let answers = response.responses[0].partition_responses.iter();
    let codes: Vec<_> = answers.map(|answer| ErrorCode::from(answer.error_code).name()).collect();
    assert_eq!(codes, ["NONE", "KAFKA_STORAGE_ERROR"]);
    assert_eq!(cluster.log("t", 1).expect("a log").log_end_offset, 0);
}

#[tokio::test]
async fn an_answer_is_lost_after_the_work() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    let fault = cluster.faults().on(ApiKey::Produce).partition("t", 0).lose_answer();
    client.send(9, &produce()).await;
    assert!(client.is_closed().await);
    assert_eq!((fault.fired(), end_offset(&cluster)), (1, 1));
}

#[tokio::test]
async fn a_connection_is_closed_before_the_work() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    cluster.faults().on(ApiKey::Produce).node(1).close_before_work();
    client.send(9, &produce()).await;
    assert!(client.is_closed().await);
    assert_eq!(end_offset(&cluster), 0);
}

#[tokio::test]
async fn an_answer_is_cut_in_its_middle() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    cluster.faults().on(ApiKey::Metadata).truncate_answer();
    client.send(12, &MetadataRequest::default().with_topics(None)).await;
    assert!(client.is_closed().await, "there is no whole frame");
}

#[tokio::test]
async fn an_answer_is_late_and_holds_up_the_next() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    cluster.faults().on(ApiKey::Produce).delay_answer(Duration::from_millis(100));
    let begun = Instant::now();
    let slow = client.send(9, &produce()).await;
    let behind = client.send(12, &metadata_of("t")).await;
    eventually(&cluster, |cluster| cluster.requests(ApiKey::Produce) == 1).await;
    assert_eq!(end_offset(&cluster), 1, "the work is done at once");
    client.receive::<ProduceRequest>(9, slow).await;
    client.receive::<MetadataRequest>(12, behind).await;
    assert!(begun.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn the_first_requests_pass_a_rule_that_skips_them() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    cluster.faults().on(ApiKey::Produce).skip(1).answer_with(ErrorCode::NotEnoughReplicas);
    assert_eq!(outcome(&client.call(9, &produce()).await), "NONE");
    assert_eq!(outcome(&client.call(9, &produce()).await), "NOT_ENOUGH_REPLICAS");
}

#[tokio::test]
async fn a_removed_rule_does_nothing_more() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    let fault =
        cluster.faults().on_any().always().client_id("oracle").answer_with(ErrorCode::UnknownServerError);
    assert_eq!(outcome(&client.call(9, &produce()).await), "UNKNOWN_SERVER_ERROR");
    fault.remove();
    assert_eq!(outcome(&client.call(9, &produce()).await), "NONE");
}

#[tokio::test]
async fn a_rebootstrap_is_demanded_at_the_top_of_metadata() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    cluster.faults().on(ApiKey::Metadata).answer_with(ErrorCode::RebootstrapRequired);
    let response = metadata(&mut client).await;
    assert_eq!(ErrorCode::from(response.error_code), ErrorCode::RebootstrapRequired);
}

#[tokio::test]
async fn a_killed_node_loses_its_connections_and_its_leadership() {
    let cluster = three_nodes().await;
    let (mut to_dead, mut to_next) = (connect(&cluster, 1).await, connect(&cluster, 2).await);
    assert_eq!(outcome(&to_dead.call(9, &produce()).await), "NONE");
    cluster.faults().kill(1).await;
    assert!(to_dead.is_closed().await);
    let address = cluster.address(1).expect("it keeps its address");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert_eq!((cluster.leader("t", 0), cluster.leader_epoch("t", 0)), (Some(2), Some(1)));
    let described = metadata(&mut to_next).await;
    assert_eq!(described.brokers.iter().map(|broker| broker.node_id.0).collect::<Vec<_>>(), [2, 3]);
    let partition = &described.topics[0].partitions[0];
    assert_eq!((partition.leader_id.0, partition.leader_epoch), (2, 1));
    assert_eq!(partition.isr_nodes, [2, 3]);
    assert_eq!(partition.offline_replicas, [1]);
    let answer = to_next.call(9, &produce()).await;
    assert_eq!(answer.responses[0].partition_responses[0].base_offset, 1);
}

#[tokio::test]
async fn a_restarted_node_is_back_at_its_port_and_in_sync_but_does_not_lead() {
    let cluster = three_nodes().await;
    let address = cluster.address(1).expect("an address");
    cluster.faults().kill(1).await;
    cluster.faults().restart(1).await.expect("the port is free");
    assert_eq!(cluster.address(1), Some(address));
    let mut client = connect(&cluster, 1).await;
    let described = metadata(&mut client).await;
    let partition = &described.topics[0].partitions[0];
    assert_eq!((partition.leader_id.0, partition.leader_epoch), (2, 1));
    assert_eq!(partition.isr_nodes, [2, 3, 1]);
    assert_eq!(outcome(&client.call(9, &produce()).await), "NOT_LEADER_OR_FOLLOWER");
}

#[tokio::test]
async fn the_last_node_takes_its_partitions_down_and_up_with_it() {
    let cluster = Cluster::builder().topic(TopicSpec::new("t")).start().await.expect("starts");
    cluster.faults().kill(1).await;
    assert_eq!((cluster.leader("t", 0), cluster.leader_epoch("t", 0)), (None, Some(1)));
    cluster.faults().restart(1).await.expect("the port is free");
    assert_eq!((cluster.leader("t", 0), cluster.leader_epoch("t", 0)), (Some(1), Some(2)));
}

#[tokio::test]
async fn a_death_that_nobody_notices_leaves_metadata_as_it_was() {
    let cluster = three_nodes().await;
    cluster.faults().kill_unnoticed(1).await;
    let mut client = connect(&cluster, 2).await;
    assert_eq!(metadata(&mut client).await.topics[0].partitions[0].leader_id.0, 1);
    cluster.faults().notice(1);
    assert_eq!(metadata(&mut client).await.topics[0].partitions[0].leader_id.0, 2);
}

#[tokio::test]
async fn a_frozen_node_does_nothing_until_it_goes_on() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    cluster.track_batches_in_flight();
    cluster.faults().freeze(1);
    let correlation_id = client.send(9, &produce()).await;
    eventually(&cluster, |cluster| cluster.batches_in_flight("t", 0) == 1).await;
    assert_eq!((cluster.requests(ApiKey::Produce), end_offset(&cluster)), (0, 0));
    cluster.faults().unfreeze(1);
    assert_eq!(outcome(&client.receive::<ProduceRequest>(9, correlation_id).await), "NONE");
}

#[tokio::test]
async fn a_node_that_was_taken_for_dead_is_let_back() {
    let cluster = three_nodes().await;
    cluster.faults().notice(1);
    assert_ne!(cluster.leader("t", 0), Some(1));
    cluster.faults().restart(1).await.expect("it runs");
    assert_eq!(metadata(&mut connect(&cluster, 2).await).await.brokers.len(), 3);
    cluster.faults().move_leader("t", 0, 1);
    assert_eq!(outcome(&connect(&cluster, 1).await.call(9, &produce()).await), "NONE");
}

#[tokio::test]
async fn a_node_that_does_not_read_stalls_the_writer() {
    let cluster = three_nodes().await;
    let mut client = cluster.connect(&cluster.address(1).expect("a node")).expect("connects");
    cluster.faults().stop_reading(1);
    let endless = async {
        use tokio::io::AsyncWriteExt;
        // An answer to a frame of zeroes would be a closed connection.
        while client.write_all(&[0; 64 * 1024]).await.is_ok() {}
    };
    let stalled = tokio::time::timeout(Duration::from_millis(100), endless).await;
    assert!(stalled.is_err(), "the write neither ends nor fails");
    cluster.faults().resume_reading(1);
    eventually(&cluster, |cluster| cluster.connections_refused() == 1).await;
}

#[tokio::test]
async fn disconnected_clients_may_come_back() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    eventually(&cluster, |cluster| cluster.connections(1) == 1).await;
    cluster.faults().disconnect(1).await;
    assert!(client.is_closed().await);
    let mut again = connect(&cluster, 1).await;
    assert_eq!(outcome(&again.call(9, &produce()).await), "NONE");
}

#[tokio::test]
async fn a_moved_leader_is_pointed_to() {
    let cluster = three_nodes().await;
    let mut old = connect(&cluster, 1).await;
    cluster.faults().move_leader("t", 0, 3);
    let address = cluster.address(3).expect("a node");

    let produced = old.call(10, &produce()).await;
    assert_eq!(outcome(&produced), "NOT_LEADER_OR_FOLLOWER");
    let hint = &produced.responses[0].partition_responses[0].current_leader;
    assert_eq!((hint.leader_id.0, hint.leader_epoch), (3, 1));
    let endpoint = &produced.node_endpoints[0];
    assert_eq!((endpoint.node_id.0, format!("{}:{}", endpoint.host, endpoint.port)), (3, address));

    let mut by_id = fetch(0, 0);
    by_id.topics[0].topic_id = old.topic_id("t").await;
    for (asked, node, expected) in
        [(0, 1, "FENCED_LEADER_EPOCH"), (1, 1, "NOT_LEADER_OR_FOLLOWER"), (0, 3, "FENCED_LEADER_EPOCH")]
    {
        by_id.topics[0].partitions[0].current_leader_epoch = asked;
        let fetched = connect(&cluster, node).await.call(16, &by_id).await;
        let answer = &fetched.responses[0].partitions[0];
        assert_eq!(ErrorCode::from(answer.error_code).name(), expected);
        assert_eq!((answer.current_leader.leader_id.0, answer.current_leader.leader_epoch), (3, 1));
        assert_eq!(fetched.node_endpoints.len(), 1);
    }
}

#[tokio::test]
async fn a_waiting_fetch_is_answered_when_the_leader_moves() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    let correlation_id = client.send(12, &fetch(0, 0).with_max_wait_ms(i32::MAX)).await;
    eventually(&cluster, |cluster| cluster.requests(ApiKey::Fetch) == 1).await;
    cluster.faults().move_leader("t", 0, 2);
    let response = client.receive::<FetchRequest>(12, correlation_id).await;
    let error = ErrorCode::from(response.responses[0].partitions[0].error_code);
    assert_eq!(error, ErrorCode::FencedLeaderEpoch);
}

#[tokio::test]
async fn a_partition_without_a_leader_says_so() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    cluster.faults().lose_leader("t", 0);
    let partition = metadata(&mut client).await.topics[0].partitions[0].clone();
    assert_eq!(ErrorCode::from(partition.error_code), ErrorCode::LeaderNotAvailable);
    assert_eq!((partition.leader_id.0, partition.leader_epoch), (-1, 1));
    assert_eq!(outcome(&client.call(9, &produce()).await), "NOT_LEADER_OR_FOLLOWER");
}

#[tokio::test]
async fn too_few_in_sync_replicas_refuse_acks_all_only() {
    let topic = TopicSpec::new("t").assignments([vec![1, 2, 3]]).config("min.insync.replicas", "2");
    let cluster = Cluster::builder().nodes(3).topic(topic).start().await.expect("starts");
    let mut client = connect(&cluster, 1).await;
    cluster.faults().set_isr("t", 0, &[1]);
    assert_eq!(outcome(&client.call(9, &produce()).await), "NOT_ENOUGH_REPLICAS");
    let leader_only = produce_request("t", 0, 1, BatchOf::records(1).bytes());
    assert_eq!(outcome(&client.call(9, &leader_only).await), "NONE");
    assert_eq!(end_offset(&cluster), 1);
}

#[tokio::test]
async fn a_waiting_fetch_gets_what_was_written_when_enough_replicas_are_in_sync_again() {
    let topic = TopicSpec::new("t").assignments([vec![1, 2, 3]]).config("min.insync.replicas", "2");
    let cluster = Cluster::builder().nodes(3).topic(topic).start().await.expect("starts");
    let (mut reader, mut writer) = (connect(&cluster, 1).await, connect(&cluster, 1).await);
    cluster.faults().set_isr("t", 0, &[1]);
    let correlation_id = reader.send(12, &fetch(0, -1).with_max_wait_ms(i32::MAX)).await;
    eventually(&cluster, |cluster| cluster.requests(ApiKey::Fetch) == 1).await;
    let leader_only = produce_request("t", 0, 1, BatchOf::records(1).bytes());
    assert_eq!(outcome(&writer.call(9, &leader_only).await), "NONE");
    let log = cluster.log("t", 0).expect("a log");
    assert_eq!((log.high_watermark, log.last_stable_offset, log.log_end_offset), (0, 0, 1));
    cluster.faults().set_isr("t", 0, &[1, 3]);
    let answer = reader.receive::<FetchRequest>(12, correlation_id).await;
    let partition = &answer.responses[0].partitions[0];
    assert_eq!(partition.high_watermark, 1);
    assert!(partition.records.as_ref().is_some_and(|records| !records.is_empty()));
}

#[tokio::test]
async fn records_are_lost_at_an_unclean_election_and_the_epoch_tells_where() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    for _ in 0..3 {
        client.call(9, &produce()).await;
    }
    cluster.faults().move_leader_and_lose_records("t", 0, 2, 1);
    assert_eq!(end_offset(&cluster), 1);
    let mut new_leader = connect(&cluster, 2).await;
    let mut request = fetch(3, 1);
    request.topics[0].partitions[0].last_fetched_epoch = 0;
    let response = new_leader.call(12, &request).await;
    let diverging = &response.responses[0].partitions[0].diverging_epoch;
    assert_eq!((diverging.epoch, diverging.end_offset), (0, 1));
    assert_eq!(outcome(&new_leader.call(9, &produce()).await), "NONE");
    let log = cluster.log("t", 0).expect("a log");
    let epochs: Vec<_> = log.batches.iter().map(|batch| (batch.base_offset, batch.leader_epoch)).collect();
    assert_eq!(epochs, [(0, 0), (1, 1)]);
}

#[tokio::test]
async fn forgotten_producers_begin_where_they_like() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    let mut produce = async |sequence| {
        let batch = BatchOf::records(1).by(5, 0, sequence).bytes();
        outcome(&client.call(9, &produce_request("t", 0, -1, batch)).await)
    };
    assert_eq!(produce(0).await, "NONE");
    assert_eq!(produce(4).await, "OUT_OF_ORDER_SEQUENCE_NUMBER");
    cluster.faults().forget_producers("t", 0);
    assert_eq!(produce(4).await, "NONE");
    cluster.faults().set_last_sequence("t", 0, 5, 0, i32::MAX);
    assert_eq!(produce(5).await, "OUT_OF_ORDER_SEQUENCE_NUMBER");
    assert_eq!(produce(0).await, "NONE");
    let producers = cluster.log("t", 0).expect("a log").producers;
    assert_eq!((producers.len(), producers[0].producer_id, producers[0].last_sequence), (1, 5, 0));
}

#[tokio::test]
async fn a_corrupted_batch_is_served_as_it_is() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    for _ in 0..2 {
        client.call(9, &produce()).await;
    }
    assert!(cluster.faults().corrupt_batch("t", 0, 0));
    assert!(!cluster.faults().corrupt_batch("t", 0, 2));
    let records =
        client.call(12, &fetch(0, -1)).await.responses[0].partitions[0].records.clone().expect("records");
    let len = records.len() / 2;
    let is_intact = |batch: Bytes| crc32c::crc32c(&batch[21..]).to_be_bytes() == batch[17..21];
    assert!(!is_intact(records.slice(..len)) && is_intact(records.slice(len..)));
    let log = cluster.log("t", 0).expect("a log");
    assert!(log.batches[0].records().is_err());
    assert_eq!(log.records().iter().map(|record| record.offset).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn metadata_can_lie() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    let faults = cluster.faults();
    faults.on(ApiKey::Metadata).topic("t").hide_topic();
    let hidden = metadata(&mut client).await;
    assert_eq!(ErrorCode::from(hidden.topics[0].error_code), ErrorCode::UnknownTopicOrPartition);

    faults.on(ApiKey::Metadata).partition("t", 0).report_leader(None);
    let leaderless = metadata(&mut client).await.topics[0].partitions[0].clone();
    assert_eq!(
        (leaderless.leader_id.0, ErrorCode::from(leaderless.error_code)),
        (-1, ErrorCode::LeaderNotAvailable)
    );

    faults.on(ApiKey::Metadata).partition("t", 0).report_leader(Some(3));
    assert_eq!(metadata(&mut client).await.topics[0].partitions[0].leader_id.0, 3);

    faults.move_leader("t", 0, 1);
    faults.on(ApiKey::Metadata).partition("t", 0).report_leader_epoch(0);
    assert_eq!(metadata(&mut client).await.topics[0].partitions[0].leader_epoch, 0);
    let truth = metadata(&mut client).await.topics[0].partitions[0].clone();
    assert_eq!((truth.leader_id.0, truth.leader_epoch), (1, 1));
}

#[tokio::test]
async fn a_recreated_topic_is_empty_and_has_a_new_id() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    client.call(9, &produce()).await;
    let (old, waiting) = (
        cluster.topic_id("t").expect("an id"),
        client.send(12, &fetch(1, -1).with_max_wait_ms(i32::MAX)).await,
    );
    eventually(&cluster, |cluster| cluster.requests(ApiKey::Fetch) == 1).await;
    let new = cluster.faults().recreate_topic("t").expect("there is such a topic");
    assert_ne!(old, new);
    let answered = client.receive::<FetchRequest>(12, waiting).await;
    let error = ErrorCode::from(answered.responses[0].partitions[0].error_code);
    assert_eq!(error, ErrorCode::UnknownTopicOrPartition, "the fetch that waited learns of it");
    assert_eq!(
        (cluster.topic_id("t"), end_offset(&cluster), cluster.leader("t", 0)),
        (Some(new), 0, Some(1))
    );
}

#[tokio::test]
async fn pipelined_batches_are_counted_until_they_are_answered() {
    let cluster = three_nodes().await;
    cluster.track_batches_in_flight();
    let mut client = connect(&cluster, 1).await;
    cluster.faults().freeze(1);
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(client.send(9, &produce()).await);
    }
    eventually(&cluster, |cluster| cluster.batches_in_flight("t", 0) == 4).await;
    cluster.faults().unfreeze(1);
    for correlation_id in sent {
        client.receive::<ProduceRequest>(9, correlation_id).await;
    }
    eventually(&cluster, |cluster| cluster.batches_in_flight("t", 0) == 0).await;
    assert_eq!(cluster.batches_in_flight_max("t", 0), 4);
}

#[tokio::test]
async fn a_test_can_wait_for_what_is_in_the_log() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    let appended = eventually(&cluster, |cluster| end_offset(cluster) == 2);
    let produced = async {
        for _ in 0..2 {
            client.send(9, &produce()).await;
        }
    };
    tokio::join!(appended, produced);
    let records = cluster.log("t", 0).expect("a log").records();
    assert_eq!(records.len(), 2);
    assert_eq!((records[1].offset, records[1].value.as_deref()), (1, Some(&b"value"[..])));
}

#[tokio::test]
async fn retention_follows_the_clock() {
    let topic = TopicSpec::new("t").config("retention.ms", "60000");
    let cluster = Cluster::builder().topic(topic).start().await.expect("starts");
    let mut client = connect(&cluster, 1).await;
    client.call(9, &produce()).await;
    cluster.faults().run_retention();
    assert_eq!(cluster.log("t", 0).expect("a log").log_start_offset, 0);
    cluster.faults().turn_clock(120_000);
    cluster.faults().run_retention();
    assert_eq!(cluster.log("t", 0).expect("a log").log_start_offset, 1);
    let answer = client.call(12, &fetch(0, -1)).await;
    assert_eq!(ErrorCode::from(answer.responses[0].partitions[0].error_code), ErrorCode::OffsetOutOfRange);
}

#[tokio::test]
async fn one_seed_gives_one_cluster() {
    let start = async |seed| {
        let topics = ["a", "b", "c"].map(|name| TopicSpec::new(name).partitions(4).replication_factor(2));
        let mut builder = Cluster::builder().nodes(3).seed(seed).in_memory();
        for topic in topics {
            builder = builder.topic(topic);
        }
        let cluster = builder.start().await.expect("starts");
        let leaders =
            ["a", "b", "c"].map(|topic| (0..4).map(|index| cluster.leader(topic, index)).collect::<Vec<_>>());
        (leaders, cluster.topic_id("a"))
    };
    assert_eq!(start(7).await, start(7).await);
    assert_ne!(start(7).await.1, start(8).await.1);
}

#[tokio::test]
async fn a_request_that_arrives_twice_is_worked_on_twice_and_answered_once() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    let fault = cluster.faults().on(ApiKey::Produce).deliver_twice();
    let first = client.call(9, &produce()).await;
    assert_eq!((first.responses[0].partition_responses[0].base_offset, end_offset(&cluster)), (0, 2));
    let second = client.call(9, &produce()).await;
    assert_eq!((second.responses[0].partition_responses[0].base_offset, end_offset(&cluster)), (2, 3));
    assert_eq!((fault.fired(), cluster.log_end_offset("t", 0)), (1, Some(3)));
}

#[tokio::test]
async fn what_a_fault_refuses_is_not_written_by_the_second_delivery_either() {
    let cluster = three_nodes().await;
    let mut client = connect(&cluster, 1).await;
    cluster.faults().on(ApiKey::Produce).deliver_twice();
    let refusal = cluster.faults().on(ApiKey::Produce).partition("t", 0);
    let refusal = refusal.times(1).answer_with(ErrorCode::InvalidProducerEpoch);
    let answer = client.call(9, &produce()).await;
    let told = ErrorCode::from(answer.responses[0].partition_responses[0].error_code);
    assert_eq!(told, ErrorCode::InvalidProducerEpoch);
    assert_eq!((refusal.fired(), cluster.log_end_offset("t", 0)), (1, Some(0)));
}

#[tokio::test]
async fn a_watcher_sees_every_request() {
    let cluster = three_nodes().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    assert!(cluster.watch_requests(move |request| {
        notes.lock().unwrap().push((request.node, request.api, request.version));
    }));
    assert!(!cluster.watch_requests(|_| ()), "one watcher");
    connect(&cluster, 1).await.call(9, &produce()).await;
    metadata(&mut connect(&cluster, 2).await).await;
    assert_eq!(*seen.lock().unwrap(), [(1, ApiKey::Produce, 9), (2, ApiKey::Metadata, 13)]);
}
