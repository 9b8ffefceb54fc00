//! CreatePartitions: more partitions for topics that exist.

use std::collections::BTreeMap;

use milena_client::Target;
use milena_protocol::ByteStr;
use milena_protocol::messages::CreatePartitionsRequest;
use milena_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};

use crate::rounds::{Retried, Verdict};
use crate::{Admin, Results};

/// How many partitions a topic is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    topic: String,
    total: i32,
    assignments: Vec<Vec<i32>>,
}

impl NewPartitions {
    /// `topic` is to have `total` partitions, more than now. Keyed records will go to other partitions than before.
    pub fn new(topic: impl Into<String>, total: i32) -> Self {
        Self { topic: topic.into(), total, assignments: Vec::new() }
    }

    /// The brokers of each new partition, the preferred leader first. Default: the controller chooses.
    pub fn assignments(
        mut self,
        assignments: impl IntoIterator<Item = impl IntoIterator<Item = i32>>,
    ) -> Self {
        self.assignments = assignments.into_iter().map(|brokers| brokers.into_iter().collect()).collect();
        self
    }

    fn to_message(&self) -> CreatePartitionsTopic {
        let assignment = |brokers: &Vec<i32>| CreatePartitionsAssignment {
            broker_ids: brokers.clone(),
            ..Default::default()
        };
        CreatePartitionsTopic {
            name: ByteStr::from(self.topic.as_str()),
            count: self.total,
            assignments: (!self.assignments.is_empty())
                .then(|| self.assignments.iter().map(assignment).collect()),
            ..Default::default()
        }
    }
}

impl Admin {
    /// Adds partitions to topics; of several entries for a topic the last one counts.
    ///
    /// # Errors
    /// For each topic, above all `INVALID_PARTITIONS` (not more than there are), `INVALID_REPLICA_ASSIGNMENT`,
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    ///
    /// # Cancel safety
    /// A dropped future may have added partitions.
    pub async fn create_partitions(
        &self,
        topics: impl IntoIterator<Item = NewPartitions>,
    ) -> Results<String, ()> {
        self.add_partitions(topics, false).await
    }

    /// Checks whether partitions could be added, without adding them (`validate_only`).
    ///
    /// # Errors
    /// What [`Self::create_partitions`] would give.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn validate_partitions(
        &self,
        topics: impl IntoIterator<Item = NewPartitions>,
    ) -> Results<String, ()> {
        self.add_partitions(topics, true).await
    }

    async fn add_partitions(
        &self,
        topics: impl IntoIterator<Item = NewPartitions>,
        validate_only: bool,
    ) -> Results<String, ()> {
        let wanted: BTreeMap<String, NewPartitions> =
            topics.into_iter().map(|topic| (topic.topic.clone(), topic)).collect();
        let names: Vec<_> = wanted.keys().cloned().collect();
        let attempt = |open: Vec<String>| {
            let wanted = &wanted;
            async move {
                let request = CreatePartitionsRequest {
                    topics: open.iter().map(|name| wanted[name].to_message()).collect(),
                    timeout_ms: self.broker_timeout_ms(),
                    validate_only,
                    ..Default::default()
                };
                match self.ask::<CreatePartitionsRequest>(&Target::Controller, request).await {
                    Ok((_, response)) => {
                        let results = response.results.into_iter();
                        results
                            .map(|topic| {
                                (
                                    topic.name.to_string(),
                                    Verdict::of(topic.error_code, topic.error_message, ()),
                                )
                            })
                            .collect()
                    }
                    Err(error) => Verdict::lost(open, &error),
                }
            }
        };
        self.settle_each("CreatePartitions", Retried::NoOther, names, attempt).await
    }
}
