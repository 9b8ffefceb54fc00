//! CreateTopics.

use std::collections::{BTreeMap, BTreeSet};

use milena_client::Target;
use milena_protocol::messages::create_topics_response::CreatableTopicResult;
use milena_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use milena_protocol::{ErrorCode, Uuid};

use super::TopicSpec;
use crate::rounds::{Retried, Subject, Verdict};
use crate::{Admin, AdminError, AdminErrorReason, Results};

/// A topic that was created, as far as the broker tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreatedTopic {
    /// Its id; `None` from brokers before 2.8.
    pub topic_id: Option<Uuid>,
    /// How many partitions it has; `None` from brokers before 2.4, and without the right to describe its configuration.
    pub partitions: Option<i32>,
    /// Its replication factor; `None` as for the partitions.
    pub replication_factor: Option<i16>,
}

/// The first version in which a broker fills in the numbers of partitions and replicas (KIP-464).
const DEFAULTS_SINCE: i16 = 4;

impl Admin {
    /// Creates topics. The controller has them when this returns; other brokers may learn of them a moment later
    /// ([`Admin::wait_until_ready`]).
    ///
    /// # Errors
    /// For each topic, above all `TOPIC_ALREADY_EXISTS`, `INVALID_PARTITIONS`, `INVALID_REPLICATION_FACTOR`,
    /// `INVALID_CONFIG`, `POLICY_VIOLATION`, and [`AdminErrorReason::NotSupported`] for defaults on brokers before 2.4.
    ///
    /// # Cancel safety
    /// A dropped future may have created topics.
    pub async fn create_topics(
        &self,
        topics: impl IntoIterator<Item = TopicSpec>,
    ) -> Results<String, CreatedTopic> {
        self.create(topics, false).await
    }

    /// Creates one topic; see [`Self::create_topics`].
    ///
    /// # Errors
    /// See [`Self::create_topics`].
    ///
    /// # Cancel safety
    /// A dropped future may have created the topic.
    pub async fn create_topic(&self, topic: TopicSpec) -> Result<CreatedTopic, AdminError> {
        self.create([topic], false).await.only()
    }

    /// Checks whether topics could be created, without creating them (`validate_only`).
    ///
    /// # Errors
    /// What [`Self::create_topics`] would give.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn validate_topics(
        &self,
        topics: impl IntoIterator<Item = TopicSpec>,
    ) -> Results<String, CreatedTopic> {
        self.create(topics, true).await
    }

    async fn create(
        &self,
        topics: impl IntoIterator<Item = TopicSpec>,
        validate_only: bool,
    ) -> Results<String, CreatedTopic> {
        let (specs, refused) = checked(topics);
        let names: Vec<_> = specs.keys().cloned().collect();
        let attempt = |open: Vec<String>| {
            let specs = &specs;
            async move {
                let request = CreateTopicsRequest {
                    topics: open.iter().map(|name| specs[name].to_message()).collect(),
                    timeout_ms: self.broker_timeout_ms(),
                    validate_only,
                    ..Default::default()
                };
                match self.ask::<CreateTopicsRequest>(&Target::Controller, request).await {
                    Ok((version, response)) => verdicts(response, version, specs),
                    Err(error) => Verdict::lost(open, &error),
                }
            }
        };
        let mut results = self.settle_each("CreateTopics", Retried::NoOther, names, attempt).await;
        for (name, problem) in refused {
            let error = AdminError::new(name.name(), AdminErrorReason::Invalid(problem));
            results.insert(name, Err(error));
        }
        results
    }
}

/// The topics to ask for, by name, and those that need no asking.
fn checked(
    topics: impl IntoIterator<Item = TopicSpec>,
) -> (BTreeMap<String, TopicSpec>, BTreeMap<String, &'static str>) {
    let (mut specs, mut refused, mut named) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for spec in topics {
        let name = spec.name().to_owned();
        if !named.insert(name.clone()) {
            specs.remove(&name);
            refused.insert(name, "it is named twice in one call");
        } else if let Some(problem) = spec.contradiction() {
            refused.insert(name, problem);
        } else {
            specs.insert(name, spec);
        }
    }
    (specs, refused)
}

fn verdicts(
    response: CreateTopicsResponse,
    version: i16,
    specs: &BTreeMap<String, TopicSpec>,
) -> Vec<(String, Verdict<CreatedTopic>)> {
    let verdict = |topic: CreatableTopicResult| {
        let name = topic.name.to_string();
        let lacks_numbers =
            matches!(topic.error_code, ErrorCode::InvalidPartitions | ErrorCode::InvalidReplicationFactor);
        let used_defaults = specs.get(&name).is_some_and(TopicSpec::needs_defaults);
        if version < DEFAULTS_SINCE && lacks_numbers && used_defaults {
            let problem = "before Kafka 2.4 it has no defaults for partitions and replication factor (KIP-464); \
                           give both numbers";
            return (name, Verdict::Failed(AdminErrorReason::NotSupported(problem)));
        }
        let created = CreatedTopic {
            topic_id: (!topic.topic_id.is_zero()).then_some(topic.topic_id),
            partitions: (topic.num_partitions >= 0).then_some(topic.num_partitions),
            replication_factor: (topic.replication_factor >= 0).then_some(topic.replication_factor),
        };
        (name, Verdict::of(topic.error_code, topic.error_message, created))
    };
    response.topics.into_iter().map(verdict).collect()
}
