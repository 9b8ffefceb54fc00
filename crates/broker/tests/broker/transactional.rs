//! A transactional producer, request by request, for the cases about transactions.

use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::add_partitions_to_txn_response::AddPartitionsToTxnTopicResult;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::ProducerState;
use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, DescribeProducersRequest, DescribeTransactionsRequest, EndTxnRequest,
    FindCoordinatorRequest, InitProducerIdRequest, ProduceRequest, TransactionalId,
};
use milena_protocol::ErrorCode;

use crate::support::*;

/// A producer id and its epoch.
pub(crate) type Producer = (i64, i16);

/// From this version of Produce on partitions are added by batches.
pub(crate) const PRODUCE_ADDS_PARTITIONS: i16 = 12;

/// A client of one transactional id.
pub(crate) struct Transactional {
    pub(crate) connection: Connection,
    pub(crate) id: String,
    pub(crate) producer: Producer,
}

impl Transactional {
    /// A client that has initialised.
    pub(crate) async fn start(broker: &Broker) -> Self {
        let mut client = Self::of(broker, unique("transaction")).await;
        client.init().await;
        client
    }

    /// A client of this id that has found its coordinator.
    pub(crate) async fn of(broker: &Broker, id: String) -> Self {
        let mut connection = broker.connect().await;
        find_coordinator(&mut connection, 1, &id).await;
        Self { connection, id, producer: (-1, -1) }
    }

    /// Another client of the same id, which has not initialised.
    pub(crate) async fn rival(&self, broker: &Broker) -> Self {
        Self::of(broker, self.id.clone()).await
    }

    /// Initialises, however often it has to ask.
    pub(crate) async fn init(&mut self) {
        let asked = async {
            loop {
                match self.try_init(3, (-1, -1), 60_000).await {
                    Ok(producer) => return producer,
                    Err(error) => assert!(is_transient(error), "{error}"),
                }
            }
        };
        let producer = tokio::time::timeout(PATIENCE, asked).await.expect("a producer id in time");
        self.producer = producer;
    }

    /// Asks once to be initialised.
    pub(crate) async fn try_init(
        &mut self,
        version: i16,
        expected: Producer,
        timeout_ms: i32,
    ) -> Result<Producer, ErrorCode> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(transactional_id(&self.id)))
            .with_transaction_timeout_ms(timeout_ms)
            .with_producer_id(expected.0.into())
            .with_producer_epoch(expected.1);
        let response = self.connection.call(version, &request).await;
        let producer = (response.producer_id.0, response.producer_epoch);
        match ErrorCode::from(response.error_code) {
            ErrorCode::None => Ok(producer),
            error => {
                assert_eq!(producer, (-1, -1), "{error}");
                Err(error)
            }
        }
    }

    /// Adds partitions of a topic, up to version 3 as clients do and from then on as brokers do.
    pub(crate) async fn add(&mut self, version: i16, topic: &str, partitions: &[i32]) -> Vec<ErrorCode> {
        self.add_or_verify(version, topic, partitions, false).await
    }

    pub(crate) async fn verify(&mut self, version: i16, topic: &str, partitions: &[i32]) -> Vec<ErrorCode> {
        self.add_or_verify(version, topic, partitions, true).await
    }

    async fn add_or_verify(
        &mut self,
        version: i16,
        topic: &str,
        partitions: &[i32],
        verify_only: bool,
    ) -> Vec<ErrorCode> {
        let topics = vec![
            AddPartitionsToTxnTopic::default().with_name(name(topic)).with_partitions(partitions.to_vec()),
        ];
        let (id, (producer_id, producer_epoch)) = (transactional_id(&self.id), self.producer);
        if version <= 3 {
            let request = AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(id)
                .with_v3_and_below_producer_id(producer_id.into())
                .with_v3_and_below_producer_epoch(producer_epoch)
                .with_v3_and_below_topics(topics);
            return errors(self.connection.call(version, &request).await.results_by_topic_v3_and_below);
        }
        let transaction = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(id)
            .with_producer_id(producer_id.into())
            .with_producer_epoch(producer_epoch)
            .with_verify_only(verify_only)
            .with_topics(topics);
        let request = AddPartitionsToTxnRequest::default().with_transactions(vec![transaction]);
        let response = self.connection.call(version, &request).await;
        assert_eq!(response.error_code, 0);
        response.results_by_transaction.into_iter().flat_map(|result| errors(result.topic_results)).collect()
    }

    /// Adds partition 0 of a topic, however often it has to ask.
    pub(crate) async fn begin(&mut self, topic: &str) {
        let added = async {
            loop {
                match self.add(3, topic, &[0]).await[0] {
                    ErrorCode::None => break,
                    error => assert!(is_transient(error), "{error}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, added).await.expect("added in time");
    }

    /// Adds partition 0 of a topic as a client does whose epoch is bumped at every end: by a batch.
    pub(crate) async fn begin_with_bump(&mut self, topic: &str) {
        let begun = self.outcome(PRODUCE_ADDS_PARTITIONS, topic, 0).await;
        assert!(begun.is_ok(), "{begun:?}");
    }

    /// Produces a transactional batch of one record to partition 0.
    pub(crate) async fn produce(
        &mut self,
        version: i16,
        topic: &str,
        base_sequence: i32,
    ) -> PartitionProduceResponse {
        self.produce_to(version, topic, 0, base_sequence).await
    }

    pub(crate) async fn produce_to(
        &mut self,
        version: i16,
        topic: &str,
        partition: i32,
        base_sequence: i32,
    ) -> PartitionProduceResponse {
        let batch = BatchOf::records(1).by(self.producer.0, self.producer.1, base_sequence).in_transaction();
        let request = self.produce_request(topic, partition, batch);
        let mut response = self.connection.call(version, &request).await;
        response.responses.remove(0).partition_responses.remove(0)
    }

    /// The error's name, or the base offset.
    pub(crate) async fn outcome(
        &mut self,
        version: i16,
        topic: &str,
        base_sequence: i32,
    ) -> Result<i64, &'static str> {
        let answer = self.produce(version, topic, base_sequence).await;
        match ErrorCode::from(answer.error_code) {
            ErrorCode::None => Ok(answer.base_offset),
            error => Err(error.name()),
        }
    }

    pub(crate) fn produce_request(&self, topic: &str, partition: i32, batch: BatchOf) -> ProduceRequest {
        produce_request(topic, partition, -1, batch.bytes())
            .with_transactional_id(Some(transactional_id(&self.id)))
    }

    /// Asks once for the end of the transaction, as `producer`.
    pub(crate) async fn try_end(
        &mut self,
        version: i16,
        producer: Producer,
        committed: bool,
    ) -> Result<Producer, ErrorCode> {
        let request = EndTxnRequest::default()
            .with_transactional_id(transactional_id(&self.id))
            .with_producer_id(producer.0.into())
            .with_producer_epoch(producer.1)
            .with_committed(committed);
        let response = self.connection.call(version, &request).await;
        match ErrorCode::from(response.error_code) {
            ErrorCode::None => Ok((response.producer_id.0, response.producer_epoch)),
            error => Err(error),
        }
    }

    /// Ends the transaction, and returns when all markers are written; from version 5 on with the next epoch.
    pub(crate) async fn end(&mut self, version: i16, committed: bool) {
        let next = self.try_end(version, self.producer, committed).await.expect("ended");
        if version >= 5 {
            self.producer = next;
        } else {
            assert_eq!(next, (-1, -1), "no epoch is told before version 5");
        }
        self.settle().await;
    }

    /// Returns when no markers are on their way.
    pub(crate) async fn settle(&mut self) {
        let settled = async { while self.describe().await.transaction_state.starts_with("Prepare") {} };
        tokio::time::timeout(PATIENCE, settled).await.expect("markers are written in time");
    }

    pub(crate) async fn describe(&mut self) -> TransactionState {
        describe(&mut self.connection, &self.id).await
    }
}

/// What a coordinator tells of a transactional id.
pub(crate) async fn describe(connection: &mut Connection, id: &str) -> TransactionState {
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![transactional_id(id)]);
    connection.call(0, &request).await.transaction_states.remove(0)
}

/// What partition 0 of a topic remembers of a producer.
pub(crate) async fn producer_state(
    connection: &mut Connection,
    topic: &str,
    producer_id: i64,
) -> Option<ProducerState> {
    let asked = TopicRequest::default().with_name(name(topic)).with_partition_indexes(vec![0]);
    let request = DescribeProducersRequest::default().with_topics(vec![asked]);
    let mut response = connection.call(0, &request).await;
    let partition = response.topics.remove(0).partitions.remove(0);
    assert_eq!((partition.error_code, partition.error_message), (0, None));
    partition.active_producers.into_iter().find(|state| state.producer_id.0 == producer_id)
}

/// Looks for a coordinator until there is one, and returns its node: a real Kafka creates the topic for it first.
pub(crate) async fn find_coordinator(connection: &mut Connection, key_type: i8, key: &str) -> i32 {
    let request = FindCoordinatorRequest::default().with_key_type(key_type).with_key(text(key));
    let found = async {
        loop {
            let response = connection.call(3, &request).await;
            if response.error_code == 0 {
                return response.node_id.0;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("a coordinator in time")
}

pub(crate) fn transactional_id(id: &str) -> TransactionalId {
    TransactionalId(text(id))
}

/// What passes by itself: the coordinator begins its work, or markers are on their way.
pub(crate) fn is_transient(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
            | ErrorCode::ConcurrentTransactions
    )
}

/// In the order of topics and partitions: a real Kafka has none.
fn errors(mut topics: Vec<AddPartitionsToTxnTopicResult>) -> Vec<ErrorCode> {
    topics.sort_by(|one, other| one.name.cmp(&other.name));
    let results = topics.into_iter().flat_map(|mut topic| {
        topic.results_by_partition.sort_by_key(|result| result.partition_index);
        topic.results_by_partition
    });
    results.map(|result| ErrorCode::from(result.partition_error_code)).collect()
}
