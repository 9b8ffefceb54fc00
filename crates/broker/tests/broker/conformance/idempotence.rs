use kafka_protocol::messages::InitProducerIdRequest;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use milena_protocol::{ApiKey, ErrorCode};

use crate::support::*;

cases! {
    every_version_gives_a_fresh_producer_id,
    an_idempotent_producer_asks_for_a_new_id_to_bump_its_epoch,
    the_last_five_batches_are_answered_again_with_their_first_offset,
    a_duplicate_is_answered_with_its_own_timestamp,
    sequences_with_a_gap_are_out_of_order,
    an_unknown_producer_begins_where_it_likes,
    a_greater_epoch_begins_at_zero_and_fences_the_smaller,
    sequences_wrap_to_zero,
}

struct Producer {
    connection: Connection,
    topic: String,
    producer_id: i64,
}

impl Producer {
    async fn start(broker: &Broker) -> Self {
        let mut connection = broker.connect().await;
        let topic = unique("idempotence");
        connection.create_topic(&topic, &[]).await;
        let producer_id = new_producer_id(&mut connection).await;
        Self { connection, topic, producer_id }
    }

    async fn produce(
        &mut self,
        producer_epoch: i16,
        base_sequence: i32,
        count: usize,
    ) -> PartitionProduceResponse {
        let batch = BatchOf::records(count).by(self.producer_id, producer_epoch, base_sequence);
        self.connection.produce(9, &self.topic, batch.bytes()).await
    }

    /// The error's name, or the base offset.
    async fn outcome(
        &mut self,
        producer_epoch: i16,
        base_sequence: i32,
        count: usize,
    ) -> Result<i64, &'static str> {
        let answer = self.produce(producer_epoch, base_sequence, count).await;
        match ErrorCode::from(answer.error_code) {
            ErrorCode::None => Ok(answer.base_offset),
            error => Err(error.name()),
        }
    }
}

async fn new_producer_id(connection: &mut Connection) -> i64 {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    let given = async {
        // A real Kafka needs a moment for its first block of ids.
        loop {
            let response = connection.call(4, &request).await;
            if ErrorCode::from(response.error_code) != ErrorCode::CoordinatorLoadInProgress {
                return response;
            }
        }
    };
    let response = tokio::time::timeout(PATIENCE, given).await.expect("an id in time");
    assert_eq!((response.error_code, response.producer_epoch), (0, 0));
    response.producer_id.0
}

const OUT_OF_ORDER: Result<i64, &str> = Err("OUT_OF_ORDER_SEQUENCE_NUMBER");

async fn every_version_gives_a_fresh_producer_id(broker: &Broker) {
    let mut connection = broker.connect().await;
    let mut ids = vec![new_producer_id(&mut connection).await];
    for version in broker.versions(ApiKey::InitProducerId, 0..=5) {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let response = connection.call(version, &request).await;
        assert_eq!((response.error_code, response.producer_epoch), (0, 0), "version {version}");
        ids.push(response.producer_id.0);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 7);
}

async fn an_idempotent_producer_asks_for_a_new_id_to_bump_its_epoch(broker: &Broker) {
    let mut connection = broker.connect().await;
    let old = new_producer_id(&mut connection).await;
    let request = |id: i64, epoch| {
        InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(id.into())
            .with_producer_epoch(epoch)
    };
    let response = connection.call(4, &request(old, 3)).await;
    assert_eq!((response.error_code, response.producer_epoch), (0, 0));
    assert_ne!(response.producer_id.0, old);
    let response = connection.call(4, &request(old, -1)).await;
    assert_eq!(ErrorCode::from(response.error_code), ErrorCode::InvalidRequest);
}

async fn the_last_five_batches_are_answered_again_with_their_first_offset(broker: &Broker) {
    let mut producer = Producer::start(broker).await;
    for index in 0..6 {
        assert_eq!(producer.outcome(0, index * 2, 2).await, Ok(i64::from(index) * 2));
    }
    for index in 1..6 {
        assert_eq!(producer.outcome(0, index * 2, 2).await, Ok(i64::from(index) * 2), "batch {index}");
    }
    assert_eq!(producer.outcome(0, 0, 2).await, OUT_OF_ORDER, "the sixth is forgotten");
    assert_eq!(producer.outcome(0, 12, 2).await, Ok(12), "and nothing was appended twice");
}

async fn a_duplicate_is_answered_with_its_own_timestamp(broker: &Broker) {
    let mut producer = Producer::start(broker).await;
    let batch = BatchOf::at(&[now_ms() - 5_000]).by(producer.producer_id, 0, 0);
    let first = producer.connection.produce(9, &producer.topic, batch.bytes()).await;
    let again = producer.connection.produce(9, &producer.topic, batch.bytes()).await;
    assert_eq!((first.log_append_time_ms, again.log_append_time_ms), (-1, batch.timestamps[0]));
    assert_eq!((again.base_offset, again.log_start_offset), (0, 0));
}

async fn sequences_with_a_gap_are_out_of_order(broker: &Broker) {
    let mut producer = Producer::start(broker).await;
    assert_eq!(producer.outcome(0, 0, 3).await, Ok(0));
    assert_eq!(producer.outcome(0, 4, 1).await, OUT_OF_ORDER);
    assert_eq!(producer.outcome(0, 1, 2).await, OUT_OF_ORDER);
    assert_eq!(producer.outcome(0, 3, 1).await, Ok(3));
}

async fn an_unknown_producer_begins_where_it_likes(broker: &Broker) {
    let mut producer = Producer::start(broker).await;
    assert_eq!(producer.outcome(0, 77, 1).await, Ok(0));
    assert_eq!(producer.outcome(0, 78, 1).await, Ok(1));
}

async fn a_greater_epoch_begins_at_zero_and_fences_the_smaller(broker: &Broker) {
    let mut producer = Producer::start(broker).await;
    assert_eq!(producer.outcome(0, 0, 1).await, Ok(0));
    assert_eq!(producer.outcome(1, 1, 1).await, OUT_OF_ORDER);
    assert_eq!(producer.outcome(1, 0, 1).await, Ok(1));
    assert_eq!(producer.outcome(0, 1, 1).await, Err("INVALID_PRODUCER_EPOCH"));
    assert_eq!(producer.outcome(0, 0, 1).await, Err("INVALID_PRODUCER_EPOCH"), "even a repeated batch");
}

async fn sequences_wrap_to_zero(broker: &Broker) {
    let mut producer = Producer::start(broker).await;
    assert_eq!(producer.outcome(0, i32::MAX - 1, 1).await, Ok(0));
    assert_eq!(producer.outcome(0, i32::MAX, 1).await, Ok(1));
    assert_eq!(producer.outcome(0, 1, 1).await, OUT_OF_ORDER);
    assert_eq!(producer.outcome(0, 0, 1).await, Ok(2));
    assert_eq!(producer.outcome(0, i32::MAX, 1).await, Ok(1), "the batch before the wrap is still known");
}
