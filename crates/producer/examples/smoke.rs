use milena_client::{Address, Client, ClientConfig, Env};
use milena_producer::*;
use std::time::Duration;
#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(std::io::stderr).init();
    let args: Vec<String> = std::env::args().collect();
    let n: usize = args[2].parse().unwrap();
    let t0 = std::time::Instant::now();
    let client = Client::connect(ClientConfig::new(Address::parse_list(&args[1]).unwrap()), Env::system())
        .await
        .unwrap();
    println!("connected {:?}", t0.elapsed());
    let mut config = ProducerConfig::default();
    config.linger = Duration::from_millis(args[3].parse().unwrap());
    config.batch_size = 65536;
    config.compression = Codec::from(args[4].parse::<Compression>().unwrap());

    let producer = Producer::new(client, config).unwrap();
    let t = std::time::Instant::now();
    let ack = producer.send(Record::to("smoke").key("k").value("first")).await.unwrap().await.unwrap();
    println!("first {ack:?} {:?}", t.elapsed());
    let t = std::time::Instant::now();
    let value = vec![b'x'; 100];
    for i in 0..n {
        let key = format!("key-{:012}", i);
        let delivery = producer.send(Record::to("smoke").key(&key).value(&value)).await.unwrap();
        if i % 100_000 == 0 {
            println!("{:?}", delivery.await);
        } else {
            drop(delivery);
        }
    }
    producer.flush().await.unwrap();
    println!("{n} in {:?}", t.elapsed());
    producer.close(Duration::from_secs(5)).await.unwrap();
}
