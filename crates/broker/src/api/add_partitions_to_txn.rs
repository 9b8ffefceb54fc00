//! AddPartitionsToTxn (KIP-98, KIP-890; Java: `KafkaApis.handleAddPartitionsToTxnRequest`).
//!
//! Up to version 3 clients send it, for one transaction; from version 4 on brokers do, for many, to add partitions or
//! only to ask whether they take part.

use milena_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use milena_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use milena_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::{Api, check_coordinates, fenced_since};
use crate::node::{Reply, RequestContext};
use crate::txn::{Level, Producer, TopicPartition};

/// The first version that knows `PRODUCER_FENCED`.
const FENCED_SINCE_VERSION: i16 = 2;
/// From this version on a request has many transactions.
const BATCHES_SINCE_VERSION: i16 = 4;

impl Api for AddPartitionsToTxnRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<AddPartitionsToTxnResponse> {
        let transactions = transactions(self, context.version);
        let results = transactions.iter().map(|transaction| AddPartitionsToTxnResult {
            transactional_id: transaction.transactional_id.clone(),
            topic_results: results(&transaction.topics, &add_or_verify(context, transaction)),
            ..Default::default()
        });
        respond(context.version, ErrorCode::None, results.collect()).into()
    }

    fn refuse(self, context: &RequestContext<'_>, error: ErrorCode) -> Reply<AddPartitionsToTxnResponse> {
        if context.version >= BATCHES_SINCE_VERSION {
            return respond(context.version, error, Vec::new()).into();
        }
        let refused = transactions(self, context.version).into_iter().map(|transaction| {
            let errors = vec![error; partitions(&transaction.topics).count()];
            AddPartitionsToTxnResult {
                topic_results: results(&transaction.topics, &errors),
                transactional_id: transaction.transactional_id,
                ..Default::default()
            }
        });
        respond(context.version, ErrorCode::None, refused.collect()).into()
    }
}

/// The transactions of a request, whatever its version.
fn transactions(request: AddPartitionsToTxnRequest, version: i16) -> Vec<AddPartitionsToTxnTransaction> {
    if version >= BATCHES_SINCE_VERSION {
        return request.transactions;
    }
    vec![AddPartitionsToTxnTransaction {
        transactional_id: request.v3_and_below_transactional_id,
        producer_id: request.v3_and_below_producer_id,
        producer_epoch: request.v3_and_below_producer_epoch,
        verify_only: false,
        topics: request.v3_and_below_topics,
        ..Default::default()
    }]
}

/// The error of each partition, in the order of the request.
fn add_or_verify(context: &RequestContext<'_>, asked: &AddPartitionsToTxnTransaction) -> Vec<ErrorCode> {
    let all: Vec<TopicPartition> = partitions(&asked.topics).collect();
    let exist: Vec<bool> = {
        let state = context.shared.state();
        let exists = |(topic, index): &TopicPartition| {
            state.topic(topic).is_some_and(|topic| topic.partition(*index).is_some())
        };
        all.iter().map(exists).collect()
    };
    if exist.contains(&false) {
        // One that does not exist fails the whole transaction.
        let error = |exists: &bool| match exists {
            true => ErrorCode::OperationNotAttempted,
            false => ErrorCode::UnknownTopicOrPartition,
        };
        return exist.iter().map(error).collect();
    }
    let id = &asked.transactional_id;
    let producer = Producer { id: asked.producer_id, epoch: asked.producer_epoch };
    let answer = check_coordinates(context, id).and_then(|()| match asked.verify_only {
        true => {
            context.shared.read_transactions(|coordinator| coordinator.verify_partitions(id, producer, &all))
        }
        false => context.shared.coordinate_step(id, |coordinator| {
            let level = match context.version >= BATCHES_SINCE_VERSION {
                true => Level::EPOCH_BUMP,
                false => Level::ORIGINAL,
            };
            let added = coordinator.add_partitions(id, producer, &all, level, context.now_ms());
            added.map(|()| vec![ErrorCode::None; all.len()])
        }),
    });
    answer.unwrap_or_else(|error| {
        // Verification tells brokers, which know the newer error in every version.
        let told = if asked.verify_only {
            error
        } else {
            fenced_since(FENCED_SINCE_VERSION, context.version, error)
        };
        vec![told; all.len()]
    })
}

fn partitions(topics: &[AddPartitionsToTxnTopic]) -> impl Iterator<Item = TopicPartition> + '_ {
    let of_topic = |topic: &AddPartitionsToTxnTopic| {
        let name: ByteStr = topic.name.clone();
        topic.partitions.clone().into_iter().map(move |index| (name.clone(), index))
    };
    topics.iter().flat_map(of_topic)
}

fn results(topics: &[AddPartitionsToTxnTopic], errors: &[ErrorCode]) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut errors = errors.iter();
    let mut result = |index: &i32| AddPartitionsToTxnPartitionResult {
        partition_index: *index,
        partition_error_code: errors.next().copied().unwrap_or(ErrorCode::None),
        ..Default::default()
    };
    let of_topic = |topic: &AddPartitionsToTxnTopic| AddPartitionsToTxnTopicResult {
        name: topic.name.clone(),
        results_by_partition: topic.partitions.iter().map(&mut result).collect(),
        ..Default::default()
    };
    topics.iter().map(of_topic).collect()
}

fn respond(
    version: i16,
    error_code: ErrorCode,
    results: Vec<AddPartitionsToTxnResult>,
) -> AddPartitionsToTxnResponse {
    if version >= BATCHES_SINCE_VERSION {
        return AddPartitionsToTxnResponse {
            error_code,
            results_by_transaction: results,
            ..Default::default()
        };
    }
    AddPartitionsToTxnResponse {
        results_by_topic_v3_and_below: results.into_iter().flat_map(|result| result.topic_results).collect(),
        ..Default::default()
    }
}
