//! CreateTopics (KIP-4, 195, 525; Java: `ControllerApis.createTopics`).

use std::collections::BTreeMap;

use milena_protocol::messages::create_topics_request::CreatableTopic;
use milena_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use milena_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::{Api, message};
use crate::node::{Reply, RequestContext};
use crate::state::{AdminError, CreatedTopic, NewTopic, PARTITIONS_PER_REQUEST_MAX, too_many_partitions};

/// The first version that knows `THROTTLING_QUOTA_EXCEEDED`.
const THROTTLING_KNOWN_SINCE_VERSION: i16 = 6;

const METADATA_TOPIC: &str = "__cluster_metadata";

impl Api for CreateTopicsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<CreateTopicsResponse> {
        if self.partitions(context) > i64::from(PARTITIONS_PER_REQUEST_MAX) {
            let error = too_many_partitions();
            let refused = |topic: CreatableTopic| failed(topic.name, error.clone());
            let topics = self.topics.into_iter().map(refused).collect();
            return CreateTopicsResponse { topics, ..Default::default() }.into();
        }
        let mut times_named: BTreeMap<ByteStr, usize> = BTreeMap::new();
        for topic in &self.topics {
            *times_named.entry(topic.name.clone()).or_default() += 1;
        }
        let (once, repeated): (Vec<_>, Vec<_>) =
            self.topics.into_iter().partition(|topic| times_named[&topic.name] == 1);
        let mut results: Vec<_> = once
            .into_iter()
            .map(|topic| {
                let name = topic.name.clone();
                match create(context, topic, self.validate_only) {
                    Ok(created) => succeeded(name, created),
                    Err(error) => failed(name, error),
                }
            })
            .collect();
        let mut repeated: Vec<_> = repeated.into_iter().map(|topic| topic.name).collect();
        repeated.dedup();
        let duplicate = || AdminError::new(ErrorCode::InvalidRequest, "duplicate topic name");
        results.extend(repeated.into_iter().map(|name| failed(name, duplicate())));
        CreateTopicsResponse { topics: results, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<CreateTopicsResponse> {
        let topics = self.topics.into_iter().map(|topic| CreatableTopicResult {
            error_message: message(error_code),
            ..failed(topic.name, AdminError::new(error_code, ""))
        });
        CreateTopicsResponse { topics: topics.collect(), ..Default::default() }.into()
    }
}

trait Asked {
    /// How many partitions are asked for in all.
    fn partitions(&self, context: &RequestContext<'_>) -> i64;
}

impl Asked for CreateTopicsRequest {
    fn partitions(&self, context: &RequestContext<'_>) -> i64 {
        let default = context.shared.state().settings().num_partitions;
        let of_topic = |topic: &CreatableTopic| match topic.num_partitions {
            _ if !topic.assignments.is_empty() => topic.assignments.len() as i64,
            -1 => i64::from(default),
            given => i64::from(given.max(0)),
        };
        self.topics.iter().map(of_topic).sum()
    }
}

fn create(
    context: &RequestContext<'_>,
    topic: CreatableTopic,
    validate_only: bool,
) -> Result<CreatedTopic, AdminError> {
    if topic.name == METADATA_TOPIC {
        let message = format!("{METADATA_TOPIC} is not an ordinary topic and cannot be created");
        return Err(AdminError::new(ErrorCode::InvalidRequest, message));
    }
    let new = NewTopic {
        name: topic.name,
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .into_iter()
            .map(|given| (given.partition_index, given.broker_ids))
            .collect(),
        configs: topic.configs.into_iter().map(|config| (config.name, config.value)).collect(),
    };
    let charge =
        |partitions| context.charge_mutations(partitions, context.version >= THROTTLING_KNOWN_SINCE_VERSION);
    context.shared.state_mut().create_topic_within(&new, validate_only, context.now_ms(), charge)
}

fn succeeded(name: ByteStr, created: CreatedTopic) -> CreatableTopicResult {
    let config =
        |(name, value, source): (&'static str, String, crate::config::Source)| CreatableTopicConfigs {
            name: ByteStr::from_static(name),
            value: Some(value.into()),
            config_source: source as i8,
            ..Default::default()
        };
    CreatableTopicResult {
        name,
        topic_id: created.id,
        num_partitions: created.partitions,
        replication_factor: created.replication_factor,
        configs: Some(created.configs.into_iter().map(config).collect()),
        error_message: None,
        ..Default::default()
    }
}

fn failed(name: ByteStr, error: AdminError) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        error_code: error.code,
        error_message: Some(error.message.into()),
        configs: Some(Vec::new()),
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    }
}
