//! Sends each line of standard input as a record: `milena-small-producer HOST:PORT TOPIC`.

use std::error::Error;
use std::io::stdin;
use std::time::Duration;

use milena::{Compression, Kafka, Record};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, topic] = &arguments[..] else {
        return Err("usage: milena-small-producer HOST:PORT TOPIC".into());
    };
    let kafka = Kafka::builder(bootstrap).connect().await?;
    let producer = kafka.producer().compression(Compression::Lz4).build().await?;
    let topic = producer.topic(topic).await?;
    for line in stdin().lines() {
        drop(topic.send(Record::new().value(&line?)).await?); // flush tells whether it was written
    }
    producer.flush().await?;
    producer.close(Duration::from_secs(30)).await?;
    Ok(())
}
