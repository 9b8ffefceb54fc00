//! Reads a topic from its beginning to where it ends now, and tells how fast.
//!
//! `cargo run --release --example read_topic -- localhost:9092 orders [read_committed]`

use std::collections::BTreeMap;

use milena_client::{Address, Client, ClientConfig, Env};
use milena_consumer::{Consumer, ConsumerConfig, IsolationLevel};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(bootstrap), Some(topic)) = (arguments.next(), arguments.next()) else {
        return Err("usage: read_topic BOOTSTRAP TOPIC [read_committed]".into());
    };
    let mut config = ConsumerConfig::default();
    if arguments.next().as_deref() == Some("read_committed") {
        config.isolation_level = IsolationLevel::ReadCommitted;
    }

    let env = Env::system();
    let client = Client::connect(ClientConfig::new(Address::parse_list(&bootstrap)?), env.clone()).await?;
    let mut consumer = Consumer::new(client, config)?;
    consumer.assign_topic(topic).await?;
    let partitions = consumer.assignment();
    consumer.seek_to_beginning(&partitions)?;
    let mut ends = consumer.end_offsets(&partitions).await?;
    let beginnings = consumer.beginning_offsets(&partitions).await?;
    ends.retain(|partition, end| beginnings[partition] < *end);

    let began = env.now();
    let (mut records, mut bytes) = (0u64, 0u64);
    let mut by_partition = BTreeMap::new();
    while !ends.is_empty() {
        // At the very end there may be only what is not shown, markers of transactions: then nothing comes any more.
        let batches = consumer.poll(std::time::Duration::from_secs(1), 100_000).await?;
        for batch in batches {
            for record in &batch {
                records += 1;
                bytes += record.value.map_or(0, <[u8]>::len) as u64;
            }
            *by_partition.entry(batch.partition()).or_insert(0) += batch.len();
        }
        for partition in &partitions {
            let position = consumer.position(partition)?;
            ends.retain(|other, end| other != partition || position.is_none_or(|at| at.offset < *end));
        }
    }
    let seconds = (env.now() - began).as_secs_f64();
    println!(
        "{records} records, {bytes} bytes in {seconds:.3} s: {:.0} records/s, {:.1} MB/s",
        records as f64 / seconds,
        bytes as f64 / seconds / 1e6
    );
    println!("by partition: {by_partition:?}");
    consumer.close().await;
    Ok(())
}
