//! ProducerPerformance and ConsumerPerformance: that they run to their end, not how fast.

use milena_testcontainers::{Java, KafkaVersion};

use crate::context::{Context, text};

pub(crate) async fn what_is_produced_in_bulk_is_consumed_in_bulk(context: &Context) {
    const COUNT: &str = "50000";
    let topic = context.topic("performance", 6);
    let producer = Java::of(KafkaVersion::LATEST).tool("org.apache.kafka.tools.ProducerPerformance");
    let producer = producer.args(["--topic", &topic, "--num-records", COUNT, "--record-size", "200"]);
    let producer = producer.args(["--throughput", "-1", "--bootstrap-server", &context.bootstrap]);
    let producer = producer.args(["--command-property", "compression.type=lz4"]);
    let said = text(&producer.run().await.expect("produces"));
    assert!(said.contains(&format!("{COUNT} records sent")), "{said}");
    let arguments = ["--topic", &topic, "--num-records", COUNT, "--hide-header", "--timeout", "60000"];
    let said = context.run("ConsumerPerformance", &arguments).await;
    // start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, ...
    let row = said.lines().find(|line| line.split(',').count() >= 6).expect("a row of figures");
    let consumed: i64 = row.split(',').nth(4).unwrap().trim().parse().unwrap();
    assert!(consumed >= COUNT.parse().unwrap(), "{said}");
}
