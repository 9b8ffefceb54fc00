//! What the cluster as a whole knows: nodes, topics, configuration, producer ids. Pure; one lock guards it.

mod acls;
mod alter;
mod coordinators;
mod features;
mod leadership;
mod partition;
mod placement;
mod quotas;
mod replicas;
mod room;
mod scram;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_protocol::{ByteStr, ErrorCode, Uuid};

use acls::Acls;
pub(crate) use acls::{Acl, AclFilter, UNKNOWN as UNKNOWN_ELEMENT};
pub(crate) use alter::{AlterOperation, Alteration, Resource, check_alterations};
pub(crate) use coordinators::InternalTopic;
pub(crate) use features::{
    ELIGIBLE_LEADER_REPLICAS, FEATURES, FeatureUpdate, Features, GROUP_VERSION, TRANSACTION_VERSION,
    UpgradeType,
};
pub(crate) use leadership::{Leadership, Rules};
pub(crate) use partition::{Hold, Partition, PartitionState, ProduceError, ProduceTerms, Produced};
use quotas::ClientQuotas;
pub(crate) use quotas::{QuotaEntity, QuotaFilter};
pub(crate) use replicas::Election;
pub(crate) use scram::{ScramCredential, ScramCredentials};
pub(crate) use topics::{
    CreatedTopic, NewPartitions, NewTopic, PARTITIONS_PER_REQUEST_MAX, is_internal, too_many_partitions,
    validate_topic_name,
};

use crate::NodeId;
use crate::config::{BrokerSettings, Configs};
use crate::rng::Rng;
use placement::Place;
use room::Room;

/// The state that all nodes share.
#[derive(Debug)]
pub(crate) struct ClusterState {
    pub(crate) cluster_id: ByteStr,
    nodes: BTreeMap<NodeId, NodeInfo>,
    /// Those that the cluster was told to forget, until they come back.
    unregistered: BTreeMap<NodeId, NodeInfo>,
    topics: BTreeMap<ByteStr, Arc<Topic>>,
    names: BTreeMap<Uuid, ByteStr>,
    configs: Configs,
    /// For configuration of what need not be there: groups, subscriptions to metrics, brokers' keys that nobody knows.
    configs_room: Room,
    settings: Arc<BrokerSettings>,
    features: Features,
    acls: Acls,
    scram_credentials: ScramCredentials,
    client_quotas: ClientQuotas,
    /// How often any of this may have changed: the end of the metadata's log.
    metadata_offset: i64,
    rng: Rng,
    /// Rises with every topic that is created, extended or deleted.
    topics_version: u64,
    /// The version in which a topic was created last.
    newest_topic_version: u64,
    next_producer_id: i64,
}

/// A node, as clients are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeInfo {
    pub(crate) node: NodeId,
    pub(crate) host: ByteStr,
    pub(crate) port: u16,
    pub(crate) rack: Option<ByteStr>,
    /// Registered and not fenced.
    pub(crate) alive: bool,
}

/// A topic. Adding partitions makes another one of the same id.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: ByteStr,
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Arc<Partition>>,
}

/// Why an administrative request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct AdminError {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl AdminError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl Topic {
    pub(crate) fn partition(&self, index: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
}

impl ClusterState {
    pub(crate) fn new(nodes: Vec<NodeInfo>, mut configs: Configs, features: Features, mut rng: Rng) -> Self {
        nodes.iter().for_each(|info| identify(&mut configs, info));
        if features.has_eligible_leaders() {
            configs.unify_min_isr();
        }
        let only_node = nodes.first().filter(|_| nodes.len() == 1).map(|info| info.node);
        Self {
            cluster_id: rng.uuid().to_string().into(),
            nodes: nodes.into_iter().map(|info| (info.node, info)).collect(),
            unregistered: BTreeMap::new(),
            topics: BTreeMap::new(),
            names: BTreeMap::new(),
            settings: Arc::new(configs.broker_settings(only_node)),
            configs,
            configs_room: Room::default(),
            features,
            acls: Acls::default(),
            scram_credentials: ScramCredentials::default(),
            client_quotas: ClientQuotas::default(),
            metadata_offset: 0,
            rng,
            topics_version: 0,
            newest_topic_version: 0,
            next_producer_id: 0,
        }
    }

    /// All nodes that are registered, in the order of their ids.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeInfo> {
        self.nodes.values()
    }

    /// A node that is registered.
    pub(crate) fn node(&self, node: NodeId) -> Option<&NodeInfo> {
        self.nodes.get(&node)
    }

    /// The nodes that vote on metadata, registered or not, in the order of their ids.
    pub(crate) fn voters(&self) -> Vec<&NodeInfo> {
        let mut voters: Vec<_> = self.nodes.values().chain(self.unregistered.values()).collect();
        voters.sort_by_key(|info| info.node);
        voters
    }

    /// Fences a node, or unfences it, which registers it again.
    pub(crate) fn set_alive(&mut self, node: NodeId, alive: bool) {
        if alive && let Some(info) = self.unregistered.remove(&node) {
            self.nodes.insert(node, info);
        }
        if let Some(info) = self.nodes.get_mut(&node) {
            info.alive = alive;
        }
    }

    /// Forgets a node; false if it is not registered.
    pub(crate) fn unregister(&mut self, node: NodeId) -> bool {
        let info = self.nodes.remove(&node);
        let was_registered = info.is_some();
        self.unregistered.extend(info.map(|info| (node, info)));
        was_registered
    }

    pub(crate) fn is_alive(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|info| info.alive)
    }

    /// The node that clients are told is the controller: the first that is alive, -1 if none is.
    ///
    /// Kafka names any live broker, because in KRaft none of them is the controller; one that stays is kinder to read.
    pub(crate) fn controller(&self) -> NodeId {
        self.nodes().find(|info| info.alive).map_or(-1, |info| info.node)
    }

    /// All topics, in the order of their names.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    pub(crate) fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    pub(crate) fn topic_by_id(&self, id: &Uuid) -> Option<&Arc<Topic>> {
        self.topics.get(self.names.get(id)?)
    }

    /// Rises with every topic that is created, extended or deleted.
    pub(crate) fn topics_version(&self) -> u64 {
        self.topics_version
    }

    /// The version in which a topic was created last.
    pub(crate) fn newest_topic_version(&self) -> u64 {
        self.newest_topic_version
    }

    /// All partitions, by topic name and index.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.topics().flat_map(|topic| &topic.partitions)
    }

    pub(crate) fn configs(&self) -> &Configs {
        &self.configs
    }

    pub(crate) fn features(&self) -> &Features {
        &self.features
    }

    /// Changes the levels of features, all or none of them (Java: `ConfigurationControlManager.updateFeatures`).
    pub(crate) fn update_features(
        &mut self,
        updates: &[FeatureUpdate],
        validate_only: bool,
    ) -> Result<(), AdminError> {
        self.features.update(updates, validate_only)?;
        let is_asked = updates.iter().any(|one| one.feature == ELIGIBLE_LEADER_REPLICAS && one.level > 0);
        if is_asked && !validate_only {
            self.configs.unify_min_isr();
            self.reload();
        }
        Ok(())
    }

    pub(crate) fn acls(&self) -> &Acls {
        &self.acls
    }

    pub(crate) fn acls_mut(&mut self) -> &mut Acls {
        &mut self.acls
    }

    pub(crate) fn scram_credentials(&self) -> &ScramCredentials {
        &self.scram_credentials
    }

    pub(crate) fn scram_credentials_mut(&mut self) -> &mut ScramCredentials {
        &mut self.scram_credentials
    }

    pub(crate) fn client_quotas(&self) -> &ClientQuotas {
        &self.client_quotas
    }

    pub(crate) fn client_quotas_mut(&mut self) -> &mut ClientQuotas {
        &mut self.client_quotas
    }

    pub(crate) fn metadata_offset(&self) -> i64 {
        self.metadata_offset
    }

    /// Notes that something is about to change.
    pub(crate) fn begin_change(&mut self) {
        self.metadata_offset += 1;
    }

    pub(crate) fn settings(&self) -> &Arc<BrokerSettings> {
        &self.settings
    }

    /// An id for a new idempotent producer; never given twice.
    pub(crate) fn new_producer_id(&mut self) -> i64 {
        let producer_id = self.next_producer_id;
        self.next_producer_id += 1;
        producer_id
    }

    fn places(&self) -> Vec<Place> {
        let place = |info: &NodeInfo| Place {
            node: info.node,
            rack: info.rack.as_deref().map(str::to_owned),
            alive: info.alive,
        };
        self.nodes().map(place).collect()
    }
}

/// What a broker is told by its place in the cluster.
fn identify(configs: &mut Configs, info: &NodeInfo) {
    let listener = format!("PLAINTEXT://{}:{}", info.host, info.port);
    let mut identify = |name, value| configs.identify(info.node, name, value);
    identify("advertised.listeners", listener.clone());
    identify("broker.id", info.node.to_string());
    identify("listeners", listener);
    identify("node.id", info.node.to_string());
    identify("process.roles", "broker,controller".to_owned());
    if let Some(rack) = &info.rack {
        identify("broker.rack", rack.to_string());
    }
}

#[cfg(test)]
mod tests;
