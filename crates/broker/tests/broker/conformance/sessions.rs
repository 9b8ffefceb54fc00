//! Incremental fetch sessions over the wire (KIP-227).

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::{DeleteTopicsRequest, FetchRequest, FetchResponse};
use milena_protocol::ErrorCode;

use crate::support::*;

cases! {
    only_what_changed_is_answered,
    forgotten_partitions_are_not_answered_and_the_last_one_closes_the_session,
    a_wrong_epoch_is_an_error_and_keeps_the_session,
    an_unknown_partition_is_answered_every_time,
    partitions_with_records_go_to_the_end_of_the_order,
    a_final_epoch_closes_the_session,
    a_session_by_name_cannot_go_on_by_id,
    a_session_by_id_tells_a_deleted_topic_from_a_recreated_one,
}

struct Session {
    connection: Connection,
    topic: String,
    id: i32,
}

impl Session {
    /// A session over three empty partitions.
    async fn open(broker: &Broker) -> Self {
        let mut connection = broker.connect().await;
        let topic = unique("sessions");
        connection.create_topic_with(&topic, 3, &[]).await;
        let mut session = Self { connection, topic, id: 0 };
        let response = session.fetch(0, &[0, 1, 2], &[]).await;
        assert_eq!((response.error_code, partitions(&response)), (0, vec![0, 1, 2]));
        assert_ne!(response.session_id, 0);
        session.id = response.session_id;
        session
    }

    async fn fetch(&mut self, epoch: i32, asked: &[i32], forgotten: &[i32]) -> FetchResponse {
        let position = |partition: &i32| {
            FetchPartition::default()
                .with_partition(*partition)
                .with_current_leader_epoch(-1)
                .with_last_fetched_epoch(-1)
                .with_partition_max_bytes(1 << 20)
        };
        let topic = FetchTopic::default()
            .with_topic(name(&self.topic))
            .with_partitions(asked.iter().map(position).collect());
        let forgotten =
            ForgottenTopic::default().with_topic(name(&self.topic)).with_partitions(forgotten.to_vec());
        let request = FetchRequest::default()
            .with_replica_id((-1).into())
            .with_max_bytes(1 << 20)
            .with_session_id(self.id)
            .with_session_epoch(epoch)
            .with_topics(if asked.is_empty() { vec![] } else { vec![topic] })
            .with_forgotten_topics_data(if forgotten.partitions.is_empty() {
                vec![]
            } else {
                vec![forgotten]
            });
        self.connection.call(12, &request).await
    }

    async fn produce(&mut self, partition: i32) {
        let request = produce_request(&self.topic, partition, -1, BatchOf::records(1).bytes());
        let response = self.connection.call(9, &request).await;
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    }
}

fn partitions(response: &FetchResponse) -> Vec<i32> {
    response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|answer| answer.partition_index)
        .collect()
}

async fn only_what_changed_is_answered(broker: &Broker) {
    let mut session = Session::open(broker).await;
    assert_eq!(partitions(&session.fetch(1, &[], &[]).await), Vec::<i32>::new());
    session.produce(1).await;
    let response = session.fetch(2, &[], &[]).await;
    assert_eq!((response.session_id, partitions(&response)), (session.id, vec![1]));
    // The client has not moved on, and so gets the same records again.
    assert_eq!(partitions(&session.fetch(3, &[], &[]).await), [1]);
}

async fn forgotten_partitions_are_not_answered_and_the_last_one_closes_the_session(broker: &Broker) {
    let mut session = Session::open(broker).await;
    session.produce(1).await;
    session.produce(2).await;
    assert_eq!(partitions(&session.fetch(1, &[], &[1]).await), [2]);
    let closing = session.fetch(2, &[], &[0, 2]).await;
    assert_eq!((closing.error_code, closing.session_id), (0, 0));
    let response = session.fetch(3, &[], &[]).await;
    assert_eq!(ErrorCode::from(response.error_code), ErrorCode::FetchSessionIdNotFound);
}

async fn a_wrong_epoch_is_an_error_and_keeps_the_session(broker: &Broker) {
    let mut session = Session::open(broker).await;
    let response = session.fetch(5, &[], &[]).await;
    assert_eq!(ErrorCode::from(response.error_code), ErrorCode::InvalidFetchSessionEpoch);
    assert_eq!(session.fetch(1, &[], &[]).await.error_code, 0);
}

async fn an_unknown_partition_is_answered_every_time(broker: &Broker) {
    let mut session = Session::open(broker).await;
    for epoch in 1..3 {
        let response = session.fetch(epoch, &[7], &[]).await;
        assert_eq!(partitions(&response), [7]);
        let answer = &response.responses[0].partitions[0];
        assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::UnknownTopicOrPartition);
    }
}

async fn partitions_with_records_go_to_the_end_of_the_order(broker: &Broker) {
    let mut session = Session::open(broker).await;
    for partition in [0, 1, 2] {
        session.produce(partition).await;
    }
    assert_eq!(partitions(&session.fetch(1, &[], &[]).await), [0, 1, 2]);
    session.produce(1).await;
    assert_eq!(partitions(&session.fetch(2, &[], &[]).await), [0, 1, 2]);
}

async fn a_final_epoch_closes_the_session(broker: &Broker) {
    let mut session = Session::open(broker).await;
    let response = session.fetch(-1, &[0], &[]).await;
    assert_eq!((response.error_code, response.session_id, partitions(&response)), (0, 0, vec![0]));
    let response = session.fetch(1, &[], &[]).await;
    assert_eq!(ErrorCode::from(response.error_code), ErrorCode::FetchSessionIdNotFound);
}

async fn a_session_by_name_cannot_go_on_by_id(broker: &Broker) {
    let mut session = Session::open(broker).await;
    let request = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_bytes(1)
        .with_session_id(session.id)
        .with_session_epoch(1);
    let response = session.connection.call(13, &request).await;
    assert_eq!(ErrorCode::from(response.error_code), ErrorCode::FetchSessionTopicIdError);
}

async fn a_session_by_id_tells_a_deleted_topic_from_a_recreated_one(broker: &Broker) {
    let mut connection = broker.connect().await;
    let topic = unique("sessions-by-id");
    connection.create_topic(&topic, &[]).await;
    let partition = FetchPartition::default()
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
        .with_partition_max_bytes(1);
    let by_id = FetchTopic::default()
        .with_topic_id(connection.topic_id(&topic).await)
        .with_partitions(vec![partition]);
    let full = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_bytes(1)
        .with_session_epoch(0)
        .with_topics(vec![by_id]);
    let session_id = connection.call(13, &full).await.session_id;
    let mut session_epoch = 0;
    // The next error of the partition that is not `before`, once the deletion or creation has come through.
    let mut error_after = async |connection: &mut Connection, before: ErrorCode| {
        let changed = async {
            loop {
                session_epoch += 1;
                let next = full
                    .clone()
                    .with_session_id(session_id)
                    .with_session_epoch(session_epoch)
                    .with_topics(vec![]);
                let response = connection.call(13, &next).await;
                let answer = response.responses.first().map(|topic| topic.partitions[0].error_code);
                let error = ErrorCode::from(answer.unwrap_or(0));
                if error != before {
                    return error;
                }
            }
        };
        tokio::time::timeout(PATIENCE, changed).await.expect("a change in time")
    };
    let delete = DeleteTopicsRequest::default().with_timeout_ms(10_000).with_topic_names(vec![name(&topic)]);
    assert_eq!(connection.call(5, &delete).await.responses[0].error_code, 0);
    assert_eq!(error_after(&mut connection, ErrorCode::None).await, ErrorCode::UnknownTopicOrPartition);
    connection.create_topic(&topic, &[]).await;
    let error = error_after(&mut connection, ErrorCode::UnknownTopicOrPartition).await;
    assert_eq!(error, ErrorCode::InconsistentTopicId);
    let response = connection.call(13, &full).await;
    let error = ErrorCode::from(response.responses[0].partitions[0].error_code);
    assert_eq!(error, ErrorCode::UnknownTopicId, "a new session does not know the old name");
}
