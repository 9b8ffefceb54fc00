//! DescribeTransactions (KIP-664; Java: `TransactionCoordinator.handleDescribeTransactions`).

use milena_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use milena_protocol::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse};
use milena_protocol::{ByteStr, ErrorCode};

use super::{Api, check_coordinates};
use crate::node::{Reply, RequestContext};
use crate::txn::{TopicPartition, Transaction};

impl Api for DescribeTransactionsRequest {
    async fn handle(self, context: &RequestContext<'_>) -> Reply<DescribeTransactionsResponse> {
        let describe = |id: ByteStr| match check_coordinates(context, &id) {
            Err(error_code) => failed(id, error_code),
            Ok(()) => context.shared.read_transactions(|coordinator| match coordinator.get(&id) {
                Some(transaction) => described(id.clone(), transaction),
                None => failed(id.clone(), ErrorCode::TransactionalIdNotFound),
            }),
        };
        let transaction_states = self.transactional_ids.into_iter().map(describe).collect();
        DescribeTransactionsResponse { transaction_states, ..Default::default() }.into()
    }

    fn refuse(self, _: &RequestContext<'_>, error: ErrorCode) -> Reply<DescribeTransactionsResponse> {
        let transaction_states = self.transactional_ids.into_iter().map(|id| failed(id, error)).collect();
        DescribeTransactionsResponse { transaction_states, ..Default::default() }.into()
    }
}

fn described(transactional_id: ByteStr, transaction: &Transaction) -> TransactionState {
    TransactionState {
        transactional_id,
        transaction_state: ByteStr::from_static(transaction.state.name()),
        transaction_timeout_ms: transaction.timeout_ms,
        transaction_start_time_ms: transaction.started_ms,
        producer_id: transaction.producer.id,
        producer_epoch: transaction.producer.epoch,
        topics: by_topic(transaction.partitions.iter()),
        ..Default::default()
    }
}

fn by_topic<'a>(partitions: impl Iterator<Item = &'a TopicPartition>) -> Vec<TopicData> {
    let mut topics: Vec<TopicData> = Vec::new();
    for (topic, index) in partitions {
        match topics.last_mut() {
            Some(last) if last.topic == *topic => last.partitions.push(*index),
            _ => topics.push(TopicData {
                topic: topic.clone(),
                partitions: vec![*index],
                ..Default::default()
            }),
        }
    }
    topics
}

fn failed(transactional_id: ByteStr, error_code: ErrorCode) -> TransactionState {
    TransactionState { error_code, transactional_id, ..Default::default() }
}
