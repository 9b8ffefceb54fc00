//! Weaker acknowledgements.

use milena_broker::ApiKey;
use milena_producer::{Acks, ProducerConfig, Record};

use crate::support::*;

fn without_idempotence(acks: Acks) -> impl FnOnce(&mut ProducerConfig) {
    move |config| {
        config.acks = acks;
        config.enable_idempotence = false;
    }
}

#[tokio::test(start_paused = true)]
async fn without_acknowledgements_a_record_counts_once_it_is_handed_over() {
    patiently(async {
        let world = World::start_with(|cluster| cluster, without_idempotence(Acks::None)).await;
        let got = acks(world.send_batch(3).await).await;
        assert_eq!(offsets(&got), [None; 3]);
        world.cluster.until(|cluster| cluster.log(TOPIC, 0).expect("a log").log_end_offset == 3).await;
        let batch = &world.log(0).batches[0];
        assert_eq!((batch.producer_id, batch.base_sequence), (-1, -1));
        assert_eq!(world.cluster.requests(ApiKey::InitProducerId), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_acknowledgements_a_lost_connection_is_opened_again() {
    patiently(async {
        let world = World::start_with(|cluster| cluster, without_idempotence(Acks::None)).await;
        acks(world.send_batch(1).await).await;
        world.cluster.faults().disconnect(1).await;
        world.pass(secs(1)).await;
        acks(world.send_batch(1).await).await;
        world.cluster.until(|cluster| cluster.log(TOPIC, 0).expect("a log").log_end_offset == 2).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_acknowledgements_the_next_batch_goes_when_the_socket_has_taken_the_last_one() {
    patiently(async {
        let configure = |config: &mut ProducerConfig| {
            without_idempotence(Acks::None)(config);
            config.max_in_flight = 1;
        };
        let world = World::start_with(|cluster| cluster, configure).await;
        acks(world.send_batch(1).await).await;
        world.cluster.faults().stop_reading(1);
        // More than the stream holds.
        let value = vec![b'1'; 300_000];
        let mut sent = Vec::new();
        for _ in 0..3 {
            sent.push(world.producer.send(Record::to(TOPIC).value(&value)).await.expect("accepted"));
        }
        world.pass(secs(1)).await;
        assert!(sent.iter().all(|delivery| delivery.try_result().is_none()));
        world.cluster.faults().resume_reading(1);
        let began = world.env().now();
        acks(sent).await;
        assert!(world.env().now() - began < secs(1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_leaders_acknowledgement_has_offsets() {
    patiently(async {
        let world = World::start_with(|cluster| cluster, without_idempotence(Acks::Leader)).await;
        assert_eq!(offsets(&acks(world.send_batch(2).await).await), [Some(0), Some(1)]);
        assert_eq!(world.cluster.requests(ApiKey::InitProducerId), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_idempotence_a_repetition_is_written_again_and_nothing_is_lost() {
    patiently(async {
        let world = World::start_with(|cluster| cluster, without_idempotence(Acks::All)).await;
        world.cluster.faults().on(ApiKey::Produce).lose_answer();
        acks(world.send_batch(2).await).await;
        assert_eq!(world.values(0), [0, 1, 0, 1]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_idempotence_one_in_flight_keeps_the_order_through_retries() {
    patiently(async {
        let configure = |config: &mut ProducerConfig| {
            without_idempotence(Acks::All)(config);
            config.max_in_flight = 1;
        };
        let world = World::start_with(|cluster| cluster, configure).await;
        let refused = world.cluster.faults().on(ApiKey::Produce).with_probability(0.5).times(20);
        refused.answer_with(milena_broker::ErrorCode::NotEnoughReplicas);
        let mut sent = Vec::new();
        for _ in 0..20 {
            sent.extend(world.send_batch(1).await);
        }
        acks(sent).await;
        assert_eq!(world.values(0), (0..20).collect::<Vec<_>>());
    })
    .await;
}
