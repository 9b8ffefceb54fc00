//! What topics there are and where their partitions live, from Metadata.

use milena_client::Target;
use milena_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use milena_protocol::messages::{MetadataRequest, MetadataResponse};
use milena_protocol::{ErrorCode, Uuid};

use crate::admin::{metadata_request, usable};
use crate::rounds::{Retried, Verdict};
use crate::{Admin, AdminError, Results};

/// A topic in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicListing {
    /// Its name.
    pub name: String,
    /// Its id; `None` from brokers before 2.8.
    pub topic_id: Option<Uuid>,
    /// Whether Kafka keeps its own state in it, such as `__consumer_offsets`.
    pub is_internal: bool,
    /// How many partitions it has.
    pub partitions: usize,
}

/// A topic and its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id; `None` from brokers before 2.8.
    pub topic_id: Option<Uuid>,
    /// Whether Kafka keeps its own state in it, such as `__consumer_offsets`.
    pub is_internal: bool,
    /// Its partitions, in order.
    pub partitions: Vec<PartitionDescription>,
}

/// Where a partition lives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// The node that leads it; `None` while there is none.
    pub leader: Option<i32>,
    /// The leader's epoch; `None` from brokers before 2.1.
    pub leader_epoch: Option<i32>,
    /// Nodes that hold a copy, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Nodes whose copy is in sync.
    pub in_sync_replicas: Vec<i32>,
    /// Copies that are offline.
    pub offline_replicas: Vec<i32>,
}

impl Admin {
    /// All topics that this client may describe, in the order of their names, internal ones included.
    ///
    /// # Errors
    /// No broker answered in time.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn list_topics(&self) -> Result<Vec<TopicListing>, AdminError> {
        let response = self.metadata("list topics").await?;
        let mut topics: Vec<_> = response.topics.into_iter().filter_map(listing).collect();
        topics.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Topics with their partitions, leaders and replicas. Their configuration: [`Self::describe_configs`].
    ///
    /// # Errors
    /// For each topic, above all `UNKNOWN_TOPIC_OR_PARTITION` (also for one that was created a moment ago, until all brokers
    /// know it) and `TOPIC_AUTHORIZATION_FAILED`.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn describe_topics(
        &self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Results<String, TopicDescription> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let attempt = |open: Vec<String>| async move {
            let request = metadata_request(Some(open.iter().map(String::as_str)));
            let answer = self.ask::<MetadataRequest>(&Target::Any, request).await;
            match answer.and_then(|(_, response)| usable(response)) {
                Ok(response) => verdicts(response),
                Err(error) => Verdict::lost(open, &error),
            }
        };
        self.settle_each("describe topics", Retried::NoOther, names, attempt).await
    }

    /// One topic; see [`Self::describe_topics`].
    ///
    /// # Errors
    /// See [`Self::describe_topics`].
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn describe_topic(&self, name: impl Into<String>) -> Result<TopicDescription, AdminError> {
        self.describe_topics([name]).await.only()
    }

    /// Brokers and all topics.
    async fn metadata(&self, operation: &'static str) -> Result<MetadataResponse, AdminError> {
        let attempt = || async {
            let request = metadata_request(None::<std::iter::Empty<&str>>);
            let (_, response) = self.ask::<MetadataRequest>(&Target::Any, request).await?;
            usable(response)
        };
        self.settle(operation, attempt).await
    }
}

fn verdicts(response: MetadataResponse) -> Vec<(String, Verdict<TopicDescription>)> {
    let topics = response.topics.into_iter();
    topics
        .filter_map(|topic| {
            let code = topic.error_code;
            let described = description(topic)?;
            // A topic that is being created is there already, without leaders for now.
            let code = if code == ErrorCode::LeaderNotAvailable { ErrorCode::None } else { code };
            Some((described.name.clone(), Verdict::of(code, None, described)))
        })
        .collect()
}

fn listing(topic: MetadataResponseTopic) -> Option<TopicListing> {
    Some(TopicListing {
        name: topic.name?.to_string(),
        topic_id: (!topic.topic_id.is_zero()).then_some(topic.topic_id),
        is_internal: topic.is_internal,
        partitions: topic.partitions.len(),
    })
}

/// What is told of a topic; `None` for one without a name.
pub(crate) fn description(topic: MetadataResponseTopic) -> Option<TopicDescription> {
    let mut partitions: Vec<_> = topic.partitions.into_iter().map(partition).collect();
    partitions.sort_unstable_by_key(|partition| partition.partition);
    Some(TopicDescription {
        name: topic.name?.to_string(),
        topic_id: (!topic.topic_id.is_zero()).then_some(topic.topic_id),
        is_internal: topic.is_internal,
        partitions,
    })
}

fn partition(partition: MetadataResponsePartition) -> PartitionDescription {
    PartitionDescription {
        partition: partition.partition_index,
        leader: (partition.leader_id >= 0).then_some(partition.leader_id),
        leader_epoch: (partition.leader_epoch >= 0).then_some(partition.leader_epoch),
        replicas: partition.replica_nodes,
        in_sync_replicas: partition.isr_nodes,
        offline_replicas: partition.offline_replicas,
    }
}
