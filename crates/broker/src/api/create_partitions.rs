//! CreatePartitions (KIP-195; Java: `ControllerApis.createPartitions`).

use std::collections::BTreeSet;

use milena_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use milena_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use milena_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::{Api, message};
use crate::node::{Reply, RequestContext};
use crate::state::{AdminError, NewPartitions};

/// The first version that knows `THROTTLING_QUOTA_EXCEEDED`.
const THROTTLING_KNOWN_SINCE_VERSION: i16 = 3;

impl Api for CreatePartitionsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<CreatePartitionsResponse> {
        let mut seen = BTreeSet::new();
        let mut duplicates = BTreeSet::new();
        for topic in &self.topics {
            if !seen.insert(topic.name.clone()) {
                duplicates.insert(topic.name.clone());
            }
        }
        let duplicate = |name: &ByteStr| {
            result(name.clone(), Err(AdminError::new(ErrorCode::InvalidRequest, "duplicate topic name")))
        };
        let mut results: Vec<_> = duplicates.iter().map(duplicate).collect();
        let validate_only = self.validate_only;
        let create = |topic: CreatePartitionsTopic| {
            let name = topic.name.clone();
            let assignments = topic
                .assignments
                .map(|given| given.into_iter().map(|replicas| replicas.broker_ids).collect());
            let new = NewPartitions { topic: topic.name, count: topic.count, assignments };
            let charge = |partitions| {
                context.charge_mutations(partitions, context.version >= THROTTLING_KNOWN_SINCE_VERSION)
            };
            let mut state = context.shared.state_mut();
            let created = state.create_partitions(&new, validate_only, context.now_ms(), charge);
            result(name, created)
        };
        results.extend(self.topics.into_iter().filter(|topic| !duplicates.contains(&topic.name)).map(create));
        CreatePartitionsResponse { results, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<CreatePartitionsResponse> {
        let results = self.topics.into_iter().map(|topic| CreatePartitionsTopicResult {
            name: topic.name,
            error_code,
            error_message: message(error_code),
            ..Default::default()
        });
        CreatePartitionsResponse { results: results.collect(), ..Default::default() }.into()
    }
}

fn result(name: ByteStr, created: Result<(), AdminError>) -> CreatePartitionsTopicResult {
    match created {
        Ok(()) => CreatePartitionsTopicResult { name, ..Default::default() },
        Err(error) => CreatePartitionsTopicResult {
            name,
            error_code: error.code,
            error_message: Some(error.message.into()),
            ..Default::default()
        },
    }
}
