//! VerifiableProducer and VerifiableConsumer, which Kafka's own system tests use.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use milena_testcontainers::JavaProcess;
use serde_json::Value;

use crate::context::Context;

/// More than a rebalance takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) async fn what_is_produced_is_consumed_once(context: &Context) {
    let topic = context.topic("verifiable", 4);
    let produced = context.run("VerifiableProducer", &["--topic", &topic, "--max-messages", "2000"]).await;
    let summary = events(&produced).find(|event| event["name"] == "tool_data").expect("a summary");
    assert_eq!((summary["sent"].as_i64(), summary["acked"].as_i64()), (Some(2000), Some(2000)), "{summary}");
    let group = format!("{topic}-group");
    let arguments = ["--topic", &topic, "--group-id", &group, "--max-messages", "2000", "--verbose"];
    let consumed = context.run("VerifiableConsumer", &arguments).await;
    let records: Vec<Value> = events(&consumed).filter(|event| event["name"] == "record_data").collect();
    let values: BTreeSet<&str> = records.iter().filter_map(|record| record["value"].as_str()).collect();
    assert_eq!((records.len(), values.len()), (2000, 2000));
}

pub(crate) async fn a_classic_group_shares_partitions(context: &Context) {
    a_group_shares_partitions(context, "classic").await;
}

pub(crate) async fn a_consumer_group_shares_partitions(context: &Context) {
    a_group_shares_partitions(context, "consumer").await;
}

/// Two members share; one leaves, and the other has everything.
async fn a_group_shares_partitions(context: &Context, protocol: &str) {
    const PARTITIONS: i64 = 6;
    let topic = context.topic(protocol, PARTITIONS as i32);
    let group = format!("{topic}-group");
    let member = || async {
        let consumer = context.tool("org.apache.kafka.tools.VerifiableConsumer");
        let consumer = consumer.args(["--topic", &topic, "--group-id", &group, "--group-protocol", protocol]);
        Member {
            process: consumer.spawn().await.expect("starts"),
            owned: BTreeSet::new(),
            counts: BTreeMap::new(),
        }
    };
    let mut first = member().await;
    first.until("it owns everything", |member| member.owned.len() == PARTITIONS as usize).await;
    let mut second = member().await;
    let half = PARTITIONS as usize / 2;
    tokio::join!(
        first.until("the first owns a half", |member| member.owned.len() == half),
        second.until("the second owns a half", |member| member.owned.len() == half),
    );
    assert!(first.owned.is_disjoint(&second.owned));
    context.run("VerifiableProducer", &["--topic", &topic, "--max-messages", "600"]).await;
    let total = async {
        while first.count() + second.count() < 600 {
            tokio::select! { biased; () = first.step() => {} () = second.step() => {} }
        }
    };
    tokio::time::timeout(PATIENCE, total).await.expect("everything is consumed");
    assert_eq!(first.count() + second.count(), 600);
    assert!(first.counts.keys().all(|partition| !second.counts.contains_key(partition)));

    drop(second);
    first.until("it owns everything again", |member| member.owned.len() == PARTITIONS as usize).await;
}

/// A running VerifiableConsumer, followed by what it prints.
struct Member {
    process: JavaProcess,
    owned: BTreeSet<i64>,
    /// Records consumed, by partition.
    counts: BTreeMap<i64, i64>,
}

impl Member {
    async fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let reached = async {
            while !condition(self) {
                self.step().await;
            }
        };
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            panic!("not within {PATIENCE:?}: {what}; it owns {:?}", self.owned);
        }
    }

    async fn step(&mut self) {
        let line = self.process.next_line().await.expect("readable").expect("it goes on");
        let Ok(event) = serde_json::from_str::<Value>(&line) else { return };
        let partitions = || event["partitions"].as_array().into_iter().flatten();
        let index = |partition: &Value| partition["partition"].as_i64().expect("a number");
        match event["name"].as_str() {
            Some("partitions_assigned") => self.owned.extend(partitions().map(index)),
            Some("partitions_revoked" | "partitions_lost") => {
                partitions().map(index).for_each(|partition| {
                    self.owned.remove(&partition);
                });
            }
            Some("records_consumed") => {
                for partition in partitions() {
                    *self.counts.entry(index(partition)).or_default() +=
                        partition["count"].as_i64().unwrap_or(0);
                }
            }
            _ => {}
        }
    }

    fn count(&self) -> i64 {
        self.counts.values().sum()
    }
}

fn events(text: &str) -> impl Iterator<Item = Value> + '_ {
    text.lines().filter_map(|line| serde_json::from_str(line).ok())
}
