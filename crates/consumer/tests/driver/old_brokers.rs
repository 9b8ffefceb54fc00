//! Brokers of other releases: the embedded one, made to announce less than it speaks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use milena_broker::{ApiKey, Cluster, Dialer, TopicSpec};
use milena_client::env::{Connecting, Connector, Stream, Task};
use milena_client::{Address, Client, ClientConfig, Env};
use milena_consumer::{IsolationLevel, Position, RecvError};
use milena_protocol::messages::ApiVersionsRequest;
use milena_protocol::{decode_api_versions_response, encode_response};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};

use crate::support::*;

/// What the newest client asks with for versions.
const API_VERSIONS: i16 = 4;

/// Connects to the cluster through something that caps versions.
struct Capped {
    dialer: Dialer,
    caps: Vec<(ApiKey, i16)>,
    env: Env,
    /// What carries bytes to and fro.
    tasks: Arc<Mutex<Vec<Task>>>,
}

impl Connector for Capped {
    fn connect<'a>(&'a self, address: &'a Address) -> Connecting<'a> {
        Box::pin(async move {
            let (near, far) = duplex(64 * 1024);
            let broker = self.dialer.connect(&address.to_string())?;
            let task = self.env.spawn(carry(far, broker, self.caps.clone()));
            self.tasks.lock().expect("no panic").push(task);
            Ok(Box::new(near) as Box<dyn Stream>)
        })
    }
}

async fn carry(client: DuplexStream, broker: impl Stream, caps: Vec<(ApiKey, i16)>) {
    let (mut from_client, mut to_client) = split(client);
    let (mut from_broker, mut to_broker) = split(broker);
    let there = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_broker).await;
    };
    let back = async {
        let length = from_broker.read_u32().await?;
        let mut frame = vec![0; length as usize];
        from_broker.read_exact(&mut frame).await?;
        let (correlation_id, mut response) =
            decode_api_versions_response(frame.into(), API_VERSIONS).expect("the first answer is this");
        for api in &mut response.api_keys {
            let cap = caps.iter().find(|(key, _)| *key as i16 == api.api_key);
            api.max_version = cap.map_or(api.max_version, |(_, max)| api.max_version.min(*max));
        }
        let frame = encode_response::<ApiVersionsRequest>(correlation_id, API_VERSIONS, &response);
        to_client.write_all(&frame.expect("it was one before").to_bytes()).await?;
        tokio::io::copy(&mut from_broker, &mut to_client).await
    };
    tokio::select! {
        biased;
        () = there => {}
        _ = back => {}
    }
}

/// A world whose second client thinks that brokers speak these versions at most.
async fn world(caps: &[(ApiKey, i16)]) -> World {
    let topic = TopicSpec::new("t").partitions(2).replication_factor(2);
    let mut world = World::start(Cluster::builder().nodes(2).topic(topic)).await;
    let connector = Capped {
        dialer: world.cluster.dialer(),
        caps: caps.to_vec(),
        env: Env::system(),
        tasks: Arc::default(),
    };
    let env = Env::builder().connector(connector).seed(1).build();
    let bootstrap = Address::parse_list(&world.cluster.bootstrap()).expect("it is a list");
    world.client = Client::connect(ClientConfig::new(bootstrap), env).await.expect("it connects");
    world
}

#[tokio::test(start_paused = true)]
async fn every_version_of_fetch_reads_the_same() {
    for version in 4..=18 {
        let mut world = world(&[(ApiKey::Fetch, version)]).await;
        let partitions = [tp("t", 0), tp("t", 1)];
        let mut config = strict();
        config.isolation_level = IsolationLevel::ReadCommitted;
        config.client_rack = Some("rack".to_owned());
        config.max_partition_fetch_bytes = 400;
        let mut consumer = world.consumer(config, &partitions);
        let mut seen = Seen::default();
        for round in 1..=4u64 {
            for partition in &partitions {
                world.produce(partition, 20).await;
                world.produce(partition, 30).await;
            }
            seen.read(&mut consumer, 100 * round).await;
            let other = 3 - world.cluster.leader("t", 0).unwrap();
            world.cluster.faults().move_leader("t", 0, other);
        }
        // Forgets one partition in a session, and takes it up again.
        consumer.pause([&partitions[0]]).unwrap();
        world.produce(&partitions[1], 1).await;
        world.client.env().sleep(Duration::from_secs(2)).await;
        consumer.resume([&partitions[0]]).unwrap();
        world.produce(&partitions[0], 1).await;
        seen.read(&mut consumer, 402).await;
        consumer.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_moves_costs_nothing_of_what_recv_has_in_hand() {
    // This broker does not compare epochs by itself: the position is validated, in a new generation.
    let mut world = world(&[(ApiKey::Fetch, 11)]).await;
    let partitions = [tp("t", 0), tp("t", 1)];
    world.produce(&partitions[0], 10).await;
    let mut consumer = world.consumer(strict(), &partitions);
    assert_eq!(patiently(consumer.recv()).await.unwrap().unwrap().offset, 0);
    let other = 3 - world.cluster.leader("t", 0).unwrap();
    world.cluster.faults().move_leader("t", 0, other);
    world.client.env().sleep(Duration::from_secs(10)).await;
    consumer.pause([&partitions[1]]).unwrap();
    assert_eq!(patiently(consumer.recv()).await.unwrap().unwrap().offset, 1);
    consumer.pause([&partitions[0]]).unwrap();
    assert_eq!(consumer.position(&partitions[0]).unwrap().map(|position| position.offset), Some(2));
    assert!(consumer.poll(Duration::from_secs(1), 1).await.unwrap().is_empty(), "it is paused");
    consumer.resume(&partitions).unwrap();
    world.produce(&partitions[0], 1).await;
    for offset in 2..11 {
        assert_eq!(patiently(consumer.recv()).await.unwrap().unwrap().offset, offset);
    }
}

#[tokio::test(start_paused = true)]
async fn every_version_of_list_offsets_finds_the_same() {
    for version in 1..=11 {
        let mut world = world(&[(ApiKey::ListOffsets, version)]).await;
        let partition = tp("t", 0);
        world.produce(&partition, 10).await;
        let consumer = world.consumer(strict(), []);
        assert_eq!(
            consumer.beginning_offsets([&partition]).await.unwrap()[&partition],
            0,
            "version {version}"
        );
        assert_eq!(consumer.end_offsets([&partition]).await.unwrap()[&partition], 10, "version {version}");
        let found =
            consumer.offsets_for_times([(partition.clone(), 1_000)]).await.unwrap()[&partition].unwrap();
        assert_eq!((found.offset, found.timestamp), (0, 1_000), "version {version}");
        let newest = consumer.max_timestamp_offsets([&partition]).await;
        if version >= 7 {
            assert_eq!(newest.unwrap()[&partition].unwrap().timestamp, 1_000, "version {version}");
        } else {
            let error = newest.unwrap_err().to_string();
            assert!(error.contains("ListOffsets: this client speaks versions 7..=11"), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn before_fetch_12_a_truncated_log_is_found_by_offset_for_leader_epoch() {
    for version in 3..=4 {
        let mut world = world(&[(ApiKey::Fetch, 11), (ApiKey::OffsetForLeaderEpoch, version)]).await;
        let partition = tp("t", 0);
        for _ in 0..3 {
            world.produce(&partition, 10).await;
        }
        let mut consumer = world.consumer(strict(), [&partition]);
        let mut seen = Seen::default();
        seen.read(&mut consumer, 30).await;
        // A new leader that lacks nothing is fine.
        let first = world.cluster.leader("t", 0).unwrap();
        world.cluster.faults().move_leader("t", 0, 3 - first);
        world.produce(&partition, 10).await;
        seen.read(&mut consumer, 40).await;
        assert!(world.cluster.requests(ApiKey::OffsetForLeaderEpoch) >= 1);
        world.cluster.faults().move_leader_and_lose_records("t", 0, first, 20);
        for _ in 0..3 {
            world.produce(&partition, 10).await;
        }
        let error = expect_error(&mut consumer).await;
        let RecvError::LogTruncated { position, diverging: Some(diverging), .. } = error else {
            panic!("{error}")
        };
        assert_eq!(position, Position::new(40).with_leader_epoch(1));
        assert_eq!(diverging, Position::new(20).with_leader_epoch(0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_without_a_common_version_is_told_once() {
    let mut world = world(&[(ApiKey::Fetch, 3)]).await;
    let partition = tp("t", 0);
    world.produce(&partition, 10).await;
    let mut consumer = world.consumer(strict(), [&partition]);
    let error = expect_error(&mut consumer).await;
    assert!(matches!(error, RecvError::Broker { .. }), "{error}");
    assert!(error.to_string().contains("Fetch: this client speaks versions 4..="), "{error}");
    assert!(consumer.poll(Duration::from_secs(60), 1).await.unwrap().is_empty(), "it is told once");
}
