//! Brokers that agree on one Metadata answer.

use std::sync::{Arc, Mutex};

use milena_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use milena_protocol::messages::{MetadataRequest, MetadataResponse};
use milena_protocol::{ApiKey, ErrorCode, Uuid};

use super::{Action, Network, Received};

/// The metadata of a cluster whose broker n listens at `broker-n:9092`; cheap to clone.
#[derive(Clone)]
pub(crate) struct Cluster {
    metadata: Arc<Mutex<MetadataResponse>>,
    network: Network,
}

impl Cluster {
    /// A cluster of `nodes` brokers that answer ApiVersions and Metadata, and nothing else.
    pub(crate) fn start(network: &Network, nodes: i32) -> Self {
        let cluster = Self::new(network, nodes);
        for node in 1..=nodes {
            cluster.serve(&format!("broker-{node}:9092"), |_| None);
        }
        cluster
    }

    /// A cluster whose brokers do not listen yet.
    pub(crate) fn new(network: &Network, nodes: i32) -> Self {
        let broker = |node_id: i32| MetadataResponseBroker {
            node_id,
            host: format!("broker-{node_id}").into(),
            port: 9092,
            ..Default::default()
        };
        let metadata = MetadataResponse {
            brokers: (1..=nodes).map(broker).collect(),
            cluster_id: Some("cluster".into()),
            controller_id: 1,
            ..Default::default()
        };
        Self { metadata: Arc::new(Mutex::new(metadata)), network: network.clone() }
    }

    /// Listens at `address`; what `handler` leaves is answered as every broker does.
    pub(crate) fn serve(
        &self,
        address: &str,
        handler: impl Fn(&mut Received) -> Option<Action> + Send + Sync + 'static,
    ) {
        let cluster = self.clone();
        self.network.serve(address, move |request| match handler(request) {
            Some(action) => action,
            None => match request.api() {
                ApiKey::ApiVersions => request.answer_api_versions(),
                ApiKey::Metadata => cluster.answer_metadata(request),
                other => panic!("no answer to {} was scripted", other.name()),
            },
        });
    }

    /// Adds a topic, or replaces it; a partition for each leader and leader epoch.
    pub(crate) fn topic(&self, name: &str, partitions: &[(i32, i32)]) {
        let partition =
            |(index, &(leader_id, leader_epoch)): (usize, &(i32, i32))| MetadataResponsePartition {
                error_code: if leader_id < 0 { ErrorCode::LeaderNotAvailable } else { ErrorCode::None },
                partition_index: i32::try_from(index).unwrap(),
                leader_id,
                leader_epoch,
                replica_nodes: vec![leader_id],
                isr_nodes: vec![leader_id],
                ..Default::default()
            };
        let mut id = [0; 16];
        id.iter_mut().zip(name.bytes()).for_each(|(slot, byte)| *slot = byte);
        let topic = MetadataResponseTopic {
            name: Some(name.to_owned().into()),
            topic_id: Uuid(id),
            partitions: partitions.iter().enumerate().map(partition).collect(),
            ..Default::default()
        };
        self.remove_topic(name);
        self.change(|metadata| metadata.topics.push(topic));
    }

    pub(crate) fn remove_topic(&self, name: &str) {
        self.change(|metadata| metadata.topics.retain(|topic| topic.name.as_deref() != Some(name)));
    }

    /// Changes what all brokers answer to Metadata requests.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut MetadataResponse) -> T) -> T {
        change(&mut self.metadata.lock().unwrap())
    }

    /// Answers a Metadata request with the topics it asks for.
    pub(crate) fn answer_metadata(&self, request: &Received) -> Action {
        let asked: MetadataRequest = request.peek();
        let version = request.version();
        let mut response = self.change(|metadata| metadata.clone());
        if let Some(asked) = asked.topics {
            let all = std::mem::take(&mut response.topics);
            response.topics = asked
                .into_iter()
                .map(|wanted| {
                    let known = all.iter().find(|topic| topic.name == wanted.name).cloned();
                    known.unwrap_or_else(|| MetadataResponseTopic {
                        error_code: ErrorCode::UnknownTopicOrPartition,
                        name: wanted.name,
                        ..Default::default()
                    })
                })
                .collect();
        }
        // What older versions cannot carry.
        for topic in response.topics.iter_mut().filter(|_| version < 10) {
            topic.topic_id = Uuid::ZERO;
        }
        request.answer::<MetadataRequest>(&response)
    }
}
