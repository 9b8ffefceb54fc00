//! The virtual clock, and the real one.

use std::time::Duration;

use milena::Record;
use milena::testing::{Cluster, TopicSpec, run};

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn a_day_goes_by_and_takes_what_happens_in_it_along() {
    run(async {
        let orders = TopicSpec::new("orders").config("retention.ms", "3600000").config("segment.ms", "60000");
        let cluster =
            Cluster::builder().topic(orders).start_time_ms(1_000_000_000_000).start().await.unwrap();
        let clock = cluster.clock();
        let kafka = cluster.kafka().connect().await.unwrap();
        let producer = kafka.producer().build().await.unwrap();
        clock.advance(HOUR).await;
        producer.send(Record::to("orders").value("x")).await.unwrap().await.unwrap();

        // The client's clock, the cluster's and the test's are one.
        let stamped_ms = cluster.records("orders", 0)[0].timestamp_ms;
        assert_eq!(stamped_ms, 1_000_000_000_000 + 3_600_000);
        assert_eq!(clock.timestamp_ms() - stamped_ms, (clock.elapsed() - HOUR).as_millis() as i64);

        clock.advance(23 * HOUR).await;
        assert_eq!(cluster.records("orders", 0), [], "retention has come by");
        assert!(clock.elapsed() >= 24 * HOUR && clock.elapsed() < 25 * HOUR);
    });
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_a_paused_test_is_virtual() {
    let cluster = Cluster::builder().start().await.unwrap();
    assert!(cluster.clock().is_virtual());
}

#[tokio::test]
async fn the_clock_of_another_test_is_the_machines() {
    let cluster = Cluster::builder().start().await.unwrap();
    assert!(!cluster.clock().is_virtual());
}
