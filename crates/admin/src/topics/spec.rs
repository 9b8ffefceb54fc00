//! What a topic is to be like.

use std::collections::BTreeMap;

use milena_protocol::ByteStr;
use milena_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};

/// A topic to create. What is not said is left to the brokers' defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    name: String,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    assignments: Vec<Vec<i32>>,
    configs: BTreeMap<String, String>,
}

impl TopicSpec {
    /// A topic of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            partitions: None,
            replication_factor: None,
            assignments: Vec::new(),
            configs: BTreeMap::new(),
        }
    }

    /// How many partitions. Default: the broker's `num.partitions`; brokers before 2.4 need to be told (KIP-464).
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// On how many brokers each partition is kept. Default: the broker's `default.replication.factor`; brokers before 2.4 need
    /// to be told (KIP-464).
    pub fn replication_factor(mut self, replication_factor: i16) -> Self {
        self.replication_factor = Some(replication_factor);
        self
    }

    /// The brokers of each partition, the preferred leader first, in place of a number of partitions and a replication factor.
    pub fn assignments(
        mut self,
        assignments: impl IntoIterator<Item = impl IntoIterator<Item = i32>>,
    ) -> Self {
        self.assignments = assignments.into_iter().map(|brokers| brokers.into_iter().collect()).collect();
        self
    }

    /// Sets a topic configuration, such as `cleanup.policy`; a second value for a name replaces the first.
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(name.into(), value.into());
        self
    }

    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What makes no sense in itself.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let counted = self.partitions.is_some() || self.replication_factor.is_some();
        (counted && !self.assignments.is_empty()).then_some(
            "an assignment says how many partitions and replicas there are: give it or their numbers, not both",
        )
    }

    /// Whether brokers that do not know defaults cannot create it.
    pub(super) fn needs_defaults(&self) -> bool {
        self.assignments.is_empty() && (self.partitions.is_none() || self.replication_factor.is_none())
    }

    pub(super) fn to_message(&self) -> CreatableTopic {
        let assignment = |(partition_index, brokers): (i32, &Vec<i32>)| CreatableReplicaAssignment {
            partition_index,
            broker_ids: brokers.clone(),
            ..Default::default()
        };
        let config = |(name, value): (&String, &String)| CreatableTopicConfig {
            name: ByteStr::from(name.as_str()),
            value: Some(ByteStr::from(value.as_str())),
            ..Default::default()
        };
        CreatableTopic {
            name: ByteStr::from(self.name.as_str()),
            num_partitions: self.partitions.unwrap_or(BROKER_DEFAULT),
            replication_factor: self.replication_factor.unwrap_or(BROKER_DEFAULT as i16),
            assignments: (0..).zip(&self.assignments).map(assignment).collect(),
            configs: self.configs.iter().map(config).collect(),
            ..Default::default()
        }
    }
}

/// Stands for the broker's default (KIP-464), and for "see the assignment".
const BROKER_DEFAULT: i32 = -1;
