//! DescribeLogDirs, AlterReplicaLogDirs (KIP-113, 827; Java: `ReplicaManager.describeLogDirs`, `alterReplicaLogDirs`).

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use milena_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use milena_protocol::messages::{
    AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, DescribeLogDirsRequest, DescribeLogDirsResponse,
};
use milena_protocol::{ByteStr, ErrorCode};

use super::Api;
use crate::node::{Reply, RequestContext};
use crate::state::Topic;

/// Stands for the size of a volume that is not known: memory is not a volume.
const UNKNOWN_BYTES: i64 = -1;

impl Api for DescribeLogDirsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DescribeLogDirsResponse> {
        let state = context.shared.state();
        let wanted: Option<BTreeSet<(ByteStr, i32)>> = self.topics.map(|topics| {
            let partitions = topics
                .iter()
                .flat_map(|topic| topic.partitions.iter().map(|index| (topic.topic.clone(), *index)));
            partitions.collect()
        });
        let describe = |topic: &Topic| {
            let partitions = topic.partitions.iter().filter_map(|partition| {
                let is_wanted = |wanted: &BTreeSet<(ByteStr, i32)>| {
                    wanted.contains(&(topic.name.clone(), partition.index))
                };
                let state = partition.lock();
                let is_here = state.leadership.replicas.contains(&context.node.id);
                (is_here && wanted.as_ref().is_none_or(is_wanted)).then(|| DescribeLogDirsPartition {
                    partition_index: partition.index,
                    partition_size: state.log.len() as i64,
                    ..Default::default()
                })
            });
            let partitions: Vec<_> = partitions.collect();
            (!partitions.is_empty()).then(|| DescribeLogDirsTopic {
                name: topic.name.clone(),
                partitions,
                ..Default::default()
            })
        };
        let result = DescribeLogDirsResult {
            log_dir: state.settings().log_dir.as_str().into(),
            topics: state.topics().filter_map(|topic| describe(topic)).collect(),
            total_bytes: UNKNOWN_BYTES,
            usable_bytes: UNKNOWN_BYTES,
            ..Default::default()
        };
        DescribeLogDirsResponse { results: vec![result], ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<DescribeLogDirsResponse> {
        DescribeLogDirsResponse { error_code, ..Default::default() }.into()
    }
}

impl Api for AlterReplicaLogDirsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<AlterReplicaLogDirsResponse> {
        let state = context.shared.state();
        self.answer(|path, topic, index| {
            if *path != state.settings().log_dir {
                return ErrorCode::LogDirNotFound;
            }
            let partition = state.topic(topic).and_then(|topic| topic.partition(index));
            match partition.map(|partition| partition.lock().leadership.replicas.contains(&context.node.id)) {
                // It is in the only directory already.
                Some(true) => ErrorCode::None,
                Some(false) => ErrorCode::NotLeaderOrFollower,
                None => ErrorCode::UnknownTopicOrPartition,
            }
        })
    }

    fn refuse(self, _: &RequestContext<'_>, error_code: ErrorCode) -> Reply<AlterReplicaLogDirsResponse> {
        self.answer(|_, _, _| error_code)
    }
}

trait Answer {
    fn answer(
        self,
        outcome: impl Fn(&ByteStr, &ByteStr, i32) -> ErrorCode,
    ) -> Reply<AlterReplicaLogDirsResponse>;
}

impl Answer for AlterReplicaLogDirsRequest {
    fn answer(
        self,
        outcome: impl Fn(&ByteStr, &ByteStr, i32) -> ErrorCode,
    ) -> Reply<AlterReplicaLogDirsResponse> {
        let mut topics: BTreeMap<ByteStr, Vec<AlterReplicaLogDirPartitionResult>> = BTreeMap::new();
        for dir in &self.dirs {
            for topic in &dir.topics {
                let results = topic.partitions.iter().map(|index| AlterReplicaLogDirPartitionResult {
                    partition_index: *index,
                    error_code: outcome(&dir.path, &topic.name, *index),
                    ..Default::default()
                });
                topics.entry(topic.name.clone()).or_default().extend(results);
            }
        }
        let results = topics.into_iter().map(|(topic_name, partitions)| AlterReplicaLogDirTopicResult {
            topic_name,
            partitions,
            ..Default::default()
        });
        AlterReplicaLogDirsResponse { results: results.collect(), ..Default::default() }.into()
    }
}
