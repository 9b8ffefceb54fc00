//! ElectLeaders (KIP-460; Java: `ReplicationControlManager.electLeaders`).

use milena_protocol::ErrorCode;
use milena_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use milena_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::{Api, message};
use crate::node::{Reply, RequestContext};
use crate::state::{AdminError, Election};

/// Before this version every election was of the preferred replica.
const TYPES_SINCE_VERSION: i16 = 1;

impl Api for ElectLeadersRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<ElectLeadersResponse> {
        let election = match self.election_type {
            _ if context.version < TYPES_SINCE_VERSION => Election::Preferred,
            0 => Election::Preferred,
            1 => Election::Unclean,
            _ => return self.refuse(context, ErrorCode::InvalidRequest),
        };
        let state = context.shared.state_mut();
        let elect = |topic: &str, index: i32| result(index, state.elect_leader(topic, index, election));
        let results = match self.topic_partitions {
            Some(topics) => topics
                .into_iter()
                .map(|topic| ReplicaElectionResult {
                    partition_result: topic
                        .partitions
                        .iter()
                        .map(|index| elect(&topic.topic, *index))
                        .collect(),
                    topic: topic.topic,
                    ..Default::default()
                })
                .collect(),
            // Of all partitions, those with nothing to do are left out.
            None => state
                .topics()
                .map(|topic| ReplicaElectionResult {
                    topic: topic.name.clone(),
                    partition_result: topic
                        .partitions
                        .iter()
                        .map(|partition| elect(&topic.name, partition.index))
                        .filter(|result| result.error_code != ErrorCode::ElectionNotNeeded)
                        .collect(),
                    ..Default::default()
                })
                .collect(),
        };
        state.reload_led();
        ElectLeadersResponse { replica_election_results: results, ..Default::default() }.into()
    }

    fn refuse(self, context: &RequestContext<'_>, error: ErrorCode) -> Reply<ElectLeadersResponse> {
        let refused = |partition_id: &i32| PartitionResult {
            partition_id: *partition_id,
            error_code: error,
            error_message: message(error),
            ..Default::default()
        };
        let results =
            self.topic_partitions.unwrap_or_default().into_iter().map(|topic| ReplicaElectionResult {
                partition_result: topic.partitions.iter().map(refused).collect(),
                topic: topic.topic,
                ..Default::default()
            });
        ElectLeadersResponse {
            // Before, there was no room for it.
            error_code: if context.version < TYPES_SINCE_VERSION { ErrorCode::None } else { error },
            replica_election_results: results.collect(),
            ..Default::default()
        }
        .into()
    }
}

fn result(partition_id: i32, elected: Result<(), AdminError>) -> PartitionResult {
    let error = elected.err();
    PartitionResult {
        partition_id,
        error_code: error.as_ref().map_or(ErrorCode::None, |error| error.code),
        error_message: error.map(|error| error.message.into()),
        ..Default::default()
    }
}
