//! One seed, one run.

use std::sync::{Arc, Mutex};

use milena::Record;
use milena::testing::{ApiKey, Cluster, TopicSpec, run};

/// Everything that nodes were asked, with the time, in a run in which much goes wrong; and what is stored in the end.
fn trace(seed: u64) -> Vec<String> {
    run(async {
        let orders = TopicSpec::new("orders").partitions(3);
        let cluster = Cluster::builder().nodes(3).topic(orders).seed(seed).start().await.unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (requests, clock) = (seen.clone(), cluster.clock().clone());
        cluster.broker().watch_requests(move |request| {
            let (at, node, api) = (clock.elapsed(), request.node, request.api);
            requests.lock().unwrap().push(format!("{at:?} node {node}: {api} #{}", request.correlation_id));
        });
        cluster.faults().on_any().always().with_probability(0.1).lose_answer();
        cluster.faults().on(ApiKey::Produce).always().with_probability(0.2).close_before_work();

        let kafka = cluster.kafka().connect().await.unwrap();
        let producer = kafka.producer().build().await.unwrap();
        for number in 0..100 {
            producer.send(Record::to("orders").value(&format!("{number}"))).await.unwrap().await.unwrap();
        }
        let stored = |partition| cluster.records("orders", partition).into_iter();
        let stored: Vec<_> = (0..3).flat_map(stored).map(|record| format!("{:?}", record.value)).collect();
        assert_eq!(stored.len(), 100, "each once");
        let mut trace = std::mem::take(&mut *seen.lock().unwrap());
        trace.extend(stored);
        trace
    })
}

#[test]
fn one_seed_gives_one_run_and_another_seed_another() {
    let first = trace(7);
    assert_eq!(first, trace(7));
    assert_ne!(first, trace(8));
}

#[test]
fn clients_of_one_cluster_are_not_all_alike() {
    run(async {
        let cluster = Cluster::builder().start().await.unwrap();
        assert_ne!(cluster.env().random_u64(), cluster.env().random_u64());
    });
}
