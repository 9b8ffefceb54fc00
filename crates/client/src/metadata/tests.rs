//! Tests of what is asked and believed.

mod believed;
mod properties;
mod when;

use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_protocol::messages::MetadataResponse;
use milena_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use milena_protocol::{ErrorCode, Uuid};

use super::core::{Ask, MetadataCore, MetadataCoreConfig, Useless};
use super::snapshot::{Metadata, PartitionMetadata, TopicMetadata};
use crate::config::MetadataRecovery;
use crate::{Address, Backoff, Env};

const MAX_AGE: Duration = Duration::from_secs(300);
const TRIGGER: Duration = Duration::from_secs(60);
/// Jitter's middle: the back-off is 100, 200, 400, 800, 1,000 ms.
const MIDDLE: f64 = 0.5;
const NEWEST: i16 = 13;

/// A core and its clock.
struct World {
    core: MetadataCore,
    start: Instant,
    now: Instant,
}

fn world() -> World {
    world_with(MetadataRecovery::Rebootstrap { trigger: TRIGGER })
}

fn world_with(recovery: MetadataRecovery) -> World {
    let now = Env::system().now();
    let config = MetadataCoreConfig {
        bootstrap: vec![Address::new("seed-1", 9092), Address::new("seed-2", 9092)],
        max_age: MAX_AGE,
        retry_backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1)),
        recovery,
    };
    World { core: MetadataCore::new(config, now), start: now, now }
}

/// A world that knows brokers 1 to 3 and the topics of `response`, which are all of interest.
fn world_that_knows(response: MetadataResponse) -> World {
    let mut world = world();
    for topic in &response.topics {
        world.want(topic.name.as_deref().unwrap());
    }
    let ask = world.ask();
    world.answer(&ask, response);
    world
}

impl World {
    fn want(&mut self, topic: &str) {
        self.core.add_interest(&Arc::from(topic), false, self.now, MIDDLE);
    }

    fn want_created(&mut self, topic: &str) {
        self.core.add_interest(&Arc::from(topic), true, self.now, MIDDLE);
    }

    fn advance(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn request_update(&mut self) {
        self.core.request_update(self.now, MIDDLE);
    }

    /// The request that is due now.
    fn ask(&mut self) -> Ask {
        self.core.poll_action(self.now).expect("a request is due")
    }

    /// Waits until a request is due and returns it.
    fn next_ask(&mut self) -> Ask {
        self.now = self.now.max(self.core.poll_timeout().expect("no request is under way"));
        self.ask()
    }

    fn answer(&mut self, ask: &Ask, response: MetadataResponse) {
        self.answer_in(ask, NEWEST, response);
    }

    fn answer_in(&mut self, ask: &Ask, version: i16, response: MetadataResponse) {
        self.core.handle_response(ask, version, response, self.now, MIDDLE).expect("the answer is of use");
    }

    fn fail(&mut self) {
        self.core.handle_failure(self.now, MIDDLE);
    }

    /// Milliseconds until the next request; `None` while one is under way.
    fn due_in(&self) -> Option<u128> {
        let due = self.core.poll_timeout()?;
        Some(due.saturating_duration_since(self.now).as_millis())
    }

    fn metadata(&self) -> &Metadata {
        self.core.snapshot()
    }

    fn topic(&self, name: &str) -> &TopicMetadata {
        self.metadata().topic(name).expect("the topic is known")
    }

    fn partition(&self, topic: &str, partition: i32) -> &PartitionMetadata {
        self.metadata().partition(topic, partition).expect("the partition is known")
    }
}

/// An answer of a cluster of brokers 1 to 3.
fn answer(topics: impl IntoIterator<Item = MetadataResponseTopic>) -> MetadataResponse {
    let broker = |node_id: i32| MetadataResponseBroker {
        node_id,
        host: format!("broker-{node_id}").into(),
        port: 9092,
        ..Default::default()
    };
    MetadataResponse {
        brokers: (1..=3).map(broker).collect(),
        cluster_id: Some("cluster".into()),
        controller_id: 1,
        topics: topics.into_iter().collect(),
        ..Default::default()
    }
}

/// A topic with one partition for each leader and leader epoch.
fn topic(name: &str, partitions: &[(i32, i32)]) -> MetadataResponseTopic {
    let partition = |(index, &(leader_id, leader_epoch)): (usize, &(i32, i32))| MetadataResponsePartition {
        error_code: if leader_id < 0 { ErrorCode::LeaderNotAvailable } else { ErrorCode::None },
        partition_index: i32::try_from(index).unwrap(),
        leader_id,
        leader_epoch,
        ..Default::default()
    };
    MetadataResponseTopic {
        name: Some(name.into()),
        topic_id: Uuid([7; 16]),
        partitions: partitions.iter().enumerate().map(partition).collect(),
        ..Default::default()
    }
}

fn topic_with_id(id: u8, name: &str, partitions: &[(i32, i32)]) -> MetadataResponseTopic {
    MetadataResponseTopic { topic_id: Uuid([id; 16]), ..topic(name, partitions) }
}

fn refused(name: &str, error_code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic { error_code, name: Some(name.into()), ..Default::default() }
}

fn names(topics: &[Arc<str>]) -> Vec<&str> {
    topics.iter().map(|name| &**name).collect()
}

fn hosts(ask: &Ask) -> Vec<&str> {
    ask.candidates.iter().map(|address| address.host.as_str()).collect()
}
