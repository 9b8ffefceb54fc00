//! What `milena::testing` promises to keep: a release that this does not compile against breaks users' tests.

use std::future::Future;
use std::io;
use std::time::Duration;

use milena::testing::{
    self, ApiKey, Clock, Cluster, ClusterBuilder, ConnectionFaultBuilder, ErrorCode, Fault, FaultBuilder,
    FaultGuard, Faults, NodeId, PartFaultBuilder, StartError, StoredRecord, TopicError, TopicSpec, Uuid,
};
use milena::{Env, KafkaBuilder};

/// Builders, with all that they take.
fn builders() -> impl Future<Output = Result<Cluster, StartError>> {
    let topic: TopicSpec =
        TopicSpec::new("t").partitions(1).replication_factor(1).config("retention.ms", "1");
    let placed: TopicSpec = TopicSpec::new(String::from("p")).assignments([vec![1], vec![1]]);
    let builder: ClusterBuilder = Cluster::builder().nodes(1).racks(["a"]).topic(topic).topic(placed);
    builder.config("num.partitions", "2").seed(1).start_time_ms(0).start()
}

/// The handles, with all that they give.
async fn handles(cluster: Cluster) -> io::Result<()> {
    let clock: &Clock = cluster.clock();
    let _moments: (Duration, i64, bool) = (clock.elapsed(), clock.timestamp_ms(), clock.is_virtual());
    clock.advance(Duration::ZERO).await;
    let _clients: (KafkaBuilder, Env, String) = (cluster.kafka(), cluster.env(), cluster.bootstrap());
    let created: Result<Uuid, TopicError> = cluster.create_topic(TopicSpec::new("t"));
    let _code: ErrorCode = created.unwrap_err().code();
    let (leader, _partitions): (Option<NodeId>, i32) = (cluster.leader("t", 0), cluster.partitions("t"));
    let records: Vec<StoredRecord> = cluster.records("t", 0);
    for StoredRecord { offset, timestamp_ms, key, value, headers, .. } in records {
        let _fields: (i64, i64) = (offset, timestamp_ms);
        let _bytes: [Option<Vec<u8>>; 2] = [key, value];
        let _headers: Vec<(Vec<u8>, Option<Vec<u8>>)> = headers;
    }
    let (_nodes, _requests): (Vec<NodeId>, u64) =
        (cluster.nodes().collect(), cluster.requests(ApiKey::Fetch));
    let _is_running: bool = cluster.is_running(1);
    cluster.until(|cluster: &Cluster| cluster.is_running(1)).await;
    let _broker: &milena::broker::Cluster = cluster.broker();

    let faults: Faults = cluster.faults();
    nodes_and_partitions(&faults, leader.unwrap_or(1)).await?;
    rules(&faults).await;
    connections(&faults).await;
    Ok(())
}

async fn nodes_and_partitions(faults: &Faults, node: NodeId) -> io::Result<()> {
    faults.kill(node).await;
    faults.kill_unnoticed(node).await;
    faults.notice(node);
    faults.stop(node).await;
    faults.restart(node).await?;
    faults.disconnect(node).await;
    faults.freeze(node);
    faults.unfreeze(node);
    faults.stop_reading(node);
    faults.resume_reading(node);
    let _found: [bool; 8] = [
        faults.lose_leader("t", 0),
        faults.move_leader("t", 0, node),
        faults.set_isr("t", 0, &[node]),
        faults.move_leader_and_lose_records("t", 0, node, 0),
        faults.forget_producers("t", 0),
        faults.forget_producer("t", 0, 1),
        faults.corrupt_batch("t", 0, 0),
        faults.delete_records("t", 0, 0),
    ];
    let _id: Option<Uuid> = faults.recreate_topic("t");
    faults.set_last_sequence("t", 0, 1, 0, 0);
    faults.expire_fetch_sessions(node);
    faults.expire_group_sessions("g");
    faults.lose_coordinator("g");
    faults.move_coordinator("g", node);
    faults.lose_transaction_coordinator("x");
    faults.move_transaction_coordinator("x", node);
    faults.lose_transaction_coordinator("t");
    faults.move_transaction_coordinator("t", node);
    faults.hold_transaction_markers(node);
    faults.release_transaction_markers(node);
    faults.expire_transactions();
    faults.run_retention();
    faults.turn_clock(0);
    Ok(())
}

async fn rules(faults: &Faults) {
    let rule = |api| -> FaultBuilder {
        faults.on(api).node(1).client_id("c").times(1).always().skip(0).with_probability(1.0)
    };
    let part = || -> PartFaultBuilder { faults.on_any().partition("t", 0).times(1).always().skip(0) };
    let late = Duration::ZERO;
    let rules: [Fault; 13] = [
        rule(ApiKey::Produce).answer_with(ErrorCode::NotLeaderOrFollower),
        rule(ApiKey::Fetch).close_before_work(),
        rule(ApiKey::Metadata).delay_work(late),
        rule(ApiKey::Produce).deliver_twice(),
        rule(ApiKey::Produce).lose_answer(),
        rule(ApiKey::Produce).delay_answer(late),
        rule(ApiKey::Produce).truncate_answer(),
        faults.on_any().topic("t").answer_with(ErrorCode::UnknownTopicOrPartition),
        part().lose_answer(),
        part().delay_answer(late),
        part().hide_topic(),
        part().report_leader(Some(1)),
        part().report_leader_epoch(1),
    ];
    let connections = || -> ConnectionFaultBuilder {
        let rule = faults.connections().node(1).client_id("c").api(ApiKey::Fetch).up().down();
        rule.always().times(1).skip(0).with_probability(1.0)
    };
    let of_connections: [Fault; 6] = [
        connections().silence(),
        connections().refuse(),
        connections().delay(late),
        connections().slow(1_000),
        connections().reset(),
        connections().peer(([127, 0, 0, 1], 0).into()).truncate(10),
    ];
    let _count: u64 = connections().reset_now().await;
    let guard: FaultGuard = connections().silence().guard();
    let _fired: u64 = guard.fired();
    drop(guard);
    for rule in rules.into_iter().chain(of_connections) {
        let _fired: u64 = rule.fired();
        rule.fired_times(0).await;
        rule.remove();
    }
    faults.clear();
}

async fn connections(faults: &Faults) {
    let rule = || -> ConnectionFaultBuilder {
        let rule =
            faults.connections().node(1).client_id("c").peer(([127, 0, 0, 1], 1).into()).api(ApiKey::Fetch);
        rule.up().down().times(1).always().skip(0).with_probability(1.0)
    };
    let rules: [Fault; 6] = [
        rule().silence(),
        rule().refuse(),
        rule().delay(Duration::ZERO),
        rule().slow(1),
        rule().reset(),
        rule().truncate(1),
    ];
    let _guards: Vec<FaultGuard> = rules.into_iter().map(Fault::guard).collect();
    let _reset: u64 = rule().reset_now().await;
    faults.clear();
}

#[test]
fn what_tests_were_written_against_is_still_there() {
    testing::run(async {
        let cluster = builders().await.unwrap();
        handles(cluster).await.unwrap();
    });
}
