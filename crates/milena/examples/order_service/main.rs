//! A small service on Kafka, and its tests on a cluster that goes wrong: `cargo test --example order_service` runs them.
//!
//! `cargo run --example order_service` plays the first of them, and tells what happens when: some twenty seconds of a cluster's
//! trouble, in a few milliseconds.

mod service;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use milena::testing::{self, Clock, Cluster, TopicSpec};
use service::{BoxError, OrderService, Receipt, TOPIC, orders_by_customer};

/// Orders in the story.
const ORDERS: usize = 100;
/// How long it takes a cluster to notice that a node is dead (Kafka: `broker.session.timeout.ms`).
const UNTIL_NOTICED: Duration = Duration::from_secs(9);

#[expect(
    clippy::disallowed_methods,
    reason = "how long a test on the virtual clock takes in truth is what is shown here"
)]
fn main() -> Result<(), BoxError> {
    let began = Instant::now();
    let lasted = testing::run(story())?;
    println!(
        "{:.1} s of the cluster's time in {:.1} ms",
        lasted.as_secs_f64(),
        began.elapsed().as_secs_f64() * 1e3
    );
    Ok(())
}

/// Orders come in while the leader dies, and all of them are there in the end, once and in order; returns how long that took.
async fn story() -> Result<Duration, BoxError> {
    let cluster = Cluster::builder().nodes(3).topic(TopicSpec::new(TOPIC)).start().await?;
    let clock = cluster.clock();
    let kafka = cluster.kafka().client_id("orders").connect().await?;
    let service = OrderService::start(&kafka).await?;

    let (placed, failed) = tokio::join!(place_orders(&service, clock), fail_over(&cluster));
    failed?;
    let Receipt { partition, offset } = placed?;
    tell(
        clock,
        format_args!("{ORDERS} orders have a receipt, the last one for {TOPIC}-{partition}@{offset:?}"),
    );

    let orders = orders_by_customer(&kafka).await?;
    let expected: Vec<_> = (0..ORDERS).map(order).collect();
    assert_eq!(orders["ada"], expected, "each order once, in the order in which they came in");
    tell(clock, format_args!("{} orders are in the log, each once", expected.len()));
    Ok(clock.elapsed())
}

/// Orders of one customer, one every 200 ms, or later while the one before has no receipt; gives the last receipt.
async fn place_orders(service: &OrderService, clock: &Clock) -> Result<Receipt, BoxError> {
    let mut last = None;
    for number in 0..ORDERS {
        let asked = clock.elapsed();
        last = Some(service.place("ada", &order(number)).await?);
        let took = clock.elapsed() - asked;
        if took > Duration::from_secs(1) {
            tell(clock, format_args!("order {number} has its receipt after {:.1} s", took.as_secs_f64()));
        }
        clock.advance(Duration::from_millis(200)).await;
    }
    Ok(last.ok_or("nobody orders")?)
}

/// The leader of the orders dies; nobody notices at first.
async fn fail_over(cluster: &Cluster) -> Result<(), BoxError> {
    let (clock, faults) = (cluster.clock(), cluster.faults());
    let leader = cluster.leader(TOPIC, 0).ok_or("nobody leads")?;
    cluster.until(|cluster| cluster.records(TOPIC, 0).len() >= ORDERS / 4).await;
    tell(clock, format_args!("node {leader}, which leads, is killed"));
    faults.kill_unnoticed(leader).await;
    clock.advance(UNTIL_NOTICED).await;
    faults.notice(leader);
    tell(clock, format_args!("the cluster notices: node {:?} leads", cluster.leader(TOPIC, 0)));
    clock.advance(Duration::from_secs(5)).await;
    faults.restart(leader).await?;
    tell(clock, format_args!("node {leader} is back"));
    Ok(())
}

fn order(number: usize) -> String {
    format!("order {number}")
}

fn tell(clock: &Clock, what: std::fmt::Arguments<'_>) {
    println!("{:7.3} s  {what}", clock.elapsed().as_secs_f64());
}
