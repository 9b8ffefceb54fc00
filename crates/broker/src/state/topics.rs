//! Topics: created, extended, deleted (Java: `ReplicationControlManager`, `ControllerApis`, `Topic`).

use std::sync::Arc;

use milena_protocol::{ByteStr, ErrorCode, Uuid};

use super::placement::place;
use super::{AdminError, ClusterState, InternalTopic, Leadership, Partition, Topic};
use crate::NodeId;
use crate::config::{Layer, Source, TOPIC_KEYS, Values, check_topic_overrides};
use crate::rng::Rng;

/// Kafka's longest topic name.
const TOPIC_NAME_MAX: usize = 249;
/// The most partitions that one request may create (Java: `ReplicationControlManager.MAX_PARTITIONS_PER_BATCH`).
pub(crate) const PARTITIONS_PER_REQUEST_MAX: i32 = 10_000;

const INTERNAL_TOPICS: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// A topic to create.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewTopic {
    pub(crate) name: ByteStr,
    /// -1 takes the broker's default, as for the next one.
    pub(crate) partitions: i32,
    pub(crate) replication_factor: i16,
    /// Partition index and its replicas; instead of the two above.
    pub(crate) assignments: Vec<(i32, Vec<NodeId>)>,
    /// A value of `None` is refused.
    pub(crate) configs: Vec<(ByteStr, Option<ByteStr>)>,
}

/// A topic that was created, or that could be.
#[derive(Debug)]
pub(crate) struct CreatedTopic {
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
    pub(crate) replication_factor: i16,
    /// Its configuration: name, value, where it comes from.
    pub(crate) configs: Vec<(&'static str, String, Source)>,
}

/// Partitions to add to a topic.
#[derive(Debug)]
pub(crate) struct NewPartitions {
    pub(crate) topic: ByteStr,
    /// How many there are to be in all.
    pub(crate) count: i32,
    /// The replicas of each new one, or none to have them placed.
    pub(crate) assignments: Option<Vec<Vec<NodeId>>>,
}

impl ClusterState {
    /// Creates a topic; with `validate_only` nothing changes.
    pub(crate) fn create_topic(
        &mut self,
        new: &NewTopic,
        validate_only: bool,
        now_ms: i64,
    ) -> Result<CreatedTopic, AdminError> {
        self.create_topic_within(new, validate_only, now_ms, |_| Ok(()))
    }

    /// Creates a topic if nothing but `charge` could be against it, which is asked about its partitions last (Java:
    /// `ControllerRequestContext.applyPartitionChangeQuota`).
    pub(crate) fn create_topic_within(
        &mut self,
        new: &NewTopic,
        validate_only: bool,
        now_ms: i64,
        charge: impl FnOnce(i32) -> Result<(), AdminError>,
    ) -> Result<CreatedTopic, AdminError> {
        validate_topic_name(&new.name)
            .map_err(|message| AdminError::new(ErrorCode::InvalidTopicException, message))?;
        self.check_is_new(&new.name)?;
        let overrides = collect_overrides(&new.configs)?;
        check_topic_overrides(&overrides)
            .map_err(|message| AdminError::new(ErrorCode::InvalidConfig, message))?;
        let assignments = self.assign(new)?;
        charge(assignments.len() as i32)?;

        let created = CreatedTopic {
            id: if validate_only { Uuid::ZERO } else { self.unused_topic_id() },
            partitions: assignments.len() as i32,
            replication_factor: assignments.first().map_or(0, Vec::len) as i16,
            configs: self.describe_new_configs(&overrides),
        };
        if !validate_only {
            self.configs.set_topic_overrides(&new.name, overrides);
            self.add_topic(new.name.detached(), created.id, Vec::new(), assignments, now_ms);
        }
        Ok(created)
    }

    /// Creates a topic as automatic creation does, with the broker's defaults.
    pub(crate) fn create_topic_automatically(
        &mut self,
        name: &ByteStr,
        now_ms: i64,
        charge: impl FnOnce(i32) -> Result<(), AdminError>,
    ) -> Result<(), AdminError> {
        if let Some(topic) = InternalTopic::by_name(name) {
            return self.ensure_internal_topic(topic, now_ms);
        }
        let new =
            NewTopic { name: name.clone(), partitions: -1, replication_factor: -1, ..NewTopic::default() };
        self.create_topic_within(&new, false, now_ms, charge).map(drop)
    }

    /// Deletes a topic and its configuration.
    pub(crate) fn delete_topic(&mut self, name: &str) -> Option<Arc<Topic>> {
        let topic = self.topics.remove(name)?;
        self.names.remove(&topic.id);
        self.topics_version += 1;
        self.configs.set_topic_overrides(name, Values::new());
        topic.partitions.iter().for_each(|partition| partition.lock().delete());
        Some(topic)
    }

    /// Adds partitions to a topic, unless `charge` has something against so many; with `validate_only` nothing changes.
    pub(crate) fn create_partitions(
        &mut self,
        new: &NewPartitions,
        validate_only: bool,
        now_ms: i64,
        charge: impl FnOnce(i32) -> Result<(), AdminError>,
    ) -> Result<(), AdminError> {
        let Some(topic) = self.topics.get(&new.topic).cloned() else {
            return Err(AdminError::new(
                ErrorCode::UnknownTopicOrPartition,
                ErrorCode::UnknownTopicOrPartition.description(),
            ));
        };
        let present = topic.partitions.len() as i32;
        let refused = |message: String| Err(AdminError::new(ErrorCode::InvalidPartitions, message));
        if new.count == present {
            return refused(format!("{}: there are {present} partitions already", new.topic));
        }
        if new.count < present {
            return refused(format!(
                "{}: there are {present} partitions, and {} would take some away; partitions can only be added",
                new.topic, new.count
            ));
        }
        let added = new.count - present;
        if added > PARTITIONS_PER_REQUEST_MAX {
            return Err(too_many_partitions());
        }
        let replication_factor = topic.partitions.first().map_or(1, |p| p.lock().leadership.replicas.len());
        if let Some(given) = new.assignments.as_ref().filter(|given| given.len() != added as usize) {
            let given = given.len();
            let message =
                format!("{added} partition(s) are to be added, but {given} assignment(s) are given");
            return Err(AdminError::new(ErrorCode::InvalidReplicaAssignment, message));
        }
        charge(added)?;
        let assignments = match &new.assignments {
            Some(given) => {
                for (number, replicas) in given.iter().enumerate() {
                    self.check_assignment(present + number as i32, replicas, Some(replication_factor))?;
                }
                given.clone()
            }
            None => self.place(added, replication_factor, present as usize)?,
        };
        if !validate_only {
            self.add_topic(topic.name.clone(), topic.id, topic.partitions.clone(), assignments, now_ms);
        }
        Ok(())
    }

    fn check_is_new(&self, name: &str) -> Result<(), AdminError> {
        if self.topics.contains_key(name) {
            let message = format!("{name}: the topic exists already");
            return Err(AdminError::new(ErrorCode::TopicAlreadyExists, message));
        }
        // Metrics replace dots by underscores, so such names may not differ in nothing else.
        let collides = |other: &&ByteStr| other.replace('.', "_") == name.replace('.', "_");
        let has_collision_chars = name.contains(['.', '_']);
        match self.topics.keys().filter(|_| has_collision_chars).find(collides) {
            Some(other) => Err(AdminError::new(
                ErrorCode::InvalidTopicException,
                format!("{name}: differs from topic {other} only in dots and underscores"),
            )),
            None => Ok(()),
        }
    }

    /// The replicas of each partition: as given, or placed.
    fn assign(&mut self, new: &NewTopic) -> Result<Vec<Vec<NodeId>>, AdminError> {
        if !new.assignments.is_empty() {
            return self.assign_as_given(new);
        }
        if new.replication_factor < -1 || new.replication_factor == 0 {
            let message = "replication factor must be at least 1, or -1 for the default";
            return Err(AdminError::new(ErrorCode::InvalidReplicationFactor, message));
        }
        if new.partitions < -1 || new.partitions == 0 {
            let message = "partitions must be at least 1, or -1 for the default";
            return Err(AdminError::new(ErrorCode::InvalidPartitions, message));
        }
        let settings = self.settings.clone();
        let or_default = |given: i32, default: i32| if given == -1 { default } else { given };
        let partitions = or_default(new.partitions, settings.num_partitions);
        if partitions > PARTITIONS_PER_REQUEST_MAX {
            return Err(too_many_partitions());
        }
        let replication_factor =
            or_default(new.replication_factor.into(), settings.default_replication_factor.into());
        let start = self.rng.below(self.nodes.len().max(1) as u64) as usize;
        self.place(partitions, replication_factor as usize, start)
    }

    fn assign_as_given(&self, new: &NewTopic) -> Result<Vec<Vec<NodeId>>, AdminError> {
        let invalid = |message: &str| Err(AdminError::new(ErrorCode::InvalidRequest, message));
        if new.replication_factor != -1 {
            return invalid("replicas are assigned by hand, so leave the replication factor at -1");
        }
        if new.partitions != -1 {
            return invalid("replicas are assigned by hand, so leave the number of partitions at -1");
        }
        let mut by_partition: Vec<Option<&Vec<NodeId>>> = vec![None; new.assignments.len()];
        for (partition, replicas) in &new.assignments {
            let place = usize::try_from(*partition).ok().and_then(|index| by_partition.get_mut(index));
            match place {
                None => {
                    let message = "assigned partitions must be consecutive from 0";
                    return Err(AdminError::new(ErrorCode::InvalidReplicaAssignment, message));
                }
                Some(Some(_)) => {
                    let message = format!("partition {partition} is assigned more than once");
                    return Err(AdminError::new(ErrorCode::InvalidReplicaAssignment, message));
                }
                Some(place) => *place = Some(replicas),
            }
            self.check_assignment(*partition, replicas, Some(new.assignments[0].1.len()))?;
        }
        Ok(by_partition.into_iter().flatten().cloned().collect())
    }

    pub(super) fn check_assignment(
        &self,
        partition: i32,
        replicas: &[NodeId],
        replication_factor: Option<usize>,
    ) -> Result<(), AdminError> {
        let invalid = |message: String| Err(AdminError::new(ErrorCode::InvalidReplicaAssignment, message));
        if replicas.is_empty() {
            return invalid(format!("partition {partition} is assigned an empty list of replicas"));
        }
        for (number, node) in replicas.iter().enumerate() {
            if !self.nodes.contains_key(node) {
                return invalid(format!(
                    "partition {partition} is assigned to broker {node}, which does not exist"
                ));
            }
            if replicas[..number].contains(node) {
                return invalid(format!("partition {partition} is assigned to broker {node} more than once"));
            }
        }
        if let Some(expected) = replication_factor
            && expected != replicas.len()
        {
            let given = replicas.len();
            return invalid(format!(
                "partition {partition} has {given} replicas, and others have {expected}"
            ));
        }
        if !replicas.iter().any(|node| self.is_alive(*node)) {
            return invalid(format!("partition {partition} is assigned only to brokers that are down"));
        }
        Ok(())
    }

    fn place(
        &self,
        partitions: i32,
        replication_factor: usize,
        start: usize,
    ) -> Result<Vec<Vec<NodeId>>, AdminError> {
        place(&self.places(), partitions as usize, replication_factor, start)
    }

    fn add_topic(
        &mut self,
        name: ByteStr,
        id: Uuid,
        mut partitions: Vec<Arc<Partition>>,
        assignments: Vec<Vec<NodeId>>,
        now_ms: i64,
    ) {
        for replicas in assignments {
            let index = partitions.len() as i32;
            let leadership = Leadership::new(replicas, |node| self.is_alive(node));
            let config = self.topic_config(leadership.leader, &name);
            // Ids are random: partitions need no more chance than that, each its own.
            let rng = Rng::from_seed(
                id.0[8..].iter().fold(index as u64, |seed, byte| seed << 7 ^ u64::from(*byte)),
            );
            let partition = Partition::new(name.clone(), index, leadership, config, rng, now_ms);
            partitions.push(Arc::new(partition));
        }
        self.topics_version += 1;
        if self.names.insert(id, name.clone()).is_none() {
            self.newest_topic_version = self.topics_version;
        }
        self.topics.insert(name.clone(), Arc::new(Topic { name, id, partitions }));
    }

    fn unused_topic_id(&mut self) -> Uuid {
        loop {
            let id = self.rng.uuid();
            if !self.names.contains_key(&id) {
                return id;
            }
        }
    }

    /// The effective configuration of a topic that is being created, as its answer lists it.
    fn describe_new_configs(&self, overrides: &Values) -> Vec<(&'static str, String, Source)> {
        let listed = TOPIC_KEYS.iter().filter(|key| !key.is_internal());
        let describe = |key: &crate::config::TopicKey| {
            let name = key.definition.name;
            if let Some(value) = overrides.get(name) {
                return (name, value.clone(), Source::Topic);
            }
            let from_broker =
                key.synonyms.first().map(|synonym| self.configs.broker_layers(None, synonym.name));
            match from_broker.into_iter().flatten().next() {
                Some(Layer { value, source, .. }) => (name, value, source),
                None => (name, self.configs.topic_value(None, overrides, key), Source::Default),
            }
        };
        listed.map(describe).collect()
    }
}

/// Checks a topic's name as Kafka does (Java: `Topic.validate`).
pub(crate) fn validate_topic_name(name: &str) -> Result<(), String> {
    let is_legal = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-');
    let why = match name {
        "" => "it is empty".to_owned(),
        "." | ".." => "it is a path".to_owned(),
        _ if name.len() > TOPIC_NAME_MAX => {
            format!("it has {} characters, more than {TOPIC_NAME_MAX}", name.len())
        }
        _ if !name.chars().all(is_legal) => {
            "use only ASCII letters and digits, dots, underscores and dashes".to_owned()
        }
        _ => return Ok(()),
    };
    Err(format!("topic name {name:?} is invalid: {why}"))
}

/// Whether a topic is Kafka's own.
pub(crate) fn is_internal(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// The answer to a request for more than [`PARTITIONS_PER_REQUEST_MAX`] partitions.
pub(crate) fn too_many_partitions() -> AdminError {
    AdminError::new(
        ErrorCode::PolicyViolation,
        format!("a request may create at most {PARTITIONS_PER_REQUEST_MAX} partitions"),
    )
}

fn collect_overrides(configs: &[(ByteStr, Option<ByteStr>)]) -> Result<Values, AdminError> {
    let nulls: Vec<_> =
        configs.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str()).collect();
    if !nulls.is_empty() {
        let message = format!("topic configs without a value: {}", nulls.join(", "));
        return Err(AdminError::new(ErrorCode::InvalidConfig, message));
    }
    let given =
        configs.iter().filter_map(|(name, value)| Some((name.to_string(), value.as_ref()?.to_string())));
    Ok(given.collect())
}
